//! Letters of programs that may ask twice: a key names one call, and what was sent under it is not sent
//! again.

use rusqlite::{Connection, OptionalExtension, params};
use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use super::{Outbox, Writing, queue};
use crate::home::{HomeError, columns};

/// How long a key is kept at least, in seconds: 90 days. Whoever asks twice was ended before it could note
/// that it had asked, and asks again when it is started the next time. A home whose letters are
/// deleted must not grow by their keys for ever.
const KEPT_S: i64 = 90 * 24 * 60 * 60;

/// What became of a letter that was to be sent under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Once {
    /// It is stored, with this uid.
    New(Uid),
    /// It was stored under this key before, with this uid. It may have been deleted since.
    Known(Uid),
    /// Nothing was stored: the key is that of the letter with this uid, which goes to somebody else or says
    /// something else.
    Other(Uid),
}

impl Outbox<'_> {
    /// Stores a letter to be sent, unless one was stored under this key before. A key is kept as long as
    /// its letter, and for 90 days at least. Of a letter that was deleted since, nobody can say any more
    /// whether it is the same.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing was stored then.
    pub fn queue_once(
        &self,
        key: &str,
        uid: &Uid,
        recipient: &Phone,
        writing: &Writing,
        now: UnixTime,
    ) -> Result<Once, HomeError> {
        self.home.write(|change| {
            let mut before = change.prepare_cached("SELECT uid FROM sent_keys WHERE key = ?")?;
            if let Some(before) = before.query_one([key], |row| columns::uid(row, 0)).optional()? {
                let is_same =
                    sent(change, &before)?.is_none_or(|sent| sent == (*recipient, writing.clone()));
                return Ok(if is_same { Once::Known(before) } else { Once::Other(before) });
            }
            forget_some(change, now)?;
            change
                .prepare_cached("INSERT INTO sent_keys (key, uid, sent_at) VALUES (?, ?, ?)")?
                .execute(params![key, uid.0, now.as_seconds()])?;
            queue(change, uid, recipient, writing, now)?;
            Ok(Once::New(*uid))
        })
    }
}

/// To whom a letter goes, and what it says; `None` when it was deleted.
fn sent(change: &Connection, letter: &Uid) -> Result<Option<(Phone, Writing)>, HomeError> {
    let mut select = change.prepare_cached(
        "SELECT recipient, kind, receipt_for, (SELECT text FROM items WHERE items.id = item) \
         FROM outbox WHERE uid = ?",
    )?;
    let found =
        select.query_one([letter.0], |row| Ok((columns::phone(row, 0)?, Writing::read(row, 1)?)));
    Ok(found.optional()?)
}

/// Forgets old keys whose letters are deleted. Two for each new one: so they become fewer, and a clock that
/// is wrong for once does not cost all of them.
fn forget_some(change: &Connection, now: UnixTime) -> Result<(), HomeError> {
    change
        .prepare_cached(
            "DELETE FROM sent_keys WHERE key IN (SELECT key FROM sent_keys \
                 WHERE is_letter_gone = 1 AND sent_at < ? ORDER BY sent_at LIMIT 2)",
        )?
        .execute([now.shifted(-KEPT_S).as_seconds()])?;
    Ok(())
}
