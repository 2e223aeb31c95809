//! What only a database file can get wrong: damage, versions, locks, a full disk, remains.

mod support;

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::*;
use waxwing_core::server::storage::{Answer, Question};
use waxwing_core::time::{Instant, UnixTime};
use waxwing_server::store::{
    ApplyError, Done, Inspect, Job, Personal, Reports, SqliteError, SqliteOptions, SqliteStorage,
    Storage, StorageError, StorageTurns, TurnOptions,
};

struct File {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

/// The schema of a database as it is made now.
const SCHEMA: i64 = 8;
/// The oldest that a program may know to use it.
const MIN_READER: i64 = 6;
const OPTIONS: SqliteOptions = SqliteOptions { busy_timeout: Duration::from_millis(20) };

impl File {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("waxwing.db");
        Self { _directory: directory, path }
    }

    /// With users 1 and 2.
    fn with_users() -> Self {
        let file = Self::new();
        let mut storage = file.open();
        apply(&mut storage, [create(1), create(2)]).unwrap();
        Box::new(storage).close().unwrap();
        file
    }

    fn open(&self) -> SqliteStorage {
        SqliteStorage::open(&self.path, &OPTIONS).unwrap()
    }

    fn refusal(&self) -> SqliteError {
        SqliteStorage::open(&self.path, &OPTIONS).expect_err("this should be refused")
    }

    fn raw(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(&self.path).unwrap()
    }

    fn overwrite(&self, offset: u64, bytes: &[u8]) {
        let mut file = OpenOptions::new().write(true).open(&self.path).unwrap();
        file.seek(SeekFrom::Start(offset)).unwrap();
        file.write_all(bytes).unwrap();
    }

    /// Whether `needle` is anywhere in the database or its log.
    fn holds(&self, needle: &[u8]) -> bool {
        ["waxwing.db", "waxwing.db-wal"].iter().any(|name| {
            let bytes = fs::read(self.path.with_file_name(name)).unwrap_or_default();
            bytes.windows(needle.len()).any(|window| window == needle)
        })
    }
}

#[test]
fn a_newer_schema_is_refused_by_name() {
    let file = File::with_users();
    let written = format!(
        "PRAGMA user_version = 77; \
         UPDATE about SET schema = 77, min_reader = {}, written_by = '9.8.7'",
        SCHEMA + 1
    );
    file.raw().execute_batch(&written).unwrap();
    let refusal = file.refusal();
    assert!(refusal.to_string().contains("run version 9.8.7, which wrote it"), "{refusal}");
    assert!(matches!(refusal, SqliteError::NewerSchema { found: 77, known: SCHEMA, .. }));
    assert!(
        refusal.to_string().contains(&format!("has schema 77, newer than {SCHEMA}")),
        "{refusal}"
    );
}

#[test]
fn a_newer_schema_that_this_version_may_use_is_served_as_it_is() {
    let file = File::with_users();
    let about = |file: &File| -> (i64, i64, String) {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        file.raw().query_row("SELECT schema, min_reader, written_by FROM about", [], read).unwrap()
    };
    assert_eq!(about(&file), (SCHEMA, MIN_READER, env!("CARGO_PKG_VERSION").into()));
    let written = format!(
        "PRAGMA user_version = 77; CREATE TABLE later (word TEXT); \
         UPDATE about SET schema = 77, min_reader = {SCHEMA}, written_by = '9.8.7'"
    );
    file.raw().execute_batch(&written).unwrap();
    let mut storage = file.open();
    apply(&mut storage, [insert(1, 1, 2, 18)]).unwrap();
    Box::new(storage).close().unwrap();
    assert_eq!(about(&file), (77, SCHEMA, "9.8.7".into()));
    assert_eq!(
        SqliteStorage::open_existing(&file.path, &OPTIONS).unwrap().users(None).unwrap().len(),
        2
    );
    assert!(!file.path.with_file_name("before-schema-77.db").exists());
}

