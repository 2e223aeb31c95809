//! `waxwing send`: a letter into the outbox, and waiting for what becomes of it.

use std::time::{Duration, Instant};

use serde::Serialize;
use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;

use super::typed::whole_text;
use super::{Console, Place, host, obstacle, refusal, require_unblocked};
use crate::args::{Send, WaitFor};
use crate::backend::rng;
use crate::clock;
use crate::exit::Failure;
use crate::home::{Home, Identity, Once, OutboxId, OutboxStatus, State, Writing};
use crate::session::{Account, Reached, Session};
use crate::show;

/// What becomes of a letter that nothing but the connection holds up.
const NEXT: &str = "goes out with the next connection";

/// How long to wait unless the person says.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(
    place: &Place<'_>,
    send: &Send,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (home, identity) = place.open()?;
    let phone = place.find(&home, &send.who, console)?;
    if identity.phone == phone {
        return Err(Failure::to_oneself());
    }
    require_unblocked(&home, &phone)?;
    let text = match send.text.as_str() {
        "-" => whole_text(console)?,
        text => text.to_owned(),
    };
    if show::is_blank(&text) {
        return Err(Failure::Usage(
            "there is nothing to read in this text, so it is not sent; `waxwing send PHONE -` sends \
             standard input"
                .into(),
        ));
    }
    let writing = Writing::text(text).map_err(|error| Failure::Usage(error.to_string()))?;
    let (uid, letter) = queue(&home, send, &phone, &writing)?;
    let Some(letter) = letter else { return say_deleted(&uid, send.json, console) };
    follow(place, &home, identity, (letter, &uid), &phone, send, console)
        .map_err(|failure| failure.beside_a_letter(home.dir()))
}

/// Waits for what becomes of the letter, which is kept whatever happens here.
fn follow(
    place: &Place<'_>,
    home: &Home,
    identity: Identity,
    (letter, uid): (OutboxId, &Uid),
    phone: &Phone,
    send: &Send,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let account = Account::new(identity)?;
    let deadline = Instant::now() + send.timeout.unwrap_or(PATIENCE);
    let mut session =
        Session::new(home, &account, host::with(&console.remarks))?.until(Some(deadline));
    let goal = match send.wait {
        WaitFor::Stored => State::Stored,
        WaitFor::Delivered => State::Delivered,
    };
    let reached = session.wait_until(None, false, |_| -> Result<bool, Failure> {
        let status = status(home, letter)?;
        let held_back =
            home.contacts().by_phone(phone)?.is_some_and(|contact| contact.changed.is_some());
        let postponed = obstacle(home, letter)?.is_some();
        Ok(status.state == State::Refused || status.state >= goal || held_back || postponed)
    });
    let forgotten = place.forget_old(home, &session);
    let problem = session.take_problem().map(|problem| problem.beside_a_kept_letter());
    let left = session.leave();
    match reached {
        Ok(reached) => {
            report(home, (letter, uid), phone, send, reached, problem, console)?;
            forgotten?;
            Ok(left?)
        }
        // There is no sense in going on, and the letter is where it is all the same.
        Err(failure) => {
            let is_kept = say_state(&status(home, letter)?, uid, send.json, console)?;
            if is_kept {
                say_kept(NEXT, console)?;
            }
            Err(failure)
        }
    }
}

/// Puts the letter into the outbox, unless it was there under this key before. No letter is there any more
/// when that one was deleted since.
fn queue(
    home: &Home,
    send: &Send,
    phone: &Phone,
    writing: &Writing,
) -> Result<(Uid, Option<OutboxId>), Failure> {
    let (uid, now) = (Uid::generate(&mut rng()), clock::now());
    let Some(key) = &send.key else {
        return Ok((uid, Some(home.outbox().queue(&uid, phone, writing, now)?)));
    };
    let uid = match home.outbox().queue_once(key, &uid, phone, writing, now)? {
        Once::New(uid) | Once::Known(uid) => uid,
        Once::Other(other) => return Err(Failure::key_of_another(&other)),
    };
    Ok((uid, home.outbox().find(&uid)?.map(|letter| letter.id)))
}

