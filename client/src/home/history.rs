//! The conversation with one person, both ways, in the order in which this home saw it.

use rusqlite::types::Type;
use rusqlite::{Row, params};
use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use super::{Home, HomeError, ItemId, LetterBody, OutboxStatus, Writing, columns};

/// One letter of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub id: ItemId,
    /// Whom the conversation is with.
    pub with: Phone,
    /// Its name; `None` for a letter that could not be opened.
    pub uid: Option<Uid>,
    /// Which way the letter went, and what is known of it.
    pub event: Event,
}

/// Which way a letter went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It came from the other.
    Received {
        /// What it says.
        body: LetterBody,
        /// The timestamp that the other gave it.
        sent_at: UnixTime,
        /// When it arrived.
        received_at: UnixTime,
    },
    /// It was written here.
    Written {
        /// What it says.
        writing: Writing,
        /// When it was written.
        created_at: UnixTime,
        /// What became of it.
        status: OutboxStatus,
    },
}

/// Which part of a conversation is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Its end.
    Last,
    /// What stands before this item.
    Before(ItemId),
    /// This item, and what follows.
    From(ItemId),
}

/// What stands before an item of a conversation, the newest first.
const BEFORE: &str = "WHERE conversation = (SELECT id FROM conversations WHERE phone = ?1) \
                      AND items.id < ?2 ORDER BY items.id DESC LIMIT ?3";
/// An item of a conversation, and what follows.
const FROM: &str = "WHERE conversation = (SELECT id FROM conversations WHERE phone = ?1) \
                    AND items.id >= ?2 ORDER BY items.id LIMIT ?3";

impl Home {
    /// The conversation with `phone`, oldest first. Letters held back under a changed key are
    /// not part of it: nobody has said yet that they are this contact's. Receipts are not
    /// entries; they show at the letter that was read.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn history(&self, phone: &Phone) -> Result<Vec<Entry>, HomeError> {
        self.page(phone, Window::From(ItemId(0)), usize::MAX)
    }

    /// Up to `limit` entries of the conversation with `phone`, oldest first. It takes as long as the
    /// page is, however long the conversation is.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn page(
        &self,
        phone: &Phone,
        window: Window,
        limit: usize,
    ) -> Result<Vec<Entry>, HomeError> {
        let (clauses, at, is_reversed) = match window {
            Window::Last => (BEFORE, i64::MAX, true),
            Window::Before(item) => (BEFORE, item.0, true),
            Window::From(item) => (FROM, item.0, false),
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut entries = self.entries(clauses, params![phone.as_str(), at, limit])?;
        if is_reversed {
            entries.reverse();
        }
        Ok(entries)
    }

    /// Up to `limit` letters of others behind `item`, in any conversation, oldest first.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn received_after(&self, item: ItemId, limit: usize) -> Result<Vec<Entry>, HomeError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.entries(
            "WHERE items.id > ?1 AND author IS NOT NULL ORDER BY items.id LIMIT ?2",
            params![item.0, limit],
        )
    }

    /// The newest item there is, or the place before the first.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn last_item(&self) -> Result<ItemId, HomeError> {
        let mut last = self.connection.prepare_cached("SELECT coalesce(max(id), 0) FROM items")?;
        Ok(last.query_one([], |row| row.get(0).map(ItemId))?)
    }

    /// Entries of any conversation, as `clauses` choose them.
    pub(super) fn entries(
        &self,
        clauses: &'static str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<Entry>, HomeError> {
        let sql = format!(
            "SELECT {}, items.id, phone, items.uid, author, items.kind, text, error, items.sent_at, \
                 stored_at \
             FROM items CROSS JOIN conversations ON conversations.id = conversation \
             LEFT JOIN letters ON letters.item = items.id \
             LEFT JOIN outbox ON outbox.item = items.id {clauses}",
            OutboxStatus::COLUMNS
        );
        let mut select = self.connection.prepare_cached(&sql)?;
        let rows = select.query_map(values, read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let (sent_at, stored_at) = (columns::time(row, 12)?, columns::time(row, 13)?);
    let kind: String = row.get(9)?;
    let event = if columns::optional_phone(row, 8)?.is_none() {
        let writing = Writing::Text(row.get(10)?);
        Event::Written { writing, created_at: sent_at, status: OutboxStatus::read(row)? }
    } else {
        let body = match kind.as_str() {
            "text" => LetterBody::Text(row.get(10)?),
            "unknown" => LetterBody::Unknown { error: row.get(11)? },
            "unreadable" => LetterBody::Unreadable { error: row.get(11)? },
            _ => return Err(columns::bad(9, Type::Text)),
        };
        Event::Received { body, sent_at, received_at: stored_at }
    };
    Ok(Entry {
        id: ItemId(row.get(5)?),
        with: columns::phone(row, 6)?,
        uid: columns::optional_uid(row, 7)?,
        event,
    })
}
