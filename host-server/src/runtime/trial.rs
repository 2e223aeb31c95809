//! A server for a moment: it serves a copy of the data at an address of the loopback that nobody is told
//! of, so that somebody can see whether it would.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use waxwing_core::server::{Identity, ShardId};

use super::bans::Bans;
use super::draining::{Busy, Drain};
use super::prepared::{Parts, Prepared};
use super::requests::Request;
use crate::backend::Backend;
use crate::canary;
use crate::config::Config;
use crate::data_dir::LockedDataDir;
use crate::exit::Failure;
use crate::store::{self, Interrupt, Opening};

/// Connections that it takes: those of the canary.
const CONNECTIONS: usize = 16;

/// What came of it.
#[derive(Debug)]
pub struct Tried {
    /// How long it took until the server listened.
    pub started: Duration,
    /// Whether a letter got all the way.
    pub canary: canary::Outcome,
}

/// The configuration of such a server: its data is in `directory`, nobody can register, and nothing of it
/// gets out.
fn settings(directory: &LockedDataDir) -> Config {
    let mut config = Config::default();
    config.server.data = directory.path().to_owned();
    config.server.listen = vec![(Ipv4Addr::LOCALHOST, 0).into()];
    config.server.allow_first_start = false;
    config.registration.open = false;
    // Whoever made the copy has seen to it that there is room.
    config.storage.min_free_disk = 0;
    config
}

/// Serves what is in `directory` under this identity, to whose server it has to belong, has the canary carry out a round, and stops. There is
/// no control socket, nobody is banned, and signals are not for this server: `interrupt` ends it.
///
/// # Errors
/// When it cannot start, or storage fails.
pub fn try_out(
    directory: &LockedDataDir,
    identity: Identity<Backend>,
    interrupt: &Interrupt,
) -> Result<Tried, Failure> {
    let begun = Instant::now();
    let config = &settings(directory);
    let storage = store::open(config, directory, Opening::Existing)?;
    let prepared = Prepared::new(Parts {
        config,
        connections: CONNECTIONS,
        directory,
        identity,
        storage,
        bans: Bans::default(),
        read: Box::new({
            let config = config.clone();
            move || Ok(config.clone())
        }),
        watches_signals: false,
        stops: Arc::new(|| {}),
    })?;
    let started = begun.elapsed();
    // Of strangers the server itself tells.
    let Prepared { running, shards, .. } = prepared;
    let stop = |lines: &super::ShardLines| {
        let (answer, _) = channel();
        let (busy, _) = Busy::new(1);
        let drain = Drain { over: Duration::ZERO, stops: true, busy };
        lines.send(ShardId::REGISTRAR, Request::Drain(drain, answer));
    };
    let lines = shards.lines();
    thread::scope(|scope| {
        let round = scope.spawn(|| {
            let outcome = running.canary_round();
            stop(&running.shards);
            outcome
        });
        let served = interrupt.during(move || stop(&lines), || shards.serve(|| {}));
        let canary = round.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        served.map(|()| Tried { started, canary })
    })
}
