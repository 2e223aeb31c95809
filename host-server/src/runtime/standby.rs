//! A server that stands by: another one serves from the storage that both can reach.
//!
//! It does not listen, so whoever tries it is refused at once and tries another. But it has taken its
//! addresses: none of them is missing when its turn comes.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with, sockopt};
use waxwing_core::crypto::Digest;
use waxwing_core::time::Instant;

use super::service_manager::ServiceManager;
use super::signals::Early;
use super::{serve_commands, serve_metrics};
use crate::admin::control::Listener;
use crate::admin::http::Endpoint;
use crate::admin::standby::StandingBy;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};
use crate::key::{self, Fingerprints};
use crate::store::{Engine, Looked, Standby};

/// What a server has that may have to wait.
pub(super) struct Place<'a> {
    pub(super) config: &'a Config,
    pub(super) directory: &'a DataDir,
    pub(super) early: &'a Early,
    pub(super) service_manager: &'a ServiceManager,
    /// It gives the database another key.
    pub(super) changes_key: bool,
}

const OTHER_SERVES: &str = "another server serves from the database, and --new-key changes the key of all of them: \
    stop all of them first, and copy the new server.key.pem to their data directories afterwards";

/// How often the key of the server that serves is looked at.
const KEY_LOOK: Duration = Duration::from_secs(10);

/// What others see of a server that waits.
struct Doors {
    standing_by: Arc<StandingBy>,
    /// When the key of the server that serves is looked at again.
    key_look_at: Instant,
    _addresses: Vec<OwnedFd>,
    _control: Option<Listener>,
    _metrics: Option<Endpoint>,
}

impl Place<'_> {
    /// Waits until it is the turn of this server, which has this key. `None`: the process was asked to end.
    pub(super) fn wait(
        &self,
        storage: Box<dyn Standby>,
        key: Option<Digest>,
    ) -> Result<Option<Box<dyn Engine>>, Failure> {
        let waited = self.early.in_order(|| self.look_again_and_again(storage, key))?;
        match waited {
            // Somebody has asked for it in the last moment.
            Some(storage) if self.early.is_to_end(Duration::ZERO) => storage.close()?,
            waited => return Ok(waited),
        }
        Ok(None)
    }

    fn look_again_and_again(
        &self,
        mut storage: Box<dyn Standby>,
        key: Option<Digest>,
    ) -> Result<Option<Box<dyn Engine>>, Failure> {
        let clock = SystemClock::start();
        let now = || clock.now().instant;
        // The lease of one that is dead is over by then.
        let patience = now().after(3 * self.config.cluster.lease);
        let mut doors: Option<Doors> = None;
        loop {
            storage = match storage.look(now())? {
                Looked::Ours(storage) => {
                    tracing::info!(name: "lease_taken", "this server has the lease of the database, and serves");
                    return Ok(Some(storage));
                }
                Looked::Waits(storage) => storage,
            };
            if self.changes_key {
                if now() >= patience {
                    return Err(match storage.trouble() {
                        Some(why) => Failure::new(
                            Exit::Network,
                            format!("the lease of the database cannot be taken: {why}"),
                        ),
                        None => Failure::new(Exit::Key, OTHER_SERVES),
                    });
                }
                if self.early.is_to_end(storage.poll_timeout().since(now())) {
                    return Ok(None);
                }
                continue;
            }
            let doors = match &mut doors {
                Some(doors) => doors,
                none => none.insert(self.stand_by(key, now())?),
            };
            let trouble = storage.trouble();
            if doors.standing_by.note_trouble(trouble)
                && let Some(why) = trouble
            {
                tracing::warn!(name: "cannot_take_over", %why, "this server could not take over; if another one serves, that is no matter");
            }
            if now() >= doors.key_look_at {
                doors.key_look_at = now().after(KEY_LOOK);
                self.look_at_key(&mut *storage, key, &doors.standing_by);
            }
            self.early.reopen_log();
            if self.early.is_to_end(storage.poll_timeout().since(now())) {
                return Ok(None);
            }
        }
    }

    /// Whether this server could take over with its key. A change of the key may not have reached it.
    fn look_at_key(
        &self,
        storage: &mut dyn Standby,
        own: Option<Digest>,
        standing_by: &StandingBy,
    ) {
        // Where the database does not answer, there is more to worry about.
        let (Some(own), Ok(Some(found))) = (own, storage.server_key()) else { return };
        let other = Some(found).filter(|found| !self.can_follow(found, own));
        let is_news = standing_by.note_other_key(other);
        if let Some(found) = other.filter(|_| is_news) {
            tracing::error!(
                name: "standby_has_other_key", ?own, ?found,
                "the server that serves has another key than this one, which cannot take over: copy its \
                 server.key.pem here, and start this one again"
            );
        }
    }

    /// Whether a server with the key `own` can take over from one that has the key `found`: it had that one
    /// before, or gets it at its moment.
    fn can_follow(&self, found: &Digest, own: Digest) -> bool {
        let is_former = || {
            Fingerprints::read(self.directory, own).is_ok_and(|known| known.former.contains(found))
        };
        let is_planned = || {
            let planned = key::planned(self.directory, &own);
            planned.is_ok_and(|planned| planned.is_some_and(|next| next.fingerprint() == *found))
        };
        *found == own || is_former() || is_planned()
    }

    fn stand_by(&self, key: Option<Digest>, now: Instant) -> Result<Doors, Failure> {
        let Self { config, directory, service_manager, .. } = self;
        let addresses = config.server.listen.iter().map(take).collect::<Result<_, _>>()?;
        let standby = Arc::new(StandingBy::new(directory, key));
        let control = serve_commands(config, standby.clone())?;
        let metrics = config.metrics.listen.map(|listen| serve_metrics(listen, standby.clone()));
        let doors = Doors {
            standing_by: standby,
            key_look_at: now,
            _addresses: addresses,
            _control: control,
            _metrics: metrics.transpose()?,
        };
        tracing::info!(name: "stands_by", "another server serves from the database; this one stands by");
        service_manager.stands_by();
        Ok(doors)
    }
}

/// A socket that has this address, and does not listen.
fn take(address: &SocketAddr) -> Result<OwnedFd, Failure> {
    // One that may share an address takes it from nobody who may, too. Where connections of an earlier server
    // have just ended, it is the only one that there is.
    bound(address, false).or_else(|_| bound(address, true)).map_err(|error| {
        let message = format!("{address} cannot be had: {error}; is a server running there?");
        Failure::new(Exit::Network, message)
    })
}

fn bound(address: &SocketAddr, shares: bool) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(&socket, shares)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, address)?;
    Ok(socket)
}
