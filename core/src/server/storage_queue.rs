//! Writes on their way to storage, and questions to it.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use hashbrown::{HashMap, HashSet};

use super::output::{ConnId, Output};
use super::shard::Shard;
use super::storage::{Ask, Batch, PendingLetter, Question, QueueId, Ticket, Write};
use crate::id::{PacketId, UserId};
use crate::time::Instant;

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// A session that fetches letters.
    Fetch(ConnId),
    /// A mailbox that learns how full it is.
    Mailbox(UserId),
    /// A session that wants to know about letters that it sent, in this packet.
    Fates(ConnId, PacketId),
    /// The search for letters that have expired.
    Expiry,
}

/// The writes of this turn, the batches under way, and the questions asked.
#[derive(Debug, Default)]
pub(super) struct StorageQueue {
    shard: Shard,
    last_queue_id: QueueId,
    last_ticket: u64,
    /// The number of the turn.
    turn: u64,
    writes: Vec<Write>,
    /// Writes that neither anybody waits for nor any question is about: they go with the next
    /// batch, or at this moment.
    lingering: Vec<Write>,
    linger_until: Option<Instant>,
    /// Letters that went out to their recipients and are not given to storage yet, in the order of
    /// their places, with the moment at which they will be.
    held: VecDeque<(Instant, Arc<PendingLetter>)>,
    /// Writes that storage could not take and that must not be given up.
    deferred: Vec<Write>,
    /// Batches given out, each with its number.
    under_way: VecDeque<(u64, Arc<Batch>)>,
    batches: u64,
    questions: Vec<Ask>,
    askers: HashMap<Ticket, Asker>,
}

impl StorageQueue {
    /// How long a letter that its recipient has been given may stay out of storage.
    const HOLD: Duration = Duration::from_millis(2);

    /// How long a write that nobody waits for may wait for others to share its commit.
    const LINGER: Duration = Duration::from_millis(10);

    pub(super) fn new(shard: Shard, last_queue_id: QueueId) -> Self {
        Self { shard, last_queue_id, ..Self::default() }
    }

    /// The next letter's place. Shards take turns, so that none gives out the place of another.
    pub(super) fn next_queue_id(&mut self) -> QueueId {
        let (index, count) = (u64::from(self.shard.id().0), u64::from(self.shard.count()));
        let next = self.last_queue_id.0.saturating_add(1);
        let past = next.checked_rem(count).unwrap_or(0);
        let wait = if index < past { index.saturating_add(count) } else { index };
        self.last_queue_id = QueueId(next.saturating_add(wait.saturating_sub(past)));
        self.last_queue_id
    }

    /// The place of the letter accepted last.
    pub(super) const fn last_queue_id(&self) -> QueueId {
        self.last_queue_id
    }

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

    /// Holds a letter back from storage: its recipient may acknowledge it in time, and then it is
    /// never written.
    pub(super) fn hold(&mut self, letter: Arc<PendingLetter>, now: Instant) {
        self.held.push_back((now.after(Self::HOLD), letter));
    }

    /// Takes back a letter that was held, if it still is.
    pub(super) fn take_held(&mut self, letter: QueueId) -> bool {
        let at = self.held.binary_search_by_key(&letter, |(_, held)| held.queue_id);
        at.is_ok_and(|at| self.held.remove(at).is_some())
    }

    /// When something has been kept from storage for long enough.
    pub(super) fn wait_until(&self) -> Option<Instant> {
        let held = self.held.front().map(|(until, _)| *until);
        [held, self.linger_until].into_iter().flatten().min()
    }

    /// Letters that have been held for long enough are to be stored.
    pub(super) fn release_due(&mut self, now: Instant) {
        while let Some((_, letter)) = self.held.pop_front_if(|(until, _)| *until <= now) {
            self.write(Write::InsertLetter(letter));
        }
    }

    /// All letters held for a recipient are to be stored: whoever had them is gone.
    pub(super) fn release_all_of(&mut self, recipient: UserId) {
        let (writes, held) = (&mut self.writes, &mut self.held);
        held.retain(|(_, letter)| {
            let stays = letter.recipient != recipient;
            if !stays {
                writes.push(Write::InsertLetter(letter.clone()));
            }
            stays
        });
    }

    /// Notes an acknowledged letter, together with the others of this turn and mailbox.
    pub(super) fn delete(&mut self, recipient: UserId, letter: QueueId) {
        if let Some(Write::DeleteLetters { recipient: same, letters }) = self.writes.last_mut()
            && *same == recipient
        {
            letters.push(letter);
            return;
        }
        self.write(Write::DeleteLetters { recipient, letters: alloc::vec![letter] });
    }

