//! The file of an open database, looked at beside SQLite.
//!
//! While its log is in use, SQLite writes to the database only what it brings in from there. What
//! another program has written into it, as `cp backup.db waxwing.db` does, is noticed by nobody, and
//! becomes a mixture with what is brought in later. The rows about the log's generations tell: each
//! is on a page of its own and has a random id.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::fault::Fault;
use super::generation::{self, Id};
use crate::store::ApplyError;

const HEADER: usize = 18;
const ROW: usize = 128;
/// A log that cannot be brought in, because the disk is full, has many generations.
const KNOWN: usize = 1_024;

/// Has to be dropped after the connection: whoever closes any descriptor of the file gives up all
/// the locks of the process on it.
#[derive(Debug)]
pub(super) struct OpenDatabase {
    path: PathBuf,
    file: File,
    seen: RefCell<Seen>,
    /// The newest generations.
    known: RefCell<VecDeque<Id>>,
}

/// What the file was like, when it was last looked at.
#[derive(Debug, Default)]
struct Seen {
    changed: Changed,
    /// The ends of their pages, where both rows are. A page of which only a part was written, because
    /// the disk was full, is still in the log.
    rows: [Vec<u8>; 2],
}

/// Size, and when it was last written to.
type Changed = (u64, i64, i64);

impl OpenDatabase {
    pub(super) fn open(path: &Path, connection: &Connection) -> Result<Self, ApplyError> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let database = Self {
            path: path.to_owned(),
            file,
            seen: RefCell::default(),
            known: RefCell::default(),
        };
        let seen = database.look(connection)?;
        // What is in the log alone can come; an earlier state of the file cannot.
        for id in generation::ids(connection).map_err(Fault::from)? {
            if !seen.rows.iter().any(|row| holds(row, &id)) {
                database.expect(id);
            }
        }
        database.seen.replace(seen);
        Ok(database)
    }

    /// The row of this generation may be in the file from now on.
    pub(super) fn expect(&self, id: Id) {
        let mut known = self.known.borrow_mut();
        if known.len() >= KNOWN {
            known.pop_front();
        }
        known.push_back(id);
    }

    /// Fatal unless what is in the file comes from the log of this database.
    pub(super) fn check(&self, connection: &Connection) -> Result<(), ApplyError> {
        let changed = self.changed().map_err(|error| unreadable(&self.path, &error))?;
        if changed == self.seen.borrow().changed {
            return Ok(());
        }
        let found = match self.look(connection) {
            // The next time, then.
            Err(error) if error.outcome().is_some() => return Ok(()),
            looked => looked?,
        };
        let known = self.known.borrow();
        let is_known = |row: &[u8]| known.iter().any(|id| holds(row, id));
        let before = self.seen.borrow();
        let mut rows = found.rows.iter().zip(&before.rows);
        let is_ours = rows.all(|(row, before)| row == before || is_known(row));
        drop(before);
        if !is_ours {
            return Err(ApplyError::Fatal(format!(
                "{} was overwritten by another program while the server ran. What was stored last \
                 was not acknowledged. Put back the database that was there, and leave its log; to \
                 restore a backup, stop the server first, and move the log away with the database",
                self.path.display()
            )));
        }
        self.seen.replace(found);
        Ok(())
    }

    fn look(&self, connection: &Connection) -> Result<Seen, ApplyError> {
        let roots = generation::root_pages(connection).map_err(Fault::from)?;
        let look = || -> io::Result<Seen> {
            // First: what is written meanwhile is looked at again the next time.
            let changed = self.changed()?;
            let header = self.read(0, HEADER)?;
            let size = match header.get(16..) {
                Some([0, 1]) => 65_536,
                Some([high, low]) => u64::from(u16::from_be_bytes([*high, *low])),
                _ => 0,
            };
            let row = |root: u32| {
                let end = u64::from(root) * size;
                self.read(end.saturating_sub(ROW as u64), ROW)
            };
            Ok(Seen { changed, rows: [row(roots[0])?, row(roots[1])?] })
        };
        look().map_err(|error| unreadable(&self.path, &error))
    }

    fn changed(&self) -> io::Result<Changed> {
        let metadata = self.file.metadata()?;
        Ok((metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
    }

    /// Zeros where the file ends before.
    fn read(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        match self.file.read_exact_at(&mut bytes, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(vec![0; length]),
            read => read.map(|()| bytes),
        }
    }
}

fn holds(row: &[u8], id: &Id) -> bool {
    row.windows(id.len()).any(|bytes| bytes == id)
}

fn unreadable(path: &Path, error: &io::Error) -> ApplyError {
    ApplyError::Fatal(format!("{} cannot be read: {error}", path.display()))
}
