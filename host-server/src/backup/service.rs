//! The backups that a running server makes: one at a time, by the clock or when an operator says so.

use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use waxwing_core::time::UnixTime;

use super::make::{Making, make, stopped};
use super::manifest::Manifest;
use super::shelf::Shelf;
use super::turn::Turns;
use crate::clock;
use crate::config::{Config, check_answers};
use crate::exit::{Exit, Failure};
use crate::key::Fingerprints;
use crate::store::{Copier, Interrupt};

/// Where a backup goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the directory of backups, under the name of its moment.
    Shelf,
    /// To this file.
    Named(PathBuf),
}

/// A backup that was made.
pub type Made = (PathBuf, Manifest);

/// What is known of the backups of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// When the newest one was made that is known to be whole: in the directory of backups, if there is one.
    pub verified: Option<UnixTime>,
    /// Why nothing can be put into the directory of backups, if that was so when it was last looked at.
    pub unusable: Option<String>,
    /// When it was last looked at.
    pub looked: Option<UnixTime>,
    /// When the one was begun that is being made.
    pub begun: Option<UnixTime>,
    /// How many were not made since the start, though somebody wanted them.
    pub failures: u64,
    /// Why the last one by the clock was not made; nothing as soon as one was made in the directory of backups.
    pub trouble: Option<Trouble>,
    /// Why the last one that an operator wanted was not made; nothing as soon as any was made.
    pub trouble_by_hand: Option<Trouble>,
}

/// A backup was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// When it was to be made.
    pub at: UnixTime,
    /// Why not.
    pub why: String,
}

/// Makes the backups of a running server.
pub struct Backups {
    copier: Box<dyn Copier>,
    /// The fingerprints of the server's keys.
    keys: Mutex<Fingerprints>,
    data: PathBuf,
    /// So much has to stay free of the disk.
    min_free: AtomicU64,
    shelf: Option<Shelf>,
    every: Duration,
    keep: usize,
    interrupt: Interrupt,
    turns: Turns,
    /// Who hears what becomes of the one that an operator wanted last.
    waits: Mutex<Option<Sender<Result<Made, Failure>>>>,
    state: Mutex<State>,
}

/// After a backup by the clock has failed, the next one is tried no later.
const RETRY: Duration = Duration::from_hours(1);
/// A stop waits so long for a backup that is to end. One whose disk answers ends within a moment.
const ENDING: Duration = Duration::from_secs(10);
/// How often the clock is looked at, since somebody may set it, and the directory.
const LOOK: Duration = Duration::from_mins(1);

