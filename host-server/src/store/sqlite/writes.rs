//! Changes, each inside a transaction that the caller holds.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::limits::OVERHEAD;
use waxwing_core::server::Shard;
use waxwing_core::server::storage::{
    Batch, ExpiredLetter, MOST_REMOVED, OwnLimits, PendingLetter, QueueId, StoredAllowance, Write,
};
use waxwing_core::time::UnixTime;

use super::fault::Fault;
use super::{damaged, reads};
use crate::failpoint::Failpoint;
use crate::store::letter;

/// Damaged letters that are set aside in one commit, at most.
const MOST_SET_ASIDE: usize = 10_000;

pub(super) fn apply(connection: &Connection, batches: &[Arc<Batch>]) -> Result<(), Fault> {
    let mut last = 0;
    for write in batches.iter().flat_map(|batch| &batch.writes) {
        match write {
            Write::CreateUser { id, phone, spki } => {
                connection
                    .prepare_cached(
                        "INSERT INTO users (phone_number, user_id, rsa_public_key) VALUES (?, ?, ?)",
                    )?
                    .execute(params![phone.as_str(), id.get(), spki.as_bytes()])?;
                connection
                    .prepare_cached("DELETE FROM resting_ids WHERE user_id = ?")?
                    .execute([id.get()])?;
            }
            Write::ConfirmSession { user, session_key, last_seen } => {
                let changed = connection
                    .prepare_cached(
                        "UPDATE users SET aes_key = ?, last_seen = ? WHERE user_id = ?",
                    )?
                    .execute(params![session_key, last_seen.as_str(), user.get()])?;
                if changed != 1 {
                    return Err(Fault::Refused(format!("there is no {user:?}")));
                }
            }
            Write::InsertLetter(letter) => {
                insert_letter(connection, letter)?;
                last = last.max(key(letter.queue_id)?);
            }
            Write::DeleteLetters { recipient, letters } => {
                for queue_id in letters {
                    Failpoint::BeforeDeleting.pass();
                    damaged::delete(
                        connection,
                        "DELETE FROM pending_messages WHERE queue_id = ? AND recipient_id = ?",
                        (key(*queue_id)?, recipient.get()),
                    )?;
                }
            }
            Write::KeepAllowances(allowances) => {
                let mut keep = connection.prepare_cached(
                    "INSERT OR REPLACE INTO allowances (allowance_key, full_at) VALUES (?, ?)",
                )?;
                for StoredAllowance { key, full_at } in allowances {
                    keep.execute(params![key.0, full_at.as_seconds()])?;
                }
            }
            Write::ForgetAllowances(keys) => {
                let mut forget =
                    connection.prepare_cached("DELETE FROM allowances WHERE allowance_key = ?")?;
                for key in keys {
                    forget.execute(params![key.0])?;
                }
            }
            Write::RemoveUser { user, now } => remove_user(connection, *user, *now)?,
            Write::Suspend { user, until, reason, now } => {
                suspend(connection, *user, (*now, *until), reason)?;
            }
            Write::Resume { user } => resume(connection, *user)?,
            Write::SetLimits { user, limits } => set_limits(connection, *user, *limits)?,
        }
    }
    if last > 0 {
        connection
            .prepare_cached("UPDATE queue_mark SET last_queue_id = max(last_queue_id, ?)")?
            .execute([last])?;
    }
    Ok(())
}

pub(super) fn insert_letter(connection: &Connection, letter: &PendingLetter) -> Result<(), Fault> {
    let columns = letter::columns(letter)
        .ok_or_else(|| Fault::Refused(format!("{letter:?} is not the packet that it says")))?;
    connection
        .prepare_cached(
            "INSERT INTO pending_messages (queue_id, message_id, sender_id, recipient_id, \
             timestamp, accepted_at, signature, encrypted_payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            key(letter.queue_id)?,
            letter.id.0,
            letter.sender.get(),
            letter.recipient.get(),
            columns.timestamp.as_str(),
            letter.accepted_at.as_seconds(),
            columns.signature,
            columns.payload,
        ])?;
    Ok(())
}

