//! A server that has its data, its loops and its addresses, and does not serve yet.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use waxwing_core::id::UserId;
use waxwing_core::server::Identity;
use waxwing_core::time::UnixTime;
use waxwing_transport_mio::{EventLoop, Signal};

use super::bans::Bans;
use super::configuration::{Configuration, Read};
use super::event_handler::StopNotice;
use super::rotation::{Followers, Keys, Rotation};
use super::shards::{Shards, network};
use super::{listen_again, settings};
use crate::admin::audit::AuditLog;
use crate::admin::files::Files;
use crate::admin::reports::Reports;
use crate::admin::running::Running;
use crate::backend::Backend;
use crate::backup::Backups;
use crate::canary::{self, Canary};
use crate::clock;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};
use crate::key::{self, Fingerprints, Planned};
use crate::store::Engine;

/// What a server is made of.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    /// So many connections have room.
    pub(super) connections: usize,
    pub(super) directory: &'a DataDir,
    pub(super) identity: Identity<Backend>,
    pub(super) storage: Box<dyn Engine>,
    /// Who is not served.
    pub(super) bans: Bans,
    /// Reads the configuration again.
    pub(super) read: Read,
    /// Whether signals are for this server.
    pub(super) watches_signals: bool,
    /// Hears that the server begins to stop.
    pub(super) stops: StopNotice,
}

/// A server that can serve.
pub(super) struct Prepared {
    pub(super) running: Arc<Running>,
    pub(super) shards: Shards,
    /// Signals that do not ask the process to end.
    pub(super) signals: Receiver<Signal>,
    /// Users with phones like those of the canary, who are not the canary.
    pub(super) strangers: Vec<UserId>,
    /// How many users there are, without accounts of the server itself.
    pub(super) users: usize,
}

impl Prepared {
    /// Loads the data, and listens.
    pub(super) fn new(parts: Parts<'_>) -> Result<Self, Failure> {
        let Parts { config, connections, directory, mut identity, mut storage, bans, .. } = parts;
        let snapshot = storage.load(rested(config.storage.id_rest)).map_err(Failure::of_storage)?;
        let users = snapshot.users.iter().filter(|user| !user.phone.is_reserved()).count();
        tracing::info!(users, "data loaded");
        let strangers = canary::strangers(directory.path(), &snapshot.users);
        let own_key = key::digest(identity.spki());
        let fingerprints = Fingerprints::read(directory, own_key)?;
        let backups = Arc::new(Backups::new(config, fingerprints, storage.copier()));
        let planned = key::planned(directory, &own_key)?;
        identity.announce(planned.as_ref().map(Planned::successor));
        let next = planned.map(|planned| (planned.fingerprint(), planned.effective));
        let keys = Keys { own: own_key, next, trouble: None };
        let canary = Arc::new(Canary::new(config, identity.spki().clone()));

        let mut loops = Vec::new();
        for _ in 0..config.server.loops {
            loops.push(EventLoop::new(settings::transport(config, connections)).map_err(network)?);
        }
        let registrar = loops.first_mut().ok_or_else(|| Failure::new(Exit::Config, "no loops"))?;
        if parts.watches_signals {
            registrar.watch_signals().map_err(network)?;
        }
        let mut listening = Vec::new();
        for address in &config.server.listen {
            listening.push(registrar.listen(*address).map_err(network)?);
        }
        let listen_again = listen_again(registrar, listening.clone(), config);
        let (sender, signals) = channel();
        let notices = (&sender, &parts.stops);
        let shards = Shards::new(config, &identity, (storage, &bans), &snapshot, loops, notices)?;
        let (lines, identities) = (shards.lines(), shards.identities());
        let audit = AuditLog::of(directory);
        let followers = Followers {
            canary: Arc::clone(&canary),
            backups: Arc::clone(&backups),
            storage: shards.inspector(),
            audit: audit.clone(),
        };
        let rotation = Rotation::new(directory.clone(), keys, lines, identities, followers);
        let running = Arc::new(Running {
            shards: shards.lines(),
            reports: Reports::default(),
            storage: shards.inspector(),
            storage_patience: Running::STORAGE_PATIENCE,
            files: Files::of(directory, audit.clone()),
            audit,
            rotation: Arc::new(rotation),
            backups,
            canary,
            configuration: Configuration::new(parts.read, config.clone(), shards.report()),
            data: directory.path().to_owned(),
            listening,
            listen_again,
            drained_by: Mutex::default(),
            since: clock::unix_now(),
            started: Instant::now(),
        });
        Ok(Self { running, shards, signals, strangers, users })
    }
}

/// Ids that rest have rested when they do so since before this moment.
fn rested(id_rest: Duration) -> UnixTime {
    let id_rest = i64::try_from(id_rest.as_secs()).unwrap_or(i64::MAX);
    clock::unix_now().shifted(id_rest.saturating_neg())
}
