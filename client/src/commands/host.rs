//! What a session takes from this machine, and what it tells while a command waits, as remarks to
//! the person.

use std::rc::Rc;

use waxwing_core::messenger::Notice;

use crate::backend::rng;
use crate::clock;
use crate::console::Remarks;
use crate::exit::Failure;
use crate::session::{Host, Note, Tell};

/// This machine, for a session. What it tells is written to `remarks`.
pub(super) fn with(remarks: &Remarks) -> Host {
    remarking(remarks, words)
}

/// The same for a command that tells by itself whose key has changed.
pub(super) fn telling_no_keys(remarks: &Remarks) -> Host {
    remarking(remarks, words_without_keys)
}

fn remarking(remarks: &Remarks, words: fn(Note<'_>) -> Option<String>) -> Host {
    let remarks = remarks.clone();
    telling(Rc::new(move |note: Note<'_>| {
        if let Some(words) = words(note) {
            // A remark never fails.
            let _ = writeln!(remarks.clone(), "{words}");
        }
    }))
}

/// This machine, for a session whose notes go there.
pub(super) fn telling(tell: Tell) -> Host {
    Host { now: clock::both, rng: || Box::new(rng()), tell }
}

/// What a person is told of a note.
pub(super) fn words(note: Note<'_>) -> Option<String> {
    Some(match note {
        Note::KeyNotLogged(error) => format!("a key is missing from the key log: {error}"),
        Note::Messenger(Notice::ClockIsOff(offset_s)) => {
            let way = if offset_s > 0 { "behind" } else { "ahead of" };
            let span = clock::span(offset_s.unsigned_abs());
            format!(
                "this machine's clock is {span} {way} the server's; set it. Until then the \
                 server's time is used"
            )
        }
        Note::Messenger(Notice::KeyChanged(phone)) => Failure::key_changed(None, phone).to_string(),
        Note::Messenger(Notice::NotBelieved(phone, conflict)) => format!(
            "what the server says about the key of {} is not believed: {conflict}",
            phone.as_str()
        ),
        Note::Messenger(_) => return None,
    })
}

/// The same where it is told in another way whose key has changed: the process with the session hears of it
/// first, but what the home says is told by every process.
pub(super) fn words_without_keys(note: Note<'_>) -> Option<String> {
    match note {
        Note::Messenger(Notice::KeyChanged(_)) => None,
        note => words(note),
    }
}
