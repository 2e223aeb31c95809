//! Who of several servers serves: the one that has the lease of the storage that all of them can reach.
//!
//! The lease is a row of the storage. It names its holder and an *epoch*, which grows each time that
//! somebody takes, renews or gives back the lease. Each group of changes that the holder commits leaves a
//! *mark* in the storage, with the epoch and the next number. A group happens only if the row is as the
//! holder knows it, and the mark before the group's own is there. So row and marks fence every change;
//! the clocks in here only decide when it is worth trying to take over.
//!
//! A server also keeps, outside of the storage, the last mark that it knows to be safe: it *witnesses* that
//! mark. A storage that lacks it has lost something, and nobody may serve from it until an operator *adopts*
//! it.
//!
//! Time is an argument. A process is a [`Standby`], and then perhaps a [`Holder`]. One that is
//! [fenced](Renewal::Fenced) ends: there is no way back.

use std::cmp::Ordering;
use std::time::Duration;

use waxwing_core::time::{Instant, UnixTime};

/// Names one process of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance(pub u128);

/// Names one data directory of a server. While a process runs, its lock lets no other use the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node(pub u128);

/// A state of the lease; later ones are greater.
///
/// The upper 32 bits say when the storage was filled from another one, in seconds, and grow by one when an
/// operator adopts it after it has lost something. What was witnessed before either is missed no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    const ADOPTION: u32 = 32;

    /// The one that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The one with which a storage begins that was filled from another one at this moment. Servers may have
    /// used a storage at the same place before, and have witnessed what was there then.
    #[must_use]
    pub fn of_copy(now: UnixTime) -> Self {
        // The first second of 2026: 68 years fit.
        const FIRST: i64 = 1_767_225_600;
        let seconds = now.as_seconds().saturating_sub(FIRST).clamp(1, i64::from(i32::MAX - 1));
        Self(seconds.unsigned_abs() << Self::ADOPTION)
    }

    /// The one that an adoption begins, by an operator whose server has witnessed `witnessed`.
    #[must_use]
    pub fn adopted(self, witnessed: Option<Mark>) -> Self {
        let last = self.max(witnessed.map_or(self, |mark| mark.epoch)).adoptions();
        Self(last.saturating_add(1) << Self::ADOPTION)
    }

    const fn adoptions(self) -> u64 {
        self.0 >> Self::ADOPTION
    }
}

/// That a group of changes has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The epoch under which it was committed.
    pub epoch: Epoch,
    /// Its number: one more than that of the group before.
    pub group: u64,
}

/// The row of the lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseRow {
    /// Grows with each change of the row.
    pub epoch: Epoch,
    /// Who has the lease, if anybody.
    pub holder: Option<(Node, Instance)>,
}

/// What a look at the storage shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The row of the lease.
    pub lease: LeaseRow,
    /// The newest mark.
    pub last: Mark,
    /// The one before it, if it is kept.
    pub before_last: Option<Mark>,
    /// The number of the oldest mark that is kept.
    pub oldest: u64,
    /// The mark that has the number of the one that was witnessed, if there is any such mark.
    pub at_witnessed: Option<Mark>,
    /// The storage has lost something, and no operator has adopted it.
    pub is_doubtful: bool,
}

impl Seen {
    /// Whether nobody is to serve from it: it is in doubt, or has lost what was witnessed.
    #[must_use]
    pub fn is_lost(&self, witnessed: Option<Mark>) -> bool {
        self.is_doubtful || witnessed.is_some_and(|witnessed| self.lacks(witnessed))
    }

    /// Whether this storage has lost what was witnessed. A mark that is so old that it is not kept is not
    /// missed.
    #[must_use]
    pub fn lacks(&self, witnessed: Mark) -> bool {
        match witnessed.epoch.adoptions().cmp(&self.lease.epoch.adoptions()) {
            Ordering::Less => false,
            Ordering::Equal => {
                witnessed.group >= self.oldest && self.at_witnessed != Some(witnessed)
            }
            Ordering::Greater => true,
        }
    }

    /// What is to be witnessed now, if that is not `witnessed`: the mark before the last. The last one may
    /// be on one machine alone, and nobody has been told of it then; if it is lost with that machine,
    /// nothing is missing. A mark with another behind it was known to be safe by its holder.
    #[must_use]
    pub fn to_witness(&self, witnessed: Option<Mark>) -> Option<Mark> {
        let is_news = |mark: &Mark| witnessed.is_none_or(|witnessed| mark.group > witnessed.group);
        let is_adopted = witnessed
            .is_some_and(|witnessed| witnessed.epoch.adoptions() < self.lease.epoch.adoptions());
        self.before_last.filter(|mark| is_news(mark) || is_adopted && witnessed != Some(*mark))
    }
}

