//! Room on the disk that a home keeps for itself. Deleting letters takes some room before it frees any: the
//! log of the database grows first. When the disk is full, the home gives up what it has kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
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
/// Where not all can be kept that is said to be free, so much less is tried.
const STEP: u64 = 16 * 1_024;

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

/// Keeps some room, or more than so far if there is more. Without it the home works all the same.
pub(super) fn keep(dir: &Path) {
    let kept = fs::metadata(place(dir)).map_or(0, |file| file.len());
    let wanted = WANTED.min(free(dir).unwrap_or(0).saturating_add(kept) / PART);
    // For a little more, nothing is done at each opening.
    if wanted > kept && (kept == 0 || wanted - kept >= LITTLE) {
        let _ = keep_bytes(dir, wanted);
    }
}

/// Makes the file so long, or leaves it as it is.
fn keep_bytes(dir: &Path, bytes: u64) -> io::Result<()> {
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(false).mode(OWNER_ONLY);
    let file = open.open(place(dir))?;
    let kept = file.metadata()?.len();
    let done = take(&file, kept, bytes);
    if done.is_err() {
        file.set_len(kept)?;
    }
    done
}

/// Gives up the room that was kept; how much that was.
pub(super) fn give_up(dir: &Path) -> u64 {
    let bytes = fs::metadata(place(dir)).map_or(0, |file| file.len());
    if bytes > 0 && fs::remove_file(place(dir)).is_ok() { bytes } else { 0 }
}

/// Keeps again what was given up, as much of it as is free. What is not kept at once, others take.
pub(super) fn keep_again(dir: &Path, bytes: u64) {
    let kept = fs::metadata(place(dir)).map_or(0, |file| file.len());
    let mut bytes = bytes.min(free(dir).unwrap_or(0).saturating_add(kept));
    while bytes > kept && keep_bytes(dir, bytes).is_err() {
        bytes = bytes.saturating_sub(STEP);
    }
}

/// Room that was lent. What is free of it when this is dropped is kept again.
#[derive(Debug, Default)]
pub(super) struct Lent {
    dir: PathBuf,
    bytes: u64,
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.bytes > 0 {
            keep_again(&self.dir, self.bytes);
        }
    }
}

/// Does something that takes a little room, on a full disk in the room that was kept. Nobody has that
/// room but this one thing: it is for deleting.
pub(super) fn lend<T, E>(dir: &Path, attempt: impl Fn() -> Result<T, E>) -> Result<(T, Lent), E> {
    let error = match attempt() {
        Ok(done) => return Ok((done, Lent::default())),
        Err(error) => error,
    };
    let bytes = if is_short(dir) { give_up(dir) } else { 0 };
    if bytes == 0 {
        return Err(error);
    }
    let done = attempt();
    keep_again(dir, bytes);
    Ok((done?, Lent { dir: dir.to_owned(), bytes }))
}

/// Makes a file of so many bytes longer.
fn take(mut file: &File, from: u64, to: u64) -> io::Result<()> {
    let Some(mut left) = to.checked_sub(from).filter(|left| *left > 0) else { return Ok(()) };
    if fallocate(file, FallocateFlags::empty(), from, left).is_ok() {
        return Ok(());
    }
    // Not every file system can do that.
    let zeros = [0; 65_536];
    file.seek(SeekFrom::Start(from))?;
    while left > 0 {
        let len = zeros.len().min(usize::try_from(left).unwrap_or(zeros.len()));
        file.write_all(&zeros[..len])?;
        left -= len as u64;
    }
    Ok(())
}
