//! Storage in PostgreSQL, which several servers can reach.
//!
//! `schema.sql` has the tables, and the functions of which a group is made. `session.rs` says what an
//! answer means; it is the only place where a runtime of Tokio runs, in the storage thread alone.

mod admin;
mod adopting;
mod fold;
mod ids;
mod load;
mod moving;
mod opening;
mod personal;
mod reads;
mod safety;
mod server;
mod session;
mod statement;
mod tls;
mod url;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use waxwing_core::crypto::Digest;
use waxwing_core::server::storage::{Answer, Batch, Question, Snapshot};
use waxwing_core::time::UnixTime;
use zeroize::Zeroizing;

pub use adopting::{Adoption, adopt};
pub(super) use moving::{Moving, State};
pub use opening::Reached;
pub use server::Server;
pub use url::{Place, UrlError, parse};

use super::shared::{Candidate, Change, Groups, Holder, Instance, Node, beat_interval};
use super::{
    ApplyError, Ban, BanChange, Copied, Copier, Interrupt, KeepBans, Ownership, Resolved, Storage,
    StorageError,
};
use session::Sessions;

const SCHEMA: &str = include_str!("schema.sql");

/// How a database is used.
#[derive(Clone)]
pub struct PostgresOptions {
    /// Where it is, and how one gets there.
    pub place: Place,
    /// What the role proves itself with.
    pub password: Option<Zeroizing<Vec<u8>>>,
    /// How long any answer may take.
    pub timeout: Duration,
    /// How long a holder may be silent.
    pub lease: Duration,
    /// After so long without a commit, a holder ends.
    pub isolated: Duration,
    /// On how many machines has to be what is stored; with more than one, nothing is stored while the
    /// database names no synchronous standby.
    pub copies: u32,
    /// This data directory.
    pub node: Node,
    /// This process.
    pub instance: Instance,
}

/// When a server serves, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    node: Node,
    lease: Duration,
    isolated: Duration,
}

impl PostgresOptions {
    /// When a server serves that uses a database like that.
    #[must_use]
    pub const fn terms(&self) -> Terms {
        let Self { node, lease, isolated, .. } = *self;
        Terms { node, lease, isolated }
    }
}

/// A database of PostgreSQL, of the server that has its lease.
pub struct PostgresStorage {
    groups: Mutex<Groups<Server>>,
    terms: Terms,
    /// When the database was last known to have taken something, or to let nobody take it over.
    took_at: Instant,
}

impl PostgresStorage {
    /// The server serves from now on.
    #[must_use]
    pub fn serve(candidate: Candidate<Server>, holder: Holder, terms: Terms) -> Self {
        Self { groups: Mutex::new(candidate.serve(holder)), terms, took_at: Instant::now() }
    }

    /// What an outcome means besides: the server was without the database for too long, or it was another one
    /// of the same name that has taken over.
    fn judge<T>(&mut self, outcome: Result<T, ApplyError>) -> Result<T, ApplyError> {
        match outcome {
            // While a commit waits for the standby, nobody else gets the row of the lease.
            Ok(_) | Err(ApplyError::Refused(_) | ApplyError::AwaitsStandby) => {
                self.took_at = Instant::now();
                outcome
            }
            Err(ApplyError::Away(why) | ApplyError::Unclear(why))
                if self.took_at.elapsed() >= self.terms.isolated =>
            {
                let message = format!(
                    "the database has taken nothing for {} s, and another server may serve by now: {why}",
                    self.took_at.elapsed().as_secs()
                );
                Err(ApplyError::Isolated(message))
            }
            Err(ApplyError::Fenced(why)) => {
                let own = self.terms.node;
                Err(self.groups().why_fenced(own, why))
            }
            other => other,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Groups<Server>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn groups(&mut self) -> &mut Groups<Server> {
        self.groups.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&mut self) -> &mut Sessions {
        &mut self.groups().database_mut().sessions
    }
}

/// What an error means where nothing was to be changed, or nobody asks later what has become of it.
fn unreachable(error: ApplyError) -> StorageError {
    match error {
        ApplyError::Corrupt(why) => {
            let help = "bring the database back from its own backup";
            StorageError::Misplaced(format!("the database is damaged: {why}; {help}").into())
        }
        ApplyError::Fatal(why) => StorageError::Misplaced(why.into()),
        ApplyError::Away(why) | ApplyError::Unclear(why) | ApplyError::Refused(why) => {
            StorageError::Away(why.into())
        }
        ApplyError::AwaitsStandby => StorageError::Away(error.into()),
        other => StorageError::Unreachable(other.into()),
    }
}

/// The database has tools of its own for that.
struct NoCopier;

impl Copier for NoCopier {
    fn size(&self) -> Result<u64, StorageError> {
        Err(no_copies())
    }

    fn copy(
        &self,
        _: &Path,
        _: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StorageError> {
        Err(no_copies())
    }

    fn check(&self, _: &Interrupt) -> Result<(), StorageError> {
        Err(no_copies())
    }
}

/// Backups are not the server's.
pub(super) fn no_copies() -> StorageError {
    let why = "storage.url names a database of PostgreSQL, which the server does not back up or restore: use \
               the database's own tools, such as pg_basebackup, pg_dump and pgBackRest";
    StorageError::Settings(why.into())
}

impl Copied for PostgresStorage {
    fn copier(&self) -> Box<dyn Copier> {
        Box::new(NoCopier)
    }
}

impl Storage for PostgresStorage {
    fn load(&mut self, rested_before: UnixTime) -> Result<Snapshot, StorageError> {
        self.groups().load(rested_before).map_err(unreachable)
    }

    fn apply(&mut self, batches: &[Arc<Batch>]) -> Result<(), ApplyError> {
        let applied = self.groups().apply(batches);
        self.judge(applied)
    }

    /// What is read says nothing of whether the database still takes something.
    fn answer(&mut self, question: &Question) -> Result<Answer, ApplyError> {
        self.groups().answer(question)
    }

    fn resolve(&mut self) -> Result<Option<Resolved>, ApplyError> {
        match self.groups().resolve() {
            Ok(None) => Ok(None),
            resolved => self.judge(resolved),
        }
    }

    fn beat_interval(&self) -> Option<Duration> {
        Some(beat_interval(self.terms.lease))
    }

    fn check(&mut self) -> Result<(), StorageError> {
        admin::check(self.sessions()).map_err(unreachable)
    }

    fn free_disk(&self) -> Option<u64> {
        None
    }

    fn tidy(&mut self) -> Result<bool, ApplyError> {
        // Autovacuum does.
        Ok(true)
    }

    fn close(mut self: Box<Self>) -> Result<(), StorageError> {
        self.groups().give_back();
        Ok(())
    }
}

impl Ownership for PostgresStorage {
    fn server_key(&self) -> Result<Option<Digest>, StorageError> {
        admin::server_key(&mut self.lock().database_mut().sessions).map_err(unreachable)
    }

    fn set_server_key(&mut self, key: &Digest, now: UnixTime) -> Result<(), ApplyError> {
        self.groups().commit(&Change::ServerKey(*key, now))
    }

    fn is_unused(&self) -> Result<bool, StorageError> {
        admin::is_unused(&mut self.lock().database_mut().sessions).map_err(unreachable)
    }
}

impl KeepBans for PostgresStorage {
    fn bans(&mut self) -> Result<Vec<Ban>, StorageError> {
        admin::bans(self.sessions()).map_err(unreachable)
    }

    fn change_bans(&mut self, change: &BanChange) -> Result<(), ApplyError> {
        self.groups().commit(&Change::Bans(change.clone()))
    }
}
