//! How much of a turn goes to private-key operations that can wait (ARCHITECTURE.md, "Machines
//! without I/O").
//!
//! One of them costs as much as sixteen letters. So what asks for one stands in a line: whoever has no
//! session, in that of [`super::gate`], and what sessions want to be told, in that of
//! [`super::sessions`]. The end of a turn serves the first of each: one at least, and more as long as
//! they cost less than what sessions had done in the same turn, or while no session speaks.

use core::time::Duration;

use crate::time::Instant;

/// What sessions had done.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// Packets of sessions in this turn, each of which cost a verification.
    session_packets: u64,
    /// The last turn that had some.
    sessions_spoke: Option<Instant>,
}

impl Share {
    /// What a private-key operation costs, in verifications.
    const PRIVATE_KEY_OPERATION: u64 = 16;
    /// So many are done in a turn while no session speaks: more and smaller turns would cost more
    /// system calls.
    const WHILE_SESSIONS_REST: u64 = 16;
    /// Sessions that have been silent for so long are not about to speak.
    const REST: Duration = Duration::from_millis(20);

    pub(super) fn count_session_packet(&mut self) {
        self.session_packets = self.session_packets.saturating_add(1);
    }

    /// What this turn may spend on each of the lines, in verifications. The next turn is counted anew.
    pub(super) fn of_this_turn(&mut self, now: Instant) -> u64 {
        let spent = core::mem::take(&mut self.session_packets);
        if spent > 0 {
            self.sessions_spoke = Some(now);
        }
        if self.sessions_spoke.is_some_and(|at| now.since(at) < Self::REST) {
            spent.max(Self::PRIVATE_KEY_OPERATION)
        } else {
            Self::PRIVATE_KEY_OPERATION.saturating_mul(Self::WHILE_SESSIONS_REST)
        }
    }
}

/// What is left of the share that one of the lines has of a turn.
#[derive(Debug)]
pub(super) struct Budget {
    /// In verifications.
    share: u64,
    /// How often the private key had been used before.
    operations: u64,
    verified: u64,
}

impl Budget {
    /// So many verifications' worth, from when the private key has been used so often.
    pub(super) const fn new(share: u64, operations: u64) -> Self {
        Self { share, operations, verified: 0 }
    }

    /// Whether some is left when the private key has been used so often.
    pub(super) const fn is_left(&self, operations: u64) -> bool {
        let used = operations.saturating_sub(self.operations);
        let cost = used.saturating_mul(Share::PRIVATE_KEY_OPERATION);
        cost.saturating_add(self.verified) < self.share
    }

    /// Something has cost a verification, or hardly more.
    pub(super) fn count_verification(&mut self) {
        self.verified = self.verified.saturating_add(1);
    }
}
