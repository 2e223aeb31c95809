//! A letter that is damaged where it lies costs itself alone.

mod support;

use std::fs;
use std::path::PathBuf;

use support::*;
use waxwing_core::server::Shard;
use waxwing_core::server::storage::{Answer, ExpiredLetter, Question, QueueId};
use waxwing_core::wire::{Status, StatusQuery};
use waxwing_server::store::{
    AsideLetter, Inspect, Personal, SqliteOptions, SqliteStorage, Storage, UserName,
};

const LETTERS: u64 = 5;
const DAMAGED: u64 = 3;

/// A closed database with letters from user 1 to user 2.
struct Place {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("waxwing.db");
        let place = Self { _directory: directory, path };
        let mut storage = place.open();
        apply(&mut storage, [create(1), create(2)]).unwrap();
        apply(&mut storage, (1..=LETTERS).map(|n| insert(n, 1, 2, 700))).unwrap();
        Box::new(storage).close().unwrap();
        place
    }

    fn open(&self) -> SqliteStorage {
        SqliteStorage::open(&self.path, &SqliteOptions::default()).unwrap()
    }

    /// Changes a bit in the file, at every place where `bytes` stand or at one of them.
    fn flip(&self, bytes: &[u8], which: usize) -> bool {
        let mut content = fs::read(&self.path).unwrap();
        let places = content.windows(bytes.len()).enumerate();
        let mut places = places.filter(|(_, found)| *found == bytes).map(|(at, _)| at);
        let Some(at) = places.nth(which) else { return false };
        content[at] ^= 4;
        fs::write(&self.path, content).unwrap();
        true
    }

    fn change(&self, sql: &str) {
        let raw = rusqlite::Connection::open(&self.path).unwrap();
        // As a disk does, which knows of no types.
        raw.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
        raw.execute_batch(sql).unwrap();
    }
}

fn fetch(storage: &mut SqliteStorage) -> (Vec<u64>, Vec<ExpiredLetter>) {
    let [max_letters, max_bytes] = [2, usize::MAX];
    let (mut places, mut removed, mut after) = (Vec::new(), Vec::new(), QueueId(0));
    loop {
        let question = Question::Letters { recipient: user(2), after, max_letters, max_bytes };
        let answer = storage.answer(&question).unwrap();
        let Answer::Letters { letters, damaged, exhausted } = answer else { panic!("{answer:?}") };
        assert!(exhausted || letters.len() == 2);
        removed.extend(damaged);
        places.extend(letters.iter().map(|letter| letter.queue_id.0));
        after = letters.last().map_or(after, |letter| letter.queue_id);
        if exhausted {
            return (places, removed);
        }
    }
}

fn fate(storage: &mut SqliteStorage, queue_id: u64) -> Status {
    let letter = letter(queue_id, 1, 2, 700).id;
    let letters = vec![StatusQuery { recipient: user(2), letter }];
    let answer = storage.answer(&Question::Fates { asker: user(1), letters }).unwrap();
    let Answer::Fates(fates) = answer else { panic!("{answer:?}") };
    fates[0].1
}

fn counted(storage: &mut SqliteStorage) -> u32 {
    let answer = storage.answer(&Question::Usage { recipient: user(2) }).unwrap();
    let Answer::Usage(usage) = answer else { panic!("{answer:?}") };
    usage.iter().map(|usage| usage.letters).sum()
}

