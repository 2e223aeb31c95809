//! The model of the packets that carry letters: what is known of each, and what must hold.

use std::collections::{BTreeMap, BTreeSet};

use waxwing_core::id::{PacketId, Uid};
use waxwing_core::wire::Status;

/// What has gone over a person's connections.
#[derive(Default)]
pub(super) struct Device {
    /// Bits fell over on this connection, so that anything may come of it.
    pub(super) troubled: bool,
    /// Ids handed over in this session, in order.
    pub(super) session: Vec<PacketId>,
    /// Pending when the confirmation was sent; `None` once 255 has come.
    pub(super) backlog: Option<Vec<PacketId>>,
    /// What was sent on this connection and has no answer.
    pub(super) unanswered: BTreeMap<PacketId, Signed>,
    /// Letters of which it was heard for good what became of them. A packet of such a letter may be on
    /// its way out already: it was made before that was heard.
    settled: BTreeSet<Uid>,
    pub(super) acknowledged: BTreeSet<PacketId>,
}

impl Device {
    /// A connection begins.
    pub(super) fn connect(&mut self) {
        let acknowledged = std::mem::take(&mut self.acknowledged);
        *self = Self { acknowledged, ..Self::default() };
    }

    /// A letter goes out: never again without an answer, and one to each person at a time.
    pub(super) fn send(&mut self, id: PacketId, signed: Signed) {
        if signed.letter.is_some_and(|letter| self.settled.remove(&letter)) {
            return;
        }
        let waits = self.unanswered.values().any(|other| other.to == signed.to);
        assert!(!waits, "{id} goes out before the letter before it has its answer");
        self.unanswered.insert(id, signed);
    }

    /// A letter has its answer, whichever of its packets that names.
    pub(super) fn answered(&mut self, letter: Option<Uid>) {
        self.unanswered.retain(|_, signed| signed.letter != letter);
    }

    /// The same, and it is the last word.
    pub(super) fn settled(&mut self, letter: Option<Uid>) {
        self.answered(letter);
        self.settled.extend(letter);
    }
}

/// A packet that somebody has signed.
#[derive(Clone, Copy)]
pub(super) struct Signed {
    /// To whom it goes.
    pub(super) to: usize,
    /// The letter in it, if somebody honest has signed it.
    pub(super) letter: Option<Uid>,
}

/// All packets that carry letters.
#[derive(Default)]
pub(super) struct Packets {
    statuses: BTreeMap<PacketId, Status>,
    pub(super) signed: BTreeMap<PacketId, Signed>,
    /// Those whose first copy may have survived a crash that their answer did not, or may have gone
    /// out before it was refused: they are sent again and may come twice.
    doubtful: BTreeSet<PacketId>,
}

impl Packets {
    /// The server dies, or storage refuses what it is given: a letter whose author does not know that
    /// it was answered may be refused, or forgotten, and sent again, and come once more. `open` are
    /// those whose answer may have been heard, and is not durable.
    pub(super) fn doubt_what_is_unanswered(&mut self, open: impl Iterator<Item = PacketId>) {
        let unanswered = self.signed.keys().filter(|id| !self.statuses.contains_key(*id));
        self.doubtful.extend(unanswered);
        self.doubtful.extend(open);
    }

    /// A letter comes to `who`: it was signed, for this one, and comes once in a session.
    pub(super) fn came(&self, device: &mut Device, who: usize, id: PacketId) {
        let to = self.signed.get(&id).map(|signed| signed.to);
        assert_eq!(to, Some(who), "{id} is nobody's letter to {who}");
        let twice = device.session.contains(&id);
        assert!(!twice || self.doubtful.contains(&id), "{id} came twice in a session");
        device.session.push(id);
    }

    /// Everything that was pending has come before the 255.
    pub(super) fn backlog_ended(device: &mut Device, expired: &BTreeSet<PacketId>, count: u32) {
        let backlog = device.backlog.take().expect("one 255 per session");
        // What was acknowledged before may be deleted before the fetch, or come once more.
        let gone = |id: &PacketId| device.acknowledged.contains(id) || expired.contains(id);
        let still = backlog.iter().filter(|id| !gone(id));
        for id in still {
            assert!(device.session.contains(id), "255 before {id} of the backlog");
        }
        assert!(count as usize <= device.session.len());
    }

    /// A status: nothing is delivered that nobody holds, and nothing expires that lives. Of what has
    /// expired nobody knows any more, once its time is `forgotten`.
    pub(super) fn status(
        &mut self,
        devices: &[Device],
        expired: &BTreeSet<PacketId>,
        forgotten: bool,
        id: PacketId,
        status: Status,
    ) {
        let has_expired = expired.contains(&id);
        let is_held = devices[self.signed[&id].to].acknowledged.contains(&id);
        let may_be_said = is_held || has_expired && forgotten;
        assert!(status != Status::Delivered || may_be_said, "nobody holds {id}");
        assert!(status != Status::Expired || has_expired, "{id} has not expired");
        let best = self.statuses.entry(id).or_insert(status);
        *best = status.after(*best);
    }

    /// The letters of a session come in the order in which the queue holds them.
    pub(super) fn assert_order(&self, device: &Device, pending: &[PacketId]) {
        let place = |id| pending.iter().position(|other| other == id);
        let certain = device.session.iter().filter(|id| !self.doubtful.contains(*id));
        let places: Vec<_> = certain.filter_map(place).collect();
        assert!(places.is_sorted(), "out of order: {places:?}");
    }

    /// In the end, whoever was told `stored` or more has a letter that its recipient holds, or that
    /// has expired.
    pub(super) fn assert_nothing_lost(&self, devices: &[Device], expired: &BTreeSet<PacketId>) {
        for (id, status) in &self.statuses {
            let held = &devices[self.signed[id].to].acknowledged;
            let is_lost = *status != Status::Unknown && !held.contains(id) && !expired.contains(id);
            assert!(!is_lost, "{id} was {status:?} and is lost");
        }
    }
}
