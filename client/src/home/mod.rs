//! A home: everything of one account that must outlive the process.
//!
//! It is a directory that only its owner can read, with an SQLite database in it. Several
//! processes may have it open at once. One of them holds the session ([`SessionLock`]) and
//! talks to the server; the others leave letters in the outbox for it and look at what becomes
//! of them.
//!
//! Every function that changes something returns when the change is on the disk. What has to
//! be durable before a packet goes out is therefore simply stored first.

mod columns;
mod consumers;
mod contacts;
mod conversations;
mod database;
mod deletion;
mod directory;
mod error;
mod history;
mod identity;
mod items;
mod letters;
mod lock;
mod names;
mod outbox;
mod printing;
mod profile;
mod receipts;
mod recovery;
mod relations;
mod reserve;
mod search;
mod snapshot;
mod succession;

use std::env;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use consumers::{Begin, Consumer, Consumers};
pub use contacts::{Acceptance, ChangedKey, Contact, Contacts};
pub use conversations::{Conversation, ConversationState, Conversations};
pub use deletion::{Deleted, Deletion};
pub use error::HomeError;
pub use history::{Entry, Event, Window};
pub use identity::{Identity, NewIdentity, Registration, Standing};
pub use items::ItemId;
pub use letters::{
    Fate, HandedOver, HeldLetter, Letter, LetterBody, LetterId, Letters, Quota, Reading, Recorded,
    Room,
};
pub use lock::{Holder, SessionLock};
pub use names::Naming;
pub use outbox::{
    Applied, GivenUp, Head, Once, OpenLetter, Outbox, OutboxId, OutboxStatus, PacketName, Queued,
    SentPacket, State, StoredLetter, TooLong, Which, Writing, Written,
};
pub use printing::PrintingLock;
pub use profile::HomeProfile;
pub use recovery::Recovery;
pub use relations::{Relation, Relations};
pub use search::Query;
pub use succession::ServerKeys;

use database::Absent;

/// The durable state of one account, open.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    connection: Connection,
    /// Dropped after the connection, which leaves some room then.
    _lent: reserve::Lent,
}

impl Home {
    /// Where a home is unless the person names a place: `$XDG_DATA_HOME/waxwing`, else
    /// `~/.local/share/waxwing`.
    ///
    /// # Errors
    /// [`HomeError::NoDefault`] when the environment says neither.
    pub fn default_dir() -> Result<PathBuf, HomeError> {
        let variable = |name| env::var_os(name).map(PathBuf::from);
        directory::default_from(variable("XDG_DATA_HOME"), variable("HOME"))
    }

    /// Opens the home in `dir`.
    ///
    /// # Errors
    /// [`HomeError::Missing`] when there is none; the others when it cannot be trusted or read.
    pub fn open(dir: &Path) -> Result<Self, HomeError> {
        directory::check(dir)?;
        Self::with_database(dir, Absent::Refuse)
    }

    /// Opens the home in `dir` for reading alone, which works where nothing can be written: then it
    /// is read as it was at this moment. What would change something fails.
    ///
    /// # Errors
    /// As [`Home::open`].
    pub fn open_to_read(dir: &Path) -> Result<Self, HomeError> {
        directory::check(dir)?;
        let opened = reserve::lend(dir, || database::open_to_read(dir));
        let (connection, lent) = match opened {
            // The database takes room on the disk also when it is only read.
            Err(error) if error.is_full(dir) || matches!(error, HomeError::NoRoom { .. }) => {
                (database::copy_to_read(dir)?, reserve::Lent::default())
            }
            opened => opened?,
        };
        Ok(Self { dir: dir.to_owned(), connection, _lent: lent })
    }

    /// Opens the home in `dir`, making an empty one if there is none.
    ///
    /// # Errors
    /// As [`Home::open`], and when it cannot be made.
    pub fn create(dir: &Path) -> Result<Self, HomeError> {
        directory::ensure(dir)?;
        Self::with_database(dir, Absent::Create)
    }

