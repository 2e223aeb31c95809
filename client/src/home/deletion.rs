//! Deleting letters for good, and giving their room on the disk back.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, params};
use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use super::{Home, HomeError, database, letters, outbox};

/// Old letters that are deleted at a time, each way. Others write in between.
const AT_ONCE: u32 = 500;

/// Which letters are to be deleted.
#[derive(Clone, Copy, Debug)]
pub enum Deletion {
    /// Those from and to somebody that came, or were written, before this time.
    With(Phone, UnixTime),
    /// One from or to somebody.
    Letter(Phone, Uid),
    /// Those of everybody to whom nothing was ever written.
    Strangers,
    /// Those that could not be opened.
    Unreadable,
}

/// How many letters were deleted, and how many were not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Letters that had come.
    pub received: usize,
    /// Letters that were written here.
    pub written: usize,
    /// Letters written here that are on their way, and stay.
    pub on_their_way: usize,
}

impl Home {
    /// Deletes letters. Those that had been opened are still recognised when they come again.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing was deleted then.
    pub fn delete(&self, which: &Deletion) -> Result<Deleted, HomeError> {
        self.write(|change| {
            let received = |which, values| letters::erase(change, which, values);
            Ok(match which {
                Deletion::With(phone, before) => Deleted {
                    received: letters::erase(
                        change,
                        "sender = ?1 AND received_at < ?2",
                        params![phone.as_str(), before.as_seconds()],
                    )?,
                    ..outbox::erase(change, phone, *before)?
                },
                Deletion::Letter(phone, uid) => Deleted {
                    received: letters::erase(
                        change,
                        "sender = ?1 AND uid = ?2",
                        params![phone.as_str(), uid.0],
                    )?,
                    ..outbox::erase_one(change, phone, uid)?
                },
                Deletion::Strangers => {
                    Deleted { received: received("quota = 'stranger'", [])?, ..Deleted::default() }
                }
                Deletion::Unreadable => {
                    Deleted { received: received("kind = 'unreadable'", [])?, ..Deleted::default() }
                }
            })
        })
    }

    /// Deletes letters that are older than they are to be `kept`, some at a time, and says how many, receipts
    /// apart, which go with them. Those stay that nobody has read, that a program is not done with, or that
    /// are on their way.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing was deleted then.
    pub fn forget_older(&self, kept: Duration, now: UnixTime) -> Result<usize, HomeError> {
        let kept = i64::try_from(kept.as_secs()).unwrap_or(i64::MAX);
        self.forget_before(now.shifted(kept.saturating_neg()), AT_ONCE)
    }

    fn forget_before(&self, time: UnixTime, limit: u32) -> Result<usize, HomeError> {
        let old = "SELECT 1 WHERE EXISTS (SELECT 1 FROM items WHERE stored_at < ?1) \
                   OR EXISTS (SELECT 1 FROM letters WHERE kind = 'receipt' AND received_at < ?1) \
                   OR EXISTS (SELECT 1 FROM outbox WHERE kind = 'receipt' AND created_at < ?1)";
        if !self.connection.prepare_cached(old)?.exists([time.as_seconds()])? {
            return Ok(0);
        }
        self.write(|change| {
            // What a program gets is not read by that; it has said that it is done.
            let received = letters::erase(
                change,
                "item IN (SELECT items.id FROM items JOIN letters ON item = items.id \
                     WHERE stored_at < ?1 AND author IS NOT NULL \
                     AND (printed = 1 OR EXISTS (SELECT 1 FROM consumers)) \
                     AND items.id <= coalesce((SELECT min(cursor) FROM consumers), items.id) \
                     ORDER BY stored_at LIMIT ?2)",
                params![time.as_seconds(), limit],
            )?;
            letters::erase(
                change,
                "id IN (SELECT id FROM letters WHERE kind = 'receipt' AND received_at < ?1 \
                     ORDER BY received_at LIMIT ?2)",
                params![time.as_seconds(), limit],
            )?;
            Ok(received + outbox::erase_oldest(change, time, limit)?)
        })
    }

    /// Copies of the database from before its schema changed. They have what was deleted since.
    #[must_use]
    pub fn older_copies(&self) -> Vec<PathBuf> {
        database::copies(&self.dir).unwrap_or_default()
    }

    /// Makes the files as small as what is in them. Whether it could be done now; if not, new letters
    /// take the room that is free inside.
    #[must_use]
    pub fn give_back_room(&self) -> bool {
        // Whoever else has the home open may be in the middle of something.
        let shrunk = self.connection.execute_batch("VACUUM").is_ok();
        shrunk && is_log_empty(&self.connection)
    }
}

fn is_log_empty(connection: &Connection) -> bool {
    let emptied =
        connection.query_one("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    emptied == Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::Writing;

    #[test]
    fn a_full_disk_is_told_with_its_directory_and_loses_nothing() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::create(&root.path().join("home")).unwrap();
        let other = Phone::parse(b"+4915112345602").unwrap();
        let writing = Writing::text("word ".repeat(10_000)).unwrap();
        let now = UnixTime::from_seconds(0);
        let queue = |byte| home.outbox().queue(&Uid([byte; 16]), &other, &writing, now);
        let _ = queue(1).unwrap();
        let pages: i64 =
            home.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let limit = |pages: i64| {
            home.connection
                .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
                .unwrap();
        };
        limit(pages);
        let error = queue(2).unwrap_err();
        assert!(matches!(&error, HomeError::Full { dir } if dir == home.dir()), "{error}");
        let said = error.to_string();
        let dir = home.dir().display().to_string();
        assert!(said.contains(&dir) && said.contains("make room"), "{said}");
        assert_eq!(home.history(&other).unwrap().len(), 1);
        limit(pages * 2);
        let _ = queue(2).unwrap();
    }
}
