//! A file of the audit log: how it is opened, locked, and looked at from its end.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Access, FallocateFlags, OFlags, fallocate};
use rustix::io::Errno;

use super::line::{Line, MAX_LINE};
use super::rotation;
use crate::access;
use crate::exit::{Exit, Failure};
use crate::locks;

/// Between two attempts at a lock.
const PAUSE: Duration = Duration::from_millis(10);
/// What is kept free behind the end of the file.
const RESERVE: u64 = 65_536;
/// In which a last line that is whole, and one that is not, have room.
const WINDOW: u64 = 2 * (MAX_LINE as u64 + 1);

const NOT_PLAIN: &str = "the audit log has to be a plain file; move away what is there";

/// For what a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To write to it. It is made if there is none.
    Append,
    /// To read it.
    Read,
    /// To see whether it could be written to.
    Look,
}

/// Opens a file of the log; `None` if there is none.
///
/// # Errors
/// When it cannot be opened, is no plain file, or others can change it.
pub(super) fn open(path: &Path, purpose: Purpose) -> Result<Option<File>, Failure> {
    let mut options = OpenOptions::new();
    options.read(true).mode(0o600);
    options.append(purpose != Purpose::Read).create(purpose == Purpose::Append);
    // What is judged is what is used: a link is not followed, and a pipe not waited for.
    options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) => {
            return match Errno::from_io_error(&error) {
                Some(Errno::NOENT) if purpose != Purpose::Append => Ok(None),
                Some(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => Err(failure(path, NOT_PLAIN)),
                _ => Err(failure(path, access::cannot_open(path, &error))),
            };
        }
    };
    let metadata = file.metadata().map_err(|error| failure(path, error))?;
    if !metadata.is_file() {
        return Err(failure(path, NOT_PLAIN));
    }
    match access::others_can_change(path, &metadata) {
        Some(what) => Err(failure(path, what)),
        None => Ok(Some(file)),
    }
}

/// Whether a file that is not there could be made.
///
/// # Errors
/// Why not.
pub(super) fn can_be_made(path: &Path) -> Result<(), Failure> {
    let directory = path.parent().unwrap_or(path);
    let allowed = rustix::fs::access(directory, Access::WRITE_OK | Access::EXEC_OK);
    allowed.map_err(|error| failure(path, access::cannot_open(path, &error.into())))
}

/// As [`open`], and locked: against everybody else to append, against those who append to read. The
/// lock ends with the file.
///
/// # Errors
/// As [`open`], and when the lock is not to be had for so long.
pub(super) fn open_locked(
    path: &Path,
    purpose: Purpose,
    patience: Duration,
) -> Result<Option<File>, Failure> {
    let deadline = Instant::now() + patience;
    loop {
        let Some(file) = open(path, purpose)? else { return Ok(None) };
        loop {
            let locked = match purpose {
                Purpose::Append => file.try_lock(),
                Purpose::Read | Purpose::Look => file.try_lock_shared(),
            };
            match locked {
                Ok(()) => break,
                Err(fs::TryLockError::Error(error)) => return Err(failure(path, error)),
                Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                    thread::sleep(PAUSE);
                }
                Err(fs::TryLockError::WouldBlock) => return Err(is_locked(path, &file, patience)),
            }
        }
        // Whoever had it locked may have put another in its place.
        let still_there = is_at(path, &file).map_err(|error| failure(path, error))?;
        if still_there {
            return Ok(Some(file));
        }
        if Instant::now() >= deadline {
            return Err(failure(path, "it is replaced again and again"));
        }
    }
}

fn is_at(path: &Path, file: &File) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (own.dev(), own.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_locked(path: &Path, file: &File, patience: Duration) -> Failure {
    let seconds = patience.as_secs();
    let holders = file.metadata().map(|own| locks::holders(&own)).unwrap_or_default();
    let who = match holders.as_slice() {
        [] => "another waxwing-server".to_owned(),
        holders => holders.join(", "),
    };
    failure(
        path,
        format!(
            "it has been locked for {seconds} s, perhaps by {who}; end what hangs, and try again"
        ),
    )
}

/// The end of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// Bytes of the lines that are whole.
    pub(super) whole: u64,
    /// The last of these.
    pub(super) last: Option<Last>,
    /// Bytes behind them. A power cut leaves them, and what they would have announced was never begun.
    pub(super) torn: u64,
}

/// The last line, as far as the next one needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) number: u64,
    pub(super) digest: String,
}

