//! Looking things up.

use std::collections::HashMap;

use rusqlite::{Connection, ErrorCode, Row, params};
use waxwing_core::crypto::Spki;
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::limits::OVERHEAD;
use waxwing_core::phone::Phone;
use waxwing_core::server::storage::{
    AllowanceKey, OwnLimits, PendingLetter, QueueId, SenderUsage, Snapshot, StoredAllowance,
    StoredUser, Suspension,
};
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{Status, StatusQuery};

use super::damaged;
use super::fault::Fault;
use crate::store::letter;

fn suspensions(connection: &Connection) -> Result<Vec<Suspension>, Fault> {
    let mut select = connection.prepare("SELECT user_id, until FROM suspensions")?;
    let mut rows = select.query([])?;
    let mut suspensions = Vec::new();
    while let Some(row) = rows.next()? {
        let until = row.get::<_, Option<i64>>(1)?.map(UnixTime::from_seconds);
        suspensions.push(Suspension { user: user_id(row, 0)?, until });
    }
    Ok(suspensions)
}

fn all_own_limits(connection: &Connection) -> Result<Vec<(UserId, OwnLimits)>, Fault> {
    let mut select = connection.prepare("SELECT user_id, letters, bytes FROM user_limits")?;
    let mut rows = select.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push((user_id(row, 0)?, own_limits(row, 1)?));
    }
    Ok(all)
}

/// Limits of a user's own, in two columns.
pub(super) fn own_limits(row: &Row<'_>, column: usize) -> Result<OwnLimits, Fault> {
    let bytes: Option<i64> = row.get(column + 1)?;
    Ok(OwnLimits {
        letters: row.get(column)?,
        bytes: bytes.map(|bytes| u64::try_from(bytes).unwrap_or_default()),
    })
}

pub(super) fn snapshot(
    connection: &Connection,
    rested_before: UnixTime,
) -> Result<Snapshot, Fault> {
    // They are few and all are read. A phone or an id that has changed would bring letters to
    // somebody else; the indices know both, too.
    let check: String =
        connection.query_row("PRAGMA integrity_check(users)", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(Fault::Damaged(check));
    }
    let mut select =
        connection.prepare("SELECT user_id, phone_number, rsa_public_key, aes_key FROM users")?;
    let mut rows = select.query([])?;
    let mut users = Vec::new();
    while let Some(row) = rows.next()? {
        let id = user_id(row, 0)?;
        users.push(StoredUser {
            id,
            phone: phone(row, 1, id)?,
            spki: spki(row, 2, id)?,
            session_key: row.get(3)?,
        });
    }
    // The mark alone would do, unless a letter was put back by hand.
    let last = connection.query_row(
        "SELECT max(last_queue_id, coalesce((SELECT max(queue_id) FROM pending_messages), 0)) \
         FROM queue_mark",
        [],
        |row| Ok(queue_id(row, 0)),
    )??;
    Ok(Snapshot {
        users,
        last_queue_id: last,
        resting_ids: resting(connection, rested_before)?,
        with_letters: with_letters(connection)?,
        allowances: allowances(connection)?,
        pending: pending(connection)?,
        suspensions: suspensions(connection)?,
        own_limits: all_own_limits(connection)?,
        letters_missing_until: letters_missing_until(connection)?,
    })
}

fn letters_missing_until(connection: &Connection) -> Result<Option<UnixTime>, Fault> {
    let select = "SELECT max(letters_missing_until) FROM restores";
    let until: Option<i64> = connection.query_row(select, [], |row| row.get(0))?;
    Ok(until.map(UnixTime::from_seconds))
}

fn allowances(connection: &Connection) -> Result<Vec<StoredAllowance>, Fault> {
    let mut select = connection.prepare("SELECT allowance_key, full_at FROM allowances")?;
    let mut rows = select.query([])?;
    let mut allowances = Vec::new();
    while let Some(row) = rows.next()? {
        let full_at = UnixTime::from_seconds(row.get(1)?);
        allowances.push(StoredAllowance { key: AllowanceKey(row.get(0)?), full_at });
    }
    Ok(allowances)
}

