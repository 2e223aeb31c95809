//! The conversation with one person, both ways, in the order in which this home saw it.

use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use super::{Home, HomeError, LetterBody, OutboxStatus, Writing, letters, outbox};

/// One letter of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
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

impl Home {
    /// The conversation with `phone`, oldest first. Letters held back under a changed key are
    /// not part of it: nobody has said yet that they are this contact's. Receipts are not
    /// entries; they show at the letter that was read.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn history(&self, phone: &Phone) -> Result<Vec<Entry>, HomeError> {
        let mut received = letters::of_sender(self, phone)?.into_iter().peekable();
        let mut entries = Vec::new();
        let arrived = |letter: super::Letter| Entry {
            uid: letter.uid,
            event: Event::Received {
                body: letter.body,
                sent_at: letter.sent_at,
                received_at: letter.received_at,
            },
        };
        for written in outbox::of_recipient(self, phone)? {
            // Both kinds of row have their place in one sequence.
            while let Some(letter) = received.next_if(|letter| letter.id.0 < written.id.0) {
                entries.push(arrived(letter));
            }
            entries.push(Entry {
                uid: Some(written.uid),
                event: Event::Written {
                    writing: written.writing,
                    created_at: written.created_at,
                    status: written.status,
                },
            });
        }
        entries.extend(received.map(arrived));
        Ok(entries)
    }
}
