//! What was said in a conversation, in the order in which this home learned of it.
//!
//! An item has the words of a letter. How the letter came, or how far it got, is in its row of
//! `letters` or `outbox`, which names the item. The database keeps what a conversation counts, and
//! deletes an item with its letter.

use rusqlite::{Connection, params};
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use super::{HomeError, conversations};

/// The place of an item: later ones have higher places, in all conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub(super) i64);

impl ItemId {
    /// The item with this number; there need not be one.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Its number, for programs.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// An item that is to be stored.
pub(super) struct NewItem<'a> {
    pub(super) place: i64,
    /// Whose conversation it belongs to.
    pub(super) with: &'a Phone,
    /// `None` when the owner of this home has written it.
    pub(super) author: Option<&'a Phone>,
    pub(super) uid: Option<&'a [u8]>,
    pub(super) kind: &'static str,
    pub(super) text: Option<&'a str>,
    pub(super) sent_at: UnixTime,
    pub(super) stored_at: UnixTime,
}

/// Stores an item, in a conversation that may be new.
pub(super) fn add(change: &Connection, item: &NewItem<'_>) -> Result<(), HomeError> {
    conversations::begin(change, item.with)?;
    change
        .prepare_cached(
            "INSERT INTO items (id, conversation, author, uid, kind, text, sent_at, stored_at) \
             SELECT ?1, id, ?3, ?4, ?5, ?6, ?7, ?8 FROM conversations WHERE phone = ?2",
        )?
        .execute(params![
            item.place,
            item.with.as_str(),
            item.author.map(Phone::as_str),
            item.uid,
            item.kind,
            item.text,
            item.sent_at.as_seconds(),
            item.stored_at.as_seconds(),
        ])?;
    Ok(())
}
