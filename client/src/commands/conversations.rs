//! `waxwing conversations` and `waxwing requests`: what there is, and what can be made of it.

use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use super::{Console, Place, json_line};
use crate::args::{Mute, Person};
use crate::clock;
use crate::exit::Failure;
use crate::home::{Conversation, ConversationState, Home, Relation};
use crate::show;

pub(super) fn list(
    place: &Place<'_>,
    archived: bool,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (home, _) = place.open_to_read()?;
    let wanted = if archived { ConversationState::Archived } else { ConversationState::Open };
    print(&home, wanted, json, console)?;
    let requests = in_state(&home, ConversationState::Request)?.len();
    if requests > 0 && !archived && !json {
        writeln!(
            console.remarks,
            "requests of strangers: {requests}; `waxwing requests` lists them"
        )?;
    }
    Ok(())
}

pub(super) fn requests(
    place: &Place<'_>,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (home, _) = place.open_to_read()?;
    if print(&home, ConversationState::Request, json, console)? && !json {
        writeln!(
            console.remarks,
            "`waxwing history PHONE` shows what they say; `waxwing accept PHONE` takes it, and \
             `waxwing block PHONE` discards what they send"
        )?;
    }
    Ok(())
}

fn in_state(home: &Home, wanted: ConversationState) -> Result<Vec<Conversation>, Failure> {
    let mut found = home.conversations().all()?;
    found.retain(|one| one.state == wanted && one.has_something());
    Ok(found)
}

/// Lists conversations; `false` when there are none.
fn print(
    home: &Home,
    wanted: ConversationState,
    json: bool,
    console: &mut Console<'_>,
) -> Result<bool, Failure> {
    let found = in_state(home, wanted)?;
    for one in &found {
        let line = if json {
            show::conversation_json(one)
        } else {
            show::conversation_text(one, &console.page())
        };
        writeln!(console.output, "{line}")?;
    }
    for words in found.iter().filter_map(show::held_text).filter(|_| !json) {
        writeln!(console.remarks, "{words}")?;
    }
    Ok(!found.is_empty())
}

pub(super) fn accept(
    place: &Place<'_>,
    person: &Person,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (home, identity) = place.open()?;
    let phone = place.find_other((&home, &identity), &person.who, console)?;
    if home.relations().with(&phone)? == Relation::Blocked {
        return Err(is_blocked(&phone));
    }
    let is_new = home.relations().accept(&phone)?;
    let words = if is_new {
        "is accepted: letters from there are kept as those of others"
    } else {
        "was accepted already"
    };
    answer(&home, person.json, &phone, words, console)
}

pub(super) fn archive(
    place: &Place<'_>,
    person: &Person,
    away: bool,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (home, identity) = place.open()?;
    let phone = place.find_other((&home, &identity), &person.who, console)?;
    let known = home.conversations().with(&phone)?.filter(Conversation::has_something);
    match known.map(|one| one.state) {
        Some(ConversationState::Request) if away => {
            return Err(Failure::General(format!(
                "{phone} has sent a request, and those are listed apart; `waxwing accept {phone}` takes it, \
                 and `waxwing block {phone}` discards what comes from there",
                phone = phone.as_str()
            )));
        }
        Some(ConversationState::Blocked) if away => return Err(is_blocked(&phone)),
        None if away => {
            return answer(&home, person.json, &phone, "has no conversation here", console);
        }
        _ => {}
    }
    let is_new = home.conversations().archive(&phone, away)?;
    let words = match (away, is_new) {
        (true, true) => {
            "is archived, until something new is said; `waxwing conversations --archived` lists it"
        }
        (true, false) => "was archived already",
        (false, true) => "is not archived any more",
        (false, false) => "was not archived",
    };
    answer(&home, person.json, &phone, words, console)
}

fn is_blocked(phone: &Phone) -> Failure {
    let phone = phone.as_str();
    Failure::General(format!(
        "{phone} is blocked, and what comes from there is discarded; `waxwing unblock {phone}` ends that"
    ))
}

pub(super) fn mute(
    place: &Place<'_>,
    mute: &Mute,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (home, identity) = place.open()?;
    let phone = place.find_other((&home, &identity), &mute.who, console)?;
    let (until, words) = match mute.span {
        None => (UnixTime::from_seconds(i64::MAX), "is muted until `waxwing unmute`".to_owned()),
        Some(span) => {
            let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
            let until = clock::now().shifted(seconds);
            (until, format!("is muted until {}", clock::in_zone(until, &console.zone)))
        }
    };
    set_muted(&home, &phone, until)?;
    answer(&home, mute.json, &phone, &words, console)
}

pub(super) fn unmute(
    place: &Place<'_>,
    person: &Person,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (home, _) = place.open()?;
    let phone = place.find(&home, &person.who, console)?;
    set_muted(&home, &phone, UnixTime::from_seconds(0))?;
    answer(&home, person.json, &phone, "is not muted", console)
}

fn set_muted(home: &Home, phone: &Phone, until: UnixTime) -> Result<(), Failure> {
    let is_there = home.conversations().mute(phone, until)?;
    if is_there { Ok(()) } else { Err(Failure::no_conversation(phone)) }
}

/// What was done, in a sentence that begins with who it is about; or what the conversation is now.
pub(super) fn answer(
    home: &Home,
    json: bool,
    phone: &Phone,
    words: &str,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    if !json {
        writeln!(console.output, "{} {words}", show::person_in(home, phone)?)?;
        return Ok(());
    }
    match home.conversations().with(phone)? {
        Some(one) => {
            writeln!(console.output, "{}", show::conversation_json(&one))?;
            Ok(())
        }
        None => json_line(&Unknown { phone: phone.as_str(), state: None }, console),
    }
}

/// Somebody of whom the home knows nothing.
#[derive(serde::Serialize)]
struct Unknown<'a> {
    phone: &'a str,
    state: Option<&'static str>,
}
