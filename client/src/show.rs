//! Letters for people and for programs.
//!
//! A letter is a stranger's bytes. For a person, nothing in it may move the cursor, turn the
//! direction of writing around, stay unseen or pass for a line of ours; for a program it stays as it
//! is.

mod consumer;
mod contact;
mod escape;
mod hidden;
mod page;
mod shell;
mod shown;

use std::borrow::Cow;

use serde::Serialize;
use waxwing_core::phone::Phone;

use crate::clock;
use crate::exit::Failure;
use crate::home::{
    Conversation, Entry, Event, Home, HomeError, ItemId, Letter, LetterBody, OutboxStatus, Queued,
    Quota, Room, Writing,
};

use crate::name::{ME, me_to};

pub use consumer::{ConsumerLine, consumer_text, kept_for_programs};
pub use contact::ContactLine;
pub use escape::{for_line, for_terminal};
pub(crate) use hidden::is_hidden;
pub use page::Page;
pub use shell::for_shell;
pub use shown::Shown;
pub(crate) use shown::{Piece, breaks};

/// A received letter as a line of JSON.
#[must_use]
pub fn letter_json(letter: &Letter, sender: &Sender<'_>) -> String {
    let (kind, text, error) = parts(&letter.body, letter.from.as_ref());
    line(&LetterLine {
        // Under a changed key nobody has said yet that it is from this contact.
        from: letter.from.as_ref().filter(|_| letter.body != LetterBody::Held).map(|p| p.as_str()),
        name: sender.name.filter(|_| letter.body != LetterBody::Held),
        request: sender.is_stranger,
        uid: letter.uid.map(|uid| uid.to_string()),
        kind,
        text,
        error,
        sent_at: clock::rfc3339(letter.sent_at),
        received_at: clock::rfc3339(letter.received_at),
    })
}

/// What a home knows of whoever sent a letter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sender<'a> {
    /// The name that the owner of the home has given them.
    pub name: Option<&'a str>,
    /// Whether nobody has answered or accepted them.
    pub is_stranger: bool,
}

/// Somebody for a person: the name that they were given, else the phone number.
fn who(phone: &Phone, name: Option<&str>) -> String {
    name.map_or_else(|| phone.as_str().to_owned(), for_line)
}

/// A received letter for a person.
#[must_use]
pub fn letter_text(letter: &Letter, name: Option<&str>, page: &Page<'_>) -> String {
    let from = match (&letter.body, &letter.from) {
        (LetterBody::Held, _) | (_, None) => format!("(id {})", letter.sender),
        (_, Some(phone)) => who(phone, name),
    };
    let sent_at = clock::in_zone(letter.sent_at, page.zone);
    page.fit(&format!("{sent_at} {from}: {}", body_text(&letter.body, letter.from.as_ref())))
}

/// Letters for which a quota had no room, for a person, with the commands that help.
#[must_use]
pub fn discarded_text(quota: Quota, letters: u32) -> String {
    let help = match quota {
        Quota::Stranger => {
            "Read them with `waxwing receive`, delete them with `waxwing delete --strangers`, or stop one \
             of them with `waxwing block PHONE`"
        }
        Quota::Held => {
            "`waxwing contacts` says whose key has changed; compare numbers with `waxwing verify PHONE`, or \
             stop one of them with `waxwing block PHONE`"
        }
        Quota::Unreadable => "`waxwing delete --unreadable` makes room",
    };
    format!("{}. {help}", discarded(quota, letters))
}

/// The same without the last point, and without what helps.
#[must_use]
pub fn discarded(quota: Quota, letters: u32) -> String {
    let (are, are_not) = match letters {
        1 => ("letter was", "is not"),
        _ => ("letters were", "are not"),
    };
    let many =
        |room: Room| format!("{} letters or {} MiB", room.letters, room.bytes / (1_024 * 1_024));
    let all = many(quota.of_all());
    let room = match quota.of_one().map(many) {
        Some(one) => format!("{one} of one person, and {all} of all, may wait here to be read"),
        None => format!("{all} of them may wait here to be read"),
    };
    match quota {
        Quota::Stranger => {
            format!("{letters} {are} discarded, from people to whom you have never written: {room}")
        }
        Quota::Held => format!(
            "{letters} {are} discarded that {are_not} signed with the keys that are known of their \
             senders: {room}"
        ),
        Quota::Unreadable => format!(
            "{letters} {are} discarded that nobody is known to have signed: {room}. Somebody between \
             you and the server may have sent them"
        ),
    }
}

/// An entry of a conversation as a line of JSON.
#[must_use]
pub fn entry_json(entry: &Entry, name: Option<&str>) -> String {
    line(&entry_line(entry, name))
}

