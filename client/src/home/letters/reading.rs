//! How far somebody has read who wants to see every letter of one person.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};
use waxwing_core::phone::Phone;

use super::{COLUMNS, Letter, LetterBody, LetterId, Letters, limit_of, read};
use crate::home::HomeError;

/// A place in the letters of one person. It begins with those that nobody has printed and goes on
/// with whatever comes, whoever prints it meanwhile.
#[derive(Debug)]
pub struct Reading {
    from: Phone,
    /// Letters up to here have been seen, but for those that nobody has printed.
    after: LetterId,
    /// Those of them that were held back. They keep their places when they are opened.
    held: BTreeSet<LetterId>,
}

impl Letters<'_> {
    /// Begins to read the letters of `from`.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn read_from(&self, from: &Phone) -> Result<Reading, HomeError> {
        let mut last =
            self.home.connection.prepare_cached("SELECT coalesce(max(id), 0) FROM letters")?;
        let after = LetterId(last.query_one([], |row| row.get(0))?);
        Ok(Reading { from: *from, after, held: self.held_ids(from)? })
    }

    /// The next letters, `limit` of each kind at most: those that nobody has printed, those that
    /// were held back and are not any more, and those that have come. None of them is held back.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn next(&self, reading: &mut Reading, limit: usize) -> Result<Vec<Letter>, HomeError> {
        let from = reading.from;
        let mut letters = self.select(
            "WHERE printed = 0 AND sender = ? AND kind <> 'held' AND id <= ? ORDER BY id LIMIT ?",
            params![from.as_str(), reading.after.0, limit_of(limit)],
        )?;
        for letter in &letters {
            reading.held.remove(&letter.id);
        }
        letters.extend(self.no_longer_held(reading)?);
        let came = self.select(
            "WHERE sender = ? AND kind <> 'receipt' AND id > ? ORDER BY id LIMIT ?",
            params![from.as_str(), reading.after.0, limit_of(limit)],
        )?;
        for letter in came {
            reading.after = letter.id;
            if letter.body == LetterBody::Held {
                reading.held.insert(letter.id);
            } else {
                letters.push(letter);
            }
        }
        Ok(letters)
    }

    fn no_longer_held(&self, reading: &mut Reading) -> Result<Vec<Letter>, HomeError> {
        if reading.held.is_empty() {
            return Ok(Vec::new());
        }
        let held = self.held_ids(&reading.from)?;
        let opened: Vec<_> = reading.held.difference(&held).copied().collect();
        reading.held = held;
        let sql = format!("SELECT {COLUMNS} FROM letters WHERE id = ?");
        let mut select = self.home.connection.prepare_cached(&sql)?;
        let mut letters = Vec::new();
        for id in opened {
            // One that turned out to be here already has left its row.
            letters.extend(select.query_one([id.0], read).optional()?);
        }
        Ok(letters)
    }

    fn held_ids(&self, from: &Phone) -> Result<BTreeSet<LetterId>, HomeError> {
        let mut select = self
            .home
            .connection
            .prepare_cached("SELECT id FROM letters WHERE kind = 'held' AND sender = ?")?;
        let ids = select.query_map([from.as_str()], |row| Ok(LetterId(row.get(0)?)))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }
}
