//! Text for a full screen. It is a type of its own, so that nothing can be drawn there that has not
//! been escaped.

use std::fmt;
use std::ops::Range;

use super::escape::{for_line, for_terminal};
use super::page::clusters;

/// A tab takes so many columns: on a screen of several panes there are no stops.
const TAB: &str = "    ";

/// Text in one line that may be drawn: everything that acts on a terminal, or that nobody sees, is a
/// code in angle brackets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shown(String);

impl Shown {
    /// Anybody's text, in one line.
    #[must_use]
    pub fn line(text: &str) -> Self {
        Self(for_line(text))
    }

    /// A part of anybody's text in one line, in which the end of a line and a tab are a sign each.
    #[must_use]
    pub fn excerpt(text: &str) -> Self {
        Self(for_terminal(text).replace('\n', "↵").replace('\t', "⇥"))
    }

    /// Anybody's text in rows of at most so many columns, broken between words where that is possible.
    #[must_use]
    pub fn rows(text: &str, columns: usize) -> Vec<Self> {
        let mut rows = Vec::new();
        for line in for_terminal(text).split('\n') {
            let pieces: Vec<_> = clusters(line, columns.max(2)).map(Piece::of).collect();
            for range in breaks(&pieces, columns) {
                rows.push(Self(pieces[range].iter().map(|piece| piece.text).collect()));
            }
        }
        rows
    }

    /// Parts of a hint with a dot between them: as many of the first as have room, and each whole.
    #[must_use]
    pub(crate) fn parts(parts: &[String], columns: usize) -> Self {
        let mut all = Self::default();
        for part in parts {
            let between = if all.is_empty() { "" } else { " · " };
            let longer = all.clone().then(&Self::line(&format!("{between}{part}")));
            if longer.width() > columns {
                break;
            }
            all = longer;
        }
        all
    }

    /// One thing that moves as a whole under a cursor, in the middle of a text that is being written.
    #[must_use]
    pub(crate) fn piece(text: &str) -> Self {
        Self(for_terminal(text).replace('\t', TAB).replace('\n', ""))
    }

    /// How many columns it takes at most. Terminals do not agree about all characters.
    #[must_use]
    pub fn width(&self) -> usize {
        clusters(&self.0, usize::MAX).map(|(_, width)| width).sum()
    }

    /// As much of it as fits into so many columns; what is cut off shows as `…`.
    #[must_use]
    pub fn cut(&self, columns: usize) -> Self {
        if self.width() <= columns {
            return self.clone();
        }
        let mut cut = String::new();
        let mut used = 0;
        for (cluster, width) in clusters(&self.0, usize::MAX) {
            if used + width + 1 > columns {
                break;
            }
            cut.push_str(cluster);
            used += width;
        }
        if used < columns {
            cut.push('…');
        }
        Self(cut)
    }

    /// It, with something behind it.
    #[must_use]
    pub fn then(mut self, more: &Self) -> Self {
        self.0.push_str(&more.0);
        self
    }

    /// As it is drawn.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing of it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&'static str> for Shown {
    fn from(words: &'static str) -> Self {
        Self::line(words)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stays together when a text is broken into rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) text: &'a str,
    pub(crate) width: usize,
    pub(crate) is_space: bool,
}

impl<'a> Piece<'a> {
    fn of((text, width): (&'a str, usize)) -> Self {
        match text {
            "\t" => Self { text: TAB, width: TAB.len(), is_space: true },
            text => Self { text, width, is_space: text == " " },
        }
    }
}

/// Which pieces are in which row. A space at which a row ends is in none.
pub(crate) fn breaks(pieces: &[Piece<'_>], columns: usize) -> Vec<Range<usize>> {
    let mut rows = Vec::new();
    let (mut start, mut used, mut word) = (0, 0, 0);
    for (at, piece) in pieces.iter().enumerate() {
        if used + piece.width > columns && at > start {
            let (end, next) = if piece.is_space {
                (at, at + 1)
            } else if word > start {
                (word, word)
            } else {
                (at, at)
            };
            rows.push(start..end);
            start = next;
            used = pieces.get(next..at).unwrap_or_default().iter().map(|piece| piece.width).sum();
            if next > at {
                word = next;
                continue;
            }
        }
        used += piece.width;
        if piece.is_space {
            word = at + 1;
        }
    }
    rows.push(start.min(pieces.len())..pieces.len());
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, columns: usize) -> Vec<String> {
        Shown::rows(text, columns).into_iter().map(|row| row.to_string()).collect()
    }

    #[test]
    fn rows_break_between_words_where_that_is_possible() {
        assert_eq!(rows("to be or not to be", 8), ["to be or", "not to ", "be"]);
        assert_eq!(rows("to be or not", 8), ["to be or", "not"]);
        assert_eq!(rows("1234567890 ab", 4), ["1234", "5678", "90 ", "ab"]);
        assert_eq!(rows("a\n\nb", 4), ["a", "", "b"]);
        assert_eq!(rows("", 4), [""]);
        assert_eq!(rows("日本語日本語", 5), ["日本", "語日", "本語"]);
    }

    #[test]
    fn no_row_is_wider_than_it_may_be_and_nothing_but_spaces_is_left_out() {
        let family = "👨\u{200d}👩\u{200d}👧\u{200d}👦".repeat(5);
        for text in ["word ".repeat(50), "w".repeat(300), family, "日本 語\t".repeat(30)] {
            for columns in 4..60 {
                let rows = Shown::rows(&text, columns);
                assert!(rows.iter().all(|row| row.width() <= columns), "{columns}: {text}");
                let drawn: String = rows.iter().map(Shown::as_str).collect();
                let bare = |text: &str| text.replace([' ', '\t'], "");
                assert_eq!(bare(&drawn), bare(&text));
            }
        }
    }

    #[test]
    fn what_acts_on_a_terminal_is_never_in_it() {
        for text in ["\x1b[2J", "a\u{202e}b", "\u{9b}31m", "\u{e0068}", "x\u{200b}"] {
            let all = [Shown::line(text), Shown::piece(text), Shown::rows(text, 80)[0].clone()];
            assert!(all.iter().all(|shown| shown.as_str().contains('<')), "{text:?}");
        }
        assert_eq!(Shown::line("a\nb\tc").as_str(), "a<0a>b<09>c");
        let excerpt = Shown::excerpt("a\r\nb\tc\x1b");
        assert_eq!((excerpt.as_str(), excerpt.width()), ("a↵b⇥c<1b>", 9));
    }

    #[test]
    fn a_part_of_a_hint_is_whole_or_missing() {
        let parts = ["one".to_owned(), "two three".to_owned(), "4".to_owned()];
        let all = |columns| Shown::parts(&parts, columns).to_string();
        assert_eq!(all(19), "one · two three · 4");
        assert_eq!(all(18), "one · two three");
        assert_eq!(all(14), "one");
        assert_eq!(all(2), "");
    }

    #[test]
    fn what_is_cut_off_shows() {
        assert_eq!(Shown::line("abcdef").cut(6).as_str(), "abcdef");
        assert_eq!(Shown::line("abcdef").cut(4).as_str(), "abc…");
        assert_eq!(Shown::line("日本語").cut(4).as_str(), "日…");
        assert_eq!(Shown::line("abc").cut(0).as_str(), "");
    }
}