#[test]
fn an_older_schema_is_not_touched_unless_asked() {
    let file = File::new();
    let raw = file.raw();
    raw.pragma_update(None, "application_id", 0x5758_5747).unwrap();
    drop(raw);
    let refusal = SqliteStorage::open_existing(&file.path, &OPTIONS).unwrap_err();
    assert!(matches!(refusal, SqliteError::OlderSchema { found: 0, .. }), "{refusal}");
    apply(&mut file.open(), [create(1)]).unwrap();
    assert_eq!(
        SqliteStorage::open_existing(&file.path, &OPTIONS).unwrap().users(None).unwrap().len(),
        1
    );
}

/// One of the schema before the first.
fn of_an_old_schema() -> File {
    let file = File::new();
    let raw = file.raw();
    raw.pragma_update(None, "application_id", 0x5758_5747).unwrap();
    raw.execute_batch("CREATE TABLE old (word TEXT); INSERT INTO old VALUES ('kept')").unwrap();
    file
}

#[test]
fn the_old_file_is_kept_when_its_schema_changes() {
    let file = of_an_old_schema();
    let copy = file.path.with_file_name(format!("before-schema-{SCHEMA}.db"));
    fs::write(&copy, "of an attempt that failed").unwrap();
    let storage = file.open();
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let old = rusqlite::Connection::open(&copy).unwrap();
    let version: i64 = old.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 0);
    let word: String = old.query_row("SELECT word FROM old", [], |row| row.get(0)).unwrap();
    assert_eq!(word, "kept");
    drop((old, storage));

    fs::remove_file(&copy).unwrap();
    file.open();
    assert!(!copy.exists(), "there was nothing to change");
}

#[test]
fn a_schema_does_not_change_when_there_is_no_room_for_the_copy() {
    let file = of_an_old_schema();
    // Nothing can be made under this name, as on a disk that is full.
    fs::create_dir(file.path.with_file_name(format!("before-schema-{SCHEMA}.db.new"))).unwrap();
    let before = fs::read(&file.path).unwrap();
    let refusal = file.refusal();
    assert!(refusal.to_string().contains("cannot be copied to"), "{refusal}");
    assert_eq!(fs::read(&file.path).unwrap(), before);
}

#[test]
fn other_peoples_files_are_refused() {
    let file = File::new();
    file.raw().execute_batch("CREATE TABLE recipes (title TEXT)").unwrap();
    assert!(matches!(file.refusal(), SqliteError::Foreign { .. }));

    let file = File::new();
    fs::write(&file.path, "not a database, but long enough to have had a header ".repeat(20))
        .unwrap();
    assert!(matches!(file.refusal(), SqliteError::Damaged { .. }));
}

#[test]
fn a_missing_database_is_made_only_when_that_was_asked_for() {
    let file = File::new();
    let refusal = SqliteStorage::open_existing(&file.path, &OPTIONS).unwrap_err();
    assert!(matches!(refusal, SqliteError::Missing { .. }), "{refusal}");
    assert!(!file.path.exists());
    // Remains of a creation that was cut short are in nobody's way.
    fs::write(file.path.with_file_name("waxwing.db.new"), "half").unwrap();
    file.open();
    let names: Vec<_> = fs::read_dir(file.path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().all(|name| !name.contains(".new")), "{names:?}");
}

#[test]
fn a_damaged_header_and_a_cut_off_file_are_refused() {
    let file = File::with_users();
    file.overwrite(0, b"SQLite format 4\0");
    assert!(matches!(file.refusal(), SqliteError::Damaged { .. }));

    let file = File::with_users();
    OpenOptions::new().write(true).open(&file.path).unwrap().set_len(0).unwrap();
    let refusal = file.refusal();
    assert!(refusal.to_string().ends_with("is damaged: the file is empty"), "{refusal}");

    let file = File::with_users();
    OpenOptions::new().write(true).open(&file.path).unwrap().set_len(8_192).unwrap();
    assert!(matches!(file.refusal(), SqliteError::Damaged { .. }));
}

