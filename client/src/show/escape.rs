//! Characters that do something to a terminal.

use std::fmt::Write as _;

/// Text as a person may see it: line breaks and tabs stay, every other control character and
/// everything that turns the direction of writing becomes its code in angle brackets. Lines
/// after the first are indented, so that none of them looks like the beginning of a letter.
#[must_use]
pub fn for_terminal(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.trim_end_matches('\n').chars() {
        match character {
            '\n' => shown.push_str("\n    "),
            '\t' => shown.push('\t'),
            acts if acts_on_terminal(acts) => {
                push(&mut shown, format_args!("<{:02x}>", acts as u32));
            }
            plain => shown.push(plain),
        }
    }
    shown
}

/// JSON as it may be seen: the same text for whoever parses it, and no character that acts on
/// a terminal for whoever looks at it. Below U+0020 the serializer has escaped already.
pub(super) fn for_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        if acts_on_terminal(character) {
            // All of them are in the basic plane: four digits do.
            push(&mut shown, format_args!("\\u{:04x}", character as u32));
        } else {
            shown.push(character);
        }
    }
    shown
}

fn push(to: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = to.write_fmt(what);
}

fn acts_on_terminal(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            // Marks, embeddings, overrides and isolates of direction; line and paragraph ends.
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_reaches_the_terminal() {
        assert_eq!(for_terminal("grüße 👋🏽\tok"), "grüße 👋🏽\tok");
        assert_eq!(for_terminal("\x1b[2Jgone\r"), "<1b>[2Jgone<0d>");
        assert_eq!(for_terminal("a\u{9b}31m\u{7f}"), "a<9b>31m<7f>");
        assert_eq!(for_terminal("x\u{202e}y\u{2066}"), "x<202e>y<2066>");
    }

    #[test]
    fn lines_stay_lines_and_cannot_pass_for_letters() {
        let text = "one\n2026-01-01 00:00 +4915112345678: two\n\n";
        assert_eq!(for_terminal(text), "one\n    2026-01-01 00:00 +4915112345678: two");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let text = "\x1b[2J\u{9b}\u{202e}\u{7f}\nü";
        let json = for_json(&serde_json::to_string(text).unwrap());
        assert!(!json.chars().any(acts_on_terminal), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
