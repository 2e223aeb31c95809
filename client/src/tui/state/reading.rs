//! What is only read, in front of the conversations. Where it has no room, its last row says how the rest is
//! seen.

use crate::show::Shown;
use crate::tui::input::Key;

use super::keys::SCROLLED;

/// Columns of a key and what is before and behind it.
const KEY: usize = 13;
/// Columns that stay free, half of them on each side.
const MARGIN: usize = 2;

/// A line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Heading(Shown),
    Words(Shown),
    /// Keys and what they do: beside each other where there is room for all of them.
    Keys(Vec<(Shown, Shown)>),
}

/// Lines, and how far they are scrolled.
#[derive(Debug)]
pub(crate) struct Reading {
    lines: Vec<Line>,
    scrolled: usize,
}

/// A row of it, and whether it is a heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadRow {
    pub(crate) text: Shown,
    pub(crate) is_heading: bool,
}

impl Reading {
    pub(crate) const fn of(lines: Vec<Line>) -> Self {
        Self { lines, scrolled: 0 }
    }

    /// What is seen of it on so many columns and rows, and what the last row says of the rest.
    pub(crate) fn seen(&self, columns: usize, rows: usize) -> (Vec<ReadRow>, Option<Shown>) {
        let all = self.rows(columns);
        if all.len() <= rows {
            return (all, None);
        }
        let room = rows.saturating_sub(1);
        let most = all.len() - room;
        let top = self.scrolled.min(most);
        let keys = match top {
            0 => "PgDn ↓ · Esc back",
            top if top == most => "PgUp ↑ · Esc back",
            _ => "PgUp ↑ · PgDn ↓ · Esc back",
        };
        (all.into_iter().skip(top).take(room).collect(), Some(Shown::from(keys)))
    }

    /// Shows other rows, where a key does that, on so many columns and rows; whether it does.
    pub(crate) fn scroll(&mut self, key: Key, columns: usize, rows: usize) -> bool {
        let all = self.rows(columns).len();
        let most = if all <= rows { 0 } else { all - rows.saturating_sub(1) };
        let now = self.scrolled.min(most);
        let next = match key {
            Key::Up => now.saturating_sub(1),
            Key::Down => now + 1,
            Key::PageUp => now.saturating_sub(SCROLLED),
            Key::PageDown => now + SCROLLED,
            Key::Home => 0,
            Key::End => most,
            _ => return false,
        };
        self.scrolled = next.min(most);
        true
    }

    fn rows(&self, columns: usize) -> Vec<ReadRow> {
        let columns = columns.saturating_sub(MARGIN).max(4);
        let mut rows = Vec::new();
        for line in &self.lines {
            match line {
                Line::Heading(words) => rows.extend(broken(words, columns, true)),
                Line::Words(words) => rows.extend(broken(words, columns, false)),
                Line::Keys(keys) => rows.extend(keys_in_rows(keys, columns)),
            }
        }
        rows
    }
}

fn broken(words: &Shown, columns: usize, is_heading: bool) -> impl Iterator<Item = ReadRow> {
    let rows = Shown::rows(words.as_str(), columns);
    rows.into_iter().map(move |text| ReadRow { text, is_heading })
}

/// Keys beside each other, else each in a row of its own, with what it does in as many rows as that needs.
fn keys_in_rows(keys: &[(Shown, Shown)], columns: usize) -> Vec<ReadRow> {
    let row = |text: &str| ReadRow { text: Shown::line(text), is_heading: false };
    let beside = keys.iter().enumerate().map(|(at, (key, words))| match at {
        0 => format!("{} {words}", key_column(key)),
        _ => format!("   {key}  {words}"),
    });
    let beside = row(&beside.collect::<String>());
    if beside.text.width() <= columns {
        return vec![beside];
    }
    let mut rows = Vec::new();
    for (key, words) in keys {
        let first = key_column(key);
        let words = Shown::rows(words.as_str(), columns.saturating_sub(KEY).max(4));
        let (mut before, is_alone) = (first, key.width() > KEY - 3);
        if is_alone {
            rows.push(row(&before));
            before = String::new();
        }
        for words in words {
            rows.push(row(&format!("{before:<width$}{words}", width = KEY)));
            before.clear();
        }
    }
    rows
}

fn key_column(key: &Shown) -> String {
    let padding = " ".repeat((KEY - 3).saturating_sub(key.width()));
    format!("  {key}{padding}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading() -> Reading {
        let keys = [("A", "one thing to do"), ("Shift-Tab, F12", "another thing")];
        let keys = keys.map(|(key, words)| (Shown::from(key), Shown::from(words)));
        let mut lines = vec![Line::Heading(Shown::from("Keys")), Line::Keys(keys.into())];
        lines.extend(["one", "two", "three"].map(|words| Line::Words(Shown::from(words))));
        Reading::of(lines)
    }

    fn seen(reading: &Reading, columns: usize, rows: usize) -> Vec<String> {
        let (seen, more) = reading.seen(columns, rows);
        seen.into_iter().map(|row| row.text).chain(more).map(|row| row.to_string()).collect()
    }

    #[test]
    fn keys_stand_beside_each_other_only_where_there_is_room_for_all() {
        let reading = reading();
        assert_eq!(
            seen(&reading, 62, 5)[1],
            "  A          one thing to do   Shift-Tab, F12  another thing"
        );
        assert_eq!(
            seen(&reading, 26, 12),
            [
                "Keys",
                "  A          one thing ",
                "             to do",
                "  Shift-Tab, F12",
                "             another ",
                "             thing",
                "one",
                "two",
                "three",
            ]
        );
    }

    #[test]
    fn what_has_no_room_is_told_of_and_no_press_is_lost_at_the_ends() {
        let mut reading = reading();
        assert_eq!(seen(&reading, 62, 3).last().unwrap(), "PgDn ↓ · Esc back");
        assert!(reading.scroll(Key::Down, 62, 3));
        assert_eq!(seen(&reading, 62, 3).last().unwrap(), "PgUp ↑ · PgDn ↓ · Esc back");
        for _ in 0..9 {
            assert!(reading.scroll(Key::PageDown, 62, 3));
        }
        assert_eq!(seen(&reading, 62, 3), ["two", "three", "PgUp ↑ · Esc back"]);
        assert!(reading.scroll(Key::Up, 62, 3));
        assert_eq!(seen(&reading, 62, 3)[0], "one");
        assert!(reading.scroll(Key::Home, 62, 3));
        assert_eq!(seen(&reading, 62, 3)[0], "Keys");
        assert!(reading.scroll(Key::End, 62, 3));
        assert_eq!(seen(&reading, 62, 3)[1], "three");
        assert!(!reading.scroll(Key::Char('x'), 62, 3));
    }
}
