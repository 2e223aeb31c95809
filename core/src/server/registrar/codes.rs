//! Codes on their way to phones. One goes out only when it is durable that it was counted: whoever
//! makes the server stop gets no code more for it.

use alloc::collections::VecDeque;

use super::super::output::OtpTicket;
use crate::phone::{Otp, Phone};

/// Codes that wait for storage.
#[derive(Debug, Default)]
pub(super) struct OutgoingCodes {
    /// Each with the last batch that counts it; `None` until the turn ends.
    waiting: VecDeque<(Option<u64>, OtpTicket, Phone, Otp)>,
}

impl OutgoingCodes {
    pub(super) fn push(&mut self, ticket: OtpTicket, phone: Phone, otp: Otp) {
        self.waiting.push_back((None, ticket, phone, otp));
    }

    /// Whether the batch that counts one of them has yet to be given out.
    pub(super) fn are_to_be_counted(&self) -> bool {
        self.waiting.back().is_some_and(|(batch, ..)| batch.is_none())
    }

    /// This batch counts those that no other does.
    pub(super) fn counted_in(&mut self, batch: u64) {
        let others = self.waiting.iter_mut().rev().take_while(|(counted, ..)| counted.is_none());
        others.for_each(|(counted, ..)| *counted = Some(batch));
    }

    /// Storage is told again what it did not take.
    pub(super) fn count_again(&mut self) {
        self.waiting.iter_mut().for_each(|(counted, ..)| *counted = None);
    }

    /// The next code that these batches have counted.
    pub(super) fn pop(&mut self, is_past: impl Fn(u64) -> bool) -> Option<(OtpTicket, Phone, Otp)> {
        self.waiting.front().filter(|(batch, ..)| batch.is_some_and(is_past))?;
        let (_, ticket, phone, otp) = self.waiting.pop_front()?;
        Some((ticket, phone, otp))
    }
}
