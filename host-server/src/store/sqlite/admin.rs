//! Users, mailboxes and letters, as an operator sees them.

use rusqlite::{Connection, Params, Row};
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::limits::OVERHEAD;
use waxwing_core::server::storage::QueueId;
use waxwing_core::time::UnixTime;

use super::fault::Fault;
use super::{SqliteStorage, open, reads, writes};
use crate::store::admin::{LETTERS_IN_A_PAGE, USERS_IN_A_PAGE};
use crate::store::personal::{LOOKED_AT, LetterPlace};
use crate::store::{
    Inspect, LetterSummary, MailboxSummary, StorageError, Stretch, SuspensionSummary, UserName,
    UserSummary,
};

const SELECT: &str = "SELECT users.user_id, phone_number, rsa_public_key, last_seen, \
     since, until, reason, user_limits.letters, user_limits.bytes \
     FROM users LEFT JOIN suspensions USING (user_id) LEFT JOIN user_limits USING (user_id)";

impl SqliteStorage {
    fn selected(
        &self,
        which: &'static str,
        params: impl Params,
    ) -> Result<Vec<UserSummary>, Fault> {
        let mut select = self.connection.prepare(&format!("{SELECT} {which}"))?;
        let mut rows = select.query(params)?;
        let mut users = Vec::new();
        while let Some(row) = rows.next()? {
            let id = reads::user_id(row, 0)?;
            users.push(UserSummary {
                id,
                phone: reads::phone(row, 1, id)?,
                spki: reads::spki(row, 2, id)?,
                last_seen: reads::timestamp(row, 3)?,
                suspended: suspension(row)?,
                limits: reads::own_limits(row, 7)?,
            });
        }
        Ok(users)
    }

    fn named(&self, name: &UserName) -> Result<Option<UserSummary>, Fault> {
        let users = match name {
            UserName::Id(id) => self.selected("WHERE users.user_id = ?", [id.get()])?,
            UserName::Phone(phone) => self.selected("WHERE phone_number = ?", [phone.as_str()])?,
        };
        Ok(users.into_iter().next())
    }
}

fn suspension(row: &Row<'_>) -> Result<Option<SuspensionSummary>, Fault> {
    let Some(since) = row.get::<_, Option<i64>>(4)? else { return Ok(None) };
    Ok(Some(SuspensionSummary {
        since: UnixTime::from_seconds(since),
        until: row.get::<_, Option<i64>>(5)?.map(UnixTime::from_seconds),
        reason: row.get(6)?,
    }))
}

impl Inspect for SqliteStorage {
    fn users(&mut self, after: Option<UserId>) -> Result<Vec<UserSummary>, StorageError> {
        let after = after.map_or(0, UserId::get);
        let users = self.selected(
            "WHERE users.user_id > ? ORDER BY users.user_id LIMIT ?",
            (after, page(USERS_IN_A_PAGE)),
        );
        Ok(users.map_err(|fault| open::fault(&self.path, fault))?)
    }

    fn find_user(&mut self, name: &UserName) -> Result<Option<UserSummary>, StorageError> {
        Ok(self.named(name).map_err(|fault| open::fault(&self.path, fault))?)
    }

    fn mailboxes(
        &mut self,
        only: Option<UserId>,
        after: Option<LetterPlace>,
    ) -> Result<Stretch<MailboxSummary, LetterPlace>, StorageError> {
        let found = mailboxes(&self.connection, only, after);
        Ok(found.map_err(|fault| open::fault(&self.path, fault))?)
    }

    fn letters(
        &mut self,
        recipient: UserId,
        after: QueueId,
    ) -> Result<Vec<LetterSummary>, StorageError> {
        let found = letters(&self.connection, recipient, after);
        Ok(found.map_err(|fault| open::fault(&self.path, fault))?)
    }
}

/// What waits in each mailbox, of a stretch of letters: from the index alone. The rest of a mailbox is looked for by
/// itself, since SQLite finds a place behind (mailbox, place) by the mailbox alone, and would go through a large one from
/// its beginning for each stretch.
pub(super) const MAILBOXES: &str = "SELECT mailbox, count(*), sum(size), min(place), max(place) FROM (\
     SELECT recipient_id AS mailbox, queue_id AS place, length(encrypted_payload) AS size \
     FROM pending_messages WHERE recipient_id = ?1 AND queue_id > ?2 \
     UNION ALL \
     SELECT recipient_id, queue_id, length(encrypted_payload) \
     FROM pending_messages WHERE recipient_id > ?1 AND recipient_id <= ?3 \
     ORDER BY 1, 2 LIMIT ?4) GROUP BY mailbox ORDER BY mailbox";

fn mailboxes(
    connection: &Connection,
    only: Option<UserId>,
    after: Option<LetterPlace>,
) -> Result<Stretch<MailboxSummary, LetterPlace>, Fault> {
    let mut select = connection.prepare_cached(MAILBOXES)?;
    let mut accepted =
        connection.prepare_cached("SELECT accepted_at FROM pending_messages WHERE queue_id = ?")?;
    let (first, last) = only.map_or((0, u16::MAX), |only| (only.get(), only.get()));
    let (mailbox, place) =
        after.map_or((first, QueueId(0)), |(mailbox, place)| (mailbox.get(), place));
    let mut rows = select.query((mailbox, writes::key(place)?, last, page(LOOKED_AT)))?;
    let (mut found, mut looked_at, mut next) = (Vec::new(), 0, None);
    while let Some(row) = rows.next()? {
        let (owner, letters) = (reads::user_id(row, 0)?, reads::count(row, 1)?);
        let (first, last) = (reads::queue_id(row, 3)?, reads::queue_id(row, 4)?);
        let bytes = reads::count(row, 2)? + letters * OVERHEAD as u64;
        let oldest = accepted.query_row([writes::key(first)?], |row| row.get(0))?;
        let oldest = UnixTime::from_seconds(oldest);
        found.push(MailboxSummary { owner, letters, bytes, oldest });
        looked_at += letters;
        next = Some((owner, last));
    }
    let next = next.filter(|_| looked_at >= LOOKED_AT as u64);
    Ok(Stretch { found, next })
}

fn letters(
    connection: &Connection,
    recipient: UserId,
    after: QueueId,
) -> Result<Vec<LetterSummary>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT queue_id, message_id, sender_id, accepted_at, length(encrypted_payload) \
         FROM pending_messages WHERE recipient_id = ? AND queue_id > ? ORDER BY queue_id LIMIT ?",
    )?;
    let which = (recipient.get(), writes::key(after)?, page(LETTERS_IN_A_PAGE));
    let mut rows = select.query(which)?;
    let mut letters = Vec::new();
    while let Some(row) = rows.next()? {
        letters.push(LetterSummary {
            queue_id: reads::queue_id(row, 0)?,
            id: PacketId(row.get(1)?),
            sender: reads::user_id(row, 2)?,
            accepted_at: UnixTime::from_seconds(row.get(3)?),
            bytes: reads::count(row, 4)? + OVERHEAD as u64,
        });
    }
    Ok(letters)
}

/// The length of a page, as SQLite takes it.
fn page(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}
