//! Bits fall over in a database, wherever they may. What is handed out is what was stored, for whom
//! it was stored; or the database is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::TempDir;
use waxwing_core::id::UserId;
use waxwing_core::limits::SIGNATURE_LEN;
use waxwing_core::phone::Phone;
use waxwing_core::server::Shard;
use waxwing_core::server::storage::{Answer, PendingLetter, Question, QueueId};
use waxwing_core::time::UnixTime;
use waxwing_server::store::{SqliteOptions, SqliteStorage, Storage};
use waxwing_testkit::simulation::{Dice, Seeded};
use waxwing_testkit_sqlite::FaultyDisk;

use crate::support::*;

const USERS: u16 = 12;
const PAGE: usize = 4_096;
const FLIPS_OF_A_PAGE: usize = 32;

/// What a server knows when it has read everything.
#[derive(Debug, PartialEq)]
struct Known {
    users: BTreeMap<UserId, Phone>,
    letters: Vec<PendingLetter>,
    /// Places of letters that it was told to be damaged.
    set_aside: Vec<QueueId>,
}

/// `None` when the database is refused, or an answer is.
fn read(storage: &mut SqliteStorage) -> Option<Known> {
    let users = storage.load(UnixTime::from_seconds(0)).ok()?.users;
    let users: BTreeMap<_, _> = users.into_iter().map(|user| (user.id, user.phone)).collect();
    let (mut letters, mut set_aside) = (Vec::new(), Vec::new());
    for recipient in users.keys() {
        let [max_letters, max_bytes] = [usize::MAX; 2];
        let after = QueueId(0);
        let question = Question::Letters { recipient: *recipient, after, max_letters, max_bytes };
        let answer = storage.answer(&question).ok()?;
        let Answer::Letters { letters: theirs, damaged, .. } = answer else {
            panic!("letters were asked for");
        };
        set_aside.extend(damaged.iter().map(|letter| letter.queue_id));
        assert!(theirs.iter().all(|letter| letter.recipient == *recipient));
        letters.extend(theirs);
    }
    Some(Known { users, letters, set_aside })
}

/// The bytes of a database with something in every table, and what it holds.
fn sample(directory: &Path) -> (Vec<u8>, Known) {
    let path = directory.join("sample.db");
    let mut storage = SqliteStorage::open(&path, &SqliteOptions::default()).unwrap();
    apply(&mut storage, (1..=USERS + 1).map(create)).unwrap();
    let letters = (1..=60_u64).map(|n| {
        let (from, to) = (1 + (n % 7) as u16, 1 + (n % u64::from(USERS)) as u16);
        insert(n, from, to, if n % 15 == 0 { 9_000 } else { 40 * (n % 9) as usize })
    });
    apply(&mut storage, letters).unwrap();
    let [accepted_before, now] = [START.shifted(5), START.shifted(99)];
    let expire = Question::Expire {
        shard: Shard::ONLY,
        accepted_before,
        forget_before: START,
        now,
        limit: 9,
    };
    storage.answer(&expire).unwrap();
    remove(&mut storage, USERS + 1, START);
    let known = read(&mut storage).unwrap();
    Box::new(storage).close().unwrap();
    (fs::read(path).unwrap(), known)
}

/// Everything but the signature, which nobody but the recipient can check.
fn signed(letter: &PendingLetter) -> (QueueId, &[u8]) {
    (letter.queue_id, letter.packet.split_last_chunk::<SIGNATURE_LEN>().unwrap().0)
}

/// A database with these bytes, on a disk that has no faults and is faster than a real one.
struct Damaged {
    directory: TempDir,
    _disk: FaultyDisk,
}

impl Damaged {
    fn with(bytes: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::under(directory.path()).unwrap();
        fs::write(directory.path().join("damaged.db"), bytes).unwrap();
        Self { directory, _disk: disk }
    }

    /// The database and all that it says; `None` when it is refused, or an answer is.
    fn read(&self) -> Option<(SqliteStorage, Known)> {
        let path = self.directory.path().join("damaged.db");
        let mut storage = SqliteStorage::open(&path, &SqliteOptions::default()).ok()?;
        let known = read(&mut storage)?;
        Some((storage, known))
    }
}

#[test]
fn bits_that_fall_over_are_refused_or_do_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let (sound, known) = sample(directory.path());
    let known_letters: Vec<_> = known.letters.iter().map(signed).collect();
    let mut dice = Seeded::new(1);
    let (mut refused, mut found, mut set_aside, mut harmless) = (0, 0, 0, 0);
    for page in 0..sound.len() / PAGE {
        for _ in 0..FLIPS_OF_A_PAGE {
            let bit = dice.roll(PAGE * 8);
            let mut bytes = sound.clone();
            bytes[page * PAGE + bit / 8] ^= 1 << (bit % 8);
            let at = format!("bit {bit} of page {}", page + 1);
            let damaged = Damaged::with(&bytes);
            let Some((mut storage, now)) = damaged.read() else {
                refused += 1;
                continue;
            };
            assert_eq!(now.users, known.users, "{at}");
            let letters: Vec<_> = now.letters.iter().map(signed).collect();
            assert!(letters.iter().all(|letter| known_letters.contains(letter)), "{at}");
            // What is not handed out for want of an index is missed by the full check.
            let is_found = storage.check().is_err();
            let is_told = |(place, _): &(QueueId, &[u8])| now.set_aside.contains(place);
            let mut missing = known_letters.iter().filter(|letter| !letters.contains(letter));
            assert!(missing.all(is_told) || is_found, "{at}");
            *match is_found {
                true => &mut found,
                false if now.set_aside.is_empty() => &mut harmless,
                false => &mut set_aside,
            } += 1;
            // Whatever these come to, they come to an end.
            let _ = apply(&mut storage, [insert(99, 1, 2, 3_000)]);
            let _ = apply(&mut storage, (1..=USERS).map(|to| delete(to, 1..=99)));
            let _ = storage.answer(&Question::Usage { recipient: user(2) });
        }
    }
    println!(
        "{refused} refused, {found} found by a full check alone, {set_aside} set aside, {harmless} \
         harmless"
    );
    assert!(refused > 0 && found > 0 && set_aside > 0 && harmless > 0);
}

#[test]
fn a_phone_that_has_changed_on_the_disk_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (sound, known) = sample(directory.path());
    let phone = *phone(3).as_bytes().first_chunk::<13>().unwrap();
    let places: Vec<_> = (0..sound.len() - 13).filter(|at| sound[*at..][..13] == phone).collect();
    assert_eq!(places.len(), 2, "in the table and in its index");
    for at in places.into_iter().flat_map(|at| at + 1..at + 13) {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        let damaged = Damaged::with(&bytes);
        assert!(damaged.read().is_none(), "byte {at}");
    }
    assert!(Damaged::with(&sound).read().is_some_and(|(_, now)| now == known));
}
