//! The numbers that two people compare, and what follows from that. What is accepted, or marked as
//! compared, is always the key whose number was compared, whatever the server says meanwhile.

use waxwing_core::crypto::Spki;
use waxwing_core::envelope::{Fingerprint, SafetyNumber};
use waxwing_core::phone::Phone;

use crate::backend::provider;
use crate::clock;
use crate::exit::Failure;
use crate::home::{Acceptance, Contact, Home, Identity};
use crate::reopen::reopen_held;
use crate::session::Account;

/// The number that the owner of a home compares with `phone`, if that has this key.
#[must_use]
pub fn number(identity: &Identity, phone: &Phone, spki: &Spki) -> String {
    let own = Fingerprint::of(&provider(), &identity.phone, &identity.public_key);
    let theirs = Fingerprint::of(&provider(), phone, spki);
    SafetyNumber::of(&provider(), &own, &theirs).to_string()
}

/// The digits of a number as somebody has typed it.
///
/// # Errors
/// That it is none, for a person.
pub fn digits(typed: &str) -> Result<String, String> {
    let digits: String = typed.split_whitespace().collect();
    if digits.len() == 60 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(digits);
    }
    Err("a safety number is sixty digits".to_owned())
}

/// Which key a compared number belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belongs {
    /// To the one that is accepted already.
    Pinned,
    /// To the changed one, which waits.
    Changed,
    /// To none that this home knows.
    Neither,
}

/// Which key of `contact` has the number with these digits.
#[must_use]
pub fn find(identity: &Identity, contact: &Contact, compared: &str) -> Belongs {
    let has = |spki: &Spki| {
        let number = number(identity, &contact.phone, spki);
        number.chars().filter(char::is_ascii_digit).eq(compared.chars())
    };
    match &contact.changed {
        Some(changed) if has(&changed.spki) => Belongs::Changed,
        _ if has(&contact.spki) => Belongs::Pinned,
        _ => Belongs::Neither,
    }
}

/// Accepts the changed key whose number was compared.
///
/// # Errors
/// [`Failure::Untrusted`] when it is not the one that waits.
pub fn accept(home: &Home, phone: &Phone, compared: &Spki) -> Result<(), Failure> {
    match home.contacts().accept(phone, compared, clock::now())? {
        Acceptance::Accepted => Ok(()),
        // Another screen, or command, of this home was faster.
        Acceptance::NotPending if is_accepted(home, phone, compared)? => Ok(()),
        Acceptance::NotPending => Err(Failure::Untrusted(format!(
            "nothing is accepted: the key of {} has changed once more since this number was shown; compare \
             the new number",
            phone.as_str()
        ))),
        Acceptance::Refused(conflict) => Err(Failure::Untrusted(conflict.to_string())),
    }
}

fn is_accepted(home: &Home, phone: &Phone, compared: &Spki) -> Result<bool, Failure> {
    let contact = home.contacts().by_phone(phone)?;
    Ok(contact.is_some_and(|contact| contact.changed.is_none() && contact.spki == *compared))
}

/// Notes that two people have compared the number of this key.
///
/// # Errors
/// [`Failure::Untrusted`] when it is not the accepted one any more.
pub fn mark_compared(home: &Home, phone: &Phone, compared: &Spki) -> Result<(), Failure> {
    if home.contacts().mark_verified(phone, compared)? {
        return Ok(());
    }
    Err(Failure::Untrusted(format!(
        "nothing is noted as compared: the key of {} has changed since this number was shown; compare the new \
         number",
        phone.as_str()
    )))
}

/// Opens letters of `phone` that were held back and can be read now; how many.
///
/// # Errors
/// [`Failure::Storage`]; the letters not reached stay held back.
pub fn release_held(home: &Home, phone: &Phone) -> Result<usize, Failure> {
    if home.letters().held_from(phone)?.is_empty() {
        return Ok(0);
    }
    let Some(identity) = home.identity()? else { return Ok(0) };
    let reopened = reopen_held(home, &Account::new(identity)?, phone);
    Ok(reopened.map_err(|error| error.after(home.dir(), "the key is accepted"))?)
}
