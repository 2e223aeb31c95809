//! Lines that cannot pass for others.

use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthChar;

/// Begins every line that goes on with what the line above began. No line of ours begins so, and
/// nothing else can be in its place.
const CONTINUED: &str = "  | ";

/// A tab goes to the next stop, which is so far away at most.
const TAB: usize = 8;

/// What lines are written on.
#[derive(Clone, Copy)]
pub struct Page<'a> {
    /// The zone of times.
    pub zone: &'a TimeZone,
    /// Columns of the terminal, if it is one. Longer lines are broken here: where a terminal breaks
    /// them, the rest would begin like a line of its own.
    pub columns: Option<usize>,
}

impl Page<'_> {
    /// Text with line breaks, as one line and its continuations.
    pub(super) fn fit(&self, text: &str) -> String {
        let mut fitted = String::with_capacity(text.len());
        for (at, line) in text.split('\n').enumerate() {
            let mut used = 0;
            if at > 0 {
                fitted.push('\n');
                fitted.push_str(CONTINUED);
                used = CONTINUED.len();
            }
            match self.columns {
                None => fitted.push_str(line),
                Some(columns) => wrap(&mut fitted, line, used, columns),
            }
        }
        fitted
    }
}

/// Writes a line behind `used` columns, broken between words where that is possible. The last
/// column stays free, because some terminals begin a new line behind it.
fn wrap(fitted: &mut String, line: &str, mut used: usize, columns: usize) {
    let begun = CONTINUED.len();
    let room = columns.saturating_sub(1).max(begun + 2);
    let mut word = (fitted.len(), 0);
    let clusters = Clusters { rest: line, widest: room - begun };
    for (cluster, width) in clusters {
        if used + width > room {
            // Before the word, unless it fills a line by itself.
            let (at, of_word) = if begun + word.1 < used && begun + word.1 + width <= room {
                word
            } else {
                (fitted.len(), 0)
            };
            fitted.insert_str(at, CONTINUED);
            fitted.insert(at, '\n');
            word = (at + 1 + begun, of_word);
            used = begun + of_word;
        }
        fitted.push_str(cluster);
        used += width;
        word = if matches!(cluster, " " | "\t") {
            (fitted.len(), 0)
        } else {
            (word.0, word.1 + width)
        };
    }
}

/// The clusters of a line, with the columns that each takes at most.
pub(super) fn clusters(line: &str, widest: usize) -> impl Iterator<Item = (&str, usize)> {
    Clusters { rest: line, widest }
}

/// What stays together on a line, with the columns that it takes at most: a character, what stands
/// on it, and what is joined to it, as far as the whole is no wider than `widest`.
struct Clusters<'a> {
    rest: &'a str,
    widest: usize,
}

impl<'a> Iterator for Clusters<'a> {
    type Item = (&'a str, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let (mut len, mut total, mut joined) = (0, 0, false);
        for character in self.rest.chars() {
            let own = width(character);
            let belongs = own == 0 || joined || is_modifier(character);
            if len > 0 && (!belongs || total + own > self.widest) {
                break;
            }
            joined = character == '\u{200d}';
            len += character.len_utf8();
            total += own;
        }
        let (cluster, rest) = self.rest.split_at(len);
        self.rest = rest;
        (len > 0).then_some((cluster, total))
    }
}

/// Asks for an emoji, which is wider than the sign; or changes the one before.
fn is_modifier(character: char) -> bool {
    matches!(character, '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

/// Terminals do not agree about sequences; each character by itself takes the most.
fn width(character: char) -> usize {
    match character {
        '\t' => TAB,
        '\u{fe0f}' => 1,
        other => other.width().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(text: &str, columns: usize) -> String {
        Page { zone: &TimeZone::UTC, columns: Some(columns) }.fit(text)
    }

    #[test]
    fn lines_after_the_first_are_marked() {
        let page = Page { zone: &TimeZone::UTC, columns: None };
        assert_eq!(page.fit("one\ntwo\n\nthree"), "one\n  | two\n  | \n  | three");
        let long = "x".repeat(1000);
        assert_eq!(page.fit(&long), long);
    }

    #[test]
    fn a_long_line_breaks_before_the_terminal_does() {
        assert_eq!(fit("to be or not to be", 11), "to be or \n  | not \n  | to be");
        assert_eq!(fit("12345678901234567890", 11), "1234567890\n  | 123456\n  | 7890");
        assert_eq!(fit("a 12345678901234567890", 11), "a 12345678\n  | 901234\n  | 567890");
        assert_eq!(fit("one\ntwo three four", 11), "one\n  | two \n  | three \n  | four");
    }

    #[test]
    fn columns_are_counted_as_terminals_count_them() {
        assert_eq!(fit("日本語日本語", 9), "日本語日\n  | 本語");
        assert_eq!(fit("e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}", 7), {
            "e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}\n  | e\u{301}"
        });
        assert_eq!(fit("👋🏽👋🏽👋🏽", 11), "👋🏽👋🏽\n  | 👋🏽");
        assert_eq!(fit("❤\u{fe0f}❤\u{fe0f}❤\u{fe0f}❤\u{fe0f}", 8), {
            "❤\u{fe0f}❤\u{fe0f}❤\u{fe0f}\n  | ❤\u{fe0f}"
        });
        assert_eq!(fit("a\tb\tc", 14), "a\t\n  | b\t\n  | c");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let family = "👨\u{200d}👩\u{200d}👧\u{200d}👦".repeat(5);
        for text in ["word ".repeat(50), "w".repeat(300), family, "日本 語".repeat(30)] {
            for columns in 7..100 {
                for line in fit(&text, columns).split('\n') {
                    let wide: usize = line.chars().map(width).sum();
                    assert!(wide < columns, "{columns}: {line}");
                }
            }
        }
    }
}
