//! Standard input, which a person may be typing: waiting for it ends when the person interrupts.
//!
//! Once a command watches for signals, SIGINT does not end the process by itself any more, and a
//! plain read goes on after it.

use std::fmt;
use std::io::{self, ErrorKind, Read, Stdin};
use std::os::fd::{AsFd as _, AsRawFd as _};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use signal_hook_mio::v1_0::Signals;

use crate::interrupt;

const INPUT: Token = Token(0);
const SIGNALS: Token = Token(1);

/// The person has pressed Ctrl-C, or the process was asked to end.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

impl Interrupted {
    /// Whether this is why reading failed.
    #[must_use]
    pub fn is_cause_of(error: &io::Error) -> bool {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}

/// Standard input without a buffer, for a command that asks questions.
pub struct Keyboard {
    input: Stdin,
    poll: Poll,
    signals: Signals,
    /// A plain file never lets anybody wait.
    is_file: bool,
}

impl Keyboard {
    /// Begins to watch for SIGINT and SIGTERM: what comes before something is read counts.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> io::Result<Self> {
        let (input, poll) = (io::stdin(), Poll::new()?);
        interrupt::watch()?;
        let mut signals = Signals::new(interrupt::SIGNALS)?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        let source = input.as_fd().as_raw_fd();
        let registered =
            poll.registry().register(&mut SourceFd(&source), INPUT, Interest::READABLE);
        let is_file = match registered {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => true,
            registered => registered.map(|()| false)?,
        };
        Ok(Self { input, poll, signals, is_file })
    }

    fn wait(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(4);
        if !self.is_file {
            // What is there already counts as news.
            let source = self.input.as_fd().as_raw_fd();
            let mut source = SourceFd(&source);
            self.poll.registry().reregister(&mut source, INPUT, Interest::READABLE)?;
        }
        loop {
            self.signals.pending().for_each(drop);
            if interrupt::has_come() {
                return Err(io::Error::other(Interrupted));
            }
            if self.is_file || events.iter().any(|event| event.token() == INPUT) {
                return Ok(());
            }
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }
}

impl fmt::Debug for Keyboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyboard").field("is_file", &self.is_file).finish_non_exhaustive()
    }
}

impl Read for Keyboard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait()?;
        Ok(rustix::io::read(self.input.as_fd(), buffer)?)
    }
}
