//! Bringing a backup back, and going back from there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use waxwing_core::server::storage::LETTERS_MISSING;
use waxwing_core::time::UnixTime;

use super::check::{check_content, check_contents, open};
use super::manifest::{Content, Manifest};
use super::place::{beside, free, no_room};
use super::{IF_MEANT, another_key, failure, unusable};
use crate::config::Config;
use crate::data_dir::LockedDataDir;
use crate::exit::{Exit, Failure};
use crate::figures;
use crate::key::{self, Fingerprints};
use crate::store::{self, Interrupt, NotUndone, Restoration, Undone};

/// How long ids rest that may have been given out since the backup was made. As long as after the removal
/// of a user, unless that was set to be shorter.
const IDS_REST: Duration = Duration::from_hours(60 * 24);

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
            return Err(another_key(file, &manifest, &own.own, IF_MEANT));
        }
        let draft = beside(&store::place(directory), ".restored");
        check_room(config, &draft, manifest.bytes)?;
        let ready = Self { draft, manifest };
        ready.remove();
        let content = ready.copy(config, wanted, backup)?;
        check_content(file, &content, &ready.manifest)?;
        let contents = check_contents((&ready.draft, file), &ready.manifest, interrupt)?;
        check_ids(contents.free_ids, (*registered_since).into())?;
        Ok(ready)
    }

    fn copy(&self, config: &Config, wanted: &Wanted<'_>, backup: File) -> Result<Content, Failure> {
        let Wanted { file, interrupt, .. } = wanted;
        let create = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.draft);
        let draft = create.map_err(|error| failure(&self.draft, error))?;
        let min_free = config.storage.min_free_disk;
        copy(backup, &draft, || goes_on(interrupt, &self.draft, min_free)).map_err(|error| {
            failure(file, format!("it cannot be copied to {}: {error}", self.draft.display()))
        })
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

/// Bytes that are copied and then synced. What is synced in one piece at the end would make every commit of
/// a server that uses the same disk wait for it.
const SYNCED: usize = 16 << 20;

fn copy(
    from: impl Read,
    mut to: &File,
    mut goes_on: impl FnMut() -> io::Result<()>,
) -> io::Result<Content> {
    let mut unsynced = 0;
    let content = Content::read(from, |piece| {
        goes_on()?;
        to.write_all(piece)?;
        unsynced += piece.len();
        if unsynced >= SYNCED {
            to.sync_data()?;
            unsynced = 0;
        }
        Ok(())
    })?;
    to.sync_all()?;
    Ok(content)
}

/// Whether nobody wants to end it, and there is still room: a server may go on writing.
fn goes_on(interrupt: &Interrupt, draft: &Path, min_free: u64) -> io::Result<()> {
    if interrupt.is_asked() {
        return Err(io::Error::other("it was interrupted"));
    }
    if free(draft).map_err(io::Error::other)? < min_free {
        let why =
            "less than storage.min_free_disk is left there; make room, and repeat the command";
        return Err(io::Error::other(why));
    }
    Ok(())
}

/// Makes the database that the last restore has moved aside the database again. Ids that the restored one
/// has given out rest, and what came to it is moved aside with it. If it is gone, so many users may have
/// registered there.
///
/// # Errors
/// When there is none, or one of the two cannot be used or moved.
pub fn undo(
    config: &Config,
    directory: &LockedDataDir,
    registered_since: u16,
    now: UnixTime,
) -> Result<Undone, Failure> {
    let resting = usize::from(registered_since);
    let undone = store::undo_restore(config, directory, &restoration(config, now, resting))?;
    undone.map_err(|why| match why {
        NotUndone::NothingAside => unusable(
            &store::place(directory),
            "there is nothing to go back to: no restore has moved a database aside here, or it was moved \
             away since",
        ),
        NotUndone::Older(aside) => unusable(
            &aside,
            "it is older than the last restore, which has moved no database aside or was taken back \
             already, so there is nothing to go back to. If you want this older one all the same, move \
             waxwing.db, waxwing.db-wal, waxwing.db-shm and waxwing.db-generation away first, as far as \
             they are there, and repeat the command",
        ),
        NotUndone::NoIdLeft { free } => no_id_left(free, resting),
    })
}

/// What a storage that has come back has to know of that.
pub(crate) fn restoration(config: &Config, now: UnixTime, resting_ids: usize) -> Restoration {
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
    Err(no_id_left(free, resting))
}

pub(crate) fn no_id_left(free: usize, resting: usize) -> Failure {
    let most = free.saturating_sub(1);
    Failure::new(
        Exit::Config,
        format!(
            "--registered-since {resting} leaves no id for new users: {free} ids are free in the database \
             that is to come back. Give a number up to {most}"
        ),
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_asks_before_each_piece_whether_it_goes_on() {
        let file = tempfile::tempfile().unwrap();
        let mut left = 20;
        let refused = copy(io::repeat(7), &file, || {
            left -= 1;
            (left > 0).then_some(()).ok_or_else(|| io::Error::other("no room"))
        });
        assert_eq!(refused.err().unwrap().to_string(), "no room");
        assert_eq!((left, file.metadata().unwrap().len()), (0, 19 << 20));
        let backup = Path::new("/nowhere to write/waxwing.db.restored");
        assert!(goes_on(&Interrupt::default(), backup, 0).is_err());
        let there = tempfile::tempdir().unwrap();
        let draft = there.path().join("draft");
        goes_on(&Interrupt::default(), &draft, 0).unwrap();
        let refused = goes_on(&Interrupt::default(), &draft, u64::MAX).unwrap_err().to_string();
        assert!(refused.contains("storage.min_free_disk"), "{refused}");
    }
}
