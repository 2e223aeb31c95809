//! A damaged database: all that can be read of it goes on in a new one.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use support::*;
use waxwing_core::crypto::Digest;
use waxwing_core::phone::Phone;
use waxwing_core::server::storage::{Answer, Question, Write};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{Status, StatusQuery};
use waxwing_server::clock;
use waxwing_server::store::{
    self, Inspect, Ownership, Salvage, SqliteOptions, SqliteStorage, Storage,
};

const LETTERS: u64 = 120;
const PAGE: usize = 4_096;
const NEXT_IDS: usize = 1_000;
const OPTIONS: fn() -> SqliteOptions = SqliteOptions::default;

/// Users 1 to 3, and letters to user 2, in a closed database.
fn sample(directory: &Path) -> PathBuf {
    let path = directory.join("waxwing.db");
    let mut storage = SqliteStorage::open(&path, &OPTIONS()).unwrap();
    apply(&mut storage, (1..=3).map(create)).unwrap();
    apply(&mut storage, (1..=LETTERS).map(|n| insert(n, 1, 2, 900))).unwrap();
    storage.set_server_key(&Digest([7; 32]), START).unwrap();
    Box::new(storage).close().unwrap();
    path
}

fn salvage(path: &Path) -> (Salvage, SqliteStorage) {
    let new = path.with_extension("new");
    let now = UnixTime::from_seconds(1_800_000_000);
    let found = SqliteStorage::salvage(path, &new, &OPTIONS(), now).unwrap();
    (found, SqliteStorage::open(&new, &OPTIONS()).unwrap())
}

#[test]
fn of_a_database_with_a_page_that_cannot_be_read_everything_else_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = sample(directory.path());
    let mut bytes = fs::read(&path).unwrap();
    // A leaf of the queue, between others.
    let packet = letter(60, 1, 2, 900).packet;
    let at = bytes.windows(32).position(|window| window == &packet[26..58]).unwrap();
    let page = at / PAGE * PAGE;
    bytes[page..page + PAGE].fill(0xa5);
    fs::write(&path, bytes).unwrap();

    let (found, mut new) = salvage(&path);
    new.check().unwrap();
    let waiting = mailbox(&mut new, 2);
    assert_eq!((found.users, found.letters), (3, waiting.len()), "{found:?}");
    assert!(!waiting.contains(&60) && waiting.len() > 100, "{waiting:?}");
    assert_eq!(found.undelivered, LETTERS as usize - waiting.len());
    let letters = vec![StatusQuery { recipient: user(2), letter: letter(60, 1, 2, 900).id }];
    let answer = new.answer(&Question::Fates { asker: user(1), letters }).unwrap();
    assert!(matches!(&answer, Answer::Fates(fates) if fates[0].1 == Status::Expired), "{answer:?}");
    assert_eq!(new.server_key().unwrap(), Some(Digest([7; 32])));
    assert_eq!(new.load(UnixTime::from_seconds(0)).unwrap().last_queue_id.0, LETTERS);
}

#[test]
fn accounts_of_the_server_itself_are_kept_and_not_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = sample(directory.path());
    let mut storage = SqliteStorage::open(&path, &OPTIONS()).unwrap();
    let phone = Phone::parse(b"+99900000001").unwrap();
    let own = Write::CreateUser { id: user(9), phone, spki: spki(9).into() };
    apply(&mut storage, [own, insert(LETTERS + 1, 1, 9, 18)]).unwrap();
    Box::new(storage).close().unwrap();
    let (found, mut new) = salvage(&path);
    let letters = LETTERS as usize;
    let expected = Salvage { users: 3, letters, resting_ids: NEXT_IDS, ..Salvage::default() };
    assert_eq!(found, expected);
    assert_eq!(mailbox(&mut new, 9), [LETTERS + 1]);
}

#[test]
fn a_user_who_makes_no_sense_costs_nobody_else_and_their_id_rests() {
    let directory = tempfile::tempdir().unwrap();
    let path = sample(directory.path());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute("UPDATE users SET phone_number = 'nonsense' WHERE user_id = 2", []).unwrap();
    raw.close().unwrap();
    let refused = SqliteStorage::open(&path, &OPTIONS()).unwrap().load(START).unwrap_err();
    assert!(refused.to_string().contains("the phone of user 2 is no phone number"), "{refused}");

    let (found, mut new) = salvage(&path);
    let (undelivered, resting_ids) = (LETTERS as usize, 1 + NEXT_IDS);
    let expected =
        Salvage { users: 2, lost_users: 1, undelivered, resting_ids, ..Salvage::default() };
    assert_eq!(found, expected);
    let users = new.users(None).unwrap();
    assert!(users.iter().map(|user| user.id.get()).eq([1, 3]));
    assert_eq!(resting(&mut new), [&[2], &next_ids(4)[..]].concat());
}

