//! Where files of backups may be.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{failure, unusable};
use crate::config::check_directory;
use crate::exit::{Exit, Failure};
use crate::figures;

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The directory in which a file is.
#[must_use]
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

/// Refuses a place for a new backup in which something is already, or in which others could put
/// something else while it is written.
pub(super) fn check_new(file: &Path, data: &Path) -> Result<(), Failure> {
    if file.file_name().is_none() {
        return Err(unusable(file, "this is no name of a file for the backup"));
    }
    for path in [file.to_owned(), super::manifest_of(file)] {
        if path.symlink_metadata().is_ok() {
            return Err(unusable(&path, "it is there already; give the backup another name"));
        }
    }
    let directory = directory_of(file);
    check_directory(directory).map_err(|why| unusable(directory, why))?;
    let is_data = matches!(
        (fs::canonicalize(directory), fs::canonicalize(data)),
        (Ok(directory), Ok(data)) if directory == data
    );
    if is_data {
        return Err(unusable(
            file,
            "the data directory holds the database itself: let backups be in another directory, best on \
             another disk",
        ));
    }
    Ok(())
}

/// Bytes that can be written in the directory of `path`.
pub(super) fn free(path: &Path) -> Result<u64, Failure> {
    let directory = directory_of(path);
    let system = rustix::fs::statvfs(directory).map_err(|error| failure(directory, error))?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

/// There is too little room, and there are so many bytes.
pub(super) fn no_room(directory: &Path, free: u64, needed: u64, why: &str) -> Failure {
    let (directory, free) = (directory.display(), figures::bytes(free));
    let needed = figures::bytes(needed);
    Failure::new(
        Exit::Storage,
        format!(
            "{directory}: {free} of the disk is free, and {needed} is needed: {why}; make room there, or \
             let the backup go somewhere else"
        ),
    )
}
