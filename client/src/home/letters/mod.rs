//! Letters received, each exactly once.
//!
//! The server may hand a letter over again, and a sender may seal it again. So (sender, uid)
//! is stored in the same transaction as the letter, and a letter that was opened stays for ever.
//! One that could not be opened has no uid that anybody vouches for; it is known by its packet
//! id.

mod quota;
mod reading;
mod record;

use std::collections::BTreeMap;
use std::fmt;

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, params};
use waxwing_core::crypto::Spki;
use waxwing_core::envelope::Content;
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use super::{Home, HomeError, columns, conversations, keep_places};
pub use reading::Reading;
use record::{is_known, record, replace};

pub(super) use quota::erase;
pub use quota::{Quota, Room};

/// A row of received letters; rows in their order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId(pub(super) i64);

#[cfg(test)]
impl LetterId {
    pub(crate) const fn for_tests(row: i64) -> Self {
        Self(row)
    }
}

/// A letter that the server has handed over, and what was made of it.
#[derive(Clone, Copy, Debug)]
pub struct HandedOver<'a> {
    /// The packet it came in.
    pub packet_id: PacketId,
    /// The id that the header names as its sender.
    pub sender: UserId,
    /// The timestamp in its header.
    pub sent_at: UnixTime,
    /// The time at which it is recorded.
    pub received_at: UnixTime,
    /// What was made of it.
    pub fate: Fate<'a>,
}

/// What was made of a letter.
#[derive(Clone, Copy, Debug)]
pub enum Fate<'a> {
    /// It opened under the sender's pinned key.
    Opened {
        /// Whose pinned key that is.
        from: Phone,
        /// The letter's name.
        uid: Uid,
        /// What it says.
        content: Content<'a>,
    },
    /// It did not open, or nobody could say whose it is.
    Unreadable {
        /// Who has the sender's id, if anybody is known to.
        from: Option<Phone>,
        /// Why, for the person.
        error: &'a str,
        /// Whether it is signed under the pinned key of its sender all the same.
        is_signed: bool,
        /// The whole packet.
        packet: &'a [u8],
    },
    /// It is not signed with the sender's pinned key, and may be right all the same.
    Held {
        /// Whose letter it would be.
        from: Phone,
        /// The whole packet, to be opened once the key is accepted.
        packet: &'a [u8],
        /// The changed key that it is signed with, which nobody has accepted; `None` until the
        /// server has said whether the sender has another key at all.
        signed_with: Option<&'a Spki>,
    },
}

/// What became of recording a letter. Either way it may be acknowledged now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Recorded {
    /// It is new, and stored.
    Stored(LetterId),
    /// It was here before.
    Duplicate,
    /// There is no room for it, or its sender is blocked: nothing of it is kept.
    Discarded,
}

/// A letter as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The row in which the letter is stored.
    pub id: LetterId,
    /// The id that the header names as its sender.
    pub sender: UserId,
    /// Who that was; `None` when nobody could say.
    pub from: Option<Phone>,
    /// Its name, if it was opened.
    pub uid: Option<Uid>,
    /// What the letter says, if it was opened.
    pub body: LetterBody,
    /// The timestamp in its header.
    pub sent_at: UnixTime,
    /// When this home has recorded it.
    pub received_at: UnixTime,
}

/// What a stored letter says. `Debug` shows no text.
#[derive(Clone, PartialEq, Eq)]
pub enum LetterBody {
    /// A text of the sender's, in UTF-8.
    Text(String),
    /// The named letter of ours was read.
    ReadReceipt(Uid),
    /// It was opened, and is of a kind that this version does not know.
    Unknown {
        /// What is known, for the person.
        error: String,
    },
    /// It could not be opened; the packet is kept.
    Unreadable {
        /// Why, for the person.
        error: String,
    },
    /// It is signed with a changed key of the sender, and waits until that is accepted; the
    /// packet is kept.
    Held,
}

