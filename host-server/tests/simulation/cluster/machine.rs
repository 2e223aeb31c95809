//! What a database on one machine does with statements, as PostgreSQL would.

use std::collections::BTreeMap;

use waxwing_core::time::UnixTime;
use waxwing_server::store::shared::{
    Change, Claim, Epoch, Fence, Instance, LeaseRow, Mark, Node, Renewed, Seen,
};
use waxwing_server::store::{ApplyError, MemoryStorage, Storage};

use super::faults::Fault;

/// Marks that are kept.
const MARKS: u64 = 50;

/// The tables.
pub(super) struct Machine {
    pub(super) data: MemoryStorage,
    lease: LeaseRow,
    marks: BTreeMap<u64, Epoch>,
    is_doubtful: bool,
}

/// A statement, or a transaction, that locks the row of the lease.
#[derive(Clone, Debug)]
pub(super) enum Statement {
    Take(Claim),
    Renew(Instance),
    GiveBack(Instance),
    Doubt(Option<Mark>),
    Group(Fence, Change),
    /// By an operator whose server has witnessed that.
    Adopt(Option<Mark>, UnixTime),
}

/// What comes back when it is committed.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// A lease that was taken or renewed.
    Renewed(Option<Renewed>),
    /// Whether the database is doubtful.
    Doubtful(bool),
    Done,
}

impl Machine {
    /// A new database, with what is in `data`.
    pub(super) fn new(data: MemoryStorage) -> Self {
        let marks = BTreeMap::from([(0, Epoch(0))]);
        Self { data, lease: LeaseRow::default(), marks, is_doubtful: false }
    }

    /// Another machine with the same in it.
    pub(super) fn copy(&self) -> Self {
        Self {
            data: self.data.copy(),
            lease: self.lease,
            marks: self.marks.clone(),
            is_doubtful: self.is_doubtful,
        }
    }

    pub(super) fn look(&self, witnessed: Option<Mark>) -> Seen {
        let mark = |(group, epoch): (&u64, &Epoch)| Mark { epoch: *epoch, group: *group };
        let at_witnessed = witnessed.and_then(|mark| {
            self.marks.get(&mark.group).map(|epoch| Mark { epoch: *epoch, group: mark.group })
        });
        Seen {
            lease: self.lease,
            last: self.last(),
            before_last: self.marks.iter().rev().nth(1).map(mark),
            oldest: self.marks.keys().next().copied().unwrap_or_default(),
            at_witnessed,
            is_doubtful: self.is_doubtful,
        }
    }

    pub(super) fn last(&self) -> Mark {
        let last = self.marks.last_key_value();
        last.map_or_else(Mark::default, |(group, epoch)| Mark { epoch: *epoch, group: *group })
    }

    /// Whether a statement would change anything; only then it waits for the other machine.
    pub(super) fn would_change(&self, statement: &Statement, fault: Option<Fault>) -> bool {
        match statement {
            Statement::Take(claim) => {
                (self.lease, self.last()) == (claim.lease, claim.last) && !self.is_doubtful
            }
            Statement::Renew(instance) | Statement::GiveBack(instance) => self.is_of(*instance),
            Statement::Doubt(witnessed) => self.lacks(*witnessed),
            Statement::Group(fence, _) => self.fence_holds(fence, fault),
            Statement::Adopt(..) => true,
        }
    }

    /// Carries a statement out, once it may be committed.
    pub(super) fn execute(
        &mut self,
        statement: &Statement,
        fault: Option<Fault>,
    ) -> Result<Reply, ApplyError> {
        let is_effective = self.would_change(statement, fault);
        match statement {
            Statement::Take(claim) => {
                let holder = Some((claim.node, claim.instance));
                Ok(Reply::Renewed(is_effective.then(|| self.change_lease(holder))))
            }
            Statement::Renew(_) => {
                let holder = self.lease.holder;
                Ok(Reply::Renewed(is_effective.then(|| self.change_lease(holder))))
            }
            Statement::GiveBack(_) => {
                is_effective.then(|| self.change_lease(None));
                Ok(Reply::Done)
            }
            Statement::Doubt(_) => {
                if is_effective {
                    self.is_doubtful = true;
                    self.change_lease(None);
                }
                Ok(Reply::Doubtful(is_effective))
            }
            Statement::Group(fence, change) => {
                if !is_effective {
                    return Err(ApplyError::Fenced("division by zero".into()));
                }
                self.change(change)?;
                self.marks.insert(fence.mark().group, fence.mark().epoch);
                let oldest = fence.mark().group.saturating_sub(MARKS);
                self.marks = self.marks.split_off(&oldest);
                Ok(Reply::Done)
            }
            Statement::Adopt(witnessed, letters_missing_until) => {
                self.lease = LeaseRow { epoch: self.lease.epoch.adopted(*witnessed), holder: None };
                self.is_doubtful = false;
                self.data.restore(&self.data.copy(), *letters_missing_until);
                Ok(Reply::Done)
            }
        }
    }

    fn change(&mut self, change: &Change) -> Result<(), ApplyError> {
        match change {
            Change::Batches(batches) => self.data.apply(batches),
            Change::Removal { letters, now, .. } => {
                let places: Vec<_> = letters.iter().map(|(_, place)| *place).collect();
                self.data.take_out(&places, *now);
                Ok(())
            }
            Change::SetAside { .. } => panic!("no letter is damaged"),
            Change::Bans(_) | Change::ServerKey(..) | Change::Erasure(_) => {
                panic!("there is no operator")
            }
        }
    }

    fn change_lease(&mut self, holder: Option<(Node, Instance)>) -> Renewed {
        let epoch = self.lease.epoch.next();
        self.lease = LeaseRow { epoch, holder };
        Renewed { epoch, last: self.last() }
    }

    fn is_of(&self, instance: Instance) -> bool {
        self.lease.holder.is_some_and(|(_, holder)| holder == instance)
    }

    fn lacks(&self, witnessed: Option<Mark>) -> bool {
        let seen = self.look(witnessed);
        seen.is_doubtful || witnessed.is_some_and(|mark| seen.lacks(mark))
    }

    fn fence_holds(&self, fence: &Fence, fault: Option<Fault>) -> bool {
        let is_holder = self.is_of(fence.instance) && self.lease.epoch == fence.epoch;
        let is_behind_the_last = self.marks.get(&fence.last.group) == Some(&fence.last.epoch)
            && !self.marks.contains_key(&fence.mark().group);
        match fault {
            Some(Fault::NoFence) => true,
            Some(Fault::OnlyTheRow) => is_holder,
            Some(Fault::OnlyTheMark) => is_behind_the_last,
            _ => is_holder && is_behind_the_last,
        }
    }
}
