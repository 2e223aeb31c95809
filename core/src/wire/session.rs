//! Payloads that open a session: 201, 206, 106 (PROTOCOL.md, "Reconnect").

use super::{Full, Malformed, Reader, Writer};
use crate::crypto::{BLOCK_LEN, RSA_LEN, SessionKey};
use crate::id::Nonce;

/// Inside the OAEP block of 201 and 206: `session_key[32] ‖ nonce[16]`.
#[derive(Debug)]
pub struct SessionGrant {
    /// The key of the session to be confirmed.
    pub session_key: SessionKey,
    /// The nonce of the request that this answers.
    pub nonce: Nonce,
}

impl SessionGrant {
    /// Bytes of the block's content.
    pub const LEN: usize = 48;

    /// Reads the block's content.
    ///
    /// # Errors
    /// [`Malformed`] unless the fields fill it exactly.
    pub fn parse(block: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(block);
        let grant =
            Self { session_key: SessionKey::from_bytes(reader.array()?), nonce: reader.nonce()? };
        reader.finish()?;
        Ok(grant)
    }

    /// Writes the block's content.
    ///
    /// # Errors
    /// [`Full`] when there is no room.
    pub fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.put(self.session_key.expose())?;
        writer.put(&self.nonce.0)
    }
}

/// How a 106 hides its nonce, told by the payload's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconnectForm<'a> {
    /// `OAEP(server; nonce)`: works always, at the price of a private-key operation.
    Long(&'a [u8; RSA_LEN]),
    /// `IV ‖ CBC(last session key; nonce)`.
    Short {
        /// The IV.
        iv: &'a [u8; BLOCK_LEN],
        /// The nonce and a block of padding.
        sealed: &'a [u8; 2 * BLOCK_LEN],
    },
}

impl<'a> ReconnectForm<'a> {
    /// Bytes of the short form's payload.
    pub const SHORT_LEN: usize = 3 * BLOCK_LEN;

    /// Tells the form.
    ///
    /// # Errors
    /// [`Malformed`] for a length that belongs to neither.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        if let Ok(block) = payload.try_into() {
            return Ok(Self::Long(block));
        }
        let mut reader = Reader::new(payload);
        let form = Self::Short { iv: reader.array()?, sealed: reader.array()? };
        reader.finish()?;
        Ok(form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reconnect_request_has_one_of_two_sizes() {
        let bytes = [9; RSA_LEN + 1];
        for len in 0..=bytes.len() {
            let form = ReconnectForm::parse(&bytes[..len]);
            let is_right = match form {
                Ok(ReconnectForm::Long(_)) => len == 256,
                Ok(ReconnectForm::Short { .. }) => len == 48,
                Err(Malformed) => len != 256 && len != 48,
            };
            assert!(is_right, "{len} bytes: {form:?}");
        }
    }
}
