//! A home whose log is damaged, with what is before the damage.
//!
//! SQLite takes whatever is not whole in its log for the end of the log, and would write over all that is
//! behind it. So a home is not opened while something is hidden there.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use waxwing_core::time::UnixTime;
use waxwing_sqlite_wal::{Damage, Log};

use super::database::{self, DAMAGED_COPY, FILE, OWNER_ONLY, beside};
use super::directory::{self, io};
use super::{Home, HomeError, SessionLock, snapshot};

/// What a recovery has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// How many changes of the home are not in it any more: those at the damage and behind it.
    pub lost: u64,
    /// The database as it was. Its log is beside it, with `-wal` at the end of the name.
    pub kept: PathBuf,
}

/// Refuses a database whose log hides changes that were stored.
pub(super) fn check_log(file: &Path) -> Result<(), HomeError> {
    let log = beside(file, "-wal");
    match damage(&log)? {
        Some(Damage { hidden, .. }) => Err(HomeError::DamagedLog { log, hidden }),
        None => Ok(()),
    }
}

fn damage(log: &Path) -> Result<Option<Damage>, HomeError> {
    match Log::open(log).and_then(|log| log.damage()) {
        // Whoever may not read it learns so from SQLite, which says more.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
            Ok(None)
        }
        found => found.map_err(|source| io(log, source)),
    }
}

impl Home {
    /// Makes a home whose log is damaged usable again, without the changes that are hidden behind the damage.
    /// The files as they were are kept beside it. `None` when its log hides nothing, and nothing was changed.
    ///
    /// # Errors
    /// [`HomeError::InUse`] while another process uses the home, [`HomeError::Damaged`] when what is before the
    /// damage is damaged, too; the others as [`Home::open`].
    pub fn recover(dir: &Path, now: UnixTime) -> Result<Option<Recovery>, HomeError> {
        directory::check(dir)?;
        let file = dir.join(FILE);
        if !database::exists(&file)? {
            return Err(HomeError::Missing { dir: dir.to_owned() });
        }
        if !snapshot::is_writable(dir, &file) {
            return Err(HomeError::ReadOnly { dir: dir.to_owned() });
        }
        let _held = database::lock_schema(dir)?;
        let Some(_session) = SessionLock::take(dir)? else {
            let pid = Self::session_holder_in(dir).map(|holder| holder.pid);
            return Err(HomeError::InUse { dir: dir.to_owned(), pid });
        };
        let Some(Damage { hidden, .. }) = damage(&beside(&file, "-wal"))? else { return Ok(None) };
        let open = || {
            open_alone(&file).map_err(|error| match error.is_locked() {
                true => HomeError::InUse { dir: dir.to_owned(), pid: None },
                false => error,
            })
        };
        database::check_pages(&file, &open()?)?;
        // While the database is open, this would give up the locks on it, as closing any file of it does.
        let kept = keep(dir, &file, now)?;
        open()?.pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()))?;
        Ok(Some(Recovery { lost: hidden, kept }))
    }
}

/// Opens a database that nobody else has open, and leaves its log where it is when it is closed.
fn open_alone(file: &Path) -> Result<Connection, HomeError> {
    let connection = database::connect(file)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
    database::version(file, &connection)?;
    Ok(connection)
}

/// Copies database and log, durably. A copy that is not whole is removed: it takes up room that may be what was
/// missing.
fn keep(dir: &Path, file: &Path, now: UnixTime) -> Result<PathBuf, HomeError> {
    let kept = beside(file, &format!("{DAMAGED_COPY}{}", now.as_seconds()));
    let copy = |suffix: &str| {
        let to = beside(&kept, suffix);
        fs::copy(beside(file, suffix), &to)?;
        fs::set_permissions(&to, Permissions::from_mode(OWNER_ONLY))?;
        File::open(&to)?.sync_all()
    };
    let copied = copy("").and_then(|()| copy("-wal")).and_then(|()| File::open(dir)?.sync_all());
    copied.map_err(|source| {
        for suffix in ["", "-wal"] {
            let _: io::Result<()> = fs::remove_file(beside(&kept, suffix));
        }
        io(&kept, source)
    })?;
    Ok(kept)
}
