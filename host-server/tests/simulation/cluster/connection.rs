//! A node's way to the database, and its witness beside it.

use std::sync::{Arc, Mutex};
use std::task::Poll;

use waxwing_core::id::{PacketId, UserId};
use waxwing_core::server::storage::{Answer, ExpiredLetter, Question, Snapshot};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{Status, StatusQuery};
use waxwing_server::store::shared::{self, Change, Claim, Fence, Instance, Mark, Renewed, Seen};
use waxwing_server::store::{ApplyError, MemoryStorage, Storage};

use super::database::Database;
use super::faults::Fault;
use super::machine::{Reply, Statement};

pub(super) struct Connection {
    database: Database,
    node: usize,
    /// A renewal that is under way, and how often its answer is still asked for.
    renewal: Option<(u64, usize)>,
}

impl Connection {
    pub(super) const fn new(database: Database, node: usize) -> Self {
        Self { database, node, renewal: None }
    }

    pub(super) const fn database(&self) -> &Database {
        &self.database
    }

    fn short(&self, statement: Statement) -> Result<Reply, ApplyError> {
        self.database.lock().carry_out(self.node, statement, false)
    }

    fn group(&self, fence: &Fence, change: Change) -> Result<(), ApplyError> {
        let mut state = self.database.lock();
        let outcome = state.carry_out(self.node, Statement::Group(*fence, change), true);
        match outcome {
            Err(ApplyError::Unclear(_)) if state.fault == Some(Fault::UnclearAsDone) => Ok(()),
            Err(ApplyError::Unclear(why)) if state.fault == Some(Fault::UnclearAsUnavailable) => {
                Err(ApplyError::Away(why))
            }
            other => other.map(|_| ()),
        }
    }

    fn ask(&self, question: &Question) -> Result<Answer, ApplyError> {
        let mut data = self.database.lock().read(self.node)?.data.clone();
        data.answer(question)
    }

    /// What was there in a group that is done.
    fn in_group(&self, fence: &Fence) -> Result<MemoryStorage, ApplyError> {
        self.group(fence, Change::Batches(Vec::new()))?;
        Ok(self.database.lock().confirmed().data.clone())
    }
}

impl shared::Database for Connection {
    fn look(&mut self, witnessed: Option<Mark>) -> Result<Seen, ApplyError> {
        let mut state = self.database.lock();
        let mut seen = state.read(self.node)?.look(witnessed);
        if state.fault == Some(Fault::LastMarkWitnessed) {
            seen.before_last = Some(seen.last);
        }
        Ok(seen)
    }

    fn take(&mut self, claim: &Claim) -> Result<Option<Renewed>, ApplyError> {
        match self.short(Statement::Take(*claim))? {
            Reply::Renewed(taken) => Ok(taken),
            other => panic!("not the answer to a claim: {other:?}"),
        }
    }

    fn renew(&mut self, instance: Instance) -> Poll<Result<Option<Renewed>, ApplyError>> {
        let mut state = self.database.lock();
        let (ticket, patience) = match self.renewal {
            Some(renewal) => renewal,
            None => match state.begin(self.node, Statement::Renew(instance)) {
                Ok(ticket) => (ticket, state.patience()),
                Err(error) => return Poll::Ready(Err(error)),
            },
        };
        let answer = state.take_answer(ticket);
        if answer.is_none() && patience > 0 {
            self.renewal = Some((ticket, patience - 1));
            return Poll::Pending;
        }
        self.renewal = None;
        Poll::Ready(match answer {
            Some(Ok(Reply::Renewed(renewed))) => Ok(renewed),
            Some(Ok(other)) => panic!("not the answer to a renewal: {other:?}"),
            Some(Err(error)) => Err(error),
            None => {
                state.reconnect(self.node);
                Err(ApplyError::Unclear("no answer comes".into()))
            }
        })
    }

    fn give_back(&mut self, instance: Instance) -> Result<(), ApplyError> {
        self.short(Statement::GiveBack(instance)).map(|_| ())
    }

    fn doubt(&mut self, witnessed: Option<Mark>) -> Result<bool, ApplyError> {
        match self.short(Statement::Doubt(witnessed))? {
            Reply::Doubtful(is_doubtful) => Ok(is_doubtful),
            other => panic!("not the answer to a doubt: {other:?}"),
        }
    }

    fn change(&mut self, fence: &Fence, change: &Change) -> Result<(), ApplyError> {
        self.group(fence, change.clone())
    }

    fn load(&mut self, fence: &Fence, rested_before: UnixTime) -> Result<Snapshot, ApplyError> {
        let loaded = self.in_group(fence)?.load(rested_before);
        loaded.map_err(|error| ApplyError::Away(error.to_string()))
    }

    fn fates(
        &mut self,
        fence: &Fence,
        asker: UserId,
        letters: &[StatusQuery],
    ) -> Result<Vec<(PacketId, Status)>, ApplyError> {
        let question = Question::Fates { asker, letters: letters.to_vec() };
        match self.in_group(fence)?.answer(&question)? {
            Answer::Fates(fates) => Ok(fates),
            other => panic!("not the answer to a question for fates: {other:?}"),
        }
    }

    fn read(&mut self, question: &Question) -> Result<Answer, ApplyError> {
        self.ask(question)
    }

    fn to_remove(&mut self, question: &Question) -> Result<Vec<ExpiredLetter>, ApplyError> {
        let mut copy = self.database.lock().read(self.node)?.data.copy();
        match copy.answer(question)? {
            Answer::Expired(letters) => Ok(letters),
            other => panic!("not the answer to a question for old letters: {other:?}"),
        }
    }
}

/// A file beside the data of a node: it outlives the process.
#[derive(Clone, Default)]
pub(super) struct Witness {
    mark: Arc<Mutex<Option<Mark>>>,
    /// Nobody finds what was written.
    pub(super) is_broken: bool,
}

impl Witness {
    /// What was to be witnessed.
    pub(super) fn truth(&self) -> Option<Mark> {
        *self.mark.lock().unwrap()
    }
}

impl shared::Witness for Witness {
    fn mark(&self) -> Option<Mark> {
        self.truth().filter(|_| !self.is_broken)
    }

    fn write(&mut self, mark: Mark) {
        *self.mark.lock().unwrap() = Some(mark);
    }
}
