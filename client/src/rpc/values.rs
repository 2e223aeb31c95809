//! What programs get of a home, as JSON.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use serde::Serialize;
use serde_json::{Value, json};
use waxwing_core::phone::Phone;

use crate::clock;
use crate::courier::Connection;
use crate::home::{Entry, Event, Home, HomeError, Relation, Written};
use crate::show;

/// Anything that serializes, which strings and numbers do.
pub(super) fn of(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// Letters, with the names that their authors were given, and whether they are requests.
pub(super) fn letters(home: &Home, entries: &[Entry]) -> Result<Vec<Value>, HomeError> {
    let mut people: BTreeMap<Phone, (Option<String>, bool)> = BTreeMap::new();
    let mut letters = Vec::with_capacity(entries.len());
    for entry in entries {
        let (name, is_stranger) = match people.entry(entry.with) {
            Slot::Occupied(known) => known.into_mut(),
            Slot::Vacant(unknown) => {
                let name = home.conversations().with(&entry.with)?.and_then(|one| one.name);
                let is_stranger = home.relations().with(&entry.with)? == Relation::Stranger;
                unknown.insert((name, is_stranger))
            }
        };
        let mut letter = of(&show::entry_line(entry, name.as_deref()));
        if let (Event::Received { .. }, Value::Object(parts)) = (&entry.event, &mut letter) {
            parts.insert("request".to_owned(), (*is_stranger).into());
        }
        letters.push(letter);
    }
    Ok(letters)
}

/// What became of a letter that was written here.
pub(super) fn status(letter: &Written) -> Value {
    let status = &letter.status;
    json!({
        "uid": letter.uid.to_string(),
        "to": letter.to.as_str(),
        "status": status.name(),
        "why": show::why(status),
        "refusal": status.refusal_code,
        "read_at": status.read_at.map(clock::rfc3339),
    })
}

/// How it stands with the connection.
pub(super) fn connection(connection: &Connection) -> Value {
    match connection {
        Connection::Begun => json!({ "state": "coming" }),
        Connection::Stands => json!({ "state": "up" }),
        Connection::Lost(loss) => json!({ "state": "down", "why": loss.why }),
    }
}