    fn with_database(dir: &Path, absent: Absent) -> Result<Self, HomeError> {
        let (connection, lent) = reserve::lend(dir, || database::open(dir, absent))?;
        reserve::keep(dir);
        Ok(Self { dir: dir.to_owned(), connection, _lent: lent })
    }

    /// The directory of this home.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The keys that this home has pinned.
    #[must_use]
    pub const fn contacts(&self) -> Contacts<'_> {
        Contacts::of(self)
    }

    /// How people stand to the owner.
    #[must_use]
    pub const fn relations(&self) -> Relations<'_> {
        Relations::of(self)
    }

    /// The conversations of this home.
    #[must_use]
    pub const fn conversations(&self) -> Conversations<'_> {
        Conversations::of(self)
    }

    /// The programs that want each received letter once.
    #[must_use]
    pub const fn consumers(&self) -> Consumers<'_> {
        Consumers::of(self)
    }

    /// The letters that this home has received.
    #[must_use]
    pub const fn letters(&self) -> Letters<'_> {
        Letters::of(self)
    }

    /// The letters that this home has written.
    #[must_use]
    pub const fn outbox(&self) -> Outbox<'_> {
        Outbox::of(self)
    }

    /// Makes one change of all that `change` does: all of it is stored, or nothing.
    ///
    /// # Errors
    /// What `change` fails with, and [`HomeError::Database`] when it cannot be stored.
    pub fn together<T, E: From<HomeError>>(
        &self,
        change: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let immediate = TransactionBehavior::Immediate;
        let said = |error| HomeError::from(error).of_home(&self.dir);
        let begun = Transaction::new_unchecked(&self.connection, immediate).map_err(said)?;
        let value = change()?;
        begun.commit().map_err(said)?;
        Ok(value)
    }

    /// Runs `change` in one transaction that has the write lock from its start: one that first
    /// read and then wrote could be refused when another process wrote in between. Within a step of
    /// the messenger it is a part of that step's transaction.
    fn write<T>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, HomeError>,
    ) -> Result<T, HomeError> {
        let written = || {
            if !self.connection.is_autocommit() {
                return change(&self.connection);
            }
            let immediate = TransactionBehavior::Immediate;
            let begun = Transaction::new_unchecked(&self.connection, immediate)?;
            let value = change(&begun)?;
            begun.commit()?;
            Ok(value)
        };
        written().map_err(|error: HomeError| error.of_home(&self.dir))
    }

    /// The same for what has to be done before something can be deleted. On a full disk it is done in the
    /// room that the home keeps for that.
    fn write_to_free<T>(
        &self,
        change: impl Fn(&Connection) -> Result<T, HomeError>,
    ) -> Result<T, HomeError> {
        if !self.connection.is_autocommit() {
            return change(&self.connection);
        }
        reserve::lend(&self.dir, || self.write(&change)).map(|(done, _)| done)
    }
}

/// The next place in the order in which this home learns of letters, in and out alike.
fn next_place(within: &Connection) -> Result<i64, HomeError> {
    let mut last = within.prepare_cached(LAST_PLACE)?;
    let last: i64 = last.query_one([], |row| row.get(0))?;
    Ok(last.saturating_add(1))
}

/// Before rows are deleted: their places are not given out again.
fn keep_places(change: &Connection) -> Result<(), HomeError> {
    let mut last = change.prepare_cached(LAST_PLACE)?;
    let last: i64 = last.query_one([], |row| row.get(0))?;
    change.prepare_cached("UPDATE last_place SET id = ?1 WHERE id < ?1")?.execute([last])?;
    Ok(())
}

const LAST_PLACE: &str = "SELECT max((SELECT coalesce(max(id), 0) FROM letters), \
                                     (SELECT coalesce(max(id), 0) FROM outbox), \
                                     (SELECT coalesce(max(id), 0) FROM items), \
                                     (SELECT id FROM last_place))";
