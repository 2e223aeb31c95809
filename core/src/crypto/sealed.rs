//! Symmetric sealing: sessions, reply keys, shared tokens (PROTOCOL.md, "Cryptography").

use super::{
    BLOCK_LEN, CryptoRng, Iv, KEY_LEN, Provider, Rejected, ReplyKey, SessionKey, Verified,
};
use crate::limits::{MAX_SEALED, MAX_TOKENS};
use crate::wire::{Full, Writer};

/// Writes `IV ‖ CBC(key; content)` to the front of `out` and returns its length.
pub(crate) fn cbc_seal<P: Provider>(
    provider: &P,
    key: &[u8; KEY_LEN],
    rng: &mut dyn CryptoRng,
    out: &mut [u8],
    content: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) -> Result<usize, Full> {
    let (iv, room) = out.split_first_chunk_mut::<BLOCK_LEN>().ok_or(Full)?;
    rng.fill_bytes(iv);
    let mut writer = Writer::new(room);
    content(&mut writer)?;
    let len = writer.position();
    let sealed = provider.cbc_encrypt(key, iv, room, len).map_err(|_| Full)?;
    Ok(sealed.saturating_add(BLOCK_LEN))
}

/// Undoes [`cbc_seal`] in place. Whoever calls it has authenticated the bytes.
pub(crate) fn cbc_open<'a, P: Provider>(
    provider: &P,
    key: &[u8; KEY_LEN],
    sealed: &'a mut [u8],
) -> Result<&'a mut [u8], Rejected> {
    let (iv, blocks) = sealed.split_first_chunk_mut::<BLOCK_LEN>().ok_or(Rejected)?;
    let len = provider.cbc_decrypt(key, iv, blocks)?;
    blocks.get_mut(..len).ok_or(Rejected)
}

impl ReplyKey {
    /// Writes an answer to a client without a session: `IV ‖ CBC(reply_key; content)`.
    ///
    /// # Errors
    /// [`Full`] when `out` has no room.
    pub fn seal<P: Provider>(
        &self,
        provider: &P,
        rng: &mut dyn CryptoRng,
        out: &mut [u8],
        content: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) -> Result<usize, Full> {
        cbc_seal(provider, self.expose(), rng, out, content)
    }

    /// Opens such an answer.
    ///
    /// # Errors
    /// [`Rejected`] when it is not under this key.
    pub fn open<'a, P: Provider>(
        &self,
        provider: &P,
        packet: Verified<&'a mut [u8]>,
    ) -> Result<&'a [u8], Rejected> {
        cbc_open(provider, self.expose(), packet.into_payload()).map(|content| &*content)
    }
}

/// A seal did not open, or carried another sequence number than the next. It ends the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed packet out of sequence")]
pub struct BadSequence;

/// One side of a session: its key, and how far each direction has counted
/// (PROTOCOL.md, "Sequence numbers").
#[derive(Clone, Debug)]
pub struct SessionSeal {
    key: SessionKey,
    next_out: u32,
    next_in: u32,
}

impl SessionSeal {
    /// Bytes before the content of a sealed payload: IV and sequence number.
    pub const OVERHEAD: usize = BLOCK_LEN + 4;

    /// A session that has not carried anything.
    #[must_use]
    pub const fn new(key: SessionKey) -> Self {
        Self { key, next_out: 0, next_in: 0 }
    }

    /// The session key with which this seal encrypts.
    #[must_use]
    pub const fn key(&self) -> &SessionKey {
        &self.key
    }

    /// Writes `IV ‖ CBC(session_key; seq ‖ content)` to the front of `out` and counts it.
    ///
    /// # Errors
    /// [`Full`] when `out` or 2 KiB have no room for it, or no sequence number is left.
    pub fn seal<P: Provider>(
        &mut self,
        provider: &P,
        rng: &mut dyn CryptoRng,
        out: &mut [u8],
        content: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) -> Result<usize, Full> {
        let seq = self.next_out;
        let next = seq.checked_add(1).ok_or(Full)?;
        let room = out.len().min(MAX_SEALED);
        let out = out.get_mut(..room).ok_or(Full)?;
        let len = cbc_seal(provider, self.key.expose(), rng, out, |writer| {
            writer.u32(seq)?;
            content(writer)
        })?;
        self.next_out = next;
        Ok(len)
    }

    /// Opens a sealed payload in place and consumes its sequence number.
    ///
    /// # Errors
    /// [`BadSequence`] for every failure alike; the session has to end.
    pub fn open<'a, P: Provider>(
        &mut self,
        provider: &P,
        packet: Verified<&'a mut [u8]>,
    ) -> Result<&'a [u8], BadSequence> {
        let next = self.next_in.checked_add(1).ok_or(BadSequence)?;
        let payload = packet.into_payload();
        if payload.len() > MAX_SEALED {
            return Err(BadSequence);
        }
        let content = cbc_open(provider, self.key.expose(), payload).map_err(|_| BadSequence)?;
        let (seq, content) = content.split_first_chunk().ok_or(BadSequence)?;
        if u32::from_le_bytes(*seq) != self.next_in {
            return Err(BadSequence);
        }
        self.next_in = next;
        Ok(content)
    }
}

/// Writes the payload of a packet that many clients share: `IV ‖ token*`.
#[derive(Debug)]
pub struct SharedTokens<'a> {
    iv: Iv,
    writer: Writer<'a>,
}

impl<'a> SharedTokens<'a> {
    /// Begins at the front of `out` with a fresh IV.
    ///
    /// # Errors
    /// [`Full`] when there is no room for the IV.
    pub fn new(rng: &mut dyn CryptoRng, out: &'a mut [u8]) -> Result<Self, Full> {
        let mut iv = [0; BLOCK_LEN];
        rng.fill_bytes(&mut iv);
        let mut writer = Writer::new(out);
        writer.put(&iv)?;
        Ok(Self { iv, writer })
    }

    /// Appends one receiver's token.
    ///
    /// # Errors
    /// [`Full`] above [`MAX_TOKENS`] tokens, or when the buffer has no room.
    pub fn push<P: Provider>(
        &mut self,
        provider: &P,
        key: &SessionKey,
        mut block: [u8; BLOCK_LEN],
    ) -> Result<(), Full> {
        if self.writer.position() >= BLOCK_LEN.saturating_mul(MAX_TOKENS.saturating_add(1)) {
            return Err(Full);
        }
        provider.encrypt_block(key.expose(), &self.iv, &mut block);
        self.writer.put(&block)
    }

    /// Bytes of the payload so far.
    #[must_use]
    pub const fn payload_len(&self) -> usize {
        self.writer.position()
    }
}

impl SessionKey {
    /// Opens the tokens of a verified shared packet where they lie. All but those of this key's
    /// holder come out as noise.
    ///
    /// # Errors
    /// [`Rejected`] unless the payload is an IV and 1 to [`MAX_TOKENS`] whole tokens.
    pub fn open_tokens<'a, P: Provider>(
        &self,
        provider: &P,
        packet: Verified<&'a mut [u8]>,
    ) -> Result<&'a [[u8; BLOCK_LEN]], Rejected> {
        let (iv, tokens) = packet.into_payload().split_first_chunk_mut().ok_or(Rejected)?;
        let (tokens, rest) = tokens.as_chunks_mut();
        if !rest.is_empty() || !(1..=MAX_TOKENS).contains(&tokens.len()) {
            return Err(Rejected);
        }
        for token in tokens.iter_mut() {
            provider.decrypt_block(self.expose(), iv, token);
        }
        Ok(tokens)
    }
}
