//! The model of letters from person to person: what was written is what is shown, once, and its
//! author learns so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use waxwing_core::id::{PacketId, Uid};
use waxwing_core::messenger::{Reason, Row};
use waxwing_core::phone::Phone;
use waxwing_core::wire::{ErrorCode, Status};

use super::packets::Packets;
use crate::profile::{Received, Says, State, Stored, Written};

/// A letter that was written.
struct Letter {
    author: usize,
    /// `None` when nobody has this phone.
    to: Option<usize>,
    text: Arc<str>,
    is_shown: bool,
    given_up: bool,
    /// What the author's outbox had of it when they deleted it.
    deleted: Option<Written>,
}

/// All letters.
#[derive(Default)]
pub(super) struct Letters {
    phones: Vec<Phone>,
    /// By uid, which are given out in ascending order.
    written: BTreeMap<Uid, Letter>,
    /// Rows that each person was shown.
    shown: Vec<BTreeSet<Row>>,
    /// People who have blocked somebody, and whom: letters may have gone unread.
    blocked: BTreeSet<(usize, Phone)>,
    /// Packets that were deleted unread.
    unread: BTreeSet<PacketId>,
}

impl Letters {
    pub(super) fn new(phones: Vec<Phone>) -> Self {
        let shown = phones.iter().map(|_| BTreeSet::new()).collect();
        Self { phones, shown, ..Self::default() }
    }

    /// The name of the next letter.
    pub(super) fn next_uid(&self) -> Uid {
        let mut uid = [0; 16];
        uid[8..].copy_from_slice(&(self.written.len() as u64).to_be_bytes());
        Uid(uid)
    }

    /// A letter lies in its author's outbox.
    pub(super) fn written(&mut self, author: usize, letter: &Written) {
        let to = self.phones.iter().position(|phone| *phone == letter.recipient);
        let text = letter.text.clone();
        let (is_shown, given_up, deleted) = (false, false, None);
        self.written.insert(letter.uid, Letter { author, to, text, is_shown, given_up, deleted });
    }

    /// Its author does not want it to be sent, or not again.
    pub(super) fn given_up(&mut self, uid: Uid) {
        self.written.get_mut(&uid).expect("a letter").given_up = true;
    }

    /// `who` has deleted everything from and to somebody; that is what there was `before`.
    pub(super) fn deleted(&mut self, who: usize, with: &Phone, before: &Stored, after: &Stored) {
        for letter in before.letters.iter().filter(|letter| letter.from == Some(*with)) {
            if matches!(letter.says, Says::Held { .. }) {
                self.unread.insert(letter.id);
            }
        }
        let is_left = |uid| after.outbox.iter().any(|row| row.uid == uid);
        for row in before.outbox.iter().filter(|row| !is_left(row.uid)) {
            let letter = self.written.get_mut(&row.uid).expect("a letter");
            assert_eq!(letter.author, who);
            letter.deleted = Some(row.clone());
        }
    }

    /// Bytes of each letter that was shown.
    pub(super) fn shown(&self) -> impl Iterator<Item = usize> {
        self.written.values().filter(|letter| letter.is_shown).map(|letter| letter.text.len())
    }

    pub(super) fn blocked(&mut self, who: usize, whom: Phone) {
        self.blocked.insert((who, whom));
    }

    /// What `who` is shown, now that these things are `stored`.
    pub(super) fn look(&mut self, who: usize, stored: &Stored, packets: &Packets) {
        for received in &stored.letters {
            match &received.says {
                Says::Text(uid, text) => {
                    if !self.shown[who].insert(received.row) {
                        continue;
                    }
                    let letter = self.written.get_mut(uid).expect("somebody wrote it");
                    assert_eq!(received.from, Some(self.phones[letter.author]), "another's letter");
                    assert_eq!(letter.to, Some(who), "a letter to somebody else");
                    assert_eq!(letter.text, *text, "not what was written");
                    assert!(!letter.is_shown, "{uid:?} is shown twice");
                    letter.is_shown = true;
                }
                Says::Other(uid) => panic!("nobody writes that: {uid:?}"),
                Says::Unreadable(why) => {
                    let letter = packets.signed[&received.id].letter;
                    assert_eq!(letter, None, "{why:?}, and somebody honest has written it");
                }
                Says::Deleted(_) | Says::Held { .. } => {}
            }
        }
    }

