//! What an operator does while the server runs: to remove a user, to have letters expire that nobody
//! fetches, or to send all sessions away. The first two take letters out of a mailbox, some at a time, so
//! that nobody else waits long.
//!
//! A user who is being removed is not in the accounts any more: nobody gets in, and letters to them are
//! refused for now. If storage cannot do it, they are put back.

mod drain;
mod task;

use core::time::Duration;

use hashbrown::HashMap;

use super::ctx::Ctx;
use super::output::{Administered, Output};
use super::shard::Shard;
use super::storage::{ExpiredLetter, OwnLimits, Write};
use super::storage_queue::Asker;
use crate::crypto::Provider;
use crate::id::UserId;
use crate::phone::Phone;
use crate::time::{Instant, UnixTime};
use drain::Drain;
use task::{Aim, Next, Task};

/// What the operator has asked for and has not been done yet.
#[derive(Debug, Default)]
pub(super) struct Administration {
    /// By user.
    tasks: HashMap<UserId, Task>,
    drain: Option<Drain>,
}

impl Administration {
    /// Begins to send all sessions away, or gives those who are left another time.
    pub(super) fn drain(&mut self, now: Instant, over: Duration, left: usize, shard: Shard) {
        match &mut self.drain {
            Some(drain) => drain.change(now, over, left, shard),
            none => *none = Some(Drain::new(now, over, left, shard)),
        }
    }

    /// Sends nobody away any more.
    pub(super) fn stop_draining(&mut self) {
        self.drain = None;
    }

    /// Sends sessions away, if it does.
    pub(super) const fn draining(&mut self) -> Option<&mut Drain> {
        self.drain.as_mut()
    }

    /// Whether sessions are being sent away.
    pub(super) const fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// When there is something to do.
    pub(super) fn wait_until(&self) -> Option<Instant> {
        self.drain.as_ref().map(Drain::wait_until)
    }

    /// Whether something is being done to this user.
    pub(super) fn is_at_work_on(&self, user: UserId) -> bool {
        self.tasks.contains_key(&user)
    }

    /// Begins to take out the letters of a mailbox from before a moment.
    pub(super) fn expire(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        user: UserId,
        accepted_before: UnixTime,
    ) {
        self.begin(ctx, user, Task::new(Aim::Expire { accepted_before }));
    }

    /// Begins to remove a user, who has no session any more.
    pub(super) fn remove(&mut self, ctx: &mut Ctx<'_, impl Provider>, user: UserId, phone: Phone) {
        // What was confirmed is stored before there is nobody whose it is.
        ctx.storage.hurry(ctx.now.instant);
        self.begin(ctx, user, Task::new(Aim::Remove { phone }));
    }

    /// Begins to suspend a user, or to end that. If storage cannot do it, it is to be as it was before.
    pub(super) fn suspend(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        user: UserId,
        write: Write,
        before: Option<Option<UnixTime>>,
    ) {
        ctx.storage.write(write);
        self.tasks.insert(user, Task::new(Aim::Suspension { before }));
    }

    /// Begins to give a user other limits.
    pub(super) fn set_limits(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        user: UserId,
        limits: OwnLimits,
    ) {
        ctx.storage.write(Write::SetLimits { user, limits });
        self.tasks.insert(user, Task::new(Aim::Limits));
    }

    /// The suspension that the user had before the one that is being stored.
    pub(super) fn suspension_before(&self, user: UserId) -> Option<Option<Option<UnixTime>>> {
        self.tasks.get(&user)?.suspension_before()
    }

    fn begin(&mut self, ctx: &mut Ctx<'_, impl Provider>, user: UserId, task: Task) {
        ctx.storage.ask(Asker::Administration(user), task.question(user, ctx.now.unix));
        self.tasks.insert(user, task);
    }

    /// These letters were taken out. Goes on, or ends it.
    pub(super) fn took_out(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        user: UserId,
        letters: &[ExpiredLetter],
    ) {
        let Some(task) = self.tasks.get_mut(&user) else { return };
        match task.took_out(letters) {
            Next::TakeMore => {
                let question = task.question(user, ctx.now.unix);
                ctx.storage.ask(Asker::Administration(user), question);
            }
            Next::RemoveUser => {
                ctx.storage.write(Write::RemoveUser { user, now: ctx.now.unix });
            }
            Next::End => self.done(ctx, user),
        }
    }

    /// What was asked for is done.
    pub(super) fn done(&mut self, ctx: &mut Ctx<'_, impl Provider>, user: UserId) {
        if let Some(task) = self.tasks.remove(&user) {
            ctx.give_out(Output::Administered { user, outcome: task.done() });
        }
    }

    /// Storage cannot do it now.
    pub(super) fn failed(&mut self, ctx: &mut Ctx<'_, impl Provider>, user: UserId) {
        if let Some(task) = self.tasks.remove(&user) {
            let outcome = Administered::NotDone { letters: task.letters() };
            ctx.give_out(Output::Administered { user, outcome });
        }
    }
}
