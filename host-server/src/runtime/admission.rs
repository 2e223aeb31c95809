//! Which new connections are served.

use std::net::SocketAddr;
use std::time::Duration;

use waxwing_core::server::Room;
use waxwing_core::time::{Instant, UnixTime};
use waxwing_transport_mio::Load;

use super::bans::Bans;
use super::requests::BanList;
use crate::config::{AddressRange, Config};

pub(super) struct Admission {
    proxies: Vec<AddressRange>,
    exempt: Vec<AddressRange>,
    per_prefix: usize,
    bans: Bans,
    told_at: Option<Instant>,
}

impl Admission {
    /// How often the operator hears that a prefix has all the connections that it may have.
    const TOLD_EVERY: Duration = Duration::from_hours(1);

    pub(super) fn new(config: &Config, bans: Bans) -> Self {
        Self {
            proxies: config.server.proxies.clone(),
            exempt: config.limits.exempt.clone(),
            per_prefix: config.limits.connections_per_prefix as usize,
            bans,
            told_at: None,
        }
    }

    /// Whether a peer says whose its connections are.
    pub(super) fn is_proxy(&self, peer: SocketAddr) -> bool {
        self.proxies.iter().any(|range| range.contains(peer.ip()))
    }

    /// Another configuration, for those who come from now on.
    pub(super) fn configure(&mut self, config: &Config) {
        let bans = std::mem::take(&mut self.bans);
        *self = Self { told_at: self.told_at, ..Self::new(config, bans) };
    }

    pub(super) fn is_exempt(&self, peer: SocketAddr) -> bool {
        self.exempt.iter().any(|range| range.contains(peer.ip()))
    }

    pub(super) const fn bans(&mut self) -> &mut Bans {
        &mut self.bans
    }

    /// The bans, and whom none should concern.
    pub(super) fn ban_list(&mut self, now: UnixTime) -> BanList {
        let spared = [&self.exempt[..], &self.proxies].concat();
        BanList { bans: self.bans.all(now), spared }
    }

    /// Whether a new connection is served beside those that are there. Prefixes that have many
    /// leave some of the last places to those that have none.
    pub(super) fn admits(&mut self, peer: SocketAddr, load: Load, now: Instant) -> bool {
        let places = Room { capacity: load.places as u64, taken: load.total as u64 };
        let fits =
            load.from_network < self.per_prefix && places.has_room(load.from_network as u64, 1);
        if fits || self.is_exempt(peer) {
            return true;
        }
        self.tell(peer, load, now);
        false
    }

    fn tell(&mut self, peer: SocketAddr, load: Load, now: Instant) {
        if self.told_at.is_some_and(|at| now.since(at) < Self::TOLD_EVERY) {
            return;
        }
        self.told_at = Some(now);
        let Load { from_network, total, places } = load;
        tracing::warn!(
            name: "connections_refused",
            address = %peer.ip(), from_prefix = from_network, total, places,
            "connections are refused: their address prefix has as many as it may \
             (limits.connections_per_prefix, and less when few places are left)"
        );
    }
}
