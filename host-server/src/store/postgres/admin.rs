//! Users, mailboxes, letters, bans and keys, as an operator sees them.

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use waxwing_core::crypto::Digest;
use waxwing_core::id::UserId;
use waxwing_core::limits::OVERHEAD;
use waxwing_core::server::storage::QueueId;
use waxwing_core::time::{Timestamp, UnixTime};

use super::session::Sessions;
use super::{PostgresStorage, ids, load, reads, unreachable};
use crate::store::admin::{LETTERS_IN_A_PAGE, USERS_IN_A_PAGE};
use crate::store::personal::{LOOKED_AT, LetterPlace};
use crate::store::{
    ApplyError, Ban, Inspect, LetterSummary, MailboxSummary, StorageError, Stretch,
    SuspensionSummary, UserName, UserSummary,
};

const SELECT: &str = "SELECT users.user_id, phone_number, rsa_public_key, last_seen, \
    since, until, reason, user_limits.letters, user_limits.bytes \
    FROM waxwing.users LEFT JOIN waxwing.suspensions USING (user_id) \
    LEFT JOIN waxwing.user_limits USING (user_id)";

type Given<'g> = (&'g (dyn ToSql + Sync), Type);

/// What a statement reads.
pub(super) fn select(
    sessions: &mut Sessions,
    sql: &str,
    given: &[Given<'_>],
) -> Result<Vec<Row>, ApplyError> {
    sessions.read(async |client| client.query_typed(sql, given).await)
}

fn users(
    sessions: &mut Sessions,
    which: &'static str,
    given: &[Given<'_>],
) -> Result<Vec<UserSummary>, ApplyError> {
    let rows = select(sessions, &format!("{SELECT} {which}"), given)?;
    rows.iter().map(user).collect()
}

fn user(row: &Row) -> Result<UserSummary, ApplyError> {
    let id = row.get(0);
    let last_seen: Option<&str> = row.get(3);
    let last_seen =
        last_seen.and_then(|text| Timestamp::parse(text.as_bytes().try_into().ok()?).ok());
    let since: Option<i64> = row.get(4);
    let suspended = since.map(|since| SuspensionSummary {
        since: UnixTime::from_seconds(since),
        until: row.get::<_, Option<i64>>(5).map(UnixTime::from_seconds),
        reason: row.get(6),
    });
    Ok(UserSummary {
        id: ids::to_user(id)?,
        phone: load::phone(row.get(1), id)?,
        spki: load::spki(row.get(2), id)?,
        last_seen,
        suspended,
        limits: load::own_limits(row.get(7), row.get(8)),
    })
}

fn named(sessions: &mut Sessions, name: &UserName) -> Result<Option<UserSummary>, ApplyError> {
    let found = match name {
        UserName::Id(id) => {
            users(sessions, "WHERE users.user_id = $1", &[(&ids::user(*id), Type::INT4)])?
        }
        UserName::Phone(phone) => {
            users(sessions, "WHERE phone_number = $1", &[(&phone.as_str(), Type::TEXT)])?
        }
    };
    Ok(found.into_iter().next())
}

fn page(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

fn behind(user: Option<UserId>) -> i32 {
    user.map_or(0, ids::user)
}

impl Inspect for PostgresStorage {
    fn users(&mut self, after: Option<UserId>) -> Result<Vec<UserSummary>, StorageError> {
        let which = "WHERE users.user_id > $1 ORDER BY users.user_id LIMIT $2";
        let given: [Given<'_>; 2] =
            [(&behind(after), Type::INT4), (&page(USERS_IN_A_PAGE), Type::INT8)];
        users(self.sessions(), which, &given).map_err(unreachable)
    }

    fn find_user(&mut self, name: &UserName) -> Result<Option<UserSummary>, StorageError> {
        named(self.sessions(), name).map_err(unreachable)
    }

    fn mailboxes(
        &mut self,
        only: Option<UserId>,
        after: Option<LetterPlace>,
    ) -> Result<Stretch<MailboxSummary, LetterPlace>, StorageError> {
        mailboxes(self.sessions(), only, after).map_err(unreachable)
    }

    fn letters(
        &mut self,
        recipient: UserId,
        after: QueueId,
    ) -> Result<Vec<LetterSummary>, StorageError> {
        letters(self.sessions(), recipient, after).map_err(unreachable)
    }
}

fn mailboxes(
    sessions: &mut Sessions,
    only: Option<UserId>,
    after: Option<LetterPlace>,
) -> Result<Stretch<MailboxSummary, LetterPlace>, ApplyError> {
    const MAILBOXES: &str = "SELECT box.recipient_id, box.letters, box.bytes, accepted_at, box.last FROM \
        (SELECT recipient_id, count(*) AS letters, sum(payload_size) AS bytes, \
            min(queue_id) AS first, max(queue_id) AS last FROM \
            (SELECT recipient_id, queue_id, payload_size FROM waxwing.pending_messages \
                WHERE (recipient_id, queue_id) > ($1, $2) AND recipient_id <= $3 \
                ORDER BY recipient_id, queue_id LIMIT $4) AS stretch \
            GROUP BY recipient_id) AS box \
        JOIN waxwing.pending_messages AS letter \
            ON letter.recipient_id = box.recipient_id AND letter.queue_id = box.first \
        ORDER BY box.recipient_id";
    let first = only.map_or(0, ids::user);
    let last = only.map_or(i32::from(u16::MAX), ids::user);
    let (mailbox, place) =
        after.map_or((first, 0), |(mailbox, place)| (ids::user(mailbox), place.0));
    let place = i64::try_from(place).unwrap_or(i64::MAX);
    let given: [Given<'_>; 4] = [
        (&mailbox, Type::INT4),
        (&place, Type::INT8),
        (&last, Type::INT4),
        (&page(LOOKED_AT), Type::INT8),
    ];
    let rows = select(sessions, MAILBOXES, &given)?;
    let mailbox = |row: &Row| {
        let letters = ids::count(row.get(1))?;
        Ok(MailboxSummary {
            owner: ids::to_user(row.get(0))?,
            letters,
            bytes: ids::count(row.get(2))? + letters * OVERHEAD as u64,
            oldest: UnixTime::from_seconds(row.get(3)),
        })
    };
    let found: Vec<_> = rows.iter().map(mailbox).collect::<Result<_, ApplyError>>()?;
    let looked_at: u64 = found.iter().map(|mailbox| mailbox.letters).sum();
    let next = match rows.last().filter(|_| looked_at >= LOOKED_AT as u64) {
        Some(row) => Some((ids::to_user(row.get(0))?, ids::to_place(row.get(4))?)),
        None => None,
    };
    Ok(Stretch { found, next })
}

fn letters(
    sessions: &mut Sessions,
    recipient: UserId,
    after: QueueId,
) -> Result<Vec<LetterSummary>, ApplyError> {
    const LETTERS: &str = "SELECT queue_id, message_id, sender_id, accepted_at, payload_size \
        FROM waxwing.pending_messages WHERE recipient_id = $1 AND queue_id > $2 ORDER BY queue_id LIMIT $3";
    let given: [Given<'_>; 3] = [
        (&ids::user(recipient), Type::INT4),
        (&ids::place(after)?, Type::INT8),
        (&page(LETTERS_IN_A_PAGE), Type::INT8),
    ];
    let letter = |row: &Row| {
        let payload: i32 = row.get(4);
        Ok(LetterSummary {
            queue_id: ids::to_place(row.get(0))?,
            id: ids::to_packet(row.get(1))?,
            sender: ids::to_user(row.get(2))?,
            accepted_at: UnixTime::from_seconds(row.get(3)),
            bytes: ids::count(i64::from(payload))? + OVERHEAD as u64,
        })
    };
    select(sessions, LETTERS, &given)?.iter().map(letter).collect()
}

pub(super) fn bans(sessions: &mut Sessions) -> Result<Vec<Ban>, ApplyError> {
    const BANS: &str = "SELECT address_range, since, ends_at, is_automatic, reason FROM waxwing.bans \
        ORDER BY address_range COLLATE \"C\"";
    let ban = |row: &Row| {
        let text: &str = row.get(0);
        let range = text
            .parse()
            .map_err(|_| ApplyError::Corrupt(format!("{text:?} is no range of addresses")))?;
        Ok(Ban {
            range,
            since: UnixTime::from_seconds(row.get(1)),
            until: row.get::<_, Option<i64>>(2).map(UnixTime::from_seconds),
            is_automatic: row.get(3),
            reason: row.get(4),
        })
    };
    select(sessions, BANS, &[])?.iter().map(ban).collect()
}

pub(super) fn server_key(sessions: &mut Sessions) -> Result<Option<Digest>, ApplyError> {
    const KEY: &str = "SELECT fingerprint FROM waxwing.server_keys ORDER BY number DESC LIMIT 1";
    let rows = select(sessions, KEY, &[])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let bytes: &[u8] = row.get(0);
    let bytes =
        bytes.try_into().map_err(|_| ApplyError::Corrupt("a fingerprint is none".into()))?;
    Ok(Some(Digest(bytes)))
}

pub(super) fn is_unused(sessions: &mut Sessions) -> Result<bool, ApplyError> {
    const UNUSED: &str = "SELECT NOT EXISTS (SELECT FROM waxwing.users) \
        AND NOT EXISTS (SELECT FROM waxwing.resting_ids) \
        AND (SELECT max(last_queue_id) FROM waxwing.marks) = 0";
    Ok(select(sessions, UNUSED, &[])?.first().is_some_and(|row| row.get(0)))
}

/// Reads all letters, and sees that each is what was written.
pub(super) fn check(sessions: &mut Sessions) -> Result<(), ApplyError> {
    const LETTERS: &str = "SELECT queue_id, message_id, sender_id, timestamp, accepted_at, signature, \
        encrypted_payload, recipient_id FROM waxwing.pending_messages \
        WHERE (recipient_id, queue_id) > ($1, $2) ORDER BY recipient_id, queue_id LIMIT 500";
    let mut place = (0_i32, 0_i64);
    loop {
        let given: [Given<'_>; 2] = [(&place.0, Type::INT4), (&place.1, Type::INT8)];
        let rows = select(sessions, LETTERS, &given)?;
        for row in &rows {
            let place: i64 = row.get(0);
            reads::pending(row, ids::to_user(row.get(7))?)
                .ok_or_else(|| ApplyError::Corrupt(format!("letter {place} cannot be rebuilt")))?;
        }
        let Some(last) = rows.last() else { return Ok(()) };
        place = (last.get(7), last.get(0));
    }
}