#[test]
fn damage_that_the_first_write_meets_is_damage_for_whoever_opens_the_file() {
    let file = File::with_users();
    let select = "SELECT rootpage FROM sqlite_schema WHERE name = 'about'";
    let page: u32 = file.raw().query_row(select, [], |row| row.get(0)).unwrap();
    file.overwrite(u64::from(page - 1) * 4_096, &[0xa5; 4_096]);
    assert!(matches!(file.refusal(), SqliteError::Damaged { .. }));
}

#[test]
fn damage_inside_is_fatal_when_met_and_found_by_the_full_check() {
    let file = File::with_users();
    let mut storage = file.open();
    apply(&mut storage, (1..=200).map(|n| insert(n, 1, 2, 3_000))).unwrap();
    Box::new(storage).close().unwrap();
    let pages = fs::metadata(&file.path).unwrap().len() / 4_096;
    for page in pages / 2..pages {
        file.overwrite(page * 4_096, &[0xa5; 64]);
    }
    let mut storage = file.open();
    let damage = storage.check().unwrap_err();
    assert!(matches!(damage, StorageError::Damaged(_)), "{damage}");
    let result = apply(&mut storage, [delete(2, 1..=200)]);
    assert!(matches!(result, Err(ApplyError::Corrupt(_))), "{result:?}");
}

#[test]
fn a_full_disk_refuses_and_recovers_without_reopening() {
    let file = File::with_users();
    let mut storage = file.open();
    apply(&mut storage, [insert(1, 1, 2, 60_000)]).unwrap();
    let pages: u32 = file.raw().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    storage.set_max_pages(pages + 2).unwrap();
    let result = apply(&mut storage, [insert(2, 1, 2, 500), insert(3, 1, 2, 60_000)]);
    assert!(matches!(result, Err(ApplyError::Refused(_))), "{result:?}");
    assert_eq!(mailbox(&mut storage, 2), [1]);
    // Deleting needs no new page, and what it frees is used again.
    apply(&mut storage, [delete(2, [1])]).unwrap();
    apply(&mut storage, [insert(4, 1, 2, 50_000)]).unwrap();
    storage.set_max_pages(100_000).unwrap();
    apply(&mut storage, [insert(5, 1, 2, 60_000)]).unwrap();
    assert_eq!(mailbox(&mut storage, 2), [4, 5]);
}

#[test]
fn a_lock_held_by_another_process_passes() {
    let file = File::with_users();
    let mut storage = file.open();
    apply(&mut storage, [insert(1, 1, 2, 10)]).unwrap();
    let other = file.raw();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let result = apply(&mut storage, [insert(2, 1, 2, 10)]);
    assert!(matches!(result, Err(ApplyError::Unavailable(_))), "{result:?}");
    assert_eq!(mailbox(&mut storage, 2), [1], "readers are not locked out");
    other.execute_batch("ROLLBACK").unwrap();
    apply(&mut storage, [insert(2, 1, 2, 10)]).unwrap();
    assert_eq!(mailbox(&mut storage, 2), [1, 2]);
}

#[test]
fn the_log_is_brought_into_the_database_when_it_is_long_and_goes_with_a_clean_end() {
    let file = File::with_users();
    let mut storage = file.open();
    let log = file.path.with_file_name("waxwing.db-wal");
    storage.set_max_log_pages(40);
    for n in 1..=50 {
        apply(&mut storage, [insert(n, 1, 2, 9_000)]).unwrap();
    }
    assert!(fs::metadata(&log).unwrap().len() < 60 * 4_200);
    assert!(fs::metadata(&file.path).unwrap().len() > 40 * 9_000);
    drop(storage);
    assert!(log.exists(), "a process that fails leaves it as it is");
    Box::new(file.open()).close().unwrap();
    assert!(!log.exists());
    assert_eq!(mailbox(&mut file.open(), 2).len(), 50);
}

