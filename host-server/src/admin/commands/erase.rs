//! `users remove --erase`: a user is removed, and nothing is left that names them.
//!
//! What comes first cannot be taken back: the user is removed. What is left of them elsewhere is erased
//! then, and if the server or the command ends before that is done, the next start of the server goes on
//! with it ([`finish`]).

use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::audit::{self, Arguments, AuditLog, Begun, Outcome};
use super::super::control::{Answer, Caller};
use super::super::protocol::item;
use super::super::running::{Interrupted, Running};
use super::Paper;
use super::users::{Removed, found, not_removed, outcome_of, remove_from};
use crate::clock;
use crate::data_dir::{LockedDataDir, older_databases};
use crate::exit::Failure;
use crate::failpoint::Failpoint;
use crate::figures;
use crate::store::{self, ApplyError, Engine, Storage, StorageError, UserName, UserSummary};

const COMMAND: &str = "users remove";
const UNFINISHED: &str =
    "the user is removed, and the next start of the server goes on with what is left of them";
const MAYBE_REMOVED: &str =
    "if the user is removed, the next start of the server goes on with what is left of them";

/// A user of whom nothing is left.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Erased {
    #[serde(flatten)]
    removed: Removed,
    /// Lines of the audit log that do not name them any more.
    erased_audit_lines: u64,
    /// Copies of the database in the data directory, which still do.
    copies: Vec<String>,
}

impl Erased {
    fn new(removed: Removed, lines: u64, data: &Path) -> Self {
        // What cannot be listed is not named.
        let copies = older_databases(data).unwrap_or_default();
        Self { removed, erased_audit_lines: lines, copies }
    }

    pub(super) fn page(out: &mut dyn Write, erased: &Self) -> io::Result<()> {
        let Self { removed, erased_audit_lines, copies } = erased;
        Removed::line(out, removed)?;
        let lines = figures::count(*erased_audit_lines, "line", "lines");
        writeln!(out, "erased from {lines} of the audit log")?;
        for copy in copies {
            writeln!(out, "{copy} is a copy from before: delete it, if you need it no more")?;
        }
        writeln!(out, "backups made before still name them, until they are deleted")
    }
}

// ---- In the server ----

pub(super) fn remove(
    running: &Running,
    caller: Caller,
    user: UserName,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let user = running.user(answer, &user)?.id;
    let begun = running.begin((caller, answer), COMMAND, Arguments::of_erasure(user))?;
    let number = begun.number();
    let erased = remove_from(running, user, answer).and_then(|removed| {
        Failpoint::BeforeErasing.pass();
        let erased =
            running.erase(answer, user).and_then(|()| Ok(running.audit.erase(user, number)?));
        let lines = erased.map_err(|interrupted| match interrupted {
            Interrupted::Problem(problem) | Interrupted::Unclear(problem) => {
                problem.goes_on_later(UNFINISHED).into()
            }
            Interrupted::Gone => Interrupted::Gone,
        })?;
        Ok((Erased::new(removed, lines, &running.data), lines))
    });
    // The next start looks whether they are removed.
    let erased = erased.map_err(|interrupted| match interrupted {
        Interrupted::Unclear(problem) => problem.goes_on_later(MAYBE_REMOVED).into(),
        other => other,
    });
    let erased = running.finish(begun, erased, |begun, lines| end(&running.audit, begun, lines))?;
    item(answer, erased)
}

fn end(log: &AuditLog, begun: Begun, lines: u64) -> Result<(), Failure> {
    log.end_erasure(clock::unix_now(), begun, lines, Outcome::done(""))
}

// ---- Without a server ----

pub(super) fn remove_alone(
    (directory, log): (&LockedDataDir, &AuditLog),
    mut storage: Box<dyn Engine>,
    user: &UserName,
    paper: &mut Paper<'_>,
) -> Result<(), Failure> {
    let now = clock::unix_now();
    let UserSummary { id: user, phone, .. } = found(&mut *storage, user)?;
    let begun = log.begin(now, audit::caller(), COMMAND, Arguments::of_erasure(user))?;
    let (undelivered, ended) = store::remove_user(&mut *storage, user, now);
    if let Err(error) = ended {
        log.end(now, begun, outcome_of(&error))?;
        return Err(not_removed(undelivered, error));
    }
    let removed = Removed::new(user, &phone, undelivered);
    Failpoint::BeforeErasing.pass();
    let erased = storage.erase(user).map_err(|error| Failure::from(error.examined(&mut *storage)));
    let erased = erased.and_then(|()| log.erase(user, begun.number()));
    let lines = erased
        .map_err(|failure| Failure::new(failure.exit(), format!("{UNFINISHED}: {failure}")))?;
    let ended = end(log, begun, lines);
    let closed = storage.close();
    let told = paper.done(&Erased::new(removed, lines, directory.path()), Erased::page);
    // What is wrong with the files matters more than a reader who has left.
    ended?;
    closed?;
    told
}

// ---- At the start ----

/// Erasures that were begun before the last end of the server.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    /// So many are done now.
    pub(crate) users: usize,
    /// So many had not removed the user.
    pub(crate) unknown: usize,
    /// Why each of the others is not done. The next start tries again.
    pub(crate) unfinished: Vec<Failure>,
    /// Why the log cannot be read, so that nobody knows whether there are any.
    pub(crate) unread: Option<Failure>,
}

/// Ends what was begun before the last end of the server: of users who are gone, the rest goes. One that
/// cannot be done does not keep the others from it.
///
/// # Errors
/// When storage cannot be used any more.
pub(crate) fn finish(log: &AuditLog, storage: &mut dyn Storage) -> Result<Finished, StorageError> {
    let mut finished = Finished::default();
    let open = log.open_erasures().unwrap_or_else(|error| {
        finished.unread = Some(error);
        Vec::new()
    });
    for (begun, user) in open {
        let is_there = storage.find_user(&UserName::Id(user))?.is_some();
        let (count, ended) = if is_there {
            (&mut finished.unknown, log.end_interrupted(clock::unix_now(), begun))
        } else {
            let ended = match storage.erase(user) {
                Err(error @ ApplyError::Corrupt(_)) => {
                    return Err(StorageError::Damaged(error.into()));
                }
                Err(error @ (ApplyError::Fatal(_) | ApplyError::Fenced(_))) => {
                    return Err(StorageError::Unreachable(error.into()));
                }
                Err(error) => Err(error.into()),
                Ok(()) => log.erase(user, begun.number()).and_then(|lines| end(log, begun, lines)),
            };
            (&mut finished.users, ended)
        };
        match ended {
            Ok(()) => *count += 1,
            Err(error) => finished.unfinished.push(error),
        }
    }
    Ok(finished)
}
