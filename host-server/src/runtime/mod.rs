//! From a configuration to a server that serves.

mod admission;
mod bans;
mod channels;
mod configuration;
mod deliveries;
mod draining;
mod event_counts;
mod event_handler;
mod heard;
mod log;
mod offences;
mod origin;
mod own_addresses;
mod places;
mod prepared;
mod repeated;
mod requests;
mod rotation;
mod service_manager;
mod settings;
mod shards;
mod signals;
mod standby;
mod trial;
mod turn_times;

use std::io::ErrorKind::AddrInUse;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use waxwing_core::crypto::Digest;
use waxwing_core::id::UserId;
use waxwing_transport_mio::EventLoop;

use crate::admin::audit::AuditLog;
use crate::admin::commands::NO_SOCKET;
use crate::admin::commands::erase::{self, Finished};
use crate::admin::control::{Limits, Listener, Serve};
use crate::admin::http::{self, Endpoint, Watched};
use crate::backup::Shelf;
use crate::cli::RunArgs;
use crate::clock;
use crate::config::{Config, DeliveryKind, check_answers};
use crate::data_dir::DataDir;
use crate::descriptors;
use crate::exit::{Exit, Failure};
use crate::key::{self, Fingerprints};
use crate::logging;
use crate::store::Storage;
pub use bans::{BanCounts, Bans};
pub use channels::{Channels, Message, Route, ShardLines};
pub use configuration::{Configuration, Read, Reconfiguration, Reread, Standing, Takers, Turn};
pub use deliveries::Deliveries;
pub use draining::{Busy, Drain};
pub use event_counts::EventCounts;
pub use event_handler::{EventHandler, Links, StopNotice};
pub use heard::{Heard, Late, Stopped};
pub use offences::Offence;
pub use origin::{check as check_origin, check_key};
pub use own_addresses::{OwnAddresses, of_interfaces};
pub use places::check_as_owner;
use prepared::{Parts, Prepared};
pub use requests::{AboutRange, Administration, Request, ShardReport};
use rotation::Following;
pub use rotation::{Followers, Keys, Rotation};
use service_manager::ServiceManager;
pub use settings::machine;
pub use signals::until_a_signal;
pub use trial::{Tried, try_out};

/// Serves until a signal says stop. `read` reads the configuration again.
///
/// # Errors
/// When it cannot start, or storage fails.
pub fn run(config: &Config, args: &RunArgs, read: Read) -> Result<(), Failure> {
    let early = signals::Early::watch()?;
    let service_manager = ServiceManager::starting();
    // Before anything is made that would be left behind.
    places::check(config)?;
    if args.check {
        config.check_directories()?;
    }
    let connections = descriptors::places(descriptors::make_room());
    let directory = if config.server.allow_first_start {
        DataDir::create(&config.server.data)?
    } else {
        DataDir::existing(&config.server.data)?
    };
    let directory = directory.lock()?;
    logging::serve(&config.log);
    let place = standby::Place {
        config,
        directory: &directory,
        early: &early,
        service_manager: &service_manager,
        changes_key: args.new_key,
    };
    let mut wait = |storage, key| place.wait(storage, key);
    let origin = origin::open(config, args, &directory, &mut wait)?;
    let Some((identity, mut storage)) = origin else {
        tracing::info!(name: "stopped", "stopped");
        return Ok(());
    };
    if args.check {
        storage.check().map_err(Failure::of_storage)?;
        tracing::info!("the database was read from end to end, and is sound");
    }
    settle(&AuditLog::of(&directory), &mut *storage)?;
    let bans = Bans::new(storage.bans().map_err(Failure::of_storage)?, clock::unix_now());
    let key = key::digest(identity.spki());
    let prepared = Prepared::new(Parts {
        config,
        connections,
        directory: &directory,
        identity,
        storage,
        bans,
        read,
        watches_signals: true,
        stops: service_manager.stops(),
    })?;
    let Prepared { running, shards, signals, strangers, users } = prepared;
    tell_of(&strangers);
    if args.recover {
        compare_with_backup(config, &directory, key, users);
    }
    if let Some(remark) = config.registration.remark() {
        tracing::warn!(name: "nobody_can_register", "{remark}");
    }

    match config.otp.delivery {
        DeliveryKind::InBand => tracing::warn!(
            name: "codes_in_band",
            "one-time passwords go in band: whoever can reach this server, also through a proxy, \
             can register any phone number"
        ),
        DeliveryKind::Console => tracing::info!(
            "one-time passwords appear here, on standard error: tell each to whoever has the phone"
        ),
        DeliveryKind::Exec | DeliveryKind::Webhook => {}
    }
    signals::obey(early, signals, Arc::clone(&running))?;
    let control = serve_commands(config, running.clone())?;
    let watched = running.clone();
    let metrics = config.metrics.listen.map(|listen| serve_metrics(listen, watched)).transpose()?;
    if let Err(error) = say_where(&running.listening) {
        tracing::warn!(name: "standard_output_closed", %error, "standard output cannot be written to; serving all the same");
    }
    for address in &running.listening {
        tracing::info!(name: "listening", %address, "listening");
    }
    let (backups, canary) = (Arc::clone(&running.backups), Arc::clone(&running.canary));
    let audit = running.audit.clone();
    let schedule = backups.follow_clock().map_err(shards::system)?;
    let following: Following = running.rotation.follow_clock().map_err(shards::system)?;
    service_manager.serving(&running);
    let rounds = canary.follow_clock(move || _ = running.canary_round());
    let rounds = rounds.map_err(shards::system)?;
    shards.serve(|| {
        service_manager.closing();
        drop(schedule);
        drop(rounds);
        drop(following);
        backups.stop();
        drop(metrics);
        drop(control);
    })?;
    audit.note_end();
    tracing::info!(name: "stopped", "stopped");
    Ok(())
}

