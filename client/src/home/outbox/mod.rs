//! Letters to send, and what became of them.
//!
//! Any process writes a letter here; the one that holds the session sends it. Before the first
//! byte of a packet goes out its id is stored, so that a status for it is recognised whatever
//! happens in between, and its bytes, so that it can go out again byte for byte. The uid stays
//! the same however often a letter is sent.

mod once;
mod queue;
mod state;
mod status;

use std::fmt;

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use waxwing_core::envelope::Content;
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::limits::MAX_BODY;
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use super::items::{self, NewItem};
use super::relations::get_to_know;
use super::{Deleted, Home, HomeError, columns, keep_places, next_place};

pub use once::Once;
pub use queue::{GivenUp, Queued, Which};
pub use state::State;
pub(super) use status::note_read;
pub use status::{Applied, OutboxStatus, PacketName, StoredLetter, Written};

/// A row of the outbox; rows in the order in which they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxId(pub(super) i64);

/// What a letter is to say. `Debug` shows no text.
#[derive(Clone, PartialEq, Eq)]
pub enum Writing {
    /// A text, in UTF-8.
    Text(String),
    /// The named letter, which the recipient had sent, was read.
    ReadReceipt(Uid),
}

/// A text does not fit a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text has {len} bytes, more than the {MAX_BODY} that fit a letter; send it in parts")]
pub struct TooLong {
    /// How many bytes the text has.
    pub len: usize,
}

impl Writing {
    /// Bytes of the longest text.
    pub const LONGEST: usize = MAX_BODY;

    /// A text.
    ///
    /// # Errors
    /// [`TooLong`] above [`MAX_BODY`] bytes.
    pub fn text(text: impl Into<String>) -> Result<Self, TooLong> {
        let text = text.into();
        if text.len() > MAX_BODY { Err(TooLong { len: text.len() }) } else { Ok(Self::Text(text)) }
    }

    /// As the envelope wants it.
    #[must_use]
    pub fn content(&self) -> Content<'_> {
        match self {
            Self::Text(text) => Content::Text(text),
            Self::ReadReceipt(uid) => Content::ReadReceipt(*uid),
        }
    }

    /// From a column with the kind, one with the letter that a receipt is about, and one with a text.
    fn read(row: &Row<'_>, kind: usize) -> rusqlite::Result<Self> {
        match row.get::<_, String>(kind)?.as_str() {
            "text" => row.get(kind + 2).map(Self::Text),
            "receipt" => columns::uid(row, kind + 1).map(Self::ReadReceipt),
            _ => Err(columns::bad(kind, rusqlite::types::Type::Text)),
        }
    }
}

impl fmt::Debug for Writing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.content().fmt(f)
    }
}

/// A letter that is to be sent, or sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenLetter {
    /// The row in which the letter is stored.
    pub id: OutboxId,
    /// The uid of the letter, the same however often it is sent.
    pub uid: Uid,
    /// The phone of the recipient.
    pub recipient: Phone,
    /// What the letter is to say.
    pub writing: Writing,
    /// The packet that it was sent as, if that had no answer.
    pub packet: Option<SentPacket>,
}

/// The letter of a conversation that is to be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The row in which the letter is stored.
    pub id: OutboxId,
    /// The phone of the recipient.
    pub recipient: Phone,
    /// Bytes of its text.
    pub len: u32,
}

/// A packet that is on its way, or may be.
#[derive(Clone, PartialEq, Eq)]
pub struct SentPacket {
    /// Every byte of it.
    pub bytes: Vec<u8>,
    /// The timestamp in its header: byte for byte it can go out again while that is fresh.
    pub signed_at: UnixTime,
}

impl fmt::Debug for SentPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SentPacket({} bytes, {:?})", self.bytes.len(), self.signed_at)
    }
}

/// The letters that a home has written.
#[derive(Clone, Copy, Debug)]
pub struct Outbox<'a> {
    home: &'a Home,
}

impl<'a> Outbox<'a> {
    pub(super) const fn of(home: &'a Home) -> Self {
        Self { home }
    }

    /// Stores a letter to be sent.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing was stored then.
    pub fn queue(
        &self,
        uid: &Uid,
        recipient: &Phone,
        writing: &Writing,
        now: UnixTime,
    ) -> Result<OutboxId, HomeError> {
        self.home.write(|change| queue(change, uid, recipient, writing, now))
    }

