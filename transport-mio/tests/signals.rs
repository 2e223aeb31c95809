//! Signals to this very process; hence a test binary of its own.

mod common;

use common::{Heard, Remote};
use rustix::process::{Signal as Number, getpid, kill_process};
use waxwing_transport_mio::{Config, Signal};

#[test]
fn signals_are_events() {
    let server = Remote::start_with(
        Config::default(),
        |_, _| true,
        |event_loop| {
            event_loop.watch_signals().unwrap();
            event_loop.watch_signals().unwrap();
        },
    );
    for (number, signal) in [
        (Number::TERM, Signal::Terminate),
        (Number::INT, Signal::Interrupt),
        (Number::HUP, Signal::Hangup),
        (Number::USR1, Signal::User1),
        (Number::USR2, Signal::User2),
        (Number::TERM, Signal::Terminate),
    ] {
        kill_process(getpid(), number).unwrap();
        assert_eq!(server.next(), Heard::Signal(signal));
    }
    server.stop();
}
