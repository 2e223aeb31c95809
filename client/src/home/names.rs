//! The names that the owner of a home has given to people.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};
use waxwing_core::phone::Phone;

use super::{Conversations, HomeError, columns};
use crate::name::{Name, folded, look_alike};

/// What became of giving a name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Naming {
    /// It is their name now.
    Given,
    /// Somebody has that name, or one that looks like it.
    Taken {
        /// Who that is.
        by: Phone,
        /// The name that they have.
        name: String,
    },
}

impl Conversations<'_> {
    /// Gives `phone` a name, in place of the one before.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing was changed then.
    pub fn set_name(&self, phone: &Phone, name: &Name) -> Result<Naming, HomeError> {
        self.home.write(|change| {
            for (by, other) in self.names()? {
                if by != *phone && look_alike(&other, name.as_str()) {
                    return Ok(Naming::Taken { by, name: other });
                }
            }
            let sql = "INSERT INTO conversations (phone, name, folded) VALUES (?1, ?2, ?3) \
                       ON CONFLICT (phone) DO UPDATE SET name = ?2, folded = ?3";
            change.execute(sql, params![phone.as_str(), name.as_str(), folded(name.as_str())])?;
            Ok(Naming::Given)
        })
    }

    /// Takes the name of `phone` away; `false` when there was none.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn remove_name(&self, phone: &Phone) -> Result<bool, HomeError> {
        let sql = "UPDATE conversations SET name = NULL, folded = NULL \
                   WHERE phone = ? AND name IS NOT NULL";
        Ok(self.home.connection.execute(sql, [phone.as_str()])? == 1)
    }

    /// Whoever has this name, or one that looks like it.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn named(&self, name: &str) -> Result<Option<Phone>, HomeError> {
        let sql = "SELECT phone FROM conversations WHERE folded = ?";
        let mut select = self.home.connection.prepare_cached(sql)?;
        Ok(select.query_one([folded(name)], |row| columns::phone(row, 0)).optional()?)
    }

    /// All names.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn names(&self) -> Result<BTreeMap<Phone, String>, HomeError> {
        let sql = "SELECT phone, name FROM conversations WHERE name IS NOT NULL";
        let mut select = self.home.connection.prepare_cached(sql)?;
        let rows = select.query_map([], |row| Ok((columns::phone(row, 0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
