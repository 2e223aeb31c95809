//! Answers to questions.

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use waxwing_core::id::UserId;
use waxwing_core::limits::OVERHEAD;
use waxwing_core::server::storage::{
    Answer, ExpiredLetter, MOST_REMOVED, PendingLetter, Question, QueueId,
};
use waxwing_core::time::{Timestamp, UnixTime};

use super::session::Sessions;
use super::{ids, load};
use crate::store::{ApplyError, letter};

/// Bytes of payloads that are fetched at once, at most, behind the first letter.
const ALL: i64 = i64::MAX;

pub(super) fn letters(
    sessions: &mut Sessions,
    recipient: UserId,
    after: QueueId,
    max_letters: usize,
    max_bytes: usize,
) -> Result<Answer, ApplyError> {
    // Which letters fit is decided from the index, so that no payload is read in vain.
    const SELECT: &str = "SELECT queue_id, message_id, sender_id, timestamp, accepted_at, signature, \
        encrypted_payload, recipient_id, payload_size FROM waxwing.pending_messages JOIN \
            (SELECT queue_id, row_number() OVER place AS number, \
                sum(payload_size + $5) OVER place AS bytes \
             FROM (SELECT queue_id, payload_size FROM waxwing.pending_messages \
                WHERE recipient_id = $1 AND queue_id > $2 ORDER BY queue_id LIMIT $3) AS first \
             WINDOW place AS (ORDER BY queue_id)) AS sized USING (queue_id) \
        WHERE recipient_id = $1 AND (number = 1 OR bytes <= $4) ORDER BY queue_id";
    let max_letters = max_letters.max(1);
    let number = |count: usize| i64::try_from(count).unwrap_or(ALL);
    let after = i64::try_from(after.0).unwrap_or(ALL);
    let limit = number(max_letters);
    let rows = sessions.read(async |client| {
        let given: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 5] = [
            (&ids::user(recipient), Type::INT4),
            (&after, Type::INT8),
            (&limit, Type::INT8),
            (&number(max_bytes), Type::INT8),
            (&number(OVERHEAD), Type::INT8),
        ];
        let rows = client.query_typed(SELECT, &given).await?;
        let last: i64 = rows.last().map_or(after, |row| row.get(0));
        let more = "SELECT FROM waxwing.pending_messages \
            WHERE recipient_id = $1 AND queue_id > $2 LIMIT 1";
        let given: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&ids::user(recipient), Type::INT4), (&last, Type::INT8)];
        Ok((rows, client.query_typed(more, &given).await?.is_empty()))
    })?;
    let (rows, exhausted) = rows;
    let (mut letters, mut damaged) = (Vec::new(), Vec::new());
    for row in &rows {
        match pending(row, recipient) {
            Some(letter) => letters.push(letter),
            None => damaged.push(named(row)?),
        }
    }
    Ok(Answer::Letters { letters, damaged, exhausted })
}

/// A letter; only as it was written.
pub(super) fn pending(row: &Row, recipient: UserId) -> Option<PendingLetter> {
    let queue_id = ids::to_place(row.get(0)).ok()?;
    let (id, sender) = (ids::to_packet(row.get(1)).ok()?, ids::to_user(row.get(2)).ok()?);
    // Bytes that are damaged may be no text.
    let timestamp: &str = row.try_get(3).ok()?;
    let timestamp = Timestamp::parse(timestamp.as_bytes().try_into().ok()?).ok()?;
    let packet = letter::rebuild(id, sender, recipient, timestamp, row.get(6), row.get(5))?;
    let accepted_at = UnixTime::from_seconds(row.get(4));
    Some(PendingLetter { queue_id, id, sender, recipient, accepted_at, packet })
}

/// What is known of a damaged letter.
fn named(row: &Row) -> Result<ExpiredLetter, ApplyError> {
    let payload: i32 = row.get(8);
    Ok(ExpiredLetter {
        queue_id: ids::to_place(row.get(0))?,
        id: ids::to_packet(row.get(1))?,
        sender: ids::to_user(row.get(2))?,
        recipient: ids::to_user(row.get(7))?,
        bytes: ids::count(i64::from(payload))? + OVERHEAD as u64,
    })
}

pub(super) fn usage(sessions: &mut Sessions, recipient: UserId) -> Result<Answer, ApplyError> {
    const SELECT: &str = "SELECT sender_id, count(*), sum(payload_size) FROM waxwing.pending_messages \
        WHERE recipient_id = $1 GROUP BY sender_id";
    let rows = sessions.read(async |client| {
        client.query_typed(SELECT, &[(&ids::user(recipient), Type::INT4)]).await
    })?;
    Ok(Answer::Usage(rows.iter().map(load::usage).collect::<Result<_, _>>()?))
}

pub(super) fn to_remove(
    sessions: &mut Sessions,
    question: &Question,
) -> Result<Vec<ExpiredLetter>, ApplyError> {
    const OLDEST: &str = "SELECT queue_id, message_id, sender_id, recipient_id, payload_size \
        FROM waxwing.pending_messages WHERE accepted_at < $1 AND recipient_id % $2 = $3 \
        ORDER BY accepted_at, queue_id LIMIT $4";
    const FIRST: &str = "SELECT queue_id, message_id, sender_id, recipient_id, payload_size \
        FROM waxwing.pending_messages WHERE accepted_at < $1 AND recipient_id = $2 \
        ORDER BY queue_id LIMIT $3";
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let rows = sessions.read(async |client| match question {
        Question::Expire { shard, accepted_before, limit, .. } => {
            let (count, id) = (i32::from(shard.count()), i32::from(shard.id().0));
            client
                .query_typed(
                    OLDEST,
                    &[
                        (&accepted_before.as_seconds(), Type::INT8),
                        (&count, Type::INT4),
                        (&id, Type::INT4),
                        (&number(*limit), Type::INT8),
                    ],
                )
                .await
        }
        Question::TakeOut { recipient, accepted_before, limit, .. } => {
            client
                .query_typed(
                    FIRST,
                    &[
                        (&accepted_before.as_seconds(), Type::INT8),
                        (&ids::user(*recipient), Type::INT4),
                        (&number(*limit), Type::INT8),
                    ],
                )
                .await
        }
        Question::Letters { .. } | Question::Usage { .. } | Question::Fates { .. } => {
            Ok(Vec::new())
        }
    })?;
    // No more of them than a commit should carry.
    let (mut letters, mut bytes) = (Vec::new(), 0);
    for row in &rows {
        if bytes >= MOST_REMOVED {
            break;
        }
        let letter = expired(row)?;
        bytes += letter.bytes;
        letters.push(letter);
    }
    Ok(letters)
}

pub(super) fn expired(row: &Row) -> Result<ExpiredLetter, ApplyError> {
    let payload: i32 = row.get(4);
    Ok(ExpiredLetter {
        queue_id: ids::to_place(row.get(0))?,
        id: ids::to_packet(row.get(1))?,
        sender: ids::to_user(row.get(2))?,
        recipient: ids::to_user(row.get(3))?,
        bytes: ids::count(i64::from(payload))? + OVERHEAD as u64,
    })
}
