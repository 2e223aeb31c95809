//! A letter's way into its row, inside the transaction that also looks for its duplicate.

use rusqlite::{Connection, OptionalExtension, params};
use waxwing_core::envelope::Content;
use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use super::quota::{Place, discard, make_room, place};
use super::{Fate, HandedOver, LetterId, Quota, Recorded};
use crate::home::items::{self, NewItem};
use crate::home::{HomeError, columns, conversations, keep_places, next_place, outbox};

pub(super) fn record(change: &Connection, letter: &HandedOver<'_>) -> Result<Recorded, HomeError> {
    let mut here =
        change.prepare_cached("SELECT id, uid IS NULL FROM letters WHERE packet_id = ?")?;
    let here = here
        .query_one([letter.packet_id.0], |row| Ok((LetterId(row.get(0)?), row.get::<_, bool>(1)?)));
    let opened = match letter.fate {
        Fate::Opened { from, uid, .. } if is_known(change, &from, &uid)? => {
            return Ok(Recorded::Duplicate);
        }
        Fate::Opened { .. } => true,
        Fate::Unreadable { .. } | Fate::Held { .. } => false,
    };
    match here.optional()? {
        // It was kept raw, its acknowledgment got lost, and by now it opens.
        Some((id, true)) if opened => {
            replace(change, id, &letter.fate, letter.received_at)?;
            Ok(Recorded::Stored(id))
        }
        Some(_) => Ok(Recorded::Duplicate),
        None => match place(change, &letter.fate)? {
            Place::Nowhere => Ok(Recorded::Discarded),
            Place::Kept(quota) => keep(change, letter, quota),
        },
    }
}

fn keep(
    change: &Connection,
    letter: &HandedOver<'_>,
    quota: Option<Quota>,
) -> Result<Recorded, HomeError> {
    if let Some(quota) = quota
        && !make_room(change, quota, letter.fate.from(), letter.fate.bytes())?
    {
        let is_news = discard(change, quota)?;
        if let (true, Some(from)) = (is_news, letter.fate.from()) {
            conversations::note_change(change, from)?;
        }
        return Ok(Recorded::Discarded);
    }
    insert(change, letter, quota).map(Recorded::Stored)
}

pub(super) fn is_known(change: &Connection, from: &Phone, uid: &Uid) -> Result<bool, HomeError> {
    let mut select = change.prepare_cached(
        "SELECT 1 FROM letters WHERE sender = ?1 AND uid = ?2 \
         UNION ALL SELECT 1 FROM deleted_letters WHERE sender = ?1 AND uid = ?2",
    )?;
    Ok(select.exists(params![from.as_str(), uid.0])?)
}

fn insert(
    change: &Connection,
    letter: &HandedOver<'_>,
    quota: Option<Quota>,
) -> Result<LetterId, HomeError> {
    let id = next_place(change)?;
    let columns = Columns::of(&letter.fate);
    let item = add_item(change, id, &letter.fate, letter.sent_at, letter.received_at)?;
    change
        .prepare_cached(
            "INSERT INTO letters (id, packet_id, sender_id, sender, uid, kind, content, text_bytes, \
             error, packet, held_for, sent_at, received_at, printed, quota, item) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            id,
            letter.packet_id.0,
            letter.sender.get(),
            columns.sender,
            columns.uid,
            columns.kind,
            columns.content,
            columns.text_len(),
            columns.error,
            columns.packet,
            columns.held_for,
            letter.sent_at.as_seconds(),
            letter.received_at.as_seconds(),
            columns.printed,
            quota.map(Quota::name),
            item,
        ])?;
    note_receipt(change, &letter.fate, letter.received_at)?;
    if let Fate::Held { from, .. } = &letter.fate {
        conversations::begin(change, from)?;
        conversations::note_change(change, from)?;
    }
    Ok(LetterId(id))
}

pub(super) fn replace(
    change: &Connection,
    letter: LetterId,
    fate: &Fate<'_>,
    now: UnixTime,
) -> Result<(), HomeError> {
    let columns = Columns::of(fate);
    // It is here already, so it stays, whatever its quota says.
    let quota = match place(change, fate)? {
        Place::Kept(quota) => quota,
        Place::Nowhere => None,
    };
    let mut sent = change.prepare_cached("SELECT sent_at, item FROM letters WHERE id = ?")?;
    let sent = sent
        .query_one([letter.0], |row| Ok((columns::time(row, 0)?, row.get::<_, Option<i64>>(1)?)));
    let Some((sent_at, item)) = sent.optional()? else {
        return Err(HomeError::NoSuchRow("letter"));
    };
    if let Some(item) = item {
        keep_places(change)?;
        change.prepare_cached("DELETE FROM items WHERE id = ?")?.execute([item])?;
    }
    let item = add_item(change, next_place(change)?, fate, sent_at, now)?;
    change
        .prepare_cached(
            "UPDATE letters SET sender = ?2, uid = ?3, kind = ?4, content = ?5, text_bytes = ?6, \
             error = ?7, packet = ?8, held_for = ?9, printed = ?10, quota = ?11, item = ?12 \
             WHERE id = ?1",
        )?
        .execute(params![
            letter.0,
            columns.sender,
            columns.uid,
            columns.kind,
            columns.content,
            columns.text_len(),
            columns.error,
            columns.packet,
            columns.held_for,
            columns.printed,
            quota.map(Quota::name),
            item,
        ])?;
    note_receipt(change, fate, now)
}

