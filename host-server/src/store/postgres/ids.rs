//! Numbers and names as columns, and back.

use waxwing_core::id::{PacketId, UserId};
use waxwing_core::server::storage::QueueId;

use crate::store::ApplyError;
use crate::store::shared::{Epoch, Instance, Mark, Node};

pub(super) fn epoch(epoch: Epoch) -> i64 {
    i64::try_from(epoch.0).unwrap_or(i64::MAX)
}

pub(super) fn group(group: u64) -> i64 {
    i64::try_from(group).unwrap_or(i64::MAX)
}

pub(super) fn instance(instance: Instance) -> Vec<u8> {
    instance.0.to_be_bytes().to_vec()
}

pub(super) fn node(node: Node) -> Vec<u8> {
    node.0.to_be_bytes().to_vec()
}

pub(super) fn user(user: UserId) -> i32 {
    i32::from(user.get())
}

pub(super) fn place(place: QueueId) -> Result<i64, ApplyError> {
    i64::try_from(place.0)
        .map_err(|_| ApplyError::Refused(format!("queue id {} is beyond the last", place.0)))
}

/// A string of bytes as PostgreSQL writes one.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("'\\x{digits}'::bytea")
}

/// Sixteen bytes as a name.
pub(super) fn number(bytes: &[u8]) -> Result<u128, ApplyError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| ApplyError::Corrupt("a name of a server is no such".into()))?;
    Ok(u128::from_be_bytes(bytes))
}

pub(super) fn count(number: i64) -> Result<u64, ApplyError> {
    u64::try_from(number).map_err(|_| ApplyError::Corrupt(format!("{number} counts nothing")))
}

pub(super) fn mark(epoch: i64, group: i64) -> Result<Mark, ApplyError> {
    Ok(Mark { epoch: Epoch(count(epoch)?), group: count(group)? })
}

pub(super) fn to_user(id: i32) -> Result<UserId, ApplyError> {
    let id_in_range = u16::try_from(id).ok().and_then(UserId::new);
    id_in_range.ok_or_else(|| ApplyError::Corrupt(format!("{id} is no user id")))
}

pub(super) fn to_packet(bytes: &[u8]) -> Result<PacketId, ApplyError> {
    let bytes = bytes.try_into().map_err(|_| ApplyError::Corrupt("a packet id is none".into()))?;
    Ok(PacketId(bytes))
}

pub(super) fn to_place(place: i64) -> Result<QueueId, ApplyError> {
    count(place).map(QueueId)
}
