//! Which new connections are served, and from where none is served any more.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use waxwing_core::server::Room;
use waxwing_core::time::{Instant, UnixTime};
use waxwing_transport_mio::Load;

use super::bans::Bans;
use super::offences::{Offence, Offences};
use super::own_addresses::OwnAddresses;
use super::repeated::Repeated;
use super::requests::AboutRange;
use crate::config::{AddressRange, Config};
use crate::store::Ban;

pub(super) struct Admission {
    proxies: Vec<AddressRange>,
    exempt: Vec<AddressRange>,
    /// The machine itself, as far as the configuration knows it.
    own: Vec<AddressRange>,
    /// And as far as the system does: whoever listens on all networks has named none of its addresses.
    own_addresses: OwnAddresses,
    per_prefix: usize,
    bans: Bans,
    /// So many offences from one source end in a ban, if any number does.
    ban_after: u32,
    ban_for: Duration,
    /// At the registrar: those of all shards.
    offences: Offences,
    told_at: Option<Instant>,
    /// Bans that were not set because there are as many as may be.
    too_many_bans: Repeated,
}

impl Admission {
    /// How often the operator hears that a prefix has all the connections that it may have.
    const TOLD_EVERY: Duration = Duration::from_hours(1);

    pub(super) fn new(config: &Config, bans: Bans, own_addresses: OwnAddresses) -> Self {
        Self {
            proxies: config.server.proxies.clone(),
            exempt: config.limits.exempt.clone(),
            own: own(config),
            own_addresses,
            per_prefix: config.limits.connections_per_prefix as usize,
            bans,
            ban_after: config.limits.ban_after,
            ban_for: config.limits.ban_for,
            offences: Offences::default(),
            told_at: None,
            too_many_bans: Repeated::default(),
        }
    }

    /// Whether a peer says whose its connections are.
    pub(super) fn is_proxy(&self, peer: SocketAddr) -> bool {
        self.proxies.iter().any(|range| range.contains(peer.ip()))
    }

    /// Another configuration, for those who come from now on.
    pub(super) fn configure(&mut self, config: &Config) {
        self.proxies.clone_from(&config.server.proxies);
        self.exempt.clone_from(&config.limits.exempt);
        self.per_prefix = config.limits.connections_per_prefix as usize;
        self.ban_for = config.limits.ban_for;
        self.ban_after = config.limits.ban_after;
        if self.ban_after == 0 {
            self.offences.clear();
        }
    }

    pub(super) fn is_exempt(&self, peer: SocketAddr) -> bool {
        self.exempt.iter().any(|range| range.contains(peer.ip()))
    }

    /// Whether offences from an address may end in a ban. It would be one of all that count together, so
    /// never do those that come from beside this machine, behind whose addresses may be anybody, or from
    /// beside whom the configuration trusts.
    pub(super) fn counts(&self, address: IpAddr) -> bool {
        let mut spared = self.own.iter().chain(&self.exempt).chain(&self.proxies);
        let source = Offences::source(address);
        self.ban_after > 0 && !spared.any(|range| range.overlaps(source))
    }

    /// Somebody at this address has offended again. The ban with which that ends, if it does; it is among
    /// those of this shard already.
    pub(super) fn offended(
        &mut self,
        address: IpAddr,
        what: Offence,
        (now, unix): (Instant, UnixTime),
    ) -> Option<Ban> {
        // What was under way when it was banned does not count.
        if !self.counts(address) || self.bans.has(address, unix) {
            return None;
        }
        let source = Offences::source(address);
        let tally = self.offences.count(source, what, now);
        if tally.total() < self.ban_after {
            return None;
        }
        // They change while the server runs, so they are looked at when it matters.
        if (self.own_addresses)().into_iter().any(|own| source.contains(own)) {
            self.offences.forget(source);
            return None;
        }
        if self.bans.counts(unix).automatic >= Bans::MOST {
            if let Some(times) = self.too_many_bans.again(now) {
                tracing::warn!(
                    name: "too_many_bans",
                    times,
                    "an address is not banned, because the server has banned as many as it may at a time: \
                     ban wider ranges with `waxwing-server ban add`"
                );
            }
            return None;
        }
        self.offences.forget(source);
        let lasts = i64::try_from(self.ban_for.as_secs()).unwrap_or(i64::MAX);
        let ban = Ban {
            range: source,
            since: unix,
            until: Some(unix.shifted(lasts)),
            is_automatic: true,
            reason: tally.to_string(),
        };
        self.bans.add(ban.clone());
        Some(ban)
    }

