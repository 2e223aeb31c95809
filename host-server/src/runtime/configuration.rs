//! The configuration that runs, and how another one takes its place while the server serves.
//!
//! Everything that can fail comes first: all layers are read again and checked, and what needs threads
//! or files is made. Only then is each shard handed the new one, which nobody can refuse any more. So
//! either all take it, or none. Nothing of this happens on the thread of an event loop.

use std::fmt;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use waxwing_core::server::RegistrationPolicy;
use waxwing_core::time::UnixTime;

use super::channels::ShardLines;
use super::heard::{Heard, Late, Stopped};
use super::places;
use super::requests::Request;
use crate::backup::Backups;
use crate::canary::Canary;
use crate::clock;
use crate::config::{Changes, Config, ConfigError};
use crate::exit::{Exit, Failure};
use crate::logging;
use crate::otp::{self, Ways};
use crate::store::Inspector;

/// Reads all layers again, as at the start.
pub type Read = Box<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

/// The configuration that runs.
pub struct Configuration {
    read: Read,
    at_start: Config,
    /// Where deliveries of codes say how they ended.
    report: otp::WayReports,
    state: Mutex<State>,
    /// Held by whoever is about to change it.
    turn: Mutex<()>,
}

struct State {
    /// What the shards have.
    runs: Arc<Config>,
    standing: Standing,
}

/// What has become of attempts to read it again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// When it was last taken.
    pub taken: Option<UnixTime>,
    /// When and why it could not be taken, if that was the last attempt.
    pub failed: Option<(UnixTime, String)>,
    /// Settings whose values wait for a restart.
    pub waiting: Vec<&'static str>,
    /// How often it was taken.
    pub successes: u64,
    /// How often it could not be.
    pub failures: u64,
}

/// Another configuration, for one shard.
pub struct Reconfiguration {
    /// What it is from now on.
    pub config: Arc<Config>,
    /// Who may register from now on.
    pub registration: RegistrationPolicy,
    /// The ways of codes from now on, for the registrar alone.
    pub ways: Option<Ways>,
    /// Hears that the shard has taken it.
    pub taken: Sender<()>,
}

impl fmt::Debug for Reconfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconfiguration").finish_non_exhaustive()
    }
}

/// The turn of one who changes the configuration: nobody else does meanwhile.
pub struct Turn<'a>(#[expect(dead_code, reason = "it is held")] MutexGuard<'a, ()>);

/// Who takes a new configuration.
#[derive(Clone, Copy)]
pub struct Takers<'a> {
    /// The shards.
    pub shards: &'a ShardLines,
    /// Loops that have not taken it for so long hang.
    pub patience: Duration,
    /// The thread of storage.
    pub storage: &'a Inspector,
    /// The backups.
    pub backups: &'a Backups,
    /// The canary.
    pub canary: &'a Canary,
}

/// What came of reading a configuration again. Files that it names were read anew, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reread {
    /// The settings that have other values than before.
    pub changes: Changes,
    /// How many phones are in `registration.allow_file`; nothing if no file is named.
    pub allowed_phones: Option<usize>,
    /// That nobody can register although nobody has said so in as many words, and what to do.
    pub remark: Option<String>,
    /// Why the file of the log could not be opened again, so that the log goes on where it went before.
    pub log_not_reopened: Option<String>,
    /// The loops that hang, and go on with the one before.
    pub late: Late,
}

impl Configuration {
    /// A server that has started with `config`, which `read` reads again.
    #[must_use]
    pub fn new(read: Read, config: Config, report: otp::WayReports) -> Self {
        let state = State { runs: Arc::new(config.clone()), standing: Standing::default() };
        let (state, turn) = (Mutex::new(state), Mutex::new(()));
        Self { read, at_start: config, report, state, turn }
    }

    /// The one that runs.
    #[must_use]
    pub fn runs(&self) -> Arc<Config> {
        Arc::clone(&self.state().runs)
    }

