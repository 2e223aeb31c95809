//! The directory in which a server keeps its backups.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use waxwing_core::time::{Timestamp, UnixTime};

use super::deletion::delete;
use super::make::{DRAFT, forget_stale, is_stale};
use super::manifest::{MANIFEST, Manifest, manifest_of};
use super::{failure, unusable};
use crate::access;
use crate::config::{Config, check_directory, find_directory};
use crate::exit::Failure;
use crate::key::Fingerprints;

/// Before and after the time in the name of a backup.
const NAME: (&str, &str) = ("waxwing-", ".db");
/// With which a database of SQLite begins.
const SQLITE: [u8; 16] = *b"SQLite format 3\0";
/// `20261129T203800Z`
const TIME: usize = 16;

/// A directory of backups. Those that were given no name are named after their moment; there may be others,
/// and other files. Only what the clock has made is ever deleted.
#[derive(Clone, Debug)]
pub struct Shelf {
    directory: PathBuf,
}

/// Something that has the name or the manifest of a backup.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The file.
    pub file: PathBuf,
    /// What its manifest says, or why it is no backup.
    pub manifest: Result<Manifest, Failure>,
}

impl Shelf {
    /// The one that the configuration names, if it names one.
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let directory = &config.backup.directory;
        (!directory.as_os_str().is_empty()).then(|| Self { directory: directory.clone() })
    }

    /// Whether backups can be put there. The server may have been started without it.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn check(&self) -> Result<(), Failure> {
        check_directory(&self.directory).map_err(|why| unusable(&self.directory, why))
    }

    /// A name that is free, for a backup of this moment.
    #[must_use]
    pub fn next_name(&self, now: UnixTime) -> PathBuf {
        let is_free = |path: &PathBuf| {
            path.symlink_metadata().is_err() && manifest_of(path).symlink_metadata().is_err()
        };
        let names = (1..).map(|number| self.directory.join(name(now, number)));
        names.into_iter().find(is_free).unwrap_or_default()
    }

    /// All of them, the oldest first. The files are not read.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>, Failure> {
        let mut names = BTreeSet::new();
        for name in self.names()? {
            if parse(&name, NAME.1).is_some() {
                names.insert(name);
            } else if let Some(described) = name.strip_suffix(MANIFEST)
                // Other files of this kind are somebody else's.
                && Manifest::read(&self.directory.join(described)).is_ok()
            {
                names.insert(described.to_owned());
            }
        }
        let mut entries: Vec<_> = names.into_iter().map(|name| self.entry(name)).collect();
        entries.sort_by(|(order, _), (other, _)| order.cmp(other));
        Ok(entries.into_iter().map(|(_, entry)| entry).collect())
    }

    /// What is there besides, and is no backup: databases without a manifest, and what backups that were not made to
    /// their end have left. This opens files, so the server itself, which may be writing to one, leaves it to
    /// commands.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn strays(&self) -> Result<Vec<Entry>, Failure> {
        let mut names = self.names()?;
        names.sort();
        Ok(names.iter().filter_map(|name| self.stray(name)).collect())
    }

    fn stray(&self, name: &str) -> Option<Entry> {
        let file = self.directory.join(name);
        if let Some(whole) = name.strip_suffix(DRAFT) {
            // Both that of the backup and that of its manifest are there while it is made.
            let described = whole.strip_suffix(MANIFEST).unwrap_or(whole);
            let draft = self.directory.join(format!("{described}{DRAFT}"));
            let is_ours = described.ends_with(NAME.1) || is_database(&draft);
            let is_left = is_stale(&draft) || (draft != file && draft.symlink_metadata().is_err());
            let why = "a backup that was not made to its end has left this; delete it";
            return (is_ours && is_left)
                .then(|| Entry { manifest: Err(failure(&file, why)), file });
        }
        let is_known = parse(name, NAME.1).is_some() || !name.ends_with(NAME.1);
        if is_known || !is_database(&file) {
            return None;
        }
        // What has one is listed with it.
        let manifest = Manifest::read(&file);
        manifest.is_err().then_some(Entry { file, manifest })
    }

    /// What is there under this name, and in which order it comes: by time, by number, by name.
    fn entry(&self, name: String) -> ((String, u64, String), Entry) {
        let file = self.directory.join(&name);
        let manifest = Manifest::read(&file).and_then(|manifest| {
            let found = fs::metadata(&file).map_err(|error| failure(&file, error))?;
            if found.len() == manifest.bytes {
                return Ok(manifest);
            }
            let why = format!("it has {} bytes, and {} were written", found.len(), manifest.bytes);
            Err(failure(&file, why))
        });
        let made = manifest.as_ref().ok().and_then(Manifest::moment).map(digits);
        let (time, number) = parse(&name, NAME.1).unwrap_or_default();
        ((made.unwrap_or(time), number, name), Entry { file, manifest })
    }

    /// When the newest backup of the server with these keys was made.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn newest(&self, keys: &Fingerprints) -> Result<Option<UnixTime>, Failure> {
        let entries = self.entries()?;
        let manifests = entries.iter().filter_map(|entry| entry.manifest.as_ref().ok());
        Ok(manifests.filter(|manifest| manifest.is_of(keys)).filter_map(Manifest::moment).max())
    }

    /// The newest backup of the server with these keys, and what its manifest says.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn newest_of(&self, keys: &Fingerprints) -> Result<Option<(PathBuf, Manifest)>, Failure> {
        let good = |Entry { file, manifest }| manifest.ok().map(|manifest| (file, manifest));
        let mut entries = self.entries()?.into_iter().filter_map(good);
        Ok(entries.rfind(|(_, manifest)| manifest.is_of(keys)))
    }

    /// Deletes what backups that were not made to their end have left.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn forget_drafts(&self) -> Result<(), Failure> {
        let names = self.names()?;
        let drafts = names.iter().filter(|name| parse(name, ".db.new").is_some());
        drafts.for_each(|draft| forget_stale(&self.directory.join(draft)));
        Ok(())
    }

    /// Deletes the oldest backups that the clock has made of the server with these keys, so that `keep` of
    /// them are left, and says which. Whatever else is there does not count, and stays.
    ///
    /// # Errors
    /// When the directory cannot be read, or one of them not be deleted.
    pub fn keep_newest(&self, keep: usize, keys: &Fingerprints) -> Result<Vec<PathBuf>, Failure> {
        let is_ours = |entry: &Entry| {
            let manifest = entry.manifest.as_ref();
            manifest.is_ok_and(|manifest| manifest.is_of(keys) && manifest.scheduled)
        };
        let ours: Vec<_> = self.entries()?.into_iter().filter(is_ours).collect();
        let old = ours.len().saturating_sub(keep);
        let mut deleted = Vec::new();
        for Entry { file, .. } in ours.into_iter().take(old) {
            delete(&file).map_err(|error| failure(&file, error))?;
            deleted.push(file);
        }
        Ok(deleted)
    }

    /// The names of all that is there, as far as they are text.
    fn names(&self) -> Result<Vec<String>, Failure> {
        let directory = &self.directory;
        find_directory(directory).map_err(|why| unusable(directory, why))?;
        let entries = fs::read_dir(directory)
            .map_err(|error| unusable(directory, access::cannot_open(directory, &error)))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failure(directory, error))?;
            names.extend(entry.file_name().into_string().ok());
        }
        Ok(names)
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Whether this is a plain file that begins as a database does.
fn is_database(file: &Path) -> bool {
    let mut head = [0; SQLITE.len()];
    let is_plain = file.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
    is_plain
        && File::open(file).is_ok_and(|mut file| file.read_exact(&mut head).is_ok())
        && head == SQLITE
}