impl Backups {
    /// Those of the server with this configuration and these keys.
    #[must_use]
    pub fn new(config: &Config, keys: Fingerprints, copier: Box<dyn Copier>) -> Self {
        Self {
            copier,
            keys: Mutex::new(keys),
            data: config.server.data.clone(),
            min_free: config.storage.min_free_disk.into(),
            shelf: Shelf::of(config),
            every: config.backup.every,
            keep: config.backup.keep as usize,
            interrupt: Interrupt::default(),
            turns: Turns::default(),
            waits: Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// The server has these keys from now on.
    pub fn know(&self, keys: Fingerprints) {
        *self.lock_keys() = keys;
    }

    /// From the next one on, so much has to stay free of the disk.
    pub fn leave_free(&self, bytes: u64) {
        self.min_free.store(bytes, Relaxed);
    }

    /// What is known of them now.
    #[must_use]
    pub fn state(&self) -> State {
        self.lock_state().clone()
    }

    /// Whether the server stops, and so makes none any more.
    #[must_use]
    pub fn are_over(&self) -> bool {
        self.interrupt.is_asked()
    }

    /// Whether the clock makes backups.
    #[must_use]
    pub const fn are_scheduled(&self) -> bool {
        self.shelf.is_some()
    }

    /// Has a backup made, in a thread of its own. The receiver hears what became of it.
    ///
    /// # Errors
    /// When another one is being made, or the system gives no thread.
    pub fn start(
        self: &Arc<Self>,
        target: Target,
    ) -> Result<Receiver<Result<Made, Failure>>, Failure> {
        if self.turns.are_taken() {
            let since = self.state().begun.map(|begun| format!(" since {}", clock::written(begun)));
            let message = format!(
                "a backup is being made{}; wait until it has ended. If it does not end, the disk that it goes to does \
                 not answer: mend that, or restart the server",
                since.unwrap_or_default()
            );
            return Err(Failure::new(Exit::Failure, message));
        }
        let (sender, made) = channel();
        *self.lock_waits() = Some(sender.clone());
        let backups = Arc::clone(self);
        let thread = Builder::new().name(THREAD.into());
        let spawned = thread.spawn(move || {
            // Whoever asked may have left.
            let _ = sender.send(backups.make(target, false));
        });
        spawned.map_err(|error| Failure::new(Exit::Failure, error))?;
        Ok(made)
    }

    /// Makes backups by the clock, until the value is dropped. `None` if there are none to be made. A directory whose
    /// disk does not answer is not waited for.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn follow_clock(self: &Arc<Self>) -> io::Result<Option<Schedule>> {
        let Some(shelf) = self.shelf.clone() else { return Ok(None) };
        self.look_at(&shelf);
        if self.state().unusable.is_none() {
            let newest = newest_of(&shelf, &self.keys());
            self.lock_state().verified = newest;
        }
        let (end, ended) = channel();
        let backups = Arc::clone(self);
        let thread = Builder::new().name(THREAD.into());
        let thread = thread.spawn(move || backups.run(&shelf, &ended))?;
        Ok(Some(Schedule { _end: end, _thread: thread }))
    }

    /// Has what is being made end, and waits for that, but not for a disk that does not answer. Nothing is made
    /// afterwards.
    pub fn stop(&self) {
        if !self.end_within(ENDING) {
            tracing::warn!(
                name: "backup_unended",
                "a backup does not end, since the disk that it goes to does not answer: the server stops without \
                 waiting for it. The next one that is made in backup.directory deletes what is left of it, under a name that \
                 ends with .db.new"
            );
            if let Some(waits) = self.lock_waits().take() {
                let why = "the server stops without waiting for the backup, since the disk that it goes to does not \
                           answer: mend that, and make it again when the server runs";
                // Whoever asked may have left.
                let _ = waits.send(Err(Failure::new(Exit::Failure, why)));
            }
        }
    }

    fn end_within(&self, patience: Duration) -> bool {
        self.interrupt.ask();
        self.turns.wait(patience)
    }

    fn make(&self, target: Target, scheduled: bool) -> Result<Made, Failure> {
        let turn = self.turns.take();
        if self.interrupt.is_asked() {
            return Err(stopped());
        }
        let now = clock::unix_now();
        // What an operator puts elsewhere may not stay there.
        let is_kept = target == Target::Shelf || self.shelf.is_none();
        self.lock_state().begun = Some(now);
        let made = self.place(target, now).and_then(|file| {
            let (copier, data) = (&*self.copier, &*self.data);
            let (min_free, interrupt) = (self.min_free.load(Relaxed), &self.interrupt);
            let making = Making { copier, data, min_free, interrupt, now, scheduled };
            make(&making, &file).map(|manifest| (file, manifest))
        });
        let mut state = self.lock_state();
        state.begun = None;
        // Whoever hears that it is made can have the next one made.
        drop(turn);
        match &made {
            Ok((file, manifest)) => {
                state.trouble_by_hand = None;
                if is_kept {
                    (state.verified, state.trouble) = (Some(now), None);
                }
                let Manifest { users, letters, bytes, .. } = manifest;
                tracing::info!(file = %file.display(), users, letters, bytes, "a backup was made");
            }
            Err(_) if self.interrupt.is_asked() => {}
            Err(error) => {
                state.failures += 1;
                let trouble = Some(Trouble { at: now, why: error.to_string() });
                match scheduled {
                    true => state.trouble = trouble,
                    false => state.trouble_by_hand = trouble,
                }
                tracing::error!(name: "backup_failed", %error, scheduled, "a backup was not made");
            }
        }
        made
    }

    fn place(&self, target: Target, now: UnixTime) -> Result<PathBuf, Failure> {
        match (target, &self.shelf) {
            (Target::Named(file), _) => Ok(file),
            (Target::Shelf, Some(shelf)) => {
                shelf.check()?;
                shelf.forget_drafts()?;
                Ok(shelf.next_name(now))
            }
            (Target::Shelf, None) => Err(no_shelf()),
        }
    }

    fn run(&self, shelf: &Shelf, ended: &Receiver<()>) {
        let every = seconds(self.every);
        // Nothing can be made in a directory that is mounted to be read only, and what is in it can be read.
        if self.state().unusable.is_some() && check_answers(shelf.directory()).is_ok() {
            let newest = newest_of(shelf, &self.keys());
            self.lock_state().verified = newest;
        }
        let mut due = self.due_after_newest();
        loop {
            let now = clock::unix_now();
            // The clock may have been set back.
            due = due.min(now.shifted(every));
            let left = u64::try_from(due.as_seconds() - now.as_seconds()).unwrap_or(0);
            match ended.recv_timeout(Duration::from_secs(left).min(LOOK)) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return,
            }
            if self.look_at(shelf) {
                due = self.due_after_newest();
            }
            if clock::unix_now() < due {
                continue;
            }
            let pause = match self.make(Target::Shelf, true) {
                Ok(_) => {
                    self.keep_newest(shelf);
                    self.every
                }
                Err(_) => self.every.min(RETRY),
            };
            due = clock::unix_now().shifted(seconds(pause));
        }
    }

