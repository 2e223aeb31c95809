//! Letters that are not what was stored any more: set aside, so that each costs itself alone.

use rusqlite::{Connection, Params, ffi, params};
use waxwing_core::id::PacketId;
use waxwing_core::limits::OVERHEAD;
use waxwing_core::server::storage::{ExpiredLetter, QueueId};
use waxwing_core::time::UnixTime;

use super::fault::{Fault, primary_code};
use super::{reads, writes};

/// Removes damaged letters from the queue, inside a transaction that the caller holds. They are kept
/// as they lie there until fates of that time are forgotten, and are undelivered for their senders.
///
/// Says which letters they were, as far as that is known: a letter is named twice when its row and the
/// index of mailboxes do not agree.
pub(super) fn set_aside(
    connection: &Connection,
    letters: &[QueueId],
    now: UnixTime,
) -> Result<Vec<ExpiredLetter>, Fault> {
    let mut known: Vec<ExpiredLetter> = Vec::new();
    for queue_id in letters {
        let key = writes::key(*queue_id)?;
        keep(connection, key, now)?;
        let in_index = named(connection, *queue_id, IN_INDEX)?;
        let in_row = named(connection, *queue_id, IN_ROW)?.filter(|row| Some(*row) != in_index);
        for letter in in_index.iter().chain(&in_row) {
            writes::remember(connection, letter, now)?;
        }
        delete(connection, "DELETE FROM pending_messages WHERE queue_id = ?", [key])?;
        let bytes = in_index.or(in_row).map(|letter| letter.bytes);
        tracing::error!(
            name: "letter_damaged",
            queue_id = queue_id.0,
            bytes,
            "a letter is damaged; it was set aside and counts as undelivered"
        );
        known.extend(in_index.into_iter().chain(in_row));
    }
    Ok(known)
}

/// What the index of mailboxes says of a letter. It was written with the letter, and mailboxes are
/// counted by it. The recipient leads it, so it is asked for one after the other.
const IN_INDEX: &str = "SELECT letter.recipient_id, letter.sender_id, letter.message_id, \
    length(letter.encrypted_payload) FROM users CROSS JOIN pending_messages AS letter \
    INDEXED BY pending_messages_by_mailbox \
    ON letter.recipient_id = users.user_id AND letter.queue_id = ?";
/// What the row says.
const IN_ROW: &str = "SELECT recipient_id, sender_id, message_id, length(encrypted_payload) \
    FROM damaged_messages WHERE queue_id = ?";

/// `None` where what is said makes no sense.
fn named(
    connection: &Connection,
    queue_id: QueueId,
    select: &'static str,
) -> Result<Option<ExpiredLetter>, Fault> {
    let mut select = connection.prepare_cached(select)?;
    let mut rows = select.query([writes::key(queue_id)?])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let read = || -> Result<ExpiredLetter, Fault> {
        Ok(ExpiredLetter {
            queue_id,
            id: PacketId(row.get(2)?),
            sender: reads::user_id(row, 1)?,
            recipient: reads::user_id(row, 0)?,
            bytes: u64::from(row.get::<_, u32>(3)?) + OVERHEAD as u64,
        })
    };
    sound(read())
}

/// Keeps the row as it is.
fn keep(connection: &Connection, key: i64, now: UnixTime) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO damaged_messages (queue_id, message_id, sender_id, \
             recipient_id, timestamp, accepted_at, signature, encrypted_payload, set_aside_at) \
             SELECT queue_id, message_id, sender_id, recipient_id, timestamp, accepted_at, \
             signature, encrypted_payload, ? FROM pending_messages NOT INDEXED WHERE queue_id = ?",
        )?
        .execute(params![now.as_seconds(), key])?;
    Ok(())
}

/// Deletes letters. What an index says otherwise than the row cannot be deleted with it: then the
/// indices are made anew from the rows. Where that is no help, the damage is more than a value.
pub(super) fn delete(
    connection: &Connection,
    sql: &'static str,
    which: impl Params + Copy,
) -> Result<(), Fault> {
    match connection.prepare_cached(sql)?.execute(which) {
        Err(error) if primary_code(&error) == Some(ffi::SQLITE_CORRUPT) => {
            connection.execute_batch("REINDEX pending_messages")?;
            connection.prepare_cached(sql)?.execute(which)?;
            tracing::error!(name: "index_damaged", "an index of the queue was damaged; it was made anew");
        }
        deleted => {
            deleted?;
        }
    }
    Ok(())
}

/// Forgets what was set aside before `before`.
pub(super) fn forget(connection: &Connection, before: UnixTime) -> Result<(), Fault> {
    connection
        .prepare_cached("DELETE FROM damaged_messages WHERE set_aside_at < ?")?
        .execute([before.as_seconds()])?;
    Ok(())
}

/// What reading a row has come to: `None` when it is damaged.
pub(super) fn sound<T>(read: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Fault::Damaged(_)) => Ok(None),
        // A value of another type than the column's, which rusqlite finds and not SQLite.
        Err(Fault::Sqlite(error)) if error.sqlite_error().is_none() => Ok(None),
        Err(fault) => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_another_type_is_damage_and_a_failure_of_sqlites_is_none() {
        let connection = Connection::open_in_memory().unwrap();
        let text = connection.query_row("SELECT 'x'", [], |row| row.get::<_, i64>(0));
        assert!(sound(text.map_err(Fault::from)).unwrap().is_none());
        let failed = ffi::Error::new(ffi::SQLITE_CORRUPT);
        let failed = rusqlite::Error::SqliteFailure(failed, None);
        assert!(sound::<()>(Err(failed.into())).is_err());
    }
}
