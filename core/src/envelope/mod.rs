//! What is sealed from person to person (PROTOCOL.md, "Envelope").
//!
//! ```text
//! 0         1       2                                258      274
//! | version | suite | OAEP(recipient; message_key)   | IV     | CBC(message_key; uid ‖ kind ‖ body) |
//! ```
//!
//! The server routes these bytes and cannot open them. The OAEP label names both people and both
//! keys, so a letter that is stripped of its signature, re-addressed, or shown under another
//! phone does not open.

mod fingerprint;

pub use fingerprint::{Fingerprint, SafetyNumber};

use crate::crypto::{
    BLOCK_LEN, CryptoRng, KEY_LEN, MessageKey, PrivateKey, Provider, PublicKey, RSA_LEN, Verified,
};
use crate::id::Uid;
use crate::limits::{ENVELOPE_OVERHEAD, MAX_BODY};
use crate::wire::{BuildError, Full, Op, Reader, Writer};
use zeroize::Zeroize;

/// The version of envelopes that this code writes, and the only one that it reads.
pub const VERSION: u8 = 1;
/// RSA-OAEP and AES-256-CBC, without forward secrecy.
pub const SUITE: u8 = 1;

const LABEL_LEN: usize = 13 + 2 * Fingerprint::LEN;

/// What a letter says inside its envelope (PROTOCOL.md, "Envelope").
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// A text in UTF-8, kind 1 on the wire.
    Text(&'a str),
    /// Kind 2: the named letter, which this letter's recipient had sent, has been read.
    ReadReceipt(Uid),
    /// A kind that this version does not know, or a body that does not fit its kind. It is
    /// reported, never guessed at.
    Unknown {
        /// The kind.
        kind: u8,
        /// The body.
        body: &'a [u8],
    },
}

impl<'a> Content<'a> {
    const TEXT: u8 = 1;
    const READ_RECEIPT: u8 = 2;

    fn parse(kind: u8, body: &'a [u8]) -> Self {
        let unknown = Self::Unknown { kind, body };
        match kind {
            Self::TEXT => core::str::from_utf8(body).map_or(unknown, Self::Text),
            Self::READ_RECEIPT => {
                body.try_into().map_or(unknown, |uid| Self::ReadReceipt(Uid(uid)))
            }
            _ => unknown,
        }
    }

    fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        match self {
            Self::Text(text) => {
                writer.u8(Self::TEXT)?;
                writer.put(text.as_bytes())
            }
            Self::ReadReceipt(uid) => {
                writer.u8(Self::READ_RECEIPT)?;
                writer.put(&uid.0)
            }
            Self::Unknown { kind, body } => {
                writer.u8(*kind)?;
                writer.put(body)
            }
        }
    }
}

impl core::fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::ReadReceipt(uid) => write!(f, "ReadReceipt({uid})"),
            Self::Unknown { kind, body } => write!(f, "Unknown({kind}, {} bytes)", body.len()),
        }
    }
}

/// A letter that was opened, with what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedLetter<'a> {
    /// Its name; the same (sender, uid) a second time is a duplicate.
    pub uid: Uid,
    /// What the letter says to its recipient.
    pub content: Content<'a>,
}

/// A letter that is signed by its sender and cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Unreadable {
    /// An envelope of a later version than this code knows, by its number.
    #[error("envelope version {0} is not known here")]
    UnknownVersion(u8),
    /// An envelope with a crypto suite that this code does not have, by its number.
    #[error("cipher suite {0} is not known here")]
    UnknownSuite(u8),
    /// It was not sealed for this person, by this sender, or was damaged before it was signed.
    #[error("the letter does not open")]
    DoesNotOpen,
}