    /// When the next one is due by the clock.
    fn due_after_newest(&self) -> UnixTime {
        let newest = self.state().verified;
        newest.map_or_else(clock::unix_now, |newest| newest.shifted(seconds(self.every)))
    }

    /// Sees whether the directory can be used. Whether it can be used again after it could not be: then what
    /// is in it counts again.
    fn look_at(&self, shelf: &Shelf) -> bool {
        let unusable = shelf.check().err().map(|why| why.to_string());
        let before = {
            let mut state = self.lock_state();
            state.looked = Some(clock::unix_now());
            mem::replace(&mut state.unusable, unusable.clone())
        };
        match (before, unusable) {
            (None, Some(why)) => {
                tracing::error!(
                    name: "backup_directory_unusable",
                    %why,
                    "no backup can be put into backup.directory; the server serves all the same, and goes on \
                     looking whether that changes"
                );
                self.miss_newest(shelf);
                false
            }
            (Some(_), None) => {
                tracing::info!("backups can be put into backup.directory again");
                // Nobody who wants to know how backups are waits for this disk.
                let newest = newest_of(shelf, &self.keys());
                self.lock_state().verified = newest;
                true
            }
            (None, None) => self.look_for_newest(shelf),
            (Some(_), Some(_)) => {
                self.miss_newest(shelf);
                false
            }
        }
    }

    /// As [`Self::look_for_newest`], in a directory that takes no backup: it may still be readable, and whoever can
    /// change it can delete what is there.
    fn miss_newest(&self, shelf: &Shelf) {
        if self.state().verified.is_some() && check_answers(shelf.directory()).is_ok() {
            self.look_for_newest(shelf);
        }
    }

    /// Sees whether the newest backup is still there, which somebody may have deleted or moved away. Whether it is gone:
    /// then the one before counts.
    fn look_for_newest(&self, shelf: &Shelf) -> bool {
        let known = self.state().verified;
        let (Some(made), Ok(newest)) = (known, shelf.newest(&self.keys())) else { return false };
        let mut state = self.lock_state();
        if newest >= known || state.verified != known {
            return false;
        }
        state.verified = newest;
        drop(state);
        tracing::warn!(
            name: "backup_gone",
            made = %clock::written(made),
            newest = newest.map(clock::written),
            "the newest backup is not in backup.directory any more: somebody has deleted it or moved it away"
        );
        true
    }

    fn keep_newest(&self, shelf: &Shelf) {
        match shelf.keep_newest(self.keep, &self.keys()) {
            Ok(deleted) => {
                for file in deleted {
                    tracing::info!(file = %file.display(), "an old backup was deleted");
                }
            }
            Err(error) => {
                tracing::warn!(name: "backup_undeleted", %error, "an old backup could not be deleted");
            }
        }
    }

    fn keys(&self) -> Fingerprints {
        self.lock_keys().clone()
    }

