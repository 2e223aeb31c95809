//! Whether people could go on with a backup: it is restored in a directory of its own, a server starts with
//! it, and a letter goes all the way through that server. The running server notices nothing of it.
//!
//! The private key is read where it is, and is never copied.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand_chacha::rand_core::Rng;
use waxwing_core::server::Identity;
use waxwing_core::time::UnixTime;

use super::check::open;
use super::manifest::Manifest;
use super::place::{directory_of, free};
use super::priority::be_nice;
use super::restore::{Ready, Wanted};
use super::{another_key, failure};
use crate::backend::{self, Backend};
use crate::canary;
use crate::config::Config;
use crate::data_dir::{DataDir, LockedDataDir};
use crate::exit::{Exit, Failure};
use crate::figures;
use crate::key::{self, Fingerprints};
use crate::runtime::{Tried, try_out};
use crate::store::Interrupt;

/// What a drill needs to know.
pub struct Drill<'a> {
    /// The configuration of the server that the backup is of.
    pub config: &'a Config,
    /// Its data directory, for the key alone.
    pub installation: &'a DataDir,
    /// The backup.
    pub file: &'a Path,
    /// Where to restore it; beside the backup if nothing is said.
    pub directory: Option<&'a Path>,
    /// Ends it.
    pub interrupt: &'a Interrupt,
    /// What time it is.
    pub now: UnixTime,
}

/// A part of a drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The backup is copied, compared with its manifest, and read from end to end, letter by letter.
    Verify,
    /// The copy is made the database of a server.
    Restore,
    /// The server starts, until it listens.
    Start,
    /// A letter goes all the way.
    Canary,
}

impl Step {
    /// What people and programs call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Restore => "restore",
            Self::Start => "start",
            Self::Canary => "canary",
        }
    }
}

/// How a drill has ended.
#[derive(Debug)]
pub struct Drilled {
    /// What is in the backup.
    pub manifest: Manifest,
    /// Whether a letter got all the way.
    pub canary: canary::Outcome,
}

impl Drill<'_> {
    /// Carries it out. `passed` hears of each step when it has ended, and how long it took. Nothing of it is
    /// left, however it ends; what an earlier one could not tidy up is deleted.
    ///
    /// # Errors
    /// When the backup, the key or the room for a copy is not what is needed, or no server starts with it.
    pub fn carry_out(
        &self,
        mut passed: impl FnMut(Step, Duration) -> Result<(), Failure>,
    ) -> Result<Drilled, Failure> {
        let drilled = self.pass_all(&mut passed);
        if self.interrupt.is_asked() {
            let message = "the drill was interrupted, and nothing of it is left: repeat it";
            return Err(Failure::new(Exit::Failure, message));
        }
        drilled
    }

    fn pass_all(
        &self,
        passed: &mut dyn FnMut(Step, Duration) -> Result<(), Failure>,
    ) -> Result<Drilled, Failure> {
        be_nice(NICE);
        let identity = self.identity()?;
        open(self.file)?;
        let manifest = Manifest::read(self.file)?;
        let own = Fingerprints::read(self.installation, key::digest(identity.spki()))?;
        if manifest.key.is_some() && !manifest.is_of(&own) {
            return Err(another_key(self.file, &manifest, &own.own, THE_OTHER));
        }
        let parent = self.directory.unwrap_or(directory_of(self.file));
        self.check_room(parent, manifest.bytes)?;
        forget_left(parent)?;
        let place = Place::new(parent)?;
        let wanted = Wanted {
            file: self.file,
            other_key: false,
            registered_since: 0,
            now: self.now,
            interrupt: self.interrupt,
        };
        let begun = Instant::now();
        let ready = Ready::new(self.config, &place.data, &wanted)?;
        passed(Step::Verify, begun.elapsed())?;

        let begun = Instant::now();
        ready.put_in_place(self.config, &place.data, &wanted)?;
        passed(Step::Restore, begun.elapsed())?;

        let begun = Instant::now();
        let Tried { started, canary } = try_out(&place.data, identity, self.interrupt)?;
        passed(Step::Start, started)?;
        passed(Step::Canary, begun.elapsed().saturating_sub(started))?;
        Ok(Drilled { manifest, canary })
    }

    fn identity(&self) -> Result<Identity<Backend>, Failure> {
        if key::is_there(self.installation)? {
            return key::load(self.installation);
        }
        let key = self.installation.private_key();
        let message = format!(
            "there is no {}: the key is in no backup, and without it no server can go on with this one, \
             because its clients refuse every other key. Put the copy of the key there, or let --data name \
             the directory with the key",
            key.display()
        );
        Err(Failure::new(Exit::Key, message))
    }

    fn check_room(&self, parent: &Path, bytes: u64) -> Result<(), Failure> {
        let floor = self.config.storage.min_free_disk;
        let needed = bytes.saturating_add(SERVER).saturating_add(floor);
        let there = free(&parent.join(NAME))?;
        if there >= needed {
            return Ok(());
        }
        let (there, needed, bytes) =
            (figures::bytes(there), figures::bytes(needed), figures::bytes(bytes));
        let why = format!(
            "{there} of the disk is free, and {needed} is needed: a copy of the backup takes {bytes}, a server \
             writes some more, and storage.min_free_disk has to stay free; make room there, or let \
             --directory name another disk"
        );
        Err(failure(parent, why))
    }
}

/// What to do about a backup of another server.
const THE_OTHER: &str = "Use a backup of this server, or let --data name the data directory of the server that the \
                         backup is of: a drill needs its key";

/// The server that runs comes first.
const NICE: i32 = 19;

/// What the server of a drill writes besides, at most.
const SERVER: u64 = 4 << 20;

/// What the directories of drills are called, before sixteen hexadecimal digits.
const NAME: &str = "waxwing-drill-";

/// A directory for a drill, which is deleted with it.
struct Place {
    data: LockedDataDir,
}

impl Place {
    fn new(parent: &Path) -> Result<Self, Failure> {
        let name = format!("{NAME}{:016x}", backend::random().next_u64());
        let path = parent.join(name);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| failure(parent, format!("no directory can be made there: {error}")))?;
        let data = DataDir::existing(&path).and_then(DataDir::lock);
        match data {
            Ok(data) => Ok(Self { data }),
            Err(error) => {
                let _ = fs::remove_dir_all(&path);
                Err(error)
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(self.data.path()) {
            tracing::warn!(
                name: "drill_left", path = %self.data.path().display(), %error,
                "the directory of the drill could not be deleted: delete it yourself"
            );
        }
    }
}

/// Deletes what drills have left that were killed.
fn forget_left(parent: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(parent).map_err(|error| failure(parent, error))? {
        let path = entry.map_err(|error| failure(parent, error))?.path();
        // One that goes on has it locked, or is about to.
        if is_of_a_drill(&path)
            && path.join("lock").exists()
            && let Ok(_lock) = DataDir::existing(&path).and_then(DataDir::lock)
        {
            let deleted: io::Result<()> = fs::remove_dir_all(&path);
            deleted.map_err(|error| failure(&path, error))?;
        }
    }
    Ok(())
}

fn is_of_a_drill(path: &PathBuf) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let digits = name.strip_prefix(NAME).unwrap_or_default();
    let is_directory = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) && is_directory
}
