//! Deleting letters for good, and giving their room on the disk back.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use super::consumers::ARE_DONE_WITH_IT;
use super::database::SHRINKS_IN_STEPS;
use super::{Home, HomeError, columns, conversations, database, letters, outbox, reserve};

/// Old letters that are deleted at a time, each way. Others write in between.
const AT_ONCE: u32 = 500;
/// The same on a full disk.
const A_FEW: u32 = 8;
/// Letters that are deleted on a full disk before the log is emptied again.
const EMPTIED: usize = 4;
/// Pages by which the file becomes smaller at a time.
const PAGES: u32 = 64;

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
    /// Letters that had come and that a program is not done with, which stay.
    pub for_programs: usize,
    /// Letters for whose deletion a full disk has no room.
    pub left: usize,
}

impl Deleted {
    const fn add(&mut self, more: Self) {
        self.received += more.received;
        self.written += more.written;
        self.on_their_way += more.on_their_way;
        self.for_programs += more.for_programs;
        self.left += more.left;
    }
}

/// One letter of those that are to be deleted.
enum Step {
    /// The row of one that had come.
    Received(i64),
    /// One that was written here.
    Written(Phone, Uid),
}

impl Deletion {
    /// Which letters that had come, as the database is asked.
    fn received(&self) -> (&'static str, Vec<Value>) {
        match self {
            Self::With(phone, before) => (
                "sender = ?1 AND received_at < ?2",
                vec![phone.as_str().to_owned().into(), before.as_seconds().into()],
            ),
            Self::Letter(phone, uid) => (
                "sender = ?1 AND uid = ?2",
                vec![phone.as_str().to_owned().into(), uid.0.to_vec().into()],
            ),
            Self::Strangers => ("quota = 'stranger'", Vec::new()),
            Self::Unreadable => ("kind = 'unreadable'", Vec::new()),
        }
    }

    /// The same without what a program is not done with.
    fn received_and_done(&self) -> (String, Vec<Value>) {
        let (which, values) = self.received();
        (format!("({which}) AND {ARE_DONE_WITH_IT}"), values)
    }

    /// Letters that had come, receipts apart: those that would go, and those that a program keeps.
    fn count_received(&self, connection: &Connection) -> Result<(usize, usize), HomeError> {
        let count = |(which, values): (String, Vec<Value>)| -> Result<usize, HomeError> {
            let sql = format!("SELECT count(*) FROM letters WHERE kind <> 'receipt' AND ({which})");
            let values = params_from_iter(values);
            let count: i64 = connection.prepare(&sql)?.query_one(values, |row| row.get(0))?;
            Ok(usize::try_from(count).unwrap_or(usize::MAX))
        };
        let (which, values) = self.received();
        let (all, done) = (count((which.to_owned(), values))?, count(self.received_and_done())?);
        Ok((done, all.saturating_sub(done)))
    }

    fn erase(&self, change: &Connection) -> Result<Deleted, HomeError> {
        let (_, for_programs) = self.count_received(change)?;
        let (which, values) = self.received_and_done();
        let received = letters::erase(change, &which, params_from_iter(values))?;
        let written = match self {
            Self::With(phone, before) => {
                conversations::note_change(change, phone)?;
                outbox::erase(change, phone, *before)?
            }
            Self::Letter(phone, uid) => outbox::erase_one(change, phone, uid)?,
            Self::Strangers | Self::Unreadable => Deleted::default(),
        };
        Ok(Deleted { received, for_programs, ..written })
    }
}

impl Home {
    /// Deletes letters, but those that a program is not done with. Those that had been opened are still
    /// recognised when they come again. On a full disk they are deleted one after the other, in the room
    /// that the home has kept for that.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing was deleted then.
    pub fn delete(&self, which: &Deletion) -> Result<Deleted, HomeError> {
        match self.write(|change| which.erase(change)) {
            Err(error) if self.is_full(&error) => self.in_reserve(|| self.delete_in_steps(which)),
            done => done,
        }
    }

