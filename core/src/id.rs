//! Names of things: users, packets, letters.

use core::fmt;
use core::num::NonZeroU16;

use rand_core::CryptoRng;

use crate::crypto::Digest;

/// A registered user, 1 to 65,535. On the wire 0 stands for the server, for a client that has
/// no id yet, or for everyone: here that is `None`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(NonZeroU16);

impl UserId {
    /// The user numbered `id`; `None` for 0.
    #[must_use]
    pub const fn new(id: u16) -> Option<Self> {
        match NonZeroU16::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The id as a number, from 1 to 65,535.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// The number on the wire of a user or nobody.
    #[must_use]
    pub fn wire(id: Option<Self>) -> u16 {
        id.map_or(0, Self::get)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}", self.0)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// A packet's name: the first 16 bytes of the SHA-256 over everything but its signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(pub [u8; Self::LEN]);

impl PacketId {
    /// Bytes on the wire.
    pub const LEN: usize = 16;

    /// The id of the packet whose signed bytes have this digest.
    #[must_use]
    pub fn of(digest: &Digest) -> Self {
        let mut id = [0; Self::LEN];
        for (to, from) in id.iter_mut().zip(&digest.0) {
            *to = *from;
        }
        Self(id)
    }

    /// The first 15 bytes: what a shared acknowledgment has room for.
    #[must_use]
    pub fn prefix(&self) -> PacketIdPrefix {
        let mut prefix = [0; PacketIdPrefix::LEN];
        for (to, from) in prefix.iter_mut().zip(&self.0) {
            *to = *from;
        }
        PacketIdPrefix(prefix)
    }
}

impl fmt::Debug for PacketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Display for PacketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

/// The first 15 bytes of a [`PacketId`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PacketIdPrefix(pub [u8; Self::LEN]);

impl PacketIdPrefix {
    /// Bytes of the prefix: all of the packet id but the last one.
    pub const LEN: usize = 15;
}

impl fmt::Debug for PacketIdPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

/// A letter's name inside its envelope, the same however often it is sent
/// (PROTOCOL.md, "Duplicates").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub [u8; Self::LEN]);

impl Uid {
    /// Bytes of a uid in the envelope.
    pub const LEN: usize = 16;

    /// Draws one from `rng`: it is not known to anybody.
    #[must_use]
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut uid = [0; Self::LEN];
        rng.fill_bytes(&mut uid);
        Self(uid)
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

/// The random value by which an answer to 101 or 106 proves that it is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub [u8; Self::LEN]);

impl Nonce {
    /// Bytes on the wire.
    pub const LEN: usize = 16;

    /// Draws one from `rng`: it is not known to anybody.
    #[must_use]
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut nonce = [0; Self::LEN];
        rng.fill_bytes(&mut nonce);
        Self(nonce)
    }
}
