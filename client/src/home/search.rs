//! Finding letters by what they say.
//!
//! The index knows every run of three characters. It is written in small steps, in the background or
//! before a search, so that a letter that comes does not wait for it. What is not in it yet, and words
//! of one or two characters, are looked for in the texts themselves.

use rusqlite::{Connection, params};
use waxwing_core::phone::Phone;

use super::{Entry, Home, HomeError, ItemId};

/// The index has nothing shorter.
const SHORTEST: usize = 3;
/// Bytes of text that go into the index at a time, unless one letter has more: what is written for them is
/// several times as much, and the log of the database has to hold all of it at once.
const AT_ONCE: i64 = 512 * 1_024;

/// What is looked for.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// A part of what a letter says, in capitals or not.
    pub text: &'a str,
    /// In the conversation with one person, or in all.
    pub with: Option<&'a Phone>,
    /// Among the items before this one.
    pub before: Option<ItemId>,
    /// How many are wanted.
    pub limit: usize,
}

/// In place of the last item that is in the index: nothing of what is in it counts.
const GIVEN_UP: i64 = -1;

/// The last item that is in the index.
fn indexed_to(connection: &Connection) -> Result<i64, HomeError> {
    let mut select = connection.prepare_cached("SELECT indexed_to FROM search_index")?;
    Ok(select.query_one([], |row| row.get(0))?)
}

/// The last of the items that are next to go into the index, and whether there are no others behind it.
fn next_to_index(change: &Connection, limit: u32) -> Result<Option<(i64, bool)>, HomeError> {
    let mut find = change.prepare_cached(
        "SELECT id, coalesce(octet_length(text), 0) FROM items \
         WHERE id > (SELECT indexed_to FROM search_index) ORDER BY id LIMIT ? + 1",
    )?;
    let mut rows = find.query([limit])?;
    let (mut last, mut count, mut bytes) = (None, 0, 0_i64);
    while let Some(row) = rows.next()? {
        bytes = bytes.saturating_add(row.get(1)?);
        if count == limit || (count > 0 && bytes > AT_ONCE) {
            return Ok(last.map(|last| (last, false)));
        }
        (last, count) = (Some(row.get(0)?), count + 1);
    }
    Ok(last.map(|last| (last, true)))
}

/// Empties the index.
fn clear(change: &Connection) -> Result<(), HomeError> {
    change.execute("INSERT INTO item_words (item_words) VALUES ('delete-all')", [])?;
    change.execute("UPDATE search_index SET indexed_to = 0", [])?;
    Ok(())
}

impl Home {
    /// Puts up to `limit` more items into the index, fewer if they are long; `false` when all are in it.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing was changed then.
    pub fn index_more(&self, limit: u32) -> Result<bool, HomeError> {
        self.write(|change| {
            if indexed_to(change)? == GIVEN_UP {
                clear(change)?;
            }
            let Some((last, is_all)) = next_to_index(change, limit)? else { return Ok(false) };
            change
                .prepare_cached(
                    "INSERT INTO item_words (rowid, text) SELECT id, text FROM items \
                     WHERE text IS NOT NULL AND id <= ? \
                     AND id > (SELECT indexed_to FROM search_index)",
                )?
                .execute([last])?;
            change.prepare_cached("UPDATE search_index SET indexed_to = ?")?.execute([last])?;
            Ok(!is_all)
        })
    }

    /// From now on the index counts for nothing. To take one letter out of it changes most of its pages,
    /// which takes more room than a full disk has.
    pub(super) fn give_up_index(&self) -> Result<(), HomeError> {
        self.write(|change| {
            change.execute("UPDATE search_index SET indexed_to = ?", [GIVEN_UP])?;
            Ok(())
        })
    }

    /// Removes an index that was given up, to be made anew in the background. Where the disk has not
    /// even room for overwriting it, its pages go as they are.
    pub(super) fn remove_given_up_index(&self) -> Result<(), HomeError> {
        if indexed_to(&self.connection)? != GIVEN_UP || self.write(clear).is_ok() {
            return Ok(());
        }
        let overwrite = |how: &str| {
            self.connection.pragma_update_and_check(None, "secure_delete", how, |_| Ok(()))
        };
        overwrite("FAST")?;
        let removed = self.write(clear);
        overwrite("ON")?;
        removed
    }

    /// The letters that say it, newest first.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn search(&self, query: &Query<'_>) -> Result<Vec<Entry>, HomeError> {
        let indexed_to = indexed_to(&self.connection)?;
        let before = query.before.map_or(i64::MAX, ItemId::get);
        let is_short = query.text.chars().count() < SHORTEST;
        let after = if is_short { 0 } else { indexed_to };
        let mut found = self.scan(query, after, before)?;
        if !is_short && found.len() < query.limit {
            let before = before.min(indexed_to.saturating_add(1));
            found.extend(self.look_up(query, before, query.limit - found.len())?);
        }
        let mut entries = Vec::with_capacity(found.len());
        for id in found {
            entries.extend(self.entries("WHERE items.id = ?", [id])?);
        }
        Ok(entries)
    }

    fn look_up(&self, query: &Query<'_>, before: i64, limit: usize) -> Result<Vec<i64>, HomeError> {
        let mut select = self.connection.prepare_cached(
            "SELECT item_words.rowid FROM item_words \
             CROSS JOIN items ON items.id = item_words.rowid \
             WHERE item_words MATCH ?1 AND item_words.rowid < ?2 AND (?3 IS NULL \
                 OR conversation = (SELECT id FROM conversations WHERE phone = ?3)) \
             ORDER BY item_words.rowid DESC LIMIT ?4",
        )?;
        let words = format!("\"{}\"", query.text.replace('"', "\"\""));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = params![words, before, query.with.map(Phone::as_str), limit];
        let rows = select.query_map(values, |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn scan(&self, query: &Query<'_>, after: i64, before: i64) -> Result<Vec<i64>, HomeError> {
        let mut select = self.connection.prepare_cached(
            "SELECT id, text FROM items WHERE id > ?1 AND id < ?2 AND text IS NOT NULL \
             AND (?3 IS NULL OR conversation = (SELECT id FROM conversations WHERE phone = ?3)) \
             ORDER BY id DESC",
        )?;
        let wanted = query.text.to_lowercase();
        let mut rows = select.query(params![after, before, query.with.map(Phone::as_str)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            if found.len() == query.limit {
                break;
            }
            let text = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
            if text.to_lowercase().contains(&wanted) {
                found.push(row.get(0)?);
            }
        }
        Ok(found)
    }
}
