//! Writing a packet into a caller's buffer.

use super::{Full, Header, Op, Writer};
use crate::crypto::{CryptoRng, PrivateKey, Provider, Rejected, Signature};
use crate::id::{PacketId, UserId};
use crate::limits::{HEADER_LEN, MAX_PAYLOAD, SIGNATURE_LEN};
use crate::time::Timestamp;

/// A packet in the making: the header stands, the payload is written, and [`Draft::sign`]
/// completes it. Whatever a caller leaves undone never reaches a wire, because only the
/// finishing methods give the bytes out.
#[derive(Debug)]
#[must_use]
pub struct Draft<'b> {
    buffer: &'b mut [u8],
    header: Header,
}

impl<'b> Draft<'b> {
    /// Begins a packet at the front of `buffer`.
    pub const fn new(
        buffer: &'b mut [u8],
        op: Op,
        sender: Option<UserId>,
        recipient: Option<UserId>,
        timestamp: Timestamp,
    ) -> Self {
        let header = Header { sender, recipient, timestamp, op_code: op.code(), payload_size: 0 };
        Self { buffer, header }
    }

    /// The room for the payload: the buffer without header and signature.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let end = self.buffer.len().saturating_sub(SIGNATURE_LEN);
        let end = end.min(HEADER_LEN.saturating_add(MAX_PAYLOAD));
        self.buffer.get_mut(HEADER_LEN..end).unwrap_or_default()
    }

    /// Signs header and payload with `key`; `payload_len` bytes of [`Draft::payload_mut`]
    /// have been written. Returns the packet's id and its bytes.
    ///
    /// # Errors
    /// [`BuildError`] when the buffer is too small or the key refuses.
    pub fn sign<P: Provider>(
        self,
        provider: &P,
        key: &P::PrivateKey,
        rng: &mut dyn CryptoRng,
        payload_len: usize,
    ) -> Result<(PacketId, &'b mut [u8]), BuildError> {
        self.complete(payload_len, |signed| {
            let digest = provider.sha256(&[signed]);
            Ok((PacketId::of(&digest), key.sign(rng, &digest)?))
        })
    }

    /// Completes a packet whose signature field is all zero: 100, from a client without a key.
    ///
    /// # Errors
    /// [`BuildError::Full`] when the buffer is too small.
    pub fn leave_unsigned<P: Provider>(
        self,
        provider: &P,
        payload_len: usize,
    ) -> Result<(PacketId, &'b mut [u8]), BuildError> {
        self.complete(payload_len, |signed| {
            Ok((PacketId::of(&provider.sha256(&[signed])), [0; SIGNATURE_LEN]))
        })
    }

    fn complete(
        mut self,
        payload_len: usize,
        sign: impl FnOnce(&[u8]) -> Result<(PacketId, Signature), BuildError>,
    ) -> Result<(PacketId, &'b mut [u8]), BuildError> {
        self.header.payload_size = u16::try_from(payload_len).map_err(|_| Full)?;
        let packet = self.buffer.get_mut(..self.header.packet_len()).ok_or(Full)?;
        self.header.emit(&mut Writer::new(packet))?;
        let (signed, place) = packet.split_last_chunk_mut::<SIGNATURE_LEN>().ok_or(Full)?;
        let (id, signature) = sign(signed)?;
        *place = signature;
        Ok((id, packet))
    }
}

/// A packet could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The caller's buffer is too small.
    #[error(transparent)]
    Full(#[from] Full),
    /// A key refused; see [`Rejected`].
    #[error(transparent)]
    Rejected(#[from] Rejected),
}
