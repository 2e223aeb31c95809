//! A header of requests to a gateway.

use std::fmt;
use std::str::FromStr;

/// A name and a value, which may be a secret: `Debug` shows the name alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Those that the server writes itself. With them somebody could make two requests out of one.
const OURS: [&str; 8] = [
    "connection",
    "content-length",
    "host",
    "idempotency-key",
    "te",
    "transfer-encoding",
    "x-waxwing-signature",
    "x-waxwing-time",
];

impl Header {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // What stands behind the name is not shown: it may be a password.
        let wrong = || "a header is written as in \"Authorization: Bearer ...\"".to_owned();
        let (name, value) = text.split_once(':').ok_or_else(wrong)?;
        let (name, value) = (name.trim(), value.trim());
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(wrong());
        }
        if value.is_empty() || !value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
            return Err(format!(
                "the value of the header {name} has to be of printable ASCII characters"
            ));
        }
        if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
            return Err(format!("the server itself writes the header {name}"));
        }
        Ok(Self { name: name.into(), value: value.into() })
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: …", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_a_name_and_a_value_that_fit_on_its_line() {
        let header: Header = "Authorization:  Bearer a:b ".parse().unwrap();
        assert_eq!((&*header.name, &*header.value), ("Authorization", "Bearer a:b"));
        assert_eq!(format!("{header:?}"), "Authorization: …");
        for bad in [
            "Bearer secret",
            ": secret",
            "A B: secret",
            "A: ",
            "A: secret\r\nB: c",
            "A: secrét",
            "Host: secret",
            "content-LENGTH: 5",
            "X-Waxwing-Signature: secret",
        ] {
            let error = bad.parse::<Header>().unwrap_err();
            assert!(!error.contains("secr"), "{error}");
        }
    }
}
