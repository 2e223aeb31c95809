//! The server's part, played on the same board, so that the device has something to answer.

use waxwing_core::crypto::{
    CryptoRng, PrivateKey, PublicKey, ReplyKey, RustCrypto, RustCryptoKey, SessionKey, SessionSeal,
};
use waxwing_core::id::{Nonce, UserId};
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{BacklogSize, BuildError, Draft, Op, OtpProof, SessionGrant, Writer};

/// The server.
pub(crate) struct Server<'k> {
    pub(crate) key: &'k RustCryptoKey,
    pub(crate) user: UserId,
    seal: SessionSeal,
}

impl<'k> Server<'k> {
    pub(crate) fn new(key: &'k RustCryptoKey, user: UserId, rng: &mut dyn CryptoRng) -> Self {
        Self { key, user, seal: SessionSeal::new(SessionKey::generate(rng)) }
    }

    /// A 200 with a code in it.
    pub(crate) fn otp_issued<'b>(
        &self,
        rng: &mut dyn CryptoRng,
        reply_key: &ReplyKey,
        room: &'b mut [u8],
    ) -> Option<&'b [u8]> {
        let mut draft = draft(room, Op::OtpIssued, None);
        let payload = draft.payload_mut();
        let content = b"\x2c\x01\x03\x3c\x00\x06123456";
        let len = reply_key.seal(&RustCrypto, rng, payload, |writer| writer.put(content)).ok()?;
        self.sign(draft, rng, len)
    }

    /// A 201 that answers a 101.
    pub(crate) fn session_issued<'b>(
        &mut self,
        rng: &mut dyn CryptoRng,
        proof: &[u8],
        device: &impl PublicKey,
        room: &'b mut [u8],
    ) -> Option<&'b [u8]> {
        let nonce = self.nonce(rng, proof)?;
        let grant = SessionGrant { session_key: self.seal.key().clone(), nonce };
        let mut block = [0; 48];
        grant.emit(&mut Writer::new(&mut block)).ok()?;
        let op = Op::SessionIssued;
        let sealed = device.oaep_seal(rng, op.oaep_label(), &block).ok()?;
        let mut draft = draft(room, op, Some(self.user));
        draft.payload_mut().get_mut(..sealed.len())?.copy_from_slice(&sealed);
        self.sign(draft, rng, sealed.len())
    }

    /// The nonce in a 101.
    fn nonce(&self, rng: &mut dyn CryptoRng, packet: &[u8]) -> Option<Nonce> {
        let sealed = packet.get(26..)?.first_chunk()?;
        let mut block = [0; 190];
        let label = Op::OtpProof.oaep_label();
        let len = self.key.oaep_open(rng, label, sealed, &mut block).ok()?;
        Some(OtpProof::parse(&block[..len]).ok()?.nonce)
    }

    /// A 255 under the session's key.
    pub(crate) fn backlog_end<'b>(
        &mut self,
        rng: &mut dyn CryptoRng,
        room: &'b mut [u8],
    ) -> Option<&'b [u8]> {
        let mut draft = draft(room, Op::BacklogEnd, Some(self.user));
        let payload = draft.payload_mut();
        let emit = |writer: &mut Writer<'_>| BacklogSize(0).emit(writer);
        let len = self.seal.seal(&RustCrypto, rng, payload, emit).ok()?;
        self.sign(draft, rng, len)
    }

    fn sign<'b>(&self, draft: Draft<'b>, rng: &mut dyn CryptoRng, len: usize) -> Option<&'b [u8]> {
        let signed: Result<_, BuildError> = draft.sign(&RustCrypto, self.key, rng, len);
        Some(signed.ok()?.1)
    }
}

fn draft(room: &mut [u8], op: Op, to: Option<UserId>) -> Draft<'_> {
    Draft::new(room, op, None, to, Timestamp::from_unix(NOW))
}

/// When all of this happens.
pub(crate) const NOW: UnixTime = UnixTime::from_seconds(1_795_350_896);
