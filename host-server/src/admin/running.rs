//! What commands of the operator can reach in a running server: its shards, its storage, its audit log.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use waxwing_core::id::UserId;
use waxwing_core::server::ShardId;
use waxwing_core::time::UnixTime;

use super::audit::{Arguments, AuditLog, Begun, Outcome};
use super::control::{Answer, Caller};
use super::files::Files;
use super::health::Health;
use super::http::Watched;
use super::metrics;
use super::patience::{Still, Whom};
use super::protocol::Problem;
use super::reports::{Loop, Reports};
use crate::backup::Backups;
use crate::canary::{self, Canary};
use crate::clock;
use crate::config::Changes;
use crate::exit::{Exit, Failure};
use crate::logging;
use crate::runtime::{
    Configuration, Heard, Late, Request, Reread, Rotation, ShardLines, Stopped, Takers, Turn,
};
use crate::store::{BanChange, Finding, Inspection, Inspector, UserName, UserSummary};

/// A running server, as its operator reaches it.
pub struct Running {
    /// The ways to its shards.
    pub shards: ShardLines,
    /// What its shards say about themselves.
    pub reports: Reports,
    /// The way to its storage.
    pub storage: Inspector,
    /// How long it may take to answer: [`Self::STORAGE_PATIENCE`].
    pub storage_patience: Duration,
    /// Where acts are noted.
    pub audit: AuditLog,
    /// What there is to be said of its files.
    pub files: Files,
    /// Its keys.
    pub rotation: Arc<Rotation>,
    /// Its backups.
    pub backups: Arc<Backups>,
    /// Its canary.
    pub canary: Arc<Canary>,
    /// The configuration.
    pub configuration: Configuration,
    /// The data directory.
    pub data: PathBuf,
    /// The addresses on which it listens.
    pub listening: Vec<SocketAddr>,
    /// Has it listen there again after it had stopped. Fails when an address cannot be had.
    pub listen_again: Box<dyn Fn() -> Result<(), Failure> + Send + Sync>,
    /// Until when all sessions are sent away before it stops, if that goes on.
    pub drained_by: Mutex<Option<UnixTime>>,
    /// When it began to listen.
    pub since: UnixTime,
    /// The same by a clock that nobody sets.
    pub started: Instant,
}

/// Why a command is not carried out to its end.
#[derive(Debug)]
pub(super) enum Interrupted {
    /// Its client is told.
    Problem(Problem),
    /// Its client is told, and nobody knows how it ends.
    Unclear(Problem),
    /// There is no client any more.
    Gone,
}

impl From<Problem> for Interrupted {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Failure> for Interrupted {
    fn from(failure: Failure) -> Self {
        Self::Problem(Problem::of(&failure))
    }
}

impl From<io::Error> for Interrupted {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl Running {
    /// How long storage may take to answer something small. If it takes longer, its disk hangs.
    pub const STORAGE_PATIENCE: Duration = Duration::from_secs(10);

    /// Until when all sessions are sent away, if that goes on.
    pub(super) fn drained_by(&self) -> Option<UnixTime> {
        *self.drained_by.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all sessions are being sent away.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.drained_by().is_some()
    }

    pub(super) fn set_drained_by(&self, moment: Option<UnixTime>) {
        *self.drained_by.lock().unwrap_or_else(PoisonError::into_inner) = moment;
    }

    /// Has a letter go from one account of the server to the other.
    pub(crate) fn canary_round(&self) -> canary::Outcome {
        let config = self.configuration.runs();
        let is_proxy = |address: SocketAddr| {
            config.server.proxies.iter().any(|range| range.contains(address.ip()))
        };
        self.canary.round(canary::Place {
            shards: &self.shards,
            audit: &self.audit,
            listening: &self.listening,
            is_proxy: &is_proxy,
            is_drained: &|| self.is_drained(),
        })
    }

    /// What all shards say, in their order.
    pub(super) fn loops(&self) -> Arc<[Loop]> {
        self.reports.ask(&self.shards)
    }

    /// Has all shards do something. One that hangs keeps nobody waiting for longer than the patience that
    /// loops have, and does it when it goes on.
    pub(super) fn ask_all<T>(
        &self,
        request: impl FnMut(ShardId, Sender<T>) -> Request,
    ) -> Result<Heard<T>, Interrupted> {
        let heard = self.shards.ask_all(self.reports.patience(), request);
        Ok(heard.map_err(|Stopped| self.stops())?)
    }