    /// Letters that somebody is said to have are there. Of what has expired nobody knows any more,
    /// once its time is `forgotten`.
    pub(super) fn assert_delivered<'s>(
        &self,
        author: &Stored,
        stored: impl Fn(usize) -> &'s Stored,
        expired: &BTreeSet<PacketId>,
        forgotten: bool,
    ) {
        for letter in author.outbox.iter().filter(|letter| letter.status == Status::Delivered) {
            let to = self.written[&letter.uid].to.expect("nobody has this phone");
            let mut ids = letter.packets.iter().map(|(id, _)| id);
            let taken = &stored(to).taken;
            let is_there = |id: &PacketId| taken.contains(id) || expired.contains(id) && forgotten;
            assert!(ids.any(is_there), "{:?} is said to be delivered", letter.uid);
        }
    }

    /// In the end each letter is shown, or there is a reason, and its author knows.
    pub(super) fn assert_all_shown(&self, stored: &[&Stored], expired: &BTreeSet<PacketId>) {
        for (uid, letter) in &self.written {
            let mut outbox = stored[letter.author].outbox.iter();
            let row = outbox.find(|row| row.uid == *uid).or(letter.deleted.as_ref());
            let row = row.unwrap_or_else(|| panic!("{uid:?} is gone"));
            let was_known = letter.deleted.is_some() && row.status == Status::Stored;
            let (state, status) = (row.state, row.status);
            let Some(to) = letter.to else {
                let nobody = State::Refused(Reason::Code(ErrorCode::UnknownUser.code()));
                assert!(state == nobody || letter.given_up, "{uid:?} to nobody is {state:?}");
                continue;
            };
            let has_expired = row.packets.iter().any(|(id, _)| expired.contains(id));
            match state {
                State::GivenUp => assert!(letter.given_up),
                State::Answered => {
                    let is_over = [Status::Delivered, Status::Expired].contains(&status);
                    assert!(is_over || was_known, "{uid:?} is {status:?}");
                    assert!(status != Status::Expired || has_expired, "{uid:?} has not expired");
                }
                State::Waiting | State::Sent | State::Refused(_) => panic!("{uid:?} is {state:?}"),
            }
            let is_unread = row.packets.iter().any(|(id, _)| self.unread.contains(id))
                || self.blocked.contains(&(to, self.phones[letter.author]));
            let has_arrived = status == Status::Delivered || was_known;
            let is_it = |one: &&Received| row.packets.iter().any(|(id, _)| *id == one.id);
            let says = stored[to].letters.iter().find(is_it).map(|one| &one.says);
            let must_be_shown = has_arrived && !has_expired && !is_unread;
            assert!(letter.is_shown || !must_be_shown, "{uid:?} was never shown: {says:?}");
        }
        self.assert_order(stored);
    }

    /// Letters of one person to another are read in the order in which they were written. A letter of
    /// somebody blocked is acknowledged and forgotten; after a crash of the server it may come again, and
    /// is read then if nobody blocks its author any more.
    fn assert_order(&self, stored: &[&Stored]) {
        for (who, stored) in stored.iter().enumerate() {
            for from in &self.phones {
                if self.blocked.contains(&(who, *from)) {
                    continue;
                }
                let of = stored.letters.iter().filter(|letter| letter.from == Some(*from));
                let uids: Vec<_> = of.filter_map(|letter| letter.says.uid()).collect();
                assert!(uids.is_sorted(), "{who} reads {uids:?}");
            }
        }
    }
}
