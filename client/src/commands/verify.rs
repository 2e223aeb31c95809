//! `waxwing verify`: the number that two people compare, and the word that a changed key is
//! right. What is marked or accepted is always the key whose number was shown, or was named.

use std::time::{Duration, Instant};

use waxwing_core::crypto::Spki;
use waxwing_core::envelope::{Fingerprint, SafetyNumber};
use waxwing_core::phone::Phone;
use waxwing_core::wire::ErrorCode;

use super::{Console, Place, host};
use crate::args::Verify;
use crate::backend::provider;
use crate::clock;
use crate::exit::Failure;
use crate::home::{Acceptance, Contact, Home, Identity};
use crate::reopen::reopen_held;
use crate::session::{Account, Reached, Session};

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(
    place: &Place<'_>,
    verify: &Verify,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let compared = verify.compared_number().map_err(Failure::Usage)?;
    let (home, identity) = place.open()?;
    let phone = &place.find(&home, &verify.who, console)?;
    if let Some(compared) = compared {
        // The server is not asked first: what it would say now, nobody has compared.
        let contact = pinned(&home, phone)?;
        return accept_named(&home, &identity, &contact, &compared, console);
    }
    let has_word = ask_server(&home, phone, console)?;
    let contact = match home.contacts().by_phone(phone)? {
        Some(contact) => contact,
        None if has_word => return Err(Failure::refused(ErrorCode::UnknownUser.code(), 0)),
        None => return Err(Failure::no_contact(phone)),
    };
    match &contact.changed {
        Some(changed) => ask_about_changed(&home, &identity, &contact, &changed.spki, console),
        None => {
            // An accepting process may have died half way.
            release_held(&home, &contact, console)?;
            writeln!(console.output, "{}", number(&identity, phone, &contact.spki))?;
            ask_about_pinned(&home, &contact, console)
        }
    }
}

/// Asks the server for the key, so that one that has begun to lie is noticed now. Without a
/// connection, what is pinned has to do. Whether the server has said what the key is, or that it knows
/// nobody with this phone.
fn ask_server(home: &Home, phone: &Phone, console: &mut Console<'_>) -> Result<bool, Failure> {
    let Some(identity) = home.identity()?.filter(|identity| identity.user_id().is_some()) else {
        return Ok(false);
    };
    let account = Account::new(identity)?;
    let mut session = Session::new(home, &account, host::with(&console.remarks))?;
    let deadline = Instant::now() + PATIENCE;
    let reached = session
        .wait_until(Some(deadline), false, |session| Ok::<_, Failure>(session.has_backlog()));
    if matches!(reached, Ok(Reached::Yes)) {
        session.want_key(phone);
    }
    let reached = reached.and_then(|_| {
        session.wait_until(Some(deadline), false, |session| Ok(session.has_answer(phone)))
    });
    let problem = match session.problem() {
        Some(problem) => Failure::from(problem).to_string(),
        None if !session.has_session() => {
            "another waxwing command of this home has the session".to_owned()
        }
        None => "it gave no answer".to_owned(),
    };
    let has_word = session.has_word_of(phone);
    let refused = session.refused_answer(phone).map(|conflict| conflict.to_string());
    session.leave()?;
    if let Some(conflict) = refused {
        return Err(Failure::Untrusted(conflict));
    }
    match reached? {
        Reached::Yes if has_word => Ok(true),
        Reached::Interrupted => Err(Failure::Interrupted),
        Reached::Yes | Reached::TimedOut | Reached::Offline => {
            writeln!(
                console.remarks,
                "the server has not said what the key is now ({problem}); this is what this home \
                 knows"
            )?;
            Ok(false)
        }
    }
}

fn pinned(home: &Home, phone: &Phone) -> Result<Contact, Failure> {
    home.contacts().by_phone(phone)?.ok_or_else(|| Failure::no_contact(phone))
}

