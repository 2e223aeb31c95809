//! Payloads of 255 (PROTOCOL.md, "End of backlog").

use super::{Full, Malformed, Reader, Writer};
use crate::crypto::BLOCK_LEN;
use crate::id::Nonce;

/// To one: `count u32`, the letters that were pending when the session was confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BacklogSize(pub u32);

impl BacklogSize {
    /// Reads the content.
    ///
    /// # Errors
    /// [`Malformed`] unless it is four bytes.
    pub fn parse(content: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(content);
        let count = reader.u32()?;
        reader.finish()?;
        Ok(Self(count))
    }

    /// Writes the content.
    ///
    /// # Errors
    /// [`Full`] when there is no room.
    pub fn emit(self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.u32(self.0)
    }
}

/// To many: one block for each, `nonce[0..12] ‖ count u32`, the nonce being that of the
/// client's 101 or 106.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BacklogToken;

impl BacklogToken {
    const NONCE_LEN: usize = 12;

    /// The count, when the opened token names `nonce`; `None` when it is somebody else's.
    #[must_use]
    pub fn parse(block: &[u8; BLOCK_LEN], nonce: &Nonce) -> Option<BacklogSize> {
        let (named, count) = block.split_at_checked(Self::NONCE_LEN)?;
        if named == nonce.0.get(..Self::NONCE_LEN)? { BacklogSize::parse(count).ok() } else { None }
    }

    /// The block, before it is encrypted.
    #[must_use]
    pub fn block(nonce: &Nonce, size: BacklogSize) -> [u8; BLOCK_LEN] {
        let mut block = [0; BLOCK_LEN];
        let named = nonce.0.iter().take(Self::NONCE_LEN).copied();
        for (to, from) in block.iter_mut().zip(named.chain(size.0.to_le_bytes())) {
            *to = from;
        }
        block
    }
}
