//! How much goes to the log: what the configuration says, or for a while what somebody has asked for.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Registry, reload};
use waxwing_core::time::UnixTime;

use crate::config::LogLevel;

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// So much.
    pub level: LogLevel,
    /// Of this part of the program alone, such as `waxwing_server::store`; of all without it.
    pub target: Option<String>,
    /// For so long, which is until then; without it, until the configuration is read again.
    pub time: Option<(Duration, UnixTime)>,
}

pub(super) struct Levels(Arc<Shared>);

struct Shared {
    handle: reload::Handle<Targets, Registry>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    configured: LogLevel,
    asked: Option<Asked>,
    /// How often it has changed.
    changes: u64,
}

impl Levels {
    pub(super) fn new(handle: reload::Handle<Targets, Registry>) -> Self {
        let state = State { configured: LogLevel::Info, asked: None, changes: 0 };
        Self(Arc::new(Shared { handle, state: Mutex::new(state), changed: Condvar::new() }))
    }

    pub(super) fn asked(&self) -> Option<Asked> {
        self.0.state().asked.clone()
    }

    /// The configuration says so, and nothing else counts any more.
    pub(super) fn configure(&self, level: LogLevel) {
        self.0.change(|state| (state.configured, state.asked) = (level, None));
    }

    /// Somebody asks for something else.
    pub(super) fn ask(&self, asked: Asked) -> io::Result<()> {
        let time = asked.time;
        let mine = self.0.change(|state| state.asked = Some(asked));
        let Some((span, _)) = time else { return Ok(()) };
        let shared = Arc::clone(&self.0);
        let wait = move || shared.end_after(span, mine);
        let waiting = Builder::new().name("waxwing-log-level".into()).spawn(wait);
        if waiting.is_err() {
            // It would never end.
            self.0.change(|state| state.asked = None);
        }
        waiting.map(drop)
    }
}

impl Shared {
    /// Changes it, and has the log follow. The number of this change.
    fn change(&self, change: impl FnOnce(&mut State)) -> u64 {
        let mut state = self.state();
        change(&mut state);
        state.changes += 1;
        // It fails only when the log is gone, with the process.
        let _ = self.handle.reload(state.targets());
        self.changed.notify_all();
        state.changes
    }

    /// Waits, and lets the configuration count again, unless there is another change before.
    fn end_after(&self, span: Duration, mine: u64) {
        let waits = |state: &mut State| state.changes == mine;
        let (state, waited) = self
            .changed
            .wait_timeout_while(self.state(), span, waits)
            .unwrap_or_else(PoisonError::into_inner);
        drop(state);
        if waited.timed_out() {
            self.change(|state| {
                if state.changes == mine {
                    state.asked = None;
                }
            });
            tracing::info!("the level of the log is that of the configuration again");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn targets(&self) -> Targets {
        let configured = filter(self.configured);
        match &self.asked {
            None => Targets::new().with_default(configured),
            Some(Asked { level, target: None, .. }) => Targets::new().with_default(filter(*level)),
            Some(Asked { level, target: Some(target), .. }) => {
                let targets = Targets::new().with_default(configured);
                targets.with_target(target.clone(), filter(*level))
            }
        }
    }
}

const fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
