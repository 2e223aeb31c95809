//! The conversations of a home: what a list of them shows, and what their owner makes of them.
//!
//! Several processes may look at the same home. [`Conversations::last_change`] rises with whatever a
//! list or an open conversation shows, and [`Conversations::changed_since`] says which have changed,
//! whoever has changed them.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use super::{Home, HomeError, ItemId, LetterId, columns};

/// Where a conversation is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConversationState {
    /// Among those that are going on.
    Open,
    /// Apart from them: a stranger has written, and nobody has answered or accepted that. One in
    /// which the stranger has said nothing, as where the owner has begun to write, is open.
    Request,
    /// Away, until something new is said in it.
    Archived,
    /// Nowhere: what the other sends is discarded.
    Blocked,
}

impl ConversationState {
    const ALL: [Self; 4] = [Self::Open, Self::Request, Self::Archived, Self::Blocked];

    /// The word for it, in the database and for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Request => "request",
            Self::Archived => "archived",
            Self::Blocked => "blocked",
        }
    }
}

/// What a list shows of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Whom it is with.
    pub phone: Phone,
    /// The name that the owner has given them.
    pub name: Option<String>,
    /// Where it is listed.
    pub state: ConversationState,
    /// Until when it is quiet about what is new.
    pub muted_until: UnixTime,
    /// Whether it stays at the top of the list.
    pub is_pinned: bool,
    /// Whether the owner has begun to write something.
    pub has_draft: bool,
    /// Items of the other up to here are read.
    pub read_to: ItemId,
    /// How many items of the other are not read.
    pub unread: u32,
    /// How many letters are held back, since they are not signed with the key that is known of the other.
    /// They are no items yet.
    pub held: u32,
    /// The newest item.
    pub last: Option<ItemId>,
    /// The change that it has had last.
    pub changed: i64,
}

const SELECT: &str = "SELECT phone, name, \
                      CASE WHEN state = 'request' AND last_item IS NULL AND held = 0 \
                          THEN 'open' ELSE state END, \
                      muted_until, pinned, draft <> '', read_to, unread, last_item, changed, held \
                      FROM (SELECT *, coalesce((SELECT letters FROM quota_totals \
                          WHERE quota = 'held' AND sender = phone), 0) AS held FROM conversations)";

impl Conversation {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let state: String = row.get(2)?;
        let state = ConversationState::ALL.into_iter().find(|known| known.name() == state);
        Ok(Self {
            phone: columns::phone(row, 0)?,
            name: row.get(1)?,
            state: state.ok_or_else(|| columns::bad(2, Type::Text))?,
            muted_until: columns::time(row, 3)?,
            is_pinned: row.get(4)?,
            has_draft: row.get(5)?,
            read_to: ItemId(row.get(6)?),
            unread: row.get(7)?,
            last: row.get::<_, Option<_>>(8)?.map(ItemId),
            changed: row.get(9)?,
            held: row.get(10)?,
        })
    }

    /// Whether a list has it: of some there is nothing but a name, or that it is muted.
    #[must_use]
    pub const fn has_something(&self) -> bool {
        self.last.is_some() || self.has_draft || self.held > 0
    }
}

/// The conversations of a home.
#[derive(Clone, Copy, Debug)]
pub struct Conversations<'a> {
    pub(super) home: &'a Home,
}

impl<'a> Conversations<'a> {
    pub(super) const fn of(home: &'a Home) -> Self {
        Self { home }
    }

