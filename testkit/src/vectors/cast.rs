//! Who and what the vectors are about: people, keys, and the values that would be random. The values
//! are those of PROTOCOL.md, "Test values".

use waxwing_core::crypto::{
    Iv, PrivateKey, Provider, PublicKey, RSA_LEN, RustCrypto, RustCryptoKey, SPKI_LEN,
};
use waxwing_core::testing::keys;
use waxwing_core::time::{Timestamp, UnixTime};

use super::json::{Json, hex, object};
use crate::backend::Backend;
use crate::told::Told;
use crate::world::SERVER_KEY;

pub(crate) const TIME: &str = "2026-03-14 09:26:53";
pub(crate) const SESSION_KEY: [u8; 32] = counting(0x00);
pub(crate) const IV: Iv = counting(0x20);
pub(crate) const NONCE: [u8; 16] = counting(0x40);
pub(crate) const REPLY_KEY: [u8; 32] = counting(0x60);
pub(crate) const UID: [u8; 16] = counting(0x80);
pub(crate) const MESSAGE_KEY: [u8; 32] = counting(0xa0);
/// Of a letter that is spoken of and never shown.
pub(crate) const LETTER_ID: [u8; 16] = counting(0xb0);
pub(crate) const SEED: [u8; 32] = counting(0xe0);
pub(crate) const OTP: &str = "123456";

/// The bytes `first`, `first + 1`, ….
pub const fn counting<const N: usize>(first: u8) -> [u8; N] {
    let (mut bytes, mut at) = ([0; N], 0);
    while at < N {
        bytes[at] = first.wrapping_add(at as u8);
        at += 1;
    }
    bytes
}

pub(crate) fn now() -> UnixTime {
    moment(TIME)
}

/// The moment that a header names so.
pub(crate) fn moment(timestamp: &str) -> UnixTime {
    Timestamp::parse(timestamp.as_bytes().try_into().unwrap()).unwrap().to_unix()
}

/// Somebody with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    pub name: &'static str,
    /// The number of the key.
    pub key: usize,
    pub phone: &'static str,
    pub id: u16,
}

pub(crate) const SERVER: Actor = Actor { name: "server", key: SERVER_KEY, phone: "", id: 0 };
pub(crate) const ANN: Actor = Actor { name: "ann", key: 0, phone: "+15550001", id: 7 };
pub(crate) const BEN: Actor = Actor { name: "ben", key: 1, phone: "+445550002", id: 300 };
/// Neither she nor Dave has an account.
pub(crate) const CAROL: Actor = Actor { name: "carol", key: 2, phone: "+33612345678", id: 0 };

pub(crate) const DAVE: Actor = Actor { name: "dave", key: 3, phone: "+819012345678", id: 0 };

impl Actor {
    pub(crate) fn private(&self) -> RustCryptoKey {
        RustCrypto::key(self.key)
    }

    pub(crate) fn spki(&self) -> [u8; SPKI_LEN] {
        *self.private().spki().as_bytes()
    }

    pub(crate) fn spki_digest(&self) -> [u8; 32] {
        RustCrypto.sha256(&[&self.spki()]).0
    }

    /// `OAEP(self; message)`, with the seed that is chosen.
    pub(crate) fn oaep(&self, label: &[u8], seed: [u8; 32], message: &[u8]) -> [u8; RSA_LEN] {
        let key = RustCrypto.public_key(self.private().spki()).unwrap();
        key.oaep_seal(&mut Told::new(&seed), label, message).unwrap()
    }

    /// `SHA-256("waxwing/1:id" ‖ phone ‖ spki)`.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        RustCrypto.sha256(&[b"waxwing/1:id", &phone(self.phone), &self.spki()]).0
    }
}

/// A phone as it stands on the wire.
pub(crate) fn phone(text: &str) -> Vec<u8> {
    let len = u8::try_from(text.len()).unwrap();
    [&[len], text.as_bytes()].concat()
}

/// `keys.json`.
pub(crate) fn keys_file() -> Json {
    let key = |actor: &Actor| {
        let key = object()
            .with("name", actor.name)
            .with("index", actor.key as u64)
            .with("pkcs8", hex(keys::pkcs8_der(actor.key)))
            .with("spki", hex(actor.spki()));
        match actor.id {
            _ if actor.phone.is_empty() => key,
            0 => key.with("phone", actor.phone),
            id => key.with("phone", actor.phone).with("user_id", id),
        }
    };
    object()
        .with("about", "Who the vectors are about. Everybody has these keys: they protect nothing.")
        .with("keys", [SERVER, ANN, BEN, CAROL, DAVE].iter().map(key).collect::<Vec<_>>())
}