fn with_letters(connection: &Connection) -> Result<Vec<UserId>, Fault> {
    // One step in the index for each user, however many letters there are.
    let mut select = connection.prepare(
        "SELECT user_id FROM users WHERE EXISTS \
         (SELECT 1 FROM pending_messages WHERE recipient_id = user_id)",
    )?;
    let mut rows = select.query([])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        ids.push(user_id(row, 0)?);
    }
    Ok(ids)
}

/// What every sender has in all mailboxes, from the index alone and without sorting it: there may
/// be a million letters, and the server is to be there again at once. A limit is no reason not to
/// start: what is damaged is found when its letter is fetched, and does not count here.
fn pending(connection: &Connection) -> Result<Vec<SenderUsage>, Fault> {
    let mut select =
        connection.prepare("SELECT sender_id, length(encrypted_payload) FROM pending_messages")?;
    let mut rows = select.query([])?;
    let mut usage: HashMap<UserId, SenderUsage> = HashMap::new();
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => break,
            Err(error) => return Err(error.into()),
        };
        let (Ok(sender), Ok(payload)) = (user_id(row, 0), count(row, 1)) else { continue };
        let of = usage.entry(sender).or_insert(SenderUsage { sender, letters: 0, bytes: 0 });
        of.letters = of.letters.saturating_add(1);
        of.bytes = of.bytes.saturating_add(payload).saturating_add(OVERHEAD as u64);
    }
    Ok(usage.into_values().collect())
}

fn resting(connection: &Connection, rested_before: UnixTime) -> Result<Vec<UserId>, Fault> {
    // Ids that have rested are rare, and so is the search for their letters.
    let mut select = connection.prepare(
        "SELECT user_id FROM resting_ids AS resting WHERE removed_at >= ?1 \
         OR EXISTS (SELECT 1 FROM undelivered_messages AS gone \
            WHERE gone.recipient_id = resting.user_id OR gone.sender_id = resting.user_id) \
         OR EXISTS (SELECT 1 FROM pending_messages AS letter \
            WHERE letter.sender_id = resting.user_id)",
    )?;
    let mut rows = select.query([rested_before.as_seconds()])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        ids.push(user_id(row, 0)?);
    }
    Ok(ids)
}

/// Letters of a mailbox, and the places of those among them that are damaged.
pub(super) struct Page {
    pub(super) letters: Vec<PendingLetter>,
    pub(super) damaged: Vec<QueueId>,
    pub(super) exhausted: bool,
}

pub(super) fn letters(
    connection: &Connection,
    recipient: UserId,
    after: QueueId,
    max_letters: usize,
    max_bytes: usize,
) -> Result<Page, Fault> {
    let max_letters = max_letters.max(1);
    let mut select = connection.prepare_cached(
        "SELECT queue_id, message_id, sender_id, timestamp, accepted_at, signature, \
         encrypted_payload FROM pending_messages \
         WHERE recipient_id = ? AND queue_id > ? ORDER BY queue_id LIMIT ?",
    )?;
    // One more than asked for tells whether there is one.
    let limit = i64::try_from(max_letters).unwrap_or(i64::MAX).saturating_add(1);
    let after = i64::try_from(after.0).unwrap_or(i64::MAX);
    let mut rows = select.query(params![recipient.get(), after, limit])?;
    let (mut letters, mut damaged) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let Some(letter) = damaged::sound(pending_letter(row, recipient))? else {
            damaged.push(queue_id(row, 0)?);
            continue;
        };
        bytes += letter.packet.len();
        if letters.len() == max_letters || (bytes > max_bytes && !letters.is_empty()) {
            return Ok(Page { letters, damaged, exhausted: false });
        }
        letters.push(letter);
    }
    Ok(Page { letters, damaged, exhausted: true })
}