    /// What [`Home::delete`] would delete now.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn would_delete(&self, which: &Deletion) -> Result<Deleted, HomeError> {
        let (received, for_programs) = which.count_received(&self.connection)?;
        let written = match which {
            Deletion::With(phone, before) => outbox::count(&self.connection, phone, *before)?,
            Deletion::Letter(phone, uid) => outbox::count_one(&self.connection, phone, uid)?,
            Deletion::Strangers | Deletion::Unreadable => Deleted::default(),
        };
        Ok(Deleted { received, for_programs, ..written })
    }

    /// The programs for which letters stay that are to be deleted, by name.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn keep_from_deletion(&self, which: &Deletion) -> Result<Vec<String>, HomeError> {
        let (which, values) = which.received();
        let sql = format!(
            "SELECT name FROM consumers WHERE cursor < \
                 (SELECT max(item) FROM letters \
                     WHERE kind <> 'receipt' AND ({which}) AND NOT {ARE_DONE_WITH_IT}) ORDER BY name"
        );
        let mut select = self.connection.prepare(&sql)?;
        let names = select.query_map(params_from_iter(values), |row| row.get(0))?;
        Ok(names.collect::<rusqlite::Result<_>>()?)
    }

    /// The log is emptied again and again, so it never gets long.
    fn delete_in_steps(&self, which: &Deletion) -> Result<Deleted, HomeError> {
        empty_log(&self.connection);
        self.give_up_index()?;
        let (_, for_programs) = which.count_received(&self.connection)?;
        let mut all = Deleted { for_programs, ..Deleted::default() };
        for (at, step) in self.steps(which)?.into_iter().enumerate() {
            let erase = || {
                self.write(|change| match &step {
                    Step::Received(row) => {
                        let received = letters::erase(change, "id = ?1", [row])?;
                        Ok(Deleted { received, ..Deleted::default() })
                    }
                    Step::Written(phone, uid) => outbox::erase_one(change, phone, uid),
                })
            };
            // A few letters may fill a small disk with their log.
            let erased = erase().or_else(|error| {
                if at > 0 && empty_log(&self.connection) { erase() } else { Err(error) }
            });
            match erased {
                Ok(done) => all.add(done),
                Err(_) if at > 0 => {
                    all.left = self.would_delete(which).map(|left| left.received + left.written)?;
                    break;
                }
                Err(error) => return Err(error),
            }
            if at % EMPTIED == 0 {
                empty_log(&self.connection);
            }
        }
        empty_log(&self.connection);
        Ok(all)
    }

    fn steps(&self, which: &Deletion) -> Result<Vec<Step>, HomeError> {
        let (clause, values) = which.received_and_done();
        let sql = format!("SELECT id FROM letters WHERE {clause} ORDER BY id");
        let mut select = self.connection.prepare(&sql)?;
        let rows =
            select.query_map(params_from_iter(values), |row| row.get(0).map(Step::Received))?;
        let mut steps: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
        match which {
            Deletion::With(phone, before) => {
                let sql = "SELECT uid FROM outbox WHERE recipient = ?1 AND created_at < ?2";
                let mut select = self.connection.prepare(sql)?;
                let values = params![phone.as_str(), before.as_seconds()];
                let rows = select.query_map(values, |row| columns::uid(row, 0))?;
                for uid in rows {
                    steps.push(Step::Written(*phone, uid?));
                }
            }
            Deletion::Letter(phone, uid) => steps.push(Step::Written(*phone, *uid)),
            Deletion::Strangers | Deletion::Unreadable => {}
        }
        Ok(steps)
    }

    /// Deletes letters that are older than they are to be `kept`, some at a time, and says how many, receipts
    /// apart, which go with them. Those stay that nobody has read, that a program is not done with, or that
    /// are on their way.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing was deleted then.
    pub fn forget_older(&self, kept: Duration, now: UnixTime) -> Result<usize, HomeError> {
        let kept = i64::try_from(kept.as_secs()).unwrap_or(i64::MAX);
        let time = now.shifted(kept.saturating_neg());
        match self.forget_before(time, AT_ONCE) {
            Err(error) if self.is_full(&error) => {
                let forgotten = self.in_reserve(|| {
                    empty_log(&self.connection);
                    self.give_up_index()?;
                    self.forget_before(time, A_FEW)
                })?;
                let _ = self.give_back_room();
                Ok(forgotten)
            }
            done => done,
        }
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

    /// Copies of the database from before its schema changed, or from before it was recovered. They have what was
    /// deleted since.
    #[must_use]
    pub fn older_copies(&self) -> Vec<PathBuf> {
        database::copies(&self.dir).unwrap_or_default()
    }

    /// Whether an error is for want of room.
    fn is_full(&self, error: &HomeError) -> bool {
        matches!(error, HomeError::Full { .. }) || reserve::is_short(&self.dir)
    }

    /// Makes the files as small as what is in them. Whether it could be done now; if not, new letters
    /// take the room that is free inside.
    #[must_use]
    pub fn give_back_room(&self) -> bool {
        let is_small = if reserve::is_short(&self.dir) {
            self.in_reserve(|| self.shrink())
        } else {
            self.shrink()
        };
        reserve::keep(&self.dir);
        is_small
    }

    fn shrink(&self) -> bool {
        // It only takes room; searching works without it.
        let _ = self.remove_given_up_index();
        // Whoever else has the home open may be in the middle of something.
        let all_at_once = format!("PRAGMA auto_vacuum = {SHRINKS_IN_STEPS}; VACUUM");
        let shrunk = self.connection.execute_batch(&all_at_once).is_ok() || self.shrinks_in_steps();
        shrunk && empty_log(&self.connection)
    }

    /// Does what frees room in the room that the home keeps for that.
    fn in_reserve<T>(&self, free: impl FnOnce() -> T) -> T {
        let bytes = reserve::give_up(&self.dir);
        let done = free();
        reserve::keep_again(&self.dir, bytes);
        done
    }

    /// Makes the file smaller, a little at a time: where there is no room for a second one.
    fn shrinks_in_steps(&self) -> bool {
        let unused = || -> rusqlite::Result<i64> {
            self.connection.pragma_query_value(None, "freelist_count", |row| row.get(0))
        };
        let mut before = i64::MAX;
        loop {
            match unused() {
                Ok(0) => return true,
                Ok(left) if left < before => before = left,
                _ => return false,
            }
            let step = format!("PRAGMA incremental_vacuum({PAGES})");
            if self.connection.execute_batch(&step).is_err() {
                return false;
            }
            empty_log(&self.connection);
        }
    }
}

/// Puts what is in the log into the database. Whether the log is empty then.
fn empty_log(connection: &Connection) -> bool {
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
