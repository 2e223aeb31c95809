//! Room on the disk that a home keeps for itself. Deleting letters takes some room before it frees any: the
//! log of the database grows first. When the disk is full, the home gives up what it has kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::database::OWNER_ONLY;

const FILE: &str = "reserve";
/// What a step of deleting takes at most: one letter, with its words in the index.
const WANTED: u64 = 4 * 1_024 * 1_024;
/// A home does not fill a small disk by this: it takes one part in so many of what is free.
const PART: u64 = 8;
/// Where less than this is free, a disk counts as full, whatever an error says.
const LITTLE: u64 = 256 * 1_024;

fn place(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

fn free(dir: &Path) -> Option<u64> {
    let disk = statvfs(dir).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Whether the disk of a home is full.
pub(super) fn is_short(dir: &Path) -> bool {
    free(dir).is_some_and(|free| free < LITTLE)
}

/// Keeps some room, unless that was done before. Without it the home works all the same.
pub(super) fn keep(dir: &Path) {
    keep_bytes(dir, WANTED.min(free(dir).unwrap_or(0) / PART));
}

fn keep_bytes(dir: &Path, bytes: u64) {
    let file = place(dir);
    if bytes == 0 || file.exists() {
        return;
    }
    let made = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&file);
    let kept = made.and_then(|made| take(&made, bytes));
    if kept.is_err_and(|error| error.kind() != ErrorKind::AlreadyExists) {
        // A part of it is of no use to anybody.
        let _ = fs::remove_file(&file);
    }
}

/// Gives up the room that was kept; how much that was, if there was any.
pub(super) fn give_up(dir: &Path) -> Option<u64> {
    let bytes = fs::metadata(place(dir)).ok()?.len();
    fs::remove_file(place(dir)).ok()?;
    Some(bytes)
}

/// Does something that takes a little room, on a full disk in a part of the room that was kept. The rest
/// stays for deleting.
pub(super) fn lend<T, E>(dir: &Path, attempt: impl Fn() -> Result<T, E>) -> Result<T, E> {
    let done = attempt();
    if done.is_ok() || !is_short(dir) {
        return done;
    }
    let Some(bytes) = give_up(dir) else { return done };
    let done = attempt();
    keep_bytes(dir, bytes.saturating_sub(LITTLE));
    done
}

fn take(mut file: &File, bytes: u64) -> io::Result<()> {
    if fallocate(file, FallocateFlags::empty(), 0, bytes).is_ok() {
        return Ok(());
    }
    // Not every file system can do that.
    let zeros = [0; 65_536];
    let mut left = bytes;
    while left > 0 {
        let len = zeros.len().min(usize::try_from(left).unwrap_or(zeros.len()));
        file.write_all(&zeros[..len])?;
        left -= len as u64;
    }
    Ok(())
}