pub(super) fn pending_letter(row: &Row<'_>, recipient: UserId) -> Result<PendingLetter, Fault> {
    let queue_id = queue_id(row, 0)?;
    let payload = row.get_ref(6)?.as_blob().map_err(rusqlite::Error::from)?;
    let id = PacketId(row.get(1)?);
    let sender = user_id(row, 2)?;
    let signature = row.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)?;
    let packet = timestamp(row, 3)?
        .and_then(|timestamp| letter::rebuild(id, sender, recipient, timestamp, payload, signature))
        .ok_or_else(|| Fault::Damaged(format!("letter {} cannot be rebuilt", queue_id.0)))?;
    Ok(PendingLetter {
        queue_id,
        id,
        sender,
        recipient,
        accepted_at: UnixTime::from_seconds(row.get(4)?),
        packet,
    })
}

pub(super) fn usage(connection: &Connection, recipient: UserId) -> Result<Vec<SenderUsage>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT sender_id, count(*), sum(length(encrypted_payload)) FROM pending_messages \
         WHERE recipient_id = ? GROUP BY sender_id",
    )?;
    let mut rows = select.query([recipient.get()])?;
    let mut usage = Vec::new();
    while let Some(row) = rows.next()? {
        let letters: u32 = row.get(1)?;
        let bytes = count(row, 2)?.saturating_add(u64::from(letters) * OVERHEAD as u64);
        usage.push(SenderUsage { sender: user_id(row, 0)?, letters, bytes });
    }
    Ok(usage)
}

pub(super) fn fates(
    connection: &Connection,
    asker: UserId,
    letters: &[StatusQuery],
) -> Result<Vec<(PacketId, Status)>, Fault> {
    let mut pending = connection.prepare_cached(
        "SELECT max(sender_id = ?1) FROM pending_messages \
         WHERE recipient_id = ?2 AND message_id = ?3",
    )?;
    let mut undelivered = connection.prepare_cached(
        "SELECT max(sender_id = ?1) FROM undelivered_messages \
         WHERE recipient_id = ?2 AND message_id = ?3",
    )?;
    let mut fates = Vec::with_capacity(letters.len());
    for StatusQuery { recipient, letter } in letters {
        let which = params![asker.get(), recipient.get(), letter.0];
        // NULL when there is no such row, else whether it is the asker's.
        let mut status = match pending.query_row(which, |row| row.get::<_, Option<bool>>(0))? {
            Some(true) => Some(Status::Stored),
            Some(false) => Some(Status::Unknown),
            None => None,
        };
        if status.is_none() {
            status = match undelivered.query_row(which, |row| row.get::<_, Option<bool>>(0))? {
                Some(true) => Some(Status::Expired),
                Some(false) => Some(Status::Unknown),
                None => None,
            };
        }
        fates.push((*letter, status.unwrap_or(Status::Delivered)));
    }
    Ok(fates)
}

/// What a full check finds, a few lines at most.
pub(super) fn findings(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut check = connection.prepare("PRAGMA integrity_check(10)")?;
    let mut rows = check.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            findings.push(line);
        }
    }
    let mut check = connection.prepare("PRAGMA foreign_key_check")?;
    if check.exists([])? {
        findings.push("a letter waits for a user that does not exist".into());
    }
    Ok(findings)
}

pub(super) fn queue_id(row: &Row<'_>, column: usize) -> Result<QueueId, Fault> {
    count(row, column).map(QueueId)
}

pub(super) fn user_id(row: &Row<'_>, column: usize) -> Result<UserId, Fault> {
    let id: i64 = row.get(column)?;
    u16::try_from(id)
        .ok()
        .and_then(UserId::new)
        .ok_or_else(|| Fault::Damaged(format!("{id} is no user id")))
}

