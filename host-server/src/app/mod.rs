//! The wiring of event loop, server machine and storage thread.

mod log;
mod office;
mod recovery;
mod settings;

use std::error::Error as _;
use std::io::{self, Write};
use std::sync::mpsc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use waxwing_core::server::Server;
use waxwing_transport_mio::EventLoop;

use crate::backend::Backend;
use crate::cli::{KeyCommand, RunArgs};
use crate::clock;
use crate::config::{Config, DeliveryKind};
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};
use crate::key;
use crate::otp;
use crate::store::{
    SqliteOptions, SqliteStorage, Storage, StorageError, StorageThread, ThreadOptions,
};
use office::Office;

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

    let network = |error: waxwing_transport_mio::Error| {
        let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        Failure::new(Exit::Network, format!("{error}{why}"))
    };
    let mut events = EventLoop::new(settings::transport(config)).map_err(network)?;
    events.watch_signals().map_err(network)?;
    let address = events.listen(config.server.listen).map_err(network)?;

    let system = |error: io::Error| Failure::new(Exit::Failure, error);
    let (done, completions) = mpsc::channel();
    let (report, reports) = mpsc::channel();
    let waker = events.waker();
    let wake = move || {
        if let Err(error) = waker.wake() {
            tracing::error!(%error, "the event loop cannot be woken");
        }
    };
    let wake_after_report = wake.clone();
    let delivery = otp::delivery(
        &config.otp,
        std::sync::Arc::new(move |ticket, result| {
            // Both ends live as long as the server.
            let _ = report.send((ticket, result));
            wake_after_report();
        }),
    )
    .map_err(system)?;
    let thread_options =
        ThreadOptions { idle: config.storage.tidy_after, ..ThreadOptions::default() };
    let storage =
        StorageThread::spawn(Box::new(storage), thread_options, done, wake).map_err(system)?;

    if config.otp.delivery == DeliveryKind::InBand {
        tracing::warn!("one-time passwords go in band: nobody's phone number is verified");
    }
    say_where(address).map_err(system)?;
    tracing::info!(%address, "listening");

    let server = Server::new(Backend::default(), identity, settings::machine(config), snapshot);
    let mut office = Office::new(server, config, storage, completions, delivery, reports);
    let served = events.run(&mut office).map_err(network);
    let (storage, fatal) = office.into_parts();
    let closed = storage.shut_down();
    if let Some(why) = fatal {
        return Err(Failure::new(Exit::Storage, format!("storage failed: {why}")));
    }
    served?;
    closed?;
    tracing::info!("stopped");
    Ok(())
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