    /// Asks a shard something that it says at once, unless it hangs.
    pub(super) fn ask_now<T>(
        &self,
        shard: ShardId,
        mut request: impl FnMut(Sender<T>) -> Request,
    ) -> Result<T, Interrupted> {
        let patience = self.reports.patience();
        let heard = self.shards.ask([shard], patience, |_, answer| request(answer));
        let Heard { answers, late } = heard.map_err(|Stopped| self.stops())?;
        let answer = answers.into_iter().next().map(|(_, answer)| answer);
        Ok(answer.ok_or_else(|| Problem::new(Exit::Failure, late))?)
    }

    /// Has the shard that owns a user do something, which storage has its part in.
    pub(super) fn ask_owner<T>(
        &self,
        answer: &mut Answer<'_>,
        user: UserId,
        request: impl FnOnce(Sender<T>) -> Request,
    ) -> Result<T, Interrupted> {
        let owner = self.shards.owner_of(user);
        let asked = self.shards.offer(owner, request);
        self.outcome(answer, Whom::LoopAndStorage(owner), &asked)
    }

    /// Has the registrar do something by itself.
    pub(super) fn ask_registrar<T>(
        &self,
        answer: &mut Answer<'_>,
        request: impl FnOnce(Sender<T>) -> Request,
    ) -> Result<T, Interrupted> {
        let asked = self.shards.offer(ShardId::REGISTRAR, request);
        self.outcome(answer, Whom::Loop(ShardId::REGISTRAR), &asked)
    }

    /// Has the bans changed that are stored.
    pub(super) fn change_bans(
        &self,
        answer: &mut Answer<'_>,
        change: BanChange,
    ) -> Result<(), Interrupted> {
        let asked = self.storage.change_bans(change);
        let ended = self.outcome(answer, Whom::Storage, &asked)?;
        Ok(ended.map_err(|failure| {
            let message = format!(
                "storage does not take it now ({failure}), and nothing was changed; the log says more, and the \
                 command can be repeated"
            );
            Problem::new(failure.exit(), message)
        })?)
    }

    /// Has storage forget what is left of a user who was removed.
    pub(super) fn erase(&self, answer: &mut Answer<'_>, user: UserId) -> Result<(), Interrupted> {
        let (mut after, mut still) = (None, Still::new());
        loop {
            let asked = self.storage.forget_fates(user, after);
            let next = self.outcome(answer, Whom::Storage, &asked)?;
            after = next?;
            if after.is_none() {
                break;
            }
            // If the client goes, that ends nothing.
            let _ = still.tell(answer);
        }
        let asked = self.storage.erase(user);
        let ended = self.outcome(answer, Whom::Storage, &asked)?;
        Ok(ended?)
    }

    /// The user with this id or phone.
    pub(super) fn user(
        &self,
        answer: &mut Answer<'_>,
        name: &UserName,
    ) -> Result<UserSummary, Interrupted> {
        let Finding::Users(users) = self.inspect(answer, Inspection::User(*name))? else {
            return Err(Problem::new(Exit::Failure, "storage has answered something else").into());
        };
        Ok(users.into_iter().next().ok_or_else(|| Problem::no_such_user(name))?)
    }

