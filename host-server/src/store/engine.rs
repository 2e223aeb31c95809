//! Which storage a server has: the one place that names an engine.

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;
#[cfg(feature = "postgres")]
use std::{fs, io};

use waxwing_core::crypto::Digest;
use waxwing_core::time::{Instant, UnixTime};

#[cfg(feature = "postgres")]
use super::postgres::{self, Adoption, PostgresOptions, Reached};
#[cfg(feature = "postgres")]
use super::shared::{self, Witness, WitnessFile};
use super::sqlite::{self, SqliteOptions, SqliteStorage};
use super::{ApplyError, Interrupt, Storage, StorageError};
#[cfg(feature = "postgres")]
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
#[cfg(feature = "postgres")]
use crate::config::ConfigError;
use crate::data_dir::DataDir;

/// The server that a storage belongs to, by the fingerprint of its key.
pub trait Ownership {
    /// The fingerprint of the key that this storage belongs to; `None` while nobody has said.
    ///
    /// # Errors
    /// When it cannot be read.
    fn server_key(&self) -> Result<Option<Digest>, StorageError>;

    /// From now on it belongs to the key with this fingerprint. Earlier ones are kept.
    ///
    /// # Errors
    /// As [`Storage::apply`].
    fn set_server_key(&mut self, key: &Digest, now: UnixTime) -> Result<(), ApplyError>;

    /// Whether nobody has ever been registered in it.
    ///
    /// # Errors
    /// When it cannot be read.
    fn is_unused(&self) -> Result<bool, StorageError>;
}

/// A storage that can be copied.
pub trait Copied {
    /// Copies it while it is in use. The copier must not outlive the storage.
    fn copier(&self) -> Box<dyn Copier>;
}

/// Copies a storage that somebody else uses meanwhile.
pub trait Copier: Send + Sync {
    /// Bytes that a copy takes up.
    ///
    /// # Errors
    /// When that cannot be read.
    fn size(&self) -> Result<u64, StorageError>;

    /// Writes what is stored at one moment to the empty file `draft`, and syncs it. `watch` hears now
    /// and then how many bytes of how many are there, and may end it; then the file is worth nothing.
    ///
    /// # Errors
    /// When the storage cannot be read, or the copy not be written.
    fn copy(
        &self,
        draft: &Path,
        watch: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StorageError>;

    /// Looks for damage in what is copied. Slow.
    ///
    /// # Errors
    /// Names the damage, or says why it cannot be read.
    fn check(&self, interrupt: &Interrupt) -> Result<(), StorageError>;
}

/// What is in a copy of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The version of its form.
    pub schema: i64,
    /// The fingerprint of the key that it belongs to; `None` while nobody has said.
    pub key: Option<Digest>,
    /// How many users are in it, without accounts of the server itself.
    pub users: u64,
    /// How many accounts of the server itself are in it.
    pub own_accounts: u64,
    /// How many letters wait for them.
    pub letters: u64,
    /// How many ids nobody has that do not rest.
    pub free_ids: usize,
}

/// Reads a copy from end to end, and says what is in it. Errors name the copy `named`, which the operator
/// knows. Slow.
///
/// # Errors
/// When anything in it is not as it was written, or it is of a later version.
pub fn examine(copy: &Path, named: &Path, interrupt: &Interrupt) -> Result<Contents, StorageError> {
    sqlite::examine(copy, named, interrupt)
}

/// Of which version a storage is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The version of its form.
    pub found: i64,
    /// The oldest form that a program may know to use it, if it says so.
    pub min_reader: Option<i64>,
    /// The version of the program that has made it what it is, if it says so.
    pub written_by: Option<String>,
    /// The form that this program writes.
    pub known: i64,
    /// What this program would do with it.
    pub outcome: Use,
}

/// What a program does with a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It serves it as it is.
    Serves,
    /// It brings it up to date, and keeps a copy of what it was.
    Changes,
    /// It is for later versions.
    Refuses,
}

/// Of which version the storage is that the configuration names. Nothing is changed.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn schema(config: &Config, directory: &DataDir) -> Result<Schema, StorageError> {
    #[cfg(feature = "postgres")]
    if config.storage.is_shared() {
        let reached = reach(config, directory)?;
        let nothing = || StorageError::Misplaced("the database of storage.url is empty yet".into());
        return reached.schema().cloned().ok_or_else(nothing);
    }
    let _ = config;
    Ok(sqlite::look(&place(directory))?)
}

