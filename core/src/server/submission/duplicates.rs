//! Which letters a sender has handed in lately (PROTOCOL.md, "Duplicates").

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::id::PacketId;
use crate::time::Instant;
use crate::wire::Status;

/// What is known of a recent letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recent {
    /// Its commit is under way; so many copies wait for one answer each.
    Pending { copies: usize },
    /// It was answered with this status.
    Answered(Status),
}

/// The recent letters of one sender. A replay of anything older may be stored and forwarded
/// again; the guarantee against that is the recipient's.
#[derive(Debug, Default)]
pub(super) struct Duplicates {
    letters: VecDeque<(PacketId, Instant, Recent)>,
}

impl Duplicates {
    const CAPACITY: usize = 256;
    /// Twice the freshness window: a packet older than that is stale anyway.
    const LIFE: Duration = Duration::from_secs(600);

    /// Notes a letter that came in. `None` when it is new; else what is known of it, after
    /// counting one more copy of a pending one.
    pub(super) fn note(&mut self, id: PacketId, now: Instant) -> Option<Recent> {
        if let Some(known) = self.find(id) {
            if let Recent::Pending { copies } = known {
                *copies = copies.saturating_add(1);
            }
            return Some(*known);
        }
        if self.letters.len() >= Self::CAPACITY {
            self.letters.pop_front();
        }
        self.letters.push_back((id, now, Recent::Pending { copies: 1 }));
        None
    }

    /// Sets the status of a letter and returns how many copies waited for it; `None` when the
    /// letter is not remembered.
    pub(super) fn answer(&mut self, id: PacketId, status: Status) -> Option<usize> {
        let known = self.find(id)?;
        match core::mem::replace(known, Recent::Answered(status)) {
            Recent::Pending { copies } => Some(copies),
            Recent::Answered(before) => {
                *known = Recent::Answered(status.after(before));
                Some(0)
            }
        }
    }

    /// Forgets a letter that was refused and returns how many copies waited; `None` when the
    /// letter is not remembered.
    pub(super) fn forget(&mut self, id: PacketId) -> Option<usize> {
        let at = self.letters.iter().position(|(known, _, _)| *known == id)?;
        match self.letters.remove(at)? {
            (_, _, Recent::Pending { copies }) => Some(copies),
            (_, _, Recent::Answered(_)) => Some(0),
        }
    }

    /// Whether the letter waits for its first answer.
    pub(super) fn is_pending(&mut self, id: PacketId) -> bool {
        matches!(self.find(id), Some(Recent::Pending { .. }))
    }

    /// Whether all of it is too old to matter.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.letters.back().is_none_or(|(_, at, _)| now.since(*at) > Self::LIFE)
    }

    fn find(&mut self, id: PacketId) -> Option<&mut Recent> {
        // A retry is of a recent letter, and answers come in order: look from the back.
        self.letters.iter_mut().rev().find(|(known, _, _)| *known == id).map(|(_, _, r)| r)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_the_last_letter_is_too_old_to_matter() {
        let at = |seconds: u64| Instant::from_millis(seconds * 1_000);
        let mut letters = Duplicates::default();
        assert!(letters.is_over(at(0)));
        letters.note(PacketId([1; 16]), at(0));
        letters.note(PacketId([2; 16]), at(100));
        assert!(!letters.is_over(at(700)));
        assert!(letters.is_over(at(701)));
    }
}
