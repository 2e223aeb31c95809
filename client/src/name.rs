//! Names that somebody gives to people. They are nobody else's business, and nobody else can set them.
//!
//! Two people cannot have names that look alike: letters would go to the wrong one. What looks alike is
//! said by Unicode's table of confusable characters (UTS #39).

use unicode_security::confusable_detection::skeleton;

use crate::phone;
use crate::show::is_hidden;

/// Characters of the longest name.
const LONGEST: usize = 64;

/// A name that can be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// A name as somebody has typed it, without the space around it.
    ///
    /// # Errors
    /// Why it cannot be one, for the person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = plain_spaces(text);
        let wrong = if name.is_empty() {
            "a name has at least one letter"
        } else if name.chars().count() > LONGEST {
            "a name has at most 64 letters"
        } else if name.chars().any(is_hidden) {
            "this name has characters that nobody can see"
        } else if phone::is_meant(&name) {
            "this name could be taken for a phone number; it needs a letter"
        } else if name.starts_with(['-', '~', '+']) {
            "a name does not begin with -, ~ or +"
        } else {
            return Ok(Self(name));
        };
        Err(format!("{wrong}; choose another"))
    }

    /// As it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The same for all names that look alike, in capitals or not.
#[must_use]
pub fn folded(name: &str) -> String {
    let plain: String = skeleton(&plain_spaces(name).to_lowercase()).collect();
    // A capital I and a zero look like small letters.
    plain.to_lowercase()
}

/// One space between words, and none around them.
fn plain_spaces(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_are_the_same() {
        for (one, other) in [
            ("Ann", "ANN"),
            ("Ann", "\u{410}nn"),
            ("Paul", "\u{440}\u{430}ul"),
            ("Bill", "Bi11"),
            ("Otto", "0tto"),
            ("café", "cafe\u{301}"),
            ("rn", "m"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        for (one, other) in [("Ann", "Anna"), ("Jose", "José"), ("日本", "日木")] {
            assert_ne!(folded(one), folded(other), "{one} {other}");
        }
    }

    #[test]
    fn what_would_confuse_is_no_name() {
        for name in [
            "",
            "  ",
            "+49",
            "123 45",
            "~Ann",
            "-x",
            "a\u{202e}b",
            "a\u{200b}b",
            "a\u{1b}[2J",
            &"x".repeat(65),
        ] {
            assert!(Name::parse(name).is_err(), "{name:?}");
        }
        assert_eq!(Name::parse("  Ann   Lee ").unwrap().as_str(), "Ann Lee");
        assert!(Name::parse("Ann 2").is_ok());
    }
}
