//! Signals as events.

use std::ffi::c_int;
use std::{fmt, io};

use mio::{Interest, Registry};
use rustix::process::Signal as Number;
use signal_hook_mio::v1_0::Signals;

use crate::slab::reserved;

/// What somebody asks of the process. Each would end it if nobody watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// SIGINT: someone pressed Ctrl-C.
    Interrupt,
    /// SIGTERM: the service manager wants us gone.
    Terminate,
    /// SIGHUP: the terminal is gone, or a log was rotated, or somebody expects a reload.
    Hangup,
    /// SIGUSR1: means what the application says; log rotation sends it, too.
    User1,
    /// SIGUSR2: means what the application says.
    User2,
}

impl Signal {
    /// Those that are watched, with their numbers, which differ between systems.
    const ALL: [(Number, Self); 5] = [
        (Number::INT, Self::Interrupt),
        (Number::TERM, Self::Terminate),
        (Number::HUP, Self::Hangup),
        (Number::USR1, Self::User1),
        (Number::USR2, Self::User2),
    ];

    /// Whether it asks the process to end.
    #[must_use]
    pub const fn ends(self) -> bool {
        matches!(self, Self::Interrupt | Self::Terminate)
    }

    fn of(number: c_int) -> Option<Self> {
        let watched = Self::ALL.iter().find(|(watched, _)| watched.as_raw() == number);
        watched.map(|(_, signal)| *signal)
    }
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
        // A write beyond the limit of file sizes is an error to whoever writes, once nobody is ended
        // by its signal.
        let numbers = Signal::ALL.map(|(number, _)| number).into_iter().chain([Number::XFSZ]);
        let mut signals = Signals::new(numbers.map(Number::as_raw))?;
        registry.register(&mut signals, SIGNALS, Interest::READABLE)?;
        Ok(Self(signals))
    }

    /// What arrived since the last call, each signal once.
    pub(crate) fn pending(&mut self) -> impl Iterator<Item = Signal> {
        self.0.pending().filter_map(Signal::of)
    }
}

/// The event of a signal.
pub(crate) const SIGNALS: mio::Token = reserved(1);
