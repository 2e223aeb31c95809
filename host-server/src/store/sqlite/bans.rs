//! The table of bans.

use rusqlite::{Connection, params};
use waxwing_core::time::UnixTime;

use super::fault::Fault;
use super::{SqliteStorage, open};
use crate::store::{ApplyError, Ban, BanChange, KeepBans, StorageError};

impl KeepBans for SqliteStorage {
    fn bans(&mut self) -> Result<Vec<Ban>, StorageError> {
        let bans = all(&self.connection);
        Ok(bans.map_err(|fault| open::fault(&self.path, fault))?)
    }

    fn change_bans(&mut self, change: &BanChange) -> Result<(), ApplyError> {
        self.transaction(|connection| match change {
            BanChange::Add(ban) => add(connection, ban),
            BanChange::Remove(range) => {
                connection
                    .prepare_cached("DELETE FROM bans WHERE address_range = ?")?
                    .execute([range.to_string()])?;
                Ok(())
            }
        })
    }
}

fn all(connection: &Connection) -> Result<Vec<Ban>, Fault> {
    let mut select = connection.prepare(
        "SELECT address_range, since, ends_at, is_automatic, reason FROM bans \
         ORDER BY address_range",
    )?;
    let mut rows = select.query([])?;
    let mut bans = Vec::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        let Ok(range) = text.parse() else {
            return Err(Fault::Damaged(format!("{text:?} is no range of addresses")));
        };
        bans.push(Ban {
            range,
            since: UnixTime::from_seconds(row.get(1)?),
            until: row.get::<_, Option<i64>>(2)?.map(UnixTime::from_seconds),
            is_automatic: row.get(3)?,
            reason: row.get(4)?,
        });
    }
    Ok(bans)
}

fn add(connection: &Connection, ban: &Ban) -> Result<(), Fault> {
    let Ban { range, since, until, is_automatic, reason } = ban;
    connection
        .prepare_cached("DELETE FROM bans WHERE ends_at <= ?")?
        .execute([since.as_seconds()])?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO bans (address_range, since, ends_at, is_automatic, reason) \
             VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![
            range.to_string(),
            since.as_seconds(),
            until.map(UnixTime::as_seconds),
            is_automatic,
            reason,
        ])?;
    Ok(())
}
