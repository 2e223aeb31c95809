//! Methods about people, and about whose keys are believed in.

use serde_json::{Value, json};
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use super::Reply;
use crate::clock;
use crate::courier::KeyWord;
use crate::exit::Failure;
use crate::home::{Contact, HomeError, ItemId, Naming};
use crate::name::Name;
use crate::rpc::clerk::{Clerk, Wait};
use crate::rpc::params::Params;
use crate::rpc::refusal::Refusal;
use crate::rpc::values;
use crate::show::{self, ContactLine};
use crate::trust::{self, Belongs};

pub(super) fn conversations(clerk: &mut Clerk<'_>, params: &Params) -> Result<Reply, Refusal> {
    let state = params.text("state");
    let mut all = clerk.home.conversations().all()?;
    all.retain(|one| state.is_none_or(|state| one.state.name() == state));
    let lines = all.iter().map(|one| values::of(&show::conversation_line(one)));
    Ok(Reply::Now(lines.collect()))
}

pub(super) fn contacts(clerk: &mut Clerk<'_>, _: &Params) -> Result<Reply, Refusal> {
    Ok(Reply::Now(values::of(&ContactLine::all(&clerk.home)?)))
}

pub(super) fn set(clerk: &mut Clerk<'_>, params: &Params) -> Result<Reply, Refusal> {
    let phone = clerk.find(params.required("with")?)?;
    require_other(clerk, &phone)?;
    // What is wrong with it is known before anything is changed.
    let name = params.text("name").filter(|name| !name.is_empty());
    let name = name.map(Name::parse).transpose().map_err(Failure::Usage)?;
    let home = &clerk.home;
    let read = home.together(|| -> Result<_, HomeError> {
        let (conversations, relations) = (home.conversations(), home.relations());
        if let Some(name) = &name {
            match conversations.set_name(&phone, name)? {
                Naming::Given => {}
                Naming::Taken { by, name } => return Ok(Err(is_taken(&by, &name))),
            }
        } else if params.text("name").is_some() {
            conversations.remove_name(&phone)?;
        }
        if params.text("accepted").is_some() {
            relations.accept(&phone)?;
        }
        match params.truth("blocked") {
            Some(true) => drop(relations.block(&phone)?),
            Some(false) => drop(relations.unblock(&phone)?),
            None => {}
        }
        if let Some(archived) = params.truth("archived") {
            conversations.archive(&phone, archived)?;
        }
        if let Some(pinned) = params.truth("pinned") {
            conversations.pin(&phone, pinned)?;
        }
        let is_there = match params.whole("mute_s").and_then(|span| i64::try_from(span).ok()) {
            Some(0) => conversations.mute(&phone, UnixTime::from_seconds(0))?,
            Some(span) => conversations.mute(&phone, clock::now().shifted(span))?,
            None => true,
        };
        if !is_there {
            // Nothing else that was asked for has changed anything: there was nothing to change.
            return Ok(Err(Failure::no_conversation(&phone)));
        }
        let read_to = params.whole("read_to").and_then(|item| i64::try_from(item).ok());
        let read = read_to.map(|item| conversations.mark_read(&phone, ItemId::new(item)));
        Ok(Ok(read.transpose()?.unwrap_or_default()))
    })?;
    clerk.send_receipts(&read?)?;
    let one = clerk.home.conversations().with(&phone)?;
    Ok(Reply::Now(match one {
        Some(one) => values::of(&show::conversation_line(&one)),
        None => json!({
            "phone": phone.as_str(), "state": "request", "unread": 0, "held": 0, "pinned": false,
            "draft": false
        }),
    }))
}

/// Refuses what makes no sense with oneself.
fn require_other(clerk: &Clerk<'_>, phone: &Phone) -> Result<(), Refusal> {
    if *phone == clerk.identity.phone {
        return Err(Failure::Usage("this is your own phone number".to_owned()).into());
    }
    Ok(())
}

fn is_taken(by: &Phone, name: &str) -> Failure {
    Failure::Usage(format!(
        "this name is that of {}, or looks like it: {}; choose another",
        by.as_str(),
        show::for_line(name)
    ))
}

pub(super) fn verify(clerk: &mut Clerk<'_>, params: &Params) -> Result<Reply, Refusal> {
    let phone = clerk.find(params.required("with")?)?;
    require_other(clerk, &phone)?;
    let Some(compared) = compared(params)? else {
        clerk.office.ask_key(phone);
        return Ok(Reply::Later(Wait::Key(phone)));
    };
    // The server is not asked first: what it would say now, nobody has compared.
    let contact = contact(clerk, params)?;
    match trust::find(&clerk.identity, &contact, &compared) {
        Belongs::Pinned => trust::mark_compared(&clerk.home, &phone, &contact.spki)?,
        Belongs::Changed => {
            let why = "this is the number of a changed key; `accept_key` accepts it";
            return Err(Failure::Untrusted(why.to_owned()).into());
        }
        Belongs::Neither => return Err(not_the_number()),
    }
    Ok(Reply::Now(key(clerk, &phone, false)?))
}

impl Clerk<'_> {
    /// What the home knows of a key, now that the server was asked.
    pub(in crate::rpc) fn key_by_word(
        &self,
        phone: &Phone,
        word: &KeyWord,
    ) -> Result<Value, Refusal> {
        match word {
            KeyWord::Refused(conflict) => Err(Failure::Untrusted(conflict.clone()).into()),
            KeyWord::Said | KeyWord::Nothing | KeyWord::Unasked(_) => {
                key(self, phone, *word == KeyWord::Said)
            }
        }
    }
}

pub(super) fn accept_key(clerk: &mut Clerk<'_>, params: &Params) -> Result<Reply, Refusal> {
    let contact = contact(clerk, params)?;
    let compared = compared(params)?.unwrap_or_default();
    match (trust::find(&clerk.identity, &contact, &compared), &contact.changed) {
        (Belongs::Changed, Some(changed)) => {
            trust::accept(&clerk.home, &contact.phone, &changed.spki)?;
        }
        (Belongs::Pinned, None) => {}
        _ => return Err(not_the_number()),
    }
    // One that accepted it before may have died half way.
    trust::release_held(&clerk.home, &contact.phone)?;
    clerk.has_sent = true;
    Ok(Reply::Now(key(clerk, &contact.phone, false)?))
}

fn contact(clerk: &Clerk<'_>, params: &Params) -> Result<Contact, Refusal> {
    let phone = clerk.find(params.required("with")?)?;
    let known = clerk.home.contacts().by_phone(&phone)?;
    Ok(known.ok_or_else(|| Failure::no_contact(&phone))?)
}

fn compared(params: &Params) -> Result<Option<String>, Refusal> {
    Ok(params.text("number").map(trust::digits).transpose().map_err(Failure::Usage)?)
}

fn not_the_number() -> Refusal {
    let why = "nothing is changed: no key of this person that is known or waits has this number";
    Failure::Untrusted(why.to_owned()).into()
}

fn key(clerk: &Clerk<'_>, phone: &Phone, is_fresh: bool) -> Result<Value, Refusal> {
    let known = clerk.home.contacts().by_phone(phone)?;
    let known = known.ok_or_else(|| Failure::no_contact(phone))?;
    let number = |spki| trust::number(&clerk.identity, phone, spki);
    Ok(json!({
        "phone": phone.as_str(),
        "number": number(&known.spki),
        "verified": known.verified && known.changed.is_none(),
        "fresh": is_fresh,
        "changed_number": known.changed.as_ref().map(|changed| number(&changed.spki)),
    }))
}