#[test]
fn nothing_remains_of_deleted_letters() {
    let file = File::with_users();
    let mut storage = file.open();
    apply(&mut storage, [insert(1, 1, 2, 9_000), insert(2, 1, 2, 9_000)]).unwrap();
    let deleted = letter(1, 1, 2, 9_000);
    let kept = letter(2, 1, 2, 9_000);
    assert!(file.holds(&deleted.packet[100..200]));
    apply(&mut storage, [delete(2, [1])]).unwrap();
    storage.tidy().unwrap();
    for part in deleted.packet[26..].windows(16).step_by(101) {
        assert!(!file.holds(part));
    }
    assert!(file.holds(&kept.packet[100..200]));
}

#[test]
fn what_a_reader_keeps_in_the_files_is_not_called_erased_and_goes_when_the_reader_has_left() {
    let file = File::with_users();
    let mut storage = file.open();
    let spki = spki(2);
    let holds_user = || file.holds(&spki.as_bytes()[20..60]);
    let reader = file.raw();
    let begin = |reader: &rusqlite::Connection| {
        reader.execute_batch("BEGIN; SELECT count(*) FROM users").unwrap();
    };
    begin(&reader);
    remove(&mut storage, 2, START);
    assert_eq!(storage.tidy(), Ok(false));
    for _ in 0..2 {
        let refused = storage.erase(user(2));
        assert!(matches!(refused, Err(ApplyError::Unavailable(_))), "{refused:?}");
        assert!(holds_user());
    }
    reader.execute_batch("ROLLBACK").unwrap();
    storage.erase(user(2)).unwrap();
    assert!(!holds_user());

    // The turns of a server try it again, too.
    let deleted = letter(1, 1, 1, 9_000);
    let holds_letter = || file.holds(&deleted.packet[100..200]);
    apply(&mut storage, [insert(1, 1, 1, 9_000)]).unwrap();
    assert!(holds_letter());
    begin(&reader);
    let mut turns = StorageTurns::new(Box::new(storage), TurnOptions::default());
    let now = Instant::from_millis(0);
    let job = (0, Job::Batch(batch([delete(1, [1])])));
    turns.serve([job].into_iter(), &|| now, &mut Nobody).unwrap();
    turns.idle(now, &mut Nobody).unwrap();
    assert!(holds_letter());
    reader.execute_batch("ROLLBACK").unwrap();
    turns.idle(now, &mut Nobody).unwrap();
    assert!(!holds_letter());
}

/// Hears nothing of what is done.
struct Nobody;

impl Reports for Nobody {
    fn machines(&self) -> usize {
        1
    }

    fn tell(&mut self, _: usize, _: Done) {}

    fn wake(&mut self, _: usize) {}
}

#[test]
fn room_left_by_deleted_letters_counts_as_free() {
    let file = File::with_users();
    let mut storage = file.open();
    apply(&mut storage, (1..=40).map(|n| insert(n, 1, 2, 60_000))).unwrap();
    let before = storage.reusable_bytes().unwrap();
    apply(&mut storage, [delete(2, 1..=40)]).unwrap();
    let after = storage.reusable_bytes().unwrap();
    assert!(after - before > 40 * 60_000, "{before}, {after}");
    assert!(storage.free_disk().unwrap() >= after);
}

