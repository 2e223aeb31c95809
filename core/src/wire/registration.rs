//! Payloads of registration: 100, 150, 200, 101 (PROTOCOL.md, "Registration").

use core::fmt;

use super::{Full, Malformed, Reader, Writer};
use crate::crypto::{Digest, RSA_LEN, ReplyKey, SPKI_LEN};
use crate::id::Nonce;
use crate::phone::{Otp, Phone};
use zeroize::Zeroizing;

/// Inside 100's OAEP block: `reply_key[32] ‖ phone`.
pub struct RegistrationRequest<'a> {
    /// The key for the server's answer, and the name of this attempt.
    pub reply_key: ReplyKey,
    /// The phone number as sent: a badly formed one is refused as BadPhone, not as Malformed.
    pub phone: &'a [u8],
}

impl<'a> RegistrationRequest<'a> {
    /// Bytes of the longest block of a 100.
    pub const MAX_LEN: usize = 32 + 1 + Phone::MAX_LEN;

    /// Reads the block's content.
    ///
    /// # Errors
    /// [`Malformed`] unless the fields fill it exactly.
    pub fn parse(block: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(block);
        let request =
            Self { reply_key: ReplyKey::from_bytes(reader.array()?), phone: reader.phone_text()? };
        reader.finish()?;
        Ok(request)
    }

    /// Writes the block's content.
    ///
    /// # Errors
    /// [`Full`] when there is no room.
    pub fn emit(writer: &mut Writer<'_>, reply_key: &ReplyKey, phone: &Phone) -> Result<(), Full> {
        writer.put(reply_key.expose())?;
        writer.phone(phone)
    }
}

impl fmt::Debug for RegistrationRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reply_key, phone: _ } = self;
        f.debug_struct("RegistrationRequest").field("reply_key", reply_key).finish_non_exhaustive()
    }
}

/// Inside 150, under the reply key: `reason u8`. There is one reason: the phone has an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrationRejected;

impl RegistrationRejected {
    /// The one reason.
    pub const PHONE_EXISTS: u8 = 1;

    /// Reads the content.
    ///
    /// # Errors
    /// [`Malformed`] unless it is one byte, and the one reason that there is.
    pub fn parse(content: &[u8]) -> Result<Self, Malformed> {
        if content == [Self::PHONE_EXISTS] { Ok(Self) } else { Err(Malformed) }
    }

    /// Writes the content.
    ///
    /// # Errors
    /// [`Full`] when there is no room.
    pub fn emit(self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.u8(Self::PHONE_EXISTS)
    }
}

/// Inside 200, under the reply key: `ttl_s u16 ‖ attempts u8 ‖ resend_s u16 ‖ otp_len u8 ‖ otp`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OtpGrant {
    /// Seconds for which the code is good.
    pub ttl_s: u16,
    /// How many attempts at the code the server allows.
    pub attempts: u8,
    /// Seconds after which asking for another code is sensible.
    pub resend_s: u16,
    /// The code itself, with in-band delivery only.
    pub otp: Option<Otp>,
}

impl OtpGrant {
    /// Reads the content.
    ///
    /// # Errors
    /// [`Malformed`] unless the fields fill it exactly and `otp_len` is 0 or 6.
    pub fn parse(content: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(content);
        let (ttl_s, attempts, resend_s) = (reader.u16()?, reader.u8()?, reader.u16()?);
        let len = usize::from(reader.u8()?);
        let otp = match len {
            0 => None,
            len => Some(Otp::parse(reader.take(len)?)?),
        };
        reader.finish()?;
        Ok(Self { ttl_s, attempts, resend_s, otp })
    }

    /// Writes the content.
    ///
    /// # Errors
    /// [`Full`] when there is no room.
    pub fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.u16(self.ttl_s)?;
        writer.u8(self.attempts)?;
        writer.u16(self.resend_s)?;
        match &self.otp {
            None => writer.u8(0),
            Some(otp) => {
                writer.u8(6)?;
                writer.put(otp.expose())
            }
        }
    }
}

/// Inside 101's OAEP block: `reply_key[32] ‖ otp[6] ‖ nonce[16] ‖ SHA-256(spki)[32] ‖ phone`.
pub struct OtpProof<'a> {
    /// The attempt that the code belongs to.
    pub reply_key: ReplyKey,
    /// The code as sent; anything but the right six digits is simply wrong.
    pub otp: Zeroizing<[u8; Otp::LEN]>,
    /// A random number that comes back in the 201.
    pub nonce: Nonce,
    /// Ties the block to the key beside it.
    pub spki_digest: Digest,
    /// The phone number as it was sent: nobody has checked its form yet.
    pub phone: &'a [u8],
}

impl<'a> OtpProof<'a> {
    /// Bytes of the longest block of a 101.
    pub const MAX_LEN: usize = 32 + Otp::LEN + Nonce::LEN + 32 + 1 + Phone::MAX_LEN;
    /// Bytes of 101's payload: the block, then the public key in clear.
    pub const PAYLOAD_LEN: usize = RSA_LEN + SPKI_LEN;

    /// Takes 101's payload apart into the sealed block and the public key's encoding.
    ///
    /// # Errors
    /// [`Malformed`] for any other length.
    pub fn split(payload: &[u8]) -> Result<(&[u8; RSA_LEN], &[u8; SPKI_LEN]), Malformed> {
        let mut reader = Reader::new(payload);
        let parts = (reader.array()?, reader.array()?);
        reader.finish()?;
        Ok(parts)
    }

    /// Reads the block's content.
    ///
    /// # Errors
    /// [`Malformed`] unless the fields fill it exactly.
    pub fn parse(block: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(block);
        let proof = Self {
            reply_key: ReplyKey::from_bytes(reader.array()?),
            otp: Zeroizing::new(*reader.array()?),
            nonce: reader.nonce()?,
            spki_digest: Digest(*reader.array()?),
            phone: reader.phone_text()?,
        };
        reader.finish()?;
        Ok(proof)
    }

    /// Writes the block's content.
    ///
    /// # Errors
    /// [`Full`] when there is no room.
    pub fn emit(
        writer: &mut Writer<'_>,
        reply_key: &ReplyKey,
        otp: &Otp,
        nonce: &Nonce,
        spki_digest: &Digest,
        phone: &Phone,
    ) -> Result<(), Full> {
        writer.put(reply_key.expose())?;
        writer.put(otp.expose())?;
        writer.put(&nonce.0)?;
        writer.put(&spki_digest.0)?;
        writer.phone(phone)
    }
}

impl fmt::Debug for OtpProof<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reply_key, otp: _, nonce, spki_digest, phone: _ } = self;
        f.debug_struct("OtpProof")
            .field("reply_key", reply_key)
            .field("nonce", nonce)
            .field("spki_digest", spki_digest)
            .finish_non_exhaustive()
    }
}
