//! What a server machine starts from.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};
use waxwing_core::crypto::Spki;
use waxwing_core::limits::OVERHEAD;
use waxwing_core::phone::Phone;
use waxwing_core::server::storage::{
    AllowanceKey, OwnLimits, SenderUsage, Snapshot, StoredAllowance, StoredUser, Suspension,
};
use waxwing_core::time::UnixTime;

use super::ids;
use crate::store::ApplyError;

/// All of it, as it was read in one transaction.
pub(super) struct Rows {
    users: Vec<Row>,
    last_place: Vec<Row>,
    resting: Vec<Row>,
    with_letters: Vec<Row>,
    allowances: Vec<Row>,
    pending: Vec<Row>,
    suspensions: Vec<Row>,
    limits: Vec<Row>,
    missing: Vec<Row>,
}

pub(super) async fn rows(client: &Client, rested_before: UnixTime) -> Result<Rows, Error> {
    const RESTING: &str = "SELECT user_id FROM waxwing.resting_ids AS resting WHERE removed_at >= $1 \
        OR EXISTS (SELECT FROM waxwing.undelivered_messages AS gone \
            WHERE gone.recipient_id = resting.user_id OR gone.sender_id = resting.user_id) \
        OR EXISTS (SELECT FROM waxwing.pending_messages AS letter WHERE letter.sender_id = resting.user_id)";
    let read = async |sql: &str| client.query_typed(sql, &[]).await;
    Ok(Rows {
        users: read("SELECT user_id, phone_number, rsa_public_key, aes_key FROM waxwing.users").await?,
        last_place: read(
            "SELECT greatest((SELECT max(last_queue_id) FROM waxwing.marks), \
             (SELECT max(queue_id) FROM waxwing.pending_messages))",
        )
        .await?,
        resting: client
            .query_typed(RESTING, &[(&rested_before.as_seconds(), Type::INT8)])
            .await?,
        with_letters: read(
            "SELECT user_id FROM waxwing.users WHERE EXISTS \
             (SELECT FROM waxwing.pending_messages WHERE recipient_id = user_id)",
        )
        .await?,
        allowances: read("SELECT allowance_key, full_at FROM waxwing.allowances").await?,
        pending: read(
            "SELECT sender_id, count(*), sum(payload_size) FROM waxwing.pending_messages GROUP BY sender_id",
        )
        .await?,
        suspensions: read("SELECT user_id, until FROM waxwing.suspensions").await?,
        limits: read("SELECT user_id, letters, bytes FROM waxwing.user_limits").await?,
        missing: read("SELECT max(letters_missing_until) FROM waxwing.restores").await?,
    })
}

impl Rows {
    pub(super) fn snapshot(&self) -> Result<Snapshot, ApplyError> {
        let last_place = self.last_place.first().and_then(|row| row.get::<_, Option<i64>>(0));
        let missing = self.missing.first().and_then(|row| row.get::<_, Option<i64>>(0));
        Ok(Snapshot {
            users: self.users.iter().map(user).collect::<Result<_, _>>()?,
            last_queue_id: ids::to_place(last_place.unwrap_or_default())?,
            resting_ids: self
                .resting
                .iter()
                .map(|row| ids::to_user(row.get(0)))
                .collect::<Result<_, _>>()?,
            with_letters: self
                .with_letters
                .iter()
                .map(|row| ids::to_user(row.get(0)))
                .collect::<Result<_, _>>()?,
            allowances: self.allowances.iter().map(allowance).collect::<Result<_, _>>()?,
            pending: self.pending.iter().map(usage).collect::<Result<_, _>>()?,
            suspensions: self.suspensions.iter().map(suspension).collect::<Result<_, _>>()?,
            own_limits: self
                .limits
                .iter()
                .map(|row| Ok((ids::to_user(row.get(0))?, own_limits(row.get(1), row.get(2)))))
                .collect::<Result<_, ApplyError>>()?,
            letters_missing_until: missing.map(UnixTime::from_seconds),
        })
    }
}

fn damaged(what: &str, id: i32) -> ApplyError {
    ApplyError::Corrupt(format!("the {what} of user {id} is none"))
}

fn user(row: &Row) -> Result<StoredUser, ApplyError> {
    let id = row.get(0);
    let session_key: Option<&[u8]> = row.get(3);
    let session_key = session_key.map(|key| key.try_into().map_err(|_| damaged("session key", id)));
    Ok(StoredUser {
        id: ids::to_user(id)?,
        phone: phone(row.get(1), id)?,
        spki: spki(row.get(2), id)?,
        session_key: session_key.transpose()?,
    })
}

pub(super) fn phone(text: &str, id: i32) -> Result<Phone, ApplyError> {
    Phone::parse(text.as_bytes()).map_err(|_| damaged("phone", id))
}

pub(super) fn spki(der: &[u8], id: i32) -> Result<Spki, ApplyError> {
    Spki::parse(der).map_err(|_| damaged("public key", id))
}

pub(super) fn own_limits(letters: Option<i64>, bytes: Option<i64>) -> OwnLimits {
    OwnLimits {
        letters: letters.and_then(|letters| u32::try_from(letters).ok()),
        bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok()),
    }
}

fn allowance(row: &Row) -> Result<StoredAllowance, ApplyError> {
    let key: &[u8] = row.get(0);
    let key = key
        .try_into()
        .map_err(|_| ApplyError::Corrupt("the key of an allowance is none".into()))?;
    Ok(StoredAllowance { key: AllowanceKey(key), full_at: UnixTime::from_seconds(row.get(1)) })
}

fn suspension(row: &Row) -> Result<Suspension, ApplyError> {
    let until: Option<i64> = row.get(1);
    Ok(Suspension { user: ids::to_user(row.get(0))?, until: until.map(UnixTime::from_seconds) })
}

/// Letters of a sender: who, how many, and the bytes of their payloads.
pub(super) fn usage(row: &Row) -> Result<SenderUsage, ApplyError> {
    let letters = ids::count(row.get(1))?;
    Ok(SenderUsage {
        sender: ids::to_user(row.get(0))?,
        letters: u32::try_from(letters).unwrap_or(u32::MAX),
        bytes: ids::count(row.get(2))? + letters * OVERHEAD as u64,
    })
}