    /// The first letter of each conversation that has not been answered, if it can go out now:
    /// oldest first. Those behind it wait until it has its answer, so that they arrive in their
    /// order. Not among them: letters to somebody whose key has changed.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn heads(&self, now: UnixTime) -> Result<Vec<Head>, HomeError> {
        let mut select = self.home.connection.prepare_cached(
            "WITH open (recipient, id) AS ( \
                 SELECT recipient, min(id) FROM outbox WHERE state = 0 GROUP BY recipient \
                 UNION ALL SELECT recipient, id FROM outbox WHERE state = 1), \
             heads (id) AS (SELECT min(id) FROM open GROUP BY recipient) \
             SELECT outbox.id, recipient, coalesce(octet_length(text), length(receipt_for)) \
             FROM heads JOIN outbox USING (id) LEFT JOIN items ON items.id = item \
             WHERE not_before <= ? AND NOT EXISTS (SELECT 1 FROM contacts \
                 WHERE phone = recipient AND changed_spki IS NOT NULL) \
             ORDER BY outbox.id",
        )?;
        let rows = select.query_map([now.as_seconds()], |row| {
            Ok(Head {
                id: OutboxId(row.get(0)?),
                recipient: columns::phone(row, 1)?,
                len: row.get(2)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// A letter that has not been answered; `None` when it has, or was given up.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn open_letter(&self, letter: OutboxId) -> Result<Option<OpenLetter>, HomeError> {
        let mut select = self.home.connection.prepare_cached(
            "SELECT id, uid, recipient, kind, receipt_for, \
                 (SELECT text FROM items WHERE items.id = item), \
                 CASE WHEN state = 1 THEN packet END, signed_at \
             FROM outbox WHERE id = ? AND state <= 1",
        )?;
        let found = select.query_one([letter.0], |row| {
            let bytes: Option<Vec<u8>> = row.get(6)?;
            let packet = match (bytes, columns::optional_time(row, 7)?) {
                (Some(bytes), Some(signed_at)) => Some(SentPacket { bytes, signed_at }),
                _ => None,
            };
            Ok(OpenLetter {
                id: OutboxId(row.get(0)?),
                uid: columns::uid(row, 1)?,
                recipient: columns::phone(row, 2)?,
                writing: Writing::read(row, 3)?,
                packet,
            })
        });
        Ok(found.optional()?)
    }

    /// Corrects when a letter was written that is about to be sent for the first time: the clock
    /// that dated it is found to be `offset_s` behind the server's.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn correct_date(&self, letter: OutboxId, offset_s: i64) -> Result<(), HomeError> {
        self.home.write(|change| {
            let sql = "UPDATE outbox SET created_at = created_at + ?2 WHERE id = ?1 \
                 AND NOT EXISTS (SELECT 1 FROM outbox_packets WHERE letter = ?1)";
            if change.prepare_cached(sql)?.execute(params![letter.0, offset_s])? == 1 {
                let sql = "UPDATE items SET sent_at = sent_at + ?2, stored_at = stored_at + ?2 \
                     WHERE id = (SELECT item FROM outbox WHERE id = ?1)";
                change.prepare_cached(sql)?.execute(params![letter.0, offset_s])?;
            }
            Ok(())
        })
    }

    /// How many texts the server has not answered for.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn unanswered(&self) -> Result<u32, HomeError> {
        let mut count = self
            .home
            .connection
            .prepare_cached("SELECT count(*) FROM outbox WHERE state <= ? AND kind = 'text'")?;
        Ok(count.query_one([State::Sent.rank()], |row| row.get(0))?)
    }

    /// How many texts to `recipient` the server has not answered for.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn unanswered_to(&self, recipient: &Phone) -> Result<u32, HomeError> {
        let mut count = self.home.connection.prepare_cached(
            "SELECT count(*) FROM outbox WHERE recipient = ? AND state <= ? AND kind = 'text'",
        )?;
        let rank = State::Sent.rank();
        Ok(count.query_one(params![recipient.as_str(), rank], |row| row.get(0))?)
    }

