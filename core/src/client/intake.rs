//! What arrives: packets told apart as their bytes come in, each in the buffer it belongs to.
//!
//! A letter may have to wait for its sender's key, so letters and everything else have a buffer
//! each. A letter that is larger than its buffer is hashed as it passes, so that even a device
//! that cannot keep it can say truthfully which letter it was.

use crate::crypto::{Digest, Hasher, Provider, PublicKey, Rejected, Signature};
use crate::id::PacketId;
use crate::limits::{HEADER_LEN, SIGNATURE_LEN};
use crate::wire::{Header, Malformed, Op, Packet, Writer};

/// Which buffer a packet lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Letter,
    Control,
}

/// How far the next packet has come.
#[expect(clippy::large_enum_variant, reason = "there is no allocator to box it with")]
enum Progress<H> {
    /// So many bytes of its header.
    Header(usize),
    /// Its header is known; its buffer is not free yet.
    Waiting(Header),
    /// So many bytes of it lie in a buffer.
    Body { slot: Slot, header: Header, filled: usize },
    /// It is too large for the buffer: payload bytes yet to be hashed.
    Hashing { header: Header, hasher: H, left: usize },
    /// Its signature, after the payload was hashed: so many bytes are there.
    HashedSignature { header: Header, digest: Digest, filled: usize },
    /// It lies in a buffer, whole.
    Complete { slot: Slot },
    /// It is known by its digest only.
    Oversized(OversizedLetter),
}

/// A letter that was too large for the buffer. It was hashed as it passed, so its signature can
/// be checked and the letter be named in an acknowledgment.
#[derive(Clone, Copy, Debug)]
pub struct OversizedLetter {
    /// The header of the packet, as it came.
    pub header: Header,
    digest: Digest,
    signature: Signature,
}

impl OversizedLetter {
    /// The packet id: the first 16 bytes of the digest.
    #[must_use]
    pub fn id(&self) -> PacketId {
        PacketId::of(&self.digest)
    }

    /// Checks its signature.
    ///
    /// # Errors
    /// [`Rejected`] when it does not hold.
    pub fn verify(&self, key: &impl PublicKey) -> Result<(), Rejected> {
        key.verify(&self.digest, &self.signature)
    }
}

/// What is ready.
#[expect(clippy::large_enum_variant, reason = "there is no allocator to box it with")]
pub(super) enum Arrived {
    Letter,
    Control,
    Oversized(OversizedLetter),
}

pub(super) struct Intake<P: Provider, B> {
    letters: B,
    control: B,
    /// Bytes of the letter in the letter buffer; 0 = the buffer is free.
    letter_len: usize,
    control_len: usize,
    header: [u8; HEADER_LEN],
    progress: Progress<P::Hasher>,
}

impl<P: Provider, B: AsRef<[u8]> + AsMut<[u8]>> Intake<P, B> {
    pub(super) const fn new(letters: B, control: B) -> Self {
        Self {
            letters,
            control,
            letter_len: 0,
            control_len: 0,
            header: [0; HEADER_LEN],
            progress: Progress::Header(0),
        }
    }

    /// Where the next bytes go. Empty while a packet waits to be dealt with.
    pub(super) fn buffer(&mut self) -> &mut [u8] {
        let Self { letters, control, header, progress, .. } = self;
        match progress {
            Progress::Header(filled) => header.get_mut(*filled..),
            Progress::Body { slot: Slot::Letter, header, filled } => {
                letters.as_mut().get_mut(*filled..header.packet_len())
            }
            Progress::Body { slot: Slot::Control, header, filled } => {
                control.as_mut().get_mut(*filled..header.packet_len())
            }
            Progress::Hashing { left, .. } => {
                let len = letters.as_mut().len().min(*left);
                letters.as_mut().get_mut(..len)
            }
            Progress::HashedSignature { filled, .. } => {
                letters.as_mut().get_mut(*filled..SIGNATURE_LEN)
            }
            Progress::Waiting(_) | Progress::Complete { .. } | Progress::Oversized(_) => None,
        }
        .unwrap_or_default()
    }

