//! How storage fails, sorted by what the caller has to do.

use waxwing_core::server::storage::Outcome;

use super::Storage;

/// Storage cannot be opened, loaded, checked or closed: what helps. The engine says in its own words
/// which of its parts it is about.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// What is stored is not what was written: a backup helps, or what can still be read of it.
    #[error("{0}")]
    Damaged(Details),
    /// Something is missing, or things are together that do not belong together: the operator has to
    /// put the right ones in place.
    #[error("{0}")]
    Misplaced(Details),
    /// Another version of this program wrote it: that one, or a later one, can use it.
    #[error("{0}")]
    OtherVersion(Details),
    /// It cannot be reached, or not now: its surroundings have to be mended.
    #[error("{0}")]
    Unreachable(Details),
    /// The machine that has it does not let anything be done now: it is away, or has to be mended.
    #[error("{0}")]
    Away(Details),
    /// The settings do not lead to it.
    #[error("{0}")]
    Settings(Details),
}

/// What helps when the database that a server has on this machine is damaged.
const WAY_OUT: &str = "stop the server if it runs, and then either restore a backup (`waxwing-server backup restore \
                       FILE`), or start once with `waxwing-server run --recover`, which moves the database aside and \
                       goes on with what can be read of it. \"The database is damaged\" in OPERATING.md says more";

impl StorageError {
    /// What is wrong with the storage that a server has, and what helps if it is damaged.
    #[must_use]
    pub fn explained(&self) -> String {
        match self {
            Self::Damaged(_) => format!("{self}; {WAY_OUT}"),
            other => other.to_string(),
        }
    }
}

/// What an engine says about its own error.
pub type Details = Box<dyn std::error::Error + Send + Sync>;

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
    /// Nothing of it has happened, and nothing else will for now: the database server that has it cannot be
    /// reached, or does not let it be done.
    #[error("not available: {0}")]
    Away(String),
    /// Nothing of it has happened, and nothing else will before the second machine of the storage is back, for
    /// which every commit waits. No other server can take it over meanwhile, either.
    #[error(
        "the storage waits for its synchronous standby, and confirms nothing before that is back"
    )]
    AwaitsStandby,
    /// It is not known yet whether it has happened, since the database server that has it has not said so;
    /// [`Storage::resolve`] finds out.
    #[error("it is not known yet whether it has happened: {0}")]
    Unclear(String),
    /// Nothing of it has happened, because another server has taken the storage over. The process has to
    /// stop; the next one may wait for its turn.
    #[error("another server has taken the storage over: {0}")]
    Fenced(String),
    /// Nothing of it has happened, because a server with the same name has taken the storage over: one of the
    /// two data directories is a copy of the other. The process has to stop, and not to be started again.
    #[error("{0}")]
    Twin(String),
    /// Storage was away for so long that another server may serve by now. The process has to stop; the next one
    /// may wait for its turn.
    #[error("{0}")]
    Isolated(String),
    /// Whether it has happened can never be said. The process has to stop.
    #[error("storage failed: {0}")]
    Fatal(String),
    /// What is stored makes no sense. The process has to stop; a full check tells more.
    #[error("storage is damaged: {0}")]
    Corrupt(String),
}

impl ApplyError {
    /// The same, with what a full check says of `storage`, whose error it is, if that is damaged.
    #[must_use]
    pub fn examined(self, storage: &mut (impl Storage + ?Sized)) -> Self {
        let Self::Corrupt(reason) = self else { return self };
        Self::Corrupt(match storage.check() {
            Ok(()) => reason,
            Err(damage) => format!("{reason}; a full check says: {}", damage.explained()),
        })
    }

    /// What to tell the machine; `None` when that is not known yet, or the process has to stop.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Refused(_) | Self::Unavailable(_) | Self::Away(_) | Self::AwaitsStandby => {
                Some(Outcome::Unavailable)
            }
            Self::Unclear(_)
            | Self::Fenced(_)
            | Self::Twin(_)
            | Self::Isolated(_)
            | Self::Fatal(_)
            | Self::Corrupt(_) => None,
        }
    }
}