impl fmt::Debug for LetterBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => Content::Text(text).fmt(f),
            Self::ReadReceipt(uid) => Content::ReadReceipt(*uid).fmt(f),
            Self::Unknown { error } => write!(f, "Unknown({error})"),
            Self::Unreadable { error } => write!(f, "Unreadable({error})"),
            Self::Held => f.write_str("Held"),
        }
    }
}

/// A letter that waits until a key of its sender is accepted, or until it is known whether the
/// sender has another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLetter {
    /// The row in which the letter is stored.
    pub id: LetterId,
    /// The whole packet, byte for byte.
    pub packet: Vec<u8>,
    /// The changed key that it is signed with, if that is known.
    pub signed_with: Option<Spki>,
}

impl HeldLetter {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: LetterId(row.get(0)?),
            packet: row.get(1)?,
            signed_with: columns::optional_spki(row, 2)?,
        })
    }
}

/// The letters that a home has received.
#[derive(Clone, Copy, Debug)]
pub struct Letters<'a> {
    home: &'a Home,
}

impl<'a> Letters<'a> {
    pub(super) const fn of(home: &'a Home) -> Self {
        Self { home }
    }

    /// Stores a letter, or recognises it; when this returns it may be acknowledged.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing was changed, and the letter must not be acknowledged.
    pub fn record(&self, letter: &HandedOver<'_>) -> Result<Recorded, HomeError> {
        self.home.write(|change| record(change, letter))
    }

