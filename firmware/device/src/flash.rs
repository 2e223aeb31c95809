//! A page that survives power.
//!
//! Two slots are written in turn, each with a counter and a checksum, so that power may fail in
//! the middle of a write: then the other slot still holds what was there before.

use waxwing_core::crypto::{Provider, RustCrypto};

use crate::board::{Board, Region};

/// Bytes of a slot.
pub const PAGE: usize = 2_048;
/// Bytes of it that are the caller's.
pub const ROOM: usize = PAGE - COUNTER - CHECKSUM;

const COUNTER: usize = 4;
const CHECKSUM: usize = 32;
const SLOTS: [Region; 2] = [Region::FirstSlot, Region::SecondSlot];

/// The page.
pub struct Flash {
    board: &'static dyn Board,
    /// That of the slot which was read or written last.
    counter: u32,
}

/// The page could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteFailed;

impl Flash {
    /// That of a board. Nothing has been read yet.
    pub fn new(board: &'static dyn Board) -> Self {
        Self { board, counter: 0 }
    }

    /// Reads the newest slot that is whole into `page`: whether there is one.
    pub fn read(&mut self, page: &mut [u8; ROOM]) -> bool {
        let mut newest = None;
        for slot in SLOTS {
            let mut bytes = [0; PAGE];
            let is_whole = self.board.read(slot, &mut bytes) == Some(PAGE);
            let (content, checksum) = bytes.split_at(PAGE - CHECKSUM);
            if !is_whole || RustCrypto.sha256(&[content]).0 != *checksum {
                continue;
            }
            let (counter, content) = content.split_at(COUNTER);
            let counter = counter.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
            if newest.is_none_or(|newest| newest < counter) {
                newest = Some(counter);
                page.copy_from_slice(content);
            }
        }
        self.counter = newest.unwrap_or(0);
        newest.is_some()
    }

    /// Writes the page. When this returns it survives power.
    ///
    /// # Errors
    /// [`WriteFailed`]; what was there before is still there.
    pub fn write(&mut self, page: &[u8; ROOM]) -> Result<(), WriteFailed> {
        let counter = self.counter + 1;
        let mut bytes = [0; PAGE];
        let (content, checksum) = bytes.split_at_mut(PAGE - CHECKSUM);
        let (head, body) = content.split_at_mut(COUNTER);
        head.copy_from_slice(&counter.to_le_bytes());
        body.copy_from_slice(page);
        checksum.copy_from_slice(&RustCrypto.sha256(&[content]).0);
        if !self.board.write(SLOTS[counter as usize % SLOTS.len()], &bytes) {
            return Err(WriteFailed);
        }
        self.counter = counter;
        Ok(())
    }
}