fn resting(storage: &mut SqliteStorage) -> Vec<u16> {
    let snapshot = storage.load(UnixTime::from_seconds(0)).unwrap();
    let mut ids: Vec<_> = snapshot.resting_ids.iter().map(|id| id.get()).collect();
    ids.sort_unstable();
    ids
}

/// Users may have got these who stood in the log, behind the damage.
fn next_ids(first: u16) -> Vec<u16> {
    (first..).take(NEXT_IDS).collect()
}

/// The leaves of the table of users, in order of the ids in them.
fn leaves_of_users(path: &Path) -> Vec<usize> {
    let raw = rusqlite::Connection::open(path).unwrap();
    let select = "SELECT rootpage FROM sqlite_schema WHERE name = 'users'";
    let root: u32 = raw.query_row(select, [], |row| row.get(0)).unwrap();
    let bytes = fs::read(path).unwrap();
    let number = |at: usize, len: usize| {
        bytes[at..at + len].iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let page = (root as usize - 1) * PAGE;
    assert_eq!(bytes[page], 5, "it has leaves");
    let cells = (0..number(page + 3, 2)).map(|cell| page + number(page + 12 + cell * 2, 2));
    cells.map(|cell| number(cell, 4)).chain([number(page + 8, 4)]).collect()
}

#[test]
fn users_whose_pages_are_whole_are_found_where_the_page_that_leads_to_them_is_not() {
    const USERS: u16 = 60;
    let directory = tempfile::tempdir().unwrap();
    let path = sample(directory.path());
    let mut storage = SqliteStorage::open(&path, &OPTIONS()).unwrap();
    apply(&mut storage, (4..=USERS).map(create)).unwrap();
    store::remove_user(&mut storage, user(7), clock::unix_now()).1.unwrap();
    Box::new(storage).close().unwrap();
    assert!(leaves_of_users(&path).len() > 2);
    let raw = rusqlite::Connection::open(&path).unwrap();
    let select = "SELECT rootpage FROM sqlite_schema WHERE name = 'users'";
    let root: u32 = raw.query_row(select, [], |row| row.get(0)).unwrap();
    raw.close().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    for without_header in [false, true] {
        bytes[(root as usize - 1) * PAGE..][..PAGE].fill(0xee);
        if without_header {
            bytes[..PAGE].fill(0xee);
        }
        fs::write(&path, &bytes).unwrap();
        let (found, mut new) = salvage(&path);
        new.check().unwrap();
        let left: Vec<_> = new.users(None).unwrap().iter().map(|user| user.id.get()).collect();
        // Nothing is left of who was removed.
        let all: Vec<_> = (1..=USERS).filter(|id| *id != 7).collect();
        assert_eq!((left, mailbox(&mut new, 2).len()), (all, LETTERS as usize), "{found:?}");
        assert!(!path.with_extension("new.copied").exists());
        for beside in ["", "-wal", "-generation"] {
            fs::remove_file(format!("{}{beside}", path.with_extension("new").display()))
                .unwrap_or_default();
        }
    }
}

#[test]
fn ids_of_users_who_are_lost_with_a_page_go_to_nobody_else() {
    const USERS: u16 = 60;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("waxwing.db");
    let mut storage = SqliteStorage::open(&path, &OPTIONS()).unwrap();
    apply(&mut storage, (1..=USERS).map(create)).unwrap();
    Box::new(storage).close().unwrap();
    let sound = fs::read(&path).unwrap();
    let leaves = leaves_of_users(&path);
    assert!(leaves.len() > 2, "{leaves:?}");
    for (at, leaf) in leaves.iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("waxwing.db");
        let mut bytes = sound.clone();
        bytes[(leaf - 1) * PAGE..][..PAGE].fill(0xa5);
        fs::write(&path, bytes).unwrap();
        let (found, mut new) = salvage(&path);
        let left: Vec<_> = new.users(None).unwrap().iter().map(|user| user.id.get()).collect();
        assert!(left.len() == found.users && found.users < usize::from(USERS), "{found:?}");
        let resting = resting(&mut new);
        assert_eq!(resting.len(), found.resting_ids);
        let lost = (1..=USERS).filter(|id| !left.contains(id));
        for id in lost {
            assert!(resting.contains(&id), "{id} of leaf {at}: {found:?}");
        }
        // Where it is not known how many stood behind the last one, half of what is free rests.
        let is_last = at + 1 == leaves.len();
        assert_eq!(found.resting_ids > 30_000, is_last, "{found:?}");
    }
}

