//! What an operator does to users while the server runs: to remove one, or to have letters expire that
//! nobody fetches. Both take letters out of a mailbox, some at a time, so that nobody else waits long.
//!
//! A user who is being removed has left [`Accounts`](super::accounts::Accounts) already: there is no way
//! into the account, and letters to it are refused for now. If storage cannot do it, they come back.

use hashbrown::HashMap;

use super::accounts::Withdrawn;
use super::ctx::Ctx;
use super::output::{Administered, Output};
use super::storage::{Question, Write};
use super::storage_queue::Asker;
use crate::crypto::Provider;
use crate::id::UserId;
use crate::time::UnixTime;

/// What the operator has asked for and has not been done yet, by user.
#[derive(Debug, Default)]
pub(super) struct Administration {
    tasks: HashMap<UserId, Task>,
}

#[derive(Debug)]
struct Task {
    /// Letters from before this moment are taken out.
    accepted_before: UnixTime,
    /// Letters that were taken out.
    letters: u64,
    /// The user, if they are to be removed.
    leaving: Option<Withdrawn>,
}

impl Administration {
    /// Letters that are taken out in one go, at most.
    const AT_ONCE: usize = 1_000;

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
        self.begin(ctx, user, Task { accepted_before, letters: 0, leaving: None });
    }

    /// Begins to remove a user, who has no session any more.
    pub(super) fn remove(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        user: UserId,
        withdrawn: Withdrawn,
    ) {
        // What was confirmed is stored before there is nobody whose it is.
        ctx.storage.hurry(ctx.now.instant);
        let accepted_before = UnixTime::from_seconds(i64::MAX);
        self.begin(ctx, user, Task { accepted_before, letters: 0, leaving: Some(withdrawn) });
    }

    fn begin(&mut self, ctx: &mut Ctx<'_, impl Provider>, user: UserId, task: Task) {
        ask(ctx, user, &task);
        self.tasks.insert(user, task);
    }

    /// So many letters were taken out. Goes on, or ends it.
    pub(super) fn took_out(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        user: UserId,
        letters: usize,
    ) {
        let Some(task) = self.tasks.get_mut(&user) else { return };
        task.letters = task.letters.saturating_add(u64::try_from(letters).unwrap_or(u64::MAX));
        if letters >= Self::AT_ONCE {
            ask(ctx, user, task);
        } else if task.leaving.is_some() {
            ctx.storage.write(Write::RemoveUser { user, now: ctx.now.unix });
        } else {
            let letters = task.letters;
            self.tasks.remove(&user);
            ctx.give_out(Output::Administered { user, outcome: Administered::Expired { letters } });
        }
    }

    /// A user is removed. Who they were.
    pub(super) fn removed(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        user: UserId,
    ) -> Option<Withdrawn> {
        let Task { letters, leaving, .. } = self.tasks.remove(&user)?;
        let withdrawn = leaving?;
        let phone = *withdrawn.phone();
        let outcome = Administered::Removed { phone, undelivered: letters };
        ctx.give_out(Output::Administered { user, outcome });
        Some(withdrawn)
    }

    /// Storage cannot do it now. Who is not removed after all, if somebody was to be.
    pub(super) fn failed(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        user: UserId,
    ) -> Option<Withdrawn> {
        let Task { letters, leaving, .. } = self.tasks.remove(&user)?;
        ctx.give_out(Output::Administered { user, outcome: Administered::NotDone { letters } });
        leaving
    }
}

fn ask(ctx: &mut Ctx<'_, impl Provider>, user: UserId, task: &Task) {
    let question = Question::TakeOut {
        recipient: user,
        accepted_before: task.accepted_before,
        now: ctx.now.unix,
        limit: Administration::AT_ONCE,
    };
    ctx.storage.ask(Asker::Administration(user), question);
}
