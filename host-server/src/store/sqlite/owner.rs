//! The server that a database belongs to, by the fingerprint of its key.

use rusqlite::{Connection, params};
use waxwing_core::crypto::Digest;
use waxwing_core::time::UnixTime;

use super::fault::Fault;
use super::{SqliteStorage, examine, open};
use crate::store::{ApplyError, Ownership, StorageError};

impl Ownership for SqliteStorage {
    fn server_key(&self) -> Result<Option<Digest>, StorageError> {
        Ok(examine::key(&self.connection).map_err(|error| open::failure(&self.path, &error))?)
    }

    fn set_server_key(&mut self, key: &Digest, now: UnixTime) -> Result<(), ApplyError> {
        self.transaction(|connection| {
            let insert = "INSERT INTO server_keys (fingerprint, since) VALUES (?, ?)";
            connection.execute(insert, params![key.0, now.as_seconds()])?;
            Ok(())
        })
    }

    fn is_unused(&self) -> Result<bool, StorageError> {
        Ok(unused(&self.connection).map_err(|fault| open::fault(&self.path, fault))?)
    }
}

fn unused(connection: &Connection) -> Result<bool, Fault> {
    let mut used = connection.prepare(
        "SELECT 1 FROM users UNION ALL SELECT 1 FROM resting_ids \
         UNION ALL SELECT 1 FROM queue_mark WHERE last_queue_id > 0",
    )?;
    Ok(!used.exists([])?)
}
