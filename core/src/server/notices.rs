//! What is said to senders and newcomers once a turn, or a little later under load: 203 and 255, sealed
//! for one or shared by many (PROTOCOL.md, "Acknowledgments", "End of backlog"). A signature costs
//! as much as twenty verifications, so one is made for as many notices as fit.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::output::{ConnId, Output};
use super::{Env, Server};
use crate::crypto::{BLOCK_LEN, Provider, SharedTokens};
use crate::id::{PacketId, UserId};
use crate::limits::{MAX_STATUSES, MAX_TOKENS};
use crate::time::Instant;
use crate::wire::{BacklogSize, BacklogToken, BuildError, Op, Status, StatusToken, Statuses};

/// What is to be said when the turn ends or, under load, a little later.
#[derive(Debug)]
pub(super) struct Notices {
    statuses: Waiting<(UserId, PacketId, Status)>,
    backlog_ends: Waiting<(ConnId, u32)>,
    last_sender: Option<UserId>,
    load: Load,
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

/// One receiver's block of a shared packet.
struct Token {
    conn: ConnId,
    block: [u8; BLOCK_LEN],
}

impl<P: Provider> Server<P> {
    /// Says everything that there is reason to say. Under load it waits for more, unless
    /// somebody is leaving.
    pub(super) fn flush_notices(&mut self, env: &mut Env<'_>) {
        let now = env.now.instant;
        let is_end = !self.leaving.is_empty() || self.stopping.is_some();
        let may_wait = self.notices.load.is_busy(now) && !is_end;
        let mut statuses = self.notices.statuses.take(now, may_wait);
        let backlog_ends = self.notices.backlog_ends.take(now, may_wait);
        // The sort is stable: a letter's later status stays behind its earlier one.
        statuses.sort_by_key(|(sender, _, _)| *sender);
        let mut tokens = Vec::new();
        for group in statuses.chunk_by(|(one, _, _), (other, _, _)| one == other) {
            let Some(conn) = group.first().and_then(|(user, _, _)| self.sessions.get(user)) else {
                continue;
            };
            let conn = *conn;
            // Whoever fills a packet of their own, or is alone, costs a signature anyway.
            if group.len() >= MAX_STATUSES || (group.len() > 1 && group.len() == statuses.len()) {
                let entries: Vec<_> = group.iter().map(|(_, id, status)| (*id, *status)).collect();
                for entries in entries.chunks(MAX_STATUSES) {
                    self.send_sealed(env, conn, Op::Acknowledgment, |writer| {
                        Statuses::emit(writer, entries)
                    });
                }
            } else {
                tokens.extend(group.iter().map(|(_, id, status)| Token {
                    conn,
                    block: StatusToken { letter: id.prefix(), status: *status }.to_block(),
                }));
            }
        }
        self.share(env, Op::Acknowledgment, &tokens);

        let mut tokens = Vec::new();
        for (conn, count) in backlog_ends {
            if let Some(session) = self.connections.get_mut(&conn).and_then(|c| c.session_mut()) {
                let block = BacklogToken::block(&session.nonce, BacklogSize(count));
                tokens.push(Token { conn, block });
            }
        }
        self.share(env, Op::BacklogEnd, &tokens);
    }

    fn share(&mut self, env: &mut Env<'_>, op: Op, tokens: &[Token]) {
        for tokens in tokens.chunks(MAX_TOKENS) {
            match self.shared_packet(env, op, tokens) {
                Ok(packet) => {
                    for group in tokens.chunk_by(|one, other| one.conn == other.conn) {
                        let Some(first) = group.first() else { continue };
                        let (conn, packet) = (first.conn, packet.clone());
                        self.outputs.push_back(Output::Send { conn, packet });
                    }
                }
                Err(error) => self.internal_error(error),
            }
        }
    }

    fn shared_packet(
        &mut self,
        env: &mut Env<'_>,
        op: Op,
        tokens: &[Token],
    ) -> Result<Arc<[u8]>, BuildError> {
        let Self { identity, provider, connections, .. } = self;
        identity.issue(provider, env, op, None, |out, rng| {
            let mut shared = SharedTokens::new(rng, out)?;
            for token in tokens {
                let session = connections.get_mut(&token.conn).and_then(|c| c.session_mut());
                if let Some(session) = session {
                    shared.push(provider, session.seal.key(), token.block)?;
                }
            }
            Ok(shared.payload_len())
        })
    }
}
