//! How a home fails, said so that the person knows what to do.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::reserve;
use crate::system;

/// The home cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Neither `XDG_DATA_HOME` nor `HOME` says where it would be.
    #[error("no place for the home: set HOME, or name a directory with --home")]
    NoDefault,
    /// A home is a directory, and this is something else.
    #[error("{} is not a directory; name another place for the home with --home", .path.display())]
    NoDirectory {
        /// What was named.
        path: PathBuf,
    },
    /// Nobody has registered here.
    #[error("there is nothing in {}; `waxwing register` begins a home", .dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// Others could read the private key.
    #[error(
        "{dir} is open to others (mode {mode:03o}) and holds a private key; \
         run `chmod 700 {dir}`",
        dir = .dir.display()
    )]
    TooWide {
        /// The directory.
        dir: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Somebody else could change it.
    #[error(
        "{dir} belongs to another user (uid {owner}); run waxwing as that user, or name \
         another directory with --home",
        dir = .dir.display()
    )]
    ForeignOwner {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Nothing can be changed in it.
    #[error(
        "the home in {dir} cannot be written: it is on a read-only file system, or its permissions \
         forbid it. Only what reads it works: whoami, contacts, conversations, requests, history, search \
         and outbox",
        dir = .dir.display()
    )]
    ReadOnly {
        /// The directory.
        dir: PathBuf,
    },
    /// It was written by a later version of this program.
    #[error(
        "{file} has schema {found}, newer than {known}, the newest that this version knows; \
         use the version that wrote it, or a later one",
        file = .file.display()
    )]
    NewerSchema {
        /// The database.
        file: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// A program that does not know the new schema is at work in it.
    #[error(
        "the home in {dir} has to be brought up to date, and an earlier version of waxwing is at work \
         in it{process}; end that, and try again",
        dir = .dir.display(),
        process = .pid.map(|pid| format!(" (process {pid}: `ps -p {pid}` shows it)")).unwrap_or_default()
    )]
    UsedByEarlier {
        /// The directory.
        dir: PathBuf,
        /// Its process, if it says so.
        pid: Option<u32>,
    },
    /// Another program changes its schema, and does not get on.
    #[error(
        "another waxwing brings the home in {dir} up to date, and has taken long; try again in a moment",
        dir = .dir.display()
    )]
    BeingUpgraded {
        /// The directory.
        dir: PathBuf,
    },
    /// It is not changed, because that takes room.
    #[error(
        "the home in {dir} has to be brought up to date, and its disk is full; nothing was changed or \
         lost. Make {mib} MiB free, and try again",
        dir = .dir.display()
    )]
    NoRoom {
        /// The directory.
        dir: PathBuf,
        /// How much room it takes.
        mib: u64,
    },
    /// It belongs to another program.
    #[error("{} is not a Waxwing home's database; name another directory with --home", .file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// It is not what was written.
    #[error("{file} is damaged ({what}); restore the home from a backup", file = .file.display())]
    Damaged {
        /// The database.
        file: PathBuf,
        /// The damage.
        what: String,
    },
    /// The newest changes are hidden behind damage.
    #[error(
        "{log} is damaged: changes of the home that were stored last (about {hidden}) cannot be read. Nothing \
         was changed. Bring back your copy of the home; or run `waxwing recover`, which goes on without them, and \
         keeps the damaged files",
        log = .log.display()
    )]
    DamagedLog {
        /// The log of the database.
        log: PathBuf,
        /// How many changes.
        hidden: u64,
    },
    /// Somebody else has it open.
    #[error(
        "another waxwing is at work in the home in {dir}{process}; end it, and try again",
        dir = .dir.display(),
        process = .pid.map(|pid| format!(" (process {pid}: `ps -p {pid}` shows it)")).unwrap_or_default()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// Its process, if it says so.
        pid: Option<u32>,
    },
    /// A file cannot be reached.
    #[error("{} cannot be used: {}", .path.display(), system::of_file(.source))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The home has an account, or may have one, and would lose its key.
    #[error("this home belongs to {phone}; name another directory with --home for another account")]
    Occupied {
        /// Whose it is.
        phone: String,
    },
    /// A row that the caller names is not there.
    #[error("the home has no such {0}")]
    NoSuchRow(&'static str),
    /// There is no room for a change.
    #[error(
        "the disk of the home in {dir} is full, and nothing of this was stored; make room on it and try \
         again. `waxwing delete` can work all the same, and gives back the room of the letters",
        dir = .dir.display()
    )]
    Full {
        /// The directory.
        dir: PathBuf,
    },
    /// There is no room even for deleting.
    #[error(
        "the disk of the home in {dir} is full, and deleting letters takes a little room itself; nothing was \
         deleted. Make 1 MiB free by removing something else from this disk, and delete them again",
        dir = .dir.display()
    )]
    FullToDelete {
        /// The directory.
        dir: PathBuf,
    },
    /// There is no room for an account.
    #[error(
        "the disk of the home in {dir} is full, and nobody is registered there yet. Make 1 MiB free on it, and \
         run `waxwing register` again: it goes on where it was",
        dir = .dir.display()
    )]
    FullForAccount {
        /// The directory.
        dir: PathBuf,
    },
    /// There is no room for what comes after something that is stored.
    #[error(
        "the disk of the home in {dir} is full: {kept}, but what came after that could not be stored. \
         Make room on the disk; `waxwing delete` works all the same",
        dir = .dir.display()
    )]
    FullMeanwhile {
        /// The directory.
        dir: PathBuf,
        /// What is stored, in words.
        kept: &'static str,
    },
    /// Only some letters could be deleted.
    #[error(
        "the disk of the home in {dir} is full: {left} of the letters are still there. Make a little room \
         on the disk, and delete them again",
        dir = .dir.display()
    )]
    FullOfLetters {
        /// The directory.
        dir: PathBuf,
        /// How many are left.
        left: usize,
    },
    /// SQLite has refused a statement: the disk may be full, or the file damaged.
    #[error("the home's database cannot be used: {0}; {help}", help = help(.0))]
    Database(#[from] rusqlite::Error),
}

