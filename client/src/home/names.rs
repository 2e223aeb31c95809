//! The names that the owner of a home has given to people.

use std::collections::BTreeMap;

use rusqlite::params;
use waxwing_core::phone::Phone;

use super::relations::{Relation, get_to_know, relation};
use super::{Conversations, HomeError, columns};
use crate::name::{self, Name, folded, look_alike};

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
    /// Gives `phone` a name, in place of the one before. Whoever gets a name is known from then on, as if
    /// their request had been accepted. That is not so for somebody who is blocked.
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
            let sql = "INSERT INTO conversations (phone, name) VALUES (?1, ?2) \
                       ON CONFLICT (phone) DO UPDATE SET name = ?2";
            change.execute(sql, params![phone.as_str(), name.as_str()])?;
            if relation(change, phone)? == Relation::Stranger {
                get_to_know(change, phone)?;
            }
            Ok(Naming::Given)
        })
    }

    /// The name that `phone` has, if it has one.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn name_of(&self, phone: &Phone) -> Result<Option<String>, HomeError> {
        Ok(self.with(phone)?.and_then(|with| with.name))
    }

    /// Takes the name of `phone` away; `false` when there was none.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn remove_name(&self, phone: &Phone) -> Result<bool, HomeError> {
        let sql = "UPDATE conversations SET name = NULL \
                   WHERE phone = ? AND name IS NOT NULL";
        self.home.write(|change| Ok(change.execute(sql, [phone.as_str()])? == 1))
    }

    /// Whoever has this name, or else the only one whose name looks like it. Two names can come to look
    /// alike with a new version of Unicode: then each is found by its own spelling alone.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn named(&self, name: &str) -> Result<Option<Phone>, HomeError> {
        let names = self.names()?;
        let typed = name::plain_spaces(name);
        if let Some((phone, _)) = names.iter().find(|(_, known)| **known == typed) {
            return Ok(Some(*phone));
        }
        let folded_name = folded(name);
        let mut alike = names.iter().filter(|(_, known)| folded(known) == folded_name);
        let found = alike.next().map(|(phone, _)| *phone);
        Ok(found.filter(|_| alike.next().is_none()))
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