/// An entry of a conversation, as JSON has it.
pub(crate) fn entry_line<'a>(entry: &'a Entry, name: Option<&'a str>) -> EntryLine<'a> {
    let (id, with) = (entry.id.get(), entry.with.as_str());
    let uid = entry.uid.map(|uid| uid.to_string());
    match &entry.event {
        Event::Received { body, sent_at, received_at } => {
            let (kind, text, error) = parts(body, None);
            EntryLine {
                id,
                direction: "in",
                from: Some(with),
                name,
                uid,
                kind,
                text,
                error,
                sent_at: Some(clock::rfc3339(*sent_at)),
                received_at: Some(clock::rfc3339(*received_at)),
                status: "received",
                ..EntryLine::default()
            }
        }
        Event::Written { writing, created_at, status } => EntryLine {
            id,
            direction: "out",
            to: Some(with),
            name,
            uid,
            kind: "text",
            text: Some(written_text(writing)),
            created_at: Some(clock::rfc3339(*created_at)),
            read_at: status.read_at.map(clock::rfc3339),
            refusal: status.refusal_code,
            status: status.name(),
            ..EntryLine::default()
        },
    }
}

/// An entry of a conversation for a person.
#[must_use]
pub fn entry_text(entry: &Entry, name: Option<&str>, page: &Page<'_>) -> String {
    page.fit(&entry_words(entry, &who(&entry.with, name), ME, page))
}

/// An entry of any conversation for a person.
#[must_use]
pub fn found_text(entry: &Entry, name: Option<&str>, page: &Page<'_>) -> String {
    let with = who(&entry.with, name);
    page.fit(&entry_words(entry, &with, &me_to(&with), page))
}

fn entry_words(entry: &Entry, with: &str, me: &str, page: &Page<'_>) -> String {
    match &entry.event {
        Event::Received { body, sent_at, .. } => {
            format!("{} {with}: {}", clock::in_zone(*sent_at, page.zone), body_text(body, None))
        }
        Event::Written { writing, created_at, status } => format!(
            "{} {me}: {} [{}]",
            clock::in_zone(*created_at, page.zone),
            for_terminal(written_text(writing)),
            status_text(status)
        ),
    }
}

/// A conversation as a line of JSON.
#[must_use]
pub fn conversation_json(one: &Conversation) -> String {
    line(&conversation_line(one))
}

/// A conversation, as JSON has it.
pub(crate) fn conversation_line(one: &Conversation) -> ConversationLine<'_> {
    ConversationLine {
        phone: one.phone.as_str(),
        name: one.name.as_deref(),
        state: one.state.name(),
        unread: one.unread,
        held: one.held,
        pinned: one.is_pinned,
        draft: one.has_draft,
        muted_until: is_muted(one).then(|| clock::rfc3339(one.muted_until)),
        last: one.last.map(ItemId::get),
    }
}

/// A conversation for a person.
#[must_use]
pub fn conversation_text(one: &Conversation, page: &Page<'_>) -> String {
    let mut text = one.phone.as_str().to_owned();
    if let Some(name) = &one.name {
        text = format!("{}  {text}", for_line(name));
    }
    if one.unread > 0 {
        text.push_str(&format!("  {} unread", one.unread));
    }
    if one.held > 0 {
        text.push_str(&format!("  {} with another key", one.held));
    }
    for (is_so, word) in
        [(one.is_pinned, "pinned"), (is_muted(one), "muted"), (one.has_draft, "something is begun")]
    {
        if is_so {
            text.push_str("  ");
            text.push_str(word);
        }
    }
    page.fit(&text)
}

/// Somebody, for a person: the name that was given, and the number.
#[must_use]
pub fn person(name: Option<&str>, phone: &Phone) -> String {
    match name {
        Some(name) => format!("{} ({})", for_line(name), phone.as_str()),
        None => phone.as_str().to_owned(),
    }
}

/// The same of somebody in a home.
///
/// # Errors
/// [`HomeError::Database`].
pub fn person_in(home: &Home, phone: &Phone) -> Result<String, HomeError> {
    Ok(person(home.conversations().name_of(phone)?.as_deref(), phone))
}

/// That letters of somebody are held back, if there are any, and what to do, for a person.
#[must_use]
pub fn held_text(one: &Conversation) -> Option<String> {
    let (letters, wait) = match one.held {
        0 => return None,
        1 => ("letter", "waits"),
        _ => ("letters", "wait"),
    };
    Some(format!(
        "{} {letters} of {} with another key {wait} until you accept it; `waxwing verify {}` shows the number \
         to compare",
        one.held,
        person(one.name.as_deref(), &one.phone),
        one.phone.as_str()
    ))
}

fn is_muted(one: &Conversation) -> bool {
    one.muted_until > clock::now()
}

/// A value as a line of JSON, in which nothing acts on a terminal.
#[must_use]
pub fn json(value: &impl Serialize) -> String {
    line(value)
}

