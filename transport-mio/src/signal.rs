//! Signals as events.

use std::ffi::c_int;
use std::{fmt, io};

use mio::{Interest, Registry};
use signal_hook_mio::v1_0::Signals;

use crate::slab::reserved;

/// A request to end the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// SIGINT: someone pressed Ctrl-C.
    Interrupt,
    /// SIGTERM: the service manager wants us gone.
    Terminate,
}

/// Receives the signals of the process while it lives.
pub(crate) struct SignalWatch(Signals);

impl fmt::Debug for SignalWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalWatch").finish_non_exhaustive()
    }
}

impl SignalWatch {
    pub(crate) fn new(registry: &Registry) -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        registry.register(&mut signals, SIGNALS, Interest::READABLE)?;
        Ok(Self(signals))
    }

    /// What arrived since the last call, each signal once.
    pub(crate) fn pending(&mut self) -> impl Iterator<Item = Signal> {
        self.0.pending().filter_map(|number| match number {
            SIGINT => Some(Signal::Interrupt),
            SIGTERM => Some(Signal::Terminate),
            _ => None,
        })
    }
}

/// The event of a signal.
pub(crate) const SIGNALS: mio::Token = reserved(1);

// POSIX fixes these two numbers (they are the arguments of `kill -2` and `kill -15`).
const SIGINT: c_int = 2;
const SIGTERM: c_int = 15;
