//! The state of a letter that the server has in hand, and when it counts.
//!
//! A letter is in hand as long as something is to be done about it: it is on its way into storage or
//! out of it, or it was handed over and not acknowledged. One that only lies in storage has no object
//! here. Its state has two axes, since they move apart: where it lies, and whether its recipient has
//! it. These pairs can be:
//!
//! | | not handed over | handed over | acknowledged |
//! |---|---|---|---|
//! | held back | | yes | |
//! | storing | yes | yes | yes |
//! | storing, not deleted | | | yes |
//! | stored | | yes | |
//! | deleting | | | yes |
//! | deletion deferred | | | yes |
//! | deleted | | | yes |
//! | refused | | yes | |
//! | expired | | yes | |
//!
//! The others cannot. What is held back was handed over, and is in hand no more when it is
//! acknowledged. What is stored, refused or expired and was not handed over is not in hand. A letter is
//! deleted because it was acknowledged.
//!
//! **A letter counts from when it is accepted to the first of these: it is acknowledged, storage
//! refuses it, it expires.** [`State::counts`] is that rule.

/// Where a letter lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Location {
    /// It is held back from storage for a moment: it may be acknowledged in time.
    HeldBack,
    /// The batch that stores it waits or is under way.
    Storing,
    /// The batch that stores it is under way, and storage could not delete it meanwhile.
    StoringNotDeleted,
    /// Storage has it.
    Stored,
    /// The batch that deletes it waits or is under way.
    Deleting,
    /// Storage could not delete it, and is told again.
    DeletionDeferred,
    /// Storage has deleted it. An answer to an earlier question may still speak of it.
    Deleted,
    /// Storage could not take it.
    Refused,
    /// Storage has thrown it out, for its age or for damage.
    Expired,
}

/// Whether the recipient of a letter has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Recipient {
    /// It was not handed over in this session.
    Waits,
    /// It was handed over in this session.
    IsGiven,
    /// The recipient has acknowledged it.
    Holds,
}

/// The state of a letter in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(not(feature = "testing"), expect(unreachable_pub, reason = "the simulation sees it"))]
pub struct State {
    pub(super) location: Location,
    pub(super) recipient: Recipient,
}

/// What happens to a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It goes into the next batch.
    Released,
    /// Storage has it.
    Stored,
    /// Storage could not take it.
    Refused,
    /// It goes out to its recipient.
    HandedOver,
    /// Its recipient holds it.
    Acknowledged,
    /// The session that it was handed over in is over.
    SessionEnded,
    /// Storage has deleted it.
    Deleted,
    /// Storage could not delete it.
    NotDeleted,
    /// Storage is told again to delete it.
    Retried,
    /// Storage has thrown it out.
    Expired,
}

/// What an event makes of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It is in hand.
    InHand(State),
    /// It lies in storage, and nothing is to be done about it.
    OnlyStored,
    /// It is no more.
    Gone,
}

impl State {
    pub(super) const fn new(location: Location, recipient: Recipient) -> Self {
        Self { location, recipient }
    }

    /// Whether the letter counts in its mailbox, and among what its sender has pending.
    pub(super) const fn counts(self) -> bool {
        let is_lost = matches!(self.location, Location::Refused | Location::Expired);
        !is_lost && !matches!(self.recipient, Recipient::Holds)
    }

    /// The transitions. What an event does not name here changes nothing.
    pub(super) const fn after(self, event: Event) -> After {
        use After::{Gone, InHand, OnlyStored};
        use Location::{
            Deleted, Deleting, DeletionDeferred, Expired, HeldBack, Refused, Stored, Storing,
            StoringNotDeleted,
        };
        use Recipient::{Holds, IsGiven, Waits};

        let Self { location, recipient } = self;
        let (location, recipient) = match (event, location, recipient) {
            (Event::Released, HeldBack, recipient) => (Storing, recipient),

            (Event::Stored, Storing, Waits) => return OnlyStored,
            (Event::Stored, Storing, IsGiven) => (Stored, IsGiven),
            (Event::Stored, Storing, Holds) => (Deleting, Holds),
            (Event::Stored, StoringNotDeleted, Holds) => (DeletionDeferred, Holds),

            (Event::Refused, Storing, IsGiven) => (Refused, IsGiven),
            (Event::Refused, Storing, Waits | Holds) => return Gone,
            (Event::Refused, StoringNotDeleted, Holds) => return Gone,

            (Event::HandedOver, location, Waits) => (location, IsGiven),

            (Event::Acknowledged, HeldBack | Refused | Expired, _) => return Gone,
            (Event::Acknowledged, Storing, _) => (Storing, Holds),
            (Event::Acknowledged, Stored, _) => (Deleting, Holds),

            (Event::SessionEnded, HeldBack | Storing, IsGiven) => (Storing, Waits),
            (Event::SessionEnded, Stored, IsGiven) => return OnlyStored,
            (Event::SessionEnded, Refused | Expired, IsGiven) => return Gone,

            (Event::Deleted, Deleting, _) => (Deleted, Holds),
            (Event::NotDeleted, Deleting, _) => (DeletionDeferred, Holds),
            // What becomes of a later batch can be known before what becomes of the one that stores it.
            (Event::NotDeleted, Storing, Holds) => (StoringNotDeleted, Holds),
            (Event::Retried, DeletionDeferred, _) => (Deleting, Holds),

            // Storage may say that it has thrown a letter out before it says that it had taken it.
            (Event::Expired, Storing | Stored, IsGiven) => (Expired, IsGiven),
            (Event::Expired, Storing, Waits) => return Gone,

            (_, location, recipient) => (location, recipient),
        };
        InHand(Self::new(location, recipient))
    }

    /// All that there can be.
    #[cfg(feature = "testing")]
    pub const POSSIBLE: [Self; 11] = [
        Self::new(Location::HeldBack, Recipient::IsGiven),
        Self::new(Location::Storing, Recipient::Waits),
        Self::new(Location::Storing, Recipient::IsGiven),
        Self::new(Location::Storing, Recipient::Holds),
        Self::new(Location::StoringNotDeleted, Recipient::Holds),
        Self::new(Location::Stored, Recipient::IsGiven),
        Self::new(Location::Deleting, Recipient::Holds),
        Self::new(Location::DeletionDeferred, Recipient::Holds),
        Self::new(Location::Deleted, Recipient::Holds),
        Self::new(Location::Refused, Recipient::IsGiven),
        Self::new(Location::Expired, Recipient::IsGiven),
    ];
}

impl After {
    /// Whether the letter counts still.
    pub(super) const fn counts(self) -> bool {
        match self {
            Self::InHand(state) => state.counts(),
            Self::OnlyStored => true,
            Self::Gone => false,
        }
    }
}