/// Forgets suspensions that are over.
pub(super) fn forget_suspensions(connection: &Connection, now: UnixTime) -> Result<(), Fault> {
    connection
        .prepare_cached("DELETE FROM suspensions WHERE until <= ?")?
        .execute([now.as_seconds()])?;
    Ok(())
}

/// Forgets fates from before `before`.
pub(super) fn forget(connection: &Connection, before: UnixTime) -> Result<(), Fault> {
    connection
        .prepare_cached("DELETE FROM undelivered_messages WHERE removed_at < ?")?
        .execute([before.as_seconds()])?;
    damaged::forget(connection, before)
}

/// Removes up to `limit` of the oldest letters from before `before` for users of `shard`.
pub(super) fn expire(
    connection: &Connection,
    shard: Shard,
    before: UnixTime,
    now: UnixTime,
    limit: usize,
) -> Result<Vec<ExpiredLetter>, Fault> {
    let letters = select_letters(
        connection,
        now,
        "SELECT queue_id, message_id, sender_id, recipient_id, length(encrypted_payload) \
         FROM pending_messages WHERE accepted_at < ? AND recipient_id % ? = ? \
         ORDER BY accepted_at, queue_id",
        (before.as_seconds(), shard.count(), shard.id().0),
        (limit, MOST_SET_ASIDE),
    )?;
    remove_undelivered(connection, &letters, now)?;
    Ok(letters)
}

/// Removes up to `limit` letters for `recipient` from before `before`, in the order of their places.
pub(super) fn take_out(
    connection: &Connection,
    recipient: UserId,
    before: UnixTime,
    now: UnixTime,
    limit: usize,
) -> Result<Vec<ExpiredLetter>, Fault> {
    let letters = select_letters(
        connection,
        now,
        "SELECT queue_id, message_id, sender_id, recipient_id, length(encrypted_payload) \
         FROM pending_messages WHERE recipient_id = ? AND accepted_at < ? \
         ORDER BY queue_id",
        (recipient.get(), before.as_seconds()),
        (limit, MOST_SET_ASIDE),
    )?;
    remove_undelivered(connection, &letters, now)?;
    Ok(letters)
}

/// Keeps a user out.
pub(super) fn suspend(
    connection: &Connection,
    user: UserId,
    (since, until): (UnixTime, Option<UnixTime>),
    reason: &str,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO suspensions (user_id, since, until, reason) VALUES (?, ?, ?, ?)",
        )?
        .execute(params![
            user.get(),
            since.as_seconds(),
            until.map(UnixTime::as_seconds),
            reason
        ])?;
    Ok(())
}

/// Lets a user in again.
pub(super) fn resume(connection: &Connection, user: UserId) -> Result<(), Fault> {
    connection
        .prepare_cached("DELETE FROM suspensions WHERE user_id = ?")?
        .execute([user.get()])?;
    Ok(())
}

/// Gives a user limits of their own, or none.
fn set_limits(connection: &Connection, user: UserId, limits: OwnLimits) -> Result<(), Fault> {
    let OwnLimits { letters, bytes } = limits;
    let bytes = bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    // It is for a user who is there, also when there is nothing to keep.
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO user_limits (user_id, letters, bytes) VALUES (?, ?, ?)",
        )?
        .execute(params![user.get(), letters, bytes])?;
    if limits == OwnLimits::default() {
        connection
            .prepare_cached("DELETE FROM user_limits WHERE user_id = ?")?
            .execute([user.get()])?;
    }
    Ok(())
}

/// Removes a user whose mailbox is empty.
pub(super) fn remove_user(
    connection: &Connection,
    user: UserId,
    now: UnixTime,
) -> Result<(), Fault> {
    resume(connection, user)?;
    let removed =
        connection.prepare_cached("DELETE FROM users WHERE user_id = ?")?.execute([user.get()])?;
    if removed != 1 {
        return Err(Fault::Refused(format!("there is no {user:?}")));
    }
    connection
        .prepare_cached("INSERT OR REPLACE INTO resting_ids (user_id, removed_at) VALUES (?, ?)")?
        .execute(params![user.get(), now.as_seconds()])?;
    Ok(())
}

