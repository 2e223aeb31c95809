//! How the protocol's types stand in columns. What does not read back as it was written is an
//! error of conversion: the file was changed behind our back.

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Error, Result, Row};
use waxwing_core::crypto::{SPKI_LEN, Spki};
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use crate::servers::Servers;

pub(super) fn phone(row: &Row<'_>, at: usize) -> Result<Phone> {
    parsed_phone(at, &row.get::<_, String>(at)?)
}

pub(super) fn optional_phone(row: &Row<'_>, at: usize) -> Result<Option<Phone>> {
    row.get::<_, Option<String>>(at)?.map(|text| parsed_phone(at, &text)).transpose()
}

fn parsed_phone(at: usize, text: &str) -> Result<Phone> {
    Phone::parse(text.as_bytes()).map_err(|_| bad(at, Type::Text))
}

/// The addresses of a server.
pub(super) fn servers(row: &Row<'_>, at: usize) -> Result<Servers> {
    row.get::<_, String>(at)?.parse().map_err(|_| bad(at, Type::Text))
}

pub(super) fn user_id(row: &Row<'_>, at: usize) -> Result<UserId> {
    optional_user_id(row, at)?.ok_or_else(|| bad(at, Type::Integer))
}

pub(super) fn optional_user_id(row: &Row<'_>, at: usize) -> Result<Option<UserId>> {
    let id = row.get::<_, Option<u16>>(at)?;
    id.map(|id| UserId::new(id).ok_or_else(|| bad(at, Type::Integer))).transpose()
}

pub(super) fn spki(row: &Row<'_>, at: usize) -> Result<Spki> {
    parsed_spki(at, &row.get(at)?)
}

pub(super) fn optional_spki(row: &Row<'_>, at: usize) -> Result<Option<Spki>> {
    row.get::<_, Option<[u8; SPKI_LEN]>>(at)?.map(|der| parsed_spki(at, &der)).transpose()
}

fn parsed_spki(at: usize, der: &[u8; SPKI_LEN]) -> Result<Spki> {
    Spki::parse(der).map_err(|_| bad(at, Type::Blob))
}

pub(super) fn uid(row: &Row<'_>, at: usize) -> Result<Uid> {
    row.get(at).map(Uid)
}

pub(super) fn optional_uid(row: &Row<'_>, at: usize) -> Result<Option<Uid>> {
    Ok(row.get::<_, Option<_>>(at)?.map(Uid))
}

pub(super) fn packet_id(row: &Row<'_>, at: usize) -> Result<PacketId> {
    row.get(at).map(PacketId)
}

pub(super) fn time(row: &Row<'_>, at: usize) -> Result<UnixTime> {
    row.get(at).map(UnixTime::from_seconds)
}

pub(super) fn optional_time(row: &Row<'_>, at: usize) -> Result<Option<UnixTime>> {
    Ok(row.get::<_, Option<_>>(at)?.map(UnixTime::from_seconds))
}

pub(super) fn bad(at: usize, found: Type) -> Error {
    Error::FromSqlConversionFailure(at, found, Box::new(FromSqlError::InvalidType))
}
