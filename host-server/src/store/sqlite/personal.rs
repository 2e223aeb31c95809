//! What is held about one person.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::limits::OVERHEAD;
use waxwing_core::server::storage::QueueId;
use waxwing_core::time::UnixTime;

use super::fault::Fault;
use super::{SqliteStorage, damaged, open, reads, writes};
use crate::store::personal::{FORGOTTEN, FOUND, FatePlace, LOOKED_AT, LetterPlace};
use crate::store::{
    ApplyError, AsideLetter, FateSummary, Personal, SentLetter, Storage, StorageError, Stretch,
};

impl Personal for SqliteStorage {
    fn letters_from(
        &mut self,
        sender: UserId,
        after: Option<LetterPlace>,
    ) -> Result<Stretch<SentLetter, LetterPlace>, StorageError> {
        let found = letters_from(&self.connection, sender, after);
        Ok(found.map_err(|fault| open::fault(&self.path, fault))?)
    }

    fn fates_about(
        &mut self,
        user: UserId,
        after: Option<FatePlace>,
    ) -> Result<Stretch<FateSummary, FatePlace>, StorageError> {
        let found = fates_about(&self.connection, user, after);
        Ok(found.map_err(|fault| open::fault(&self.path, fault))?)
    }

    fn letters_aside(
        &mut self,
        user: UserId,
        after: QueueId,
    ) -> Result<Stretch<AsideLetter, QueueId>, StorageError> {
        let found = letters_aside(&self.connection, user, after);
        Ok(found.map_err(|fault| open::fault(&self.path, fault))?)
    }

    fn packet(&mut self, letter: QueueId) -> Result<Option<Arc<[u8]>>, StorageError> {
        let found = packet(&self.connection, letter);
        Ok(found.map_err(|fault| open::fault(&self.path, fault))?)
    }

    fn forget_fates_from(
        &mut self,
        sender: UserId,
        after: Option<FatePlace>,
    ) -> Result<Option<FatePlace>, ApplyError> {
        self.transaction(|connection| forget_fates_from(connection, sender, after))
    }

    fn erase_rest(&mut self, user: UserId) -> Result<(), ApplyError> {
        self.transaction(|connection| {
            let aside = "DELETE FROM damaged_messages WHERE sender_id = ?1 OR recipient_id = ?1";
            connection.execute(aside, [user.get()])?;
            Ok(())
        })?;
        // What was overwritten in the database is in the log until then.
        if self.tidy()? {
            return Ok(());
        }
        let why = "the files still hold what was deleted, because a backup is being made or another program \
                   reads the database";
        Err(ApplyError::Unavailable(why.into()))
    }
}

/// Letters in the order of their places, by mailbox: from the index alone, in two parts for the same reason as
/// [`super::admin::MAILBOXES`].
pub(super) const LETTERS: &str = "SELECT recipient_id, queue_id, sender_id, message_id, length(encrypted_payload) \
     FROM pending_messages WHERE recipient_id = ?1 AND queue_id > ?2 \
     UNION ALL \
     SELECT recipient_id, queue_id, sender_id, message_id, length(encrypted_payload) \
     FROM pending_messages WHERE recipient_id > ?1 \
     ORDER BY 1, 2 LIMIT ?3";

fn letters_from(
    connection: &Connection,
    sender: UserId,
    after: Option<LetterPlace>,
) -> Result<Stretch<SentLetter, LetterPlace>, Fault> {
    let mut select = connection.prepare_cached(LETTERS)?;
    let mut accepted =
        connection.prepare_cached("SELECT accepted_at FROM pending_messages WHERE queue_id = ?")?;
    let (mailbox, place) = after.map_or((0, QueueId(0)), |(mailbox, place)| (mailbox.get(), place));
    let mut rows = select.query((mailbox, writes::key(place)?, LOOKED_AT as i64))?;
    let (mut found, mut looked_at) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        looked_at += 1;
        let (recipient, queue_id) = (reads::user_id(row, 0)?, reads::queue_id(row, 1)?);
        if reads::user_id(row, 2)? == sender {
            let accepted_at = accepted.query_row([writes::key(queue_id)?], |row| row.get(0))?;
            found.push(SentLetter {
                queue_id,
                id: PacketId(row.get(3)?),
                recipient,
                accepted_at: UnixTime::from_seconds(accepted_at),
                bytes: reads::count(row, 4)? + OVERHEAD as u64,
            });
        }
        if looked_at == LOOKED_AT || found.len() == FOUND {
            return Ok(Stretch { found, next: Some((recipient, queue_id)) });
        }
    }
    Ok(Stretch { found, next: None })
}

