//! Whose key has changed, and whose letters wait because of that, while a command goes on: by what the home
//! says, so that it does not matter which process has the session.

use std::collections::BTreeMap;

use waxwing_core::crypto::Spki;
use waxwing_core::phone::Phone;

use crate::console::Remarks;
use crate::exit::Failure;
use crate::home::{Home, HomeError};
use crate::show;

/// Tells of them.
#[derive(Debug, Default)]
pub(super) struct KeyNews {
    /// Whose key is looked at; `None` for everybody's.
    of: Option<Phone>,
    /// Changes of the home up to this one are told.
    change: i64,
    /// The new keys that were told, with how many letters wait.
    told: BTreeMap<Phone, (Spki, u32)>,
}

impl KeyNews {
    /// Of one person.
    pub(super) fn of(phone: &Phone) -> Self {
        Self { of: Some(*phone), ..Self::default() }
    }

    /// What is the matter already is not told.
    pub(super) fn from_now(home: &Home) -> Result<Self, Failure> {
        let mut news = Self::default();
        news.take(home)?;
        Ok(news)
    }

    /// Says what is new.
    pub(super) fn tell(&mut self, home: &Home, remarks: &mut Remarks) -> Result<(), Failure> {
        for words in self.take(home)? {
            writeln!(remarks, "{words}")?;
        }
        Ok(())
    }

    fn take(&mut self, home: &Home) -> Result<Vec<String>, HomeError> {
        let mut news = Vec::new();
        let change = home.conversations().last_change()?;
        if change == self.change {
            return Ok(news);
        }
        for one in home.conversations().changed_since(self.change)? {
            if self.of.is_some_and(|of| of != one.phone) {
                continue;
            }
            let contact = home.contacts().by_phone(&one.phone)?;
            let Some(changed) = contact.and_then(|contact| contact.changed) else {
                self.told.remove(&one.phone);
                continue;
            };
            let before = self.told.insert(one.phone, (changed.spki.clone(), one.held));
            let held_before = match before {
                Some((key, held)) if key == changed.spki => held,
                _ => {
                    news.push(Failure::key_changed(one.name.as_deref(), &one.phone).to_string());
                    0
                }
            };
            if one.held > held_before {
                news.extend(show::held_text(&one));
            }
        }
        self.change = change;
        Ok(news)
    }
}
