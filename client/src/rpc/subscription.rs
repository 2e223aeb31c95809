//! What a program is told of without asking: what is new in the home, whoever has changed it.

use std::collections::BTreeMap;

use serde_json::json;
use waxwing_core::crypto::Spki;
use waxwing_core::phone::Phone;

use super::outgoing::{Stop, Voice};
use super::values;
use crate::home::{Contact, Home, HomeError, ItemId};

/// Letters looked at at a time.
const PAGE: usize = 256;

/// What a program wants to be told of, and what it was told last.
pub(super) struct Subscription {
    /// Behind the letter that it was told of last; `None` if it does not want letters.
    letters: Option<ItemId>,
    /// Changes up to these are told.
    statuses: Option<i64>,
    /// Keys that have changed, by whose they are.
    keys: Option<BTreeMap<Phone, Spki>>,
    has_connection: bool,
    change: i64,
}

impl Subscription {
    /// From now on.
    pub(super) fn begin(home: &Home, events: &[&str]) -> Result<Self, HomeError> {
        let change = home.conversations().last_change()?;
        let keys = || -> Result<_, HomeError> {
            Ok(home.contacts().all()?.into_iter().filter_map(changed_key).collect())
        };
        Ok(Self {
            letters: events.contains(&"letter").then(|| home.last_item()).transpose()?,
            statuses: events.contains(&"status").then_some(change),
            keys: events.contains(&"key_changed").then(keys).transpose()?,
            has_connection: events.contains(&"connection"),
            change,
        })
    }

    /// Whether the program wants to hear of the connection.
    pub(super) const fn has_connection(&self) -> bool {
        self.has_connection
    }

    /// Says what is new.
    pub(super) fn tell(&mut self, home: &Home, voice: &Voice<'_>) -> Result<(), Stop> {
        let change = home.conversations().last_change()?;
        if change == self.change {
            return Ok(());
        }
        if let Some(last) = &mut self.letters {
            loop {
                let letters = home.received_after(*last, PAGE)?;
                let Some(newest) = letters.last() else { break };
                *last = newest.id;
                for letter in values::letters(home, &letters)? {
                    voice.tell("letter", letter)?;
                }
            }
        }
        if let Some(told) = &mut self.statuses {
            loop {
                let letters = home.outbox().changed_since(*told, PAGE)?;
                let Some(newest) = letters.last() else { break };
                *told = newest.changed;
                for letter in &letters {
                    voice.tell("status", values::status(letter))?;
                }
            }
        }
        if let Some(told) = &mut self.keys {
            for one in home.conversations().changed_since(self.change)? {
                let contact = home.contacts().by_phone(&one.phone)?;
                match contact.and_then(changed_key) {
                    Some((phone, key)) => {
                        if told.insert(phone, key.clone()) != Some(key) {
                            voice.tell("key_changed", json!({ "phone": phone.as_str() }))?;
                        }
                    }
                    None => drop(told.remove(&one.phone)),
                }
            }
        }
        self.change = change;
        Ok(())
    }
}

fn changed_key(contact: Contact) -> Option<(Phone, Spki)> {
    contact.changed.map(|changed| (contact.phone, changed.spki))
}
