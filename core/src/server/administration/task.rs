//! One thing that the operator has asked for, and how far it has come.

use super::super::output::Administered;
use super::super::storage::{ExpiredLetter, Question, may_be_more};
use crate::id::UserId;
use crate::phone::Phone;
use crate::time::UnixTime;

/// What is to be reached.
#[derive(Debug)]
pub(super) enum Aim {
    /// There are no letters in the mailbox from before this moment.
    Expire { accepted_before: UnixTime },
    /// The user with this phone is no more.
    Remove { phone: Phone },
    /// The user is suspended, or not any more; before, it was like this.
    Suspension { before: Option<Option<UnixTime>> },
    /// The user has other limits.
    Limits,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There may be more letters.
    TakeMore,
    /// The mailbox is empty, and nothing gets into it.
    RemoveUser,
    /// That was all.
    End,
}

#[derive(Debug)]
pub(super) struct Task {
    aim: Aim,
    /// Letters that were taken out.
    letters: u64,
}

impl Task {
    /// Letters that are taken out in one go, at most.
    const AT_ONCE: usize = 1_000;

    pub(super) const fn new(aim: Aim) -> Self {
        Self { aim, letters: 0 }
    }

    /// Has some letters taken out of the user's mailbox.
    pub(super) const fn question(&self, user: UserId, now: UnixTime) -> Question {
        let accepted_before = match self.aim {
            Aim::Expire { accepted_before } => accepted_before,
            Aim::Remove { .. } | Aim::Suspension { .. } | Aim::Limits => {
                UnixTime::from_seconds(i64::MAX)
            }
        };
        Question::TakeOut { recipient: user, accepted_before, now, limit: Self::AT_ONCE }
    }

    /// These letters were taken out.
    pub(super) fn took_out(&mut self, letters: &[ExpiredLetter]) -> Next {
        let count = u64::try_from(letters.len()).unwrap_or(u64::MAX);
        self.letters = self.letters.saturating_add(count);
        match self.aim {
            _ if may_be_more(letters, Self::AT_ONCE) => Next::TakeMore,
            Aim::Remove { .. } => Next::RemoveUser,
            Aim::Expire { .. } | Aim::Suspension { .. } | Aim::Limits => Next::End,
        }
    }

    /// The suspension that there was before, if this is about one.
    pub(super) const fn suspension_before(&self) -> Option<Option<Option<UnixTime>>> {
        match self.aim {
            Aim::Suspension { before } => Some(before),
            Aim::Expire { .. } | Aim::Remove { .. } | Aim::Limits => None,
        }
    }

    /// Letters that were taken out.
    pub(super) const fn letters(&self) -> u64 {
        self.letters
    }

    /// What the operator hears when it is done.
    pub(super) const fn done(self) -> Administered {
        match self.aim {
            Aim::Expire { .. } => Administered::Expired { letters: self.letters },
            Aim::Suspension { .. } | Aim::Limits => Administered::Stored,
            Aim::Remove { phone } => Administered::Removed { phone, undelivered: self.letters },
        }
    }
}
