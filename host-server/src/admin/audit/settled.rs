//! Acts that nobody has ended, and up to which line there are none: what a start has looked through needs no
//! later one to look through again, and all files together have nearly a million lines.
//!
//! That is noted in a file beside the log, when the server starts and when it stops. `audit verify` misses that line if it
//! is gone. Where it is missing, or is not about this log, all of the log is
//! read.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;

use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use super::file::{self, Last, Purpose, failure};
use super::line::{Arguments, Line};
use super::read::Snapshot;
use super::rotation::Files;
use super::{Begun, erase};
use crate::exit::Failure;

/// Of a note, in bytes. It is shorter.
const LONGEST: u64 = 1_024;

/// Up to this line, every act has ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settled {
    number: u64,
    /// Its SHA-256, by which it is known that this is the same log.
    sha256: String,
}

/// An act that nobody has ended.
pub(super) struct Open {
    pub(super) number: u64,
    pub(super) command: String,
    pub(super) arguments: Arguments,
    /// That of the line before it.
    before: String,
}

impl Open {
    /// Whether it can still be brought to its end.
    pub(super) fn is_erasure(&self) -> bool {
        erase::of_whom(self.arguments.map()).is_some()
    }

    /// As it was begun, for whoever ends it.
    pub(super) fn begun(self) -> Begun {
        let Self { number, command, .. } = self;
        Begun { number, uid: geteuid().as_raw(), command }
    }
}

impl Settled {
    /// What an earlier start has noted, if it has noted something; or what is wrong with the note.
    pub(super) fn read(files: &Files) -> Result<Option<Self>, Failure> {
        let mut text = Vec::new();
        let path = files.settled();
        // As the log itself: what others can change says nothing.
        let Some(file) = file::open(&path, Purpose::Read)? else { return Ok(None) };
        file.take(LONGEST).read_to_end(&mut text).map_err(|error| failure(&path, error))?;
        let is_noted = |settled: &Self| settled.number > 0;
        serde_json::from_slice(&text)
            .ok()
            .filter(is_noted)
            .map(Some)
            .ok_or_else(|| failure(&path, "it is no note of a line"))
    }

    /// Where acts are open, it is the line before the first of them; else the newest line.
    pub(super) fn before(open: &[Open], newest: Option<Last>) -> Option<Self> {
        let Some(first) = open.iter().min_by_key(|open| open.number) else {
            return newest.map(|Last { number, digest }| Self { number, sha256: digest });
        };
        let number = first.number.checked_sub(1).filter(|number| *number > 0)?;
        Some(Self { number, sha256: first.before.clone() })
    }

    /// Notes it for the next start, which reads more if that fails.
    pub(super) fn write(&self, files: &Files) {
        // Nothing in it can fail to be written.
        let text = serde_json::to_vec(self).unwrap_or_default();
        let draft = files.settled_draft();
        let write = || {
            let mut options = OpenOptions::new();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&draft)?.write_all(&text)?;
            fs::rename(&draft, files.settled())
        };
        if let Err(error) = write() {
            tracing::debug!(%error, "the next start reads all of the audit log");
            let _ = fs::remove_file(draft);
        }
    }

    /// The line up to which every act has ended, as the next one needs it.
    pub(super) fn line(self) -> Last {
        Last { number: self.number, digest: self.sha256 }
    }

    /// Whether this is the line, or the one behind it.
    fn is_met(&self, line: &Line, bytes: &[u8]) -> bool {
        match line.number.checked_sub(self.number) {
            Some(0) => line.digest(bytes) == self.sha256,
            Some(1) => line.before == self.sha256,
            _ => false,
        }
    }
}

/// The acts of the log that nobody has ended, in their order.
pub(super) fn open_acts(snapshot: &Snapshot, files: &Files) -> Result<Vec<Open>, Failure> {
    match Settled::read(files) {
        Ok(None) => {}
        Ok(Some(settled)) => {
            if let Some(open) = open_behind(snapshot, Some(&settled))? {
                return Ok(open);
            }
        }
        Err(why) => tracing::warn!(
            name: "audit_note_unreadable",
            path = %files.settled().display(), %why,
            "the note of the last line of the audit log cannot be used, and is written anew: whether lines are gone \
             from the end of the log cannot be said"
        ),
    }
    Ok(open_behind(snapshot, None)?.unwrap_or_default())
}

/// Those behind a line; nothing if the log does not have that line.
fn open_behind(
    snapshot: &Snapshot,
    settled: Option<&Settled>,
) -> Result<Option<Vec<Open>>, Failure> {
    let first = match settled {
        Some(settled) => snapshot.newest_that_begins_by(settled.number.saturating_add(1))?,
        None => 0,
    };
    let mut open = BTreeMap::new();
    let mut is_met = settled.is_none();
    snapshot.each_from(first, |entry| {
        let Some(line) = entry.line else { return Ok(()) };
        is_met |= settled.is_some_and(|settled| settled.is_met(&line, entry.bytes));
        let Line { number, command, arguments, of, result, before, .. } = line;
        if settled.is_some_and(|settled| number <= settled.number) {
            return Ok(());
        }
        match (of, result) {
            (Some(of), _) => _ = open.remove(&of),
            (None, None) => {
                let arguments = Arguments::of_line(arguments);
                open.insert(number, Open { number, command, arguments, before });
            }
            (None, Some(_)) => {}
        }
        Ok(())
    })?;
    Ok(is_met.then(|| open.into_values().collect()))
}