/// Why no server of this version could start with a database of SQLite, as far as its file says so by itself. Nothing
/// is changed, and a server that runs with it notices nothing.
#[must_use]
pub fn why_refused(database: &Path, is_used: bool) -> Option<StorageError> {
    sqlite::why_refused(database, is_used).map(Into::into)
}

/// What was read of the pages of a database without finding damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pages {
    /// All of them.
    Sound,
    /// All but those of these tables, for which there was no time.
    Unread(Vec<String>),
}

/// Reads the pages of a database of SQLite for so long at most, also while a server uses it. Nothing is changed.
///
/// # Errors
/// When a page is damaged, or it cannot be read.
pub fn look_at_pages(
    database: &Path,
    is_used: bool,
    patience: Duration,
) -> Result<Pages, StorageError> {
    Ok(sqlite::look_at_pages(database, is_used, patience)?)
}

/// Whether a storage keeps each commit on a second machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondCopy {
    /// It does not.
    None,
    /// Each commit waits for the other machine.
    Named,
    /// The same, and one waits just now: the other machine is away.
    Awaited,
}

/// Whether the storage that the configuration names keeps each commit on a second machine. Nothing is
/// changed.
///
/// # Errors
/// When it cannot be reached.
pub fn second_copy(config: &Config, directory: &DataDir) -> Result<SecondCopy, StorageError> {
    #[cfg(feature = "postgres")]
    if config.storage.is_shared() {
        return reach(config, directory)?.second_copy();
    }
    let _ = (config, directory);
    Ok(SecondCopy::None)
}

/// Whether the storage that the configuration names has all that it has confirmed to this server. Nothing is changed.
///
/// # Errors
/// When it has not, so that no server starts with it, or it cannot be reached.
pub fn expect_confirmed(config: &Config, directory: &DataDir) -> Result<(), StorageError> {
    #[cfg(feature = "postgres")]
    if config.storage.is_shared() && directory.witness().exists() {
        let witness = WitnessFile::open(&directory.witness(), SystemClock::start());
        let witness = witness.map_err(|error| StorageError::Misplaced(error.into()))?;
        return reach(config, directory)?.expect_confirmed(witness.mark());
    }
    let _ = (config, directory);
    Ok(())
}

/// What a storage that comes back from a copy has to know of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restoration {
    /// What time it is.
    pub now: UnixTime,
    /// So many of the ids that new users would get rest, as if their users had been removed.
    pub resting_ids: usize,
    /// They rest from this moment on.
    pub ids_rest_from: UnixTime,
    /// Until then, a letter that is not there may be one that was lost.
    pub letters_missing_until: UnixTime,
}

/// Makes the copy in `draft`, which has to be in the data directory, the storage that the configuration
/// names. What was there is moved aside; its new place is returned.
///
/// # Errors
/// When the copy cannot be used, or nothing can be moved.
pub fn restore(
    config: &Config,
    directory: &DataDir,
    draft: &Path,
    restoration: &Restoration,
) -> Result<Option<PathBuf>, StorageError> {
    refuse_shared(config)?;
    let options = SqliteOptions { busy_timeout: config.storage.busy_timeout };
    SqliteStorage::restore(draft, &place(directory), &options, restoration)
}

/// That the storage from before a restore is the storage again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// Where it was.
    pub from: PathBuf,
    /// Where the one is now that the restore had brought; nothing if there was none.
    pub aside: Option<PathBuf>,
    /// So many ids rest that the restored one knew, or may have known, and this one does not.
    pub resting_ids: usize,
}

/// Why a restore is not taken back. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotUndone {
    /// Nothing is there that a restore has moved aside.
    NothingAside,
    /// The storage that is there was restored, or a restore taken back, after this one was moved aside:
    /// another storage was used between the two.
    Older(PathBuf),
    /// So many ids are free, and all of them would rest.
    NoIdLeft {
        /// How many are free.
        free: usize,
    },
}

