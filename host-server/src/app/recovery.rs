//! Starting in spite of a damaged database.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};
use crate::store::{SqliteOptions, SqliteStorage, Storage, StorageError};

/// Opens the database after a full check. A damaged one is moved aside, whole, and a new one is
/// made: its users have to register again.
///
/// # Errors
/// When it is no database of ours or of a later version, cannot be reached, or cannot be moved.
pub(super) fn open_or_set_aside(
    directory: &DataDir,
    options: &SqliteOptions,
) -> Result<SqliteStorage, Failure> {
    let path = directory.database();
    let checked = SqliteStorage::open(&path, options)
        .and_then(|mut storage| storage.check().map(|()| storage));
    let damage = match checked {
        Ok(storage) => {
            tracing::info!("the database is sound; nothing was moved aside");
            return Ok(storage);
        }
        Err(damage @ StorageError::Damaged { .. }) => damage,
        Err(other) => return Err(other.into()),
    };
    let aside = set_aside(&path)
        .map_err(|error| Failure::new(Exit::Storage, format!("{}: {error}", path.display())))?;
    tracing::error!(
        %damage,
        aside = %aside.display(),
        "the database was moved aside; beginning without users and letters"
    );
    Ok(SqliteStorage::open(&path, options)?)
}

/// Moves the file, and what SQLite keeps beside it, to a name that is free.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let named = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
    let mut number = 1;
    let suffix = loop {
        let suffix = format!(".damaged-{number}");
        if !named(&suffix).try_exists()? {
            break suffix;
        }
        number += 1;
    };
    // The log first: a database without its log is an older state, and must not be taken for
    // the whole.
    for beside in ["-wal", "-shm", "-generation", ""] {
        match fs::rename(named(beside), named(&format!("{suffix}{beside}"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            moved => moved?,
        }
    }
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(named(&suffix))
}
