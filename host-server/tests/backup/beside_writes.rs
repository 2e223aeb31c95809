//! A copy while letters are stored.

use std::fs::File;
use std::ops::ControlFlow;
use std::sync::Mutex;

use waxwing_server::backup::{Making, check, make, manifest_of};
use waxwing_server::exit::Exit;
use waxwing_server::store::{ApplyError, Copied, Copier, Interrupt, Personal, StorageError};

use super::support::{START, mailbox, user};
use super::*;

const LONG: usize = 60_000;

/// More than a step of the copy takes.
fn store(storage: &mut SqliteStorage, letters: std::ops::Range<u64>) {
    for first in letters.clone().step_by(25) {
        let some = first..(first + 25).min(letters.end);
        apply(storage, some.map(|letter| insert(letter, 1, 2, LONG))).unwrap();
    }
}

fn log_size(place: &Place) -> u64 {
    fs::metadata(place.data().path().join("waxwing.db-wal")).unwrap().len()
}

#[test]
fn it_holds_one_moment_and_the_log_is_brought_in_afterwards() {
    let place = Place::new();
    let mut storage = place.storage();
    store(&mut storage, 10..700);
    let copier = storage.copier();
    let draft = place.backups().join("draft");
    File::create(&draft).unwrap();
    let (mut steps, mut stored) = (0, 700);
    let copied = copier.copy(&draft, &mut |copied, of| {
        assert!(copied < of);
        steps += 1;
        store(&mut storage, stored..stored + 50);
        stored += 50;
        // The copy keeps old pages in the log.
        let erased = storage.erase(user(9));
        assert!(matches!(erased, Err(ApplyError::Unavailable(_))), "{erased:?}");
        ControlFlow::Continue(())
    });
    assert_eq!(copied.unwrap(), ControlFlow::Continue(()));
    assert!(steps >= 2, "{steps} steps");
    // The database holds what was in the log: a commit now would not have to bring it in.
    let grown = log_size(&place);
    assert!(grown > 5 << 20, "{grown}");
    let other = rusqlite::Connection::open(place.data().database()).unwrap();
    let waiting: i64 = other
        .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| {
            Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?)
        })
        .unwrap();
    assert!(waiting < 1_000, "{waiting}");
    drop(other);
    apply(&mut storage, [insert(9_000, 1, 2, 18)]).unwrap();
    storage.erase(user(9)).unwrap();
    let letters = mailbox(&mut storage, 2);
    assert_eq!(letters.len() as u64, 1 + (stored - 10) + 1);
    drop(storage);
    // As after a power cut.
    assert_eq!(mailbox(&mut place.storage(), 2), letters);
    let mut copy = SqliteStorage::open(&draft, &SqliteOptions::default()).unwrap();
    copy.check().unwrap();
    assert_eq!(mailbox(&mut copy, 2).len(), 1 + 690);
}

#[test]
fn a_database_from_which_the_server_died_after_a_copy_opens_again() {
    let place = Place::new();
    for round in 0..20 {
        let mut storage = place.storage();
        let copier = storage.copier();
        let draft = place.backups().join(format!("draft-{round}"));
        File::create(&draft).unwrap();
        store(&mut storage, 10 + 100 * round..110 + 100 * round);
        assert!(copier.copy(&draft, &mut |_, _| ControlFlow::Continue(())).unwrap().is_continue());
        // The first commit afterwards may begin a new log.
        apply(&mut storage, [insert(100_000 + round, 1, 2, 18)]).unwrap();
        drop(storage);
        let letters = mailbox(&mut place.storage(), 2);
        assert!(letters.contains(&(100_000 + round)));
        assert_eq!(letters.len() as u64, 1 + (round + 1) * 101);
        fs::remove_file(draft).unwrap();
    }
}

/// Does what a test says instead of a copy.
struct Fake<F>(Mutex<F>);

impl<F: FnMut(&Path, &mut dyn FnMut(u64, u64) -> ControlFlow<()>) -> ControlFlow<()> + Send> Copier
    for Fake<F>
{
    fn size(&self) -> Result<u64, StorageError> {
        Ok(1)
    }

    fn copy(
        &self,
        draft: &Path,
        watch: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StorageError> {
        Ok((self.0.lock().unwrap())(draft, watch))
    }

    fn check(&self, _: &Interrupt) -> Result<(), StorageError> {
        Ok(())
    }
}

#[test]
fn what_is_interrupted_or_not_a_copy_leaves_nothing() {
    let place = Place::new();
    let interrupt = Interrupt::default();
    let fail = |copier: &dyn Copier, min_free, interrupt: &Interrupt| {
        let data = place.data();
        let making =
            Making { copier, data: data.path(), min_free, interrupt, now: START, scheduled: false };
        let failed = make(&making, &place.file()).unwrap_err();
        assert!(!place.file().exists() && !manifest_of(&place.file()).exists());
        assert!(!place.0.path().join("a backup.db.new").exists());
        failed
    };
    let no_copy = Fake(Mutex::new(|draft: &Path, _: &mut dyn FnMut(_, _) -> _| {
        fs::write(draft, "no database at all").unwrap();
        ControlFlow::Continue(())
    }));
    assert_eq!(fail(&no_copy, 0, &interrupt).exit(), Exit::Storage);
    let interrupted =
        Fake(Mutex::new(|_: &Path, watch: &mut dyn FnMut(u64, u64) -> ControlFlow<()>| {
            assert!(watch(1, 3).is_continue());
            interrupt.ask();
            assert!(watch(2, 3).is_break());
            ControlFlow::Break(())
        }));
    let failed = fail(&interrupted, 0, &interrupt);
    assert_eq!(failed.exit(), Exit::Failure);
    assert!(failed.to_string().contains("was given up"), "{failed}");
    let refused = check(&place.file(), &Interrupt::default()).unwrap_err();
    assert_eq!(refused.exit(), Exit::Config);
}

#[test]
fn what_a_killed_server_left_of_a_backup_is_in_nobodys_way() {
    let place = Place::new();
    let draft = place.0.path().join("a backup.db.new");
    fs::write(&draft, "half").unwrap();
    place.create();
    assert!(!draft.exists());
    place.about(&["backup", "verify"], 0);
}