#[test]
fn a_recovery_that_would_leave_nobody_changes_nothing_and_says_so() {
    // The page of the users besides, and what says that it is a database.
    for damaged in [0, 100] {
        let directory = tempfile::tempdir().unwrap();
        let path = sample(directory.path());
        let mut bytes = fs::read(&path).unwrap();
        bytes[damaged..2 * PAGE].fill(0xa5);
        fs::write(&path, &bytes).unwrap();
        let refused = SqliteStorage::recover(&path, &OPTIONS()).err().unwrap().to_string();
        assert!(refused.contains("No user can be read of"), "{refused}");
        assert!(refused.contains("--new-database"), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(files(directory.path(), "waxwing.db.damaged-1"), [false; 3]);
        assert_eq!(files(directory.path(), "waxwing.db.salvaged"), [false; 3]);
    }
}

#[test]
fn whichever_page_is_damaged_what_is_kept_makes_sense() {
    let directory = tempfile::tempdir().unwrap();
    let sound = fs::read(sample(directory.path())).unwrap();
    let mut whole = 0;
    for page in 0..sound.len() / PAGE {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("waxwing.db");
        let mut bytes = sound.clone();
        bytes[page * PAGE + 100..][..300].fill(0xa5);
        fs::write(&path, bytes).unwrap();
        let (found, mut new) = salvage(&path);
        new.check().unwrap();
        new.load(UnixTime::from_seconds(0)).unwrap();
        if found.users == 3 {
            let waiting = mailbox(&mut new, 2);
            assert_eq!(waiting.len(), found.letters);
            whole += usize::from(found.letters > 100);
        }
    }
    assert!(whole * 10 > sound.len() / PAGE * 7, "{whole} of {}", sound.len() / PAGE);
}

/// Makes the phone of a user none, in the log of the database, which stays there.
fn damage(path: &Path, user: u16) {
    let raw = rusqlite::Connection::open(path).unwrap();
    raw.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    raw.execute("UPDATE users SET phone_number = 'nonsense' WHERE user_id = ?", [user]).unwrap();
    raw.close().unwrap();
}

/// Whether this is the database in which that was done.
fn is_damaged(path: &Path, user: u16) -> bool {
    let raw = rusqlite::Connection::open(path).unwrap();
    let select = "SELECT phone_number = 'nonsense' FROM users WHERE user_id = ?";
    raw.query_row(select, [user], |row| row.get(0)).unwrap()
}

/// Which of a database and the files beside it are there.
fn files(directory: &Path, name: &str) -> [bool; 3] {
    ["", "-wal", "-generation"].map(|beside| directory.join(format!("{name}{beside}")).exists())
}

#[test]
fn a_damaged_database_is_moved_aside_with_its_log_and_a_sound_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let path = sample(place);
    let recover = || SqliteStorage::recover(&path, &OPTIONS());
    drop(recover().unwrap());
    assert_eq!(files(place, "waxwing.db.damaged-1"), [false; 3]);

    damage(&path, 2);
    // An attempt that was cut short has left its draft.
    for beside in ["", "-wal", "-shm", "-generation"] {
        fs::write(place.join(format!("waxwing.db.salvaged{beside}")), "half of it").unwrap();
    }
    let mut new = recover().unwrap();
    assert!(new.users(None).unwrap().iter().map(|user| user.id.get()).eq([1, 3]));
    assert_eq!(files(place, "waxwing.db.damaged-1"), [true; 3]);
    assert_eq!(files(place, "waxwing.db.salvaged"), [false; 3]);
    apply(&mut new, [create(4), insert(LETTERS + 1, 1, 3, 900)]).unwrap();
    drop(new);

    // Another time it goes to another place.
    damage(&path, 4);
    assert_eq!(mailbox(&mut recover().unwrap(), 3), [LETTERS + 1]);
    assert!(is_damaged(&place.join("waxwing.db.damaged-1"), 2));
    assert!(is_damaged(&place.join("waxwing.db.damaged-2"), 4));
}

#[test]
fn a_damaged_database_whose_log_is_gone_is_recovered_without_it() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let path = sample(place);
    drop(SqliteStorage::open(&path, &OPTIONS()).unwrap());
    fs::remove_file(place.join("waxwing.db-wal")).unwrap();
    // In the database itself.
    damage(&path, 2);
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    raw.close().unwrap();
    let refused = SqliteStorage::recover(&path, &OPTIONS()).unwrap_err().to_string();
    assert!(refused.contains("--without-log, and with --recover besides"), "{refused}");
    assert_eq!(files(place, "waxwing.db.damaged-1"), [false; 3]);
    let mut new = SqliteStorage::recover_without_log(&path, &OPTIONS()).unwrap();
    assert!(new.users(None).unwrap().iter().map(|user| user.id.get()).eq([1, 3]));
    assert!(is_damaged(&place.join("waxwing.db.damaged-1"), 2));
}