    fn lock_keys(&self) -> MutexGuard<'_, Fingerprints> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_waits(&self) -> MutexGuard<'_, Option<Sender<Result<Made, Failure>>>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const THREAD: &str = "waxwing-backup";

/// Backups by the clock. They end with this value; one that is being made does not.
pub struct Schedule {
    _end: Sender<()>,
    _thread: JoinHandle<()>,
}

/// There is no directory for backups, and no file was named.
#[must_use]
pub fn no_shelf() -> Failure {
    Failure::new(
        Exit::Config,
        "backup.directory is empty: set it in the configuration, or name a file for the backup",
    )
}

/// When the newest backup in a directory was made; nothing if there is none, or it cannot be read.
fn newest_of(shelf: &Shelf, keys: &Fingerprints) -> Option<UnixTime> {
    shelf.newest(keys).ok().flatten()
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::fs::{DirBuilder, Permissions, set_permissions};
    use std::ops::ControlFlow;
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    use std::path::Path;

    use waxwing_core::crypto::Digest;

    use super::*;
    use crate::data_dir::DataDir;
    use crate::store::{Copied, Ownership, SqliteOptions, SqliteStorage, StorageError};

    /// Says that it is asked, and hangs until it hears something.
    struct Hanging(Mutex<(Sender<()>, Receiver<()>)>);

    impl Copier for Hanging {
        fn size(&self) -> Result<u64, StorageError> {
            let (asked, go_on) = &*self.0.lock().unwrap();
            asked.send(()).unwrap();
            go_on.recv().unwrap();
            Ok(0)
        }

        fn copy(
            &self,
            _: &Path,
            _: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
        ) -> Result<ControlFlow<()>, StorageError> {
            Ok(ControlFlow::Break(()))
        }

        fn check(&self, _: &Interrupt) -> Result<(), StorageError> {
            Ok(())
        }
    }

    /// Of a database whose first page is damaged.
    struct Damaged;

    impl Copier for Damaged {
        fn size(&self) -> Result<u64, StorageError> {
            self.check(&Interrupt::default()).map(|()| 0)
        }

        fn copy(
            &self,
            _: &Path,
            _: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
        ) -> Result<ControlFlow<()>, StorageError> {
            Ok(ControlFlow::Break(()))
        }

        fn check(&self, _: &Interrupt) -> Result<(), StorageError> {
            Err(StorageError::Damaged("waxwing.db is damaged: no database".into()))
        }
    }

    #[test]
    fn a_backup_of_a_database_whose_size_cannot_be_read_says_what_helps() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.data = directory.path().join("data");
        let data = DataDir::create(&config.server.data).unwrap();
        let keys = Fingerprints::read(&data, Digest([1; 32])).unwrap();
        let backups = Backups::new(&config, keys, Box::new(Damaged));
        let target = Target::Named(directory.path().join("backup.db"));
        let failed = backups.make(target, false).unwrap_err();
        assert_eq!(failed.exit(), Exit::Storage);
        assert!(failed.to_string().contains("`waxwing-server run --recover`"), "{failed}");
    }

    #[test]
    fn a_backup_that_hangs_is_waited_for_a_while_and_none_is_begun_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.data = directory.path().join("data");
        let data = DataDir::create(&config.server.data).unwrap();
        let keys = Fingerprints::read(&data, Digest([1; 32])).unwrap();
        let ((asked, is_asked), (let_go_on, go_on)) = (channel(), channel());
        let copier = Box::new(Hanging(Mutex::new((asked, go_on))));
        let backups = Arc::new(Backups::new(&config, keys, copier));
        let target = || Target::Named(directory.path().join("backup.db"));
        let made = backups.start(target()).unwrap();
        is_asked.recv().unwrap();
        let begun = backups.state().begun.expect("it is being made");
        let refused = backups.start(target()).unwrap_err().to_string();
        let since = format!("a backup is being made since {}", clock::written(begun));
        assert!(refused.starts_with(&since), "{refused}");
        assert!(!backups.are_over());
        assert!(!backups.end_within(Duration::from_millis(1)));
        let_go_on.send(()).unwrap();
        assert!(made.recv().unwrap().is_err());
        assert!(backups.end_within(Duration::from_secs(60)));
        assert!(backups.are_over());
        assert_eq!(backups.state().begun, None);
        let later = backups.start(target()).unwrap().recv().unwrap();
        assert!(later.unwrap_err().to_string().contains("the server stops"));
    }

    #[test]
    fn a_backup_that_somebody_has_deleted_is_not_the_newest_any_more() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.data = directory.path().join("data");
        config.backup.directory = directory.path().join("backups");
        DirBuilder::new().mode(0o700).create(&config.backup.directory).unwrap();
        let data = DataDir::create(&config.server.data).unwrap();
        let own = Digest([1; 32]);
        let mut storage = SqliteStorage::open(&data.database(), &SqliteOptions::default()).unwrap();
        storage.set_server_key(&own, clock::unix_now()).unwrap();
        let keys = Fingerprints::read(&data, own).unwrap();
        let backups = Backups::new(&config, keys, storage.copier());
        let shelf = Shelf::of(&config).unwrap();
        assert!(!backups.look_at(&shelf));
        let (file, _) = backups.make(Target::Shelf, true).unwrap();
        let made = backups.state().verified;
        assert!(made.is_some());
        assert!(!backups.look_at(&shelf));
        assert_eq!(backups.state().verified, made);
        std::fs::remove_file(file).unwrap();
        assert!(backups.look_at(&shelf), "the next one is due");
        assert_eq!(backups.state().verified, None);
        assert!(!backups.look_at(&shelf));

        // Nor in a directory that takes none any more.
        let (file, _) = backups.make(Target::Shelf, true).unwrap();
        set_permissions(shelf.directory(), Permissions::from_mode(0o777)).unwrap();
        assert!(!backups.look_at(&shelf));
        assert!(backups.state().unusable.is_some() && backups.state().verified.is_some());
        std::fs::remove_file(file).unwrap();
        assert!(!backups.look_at(&shelf));
        assert_eq!(backups.state().verified, None);
    }
}
