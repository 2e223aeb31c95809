//! Comparing numbers with somebody: what is said about it, and what is typed.

use waxwing_core::phone::Phone;

use super::composer::Composer;
use crate::courier::KeyWord;
use crate::show::Shown;
use crate::tui::event::Number;

/// Groups of digits in a row, and where they begin.
const GROUPS: usize = 4;
const DIGITS: usize = 3;
/// Where the number for a camera begins: behind the digits.
const CODE: usize = DIGITS + GROUPS * 6 + 3;

/// The last row of the question, before what is typed.
pub(crate) const QUESTION: &str = "as they read it out:";

/// Comparing numbers with somebody.
#[derive(Debug)]
pub(crate) struct Compare {
    pub(crate) with: Phone,
    /// What the server says; `None` until that is known.
    pub(crate) word: Option<KeyWord>,
    pub(crate) number: Option<Box<Number>>,
    /// The last group, as the other reads it out.
    pub(crate) typed: Composer,
    /// What was typed is another number.
    pub(crate) is_wrong: bool,
    /// Rows that are above the first one that is seen.
    scrolled: usize,
}

/// How a row is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Aside,
    Plain,
    Strong,
    Warning,
}

/// A row of a sheet, from a column on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) column: usize,
    pub(crate) text: Shown,
    pub(crate) tone: Tone,
}

/// What is seen while two people compare, as far as there is room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sheet {
    /// Lines, each with its row.
    pub(crate) lines: Vec<(usize, Line)>,
    /// Row and column at which the number for a camera begins, if there may be room for it.
    pub(crate) code: Option<(usize, usize)>,
    /// The row in which is typed.
    pub(crate) answer: Option<usize>,
    /// Rows that can be scrolled away.
    most: usize,
}

impl Compare {
    pub(crate) const fn with(phone: Phone) -> Self {
        Self {
            with: phone,
            word: None,
            number: None,
            typed: Composer::new(),
            is_wrong: false,
            scrolled: 0,
        }
    }

    /// Whether what was typed is the last group of the number.
    pub(crate) fn is_same(&self) -> bool {
        let last = self.number.as_ref().and_then(|number| number.text.split_whitespace().last());
        last == Some(self.typed.text())
    }

    /// Shows other rows, where there is no room for all.
    pub(crate) fn scroll(&mut self, up: bool, by: usize, sheet: &Sheet) {
        let now = self.scrolled.min(sheet.most);
        self.scrolled = if up { now.saturating_sub(by) } else { (now + by).min(sheet.most) };
    }

    /// What is seen of it on so many columns and rows.
    pub(crate) fn sheet(&self, title: &Shown, columns: usize, rows: usize) -> Sheet {
        let mut above = self.said(title, columns);
        let Some(number) = &self.number else {
            return self.window(above, Vec::new(), (columns, rows));
        };
        above.push(Line { column: 1, text: Shown::default(), tone: Tone::Plain });
        let top = above.len();
        let groups: Vec<_> = number.text.split_whitespace().collect();
        let digits = groups.chunks(GROUPS).map(|groups| Line {
            column: DIGITS,
            text: Shown::line(&groups.join(" ")),
            tone: Tone::Strong,
        });
        above.extend(digits);
        let mut below = self.question(columns.min(CODE));
        if above.len() + 1 + below.len() > rows {
            below = self.question(columns);
            return self.window(above, below, (columns, rows));
        }
        // One row stays free.
        let first = above.len() + 1;
        let answer = Some(first + 1);
        // What is wrong stands below what was typed: nothing moves.
        let wrong = below.len().saturating_sub(2);
        below.rotate_left(wrong);
        let mut lines: Vec<_> = above.into_iter().enumerate().collect();
        lines.extend(below.into_iter().enumerate().map(|(at, line)| (first + at, line)));
        Sheet { lines, code: Some((top, CODE)), answer, most: 0 }
    }

    /// What is known of the key, and what to do.
    fn said(&self, title: &Shown, columns: usize) -> Vec<Line> {
        let mut said = Vec::new();
        let mut say = |words: &str, tone| said.extend(lines(words, columns, tone));
        match &self.word {
            None => say("Asking the server for the key …", Tone::Aside),
            Some(KeyWord::Said) => {}
            Some(KeyWord::Nothing) => {
                say("The server knows nobody with this number.", Tone::Warning);
            }
            Some(KeyWord::Refused(why)) => {
                say(&format!("What the server says is not believed: {why}."), Tone::Warning);
            }
            Some(KeyWord::Unasked(why)) => {
                let last = if self.number.is_some() { " This is what it said last." } else { "" };
                let words = format!("The server has not said what the key is now ({why}).{last}");
                say(&words, Tone::Warning);
            }
        }
        let Some(number) = &self.number else {
            say(&format!("No key of {title} is known yet."), Tone::Plain);
            return said;
        };
        if number.is_changed {
            let words = format!(
                "The key of {title} has changed: they have registered anew, or somebody is in between. \
                 This is the number with the new key. A: use it without comparing."
            );
            say(&words, Tone::Warning);
        } else if number.is_compared {
            say(&format!("You have compared this number with {title}."), Tone::Plain);
        }
        let words = format!(
            "Call {title}, or meet them. Both of you see the same number, or something is wrong:"
        );
        say(&words, Tone::Plain);
        said
    }

    /// What is wrong, and the two rows of the question.
    fn question(&self, columns: usize) -> Vec<Line> {
        let mut question = Vec::new();
        if self.is_wrong {
            let words =
                "Another number. Type it again. If they see that one: do not trust the key.";
            question.extend(lines(words, columns, Tone::Warning));
        }
        for words in ["Type the last group,", QUESTION] {
            question.push(Line { column: 1, text: Shown::from(words), tone: Tone::Plain });
        }
        question
    }

    /// Where there is no room for all: the question stays, and what is above it can be scrolled.
    fn window(&self, above: Vec<Line>, below: Vec<Line>, (columns, rows): (usize, usize)) -> Sheet {
        let room = rows.saturating_sub(below.len());
        let most = above.len().saturating_sub(room);
        let scrolled = self.scrolled.min(most);
        let answer = below.len().checked_sub(1).map(|last| room + last);
        let mut lines: Vec<_> = above.into_iter().skip(scrolled).take(room).enumerate().collect();
        lines.extend(below.into_iter().enumerate().map(|(at, line)| (room + at, line)));
        if most > 0 {
            let text = Shown::from(if scrolled < most { "PgDn ↓" } else { "PgUp ↑" });
            let column = columns.saturating_sub(text.width() + 1);
            let row = answer.map_or(rows, |answer| answer).saturating_sub(1);
            lines.push((row, Line { column, text, tone: Tone::Aside }));
        }
        Sheet { lines, code: None, answer, most }
    }
}

fn lines(words: &str, columns: usize, tone: Tone) -> impl Iterator<Item = Line> {
    let rows = Shown::rows(words, columns.saturating_sub(2).max(10));
    rows.into_iter().map(move |text| Line { column: 1, text, tone })
}
