//! Bringing a backup back, and going back from there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use waxwing_core::time::UnixTime;

use super::check::{check_content, check_contents, open};
use super::manifest::{Content, Manifest};
use super::place::{beside, free, no_room};
use super::{another_key, failure, unusable};
use crate::config::Config;
use crate::data_dir::LockedDataDir;
use crate::exit::{Exit, Failure};
use crate::figures;
use crate::key::{self, Fingerprints};
use crate::store::{self, Interrupt, Restoration, Undone};

/// How long ids rest that may have been given out since the backup was made. As long as after the removal
/// of a user, unless that was set to be shorter.
const IDS_REST: Duration = Duration::from_hours(60 * 24);
/// How long a letter that is not there may be a lost one. As long as fates are remembered, after which
/// no client believes an answer about an older letter (PROTOCOL.md, "Acknowledgments").
const LETTERS_MISSING: Duration = Duration::from_hours(30 * 24);

/// What is to be restored, and how.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The backup.
    pub file: &'a Path,
    /// Whether it may belong to a server with another key.
    pub other_key: bool,
    /// So many users may have registered since it was made.
    pub registered_since: u16,
    /// What time it is.
    pub now: UnixTime,
    /// Ends the reading of the backup.
    pub interrupt: &'a Interrupt,
}

/// A copy of a backup in the data directory, which was read from end to end, and waits to be put in the
/// place of the database. It is deleted if that does not happen.
#[derive(Debug)]
pub struct Ready {
    draft: PathBuf,
    /// What is in it.
    pub manifest: Manifest,
}

impl Ready {
    /// Copies the backup into the data directory, and reads the copy. Nothing else is changed.
    ///
    /// # Errors
    /// When the backup is not what was written, belongs to another key, or finds no room.
    pub fn new(
        config: &Config,
        directory: &LockedDataDir,
        wanted: &Wanted<'_>,
    ) -> Result<Self, Failure> {
        let Wanted { file, other_key, registered_since, interrupt, .. } = wanted;
        let backup = open(file)?;
        let manifest = Manifest::read(file)?;
        if let Some(own) = own_keys(directory)?
            && !manifest.is_of(&own)
            && manifest.key.is_some()
            && !other_key
        {
            return Err(another_key(file, &manifest, &own.own));
        }
        let draft = beside(&store::place(directory), ".restored");
        check_room(config, &draft, manifest.bytes)?;
        let ready = Self { draft, manifest };
        ready.remove();
        let content = ready.copy(backup, file, interrupt)?;
        check_content(file, &content, &ready.manifest)?;
        let contents = check_contents(&ready.draft, &ready.manifest, interrupt)?;
        check_ids(contents.free_ids, (*registered_since).into())?;
        Ok(ready)
    }

    fn copy(&self, backup: File, file: &Path, interrupt: &Interrupt) -> Result<Content, Failure> {
        let create = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.draft);
        let mut draft = create.map_err(|error| failure(&self.draft, error))?;
        let content = Content::read(backup, |piece| {
            if interrupt.is_asked() {
                return Err(io::Error::other("it was interrupted"));
            }
            draft.write_all(piece)
        });
        let content = content.map_err(|error| {
            failure(file, format!("it cannot be copied to {}: {error}", self.draft.display()))
        })?;
        draft.sync_all().map_err(|error| failure(&self.draft, error))?;
        Ok(content)
    }

    /// Makes it the database. Where the one before is now.
    ///
    /// # Errors
    /// When a file cannot be changed or moved.
    pub fn put_in_place(
        self,
        config: &Config,
        directory: &LockedDataDir,
        wanted: &Wanted<'_>,
    ) -> Result<Option<PathBuf>, Failure> {
        let restoration = restoration(config, wanted.now, wanted.registered_since.into());
        Ok(store::restore(config, directory, &self.draft, &restoration)?)
    }

    fn remove(&self) {
        for suffix in ["", "-journal", "-wal", "-shm", "-generation"] {
            let _ = fs::remove_file(beside(&self.draft, suffix));
        }
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Makes the database that the last restore has moved aside the database again. Ids that the restored one
/// has given out rest, and what came to it is moved aside with it.
///
/// # Errors
/// When there is none, or one of the two cannot be used or moved.
pub fn undo(config: &Config, directory: &LockedDataDir, now: UnixTime) -> Result<Undone, Failure> {
    let undone = store::undo_restore(config, directory, &restoration(config, now, 0))?;
    undone.ok_or_else(|| {
        let place = store::place(directory);
        unusable(
            &place,
            "there is nothing to go back to: no restore has moved a database aside here, or it was moved \
             away since",
        )
    })
}

fn restoration(config: &Config, now: UnixTime, resting_ids: usize) -> Restoration {
    // What rests from the future on rests for longer.
    let longer = IDS_REST.saturating_sub(config.storage.id_rest);
    Restoration {
        now,
        resting_ids,
        ids_rest_from: after(now, longer),
        letters_missing_until: after(now, LETTERS_MISSING),
    }
}

/// A server that nobody new can register with is no use to anybody.
fn check_ids(free: usize, resting: usize) -> Result<(), Failure> {
    if resting < free || resting == 0 {
        return Ok(());
    }
    let most = free.saturating_sub(1);
    Err(Failure::new(
        Exit::Config,
        format!(
            "--registered-since {resting} leaves no id for new users: of the ids in this backup, {free} are \
             free. Give a number up to {most}"
        ),
    ))
}

fn own_keys(directory: &LockedDataDir) -> Result<Option<Fingerprints>, Failure> {
    let own = if key::is_there(directory)? {
        Some(key::digest(key::load(directory)?.spki()))
    } else {
        key::published(directory)
    };
    own.map(|own| Fingerprints::read(directory, own)).transpose()
}

fn check_room(config: &Config, draft: &Path, bytes: u64) -> Result<(), Failure> {
    let needed = bytes.saturating_add(config.storage.min_free_disk);
    let free_bytes = free(draft)?;
    if free_bytes >= needed {
        return Ok(());
    }
    let why = format!(
        "the database has {}, and storage.min_free_disk has to stay free",
        figures::bytes(bytes)
    );
    Err(no_room(super::place::directory_of(draft), free_bytes, needed, &why))
}

fn after(now: UnixTime, span: Duration) -> UnixTime {
    now.shifted(i64::try_from(span.as_secs()).unwrap_or(i64::MAX))
}