pub(super) fn phone(row: &Row<'_>, column: usize, id: UserId) -> Result<Phone, Fault> {
    let text = row.get_ref(column)?.as_bytes().map_err(rusqlite::Error::from)?;
    Phone::parse(text)
        .map_err(|_| Fault::Damaged(format!("the phone of {id:?} is no phone number")))
}

pub(super) fn spki(row: &Row<'_>, column: usize, id: UserId) -> Result<Spki, Fault> {
    let der = row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from)?;
    Spki::parse(der)
        .map_err(|_| Fault::Damaged(format!("the public key of {id:?} is no public key")))
}

/// `None` when the text is no timestamp.
pub(super) fn timestamp(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>, Fault> {
    let text = row.get_ref(column)?.as_bytes_or_null().map_err(rusqlite::Error::from)?;
    Ok(text.and_then(|text| Timestamp::parse(text.try_into().ok()?).ok()))
}

pub(super) fn count(row: &Row<'_>, column: usize) -> Result<u64, Fault> {
    let count: i64 = row.get(column)?;
    u64::try_from(count).map_err(|_| Fault::Damaged(format!("{count} counts nothing")))
}

#[cfg(test)]
mod tests {
    use super::super::{admin, personal};
    use crate::store::{SqliteOptions, SqliteStorage};

    #[test]
    fn a_stretch_of_letters_begins_where_the_one_before_has_ended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.db");
        let storage = SqliteStorage::open(&path, &SqliteOptions::default()).unwrap();
        for sql in [admin::MAILBOXES, personal::LETTERS] {
            let mut explain =
                storage.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let (mut rows, mut steps) = (explain.raw_query(), Vec::<String>::new());
            while let Some(row) = rows.next().unwrap() {
                steps.push(row.get(3).unwrap());
            }
            let searches = steps.iter().filter(|step| step.starts_with("SEARCH"));
            let searches: Vec<_> = searches.map(|step| step.split_once('(').unwrap()).collect();
            let [(index, rest), (same, others)] = searches[..] else { panic!("{steps:?}") };
            assert!(index.contains("COVERING INDEX pending_messages_by_mailbox"), "{index}");
            assert_eq!(same, index);
            assert_eq!(rest, "recipient_id=? AND queue_id>?)");
            assert!(others.starts_with("recipient_id>?"), "{others}");
            assert!(!steps.iter().any(|step| step.contains("ORDER BY")), "{steps:?}");
        }
    }

    #[test]
    fn counters_and_questions_are_answered_from_the_index_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.db");
        let storage = SqliteStorage::open(&path, &SqliteOptions::default()).unwrap();
        for (sql, plan) in [
            (
                "SELECT sender_id, count(*), sum(length(encrypted_payload)) FROM pending_messages \
                 WHERE recipient_id = 1 GROUP BY sender_id",
                "USING COVERING INDEX pending_messages_by_mailbox",
            ),
            (
                "SELECT max(sender_id = 1) FROM pending_messages \
                 WHERE recipient_id = 2 AND message_id = x'00'",
                "USING COVERING INDEX pending_messages_by_mailbox",
            ),
            (
                "SELECT encrypted_payload FROM pending_messages \
                 WHERE recipient_id = 1 AND queue_id > 7 ORDER BY queue_id LIMIT 3",
                "USING INDEX pending_messages_by_mailbox (recipient_id=? AND queue_id>?)",
            ),
            (
                "SELECT queue_id, length(encrypted_payload) FROM pending_messages \
                 WHERE accepted_at < 9 ORDER BY accepted_at, queue_id LIMIT 3",
                "USING INDEX pending_messages_by_age (accepted_at<?)",
            ),
        ] {
            let mut explain =
                storage.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps: Vec<String> =
                explain.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
            assert!(steps.iter().any(|step| step.contains(plan)), "{sql}: {steps:?}");
            assert!(!steps.iter().any(|step| step.contains("ORDER BY")), "{sql}: {steps:?}");
        }
    }
}
