//! Several machines that are one server (ARCHITECTURE.md, "Shards").
//!
//! Every user has an owner shard, the machine where the user's session, mailbox, limits and recent letters
//! are, for life. The first machine is the *registrar* too: it takes in new connections, knows which
//! phones, keys and ids are taken, and registers people. Machines share nothing; they send one
//! another mail, and pass on connections.

use alloc::vec::Vec;

use super::admission::Decision;
use super::connection::State;
use super::mail::{Mail, Message};
use super::output::{ConnId, Output};
use super::peer::Peer;
use super::{Env, Server};
use crate::crypto::Provider;
use crate::id::{Nonce, UserId};
use crate::time::Instant;
use crate::wire::{Header, Op};

/// One of a server's machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The machine that takes in new connections and registers people.
    pub const REGISTRAR: Self = Self(0);
}

/// Which of how many machines one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u16,
    count: u16,
}

impl Default for Shard {
    fn default() -> Self {
        Self::ONLY
    }
}

impl Shard {
    /// The only machine of its server.
    pub const ONLY: Self = Self { index: 0, count: 1 };

    /// All of `count` machines, the registrar first; one at least.
    pub fn all(count: u16) -> impl Iterator<Item = Self> {
        let count = count.max(1);
        (0..count).map(move |index| Self { index, count })
    }

    /// Its name.
    #[must_use]
    pub const fn id(self) -> ShardId {
        ShardId(self.index)
    }

    /// How many there are.
    #[must_use]
    pub const fn count(self) -> u16 {
        self.count
    }

    /// The shard that owns a user.
    #[must_use]
    pub const fn owner_of(self, user: UserId) -> ShardId {
        // There is one machine at least.
        ShardId(match user.get().checked_rem(self.count) {
            Some(index) => index,
            None => 0,
        })
    }

    /// Whether this shard owns a user.
    #[must_use]
    pub fn owns(self, user: UserId) -> bool {
        self.owner_of(user) == self.id()
    }

    /// A share of what all machines may have together; one at least.
    pub(super) fn share_of(self, whole: usize) -> usize {
        whole.checked_div(usize::from(self.count)).unwrap_or(whole).max(1)
    }
}

/// A connection without a session on its way to another machine.
#[derive(Debug)]
pub struct Baggage {
    peer: Peer,
    /// When it came, or the last answer went out.
    since: Instant,
    /// What its client has sent and nobody has looked at.
    unread: Vec<u8>,
    /// The session that its client has proved a right to.
    session: Option<(UserId, Nonce)>,
}

/// Where a connection is to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moving {
    to: ShardId,
    session: Option<(UserId, Nonce)>,
}

impl<P: Provider> Server<P> {
    /// Leaves mail for a shard.
    pub(super) fn post(&mut self, to: ShardId, message: Message) {
        if to == self.shard.id() {
            self.mail.push_back(message);
        } else {
            self.outputs.push_back(Output::Mail { to, mail: Mail(message) });
        }
    }

    /// Leaves mail for a user's owner shard.
    pub(super) fn post_to_owner(&mut self, user: UserId, message: Message) {
        self.post(self.shard.owner_of(user), message);
    }

    /// Another shard's [`Output::Mail`] has arrived.
    pub fn mail(&mut self, env: &mut Env<'_>, mail: Mail) {
        self.mail.push_back(mail.0);
        self.sort_mail(env);
    }

    /// Another shard's [`Output::Move`] has arrived, with the connection under a new name.
    pub fn moved_in(&mut self, env: &mut Env<'_>, conn: ConnId, baggage: Baggage) {
        let Baggage { peer, since, unread, session } = baggage;
        self.connected(env, conn, peer);
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        connection.since = since;
        if let Some((user, nonce)) = session {
            self.tell_in_turn(conn, Decision::Session { user, nonce });
        }
        self.received(env, conn, &unread);
    }

    /// Who handles a packet that comes before a session.
    pub(super) fn shard_for(&self, header: &Header) -> ShardId {
        match (Op::from_code(header.op_code), header.sender) {
            (Some(Op::ReconnectRequest), Some(user)) => self.shard.owner_of(user),
            (Some(Op::RegistrationRequest | Op::OtpProof), _) => ShardId::REGISTRAR,
            _ => self.shard.id(),
        }
    }

    /// When the turn ends, the connection goes to where its next packet is handled.
    pub(super) fn send_off(&mut self, conn: ConnId, to: ShardId, session: Option<(UserId, Nonce)>) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.state = State::Moving(Moving { to, session });
            self.departing.push(conn);
        }
    }

    /// Gives a user whose signature has proved them a session, at their owner shard.
    pub(super) fn admit(&mut self, conn: ConnId, user: UserId, nonce: Nonce) {
        if self.shard.owns(user) {
            self.tell_in_turn(conn, Decision::Session { user, nonce });
        } else {
            self.send_off(conn, self.shard.owner_of(user), Some((user, nonce)));
        }
    }

    /// Passes connections on, with everything that has arrived and was not looked at.
    pub(super) fn depart(&mut self) {
        for conn in core::mem::take(&mut self.departing) {
            let Some(connection) = self.connections.get_mut(&conn) else { continue };
            let State::Moving(Moving { to, session }) = connection.state else { continue };
            let (peer, since) = (connection.peer, connection.since);
            let unread = core::mem::take(&mut connection.inbox);
            self.half_received = self.half_received.saturating_sub(unread.len());
            self.forget_connection(conn);
            let baggage = Baggage { peer, since, unread, session };
            self.outputs.push_back(Output::Move { conn, to, baggage });
        }
    }
}
