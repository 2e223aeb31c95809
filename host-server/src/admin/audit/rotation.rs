//! The files of the audit log: a full one makes room for a new one.
//!
//! The one that is written to has the name without a number. Of the others the newest is 1. Whoever
//! moves them has the first one locked. Each step leaves files in the right order, at most with a
//! number that nobody has, and the next rotation fills it:
//!
//! 1. A new file is made beside the others, with room for some lines. Without that room the old one,
//!    which has some, stays a while longer.
//! 2. Those before the first number that is free move up by one; if none is free, the oldest goes.
//! 3. The full one becomes 1. From now on somebody else may make a new one as well.
//! 4. The new one gets its place, unless somebody was faster.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::file::reserve;

/// The note of the last line, beside the log.
pub(super) const SETTLED: &str = "audit.settled";

/// The name of the file that is written to.
pub(super) const NAME: &str = "audit.jsonl";

/// Where the files are.
#[derive(Clone, Debug)]
pub(super) struct Files {
    directory: PathBuf,
    count: u32,
}

impl Files {
    /// Of at most `count` files, of which one is written to.
    pub(super) fn of(directory: &Path, count: u32) -> Self {
        Self { directory: directory.to_owned(), count }
    }

    /// The one that is written to.
    pub(super) fn current(&self) -> PathBuf {
        self.directory.join(NAME)
    }

    /// Those that are full, by their age, the newest first.
    pub(super) fn older(&self) -> impl DoubleEndedIterator<Item = PathBuf> {
        (1..self.count).map(|number| self.numbered(number))
    }

    fn numbered(&self, number: u32) -> PathBuf {
        self.directory.join(format!("{NAME}.{number}"))
    }

    /// What notes up to which line every act has ended.
    pub(super) fn settled(&self) -> PathBuf {
        self.directory.join(SETTLED)
    }

    /// The same, before it is complete.
    pub(super) fn settled_draft(&self) -> PathBuf {
        self.directory.join("audit.settled.new")
    }

    fn spare(&self) -> PathBuf {
        self.directory.join(format!("{NAME}.new"))
    }

    /// What takes the place of one of them when it is complete.
    pub(super) fn draft(&self) -> PathBuf {
        self.directory.join(format!("{NAME}.draft"))
    }

    /// Makes room for a new file. The caller has the current one locked, and has to open the new one.
    pub(super) fn rotate(&self) -> io::Result<()> {
        let spare = self.spare();
        let moved = self.make_spare().and_then(|()| self.move_up());
        let placed = moved.is_ok()
            && renameat_with(CWD, &spare, CWD, self.current(), RenameFlags::NOREPLACE).is_ok();
        if !placed {
            // The old one stays, or somebody else has made a new one, or will.
            let removed = remove(&spare);
            moved?;
            removed?;
        }
        self.sync_directory()
    }

    fn make_spare(&self) -> io::Result<()> {
        let spare = self.spare();
        remove(&spare)?;
        let new = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&spare)?;
        match reserve(&new, 0) {
            Err(error) if has_no_room(&error) => Err(error),
            // Some file systems reserve nothing.
            _ => Ok(()),
        }
    }

    fn move_up(&self) -> io::Result<()> {
        let last = self.count.saturating_sub(1).max(1);
        let mut free = last;
        for number in 1..last {
            if !exists(&self.numbered(number))? {
                free = number;
                break;
            }
        }
        for number in (1..free).rev() {
            fs::rename(self.numbered(number), self.numbered(number + 1))?;
        }
        fs::rename(self.current(), self.numbered(1))
    }

    /// Makes names durable.
    pub(super) fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

fn has_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn exists(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
