//! Several accounts of one person: a home each.
//!
//! `main` is where the only account of most people is, `$XDG_DATA_HOME/waxwing`. The others are in the
//! folder `accounts` in it, and the file `default` there names the one that is meant without
//! `--account`.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::home::{Home, HomeError};

/// The account that is always there.
pub const MAIN: &str = "main";
const FOLDER: &str = "accounts";
const DEFAULT: &str = "default";
/// Before the name of an account that is being removed. No account can have such a name.
const REMOVED: &str = ".removed-";

/// All accounts of a person.
#[derive(Clone, Debug)]
pub struct Accounts {
    root: PathBuf,
}

impl Accounts {
    /// Those of whoever runs this program.
    ///
    /// # Errors
    /// [`HomeError::NoDefault`] when the environment does not say where.
    pub fn of_user() -> Result<Self, HomeError> {
        Ok(Self::in_dir(Home::default_dir()?))
    }

    /// Those in a directory.
    #[must_use]
    pub const fn in_dir(root: PathBuf) -> Self {
        Self { root }
    }

    /// The home of an account, which need not be there.
    #[must_use]
    pub fn home_of(&self, name: &str) -> PathBuf {
        match name {
            MAIN => self.root.clone(),
            name => self.root.join(FOLDER).join(name),
        }
    }

    /// The account that is meant when nobody names one.
    ///
    /// # Errors
    /// [`HomeError::Io`].
    pub fn default_name(&self) -> Result<String, HomeError> {
        let file = self.default_file();
        match fs::read_to_string(&file) {
            Ok(text) if check_name(text.trim()).is_ok() => Ok(text.trim().to_owned()),
            Ok(_) => Ok(MAIN.to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(MAIN.to_owned()),
            Err(source) => Err(HomeError::Io { path: file, source }),
        }
    }

    /// Means this account from now on when nobody names one.
    ///
    /// # Errors
    /// [`HomeError`] when that cannot be stored.
    pub fn set_default(&self, name: &str) -> Result<(), HomeError> {
        let file = self.default_file();
        let new = file.with_extension("new");
        let written = || -> io::Result<()> {
            // Its directory is that of the main home, which nobody else may read.
            DirBuilder::new().recursive(true).mode(0o700).create(self.root.join(FOLDER))?;
            let mut open = OpenOptions::new();
            let mut file = open.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            writeln!(file, "{name}")?;
            file.sync_all()?;
            fs::rename(&new, self.default_file())
        };
        written().map_err(|source| HomeError::Io { path: file, source })
    }

    /// Whether there is such an account.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        name == MAIN || self.home_of(name).is_dir()
    }

    /// The names of all of them, `main` first.
    ///
    /// # Errors
    /// [`HomeError::Io`].
    pub fn names(&self) -> Result<Vec<String>, HomeError> {
        let mut names = self.entries()?;
        names.retain(|name| check_name(name).is_ok() && self.home_of(name).is_dir());
        names.sort();
        names.insert(0, MAIN.to_owned());
        Ok(names)
    }

    /// Makes an empty home for one more account.
    ///
    /// # Errors
    /// [`HomeError`] when it cannot be made.
    pub fn add(&self, name: &str) -> Result<PathBuf, HomeError> {
        // The folder is in the directory of the main home, which nobody else may read.
        drop(Home::create(&self.root)?);
        let dir = self.home_of(name);
        drop(Home::create(&dir)?);
        Ok(dir)
    }

    /// Deletes the home of an account, with its key and its letters; `false` while a process of it
    /// talks to the server.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn remove(&self, name: &str) -> Result<bool, HomeError> {
        let dir = self.home_of(name);
        let removed = self.root.join(FOLDER).join(format!("{REMOVED}{name}"));
        if dir.is_dir() {
            let Some(_session) = crate::home::SessionLock::take(&dir)? else { return Ok(false) };
            erase(&removed)?;
            // At once: half a home is none.
            fs::rename(&dir, &removed).map_err(|source| HomeError::Io { path: dir, source })?;
        }
        erase(&removed)?;
        Ok(true)
    }

    /// Deletes what removals that were cut short have left.
    ///
    /// # Errors
    /// [`HomeError::Io`].
    pub fn end_removals(&self) -> Result<(), HomeError> {
        for name in self.entries()? {
            if name.starts_with(REMOVED) {
                erase(&self.root.join(FOLDER).join(name))?;
            }
        }
        Ok(())
    }

    /// What is in the folder, by name.
    fn entries(&self) -> Result<Vec<String>, HomeError> {
        let folder = self.root.join(FOLDER);
        let name = |entry: io::Result<fs::DirEntry>| {
            entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
        };
        match fs::read_dir(&folder).and_then(|entries| entries.map(name).collect()) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            read => read.map_err(|source| HomeError::Io { path: folder, source }),
        }
    }

    /// The file that names the account which is meant when nobody names one.
    #[must_use]
    pub fn default_file(&self) -> PathBuf {
        self.root.join(FOLDER).join(DEFAULT)
    }
}

fn erase(dir: &Path) -> Result<(), HomeError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(HomeError::Io { path: dir.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Whether an account can have this name, which is also that of a directory.
///
/// # Errors
/// What a name can be.
pub fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = (1..=32).contains(&name.len())
        && name.bytes().all(is_plain)
        && !name.starts_with('-')
        && name != DEFAULT;
    if is_name {
        Ok(())
    } else {
        Err("the name of an account has 1 to 32 of the letters a to z, digits and -".to_owned())
    }
}
