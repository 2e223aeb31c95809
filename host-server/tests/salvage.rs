//! A damaged database: all that can be read of it goes on in a new one.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::*;
use waxwing_core::crypto::Digest;
use waxwing_core::server::storage::{Answer, Question};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{Status, StatusQuery};
use waxwing_server::store::{Inspect, Ownership, Salvage, SqliteOptions, SqliteStorage, Storage};

const LETTERS: u64 = 120;
const PAGE: usize = 4_096;
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
fn a_user_who_makes_no_sense_costs_nobody_else_and_their_id_rests() {
    let directory = tempfile::tempdir().unwrap();
    let path = sample(directory.path());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute("UPDATE users SET phone_number = 'nonsense' WHERE user_id = 2", []).unwrap();
    raw.close().unwrap();
    let refused = SqliteStorage::open(&path, &OPTIONS()).unwrap().load(START).unwrap_err();
    assert!(refused.to_string().contains("the phone of user 2 is no phone number"), "{refused}");

    let (found, mut new) = salvage(&path);
    let expected = Salvage { users: 2, letters: 0, undelivered: LETTERS as usize };
    assert_eq!(found, expected);
    let users = new.users(None).unwrap();
    assert!(users.iter().map(|user| user.id.get()).eq([1, 3]));
    assert_eq!(new.load(UnixTime::from_seconds(0)).unwrap().resting_ids, [user(2)]);
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
