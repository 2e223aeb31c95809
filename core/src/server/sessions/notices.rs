//! What is said to senders and newcomers once a turn, or a little later under load: 203 and 255, sealed
//! for one or shared by many (PROTOCOL.md, "Acknowledgments", "End of backlog"). A signature costs
//! as much as twenty verifications, so one is made for as many notices as fit.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::output::ConnId;
use crate::id::{PacketId, UserId};
use crate::limits::MAX_TOKENS;
use crate::time::Instant;
use crate::wire::Status;

/// What is to be said when the turn ends or, under load, a little later.
#[derive(Debug)]
pub(super) struct Notices {
    statuses: Waiting<(UserId, PacketId, Status)>,
    backlog_ends: Waiting<(ConnId, u32)>,
    last_sender: Option<UserId>,
    load: Load,
}

/// What is to be said now.
pub(super) struct Due {
    /// Sender by sender.
    pub(super) statuses: Vec<(UserId, PacketId, Status)>,
    pub(super) backlog_ends: Vec<(ConnId, u32)>,
}

impl Default for Notices {
    fn default() -> Self {
        Self {
            statuses: Waiting::up_to(Self::STATUS_WAIT),
            backlog_ends: Waiting::up_to(Self::BACKLOG_END_WAIT),
            last_sender: None,
            load: Load::default(),
        }
    }
}

impl Notices {
    /// How long a status may wait: the next letter may depend on it.
    const STATUS_WAIT: Duration = Duration::from_millis(2);
    /// How long the end of a backlog may wait. Whoever arrives among many waits for much longer
    /// for their turn, and nothing depends on it.
    const BACKLOG_END_WAIT: Duration = Duration::from_millis(50);

    pub(super) fn status(&mut self, now: Instant, sender: UserId, id: PacketId, status: Status) {
        // What is delivered need not be said to be stored.
        let same = |(to, of, _): &(UserId, PacketId, Status)| (*to, *of) == (sender, id);
        if status == Status::Delivered
            && let Some((_, known)) = self.statuses.queue.iter_mut().rev().find(|(_, n)| same(n))
        {
            known.2 = status;
            return;
        }
        self.statuses.push(now, (sender, id, status));
        // What goes to the same person as the last one needs no company.
        if self.last_sender.replace(sender) != Some(sender) {
            self.load.count(now);
        }
    }

    pub(super) fn backlog_end(&mut self, now: Instant, conn: ConnId, count: u32) {
        self.backlog_ends.push(now, (conn, count));
        self.load.count(now);
    }

    /// Takes out what is to be said now. Under load it waits for more, unless it is `the_end` of a
    /// session.
    pub(super) fn take(&mut self, now: Instant, the_end: bool) -> Due {
        let may_wait = self.load.is_busy(now) && !the_end;
        let mut statuses = self.statuses.take(now, may_wait);
        let backlog_ends = self.backlog_ends.take(now, may_wait);
        // The sort is stable: a letter's later status stays behind its earlier one.
        statuses.sort_by_key(|(sender, _, _)| *sender);
        Due { statuses, backlog_ends }
    }

    /// When what waits has waited for long enough.
    pub(super) fn wait_until(&self) -> Option<Instant> {
        [self.statuses.until(), self.backlog_ends.until()].into_iter().flatten().min()
    }
}

/// Notices of a kind, and until when each may wait.
#[derive(Debug)]
struct Waiting<T> {
    up_to: Duration,
    queue: VecDeque<(Instant, T)>,
}

impl<T> Waiting<T> {
    const fn up_to(up_to: Duration) -> Self {
        Self { up_to, queue: VecDeque::new() }
    }

    fn push(&mut self, now: Instant, notice: T) {
        self.queue.push_back((now.after(self.up_to), notice));
    }

    fn until(&self) -> Option<Instant> {
        self.queue.front().map(|(until, _)| *until)
    }

    /// Takes out what is to be said now: all of it, or, as long as the others may wait, what fills
    /// shared packets.
    fn take(&mut self, now: Instant, may_wait: bool) -> Vec<T> {
        let is_due = self.until().is_some_and(|until| until <= now);
        let all = self.queue.len();
        let filled = all.saturating_sub(all % MAX_TOKENS);
        let count = if may_wait && !is_due { filled } else { all };
        self.queue.drain(..count).map(|(_, notice)| notice).collect()
    }
}

/// How many notices, each to somebody else than the one before, there were lately.
#[derive(Debug, Default)]
struct Load {
    since: Instant,
    counted: usize,
    before: usize,
}

impl Load {
    /// So many in a span, each signed for alone, would take a good part of a processor.
    const BUSY: usize = 3;
    const SPAN: Duration = Duration::from_millis(2);

    fn count(&mut self, now: Instant) {
        self.go_on(now);
        self.counted = self.counted.saturating_add(1);
    }

    /// Whether this span or the one before was busy.
    fn is_busy(&mut self, now: Instant) -> bool {
        self.go_on(now);
        self.before.max(self.counted) >= Self::BUSY
    }

    fn go_on(&mut self, now: Instant) {
        let passed = now.since(self.since);
        if passed >= Self::SPAN {
            let is_next = passed < Self::SPAN.saturating_mul(2);
            self.before = if is_next { self.counted } else { 0 };
            (self.since, self.counted) = (now, 0);
        }
    }
}