/// Takes the last restore back: what it has moved aside is the storage that the configuration names
/// again. If the restored one is gone, the ids that it may have given out rest, as many as `restoration`
/// says.
///
/// # Errors
/// When one of the two cannot be used, or nothing can be moved.
pub fn undo_restore(
    config: &Config,
    directory: &DataDir,
    restoration: &Restoration,
) -> Result<Result<Undone, NotUndone>, StorageError> {
    refuse_shared(config)?;
    let options = SqliteOptions { busy_timeout: config.storage.busy_timeout };
    SqliteStorage::undo_restore(&place(directory), &options, restoration)
}

/// Everything that the server and its commands ask of a storage.
pub trait Engine: Storage + Copied {}

impl<T: Storage + Copied> Engine for T {}

/// How a storage is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// To serve. It is made if there is none, and brought up to date.
    ToServe,
    /// The same, and without the log of the last changes where that is lost. An engine that has no
    /// such log has nothing to leave out.
    WithoutLog,
    /// The same after a full check. What is damaged is set aside, and a new storage made of what can
    /// still be read.
    Recovered,
    /// Both.
    RecoveredWithoutLog,
    /// For a command of the operator: as it is, and only if there is one.
    Existing,
}

/// The storage that the configuration names, before it is opened.
pub struct Named(Place);

enum Place {
    File(PathBuf),
    /// And what it has confirmed.
    #[cfg(feature = "postgres")]
    Database(Box<Reached>, PathBuf),
}

/// A storage that is open.
pub enum Opened {
    /// Nobody else can have it.
    Ours(Box<dyn Engine>),
    /// Several servers can reach it.
    Shared(Box<dyn Standby>),
}

/// A server that waits for its turn to serve from a storage.
pub trait Standby {
    /// As [`Ownership::server_key`].
    ///
    /// # Errors
    /// When it cannot be read.
    fn server_key(&mut self) -> Result<Option<Digest>, StorageError>;

    /// As [`Ownership::is_unused`].
    ///
    /// # Errors
    /// When it cannot be read.
    fn is_unused(&mut self) -> Result<bool, StorageError>;

    /// When it looks whether its turn has come.
    fn poll_timeout(&self) -> Instant;

    /// Why it could not take its turn, or see whether that has come; `None`: another server serves.
    fn trouble(&self) -> Option<&str>;

    /// Looks whether its turn has come. What passes by itself is no error.
    ///
    /// # Errors
    /// The storage has lost something, or is damaged: the process has to stop.
    fn look(self: Box<Self>, now: Instant) -> Result<Looked, ApplyError>;
}

/// What a look at a storage brings that several servers can reach.
pub enum Looked {
    /// It is this server's turn.
    Ours(Box<dyn Engine>),
    /// Another one serves, or may do so.
    Waits(Box<dyn Standby>),
}

impl Named {
    /// Looks for it. Nothing is changed, but a database is connected with.
    ///
    /// # Errors
    /// When a database cannot be reached.
    pub fn find(config: &Config, directory: &DataDir) -> Result<Self, StorageError> {
        #[cfg(feature = "postgres")]
        if config.storage.is_shared() {
            let reached = Box::new(reach(config, directory)?);
            return Ok(Self(Place::Database(reached, directory.witness())));
        }
        let _ = config;
        Ok(Self(Place::File(place(directory))))
    }

