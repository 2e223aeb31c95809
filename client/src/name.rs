//! Names that somebody gives to people. They are nobody else's business, and nobody else can set them.
//!
//! Two people cannot have names that look alike: letters would go to the wrong one. What looks alike is
//! said by Unicode's table of confusable characters (UTS #39).

use unicode_security::confusable_detection::skeleton;

use crate::phone;
use crate::show;

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
        } else if show::for_line(&name) != name {
            "this name has characters that nobody can see"
        } else if phone::is_meant(&name) {
            "this name could be taken for a phone number; it needs a letter"
        } else if is_for_oneself(&name) {
            "me is what waxwing writes before your own letters"
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

/// What stands before one's own letters, in place of a name.
pub(crate) const ME: &str = "me";

/// The same where it has to be said to whom they go.
pub(crate) fn me_to(other: &str) -> String {
    format!("{ME} to {other}")
}

/// Whether letters of somebody who is called so would look like one's own.
fn is_for_oneself(name: &str) -> bool {
    let name = folded(name);
    name.strip_prefix(&folded(ME)).is_some_and(|rest| rest.is_empty() || rest.starts_with(" to "))
}

/// Whether letters could go to the wrong one of two people who have these names.
#[must_use]
pub fn look_alike(one: &str, other: &str) -> bool {
    // Al and AI, with a capital I: the same as they are shown, and not in small letters.
    let shown = |name: &str| skeleton(&plain_spaces(name)).collect::<String>();
    folded(one) == folded(other) || shown(one) == shown(other)
}

/// The same for all spellings by which somebody is found: in capitals or not, and with whatever
/// characters that look like those of the name.
#[must_use]
pub fn folded(name: &str) -> String {
    let plain: String = skeleton(&plain_spaces(name).to_lowercase()).collect();
    // A capital I and a zero look like small letters.
    plain.to_lowercase()
}

/// One space between words, and none around them.
pub(crate) fn plain_spaces(text: &str) -> String {
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
    fn two_people_cannot_be_mixed_up() {
        for (one, other) in
            [("Al", "AI"), ("Bill", "BiII"), ("Mama ❤", "Mama ❤\u{fe0f}"), ("Ann", "ann")]
        {
            assert!(look_alike(one, other), "{one} {other}");
        }
        for (one, other) in [("Ella", "Elia"), ("AL", "AI"), ("Ann", "Anna")] {
            assert!(!look_alike(one, other), "{one} {other}");
        }
    }

    #[test]
    fn characters_that_a_script_or_an_emoji_needs_may_be_in_a_name() {
        for name in ["Mama ❤\u{fe0f}", "👨\u{200d}👩\u{200d}👧", "می\u{200c}خواهم", "Zoe\u{308}"]
        {
            assert_eq!(Name::parse(name).unwrap().as_str(), name);
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
            "a\u{fe0f}",
            "\u{301}",
            "me",
            " ME ",
            "m\u{435}",
            "me to Ann",
            "Me  To +4915112345602",
            &"x".repeat(65),
        ] {
            assert!(Name::parse(name).is_err(), "{name:?}");
        }
        assert_eq!(Name::parse("  Ann   Lee ").unwrap().as_str(), "Ann Lee");
        for name in ["Ann 2", "Mette", "me too", "Mary to you", "James"] {
            assert!(Name::parse(name).is_ok(), "{name}");
        }
    }
}