/// Whoever sends under a key wants the letter to have gone out once, and it has: only a letter with an
/// answer of the server can be deleted.
fn say_deleted(uid: &Uid, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
    let state = "deleted";
    let line = if json {
        show::json(&Line { uid: uid.to_string(), state })
    } else {
        format!("{state} {uid}")
    };
    writeln!(console.output, "{line}")?;
    writeln!(
        console.remarks,
        "a letter was sent under this key before, and was deleted here since; it is not sent again"
    )?;
    Ok(())
}

#[derive(Serialize)]
struct Line {
    uid: String,
    state: &'static str,
}

/// Says how far the letter has come; whether it is kept here, to go out later.
fn say_state(
    status: &OutboxStatus,
    uid: &Uid,
    json: bool,
    console: &mut Console<'_>,
) -> Result<bool, Failure> {
    let is_kept = matches!(status.state, State::Waiting | State::Sent);
    let word = if is_kept { State::Waiting.name() } else { status.name() };
    let line = if json {
        show::json(&Line { uid: uid.to_string(), state: word })
    } else {
        format!("{word} {uid}")
    };
    let written = writeln!(console.output, "{line}").and_then(|()| console.output.flush());
    if let Err(error) = written {
        let failure = Failure::from(error);
        if !failure.is_silent() {
            writeln!(
                console.remarks,
                "the letter is {word}, whatever the output says; do not send it again, and look at \
                 `waxwing history PHONE`"
            )?;
        }
        return Err(failure);
    }
    Ok(is_kept)
}

/// Says what becomes of a letter that is kept.
fn say_kept(what: &str, console: &mut Console<'_>) -> Result<(), Failure> {
    writeln!(console.remarks, "the letter is kept and {what}; do not send it again")?;
    Ok(())
}

fn status(home: &Home, letter: OutboxId) -> Result<OutboxStatus, Failure> {
    let status = home.outbox().status_of(letter)?;
    status.ok_or_else(|| Failure::General("the letter was deleted meanwhile".into()))
}

fn report(
    home: &Home,
    (letter, uid): (OutboxId, &Uid),
    phone: &Phone,
    send: &Send,
    reached: Reached,
    problem: Option<Failure>,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let status = status(home, letter)?;
    say_state(&status, uid, send.json, console)?;
    match status.state {
        State::Delivered | State::Stored | State::NoLongerKept => {
            if send.wait == WaitFor::Delivered && status.state != State::Delivered {
                return Err(Failure::TimedOut(
                    "the letter is stored, and was not delivered in time; `waxwing history` shows when \
                     it is"
                        .into(),
                ));
            }
            Ok(())
        }
        State::Refused | State::Expired => {
            Err(refusal(&status).unwrap_or_else(|| Failure::refused(0, 0)))
        }
        State::Waiting | State::Sent => {
            let contact = home.contacts().by_phone(phone)?;
            if contact.is_some_and(|contact| contact.changed.is_some()) {
                say_kept("goes out when you have accepted the new key", console)?;
                let name = home.conversations().name_of(phone)?;
                return Err(Failure::key_changed(name.as_deref(), phone));
            }
            if let Some(obstacle) = obstacle(home, letter)? {
                let next = match &obstacle {
                    Failure::RateLimited { retry_after_s, .. } => {
                        format!("is tried again by itself in {retry_after_s} s")
                    }
                    _ => "is tried again by itself".to_owned(),
                };
                say_kept(&next, console)?;
                return Err(obstacle);
            }
            say_kept(NEXT, console)?;
            Err(problem.unwrap_or_else(|| {
                Failure::Refused(match reached {
                    Reached::Interrupted => "interrupted".into(),
                    _ => "the server has not answered in time".into(),
                })
            }))
        }
    }
}
