//! The lines of the audit log about one user.
//!
//! Whoever names a user in a line does so by the id (`id` in the arguments). Ids are given to somebody
//! else some time after a user was removed, so lines up to the last removal are about another person.
//! Whether lines are about another person cannot always be said ([`Doubt`]).

use std::collections::BTreeSet;

use waxwing_core::id::UserId;

use super::AuditLog;
use super::erase;
use super::line::{AuditResult, Line};
use super::read::{Entry, Snapshot};
use crate::exit::Failure;

/// The command that removes a user.
pub(super) const REMOVE: &str = "users remove";
/// What brings another state of the users back.
const RESTORES: [&str; 2] = ["backup restore", "backup restore --undo"];

/// What is made of lines that may be about somebody who had the id before: nobody knows whether that user
/// was removed, or a backup has come back which lacks that user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// They are about another person. Nobody gets to read of others.
    IsAnother,
    /// They are about the person. Nothing stays that names them.
    IsTheSame,
}

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
    /// Whoever has this id since the last one who had it.
    pub(super) fn find(snapshot: &Snapshot, user: UserId, doubt: Doubt) -> Result<Self, Failure> {
        let mut person = Self { id: user.to_string(), since: 0, open: BTreeSet::new() };
        let mut begun = BTreeSet::new();
        snapshot.each(|Entry { line, .. }| {
            match line {
                Some(Line { of: Some(of), number, result: Some(result), command, .. })
                    if begun.remove(&of) && is_an_end(&command, result, doubt) =>
                {
                    person.since = number;
                }
                Some(line) if line.of.is_none() && person.may_end_in(&line) => {
                    begun.insert(line.number);
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(person)
    }

    /// Whether the act that begins here may end that somebody has the id.
    fn may_end_in(&self, line: &Line) -> bool {
        RESTORES.contains(&&*line.command) || line.command == REMOVE && self.is_named_in(line)
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

/// Whether nobody has the id any more who had it, when such an act has ended so.
fn is_an_end(command: &str, result: AuditResult, doubt: Doubt) -> bool {
    let is_sure = command == REMOVE && result == AuditResult::Done;
    let may_be = result != AuditResult::Failed;
    is_sure || may_be && doubt == Doubt::IsAnother
}

impl AuditLog {
    /// Calls `with` for each line of the log about a user, the oldest first, and with nothing for each
    /// other line: there may be many. Lines that may be about somebody who had the id before are others.
    ///
    /// # Errors
    /// When the log cannot be read, and those of `with`.
    pub fn about<E: From<Failure>>(
        &self,
        user: UserId,
        mut with: impl FnMut(Option<&Line>) -> Result<(), E>,
    ) -> Result<(), E> {
        let snapshot = self.snapshot()?;
        let mut person = Person::find(&snapshot, user, Doubt::IsAnother)?;
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
