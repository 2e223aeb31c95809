//! The wiring of event loops, server machines and storage thread.

mod log;
mod office;
mod post;
mod recovery;
mod settings;

use std::error::Error as _;
use std::io::{self, Write};
use std::sync::{Arc, mpsc};
use std::thread::Builder;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use waxwing_core::server::{Server, Shard};
use waxwing_transport_mio::{EventLoop, Waker};

use crate::backend::Backend;
use crate::cli::{KeyCommand, RunArgs};
use crate::clock;
use crate::config::{Config, DeliveryKind};
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};
use crate::key;
use crate::otp;
use crate::store::{
    Outlet, SqliteOptions, SqliteStorage, Storage, StorageError, StorageThread, ThreadOptions,
};
use office::{Deliveries, Office};
use post::{PostRoom, Route};

/// Serves until a signal says stop.
///
/// # Errors
/// When it cannot start, or storage fails.
pub fn run(config: &Config, args: &RunArgs) -> Result<(), Failure> {
    raise_descriptor_limit();
    let directory = DataDir::create(&config.server.data)?.lock()?;
    let identity = key::load_or_create(&directory)?;
    let options = SqliteOptions { busy_timeout: config.storage.busy_timeout };
    let mut storage = if args.recover {
        recovery::open_or_set_aside(&directory, &options)?
    } else {
        SqliteStorage::open(&directory.database(), &options).map_err(say_what_helps)?
    };
    if args.check {
        storage.check().map_err(say_what_helps)?;
    }
    let id_rest = i64::try_from(config.storage.id_rest.as_secs()).unwrap_or(i64::MAX);
    let snapshot = storage.load(clock::unix_now().shifted(id_rest.saturating_neg()))?;
    tracing::info!(users = snapshot.users.len(), "data loaded");

    let shards: Vec<_> = Shard::all(config.server.loops).collect();
    let mut loops = Vec::new();
    for _ in &shards {
        loops.push(EventLoop::new(settings::transport(config)).map_err(network)?);
    }
    let desk = loops.first_mut().expect("there is one loop at least");
    desk.watch_signals().map_err(network)?;
    let address = desk.listen(config.server.listen).map_err(network)?;
    let deliveries = deliveries(config, desk.waker())?;

    let (mut outlets, mut completions) = (Vec::new(), Vec::new());
    let (mut routes, mut letterboxes) = (Vec::new(), Vec::new());
    for events in &loops {
        let (done, hear) = mpsc::channel();
        outlets.push(Outlet { done, wake: Box::new(waking(events.waker())) });
        completions.push(hear);
        let (letterbox, post) = mpsc::channel();
        routes.push(Route { letterbox, waker: events.waker() });
        letterboxes.push(post);
    }
    let thread_options =
        ThreadOptions { idle: config.storage.tidy_after, ..ThreadOptions::default() };
    let (storage, clients) =
        StorageThread::spawn(Box::new(storage), thread_options, outlets).map_err(system)?;

    if config.otp.delivery == DeliveryKind::InBand {
        tracing::warn!("one-time passwords go in band: nobody's phone number is verified");
    }
    say_where(address).map_err(system)?;
    tracing::info!(%address, "listening");

    let mut deliveries = Some(deliveries);
    let parts = shards.into_iter().zip(loops).zip(clients).zip(completions).zip(letterboxes);
    let mut offices = parts.map(|((((shard, events), client), completions), letterbox)| {
        let (identity, machine) = (identity.clone(), settings::machine(config));
        let server = Server::shard(Backend::default(), identity, machine, &snapshot, shard);
        let post = PostRoom::new(routes.clone(), letterbox);
        // The desk's is the first.
        let deliveries = deliveries.take().unwrap_or_default();
        (events, Office::new(server, config, client, completions, post, deliveries))
    });
    let (events, office) = offices.next().expect("there is one office at least");
    let mut threads = Vec::new();
    for (number, (events, office)) in (1..).zip(offices) {
        let thread = Builder::new().name(format!("waxwing-loop-{number}"));
        threads.push(thread.spawn(move || serve(events, office)).map_err(system)?);
    }
    drop((routes, snapshot));
    let mut ends = vec![serve(events, office)];
    for thread in threads {
        ends.push(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    }
    let closed = storage.shut_down();
    for (served, fatal) in ends {
        if let Some(why) = fatal {
            return Err(Failure::new(Exit::Storage, format!("storage failed: {why}")));
        }
        served.map_err(network)?;
    }
    closed?;
    tracing::info!("stopped");
    Ok(())
}

type LoopError = waxwing_transport_mio::Error;

/// Runs one loop to its end; why storage has failed, if it has.
fn serve(mut events: EventLoop, mut office: Office) -> (Result<(), LoopError>, Option<String>) {
    let served = events.run(&mut office);
    if served.is_err() {
        office.give_up();
    }
    (served, office.into_fatal())
}

/// The configured way of codes to phones, with reports to the desk.
fn deliveries(config: &Config, waker: Waker) -> Result<Deliveries, Failure> {
    let (report, reports) = mpsc::channel();
    let wake = waking(waker);
    let told = move |ticket, result| {
        // Both ends live as long as the server.
        let _ = report.send((ticket, result));
        wake();
    };
    let way = otp::delivery(&config.otp, Arc::new(told)).map_err(system)?;
    Ok(Deliveries { way, reports: Some(reports) })
}

fn waking(waker: Waker) -> impl Fn() + Send + Sync + 'static {
    move || {
        if let Err(error) = waker.wake() {
            tracing::error!(%error, "an event loop cannot be woken");
        }
    }
}

fn network(error: LoopError) -> Failure {
    let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    Failure::new(Exit::Network, format!("{error}{why}"))
}

fn system(error: io::Error) -> Failure {
    Failure::new(Exit::Failure, error)
}

/// Names the way out of damage: a backup, or a new beginning.
fn say_what_helps(error: StorageError) -> Failure {
    match error {
        StorageError::Damaged { .. } => Failure::new(
            Exit::Storage,
            format!("{error}; restore a backup, or start with --recover to move it aside"),
        ),
        other => other.into(),
    }
}

/// Carries out a command on the server's key.
///
/// # Errors
/// When there is no key, or it cannot be used.
pub fn key(config: &Config, command: KeyCommand) -> Result<(), Failure> {
    let directory = DataDir::existing(&config.server.data)?;
    match command {
        KeyCommand::Fingerprint => {
            let fingerprint = key::fingerprint(&directory)?;
            writeln!(io::stdout(), "{fingerprint}")
                .map_err(|error| Failure::new(Exit::Failure, format!("standard output: {error}")))
        }
    }
}

/// The first line on standard output, for whoever started the server with port 0.
fn say_where(address: std::net::SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {address}")?;
    out.flush()
}

/// Every connection is a descriptor: take all that the system grants.
fn raise_descriptor_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current < maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}
