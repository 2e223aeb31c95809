//! What the messenger makes of a server's word about a key, in a home; in the words of the test
//! vectors.

use waxwing::home::{Contact, Home, HomeProfile};
use waxwing_core::crypto::{PrivateKey, RustCrypto, RustCryptoKey, Spki};
use waxwing_core::envelope::Fingerprint;
use waxwing_core::messenger::{self, Account, Profile, Verdict};
use waxwing_core::phone::Phone;
use waxwing_core::testing::keys;
use waxwing_core::time::UnixTime;
use waxwing_core::wire::KeyAnswer;

pub(crate) use waxwing_core::messenger::Conflict;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Judgement {
    Pinned,
    Unchanged,
    NewId,
    Changed,
    Reverted,
    Own,
    Refused(Conflict),
}

pub(crate) fn judge(home: &Home, answer: &KeyAnswer, now: UnixTime) -> Judgement {
    let before = home.contacts().by_phone(&answer.phone).unwrap();
    let identity = home.identity().unwrap();
    let (phone, user, own, server) = match &identity {
        Some(own) => (own.phone, own.user_id(), own.public_key.clone(), own.server_key.clone()),
        // Nobody has registered: whatever is said is about others.
        None => (Phone::parse(b"+99900000000").unwrap(), None, last(1), last(2)),
    };
    let fingerprint = Fingerprint::of(&RustCrypto, &phone, &own);
    let account = Account { phone, user, fingerprint, server: &server };
    let mut profile = HomeProfile::new(home, |_| ());
    profile.begin().unwrap();
    let judged = messenger::judge(&mut profile, &account, &own, answer, now).unwrap();
    profile.commit().unwrap();
    match (judged, before) {
        (messenger::Judgement::Own, _) => Judgement::Own,
        (messenger::Judgement::Refused(conflict), _) => Judgement::Refused(conflict),
        (messenger::Judgement::Noted(Verdict::Pin), _) => Judgement::Pinned,
        (messenger::Judgement::Noted(Verdict::Change), _) => Judgement::Changed,
        (_, Some(Contact { changed: Some(_), .. })) => Judgement::Reverted,
        (_, Some(known)) if known.user_id != Some(answer.user) => Judgement::NewId,
        (messenger::Judgement::Noted(Verdict::Confirm), _) => Judgement::Unchanged,
    }
}

fn last(at: usize) -> Spki {
    let der = keys::pkcs8_der(keys::COUNT - at);
    RustCryptoKey::from_pkcs8_der(der).unwrap().spki().clone()
}
