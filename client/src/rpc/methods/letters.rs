//! Methods about letters.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use waxwing_core::id::Uid;

use super::Reply;
use crate::args;
use crate::backend::rng;
use crate::clock;
use crate::commands::require_unblocked;
use crate::exit::Failure;
use crate::home::{Begin, HomeError, ItemId, Once, Query, Window, Writing};
use crate::rpc::clerk::{Clerk, Wait};
use crate::rpc::params::Params;
use crate::rpc::refusal::Refusal;
use crate::rpc::values;
use crate::show::{self, ConsumerLine};

/// Letters in one answer, unless the program says.
const LETTERS: usize = 16;
const PAGE: usize = 50;
/// Items that are put into the index for one search. What is not in it is found all the same.
const STEP: u32 = 1_000;

pub(super) fn send(clerk: &mut Clerk<'_>, params: &Params) -> Result<Reply, Refusal> {
    let phone = clerk.find(params.required("to")?)?;
    if phone == clerk.identity.phone {
        return Err(Failure::to_oneself().into());
    }
    require_unblocked(&clerk.home, &phone)?;
    let text = params.required("text")?;
    let usage = |why: String| Refusal::from(Failure::Usage(why));
    if show::is_blank(text) {
        return Err(usage("there is nothing to read in this text, so it is not sent".to_owned()));
    }
    if text.contains('\0') {
        return Err(usage("this text has zero bytes, so it is not sent".to_owned()));
    }
    let writing = Writing::text(text.to_owned()).map_err(|error| usage(error.to_string()))?;
    let (uid, now) = (Uid::generate(&mut rng()), clock::now());
    let outbox = clerk.home.outbox();
    let (uid, is_new) = match params.text("key") {
        Some(key) => match outbox.queue_once(key, &uid, &phone, &writing, now)? {
            Once::New(uid) => (uid, true),
            Once::Known(uid) => (uid, false),
            Once::Other(other) => return Err(Failure::key_of_another(&other).into()),
        },
        None => (uid, outbox.queue(&uid, &phone, &writing, now).map(|_| true)?),
    };
    clerk.has_sent = true;
    Ok(Reply::Now(json!({ "uid": uid.to_string(), "new": is_new })))
}

pub(super) fn next(clerk: &mut Clerk<'_>, params: &Params) -> Result<Reply, Refusal> {
    let consumer = params.required("consumer")?;
    let begin = match params.text("begin") {
        Some("oldest") => Begin::Oldest,
        _ => Begin::Next,
    };
    clerk.home.consumers().begin(consumer, begin)?;
    let limit = limit(params, LETTERS);
    let wait = Duration::from_secs(params.whole("wait_s").unwrap_or(0));
    let letters = clerk.next_letters(consumer, limit)?;
    if !letters.is_empty() || wait.is_zero() {
        return Ok(Reply::Now(letters.into()));
    }
    let until = Instant::now() + wait;
    Ok(Reply::Later(Wait::Letters { consumer: consumer.to_owned(), limit, until }))
}

pub(super) fn ack(clerk: &mut Clerk<'_>, params: &Params) -> Result<Reply, Refusal> {
    let consumer = params.required("consumer")?;
    let letter = item(params, "id").unwrap_or(ItemId::new(0));
    let is_new = clerk.home.consumers().ack(consumer, letter, clock::now()).map_err(unserved)?;
    Ok(Reply::Now(json!({ "new": is_new })))
}

/// Why a consumer gets nothing.
fn unserved(error: HomeError) -> Refusal {
    match error {
        HomeError::NoSuchRow("consumer") => Failure::Usage(
            "there is no such consumer; `next` makes one, and `remove_consumer` takes it away"
                .to_owned(),
        )
        .into(),
        HomeError::NoSuchRow(_) => {
            Failure::Usage("no letter has come yet that has this place".to_owned()).into()
        }
        error => error.into(),
    }
}

pub(super) fn consumers(clerk: &mut Clerk<'_>, _: &Params) -> Result<Reply, Refusal> {
    Ok(Reply::Now(values::of(&ConsumerLine::all(&clerk.home)?)))
}

pub(super) fn remove_consumer(clerk: &mut Clerk<'_>, params: &Params) -> Result<Reply, Refusal> {
    let removed = clerk.home.consumers().remove(params.required("consumer")?)?;
    Ok(Reply::Now(json!({ "removed": removed })))
}

pub(super) fn status(clerk: &mut Clerk<'_>, params: &Params) -> Result<Reply, Refusal> {
    let usage = |why| Refusal::from(Failure::Usage(why));
    let uid = args::uid(params.required("uid")?).map_err(usage)?;
    let known = clerk.home.outbox().find(&uid)?;
    let letter =
        known.ok_or_else(|| usage("no letter that was written here has this uid".to_owned()))?;
    Ok(Reply::Now(values::status(&letter)))
}

pub(super) fn history(clerk: &mut Clerk<'_>, params: &Params) -> Result<Reply, Refusal> {
    let phone = clerk.find(params.required("with")?)?;
    let window = item(params, "before").map_or(Window::Last, Window::Before);
    let entries = clerk.home.page(&phone, window, limit(params, PAGE))?;
    Ok(Reply::Now(values::letters(&clerk.home, &entries)?.into()))
}

pub(super) fn search(clerk: &mut Clerk<'_>, params: &Params) -> Result<Reply, Refusal> {
    let text = params.required("text")?;
    if show::is_blank(text) {
        return Err(Failure::Usage("say what to look for".to_owned()).into());
    }
    let with = params.text("with").map(|who| clerk.find(who)).transpose()?;
    // A disk that is full keeps nothing from being found.
    let _ = clerk.home.index_more(STEP);
    let query = Query {
        text,
        with: with.as_ref(),
        before: item(params, "before"),
        limit: limit(params, PAGE),
    };
    let found = clerk.home.search(&query)?;
    Ok(Reply::Now(values::letters(&clerk.home, &found)?.into()))
}

fn item(params: &Params, name: &str) -> Option<ItemId> {
    params.whole(name).and_then(|number| i64::try_from(number).ok()).map(ItemId::new)
}

fn limit(params: &Params, usual: usize) -> usize {
    params.whole("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usual)
}

impl Clerk<'_> {
    /// What a consumer gets now.
    pub(in crate::rpc) fn next_letters(
        &self,
        consumer: &str,
        limit: usize,
    ) -> Result<Vec<Value>, Refusal> {
        let letters = self.home.consumers().next(consumer, limit).map_err(unserved)?;
        Ok(values::letters(&self.home, &letters)?)
    }
}
