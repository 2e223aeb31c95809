//! The directory of key and database, and the lock that keeps a second server out of it.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::access;
use crate::exit::{Exit, Failure};
use crate::locks;

const NOT_PLAIN: &str =
    "the lock of the data directory has to be a plain file; remove what is there";

/// Names of the files in a data directory that hold an older state of the database: an upgrade, a restore, or a
/// recovery has left them there.
///
/// # Errors
/// When the directory cannot be read.
pub fn older_databases(directory: &Path) -> io::Result<Vec<String>> {
    let own = ["waxwing.db", "waxwing.db-wal", "waxwing.db-shm", "waxwing.db-generation"];
    let is_older = |name: &String| {
        (name.starts_with("waxwing.db") && !own.contains(&name.as_str()))
            || name.starts_with("before-schema-")
    };
    let names = fs::read_dir(directory)?.flatten().map(|entry| entry.file_name());
    let mut older: Vec<_> = names.flat_map(OsString::into_string).filter(is_older).collect();
    older.sort();
    Ok(older)
}

/// A data directory that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir {
    path: PathBuf,
}

impl DataDir {
    /// The directory at `path`, made for its owner alone if there is none.
    ///
    /// # Errors
    /// When it cannot be made, is no directory, or others can change it.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        let made = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                builder.create(path).and_then(|()| sync_parent(path))
            }
            _ => Ok(()),
        };
        made.map_err(|error| unusable(path, &error))?;
        Self::existing(path)
    }

    /// The directory at `path`, which has to exist.
    ///
    /// # Errors
    /// When it does not, or others can change it: whoever can put another key or database in the
    /// place of the server's can be the server.
    pub fn existing(path: &Path) -> Result<Self, Failure> {
        let metadata = fs::metadata(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => failure(
                path,
                "there is no such data directory; --data, or server.data in the configuration, says \
                 where it is, and its disk has to be mounted",
            ),
            _ => unusable(path, &error),
        })?;
        if !metadata.is_dir() {
            let what =
                "is not a directory; --data, or server.data in the configuration, has to name one";
            return Err(Failure::new(Exit::Storage, format!("{} {what}", path.display())));
        }
        let wrong = access::is_for_its_owner(&metadata);
        if let Some(what) = wrong.or_else(|| access::others_can_change(path, &metadata)) {
            return Err(failure(path, what));
        }
        if let Some(open) = access::replaceable_in(path).map_err(|error| failure(path, error))? {
            let open = open.display();
            let what = format!("everybody can put another in its place; run: chmod o-w {open}");
            return Err(failure(path, what));
        }
        // Somebody else made it so, perhaps on purpose, and it may hold more than our files,
        // which are closed to others themselves.
        if metadata.permissions().mode() & 0o077 != 0 {
            tracing::warn!(name: "data_directory_open", path = %path.display(), "others can look into the data directory");
        }
        Ok(Self { path: path.to_owned() })
    }

    /// The path of the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the database in it.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join("waxwing.db")
    }

    /// The server's private key.
    #[must_use]
    pub fn private_key(&self) -> PathBuf {
        self.path.join("server.key.pem")
    }

    /// The server's public key, for clients to pin.
    #[must_use]
    pub fn public_key(&self) -> PathBuf {
        self.path.join("server.pub.pem")
    }

    /// The private key that is to follow the server's, if one is planned.
    #[must_use]
    pub fn next_private_key(&self) -> PathBuf {
        self.path.join("server.next.key.pem")
    }

    /// The public half of that.
    #[must_use]
    pub fn next_public_key(&self) -> PathBuf {
        self.path.join("server.next.pub.pem")
    }

    /// The private key that the server's has followed. The server has no use for it.
    #[must_use]
    pub fn previous_private_key(&self) -> PathBuf {
        self.path.join("server.previous.key.pem")
    }

    /// The fingerprints of all keys that were followed by another.
    #[must_use]
    pub fn former_keys(&self) -> PathBuf {
        self.path.join("server.former")
    }

    /// The name of this directory among those of servers that share a database.
    #[must_use]
    pub fn node(&self) -> PathBuf {
        self.path.join("node")
    }

    /// What a database that is shared has confirmed.
    #[must_use]
    pub fn witness(&self) -> PathBuf {
        self.path.join("witness")
    }

    /// The processes that have it locked, as far as they can be seen.
    #[must_use]
    pub fn users(&self) -> Vec<String> {
        fs::metadata(self.lock_file()).map(|lock| locks::holders(&lock)).unwrap_or_default()
    }

    fn lock_file(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// Locks the directory for this process until the value is dropped: a file in it, and the directory
    /// itself, because a file that looks left behind is deleted one day while a server runs.
    ///
    /// # Errors
    /// When another process has locked it, or locking does not work there.
    pub fn lock(self) -> Result<LockedDataDir, Failure> {
        let path = self.lock_file();
        // Whoever can open it can hold the lock: what it is is looked at when it is open.
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(&path)
            .map_err(|error| match Errno::from_io_error(&error) {
                // A link, a directory, a pipe or a socket.
                Some(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => failure(&path, NOT_PLAIN),
                _ => failure(&path, access::cannot_open(&path, &error)),
            })?;
        let metadata = file.metadata().map_err(|error| failure(&path, error))?;
        if !metadata.is_file() {
            return Err(failure(&path, NOT_PLAIN));
        }
        if let Some(what) = access::others_can_change(&path, &metadata) {
            return Err(failure(&path, what));
        }
        let itself = File::open(&self.path).map_err(|error| failure(&self.path, error))?;
        match (file.try_lock(), itself.try_lock()) {
            (Err(TryLockError::WouldBlock), _) | (_, Err(TryLockError::WouldBlock)) => {
                Err(Failure::new(
                    Exit::Failure,
                    format!(
                        "a waxwing-server is running on {}, or a command that needs the data directory for \
                         itself. Stop the server first (`waxwing-server drain`, or `systemctl stop waxwing`), \
                         or wait until the command has ended",
                        self.path.display()
                    ),
                ))
            }
            (Err(TryLockError::Error(error)), _) => Err(failure(&path, error)),
            // Some network file systems lock no directories.
            (Ok(()), _) => Ok(LockedDataDir { directory: self, _locks: [file, itself] }),
        }
    }
}

/// A data directory that belongs to this process alone.
#[derive(Debug)]
pub struct LockedDataDir {
    directory: DataDir,
    _locks: [File; 2],
}

impl Deref for LockedDataDir {
    type Target = DataDir;

    fn deref(&self) -> &DataDir {
        &self.directory
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// A data directory that cannot be made or looked at.
fn unusable(path: &Path, error: &io::Error) -> Failure {
    let hint = "--data, or server.data in the configuration, can name another place";
    let why = access::cannot_open(path, error);
    failure(path, format!("the data directory cannot be used: {why}; {hint}"))
}

fn failure(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Storage, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn a_new_directory_is_for_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        let data = DataDir::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(DataDir::create(&path).unwrap(), data);
        let lock = data.lock().unwrap();
        let mode = fs::metadata(path.join("lock")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(lock.database(), path.join("waxwing.db"));
    }

    #[test]
    fn the_mode_of_an_old_one_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        DataDir::create(directory.path()).unwrap();
        let mode = fs::metadata(directory.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
    }

    #[test]
    fn what_others_can_change_is_refused_with_the_command_that_helps() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        let data = DataDir::create(&path).unwrap();
        for mode in 0..=0o777_u32 {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match DataDir::existing(&path) {
                Ok(_) => assert_eq!(mode & 0o022, 0, "{mode:o}"),
                Err(refused) => {
                    assert!(mode & 0o022 != 0, "{mode:o}");
                    assert_eq!(refused.exit(), Exit::Storage);
                    assert!(refused.to_string().contains("chmod go-w"), "{refused}");
                }
            }
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        drop(data.clone().lock().unwrap());
        let lock = path.join("lock");
        fs::set_permissions(&lock, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(data.clone().lock().unwrap_err().exit(), Exit::Storage);
        fs::remove_file(&lock).unwrap();
        symlink(directory.path().join("elsewhere"), &lock).unwrap();
        assert_eq!(data.lock().unwrap_err().exit(), Exit::Storage);
        // Only root can give it away.
        if chown(&path, Some(12_345), None).is_ok() {
            let refused = DataDir::existing(&path).unwrap_err();
            let refused = refused.to_string();
            // A server may run there: whoever obeys must not take the directory away from it.
            assert!(
                refused.contains("sudo -u '#12345'") && !refused.contains("chown"),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_directory_that_everybody_can_replace_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let open = directory.path().join("open");
        let path = open.join("between/data");
        DataDir::create(&path).unwrap();
        let link = directory.path().join("link");
        symlink(&path, &link).unwrap();
        for (mode, refused) in [(0o777, true), (0o1777, false), (0o775, false), (0o703, true)] {
            fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
            for path in [&path, &link] {
                match DataDir::existing(path) {
                    Ok(_) => assert!(!refused, "{mode:o}"),
                    Err(failure) => {
                        assert!(refused, "{mode:o}");
                        let what = format!("run: chmod o-w {}", open.display());
                        assert!(failure.to_string().contains(&what), "{failure}");
                    }
                }
            }
        }
    }

    #[test]
    fn only_one_can_lock_it_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::create(directory.path()).unwrap();
        let lock = data.clone().lock().unwrap();
        let failure = data.clone().lock().unwrap_err();
        assert!(failure.to_string().starts_with("a waxwing-server is running on "), "{failure}");
        assert_eq!(failure.exit(), Exit::Failure);
        fs::remove_file(directory.path().join("lock")).unwrap();
        assert_eq!(data.clone().lock().unwrap_err().exit(), Exit::Failure);
        drop(lock);
        data.lock().unwrap();
    }

    #[test]
    fn a_lock_that_is_no_plain_file_is_refused_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::create(directory.path()).unwrap();
        let lock = directory.path().join("lock");
        let make: [fn(&Path); 4] = [
            |lock| fs::create_dir(lock).unwrap(),
            |lock| symlink("elsewhere", lock).unwrap(),
            |lock| drop(UnixListener::bind(lock).unwrap()),
            |lock| mknodat(CWD, lock, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
        ];
        for make in make {
            make(&lock);
            let refused = data.clone().lock().unwrap_err();
            assert_eq!(refused.exit(), Exit::Storage);
            assert!(refused.to_string().contains("has to be a plain file; remove"), "{refused}");
            let _ = fs::remove_dir(&lock);
            let _ = fs::remove_file(&lock);
        }
        // A pipe whose reader is there can be opened.
        mknodat(CWD, &lock, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _reader = OpenOptions::new().read(true).write(true).open(&lock).unwrap();
        let refused = data.lock().unwrap_err();
        assert!(refused.to_string().contains("has to be a plain file; remove"), "{refused}");
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let refused = DataDir::create(&file).unwrap_err();
        assert_eq!(refused.exit(), Exit::Storage);
        assert!(refused.to_string().contains("--data"), "{refused}");
        assert!(DataDir::create(&file.join("below")).is_err());
        let absent = DataDir::existing(&directory.path().join("absent")).unwrap_err();
        assert!(absent.to_string().contains("--data"), "{absent}");
    }
}
