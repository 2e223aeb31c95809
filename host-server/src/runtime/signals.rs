//! Signals that ask something of a server that goes on, for which there is a thread; those that come before it
//! serves; and signals that ask a command to end which has something to tidy up.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::Receiver;
use std::thread::{self, Builder};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::geteuid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::flag;
use signal_hook::low_level::pipe;
use waxwing_transport_mio::{
    self as transport, CloseReason, EventLoop, Handler, Io, Signal, Token,
};

use super::shards::{network, system};
use crate::admin::running::Running;
use crate::exit::Failure;
use crate::logging;
use crate::store::Interrupt;

/// What a server was asked while it started, which may take long. Nobody watched for signals then, and each
/// of these would have ended it; those that ask it to end still do, unless it waits for others.
pub(super) struct Early {
    asked: [(Signal, Arc<AtomicBool>); 2],
    /// Whether a signal that asks the process to end ends it at once.
    ends_at_once: Arc<AtomicBool>,
    /// It can be read from as soon as one has come.
    ends: UnixStream,
}

impl Early {
    /// Notes them from now on.
    ///
    /// # Errors
    /// When the system does not let signals be watched.
    pub(super) fn watch() -> Result<Self, Failure> {
        // A write beyond the limit of file sizes is an error to whoever writes.
        for ignored in [SIGUSR2, SIGXFSZ] {
            flag::register(ignored, Arc::default()).map_err(system)?;
        }
        let note = |number| {
            let came = Arc::default();
            flag::register(number, Arc::clone(&came)).map(|_| came).map_err(system)
        };
        let asked = [(Signal::Hangup, note(SIGHUP)?), (Signal::User1, note(SIGUSR1)?)];
        let ends_at_once = Arc::new(AtomicBool::new(true));
        let (ends, told) = UnixStream::pair().map_err(system)?;
        for end in [SIGTERM, SIGINT] {
            flag::register_conditional_default(end, Arc::clone(&ends_at_once)).map_err(system)?;
            pipe::register(end, told.try_clone().map_err(system)?).map_err(system)?;
        }
        Ok(Self { asked, ends_at_once, ends })
    }

    /// As long as `wait` lasts, a signal that asks the process to end does not end it: [`Early::is_to_end`] tells.
    pub(super) fn in_order<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.ends_at_once.store(false, SeqCst);
        let waited = wait();
        self.ends_at_once.store(true, SeqCst);
        waited
    }

    /// Whether the process was asked to end; it waits so long for that.
    pub(super) fn is_to_end(&self, longest: Duration) -> bool {
        let longest = Timespec::try_from(longest).unwrap_or_default();
        // Another signal ends the wait sooner, which does no harm.
        let found = poll(&mut [PollFd::new(&self.ends, PollFlags::IN)], Some(&longest));
        found.is_ok_and(|found| found > 0)
    }

    /// Has the log opened again if somebody has asked for that: whoever rotates logs waits for no other server.
    pub(super) fn reopen_log(&self) {
        let asked = self.asked.iter().find(|(signal, _)| *signal == Signal::User1);
        if asked.is_some_and(|(_, came)| came.swap(false, SeqCst))
            && let Err(failure) = logging::reopen()
        {
            tracing::error!(name: "log_file_unusable", %failure, "the log goes on where it went before");
        }
    }

    /// Those that have come, each once.
    fn came(&self) -> impl Iterator<Item = Signal> {
        self.asked.iter().filter(|(_, came)| came.load(SeqCst)).map(|(signal, _)| *signal)
    }
}

/// Does what signals ask, as long as there is somebody who gets them, and what the early ones have asked.
pub(super) fn obey(
    early: Early,
    signals: Receiver<Signal>,
    running: Arc<Running>,
) -> Result<(), Failure> {
    // The loop of the registrar hears of them now.
    early.ends_at_once.store(false, SeqCst);
    let obey = move || {
        early.came().for_each(|signal| obey_one(signal, &running));
        while let Ok(signal) = signals.recv() {
            // One more of the same, before anything is done about the first, asks for nothing more.
            let mut asked = vec![signal];
            asked.extend(signals.try_iter());
            for signal in [Signal::Hangup, Signal::User1, Signal::User2] {
                if asked.contains(&signal) {
                    obey_one(signal, &running);
                }
            }
        }
    };
    Builder::new().name("waxwing-signals".into()).spawn(obey).map_err(system)?;
    Ok(())
}

fn obey_one(signal: Signal, running: &Running) {
    match signal {
        // What comes of it is in the log, in the audit log and in `status`.
        Signal::Hangup => _ = running.reload_for_signal(geteuid().as_raw()),
        Signal::User1 => running.reopen_log_for_signal(geteuid().as_raw()),
        _ => tracing::info!(?signal, "ignored: nothing is done for this signal"),
    }
}

/// Works until it is done, or until a signal asks the process to end: then it is to end soon.
///
/// # Errors
/// When the system does not let signals be watched.
pub fn until_a_signal<T>(interrupt: &Interrupt, work: impl FnOnce() -> T) -> Result<T, Failure> {
    let mut events: EventLoop = EventLoop::new(transport::Config::default()).map_err(network)?;
    events.watch_signals().map_err(network)?;
    let waker = events.waker();
    let is_done = &AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(move || events.run(&mut Watch { interrupt, is_done }));
        let done = work();
        is_done.store(true, SeqCst);
        // It is woken, or has ended already.
        let _ = waker.wake();
        Ok(done)
    })
}

/// Passes on that somebody wants the process to end. There are no connections.
struct Watch<'a> {
    interrupt: &'a Interrupt,
    is_done: &'a AtomicBool,
}

impl Handler for Watch<'_> {
    fn opened(&mut self, _: &mut Io, _: Token, _: SocketAddr) {}

    fn received(&mut self, _: &mut Io, _: Token, _: &[u8]) {}

    fn closed(&mut self, _: &mut Io, _: Token, _: CloseReason) {}

    fn signal(&mut self, _: &mut Io, signal: Signal) {
        // Whoever has closed the terminal wants no more of it either.
        if signal.ends() || signal == Signal::Hangup {
            self.interrupt.ask();
        }
    }

    fn turn(&mut self, io: &mut Io) -> Option<Duration> {
        if self.is_done.load(SeqCst) {
            io.stop();
        }
        None
    }
}
