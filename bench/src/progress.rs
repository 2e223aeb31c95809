//! How far a step has come, on a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const WIDTH: usize = 30;
const REDRAW: Duration = Duration::from_millis(100);

/// A bar on standard error. Where that is no terminal, one line says what begins.
pub(crate) struct Progress {
    label: String,
    total: usize,
    state: Mutex<State>,
    draws: bool,
}

struct State {
    done: usize,
    drawn: Instant,
}

impl Progress {
    pub(crate) fn new(label: impl Into<String>, total: usize) -> Self {
        let label = label.into();
        let draws = io::stderr().is_terminal();
        if !draws {
            // Nobody has to read it.
            let _ = writeln!(io::stderr(), "{label} ({total})");
        }
        let state = Mutex::new(State { done: 0, drawn: Instant::now() });
        Self { label, total, state, draws }
    }

    /// So much more is done.
    pub(crate) fn step(&self, count: usize) {
        self.change(|done| done + count);
    }

    /// So much is done.
    pub(crate) fn set(&self, done: usize) {
        self.change(|_| done);
    }

    fn change(&self, to: impl FnOnce(usize) -> usize) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.done = to(state.done).min(self.total);
        if self.draws && state.drawn.elapsed() >= REDRAW {
            state.drawn = Instant::now();
            let full = (state.done * WIDTH).checked_div(self.total).unwrap_or(WIDTH);
            let bar = format!("{}{}", "#".repeat(full), ".".repeat(WIDTH - full));
            // A terminal that has gone away takes the bar with it.
            let _ =
                write!(io::stderr(), "\r{:<28} [{bar}] {}/{} ", self.label, state.done, self.total);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.draws {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
