//! What is said to senders and arrivals once a turn: 203 and 255, sealed for one or shared by
//! many (PROTOCOL.md, "Acknowledgments", "End of backlog"). A signature costs as much as twenty
//! verifications, so one is made for as many receivers as fit.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::output::{ConnId, Output};
use super::{Env, Server};
use crate::crypto::{BLOCK_LEN, Provider, SharedTokens};
use crate::id::{PacketId, UserId};
use crate::limits::{MAX_STATUSES, MAX_TOKENS};
use crate::wire::{BacklogSize, BacklogToken, BuildError, Op, Status, StatusToken, Statuses};

/// A sender with at least so many statuses in a turn gets a packet of its own.
const OWN_PACKET: usize = 8;

/// What is to be said at the end of the turn.
#[derive(Debug, Default)]
pub(super) struct Notices {
    statuses: Vec<(UserId, PacketId, Status)>,
    backlog_ends: Vec<(ConnId, u32)>,
}

impl Notices {
    pub(super) fn status(&mut self, sender: UserId, id: PacketId, status: Status) {
        self.statuses.push((sender, id, status));
    }

    pub(super) fn backlog_end(&mut self, conn: ConnId, count: u32) {
        self.backlog_ends.push((conn, count));
    }
}

/// One receiver's block of a shared packet.
struct Token {
    conn: ConnId,
    block: [u8; BLOCK_LEN],
}

impl<P: Provider> Server<P> {
    /// Says everything that this turn gave reason to say.
    pub(super) fn flush_notices(&mut self, env: &mut Env<'_>) {
        let Notices { mut statuses, backlog_ends } = core::mem::take(&mut self.notices);
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
