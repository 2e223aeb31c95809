//! Signals that ask something of a server that goes on. A thread of its own does what they ask.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::Builder;

use rustix::process::geteuid;
use waxwing_transport_mio::Signal;

use super::shards::system;
use crate::admin::running::Running;
use crate::exit::Failure;

/// Does what signals ask, as long as there is somebody who gets them.
pub(super) fn obey(signals: Receiver<Signal>, running: Arc<Running>) -> Result<(), Failure> {
    let obey = move || {
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
