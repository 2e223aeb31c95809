//! `waxwing outbox`: letters without an answer, and what can be done about them.

use std::time::{Duration, Instant};

use super::{Console, Place, host, obstacle};
use crate::args::{Outbox, OutboxAction};
use crate::clock;
use crate::exit::Failure;
use crate::home::{GivenUp, Home, Identity, Queued, Which};
use crate::session::{Account, Session};
use crate::show;
use crate::who::LettersOf;

/// How long trying again may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(
    place: &Place<'_>,
    outbox: &Outbox,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    match &outbox.action {
        None => list(&place.open_to_read()?.0, outbox.json, console),
        Some(OutboxAction::Retry { which }) => {
            let (home, identity) = place.open()?;
            let which = match which {
                None => Which::All,
                Some(LettersOf::Letter(uid)) => Which::Letter(*uid),
                Some(LettersOf::Person(who)) => Which::To(place.find(&home, who, console)?),
            };
            retry(&home, identity, which, outbox.json, console)
        }
        Some(OutboxAction::Drop { uid }) => {
            let (home, _) = place.open()?;
            let words = match home.outbox().give_up(uid)? {
                GivenUp::NotSent => "given up; it was not sent",
                GivenUp::MayArrive => {
                    "given up, and not sent again; but it has gone out before without an answer, \
                     and may arrive"
                }
                GivenUp::Answered(state) => {
                    return Err(Failure::General(format!(
                        "this letter does not wait any more: it is {state}; nothing was changed"
                    )));
                }
                GivenUp::Unknown => {
                    return Err(Failure::General(
                        "no letter has this uid; `waxwing outbox` shows those that wait".into(),
                    ));
                }
            };
            writeln!(console.output, "{words}")?;
            Ok(())
        }
    }
}

fn list(home: &Home, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
    let letters = home.outbox().queued()?;
    if letters.is_empty() && !json {
        writeln!(console.remarks, "no letter waits")?;
    }
    for letter in &letters {
        let why = reason(home, &letters, letter)?;
        let line = if json {
            show::queued_json(letter, &why)
        } else {
            show::queued_text(letter, &why, &console.page())
        };
        writeln!(console.output, "{line}")?;
    }
    Ok(())
}

/// What a letter waits for.
fn reason(home: &Home, letters: &[Queued], letter: &Queued) -> Result<String, Failure> {
    let contact = home.contacts().by_phone(&letter.recipient)?;
    if contact.is_some_and(|contact| contact.changed.is_some()) {
        let name = home.conversations().name_of(&letter.recipient)?;
        return Ok(Failure::key_changed(name.as_deref(), &letter.recipient).to_string());
    }
    let is_before = |other: &&Queued| other.recipient == letter.recipient && other.id < letter.id;
    if let Some(first) = letters.iter().find(is_before) {
        return Ok(format!("waits behind {}", first.uid));
    }
    match obstacle(home, letter.id)? {
        Some(obstacle) => {
            let pause = letter.status.not_before.minus(clock::now()).max(0);
            Ok(format!("{obstacle}; tried again in {pause} s, or now with `waxwing outbox retry`"))
        }
        None if letter.status.state.is_sent() => Ok("sent, and not answered yet".into()),
        None => Ok("goes out with the next connection".into()),
    }
}

/// Lets them be tried, by this process or by the one that holds the session, and shows what is
/// left.
fn retry(
    home: &Home,
    identity: Identity,
    which: Which,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let is_meant = |letter: &Queued| match which {
        Which::All => true,
        Which::To(phone) => letter.recipient == phone,
        Which::Letter(uid) => letter.uid == uid,
    };
    let mut open: Vec<_> = home.outbox().queued()?.into_iter().filter(is_meant).collect();
    if open.is_empty() {
        return Err(Failure::General("no such letter waits; `waxwing outbox` shows all".into()));
    }
    home.outbox().hurry(which)?;
    let account = Account::new(identity)?;
    let deadline = Instant::now() + PATIENCE;
    let mut session =
        Session::new(home, &account, host::with(&console.remarks))?.until(Some(deadline));
    let reached = session.wait_until(None, false, |_| -> Result<bool, Failure> {
        let mut is_over = true;
        for letter in &open {
            let status = home.outbox().status_of(letter.id)?;
            let waits = status.is_some_and(|status| !status.state.is_answered());
            is_over &= !waits || obstacle(home, letter.id)?.is_some();
        }
        Ok(is_over)
    });
    let problem = session.take_problem();
    let left = session.leave();
    let _ = reached?;
    left?;
    let rest = home.outbox().queued()?;
    open.retain(|letter| rest.iter().any(|other| other.id == letter.id));
    if open.is_empty() {
        writeln!(console.remarks, "none of these letters waits any more")?;
        return Ok(());
    }
    list(home, json, console)?;
    let waits = || Failure::Refused("some of these letters still wait".into());
    Err(problem.map_or_else(waits, Into::into))
}
