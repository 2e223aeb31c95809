//! Users, as an operator sees them.

use rusqlite::{Params, params};
use waxwing_core::limits::OVERHEAD;
use waxwing_core::time::UnixTime;

use super::fault::Fault;
use super::{SqliteStorage, open, reads, writes};
use crate::store::{ApplyError, RemovedUser, StorageError, UserAdmin, UserName, UserSummary};

const SELECT: &str = "SELECT user_id, phone_number, rsa_public_key, last_seen, \
     (SELECT count(*) FROM pending_messages WHERE recipient_id = user_id), \
     (SELECT coalesce(sum(length(encrypted_payload)), 0) FROM pending_messages \
         WHERE recipient_id = user_id) \
     FROM users";

impl SqliteStorage {
    fn users(&self, which: &'static str, params: impl Params) -> Result<Vec<UserSummary>, Fault> {
        let mut select = self.connection.prepare(&format!("{SELECT} {which}"))?;
        let mut rows = select.query(params)?;
        let mut users = Vec::new();
        while let Some(row) = rows.next()? {
            let id = reads::user_id(row, 0)?;
            let pending_letters = reads::count(row, 4)?;
            let payloads = reads::count(row, 5)?;
            users.push(UserSummary {
                id,
                phone: reads::phone(row, 1, id)?,
                spki: reads::spki(row, 2, id)?,
                last_seen: reads::timestamp(row, 3)?,
                pending_letters,
                pending_bytes: payloads + pending_letters * OVERHEAD as u64,
            });
        }
        Ok(users)
    }

    fn named(&self, name: &UserName) -> Result<Option<UserSummary>, Fault> {
        let users = match name {
            UserName::Id(id) => self.users("WHERE user_id = ?", [id.get()])?,
            UserName::Phone(phone) => self.users("WHERE phone_number = ?", [phone.as_str()])?,
        };
        Ok(users.into_iter().next())
    }
}

impl UserAdmin for SqliteStorage {
    fn list_users(&mut self) -> Result<Vec<UserSummary>, StorageError> {
        let users = self.users("ORDER BY user_id", []);
        Ok(users.map_err(|fault| open::fault(&self.path, fault))?)
    }

    fn find_user(&mut self, name: &UserName) -> Result<Option<UserSummary>, StorageError> {
        Ok(self.named(name).map_err(|fault| open::fault(&self.path, fault))?)
    }

    fn remove_user(
        &mut self,
        name: &UserName,
        now: UnixTime,
    ) -> Result<Option<RemovedUser>, ApplyError> {
        self.transaction(|connection| {
            let Some(UserSummary { id, phone, .. }) = self.named(name)? else { return Ok(None) };
            let undelivered = writes::empty_mailbox(connection, id, now)? as u64;
            connection.execute("DELETE FROM users WHERE user_id = ?", [id.get()])?;
            connection.execute(
                "INSERT OR REPLACE INTO resting_ids (user_id, removed_at) VALUES (?, ?)",
                params![id.get(), now.as_seconds()],
            )?;
            Ok(Some(RemovedUser { id, phone, undelivered }))
        })
    }
}
