//! Places at which a test can make the server die. Builds without debug assertions have none.

#[cfg(debug_assertions)]
use std::sync::OnceLock;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU32, Ordering};

use waxwing_core::wire::{Frame, Op, deframe};

/// A place in the code at which a test can have the server die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failpoint {
    /// Letters and deletions are in a transaction that is not committed.
    BeforeCommit,
    /// They are committed, and nobody has been told.
    AfterCommit,
    /// A packet that says what became of letters is about to go out.
    BeforeAcknowledgment,
    /// A letter is about to go to its recipient.
    BeforeForwarding,
    /// A letter that its recipient has acknowledged is about to be deleted.
    BeforeDeleting,
    /// An act of an operator is in the audit log, and has not been done.
    AfterAuditLine,
    /// A user is removed, and what is left elsewhere is not erased.
    BeforeErasing,
}

impl Failpoint {
    /// Every place, and its name.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::BeforeCommit, "before_commit"),
        (Self::AfterCommit, "after_commit"),
        (Self::BeforeAcknowledgment, "before_acknowledgment"),
        (Self::BeforeForwarding, "before_forwarding"),
        (Self::BeforeDeleting, "before_deleting"),
        (Self::AfterAuditLine, "after_audit_line"),
        (Self::BeforeErasing, "before_erasing"),
    ];

    /// Dies here if `WAXWING_FAILPOINT` is `NAME:N` and this is the N-th time.
    #[cfg(debug_assertions)]
    pub(crate) fn pass(self) {
        static ARMED: OnceLock<Option<(Failpoint, AtomicU32)>> = OnceLock::new();
        let arm = || {
            let value = std::env::var("WAXWING_FAILPOINT").ok()?;
            let (name, times) = value.split_once(':')?;
            let (point, _) = Self::ALL.into_iter().find(|(_, known)| *known == name)?;
            Some((point, AtomicU32::new(times.parse().ok()?)))
        };
        if let Some((point, left)) = ARMED.get_or_init(arm)
            && *point == self
            && left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            std::process::abort();
        }
    }

    #[cfg(not(debug_assertions))]
    pub(crate) const fn pass(self) {}

    /// Passes the place before this packet.
    pub(crate) fn pass_packet(packet: &[u8]) {
        if cfg!(debug_assertions)
            && let Ok(Frame::Complete(header)) = deframe(packet)
        {
            match Op::from_code(header.op_code) {
                Some(Op::Acknowledgment) => Self::BeforeAcknowledgment.pass(),
                Some(Op::Letter) => Self::BeforeForwarding.pass(),
                _ => {}
            }
        }
    }
}
