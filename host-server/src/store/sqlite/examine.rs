//! A copy of a database that nobody uses, read from end to end.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use waxwing_core::crypto::Digest;

use super::error::SqliteError;
use super::fault::Fault;
use super::open::{self, WITH_GENERATIONS, connect_without_log};
use super::reads;
use super::restore::free_ids;
use crate::store::{Contents, Interrupt, StorageError};

/// What is in the copy at `path`, if all of it is as it was written. Errors name it `named`. Nothing is
/// changed, and no file is made beside it.
pub(in super::super) fn examine(
    path: &Path,
    named: &Path,
    interrupt: &Interrupt,
) -> Result<Contents, StorageError> {
    let connection = connect_without_log(path).map_err(|error| open::failure(named, &error))?;
    let handle = connection.get_interrupt_handle();
    let examined =
        interrupt.during(move || handle.interrupt(), || all(&connection, named, interrupt));
    Ok(examined?)
}

fn all(
    connection: &Connection,
    path: &Path,
    interrupt: &Interrupt,
) -> Result<Contents, SqliteError> {
    let failed = |error| open::failure(path, &error);
    connection.pragma_update(None, "cache_size", -4_096).map_err(failed)?;
    let schema = open::known_schema(connection, path)?;
    let findings = reads::findings(connection).map_err(failed)?;
    if !findings.is_empty() {
        return Err(SqliteError::Damaged { path: path.to_owned(), what: findings.join("; ") });
    }
    let contents = contents(connection, schema, interrupt);
    contents.map_err(|fault| open::fault(path, fault))
}

fn contents(
    connection: &Connection,
    schema: i64,
    interrupt: &Interrupt,
) -> Result<Contents, Fault> {
    let key = if schema >= WITH_GENERATIONS { key(connection)? } else { None };
    let (users, own_accounts) = users(connection)?;
    let letters = letters(connection, interrupt)?;
    let free_ids = free_ids(connection)?;
    Ok(Contents { schema, key, users, own_accounts, letters, free_ids })
}

/// The fingerprint of the key of the server that used it last.
pub(super) fn key(connection: &Connection) -> rusqlite::Result<Option<Digest>> {
    let select = "SELECT fingerprint FROM server_keys ORDER BY number DESC LIMIT 1";
    Ok(connection.query_row(select, [], |row| row.get(0)).optional()?.map(Digest))
}

/// How many users there are, and how many accounts of the server itself.
fn users(connection: &Connection) -> Result<(u64, u64), Fault> {
    let mut select =
        connection.prepare("SELECT user_id, phone_number, rsa_public_key FROM users")?;
    let mut rows = select.query([])?;
    let (mut users, mut own_accounts) = (0, 0);
    while let Some(row) = rows.next()? {
        let id = reads::user_id(row, 0)?;
        let phone = reads::phone(row, 1, id)?;
        reads::spki(row, 2, id)?;
        *if phone.is_reserved() { &mut own_accounts } else { &mut users } += 1;
    }
    Ok((users, own_accounts))
}

/// Each letter has the bytes that its id says.
fn letters(connection: &Connection, interrupt: &Interrupt) -> Result<u64, Fault> {
    let mut select = connection.prepare(
        "SELECT queue_id, message_id, sender_id, timestamp, accepted_at, signature, \
         encrypted_payload, recipient_id FROM pending_messages ORDER BY queue_id",
    )?;
    let mut rows = select.query([])?;
    let mut letters = 0;
    while let Some(row) = rows.next()? {
        let recipient = reads::user_id(row, 7)?;
        reads::pending_letter(row, recipient).map_err(|fault| damaged(fault, recipient.get()))?;
        letters += 1;
        if interrupt.is_asked() {
            return Err(Fault::Refused("it was interrupted".into()));
        }
    }
    Ok(letters)
}

/// A letter may be damaged in the database that was copied, too.
fn damaged(fault: Fault, recipient: u16) -> Fault {
    match fault {
        Fault::Damaged(what) => Fault::Damaged(format!(
            "{what}: it waits for user {recipient}. If the database of the server has the same \
             damage, it is gone when that user has fetched the letters, or `waxwing-server queue \
             expire` has taken them out"
        )),
        other => other,
    }
}