    /// Stores the packet that a letter is about to be sent as; before the first byte goes out.
    /// `false` when the letter was given up, or answered, in the meantime, and the packet must not
    /// go out.
    ///
    /// # Errors
    /// [`HomeError::Database`], and the packet must not go out.
    pub fn begin_sending(
        &self,
        letter: OutboxId,
        packet: &PacketId,
        recipient: UserId,
        bytes: &[u8],
        signed_at: UnixTime,
    ) -> Result<bool, HomeError> {
        self.home.write(|change| {
            let begun = change
                .prepare_cached(
                    "UPDATE outbox SET state = ?2, packet = ?3, signed_at = ?4, \
                     refusal_code = NULL, refusal_text = NULL, not_before = 0 \
                     WHERE id = ?1 AND state <= ?2",
                )?
                .execute(params![letter.0, State::Sent.rank(), bytes, signed_at.as_seconds()])?;
            if begun == 0 {
                return Ok(false);
            }
            change
                .prepare_cached(
                    "INSERT INTO outbox_packets (packet_id, letter, recipient_id) \
                     VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                )?
                .execute(params![packet.0, letter.0, recipient.get()])?;
            Ok(true)
        })
    }

    /// Puts a letter back that the server has refused for now, or, without a code, that this client
    /// cannot seal for now: it waits until `until` and then goes out again. One that has risen
    /// above [`State::Sent`] meanwhile stays as it is.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn postpone(
        &self,
        letter: OutboxId,
        until: UnixTime,
        code: Option<u16>,
        text: &str,
    ) -> Result<(), HomeError> {
        self.home
            .connection
            .prepare_cached(
                "UPDATE outbox SET state = ?2, not_before = ?3, refusal_code = ?4, \
                 refusal_text = ?5 WHERE id = ?1 AND state <= ?6",
            )?
            .execute(params![
                letter.0,
                State::Waiting.rank(),
                until.as_seconds(),
                code,
                text,
                State::Sent.rank(),
            ])?;
        Ok(())
    }
}

pub(super) fn queue(
    change: &Connection,
    uid: &Uid,
    recipient: &Phone,
    writing: &Writing,
    now: UnixTime,
) -> Result<OutboxId, HomeError> {
    let place = next_place(change)?;
    let (kind, item, receipt_for) = match writing {
        Writing::Text(_) => ("text", Some(place), None),
        Writing::ReadReceipt(read) => ("receipt", None, Some(read.0)),
    };
    change
        .prepare_cached(
            "INSERT INTO outbox (id, uid, recipient, kind, item, receipt_for, created_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            place,
            uid.0,
            recipient.as_str(),
            kind,
            item,
            receipt_for,
            now.as_seconds()
        ])?;
    get_to_know(change, recipient)?;
    if let Writing::Text(text) = writing {
        let (uid, text) = (Some(&uid.0[..]), Some(text.as_str()));
        let (with, sent_at, stored_at) = (recipient, now, now);
        let item = NewItem { place, with, author: None, uid, kind, text, sent_at, stored_at };
        items::add(change, &item)?;
    }
    Ok(OutboxId(place))
}

/// Puts back every letter that is not known to have arrived: the server has lost the account that
/// sent it, and perhaps the letter. Packets of that account would be refused, so each is sealed
/// and signed anew under its old name, by which a recipient recognises one that did arrive.
pub(super) fn forget_server(change: &Connection) -> Result<(), HomeError> {
    change.execute(
        "UPDATE outbox SET state = ?1, not_before = 0, refusal_code = NULL, refusal_text = NULL, \
         packet = NULL, signed_at = NULL, stored_as = NULL, heard_at = NULL \
         WHERE state IN (?1, ?2, ?3)",
        params![State::Waiting.rank(), State::Sent.rank(), State::Stored.rank()],
    )?;
    Ok(())
}

/// What was written to somebody before a time, and one letter: as [`erase_where`] wants it.
const TO: &str = "recipient = ?1 AND created_at < ?2";
const ONE: &str = "recipient = ?1 AND uid = ?2";

/// Deletes what was written to `recipient` before `before`, and is not on its way any more.
pub(super) fn erase(
    change: &Connection,
    recipient: &Phone,
    before: UnixTime,
) -> Result<Deleted, HomeError> {
    let values = params![recipient.as_str(), before.as_seconds(), State::Sent.rank()];
    erase_where(change, TO, values)
}

