//! The two accounts of the canary: who they are, and what a round leaves for the next one.

use std::path::Path;

use waxwing_core::crypto::{PrivateKey, Provider, SessionKey, Spki};
use waxwing_core::envelope::Fingerprint;
use waxwing_core::id::UserId;
use waxwing_core::phone::Phone;
use waxwing_core::server::storage::StoredUser;

use crate::backend::{Backend, Key};
use crate::exit::{Exit, Failure};
use crate::key;

/// One of the accounts.
pub(super) struct Account {
    pub(super) phone: Phone,
    pub(super) key: Key,
    pub(super) fingerprint: Fingerprint,
    /// Whether the key was made now, because there was none: whoever has the phone had it before the key
    /// was lost.
    pub(super) is_new: bool,
}

impl Account {
    /// Phones that no person has, and the files of their keys. They are the same everywhere: each server
    /// has accounts of its own.
    const SENDER: (&str, &str) = ("+99900000001", "canary-sender.key.pem");
    const RECIPIENT: (&str, &str) = ("+99900000002", "canary-recipient.key.pem");

    fn load(data: &Path, (phone, file): (&str, &str)) -> Result<Self, Failure> {
        let phone = Phone::parse(phone.as_bytes());
        let phone = phone.map_err(|_| Failure::new(Exit::Failure, "this is no phone"))?;
        let file = data.join(file);
        let is_new = !key::is_at(&file)?;
        let key = key::read_or_make(&file)?;
        let fingerprint = Fingerprint::of(&Backend::default(), &phone, key.spki());
        Ok(Self { phone, key, fingerprint, is_new })
    }

    pub(super) fn spki(&self) -> &Spki {
        self.key.spki()
    }

    /// Its key, as the other one has it.
    pub(super) fn public_key(&self) -> Option<<Backend as Provider>::PublicKey> {
        Backend::default().public_key(self.spki()).ok()
    }
}

/// Both.
pub(super) struct Accounts {
    pub(super) sender: Account,
    pub(super) recipient: Account,
}

impl Accounts {
    /// With the keys in the data directory. Those that are not there are made: the accounts that had them
    /// are replaced then.
    pub(super) fn load(data: &Path) -> Result<Self, Failure> {
        let sender = Account::load(data, Account::SENDER)?;
        Ok(Self { sender, recipient: Account::load(data, Account::RECIPIENT)? })
    }
}

/// Users who have phones that only accounts of the server itself can get, and are none of them: they registered
/// before nobody could any more. Where the key of an account is missing, its phone is taken for its own: no
/// backup has these keys in it, and the next round makes the account anew.
pub fn strangers(data: &Path, users: &[StoredUser]) -> Vec<UserId> {
    // A key that cannot be used is told of by the round that needs it.
    let key = |file| key::read_if_there(&data.join(file));
    let own = [Account::SENDER, Account::RECIPIENT].map(|(phone, file)| (phone, key(file)));
    let is_own = |user: &StoredUser| {
        let (_, key) = own.iter().find(|(phone, _)| user.phone.as_str() == *phone)?;
        Some(key.as_ref().is_ok_and(|key| key.as_ref().is_none_or(|key| *key.spki() == user.spki)))
    };
    let reserved = users.iter().filter(|user| user.phone.is_reserved());
    reserved.filter(|user| !is_own(user).unwrap_or(false)).map(|user| user.id).collect()
}

/// What outlives a round.
pub(super) struct Known {
    pub(super) accounts: Accounts,
    /// The keys of the last sessions, which spare the server a private-key operation.
    pub(super) sender_session: Option<SessionKey>,
    pub(super) recipient_session: Option<SessionKey>,
}

impl Known {
    pub(super) const fn new(accounts: Accounts) -> Self {
        Self { accounts, sender_session: None, recipient_session: None }
    }
}