    /// What has become of attempts to read it again.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.state().standing.clone()
    }

    /// Waits until nobody else changes it.
    pub fn turn(&self) -> Turn<'_> {
        Turn(self.turn.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The same, if nobody does at this moment.
    #[must_use]
    pub fn turn_now(&self) -> Option<Turn<'_>> {
        self.turn.try_lock().ok().map(Turn)
    }

    /// Reads it again, and has everybody take it. Returns when all have, but for loops that hang: these take
    /// it when they go on.
    ///
    /// # Errors
    /// When it cannot be read, or no server could start with it here. Then the one before goes on.
    pub fn reload(&self, _turn: &Turn<'_>, takers: Takers<'_>) -> Result<Reread, Failure> {
        let result = self.take_anew(takers);
        let now = clock::unix_now();
        let standing = &mut self.state().standing;
        match &result {
            Ok(Reread { changes, allowed_phones, remark, late, .. }) => {
                tracing::info!(
                name: "reloaded",
                        live = changes.live.join(","),
                        restart = changes.restart.join(","),
                        allowed_phones,
                        "the configuration was read again; what is live has changed, and the rest waits \
                         for a restart"
                    );
                if let Some(remark) = remark {
                    tracing::warn!(name: "nobody_can_register", "{remark}");
                }
                if let Some(late) = late.some() {
                    tracing::warn!(name: "reload_unfinished", %late, "it takes the configuration when it goes on");
                }
                standing.taken = Some(now);
                standing.failed = None;
                standing.waiting.clone_from(&changes.restart);
                standing.successes += 1;
            }
            Err(failure) => {
                tracing::error!(
                name: "reload_failed",
                        %failure,
                        "the configuration could not be read again, and the server goes on with the one \
                         before: put it right, and reload"
                    );
                standing.failed = Some((now, failure.to_string()));
                standing.failures += 1;
            }
        }
        result
    }

    /// What a reload would change now, also of what waits for a restart already. Nothing is changed.
    ///
    /// # Errors
    /// When it cannot be read, or no server could go on with it.
    pub fn not_reloaded(&self) -> Result<Changes, Failure> {
        let read = (self.read)()?;
        read.check_serving()?;
        let next = self.as_it_would_run(&read)?;
        let State { runs, standing } = &*self.state();
        let waits = |name: &&'static str| !standing.waiting.contains(name);
        Ok(Changes {
            live: Changes::between(runs, &next).live,
            restart: Changes::between(&self.at_start, &read)
                .restart
                .into_iter()
                .filter(waits)
                .collect(),
        })
    }

    fn take_anew(&self, takers: Takers<'_>) -> Result<Reread, Failure> {
        let read = (self.read)()?;
        read.check_serving()?;
        if read.backup.directory != self.at_start.backup.directory {
            // One that was lost since the start is no reason to refuse what is changed elsewhere.
            read.check_backups()?;
        }
        // A restart would need them, and it should not be the restart that finds that out.
        places::check(&read)?;
        let next = self.as_it_would_run(&read)?;
        let registration = next.registration.policy()?;
        let ways = otp::ways(&next.otp, &self.report);
        let ways = ways.map_err(|error| Failure::new(Exit::Failure, error))?;
        let before = Arc::clone(&self.state().runs);
        let log = logging::prepare(&next.log, &before.log)?;
        // Nothing fails from here on.
        let changes = Changes {
            live: Changes::between(&before, &next).live,
            restart: Changes::between(&self.at_start, &read).restart,
        };
        let next = Arc::new(next);
        self.state().runs = Arc::clone(&next);
        let log_not_reopened = logging::configure(log).map(|failure| failure.to_string());
        takers.storage.tidy_after(next.storage.tidy_after);
        takers.backups.leave_free(next.storage.min_free_disk);
        takers.canary.set_every(next.canary.every);
        let allowed_phones = registration.phone_count();
        let remark = next.registration.remark_on(&registration);
        let late = takers.hand_over(&next, (registration, ways))?;
        Ok(Reread { changes, allowed_phones, remark, log_not_reopened, late })
    }

    /// What a running server makes of it. It may be worse than at a start: an address that is not public
    /// any more needs a restart, so codes must not go in band before.
    fn as_it_would_run(&self, read: &Config) -> Result<Config, Failure> {
        let next = read.clone().as_started_with(&self.at_start);
        next.check_serving().map_err(|error| {
            let message = format!(
                "{error}. A start could use this configuration, but settings that need a restart are \
                 as they were at the start until then: restart the server"
            );
            Failure::new(Exit::Config, message)
        })?;
        Ok(next)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Takers<'_> {
    /// Hands it to every shard, and waits until all have taken it, but no longer than the patience.
    fn hand_over(
        self,
        next: &Arc<Config>,
        (registration, ways): (RegistrationPolicy, Ways),
    ) -> Result<Late, Failure> {
        let mut ways = Some(ways);
        let told = self.shards.ask_all(self.patience, |_, taken| {
            let (config, registration) = (Arc::clone(next), registration.clone());
            // The registrar is the first, and the ways of codes are its own.
            let ways = ways.take();
            Request::Configure(Reconfiguration { config, registration, ways, taken })
        });
        let Heard { late, .. } =
            told.map_err(|Stopped| Failure::new(Exit::Failure, "the server stops"))?;
        Ok(late)
    }
}
