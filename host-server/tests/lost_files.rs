//! Files of a database that are moved, deleted, replaced or mixed up, while it is open and between
//! two starts.

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use support::*;
use waxwing_core::time::UnixTime;
use waxwing_server::clock;
use waxwing_server::store::{
    ApplyError, Inspect, SqliteError, SqliteOptions, SqliteStorage, Storage,
};

const NAMES: [&str; 3] = ["waxwing.db", "waxwing.db-wal", "waxwing.db-generation"];

/// A directory with a database in it.
struct Place(tempfile::TempDir);

/// A new one, with a name that means something else where a URI is expected.
fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("50%25 of it?mode=ro#").tempdir().unwrap()
}

impl Place {
    /// With users 1 and 2, and closed.
    fn new() -> Self {
        let place = Self(directory());
        let mut storage = place.open().unwrap();
        apply(&mut storage, [create(1), create(2)]).unwrap();
        Box::new(storage).close().unwrap();
        place
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn database(&self) -> PathBuf {
        self.file(NAMES[0])
    }

    fn open(&self) -> Result<SqliteStorage, SqliteError> {
        SqliteStorage::open(&self.database(), &SqliteOptions::default())
    }

    fn letters(&self) -> Vec<u64> {
        mailbox(&mut self.open().unwrap(), 2)
    }

    /// What its files hold now, under their names.
    fn copy(&self, names: &[&str]) -> Self {
        let copy = Self(directory());
        names.iter().for_each(|name| put(&self.file(name), &copy.file(name)));
        copy
    }

    fn take_from(&self, other: &Self, name: &str) {
        put(&other.file(name), &self.file(name));
    }

    fn content(&self) -> Vec<Vec<u8>> {
        NAMES.iter().map(|name| fs::read(self.file(name)).unwrap_or_default()).collect()
    }
}

fn put(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
}

fn store(storage: &mut SqliteStorage, letters: impl IntoIterator<Item = u64>) {
    for n in letters {
        apply(storage, [insert(n, 1, 2, 3_000)]).unwrap();
    }
}

#[test]
fn nothing_is_confirmed_when_a_file_is_not_the_one_of_its_name_any_more() {
    let moved = |file: &Path| fs::rename(file, file.with_extension("moved")).unwrap();
    let deleted = |file: &Path| fs::remove_file(file).unwrap();
    let replaced = |file: &Path| {
        let other = file.with_extension("other");
        fs::copy(file, &other).unwrap();
        fs::rename(other, file).unwrap();
    };
    let directory_moved = |file: &Path| {
        let directory = file.parent().unwrap();
        fs::rename(directory, directory.with_extension("moved")).unwrap();
    };
    let acts: [&dyn Fn(&Path); 4] = [&moved, &deleted, &replaced, &directory_moved];
    for (number, act) in acts.iter().enumerate() {
        for name in ["waxwing.db", "waxwing.db-wal", "waxwing.db-shm"] {
            let place = Place::new();
            let mut storage = place.open().unwrap();
            store(&mut storage, [1]);
            act(&place.file(name));
            let result = apply(&mut storage, [insert(2, 1, 2, 9)]);
            let Err(ApplyError::Fatal(what)) = result else {
                panic!("act {number} on {name}: {result:?}")
            };
            assert!(what.contains("is not the file any more"), "{what}");
            let tidied = storage.tidy();
            assert!(matches!(tidied, Err(ApplyError::Fatal(_))), "{tidied:?}");
            Box::new(storage).close().unwrap_err();
        }
    }
}

#[test]
fn what_was_moved_away_and_back_has_everything() {
    let place = Place::new();
    let mut storage = place.open().unwrap();
    store(&mut storage, [1]);
    let away = place.file("away");
    fs::rename(place.database(), &away).unwrap();
    apply(&mut storage, [insert(2, 1, 2, 9)]).unwrap_err();
    drop(storage);
    let refused = place.open().unwrap_err();
    assert!(matches!(refused, SqliteError::OrphanedLog { .. }), "{refused}");
    assert!(!place.database().exists());
    fs::rename(&away, place.database()).unwrap();
    assert_eq!(place.letters(), [1, 2]);
}

#[test]
fn an_old_database_over_a_newer_log_is_refused_and_nothing_is_changed() {
    for is_old_from_a_running_server in [false, true] {
        let place = Place::new();
        let mut storage = place.open().unwrap();
        store(&mut storage, [1]);
        if !is_old_from_a_running_server {
            Box::new(storage).close().unwrap();
            storage = place.open().unwrap();
        }
        let old = place.copy(&NAMES[..1]);
        storage.tidy().unwrap();
        store(&mut storage, 2..=9);
        storage.tidy().unwrap();
        store(&mut storage, 10..=19);
        drop(storage);
        place.take_from(&old, NAMES[0]);
        let before = place.content();
        let refused = place.open().unwrap_err();
        assert!(matches!(refused, SqliteError::ForeignLog { .. }), "{refused}");
        assert_eq!(place.content(), before);
    }
}

#[test]
fn an_old_log_beside_a_newer_database_is_refused() {
    let place = Place::new();
    let mut storage = place.open().unwrap();
    storage.set_max_log_pages(8);
    store(&mut storage, [1]);
    let old = place.copy(&NAMES);
    store(&mut storage, 2..=40);
    drop(storage);
    place.take_from(&old, NAMES[1]);
    let refused = place.open().unwrap_err();
    assert!(matches!(refused, SqliteError::ForeignLog { .. }), "{refused}");
}

#[test]
fn the_log_of_another_database_is_refused() {
    let (place, other) = (Place::new(), Place::new());
    for (place, letter) in [(&place, 1), (&other, 2)] {
        store(&mut place.open().unwrap(), [letter]);
    }
    place.take_from(&other, NAMES[1]);
    let refused = place.open().unwrap_err();
    assert!(matches!(refused, SqliteError::ForeignLog { .. }), "{refused}");
}

#[test]
fn a_log_with_which_a_sound_database_looks_damaged_is_refused_as_another_s() {
    let place = Place::new();
    let other = place.copy(&NAMES[..1]);
    let raw = Connection::open(other.database()).unwrap();
    raw.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    raw.execute_batch(
        "PRAGMA writable_schema = ON; \
         UPDATE sqlite_schema SET rootpage = 9999 WHERE name = 'log_generation_even'",
    )
    .unwrap();
    raw.close().unwrap();
    place.take_from(&other, NAMES[1]);
    let refused = place.open().unwrap_err();
    assert!(matches!(refused, SqliteError::ForeignLog { .. }), "{refused}");
    // The log it is that is wrong.
    fs::remove_file(place.file(NAMES[1])).unwrap();
    fs::remove_file(place.file("waxwing.db-shm")).unwrap();
    assert_eq!(place.letters(), [0; 0]);
}

#[test]
fn the_log_of_another_program_is_what_is_wrong_and_not_the_database() {
    let place = Place::new();
    let other = directory();
    let raw = Connection::open(other.path().join("other.db")).unwrap();
    raw.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE words (word)").unwrap();
    put(&other.path().join("other.db-wal"), &place.file(NAMES[1]));
    let before = fs::read(place.database()).unwrap();
    for refused in [
        place.open().unwrap_err(),
        SqliteStorage::open_existing(&place.database(), &SqliteOptions::default()).unwrap_err(),
    ] {
        assert!(matches!(refused, SqliteError::ForeignLog { .. }), "{refused}");
    }
    assert_eq!(fs::read(place.database()).unwrap(), before);
    fs::remove_file(place.file(NAMES[1])).unwrap();
    fs::remove_file(place.file("waxwing.db-shm")).unwrap();
    assert_eq!(place.letters(), [0; 0]);
}

#[test]
fn a_database_without_a_log_whose_notes_of_logs_contradict_each_other_is_damaged() {
    let place = Place::new();
    let raw = Connection::open(place.database()).unwrap();
    raw.execute_batch(
        "UPDATE log_generation_even SET previous = zeroblob(16); \
         UPDATE log_generation_odd SET previous = zeroblob(16)",
    )
    .unwrap();
    raw.close().unwrap();
    let refused = place.open().unwrap_err();
    assert!(matches!(refused, SqliteError::Damaged { .. }), "{refused}");
}

#[test]
fn a_copy_of_a_running_servers_database_without_its_log_is_refused_unless_asked_for() {
    for tidies in 0..3 {
        let place = Place::new();
        let mut storage = place.open().unwrap();
        store(&mut storage, [1]);
        (0..tidies).for_each(|_| assert!(storage.tidy().unwrap()));
        store(&mut storage, [2]);
        let copy = place.copy(&NAMES[..1]);
        let refused = copy.open().unwrap_err();
        assert!(matches!(refused, SqliteError::LogMissing { .. }), "{refused}");
        assert!(refused.to_string().contains("--without-log"), "{refused}");
        let users = SqliteStorage::open_existing(&copy.database(), &SqliteOptions::default());
        assert!(matches!(users, Err(SqliteError::LogMissing { .. })), "{users:?}");

        let options = SqliteOptions::default();
        let mut taken = SqliteStorage::open_without_log(&copy.database(), &options).unwrap();
        let known = mailbox(&mut taken, 2);
        assert!(!known.contains(&2));
        // Who was in the log alone may have had an id, and nobody knows what became of the letters.
        let snapshot = taken.load(UnixTime::from_seconds(0)).unwrap();
        assert!(snapshot.letters_missing_until.is_some_and(|until| until > clock::unix_now()));
        assert_eq!(snapshot.resting_ids.len(), 1_000);
        Box::new(taken).close().unwrap();
        assert_eq!(copy.letters(), known);
        // The same in its own place, with the log gone.
        drop(storage);
        fs::remove_file(place.file(NAMES[1])).unwrap();
        let refused = place.open().unwrap_err();
        assert!(matches!(refused, SqliteError::LogMissing { .. }), "{refused}");
    }
}

#[test]
fn a_copy_of_database_and_log_together_is_taken() {
    let place = Place::new();
    let mut storage = place.open().unwrap();
    store(&mut storage, 1..=5);
    assert_eq!(place.copy(&NAMES[..2]).letters(), [1, 2, 3, 4, 5]);
    storage.tidy().unwrap();
    assert_eq!(place.copy(&NAMES[..2]).letters(), [1, 2, 3, 4, 5]);
    store(&mut storage, [6]);
    Box::new(storage).close().unwrap();
    assert_eq!(place.copy(&NAMES[..1]).letters(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_program_that_brings_the_log_of_a_dead_server_in_does_no_harm() {
    for tidies in 0..3 {
        let place = Place::new();
        let mut storage = place.open().unwrap();
        store(&mut storage, [1]);
        (0..tidies).for_each(|_| assert!(storage.tidy().unwrap()));
        store(&mut storage, [2]);
        drop(storage);
        let other = Connection::open(place.database()).unwrap();
        let count: u32 =
            other.query_row("SELECT count(*) FROM users", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 2);
        other.close().unwrap();
        assert!(!place.file(NAMES[1]).exists(), "it is in the database now");
        assert_eq!(place.letters(), [1, 2]);
    }
}

#[test]
fn a_program_that_brings_the_log_of_a_running_server_in_does_no_harm() {
    for acts in [
        "PRAGMA wal_checkpoint(PASSIVE)",
        "PRAGMA wal_checkpoint(RESTART)",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "VACUUM; PRAGMA wal_checkpoint(TRUNCATE)",
        "VACUUM",
        "PRAGMA wal_checkpoint(TRUNCATE); DELETE FROM allowances; PRAGMA wal_checkpoint(PASSIVE)",
    ] {
        let place = Place::new();
        let mut storage = place.open().unwrap();
        store(&mut storage, [1]);
        let other = Connection::open(place.database()).unwrap();
        other.execute_batch(acts).unwrap();
        store(&mut storage, [2, 3]);
        // As a crash at this moment leaves it.
        let crashed = place.copy(&NAMES);
        assert_eq!(crashed.letters(), [1, 2, 3], "{acts}");
        storage.tidy().unwrap();
        store(&mut storage, [4]);
        assert_eq!(place.copy(&NAMES).letters(), [1, 2, 3, 4], "{acts}");
        Box::new(storage).close().unwrap();
    }
}

#[test]
fn nothing_is_confirmed_when_another_program_has_changed_the_log() {
    let set_len = |file: &Path, len| File::options().write(true).open(file).unwrap().set_len(len);
    let emptied = |file: &Path| set_len(file, 0).unwrap();
    let cut_in_the_middle = |file: &Path| set_len(file, 6_000).unwrap();
    let end_cut_off = |file: &Path| set_len(file, fs::metadata(file).unwrap().len() - 1).unwrap();
    let header_zeroed =
        |file: &Path| File::options().write(true).open(file).unwrap().write_all(&[0; 32]).unwrap();
    let acts: [&dyn Fn(&Path); 4] = [&emptied, &cut_in_the_middle, &end_cut_off, &header_zeroed];
    for (number, act) in acts.iter().enumerate() {
        let place = Place::new();
        let mut storage = place.open().unwrap();
        store(&mut storage, [1]);
        act(&place.file(NAMES[1]));
        let result = apply(&mut storage, [insert(2, 1, 2, 9)]);
        let Err(ApplyError::Fatal(what)) = result else { panic!("act {number}: {result:?}") };
        assert!(what.contains("was shortened or overwritten by another program"), "{what}");
    }
}

#[test]
fn nothing_is_confirmed_when_another_program_has_overwritten_the_database() {
    let other_server = |place: &Place| put(&Place::new().database(), &place.database());
    let backup = |place: &Place| put(&place.file("backup"), &place.database());
    let emptied = |place: &Place| drop(File::create(place.database()).unwrap());
    let acts: [&dyn Fn(&Place); 3] = [&other_server, &backup, &emptied];
    for (number, act) in acts.iter().enumerate() {
        for tidies in 0..3 {
            let place = Place::new();
            put(&place.database(), &place.file("backup"));
            let mut storage = place.open().unwrap();
            store(&mut storage, [1]);
            (0..tidies).for_each(|_| assert!(storage.tidy().unwrap()));
            store(&mut storage, [2]);
            let good = place.copy(&NAMES[..1]);
            act(&place);
            let result = apply(&mut storage, [insert(3, 1, 2, 9)]);
            let Err(ApplyError::Fatal(what)) = result else { panic!("act {number}: {result:?}") };
            assert!(what.contains("was overwritten by another program"), "{what}");
            drop(storage);
            place.open().unwrap_err();
            place.take_from(&good, NAMES[0]);
            assert_eq!(place.letters(), [1, 2], "act {number}");
        }
    }
}

#[test]
fn an_older_backup_of_a_server_that_was_stopped_is_taken() {
    let place = Place::new();
    let backup = place.copy(&NAMES[..1]);
    let mut storage = place.open().unwrap();
    store(&mut storage, [1]);
    Box::new(storage).close().unwrap();
    place.take_from(&backup, NAMES[0]);
    assert_eq!(place.letters(), [0; 0]);
    assert_eq!(place.open().unwrap().users(None).unwrap().len(), 2);
}

#[test]
fn a_rollback_journal_is_refused() {
    let place = Place::new();
    fs::write(place.file("waxwing.db-journal"), "whatever").unwrap();
    let refused = place.open().unwrap_err();
    assert!(refused.to_string().contains("move it away"), "{refused}");
}

#[test]
fn files_that_others_can_change_or_that_are_links_are_refused() {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    let place = Place::new();
    let set = |mode| fs::set_permissions(place.database(), fs::Permissions::from_mode(mode));
    for mode in [0o620, 0o602, 0o666] {
        set(mode).unwrap();
        let refused = place.open().unwrap_err();
        assert!(refused.to_string().contains("chmod go-w"), "{refused}");
    }
    set(0o600).unwrap();
    fs::rename(place.database(), place.file("elsewhere")).unwrap();
    symlink(place.file("elsewhere"), place.database()).unwrap();
    let refused = place.open().unwrap_err();
    assert!(refused.to_string().contains("plain file"), "{refused}");
    fs::rename(place.file("elsewhere"), place.database()).unwrap();
    // Only root can give it away.
    if chown(place.database(), Some(12_345), None).is_ok() {
        let refused = place.open().unwrap_err();
        assert!(refused.to_string().contains("chown"), "{refused}");
    }
}
