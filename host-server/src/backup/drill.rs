//! Whether people could go on with a backup: it is restored in a directory of its own, a server starts with
//! it, and a letter goes all the way through that server. The running server notices nothing of it.
//!
//! A backup of PostgreSQL is brought back by the tools of PostgreSQL, into a database that nobody uses. From there
//! everything is copied into the directory.
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
#[cfg(feature = "postgres")]
use super::of_another_key;
use super::place::free;
use super::priority::be_nice;
use super::restore::{Ready, Wanted};
use super::{another_key, failure, unusable};
use crate::access;
use crate::backend::{self, Backend};
use crate::canary;
use crate::config::{Config, find_directory};
use crate::data_dir::{DataDir, LockedDataDir};
use crate::exit::{Exit, Failure};
use crate::figures;
use crate::key::{self, Fingerprints};
use crate::runtime::{Tried, try_out};
use crate::store::Interrupt;
#[cfg(feature = "postgres")]
use crate::store::{self, Contents, moving::Restored};

/// What a drill needs to know.
pub struct Drill<'a> {
    /// The configuration of the server that the backup is of.
    pub config: &'a Config,
    /// Its data directory, for the key alone.
    pub installation: &'a DataDir,
    /// Where to restore it.
    pub directory: &'a Path,
    /// Ends it.
    pub interrupt: &'a Interrupt,
    /// What time it is.
    pub now: UnixTime,
}

/// A part of a drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What is in a database of PostgreSQL is copied, and compared with the copy.
    Copy,
    /// The backup is copied, compared with its manifest, and read from end to end, letter by letter; or the copy
    /// of a database is read.
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
            Self::Copy => "copy",
            Self::Verify => "verify",
            Self::Restore => "restore",
            Self::Start => "start",
            Self::Canary => "canary",
        }
    }
}

/// How a drill has ended.
#[derive(Debug)]
pub struct Drilled<F> {
    /// What is in the backup.
    pub found: F,
    /// Whether a letter got all the way.
    pub canary: canary::Outcome,
}

/// Hears of each step when it has ended, and how long it took.
type Passed<'p> = dyn FnMut(Step, Duration) -> Result<(), Failure> + 'p;

impl Drill<'_> {
    /// Carries it out with the backup in `file`. Nothing of it is left, however it ends; what an earlier one could
    /// not tidy up is deleted.
    ///
    /// # Errors
    /// When the backup, the key or the room for a copy is not what is needed, or no server starts with it.
    pub fn with_file(
        &self,
        file: &Path,
        mut passed: impl FnMut(Step, Duration) -> Result<(), Failure>,
    ) -> Result<Drilled<Manifest>, Failure> {
        self.judge(self.restore_file(file, &mut passed))
    }

    /// The same with what is in the database of PostgreSQL with this URL, in which nothing is changed.
    ///
    /// # Errors
    /// When the database, the key or the room for a copy is not what is needed, or no server starts with it.
    #[cfg(feature = "postgres")]
    pub fn with_database(
        &self,
        url: &str,
        mut passed: impl FnMut(Step, Duration) -> Result<(), Failure>,
    ) -> Result<Drilled<Contents>, Failure> {
        self.judge(self.copy_database(url, &mut passed))
    }

    fn judge<F>(&self, drilled: Result<Drilled<F>, Failure>) -> Result<Drilled<F>, Failure> {
        if self.interrupt.is_asked() {
            let message = "the drill was interrupted, and nothing of it is left: repeat it";
            return Err(Failure::new(Exit::Failure, message));
        }
        drilled
    }

    fn restore_file(
        &self,
        file: &Path,
        passed: &mut Passed<'_>,
    ) -> Result<Drilled<Manifest>, Failure> {
        be_nice(NICE);
        let identity = self.identity()?;
        open(file)?;
        let manifest = Manifest::read(file)?;
        let own = self.fingerprints(&identity)?;
        if manifest.key.is_some() && !manifest.is_of(&own) {
            return Err(another_key(file, &manifest, &own.own, THE_OTHER));
        }
        let place = self.place()?;
        self.check_room(manifest.bytes)?;
        let wanted = Wanted {
            file,
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
        self.start(&place, identity, manifest, passed)
    }

    #[cfg(feature = "postgres")]
    fn copy_database(
        &self,
        url: &str,
        passed: &mut Passed<'_>,
    ) -> Result<Drilled<Contents>, Failure> {
        be_nice(NICE);
        let identity = self.identity()?;
        let own = self.fingerprints(&identity)?;
        let place = self.place()?;
        let begun = Instant::now();
        let mut database = Restored::find(self.config, &place.data, url)?;
        // Until it is whole, the copy is in the log of its database, too.
        self.check_room(database.size()?.saturating_mul(2))?;
        database.copy_to(self.config, &place.data, self.interrupt)?;
        passed(Step::Copy, begun.elapsed())?;

        let begun = Instant::now();
        let named = Path::new(url);
        let contents = store::examine(&store::place(&place.data), named, self.interrupt)?;
        if let Some(theirs) = contents.key
            && !own.has(&theirs)
        {
            let theirs = format!("{theirs:?}");
            return Err(of_another_key(&named.display(), &theirs, &own.own, THE_OTHER));
        }
        passed(Step::Verify, begun.elapsed())?;
        self.start(&place, identity, contents, passed)
    }

    fn start<F>(
        &self,
        place: &Place,
        identity: Identity<Backend>,
        found: F,
        passed: &mut Passed<'_>,
    ) -> Result<Drilled<F>, Failure> {
        let begun = Instant::now();
        let Tried { started, canary } = try_out(&place.data, identity, self.interrupt)?;
        passed(Step::Start, started)?;
        passed(Step::Canary, begun.elapsed().saturating_sub(started))?;
        Ok(Drilled { found, canary })
    }

    fn place(&self) -> Result<Place, Failure> {
        forget_left(self.directory)?;
        Place::new(self.directory)
    }

    fn fingerprints(&self, identity: &Identity<Backend>) -> Result<Fingerprints, Failure> {
        Fingerprints::read(self.installation, key::digest(identity.spki()))
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

    fn check_room(&self, bytes: u64) -> Result<(), Failure> {
        let floor = self.config.storage.min_free_disk;
        let needed = bytes.saturating_add(SERVER).saturating_add(floor);
        let there = free(&self.directory.join(NAME))?;
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
        Err(failure(self.directory, why))
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
    find_directory(parent).map_err(|why| unusable(parent, why))?;
    let entries = fs::read_dir(parent)
        .map_err(|error| unusable(parent, access::cannot_open(parent, &error)))?;
    for entry in entries {
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