/// How long the addresses of a server that has just stopped listening may still be taken.
const STILL_TAKEN: Duration = Duration::from_secs(1);

/// What has a loop listen on these addresses again, on all of them or on none.
fn listen_again(
    registrar: &EventLoop,
    addresses: Vec<SocketAddr>,
    config: &Config,
) -> Box<dyn Fn() -> Result<(), Failure> + Send + Sync> {
    let (doors, transport) = (registrar.doors(), settings::transport(config, 0));
    let listen = move |address: SocketAddr| {
        let deadline = Instant::now() + STILL_TAKEN;
        loop {
            match waxwing_transport_mio::listen(address, &transport) {
                Err(error) if error.kind() == AddrInUse && Instant::now() < deadline => {
                    thread::sleep(STILL_TAKEN / 100);
                }
                Err(error) => {
                    let message = format!("{address} cannot be listened on: {error}");
                    return Err(Failure::new(Exit::Network, message));
                }
                Ok(listener) => return Ok(listener),
            }
        }
    };
    Box::new(move || {
        let listeners: Result<Vec<_>, _> = addresses.iter().map(|one| listen(*one)).collect();
        listeners?.into_iter().for_each(|listener| doors.open(listener));
        Ok(())
    })
}

/// Lets the operator's commands reach the server, if there is a place for their socket.
fn serve_commands(config: &Config, serve: Arc<dyn Serve>) -> Result<Option<Listener>, Failure> {
    let Some(path) = config.server.control_socket()? else {
        tracing::warn!(name: "control_socket_missing", "commands of the operator cannot reach this server: {NO_SOCKET}");
        return Ok(None);
    };
    let group = config.server.control_group_number()?;
    Listener::bind(&path, group, Limits::default(), serve).map(Some)
}

/// Lets everybody who reaches an address read numbers and health.
fn serve_metrics(listen: SocketAddr, watched: Arc<dyn Watched>) -> Result<Endpoint, Failure> {
    let endpoint = Endpoint::bind(listen, http::Limits::default(), watched)?;
    let address = endpoint.address();
    if address.ip().to_canonical().is_loopback() {
        tracing::info!(%address, "numbers and health can be read");
    } else {
        tracing::warn!(
            name: "metrics_public",
            %address,
            "numbers and health can be read by everybody who reaches this address (metrics.listen)"
        );
    }
    Ok(endpoint)
}

/// Ends what was begun before the last end of the server. A server whose audit log is not as it should be
/// serves all the same; what an operator would change is refused until the log can be written again.
fn settle(audit: &AuditLog, storage: &mut dyn Storage) -> Result<(), Failure> {
    let Finished { users, unknown, unfinished, unread } =
        erase::finish(audit, storage).map_err(Failure::of_storage)?;
    if users > 0 {
        tracing::info!(
            users,
            "what was left of removed users is erased; that was begun before the last end of the server"
        );
    }
    for error in unfinished {
        tracing::error!(
            name: "erasure_unfinished",
            %error,
            "what is left of a removed user could not be erased: the next start tries again"
        );
    }
    let settled = audit.settle(clock::unix_now());
    match unread.map_or(settled, Err).map(|acts| acts + unknown) {
        Ok(0) => {}
        Ok(acts) => tracing::warn!(
            name: "acts_unknown",
            acts,
            "nobody can say whether acts of an operator were done: `waxwing-server audit show` says which"
        ),
        Err(error) => tracing::error!(
            name: "audit_log_unusable",
            %error,
            "the audit log cannot be used: commands that change something will be refused"
        ),
    }
    Ok(())
}

/// After a recovery: a backup may have users who could not be read.
fn compare_with_backup(config: &Config, directory: &DataDir, key: Digest, users: usize) {
    let Some(shelf) = Shelf::of(config).filter(|shelf| check_answers(shelf.directory()).is_ok())
    else {
        return;
    };
    let newest = Fingerprints::read(directory, key).and_then(|keys| shelf.newest_of(&keys));
    let Ok(Some((file, manifest))) = newest else { return };
    if manifest.users > users as u64 {
        tracing::warn!(
            name: "backup_has_more_users",
            backup = %file.display(),
            made = %manifest.made,
            in_backup = manifest.users,
            users,
            "the newest backup has users who are not in the recovered database: stop the server, and either run \
             `waxwing-server backup restore {}`, which brings the backup in place of this database, or have these \
             users register again",
            file.display()
        );
    }
}

/// Users may have registered phones that belong to the server now.
fn tell_of(strangers: &[UserId]) {
    const SHOWN: usize = 10;
    if strangers.is_empty() {
        return;
    }
    let ids: Vec<_> = strangers.iter().take(SHOWN).map(|user| user.get()).collect();
    tracing::warn!(
        name: "reserved_phones_taken",
        users = strangers.len(), ?ids,
        "users have phones that begin with +999, and keys that the canary does not know: nobody can find them \
         or write to them, and the canary removes those that have its two phones. After a restore these are the \
         canary's own accounts of before, and nothing has to be done; where servers share a database they are \
         those of another server, and canary-sender.key.pem and canary-recipient.key.pem have to be the same in \
         all data directories; else ask these people to register another \
         phone. `waxwing-server users list` shows them as canary"
    );
}

/// The first lines on standard output, for whoever started the server with port 0.
fn say_where(addresses: &[SocketAddr]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for address in addresses {
        writeln!(out, "listening on {address}")?;
    }
    out.flush()
}