/// After how long without a group the holder shows that it lives.
#[must_use]
pub fn beat_interval(lease: Duration) -> Duration {
    lease / 4
}

/// A server that waits until the holder of the lease is silent.
#[derive(Clone, Debug)]
pub struct Standby {
    node: Node,
    lease: Duration,
    /// What was there the last time, and since when nothing else was.
    unchanged: Option<(LeaseRow, Mark, Instant)>,
    look_at: Instant,
}

/// What a standby makes of what it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Somebody else serves, or may do so.
    Wait,
    /// The lease can be taken, if the very same is still there.
    Take,
    /// The storage has lost something. Nobody may serve from it.
    Lost,
}

impl Standby {
    /// Between two looks for an answer that is under way.
    const UNDER_WAY: Duration = Duration::from_millis(10);

    /// It looks at once.
    #[must_use]
    pub const fn new(node: Node, lease: Duration, now: Instant) -> Self {
        Self { node, lease, unchanged: None, look_at: now }
    }

    /// When it looks at the storage.
    #[must_use]
    pub const fn poll_timeout(&self) -> Instant {
        self.look_at
    }

    /// This is there, and that was witnessed.
    pub fn saw(&mut self, seen: &Seen, witnessed: Option<Mark>, now: Instant) -> Verdict {
        self.look_at = now.after(self.lease / 5);
        if seen.is_lost(witnessed) {
            return Verdict::Lost;
        }
        // A lock says that a holder of the same node is dead.
        if seen.lease.holder.is_none_or(|(node, _)| node == self.node) {
            return Verdict::Take;
        }
        match self.unchanged {
            Some((lease, last, since)) if (lease, last) == (seen.lease, seen.last) => {
                if now.since(since) >= self.lease { Verdict::Take } else { Verdict::Wait }
            }
            _ => {
                self.unchanged = Some((seen.lease, seen.last, now));
                Verdict::Wait
            }
        }
    }

    /// It looks again soon, for an answer that is under way.
    pub(super) fn look_again(&mut self, now: Instant) {
        self.look_at = now.after(Self::UNDER_WAY);
    }

    /// The storage could not be looked at, or somebody is at work on it. Nothing is known of the time
    /// before.
    pub fn saw_nothing(&mut self, now: Instant) {
        self.look_at = now.after(self.lease / 5);
        self.unchanged = None;
    }
}

/// What has to be there for a group to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The process that the row names.
    pub instance: Instance,
    /// The epoch of the row.
    pub epoch: Epoch,
    /// The mark of the group before. An older copy of the storage, or one that has gone another way,
    /// lacks it.
    pub last: Mark,
}

impl Fence {
    /// The mark that the group leaves.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        Mark { epoch: self.epoch, group: self.last.group.saturating_add(1) }
    }
}

/// A server that has the lease.
#[derive(Clone, Debug)]
pub struct Holder {
    /// What the next group is given with.
    fence: Fence,
    /// The next group was given to the storage, and it is not known whether it has happened.
    is_unclear: bool,
}

/// What was there after a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// The new epoch.
    pub epoch: Epoch,
    /// The newest mark.
    pub last: Mark,
}

/// What a renewed lease says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The group that was unclear has happened.
    Done,
    /// It has not, and never will: the lease that it was given under is over.
    NotDone,
    /// Another server has the lease.
    Fenced,
    /// The storage has lost what it had confirmed.
    Lost,
}

impl Holder {
    /// This process has taken the lease, and found that.
    #[must_use]
    pub const fn new(instance: Instance, taken: Renewed) -> Self {
        let fence = Fence { instance, epoch: taken.epoch, last: taken.last };
        Self { fence, is_unclear: false }
    }

    /// What the next group is given with.
    #[must_use]
    pub const fn fence(&self) -> Fence {
        self.fence
    }

    /// The next group has happened.
    pub const fn done(&mut self) {
        self.fence.last = self.fence.mark();
    }

    /// The next group was given to the storage, and its answer is lost.
    pub const fn lost_the_answer(&mut self) {
        self.is_unclear = true;
    }

    /// The lease was renewed, and that was there **after** the renewal had begun to hold; `None` if the row
    /// names another process. What was there before says nothing: the group might still have come.
    pub fn renewed(&mut self, found: Option<Renewed>) -> Renewal {
        let Some(found) = found else { return Renewal::Fenced };
        if found.epoch <= self.fence.epoch {
            return Renewal::Lost;
        }
        let renewal = match found.last {
            last if self.is_unclear && last == self.fence.mark() => Renewal::Done,
            last if last == self.fence.last => Renewal::NotDone,
            _ => return Renewal::Lost,
        };
        *self = Self::new(self.fence.instance, found);
        renewal
    }
}

#[cfg(test)]
mod tests;
