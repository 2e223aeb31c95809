//! Bounds-checked reading and writing: the only code that takes byte slices apart. The bytes may be
//! those of a key, so neither side prints any.

use core::fmt;

use super::Malformed;
use crate::id::{Nonce, PacketId, UserId};
use crate::phone::Phone;

/// The caller's buffer has no room for what is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the buffer is too small")]
pub struct Full;

/// Reads fields off the front of a slice.
#[derive(Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whatever has not been read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads the next `len` bytes as they are.
    ///
    /// # Errors
    /// [`Malformed`] when there are fewer.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads the next `N` bytes as they are.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes end before.
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads one byte as a number.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes end before.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| *byte)
    }

    /// Reads two bytes as a number, little endian.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes end before.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(|bytes| u16::from_le_bytes(*bytes))
    }

    /// Reads four bytes as a number, little endian.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes end before.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// Reads a user id, which is not 0: two bytes, little endian.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes end before, and for 0.
    pub fn user(&mut self) -> Result<UserId, Malformed> {
        UserId::new(self.u16()?).ok_or(Malformed)
    }

    /// Reads a packet id: 16 bytes.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes end before.
    pub fn packet_id(&mut self) -> Result<PacketId, Malformed> {
        self.array().map(|bytes| PacketId(*bytes))
    }

    /// Reads a nonce: 16 bytes.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes end before.
    pub fn nonce(&mut self) -> Result<Nonce, Malformed> {
        self.array().map(|bytes| Nonce(*bytes))
    }

    /// A phone number with its length before it, as raw text: whether it is well formed is for
    /// the caller, because a badly formed one has an error code of its own.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes end before.
    pub fn phone_text(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.u8()?;
        self.take(usize::from(len))
    }

    /// A well-formed phone number with its length before it.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes end before, or the number is not well formed.
    pub fn phone(&mut self) -> Result<Phone, Malformed> {
        Phone::parse(self.phone_text()?)
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// [`Malformed`] when something is left.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({} bytes left)", self.rest.len())
    }
}

/// Writes fields to the front of a slice.
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// Starts at the front of `buffer`.
    #[must_use]
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// How many bytes have been written so far.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.len
    }

    /// Appends bytes as they are.
    ///
    /// # Errors
    /// [`Full`] when the buffer has no room. Then nothing is written.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.len.checked_add(bytes.len()).ok_or(Full)?;
        let room = self.buffer.get_mut(self.len..end).ok_or(Full)?;
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.len = end;
        Ok(())
    }

    /// Appends a number of one byte.
    ///
    /// # Errors
    /// [`Full`] when the buffer has no room.
    pub fn u8(&mut self, value: u8) -> Result<(), Full> {
        self.put(&[value])
    }

    /// Appends a number of two bytes, little endian.
    ///
    /// # Errors
    /// [`Full`] when the buffer has no room.
    pub fn u16(&mut self, value: u16) -> Result<(), Full> {
        self.put(&value.to_le_bytes())
    }

    /// Appends a number of four bytes, little endian.
    ///
    /// # Errors
    /// [`Full`] when the buffer has no room.
    pub fn u32(&mut self, value: u32) -> Result<(), Full> {
        self.put(&value.to_le_bytes())
    }

    /// Appends a phone number with its length before it.
    ///
    /// # Errors
    /// [`Full`] when the buffer has no room.
    pub fn phone(&mut self, phone: &Phone) -> Result<(), Full> {
        self.u8(u8::try_from(phone.as_bytes().len()).map_err(|_| Full)?)?;
        self.put(phone.as_bytes())
    }

    /// The part of the buffer that has been written.
    #[must_use]
    pub fn into_written(self) -> &'a mut [u8] {
        self.buffer.get_mut(..self.len).unwrap_or_default()
    }
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Writer({} of {} bytes)", self.len, self.buffer.len())
    }
}