    /// The letter that arrived last.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn last(&self) -> Result<Option<LetterId>, HomeError> {
        let mut last = self.home.connection.prepare_cached("SELECT max(id) FROM letters")?;
        let last: Option<i64> = last.query_one([], |row| row.get(0))?;
        Ok(last.map(LetterId))
    }

    /// Up to `limit` letters that nobody has printed, oldest first. Receipts are not for
    /// printing: they show at the letter that they are about. Nor is a letter of which the server
    /// has yet to say whether its sender's key has changed.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn unprinted(&self, limit: usize) -> Result<Vec<Letter>, HomeError> {
        self.select(
            "WHERE printed = 0 AND (kind <> 'held' OR held_for IS NOT NULL) ORDER BY id LIMIT ?",
            [limit_of(limit)],
        )
    }

    /// Notes that a person, or a program, has got these letters.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn mark_printed(&self, letters: &[LetterId]) -> Result<(), HomeError> {
        self.home.write(|change| {
            let mut mark = change.prepare_cached(
                "UPDATE letters SET printed = 1 WHERE id = ? RETURNING sender, item",
            )?;
            let mut read = BTreeMap::new();
            for letter in letters {
                let marked = mark.query_one([letter.0], |row| {
                    Ok((columns::optional_phone(row, 0)?, row.get::<_, Option<i64>>(1)?))
                });
                if let Some((Some(sender), Some(item))) = marked.optional()? {
                    let last = read.entry(sender).or_insert(item);
                    *last = item.max(*last);
                }
            }
            for (sender, item) in read {
                conversations::advance(change, &sender, item)?;
            }
            Ok(())
        })
    }

    /// The letters of `from` that are held back, oldest first.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn held_from(&self, from: &Phone) -> Result<Vec<HeldLetter>, HomeError> {
        let mut select = self.home.connection.prepare_cached(
            "SELECT id, packet, held_for FROM letters WHERE kind = 'held' AND sender = ? \
             ORDER BY id",
        )?;
        let rows = select.query_map([from.as_str()], HeldLetter::read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The first phone, after `after`, of which the server has yet to say whether its key has
    /// changed, because a letter is not signed with the pinned one.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn doubted(&self, after: Option<&Phone>) -> Result<Option<Phone>, HomeError> {
        let mut select = self.home.connection.prepare_cached(
            "SELECT sender FROM letters WHERE kind = 'held' AND held_for IS NULL AND sender > ? \
             ORDER BY sender LIMIT 1",
        )?;
        let after = after.map_or("", Phone::as_str);
        Ok(select.query_one([after], |row| columns::phone(row, 0)).optional()?)
    }

    /// The first letter of `from`, after the row `after`, that is held back and not known to be
    /// signed with another key than the pinned one.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn held(
        &self,
        from: &Phone,
        after: Option<LetterId>,
    ) -> Result<Option<HeldLetter>, HomeError> {
        let mut select = self.home.connection.prepare_cached(
            "SELECT id, packet, held_for FROM letters WHERE kind = 'held' AND sender = ?1 \
             AND id > ?2 AND (held_for IS NULL \
                 OR held_for IS (SELECT spki FROM contacts WHERE phone = ?1)) ORDER BY id LIMIT 1",
        )?;
        let after = after.map_or(0, |row| row.0);
        Ok(select.query_one(params![from.as_str(), after], HeldLetter::read).optional()?)
    }

    /// Stores what became of a letter that was held back, as unprinted; it may still be held back.
    /// A letter that turns out to be here already leaves its row.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing was changed then.
    pub fn release(
        &self,
        letter: LetterId,
        fate: &Fate<'_>,
        now: UnixTime,
    ) -> Result<Recorded, HomeError> {
        self.home.write(|change| {
            if let Fate::Opened { from, uid, .. } = fate
                && is_known(change, from, uid)?
            {
                keep_places(change)?;
                change.execute("DELETE FROM letters WHERE id = ?", [letter.0])?;
                conversations::note_change(change, from)?;
                return Ok(Recorded::Duplicate);
            }
            replace(change, letter, fate, now)?;
            Ok(Recorded::Stored(letter))
        })
    }

    /// How many letters were discarded because a quota was full, and were not told of before.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing counts as told then.
    pub fn take_discarded(&self) -> Result<Vec<(Quota, u32)>, HomeError> {
        let untold = "FROM discarded WHERE letters > told";
        let is_any = format!("SELECT 1 {untold}");
        if !self.home.connection.prepare_cached(&is_any)?.exists([])? {
            return Ok(Vec::new());
        }
        self.home.write(|change| {
            let mut select =
                change.prepare_cached(&format!("SELECT quota, letters - told {untold}"))?;
            let rows = select.query_map([], |row| {
                let quota = Quota::from_name(&row.get::<_, String>(0)?);
                Ok((quota.ok_or_else(|| columns::bad(0, Type::Text))?, row.get(1)?))
            })?;
            let counts = rows.collect::<rusqlite::Result<_>>()?;
            change.execute("UPDATE discarded SET told = letters", [])?;
            Ok(counts)
        })
    }

    fn select(
        &self,
        clauses: &'static str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<Letter>, HomeError> {
        let sql = format!("SELECT {COLUMNS} FROM letters {clauses}");
        let mut select = self.home.connection.prepare_cached(&sql)?;
        let rows = select.query_map(values, read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

const COLUMNS: &str = "id, sender_id, sender, uid, kind, content, error, sent_at, received_at, \
     (SELECT text FROM items WHERE items.id = item)";

fn read(row: &Row<'_>) -> rusqlite::Result<Letter> {
    let body = match row.get::<_, String>(4)?.as_str() {
        "text" => LetterBody::Text(row.get(9)?),
        "receipt" => LetterBody::ReadReceipt(columns::uid(row, 5)?),
        "unknown" => LetterBody::Unknown { error: row.get(6)? },
        "unreadable" => LetterBody::Unreadable { error: row.get(6)? },
        "held" => LetterBody::Held,
        _ => return Err(columns::bad(4, Type::Text)),
    };
    Ok(Letter {
        id: LetterId(row.get(0)?),
        sender: columns::user_id(row, 1)?,
        from: columns::optional_phone(row, 2)?,
        uid: columns::optional_uid(row, 3)?,
        body,
        sent_at: columns::time(row, 7)?,
        received_at: columns::time(row, 8)?,
    })
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
