//! How the holder of the lease changes the database, and finds out what has become of a group.

use std::sync::Arc;
use std::task::Poll;

use waxwing_core::server::storage::{Answer, Batch, Question, Snapshot};
use waxwing_core::time::UnixTime;

use super::database::{Change, Database, Witness};
use super::lease::{Holder, Node, Renewal};
use super::lost;
use crate::store::{ApplyError, Resolved};

/// The database of the server that has the lease.
pub struct Groups<D> {
    database: D,
    holder: Holder,
    witness: Box<dyn Witness>,
    /// What is to be answered if the group that is unclear has happened.
    answer: Option<Answer>,
}

impl<D: Database> Groups<D> {
    /// The lease was taken. Whatever was there then is as safe as the lease is.
    #[must_use]
    pub fn new(database: D, holder: Holder, mut witness: Box<dyn Witness>) -> Self {
        witness.write(holder.fence().last);
        Self { database, holder, witness, answer: None }
    }

    /// The database, for what needs no fence.
    pub const fn database(&self) -> &D {
        &self.database
    }

    /// The same, to ask it something.
    pub const fn database_mut(&mut self) -> &mut D {
        &mut self.database
    }

    /// What a server machine starts from.
    ///
    /// # Errors
    /// As [`Groups::commit`].
    pub fn load(&mut self, rested_before: UnixTime) -> Result<Snapshot, ApplyError> {
        let loaded = self.database.load(&self.holder.fence(), rested_before);
        self.end(loaded)
    }

    /// As [`crate::store::Storage::apply`].
    ///
    /// # Errors
    /// As [`Groups::commit`].
    pub fn apply(&mut self, batches: &[Arc<Batch>]) -> Result<(), ApplyError> {
        self.commit(&Change::Batches(batches.to_vec()))
    }

    /// Commits a group.
    ///
    /// # Errors
    /// As [`crate::store::Storage::apply`]. *Fenced* is said only after a renewal: the row may have changed
    /// because an attempt of this process to renew the lease has come late.
    pub fn commit(&mut self, change: &Change) -> Result<(), ApplyError> {
        let changed = self.database.change(&self.holder.fence(), change);
        self.end(changed)
    }

    /// As [`crate::store::Storage::answer`].
    ///
    /// # Errors
    /// As [`Groups::commit`].
    pub fn answer(&mut self, question: &Question) -> Result<Answer, ApplyError> {
        match question {
            Question::Letters { .. } => self.letters(question),
            Question::Usage { .. } => self.database.read(question),
            Question::Fates { asker, letters } => {
                let fates = self.database.fates(&self.holder.fence(), *asker, letters);
                self.end(fates).map(Answer::Fates)
            }
            Question::Expire { forget_before, now, .. } => {
                self.remove(question, Some(*forget_before), *now)
            }
            Question::TakeOut { now, .. } => self.remove(question, None, *now),
        }
    }

    /// Sound letters of a mailbox. Damaged ones on the way to them are set aside.
    fn letters(&mut self, question: &Question) -> Result<Answer, ApplyError> {
        let mut set_aside = Vec::new();
        loop {
            let read = self.database.read(question)?;
            let Answer::Letters { letters, damaged, exhausted } = read else { return Ok(read) };
            if damaged.is_empty() {
                return Ok(Answer::Letters { letters, damaged: set_aside, exhausted });
            }
            for letter in &damaged {
                let (queue_id, bytes) = (letter.queue_id.0, letter.bytes);
                tracing::error!(name: "letter_damaged", queue_id, bytes, "a letter is damaged; it is set aside and counts as undelivered");
            }
            let places = damaged.iter().map(|letter| (letter.recipient, letter.queue_id)).collect();
            set_aside.extend(damaged);
            let done = self.commit(&Change::SetAside { letters: places });
            if matches!(done, Err(ApplyError::Unclear(_))) {
                let damaged = set_aside.clone();
                self.answer = Some(Answer::Letters { letters, damaged, exhausted });
            }
            done?;
        }
    }

    /// Looks which letters go, and removes them by their places, so that the answer is known when it turns
    /// out that they have gone.
    fn remove(
        &mut self,
        question: &Question,
        forget_before: Option<UnixTime>,
        now: UnixTime,
    ) -> Result<Answer, ApplyError> {
        let expired = self.database.to_remove(question)?;
        let letters = expired.iter().map(|letter| (letter.recipient, letter.queue_id)).collect();
        let removed = self.commit(&Change::Removal { letters, forget_before, now });
        let answer = Answer::Expired(expired);
        if matches!(removed, Err(ApplyError::Unclear(_))) {
            self.answer = Some(answer.clone());
        }
        removed.map(|()| answer)
    }

    fn end<T>(&mut self, ended: Result<T, ApplyError>) -> Result<T, ApplyError> {
        self.answer = None;
        match ended {
            Ok(done) => {
                self.holder.done();
                self.witness.write(self.holder.fence().last);
                Ok(done)
            }
            Err(ApplyError::Unclear(why)) => {
                self.holder.lost_the_answer();
                Err(ApplyError::Unclear(why))
            }
            // Whose row it is, a renewal says.
            Err(ApplyError::Fenced(why)) => Err(ApplyError::Unclear(why)),
            Err(error) => Err(error),
        }
    }

    /// As [`crate::store::Storage::resolve`].
    ///
    /// # Errors
    /// As [`crate::store::Storage::resolve`].
    pub fn resolve(&mut self) -> Result<Option<Resolved>, ApplyError> {
        let Poll::Ready(renewed) = self.database.renew(self.holder.fence().instance) else {
            return Ok(None);
        };
        match self.holder.renewed(renewed?) {
            Renewal::Done => {
                self.witness.write(self.holder.fence().last);
                Ok(Some(Resolved::Done(self.answer.take())))
            }
            Renewal::NotDone => Ok(Some(Resolved::NotDone)),
            Renewal::Fenced => Err(ApplyError::Fenced(
                "the lease of the database names another server; started again, this one stands by"
                    .into(),
            )),
            Renewal::Lost => Err(self.has_lost()),
        }
    }

    /// Why the lease does not name this server any more, which has the name `own`: another server has it; or a
    /// server of the same name; or the database is an older one.
    pub fn why_fenced(&mut self, own: Node, why: String) -> ApplyError {
        let last = self.holder.fence().last;
        match self.database.look(Some(last)) {
            Ok(seen) if seen.is_lost(Some(last)) => self.has_lost(),
            Ok(seen) if seen.lease.holder.is_some_and(|(node, _)| node == own) => ApplyError::Twin(
                "a server with the same name has taken the database over: one of the two data directories is a \
                 copy of the other. Let one of the two servers never start again, or remove the file `node` \
                 from its data directory"
                    .into(),
            ),
            _ => ApplyError::Fenced(why),
        }
    }

    /// The database is an older one, and has to say so to everybody.
    fn has_lost(&mut self) -> ApplyError {
        if let Err(error) = self.database.doubt(Some(self.holder.fence().last)) {
            tracing::warn!(name: "doubt_not_stored", %error, "the database does not take the mark that it has lost something");
        }
        lost()
    }

    /// The lease is given back, so that another server takes it at once.
    pub fn give_back(&mut self) {
        if let Err(error) = self.database.give_back(self.holder.fence().instance) {
            tracing::warn!(name: "lease_not_given_back", %error, "another server waits until the lease is over");
        }
    }
}
