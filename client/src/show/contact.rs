//! People whose keys are pinned, who have a name, or who are blocked, for programs.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::clock;
use crate::home::{Home, HomeError};

/// Somebody, as a JSON object has them.
#[derive(Serialize)]
pub struct ContactLine {
    phone: String,
    name: Option<String>,
    /// The id at the server.
    id: Option<u16>,
    /// When the key was pinned.
    since: Option<String>,
    /// Whether the numbers were compared.
    verified: bool,
    /// Whether letters are held back, because the key has changed.
    key_changed: bool,
    blocked: bool,
}

impl ContactLine {
    /// Everybody.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn all(home: &Home) -> Result<Vec<Self>, HomeError> {
        let blocked: BTreeSet<_> = home.relations().blocked()?.into_iter().collect();
        let mut names = home.conversations().names()?;
        let mut lines = Vec::new();
        for contact in home.contacts().all()? {
            lines.push(Self {
                phone: contact.phone.as_str().to_owned(),
                name: names.remove(&contact.phone),
                id: contact.user_id.map(|id| id.get()),
                since: Some(clock::rfc3339(contact.first_seen)),
                verified: contact.verified && contact.changed.is_none(),
                key_changed: contact.changed.is_some(),
                blocked: blocked.contains(&contact.phone),
            });
        }
        lines.extend(home.contacts().without_key()?.iter().map(|phone| Self {
            phone: phone.as_str().to_owned(),
            name: names.remove(phone),
            id: None,
            since: None,
            verified: false,
            key_changed: false,
            blocked: blocked.contains(phone),
        }));
        Ok(lines)
    }
}
