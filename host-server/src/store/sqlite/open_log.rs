//! The log of an open database, looked at beside SQLite, which has no locks on it.
//!
//! SQLite knows from its index what is in the log, and goes on when another program has shortened or
//! overwritten the file: only the next start would notice that it is not there.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use waxwing_sqlite_wal::{FRAME_HEADER, HEADER, number_at};

use crate::store::ApplyError;

/// The smallest page that SQLite has.
const SMALLEST_PAGE: u32 = 512;

/// A log's header has them, and each frame that SQLite replays with it. Another log in the same file
/// has others.
type Salts = [u8; 8];

#[derive(Debug)]
pub(super) struct OpenLog {
    path: PathBuf,
    file: File,
    salts: Cell<Salts>,
}

impl OpenLog {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let log = Self { file: File::open(&path)?, path, salts: Cell::default() };
        log.salts.set(log.read_salts()?);
        Ok(log)
    }

    /// Fatal unless what SQLite believes to be in it is there. `pages` says how much that is now:
    /// another program may bring it into the database and cut it off at any time.
    pub(super) fn check(
        &self,
        pages: impl Fn() -> Result<u64, ApplyError>,
    ) -> Result<(), ApplyError> {
        let is_whole = || self.holds(pages()?).map_err(|error| self.unreadable(&error));
        if is_whole()? || is_whole()? {
            return Ok(());
        }
        Err(ApplyError::Fatal(format!(
            "{} was shortened or overwritten by another program. What was stored last was not \
             acknowledged; what was stored since the log was last folded into the database may be \
             lost. Put the log back if there is a copy of it. Without one, the next start goes on \
             with what is left, and may need --without-log",
            self.path.display()
        )))
    }

    /// Whether it is another log than at the last call.
    pub(super) fn is_another(&self) -> Result<bool, ApplyError> {
        let salts = self.read_salts().map_err(|error| self.unreadable(&error))?;
        Ok(self.salts.replace(salts) != salts)
    }

    fn holds(&self, pages: u64) -> io::Result<bool> {
        let Some(before_last) = pages.checked_sub(1) else { return Ok(true) };
        let header: [u8; HEADER] = self.read(0)?;
        let page_size = number_at(&header, 8);
        let frame_size = FRAME_HEADER as u64 + u64::from(page_size);
        let last = HEADER as u64 + before_last * frame_size;
        let frame: [u8; FRAME_HEADER] = self.read(last)?;
        let is_complete = self.file.metadata()?.len() >= last + frame_size;
        Ok(page_size >= SMALLEST_PAGE && is_complete && frame[8..16] == header[16..24])
    }

    fn read_salts(&self) -> io::Result<Salts> {
        self.read(16)
    }

    /// Zeros where the file ends before them.
    fn read<const N: usize>(&self, at: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        match self.file.read_exact_at(&mut bytes, at) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok([0; N]),
            read => read.map(|()| bytes),
        }
    }

    fn unreadable(&self, error: &io::Error) -> ApplyError {
        ApplyError::Fatal(format!("{} cannot be read: {error}", self.path.display()))
    }
}