/// The first of a moment has no number.
fn name(moment: UnixTime, number: u64) -> String {
    let number = if number > 1 { format!("-{number}") } else { String::new() };
    format!("{}{}{number}{}", NAME.0, digits(moment), NAME.1)
}

/// `20261129T203800Z`
fn digits(moment: UnixTime) -> String {
    let text = Timestamp::from_unix(moment).to_string().replace(' ', "T");
    let digits: String = text.chars().filter(|c| !matches!(c, '-' | ':')).collect();
    format!("{digits}Z")
}

/// The time and the number in the name of a backup with this ending.
fn parse(name: &str, ending: &str) -> Option<(String, u64)> {
    let middle = name.strip_prefix(NAME.0)?.strip_suffix(ending)?;
    let (time, number) = match middle.split_once('-') {
        Some((time, number)) => (time, number.parse().ok().filter(|number| *number > 1)?),
        None => (middle, 1),
    };
    let is_right = |(at, byte): (usize, u8)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    let is_time = time.len() == TIME && time.bytes().enumerate().all(is_right);
    is_time.then(|| (time.to_owned(), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_time_and_tell_backups_from_other_files() {
        let moment = UnixTime::from_seconds(1_795_984_680);
        assert_eq!(name(moment, 1), "waxwing-20261129T203800Z.db");
        assert_eq!(name(moment, 2), "waxwing-20261129T203800Z-2.db");
        for number in [1, 2, 10] {
            let parsed = parse(&name(moment, number), ".db");
            assert_eq!(parsed, Some(("20261129T203800Z".to_owned(), number)));
        }
        for other in [
            "waxwing.db",
            "waxwing-20261129T203800Z.db.json",
            "waxwing-20261129T203800Z.db.new",
            "waxwing-2026112XT203800Z.db",
            "waxwing-20261129 203800Z.db",
            "waxwing-20261129T203800Z-1.db",
            "waxwing-20261129T203800Z-x.db",
            "waxwing-before-the-move.db",
            "old-20261129T203800Z.db",
        ] {
            assert_eq!(parse(other, ".db"), None, "{other}");
        }
    }
}
