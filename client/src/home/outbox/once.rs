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

impl Outbox<'_> {
    /// Stores a letter to be sent, unless one was stored under this key before. The letter's uid, and
    /// whether it is new. A key is kept as long as its letter, and for 90 days at least.
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
    ) -> Result<(Uid, bool), HomeError> {
        self.home.write(|change| {
            let mut before = change.prepare_cached("SELECT uid FROM sent_keys WHERE key = ?")?;
            if let Some(before) = before.query_one([key], |row| columns::uid(row, 0)).optional()? {
                return Ok((before, false));
            }
            forget_some(change, now)?;
            change
                .prepare_cached("INSERT INTO sent_keys (key, uid, sent_at) VALUES (?, ?, ?)")?
                .execute(params![key, uid.0, now.as_seconds()])?;
            queue(change, uid, recipient, writing, now)?;
            Ok((*uid, true))
        })
    }
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
