//! Payloads of the key directory: 105, 204 (PROTOCOL.md, "Directory").

use super::{Full, Malformed, Reader, Writer};
use crate::crypto::{SPKI_LEN, Spki};
use crate::id::UserId;
use crate::phone::Phone;
use crate::time::Timestamp;

/// Inside 105's seal: `1 ‖ user_id u16` or `2 ‖ phone`. The id 0 is the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum KeyQuestion {
    /// Asks whose key belongs to this id.
    ById(UserId),
    /// What is the key of this phone?
    ByPhone(Phone),
    /// Which key is to take the place of the server's own?
    Successor,
}

impl KeyQuestion {
    /// Reads the content.
    ///
    /// # Errors
    /// [`Malformed`] for an unknown kind, a bad phone, or bytes too many or too few.
    pub fn parse(content: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(content);
        let question = match reader.u8()? {
            1 => UserId::new(reader.u16()?).map_or(Self::Successor, Self::ById),
            2 => Self::ByPhone(reader.phone()?),
            _ => return Err(Malformed),
        };
        reader.finish()?;
        Ok(question)
    }

    /// Writes the content.
    ///
    /// # Errors
    /// [`Full`] when there is no room.
    pub fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        let id = match self {
            Self::ById(user) => user.get(),
            Self::ByPhone(phone) => {
                writer.u8(2)?;
                return writer.phone(phone);
            }
            Self::Successor => 0,
        };
        writer.u8(1)?;
        writer.u16(id)
    }

    /// Whether `answer` is to this question.
    #[must_use]
    pub fn is_answered_by(&self, answer: &KeyAnswer) -> bool {
        match self {
            Self::ById(user) => *user == answer.user,
            Self::ByPhone(phone) => *phone == answer.phone,
            // No user's key answers it.
            Self::Successor => false,
        }
    }
}

/// The key that is the rest of a content. Not inlined, which would cost a device bytes.
#[inline(never)]
fn last_key(reader: &Reader<'_>) -> Result<Spki, Malformed> {
    Spki::parse(reader.rest()).map_err(|_| Malformed)
}

/// Inside 204's seal: `user_id u16 ‖ phone ‖ spki`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KeyAnswer {
    /// The id under which the server knows the user.
    pub user: UserId,
    /// The phone with which the user has registered.
    pub phone: Phone,
    /// The user's public key, as the server says.
    pub spki: Spki,
}

impl KeyAnswer {
    /// Bytes of the longest key answer.
    pub const MAX_LEN: usize = 2 + 1 + Phone::MAX_LEN + SPKI_LEN;

    /// Reads the content.
    ///
    /// # Errors
    /// [`Malformed`] unless the fields are well formed and fill it exactly.
    pub fn parse(content: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(content);
        let (user, phone) = (reader.user()?, reader.phone()?);
        Ok(Self { user, phone, spki: last_key(&reader)? })
    }

    /// Writes the content.
    ///
    /// # Errors
    /// [`Full`] when there is no room.
    pub fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.u16(self.user.get())?;
        writer.phone(&self.phone)?;
        writer.put(self.spki.as_bytes())
    }
}

/// Inside 204's seal when the question was about the server: `0 u16 ‖ effective[19] ‖ spki`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Successor {
    /// From this moment on the server signs with the key, by its own clock.
    pub effective: Timestamp,
    /// The key that takes the place of the server's.
    pub spki: Spki,
}

impl Successor {
    /// Bytes of it.
    pub const LEN: usize = 2 + Timestamp::LEN + SPKI_LEN;

    /// Reads the content.
    ///
    /// # Errors
    /// [`Malformed`] unless the fields are well formed and fill it exactly.
    pub fn parse(content: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(content);
        if reader.u16()? != 0 {
            return Err(Malformed);
        }
        let effective = Timestamp::parse(reader.array()?)?;
        Ok(Self { effective, spki: last_key(&reader)? })
    }

    /// Writes the content.
    ///
    /// # Errors
    /// [`Full`] when there is no room.
    pub fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.u16(0)?;
        writer.put(self.effective.as_bytes())?;
        writer.put(self.spki.as_bytes())
    }
}