    /// Notes that somebody is about to see whole phones.
    pub(super) fn note_shown(
        &self,
        (caller, answer): (Caller, &Answer<'_>),
        command: &str,
        arguments: Arguments,
    ) -> Result<(), Interrupted> {
        is_there(answer)?;
        Ok(self.audit.note_shown(clock::unix_now(), caller.uid, command, arguments)?)
    }

    /// Notes an act, carries it out, and notes what became of it. An act whose end nobody has heard of
    /// is left for the next start, which notes that it is not known.
    pub(super) fn act<T>(
        &self,
        (caller, answer): (Caller, &mut Answer<'_>),
        command: &str,
        arguments: Arguments,
        act: impl FnOnce(&mut Answer<'_>) -> Result<(T, Outcome), Interrupted>,
    ) -> Result<T, Interrupted> {
        let begun = self.begin((caller, answer), command, arguments)?;
        let acted = act(answer);
        self.finish(begun, acted, |begun, outcome| self.end(begun, outcome))
    }

    /// Notes an act that is about to be carried out.
    pub(super) fn begin(
        &self,
        (caller, answer): (Caller, &Answer<'_>),
        command: &str,
        arguments: Arguments,
    ) -> Result<Begun, Interrupted> {
        is_there(answer)?;
        tracing::info!(name: "operator_acts", uid = caller.uid, command, "an operator acts; the audit log says more");
        Ok(self.audit.begin(clock::unix_now(), caller.uid, command, arguments)?)
    }

    /// Notes what became of an act; `end` does so if it was done.
    pub(super) fn finish<T, O>(
        &self,
        begun: Begun,
        acted: Result<(T, O), Interrupted>,
        end: impl FnOnce(Begun, O) -> Result<(), Failure>,
    ) -> Result<T, Interrupted> {
        match acted {
            Ok((value, outcome)) => {
                end(begun, outcome)?;
                Ok(value)
            }
            Err(Interrupted::Problem(problem)) if !problem.is_unknown() => {
                self.end(begun, Outcome::failed(problem.to_string()))?;
                Err(problem.into())
            }
            Err(Interrupted::Unclear(problem)) => {
                self.end(begun, Outcome::unknown(problem.to_string()))?;
                Err(problem.into())
            }
            Err(interrupted) => Err(interrupted),
        }
    }

    /// Reads the configuration again because somebody has sent a signal.
    ///
    /// # Errors
    /// When the one before goes on.
    pub(crate) fn reload_for_signal(&self, uid: u32) -> Result<Reread, Failure> {
        let turn = self.configuration.turn();
        let arguments = Arguments::new().with("by", "SIGHUP");
        let begun = self.audit.begin(clock::unix_now(), uid, "reload", arguments);
        let begun =
            begun.inspect_err(|failure| tracing::error!(name: "audit_log_unwritable", %failure, "nothing was reloaded"))?;
        let result = self.reload(&turn);
        let not_reopened =
            result.as_ref().ok().and_then(|reread| reread.log_not_reopened.as_deref());
        if let Some(why) = not_reopened {
            logging::tell_not_reopened(why);
        }
        let outcome = match &result {
            Ok(reread) => done(&summary(&reread.changes), &reread.late),
            Err(failure) => Outcome::failed(failure.to_string()),
        };
        self.end(begun, outcome)
            .inspect_err(|failure| tracing::error!(name: "audit_log_unwritable", %failure, "the audit log is not written"))?;
        result
    }

    /// Opens the file of the log again because somebody has sent a signal.
    pub(crate) fn reopen_log_for_signal(&self, uid: u32) {
        let arguments = Arguments::new().with("by", "SIGUSR1");
        let begun = self.audit.begin(clock::unix_now(), uid, "log reopen", arguments);
        // Whoever rotates logs depends on it, so it is done in any case.
        let outcome = match logging::reopen() {
            Ok(_) => Outcome::done(""),
            Err(failure) => {
                logging::tell_not_reopened(&failure.to_string());
                Outcome::failed(failure.to_string())
            }
        };
        if let Err(failure) = begun.and_then(|begun| self.end(begun, outcome)) {
            tracing::error!(name: "audit_log_unwritable", %failure, "the audit log does not say that the log was opened again");
        }
    }

    /// Reads the configuration again.
    pub(super) fn reload(&self, turn: &Turn<'_>) -> Result<Reread, Failure> {
        let Self { shards, storage, backups, canary, .. } = self;
        let patience = self.reports.patience();
        let takers = Takers { shards, patience, storage, backups, canary };
        self.configuration.reload(turn, takers)
    }

    fn end(&self, begun: Begun, outcome: Outcome) -> Result<(), Failure> {
        self.audit.end(clock::unix_now(), begun, outcome)
    }
}

impl Watched for Running {
    fn numbers(&self) -> String {
        metrics::page(self)
    }

    fn health(&self, ready: bool) -> Health {
        let loops = self.loops();
        if !ready {
            return Health::alive(&loops);
        }
        Health::ready(&loops, self.storage.commits().trouble.is_some(), self.is_drained())
    }
}

/// What the audit log says of a reload.
pub(super) fn summary(Changes { live, restart }: &Changes) -> String {
    format!("live: {}; for a restart: {}", names(live), names(restart))
}

/// Names of settings, or the word for none.
pub(super) fn names(settings: &[impl AsRef<str>]) -> String {
    let names: Vec<_> = settings.iter().map(AsRef::as_ref).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// What the audit log says of something that all loops were to do.
pub(super) fn done(detail: &str, late: &Late) -> Outcome {
    match late.some() {
        None => Outcome::done(detail),
        Some(late) if detail.is_empty() => Outcome::done(late.to_string()),
        Some(late) => Outcome::done(format!("{detail}; {late}")),
    }
}

/// What the operator hears last if loops have not done what all were to do: how it is there until they go on,
/// and do it.
pub(super) fn expect_all(late: &Late, meanwhile: &str) -> Result<(), Interrupted> {
    late.some().map_or(Ok(()), |late| {
        let message = format!("{late}: until that changes, {meanwhile}");
        Err(Problem::new(Exit::Failure, message).into())
    })
}

/// Whether the client is still there. One that has waited for too long, or was stopped, is told that
/// nothing was done, and then nothing must be done.
fn is_there(answer: &Answer<'_>) -> Result<(), Interrupted> {
    Ok(answer.pause(Duration::ZERO)?)
}