/// The letter is set aside when it is met, told once, and its sender learns what became of it.
#[track_caller]
fn assert_set_aside(place: &Place, what: &str) {
    let mut storage = place.open();
    let (places, removed) = fetch(&mut storage);
    assert_eq!(places, [1, 2, 4, 5], "{what}");
    let original = letter(DAMAGED, 1, 2, 700);
    let told = ExpiredLetter {
        queue_id: QueueId(DAMAGED),
        id: original.id,
        sender: user(1),
        recipient: user(2),
        bytes: original.packet.len() as u64,
    };
    assert!(removed.contains(&told), "{what}: {removed:?}");
    assert_eq!(fate(&mut storage, DAMAGED), Status::Expired, "{what}");
    assert_eq!(fate(&mut storage, 1), Status::Stored, "{what}");
    assert_eq!(counted(&mut storage), 4, "{what}");
    assert_eq!(fetch(&mut storage), (vec![1, 2, 4, 5], vec![]), "{what}");
    apply(&mut storage, [delete(2, 1..=LETTERS), insert(9, 1, 2, 700)]).unwrap();
    assert_eq!(fetch(&mut storage), (vec![9], vec![]), "{what}");
    storage.check().unwrap();

    let raw = rusqlite::Connection::open(&place.path).unwrap();
    let kept = || {
        let count = "SELECT count(*) FROM damaged_messages";
        raw.query_row(count, [], |row| row.get::<_, u32>(0)).unwrap()
    };
    assert_eq!(kept(), 1, "{what}");
    // It is in what is held about both of them.
    for of in [1, 2] {
        let found = storage.letters_aside(user(of), QueueId(0)).unwrap().found;
        let [letter] = found[..] else { panic!("{what}: {found:?}") };
        let whose = (letter.queue_id.0, letter.sender, letter.recipient);
        assert_eq!(whose, (DAMAGED, Some(user(1)), Some(user(2))), "{what}");
    }
    assert_eq!(storage.letters_aside(user(3), QueueId(0)).unwrap().found, [], "{what}");
    let now = waxwing_server::clock::unix_now().shifted(1);
    let [accepted_before, forget_before] = [START, now];
    let shard = Shard::ONLY;
    let expire = Question::Expire { shard, accepted_before, forget_before, now, limit: 9 };
    storage.answer(&expire).unwrap();
    assert_eq!(kept(), 0, "{what}");
}

#[test]
fn whatever_of_a_letter_is_damaged_it_is_set_aside() {
    let original = letter(DAMAGED, 1, 2, 700);
    let payload = &original.packet[26..][..32];
    let place = Place::new();
    assert!(place.flip(payload, 0) && !place.flip(payload, 0), "it stands in one place");
    assert_set_aside(&place, "a bit of the payload");

    // It stands in the row and in the index, and one of the two is read.
    let id = original.id.0;
    let (mut read, mut not_read) = (0, 0);
    for which in 0..2 {
        let place = Place::new();
        assert!(place.flip(&id, which));
        let mut storage = place.open();
        if fetch(&mut storage).1.is_empty() {
            // To delete the letter, the index is made anew.
            not_read += 1;
            apply(&mut storage, [delete(2, 1..=LETTERS)]).unwrap();
            assert_eq!(fetch(&mut storage), (vec![], vec![]));
            storage.check().unwrap();
        } else {
            read += 1;
            drop(storage);
            let place = Place::new();
            assert!(place.flip(&id, which));
            assert_set_aside(&place, "a bit of the id");
        }
    }
    assert_eq!((read, not_read), (1, 1));

    for damage in ["timestamp = 'not a time at all..'", "timestamp = '2026-11-29T00:00:00'"] {
        let place = Place::new();
        place.change(&format!("UPDATE pending_messages SET {damage} WHERE queue_id = {DAMAGED}"));
        assert_set_aside(&place, damage);
    }
}

#[test]
fn damaged_letters_stop_neither_expiry_nor_the_removal_of_a_user() {
    let damage =
        format!("UPDATE pending_messages SET sender_id = 70000 WHERE queue_id = {DAMAGED}");
    let place = Place::new();
    place.change(&damage);
    let mut storage = place.open();
    let [accepted_before, now] = [START.shifted(1_000); 2];
    let shard = Shard::ONLY;
    let expire = Question::Expire { shard, accepted_before, forget_before: START, now, limit: 99 };
    let answer = storage.answer(&expire).unwrap();
    let Answer::Expired(expired) = answer else { panic!("{answer:?}") };
    assert!(expired.iter().map(|letter| letter.queue_id.0).eq([1, 2, 4, 5]));
    assert_eq!(fetch(&mut storage), (vec![], vec![]));
    let found = storage.letters_aside(user(2), QueueId(0)).unwrap().found;
    let [AsideLetter { queue_id: QueueId(DAMAGED), sender: None, .. }] = found[..] else {
        panic!("{found:?}")
    };

    // Nobody takes the one that is damaged for the last of those that were asked for.
    let place = Place::new();
    place.change(&damage);
    let mut storage = place.open();
    let question = |limit| Question::TakeOut { recipient: user(2), accepted_before, now, limit };
    for (limit, expected) in [(4, &[1, 2, 4, 5][..]), (4, &[])] {
        let Answer::Expired(out) = storage.answer(&question(limit)).unwrap() else { panic!() };
        assert!(out.iter().map(|letter| letter.queue_id.0).eq(expected.iter().copied()), "{out:?}");
    }
    drop(storage);

    let place = Place::new();
    place.change(&damage);
    assert_eq!(remove(&mut place.open(), 2, START), LETTERS - 1);
    assert!(place.open().find_user(&UserName::Id(user(2))).unwrap().is_none());
}
