//! Words in commands that a person copies.

use std::borrow::Cow;

use super::for_line;

/// A word as the last argument of a command that a person copies into a shell.
#[must_use]
pub fn for_shell(word: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+./:@%-".contains(&byte);
    let quoted = if !word.is_empty() && word.bytes().all(is_plain) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("'{}'", for_line(word).replace('\'', r"'\''")))
    };
    // Else it would be an option.
    if word.starts_with('-') { Cow::Owned(format!("-- {quoted}")) } else { quoted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_it_as_one_word() {
        for (word, shown) in [
            ("bot", "bot"),
            ("+4915112345602", "+4915112345602"),
            ("my bot", "'my bot'"),
            ("Anna's", r"'Anna'\''s'"),
            ("$(reboot)", "'$(reboot)'"),
            ("", "''"),
            ("-bot", "-- -bot"),
            ("-my bot", "-- '-my bot'"),
        ] {
            assert_eq!(for_shell(word), shown);
        }
    }
}
