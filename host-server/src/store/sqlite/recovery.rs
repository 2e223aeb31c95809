//! Starting in spite of a damaged database.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use waxwing_core::time::UnixTime;

use super::error::SqliteError;
use super::open::Missing;
use super::{Salvage, SqliteOptions, SqliteStorage, open};
use crate::clock;
use crate::store::{Storage, StorageError};

impl SqliteStorage {
    /// Opens the database after a full check. A damaged one is moved aside, whole, and a new one is
    /// made of all that can still be read of it.
    ///
    /// # Errors
    /// When it is no database of ours or of a later version, no user can be read of it, or it cannot be reached or
    /// moved.
    pub fn recover(path: &Path, options: &SqliteOptions) -> Result<Self, StorageError> {
        Self::recover_or(path, options, Missing::Refuse)
    }

    /// The same, and goes on with what the database alone holds when its log is missing.
    ///
    /// # Errors
    /// As [`SqliteStorage::recover`].
    pub fn recover_without_log(path: &Path, options: &SqliteOptions) -> Result<Self, StorageError> {
        Self::recover_or(path, options, Missing::Accept)
    }

    fn recover_or(
        path: &Path,
        options: &SqliteOptions,
        log: Missing,
    ) -> Result<Self, StorageError> {
        let damage = match checked(path, options, log) {
            Ok(storage) => {
                tracing::info!("the database is sound; nothing was moved aside");
                return Ok(storage);
            }
            Err(damage @ StorageError::Damaged(_)) => damage,
            Err(other) => return Err(other),
        };
        let is_log_damaged = matches!(
            &damage,
            StorageError::Damaged(details)
                if matches!(details.downcast_ref(), Some(SqliteError::DamagedLog { .. }))
        );
        let failed = |error: io::Error| open::unreachable(path, error);
        let draft = open::beside(path, ".salvaged");
        for beside in BESIDE {
            remove(&open::beside(&draft, beside)).map_err(failed)?;
        }
        let found = Self::salvage(path, &draft, options, clock::unix_now())?;
        if found.users == 0 {
            for beside in BESIDE {
                remove(&open::beside(&draft, beside)).map_err(failed)?;
            }
            let what = damage.to_string();
            return Err(SqliteError::NobodyLeft { path: path.to_owned(), what }.into());
        }
        let aside = set_aside(path, "damaged").map_err(failed)?.unwrap_or_default();
        fs::rename(&draft, path).and_then(|()| sync_directory(path)).map_err(failed)?;
        remove(&open::beside(&draft, "-generation")).map_err(failed)?;
        let Salvage { users, lost_users, letters, undelivered, resting_ids, lost_decisions } =
            found;
        // A check names each damage in a line of its own.
        let damage = damage.to_string().replace('\n', "; ");
        tracing::error!(
            name: "database_moved_aside",
            %damage,
            aside = %aside.display(),
            users,
            lost_users,
            letters,
            undelivered,
            resting_ids,
            "the database was moved aside; going on with what could be read of it. At most lost_users users before \
             the last that could be read are lost; undelivered letters are known by their senders and recipients \
             alone; nobody gets one of resting_ids ids for a while, since lost users may have had them"
        );
        if is_log_damaged {
            tracing::error!(
                name: "decisions_lost",
                "the log of the database is damaged: letters, users, suspensions, limits of users and bans that came \
                 last, and were in it alone, may be lost, so whoever was kept out may be in again: \
                 `waxwing-server audit show` has what was decided; decide it again"
            );
        }
        if !lost_decisions.is_empty() {
            let lost = lost_decisions.join(", ");
            tracing::error!(
                name: "decisions_lost",
                %lost,
                "not all that operators have decided could be read, so whoever was kept out may be in again: \
                 `waxwing-server audit show` has what was decided; decide it again"
            );
        }
        Ok(Self::open(path, options)?)
    }
}

fn checked(
    path: &Path,
    options: &SqliteOptions,
    log: Missing,
) -> Result<SqliteStorage, StorageError> {
    let mut storage = SqliteStorage::open_for_use(path, options, log)?;
    storage.check()?;
    storage.load(UnixTime::from_seconds(0))?;
    Ok(storage)
}

/// What lies beside a database. The log first: a database without its log is an older state, and must
/// not be taken for the whole.
const BESIDE: [&str; 4] = ["-wal", "-shm", "-generation", ""];

pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// The database that was moved aside last for this reason, if one is still there.
pub(super) fn newest_aside(path: &Path, why: &str) -> io::Result<Option<PathBuf>> {
    Ok(match last_number(path, why)? {
        0 => None,
        number => Some(aside(path, why, number)),
    })
}

fn aside(path: &Path, why: &str, number: u64) -> PathBuf {
    open::beside(path, &format!(".{why}-{number}"))
}

/// The highest number of those that were moved aside for this reason; 0 if there is none.
fn last_number(path: &Path, why: &str) -> io::Result<u64> {
    let prefix = open::beside(path, &format!(".{why}-"));
    let (Some(directory), Some(prefix)) = (path.parent(), prefix.file_name()) else { return Ok(0) };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let mut last = 0;
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
        let number = number.and_then(|number| str::from_utf8(number).ok()?.parse().ok());
        last = last.max(number.unwrap_or(0));
    }
    Ok(last)
}

/// Moves the file, and what SQLite keeps beside it, to a name that is free and has a higher number than
/// those before. `None` if there was nothing.
pub(super) fn set_aside(path: &Path, why: &str) -> io::Result<Option<PathBuf>> {
    let aside = aside(path, why, last_number(path, why)?.saturating_add(1));
    let mut was_there = false;
    for beside in BESIDE {
        match fs::rename(open::beside(path, beside), open::beside(&aside, beside)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            moved => {
                moved?;
                was_there = true;
            }
        }
    }
    sync_directory(path)?;
    Ok(was_there.then_some(aside))
}