/// Looks at the end of a file.
///
/// A line is torn if its end is missing, or if there is a zero in it: space that was reserved and never
/// written to reads as zeros, and no line has one.
///
/// # Errors
/// When it cannot be read, or does not end as this log can end.
pub(super) fn tail(path: &Path, file: &File) -> Result<Tail, Failure> {
    let len = file.metadata().map_err(|error| failure(path, error))?.len();
    let whole = look(file, len).map_err(|error| failure(path, error))?;
    let (whole, last) = whole.ok_or_else(|| damaged(path, file))?;
    let torn = len - whole;
    let last = match last {
        None => None,
        Some(line) => {
            let parsed = Line::parse(&line).ok_or_else(|| damaged(path, file))?;
            Some(Last { number: parsed.number, digest: parsed.digest(&line) })
        }
    };
    Ok(Tail { whole, last, torn })
}

/// How much of a file consists of whole lines, and the last of them; `None` if that is not to be found.
fn look(file: &File, len: u64) -> io::Result<Option<(u64, Option<Vec<u8>>)>> {
    let start = len.saturating_sub(WINDOW);
    let mut window = vec![0; usize::try_from(len - start).map_err(io::Error::other)?];
    file.read_exact_at(&mut window, start)?;

    let end = last_end(&window);
    if (end == 0 && start > 0) || window.len() - end > MAX_LINE {
        return Ok(None);
    }
    let Some(line) = line_before(&window, end, start) else { return Ok(None) };
    if !line.contains(&0) {
        let last = (end > 0).then(|| line.to_vec());
        return Ok(Some((start + end as u64, last)));
    }
    // Its end was written, and something before it was not. Only the last line can be like that.
    let end = end - line.len() - 1;
    let start_of_torn = start + end as u64;
    match line_before(&window, end, start) {
        Some(line) if !line.contains(&0) => {
            Ok(Some((start_of_torn, (end > 0).then(|| line.to_vec()))))
        }
        _ => Ok(None),
    }
}

/// Where the last whole line ends, behind its end.
fn last_end(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

/// The line that ends before `end`; empty if nothing is before it. `None` if it is too long.
fn line_before(window: &[u8], end: usize, start: u64) -> Option<&[u8]> {
    let Some((_, before)) = window.get(..end)?.split_last() else { return Some(&[]) };
    let from = last_end(before);
    let line = before.get(from..)?;
    let is_whole = from > 0 || start == 0;
    (is_whole && line.len() <= MAX_LINE).then_some(line)
}

/// Keeps room for the next lines behind the end of the file, for whoever acts while the disk is full.
pub(super) fn reserve(file: &File, end: u64) -> io::Result<()> {
    Ok(fallocate(file, FallocateFlags::KEEP_SIZE, end, RESERVE)?)
}

/// As [`reserve`]. What is written counts without it, so that a failure is a line in the log, once.
pub(super) fn reserve_or_warn(path: &Path, file: &File, end: u64) {
    static TOLD: Once = Once::new();
    if let Err(error) = reserve(file, end) {
        TOLD.call_once(|| {
            tracing::warn!(
            name: "audit_room_missing",
                path = %path.display(), %error,
                "no room could be kept for the next lines of the audit log: while the disk is full, \
                 commands that change something may be refused"
            );
        });
    }
}

/// The last line is none of ours, and nothing can be written behind it.
pub(super) fn damaged(path: &Path, file: &File) -> Failure {
    let number =
        count_lines(file).map_or_else(|_| String::new(), |number| format!(", line {number},"));
    let path_shown = path.display();
    let note = path.with_file_name(rotation::SETTLED);
    let note = note.display();
    failure(
        path,
        format!(
            "its last line{number} is not one of the audit log. Keep a copy of the file, and take this one line out, \
             together with the server's note, which may be about it: sed -i '$d' {path_shown} && rm -f {note}; or put \
             the file back from its copy. `waxwing-server audit verify` says then \
             whether the lines before it follow one another"
        ),
    )
}

/// How many lines there are, with what is behind the end of the last one.
fn count_lines(file: &File) -> io::Result<u64> {
    let mut chunk = vec![0; 64 << 10];
    let (mut at, mut ends, mut is_ended) = (0, 0, true);
    loop {
        let length = file.read_at(&mut chunk, at)?;
        let bytes = chunk.get(..length).unwrap_or_default();
        let Some(last) = bytes.last() else { return Ok(ends + u64::from(!is_ended)) };
        is_ended = *last == b'\n';
        ends += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        at += length as u64;
    }
}

pub(super) fn failure(path: &Path, error: impl fmt::Display) -> Failure {
    Failure::new(Exit::Storage, format!("{}: {error}", path.display()))
}
