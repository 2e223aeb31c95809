//! What the server and the recipient say about letters (PROTOCOL.md, "Acknowledgments").

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use waxwing_core::id::{PacketId, PacketIdPrefix, Uid};
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{Status, StatusQuery};

use super::{Outbox, OutboxId, State, letter_between, raise};
use crate::home::{HomeError, columns};

/// A server remembers expired letters for 30 days. What it does not remember it calls
/// delivered; after so long a silence that proves nothing.
const REMEMBERED_S: i64 = 30 * 24 * 60 * 60;

/// How a status names its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketName {
    /// By its whole id.
    Full(PacketId),
    /// By the first 15 bytes: all that a shared acknowledgment has room for.
    Prefix(PacketIdPrefix),
}

impl PacketName {
    fn bounds(&self) -> (PacketId, PacketId) {
        match self {
            Self::Full(id) => (*id, *id),
            Self::Prefix(prefix) => {
                let ended = |last| {
                    let mut id = [last; PacketId::LEN];
                    id[..PacketIdPrefix::LEN].copy_from_slice(&prefix.0);
                    PacketId(id)
                };
                (ended(0x00), ended(0xff))
            }
        }
    }
}

/// What a status came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Applied {
    /// It names no packet of ours.
    NotOurs,
    /// It says nothing that was not known.
    Unchanged(OutboxId),
    /// The letter has come further.
    Risen(OutboxId, State),
}

/// What is known of a letter, for whoever waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxStatus {
    /// How far it has come.
    pub state: State,
    /// The code of the last refusal, if the last answer was one.
    pub refusal_code: Option<u16>,
    /// Without a code, why this client cannot trust a key; from earlier versions, also more. For
    /// display only.
    pub refusal_text: Option<String>,
    /// A letter that waits is not tried before this.
    pub not_before: UnixTime,
    /// When the recipient says to have read it.
    pub read_at: Option<UnixTime>,
}

impl OutboxStatus {
    pub(in crate::home) const COLUMNS: &str =
        "outbox.state, refusal_code, refusal_text, not_before, read_at";

    pub(in crate::home) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let state = State::from_rank(row.get(0)?).ok_or_else(|| columns::bad(0, Type::Integer))?;
        Ok(Self {
            state,
            refusal_code: row.get(1)?,
            refusal_text: row.get(2)?,
            not_before: columns::time(row, 3)?,
            read_at: columns::optional_time(row, 4)?,
        })
    }
}

/// A letter that was written here, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The row in which it is stored.
    pub id: OutboxId,
    /// Its name.
    pub uid: Uid,
    /// Whom it is for.
    pub to: Phone,
    /// How far it has come.
    pub status: OutboxStatus,
    /// The change of its conversation that this came with.
    pub changed: i64,
}

impl Written {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            status: OutboxStatus::read(row)?,
            uid: columns::uid(row, 5)?,
            to: columns::phone(row, 6)?,
            changed: row.get(7)?,
            id: OutboxId(row.get(8)?),
        })
    }
}

/// A letter that the server has stored, and the question that finds out what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredLetter {
    /// The row in which the letter is stored.
    pub id: OutboxId,
    /// It names the packet that the server said it had stored: about any other the server would
    /// say that it is not there any more.
    pub query: StatusQuery,
}

