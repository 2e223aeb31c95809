//! The population of a run: people, numbered from 1, so that everything about them is known
//! beforehand; the clients that they run; and what their server keeps of them.

mod clients;
mod server_data;

use waxwing_aws_lc::AwsLc;
use waxwing_core::crypto::{PrivateKey, Provider, SessionKey};
use waxwing_core::envelope::Fingerprint;
use waxwing_core::id::UserId;
use waxwing_core::phone::Phone;

use crate::keys::KeyPair;
pub(crate) use clients::{Clients, Errand};
pub(crate) use server_data::ServerData;

/// Somebody who has, or is about to get, an account.
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) phone: Phone,
    pub(crate) keys: &'static KeyPair,
    pub(crate) fingerprint: Fingerprint,
    /// The key of a last session that never was: the server knows it too, so that the short
    /// form of 106 works from the beginning. Nothing where somebody else has started the server.
    pub(crate) last_session: Option<SessionKey>,
}

impl Person {
    fn new(number: u16, keys: &'static [KeyPair]) -> Self {
        let user = UserId::new(number).expect("people are numbered from 1");
        let phone = phone(number);
        let keys = &keys[usize::from(number - 1) % keys.len()];
        let session = AwsLc.sha256(&[b"session", &number.to_le_bytes()]);
        Self {
            user,
            phone,
            keys,
            fingerprint: Fingerprint::of(&AwsLc, &phone, keys.private.spki()),
            last_session: Some(SessionKey::from_bytes(&session.0)),
        }
    }
}

/// Whoever writes comes before whoever reads. With two event loops, this order puts both people of
/// half of the pairs into one loop, as chance would, and gives each loop as many senders.
const ORDER: [u16; 8] = [0, 1, 3, 2, 4, 6, 5, 7];

/// A population of `count` people, who have `keys` in turn; each two of them are a pair.
pub(crate) fn of(count: usize, keys: &'static [KeyPair]) -> Vec<Person> {
    let count = u16::try_from(count).expect("ids have 16 bits");
    let last = count - count % 8;
    let ordered = (0..last).step_by(8).flat_map(|first| ORDER.map(|nth| first + nth));
    ordered.chain(last..count).map(|at| Person::new(at + 1, keys)).collect()
}

/// The phone of the user with this number.
pub(crate) fn phone(number: u16) -> Phone {
    Phone::parse(format!("+1555{number:07}").as_bytes()).expect("it is well formed")
}
