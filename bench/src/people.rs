//! The people of a run: numbered from 1, so that everything about them is known beforehand.

use waxwing_aws_lc::AwsLc;
use waxwing_core::crypto::{PrivateKey, Provider, SessionKey};
use waxwing_core::envelope::Fingerprint;
use waxwing_core::id::UserId;
use waxwing_core::phone::Phone;

use crate::keys::KeyPair;

/// Somebody who has, or is about to get, an account.
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) phone: Phone,
    pub(crate) keys: &'static KeyPair,
    pub(crate) fingerprint: Fingerprint,
    /// The key of a last session that never was: the server knows it too, so that the short
    /// form of 106 works from the beginning.
    pub(crate) last_session: SessionKey,
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
            last_session: SessionKey::from_bytes(&session.0),
        }
    }
}

/// So many people, who have `keys` in turn.
pub(crate) fn people(count: usize, keys: &'static [KeyPair]) -> Vec<Person> {
    (1..).take(count).map(|number| Person::new(number, keys)).collect()
}

/// The phone of the user with this number.
pub(crate) fn phone(number: u16) -> Phone {
    Phone::parse(format!("+1555{number:07}").as_bytes()).expect("it is well formed")
}