impl Outbox<'_> {
    /// Takes in statuses from the server, all of them in one transaction; the answers are in
    /// their order.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing was changed then.
    pub fn apply(
        &self,
        statuses: &[(PacketName, Status)],
        now: UnixTime,
    ) -> Result<Vec<Applied>, HomeError> {
        self.home.write(|change| {
            statuses.iter().map(|(name, status)| apply(change, name, *status, now)).collect()
        })
    }

    /// Takes in that the server has refused a letter for good; without a code, that this client
    /// cannot seal it. The state does not change if it is above that already.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn refuse(
        &self,
        letter: OutboxId,
        code: Option<u16>,
        text: &str,
    ) -> Result<Applied, HomeError> {
        self.home.write(|change| {
            if !raise(change, letter, State::Refused)? {
                return Ok(Applied::Unchanged(letter));
            }
            change
                .prepare_cached(
                    "UPDATE outbox SET refusal_code = ?2, refusal_text = ?3 WHERE id = ?1",
                )?
                .execute(params![letter.0, code, text])?;
            Ok(Applied::Risen(letter, State::Refused))
        })
    }

    /// The letter that was sent as this packet, and to whom.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn sent_as(&self, packet: &PacketId) -> Result<Option<(OutboxId, Phone)>, HomeError> {
        let mut select = self.home.connection.prepare_cached(
            "SELECT letter, recipient FROM outbox_packets JOIN outbox ON outbox.id = letter \
             WHERE packet_id = ?",
        )?;
        let found = select
            .query_one([packet.0], |row| Ok((OutboxId(row.get(0)?), columns::phone(row, 1)?)));
        Ok(found.optional()?)
    }

    /// The first letter to `to`, after the row `after`, that waits to be sent.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn waiting(
        &self,
        to: &Phone,
        after: Option<OutboxId>,
    ) -> Result<Option<OutboxId>, HomeError> {
        let mut select = self.home.connection.prepare_cached(
            "SELECT id FROM outbox WHERE state = 0 AND recipient = ? AND id > ? ORDER BY id LIMIT 1",
        )?;
        let values = params![to.as_str(), after.map_or(0, |row| row.0)];
        Ok(select.query_one(values, |row| row.get(0).map(OutboxId)).optional()?)
    }

    /// What is known of a letter; `None` when there is no such row.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn status_of(&self, letter: OutboxId) -> Result<Option<OutboxStatus>, HomeError> {
        let sql = format!("SELECT {} FROM outbox WHERE id = ?", OutboxStatus::COLUMNS);
        let mut select = self.home.connection.prepare_cached(&sql)?;
        Ok(select.query_one([letter.0], OutboxStatus::read).optional()?)
    }

    /// What is known of the letter with this uid; `None` when there is none.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn find(&self, letter: &Uid) -> Result<Option<Written>, HomeError> {
        let sql = format!(
            "SELECT {}, uid, recipient, changed, id FROM outbox WHERE uid = ? AND kind = 'text'",
            OutboxStatus::COLUMNS
        );
        let mut select = self.home.connection.prepare_cached(&sql)?;
        Ok(select.query_one([letter.0], Written::read).optional()?)
    }

    /// Up to `limit` letters of which something else became known after
    /// [`Conversations::last_change`](crate::home::Conversations::last_change) was `change`, in that order.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn changed_since(&self, change: i64, limit: usize) -> Result<Vec<Written>, HomeError> {
        let sql = format!(
            "SELECT {}, uid, recipient, changed, id FROM outbox WHERE changed > ? ORDER BY changed LIMIT ?",
            OutboxStatus::COLUMNS
        );
        let mut select = self.home.connection.prepare_cached(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = select.query_map(params![change, limit], Written::read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// What is known of the letter that a waiting one waits for: an earlier one to the same
    /// recipient, or this one itself, that is not tried before a later time.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn held_up_by(
        &self,
        letter: OutboxId,
        now: UnixTime,
    ) -> Result<Option<OutboxStatus>, HomeError> {
        let sql = format!(
            "SELECT {} FROM outbox WHERE state = 0 AND not_before > ?2 AND id <= ?1 \
             AND recipient = (SELECT recipient FROM outbox WHERE id = ?1 AND state = 0) \
             ORDER BY id LIMIT 1",
            OutboxStatus::COLUMNS
        );
        let mut select = self.home.connection.prepare_cached(&sql)?;
        Ok(select.query_one(params![letter.0, now.as_seconds()], OutboxStatus::read).optional()?)
    }

    /// Up to `limit` letters that are stored at the server as far as is known, oldest first,
    /// beginning after the row `after`.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn stored(
        &self,
        after: Option<OutboxId>,
        limit: usize,
    ) -> Result<Vec<StoredLetter>, HomeError> {
        let mut select = self.home.connection.prepare_cached(
            "SELECT outbox.id, recipient_id, packet_id FROM outbox \
             JOIN outbox_packets ON packet_id = stored_as \
             WHERE state = 3 AND outbox.id > ? ORDER BY outbox.id LIMIT ?",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = select.query_map(params![after.map_or(0, |id| id.0), limit], |row| {
            let query = StatusQuery {
                recipient: columns::user_id(row, 1)?,
                letter: columns::packet_id(row, 2)?,
            };
            Ok(StoredLetter { id: OutboxId(row.get(0)?), query })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn apply(
    change: &Connection,
    name: &PacketName,
    status: Status,
    now: UnixTime,
) -> Result<Applied, HomeError> {
    let (low, high) = name.bounds();
    let Some((letter, packet)) = letter_between(change, &low, &high)? else {
        return Ok(Applied::NotOurs);
    };
    let mut heard = change.prepare_cached("SELECT state, heard_at FROM outbox WHERE id = ?")?;
    let (was, heard_at): (u8, Option<i64>) =
        heard.query_one([letter.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let state = match status {
        // Nobody but the sender is told, so it is not the answer to anything of ours.
        Status::Unknown => return Ok(Applied::Unchanged(letter)),
        Status::Stored => State::Stored,
        Status::Expired => State::Expired,
        Status::Delivered => {
            let forgotten = was == State::Stored.rank()
                && heard_at.is_some_and(|at| now.as_seconds().saturating_sub(at) > REMEMBERED_S);
            if forgotten { State::NoLongerKept } else { State::Delivered }
        }
    };
    change
        .prepare_cached(
            "UPDATE outbox SET heard_at = ?2, stored_as = CASE WHEN ?3 \
             THEN coalesce(stored_as, ?4) ELSE stored_as END \
             WHERE id = ?1 AND (heard_at IS NOT ?2 OR (?3 AND stored_as IS NULL))",
        )?
        .execute(params![letter.0, now.as_seconds(), state == State::Stored, packet.0])?;
    Ok(match raise(change, letter, state)? {
        true => Applied::Risen(letter, state),
        false => Applied::Unchanged(letter),
    })
}

/// Takes in that `reader` has read a letter of ours, which therefore has also been delivered.
pub(in crate::home) fn note_read(
    change: &Connection,
    reader: &Phone,
    letter: &Uid,
    at: UnixTime,
) -> Result<(), HomeError> {
    let mut find = change.prepare_cached(
        "UPDATE outbox SET read_at = coalesce(read_at, ?3) WHERE uid = ?1 AND recipient = ?2 \
         RETURNING id",
    )?;
    let found = find.query_one(params![letter.0, reader.as_str(), at.as_seconds()], |row| {
        Ok(OutboxId(row.get(0)?))
    });
    if let Some(letter) = found.optional()? {
        raise(change, letter, State::Delivered)?;
    }
    Ok(())
}
