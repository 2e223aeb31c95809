//! Takes out of the log what names a person.
//!
//! A line about the person keeps its number, its time, who gave the command and which command it was. What
//! the command was about goes, and so does what is said of its result. The next line has the SHA-256 of the
//! line as it was, so that stays as well ([`Erased`]), and the chain holds. Nobody can find out by trying
//! what was there: lines that name somebody have a number in them that nobody can guess
//! ([`Arguments::about`]), which goes with the rest.
//!
//! Only an erasure may change a line: it has a line of its own, which says in the end how many lines it has
//! changed. `verify` compares that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use waxwing_core::id::UserId;

use super::file::{self, failure};
use super::line::{Arguments, Line, digest};
use super::person::{Doubt, Person};
use super::read::{Entry, Part, Snapshot};
use super::{AuditLog, Begun};
use crate::exit::Failure;

/// What an erasure says when it begins.
const ERASE: &str = "erase";
/// What it says when it ends: how many lines it has changed.
pub(super) const LINES: &str = "erased-lines";

impl Arguments {
    /// Of an erasure of what is held about this user, who is not named besides.
    #[must_use]
    pub fn of_erasure(user: UserId) -> Self {
        Self::new().with("id", user).with(ERASE, true)
    }
}

/// That a line does not say any more what it was about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// The number of the line in which the erasure began.
    pub by: u64,
    /// The SHA-256 of the line as it was, in hexadecimal.
    pub sha256: String,
}

/// Whose names an act takes out that has these arguments, if it does.
pub(super) fn of_whom(arguments: &BTreeMap<String, String>) -> Option<UserId> {
    arguments.get(ERASE)?;
    arguments.get("id")?.parse().ok().and_then(UserId::new)
}

impl Begun {
    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }
}

impl Line {
    /// What is left of this line when `by` has erased it.
    fn without_names(self, bytes: &[u8], by: u64) -> Self {
        let erased = Some(Erased { by, sha256: digest(bytes) });
        Self { arguments: Default::default(), detail: None, erased, ..self }
    }
}

impl AuditLog {
    /// Takes out what names a user who was removed; `by` is the act that does so. Returns how many lines
    /// `by` has changed so. Done again, it goes on where it was interrupted.
    ///
    /// # Errors
    /// When the log cannot be read or written. Some lines may have been changed then.
    pub fn erase(&self, user: UserId, by: u64) -> Result<u64, Failure> {
        let path = self.files.current();
        // Nobody writes or moves files meanwhile.
        let (current, _) = self.open_whole()?;
        let snapshot = Snapshot::of_locked(&self.files)?;
        let mut person = Person::find(&snapshot, user, Doubt::IsTheSame)?;
        let (mut numbers, mut count) = (BTreeSet::new(), 0);
        snapshot.each(|Entry { line, .. }| {
            let Some(line) = line else { return Ok(()) };
            if line.erased.as_ref().is_some_and(|erased| erased.by == by) {
                count += 1;
                person.expect_end(&line);
            } else if person.is_meant(&line) {
                numbers.insert(line.number);
            }
            Ok(())
        })?;
        for part in snapshot.parts() {
            let mut is_concerned = false;
            part.each(&mut |Entry { line, .. }| {
                is_concerned |= line.is_some_and(|line| numbers.contains(&line.number));
                Ok(())
            })?;
            if is_concerned {
                self.rewrite(part, (&numbers, by))?;
            }
        }
        if !numbers.is_empty() {
            self.files.sync_directory().map_err(|error| failure(&path, error))?;
        }
        drop(current);
        Ok(count + numbers.len() as u64)
    }

    /// Puts another file in the place of this one, in which these lines are erased.
    fn rewrite(&self, part: &Part, (numbers, by): (&BTreeSet<u64>, u64)) -> Result<(), Failure> {
        let path = &part.path;
        let draft = self.files.draft();
        let failed = |error| failure(&draft, error);
        let file = new_file(&draft).map_err(failed)?;
        let mut out = BufWriter::new(&file);
        let mut len = 0;
        part.each(&mut |Entry { bytes, line, .. }| {
            let erased = line.filter(|line| numbers.contains(&line.number));
            let written = match erased {
                Some(line) => line.without_names(bytes, by).to_bytes(),
                None => Ok(bytes.to_vec()),
            };
            let written = written.and_then(|mut bytes| {
                bytes.push(b'\n');
                len += bytes.len() as u64;
                out.write_all(&bytes)
            });
            written.map_err(failed)
        })?;
        out.flush().map_err(failed)?;
        drop(out);
        if *path == self.files.current() {
            file::reserve_or_warn(&draft, &file, len);
        }
        let placed = file.sync_all().and_then(|()| fs::rename(&draft, path));
        placed.map_err(|error| failure(path, error))
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}
