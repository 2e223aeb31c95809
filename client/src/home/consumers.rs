//! Programs that want each received letter once, whatever happens to them in between.
//!
//! A consumer has a name and a cursor. It gets the same letters again until it says that it is done
//! with them; then they are behind its cursor, durably. Letters that a person has read count all the
//! same, and what a consumer gets is not read by that.

use rusqlite::{OptionalExtension, params};
use waxwing_core::time::UnixTime;

use super::{Entry, Home, HomeError, ItemId, columns};

/// Of rows of `letters`: every consumer is done with them, if there are any.
pub(super) const ARE_DONE_WITH_IT: &str =
    "(item IS NULL OR item <= coalesce((SELECT min(cursor) FROM consumers), item))";

/// Which letters a new consumer gets first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// All that the home has.
    Oldest,
    /// Those that come from now on.
    Next,
}

/// A program, and how far it has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: String,
    /// Letters that it is not done with.
    pub waiting: u32,
    /// When it has last said that it is done with one, if it ever has.
    pub acknowledged_at: Option<UnixTime>,
}

/// The consumers of a home.
#[derive(Clone, Copy, Debug)]
pub struct Consumers<'a> {
    home: &'a Home,
}

impl<'a> Consumers<'a> {
    pub(super) const fn of(home: &'a Home) -> Self {
        Self { home }
    }

    /// Makes a consumer; `false` when it is there already, and stays as it is.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn begin(&self, name: &str, at: Begin) -> Result<bool, HomeError> {
        let sql = "INSERT INTO consumers (name, cursor) \
                   SELECT ?1, CASE WHEN ?2 THEN coalesce(max(id), 0) ELSE 0 END FROM items \
                   WHERE TRUE ON CONFLICT DO NOTHING";
        let values = params![name, at == Begin::Next];
        self.home.write(|change| Ok(change.execute(sql, values)? == 1))
    }

    /// Every consumer, by name.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn all(&self) -> Result<Vec<Consumer>, HomeError> {
        let mut select = self.home.connection.prepare_cached(
            "SELECT name, acknowledged_at, (SELECT count(*) FROM items \
                 WHERE author IS NOT NULL AND items.id > cursor) FROM consumers ORDER BY name",
        )?;
        let rows = select.query_map([], |row| {
            Ok(Consumer {
                name: row.get(0)?,
                acknowledged_at: columns::optional_time(row, 1)?,
                waiting: row.get(2)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Forgets a consumer, which keeps no letter from being deleted any more; `false` when there is none.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn remove(&self, name: &str) -> Result<bool, HomeError> {
        let sql = "DELETE FROM consumers WHERE name = ?";
        self.home.write_to_free(|change| Ok(change.execute(sql, [name])? == 1))
    }

    /// Up to `limit` letters that the consumer is not done with, oldest first.
    ///
    /// # Errors
    /// [`HomeError::NoSuchRow`] when there is no such consumer.
    pub fn next(&self, name: &str, limit: usize) -> Result<Vec<Entry>, HomeError> {
        let mut cursor =
            self.home.connection.prepare_cached("SELECT cursor FROM consumers WHERE name = ?")?;
        let cursor: Option<i64> = cursor.query_one([name], |row| row.get(0)).optional()?;
        let cursor = cursor.ok_or(HomeError::NoSuchRow("consumer"))?;
        self.home.received_after(ItemId(cursor), limit)
    }

    /// The consumer is done with everything up to `item`; `false` when it had said so before. That lets
    /// letters be deleted, so it works on a full disk.
    ///
    /// # Errors
    /// [`HomeError::NoSuchRow`] when there is no such consumer, or never was such an item.
    pub fn ack(&self, name: &str, item: ItemId, now: UnixTime) -> Result<bool, HomeError> {
        self.home.write_to_free(|change| {
            let sql = "SELECT 1 FROM consumers WHERE name = ?";
            if !change.prepare_cached(sql)?.exists([name])? {
                return Err(HomeError::NoSuchRow("consumer"));
            }
            // What has not come yet must not be behind a cursor.
            if item.0 >= super::next_place(change)? {
                return Err(HomeError::NoSuchRow("letter"));
            }
            let sql = "UPDATE consumers SET cursor = ?2, acknowledged_at = ?3 \
                       WHERE name = ?1 AND cursor < ?2";
            let values = params![name, item.0, now.as_seconds()];
            Ok(change.prepare_cached(sql)?.execute(values)? == 1)
        })
    }
}