/// Up to `limit` letters that are about to be removed, no more than a commit should carry. Of those that are damaged no
/// more is left after this. Up to `most_set_aside` they do not count: fewer letters than `limit` mean that there are no
/// others, see [`may_be_more`](waxwing_core::server::storage::may_be_more).
fn select_letters(
    connection: &Connection,
    now: UnixTime,
    sql: &'static str,
    which: impl rusqlite::Params,
    (limit, most_set_aside): (usize, usize),
) -> Result<Vec<ExpiredLetter>, Fault> {
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(which)?;
    let (mut letters, mut damaged, mut bytes) = (Vec::new(), Vec::new(), 0);
    while letters.len() < limit
        && bytes < MOST_REMOVED
        && damaged.len() < most_set_aside
        && let Some(row) = rows.next()?
    {
        match damaged::sound(expired_letter(row))? {
            Some(letter) => {
                bytes += letter.bytes;
                letters.push(letter);
            }
            None => damaged.push(reads::queue_id(row, 0)?),
        }
    }
    letters.extend(damaged::set_aside(connection, &damaged, now)?);
    Ok(letters)
}

fn expired_letter(row: &Row<'_>) -> Result<ExpiredLetter, Fault> {
    Ok(ExpiredLetter {
        queue_id: reads::queue_id(row, 0)?,
        id: PacketId(row.get(1)?),
        sender: reads::user_id(row, 2)?,
        recipient: reads::user_id(row, 3)?,
        bytes: u64::from(row.get::<_, u32>(4)?) + OVERHEAD as u64,
    })
}

fn remove_undelivered(
    connection: &Connection,
    letters: &[ExpiredLetter],
    now: UnixTime,
) -> Result<(), Fault> {
    for letter in letters {
        remember(connection, letter, now)?;
        let delete = "DELETE FROM pending_messages WHERE queue_id = ?";
        damaged::delete(connection, delete, [key(letter.queue_id)?])?;
    }
    Ok(())
}

/// Remembers that a letter was not delivered.
pub(super) fn remember(
    connection: &Connection,
    letter: &ExpiredLetter,
    now: UnixTime,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO undelivered_messages \
             (recipient_id, message_id, sender_id, removed_at) VALUES (?, ?, ?, ?)",
        )?
        .execute(params![
            letter.recipient.get(),
            letter.id.0,
            letter.sender.get(),
            now.as_seconds(),
        ])?;
    Ok(())
}

/// SQLite's integers are signed.
pub(super) fn key(queue_id: QueueId) -> Result<i64, Fault> {
    i64::try_from(queue_id.0)
        .map_err(|_| Fault::Refused(format!("queue id {} is beyond the last", queue_id.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_damaged_letters_are_set_aside_at_once_than_the_bound_says() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("migrations/0001-initial.sql")).unwrap();
        connection.execute_batch(include_str!("migrations/0004-damaged.sql")).unwrap();
        let damaged = "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; \
             WITH RECURSIVE places (place) AS \
             (SELECT 1 UNION ALL SELECT place + 1 FROM places WHERE place < 5) \
             INSERT INTO pending_messages SELECT place, zeroblob(16), 70000, 7, \
             '2026-11-30 00:00:00', 0, zeroblob(256), x'00' FROM places";
        connection.execute_batch(damaged).unwrap();
        let select = "SELECT queue_id, message_id, sender_id, recipient_id, \
             length(encrypted_payload) FROM pending_messages ORDER BY queue_id";
        let count = |table: &str| -> i64 {
            let count = format!("SELECT count(*) FROM {table}");
            connection.query_row(&count, [], |row| row.get(0)).unwrap()
        };
        let now = UnixTime::from_seconds(0);
        for (waiting, aside) in [(2, 3), (0, 5), (0, 5)] {
            let letters = select_letters(&connection, now, select, (), (100, 3)).unwrap();
            assert_eq!(letters, [], "nobody knows whose they were");
            assert_eq!((count("pending_messages"), count("damaged_messages")), (waiting, aside));
        }
    }
}
