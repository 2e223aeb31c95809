//! The directory in which a server keeps its backups.

use std::fs;
use std::path::{Path, PathBuf};

use waxwing_core::crypto::Digest;
use waxwing_core::time::{Timestamp, UnixTime};

use super::failure;
use super::make::forget_stale;
use super::manifest::{Manifest, manifest_of};
use crate::config::Config;
use crate::exit::Failure;

/// Before and after the time in the name of a backup.
const NAME: (&str, &str) = ("waxwing-", ".db");
/// `20261129T203800Z`
const TIME: usize = 16;

/// A directory of backups. Their names sort by time. What has another name is somebody else's, and is
/// neither listed nor deleted.
#[derive(Clone, Debug)]
pub struct Shelf {
    directory: PathBuf,
}

/// Something that has the name of a backup.
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

    /// A name that is free, for a backup of this moment.
    #[must_use]
    pub fn next_name(&self, now: UnixTime) -> PathBuf {
        let mut moment = now;
        loop {
            let path = self.directory.join(name(moment));
            if path.symlink_metadata().is_err() && manifest_of(&path).symlink_metadata().is_err() {
                return path;
            }
            moment = moment.shifted(1);
        }
    }

    /// All of them, the oldest first. The files are not read.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>, Failure> {
        let files = self.named(NAME.1)?;
        let entry = |file: PathBuf| {
            let manifest = Manifest::read(&file).and_then(|manifest| {
                let found = fs::metadata(&file).map_err(|error| failure(&file, error))?;
                if found.len() == manifest.bytes {
                    return Ok(manifest);
                }
                let why =
                    format!("it has {} bytes, and {} were written", found.len(), manifest.bytes);
                Err(failure(&file, why))
            });
            Entry { file, manifest }
        };
        Ok(files.into_iter().map(entry).collect())
    }

    /// When the newest backup of the server with this key was made.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn newest(&self, key: &Digest) -> Result<Option<UnixTime>, Failure> {
        let entries = self.entries()?;
        let manifests = entries.iter().filter_map(|entry| entry.manifest.as_ref().ok());
        Ok(manifests.filter(|manifest| manifest.is_of(key)).filter_map(Manifest::moment).max())
    }

    /// Deletes what backups that were not made to their end have left.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn forget_drafts(&self) -> Result<(), Failure> {
        self.named(".db.new")?.iter().for_each(|draft| forget_stale(draft));
        Ok(())
    }

    /// Deletes the oldest backups of the server with this key, so that `keep` of them are left, and says
    /// which. Whatever has no manifest that fits does not count, and stays.
    ///
    /// # Errors
    /// When the directory cannot be read, or one of them not be deleted.
    pub fn keep_newest(&self, keep: usize, key: &Digest) -> Result<Vec<PathBuf>, Failure> {
        let is_ours =
            |entry: &Entry| entry.manifest.as_ref().is_ok_and(|manifest| manifest.is_of(key));
        let ours: Vec<_> = self.entries()?.into_iter().filter(is_ours).collect();
        let old = ours.len().saturating_sub(keep);
        let mut deleted = Vec::new();
        for Entry { file, .. } in ours.into_iter().take(old) {
            // In this order: a file without a manifest would be deleted by nobody.
            for path in [&file, &manifest_of(&file)] {
                fs::remove_file(path).map_err(|error| failure(path, error))?;
            }
            deleted.push(file);
        }
        Ok(deleted)
    }

    /// Files that are named after a moment, with this ending, in the order of time.
    fn named(&self, ending: &str) -> Result<Vec<PathBuf>, Failure> {
        let failed = |error| failure(&self.directory, error);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().to_str().is_some_and(|name| is_named(name, ending)) {
                files.push(entry.path());
            }
        }
        files.sort();
        Ok(files)
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

fn name(moment: UnixTime) -> String {
    let text = Timestamp::from_unix(moment).to_string();
    let digits: String =
        text.replace(' ', "T").chars().filter(|c| !matches!(c, '-' | ':')).collect();
    format!("{}{digits}Z{}", NAME.0, NAME.1)
}

fn is_named(name: &str, ending: &str) -> bool {
    let time = name.strip_prefix(NAME.0).and_then(|rest| rest.strip_suffix(ending));
    time.is_some_and(|time| {
        let is_right = |(at, byte): (usize, u8)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        };
        time.len() == TIME && time.bytes().enumerate().all(is_right)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time_and_tell_backups_from_other_files() {
        let of = |seconds| name(UnixTime::from_seconds(seconds));
        assert_eq!(of(1_795_984_680), "waxwing-20261129T203800Z.db");
        assert!(of(1_795_984_680) < of(1_795_984_681));
        assert!(of(1_795_984_680) < of(1_999_999_999));
        assert!(is_named(&of(1_795_984_680), ".db"));
        for other in [
            "waxwing.db",
            "waxwing-20261129T203800Z.db.json",
            "waxwing-20261129T203800Z.db.new",
            "waxwing-2026112XT203800Z.db",
            "waxwing-20261129 203800Z.db",
            "waxwing-before-the-move.db",
            "old-20261129T203800Z.db",
        ] {
            assert!(!is_named(other, ".db"), "{other}");
        }
    }
}
