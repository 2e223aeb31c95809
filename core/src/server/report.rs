//! What an operator can see of a machine.

use alloc::vec::Vec;
use core::time::Duration;

use super::peer::AddressPrefix;
use crate::id::UserId;
use crate::phone::Phone;

/// The state of a machine in numbers. All of them are of this shard alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Connections that are open, sessions included.
    pub connections: usize,
    /// Sessions that are confirmed.
    pub sessions: usize,
    /// Users whom this shard owns.
    pub users: usize,
    /// Letters that are pending, of senders whom this shard owns.
    pub pending_letters: u64,
    /// Bytes of their packets.
    pub pending_bytes: u64,
    /// Batches that storage has and has not carried out.
    pub unsettled_batches: usize,
    /// How long ago the oldest of them was given out; `None` if there is none.
    pub oldest_unsettled: Option<Duration>,
    /// Questions that storage has and has not answered.
    pub open_questions: usize,
    /// Whether storage has refused something that is yet to be tried again.
    pub storage_is_in_trouble: bool,
    /// One-time passwords that can still go out today. The registrar alone knows it.
    pub codes_left: Option<u32>,
    /// Ids that a new user can get. The registrar alone knows it.
    pub free_ids: Option<usize>,
}

/// A session, as an operator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSummary {
    /// Whose session it is.
    pub user: UserId,
    /// The phone of the user.
    pub phone: Phone,
    /// How long ago it was confirmed.
    pub age: Duration,
    /// The network that its connection comes from.
    pub prefix: AddressPrefix,
    /// Letters that its client was given and has not acknowledged.
    pub unacknowledged: usize,
}

/// Some of the sessions of a machine, by user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPage {
    /// The sessions, in the order of their users.
    pub sessions: Vec<SessionSummary>,
    /// The user behind whom the next page begins; `None` when there is none.
    pub next: Option<UserId>,
}

impl SessionPage {
    /// Sessions in a page, at most.
    pub const LEN: usize = 500;
    /// Ids that are looked at for one page, at most: it must not take long.
    pub(super) const IDS: usize = 5_000;
}
