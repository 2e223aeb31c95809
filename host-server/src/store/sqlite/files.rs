//! The files of an open database, which have to stay where they are.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::open::beside;
use crate::store::ApplyError;

/// What tells a file from every other.
type FileId = (u64, u64);

fn id(path: &Path) -> io::Result<FileId> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Database, log, and the log's index, as they were opened.
///
/// SQLite goes on writing to a file that has been moved away or deleted, and so does the system. What
/// was committed is safe only in the file that the next start finds. The files are looked at by name
/// and not opened: a process that closes any descriptor of a file gives up all its locks on it.
#[derive(Debug)]
pub(super) struct OpenFiles([(PathBuf, FileId); 3]);

impl OpenFiles {
    /// Those beside `path`, which SQLite has just opened.
    pub(super) fn of(path: &Path) -> Result<Self, (PathBuf, io::Error)> {
        let named = |suffix| {
            let file = beside(path, suffix);
            match id(&file) {
                Ok(id) => Ok((file, id)),
                Err(error) => Err((file, error)),
            }
        };
        Ok(Self([named("")?, named("-wal")?, named("-shm")?]))
    }

    /// Fatal unless each of them is still the one of its name.
    pub(super) fn check(&self) -> Result<(), ApplyError> {
        for (file, opened) in &self.0 {
            let what = match id(file) {
                Ok(found) if found == *opened => continue,
                Ok(_) => "another file has been put in its place".to_owned(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    "it was moved away or deleted, or its file system is no longer there".into()
                }
                Err(error) => format!("it can no longer be looked at: {error}"),
            };
            return Err(ApplyError::Fatal(format!(
                "{} is not the file any more that this server has opened: {what}. What was stored \
                 last was not acknowledged. Put the database and its -wal file back as they were, \
                 then start the server again",
                file.display()
            )));
        }
        Ok(())
    }
}
