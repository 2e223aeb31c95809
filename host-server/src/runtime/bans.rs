//! Addresses from which nobody is served. The time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;

use waxwing_core::time::UnixTime;

use crate::config::AddressRange;
use crate::store::Ban;

/// All bans, by range.
#[derive(Clone, Debug, Default)]
pub struct Bans {
    by_range: BTreeMap<AddressRange, Ban>,
    /// How many ranges there are of each family (`true` for IPv6) and length, so that an address is
    /// looked up once for each length.
    lengths: BTreeMap<(bool, u8), usize>,
    ends: BTreeSet<(UnixTime, AddressRange)>,
    counts: BanCounts,
}

/// How many bans there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BanCounts {
    /// Those that an operator has set.
    pub by_operator: usize,
    /// Those that the server has set by itself.
    pub automatic: usize,
}

impl BanCounts {
    const fn of(&mut self, ban: &Ban) -> &mut usize {
        if ban.is_automatic { &mut self.automatic } else { &mut self.by_operator }
    }
}

impl Bans {
    /// How many there may be of an operator, and how many by the server itself.
    pub const MOST: usize = 10_000;
    /// Bans in a page, at most: nobody waits long until a loop has copied them.
    pub const IN_A_PAGE: usize = 500;

    /// With these, as far as they are not over.
    #[must_use]
    pub fn new(bans: Vec<Ban>, now: UnixTime) -> Self {
        let mut all = Self::default();
        for ban in bans.into_iter().filter(|ban| !ban.is_over(now)) {
            all.add(ban);
        }
        all
    }

    /// One more, in the place of one of the same range.
    pub fn add(&mut self, ban: Ban) {
        self.remove(ban.range);
        *self.lengths.entry(length(ban.range)).or_default() += 1;
        *self.counts.of(&ban) += 1;
        self.ends.extend(ban.until.map(|until| (until, ban.range)));
        self.by_range.insert(ban.range, ban);
    }

    /// Ends the ban of a range. Whether there was one.
    pub fn remove(&mut self, range: AddressRange) -> bool {
        let Some(ban) = self.by_range.remove(&range) else { return false };
        *self.counts.of(&ban) -= 1;
        if let Some(until) = ban.until {
            self.ends.remove(&(until, range));
        }
        let length = length(range);
        if let Some(count) = self.lengths.get_mut(&length) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&length);
            }
        }
        true
    }

    /// Whether an address is banned.
    pub fn has(&mut self, address: IpAddr, now: UnixTime) -> bool {
        self.expire(now);
        let address = address.to_canonical();
        let lengths = self.lengths.range((address.is_ipv6(), 0)..=(address.is_ipv6(), u8::MAX));
        let mut ranges = lengths.map(|((_, bits), _)| AddressRange::new(address, *bits).network());
        ranges.any(|range| self.by_range.contains_key(&range))
    }

    /// Some that are not over, behind that of this range or from the first on, in the order of their addresses;
    /// and whether there are more behind them.
    pub fn page(&mut self, after: Option<AddressRange>, now: UnixTime) -> (Vec<Ban>, bool) {
        self.expire(now);
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut behind = self.by_range.range((after, Bound::Unbounded)).map(|(_, ban)| ban);
        let page = behind.by_ref().take(Self::IN_A_PAGE).cloned().collect();
        (page, behind.next().is_some())
    }

    /// The ban of exactly this range.
    pub fn of(&mut self, range: AddressRange, now: UnixTime) -> Option<Ban> {
        self.expire(now);
        self.by_range.get(&range).cloned()
    }

    /// How many are not over.
    pub fn counts(&mut self, now: UnixTime) -> BanCounts {
        self.expire(now);
        self.counts
    }

    fn expire(&mut self, now: UnixTime) {
        while let Some((_, range)) = self.ends.first().filter(|(until, _)| *until <= now) {
            self.remove(*range);
        }
    }
}