#[test]
fn a_log_that_hides_what_was_confirmed_is_refused_and_nobody_is_told_that_letters_were_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let path = sample(directory.path());
    let mut storage = SqliteStorage::open(&path, &OPTIONS()).unwrap();
    for place in LETTERS + 1..=LETTERS + 5 {
        apply(&mut storage, [insert(place, 1, 3, 900)]).unwrap();
    }
    // As after a kill.
    drop(storage);
    let log = path.with_extension("db-wal");
    let mut bytes = fs::read(&log).unwrap();
    let packet = letter(LETTERS + 3, 1, 3, 900).packet;
    let at = bytes.windows(32).position(|window| window == &packet[26..58]).unwrap();
    bytes[at] ^= 1;
    fs::write(&log, bytes).unwrap();
    for refused in [
        SqliteStorage::open(&path, &OPTIONS()).err().unwrap().to_string(),
        SqliteStorage::open_existing(&path, &OPTIONS()).err().unwrap().to_string(),
    ] {
        assert!(refused.contains("waxwing.db-wal is damaged"), "{refused}");
    }
    let mut new = SqliteStorage::recover(&path, &OPTIONS()).unwrap();
    assert_eq!(mailbox(&mut new, 3), [LETTERS + 1, LETTERS + 2]);
    assert_eq!(resting(&mut new), next_ids(4));
    assert_eq!(files(directory.path(), "waxwing.db.damaged-1"), [true; 3]);
    let missing = new.load(UnixTime::from_seconds(0)).unwrap().letters_missing_until;
    assert!(missing.is_some_and(|until| until > clock::unix_now()), "{missing:?}");
}

#[test]
fn a_log_of_which_nothing_is_whole_is_damaged_and_not_missing() {
    // Its header, its first page, and one that is no log at all.
    for change in [Some(5), Some(25), Some(1_000), None] {
        let directory = tempfile::tempdir().unwrap();
        let path = sample(directory.path());
        drop(SqliteStorage::open(&path, &OPTIONS()).unwrap());
        let log = path.with_extension("db-wal");
        let mut bytes = fs::read(&log).unwrap();
        match change {
            Some(at) => bytes[at] ^= 1,
            None => bytes = b"no log".to_vec(),
        }
        fs::write(&log, bytes).unwrap();
        let refused = SqliteStorage::open(&path, &OPTIONS()).err().unwrap().to_string();
        assert!(refused.contains("waxwing.db-wal is damaged"), "{change:?}: {refused}");
        let mut new = SqliteStorage::recover(&path, &OPTIONS()).unwrap();
        assert_eq!(mailbox(&mut new, 2).len(), LETTERS as usize);
        assert!(files(directory.path(), "waxwing.db.damaged-1")[1], "{change:?}");
    }
}

#[test]
fn what_operators_have_decided_is_said_to_be_lost_where_not_all_of_it_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let sound = sample(directory.path());
    let raw = rusqlite::Connection::open(&sound).unwrap();
    raw.execute_batch(
        "INSERT INTO suspensions (user_id, since, until, reason) VALUES (3, 7, NULL, 'spamming');
         INSERT INTO user_limits (user_id, letters, bytes) VALUES (2, 5, 5000);",
    )
    .unwrap();
    let root = |table: &str| {
        let select = "SELECT rootpage FROM sqlite_schema WHERE name = ?";
        raw.query_row(select, [table], |row| row.get::<_, u32>(0)).unwrap() as usize
    };
    let roots = ["suspensions", "user_limits", "bans"].map(root);
    raw.close().unwrap();
    let sound = fs::read(&sound).unwrap();
    let lost = |change: &dyn Fn(&mut Vec<u8>)| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("waxwing.db");
        let mut bytes = sound.clone();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        salvage(&path).0.lost_decisions
    };
    assert!(lost(&|_| ()).is_empty());
    for (root, table) in roots.into_iter().zip(["suspensions", "limits of users", "bans"]) {
        assert_eq!(lost(&|bytes| bytes[(root - 1) * PAGE..][..PAGE].fill(0xee)), [table]);
    }
    // A text that is none.
    let reason = sound.windows(8).position(|window| window == b"spamming").unwrap();
    assert_eq!(lost(&|bytes| bytes[reason] = 0xff), ["suspensions"]);
}