fn fates_about(
    connection: &Connection,
    user: UserId,
    after: Option<FatePlace>,
) -> Result<Stretch<FateSummary, FatePlace>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT recipient_id, message_id, sender_id, removed_at FROM undelivered_messages \
         WHERE (recipient_id, message_id) > (?, ?) ORDER BY recipient_id, message_id LIMIT ?",
    )?;
    let (mailbox, id) = after.map_or((0, [0; 16]), |(mailbox, id)| (mailbox.get(), id.0));
    let mut rows = select.query(params![mailbox, id, LOOKED_AT as i64])?;
    let (mut found, mut looked_at) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        looked_at += 1;
        let fate = FateSummary {
            recipient: reads::user_id(row, 0)?,
            id: PacketId(row.get(1)?),
            sender: reads::user_id(row, 2)?,
            removed_at: UnixTime::from_seconds(row.get(3)?),
        };
        if fate.sender == user || fate.recipient == user {
            found.push(fate);
        }
        if looked_at == LOOKED_AT || found.len() == FOUND {
            return Ok(Stretch { found, next: Some((fate.recipient, fate.id)) });
        }
    }
    Ok(Stretch { found, next: None })
}

fn forget_fates_from(
    connection: &Connection,
    sender: UserId,
    after: Option<FatePlace>,
) -> Result<Option<FatePlace>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT recipient_id, message_id, sender_id FROM undelivered_messages \
         WHERE (recipient_id, message_id) > (?, ?) ORDER BY recipient_id, message_id LIMIT ?",
    )?;
    let (mailbox, id) = after.map_or((0, [0; 16]), |(mailbox, id)| (mailbox.get(), id.0));
    let mut rows = select.query(params![mailbox, id, LOOKED_AT as i64])?;
    let (mut found, mut looked_at, mut next) = (Vec::new(), 0, None);
    while next.is_none()
        && let Some(row) = rows.next()?
    {
        looked_at += 1;
        let place = (reads::user_id(row, 0)?, PacketId(row.get(1)?));
        if reads::user_id(row, 2)? == sender {
            found.push(place);
        }
        if looked_at == LOOKED_AT || found.len() == FORGOTTEN {
            next = Some(place);
        }
    }
    let mut forget = connection.prepare_cached(
        "DELETE FROM undelivered_messages WHERE recipient_id = ? AND message_id = ?",
    )?;
    for (mailbox, id) in found {
        forget.execute(params![mailbox.get(), id.0])?;
    }
    Ok(next)
}

fn letters_aside(
    connection: &Connection,
    user: UserId,
    after: QueueId,
) -> Result<Stretch<AsideLetter, QueueId>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT queue_id, message_id, sender_id, recipient_id, set_aside_at FROM damaged_messages \
         WHERE queue_id > ? ORDER BY queue_id LIMIT ?",
    )?;
    let mut rows = select.query(params![writes::key(after)?, LOOKED_AT as i64])?;
    let (mut found, mut looked_at) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        looked_at += 1;
        // The rows are as they were found, so anything may stand in them.
        let letter = AsideLetter {
            queue_id: reads::queue_id(row, 0)?,
            id: row.get(1).ok().map(PacketId),
            sender: reads::user_id(row, 2).ok(),
            recipient: reads::user_id(row, 3).ok(),
            set_aside_at: UnixTime::from_seconds(row.get(4)?),
        };
        if [letter.sender, letter.recipient].contains(&Some(user)) {
            found.push(letter);
        }
        if looked_at == LOOKED_AT || found.len() == FOUND {
            return Ok(Stretch { found, next: Some(letter.queue_id) });
        }
    }
    Ok(Stretch { found, next: None })
}

fn packet(connection: &Connection, letter: QueueId) -> Result<Option<Arc<[u8]>>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT queue_id, message_id, sender_id, timestamp, accepted_at, signature, \
         encrypted_payload, recipient_id FROM pending_messages WHERE queue_id = ?",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        let recipient = reads::user_id(row, 7);
        Ok(recipient.and_then(|recipient| reads::pending_letter(row, recipient)))
    };
    let Some(letter) = select.query_row([writes::key(letter)?], read).optional()? else {
        return Ok(None);
    };
    Ok(damaged::sound(letter)?.map(|letter| letter.packet))
}
