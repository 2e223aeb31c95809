//! A database of PostgreSQL into which its own tools have brought a backup back. It is read, and nothing in it is
//! changed: servers may use it meanwhile.

use super::super::postgres::{Moving, State};
use super::super::sqlite::Draft;
use super::super::{Interrupt, StorageError};
use super::{Row, Side, Sum, Table, expect_same, misplaced, of_file, options, sum};
use crate::config::Config;
use crate::data_dir::LockedDataDir;

/// The database, as it is at one moment.
pub struct Restored {
    source: Moving,
}

impl Restored {
    /// Connects with the database of this URL, and begins to read it.
    ///
    /// # Errors
    /// When it cannot be reached, or there is nothing in it that a server could go on with.
    pub fn find(
        config: &Config,
        directory: &LockedDataDir,
        url: &str,
    ) -> Result<Self, StorageError> {
        let mut source = Moving::connect(options(config, directory, url)?)?;
        match source.state() {
            State::Open | State::Doubtful => {
                source.begin_to_look()?;
                Ok(Self { source })
            }
            State::Nothing => Err(misplaced(
                "there is nothing of a server in the database of that URL: first bring the backup back there, \
                 with the tools of PostgreSQL",
            )),
            State::Copying => Err(misplaced(
                "not everything is in the database of that URL: it was taken while a copy to it went on. Use a \
                 backup from before, or from after it",
            )),
            State::Moved => Err(misplaced(
                "the database of that URL was moved to a file before this backup was made, and no server uses \
                 it any more: use backups of that file",
            )),
        }
    }

    /// How many bytes it takes up in PostgreSQL. A copy is about as large.
    ///
    /// # Errors
    /// When the database does not say.
    pub fn size(&mut self) -> Result<u64, StorageError> {
        self.source.size()
    }

    /// Copies everything to the database of the data directory, which has none yet, and compares the copy with
    /// what was read.
    ///
    /// # Errors
    /// When something in it cannot be read, or not be written, or the work was interrupted.
    pub fn copy_to(
        self,
        config: &Config,
        directory: &LockedDataDir,
        interrupt: &Interrupt,
    ) -> Result<Sum, StorageError> {
        let Self { mut source } = self;
        let path = directory.database();
        let draft = Draft::make(&path, &of_file(config))?;
        let read = draft.fill(&mut Interruptible { side: &mut source, interrupt })?;
        source.end_look()?;
        let mut written = Draft::look(&path)?;
        expect_same(&read, &sum(&mut Interruptible { side: &mut written, interrupt })?)?;
        Draft::put_in_place(&path)?;
        Ok(read)
    }
}

/// A side whose reading ends when somebody asks for that.
struct Interruptible<'s> {
    side: &'s mut dyn Side,
    interrupt: &'s Interrupt,
}

impl Side for Interruptible<'_> {
    fn read(
        &mut self,
        table: &'static Table,
        take: &mut dyn FnMut(Row) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let interrupt = self.interrupt;
        self.side.read(table, &mut |row| match interrupt.is_asked() {
            true => Err(StorageError::Misplaced("it was interrupted".into())),
            false => take(row),
        })
    }

    fn last_place(&mut self) -> Result<i64, StorageError> {
        self.side.last_place()
    }
}
