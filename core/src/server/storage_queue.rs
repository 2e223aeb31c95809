//! Writes on their way to storage, and questions to it.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::output::{ConnId, Output};
use super::storage::{Ask, Batch, Question, QueueId, Ticket, Write};
use crate::id::{PacketId, UserId};
use crate::time::Instant;

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// A user's session that fetches letters.
    Fetch(UserId, ConnId),
    /// A mailbox that learns how full it is.
    Mailbox(UserId),
    /// A user's session that wants to know about letters that it sent, in this packet.
    Fates(UserId, ConnId, PacketId),
    /// The search for letters that have expired.
    Expiry,
    /// What the operator has asked to be done to a user.
    Administration(UserId),
}

/// The writes of this turn, the batches under way, and the questions asked.
#[derive(Debug, Default)]
pub(super) struct StorageQueue {
    last_ticket: u64,
    /// The number of the turn.
    turn: u64,
    writes: Vec<Write>,
    /// Writes that neither anybody waits for nor any question is about: they go with the next
    /// batch, or at this moment.
    lingering: Vec<Write>,
    linger_until: Option<Instant>,
    /// Batches given out, each with its number.
    under_way: VecDeque<UnderWay>,
    batches: u64,
    questions: Vec<Ask>,
    askers: BTreeMap<Ticket, Asker>,
    /// When what storage did not do is tried again; `None` while it is not in trouble.
    retry_at: Option<Instant>,
}

/// A batch that was given out and has not ended.
#[derive(Debug)]
struct UnderWay {
    number: u64,
    since: Instant,
    batch: Arc<Batch>,
}

impl StorageQueue {
    /// How long a write that nobody waits for may wait for others to share its commit.
    const LINGER: Duration = Duration::from_millis(10);
    /// After how long what storage could not do is tried again.
    const RETRY: Duration = Duration::from_secs(1);

    /// The number of the turn.
    pub(super) const fn turn(&self) -> u64 {
        self.turn
    }

    pub(super) fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Notes a write that neither anybody waits for nor any question is about.
    pub(super) fn write_later(&mut self, write: Write, now: Instant) {
        self.linger_until.get_or_insert(now.after(Self::LINGER));
        self.lingering.push(write);
    }

    /// What lingers goes with this turn's batch.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.linger_until = self.linger_until.map(|until| until.min(now));
    }

    /// Notes a letter to be deleted, together with the others of this turn and mailbox.
    pub(super) fn delete(&mut self, recipient: UserId, letter: QueueId) {
        if let Some(Write::DeleteLetters { recipient: same, letters }) = self.writes.last_mut()
            && *same == recipient
        {
            letters.push(letter);
            return;
        }
        self.write(Write::DeleteLetters { recipient, letters: alloc::vec![letter] });
    }

    /// Storage has not done something: it is tried again after a while.
    pub(super) fn in_trouble(&mut self, now: Instant) {
        self.retry_at = Some(now.after(Self::RETRY));
    }

    /// Whether something that storage has not done is yet to be tried again.
    pub(super) const fn is_in_trouble(&self) -> bool {
        self.retry_at.is_some()
    }

    /// Whether it is time to try again. It is so once.
    pub(super) fn take_retry(&mut self, now: Instant) -> bool {
        self.retry_at.take_if(|at| *at <= now).is_some()
    }

    /// When something has been kept from storage for long enough, or is to be tried again.
    pub(super) fn wait_until(&self) -> Option<Instant> {
        [self.linger_until, self.retry_at].into_iter().flatten().min()
    }

    pub(super) fn ask(&mut self, asker: Asker, question: Question) {
        let ticket = self.next_ticket();
        self.askers.insert(ticket, asker);
        self.questions.push(Ask { ticket, question });
    }

    pub(super) fn asker(&mut self, ticket: Ticket) -> Option<Asker> {
        self.askers.remove(&ticket)
    }

    /// The oldest question without an answer. Answers come in the order of the questions.
    pub(super) fn oldest_question(&self) -> Option<Ticket> {
        self.askers.first_key_value().map(|(ticket, _)| *ticket)
    }

    /// The ticket given out last.
    pub(super) const fn last_ticket(&self) -> Ticket {
        Ticket(self.last_ticket)
    }

    /// What lingers goes with this turn's batch, if there is one, it is time, or somebody leaves
    /// and waits for it.
    pub(super) fn gather(&mut self, now: Instant, somebody_leaves: bool) {
        let is_due = self.linger_until.is_some_and(|until| until <= now);
        if is_due || somebody_leaves || !self.writes.is_empty() {
            // They came before those that no longer wait.
            self.lingering.append(&mut self.writes);
            core::mem::swap(&mut self.writes, &mut self.lingering);
            self.linger_until = None;
        }
    }

    /// Gives out this turn's batch, then its questions, so that they see it.
    pub(super) fn flush(&mut self, now: Instant, outputs: &mut VecDeque<Output>) {
        if !self.writes.is_empty() {
            let ticket = self.next_ticket();
            let batch = Arc::new(Batch { ticket, writes: core::mem::take(&mut self.writes) });
            self.batches = self.batches.saturating_add(1);
            let (number, given_out) = (self.batches, batch.clone());
            self.under_way.push_back(UnderWay { number, since: now, batch });
            outputs.push_back(Output::Store(given_out));
        }
        outputs.extend(self.questions.drain(..).map(Output::Ask));
        self.turn = self.turn.saturating_add(1);
    }

    /// Takes back the batch with this ticket. `None` when there is none, which would be the
    /// caller's mistake.
    pub(super) fn complete(&mut self, ticket: Ticket) -> Option<Arc<Batch>> {
        let at = self.under_way.iter().position(|under_way| under_way.batch.ticket == ticket)?;
        self.under_way.remove(at).map(|under_way| under_way.batch)
    }

    /// The number of the batch that holds, or will hold, the write made last.
    pub(super) fn horizon(&self) -> u64 {
        let waits = !self.writes.is_empty() || !self.lingering.is_empty();
        self.batches.saturating_add(u64::from(waits))
    }

    /// Whether all batches up to `horizon` have ended.
    pub(super) fn is_past(&self, horizon: u64) -> bool {
        let oldest = self.under_way.front().map(|under_way| under_way.number);
        self.batches >= horizon && oldest.is_none_or(|oldest| oldest > horizon)
    }

    /// Batches given out that have not ended, and since when the oldest of them is under way.
    pub(super) fn under_way(&self) -> (usize, Option<Instant>) {
        (self.under_way.len(), self.under_way.front().map(|under_way| under_way.since))
    }

    /// Questions without an answer.
    pub(super) fn questions(&self) -> usize {
        self.askers.len()
    }

    /// Whether a batch is to be given out or is under way.
    #[cfg(feature = "testing")]
    pub(super) fn has_writes(&self) -> bool {
        !self.writes.is_empty() || !self.under_way.is_empty()
    }

    /// Whether nothing is under way or asked.
    pub(super) fn is_idle(&self) -> bool {
        self.writes.is_empty()
            && self.lingering.is_empty()
            && self.under_way.is_empty()
            && self.askers.is_empty()
    }

    fn next_ticket(&mut self) -> Ticket {
        self.last_ticket = self.last_ticket.saturating_add(1);
        Ticket(self.last_ticket)
    }
}
