//! The window that the confirmation names, and the acknowledgments that make room in it again
//! (PROTOCOL.md, "Flow control and window").
//!
//! What is counted here is never more than what an honest server counts. It counts a letter when
//! the letter goes out, and this side when its header has come: later. It counts a letter out when
//! the acknowledgment has come, and this side when the acknowledgment is written: earlier. So a
//! letter for which there is no room here was not sent by an honest server, however the two
//! directions overlap.

use heapless::Vec;

use crate::id::PacketId;
use crate::limits::{ACKNOWLEDGED_BYTES, MAX_UNACKNOWLEDGED_BYTES};
use crate::time::Instant;

/// Letters that were handed over, until they are acknowledged.
pub(super) struct Window<const N: usize> {
    size: usize,
    /// Letters, and their bytes, that no acknowledgment was written for.
    letters: usize,
    bytes: usize,
    /// Letters among them whose fate is durable, and their bytes: their acknowledgment is not written
    /// yet.
    unwritten: Vec<PacketId, N>,
    unwritten_bytes: usize,
    unwritten_since: Option<Instant>,
}

impl<const N: usize> Window<N> {
    pub(super) const fn new(size: u8) -> Self {
        Self {
            size: size as usize,
            letters: 0,
            bytes: 0,
            unwritten: Vec::new(),
            unwritten_bytes: 0,
            unwritten_since: None,
        }
    }

    /// A letter of so many bytes begins to arrive. Whether there is room for it.
    pub(super) const fn count_in(&mut self, len: usize) -> bool {
        self.letters = self.letters.saturating_add(1);
        self.bytes = self.bytes.saturating_add(len);
        // The largest letter is smaller than the limit, so one always has room.
        self.letters <= self.size && self.bytes <= MAX_UNACKNOWLEDGED_BYTES
    }

    /// The fate of a letter is durable. Whether it is time to say so.
    pub(super) fn acknowledge(&mut self, letter: PacketId, len: usize, now: Instant) -> bool {
        // There is room for every letter that was counted in.
        if self.unwritten.push(letter).is_ok() {
            self.unwritten_bytes = self.unwritten_bytes.saturating_add(len);
        }
        self.unwritten_since.get_or_insert(now);
        self.unwritten.len() >= self.size.div_ceil(2) || self.unwritten_bytes >= ACKNOWLEDGED_BYTES
    }

    /// Takes out the letters to be acknowledged: each is [`told`](Self::told) or
    /// [`kept`](Self::keep) now.
    pub(super) fn take_unwritten(&mut self) -> Vec<PacketId, N> {
        core::mem::take(&mut self.unwritten)
    }

    /// An acknowledgment of so many of them is written. The bytes of all go with the first one: to
    /// count too few lets a liar send a little more, to count too many would accuse the honest.
    pub(super) fn told(&mut self, count: usize) {
        self.letters = self.letters.saturating_sub(count);
        self.bytes = self.bytes.saturating_sub(core::mem::take(&mut self.unwritten_bytes));
        if self.unwritten.is_empty() {
            self.unwritten_since = None;
        }
    }

    /// There was no room for their acknowledgment: it follows. They were here before, so there is room
    /// for them.
    pub(super) fn keep(&mut self, letters: &[PacketId], since: Instant) {
        for letter in letters {
            let _ = self.unwritten.push(*letter);
        }
        self.unwritten_since.get_or_insert(since);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unwritten.is_empty()
    }

    /// Since when the oldest of them waits.
    pub(super) const fn unwritten_since(&self) -> Option<Instant> {
        self.unwritten_since
    }
}
