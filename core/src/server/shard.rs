//! Several machines that are one server (ARCHITECTURE.md, "Shards").
//!
//! Every user has an owner shard, the machine where the user's session, mailbox, limits and recent letters
//! are, for life. The first machine is the *registrar* too: it takes in new connections, knows which
//! phones, keys and ids are taken, and registers people. Machines share nothing; they send one
//! another mail, and pass on connections.

use alloc::vec::Vec;

use super::peer::Peer;
use crate::id::{Nonce, UserId};
use crate::time::Instant;

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

impl Shard {
    /// The only machine of its server.
    pub const ONLY: Self = Self { index: 0, count: 1 };

    /// All of `count` machines, the registrar first; one at least.
    pub fn all(count: u16) -> impl Iterator<Item = Self> {
        let count = count.max(1);
        (0..count).map(move |index| Self { index, count })
    }

    /// The name of this shard among those of its server.
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
    pub(super) peer: Peer,
    /// When it came, or the last answer went out.
    pub(super) since: Instant,
    /// What its client has sent and nobody has looked at.
    pub(super) unread: Vec<u8>,
    /// The session that its client has proved a right to.
    pub(super) session: Option<(UserId, Nonce)>,
}