/// Seals a letter into the front of `out`, usually [`crate::wire::Draft::payload_mut`], and
/// returns its length.
///
/// # Errors
/// [`BuildError::Full`] when the body is above [`MAX_BODY`] or `out` has no room.
#[expect(clippy::too_many_arguments, reason = "every one is a different fact about the letter")]
pub fn seal<P: Provider>(
    provider: &P,
    rng: &mut dyn CryptoRng,
    sender: &Fingerprint,
    recipient: &Fingerprint,
    recipient_key: &P::PublicKey,
    uid: &Uid,
    content: &Content<'_>,
    out: &mut [u8],
) -> Result<usize, BuildError> {
    let body_len = match content {
        Content::Text(text) => text.len(),
        Content::ReadReceipt(_) => Uid::LEN,
        Content::Unknown { body, .. } => body.len(),
    };
    if body_len > MAX_BODY {
        return Err(Full.into());
    }
    let key = MessageKey::generate(rng);
    let wrapped = recipient_key.oaep_seal(rng, &label(sender, recipient), key.expose())?;
    let mut iv = [0; BLOCK_LEN];
    rng.fill_bytes(&mut iv);

    let (head, blocks) = out.split_at_mut_checked(ENVELOPE_OVERHEAD).ok_or(Full)?;
    let mut head = Writer::new(head);
    head.put(&[VERSION, SUITE])?;
    head.put(&wrapped)?;
    head.put(&iv)?;
    let mut inner = Writer::new(blocks);
    inner.put(&uid.0)?;
    content.emit(&mut inner)?;
    let len = inner.position();
    let sealed = provider.cbc_encrypt(key.expose(), &iv, blocks, len)?;
    Ok(sealed.saturating_add(ENVELOPE_OVERHEAD))
}

/// Opens a letter where it lies.
///
/// # Errors
/// [`Unreadable`]; the letter is to be kept and acknowledged all the same.
pub fn open<'a, P: Provider>(
    provider: &P,
    rng: &mut dyn CryptoRng,
    sender: &Fingerprint,
    recipient: &Fingerprint,
    recipient_key: &P::PrivateKey,
    letter: Verified<&'a mut [u8]>,
) -> Result<OpenedLetter<'a>, Unreadable> {
    let payload = letter.into_payload();
    // Another version or suite may be shorter than this one's head.
    match *payload {
        [VERSION, SUITE, ..] => {}
        [VERSION, suite, ..] => return Err(Unreadable::UnknownSuite(suite)),
        [] | [VERSION] => return Err(Unreadable::DoesNotOpen),
        [version, ..] => return Err(Unreadable::UnknownVersion(version)),
    }
    let (head, blocks) =
        payload.split_first_chunk_mut::<ENVELOPE_OVERHEAD>().ok_or(Unreadable::DoesNotOpen)?;
    let does_not_open = |_| Unreadable::DoesNotOpen;
    let mut head = Reader::new(head);
    head.take(2).map_err(does_not_open)?;
    let wrapped = head.array::<RSA_LEN>().map_err(does_not_open)?;
    let iv = head.array::<BLOCK_LEN>().map_err(does_not_open)?;

    let mut key = [0; KEY_LEN];
    let opened = recipient_key.oaep_open(rng, &label(sender, recipient), wrapped, &mut key);
    if opened != Ok(KEY_LEN) {
        return Err(Unreadable::DoesNotOpen);
    }
    let decrypted = provider.cbc_decrypt(&key, iv, blocks);
    key.zeroize();
    let len = decrypted.map_err(|_| Unreadable::DoesNotOpen)?;
    let mut inner = Reader::new(blocks.get(..len).ok_or(Unreadable::DoesNotOpen)?);
    let uid = Uid(*inner.array().map_err(does_not_open)?);
    let kind = inner.u8().map_err(does_not_open)?;
    Ok(OpenedLetter { uid, content: Content::parse(kind, inner.rest()) })
}

fn label(sender: &Fingerprint, recipient: &Fingerprint) -> [u8; LABEL_LEN] {
    let mut label = [0; LABEL_LEN];
    let mut writer = Writer::new(&mut label);
    for part in [Op::Letter.oaep_label(), &sender.0, &recipient.0] {
        // It is as long as its parts.
        let _ = writer.put(part);
    }
    label
}
