//! What is said to senders and arrivals once a turn, or once in 2 ms under load: 203 and 255, sealed for one or shared by
//! many (PROTOCOL.md, "Acknowledgments", "End of backlog"). A signature costs as much as twenty
//! verifications, so one is made for as many receivers as fit.

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

/// A sender with at least so many statuses in a turn gets a packet of its own.
const OWN_PACKET: usize = 8;

/// What is to be said when the turn ends or, under load, a little later.
#[derive(Debug, Default)]
pub(super) struct Notices {
    statuses: Vec<(UserId, PacketId, Status)>,
    backlog_ends: Vec<(ConnId, u32)>,
    /// Until when what there is may wait for company.
    wait_until: Option<Instant>,
    load: Load,
}

impl Notices {
    /// How long a notice may wait.
    const WAIT: Duration = Duration::from_millis(2);

    pub(super) fn status(&mut self, sender: UserId, id: PacketId, status: Status) {
        self.statuses.push((sender, id, status));
        self.load.unseen = self.load.unseen.saturating_add(1);
    }

    pub(super) fn backlog_end(&mut self, conn: ConnId, count: u32) {
        self.backlog_ends.push((conn, count));
        self.load.unseen = self.load.unseen.saturating_add(1);
    }

    /// When what waits has waited for long enough.
    pub(super) const fn waits_until(&self) -> Option<Instant> {
        self.wait_until
    }

    /// Whether what there is should wait for more that can share its signature.
    fn waits(&mut self, now: Instant) -> bool {
        let is_busy = self.load.is_busy(now);
        let count = self.statuses.len().max(self.backlog_ends.len());
        let until = *self.wait_until.get_or_insert_with(|| now.after(Self::WAIT));
        is_busy && count < MAX_TOKENS && now < until
    }
}

/// How many notices there were lately.
#[derive(Debug, Default)]
struct Load {
    /// Not counted into a span yet.
    unseen: usize,
    since: Instant,
    counted: usize,
    before: usize,
}

impl Load {
    /// So many in a span, each signed for alone, would be most of what a processor can do.
    const BUSY: usize = 8;

    /// Whether this span or the one before was busy.
    fn is_busy(&mut self, now: Instant) -> bool {
        let passed = now.since(self.since);
        if passed >= Notices::WAIT {
            let is_next = passed < Notices::WAIT.saturating_mul(2);
            self.before = if is_next { self.counted } else { 0 };
            (self.since, self.counted) = (now, 0);
        }
        self.counted = self.counted.saturating_add(core::mem::take(&mut self.unseen));
        self.before.max(self.counted) >= Self::BUSY
    }
}

/// One receiver's block of a shared packet.
struct Token {
    conn: ConnId,
    block: [u8; BLOCK_LEN],
}

impl<P: Provider> Server<P> {
    /// Says everything that there is reason to say. Under load it waits for more, up to 2 ms,
    /// unless somebody is leaving.
    pub(super) fn flush_notices(&mut self, env: &mut Env<'_>) {
        let notices = &mut self.notices;
        let nothing = notices.statuses.is_empty() && notices.backlog_ends.is_empty();
        let is_end = !self.leaving.is_empty() || self.stopping.is_some();
        if nothing || (notices.waits(env.now.instant) && !is_end) {
            return;
        }
        notices.wait_until = None;
        let mut statuses = core::mem::take(&mut notices.statuses);
        let backlog_ends = core::mem::take(&mut notices.backlog_ends);
        // The sort is stable: a letter's later status stays behind its earlier one.
        statuses.sort_by_key(|(sender, _, _)| *sender);
        let mut tokens = Vec::new();
        for group in statuses.chunk_by(|(one, _, _), (other, _, _)| one == other) {
            let Some(conn) = group.first().and_then(|(user, _, _)| self.sessions.get(user)) else {
                continue;
            };
            let conn = *conn;
            if group.len() >= OWN_PACKET {
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
