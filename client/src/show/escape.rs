//! Somebody else's text, so that a person sees what is in it and nothing else.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

use super::hidden::{flag_tags, is_hidden, is_needed};

/// How many characters without a width of their own may stand on one: more pile up over the lines
/// above and below.
const MOST_MARKS: usize = 8;

/// Text as a person may see it: line breaks and tabs stay, and everything that acts on a terminal,
/// or that nobody sees, becomes its code in angle brackets. Its lines are still to be set apart
/// from ours, by [`super::Page`].
#[must_use]
pub fn for_terminal(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut marks = Marks::default();
    let mut before = None;
    let mut rest = without_last_breaks(text);
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        if character == '\r' && rest.starts_with('\n') {
            continue;
        }
        let after = rest.chars().next();
        let is_seen = !is_hidden(character) || is_needed(before, character, after);
        if is_seen && marks.take(character) {
            shown.push(character);
            before = Some(character);
        } else {
            push_code(&mut shown, character);
            marks = Marks::default();
            before = None;
        }
        if character == '\u{1f3f4}'
            && let Some(tags) = flag_tags(rest)
        {
            shown.push_str(&rest[..tags]);
            rest = &rest[tags..];
        }
    }
    shown
}

/// Line breaks at the end are nothing to see.
fn without_last_breaks(mut text: &str) -> &str {
    while let Some(line) = text.strip_suffix('\n') {
        text = line.strip_suffix('\r').unwrap_or(line);
    }
    text
}

/// The same for what has one line only.
#[must_use]
pub fn for_line(text: &str) -> String {
    for_terminal(text).replace('\n', "<0a>").replace('\t', "<09>")
}

/// JSON as it may be seen: the same text for whoever parses it, and nothing that acts on a terminal
/// or hides for whoever looks at it. Below U+0020 the serializer has escaped already.
pub(super) fn for_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        if is_hidden(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                push(&mut shown, format_args!("\\u{unit:04x}"));
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

/// What may stand on the character before.
#[derive(Default)]
struct Marks {
    /// There is something to stand on.
    is_based: bool,
    count: usize,
}

impl Marks {
    /// Whether there is room for a character.
    fn take(&mut self, character: char) -> bool {
        let has_width = matches!(character, '\n' | '\t') || character.width() != Some(0);
        if has_width {
            *self = Self { is_based: !matches!(character, '\n' | '\t'), count: 0 };
            return true;
        }
        self.count += 1;
        self.is_based && self.count <= MOST_MARKS
    }
}

fn push_code(to: &mut String, character: char) {
    push(to, format_args!("<{:02x}>", u32::from(character)));
}

fn push(to: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = to.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_or_hides_is_shown_by_its_code() {
        for (text, shown) in [
            ("\x1b[2Jgone\r", "<1b>[2Jgone<0d>"),
            ("a\u{9b}31m\u{7f}\0", "a<9b>31m<7f><00>"),
            ("a\rb", "a<0d>b"),
            ("x\u{202e}y\u{2066}z\u{200f}\u{61c}", "x<202e>y<2066>z<200f><61c>"),
            ("a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{c}f", "a<2028>b<2029>c<85>d<0b>e<0c>f"),
            // Tag characters, which carry ASCII that nobody sees.
            ("ok\u{e0001}\u{e0068}\u{e0069}\u{e007f}", "ok<e0001><e0068><e0069><e007f>"),
            ("\u{1f3f4}\u{e0078}\u{e007f}", "\u{1f3f4}<e0078><e007f>"),
            // Zero-width, and blank.
            ("a\u{200b}b\u{200c}c\u{200d}d", "a<200b>b<200c>c<200d>d"),
            ("a\u{2060}b\u{2063}c\u{feff}d\u{ad}e", "a<2060>b<2063>c<feff>d<ad>e"),
            ("\u{2800}\u{3164}\u{115f}\u{1160}\u{ffa0}", "<2800><3164><115f><1160><ffa0>"),
            ("a\u{34f}\u{17b4}\u{17b5}\u{180e}\u{1d159}", "a<34f><17b4><17b5><180e><1d159>"),
            // Selectors, and what is nobody's, not assigned, or no character.
            ("a\u{fe0f}\u{fe00}\u{e0100}", "a<fe0f><fe00><e0100>"),
            ("\u{1f600}\u{fe0f}\u{fe0f}", "\u{1f600}\u{fe0f}<fe0f>"),
            ("\u{e000}\u{f8ff}\u{10ffff}\u{378}\u{fff9}", "<e000><f8ff><10ffff><378><fff9>"),
            ("\u{13430}\u{1bca0}\u{1d173}", "<13430><1bca0><1d173>"),
        ] {
            assert_eq!(for_terminal(text), shown);
        }
    }

    #[test]
    fn text_that_people_write_stays_as_it_is() {
        for text in [
            "grüße 👋🏽\tok",
            "e\u{301}\u{323}, Å, ﬁ, 10 €, “a” — b…",
            // A family, a scientist, a heart on fire, a rainbow flag.
            "👨\u{200d}👩\u{200d}👧 👩🏽\u{200d}🔬 ❤\u{fe0f}\u{200d}🔥 🏳\u{fe0f}\u{200d}🌈",
            "1\u{fe0f}\u{20e3} ☺\u{fe0e} 🇩🇪",
            // Wales.
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}!",
            // Persian, Sinhala, Bengali, Kannada.
            "می\u{200c}خواهم",
            "ශ\u{dca}\u{200d}රී",
            "ক\u{9cd}\u{200c}ষ",
            "한국어 \u{1112}\u{1161}\u{11ab} 日本語 葛\u{e0100}城",
            "ខ្ញុំ\u{200b}ទៅ ไทย",
            "שלום עליכם, قُلْ, \u{605}\u{661}",
            "नमस्ते",
        ] {
            assert_eq!(for_terminal(text), text);
            assert_eq!(for_line(text).replace("<09>", "\t"), text);
        }
    }

    #[test]
    fn marks_need_something_to_stand_on_and_do_not_pile_up() {
        assert_eq!(for_terminal("\u{301}a"), "<301>a");
        assert_eq!(for_terminal("a\n\u{301}\t\u{301}"), "a\n<301>\t<301>");
        assert_eq!(for_terminal("\x1b\u{336}"), "<1b><336>");
        let piled = format!("a{}b", "\u{301}".repeat(10));
        assert_eq!(for_terminal(&piled), format!("a{}<301><301>b", "\u{301}".repeat(8)));
        // One joiner after another is no way around it.
        let joined = format!("م{}", "\u{200d}".repeat(2));
        assert_eq!(for_terminal(&joined), "م\u{200d}<200d>");
    }

    #[test]
    fn line_breaks_of_any_system_are_line_breaks() {
        assert_eq!(for_terminal("one\r\ntwo\n\r\n"), "one\ntwo");
        assert_eq!(for_line("one\ntwo\tthree"), "one<0a>two<09>three");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let text = "\x1b[2J\u{9b}\u{202e}\u{7f}\nü\u{e0068}👨\u{200d}👩\u{2800}\u{feff}";
        let json = for_json(&serde_json::to_string(text).unwrap());
        assert!(!json.chars().any(is_hidden), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
