//! Codes on their way to phones. One goes out only when it is durable that it was counted: whoever
//! makes the server stop gets no code more for it.

use alloc::collections::VecDeque;

use super::Server;
use super::output::{OtpTicket, Output};
use super::storage::Write;
use crate::crypto::Provider;
use crate::phone::{Otp, Phone};
use crate::time::Now;

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
}

impl<P: Provider> Server<P> {
    /// Gives storage what is left of limits, with this turn's batch if a code waits for it.
    pub(super) fn keep_limits(&mut self, now: Now) {
        let forgettable = self.limits.forgettable();
        if !forgettable.is_empty() {
            self.storage.write_later(Write::ForgetAllowances(forgettable), now.instant);
        }
        let changes = self.limits.changes(now);
        let waits = self.outgoing_codes.are_to_be_counted();
        if !changes.is_empty() {
            let write = Write::KeepAllowances(changes);
            if waits {
                self.storage.write(write);
            } else {
                self.storage.write_later(write, now.instant);
            }
        }
        if waits {
            self.outgoing_codes.counted_in(self.storage.horizon());
        }
    }

    /// Sends the codes that storage has counted, if they have not expired meanwhile.
    pub(super) fn send_codes(&mut self) {
        while self.limits.are_kept()
            && let Some((Some(batch), ..)) = self.outgoing_codes.waiting.front()
            && self.storage.is_past(*batch)
        {
            let Some((_, ticket, phone, otp)) = self.outgoing_codes.waiting.pop_front() else {
                break;
            };
            if self.otps.is_alive(&phone, ticket) {
                self.outputs.push_back(Output::DeliverOtp { ticket, phone, otp });
            }
        }
    }
}