#[test]
fn a_changed_byte_before_the_first_page_costs_nobody_anything() {
    let directory = tempfile::tempdir().unwrap();
    let whole = fs::read(sample(directory.path())).unwrap();
    // The number of the format of the file, and by which program it is, are not taken for granted.
    let usual = (0..100).filter(|at| !(44..48).contains(at) && !(68..72).contains(at));
    for (at, change) in usual.map(|at| (at, 0x41)).chain([(60, 0xa5)]) {
        let mut bytes = whole.clone();
        bytes[at] ^= change;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("waxwing.db");
        fs::write(&path, bytes).unwrap();
        let mut new = SqliteStorage::recover(&path, &OPTIONS())
            .unwrap_or_else(|error| panic!("byte {at}: {error}"));
        assert_eq!(new.users(None).unwrap().len(), 3, "byte {at}");
        assert_eq!(mailbox(&mut new, 2).len(), LETTERS as usize, "byte {at}");
        let copied = fs::read_dir(directory.path()).unwrap().flatten();
        assert!(
            copied
                .map(|entry| entry.file_name())
                .all(|name| { !name.to_string_lossy().contains("copied") })
        );
    }
}

#[test]
fn a_database_that_does_not_say_where_its_tables_are_gives_them_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let whole = fs::read(sample(directory.path())).unwrap();
    // What is below the first page: see "B-tree Pages" in SQLite's documentation.
    let number = |at: usize| u32::from_be_bytes(whole[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!(whole[100], 5, "the schema has several pages");
    let count = usize::from(u16::from_be_bytes([whole[103], whole[104]]));
    let cells = (0..count).map(|cell| {
        usize::from(u16::from_be_bytes([whole[112 + 2 * cell], whole[113 + 2 * cell]]))
    });
    let pages: Vec<_> = cells.map(number).chain([number(108), 1]).collect();
    assert!(pages.len() > 2);
    for page in pages {
        let mut bytes = whole.clone();
        bytes[(page - 1) * PAGE..][..PAGE].fill(0xee);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("waxwing.db");
        fs::write(&path, bytes).unwrap();
        let mut new = SqliteStorage::recover(&path, &OPTIONS())
            .unwrap_or_else(|error| panic!("page {page}: {error}"));
        assert_eq!(new.users(None).unwrap().len(), 3, "page {page}");
        assert_eq!(mailbox(&mut new, 2).len(), LETTERS as usize, "page {page}");
    }
}

#[test]
fn a_database_that_was_cut_short_gives_what_is_left_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = sample(directory.path());
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2 + 100]).unwrap();
    let refused = SqliteStorage::open(&path, &OPTIONS()).err().unwrap().to_string();
    assert!(refused.contains("is damaged"), "{refused}");
    let mut new = SqliteStorage::recover(&path, &OPTIONS()).unwrap();
    assert_eq!(new.users(None).unwrap().len(), 3);
    let letters = mailbox(&mut new, 2).len();
    assert!(letters > 20 && letters < LETTERS as usize, "{letters}");
}

#[test]
fn a_damaged_database_that_cannot_be_moved_aside_stays_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let path = sample(place);
    drop(SqliteStorage::open(&path, &OPTIONS()).unwrap());
    damage(&path, 2);
    fs::create_dir(place.join("waxwing.db.damaged-1-wal")).unwrap();
    SqliteStorage::recover(&path, &OPTIONS()).unwrap_err();
    assert_eq!(files(place, "waxwing.db"), [true; 3]);
    assert!(is_damaged(&path, 2));
}

#[test]
fn whichever_table_but_those_of_people_and_letters_is_damaged_nothing_of_these_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let sound = sample(directory.path());
    let raw = rusqlite::Connection::open(&sound).unwrap();
    let tables = "SELECT name, rootpage FROM sqlite_schema \
         WHERE type = 'table' AND name NOT IN ('users', 'pending_messages')";
    let mut tables = raw.prepare(tables).unwrap();
    let tables = tables.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let tables: Vec<(String, u32)> = tables.map(Result::unwrap).collect();
    assert!(tables.len() > 8, "{tables:?}");
    let sound = fs::read(&sound).unwrap();
    for (name, root) in tables {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("waxwing.db");
        let mut bytes = sound.clone();
        bytes[(root as usize - 1) * PAGE..][..PAGE].fill(0xa5);
        fs::write(&path, bytes).unwrap();
        let mut recovered = SqliteStorage::recover(&path, &OPTIONS())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(path.with_file_name("waxwing.db.damaged-1").exists(), "{name}");
        assert_eq!(mailbox(&mut recovered, 2).len(), LETTERS as usize, "{name}");
    }
}
