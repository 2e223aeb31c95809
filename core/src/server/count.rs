//! How many letters count somewhere, and of how many bytes.

/// Pending letters, of one sender or of all together, in one mailbox or in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) letters: u32,
    pub(super) bytes: u64,
}

impl Count {
    pub(super) fn add(&mut self, bytes: u64) {
        self.letters = self.letters.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(super) fn remove(&mut self, bytes: u64) {
        self.letters = self.letters.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(super) const fn has_room(self, bytes: u64, letters_max: u32, bytes_max: u64) -> bool {
        self.letters < letters_max && self.bytes.saturating_add(bytes) <= bytes_max
    }
}
