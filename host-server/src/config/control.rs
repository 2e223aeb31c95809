//! Where the control socket is, and who may use it.

use std::fs;
use std::path::PathBuf;

use super::{ConfigError, ServerConfig};

/// Bytes of the path of a control socket. The system takes 107 of a socket, some systems 103, and the
/// server makes its socket under a name that is longer by a few.
pub const LONGEST_SOCKET_PATH: usize = 96;

const GROUPS: &str = "/etc/group";
/// Means "no group" to the system.
const NO_GROUP: u32 = u32::MAX;

impl ServerConfig {
    /// The path of the control socket. `None` if nobody has named one, and the path of one in the data
    /// directory would be longer than that of a socket can be: a server that did without one before does
    /// so again.
    ///
    /// # Errors
    /// When the one that is named is too long.
    pub fn control_socket(&self) -> Result<Option<PathBuf>, ConfigError> {
        let is_set = !self.control.as_os_str().is_empty();
        let path = if is_set { self.control.clone() } else { self.data.join("control.sock") };
        let length = path.as_os_str().len();
        if length <= LONGEST_SOCKET_PATH {
            return Ok(Some(path));
        }
        if !is_set {
            return Ok(None);
        }
        Err(ConfigError(format!(
            "server.control is {length} bytes long; the path of a socket has at most \
             {LONGEST_SOCKET_PATH}: let it name a shorter one, such as /run/waxwing/control.sock"
        )))
    }

    /// The number of the group that may use the control socket, if there is one.
    ///
    /// # Errors
    /// When the system has no group of that name.
    pub fn control_group_number(&self) -> Result<Option<u32>, ConfigError> {
        let group = &*self.control_group;
        if group.is_empty() {
            return Ok(None);
        }
        let number = if group.bytes().all(|byte| byte.is_ascii_digit()) {
            parse(group).ok_or_else(|| format!("{group} is not the number of a group"))
        } else {
            // The system's own way to look names up may ask the network, and cannot be called without
            // unsafe code.
            let groups = fs::read(GROUPS).map_err(|error| format!("{GROUPS}: {error}"));
            groups.and_then(|groups| {
                number_of(group, &String::from_utf8_lossy(&groups)).ok_or_else(|| {
                    format!(
                        "{GROUPS} has no group {group:?}; make it with groupadd, or write the number of \
                         a group that comes from elsewhere"
                    )
                })
            })
        };
        number.map(Some).map_err(|why| ConfigError(format!("server.control_group: {why}")))
    }
}

fn parse(number: &str) -> Option<u32> {
    number.parse().ok().filter(|number| *number != NO_GROUP)
}

/// The number of a group in the text of a group file: `name:password:number:members`.
fn number_of(name: &str, groups: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next() == Some(name);
        is_it.then(|| fields.nth(1).and_then(parse)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const FILE: &str = "root:x:0:\n\n# remark\nbad\nhalf:x\nletters:x:many:\nall:x:4294967295:\n\
                        operators:x:117:anna,bert\noperator:x:118:";

    fn with_group(group: &str) -> Result<Option<u32>, String> {
        let server = ServerConfig { control_group: group.into(), ..ServerConfig::default() };
        server.control_group_number().map_err(|error| error.to_string())
    }

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        assert_eq!(number_of("operators", FILE), Some(117));
        assert_eq!(number_of("operator", FILE), Some(118));
        assert_eq!(number_of("root", FILE), Some(0));
        for absent in ["oper", "x", "anna", "", "bad", "half", "letters", "all"] {
            assert_eq!(number_of(absent, FILE), None, "{absent:?}");
        }
    }

    #[test]
    fn a_group_is_set_by_name_or_by_number() {
        assert_eq!(with_group(""), Ok(None));
        assert_eq!(with_group("117"), Ok(Some(117)));
        assert_eq!(with_group("root"), Ok(Some(0)));
        for (wrong, why) in [
            ("no such group", "has no group \"no such group\"; make it with groupadd"),
            // The system takes it for "leave the group as it is".
            ("4294967295", "is not the number of a group"),
            ("99999999999", "is not the number of a group"),
            ("-1", "has no group"),
        ] {
            let error = with_group(wrong).unwrap_err();
            assert!(error.starts_with("server.control_group: ") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn the_socket_is_in_the_data_directory_or_where_it_is_said_to_be() {
        let mut server = Config::default().server;
        assert_eq!(server.control_socket(), Ok(Some("waxwing-data/control.sock".into())));
        server.data = "/srv/waxwing".into();
        assert_eq!(server.control_socket(), Ok(Some("/srv/waxwing/control.sock".into())));
        server.control = "/run/waxwing.sock".into();
        assert_eq!(server.control_socket(), Ok(Some("/run/waxwing.sock".into())));
    }

    #[test]
    fn a_path_that_is_too_long_is_refused_with_the_longest_that_is_not() {
        let mut server = Config::default().server;
        let path = |length: usize| format!("/{}", "x".repeat(length - 1)).into();
        server.control = path(LONGEST_SOCKET_PATH);
        assert!(server.control_socket().is_ok());
        server.control = path(LONGEST_SOCKET_PATH + 1);
        let error = server.control_socket().unwrap_err().to_string();
        assert!(error.starts_with("server.control is 97 bytes long"), "{error}");
        assert!(error.contains("at most 96"), "{error}");
        let config = Config { server: server.clone(), ..Config::default() };
        assert_eq!(config.check_serving().unwrap_err().to_string(), error);
        // Nobody has asked for one here.
        server.control = PathBuf::new();
        server.data = path(LONGEST_SOCKET_PATH);
        assert_eq!(server.control_socket(), Ok(None));
        let config = Config { server, ..Config::default() };
        assert_eq!(config.check_serving(), Ok(()));
    }
}