    /// Whether something is there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        match &self.0 {
            Place::File(path) => path.symlink_metadata().is_ok(),
            #[cfg(feature = "postgres")]
            Place::Database(reached, _) => reached.schema().is_some(),
        }
    }

    /// The key that it belongs to, as far as that can be said without opening it.
    #[must_use]
    pub fn server_key(&self) -> Option<Digest> {
        match &self.0 {
            Place::File(path) => sqlite::key_of(path),
            #[cfg(feature = "postgres")]
            Place::Database(..) => None,
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// Says what helps; see [`StorageError`].
    pub fn open(self, config: &Config, opening: Opening) -> Result<Opened, StorageError> {
        match self.0 {
            Place::File(path) => open_file(config, &path, opening).map(Opened::Ours),
            #[cfg(feature = "postgres")]
            Place::Database(reached, witness) => {
                stand_by(*reached, &witness, opening).map(Opened::Shared)
            }
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::File(path) => path.display().fmt(f),
            #[cfg(feature = "postgres")]
            Place::Database(..) => f.write_str("the database of storage.url"),
        }
    }
}

/// Opens the storage that the configuration names, if no other server can have it.
///
/// # Errors
/// Says what helps; see [`StorageError`].
pub fn open(
    config: &Config,
    directory: &DataDir,
    opening: Opening,
) -> Result<Box<dyn Engine>, StorageError> {
    if config.storage.is_shared() {
        let why = "no server answers here. With storage.url, commands go to a server that runs: start this \
                   one, or give the command on the machine that serves";
        return Err(StorageError::Away(why.into()));
    }
    open_file(config, &place(directory), opening)
}

fn open_file(
    config: &Config,
    path: &Path,
    opening: Opening,
) -> Result<Box<dyn Engine>, StorageError> {
    let options = SqliteOptions { busy_timeout: config.storage.busy_timeout };
    let storage = match opening {
        Opening::ToServe => SqliteStorage::open(path, &options)?,
        Opening::WithoutLog => SqliteStorage::open_without_log(path, &options)?,
        Opening::Recovered => SqliteStorage::recover(path, &options)?,
        Opening::RecoveredWithoutLog => SqliteStorage::recover_without_log(path, &options)?,
        Opening::Existing => SqliteStorage::open_existing(path, &options)?,
    };
    Ok(Box::new(storage))
}

#[cfg(feature = "postgres")]
fn reach(config: &Config, directory: &DataDir) -> Result<Reached, StorageError> {
    Reached::reach(options(config, directory)?)
}

/// How the database is used that the configuration names.
#[cfg(feature = "postgres")]
pub(super) fn options(
    config: &Config,
    directory: &DataDir,
) -> Result<PostgresOptions, StorageError> {
    let settings = |error: ConfigError| StorageError::Settings(error.into());
    let of_directory = |error: io::Error| StorageError::Unreachable(error.into());
    let Config { storage, cluster, .. } = config;
    Ok(PostgresOptions {
        place: storage.place().map_err(settings)?,
        password: storage.password().map_err(settings)?,
        timeout: storage.timeout,
        lease: cluster.lease,
        isolated: cluster.isolated,
        copies: storage.copies,
        node: shared::node(&directory.node()).map_err(of_directory)?,
        instance: shared::new_instance().map_err(of_directory)?,
    })
}

/// Goes on with the database that the configuration names although it has lost something.
///
/// # Errors
/// When it names none, or it cannot be reached or changed.
#[cfg(feature = "postgres")]
pub fn adopt(
    config: &Config,
    directory: &DataDir,
    restoration: &Restoration,
) -> Result<Adoption, StorageError> {
    if !config.storage.is_shared() {
        let why = "storage.url names no database of PostgreSQL. A database of SQLite that was brought back is \
                   used at once: see waxwing-server backup restore";
        return Err(StorageError::Settings(why.into()));
    }
    let witness = WitnessFile::open(&directory.witness(), SystemClock::start());
    let witness = witness.map_err(|error| StorageError::Misplaced(error.into()))?;
    postgres::adopt(&options(config, directory)?, witness.mark(), restoration)
}

#[cfg(feature = "postgres")]
fn stand_by(
    reached: Reached,
    witness: &Path,
    opening: Opening,
) -> Result<Box<dyn Standby>, StorageError> {
    if !matches!(opening, Opening::ToServe | Opening::Existing) {
        let why = "--recover and --without-log are for SQLite. With storage.url, bring the database back with \
                   its own tools";
        return Err(StorageError::Settings(why.into()));
    }
    if reached.schema().is_none() {
        // What an earlier one had is not missing in a new one, which a start has to be asked for.
        match fs::remove_file(witness) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StorageError::Unreachable(error.into()));
            }
            _ => {}
        }
    }
    let clock = SystemClock::start();
    let witness = WitnessFile::open(witness, clock);
    let witness = witness.map_err(|error| StorageError::Misplaced(error.into()))?;
    reached.stand_by(Box::new(witness), clock.now().instant)
}

/// Backups are of SQLite.
fn refuse_shared(config: &Config) -> Result<(), StorageError> {
    #[cfg(feature = "postgres")]
    if config.storage.is_shared() {
        return Err(postgres::no_copies());
    }
    let _ = config;
    Ok(())
}

/// Where the storage of this directory is if it is SQLite, for an operator to find it.
#[must_use]
pub fn place(directory: &DataDir) -> PathBuf {
    directory.database()
}
