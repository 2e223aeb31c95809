//! How long a command waits for a loop or for storage, and what is said then.
//!
//! What was asked is taken back if nobody begins with it in time, and then nothing is done. What was begun may
//! take long, as the removal of a million letters does; it is waited for as long as those who do it answer.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use waxwing_core::server::ShardId;
use waxwing_core::server::storage::QueueId;

use super::control::Answer;
use super::protocol::{Line, Problem};
use super::running::{Interrupted, Running};
use crate::exit::{Exit, Failure};
use crate::offer::Offered;
use crate::runtime::Late;
use crate::store::{Finding, Inspection};

/// Who is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// An event loop alone.
    Loop(ShardId),
    /// An event loop, and storage, from which it needs something.
    LoopAndStorage(ShardId),
    /// Storage.
    Storage,
}

/// Tells a client now and then that it is to wait, while much is looked up and nothing found.
pub(super) struct Still {
    told: Instant,
}

impl Still {
    pub(super) fn new() -> Self {
        Self { told: Instant::now() }
    }

    /// The client has heard something.
    pub(super) fn told(&mut self) {
        self.told = Instant::now();
    }

    /// The client is told, if it has not heard anything for a while.
    pub(super) fn tell(&mut self, answer: &mut Answer<'_>) -> Result<(), Interrupted> {
        if self.told.elapsed() >= WAITING {
            self.told();
            answer.line(&Line::<()>::Waiting {}.to_json())?;
        }
        Ok(())
    }
}

/// A client hears this often that it is to wait.
const WAITING: Duration = Duration::from_secs(3);

impl Running {
    /// Waits for something that the server does, for as long as it runs. The client hears now and then that
    /// it is to wait, and if it goes, that ends nothing.
    pub(super) fn wait<T>(
        &self,
        answer: &mut Answer<'_>,
        receiver: &Receiver<T>,
    ) -> Result<T, Interrupted> {
        self.wait_while(answer, receiver, WAITING, || Ok(()))
    }

    /// The same as long as `look`, which is asked this often, says that it makes sense.
    fn wait_while<T>(
        &self,
        answer: &mut Answer<'_>,
        receiver: &Receiver<T>,
        every: Duration,
        mut look: impl FnMut() -> Result<(), Interrupted>,
    ) -> Result<T, Interrupted> {
        loop {
            match receiver.recv_timeout(every) {
                Ok(value) => return Ok(value),
                Err(RecvTimeoutError::Timeout) => {
                    look()?;
                    // What was begun goes on, and its end is noted.
                    let _ = answer.line(&Line::<()>::Waiting {}.to_json());
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.stops().into()),
            }
        }
    }

    /// The server stops before it has answered.
    pub(super) fn stops(&self) -> Problem {
        Problem::server_stops(self.storage.commits().failed.as_ref())
    }

    /// Waits for what was asked of somebody.
    pub(super) fn outcome<T>(
        &self,
        answer: &mut Answer<'_>,
        whom: Whom,
        asked: &Offered<T>,
    ) -> Result<T, Interrupted> {
        let Offered { offer, answer: receiver } = asked;
        match self.wait_at_most(answer, whom, receiver)? {
            Some(value) => return Ok(value),
            None if offer.claim() => {
                let message = format!(
                    "{}, and nothing was done: repeat the command when that has changed",
                    self.silence_of(whom)
                );
                return Err(Problem::new(self.exit_of(whom), message).into());
            }
            None => {}
        }
        let mut storage = Sign::default();
        let every = WAITING.min(self.patience_with(whom));
        self.wait_while(answer, receiver, every, || {
            let Some(who) = self.silent(whom, &mut storage) else { return Ok(()) };
            let message = format!(
                "{who}: what was asked has begun, and whether it is done to its end shows when that has changed"
            );
            Err(Interrupted::Unclear(Problem::new(self.exit_of(whom), message)))
        })
    }

    /// Waits for an answer for as long as somebody may take.
    fn wait_at_most<T>(
        &self,
        answer: &mut Answer<'_>,
        whom: Whom,
        receiver: &Receiver<T>,
    ) -> Result<Option<T>, Interrupted> {
        let deadline = Instant::now() + self.patience_with(whom);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match receiver.recv_timeout(left.min(WAITING)) {
                Ok(value) => return Ok(Some(value)),
                Err(RecvTimeoutError::Disconnected) => return Err(self.stops().into()),
                Err(RecvTimeoutError::Timeout) if left <= WAITING => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {
                    let _ = answer.line(&Line::<()>::Waiting {}.to_json());
                }
            }
        }
    }

    /// Looks something up in storage.
    pub(super) fn inspect(
        &self,
        answer: &mut Answer<'_>,
        what: Inspection,
    ) -> Result<Finding, Interrupted> {
        let asked = self.storage.inspect(what);
        let found = self.wait_at_most(answer, Whom::Storage, &asked)?;
        let found = found
            .ok_or_else(|| Problem::new(self.storage_exit(), self.silence_of(Whom::Storage)))?;
        Ok(found?)
    }

    fn patience_with(&self, whom: Whom) -> Duration {
        match whom {
            Whom::Loop(_) | Whom::LoopAndStorage(_) => self.reports.patience(),
            Whom::Storage => self.storage_patience,
        }
    }

    fn exit_of(&self, whom: Whom) -> Exit {
        match whom {
            Whom::Loop(_) | Whom::LoopAndStorage(_) => Exit::Failure,
            Whom::Storage => self.storage_exit(),
        }
    }

    /// How a command ends that storage does not answer, or whose change it does not take.
    pub(super) fn storage_exit(&self) -> Exit {
        match self.configuration.runs().storage.is_shared() {
            true => Exit::Network,
            false => Exit::Storage,
        }
    }

    /// That somebody has not begun: a sentence without its end.
    fn silence_of(&self, whom: Whom) -> String {
        match whom {
            Whom::Loop(shard) | Whom::LoopAndStorage(shard) => {
                Late::new([shard.0], self.reports.patience()).to_string()
            }
            Whom::Storage => {
                let seconds = self.storage_patience.as_secs_f64();
                format!("storage does not answer within {seconds} seconds")
            }
        }
    }

    /// Who does not answer any more after having begun, if somebody does not.
    fn silent(&self, whom: Whom, storage: &mut Sign) -> Option<String> {
        let hangs =
            |shard: ShardId| self.loops().get(usize::from(shard.0)).is_some_and(|one| !one.answers);
        match whom {
            Whom::Loop(shard) | Whom::LoopAndStorage(shard) if hangs(shard) => {
                Some(self.silence_of(whom))
            }
            Whom::LoopAndStorage(_) | Whom::Storage if storage.is_missing(self) => {
                Some(self.silence_of(Whom::Storage))
            }
            _ => None,
        }
    }
}

/// What shows whether storage answers: something small that was looked up, one at a time.
#[derive(Default)]
struct Sign {
    open: Option<(Instant, Receiver<Result<Finding, Failure>>)>,
}

impl Sign {
    fn is_missing(&mut self, running: &Running) -> bool {
        let is_open = |(_, found): &(Instant, Receiver<_>)| {
            matches!(found.try_recv(), Err(TryRecvError::Empty))
        };
        if !self.open.as_ref().is_some_and(is_open) {
            // There is no letter in this place.
            let found = running.storage.inspect(Inspection::Packet(QueueId(0)));
            self.open = Some((Instant::now(), found));
        }
        self.open.as_ref().is_some_and(|(asked, _)| asked.elapsed() >= running.storage_patience)
    }
}
