//! What an SQLite error means for the caller.

use rusqlite::ffi;

use crate::store::ApplyError;

/// Why something inside a transaction did not work.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite has returned an error.
    Sqlite(rusqlite::Error),
    /// It contradicts what is stored, or itself.
    Refused(String),
    /// A stored row is not what was written.
    Damaged(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Fault {
    /// The meaning when `COMMIT` itself has failed. A log whose last write failed may turn out
    /// to be complete after a crash, and one that was written may not have got into its index: so
    /// hardly any error is harmless here. A full disk is: the system has said that the bytes were
    /// not taken. So is a write that failed, for want of quota for instance, when it is certain that
    /// the log `is_unchanged` by it.
    pub(super) fn into_commit_error(self, is_unchanged: impl FnOnce() -> bool) -> ApplyError {
        match self {
            Self::Sqlite(error)
                if extended_code(&error) == Some(ffi::SQLITE_IOERR_WRITE) && is_unchanged() =>
            {
                ApplyError::Refused(format!("nothing more can be written: {error}"))
            }
            Self::Sqlite(error) => match primary_code(&error) {
                Some(ffi::SQLITE_IOERR | ffi::SQLITE_NOMEM) => ApplyError::Fatal(error.to_string()),
                _ => Self::Sqlite(error).into(),
            },
            other => other.into(),
        }
    }
}

impl From<Fault> for ApplyError {
    fn from(fault: Fault) -> Self {
        let error = match fault {
            Fault::Sqlite(error) => error,
            Fault::Refused(what) => return Self::Refused(what),
            Fault::Damaged(what) => return Self::Corrupt(what),
        };
        let what = error.to_string();
        match extended_code(&error) {
            Some(
                ffi::SQLITE_IOERR_FSYNC
                | ffi::SQLITE_IOERR_DIR_FSYNC
                // The file was moved away or deleted: what is written now is lost.
                | ffi::SQLITE_READONLY_DBMOVED,
            ) => return Self::Fatal(what),
            Some(ffi::SQLITE_IOERR_CORRUPTFS) => return Self::Corrupt(what),
            _ => {}
        }
        match primary_code(&error) {
            Some(ffi::SQLITE_FULL | ffi::SQLITE_CONSTRAINT | ffi::SQLITE_TOOBIG) => {
                Self::Refused(what)
            }
            Some(
                ffi::SQLITE_BUSY
                | ffi::SQLITE_LOCKED
                | ffi::SQLITE_PROTOCOL
                | ffi::SQLITE_READONLY
                | ffi::SQLITE_PERM
                | ffi::SQLITE_CANTOPEN
                | ffi::SQLITE_NOMEM
                | ffi::SQLITE_INTERRUPT
                | ffi::SQLITE_IOERR,
            ) => Self::Unavailable(what),
            Some(ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB) => Self::Corrupt(what),
            // A row of another shape than the schema's.
            None => Self::Corrupt(what),
            Some(_) => Self::Fatal(what),
        }
    }
}

fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}

/// SQLite's result code without its details; `None` for an error of rusqlite's own.
pub(super) fn primary_code(error: &rusqlite::Error) -> Option<i32> {
    extended_code(error).map(|code| code & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use waxwing_core::server::storage::Outcome;

    fn fault(code: i32) -> Fault {
        Fault::Sqlite(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn only_what_is_provably_undone_is_not_fatal() {
        for (code, fatal) in [
            (ffi::SQLITE_FULL, false),
            (ffi::SQLITE_BUSY, false),
            (ffi::SQLITE_BUSY_SNAPSHOT, false),
            (ffi::SQLITE_READONLY, false),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, false),
            (ffi::SQLITE_IOERR_READ, false),
            (ffi::SQLITE_IOERR_WRITE, false),
            (ffi::SQLITE_IOERR_FSYNC, true),
            (ffi::SQLITE_IOERR_DIR_FSYNC, true),
            (ffi::SQLITE_READONLY_DBMOVED, true),
            (ffi::SQLITE_CORRUPT, true),
            (ffi::SQLITE_CORRUPT_INDEX, true),
            (ffi::SQLITE_NOTADB, true),
            (ffi::SQLITE_MISUSE, true),
        ] {
            let outcome = ApplyError::from(fault(code)).outcome();
            let expected = if fatal { None } else { Some(Outcome::Unavailable) };
            assert_eq!(outcome, expected, "code {code}");
        }
    }

    #[test]
    fn a_commit_that_failed_to_write_is_fatal_but_a_full_disk_is_not() {
        for code in [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_SHMMAP, ffi::SQLITE_NOMEM] {
            assert_eq!(fault(code).into_commit_error(|| false).outcome(), None);
        }
        let refused = Some(Outcome::Unavailable);
        assert_eq!(fault(ffi::SQLITE_FULL).into_commit_error(|| false).outcome(), refused);
        assert_eq!(fault(ffi::SQLITE_IOERR_WRITE).into_commit_error(|| true).outcome(), refused);
        // A failed sync says nothing about what was written before it.
        let failed = fault(ffi::SQLITE_IOERR_FSYNC).into_commit_error(|| true);
        assert_eq!(failed.outcome(), None);
    }
}
