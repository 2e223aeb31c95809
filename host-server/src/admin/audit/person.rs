//! The lines of the audit log about one user.
//!
//! Whoever names a user in a line does so by the id (`id` in the arguments). Ids are given to somebody
//! else some time after a user was removed, so lines up to the last removal are about another person.

use std::collections::BTreeSet;

use waxwing_core::id::UserId;

use super::AuditLog;
use super::erase;
use super::line::{AuditResult, Line};
use super::read::{Entry, Snapshot};
use crate::exit::Failure;

/// The command that removes a user.
pub(super) const REMOVE: &str = "users remove";

/// Tells lines about one person from others, one after the other.
#[derive(Debug)]
pub(super) struct Person {
    id: String,
    /// Lines up to this number are about somebody else.
    since: u64,
    /// Acts about the person whose ends have not come yet.
    open: BTreeSet<u64>,
}

impl Person {
    /// Whoever has this id since the last one who had it was removed.
    pub(super) fn find(snapshot: &Snapshot, user: UserId) -> Result<Self, Failure> {
        let mut person = Self { id: user.to_string(), since: 0, open: BTreeSet::new() };
        let mut removals = BTreeSet::new();
        snapshot.each(|Entry { line, .. }| {
            match line {
                Some(Line { of: Some(of), number, result, .. })
                    if removals.remove(&of) && result == Some(AuditResult::Done) =>
                {
                    person.since = number;
                }
                Some(line) if line.command == REMOVE && person.is_named_in(&line) => {
                    removals.insert(line.number);
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(person)
    }

    /// Whether this line, the next one, is about the person.
    pub(super) fn is_meant(&mut self, line: &Line) -> bool {
        if line.number <= self.since {
            return false;
        }
        if let Some(of) = line.of {
            return self.open.remove(&of);
        }
        // That somebody was to be erased says no more than the number which they had.
        let is_named = self.is_named_in(line) && erase::of_whom(&line.arguments).is_none();
        if is_named {
            self.expect_end(line);
        }
        is_named
    }

    /// This line is about the person, also if it does not say so any more.
    pub(super) fn expect_end(&mut self, line: &Line) {
        match line.of {
            None if line.result.is_none() => _ = self.open.insert(line.number),
            None => {}
            Some(of) => _ = self.open.remove(&of),
        }
    }

    fn is_named_in(&self, line: &Line) -> bool {
        line.arguments.get("id") == Some(&self.id)
    }
}

impl AuditLog {
    /// Calls `with` for each line of the log about a user, the oldest first, and with nothing for each
    /// other line: there may be many.
    ///
    /// # Errors
    /// When the log cannot be read, and those of `with`.
    pub fn about<E: From<Failure>>(
        &self,
        user: UserId,
        mut with: impl FnMut(Option<&Line>) -> Result<(), E>,
    ) -> Result<(), E> {
        let snapshot = self.snapshot()?;
        let mut person = Person::find(&snapshot, user)?;
        let mut ended = Ok(());
        snapshot.each(|Entry { line, .. }| {
            if ended.is_ok() {
                ended = with(line.as_ref().filter(|line| person.is_meant(line)));
            }
            Ok(())
        })?;
        ended
    }
}
