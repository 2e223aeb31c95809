//! Verify, then decrypt: the one way from a packet's bytes to what is sealed in them.

use super::{Digest, Provider, PublicKey, Rejected};
use crate::id::PacketId;
use crate::wire::{Header, Packet};

/// A packet whose digest is known and whose signature has not been checked.
#[derive(Debug)]
#[must_use]
pub struct Unverified<B> {
    packet: Packet<B>,
    digest: Digest,
}

impl<B: AsRef<[u8]>> Unverified<B> {
    /// Computes the digest, once for id and signature.
    pub fn new<P: Provider>(provider: &P, packet: Packet<B>) -> Self {
        let digest = provider.sha256(&[packet.signed_bytes()]);
        Self { packet, digest }
    }

    /// The header, as the packet claims it: nobody has checked the signature yet.
    #[must_use]
    pub const fn header(&self) -> &Header {
        self.packet.header()
    }

    /// The whole packet: nobody has checked the signature yet.
    #[must_use]
    pub const fn packet(&self) -> &Packet<B> {
        &self.packet
    }

    /// The packet id: the first 16 bytes of the packet's digest.
    #[must_use]
    pub fn id(&self) -> PacketId {
        PacketId::of(&self.digest)
    }

    /// Checks the signature under the key of whoever must have made the packet.
    ///
    /// # Errors
    /// [`Rejected`] when it does not hold.
    pub fn verify(self, key: &impl PublicKey) -> Result<Verified<B>, Rejected> {
        key.verify(&self.digest, self.packet.signature())?;
        Ok(Verified { id: self.id(), packet: self.packet })
    }
}

/// A packet whose signature holds. Only [`Unverified::verify`] makes one, and everything that
/// decrypts wants one:
///
/// ```
/// # use waxwing_core::crypto::{Provider, SessionSeal, Unverified};
/// # fn f<P: Provider>(p: &P, key: &P::PublicKey, seal: &mut SessionSeal, packet: Unverified<&mut [u8]>) {
/// let _ = packet.verify(key).map(|verified| seal.open(p, verified).is_ok());
/// # }
/// ```
/// ```compile_fail
/// # use waxwing_core::crypto::{Provider, SessionSeal, Unverified};
/// # fn f<P: Provider>(p: &P, key: &P::PublicKey, seal: &mut SessionSeal, packet: Unverified<&mut [u8]>) {
/// let _ = seal.open(p, packet).is_ok();
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Verified<B> {
    packet: Packet<B>,
    id: PacketId,
}

impl<B: AsRef<[u8]>> Verified<B> {
    /// The header, over which the signature holds.
    #[must_use]
    pub const fn header(&self) -> &Header {
        self.packet.header()
    }

    /// The packet id: the first 16 bytes of the packet's digest.
    #[must_use]
    pub const fn id(&self) -> PacketId {
        self.id
    }

    /// The payload, still sealed, without header and signature.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.packet.payload()
    }

    /// All bytes of the packet: header, payload and signature.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.packet.as_bytes()
    }
}

impl<'a> Verified<&'a mut [u8]> {
    pub(crate) fn into_payload(self) -> &'a mut [u8] {
        self.packet.into_payload()
    }
}
