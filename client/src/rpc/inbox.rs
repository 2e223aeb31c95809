//! What a program that is served may hear of next: its own lines, and what the courier tells.

use std::collections::{BTreeMap, VecDeque};
use std::io::BufRead;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use waxwing_core::phone::Phone;

use super::message::LONGEST;
use crate::courier::{Connection, KeyWord};
use crate::lines::{self, Line};

/// Lines that wait, and their bytes. Who writes faster waits.
const LINES: usize = 256;
const BYTES: usize = 2 * LONGEST;

/// What has come, and was not taken yet.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    /// Something has come, or was taken.
    moved: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Line>,
    bytes: usize,
    /// No line will come any more.
    is_at_end: bool,
    /// The home has.
    has_changed: bool,
    connection: Option<Connection>,
    keys: BTreeMap<Phone, KeyWord>,
    /// The person wants to stop, or there is no courier any more.
    is_over: bool,
}

/// What there is to do, besides looking at the home.
#[derive(Default)]
pub(super) struct Work {
    pub(super) lines: Vec<Line>,
    /// No line will come after these.
    pub(super) is_at_end: bool,
    /// How it stands with the connection, if that is new.
    pub(super) connection: Option<Connection>,
    /// What the server has said about keys.
    pub(super) keys: BTreeMap<Phone, KeyWord>,
    /// Nobody is to be served any more.
    pub(super) is_over: bool,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The home has changed.
    pub(super) fn look_at_home(&self) {
        self.lock().has_changed = true;
        self.moved.notify_all();
    }

    /// How it stands with the connection.
    pub(super) fn hear_of(&self, connection: &Connection) {
        self.lock().connection = Some(connection.clone());
        self.moved.notify_all();
    }

    /// What the server says about somebody's key.
    pub(super) fn hear_of_key(&self, phone: Phone, word: &KeyWord) {
        self.lock().keys.insert(phone, word.clone());
        self.moved.notify_all();
    }

    /// Nobody is to be served any more.
    pub(super) fn end(&self) {
        self.lock().is_over = true;
        self.moved.notify_all();
    }

    /// Reads lines until there are no more, as fast as they are taken.
    pub(super) fn read(&self, mut input: impl BufRead) {
        // What cannot be read is at its end.
        while let Ok(Some(line)) = lines::next(&mut input, LONGEST) {
            let len = match &line {
                Line::Whole(bytes) => bytes.len(),
                Line::TooLong => 0,
            };
            let mut state = self.lock();
            while !state.lines.is_empty()
                && (state.lines.len() >= LINES || state.bytes + len > BYTES)
            {
                state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.lines.push_back(line);
            state.bytes += len;
            self.moved.notify_all();
        }
        self.lock().is_at_end = true;
        self.moved.notify_all();
    }

    /// What there is to do, as soon as there is something, or at `deadline`.
    pub(super) fn take(&self, deadline: Option<Instant>) -> Work {
        let mut state = self.lock();
        loop {
            let is_idle = state.lines.is_empty()
                && !(state.is_at_end || state.has_changed || state.is_over)
                && state.connection.is_none()
                && state.keys.is_empty();
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if !is_idle || left.is_some_and(|left| left.is_zero()) {
                break;
            }
            state = match left {
                Some(left) => {
                    let waited = self.moved.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.moved.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        (state.bytes, state.has_changed) = (0, false);
        let work = Work {
            lines: mem::take(&mut state.lines).into(),
            is_at_end: state.is_at_end,
            connection: state.connection.take(),
            keys: mem::take(&mut state.keys),
            is_over: state.is_over,
        };
        self.moved.notify_all();
        work
    }

    /// Whether nobody is to be served any more.
    pub(super) fn is_over(&self) -> bool {
        self.lock().is_over
    }
}
