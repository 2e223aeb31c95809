//! One packet of the vectors: closed, signed, and described. Layouts are written by hand; of the
//! core only RSA, AES and SHA-256 are used, so that its parsers have something to be held against.

use waxwing_core::crypto::{Iv, Provider, RustCrypto};

use super::cast::{Actor, BEN, IV, MESSAGE_KEY, SEED, SESSION_KEY, moment, now};
use super::json::{Json, hex, object};
use crate::packets;
use crate::told::Told;

/// `iv ‖ CBC(key; message)`.
pub(crate) fn cbc(key: &[u8; 32], iv: &Iv, message: &[u8]) -> Vec<u8> {
    let mut buffer = [message, &[0; 16]].concat();
    let len = RustCrypto.cbc_encrypt(key, iv, &mut buffer, message.len()).unwrap();
    [iv, &buffer[..len]].concat()
}

/// `iv ‖ CBC(key; message)` of whole blocks, without any padding.
pub(crate) fn cbc_unpadded(key: &[u8; 32], iv: &Iv, blocks: &[u8]) -> Vec<u8> {
    let mut padded = cbc(key, iv, blocks);
    padded.truncate(iv.len() + blocks.len());
    padded
}

/// `sealed(content)` under the session key of the vectors.
pub(crate) fn sealed(seq: u32, content: &[u8]) -> Vec<u8> {
    cbc(&SESSION_KEY, &IV, &[&seq.to_le_bytes(), content].concat())
}

/// One token.
pub(crate) fn token(key: &[u8; 32], mut block: [u8; 16]) -> [u8; 16] {
    RustCrypto.encrypt_block(key, &IV, &mut block);
    block
}

/// The OAEP label of an envelope.
pub(crate) fn envelope_label(sender: &Actor, recipient: &Actor) -> Vec<u8> {
    [&b"waxwing/1:102"[..], &sender.fingerprint(), &recipient.fingerprint()].concat()
}

/// An envelope.
pub(crate) fn envelope(sender: &Actor, recipient: &Actor, content: &[u8]) -> Vec<u8> {
    let wrapped = recipient.oaep(&envelope_label(sender, recipient), SEED, &MESSAGE_KEY);
    [&[1, 1][..], &wrapped, &cbc(&MESSAGE_KEY, &IV, content)].concat()
}

/// A signed packet.
pub(crate) fn signed(from: u16, to: u16, op: u8, payload: &[u8], signer: &Actor) -> Vec<u8> {
    sign(packets::unsigned(from, to, now(), op, payload), signer)
}

fn sign(bytes: Vec<u8>, signer: &Actor) -> Vec<u8> {
    packets::sign(bytes, &signer.private(), &mut Told::new(&[]))
}

/// A packet without a signature.
pub(crate) fn unsigned(from: u16, to: u16, op: u8, payload: &[u8]) -> Vec<u8> {
    packets::zero_signed(packets::unsigned(from, to, now(), op, payload))
}

/// What a case says besides its bytes.
pub(crate) struct Case {
    pub name: &'static str,
    pub kind: &'static str,
    pub op: u8,
    pub from: u16,
    pub to: u16,
    pub signer: Option<Actor>,
    /// The timestamp of the header, 19 bytes.
    pub at: &'static str,
    pub fields: Json,
}

impl Case {
    /// The content in an OAEP block, and what stands behind it.
    pub(crate) fn oaep(self, key: &Actor, content: &[u8], behind: &[u8]) -> Json {
        let label = format!("waxwing/1:{}", self.op);
        let payload = [&key.oaep(label.as_bytes(), SEED, content)[..], behind].concat();
        let protection = form("oaep").with("key", key.name).with("label", label);
        self.finish(protection.with("seed", hex(SEED)), content, payload)
    }

    /// The content under a reply key.
    pub(crate) fn reply(self, key: &[u8; 32], content: &[u8]) -> Json {
        let protection = form("reply").with("reply_key", hex(key)).with("iv", hex(IV));
        self.finish(protection, content, cbc(key, &IV, content))
    }

    /// The content under the key of the last session, without a number.
    pub(crate) fn last_session(self, content: &[u8]) -> Json {
        let protection =
            form("last_session").with("session_key", hex(SESSION_KEY)).with("iv", hex(IV));
        self.finish(protection, content, cbc(&SESSION_KEY, &IV, content))
    }

    /// The content, sealed.
    pub(crate) fn sealed(self, seq: u32, content: &[u8]) -> Json {
        let protection = form("sealed")
            .with("session_key", hex(SESSION_KEY))
            .with("iv", hex(IV))
            .with("seq", seq);
        self.finish(protection, content, sealed(seq, content))
    }

    /// One block for each receiver.
    pub(crate) fn shared(self, tokens: &[([u8; 32], [u8; 16])]) -> Json {
        let encrypted = tokens.iter().flat_map(|(key, block)| token(key, *block));
        let payload = IV.into_iter().chain(encrypted).collect();
        let blocks: Vec<u8> = tokens.iter().flat_map(|(_, block)| *block).collect();
        let tokens = tokens
            .iter()
            .map(|(key, block)| object().with("session_key", hex(key)).with("block", hex(block)));
        let protection = form("shared")
            .with("session_key", hex(SESSION_KEY))
            .with("iv", hex(IV))
            .with("tokens", tokens.collect::<Vec<_>>());
        self.finish(protection, &blocks, payload)
    }

    /// The content as it is.
    pub(crate) fn clear(self, content: &[u8]) -> Json {
        self.finish(form("clear"), content, content.to_vec())
    }

    /// An envelope from the signer to Ben.
    pub(crate) fn envelope(self, content: &[u8]) -> Json {
        let sender = self.signer.expect("letters are signed");
        let payload = envelope(&sender, &BEN, content);
        self.finish(envelope_protection(&sender, &BEN), content, payload)
    }

    fn finish(self, protection: Json, content: &[u8], payload: Vec<u8>) -> Json {
        let Self { name, kind, op, from, to, signer, at, fields } = self;
        let bytes = packets::unsigned(from, to, moment(at), op, &payload);
        let packet = match &signer {
            Some(signer) => sign(bytes, signer),
            None => packets::zero_signed(bytes),
        };
        let header = object()
            .with("sender_id", from)
            .with("recipient_id", to)
            .with("timestamp", at)
            .with("op_code", op)
            .with("payload_size", payload.len() as u64);
        object()
            .with("name", name)
            .with("kind", kind)
            .with("header", header)
            .with_some("signer", signer.map(|signer| signer.name))
            .with("protection", protection)
            .with("content", hex(content))
            .with("fields", fields)
            .with("payload", hex(payload))
            .with("packet", hex(&packet))
            .with("packet_id", hex(packets::id_of(&packet).0))
    }
}

fn form(form: &str) -> Json {
    object().with("form", form)
}

/// How an envelope is closed.
pub(crate) fn envelope_protection(sender: &Actor, recipient: &Actor) -> Json {
    form("envelope")
        .with("sender", sender.name)
        .with("recipient", recipient.name)
        .with("label", hex(envelope_label(sender, recipient)))
        .with("seed", hex(SEED))
        .with("message_key", hex(MESSAGE_KEY))
        .with("iv", hex(IV))
}