/// What [`erase`] would delete.
pub(super) fn count(
    connection: &Connection,
    recipient: &Phone,
    before: UnixTime,
) -> Result<Deleted, HomeError> {
    let values = params![recipient.as_str(), before.as_seconds(), State::Sent.rank()];
    count_where(connection, TO, values)
}

/// The same with one letter.
pub(super) fn erase_one(
    change: &Connection,
    recipient: &Phone,
    uid: &Uid,
) -> Result<Deleted, HomeError> {
    let values = params![recipient.as_str(), uid.0, State::Sent.rank()];
    erase_where(change, ONE, values)
}

/// What [`erase_one`] would delete.
pub(super) fn count_one(
    connection: &Connection,
    recipient: &Phone,
    uid: &Uid,
) -> Result<Deleted, HomeError> {
    let values = params![recipient.as_str(), uid.0, State::Sent.rank()];
    count_where(connection, ONE, values)
}

/// Deletes letters that were written before `before`, at most `limit`, and as many receipts. How many
/// letters that were.
pub(super) fn erase_oldest(
    change: &Connection,
    before: UnixTime,
    limit: u32,
) -> Result<usize, HomeError> {
    const LETTERS: &str = "id IN (SELECT outbox.id FROM items JOIN outbox ON outbox.item = items.id \
                           WHERE stored_at < ?1 AND state > ?3 ORDER BY stored_at LIMIT ?2)";
    const RECEIPTS: &str = "id IN (SELECT id FROM outbox WHERE kind = 'receipt' \
                            AND created_at < ?1 AND state > ?3 ORDER BY created_at LIMIT ?2)";
    let values = params![before.as_seconds(), limit, State::Sent.rank()];
    erase_where(change, RECEIPTS, values)?;
    Ok(erase_where(change, LETTERS, values)?.written)
}

/// Deletes letters but those that are on their way, and says how many, receipts apart. The third value is
/// the state up to which they are.
fn erase_where(
    change: &Connection,
    which: &'static str,
    values: &[&dyn ToSql],
) -> Result<Deleted, HomeError> {
    keep_places(change)?;
    let counted = count_where(change, which, values)?;
    let packets = format!(
        "DELETE FROM outbox_packets \
         WHERE letter IN (SELECT id FROM outbox WHERE {which} AND state > ?3)"
    );
    change.prepare_cached(&packets)?.execute(values)?;
    let letters = format!("DELETE FROM outbox WHERE {which} AND state > ?3");
    change.prepare_cached(&letters)?.execute(values)?;
    Ok(counted)
}

/// What [`erase_where`] would delete, and what would stay.
fn count_where(
    connection: &Connection,
    which: &'static str,
    values: &[&dyn ToSql],
) -> Result<Deleted, HomeError> {
    let count = |state: &'static str| -> Result<usize, HomeError> {
        let sql =
            format!("SELECT count(*) FROM outbox WHERE kind = 'text' AND {which} AND {state}");
        let count: i64 = connection.prepare_cached(&sql)?.query_one(values, |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    };
    let (written, on_their_way) = (count("state > ?3")?, count("state <= ?3")?);
    Ok(Deleted { written, on_their_way, ..Deleted::default() })
}

/// The letter that was sent as a packet whose id lies between the two, bounds included.
fn letter_between(
    connection: &Connection,
    low: &PacketId,
    high: &PacketId,
) -> Result<Option<(OutboxId, PacketId)>, HomeError> {
    let mut select = connection.prepare_cached(
        "SELECT letter, packet_id FROM outbox_packets WHERE packet_id BETWEEN ? AND ? LIMIT 1",
    )?;
    let found = select.query_one(params![low.0, high.0], |row| {
        Ok((OutboxId(row.get(0)?), columns::packet_id(row, 1)?))
    });
    Ok(found.optional()?)
}

/// Raises the state of a letter; `false` when it is there or above already. What is only
/// needed to send it again goes.
fn raise(change: &Connection, letter: OutboxId, state: State) -> Result<bool, HomeError> {
    let raised = change
        .prepare_cached(
            "UPDATE outbox SET state = ?2, packet = NULL, signed_at = NULL, \
             refusal_code = NULL, refusal_text = NULL WHERE id = ?1 AND state < ?2",
        )?
        .execute(params![letter.0, state.rank()])?;
    Ok(raised == 1)
}
