//! How people stand to the owner of a home: strangers, people who are known, people who are blocked.
//!
//! A key is pinned for everybody who ever sent a letter, so having a pin says nothing. Known is
//! whoever was written to, whose key the person has verified or accepted, who has got a name, or whose
//! request was accepted. What a stranger sends is a request.

use rusqlite::{Connection, OptionalExtension, params};
use waxwing_core::phone::Phone;

use super::{Home, HomeError, columns};

/// How somebody stands to the owner of a home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Nobody has answered or accepted them. Their letters have a quota.
    Stranger,
    /// Their letters are kept without a bound.
    Known,
    /// Their letters are acknowledged and discarded.
    Blocked,
}

/// How people stand to the owner of a home.
#[derive(Clone, Copy, Debug)]
pub struct Relations<'a> {
    home: &'a Home,
}

impl<'a> Relations<'a> {
    pub(super) const fn of(home: &'a Home) -> Self {
        Self { home }
    }

    /// How `phone` stands to the owner.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn with(&self, phone: &Phone) -> Result<Relation, HomeError> {
        relation(&self.home.connection, phone)
    }

    /// Everybody who is blocked, by phone.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn blocked(&self) -> Result<Vec<Phone>, HomeError> {
        let mut select = self
            .home
            .connection
            .prepare_cached("SELECT phone FROM conversations WHERE blocked = 1 ORDER BY phone")?;
        let rows = select.query_map([], |row| columns::phone(row, 0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Makes a stranger known; `false` when they were that already.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing was changed then.
    pub fn accept(&self, phone: &Phone) -> Result<bool, HomeError> {
        self.home.write(|change| get_to_know(change, phone))
    }

    /// From now on nothing of `phone` is kept or shown; `false` when that was so already. What was
    /// not printed yet will not be: it stays in the history.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing was changed then.
    pub fn block(&self, phone: &Phone) -> Result<bool, HomeError> {
        self.home.write(|change| {
            let sql = "INSERT INTO conversations (phone, blocked) VALUES (?, 1) \
                       ON CONFLICT DO UPDATE SET blocked = 1 WHERE blocked = 0";
            let is_new = change.execute(sql, [phone.as_str()])? == 1;
            let sql = "UPDATE letters SET printed = 1 WHERE printed = 0 AND sender = ?";
            change.execute(sql, [phone.as_str()])?;
            let sql = "UPDATE conversations SET read_to = last_item \
                       WHERE phone = ? AND read_to < last_item";
            change.execute(sql, [phone.as_str()])?;
            Ok(is_new)
        })
    }

    /// Letters of `phone` are taken again; `false` when they were all the time.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing was changed then.
    pub fn unblock(&self, phone: &Phone) -> Result<bool, HomeError> {
        let sql = "UPDATE conversations SET blocked = 0 WHERE phone = ? AND blocked = 1";
        self.home.write(|change| Ok(change.execute(sql, [phone.as_str()])? == 1))
    }
}

pub(super) fn relation(connection: &Connection, phone: &Phone) -> Result<Relation, HomeError> {
    let mut select =
        connection.prepare_cached("SELECT accepted, blocked FROM conversations WHERE phone = ?")?;
    let found = select
        .query_one([phone.as_str()], |row| Ok((row.get::<_, bool>(0)?, row.get::<_, bool>(1)?)));
    Ok(match found.optional()? {
        Some((_, true)) => Relation::Blocked,
        Some((true, false)) => Relation::Known,
        Some((false, false)) | None => Relation::Stranger,
    })
}

/// The person has written to `phone`, has verified or accepted its key, has named it, or has accepted the
/// request;
/// `false` when that was so already.
pub(super) fn get_to_know(change: &Connection, phone: &Phone) -> Result<bool, HomeError> {
    let became_known = change
        .prepare_cached(
            "INSERT INTO conversations (phone, accepted) VALUES (?, 1) \
             ON CONFLICT DO UPDATE SET accepted = 1 WHERE accepted = 0",
        )?
        .execute(params![phone.as_str()])?;
    if became_known == 1 {
        let sql = "UPDATE letters SET quota = NULL WHERE quota = 'stranger' AND sender = ?";
        change.execute(sql, [phone.as_str()])?;
    }
    Ok(became_known == 1)
}