impl HomeError {
    /// The same of the home in this directory, which the person has to know when its disk is full.
    #[must_use]
    pub fn of_home(self, dir: &Path) -> Self {
        match self {
            // They say already what was done before.
            Self::FullForAccount { .. }
            | Self::FullToDelete { .. }
            | Self::FullMeanwhile { .. }
            | Self::FullOfLetters { .. } => self,
            error if error.is_full(dir) => Self::Full { dir: dir.to_owned() },
            error => error,
        }
    }

    /// The same while an account is begun, in a home that may not be there yet.
    #[must_use]
    pub fn of_account(self, dir: &Path) -> Self {
        if self.is_full(dir) { Self::FullForAccount { dir: dir.to_owned() } } else { self }
    }

    /// The same of letters of which none could be deleted. To delete some is no advice then.
    #[must_use]
    pub fn of_deletion(self, dir: &Path) -> Self {
        match self {
            Self::FullOfLetters { .. } => self,
            error if error.is_full(dir) => Self::FullToDelete { dir: dir.to_owned() },
            error => error,
        }
    }

    /// The same of what came after something that is stored.
    #[must_use]
    pub fn after(self, dir: &Path, kept: &'static str) -> Self {
        if self.is_full(dir) { Self::FullMeanwhile { dir: dir.to_owned(), kept } } else { self }
    }

    /// Whether there is no room on the disk of the home in this directory.
    #[must_use]
    pub fn is_full(&self, dir: &Path) -> bool {
        match self {
            Self::Full { .. }
            | Self::FullToDelete { .. }
            | Self::FullForAccount { .. }
            | Self::FullMeanwhile { .. }
            | Self::FullOfLetters { .. } => true,
            Self::Database(error) => is_full(error) || is_of_full_disk(error, dir),
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }

    /// Whether another process keeps the database for itself.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        let code = match self {
            Self::Database(error) => error.sqlite_error_code(),
            _ => None,
        };
        matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }
}

/// Where the disk is full, SQLite may say no more than that a file could not be written.
fn is_of_full_disk(error: &rusqlite::Error, dir: &Path) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) && reserve::is_short(dir)
}

/// What to do when SQLite refuses a statement.
fn help(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "it is damaged: bring back your copy of the home, or move it aside and register anew"
        }
        _ => "look whether its disk is full",
    }
}

/// Whether there was no room for a change.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn what_was_kept_before_the_disk_was_full_is_not_said_to_be_lost() {
        let dir = Path::new("/home");
        let full = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
        let said = HomeError::Database(full).of_home(dir).to_string();
        assert!(said.contains("nothing of this was stored"), "{said}");
        let full = HomeError::Full { dir: dir.to_owned() };
        let kept = full.after(dir, "the letter is kept");
        let said = kept.of_home(dir).to_string();
        assert!(said.contains("the letter is kept"), "{said}");
        let said =
            HomeError::FullOfLetters { dir: dir.to_owned(), left: 7 }.of_home(dir).to_string();
        assert!(said.contains("7 of the letters are still there"), "{said}");
    }

    #[test]
    fn a_damaged_file_is_told_from_a_full_disk() {
        for (code, help) in [
            (ffi::SQLITE_CORRUPT, "damaged: bring back your copy"),
            (ffi::SQLITE_NOTADB, "damaged: bring back your copy"),
            (ffi::SQLITE_IOERR, "look whether its disk is full"),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let said = HomeError::Database(error).to_string();
            assert!(said.contains(help), "{said}");
        }
    }
}
