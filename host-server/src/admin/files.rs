//! What `status` says of files in the data directory. Threads of their own look at them, one at a time: a
//! disk that does not answer must not keep an operator from seeing how the server is.

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use super::audit::AuditLog;
use crate::data_dir::DataDir;
use crate::figures;
use crate::key::Previous;

/// What there is to be found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Why acts of operators cannot be noted; nothing if they can.
    pub audit_problem: Option<String>,
    /// The private key before the server's, if it is there.
    pub previous_key: Option<Previous>,
}

/// What was found, and how it is looked for.
pub struct Files {
    look: Arc<dyn Fn() -> Found + Send + Sync>,
    times: Times,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct Times {
    /// A look is waited for so long; then what was found before counts.
    patience: Duration,
    /// A disk that takes so long does not answer.
    silence: Duration,
}

#[derive(Default)]
struct State {
    found: Found,
    look: Option<Look>,
}

/// A look that goes on.
struct Look {
    begun: Instant,
    found: Receiver<Found>,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}

impl Files {
    const TIMES: Times =
        Times { patience: Duration::from_millis(100), silence: Duration::from_secs(2) };

    /// Those of a data directory with this audit log.
    #[must_use]
    pub fn of(directory: &DataDir, audit: AuditLog) -> Self {
        let directory = directory.clone();
        let look = move || Found {
            audit_problem: audit.check().err().map(|failure| failure.to_string()),
            previous_key: Previous::find(&directory),
        };
        Self { look: Arc::new(look), times: Self::TIMES, state: Mutex::default() }
    }

    /// What is found now or, if the disk takes its time, what was found last.
    #[must_use]
    pub fn found(&self) -> Found {
        let mut state = self.state();
        let Some(look) = state.look.take().or_else(|| self.begin()) else {
            return state.found.clone();
        };
        let left = (look.begun + self.times.patience).saturating_duration_since(Instant::now());
        match look.found.recv_timeout(left) {
            Ok(found) => state.found = found,
            Err(RecvTimeoutError::Timeout) => {
                let mut found = state.found.clone();
                let silent = look.begun.elapsed();
                if silent >= self.times.silence {
                    found.audit_problem = Some(does_not_answer(silent));
                }
                state.look = Some(look);
                return found;
            }
            // It has ended without a word, and the next look begins anew.
            Err(RecvTimeoutError::Disconnected) => {}
        }
        state.found.clone()
    }

    /// Nothing if the system gives no thread.
    fn begin(&self) -> Option<Look> {
        let (tell, found) = channel();
        let look = Arc::clone(&self.look);
        let thread = Builder::new().name("waxwing-files".into());
        // Whoever asked may wait no more.
        let begun = thread.spawn(move || drop(tell.send(look())));
        begun.is_ok().then(|| Look { begun: Instant::now(), found })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn does_not_answer(silent: Duration) -> String {
    let silent = figures::span(u64::try_from(silent.as_millis()).unwrap_or(u64::MAX));
    format!("the disk of the data directory has not answered for {silent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_does_not_answer_keeps_nobody_waiting_and_is_told() {
        let (answers, hear) = channel::<Found>();
        let (hear, looks) = (Mutex::new(hear), Arc::new(Mutex::new(0)));
        let counted = Arc::clone(&looks);
        let look = move || {
            *counted.lock().unwrap() += 1;
            hear.lock().unwrap().recv().unwrap()
        };
        let times = Times { patience: Duration::from_secs(60), silence: Duration::from_secs(60) };
        let mut files = Files { look: Arc::new(look), times, state: Mutex::default() };
        let previous = Previous { file: "key".into(), key: None };
        let first = Found { previous_key: Some(previous), ..Found::default() };
        answers.send(first.clone()).unwrap();
        assert_eq!(files.found(), first);

        // It hangs: what was found last counts, and there is one look however often somebody asks.
        files.times.patience = Duration::ZERO;
        assert_eq!([files.found(), files.found()], [first.clone(), first.clone()]);
        files.times.silence = Duration::ZERO;
        let told = files.found();
        assert_eq!(told.previous_key, first.previous_key);
        assert!(told.audit_problem.unwrap().contains("has not answered for"));

        // It goes on.
        files.times = times;
        answers.send(Found::default()).unwrap();
        assert_eq!(files.found(), Found::default());
        assert_eq!(*looks.lock().unwrap(), 2);
    }
}