    /// A range is served again, and whoever is there begins anew.
    pub(super) fn end_ban(&mut self, range: AddressRange) {
        self.bans.remove(range);
        self.offences.forget(range);
    }

    pub(super) const fn bans(&mut self) -> &mut Bans {
        &mut self.bans
    }

    /// What is to be known before this range is banned, or its ban ends.
    pub(super) fn about(&mut self, range: AddressRange, now: UnixTime) -> AboutRange {
        AboutRange {
            ban: self.bans.of(range, now),
            counts: self.bans.counts(now),
            spared: [&self.exempt[..], &self.proxies].concat(),
        }
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

/// From where this machine connects with itself: from the loopback, and from the addresses on which the
/// server listens. One that listens on every network is reached over the loopback.
fn own(config: &Config) -> Vec<AddressRange> {
    let loopback = [
        AddressRange::new(Ipv4Addr::LOCALHOST.into(), 8),
        AddressRange::new(Ipv6Addr::LOCALHOST.into(), 128),
    ];
    let listens = config.server.listen.iter().map(|address| address.ip().to_canonical());
    let named = listens.filter(|address| !address.is_unspecified());
    let named =
        named.map(|address| AddressRange::new(address, if address.is_ipv6() { 128 } else { 32 }));
    loopback.into_iter().chain(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: (Instant, UnixTime) = (Instant::from_millis(0), UnixTime::from_seconds(1_000));

    fn config(ban_after: u32) -> Config {
        let mut config = Config::default();
        config.limits.ban_after = ban_after;
        config.limits.exempt = vec!["10.0.0.0/8".parse().unwrap()];
        config.server.proxies = vec!["192.0.2.200".parse().unwrap()];
        config
    }

    fn offended(admission: &mut Admission, address: &str) -> Option<Ban> {
        admission.offended(address.parse().unwrap(), Offence::BadSignature, NOW)
    }

    #[test]
    fn the_hundredth_offence_of_a_hundred_bans() {
        let mut admission = Admission::new(&config(100), Bans::default(), Vec::new);
        for _ in 0..99 {
            assert_eq!(offended(&mut admission, "2001:db8::1"), None);
        }
        let ban = offended(&mut admission, "2001:db8::2").unwrap();
        assert_eq!((ban.range.to_string().as_str(), ban.is_automatic), ("2001:db8::/64", true));
        assert_eq!((ban.since, ban.until), (NOW.1, Some(NOW.1.shifted(3_600))));
        assert!(admission.bans().has("2001:db8::3".parse().unwrap(), NOW.1));
        // What was under way neither bans again nor counts.
        assert_eq!(offended(&mut admission, "2001:db8::1"), None);
        admission.end_ban(ban.range);
        for _ in 0..99 {
            assert_eq!(offended(&mut admission, "2001:db8::1"), None);
        }
        assert!(offended(&mut admission, "2001:db8::1").is_some());
    }

    #[test]
    fn whom_the_configuration_trusts_and_the_machine_itself_are_not_counted() {
        let mut admission = Admission::new(&config(1), Bans::default(), Vec::new);
        for address in ["10.1.2.3", "192.0.2.200", "127.0.0.1", "::1"] {
            assert_eq!(offended(&mut admission, address), None, "{address}");
        }
        assert!(offended(&mut admission, "192.0.2.201").is_some());
        admission.configure(&config(0));
        assert_eq!(offended(&mut admission, "192.0.2.202"), None);
    }

    #[test]
    fn nobody_is_banned_whose_ban_would_be_one_of_an_address_that_is_spared() {
        let mut config = config(1);
        config.limits.exempt = vec!["2001:db8:1:2::10".parse().unwrap()];
        config.server.proxies = vec!["2001:db8:1:3::10".parse().unwrap()];
        config.server.listen = ["203.0.113.5:9295", "[2001:db8:1:4::10]:9295", "[::]:9296"]
            .map(|address| address.parse().unwrap())
            .to_vec();
        let mut admission = Admission::new(&config, Bans::default(), Vec::new);
        for address in [
            "2001:db8:1:2::99",
            "2001:db8:1:3::99",
            "2001:db8:1:4::99",
            "203.0.113.5",
            "::ffff:203.0.113.5",
            "::ffff:127.0.0.1",
        ] {
            assert_eq!(offended(&mut admission, address), None, "{address}");
        }
        for address in ["2001:db8:1:5::99", "203.0.113.6"] {
            assert!(offended(&mut admission, address).is_some(), "{address}");
        }
        // What is listened on changes with a start, and who is trusted at once.
        config.limits.exempt.clear();
        config.server.listen.clear();
        admission.configure(&config);
        assert!(offended(&mut admission, "2001:db8:1:2::99").is_some());
        assert_eq!(offended(&mut admission, "203.0.113.5"), None);
    }

    #[test]
    fn the_machine_is_not_banned_where_it_listens_on_all_networks() {
        let mut config = config(2);
        config.server.listen = vec!["[::]:9295".parse().unwrap()];
        let own = || ["203.0.113.5", "2001:db8:1:2::10"].map(|own| own.parse().unwrap()).to_vec();
        let mut admission = Admission::new(&config, Bans::default(), own);
        for address in ["203.0.113.5", "2001:db8:1:2::10", "2001:db8:1:2::99"] {
            for _ in 0..10 {
                assert_eq!(offended(&mut admission, address), None, "{address}");
            }
        }
        for address in ["203.0.113.6", "2001:db8:1:3::10"] {
            assert_eq!(offended(&mut admission, address), None, "{address}");
            assert!(offended(&mut admission, address).is_some(), "{address}");
        }
    }

    #[test]
    fn another_number_counts_from_the_next_offence_on() {
        let mut admission = Admission::new(&config(100), Bans::default(), Vec::new);
        for _ in 0..50 {
            assert_eq!(offended(&mut admission, "192.0.2.1"), None);
        }
        admission.configure(&config(1_000));
        assert_eq!(offended(&mut admission, "192.0.2.1"), None);
        admission.configure(&config(10));
        assert!(offended(&mut admission, "192.0.2.1").is_some());
        // Whoever is banned stays so.
        admission.configure(&config(0));
        assert!(admission.bans().has("192.0.2.1".parse().unwrap(), NOW.1));
        // What was counted before it was off does not count when it is on again.
        admission.configure(&config(2));
        assert_eq!(offended(&mut admission, "192.0.2.2"), None);
        admission.configure(&config(0));
        admission.configure(&config(2));
        assert_eq!(offended(&mut admission, "192.0.2.2"), None);
        assert!(offended(&mut admission, "192.0.2.2").is_some());
    }

    #[test]
    fn there_are_ten_thousand_automatic_bans_at_most_and_an_operator_can_set_more() {
        let mut admission = Admission::new(&config(1), Bans::default(), Vec::new);
        for n in 0..Bans::MOST as u32 {
            let address = IpAddr::from((0x0b00_0000 + n).to_be_bytes());
            assert!(admission.offended(address, Offence::Malformed, NOW).is_some());
        }
        assert_eq!(offended(&mut admission, "192.0.2.1"), None);
        let counts = admission.bans().counts(NOW.1);
        assert_eq!((counts.automatic, counts.by_operator), (Bans::MOST, 0));
        // An hour later they are over.
        let later = (NOW.0, NOW.1.shifted(3_600));
        let address = "192.0.2.1".parse().unwrap();
        assert!(admission.offended(address, Offence::Malformed, later).is_some());
    }
}
