//! The rows of one letter in a conversation.

use jiff::tz::TimeZone;
use waxwing_core::time::UnixTime;

use crate::clock;
use crate::exit::Failure;
use crate::home::{Entry, Event, LetterBody, OutboxStatus, State, Writing};
use crate::name::ME;
use crate::show::{self, Shown};

/// One row of a conversation. Each kind begins in a place of its own, so that the words of a letter
/// cannot pass for anything else: only they stand behind a bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// A day begins.
    Day(Shown),
    /// What follows is new.
    New,
    /// Whose letter it is, from when, and what became of it.
    Head { who: Shown, time: Shown, fate: Shown, is_mine: bool },
    /// Words of the letter.
    Words { text: Shown, is_mine: bool },
    /// What this program says about it.
    Remark(Shown),
}

/// Columns beside the words of a letter: before them, and one that stays free behind.
pub(crate) const MARGIN: usize = 5;

/// What the rows of a letter depend on besides the letter.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    /// Who the other is.
    pub(crate) other: &'a Shown,
    pub(crate) zone: &'a TimeZone,
    /// How many columns the words have.
    pub(crate) columns: usize,
}

/// When it came to be here, which orders letters by days.
pub(crate) const fn stored_at(entry: &Entry) -> UnixTime {
    match &entry.event {
        Event::Received { received_at, .. } => *received_at,
        Event::Written { created_at, .. } => *created_at,
    }
}

pub(crate) const fn is_received(entry: &Entry) -> bool {
    matches!(entry.event, Event::Received { .. })
}

/// Its words, as they were sent.
pub(crate) fn text(entry: &Entry) -> &str {
    match &entry.event {
        Event::Received { body: LetterBody::Text(text), .. }
        | Event::Written { writing: Writing::Text(text), .. } => text,
        _ => "",
    }
}

/// Its words, whether its owner has written it, and when.
pub(crate) fn parts(entry: &Entry) -> (&str, bool, UnixTime) {
    (text(entry), !is_received(entry), stored_at(entry))
}

/// The rows of a letter, but for those that stand between it and the one before.
pub(crate) fn rows(entry: &Entry, setting: &Setting<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    let is_mine = !is_received(entry);
    let who = if is_mine { Shown::from(ME) } else { setting.other.clone() };
    let (time, fate) = match &entry.event {
        Event::Received { sent_at, received_at, .. } => {
            let is_same_day =
                clock::day(*sent_at, setting.zone) == clock::day(*received_at, setting.zone);
            let time = if is_same_day {
                clock::minute(*sent_at, setting.zone)
            } else {
                clock::in_zone(*sent_at, setting.zone)
            };
            (time, String::new())
        }
        Event::Written { created_at, status, .. } => {
            (clock::minute(*created_at, setting.zone), fate(status, setting.zone))
        }
    };
    rows.push(Row::Head { who, time: Shown::line(&time), fate: Shown::line(&fate), is_mine });
    match &entry.event {
        Event::Received {
            body: LetterBody::Unknown { error } | LetterBody::Unreadable { error },
            ..
        } => {
            let words = format!("(a letter that cannot be shown: {error})");
            rows.extend(Shown::rows(&words, setting.columns).into_iter().map(Row::Remark));
        }
        _ => {
            let words = Shown::rows(text(entry), setting.columns);
            rows.extend(words.into_iter().map(|text| Row::Words { text, is_mine }));
        }
    }
    if let Event::Written { status, .. } = &entry.event
        && let Some(why) = why_not(status)
    {
        rows.extend(Shown::rows(&why, setting.columns).into_iter().map(Row::Remark));
    }
    rows
}

/// What became of a letter, in a few signs.
fn fate(status: &OutboxStatus, zone: &TimeZone) -> String {
    if let Some(at) = status.read_at {
        return format!("✓✓ read {}", clock::minute(at, zone));
    }
    match status.state {
        State::Waiting | State::Sent => "queued",
        State::Stored => "✓",
        State::Delivered => "✓✓",
        State::NoLongerKept => "✓ ?",
        State::Refused => "✗ refused",
        State::Expired => "✗ expired",
    }
    .to_owned()
}

/// Why a letter has not gone further.
fn why_not(status: &OutboxStatus) -> Option<String> {
    if matches!(status.state, State::Stored | State::Delivered) {
        return None;
    }
    let text = status.refusal_text.clone().filter(|text| !text.is_empty());
    text.or_else(|| status.refusal_code.map(Failure::why_not_taken)).map(|why| format!("({why})"))
}

/// What is known of a letter, for whoever asks.
pub(crate) fn details(entry: &Entry, zone: &TimeZone) -> Vec<Shown> {
    let mut details = Vec::new();
    match &entry.event {
        Event::Received { sent_at, received_at, .. } => {
            details.push(format!("from      {}", entry.with.as_str()));
            details
                .push(format!("sent      {}, as its sender says", clock::in_zone(*sent_at, zone)));
            details.push(format!("received  {}", clock::in_zone(*received_at, zone)));
        }
        Event::Written { created_at, status, .. } => {
            details.push(format!("to        {}", entry.with.as_str()));
            details.push(format!("written   {}", clock::in_zone(*created_at, zone)));
            details.push(format!("now       {}", show::status_text(status)));
            if let Some(at) = status.read_at {
                details.push(format!("read      {}, as they say", clock::in_zone(at, zone)));
            }
        }
    }
    if let Some(uid) = entry.uid {
        details.push(format!("uid       {uid}"));
    }
    details.push(format!("bytes     {}", text(entry).len()));
    details.iter().map(|line| Shown::line(line)).collect()
}
