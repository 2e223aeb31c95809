//! The server's key, and the one that follows it (PROTOCOL.md, "Keys"). What stands here may change while
//! a process runs, by another one of the same home.

use rusqlite::{Connection, OptionalExtension, params};
use waxwing_core::crypto::Spki;
use waxwing_core::time::UnixTime;
use waxwing_core::wire::Successor;

use super::{Home, HomeError, columns};

/// Seconds after which the server is asked again.
const ASK_AFTER_S: i64 = 24 * 60 * 60;

/// Which keys the server may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerKeys {
    /// The one that is pinned.
    pub pinned: Spki,
    /// The one that it has announced, and from when on.
    pub successor: Option<(Spki, UnixTime)>,
}

impl Home {
    /// The server's keys; `None` before the first `register`.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn server_keys(&self) -> Result<Option<ServerKeys>, HomeError> {
        let mut select = self.connection.prepare_cached(
            "SELECT server_key, spki, effective FROM identity LEFT JOIN successor USING (only_row)",
        )?;
        let keys = select.query_one([], |row| {
            let successor = columns::optional_spki(row, 1)?;
            let effective = columns::optional_time(row, 2)?;
            Ok(ServerKeys { pinned: columns::spki(row, 0)?, successor: successor.zip(effective) })
        });
        Ok(keys.optional()?)
    }

    /// Whether the server is to be asked now for the key that follows its own.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn is_successor_due(&self, now: UnixTime) -> Result<bool, HomeError> {
        let mut select = self.connection.prepare_cached("SELECT asked_at FROM successor")?;
        let asked = select.query_one([], |row| columns::time(row, 0)).optional()?;
        // A clock that went back must not put the question off for years.
        Ok(asked.is_none_or(|at| !(0..ASK_AFTER_S).contains(&now.minus(at))))
    }

    /// Stores what the server has announced, in place of what it had before. The pinned key is no other.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn note_successor(
        &self,
        successor: Option<&Successor>,
        now: UnixTime,
    ) -> Result<(), HomeError> {
        let spki = successor.map(|next| next.spki.as_bytes());
        let effective = successor.map(|next| next.effective.to_unix().as_seconds());
        self.write(|change| {
            change.execute(
                "INSERT OR REPLACE INTO successor (only_row, spki, effective, asked_at) \
                 SELECT 1, iif(is_other, ?1, NULL), iif(is_other, ?2, NULL), ?3 \
                 FROM (SELECT ?1 IS NOT (SELECT server_key FROM identity) AS is_other)",
                params![spki, effective, now.as_seconds()],
            )?;
            Ok(())
        })
    }

    /// The server has used the successor: that is its key from now on. If another process has stored that
    /// already, there is none.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn succeed(&self) -> Result<(), HomeError> {
        self.write(|change| {
            change.execute(
                "UPDATE identity SET server_key = spki, session_key = NULL \
                 FROM successor WHERE spki IS NOT NULL",
                [],
            )?;
            forget_successor(change)
        })
    }
}

/// There is another server key, of which the one before has not spoken.
pub(super) fn forget_successor(change: &Connection) -> Result<(), HomeError> {
    change.execute("DELETE FROM successor", [])?;
    Ok(())
}
