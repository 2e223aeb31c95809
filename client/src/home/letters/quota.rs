//! How much room there is for letters that nobody asked for.
//!
//! Letters of people who are known have no bound. Others fill a quota, and what was printed goes
//! first, then what programs are done with, if there are programs: whoever prints or takes what comes,
//! as it comes, loses nothing however much it is. Of a letter that is held back nothing was printed yet
//! but that it is there. When a quota is full of letters that nobody has read, or that a program is not
//! done with, the next one is discarded. It is acknowledged all the same, since a letter that is not
//! keeps those behind it at the server, and it is counted, so that the person can be told.

use rusqlite::{Connection, OptionalExtension, Row, params};
use waxwing_core::phone::Phone;

use super::Fate;
use crate::home::consumers::ARE_DONE_WITH_IT;
use crate::home::relations::{Relation, relation};
use crate::home::{HomeError, keep_places};

/// What letters count in. The text of a quota is its name in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Letters of people to whom nothing was ever written.
    Stranger,
    /// Letters that are held back: under a changed key that nobody has accepted, or until the server
    /// has said whether there is one.
    Held,
    /// Letters that nobody is known to have signed.
    Unreadable,
}

/// So many letters, or so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// How many letters there are.
    pub letters: i64,
    /// Bytes of what they say, or of their packets.
    pub bytes: i64,
}

const MIB: i64 = 1_024 * 1_024;

impl Quota {
    pub(super) const ALL: [Self; 3] = [Self::Stranger, Self::Held, Self::Unreadable];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Held => "held",
            Self::Unreadable => "unreadable",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quota| quota.name() == name)
    }

    /// The room for the letters of one sender: as much as a server keeps of one for an absent
    /// recipient. Nobody vouches for the sender of an unreadable letter.
    #[must_use]
    pub const fn of_one(self) -> Option<Room> {
        match self {
            Self::Stranger | Self::Held => Some(Room { letters: 1_000, bytes: 4 * MIB }),
            Self::Unreadable => None,
        }
    }

    /// The room for the letters of all.
    #[must_use]
    pub const fn of_all(self) -> Room {
        match self {
            Self::Stranger | Self::Held => Room { letters: 4_000, bytes: 16 * MIB },
            Self::Unreadable => Room { letters: 256, bytes: 4 * MIB },
        }
    }
}

/// What is to be done with a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is kept, and counts in a quota or in none.
    Kept(Option<Quota>),
    /// Its sender is blocked.
    Nowhere,
}

/// Where a letter with this fate belongs.
pub(super) fn place(change: &Connection, fate: &Fate<'_>) -> Result<Place, HomeError> {
    let relation = fate.from().map_or(Ok(Relation::Stranger), |from| relation(change, from))?;
    let by_sender = match relation {
        Relation::Blocked => return Ok(Place::Nowhere),
        Relation::Known => None,
        Relation::Stranger => Some(Quota::Stranger),
    };
    Ok(Place::Kept(match fate {
        Fate::Held { .. } => Some(Quota::Held),
        Fate::Unreadable { is_signed: false, .. } => Some(Quota::Unreadable),
        Fate::Opened { .. } | Fate::Unreadable { is_signed: true, .. } => by_sender,
    }))
}

/// Makes room for a letter of so many bytes, at the cost of letters that were printed, or that programs
/// have taken. Whether there is room.
pub(super) fn make_room(
    change: &Connection,
    quota: Quota,
    sender: Option<&Phone>,
    bytes: usize,
) -> Result<bool, HomeError> {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    if let (Some(room), Some(sender)) = (quota.of_one(), sender)
        && !shrink(change, quota, Some(sender), room, bytes)?
    {
        return Ok(false);
    }
    shrink(change, quota, None, quota.of_all(), bytes)
}

/// Deletes letters that nobody waits for, of one sender or of all, until `bytes` more have room.
fn shrink(
    change: &Connection,
    quota: Quota,
    sender: Option<&Phone>,
    room: Room,
    bytes: i64,
) -> Result<bool, HomeError> {
    let mut used = change
        .prepare_cached("SELECT letters, bytes FROM quota_totals WHERE quota = ? AND sender = ?")?;
    let used = used.query_one(params![quota.name(), sender.map_or("", Phone::as_str)], |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    let (mut letters, mut taken): (i64, i64) = used.optional()?.unwrap_or_default();
    let of = if sender.is_some() { "sender = ?2" } else { "?2 IS NULL" };
    let sender = sender.map(Phone::as_str);
    let oldest = |is_seen: &str| {
        let sql = format!(
            "SELECT id, bytes FROM letters WHERE quota = ?1 AND {of} AND {is_seen} \
             AND {ARE_DONE_WITH_IT} ORDER BY id LIMIT 1"
        );
        let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        change.prepare_cached(&sql)?.query_one(params![quota.name(), sender], row).optional()
    };
    while letters >= room.letters || taken > room.bytes.saturating_sub(bytes) {
        if quota == Quota::Held {
            return Ok(false);
        }
        let seen = match oldest("printed = 1")? {
            None => oldest("printed = 0 AND EXISTS (SELECT 1 FROM consumers)")?,
            printed => printed,
        };
        let Some((letter, bytes)) = seen else { return Ok(false) };
        erase(change, "id = ?", [letter])?;
        (letters, taken) = (letters.saturating_sub(1), taken.saturating_sub(bytes));
    }
    Ok(true)
}

/// Counts a letter for which there was no room. Whether it is the first that nobody was told of.
pub(super) fn discard(change: &Connection, quota: Quota) -> Result<bool, HomeError> {
    let mut count = change.prepare_cached(
        "INSERT INTO discarded (quota, letters) VALUES (?, 1) \
         ON CONFLICT DO UPDATE SET letters = letters + 1 RETURNING letters = told + 1",
    )?;
    Ok(count.query_one([quota.name()], |row| row.get(0))?)
}

/// Deletes letters, of which the memory stays that recognises them when they come again. How many that
/// were, receipts apart.
pub(in crate::home) fn erase<P: rusqlite::Params + Clone>(
    change: &Connection,
    which: &str,
    values: P,
) -> Result<usize, HomeError> {
    keep_places(change)?;
    change
        .prepare_cached(&format!(
            "INSERT OR IGNORE INTO deleted_letters (sender, uid) \
             SELECT sender, uid FROM letters WHERE uid IS NOT NULL AND {which}"
        ))?
        .execute(values.clone())?;
    let receipts: usize = change
        .prepare_cached(&format!(
            "SELECT count(*) FROM letters WHERE kind = 'receipt' AND ({which})"
        ))?
        .query_one(values.clone(), |row| row.get::<_, i64>(0))?
        .try_into()
        .unwrap_or(0);
    let deleted =
        change.prepare_cached(&format!("DELETE FROM letters WHERE {which}"))?.execute(values)?;
    Ok(deleted.saturating_sub(receipts))
}
