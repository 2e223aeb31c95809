//! What waits, for the person who wrote it: the letters without an answer, and the two things that
//! can be done about one. Any process may do them, also while another one sends.

use rusqlite::{OptionalExtension, params};
use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use super::{Outbox, OutboxId, OutboxStatus, State, Writing};
use crate::home::{HomeError, columns};

/// Stands where the server's words on a refusal would.
const BY_PERSON: &str = "given up here";
const BY_PERSON_LATE: &str = "given up here; it may have gone out before, and may still arrive";

/// Which letters are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All letters without an answer.
    All,
    /// The letters to one recipient.
    To(Phone),
    /// One, and those that it waits for.
    Letter(Uid),
}

/// A letter without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The row in which the letter is stored.
    pub id: OutboxId,
    /// The uid of the letter, the same however often it is sent.
    pub uid: Uid,
    /// The phone of the recipient.
    pub recipient: Phone,
    /// What the letter is to say.
    pub writing: Writing,
    /// When it was written.
    pub created_at: UnixTime,
    /// What is known of it.
    pub status: OutboxStatus,
}

/// What giving a letter up came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum GivenUp {
    /// It never went out, or the server had refused it. It will not arrive.
    NotSent,
    /// It went out without an answer. It is not sent again, and may arrive.
    MayArrive,
    /// It does not wait any more, but is what this word says: nothing was changed.
    Answered(&'static str),
    /// There is no such letter.
    Unknown,
}

impl Outbox<'_> {
    /// Every letter without an answer, in the order in which they were written.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn queued(&self) -> Result<Vec<Queued>, HomeError> {
        let sql = format!(
            "SELECT {}, id, uid, recipient, created_at, kind, receipt_for, \
                 (SELECT text FROM items WHERE items.id = item) FROM outbox \
             WHERE state <= 1 ORDER BY id",
            OutboxStatus::COLUMNS
        );
        let mut select = self.home.connection.prepare_cached(&sql)?;
        let rows = select.query_map([], |row| {
            Ok(Queued {
                status: OutboxStatus::read(row)?,
                id: OutboxId(row.get(5)?),
                uid: columns::uid(row, 6)?,
                recipient: columns::phone(row, 7)?,
                created_at: columns::time(row, 8)?,
                writing: Writing::read(row, 9)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Lets letters that were put off be tried now, and says how many there were.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn hurry(&self, which: Which) -> Result<usize, HomeError> {
        const PUT_OFF: &str = "UPDATE outbox SET not_before = 0 WHERE state = 0 AND not_before > 0";
        self.home.write(|connection| {
            Ok(match which {
                Which::All => connection.execute(PUT_OFF, [])?,
                Which::To(phone) => {
                    connection.execute(&format!("{PUT_OFF} AND recipient = ?"), [phone.as_str()])?
                }
                Which::Letter(uid) => connection.execute(
                    &format!(
                        "{PUT_OFF} AND id <= (SELECT id FROM outbox WHERE uid = ?1) \
                     AND recipient = (SELECT recipient FROM outbox WHERE uid = ?1)"
                    ),
                    [uid.0],
                )?,
            })
        })
    }

    /// Gives a letter up: it is not sent, or not again.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn give_up(&self, letter: &Uid) -> Result<GivenUp, HomeError> {
        self.home.write_to_free(|change| {
            let sql = format!(
                "SELECT {}, id, refusal_code IS NULL AND EXISTS (SELECT 1 \
                     FROM outbox_packets WHERE letter = outbox.id) FROM outbox WHERE uid = ?",
                OutboxStatus::COLUMNS
            );
            let mut find = change.prepare_cached(&sql)?;
            let found = find.query_one([letter.0], |row| {
                Ok((OutboxStatus::read(row)?, OutboxId(row.get(5)?), row.get::<_, bool>(6)?))
            });
            let Some((status, id, has_gone_out)) = found.optional()? else {
                return Ok(GivenUp::Unknown);
            };
            if !super::raise(change, id, State::Refused)? {
                return Ok(GivenUp::Answered(status.name()));
            }
            let words = if has_gone_out { BY_PERSON_LATE } else { BY_PERSON };
            change
                .prepare_cached("UPDATE outbox SET refusal_text = ?2 WHERE id = ?1")?
                .execute(params![id.0, words])?;
            Ok(if has_gone_out { GivenUp::MayArrive } else { GivenUp::NotSent })
        })
    }

    /// No letter is put off for longer than until `latest`: an earlier version believed the server
    /// whatever it asked for, and a clock may have been wrong.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn limit_pauses(&self, latest: UnixTime) -> Result<(), HomeError> {
        self.home
            .connection
            .prepare_cached(
                "UPDATE outbox SET not_before = ?1 WHERE state = 0 AND not_before > ?1",
            )?
            .execute([latest.as_seconds()])?;
        Ok(())
    }

    /// What was sent to somebody without an answer is sealed again before it goes out again: the
    /// key that it was sealed for may be another by then.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn seal_again(&self, recipient: &Phone) -> Result<(), HomeError> {
        self.home
            .connection
            .prepare_cached("UPDATE outbox SET state = 0 WHERE state = 1 AND recipient = ?")?
            .execute([recipient.as_str()])?;
        Ok(())
    }
}

impl OutboxStatus {
    /// Whether the person has given it up.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        let words = self.refusal_text.as_deref();
        self.state == State::Refused && matches!(words, Some(BY_PERSON | BY_PERSON_LATE))
    }

    /// The word for it, for people and programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        if self.is_given_up() { "given up" } else { self.state.name() }
    }
}