#[test]
fn only_the_owner_can_read_the_files() {
    let file = File::with_users();
    let storage = file.open();
    let mode = |name: &str| {
        let path = file.path.with_file_name(name);
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    for name in ["waxwing.db", "waxwing.db-wal", "waxwing.db-shm"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    drop(storage);
    fs::set_permissions(&file.path, fs::Permissions::from_mode(0o644)).unwrap();
    file.open();
    assert_eq!(mode("waxwing.db"), 0o600);
}

#[test]
fn what_was_committed_is_there_after_a_process_that_never_closed() {
    let file = File::with_users();
    let mut storage = file.open();
    apply(&mut storage, [insert(1, 1, 2, 10)]).unwrap();
    // Copies taken under a running process are what a crash would leave.
    let crashed = File::new();
    for name in ["waxwing.db", "waxwing.db-wal"] {
        fs::copy(file.path.with_file_name(name), crashed.path.with_file_name(name)).unwrap();
    }
    assert_eq!(mailbox(&mut crashed.open(), 2), [1]);
}

/// A small file system over a directory, until it is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` for whoever may not mount one.
    fn new() -> Option<Self> {
        let disk = Self(tempfile::tempdir().unwrap());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m,mode=700", "waxwing-test"]);
        mount.arg(disk.0.path()).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(disk)
    }

    /// Takes all the room but this.
    fn leave(&self, bytes: u64) {
        let system = rustix::fs::statvfs(self.0.path()).unwrap();
        let free = system.f_bavail * system.f_frsize;
        let ballast = vec![0; usize::try_from(free.checked_sub(bytes).unwrap()).unwrap()];
        fs::write(self.0.path().join("ballast"), ballast).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn on_a_disk_that_is_nearly_full_letters_can_be_removed() {
    let Some(disk) = SmallDisk::new() else {
        eprintln!("SKIPPED: only root can mount a small disk");
        return;
    };
    let mut storage = SqliteStorage::open(&disk.0.path().join("waxwing.db"), &OPTIONS).unwrap();
    apply(&mut storage, (1..=3).map(create)).unwrap();
    for letters in [1..=20, 21..=40, 41..=60] {
        apply(&mut storage, letters.map(|place| insert(place, 1, 2, 60_000))).unwrap();
        assert!(storage.tidy().unwrap());
    }
    // Room for one removal, and not for the second behind it.
    disk.leave(2 << 20);
    let all = UnixTime::from_seconds(i64::MAX);
    let question =
        Question::TakeOut { recipient: user(2), accepted_before: all, now: START, limit: 1_000 };
    let mut removed = 0;
    while removed < 60 {
        let Answer::Expired(letters) = storage.answer(&question).unwrap() else { panic!() };
        assert!(!letters.is_empty());
        removed += letters.len();
    }
    // What the log took comes back.
    assert!(storage.tidy().unwrap());
    let log = fs::metadata(disk.0.path().join("waxwing.db-wal")).unwrap();
    assert!(log.len() < 100_000, "{}", log.len());
    // And so can a user with all of them.
    fs::remove_file(disk.0.path().join("ballast")).unwrap();
    for letters in [61..=80, 81..=100, 101..=120] {
        apply(&mut storage, letters.map(|place| insert(place, 1, 2, 60_000))).unwrap();
        assert!(storage.tidy().unwrap());
    }
    disk.leave(2 << 20);
    assert_eq!(remove(&mut storage, 2, START), 60);
}

#[test]
fn fates_are_forgotten_some_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut storage = SqliteStorage::open(&directory.path().join("waxwing.db"), &OPTIONS).unwrap();
    apply(&mut storage, (1..=3).map(create)).unwrap();
    apply(&mut storage, (1..=2_500).map(|place| insert(place, 1, 2, 10))).unwrap();
    apply(&mut storage, [insert(3_000, 3, 2, 10)]).unwrap();
    let all = UnixTime::from_seconds(i64::MAX);
    let question =
        Question::TakeOut { recipient: user(2), accepted_before: all, now: START, limit: 5_000 };
    storage.answer(&question).unwrap();
    let left = |storage: &mut SqliteStorage| {
        let (mut left, mut after) = (0, None);
        loop {
            let stretch = storage.fates_about(user(2), after).unwrap();
            (left, after) = (left + stretch.found.len(), stretch.next);
            if after.is_none() {
                return left;
            }
        }
    };
    let (mut steps, mut after) = (Vec::new(), None);
    loop {
        after = storage.forget_fates_from(user(1), after).unwrap();
        steps.push(left(&mut storage));
        if after.is_none() {
            break;
        }
    }
    assert_eq!(steps, [1_501, 501, 1], "and what another has written stays");
}
