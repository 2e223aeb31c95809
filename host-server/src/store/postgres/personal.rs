//! What is held about one person.

use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use waxwing_core::id::UserId;
use waxwing_core::limits::OVERHEAD;
use waxwing_core::server::storage::QueueId;
use waxwing_core::time::UnixTime;

use super::admin::select;
use super::session::Sessions;
use super::{PostgresStorage, ids, reads, unreachable};
use crate::store::personal::{FOUND, FatePlace, LOOKED_AT, LetterPlace};
use crate::store::shared::Change;
use crate::store::{
    ApplyError, AsideLetter, FateSummary, Personal, SentLetter, StorageError, Stretch,
};

impl Personal for PostgresStorage {
    fn letters_from(
        &mut self,
        sender: UserId,
        after: Option<LetterPlace>,
    ) -> Result<Stretch<SentLetter, LetterPlace>, StorageError> {
        letters_from(self.sessions(), sender, after).map_err(unreachable)
    }

    fn fates_about(
        &mut self,
        user: UserId,
        after: Option<FatePlace>,
    ) -> Result<Stretch<FateSummary, FatePlace>, StorageError> {
        fates_about(self.sessions(), user, after).map_err(unreachable)
    }

    fn letters_aside(
        &mut self,
        user: UserId,
        after: QueueId,
    ) -> Result<Stretch<AsideLetter, QueueId>, StorageError> {
        letters_aside(self.sessions(), user, after).map_err(unreachable)
    }

    fn packet(&mut self, letter: QueueId) -> Result<Option<Arc<[u8]>>, StorageError> {
        packet(self.sessions(), letter).map_err(unreachable)
    }

    /// The database does all of it in one statement, and serves others meanwhile.
    fn forget_fates_from(
        &mut self,
        _: UserId,
        _: Option<FatePlace>,
    ) -> Result<Option<FatePlace>, ApplyError> {
        Ok(None)
    }

    fn erase_rest(&mut self, user: UserId) -> Result<(), ApplyError> {
        self.groups().commit(&Change::Erasure(user))
    }
}

/// What of a stretch was looked for, and where to go on.
fn stretch<T, P: Copy>(
    rows: &[Row],
    read: impl Fn(&Row) -> Result<(Option<T>, P), ApplyError>,
) -> Result<Stretch<T, P>, ApplyError> {
    let mut found = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let (one, place) = read(row)?;
        found.extend(one);
        if at + 1 == LOOKED_AT || found.len() == FOUND {
            return Ok(Stretch { found, next: Some(place) });
        }
    }
    Ok(Stretch { found, next: None })
}

fn letters_from(
    sessions: &mut Sessions,
    sender: UserId,
    after: Option<LetterPlace>,
) -> Result<Stretch<SentLetter, LetterPlace>, ApplyError> {
    const LETTERS: &str = "SELECT recipient_id, queue_id, sender_id, message_id, payload_size, accepted_at \
        FROM waxwing.pending_messages WHERE (recipient_id, queue_id) > ($1, $2) \
        ORDER BY recipient_id, queue_id LIMIT $3";
    let (mailbox, place) = after.map_or((0, 0), |(mailbox, place)| (ids::user(mailbox), place.0));
    let place = i64::try_from(place).unwrap_or(i64::MAX);
    let limit = LOOKED_AT as i64;
    let given = [(&mailbox as _, Type::INT4), (&place as _, Type::INT8), (&limit as _, Type::INT8)];
    let rows = select(sessions, LETTERS, &given)?;
    stretch(&rows, |row| {
        let (recipient, queue_id) = (ids::to_user(row.get(0))?, ids::to_place(row.get(1))?);
        let payload: i32 = row.get(4);
        let letter = SentLetter {
            queue_id,
            id: ids::to_packet(row.get(3))?,
            recipient,
            accepted_at: UnixTime::from_seconds(row.get(5)),
            bytes: ids::count(i64::from(payload))? + OVERHEAD as u64,
        };
        let is_meant = ids::to_user(row.get(2))? == sender;
        Ok((is_meant.then_some(letter), (recipient, queue_id)))
    })
}

fn fates_about(
    sessions: &mut Sessions,
    user: UserId,
    after: Option<FatePlace>,
) -> Result<Stretch<FateSummary, FatePlace>, ApplyError> {
    const FATES: &str = "SELECT recipient_id, message_id, sender_id, removed_at \
        FROM waxwing.undelivered_messages WHERE (recipient_id, message_id) > ($1, $2) \
        ORDER BY recipient_id, message_id LIMIT $3";
    let (mailbox, id) = after.map_or((0, [0; 16]), |(mailbox, id)| (ids::user(mailbox), id.0));
    let (id, limit) = (id.as_slice(), LOOKED_AT as i64);
    let given = [(&mailbox as _, Type::INT4), (&id as _, Type::BYTEA), (&limit as _, Type::INT8)];
    let rows = select(sessions, FATES, &given)?;
    stretch(&rows, |row| {
        let fate = FateSummary {
            recipient: ids::to_user(row.get(0))?,
            id: ids::to_packet(row.get(1))?,
            sender: ids::to_user(row.get(2))?,
            removed_at: UnixTime::from_seconds(row.get(3)),
        };
        let is_meant = [fate.sender, fate.recipient].contains(&user);
        Ok((is_meant.then_some(fate), (fate.recipient, fate.id)))
    })
}

fn letters_aside(
    sessions: &mut Sessions,
    user: UserId,
    after: QueueId,
) -> Result<Stretch<AsideLetter, QueueId>, ApplyError> {
    const ASIDE: &str = "SELECT queue_id, message_id, sender_id, recipient_id, set_aside_at \
        FROM waxwing.damaged_messages WHERE queue_id > $1 ORDER BY queue_id LIMIT $2";
    let (after, limit) = (ids::place(after)?, LOOKED_AT as i64);
    let given = [(&after as _, Type::INT8), (&limit as _, Type::INT8)];
    let rows = select(sessions, ASIDE, &given)?;
    let person = |id: Option<i32>| id.and_then(|id| ids::to_user(id).ok());
    stretch(&rows, |row| {
        let queue_id = ids::to_place(row.get(0))?;
        let letter = AsideLetter {
            queue_id,
            id: row.get::<_, Option<&[u8]>>(1).and_then(|id| ids::to_packet(id).ok()),
            sender: person(row.get(2)),
            recipient: person(row.get(3)),
            set_aside_at: UnixTime::from_seconds(row.get(4)),
        };
        let is_meant = [letter.sender, letter.recipient].contains(&Some(user));
        Ok((is_meant.then_some(letter), queue_id))
    })
}

fn packet(sessions: &mut Sessions, letter: QueueId) -> Result<Option<Arc<[u8]>>, ApplyError> {
    const LETTER: &str = "SELECT queue_id, message_id, sender_id, timestamp, accepted_at, signature, \
        encrypted_payload, recipient_id FROM waxwing.users JOIN waxwing.pending_messages \
        ON recipient_id = user_id AND queue_id = $1";
    let rows = select(sessions, LETTER, &[(&ids::place(letter)?, Type::INT8)])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let recipient = ids::to_user(row.get(7))?;
    Ok(reads::pending(row, recipient).map(|letter| letter.packet))
}
