//! What is written to a program. A thread of its own writes it, so that one that does not read stops
//! neither letters from coming nor the end of this process.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::inbox::Inbox;
use super::message;
use crate::exit::Failure;
use crate::home::HomeError;

/// Bytes that may wait. Then nothing more is done for this program until it has read.
const ROOM: usize = 4 * 1_024 * 1_024;
/// How often whoever waits for room looks whether it still has to.
const LOOK: Duration = Duration::from_millis(100);

/// How long a program may take to read the rest when this process is to end.
const GOODBYE: Duration = Duration::from_secs(1);

/// Lines that are to be written.
#[derive(Default)]
pub(super) struct Outgoing {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Bytes that are being written.
    in_hand: usize,
    /// Nothing more will come.
    is_closed: bool,
    /// Nobody reads any more.
    is_broken: bool,
}

/// Why a program is not served any more.
#[derive(Debug)]
pub(super) enum Stop {
    /// It does not read any more, or this process is to end.
    Gone,
    /// The home does not work.
    Failed(Failure),
}

impl From<HomeError> for Stop {
    fn from(error: HomeError) -> Self {
        Self::Failed(error.into())
    }
}

/// What is said to a program, as far as it reads.
pub(super) struct Voice<'a> {
    pub(super) outgoing: &'a Outgoing,
    pub(super) inbox: &'a Inbox,
    /// The account that is spoken of, unless it is the one that is meant when none is named.
    pub(super) account: Option<&'a str>,
}

impl Voice<'_> {
    /// Tells of something that was not asked for.
    pub(super) fn tell(&self, method: &str, mut params: Value) -> Result<(), Stop> {
        if let (Some(account), Value::Object(parts)) = (self.account, &mut params) {
            parts.insert("account".to_owned(), account.into());
        }
        self.say(&message::notification(method, &params))
    }

    /// Says a line, as soon as there is room.
    pub(super) fn say(&self, line: &str) -> Result<(), Stop> {
        self.outgoing.push(line, self.inbox)
    }
}

impl Outgoing {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes everything that comes, until it is closed.
    pub(super) fn write(&self, mut output: impl Write) {
        let mut state = self.lock();
        loop {
            if state.waiting.is_empty() {
                if state.is_closed {
                    return;
                }
                state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let bytes = std::mem::take(&mut state.waiting);
            state.in_hand = bytes.len();
            drop(state);
            let done: io::Result<()> = output.write_all(&bytes).and_then(|()| output.flush());
            state = self.lock();
            state.in_hand = 0;
            state.is_broken |= done.is_err();
            self.moved.notify_all();
            if state.is_broken {
                return;
            }
        }
    }

    /// Adds a line, as soon as there is room.
    fn push(&self, line: &str, inbox: &Inbox) -> Result<(), Stop> {
        let mut state = self.lock();
        while !state.is_broken && state.waiting.len() + state.in_hand >= ROOM {
            let waited = self.moved.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if inbox.is_over() {
                return Err(Stop::Gone);
            }
        }
        if state.is_broken {
            return Err(Stop::Gone);
        }
        state.waiting.extend_from_slice(line.as_bytes());
        state.waiting.push(b'\n');
        self.moved.notify_all();
        Ok(())
    }

    /// Nothing more will come; waits until what has come is written, but not for long when this process is
    /// to end.
    pub(super) fn close(&self, inbox: &Inbox) {
        let end = Instant::now() + GOODBYE;
        let mut state = self.lock();
        state.is_closed = true;
        self.moved.notify_all();
        while !state.is_broken && state.waiting.len() + state.in_hand > 0 {
            if inbox.is_over() && Instant::now() >= end {
                return;
            }
            let waited = self.moved.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