    /// Keeps a write that storage refused, for [`StorageQueue::retry`].
    pub(super) fn defer(&mut self, write: Write) {
        self.deferred.push(write);
    }

    /// Puts deferred writes into the next batch, but for those that are out of date.
    pub(super) fn retry(&mut self, is_current: impl Fn(&Write) -> bool) {
        self.writes.extend(self.deferred.drain(..).filter(is_current));
    }

    /// Whether storage is yet to take the deletion of this letter.
    pub(super) fn defers_deleting(&self, letter: QueueId) -> bool {
        self.deferred.iter().any(
            |write| matches!(write, Write::DeleteLetters { letters, .. } if letters.contains(&letter)),
        )
    }

    /// Whether storage is yet to take the deletion of any letter of this recipient.
    pub(super) fn defers_deleting_from(&self, owner: UserId) -> bool {
        self.deferred.iter().any(
            |write| matches!(write, Write::DeleteLetters { recipient, .. } if *recipient == owner),
        )
    }

    /// Letters whose deletion has not been done, in `ended` included: they are counted out already.
    pub(super) fn deleting(&self, ended: &[Write]) -> HashSet<QueueId> {
        let under_way = self.under_way.iter().flat_map(|(_, batch)| &batch.writes);
        let writes = under_way.chain(&self.writes).chain(&self.deferred).chain(ended);
        let letters = writes.filter_map(|write| match write {
            Write::DeleteLetters { letters, .. } => Some(letters),
            _ => None,
        });
        letters.flatten().copied().collect()
    }

    /// Letters that storage has not said to have taken.
    #[cfg(feature = "testing")]
    pub(super) fn letters(&self) -> impl Iterator<Item = &PendingLetter> {
        let under_way = self.under_way.iter().flat_map(|(_, batch)| &batch.writes);
        let written = under_way.chain(&self.writes).filter_map(|write| match write {
            Write::InsertLetter(letter) => Some(letter),
            _ => None,
        });
        written.chain(self.held.iter().map(|(_, letter)| letter)).map(|letter| &**letter)
    }

    pub(super) fn has_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    pub(super) fn ask(&mut self, asker: Asker, question: Question) {
        let ticket = self.next_ticket();
        self.askers.insert(ticket, asker);
        self.questions.push(Ask { ticket, question });
    }

    pub(super) fn asker(&mut self, ticket: Ticket) -> Option<Asker> {
        self.askers.remove(&ticket)
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
    pub(super) fn flush(&mut self, outputs: &mut VecDeque<Output>) {
        if !self.writes.is_empty() {
            let ticket = self.next_ticket();
            let batch = Arc::new(Batch { ticket, writes: core::mem::take(&mut self.writes) });
            self.batches = self.batches.saturating_add(1);
            self.under_way.push_back((self.batches, batch.clone()));
            outputs.push_back(Output::Store(batch));
        }
        outputs.extend(self.questions.drain(..).map(Output::Ask));
        self.turn = self.turn.saturating_add(1);
    }

    /// Takes back the batch with this ticket. `None` when there is none, which would be the
    /// caller's mistake.
    pub(super) fn complete(&mut self, ticket: Ticket) -> Option<Arc<Batch>> {
        let at = self.under_way.iter().position(|(_, batch)| batch.ticket == ticket)?;
        self.under_way.remove(at).map(|(_, batch)| batch)
    }

    /// The number of the batch that holds, or will hold, the write made last.
    pub(super) fn horizon(&self) -> u64 {
        let waits = !self.writes.is_empty() || !self.lingering.is_empty();
        self.batches.saturating_add(u64::from(waits))
    }

    /// Whether all batches up to `horizon` have ended, and nothing of them waits for a retry.
    pub(super) fn is_past(&self, horizon: u64) -> bool {
        let oldest = self.under_way.front().map(|(number, _)| *number);
        self.batches >= horizon
            && oldest.is_none_or(|oldest| oldest > horizon)
            && self.deferred.is_empty()
    }

    /// Whether nothing is under way, to be tried again, or asked.
    pub(super) fn is_idle(&self) -> bool {
        self.writes.is_empty()
            && self.lingering.is_empty()
            && self.held.is_empty()
            && self.under_way.is_empty()
            && self.deferred.is_empty()
            && self.askers.is_empty()
    }

    fn next_ticket(&mut self) -> Ticket {
        self.last_ticket = self.last_ticket.saturating_add(1);
        Ticket(self.last_ticket)
    }
}
