//! How a database fails, with its files.

use std::path::PathBuf;

use crate::store::StorageError;

/// A database cannot be opened, loaded, checked or closed.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    /// It is not what was written.
    #[error("{path} is damaged: {what}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The damage.
        what: String,
    },
    /// It is not what was written, and no user can be read of it.
    #[error(
        "{what}. No user can be read of {path}, and nothing was changed. Restore a backup (`waxwing-server backup \
         restore FILE`). Without one, move the files {path}* away, and start once with `waxwing-server run \
         --new-database`: then all users have to register again",
        path = .path.display()
    )]
    NobodyLeft {
        /// The file.
        path: PathBuf,
        /// The damage.
        what: String,
    },
    /// It was written by a later version of this program.
    #[error(
        "{path} has schema {found}, newer than {known}, the newest that this version knows; \
         run {version}, or a later one",
        path = .path.display(),
        version = writer(.written_by.as_deref())
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
        /// The version that has written it, if it says so.
        written_by: Option<String>,
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
    #[error(
        "{path} is not a Waxwing database. Put the right file there, or restore a backup \
         (`waxwing-server backup restore FILE`)",
        path = .path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Everything in it was copied to another storage.
    #[error(
        "{path} was moved: everything in it was copied to a database of PostgreSQL, and is used there. Let \
         storage.url name that database",
        path = .path.display()
    )]
    Moved {
        /// The file.
        path: PathBuf,
    },
    /// It is not there.
    #[error(
        "there is no database {path}. If there was one, put it back: mount its disk, or restore a backup \
         (`waxwing-server backup restore FILE`). If no server has run here yet, start one",
        path = .path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Its log is not there, and something was in it.
    #[error(
        "{path} was in use, and its log {path}-wal is missing: what was stored last is in there. \
         Put back the log that belongs to it. If this is a copy made while a server was running, \
         copy {path}-wal with it. If there is no log any more, start once with --without-log, \
         and with --recover besides if the database is damaged, too: letters and users of which nothing is \
         in the database itself are lost",
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
    /// Its log is not what was written, and not only where a power cut could have torn it.
    #[error(
        "{log} is damaged: a part of it has changed, so that what was stored in {path} after that cannot be read, \
         though it was confirmed",
        path = .path.display(),
        log = .log.display()
    )]
    DamagedLog {
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

fn writer(version: Option<&str>) -> String {
    let version = version.filter(|version| !version.is_empty());
    version.map_or_else(
        || "the version that wrote it".to_owned(),
        |version| format!("version {version}, which wrote it"),
    )
}

impl From<SqliteError> for StorageError {
    fn from(error: SqliteError) -> Self {
        let blame = match &error {
            SqliteError::Damaged { .. }
            | SqliteError::DamagedLog { .. }
            | SqliteError::NobodyLeft { .. } => Self::Damaged,
            SqliteError::NewerSchema { .. } | SqliteError::OlderSchema { .. } => Self::OtherVersion,
            SqliteError::Foreign { .. }
            | SqliteError::Moved { .. }
            | SqliteError::Missing { .. }
            | SqliteError::LogMissing { .. }
            | SqliteError::ForeignLog { .. }
            | SqliteError::OrphanedLog { .. } => Self::Misplaced,
            SqliteError::Unreachable { .. } => Self::Unreachable,
        };
        blame(error.into())
    }
}
