//! The file in which a server witnesses marks.
//!
//! A mark is written with each group, and needs no sync to outlive a process that is killed. A sync for
//! each group would double the cost of a commit, so the machine may lose what the last second has brought.
//!
//! The file has two slots, and a mark goes into the older one: whatever a power cut leaves of it, the
//! other one holds. A slot is its number, epoch and group, and the beginning of a digest of these.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use waxwing_core::crypto::Provider;
use waxwing_core::time::Instant;

use super::database::Witness;
use super::lease::{Epoch, Mark};
use crate::backend::Backend;
use crate::clock::Clock;

/// Between two syncs, at least.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Each slot has a block of its own, so that no write touches both.
const BLOCK: u64 = 4_096;
const SLOTS: u64 = 2;
const SLOT_LEN: usize = 32;

/// Marks in a file.
pub struct WitnessFile<C> {
    file: File,
    clock: C,
    /// How many marks were written, ever.
    number: u64,
    mark: Option<Mark>,
    synced_at: Instant,
    is_synced: bool,
    /// So that the log has one line per change.
    is_failing: bool,
}

impl<C: Clock> WitnessFile<C> {
    /// The one at this path; a new one if there is none.
    ///
    /// # Errors
    /// When it cannot be opened, or is damaged: then nobody knows what the storage has to have.
    pub fn open(path: &Path, clock: C) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path)?;
        if file.metadata()?.len() < SLOTS * BLOCK {
            file.set_len(SLOTS * BLOCK)?;
            file.sync_all()?;
        }
        let slots = [read(&file, 0)?, read(&file, 1)?];
        // Of the very first mark a power cut may have left a part, in the one slot that is used then.
        let is_damaged = slots.iter().all(|slot| matches!(slot, Slot::Damaged));
        let newest = slots.into_iter().filter_map(Slot::written).max_by_key(|(number, _)| *number);
        if is_damaged {
            let why = format!(
                "{} is damaged: it says which changes the database has to have; bring back a copy of it, or \
                 remove it if you are sure that the database has lost nothing",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let (number, mark) = newest.unzip();
        let synced_at = clock.now().instant;
        let number = number.unwrap_or_default();
        Ok(Self { file, clock, number, mark, synced_at, is_synced: true, is_failing: false })
    }

    fn keep(&mut self, mark: Mark) -> io::Result<()> {
        let number = self.number.saturating_add(1);
        self.file.write_all_at(&slot(number, mark), number % SLOTS * BLOCK)?;
        (self.number, self.is_synced) = (number, false);
        let now = self.clock.now().instant;
        if now.since(self.synced_at) >= SYNC_INTERVAL {
            self.synced_at = now;
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.is_synced = true;
        Ok(())
    }

    fn note(&mut self, ended: io::Result<()>) {
        if let Err(error) = &ended
            && !self.is_failing
        {
            tracing::warn!(name: "mark_not_witnessed", %error, "what the database has confirmed cannot be noted; if the database loses it, nobody will know");
        }
        self.is_failing = ended.is_err();
    }
}

impl<C: Clock + Send> Witness for WitnessFile<C> {
    fn mark(&self) -> Option<Mark> {
        self.mark
    }

    fn write(&mut self, mark: Mark) {
        self.mark = Some(mark);
        let kept = self.keep(mark);
        self.note(kept);
    }
}

impl<C> Drop for WitnessFile<C> {
    fn drop(&mut self) {
        if !self.is_synced {
            // Nobody could do anything about it.
            let _ = self.file.sync_data();
        }
    }
}

/// What is in a slot.
enum Slot {
    Empty,
    Written(u64, Mark),
    Damaged,
}

impl Slot {
    fn written(self) -> Option<(u64, Mark)> {
        match self {
            Self::Written(number, mark) => Some((number, mark)),
            Self::Empty | Self::Damaged => None,
        }
    }
}

fn slot(number: u64, mark: Mark) -> [u8; SLOT_LEN] {
    let mut slot = [0; SLOT_LEN];
    let numbers = [number, mark.epoch.0, mark.group];
    for (eight, number) in slot.chunks_exact_mut(8).zip(numbers) {
        eight.copy_from_slice(&number.to_le_bytes());
    }
    let (numbers, check) = slot.split_at_mut(SLOT_LEN - 8);
    let digest = Backend::default().sha256(&[numbers]);
    check.copy_from_slice(&digest.0[..8]);
    slot
}

fn read(file: &File, at: u64) -> io::Result<Slot> {
    let mut found = [0; SLOT_LEN];
    file.read_exact_at(&mut found, at * BLOCK)?;
    if found == [0; SLOT_LEN] {
        return Ok(Slot::Empty);
    }
    let mut numbers = found.chunks_exact(8).map(|eight| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(eight);
        u64::from_le_bytes(bytes)
    });
    let mut next = || numbers.next().unwrap_or_default();
    let (number, mark) = (next(), Mark { epoch: Epoch(next()), group: next() });
    let is_whole = slot(number, mark) == found;
    Ok(if is_whole { Slot::Written(number, mark) } else { Slot::Damaged })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use waxwing_core::time::{Now, UnixTime};

    use super::*;

    #[derive(Clone, Default)]
    struct Hand(Arc<AtomicU64>);

    impl Clock for Hand {
        fn now(&self) -> Now {
            let instant = Instant::from_millis(self.0.load(Ordering::Relaxed));
            Now { instant, unix: UnixTime::from_seconds(0) }
        }
    }

    fn mark(group: u64) -> Mark {
        Mark { epoch: Epoch(3 << 32 | 7), group }
    }

    fn open(path: &Path) -> io::Result<WitnessFile<Hand>> {
        WitnessFile::open(path, Hand::default())
    }

    #[test]
    fn the_last_mark_is_there_after_the_process_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("witness");
        let mut file = open(&path).unwrap();
        assert_eq!(file.mark(), None);
        for group in 1..=5 {
            file.write(mark(group));
            // Nothing of the process but the file is looked at.
            assert_eq!(open(&path).unwrap().mark(), Some(mark(group)));
        }
        std::mem::forget(file);
        assert_eq!(open(&path).unwrap().mark(), Some(mark(5)));
        // An older mark follows where an operator has adopted a database that had lost something.
        open(&path).unwrap().write(mark(2));
        assert_eq!(open(&path).unwrap().mark(), Some(mark(2)));
    }

    #[test]
    fn it_is_synced_once_a_second_however_many_groups_there_are() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Hand::default();
        let path = directory.path().join("witness");
        let mut file = WitnessFile::open(&path, clock.clone()).unwrap();
        for (millis, is_synced) in
            [(1, false), (999, false), (1_000, true), (1_001, false), (1_999, false), (2_000, true)]
        {
            clock.0.store(millis, Ordering::Relaxed);
            file.write(mark(millis));
            assert_eq!(file.is_synced, is_synced, "after {millis} ms");
        }
    }

    #[test]
    fn whatever_a_power_cut_leaves_of_a_write_the_mark_before_it_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("witness");
        for whole in 0..SLOT_LEN {
            let mut file = open(&path).unwrap();
            file.write(mark(8));
            file.write(mark(9));
            let place = file.number % SLOTS * BLOCK;
            let torn = slot(file.number, mark(9));
            file.file.write_all_at(&[0xff; SLOT_LEN], place).unwrap();
            file.file.write_all_at(&torn[..whole], place).unwrap();
            drop(file);
            assert_eq!(open(&path).unwrap().mark(), Some(mark(8)), "{whole} bytes are written");
        }
    }

    #[test]
    fn a_power_cut_may_leave_a_part_of_the_very_first_mark() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("witness");
        let mut file = open(&path).unwrap();
        file.write(mark(1));
        file.file.write_all_at(b"?", file.number % SLOTS * BLOCK + 9).unwrap();
        drop(file);
        let mut file = open(&path).unwrap();
        assert_eq!(file.mark(), None);
        file.write(mark(2));
        file.write(mark(3));
        assert_eq!(open(&path).unwrap().mark(), Some(mark(3)));
    }

    #[test]
    fn a_file_that_says_nothing_any_more_is_an_error_and_not_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("witness");
        let mut file = open(&path).unwrap();
        file.write(mark(1));
        file.write(mark(2));
        for at in 0..SLOTS {
            file.file.write_all_at(b"?", at * BLOCK + 9).unwrap();
        }
        drop(file);
        let error = open(&path).err().expect("it is damaged");
        assert!(error.to_string().contains("is damaged"), "{error}");
    }
}