    /// All of them: pinned ones first, then those in which something was said last.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn all(&self) -> Result<Vec<Conversation>, HomeError> {
        self.changed_since(-1)
    }

    /// Those that have changed since [`Conversations::last_change`] was `change`, in the same order.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn changed_since(&self, change: i64) -> Result<Vec<Conversation>, HomeError> {
        let sql = format!(
            "{SELECT} WHERE changed > ? AND phone IS NOT NULL \
             ORDER BY pinned DESC, last_item DESC, phone"
        );
        let mut select = self.home.connection.prepare_cached(&sql)?;
        let rows = select.query_map([change], Conversation::read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// A number that rises with every change of any of them.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn last_change(&self) -> Result<i64, HomeError> {
        let sql = "SELECT coalesce(max(changed), 0) FROM conversations";
        Ok(self.home.connection.prepare_cached(sql)?.query_one([], |row| row.get(0))?)
    }

    /// The one with `phone`, if anything is known of it.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn with(&self, phone: &Phone) -> Result<Option<Conversation>, HomeError> {
        let sql = format!("{SELECT} WHERE phone = ?");
        let mut select = self.home.connection.prepare_cached(&sql)?;
        Ok(select.query_one([phone.as_str()], Conversation::read).optional()?)
    }

    /// Puts one away, or back among those that are going on; `false` when it was there already, or
    /// nothing was ever said in it.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn archive(&self, phone: &Phone, away: bool) -> Result<bool, HomeError> {
        let sql = "UPDATE conversations SET archived = ?2 WHERE phone = ?1 AND archived <> ?2";
        self.home.write(|change| Ok(change.execute(sql, params![phone.as_str(), away])? == 1))
    }

    /// Lets it be quiet until `until` about what is new; `false` when nothing is known of it.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn mute(&self, phone: &Phone, until: UnixTime) -> Result<bool, HomeError> {
        let sql = "UPDATE conversations SET muted_until = ?2 WHERE phone = ?1";
        let values = params![phone.as_str(), until.as_seconds()];
        self.home.write(|change| Ok(change.execute(sql, values)? == 1))
    }

    /// Lets it stay at the top of the list, or not.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn pin(&self, phone: &Phone, is_pinned: bool) -> Result<(), HomeError> {
        self.set("pinned", phone, is_pinned)
    }

    /// Keeps what the owner has begun to write.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn set_draft(&self, phone: &Phone, text: &str) -> Result<(), HomeError> {
        self.set("draft", phone, text)
    }

    /// What the owner has begun to write; empty when that is nothing.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn draft(&self, phone: &Phone) -> Result<String, HomeError> {
        let sql = "SELECT draft FROM conversations WHERE phone = ?";
        let mut select = self.home.connection.prepare_cached(sql)?;
        Ok(select.query_one([phone.as_str()], |row| row.get(0)).optional()?.unwrap_or_default())
    }

    /// Notes that the owner has read everything up to `to`, and says which letters that are. No command
    /// prints them any more.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn mark_read(&self, phone: &Phone, to: ItemId) -> Result<Vec<LetterId>, HomeError> {
        self.home.write(|change| {
            let mut mark = change.prepare_cached(
                "UPDATE letters SET printed = 1 WHERE printed = 0 AND sender = ? AND item <= ? \
                 RETURNING id",
            )?;
            let values = params![phone.as_str(), to.0];
            let read = mark.query_map(values, |row| Ok(LetterId(row.get(0)?)))?;
            let read = read.collect::<rusqlite::Result<_>>()?;
            advance(change, phone, to.0)?;
            Ok(read)
        })
    }

    /// Lets the last item of the other count as unread again; `false` when something is unread, or nothing
    /// of the other is there. No command prints it once more.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn mark_unread(&self, phone: &Phone) -> Result<bool, HomeError> {
        const LAST: &str = "SELECT max(items.id) FROM items \
                            WHERE conversation = conversations.id AND author IS NOT NULL";
        let sql = format!(
            "UPDATE conversations SET read_to = ({LAST}) - 1 \
             WHERE phone = ? AND unread = 0 AND ({LAST}) IS NOT NULL"
        );
        self.home.write(|change| Ok(change.execute(&sql, [phone.as_str()])? == 1))
    }

    fn set(
        &self,
        column: &'static str,
        phone: &Phone,
        value: impl rusqlite::ToSql,
    ) -> Result<(), HomeError> {
        let sql = format!(
            "INSERT INTO conversations (phone, {column}) VALUES (?1, ?2) \
             ON CONFLICT (phone) DO UPDATE SET {column} = ?2 WHERE {column} <> ?2"
        );
        self.home.write(|change| {
            change.prepare_cached(&sql)?.execute(params![phone.as_str(), value])?;
            Ok(())
        })
    }
}

/// The owner has read the items of `phone` up to `to`.
pub(super) fn advance(change: &Connection, phone: &Phone, to: i64) -> Result<(), HomeError> {
    let sql = "UPDATE conversations SET read_to = ?2 WHERE phone = ?1 AND read_to < ?2";
    change.prepare_cached(sql)?.execute(params![phone.as_str(), to])?;
    Ok(())
}

/// Makes the conversation with `phone`, unless it is there.
pub(super) fn begin(change: &Connection, phone: &Phone) -> Result<(), HomeError> {
    let sql = "INSERT INTO conversations (phone) VALUES (?) ON CONFLICT DO NOTHING";
    change.prepare_cached(sql)?.execute([phone.as_str()])?;
    Ok(())
}

/// A list shows something else of it: how many letters are held back, of which the database has no word.
pub(super) fn note_change(change: &Connection, phone: &Phone) -> Result<(), HomeError> {
    let sql = "UPDATE conversations SET changed = (SELECT max(changed) + 1 FROM conversations) \
               WHERE phone = ?";
    change.prepare_cached(sql)?.execute([phone.as_str()])?;
    Ok(())
}
