//! A copy of a database that comes back in its place.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use waxwing_core::id::UserId;

use super::fault::Fault;
use super::{SqliteOptions, SqliteStorage, open, reads, recovery};
use crate::store::{Restoration, StorageError};

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
            .map_err(|error| open::unreachable(draft, error))?;
        storage.end()?;
        let failed = |error: std::io::Error| open::unreachable(path, error);
        let aside = recovery::set_aside(path, "before-restore").map_err(failed)?;
        fs::rename(draft, path).and_then(|()| recovery::sync_directory(path)).map_err(failed)?;
        recovery::remove(&recovery::named(draft, "-generation")).map_err(failed)?;
        Ok(aside)
    }
}

/// Ids that were given out since the copy was made are not known. New users would get the next ones.
fn note(connection: &Connection, restoration: &Restoration) -> Result<(), Fault> {
    let Restoration { now, resting_ids, ids_rest_from, letters_missing_until } = restoration;
    for id in next_ids(connection, *resting_ids)? {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO resting_ids (user_id, removed_at) VALUES (?, ?)",
            )?
            .execute(params![id.get(), ids_rest_from.as_seconds()])?;
    }
    connection.execute(
        "INSERT INTO restores (restored_at, letters_missing_until) VALUES (?, ?)",
        params![now.as_seconds(), letters_missing_until.as_seconds()],
    )?;
    Ok(())
}

/// Ids without a user, in the order in which a server gives them out: above all that it knows, and then
/// from the first on.
fn next_ids(connection: &Connection, count: usize) -> Result<Vec<UserId>, Fault> {
    let mut taken = vec![false; usize::from(u16::MAX) + 1];
    let mut last = 0;
    for select in ["SELECT user_id FROM users", "SELECT user_id FROM resting_ids"] {
        let mut select = connection.prepare(select)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let id = reads::user_id(row, 0)?.get();
            last = last.max(id);
            taken[usize::from(id)] = true;
        }
    }
    let all = (last..=u16::MAX).chain(1..=last).filter_map(UserId::new);
    Ok(all.filter(|id| !taken[usize::from(id.get())]).take(count).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_ids_are_those_that_a_server_would_give_out() {
        let connection = Connection::open_in_memory().unwrap();
        let make = "CREATE TABLE users (user_id); CREATE TABLE resting_ids (user_id);";
        connection.execute_batch(make).unwrap();
        let next = |count| -> Vec<_> {
            next_ids(&connection, count).unwrap().into_iter().map(UserId::get).collect()
        };
        assert_eq!(next(3), [1, 2, 3]);
        connection.execute_batch("INSERT INTO users VALUES (2), (5)").unwrap();
        assert_eq!(next(3), [6, 7, 8]);
        connection.execute_batch("INSERT INTO resting_ids VALUES (7), (65533)").unwrap();
        assert_eq!(next(5), [65_534, 65_535, 1, 3, 4]);
        assert_eq!(next(0), [0; 0]);
        assert_eq!(next(70_000).len(), 65_535 - 4);
    }
}
