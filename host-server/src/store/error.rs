//! How storage fails, sorted by what the caller has to do.

use std::path::PathBuf;

use waxwing_core::server::storage::Outcome;

/// Storage cannot be opened, loaded, checked or closed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// It is not what was written.
    #[error("{path} is damaged: {what}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The damage.
        what: String,
    },
    /// It was written by a later version of this program.
    #[error(
        "{path} has schema {found}, newer than {known}, the newest that this version knows; \
         run the version that wrote it, or a later one",
        path = .path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// It was written by an earlier version, and this access may not change it.
    #[error(
        "{path} has the old schema {found}; start the server once to bring it up to date",
        path = .path.display()
    )]
    OlderSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
    },
    /// It belongs to another program.
    #[error("{path} is not a Waxwing database", path = .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It is not there.
    #[error("there is no database {path}", path = .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Its log is not there, and something was in it.
    #[error(
        "{path} was in use, and its log {path}-wal is missing: what was stored last is in there. \
         Put back the log that belongs to it. If this is a copy made while a server was running, \
         copy {path}-wal with it. If there is no log any more, start once with --without-log: letters \
         and users of which nothing is in the database itself are lost",
        path = .path.display()
    )]
    LogMissing {
        /// The file.
        path: PathBuf,
    },
    /// The log beside it does not continue it.
    #[error(
        "{log} belongs to another state of {path}, or to another database; together they would be \
         a mixture of both, so nothing was changed. Put back the database and the log that were \
         there at the same time. To use the database as it was when it was copied, move {log} away; \
         if the server then says that a log is missing, start once with --without-log",
        path = .path.display(),
        log = .log.display()
    )]
    ForeignLog {
        /// The database.
        path: PathBuf,
        /// The log.
        log: PathBuf,
    },
    /// There is a log without a database.
    #[error(
        "there is no database {path}, but there is its log {log}. Put the database back; only if it \
         is lost for good, move the log away",
        path = .path.display(),
        log = .log.display()
    )]
    OrphanedLog {
        /// The database.
        path: PathBuf,
        /// The log.
        log: PathBuf,
    },
    /// It cannot be reached, or not now.
    #[error("{path}: {what}", path = .path.display())]
    Unreachable {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
}

/// Something was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Nothing of it has happened; something else may go through. It contradicts what is
    /// stored, or found no room.
    #[error("refused: {0}")]
    Refused(String),
    /// Nothing of it has happened, and nothing else will for now: locked, read-only, unreadable.
    #[error("not available: {0}")]
    Unavailable(String),
    /// Whether it has happened cannot be said. The process has to stop.
    #[error("storage failed: {0}")]
    Fatal(String),
    /// What is stored makes no sense. The process has to stop; a full check tells more.
    #[error("storage is damaged: {0}")]
    Corrupt(String),
}

impl ApplyError {
    /// What to tell the machine; `None` when the process has to stop.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Refused(_) | Self::Unavailable(_) => Some(Outcome::Unavailable),
            Self::Fatal(_) | Self::Corrupt(_) => None,
        }
    }
}
