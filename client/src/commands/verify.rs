//! `waxwing verify`: the number that two people compare, and the word that a changed key is
//! right.

use std::path::Path;
use std::time::{Duration, Instant};

use waxwing_core::crypto::Spki;
use waxwing_core::envelope::{Fingerprint, SafetyNumber};
use waxwing_core::phone::Phone;

use super::{Console, open};
use crate::backend::{load_key, provider, rng};
use crate::clock;
use crate::courier::{Account, Desk, Reached};
use crate::exit::Failure;
use crate::home::{Acceptance, Contact, Home, Identity};
use crate::reopen::reopen_held;

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(
    dir: &Path,
    phone: &Phone,
    accept: bool,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (home, identity) = open(dir)?;
    ask_server(&home, phone, console)?;
    let contact = pinned(&home, phone)?;
    match (&contact.changed, accept) {
        (Some(changed), true) => {
            accept_key(&home, phone, &changed.spki, console)?;
            let contact = pinned(&home, phone)?;
            release_held(&home, &identity, &contact, console)?;
            show_number(&identity, &contact, &contact.spki, console)
        }
        (Some(changed), false) => {
            show_number(&identity, &contact, &changed.spki, console)?;
            Err(Failure::Untrusted(format!(
                "this number is for the changed key of {0}, which is not accepted yet; if both \
                 of you see it, run `waxwing verify {0} --accept`",
                phone.as_str()
            )))
        }
        (None, accept) => {
            if accept {
                writeln!(console.remarks, "the key has not changed; there is nothing to accept")?;
            }
            // Nothing is in question any more, but an accepting process may have died half way.
            release_held(&home, &identity, &contact, console)?;
            show_number(&identity, &contact, &contact.spki, console)?;
            ask_whether_equal(&home, &contact, console)
        }
    }
}

/// Asks the server for the key, so that one that has begun to lie is noticed now. Without a
/// connection, what is pinned has to do.
fn ask_server(home: &Home, phone: &Phone, console: &mut Console<'_>) -> Result<(), Failure> {
    let Some(identity) = home.identity()?.filter(|identity| identity.user_id().is_some()) else {
        return Ok(());
    };
    let account = Account::new(identity)?;
    let mut desk = Desk::new(home, &account, &console.remarks)?;
    let deadline = Instant::now() + PATIENCE;
    let reached = desk.wait_until(Some(deadline), false, |desk| Ok(desk.has_backlog()));
    if matches!(reached, Ok(Reached::Yes)) {
        desk.want_key(phone);
    }
    let reached = reached
        .and_then(|_| desk.wait_until(Some(deadline), false, |desk| Ok(desk.has_answer(phone))));
    let problem = desk.problem().map(ToString::to_string);
    let refused = desk.refused_answer(phone).map(ToString::to_string);
    desk.leave()?;
    if let Some(conflict) = refused {
        return Err(Failure::Untrusted(conflict));
    }
    if reached? != Reached::Yes {
        let why = problem.unwrap_or_else(|| "no answer".into());
        writeln!(console.remarks, "the server was not asked ({why}); this is what is pinned")?;
    }
    Ok(())
}

fn pinned(home: &Home, phone: &Phone) -> Result<Contact, Failure> {
    home.contacts().by_phone(phone)?.ok_or_else(|| Failure::no_contact(phone))
}

fn accept_key(
    home: &Home,
    phone: &Phone,
    seen: &Spki,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    match home.contacts().accept(phone, seen, clock::now())? {
        Acceptance::Accepted => {}
        Acceptance::NotPending => {
            return Err(Failure::Untrusted(format!(
                "the key of {0} has changed once more; run `waxwing verify {0}` and compare again",
                phone.as_str()
            )));
        }
        Acceptance::Refused(conflict) => return Err(Failure::Untrusted(conflict.to_string())),
    }
    writeln!(console.remarks, "the key of {} is accepted, and not verified", phone.as_str())?;
    Ok(())
}

fn release_held(
    home: &Home,
    identity: &Identity,
    contact: &Contact,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    if home.letters().held_from(&contact.phone)?.is_empty() {
        return Ok(());
    }
    let key = load_key(&identity.private_key)
        .map_err(|_| Failure::General("this home's private key does not read".into()))?;
    let released = reopen_held(home, identity, &key, contact, &mut rng(), clock::now())?;
    writeln!(console.remarks, "letters that were held back: {released}; `waxwing receive`")?;
    Ok(())
}

fn show_number(
    identity: &Identity,
    contact: &Contact,
    spki: &Spki,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let own = Fingerprint::of(&provider(), &identity.phone, &identity.public_key);
    let theirs = Fingerprint::of(&provider(), &contact.phone, spki);
    let number = SafetyNumber::of(&provider(), &own, &theirs);
    writeln!(console.output, "{number}")?;
    Ok(())
}

/// Only a person can have compared anything; a program is not asked.
fn ask_whether_equal(
    home: &Home,
    contact: &Contact,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    if contact.verified {
        writeln!(console.remarks, "compared before; {} is verified", contact.phone.as_str())?;
        return Ok(());
    }
    if !console.interactive {
        return Ok(());
    }
    let phone = contact.phone.as_str();
    write!(console.remarks, "does {phone} see the same number? [y/N] ")?;
    console.remarks.flush()?;
    let mut answer = String::new();
    console.input.read_line(&mut answer)?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    if home.contacts().mark_verified(&contact.phone, &contact.spki)? {
        writeln!(console.remarks, "{phone} is verified")?;
        Ok(())
    } else {
        Err(Failure::key_changed(&contact.phone))
    }
}
