//! How far a letter has come, in the order in which a word about it counts.

/// What is known of a letter that was written here. A later variant beats an earlier one, and
/// never the other way round: the server's words may arrive late, twice, or out of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    /// It has not been sent, or has to be sent once more.
    Waiting = 0,
    /// It was sent; no answer yet.
    Sent = 1,
    /// The server has refused it for good. A word about another packet of it still counts.
    Refused = 2,
    /// The server has it and will not lose it.
    Stored = 3,
    /// The server says that it is not there any more, after so long that this proves nothing.
    NoLongerKept = 4,
    /// It expired, or was removed, undelivered.
    Expired = 5,
    /// The recipient has acknowledged it. Final.
    Delivered = 6,
}

impl State {
    const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Sent,
        Self::Refused,
        Self::Stored,
        Self::NoLongerKept,
        Self::Expired,
        Self::Delivered,
    ];

    pub(super) const fn rank(self) -> u8 {
        self as u8
    }

    pub(super) fn from_rank(rank: u8) -> Option<Self> {
        Self::ALL.get(usize::from(rank)).copied()
    }

    /// The word for it, for people and programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "queued",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Stored => "stored",
            Self::NoLongerKept => "no longer kept",
            Self::Expired => "expired",
            Self::Delivered => "delivered",
        }
    }

    /// Whether it has gone out, and has no answer yet.
    #[must_use]
    pub fn is_sent(self) -> bool {
        self == Self::Sent
    }

    /// Whether the server has answered for it, and nothing more need be sent.
    #[must_use]
    pub fn is_answered(self) -> bool {
        self > Self::Sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_places() {
        for (at, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(state.rank()), at);
            assert_eq!(State::from_rank(state.rank()), Some(state));
        }
        assert_eq!(State::from_rank(7), None);
    }
}
