//! The reference model: what is known of every letter, and what must hold.

use std::collections::{BTreeMap, BTreeSet};

use waxwing_core::id::PacketId;
use waxwing_core::wire::Status;

/// What a person's device holds.
#[derive(Default)]
pub(super) struct Device {
    pub(super) online: bool,
    /// Bits fell over on its connection, so that anything may come of it.
    pub(super) troubled: bool,
    pub(super) window: u8,
    /// Ids handed over in this session, in order.
    pub(super) session: Vec<PacketId>,
    pub(super) unacknowledged: Vec<PacketId>,
    /// Pending when the confirmation was sent; `None` once 255 has come.
    pub(super) backlog: Option<Vec<PacketId>>,
    pub(super) acknowledged: BTreeSet<PacketId>,
    /// Its own letters that have no answer yet: sent again after a reconnect.
    pub(super) open: BTreeMap<PacketId, Vec<u8>>,
}

impl Device {
    /// A session that begins.
    pub(super) fn session(self, window: u8, backlog: Vec<PacketId>) -> Self {
        let Self { acknowledged, open, .. } = self;
        let backlog = Some(backlog);
        Self { online: true, window, backlog, acknowledged, open, ..Self::default() }
    }
}

/// All letters.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) statuses: BTreeMap<PacketId, Status>,
    /// To whom every letter that anybody has signed goes.
    pub(super) to: BTreeMap<PacketId, usize>,
    /// Letters whose first copy may have survived a crash that their answer did not, or may have
    /// gone out before it was refused: they are sent again and may come twice.
    pub(super) doubtful: BTreeSet<PacketId>,
}

impl Ledger {
    /// Storage refuses what it is given: a letter that has gone out may be refused, sent again and
    /// come once more.
    pub(super) fn doubt_what_is_unanswered(&mut self) {
        let unanswered = self.to.keys().filter(|id| !self.statuses.contains_key(*id));
        self.doubtful.extend(unanswered);
    }

    /// A letter comes to `who`: it was signed, for this one, and comes once in a session.
    pub(super) fn came(&self, device: &mut Device, who: usize, id: PacketId) {
        assert_eq!(self.to.get(&id), Some(&who), "{id} is nobody's letter to {who}");
        let twice = device.session.contains(&id);
        assert!(!twice || self.doubtful.contains(&id), "{id} came twice in a session");
        device.session.push(id);
        device.unacknowledged.push(id);
        assert!(device.unacknowledged.len() <= usize::from(device.window), "above the window");
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

    /// A status: nothing is delivered that nobody holds, and nothing expires that lives.
    pub(super) fn status(
        &mut self,
        devices: &[Device],
        expired: &BTreeSet<PacketId>,
        id: PacketId,
        status: Status,
    ) {
        let to = &devices[self.to[&id]];
        let known = status == Status::Delivered;
        assert!(!known || to.acknowledged.contains(&id), "nobody holds {id}");
        assert!(status != Status::Expired || expired.contains(&id), "{id} has not expired");
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
            let held = &devices[self.to[id]].acknowledged;
            let is_lost = !held.contains(id) && !expired.contains(id);
            assert!(!is_lost, "{id} was {status:?} and is lost");
        }
    }
}
