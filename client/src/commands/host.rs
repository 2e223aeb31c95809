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

/// What a person at the full screen is told of a note: the screen says by itself whose key has changed, and
/// which key to press.
pub(super) fn words_on_screen(note: Note<'_>) -> Option<String> {
    match note {
        Note::Messenger(Notice::KeyChanged(_)) => None,
        note => words(note),
    }
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
        Note::Messenger(Notice::KeyChanged(phone)) => Failure::key_changed(phone).to_string(),
        Note::Messenger(Notice::NotBelieved(phone, conflict)) => format!(
            "what the server says about the key of {} is not believed: {conflict}",
            phone.as_str()
        ),
        Note::Messenger(_) => return None,
    })
}
