//! Holds an implementation against the files under `vectors/`: parses, verifies, opens, and lets the
//! real machines refuse what is bad. It knows the files alone, and nothing of what wrote them.

pub mod client;
pub mod fields;
pub mod packets;
pub mod server;
pub mod values;

use std::convert::Infallible;
use std::path::Path;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};
use serde_json::Value;
use waxwing_core::crypto::{Iv, Spki};
use waxwing_core::id::{Nonce, UserId};
use waxwing_core::phone::Phone;

use super::json::unhex;
use crate::backend::Backend;

/// The cases of a file.
pub fn cases(file: &str) -> Vec<Value> {
    list(file, "cases")
}

fn list(file: &str, member: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut whole: Value = serde_json::from_str(&text).unwrap();
    let Value::Array(list) = whole[member].take() else { panic!("{file} has no {member}") };
    assert!(!list.is_empty(), "{file} is empty");
    list
}

/// Somebody of `keys.json`: the number of the key, and the phone.
///
/// # Panics
/// When nobody has that name.
pub fn key_and_phone(name: &str) -> (usize, Option<Phone>) {
    let Known { index, phone, .. } = Known::named(name);
    (index, phone)
}

/// The first case of a kind.
fn first(file: &str, kind: &str) -> Value {
    cases(file).into_iter().find(|case| case["kind"] == kind).unwrap()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no text {member} in {value}"))
}

fn bytes(value: &Value, member: &str) -> Vec<u8> {
    unhex(text(value, member))
}

fn array<const N: usize>(value: &Value, member: &str) -> [u8; N] {
    bytes(value, member).try_into().unwrap()
}

/// Somebody of `keys.json`.
struct Known {
    index: usize,
    spki: Spki,
    phone: Option<Phone>,
    id: Option<UserId>,
}

impl Known {
    fn named(name: &str) -> Self {
        let keys = list("keys.json", "keys");
        let key = keys.iter().find(|key| key["name"] == name).expect("a name of keys.json");
        Self {
            index: key["index"].as_u64().unwrap() as usize,
            spki: Spki::parse(&bytes(key, "spki")).unwrap(),
            phone: key["phone"].as_str().map(|phone| Phone::parse(phone.as_bytes()).unwrap()),
            id: key["user_id"].as_u64().and_then(|id| UserId::new(id as u16)),
        }
    }

    fn private<P: Backend>(&self) -> P::PrivateKey {
        P::key(self.index)
    }

    fn public<P: Backend>(&self) -> P::PublicKey {
        P::default().public_key(&self.spki).unwrap()
    }
}

/// A generator by which a machine draws the values of the vectors: the session key wherever it
/// wants as many bytes, the nonce likewise, and the code 123456.
struct Chosen {
    session_key: [u8; 32],
    nonce: Nonce,
    /// What it gives after the nonce, where something else is wanted.
    iv: Option<Iv>,
    nonce_is_drawn: bool,
    rest: ChaCha20Rng,
}

impl Chosen {
    fn new() -> Self {
        let fields = first("session.json", "session_renewed")["fields"].take();
        Self {
            session_key: array(&fields, "session_key"),
            nonce: Nonce(array(&fields, "nonce")),
            iv: None,
            nonce_is_drawn: false,
            rest: ChaCha20Rng::from_seed([7; 32]),
        }
    }
}

impl Chosen {
    /// One that gives the nonce once and this initialisation vector afterwards.
    fn with_iv(iv: Iv) -> Self {
        Self { iv: Some(iv), ..Self::new() }
    }

    fn sixteen_bytes(&mut self) -> [u8; 16] {
        let nonce_was_drawn = std::mem::replace(&mut self.nonce_is_drawn, true);
        self.iv.filter(|_| nonce_was_drawn).unwrap_or(self.nonce.0)
    }
}

impl TryRng for Chosen {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(123_456)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.rest.next_u64())
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        match to.len() {
            32 => to.copy_from_slice(&self.session_key),
            16 => to.copy_from_slice(&self.sixteen_bytes()),
            _ => self.rest.fill_bytes(to),
        }
        Ok(())
    }
}

impl TryCryptoRng for Chosen {}