fn length(range: AddressRange) -> (bool, u8) {
    (range.is_ipv6(), range.bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(1_000);

    fn ban(range: &str, until: Option<i64>) -> Ban {
        Ban {
            range: range.parse::<AddressRange>().unwrap().network(),
            since: NOW,
            until: until.map(UnixTime::from_seconds),
            is_automatic: false,
            reason: String::new(),
        }
    }

    fn has(bans: &mut Bans, address: &str, at: i64) -> bool {
        bans.has(address.parse().unwrap(), UnixTime::from_seconds(at))
    }

    #[test]
    fn an_address_is_banned_when_a_range_of_any_length_has_it() {
        let ranges = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.0/120"];
        let mut bans = Bans::new(ranges.map(|range| ban(range, None)).into(), NOW);
        for (address, is_banned) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.6", false),
            ("::ffff:192.0.2.7", true),
            ("2001:db8:7::1", true),
            ("2001:db9::1", false),
            ("198.51.100.9", true),
            ("::1", false),
        ] {
            assert_eq!(has(&mut bans, address, 1_000), is_banned, "{address}");
        }
        let mut all = Bans::new(vec![ban("0.0.0.0/0", None)], NOW);
        assert!(has(&mut all, "203.0.113.1", 0) && !has(&mut all, "::1", 0));
    }

    #[test]
    fn a_ban_ends_by_itself_and_leaves_the_wider_one() {
        let mut bans = Bans::new(vec![ban("10.0.0.0/8", Some(2_000))], NOW);
        bans.add(ban("10.1.0.0/16", Some(1_500)));
        bans.add(ban("192.0.2.0/24", Some(1_500)));
        assert_eq!(bans.counts(UnixTime::from_seconds(1_499)).by_operator, 3);
        assert!(has(&mut bans, "192.0.2.1", 1_499) && !has(&mut bans, "192.0.2.1", 1_500));
        assert!(has(&mut bans, "10.1.0.1", 1_999) && !has(&mut bans, "10.1.0.1", 2_000));
        assert!(bans.page(None, UnixTime::from_seconds(2_000)).0.is_empty());
        assert!(bans.lengths.is_empty() && bans.ends.is_empty());
        // One that is over from the beginning is none.
        let mut none = Bans::new(vec![ban("10.0.0.0/8", Some(1_000))], NOW);
        assert_eq!(none.counts(NOW), BanCounts::default());
    }

    #[test]
    fn bans_are_listed_page_by_page_in_the_order_of_their_addresses() {
        let all: Vec<_> = (0..1_200).map(|n| format!("10.0.{}.{}", n / 200, n % 200)).collect();
        let mut bans = Bans::new(all.iter().map(|range| ban(range, None)).collect(), NOW);
        bans.add(ban("10.0.5.250", Some(1_001)));
        let (mut listed, mut pages) = (Vec::new(), Vec::new());
        loop {
            let (page, more) = bans.page(listed.last().copied(), UnixTime::from_seconds(1_001));
            pages.push(page.len());
            listed.extend(page.iter().map(|ban| ban.range));
            if !more {
                break;
            }
        }
        assert_eq!(pages, [500, 500, 200], "and none that is over");
        assert!(listed.is_sorted());
        assert_eq!(bans.page(listed.last().copied(), NOW), (Vec::new(), false));
        let one = "10.0.5.9".parse().unwrap();
        assert_eq!(bans.of(one, NOW).unwrap().range, one);
        assert_eq!(bans.of("10.0.5.9/31".parse().unwrap(), NOW), None);
    }

    #[test]
    fn a_second_ban_of_a_range_takes_the_place_of_the_first() {
        let automatic = Ban { is_automatic: true, ..ban("10.0.0.0/8", Some(2_000)) };
        let mut bans = Bans::new(vec![automatic], NOW);
        assert_eq!(bans.counts(NOW), BanCounts { by_operator: 0, automatic: 1 });
        bans.add(ban("10.9.9.9/8", None));
        assert_eq!(bans.counts(NOW), BanCounts { by_operator: 1, automatic: 0 });
        assert!(has(&mut bans, "10.1.0.1", 9_000));
        let range = "10.0.0.0/8".parse().unwrap();
        assert!(bans.remove(range) && !bans.remove(range));
        assert!(!has(&mut bans, "10.1.0.1", 9_000));
        assert!(bans.lengths.is_empty() && bans.ends.is_empty());
    }
}
