//! Places at which a test can make the server die or wait. Builds without debug assertions have none.

#[cfg(debug_assertions)]
use std::sync::OnceLock;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU32, Ordering};
#[cfg(debug_assertions)]
use std::time::Duration;

use waxwing_core::wire::{Frame, Op, deframe};

/// A place in the code at which a test can have the server die or wait.
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
    /// A planned key takes its place, and one more of the steps on the disk is done.
    KeyChanging,
    /// A backup is whole, and has the name of a draft.
    BeforeBackupIsNamed,
    /// Everything has ended, and storage is about to be closed.
    BeforeClosing,
}

/// The place that was chosen, and what happens there.
#[cfg(debug_assertions)]
struct Armed {
    point: Failpoint,
    left: AtomicU32,
    /// The thread waits for so long; if there is nothing, the server dies.
    wait: Option<Duration>,
}

impl Failpoint {
    /// Every place, and its name.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::BeforeCommit, "before_commit"),
        (Self::AfterCommit, "after_commit"),
        (Self::BeforeAcknowledgment, "before_acknowledgment"),
        (Self::BeforeForwarding, "before_forwarding"),
        (Self::BeforeDeleting, "before_deleting"),
        (Self::AfterAuditLine, "after_audit_line"),
        (Self::BeforeErasing, "before_erasing"),
        (Self::KeyChanging, "key_changing"),
        (Self::BeforeBackupIsNamed, "before_backup_is_named"),
        (Self::BeforeClosing, "before_closing"),
    ];

    /// Dies here if `WAXWING_FAILPOINT` is `NAME:N` and this is the N-th time; waits if it is
    /// `NAME:N:MILLISECONDS`.
    #[cfg(debug_assertions)]
    pub(crate) fn pass(self) {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        let armed = ARMED.get_or_init(|| Armed::by(&std::env::var("WAXWING_FAILPOINT").ok()?));
        let Some(Armed { point, left, wait }) = armed else { return };
        if *point == self && left.fetch_sub(1, Ordering::Relaxed) == 1 {
            match wait {
                Some(wait) => std::thread::sleep(*wait),
                None => std::process::abort(),
            }
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

#[cfg(debug_assertions)]
impl Armed {
    fn by(value: &str) -> Option<Self> {
        let mut parts = value.split(':');
        let (name, times) = (parts.next()?, parts.next()?.parse().ok()?);
        let (point, _) = Failpoint::ALL.into_iter().find(|(_, known)| *known == name)?;
        let wait = parts.next().and_then(|wait| wait.parse().ok()).map(Duration::from_millis);
        Some(Self { point, left: AtomicU32::new(times), wait })
    }
}
