//! What the courier has to tell a screen, until the screen looks.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::courier::{Connection, News};
use crate::tui::event::Event;

/// Remarks that wait; older ones give way. While somebody writes in an editor, nobody looks.
const REMARKS: usize = 8;

/// What has come, each thing once.
#[derive(Debug, Default)]
pub(super) struct Inbox(Mutex<Letters>);

#[derive(Debug, Default)]
struct Letters {
    has_changed: bool,
    connection: Option<Connection>,
    remarks: VecDeque<String>,
    /// Answers to what the screen has asked for, so they are no more than that.
    answers: VecDeque<Event>,
    is_gone: bool,
}

impl Inbox {
    fn letters(&self) -> MutexGuard<'_, Letters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, news: News) {
        let mut letters = self.letters();
        match news {
            News::Changed => letters.has_changed = true,
            News::Connection(connection) => letters.connection = Some(connection),
            News::Remark(words) => {
                if letters.remarks.len() == REMARKS {
                    letters.remarks.pop_front();
                }
                letters.remarks.push_back(words);
            }
            News::Key(phone, word) => letters.answers.push_back(Event::Key(phone, word)),
            News::Gone => letters.is_gone = true,
        }
    }

    pub(super) fn answer(&self, event: Event) {
        self.letters().answers.push_back(event);
    }

    /// Whether the courier carries nothing any more.
    pub(super) fn is_gone(&self) -> bool {
        self.letters().is_gone
    }

    /// The next thing, but for changes.
    pub(super) fn next(&self) -> Option<Event> {
        let mut letters = self.letters();
        if let Some(answer) = letters.answers.pop_front() {
            return Some(answer);
        }
        let connection = letters.connection.take().map(Event::Connection);
        connection.or_else(|| letters.remarks.pop_front().map(Event::Remark))
    }

    pub(super) fn has_changed(&self) -> bool {
        self.letters().has_changed
    }

    /// Whether something has changed since the last call.
    pub(super) fn take_change(&self) -> bool {
        std::mem::take(&mut self.letters().has_changed)
    }
}
