//! Mailboxes, counted some letters at a time: one may hold a million, and the server goes on meanwhile.

use std::collections::VecDeque;

use waxwing_core::id::UserId;

use crate::store::{Finding, Inspection, LetterPlace, MailboxSummary};

/// All mailboxes with letters in them, or one, in the order of the ids of their owners. Whoever looks things up is
/// said each time.
#[derive(Debug, Default)]
pub(super) struct Mailboxes {
    only: Option<UserId>,
    after: Option<LetterPlace>,
    /// Whether there is nothing behind what was counted.
    is_end: bool,
    /// The last one may go on behind what was counted.
    counted: VecDeque<MailboxSummary>,
}

/// What waits in a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) letters: u64,
    /// Bytes of their packets.
    pub(super) bytes: u64,
}

impl Mailboxes {
    /// The next one as a whole.
    pub(super) fn next<E>(
        &mut self,
        mut look: impl FnMut(Inspection) -> Result<Finding, E>,
    ) -> Result<Option<MailboxSummary>, E> {
        self.count(&mut look)?;
        Ok(self.counted.pop_front())
    }

    /// What waits for a user. Whoever was asked about before has a smaller id.
    pub(super) fn of<E>(
        &mut self,
        user: UserId,
        mut look: impl FnMut(Inspection) -> Result<Finding, E>,
    ) -> Result<Waiting, E> {
        loop {
            self.count(&mut look)?;
            match self.counted.front() {
                Some(before) if before.owner < user => self.counted.pop_front(),
                Some(own) if own.owner == user => {
                    return Ok(Waiting { letters: own.letters, bytes: own.bytes });
                }
                _ => return Ok(Waiting::default()),
            };
        }
    }

    /// Goes on until the first one is whole: the one behind it has begun, or there is none.
    fn count<E>(
        &mut self,
        look: &mut impl FnMut(Inspection) -> Result<Finding, E>,
    ) -> Result<(), E> {
        while self.counted.len() < 2 && !self.is_end {
            let found = look(Inspection::Mailboxes(self.only, self.after))?;
            let Finding::Mailboxes(stretch) = found else { return Ok(()) };
            for more in stretch.found {
                match self.counted.back_mut().filter(|last| last.owner == more.owner) {
                    Some(last) => last.add(&more),
                    None => self.counted.push_back(more),
                }
            }
            self.after = stretch.next;
            self.is_end = stretch.next.is_none();
        }
        Ok(())
    }
}

/// What waits for one user.
pub(super) fn waiting_for<E>(
    user: UserId,
    look: impl FnMut(Inspection) -> Result<Finding, E>,
) -> Result<Waiting, E> {
    Mailboxes { only: Some(user), ..Mailboxes::default() }.of(user, look)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use waxwing_core::server::storage::QueueId;
    use waxwing_core::time::UnixTime;

    use super::*;
    use crate::store::Stretch;

    fn user(id: u16) -> UserId {
        UserId::new(id).unwrap()
    }

    fn some(id: u16, letters: u64) -> MailboxSummary {
        let oldest = UnixTime::from_seconds(letters as i64);
        MailboxSummary { owner: user(id), letters, bytes: letters * 100, oldest }
    }

    /// Three stretches: the mailbox of 2 is in all of them, and the last has that of 9, too.
    fn look(what: Inspection) -> Result<Finding, Infallible> {
        let Inspection::Mailboxes(None, after) = what else { panic!("{what:?}") };
        let place = |place| Some((user(2), QueueId(place)));
        let (found, next) = match after.map(|(_, place)| place.0) {
            None => (vec![some(1, 5), some(2, 10)], place(10)),
            Some(10) => (vec![some(2, 20)], place(30)),
            Some(30) => (vec![some(2, 1), some(9, 7)], None),
            other => panic!("{other:?}"),
        };
        Ok(Finding::Mailboxes(Stretch { found, next }))
    }

    #[test]
    fn a_mailbox_that_is_counted_in_several_stretches_is_one() {
        let mut mailboxes = Mailboxes::default();
        let mut all = Vec::new();
        while let Ok(Some(MailboxSummary { owner, letters, bytes, oldest })) = mailboxes.next(look)
        {
            all.push((owner.get(), letters, bytes, oldest.as_seconds()));
        }
        assert_eq!(all, [(1, 5, 500, 5), (2, 31, 3_100, 10), (9, 7, 700, 7)]);
    }

    #[test]
    fn whoever_has_no_letters_has_none_and_the_next_one_is_found() {
        let mut mailboxes = Mailboxes::default();
        let letters = [1, 2, 3, 9, 10].map(|id| {
            let Ok(Waiting { letters, .. }) = mailboxes.of(user(id), look);
            letters
        });
        assert_eq!(letters, [5, 31, 0, 7, 0]);
    }
}
