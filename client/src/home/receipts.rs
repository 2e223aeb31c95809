//! Telling people that their letters were read, if the owner of the home wants that.

use rusqlite::{OptionalExtension, params};
use waxwing_core::id::Uid;
use waxwing_core::time::UnixTime;

use super::{Home, HomeError, LetterId, Writing, columns, outbox};

impl Home {
    /// Puts a receipt for each of these letters into the outbox, and says how many there are. Strangers
    /// get none: they would learn that somebody is there. `draw` draws their uids.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing was stored then.
    pub fn queue_receipts(
        &self,
        letters: &[LetterId],
        mut draw: impl FnMut() -> Uid,
        now: UnixTime,
    ) -> Result<usize, HomeError> {
        self.write(|change| {
            let mut queued = 0;
            for letter in letters {
                let mut read = change.prepare_cached(
                    "SELECT sender, uid FROM letters JOIN conversations ON phone = sender \
                     WHERE letters.id = ? AND kind = 'text' AND state IN ('open', 'archived')",
                )?;
                let read = read.query_one(params![letter.0], |row| {
                    Ok((columns::phone(row, 0)?, columns::uid(row, 1)?))
                });
                if let Some((from, read)) = read.optional()? {
                    outbox::queue(change, &draw(), &from, &Writing::ReadReceipt(read), now)?;
                    queued += 1;
                }
            }
            Ok(queued)
        })
    }
}
