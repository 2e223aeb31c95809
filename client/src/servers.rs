//! Where a server is: at one address, or at several, of which one serves at a time.

use std::fmt;
use std::str::FromStr;

/// The addresses of one server, each HOST:PORT, in the order in which they are tried. There is at least
/// one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers(Vec<String>);

/// Why a text names no servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServersError {
    /// It is no address, or one of several is none.
    #[error(
        "an address is HOST:PORT, such as 127.0.0.1:9295 or [::1]:9295; where a server has several, a \
         comma stands between them"
    )]
    NoAddress,
    /// The same address stands there twice.
    #[error("the same address is there twice; name each once")]
    Twice,
    /// There are more than [`Servers::MAX`].
    #[error("a server has at most {} addresses here", Servers::MAX)]
    TooMany,
}

impl Servers {
    /// So many addresses at most.
    pub const MAX: usize = 8;

    /// How many addresses there are.
    pub(crate) const fn count(&self) -> usize {
        self.0.len()
    }

    /// All of them, once, from the one at this place on.
    pub(crate) fn from(&self, first: usize) -> impl Iterator<Item = &str> {
        let first = first % self.0.len().max(1);
        let (before, after) = self.0.split_at_checked(first).unwrap_or_default();
        after.iter().chain(before).map(String::as_str)
    }

    /// The same addresses, in the order that begins at this place.
    pub(crate) fn beginning_at(&self, first: usize) -> Self {
        Self(self.from(first).map(str::to_owned).collect())
    }
}

/// On this machine, where a server listens unless it is told otherwise.
impl Default for Servers {
    fn default() -> Self {
        Self(vec!["127.0.0.1:9295".to_owned()])
    }
}

impl FromStr for Servers {
    type Err = ServersError;

    fn from_str(text: &str) -> Result<Self, ServersError> {
        let mut servers: Vec<String> = Vec::new();
        for address in text.split(',').map(str::trim) {
            if !is_address(address) {
                return Err(ServersError::NoAddress);
            }
            if servers.iter().any(|known| known == address) {
                return Err(ServersError::Twice);
            }
            if servers.len() == Self::MAX {
                return Err(ServersError::TooMany);
            }
            servers.push(address.to_owned());
        }
        Ok(Self(servers))
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    let has_space = text.contains(char::is_whitespace);
    !has_space
        && !host.is_empty()
        && host.contains(':') == is_bracketed
        && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Servers, ServersError> {
        text.parse()
    }

    #[test]
    fn an_address_is_host_and_port() {
        for good in ["127.0.0.1:9295", "[::1]:1", "example.org:65535", "a:1,b:1,[::1]:2"] {
            assert_eq!(parse(good).unwrap().to_string(), good);
        }
        // As people write a list.
        assert_eq!(parse(" a:1, b:1 ").unwrap().to_string(), "a:1,b:1");
        for bad in [
            "",
            "localhost",
            ":1",
            "::1:1",
            "[::1]",
            "host:65536",
            "a:1,",
            ",a:1",
            "a:1 b:1",
            "a b:1",
        ] {
            assert_eq!(parse(bad), Err(ServersError::NoAddress), "{bad}");
        }
    }

    #[test]
    fn there_are_eight_at_most_and_none_twice() {
        let many = |count: usize| {
            (0..count).map(|at| format!("host{at}:9295")).collect::<Vec<_>>().join(",")
        };
        assert_eq!(parse(&many(8)).unwrap().count(), 8);
        assert_eq!(parse(&many(9)), Err(ServersError::TooMany));
        assert_eq!(parse("a:1,b:1,a:1"), Err(ServersError::Twice));
    }

    #[test]
    fn they_are_tried_in_turn_from_any_of_them() {
        let servers = parse("a:1,b:1,c:1").unwrap();
        assert_eq!(servers.from(1).collect::<Vec<_>>(), ["b:1", "c:1", "a:1"]);
        assert_eq!(servers.from(3).collect::<Vec<_>>(), ["a:1", "b:1", "c:1"]);
        assert_eq!(servers.beginning_at(2).to_string(), "c:1,a:1,b:1");
    }
}
