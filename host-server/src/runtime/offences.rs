//! How often somebody has lately sent what nobody sends by mistake that often: what bans by the server
//! itself are for. The time is an argument.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use waxwing_core::time::Instant;
use waxwing_core::wire::ErrorCode;

use crate::config::AddressRange;

/// Something that counts towards a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// A packet that is none.
    Malformed,
    /// A packet whose signature does not hold.
    BadSignature,
    /// A wrong one-time password.
    WrongCode,
}

impl Offence {
    const KINDS: usize = 3;

    /// What a refusal says of the packet that was refused. Most refusals happen to everybody.
    pub(super) const fn of(code: ErrorCode) -> Option<Self> {
        match code {
            ErrorCode::Malformed => Some(Self::Malformed),
            ErrorCode::BadSignature => Some(Self::BadSignature),
            ErrorCode::OtpWrong => Some(Self::WrongCode),
            _ => None,
        }
    }
}

/// Offences, by their kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally([u32; Offence::KINDS]);

impl Tally {
    pub(super) fn total(self) -> u32 {
        self.0.iter().sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([malformed, signatures, codes]) = self;
        write!(
            f,
            "{malformed} malformed packets, {signatures} bad signatures and {codes} wrong codes in \
             10 minutes"
        )
    }
}

/// The offences of the last ten minutes, by where they come from.
///
/// There are at most [`Offences::MOST`] counters. When all are in use, somebody new takes one off every
/// counter, and none is added for them. So an attacker with many addresses pays as many offences as there
/// are counters for each single one that others are spared, and nobody is ever counted too high.
#[derive(Debug, Default)]
pub(super) struct Offences {
    by_source: HashMap<AddressRange, Counter>,
}

impl Offences {
    /// How many sources are counted at the same time.
    pub(super) const MOST: usize = 10_000;

    /// Whose offences count together: one address of IPv4, or a /64 of IPv6, which is what one customer
    /// has at least.
    pub(super) fn source(address: IpAddr) -> AddressRange {
        let address = address.to_canonical();
        AddressRange::new(address, if address.is_ipv6() { 64 } else { 32 }).network()
    }

    /// One more. All that are known of this source.
    pub(super) fn count(&mut self, source: AddressRange, what: Offence, now: Instant) -> Tally {
        let minute = Counter::minute(now);
        if !self.by_source.contains_key(&source) && self.by_source.len() >= Self::MOST {
            self.by_source.retain(|_, counter| counter.is_in_use(minute));
            if self.by_source.len() >= Self::MOST {
                self.by_source.retain(|_, counter| counter.take_one_off(minute));
                return Tally::default();
            }
        }
        let counter = self.by_source.entry(source).or_default();
        counter.add(what, minute);
        counter.tally(minute)
    }

    /// All sources in a range begin anew.
    pub(super) fn forget(&mut self, range: AddressRange) {
        self.by_source.retain(|source, _| !range.overlaps(*source));
    }

    /// Everybody begins anew.
    pub(super) fn clear(&mut self) {
        self.by_source = HashMap::new();
    }
}

/// The offences of one source: those of each of the last ten minutes.
#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    /// Each minute has the place of its number, modulo their count.
    minutes: [[u16; Offence::KINDS]; Self::MINUTES],
    newest: u64,
}

impl Counter {
    const MINUTES: usize = 10;

    fn minute(now: Instant) -> u64 {
        now.since(Instant::default()).as_secs() / Duration::from_mins(1).as_secs()
    }

    fn place(minute: u64) -> usize {
        (minute % Self::MINUTES as u64) as usize
    }

    /// Forgets what is too long ago.
    fn go_on(&mut self, minute: u64) {
        let passed = minute.saturating_sub(self.newest).min(Self::MINUTES as u64);
        self.newest = self.newest.max(minute);
        for back in 0..passed {
            self.minutes[Self::place(self.newest - back)] = Default::default();
        }
    }

    fn add(&mut self, what: Offence, minute: u64) {
        self.go_on(minute);
        let count = &mut self.minutes[Self::place(self.newest)][what as usize];
        *count = count.saturating_add(1);
    }

    fn tally(&mut self, minute: u64) -> Tally {
        self.go_on(minute);
        let mut tally = Tally::default();
        for kinds in &self.minutes {
            for (sum, count) in tally.0.iter_mut().zip(kinds) {
                *sum += u32::from(*count);
            }
        }
        tally
    }

