//! A copy of a database that comes back in its place, and the way back from there.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use waxwing_core::id::UserId;
use waxwing_core::time::UnixTime;

use super::fault::Fault;
use super::{SqliteOptions, SqliteStorage, open, reads, recovery};
use crate::store::{NotUndone, Restoration, StorageError, Undone, free_ids};

/// Of a database that a restored one has taken the place of.
const BEFORE_RESTORE: &str = "before-restore";
/// Of a restored database, in whose place the one before is again.
const BEFORE_UNDO: &str = "before-undo";

impl SqliteStorage {
    /// Makes the copy in `draft` the database at `path`. What is there is moved aside first; the place
    /// where it is now is returned, if there was something.
    ///
    /// # Errors
    /// When the copy cannot be used, or a file not be moved.
    pub fn restore(
        draft: &Path,
        path: &Path,
        options: &SqliteOptions,
        restoration: &Restoration,
    ) -> Result<Option<PathBuf>, StorageError> {
        open::migrate_copy(draft)?;
        let storage = Self::open(draft, options)?;
        storage
            .transaction(|connection| note(connection, restoration))
            .map_err(|error| open::not_applied(draft, error))?;
        storage.end()?;
        replace(path, draft, BEFORE_RESTORE)
    }

    /// Makes the database that the last restore has moved aside the one at `path` again. The one that is
    /// there is moved aside.
    ///
    /// # Errors
    /// When one of them cannot be used, or a file not be moved.
    pub fn undo_restore(
        path: &Path,
        options: &SqliteOptions,
        restoration: &Restoration,
    ) -> Result<Result<Undone, NotUndone>, StorageError> {
        let failed = |error: std::io::Error| open::unreachable(path, error);
        let Some(newest) = recovery::newest_aside(path, BEFORE_RESTORE).map_err(failed)? else {
            return Ok(Err(NotUndone::NothingAside));
        };
        // Its rename has set that. It is asked before anything opens the file and writes to it.
        let moved = UnixTime::from_seconds(fs::metadata(&newest).map_err(failed)?.ctime());
        let Restored { at, ids, may_have_given_out } = match path.try_exists().map_err(failed)? {
            true => Self::open(path, options)?.end_as_restored()?,
            // The restore was cut short between its two renames, or somebody has moved away what it
            // had brought: nobody knows what that one has given out.
            false => {
                Restored { may_have_given_out: restoration.resting_ids, ..Restored::default() }
            }
        };
        if at.is_some_and(|at| moved < at) {
            return Ok(Err(NotUndone::Older(newest)));
        }
        let before = Self::open(&newest, options)?;
        let free = free_ids(&before.connection).map_err(|fault| open::fault(&newest, fault))?;
        if may_have_given_out > 0 && may_have_given_out >= free {
            before.end()?;
            return Ok(Err(NotUndone::NoIdLeft { free }));
        }
        let restoration = Restoration { resting_ids: may_have_given_out, ..*restoration };
        let unknown = before
            .transaction(|connection| {
                note(connection, &restoration)?;
                let unknown = unknown_to(connection, ids)?;
                rest(connection, &unknown, &restoration)?;
                Ok(unknown.len())
            })
            .map_err(|error| open::not_applied(&newest, error))?;
        before.end()?;
        let aside = replace(path, &newest, BEFORE_UNDO)?;
        Ok(Ok(Undone { from: newest, aside, resting_ids: may_have_given_out + unknown }))
    }

    fn end_as_restored(self) -> Result<Restored, StorageError> {
        let read = || -> Result<Restored, Fault> {
            let select = "SELECT restored_at FROM restores ORDER BY number DESC LIMIT 1";
            let at = self.connection.query_row(select, [], |row| row.get(0)).optional()?;
            Ok(Restored {
                at: at.map(UnixTime::from_seconds),
                ids: known_ids(&self.connection)?,
                may_have_given_out: 0,
            })
        };
        let restored = read().map_err(|fault| open::fault(&self.path, fault))?;
        self.end()?;
        Ok(restored)
    }
}

/// What a restored database knows, when the restore is taken back.
#[derive(Default)]
struct Restored {
    /// When it was restored, or a restore was taken back with it.
    at: Option<UnixTime>,
    /// All ids that it has given out, or keeps from being given out.
    ids: Vec<UserId>,
    /// How many it may have given out besides.
    may_have_given_out: usize,
}

/// Puts `new`, which needs no log, in the place of the database, which is moved aside.
pub(super) fn replace(path: &Path, new: &Path, why: &str) -> Result<Option<PathBuf>, StorageError> {
    let failed = |error: std::io::Error| open::unreachable(path, error);
    let aside = recovery::set_aside(path, why).map_err(failed)?;
    fs::rename(new, path).and_then(|()| recovery::sync_directory(path)).map_err(failed)?;
    recovery::remove(&open::beside(new, "-generation")).map_err(failed)?;
    Ok(aside)
}

/// Ids that were given out since the copy was made are not known. New users would get the next ones.
fn note(connection: &Connection, restoration: &Restoration) -> Result<(), Fault> {
    let Restoration { now, resting_ids, letters_missing_until, .. } = restoration;
    let ids = free_ids::next(&known_ids(connection)?, *resting_ids);
    rest(connection, &ids, restoration)?;
    connection.execute(
        "INSERT INTO restores (restored_at, letters_missing_until) VALUES (?, ?)",
        params![now.as_seconds(), letters_missing_until.as_seconds()],
    )?;
    Ok(())
}

fn rest(connection: &Connection, ids: &[UserId], restoration: &Restoration) -> Result<(), Fault> {
    let insert = "INSERT OR REPLACE INTO resting_ids (user_id, removed_at) VALUES (?, ?)";
    for id in ids {
        let rests = params![id.get(), restoration.ids_rest_from.as_seconds()];
        connection.prepare_cached(insert)?.execute(rests)?;
    }
    Ok(())
}

/// Those of these ids that nobody has here, and that would be given to somebody else.
fn unknown_to(connection: &Connection, mut ids: Vec<UserId>) -> Result<Vec<UserId>, Fault> {
    let known: HashSet<_> = known_ids(connection)?.into_iter().collect();
    ids.retain(|id| !known.contains(id));
    Ok(ids)
}

/// How many ids a new user can get.
pub(super) fn free_ids(connection: &Connection) -> Result<usize, Fault> {
    Ok(free_ids::count(&known_ids(connection)?))
}

/// Ids of users, and ids that rest.
pub(super) fn known_ids(connection: &Connection) -> Result<Vec<UserId>, Fault> {
    let mut select =
        connection.prepare("SELECT user_id FROM users UNION SELECT user_id FROM resting_ids")?;
    let mut rows = select.query([])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        ids.push(reads::user_id(row, 0)?);
    }
    Ok(ids)
}
