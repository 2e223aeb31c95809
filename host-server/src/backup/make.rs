//! Making a backup.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use waxwing_core::time::UnixTime;

use super::failure;
use super::manifest::{Content, Manifest, manifest_of};
use super::place::{beside, check_new, directory_of, free, no_room, sync_directory};
use super::priority::be_nice;
use crate::exit::{Exit, Failure};
use crate::failpoint::Failpoint;
use crate::figures;
use crate::store::{self, Copier, Interrupt, StorageError};

/// While it is copied, and while it is read again, on a scale to 19: others come first.
const NICE: [i32; 2] = [10, 19];

/// What making a backup needs to know.
pub struct Making<'a> {
    /// Copies the storage.
    pub copier: &'a dyn Copier,
    /// The directory of what is copied. What is written there meanwhile needs room, too.
    pub data: &'a Path,
    /// So many bytes have to stay free.
    pub min_free: u64,
    /// Ends it.
    pub interrupt: &'a Interrupt,
    /// What time it is.
    pub now: UnixTime,
    /// Whether the clock wants it, and nobody else.
    pub scheduled: bool,
}

/// Makes a backup in `file`, which must not be there yet, and reads it from end to end. This thread is
/// nicer to all others from now on.
///
/// # Errors
/// When it cannot be made, or is not what was copied. Then nothing is left of it.
pub fn make(making: &Making<'_>, file: &Path) -> Result<Manifest, Failure> {
    forget_stale(&beside(file, DRAFT));
    check_new(file, making.data)?;
    let draft = Draft::create(file)?;
    be_nice(NICE[0]);
    making.copy(&draft)?;
    be_nice(NICE[1]);
    let manifest = making.verify(&draft)?;
    // First, so that no end in between leaves a file that has the name of a backup and is none.
    manifest.write(file).map_err(|error| failure(&manifest_of(file), error))?;
    Failpoint::BeforeBackupIsNamed.pass();
    draft.put_in_place(file).map_err(|error| {
        let _ = fs::remove_file(manifest_of(file));
        failure(file, error)
    })?;
    Ok(manifest)
}

impl Making<'_> {
    fn copy(&self, draft: &Draft) -> Result<(), Failure> {
        let size = self.copier.size().map_err(|error| self.blame(error))?;
        let (directory, free_bytes) = (directory_of(&draft.path), free(&draft.path)?);
        let needed = size.saturating_add(self.min_free);
        if free_bytes < needed {
            let why = format!(
                "the copy has {}, and storage.min_free_disk has to stay free",
                figures::bytes(size)
            );
            return Err(no_room(directory, free_bytes, needed, &why));
        }
        let mut ended = None;
        let copied = self.copier.copy(&draft.path, &mut |_, _| match self.goes_on(directory) {
            Ok(()) => ControlFlow::Continue(()),
            Err(failure) => {
                ended = Some(failure);
                ControlFlow::Break(())
            }
        });
        let copied = copied.map_err(|error| self.blame(error))?;
        match (ended, copied) {
            (Some(failure), _) => Err(failure),
            (None, ControlFlow::Continue(())) => Ok(()),
            (None, ControlFlow::Break(())) => Err(stopped()),
        }
    }

    /// Whether nobody wants to end it, and there is still room: the server goes on writing.
    fn goes_on(&self, directory: &Path) -> Result<(), Failure> {
        if self.interrupt.is_asked() {
            return Err(stopped());
        }
        for directory in [directory, self.data] {
            let free_bytes = free(&directory.join("waxwing"))?;
            if free_bytes < self.min_free {
                let why = "less than storage.min_free_disk is left while the backup is made";
                return Err(no_room(directory, free_bytes, self.min_free, why));
            }
        }
        Ok(())
    }

    /// What the operator reads when something could not be copied, or the copy is damaged: mostly what was copied
    /// is so, too.
    fn blame(&self, error: StorageError) -> Failure {
        let is_damage = matches!(error, StorageError::Damaged(_));
        let source = if is_damage { self.copier.check(self.interrupt) } else { Ok(()) };
        match source {
            _ if self.interrupt.is_asked() => stopped(),
            Err(damage @ StorageError::Damaged(_)) => {
                let damage = damage.explained();
                let why = format!(
                    "no backup can be made, and those that are there were made before: {damage}"
                );
                Failure::new(Exit::Storage, why)
            }
            _ if is_damage => {
                let why = "the pages of the database itself are sound";
                Failure::new(Exit::Storage, format!("{error}; {why}"))
            }
            _ => error.into(),
        }
    }

    fn verify(&self, draft: &Draft) -> Result<Manifest, Failure> {
        let read = |error: io::Error| failure(&draft.path, error);
        draft.file.sync_all().map_err(read)?;
        let contents = store::examine(&draft.path, &draft.path, self.interrupt)
            .map_err(|error| self.blame(error))?;
        let mut file = &draft.file;
        file.rewind().map_err(read)?;
        let content = Content::read(file, |_| match self.interrupt.is_asked() {
            true => Err(io::ErrorKind::Interrupted.into()),
            false => Ok(()),
        });
        let content = content
            .map_err(|error| if self.interrupt.is_asked() { stopped() } else { read(error) })?;
        Ok(Manifest::new((self.now, self.scheduled), &contents, &content))
    }
}

pub(super) fn stopped() -> Failure {
    Failure::new(Exit::Failure, "the server stops, so the backup was given up; make it again later")
}

/// A backup that is not whole yet. It is deleted unless it is put in place.
struct Draft {
    path: PathBuf,
    /// Locked, as long as somebody is at work on it.
    file: File,
    is_in_place: bool,
}

/// What follows the name of a backup in that of its draft.
pub(super) const DRAFT: &str = ".new";
/// What SQLite may put beside it.
const BESIDE: [&str; 4] = ["", "-journal", "-wal", "-shm"];

impl Draft {
    fn create(file: &Path) -> Result<Self, Failure> {
        let path = beside(file, DRAFT);
        let create = || -> io::Result<File> {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            file.lock()?;
            Ok(file)
        };
        let file = create().map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::AlreadyExists => "; is another backup being made there?",
                _ => "",
            };
            failure(&path, format!("the backup cannot be written: {error}{hint}"))
        })?;
        Ok(Self { path, file, is_in_place: false })
    }

    fn put_in_place(mut self, file: &Path) -> io::Result<()> {
        fs::rename(&self.path, file)?;
        self.is_in_place = true;
        sync_directory(file).inspect_err(|_| _ = fs::remove_file(file))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_in_place {
            remove(&self.path);
        }
    }
}

fn remove(draft: &Path) {
    for suffix in BESIDE {
        let _ = fs::remove_file(beside(draft, suffix));
    }
}

/// Whether nobody is at work on this draft any more.
pub(super) fn is_stale(draft: &Path) -> bool {
    let is_plain = draft.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
    is_plain && File::open(draft).is_ok_and(|file| file.try_lock().is_ok())
}

/// Removes a draft that nobody is at work on any more, and the manifest of what it was to become.
pub(super) fn forget_stale(draft: &Path) {
    let file = draft.with_extension("");
    if is_stale(draft) {
        // The draft last: without it, nobody knows whose the others are.
        if file.symlink_metadata().is_err() {
            let manifest = manifest_of(&file);
            let _ = fs::remove_file(beside(&manifest, DRAFT));
            let _ = fs::remove_file(manifest);
        }
        remove(draft);
    }
}
