//! Sending all sessions away before a stop: one after the other, so that their clients do not come back
//! in one moment.

use core::time::Duration;

use crate::id::UserId;
use crate::server::shard::Shard;
use crate::time::Instant;

/// Between two looks for sessions when there is none.
const PAUSE: Duration = Duration::from_secs(1);

/// Whose session is to end when.
#[derive(Debug)]
pub(in crate::server) struct Drain {
    /// When one more would end behind the last one.
    until: Instant,
    /// When the next one ends.
    next: Instant,
    /// The last one whose session ended; the next one is behind it.
    last: Option<UserId>,
}

impl Drain {
    /// For so many sessions of a shard, the first of which ends now on the first shard. Each shard begins a
    /// part of its pause after the one before, so that sessions of several do not end at once.
    pub(in crate::server) fn new(
        now: Instant,
        over: Duration,
        sessions: usize,
        shard: Shard,
    ) -> Self {
        let next = now.after(part(over, sessions, (shard.id().0, shard.count())));
        Self { until: next.after(over), next, last: None }
    }

    /// There is another time for those who are left, who are so many. Nobody ends because of that, unless
    /// there is no time.
    pub(in crate::server) fn change(
        &mut self,
        now: Instant,
        over: Duration,
        left: usize,
        shard: Shard,
    ) {
        let share = (shard.id().0.saturating_add(1), shard.count());
        self.next = now.after(part(over, left, share));
        self.until = self.next.after(over);
    }

    pub(in crate::server) const fn wait_until(&self) -> Instant {
        self.next
    }

    /// The user behind whom to look for the next session, if one is to end now.
    pub(in crate::server) fn due(&self, now: Instant) -> Option<Option<UserId>> {
        (self.next <= now).then_some(self.last)
    }

    /// The session of a user has ended, and so many are left for the time that is left. The next one is
    /// due so much after the moment at which this one was: what a long turn has made late, it makes up for.
    pub(in crate::server) fn sent_away(&mut self, user: UserId, left: usize) {
        self.last = Some(user);
        let pause = match u32::try_from(left).unwrap_or(u32::MAX) {
            0 => PAUSE,
            left => {
                let time = self.until.since(self.next);
                time.checked_div(left.saturating_add(1)).unwrap_or(PAUSE)
            }
        };
        self.next = self.next.after(pause);
    }

    /// Nobody has a session.
    pub(in crate::server) fn found_nobody(&mut self, now: Instant) {
        (self.last, self.next) = (None, now.after(PAUSE));
    }
}

/// Such a part of the pause between two of so many sessions that end in a time.
fn part(over: Duration, sessions: usize, (numerator, denominator): (u16, u16)) -> Duration {
    let sessions = u32::try_from(sessions).unwrap_or(u32::MAX);
    let pause = over.checked_div(sessions).unwrap_or(PAUSE);
    let parts = pause.saturating_mul(numerator.into());
    parts.checked_div(denominator.into()).unwrap_or(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    /// When the sessions of a server with so many end, if it looks each `step` ms.
    fn ends(count: usize, over_ms: u64, step: u64) -> alloc::vec::Vec<u64> {
        ends_of(Shard::ONLY, count, over_ms, step)
    }

    /// The same of one of its shards.
    fn ends_of(shard: Shard, count: usize, over_ms: u64, step: u64) -> alloc::vec::Vec<u64> {
        let mut drain = Drain::new(at(0), Duration::from_millis(over_ms), count, shard);
        let mut ends = alloc::vec::Vec::new();
        let mut now = 0;
        while ends.len() < count {
            while drain.due(at(now)).is_some() && ends.len() < count {
                ends.push(now);
                let user = UserId::new(u16::try_from(ends.len()).unwrap()).unwrap();
                drain.sent_away(user, count - ends.len());
            }
            now += step;
        }
        ends
    }

    #[test]
    fn sessions_end_evenly_over_the_time() {
        assert_eq!(ends(1, 1_000, 1), [0]);
        assert_eq!(ends(5, 1_000, 1), [0, 200, 400, 600, 800]);
        // Many in one turn, when turns are long.
        let ends = ends(1_000, 10_000, 100);
        let at_once = |turn: u64| ends.iter().filter(|end| **end == turn * 100).count();
        assert_eq!(
            (0..=100).map(at_once).collect::<alloc::vec::Vec<_>>(),
            [&[1][..], &[10; 99], &[9]].concat()
        );
    }

    #[test]
    fn sessions_of_several_shards_end_evenly_too() {
        let all = Shard::all(4).flat_map(|shard| ends_of(shard, 3, 12_000, 1));
        let mut all: alloc::vec::Vec<_> = all.collect();
        all.sort_unstable();
        assert_eq!(all, (0..12).map(|n| n * 1_000).collect::<alloc::vec::Vec<_>>());
    }

    #[test]
    fn without_time_all_end_at_once() {
        assert_eq!(ends(4, 0, 1), [0, 0, 0, 0]);
    }

    #[test]
    fn another_time_is_for_those_who_are_left() {
        let mut drain = Drain::new(at(0), Duration::from_secs(60), 5, Shard::ONLY);
        let user = UserId::new(7).unwrap();
        drain.sent_away(user, 4);
        for now in [1_000, 2_000] {
            drain.change(at(now), Duration::from_secs(20), 4, Shard::ONLY);
            assert_eq!(drain.due(at(now)), None);
            assert_eq!(drain.wait_until(), at(now + 5_000));
        }
        assert_eq!(drain.due(at(7_000)), Some(Some(user)));
        for (left, wait) in [(3, 12_000), (2, 17_000), (1, 22_000)] {
            drain.sent_away(user, left);
            assert_eq!(drain.wait_until(), at(wait));
        }
        drain.change(at(8_000), Duration::ZERO, 1, Shard::ONLY);
        assert_eq!(drain.due(at(8_000)), Some(Some(user)));
        drain.change(at(9_000), Duration::from_secs(60), 0, Shard::ONLY);
        assert_eq!(drain.wait_until(), at(10_000));
    }

    #[test]
    fn whoever_comes_later_is_sent_away_too() {
        let mut drain = Drain::new(at(0), Duration::from_secs(5), 0, Shard::ONLY);
        drain.found_nobody(at(0));
        assert_eq!(drain.due(at(999)), None);
        assert_eq!(drain.due(at(1_000)), Some(None));
        drain.sent_away(UserId::new(7).unwrap(), 0);
        assert_eq!(drain.due(at(2_000)), Some(UserId::new(7)));
    }
}
