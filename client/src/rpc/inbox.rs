//! What a clerk may hear of next: requests of its program, and what the courier tells.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use waxwing_core::phone::Phone;

use super::message::{LONGEST, Read};
use crate::courier::{Connection, KeyWord};

/// Requests that wait, and the bytes of their lines. Who writes faster waits.
const REQUESTS: usize = 256;
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
    requests: VecDeque<Read>,
    bytes: usize,
    /// No request will come any more.
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
    pub(super) requests: Vec<Read>,
    /// No request will come after these.
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

    /// Adds what the program has said in a line of so many bytes, as soon as there is room.
    pub(super) fn push(&self, request: Read, len: usize) {
        let mut state = self.lock();
        while !state.requests.is_empty()
            && (state.requests.len() >= REQUESTS || state.bytes + len > BYTES)
        {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.requests.push_back(request);
        state.bytes += len;
        self.moved.notify_all();
    }

    /// No request will come any more.
    pub(super) fn close(&self) {
        self.lock().is_at_end = true;
        self.moved.notify_all();
    }

    /// What there is to do, as soon as there is something, or at `deadline`.
    pub(super) fn take(&self, deadline: Option<Instant>) -> Work {
        let mut state = self.lock();
        loop {
            let is_idle = state.requests.is_empty()
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
            requests: mem::take(&mut state.requests).into(),
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