    fn is_in_use(&mut self, minute: u64) -> bool {
        self.tally(minute).total() > 0
    }

    /// One less, the oldest. Whether any is left.
    fn take_one_off(&mut self, minute: u64) -> bool {
        self.go_on(minute);
        let oldest_first = (1..=Self::MINUTES as u64).map(|n| Self::place(self.newest + n));
        for place in oldest_first {
            if let Some(count) = self.minutes[place].iter_mut().find(|count| **count > 0) {
                *count -= 1;
                break;
            }
        }
        self.is_in_use(minute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::default().after(Duration::from_secs(seconds))
    }

    fn source(n: usize) -> AddressRange {
        Offences::source(IpAddr::V4(std::net::Ipv4Addr::from_bits(n as u32)))
    }

    fn add(offences: &mut Offences, n: usize, seconds: u64) -> u32 {
        offences.count(source(n), Offence::Malformed, at(seconds)).total()
    }

    #[test]
    fn an_address_of_ipv4_and_a_64_of_ipv6_count_together() {
        for (address, source) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(Offences::source(address.parse().unwrap()).to_string(), source);
        }
    }

    #[test]
    fn all_kinds_count_together_and_are_told_apart() {
        let mut offences = Offences::default();
        for n in 0..99 {
            let what = [Offence::Malformed, Offence::BadSignature, Offence::WrongCode][n % 3];
            assert_eq!(offences.count(source(1), what, at(0)).total(), n as u32 + 1);
        }
        assert_eq!(add(&mut offences, 2, 0), 1);
        let tally = offences.count(source(1), Offence::Malformed, at(1));
        assert_eq!(tally, Tally([34, 33, 33]));
        let text = "34 malformed packets, 33 bad signatures and 33 wrong codes in 10 minutes";
        assert_eq!(tally.to_string(), text);
        offences.forget("0.0.0.0/31".parse().unwrap());
        assert_eq!((add(&mut offences, 1, 1), add(&mut offences, 2, 1)), (1, 2));
    }

    #[test]
    fn what_is_ten_minutes_ago_counts_no_more() {
        let mut offences = Offences::default();
        assert_eq!([0, 59, 60, 599].map(|second| add(&mut offences, 1, second)), [1, 2, 3, 4]);
        // The first minute is over, with two; then the second, with one.
        assert_eq!(add(&mut offences, 1, 600), 3);
        assert_eq!(add(&mut offences, 1, 660), 3);
        assert_eq!(add(&mut offences, 1, 660 + 600), 1);
        assert_eq!(add(&mut offences, 1, 1_000_000), 1);
        // A clock that is asked in another order loses nothing.
        assert_eq!(add(&mut offences, 1, 0), 2);
    }

    #[test]
    fn many_addresses_push_out_others_only_at_their_own_cost() {
        let mut offences = Offences::default();
        (0..50).for_each(|_| _ = add(&mut offences, 0, 0));
        // As many more as fill all counters, and once more each: nobody is pushed out by that.
        for n in 1..Offences::MOST {
            assert_eq!(add(&mut offences, n, 0), 1);
            assert_eq!(add(&mut offences, n, 0), 2);
        }
        assert_eq!(offences.by_source.len(), Offences::MOST);
        // Somebody new costs everybody one, and is not counted.
        assert_eq!(add(&mut offences, Offences::MOST, 60), 0);
        assert_eq!(offences.by_source.len(), Offences::MOST);
        assert_eq!(add(&mut offences, 0, 60), 50);
        // The next one empties the counters that have one left, and there is room for many again.
        assert_eq!(add(&mut offences, Offences::MOST, 60), 0);
        assert_eq!(offences.by_source.len(), 1);
        assert_eq!(add(&mut offences, Offences::MOST, 60), 1);
        assert_eq!(add(&mut offences, 0, 60), 50);
    }

    #[test]
    fn counters_that_nobody_needs_any_more_are_used_again() {
        let mut offences = Offences::default();
        (0..Offences::MOST).for_each(|n| _ = add(&mut offences, n, 0));
        assert_eq!(add(&mut offences, 0, 300), 2);
        assert_eq!(add(&mut offences, Offences::MOST, 600), 1);
        assert_eq!(add(&mut offences, 0, 600), 2);
        assert_eq!(offences.by_source.len(), 2);
        offences.clear();
        assert_eq!(add(&mut offences, 0, 600), 1);
    }
}