/// Accepts the waiting key that has the number which was compared, and no other.
fn accept_named(
    home: &Home,
    identity: &Identity,
    contact: &Contact,
    compared: &str,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let phone = &contact.phone;
    let is_compared = |spki: &Spki| digits(&number(identity, phone, spki)) == compared;
    match &contact.changed {
        Some(changed) if is_compared(&changed.spki) => {
            accept_key(home, phone, &changed.spki)?;
            writeln!(console.remarks, "the key of {} is accepted", phone.as_str())?;
        }
        None if is_compared(&contact.spki) => {
            writeln!(console.remarks, "that is the number of the accepted key; nothing changes")?;
        }
        Some(_) => {
            return Err(Failure::Untrusted(format!(
                "nothing is accepted: this is not the number of the key that {0} has now; run \
                 `waxwing verify {0}` and compare again",
                phone.as_str()
            )));
        }
        None => {
            return Err(Failure::Untrusted(format!(
                "nothing is accepted: no changed key of {0} waits, and this is not the number of \
                 the accepted one; `waxwing verify {0}` shows that",
                phone.as_str()
            )));
        }
    }
    let contact = pinned(home, phone)?;
    release_held(home, &contact, console)?;
    writeln!(console.output, "{}", number(identity, phone, &contact.spki))?;
    Ok(())
}

/// Shows the number of a changed key, and accepts that very key when a person says that both see
/// it. A program has to name it in another call.
fn ask_about_changed(
    home: &Home,
    identity: &Identity,
    contact: &Contact,
    shown: &Spki,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let phone = &contact.phone;
    let number = number(identity, phone, shown);
    writeln!(
        console.remarks,
        "the key of {0} has changed: {0} has registered anew, or somebody is in between. This is \
         the number with the changed key; compare it over the phone or in person",
        phone.as_str()
    )?;
    writeln!(console.output, "{number}")?;
    console.output.flush()?;
    if !console.interactive || !says_equal(phone, console)? {
        return Err(Failure::Untrusted(format!(
            "the changed key of {0} is not accepted, and letters are held back; if {0} sees the \
             same number, run `waxwing verify {0} --accept \"{number}\"`",
            phone.as_str()
        )));
    }
    accept_key(home, phone, shown)?;
    mark_verified(home, phone, shown, console)?;
    release_held(home, &pinned(home, phone)?, console)
}

fn accept_key(home: &Home, phone: &Phone, compared: &Spki) -> Result<(), Failure> {
    match home.contacts().accept(phone, compared, clock::now())? {
        Acceptance::Accepted => Ok(()),
        Acceptance::NotPending => Err(Failure::Untrusted(format!(
            "nothing is accepted: the key of {0} has changed once more; run `waxwing verify {0}` \
             and compare again",
            phone.as_str()
        ))),
        Acceptance::Refused(conflict) => Err(Failure::Untrusted(conflict.to_string())),
    }
}

fn release_held(home: &Home, contact: &Contact, console: &mut Console<'_>) -> Result<(), Failure> {
    if home.letters().held_from(&contact.phone)?.is_empty() {
        return Ok(());
    }
    let Some(identity) = home.identity()? else { return Ok(()) };
    let account = Account::new(identity)?;
    let opened = reopen_held(home, &account, &contact.phone)?;
    if opened > 0 {
        writeln!(
            console.remarks,
            "letters that were held back and can be read now: {opened}; run `waxwing receive`"
        )?;
    }
    Ok(())
}

fn number(identity: &Identity, phone: &Phone, spki: &Spki) -> String {
    let own = Fingerprint::of(&provider(), &identity.phone, &identity.public_key);
    let theirs = Fingerprint::of(&provider(), phone, spki);
    SafetyNumber::of(&provider(), &own, &theirs).to_string()
}

fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

/// Only a person can have compared anything; a program is not asked.
fn ask_about_pinned(
    home: &Home,
    contact: &Contact,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let phone = &contact.phone;
    if contact.verified {
        writeln!(console.remarks, "compared before; {} is verified", phone.as_str())?;
        return Ok(());
    }
    console.output.flush()?;
    if !console.interactive || !says_equal(phone, console)? {
        return Ok(());
    }
    mark_verified(home, phone, &contact.spki, console)
}

fn says_equal(phone: &Phone, console: &mut Console<'_>) -> Result<bool, Failure> {
    let question = format!("does {} see the same number? [y/N] ", phone.as_str());
    console.is_answered_by(&["y", "Y", "yes", "Yes", "YES"], &question)
}

fn mark_verified(
    home: &Home,
    phone: &Phone,
    compared: &Spki,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    if !home.contacts().mark_verified(phone, compared)? {
        return Err(Failure::key_changed(phone));
    }
    writeln!(console.remarks, "{} is verified", phone.as_str())?;
    Ok(())
}
