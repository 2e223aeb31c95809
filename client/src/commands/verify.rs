//! `waxwing verify`: the number that two people compare, and the word that a changed key is
//! right. What is marked or accepted is always the key whose number was shown, or was named.

use std::time::{Duration, Instant};

use serde::Serialize;
use waxwing_core::crypto::Spki;
use waxwing_core::phone::Phone;
use waxwing_core::wire::ErrorCode;

use super::ask::YES;
use super::{Console, Place, host, json_line};
use crate::args::Verify;
use crate::clock;
use crate::exit::Failure;
use crate::home::{Contact, Holder, Home, Identity};
use crate::session::{Account, Reached, Session};
use crate::trust::{self, Belongs};

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(
    place: &Place<'_>,
    verify: &Verify,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let compared = verify.compared_number().map_err(Failure::Usage)?;
    let (home, identity) = place.open()?;
    let phone = &place.find_other((&home, &identity), &verify.who, console)?;
    let told = Told { identity: &identity, json: verify.json };
    if let Some(compared) = compared {
        // The server is not asked first: what it would say now, nobody has compared.
        let contact = pinned(&home, phone)?;
        return told.accept_named(&home, &contact, &compared, console);
    }
    let has_word = ask_server(&home, phone, console)?;
    let contact = match home.contacts().by_phone(phone)? {
        Some(contact) => contact,
        None if has_word => return Err(Failure::refused(ErrorCode::UnknownUser.code(), 0)),
        None => return Err(Failure::no_contact(phone)),
    };
    match &contact.changed {
        Some(changed) => told.ask_about_changed(&home, &contact, &changed.spki, console),
        None => {
            // An accepting process may have died half way.
            release_held(&home, phone, console)?;
            told.ask_about_pinned(&home, &contact, console)
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
            let holder = home.session_holder();
            let (pid, look) = holder.map_or_else(Default::default, |Holder { pid, .. }| {
                (format!(" {pid}"), format!("; `ps -p {pid}` shows it"))
            });
            format!(
                "process{pid} of this home talks to the server{look}. To have the server asked, press v on its full \
                 screen, or end that process and run this again"
            )
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
            let known = home.contacts().by_phone(phone)?.and_then(|contact| contact.asked_at);
            let known = known.map_or_else(
                || "this is what this home knows of the key".to_owned(),
                |at| {
                    format!("this is what the server said on {}", clock::in_zone(at, &console.zone))
                },
            );
            writeln!(
                console.remarks,
                "{known}. The server has not said what the key is now: {problem}"
            )?;
            Ok(false)
        }
    }
}

fn pinned(home: &Home, phone: &Phone) -> Result<Contact, Failure> {
    home.contacts().by_phone(phone)?.ok_or_else(|| Failure::no_contact(phone))
}

/// What is told of a key.
struct Told<'a> {
    identity: &'a Identity,
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    phone: &'a str,
    /// What the two compare.
    number: String,
    /// Whether it is the number of a key that has changed and waits for being accepted.
    changed: bool,
    /// Whether it was compared.
    verified: bool,
}

impl Told<'_> {
    /// Accepts the waiting key that has the number which was compared, and no other.
    fn accept_named(
        &self,
        home: &Home,
        contact: &Contact,
        compared: &str,
        console: &mut Console<'_>,
    ) -> Result<(), Failure> {
        let phone = &contact.phone;
        match (trust::find(self.identity, contact, compared), &contact.changed) {
            (Belongs::Changed, Some(changed)) => {
                trust::accept(home, phone, &changed.spki)?;
                writeln!(console.remarks, "the key of {} is accepted", phone.as_str())?;
            }
            (Belongs::Pinned, None) => {
                writeln!(
                    console.remarks,
                    "that is the number of the accepted key; nothing changes"
                )?;
            }
            (_, Some(_)) => {
                return Err(Failure::Untrusted(format!(
                    "nothing is accepted: this is not the number of the key that {0} has now; run \
                     `waxwing verify {0}` and compare again",
                    phone.as_str()
                )));
            }
            (_, None) => {
                return Err(Failure::Untrusted(format!(
                    "nothing is accepted: no changed key of {0} waits, and this is not the number of \
                     the accepted one; `waxwing verify {0}` shows that",
                    phone.as_str()
                )));
            }
        }
        release_held(home, phone, console)?;
        self.say_pinned(&pinned(home, phone)?, console)
    }

    /// Shows the number of a changed key, and accepts that very key when a person says that both see
    /// it. A program has to name it in another call.
    fn ask_about_changed(
        &self,
        home: &Home,
        contact: &Contact,
        shown: &Spki,
        console: &mut Console<'_>,
    ) -> Result<(), Failure> {
        let phone = &contact.phone;
        let number = trust::number(self.identity, phone, shown);
        writeln!(
            console.remarks,
            "the key of {0} has changed: {0} has registered anew, or somebody is in between. This is \
             the number with the changed key; compare it over the phone or in person",
            phone.as_str()
        )?;
        self.say(
            &Line { phone: phone.as_str(), number: number.clone(), changed: true, verified: false },
            console,
        )?;
        console.output.flush()?;
        if !console.interactive || !says_equal(phone, console)? {
            return Err(Failure::Untrusted(format!(
                "the changed key of {0} is not accepted, and letters are held back; if {0} sees the \
                 same number, run `waxwing verify {0} --accept \"{number}\"`",
                phone.as_str()
            )));
        }
        trust::accept(home, phone, shown)?;
        mark_verified(home, phone, shown, console)?;
        release_held(home, phone, console)
    }

    /// Only a person can have compared anything; a program is not asked.
    fn ask_about_pinned(
        &self,
        home: &Home,
        contact: &Contact,
        console: &mut Console<'_>,
    ) -> Result<(), Failure> {
        let phone = &contact.phone;
        self.say_pinned(contact, console)?;
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

    fn say_pinned(&self, contact: &Contact, console: &mut Console<'_>) -> Result<(), Failure> {
        let number = trust::number(self.identity, &contact.phone, &contact.spki);
        let phone = contact.phone.as_str();
        self.say(&Line { phone, number, changed: false, verified: contact.verified }, console)
    }

    fn say(&self, line: &Line<'_>, console: &mut Console<'_>) -> Result<(), Failure> {
        if self.json {
            return json_line(line, console);
        }
        writeln!(console.output, "{}", line.number)?;
        Ok(())
    }
}

fn release_held(home: &Home, phone: &Phone, console: &mut Console<'_>) -> Result<(), Failure> {
    let opened = trust::release_held(home, phone)?;
    if opened > 0 {
        writeln!(
            console.remarks,
            "letters that were held back and can be read now: {opened}; run `waxwing receive`"
        )?;
    }
    Ok(())
}

fn says_equal(phone: &Phone, console: &mut Console<'_>) -> Result<bool, Failure> {
    let question = format!("does {} see the same number? [y/N] ", phone.as_str());
    console.is_answered_by(&YES, &question)
}

fn mark_verified(
    home: &Home,
    phone: &Phone,
    compared: &Spki,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    trust::mark_compared(home, phone, compared)?;
    writeln!(console.remarks, "{} is verified", phone.as_str())?;
    Ok(())
}