/// Puts what a letter says into the conversation with its sender, if it says anything there.
fn add_item(
    change: &Connection,
    place: i64,
    fate: &Fate<'_>,
    sent_at: UnixTime,
    stored_at: UnixTime,
) -> Result<Option<i64>, HomeError> {
    let columns = Columns::of(fate);
    let (Some(with), "text" | "unknown" | "unreadable") = (fate.from(), columns.kind) else {
        return Ok(None);
    };
    items::add(
        change,
        &NewItem {
            place,
            with,
            author: Some(with),
            uid: columns.uid,
            kind: columns.kind,
            text: columns.text,
            sent_at,
            stored_at,
        },
    )?;
    Ok(Some(place))
}

/// A receipt is also a fact about a letter that went out.
fn note_receipt(change: &Connection, fate: &Fate<'_>, at: UnixTime) -> Result<(), HomeError> {
    match fate {
        Fate::Opened { from, content: Content::ReadReceipt(read), .. } => {
            outbox::note_read(change, from, read, at)
        }
        _ => Ok(()),
    }
}

impl Fate<'_> {
    pub(super) fn from(&self) -> Option<&Phone> {
        match self {
            Self::Opened { from, .. } | Self::Held { from, .. } => Some(from),
            Self::Unreadable { from, .. } => from.as_ref(),
        }
    }

    /// What of it is kept.
    fn bytes(&self) -> usize {
        let columns = Columns::of(self);
        let content = columns.content.map_or(0, <[u8]>::len);
        let packet = columns.packet.map_or(0, <[u8]>::len);
        columns.text.map_or(0, str::len).saturating_add(content).saturating_add(packet)
    }
}

/// A fate as it stands in a row.
struct Columns<'a> {
    sender: Option<&'a str>,
    uid: Option<&'a [u8]>,
    kind: &'static str,
    text: Option<&'a str>,
    /// What it says, where that is no text.
    content: Option<&'a [u8]>,
    error: Option<String>,
    packet: Option<&'a [u8]>,
    held_for: Option<&'a [u8]>,
    printed: bool,
}

impl<'a> Columns<'a> {
    /// Bytes of its text.
    fn text_len(&self) -> u32 {
        self.text.map_or(0, |text| u32::try_from(text.len()).unwrap_or(u32::MAX))
    }

    fn of(fate: &'a Fate<'_>) -> Self {
        let blank = Self {
            sender: None,
            uid: None,
            kind: "text",
            text: None,
            content: None,
            error: None,
            packet: None,
            held_for: None,
            printed: false,
        };
        match fate {
            Fate::Opened { from, uid, content } => {
                let opened = Self { sender: Some(from.as_str()), uid: Some(&uid.0), ..blank };
                match content {
                    Content::Text(text) => Self { text: Some(text), ..opened },
                    Content::ReadReceipt(read) => {
                        Self { kind: "receipt", content: Some(&read.0), printed: true, ..opened }
                    }
                    Content::Unknown { kind, body } => Self {
                        kind: "unknown",
                        content: Some(body),
                        error: Some(unknown(*kind)),
                        ..opened
                    },
                }
            }
            Fate::Unreadable { from, error, packet, .. } => Self {
                sender: from.as_ref().map(Phone::as_str),
                kind: "unreadable",
                error: Some((*error).to_owned()),
                packet: Some(packet),
                ..blank
            },
            Fate::Held { from, packet, signed_with } => Self {
                sender: Some(from.as_str()),
                kind: "held",
                packet: Some(packet),
                held_for: signed_with.map(|key| key.as_bytes().as_slice()),
                ..blank
            },
        }
    }
}

fn unknown(kind: u8) -> String {
    match kind {
        1 => "its text is not UTF-8".to_owned(),
        2 => "its read receipt names no letter".to_owned(),
        kind => format!("letters of kind {kind} are not known here"),
    }
}
