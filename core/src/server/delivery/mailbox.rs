//! One mailbox: how full it is, as far as that is known. The letters themselves lie in storage.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::super::config::MailboxLimits;
use super::super::count::{BySender, Count};
use super::super::mail::{Inquiry, Letter};
use super::super::output::Limit;
use super::super::room::Room;
use super::super::storage::{QueueId, SenderUsage};
use crate::id::UserId;

/// Something that needs the mailbox's counters.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A letter for it.
    Letter(Letter),
    /// A 105 by id from its owner.
    Question { inquiry: Inquiry, about: UserId },
}

/// How full one mailbox is.
#[derive(Debug)]
pub(super) struct Mailbox {
    /// Something until the counters are known.
    learning: Option<Box<Learning>>,
    total: Count,
    senders: BySender,
    /// Letters accepted and not committed.
    uncommitted: usize,
    /// Letters may be counted that storage refused to delete when it counted.
    overcounts: bool,
}

/// What matters while storage counts.
#[derive(Debug)]
struct Learning {
    /// The turn at whose end storage is asked: it counts what that turn leaves.
    asked_in: u64,
    /// Removals that happened after storage was asked.
    removed: Vec<(QueueId, UserId, u64)>,
    waiting: Vec<Waiting>,
}

impl Mailbox {
    pub(super) fn empty() -> Self {
        Self {
            learning: None,
            total: Count::default(),
            senders: BySender::default(),
            uncommitted: 0,
            overcounts: false,
        }
    }

    /// One that storage is asked to count at the end of the turn `asked_in`.
    pub(super) fn uncounted(asked_in: u64, overcounts: bool) -> Self {
        let learning = Learning { asked_in, removed: Vec::new(), waiting: Vec::new() };
        Self { learning: Some(Box::new(learning)), overcounts, ..Self::empty() }
    }

    /// Counts a letter in, or says which limit is against it.
    pub(super) fn admit(
        &mut self,
        limits: &MailboxLimits,
        sender: UserId,
        bytes: u64,
    ) -> Result<(), Limit> {
        let pair = self.senders.of(sender);
        let places = Room { capacity: limits.letters.into(), taken: self.total.letters.into() };
        let space = Room { capacity: limits.bytes, taken: self.total.bytes };
        if !places.has_room(pair.letters.into(), 1) {
            return Err(Limit::LettersPerMailbox);
        }
        if !space.has_room(pair.bytes, bytes) {
            return Err(Limit::BytesPerMailbox);
        }
        let reached = [Limit::LettersPerPair, Limit::BytesPerPair];
        pair.admits(bytes, (limits.pair_letters, limits.pair_bytes), reached)?;
        self.total.add(bytes);
        self.senders.add(sender, bytes);
        self.uncommitted = self.uncommitted.saturating_add(1);
        Ok(())
    }

    /// A letter's commit has ended.
    pub(super) fn committed(&mut self) {
        self.uncommitted = self.uncommitted.saturating_sub(1);
    }

    /// Counts a letter out that is acknowledged or refused by storage in this turn.
    pub(super) fn removed(&mut self, turn: u64, letter: QueueId, sender: UserId, bytes: u64) {
        match &mut self.learning {
            None => self.count_out(sender, bytes),
            Some(learning) if turn > learning.asked_in => {
                learning.removed.push((letter, sender, bytes));
            }
            Some(_) => {}
        }
    }

    /// Storage has thrown a letter out, which `counted` until now. Answers come in order, so if the
    /// counters are not known yet, they will come without it.
    pub(super) fn expired(&mut self, letter: QueueId, sender: UserId, bytes: u64, counted: bool) {
        match &mut self.learning {
            Some(learning) => learning.removed.retain(|(id, ..)| *id != letter),
            None if counted => self.count_out(sender, bytes),
            None => {}
        }
    }

    /// What waits for the counters, when they will not be known.
    pub(super) fn into_waiting(self) -> Vec<Waiting> {
        self.learning.map_or_else(Vec::new, |learning| learning.waiting)
    }

    /// Takes out what waits for the counters.
    pub(super) fn take_waiting(&mut self) -> Vec<Waiting> {
        self.learning
            .as_mut()
            .map_or_else(Vec::new, |learning| core::mem::take(&mut learning.waiting))
    }

    /// Keeps something until the counters are known; gives it back if they are.
    pub(super) fn wait(&mut self, waiting: Waiting) -> Option<Waiting> {
        match &mut self.learning {
            Some(learning) => {
                learning.waiting.push(waiting);
                None
            }
            None => Some(waiting),
        }
    }

    /// Whether a sender has letters in it.
    pub(super) fn has_from(&self, sender: UserId) -> bool {
        self.senders.contains(sender)
    }

    fn count_out(&mut self, sender: UserId, bytes: u64) {
        self.total.remove(bytes);
        self.senders.remove(sender, bytes);
    }

    /// Takes in what storage has counted, and gives out what waits for it.
    pub(super) fn learn(&mut self, usage: Vec<SenderUsage>) -> Vec<Waiting> {
        for SenderUsage { letters, bytes, .. } in &usage {
            self.total.letters = self.total.letters.saturating_add(*letters);
            self.total.bytes = self.total.bytes.saturating_add(*bytes);
        }
        self.senders = usage.into_iter().collect();
        let Some(learning) = self.learning.take() else { return Vec::new() };
        for (_, sender, bytes) in learning.removed {
            self.count_out(sender, bytes);
        }
        learning.waiting
    }

    /// Whether its counters are too high, and would be right if they were learnt again now.
    pub(super) fn is_to_be_recounted(&self) -> bool {
        self.overcounts && self.is_at_rest()
    }

    /// Storage has refused to delete letters from it.
    pub(super) const fn overcounts(&mut self) {
        self.overcounts = true;
    }

    /// Whether no letter is in it or on its way there, if that is known.
    pub(super) fn is_empty(&self) -> Option<bool> {
        self.learning.is_none().then_some(self.total.letters == 0)
    }

    /// Whether its counters are known.
    pub(super) const fn is_known(&self) -> bool {
        self.learning.is_none()
    }

    /// Whether its counters are known, and not too high for a while.
    #[cfg(feature = "testing")]
    pub(super) fn is_exact(&self) -> bool {
        self.learning.is_none() && !self.overcounts
    }

    /// Letters that wait for its counters: senders, and bytes of packets.
    #[cfg(feature = "testing")]
    pub(super) fn waiting(&self) -> impl Iterator<Item = (UserId, u64)> {
        let waiting = self.learning.iter().flat_map(|learning| &learning.waiting);
        waiting.filter_map(|waiting| match waiting {
            Waiting::Letter(letter) => Some((letter.sender, letter.packet.len() as u64)),
            Waiting::Question { .. } => None,
        })
    }

    /// What is in it, or on its way there.
    pub(super) const fn total(&self) -> Count {
        self.total
    }

    /// What each sender has in it.
    pub(super) const fn by_sender(&self) -> &BySender {
        &self.senders
    }

    /// Whether its counters can be forgotten until the next use.
    pub(super) fn is_at_rest(&self) -> bool {
        self.learning.is_none() && self.uncommitted == 0
    }
}
