//! The server that a database belongs to, by the fingerprint of its key.

use rusqlite::{Connection, OptionalExtension, params};
use waxwing_core::crypto::Digest;
use waxwing_core::time::UnixTime;

use super::fault::Fault;
use super::{SqliteStorage, open};
use crate::store::{ApplyError, StorageError};

impl SqliteStorage {
    /// The fingerprint of the key that this database belongs to; `None` while nobody has said.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn server_key(&self) -> Result<Option<Digest>, StorageError> {
        let select = "SELECT fingerprint FROM server_keys ORDER BY number DESC LIMIT 1";
        let key = self.connection.query_row(select, [], |row| row.get(0)).optional();
        key.map(|key| key.map(Digest)).map_err(|error| open::failure(&self.path, &error))
    }

    /// From now on it belongs to the key with this fingerprint. Earlier ones are kept.
    ///
    /// # Errors
    /// As [`Storage::apply`](crate::store::Storage::apply).
    pub fn set_server_key(&mut self, key: &Digest, now: UnixTime) -> Result<(), ApplyError> {
        self.transaction(|connection| {
            let insert = "INSERT INTO server_keys (fingerprint, since) VALUES (?, ?)";
            connection.execute(insert, params![key.0, now.as_seconds()])?;
            Ok(())
        })
    }

    /// Whether nobody has ever been registered in it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_unused(&self) -> Result<bool, StorageError> {
        unused(&self.connection).map_err(|fault| open::fault(&self.path, fault))
    }
}

fn unused(connection: &Connection) -> Result<bool, Fault> {
    let mut used = connection.prepare(
        "SELECT 1 FROM users UNION ALL SELECT 1 FROM resting_ids \
         UNION ALL SELECT 1 FROM queue_mark WHERE last_queue_id > 0",
    )?;
    Ok(!used.exists([])?)
}
