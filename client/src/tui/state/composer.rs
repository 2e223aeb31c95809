//! A text that is being written.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use crate::home::Writing;
use crate::show::{Piece, Shown, breaks};

/// What a letter has room for. What would be more is not taken.
const LONGEST: usize = Writing::LONGEST;

/// A text, and where in it something would be inserted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Composer {
    text: String,
    /// In bytes; always between two clusters.
    cursor: usize,
}

/// A text in rows, and where the cursor is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) rows: Vec<Shown>,
    pub(crate) row: usize,
    pub(crate) column: usize,
    /// The byte at which each row begins, with the columns up to each cluster in it.
    places: Vec<Vec<(usize, usize)>>,
}

impl Composer {
    pub(crate) const fn new() -> Self {
        Self { text: String::new(), cursor: 0 }
    }

    pub(crate) fn of(text: String) -> Self {
        Self { cursor: text.len(), text }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Inserts a text; `false` when there is no room for all of it, and nothing was inserted.
    pub(crate) fn insert(&mut self, text: &str) -> bool {
        if text.len() > self.room() {
            return false;
        }
        self.text.insert_str(self.cursor, text);
        self.cursor = self.boundary(self.cursor + text.len());
        true
    }

    /// Bytes that can still be inserted.
    pub(crate) fn room(&self) -> usize {
        LONGEST.saturating_sub(self.text.len())
    }

    pub(crate) fn insert_char(&mut self, character: char) -> bool {
        self.insert(character.encode_utf8(&mut [0; 4]))
    }

    pub(crate) fn backspace(&mut self) {
        self.delete_to(self.before(self.cursor));
    }

    pub(crate) fn delete(&mut self) {
        let end = self.after(self.cursor);
        self.text.drain(self.cursor..end);
        self.cursor = self.boundary(self.cursor);
    }

    pub(crate) fn delete_word(&mut self) {
        self.delete_to(self.word_before());
    }

    pub(crate) fn delete_to_line_start(&mut self) {
        self.delete_to(self.line_start());
    }

    pub(crate) fn delete_to_line_end(&mut self) {
        let end = self.line_end();
        self.text.drain(self.cursor..end);
        self.cursor = self.boundary(self.cursor);
    }

    pub(crate) fn left(&mut self) {
        self.cursor = self.before(self.cursor);
    }

    pub(crate) fn right(&mut self) {
        self.cursor = self.after(self.cursor);
    }

    pub(crate) fn word_left(&mut self) {
        self.cursor = self.word_before();
    }

    pub(crate) fn word_right(&mut self) {
        let rest = &self.text[self.cursor..];
        let word = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
        let end = rest[word..].find(char::is_whitespace).map_or(rest.len(), |end| word + end);
        self.cursor = self.boundary(self.cursor + end);
    }

    pub(crate) fn home(&mut self) {
        self.cursor = self.line_start();
    }

    pub(crate) fn end(&mut self) {
        self.cursor = self.line_end();
    }

    /// Moves to the row above or below; `false` when there is none.
    pub(crate) fn vertically(&mut self, up: bool, columns: usize) -> bool {
        let written = self.written(columns);
        let row = if up { written.row.checked_sub(1) } else { written.row.checked_add(1) };
        let Some(places) = row.and_then(|row| written.places.get(row)) else { return false };
        let wanted = places.iter().rev().find(|(_, column)| *column <= written.column);
        if let Some((at, _)) = wanted.or(places.first()) {
            self.cursor = *at;
        }
        true
    }

    /// As it is drawn, in rows of so many columns.
    pub(crate) fn written(&self, columns: usize) -> Written {
        let mut written = Written::default();
        let mut line_at = 0;
        for line in self.text.split('\n') {
            let clusters: Vec<_> = line.grapheme_indices(true).collect();
            let shown: Vec<_> = clusters.iter().map(|(_, cluster)| Shown::piece(cluster)).collect();
            let pieces: Vec<_> = shown
                .iter()
                .zip(&clusters)
                .map(|(shown, (_, cluster))| Piece {
                    text: shown.as_str(),
                    width: shown.width(),
                    is_space: *cluster == " ",
                })
                .collect();
            for range in breaks(&pieces, columns) {
                let start = clusters.get(range.start).map_or(line.len(), |(at, _)| *at);
                let mut places = vec![(line_at + start, 0)];
                let mut column = 0;
                for at in range.clone() {
                    column += pieces[at].width;
                    let end = clusters.get(at + 1).map_or(line.len(), |(at, _)| *at);
                    places.push((line_at + end, column));
                }
                if let Some((at, column)) =
                    places.iter().rev().find(|(at, _)| *at <= self.cursor).copied()
                    && self.cursor <= line_at + line.len()
                    && (at == self.cursor || written.rows.is_empty() || places[0].0 <= self.cursor)
                {
                    (written.row, written.column) = (written.rows.len(), column);
                }
                let row = pieces[range].iter().map(|piece| piece.text).collect::<String>();
                written.rows.push(Shown::line(&row));
                written.places.push(places);
            }
            line_at += line.len() + 1;
        }
        written
    }

    fn delete_to(&mut self, start: usize) {
        self.text.drain(start..self.cursor);
        self.cursor = self.boundary(start);
    }

    fn line_start(&self) -> usize {
        self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        self.text[self.cursor..].find('\n').map_or(self.text.len(), |at| self.cursor + at)
    }

    fn word_before(&self) -> usize {
        let before = self.text[..self.cursor].trim_end();
        let start = before.rfind(char::is_whitespace);
        let start =
            start.map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        self.boundary_before(start)
    }

    fn before(&self, at: usize) -> usize {
        let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
        cursor.prev_boundary(&self.text, 0).ok().flatten().unwrap_or(0)
    }

    fn after(&self, at: usize) -> usize {
        let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
        cursor.next_boundary(&self.text, 0).ok().flatten().unwrap_or(self.text.len())
    }

    /// The next place between two clusters: what was inserted may have joined what follows.
    fn boundary(&self, at: usize) -> usize {
        let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
        if cursor.is_boundary(&self.text, 0).unwrap_or(true) { at } else { self.after(at) }
    }

    fn boundary_before(&self, at: usize) -> usize {
        let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
        if cursor.is_boundary(&self.text, 0).unwrap_or(true) { at } else { self.before(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(written: &Written) -> Vec<&str> {
        written.rows.iter().map(Shown::as_str).collect()
    }

    #[test]
    fn what_moves_as_one_thing_is_deleted_as_one_thing() {
        let family = "👨\u{200d}👩\u{200d}👧";
        let mut composer = Composer::of(format!("e\u{301}{family}🇩🇪"));
        composer.backspace();
        assert_eq!(composer.text(), format!("e\u{301}{family}"));
        composer.left();
        composer.delete();
        assert_eq!(composer.text(), "e\u{301}");
        composer.backspace();
        assert!(composer.is_empty());
        composer.backspace();
        composer.delete();
        assert!(composer.is_empty());
    }

    #[test]
    fn words_and_lines_are_reached_and_deleted() {
        let mut composer = Composer::of("one two\nthree  four".into());
        composer.delete_word();
        assert_eq!(composer.text(), "one two\nthree  ");
        composer.word_left();
        composer.insert_char('x');
        assert_eq!(composer.text(), "one two\nxthree  ");
        composer.home();
        composer.delete_to_line_end();
        assert_eq!(composer.text(), "one two\n");
        composer.left();
        composer.delete_to_line_start();
        assert_eq!(composer.text(), "\n");
    }

    #[test]
    fn rows_and_cursor_are_where_a_person_sees_them() {
        let mut composer = Composer::of("to be or not\nyes".into());
        let written = composer.written(8);
        assert_eq!(rows(&written), ["to be or", "not", "yes"]);
        assert_eq!((written.row, written.column), (2, 3));
        assert!(composer.vertically(true, 8));
        let written = composer.written(8);
        assert_eq!((written.row, written.column), (1, 3));
        assert!(composer.vertically(true, 8));
        assert!(!composer.vertically(true, 8));
        composer.insert("a");
        assert_eq!(composer.text(), "to abe or not\nyes");
        assert_eq!(Composer::default().written(8).rows.len(), 1);
        let written = Composer::of("日本語".into()).written(4);
        assert_eq!((rows(&written), written.row, written.column), (vec!["日本", "語"], 1, 2));
    }

    #[test]
    fn what_is_pasted_acts_on_nothing_and_stays_as_it_is() {
        let mut composer = Composer::default();
        assert!(composer.insert("\x1b[2J\u{202e}x\ty"));
        let written = composer.written(80);
        assert_eq!(rows(&written), ["<1b>[2J<202e>x    y"]);
        assert_eq!(composer.take(), "\x1b[2J\u{202e}x\ty");
        assert!(!composer.insert(&"x".repeat(LONGEST + 1)));
        assert!(composer.is_empty());
        assert!(composer.insert(&"x".repeat(LONGEST - 1)) && composer.room() == 1);
        assert!(!composer.insert("ü"));
        assert_eq!(composer.text().len(), LONGEST - 1);
    }
}