/// What became of a letter, for a person.
#[must_use]
pub fn status_text(status: &OutboxStatus) -> String {
    let mut words = status.name().to_owned();
    if status.read_at.is_some() {
        words.push_str(", read");
    }
    if let Some(why) = why(status) {
        words.push_str(": ");
        words.push_str(&for_line(&why));
    }
    words
}

/// Why a letter waits or was refused, if there is a reason.
pub(crate) fn why(status: &OutboxStatus) -> Option<String> {
    let text = status.refusal_text.clone().filter(|text| !text.is_empty());
    text.or_else(|| status.refusal_code.map(Failure::why_not_taken))
}

/// Whether a text has nothing in it that anybody sees.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|character| character.is_whitespace() || is_hidden(character))
}

/// A letter that waits as a line of JSON, with what it waits for.
#[must_use]
pub fn queued_json(letter: &Queued, why: &str) -> String {
    let (kind, bytes) = kind_and_len(&letter.writing);
    line(&QueuedLine {
        uid: letter.uid.to_string(),
        to: letter.recipient.as_str(),
        kind,
        bytes,
        created_at: clock::rfc3339(letter.created_at),
        status: letter.status.name(),
        refusal: letter.status.refusal_code,
        not_before: (letter.status.not_before > clock::now())
            .then(|| clock::rfc3339(letter.status.not_before)),
        why,
    })
}

/// A letter that waits for a person, with what it waits for.
#[must_use]
pub fn queued_text(letter: &Queued, why: &str, page: &Page<'_>) -> String {
    let (kind, bytes) = kind_and_len(&letter.writing);
    page.fit(&format!(
        "{} {} to {}, {kind}, {bytes} bytes: {}",
        clock::in_zone(letter.created_at, page.zone),
        letter.uid,
        letter.recipient.as_str(),
        for_terminal(why),
    ))
}

fn kind_and_len(writing: &Writing) -> (&'static str, usize) {
    match writing {
        Writing::Text(text) => ("text", text.len()),
        Writing::ReadReceipt(_) => ("receipt", 0),
    }
}

#[derive(Serialize)]
struct QueuedLine<'a> {
    uid: String,
    to: &'a str,
    kind: &'static str,
    bytes: usize,
    created_at: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<String>,
    why: &'a str,
}

/// A history has texts only.
fn written_text(writing: &Writing) -> &str {
    match writing {
        Writing::Text(text) => text,
        Writing::ReadReceipt(_) => "",
    }
}

/// Kind, text, and why there is none. `from` is whose letter it may be.
fn parts<'a>(
    body: &'a LetterBody,
    from: Option<&Phone>,
) -> (&'static str, Option<&'a str>, Option<Cow<'a, str>>) {
    match body {
        LetterBody::Text(text) => ("text", Some(text), None),
        LetterBody::ReadReceipt(_) => ("receipt", None, None),
        LetterBody::Unknown { error } => ("unknown", None, Some(error.into())),
        LetterBody::Unreadable { error } => ("unreadable", None, Some(error.into())),
        LetterBody::Held => ("unreadable", None, Some(held(from).into())),
    }
}

/// Why a letter under a changed key says nothing.
fn held(from: Option<&Phone>) -> String {
    let phone = from.map_or("PHONE", Phone::as_str);
    format!("held back: its sender's key is in question; `waxwing verify {phone}` says more")
}

fn body_text(body: &LetterBody, from: Option<&Phone>) -> String {
    match parts(body, from) {
        (_, Some(text), _) => for_terminal(text),
        (kind, None, Some(error)) => format!("({kind} letter: {})", for_line(&error)),
        (_, None, None) => "(has read a letter)".to_owned(),
    }
}

#[derive(Serialize)]
struct LetterLine<'a> {
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// Its sender is somebody to whom nothing was ever written.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    request: bool,
    uid: Option<String>,
    kind: &'static str,
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
    sent_at: String,
    received_at: String,
}

#[derive(Default, Serialize)]
pub(crate) struct EntryLine<'a> {
    id: i64,
    direction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    uid: Option<String>,
    kind: &'static str,
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_at: Option<String>,
    status: &'static str,
    /// The code of the server's last refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<u16>,
}

#[derive(Serialize)]
pub(crate) struct ConversationLine<'a> {
    phone: &'a str,
    name: Option<&'a str>,
    state: &'static str,
    unread: u32,
    /// Letters that wait until the key that they are signed with is accepted.
    held: u32,
    pinned: bool,
    draft: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    muted_until: Option<String>,
    last: Option<i64>,
}

fn line(value: &impl Serialize) -> String {
    // Strings and numbers only: there is nothing in it that could fail.
    escape::for_json(&serde_json::to_string(value).unwrap_or_default())
}

#[cfg(test)]
mod tests;