    /// So many bytes were written to the front of [`Intake::buffer`]. The header of a letter, when
    /// these were the last of it.
    pub(super) fn advance(
        &mut self,
        provider: &P,
        count: usize,
    ) -> Result<Option<Header>, Malformed> {
        let count = count.min(self.buffer().len());
        match &mut self.progress {
            Progress::Header(filled) => {
                *filled = filled.saturating_add(count);
                if *filled == HEADER_LEN {
                    let header = Header::parse(&self.header)?;
                    self.progress = Progress::Waiting(header);
                    self.place(provider)?;
                    return Ok((header.op_code == Op::Letter.code()).then_some(header));
                }
            }
            Progress::Body { slot, header, filled } => {
                *filled = filled.saturating_add(count);
                if *filled == header.packet_len() {
                    let (slot, len) = (*slot, *filled);
                    match slot {
                        Slot::Letter => self.letter_len = len,
                        Slot::Control => self.control_len = len,
                    }
                    self.progress = Progress::Complete { slot };
                }
            }
            Progress::Hashing { header, hasher, left } => {
                hasher.update(self.letters.as_ref().get(..count).unwrap_or_default());
                *left = left.saturating_sub(count);
                if *left == 0 {
                    let header = *header;
                    let done = core::mem::replace(hasher, provider.hasher());
                    let digest = done.finish();
                    self.progress = Progress::HashedSignature { header, digest, filled: 0 };
                }
            }
            Progress::HashedSignature { header, digest, filled } => {
                *filled = filled.saturating_add(count);
                if let Some(signature) = self.letters.as_ref().first_chunk()
                    && *filled == SIGNATURE_LEN
                {
                    let (header, digest, signature) = (*header, *digest, *signature);
                    let oversized = OversizedLetter { header, digest, signature };
                    self.progress = Progress::Oversized(oversized);
                }
            }
            Progress::Waiting(_) | Progress::Complete { .. } | Progress::Oversized(_) => {}
        }
        Ok(None)
    }

    /// Gives a packet whose header is known its buffer, if that is free.
    fn place(&mut self, provider: &P) -> Result<(), Malformed> {
        let Progress::Waiting(header) = self.progress else { return Ok(()) };
        let is_letter = header.op_code == Op::Letter.code();
        if is_letter && self.letter_len != 0 {
            return Ok(());
        }
        let (slot, buffer) = if is_letter {
            (Slot::Letter, self.letters.as_mut())
        } else {
            (Slot::Control, self.control.as_mut())
        };
        if buffer.len() >= header.packet_len() {
            Writer::new(buffer).put(&self.header).map_err(|_| Malformed)?;
            self.progress = Progress::Body { slot, header, filled: HEADER_LEN };
        } else if is_letter {
            let mut hasher = provider.hasher();
            hasher.update(&self.header);
            let left = usize::from(header.payload_size);
            self.progress = Progress::Hashing { header, hasher, left };
        } else {
            // No packet of the server's own making is larger than the smallest buffer allowed.
            return Err(Malformed);
        }
        Ok(())
    }

    /// Whether a packet is ready.
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self.progress, Progress::Complete { .. } | Progress::Oversized(_))
    }

    /// The packet that is ready, once; the next one can begin to arrive.
    pub(super) fn take(&mut self) -> Option<Arrived> {
        let arrived = match &self.progress {
            Progress::Complete { slot: Slot::Letter } => Arrived::Letter,
            Progress::Complete { slot: Slot::Control } => Arrived::Control,
            Progress::Oversized(oversized) => Arrived::Oversized(*oversized),
            _ => return None,
        };
        self.progress = Progress::Header(0);
        Some(arrived)
    }

    /// The letter in its buffer.
    pub(super) fn letter(&mut self) -> Option<Packet<&mut [u8]>> {
        let bytes = self.letters.as_mut().get_mut(..self.letter_len)?;
        Packet::parse(bytes).ok()
    }

    /// Whether a packet has begun whose rest can be taken now.
    pub(super) const fn awaits_rest(&self) -> bool {
        match self.progress {
            Progress::Header(filled) => filled > 0,
            Progress::Body { .. } | Progress::Hashing { .. } => true,
            Progress::HashedSignature { .. } => true,
            Progress::Waiting(_) | Progress::Complete { .. } | Progress::Oversized(_) => false,
        }
    }

    /// Whether the packet that comes in is a letter.
    pub(super) fn brings_letter(&self) -> bool {
        match &self.progress {
            Progress::Body { slot, .. } => *slot == Slot::Letter,
            Progress::Hashing { .. } | Progress::HashedSignature { .. } => true,
            _ => false,
        }
    }

    /// Bytes of the letter in its buffer.
    pub(super) const fn letter_len(&self) -> usize {
        self.letter_len
    }

    /// Frees the letter's buffer.
    pub(super) fn release_letter(&mut self, provider: &P) -> Result<(), Malformed> {
        self.letter_len = 0;
        self.place(provider)
    }

    /// The other packet in its buffer.
    pub(super) fn control(&mut self) -> Result<Packet<&mut [u8]>, Malformed> {
        Packet::parse(self.control.as_mut().get_mut(..self.control_len).ok_or(Malformed)?)
    }

    pub(super) fn into_buffers(self) -> (B, B) {
        (self.letters, self.control)
    }
}
