//! Letters that are not what was stored any more.

use waxwing_core::server::Shard;
use waxwing_core::server::storage::{Answer, Question, QueueId};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{Status, StatusQuery};
use waxwing_server::store::{ApplyError, AsideLetter, Personal, Storage};

use super::*;

fn fate(storage: &mut PostgresStorage, queue_id: u64) -> Status {
    let letters = vec![StatusQuery { recipient: user(2), letter: letter(queue_id, 1, 2, 700).id }];
    let answer = storage.answer(&Question::Fates { asker: user(1), letters }).unwrap();
    let Answer::Fates(fates) = answer else { panic!("{answer:?}") };
    fates[0].1
}

fn aside(storage: &mut PostgresStorage, id: u16) -> Vec<AsideLetter> {
    storage.letters_aside(user(id), QueueId(0)).unwrap().found
}

#[test]
fn a_damaged_letter_costs_itself_alone_and_its_sender_is_told() {
    let Some(place) = Place::new() else { return };
    let mut storage = place.storage(1, 11);
    apply(&mut storage, [create(1), create(2)]).unwrap();
    apply(&mut storage, (1..=5).map(|place| insert(place, 1, 2, 700))).unwrap();
    storage.check().unwrap();
    // One with another payload, one with another signature, and one with a time that is none.
    place.sql(
        "UPDATE waxwing.pending_messages SET encrypted_payload = overlay(encrypted_payload \
            PLACING '\\xff00ff' FROM 9) WHERE queue_id = 2; \
         UPDATE waxwing.pending_messages SET message_id = '\\x0102030405060708090a0b0c0d0e0f10' \
            WHERE queue_id = 4; \
         UPDATE waxwing.pending_messages SET timestamp = '2026-11-30 99:99:99' WHERE queue_id = 5",
    );
    assert!(storage.check().unwrap_err().to_string().contains("cannot be rebuilt"));
    let [max_letters, max_bytes] = [2, usize::MAX];
    let behind = |after| {
        let after = QueueId(after);
        Question::Letters { recipient: user(2), after, max_letters, max_bytes }
    };
    let Answer::Letters { letters, damaged, exhausted } = storage.answer(&behind(0)).unwrap()
    else {
        panic!("letters were asked for");
    };
    let places = |of: &[u64]| of.iter().copied().map(QueueId).collect::<Vec<_>>();
    assert_eq!(letters.iter().map(|one| one.queue_id).collect::<Vec<_>>(), places(&[1, 3]));
    assert_eq!(damaged.iter().map(|one| one.queue_id).collect::<Vec<_>>(), places(&[2]));
    assert!(!exhausted);
    let Answer::Letters { letters, damaged, exhausted } = storage.answer(&behind(3)).unwrap()
    else {
        panic!("letters were asked for");
    };
    assert_eq!((letters.len(), damaged.len(), exhausted), (0, 2, true));
    storage.check().unwrap();
    assert_eq!([fate(&mut storage, 2), fate(&mut storage, 5)], [Status::Expired; 2]);
    assert_eq!(fate(&mut storage, 3), Status::Stored);
    let kept: Vec<_> = aside(&mut storage, 1).iter().map(|one| one.queue_id.0).collect();
    assert_eq!(kept, [2, 4, 5]);
    assert_eq!(aside(&mut storage, 2).len(), 3);
    assert_eq!(aside(&mut storage, 3), []);
}

#[test]
fn a_table_that_is_gone_stops_the_server_and_is_not_waited_for() {
    let Some(place) = Place::new() else { return };
    let mut storage = place.storage(1, 11);
    apply(&mut storage, [create(1), create(2), insert(1, 1, 2, 100)]).unwrap();
    place.sql("ALTER TABLE waxwing.pending_messages RENAME TO elsewhere");
    let gone = apply(&mut storage, [insert(2, 1, 2, 100)]).unwrap_err();
    assert!(
        matches!(&gone, ApplyError::Fatal(why) if why.contains("bring its backup back again")),
        "{gone}"
    );
    place.sql("ALTER TABLE waxwing.elsewhere RENAME TO pending_messages");
}

#[test]
fn what_was_set_aside_goes_with_its_people_and_with_its_time() {
    let Some(place) = Place::new() else { return };
    let mut storage = place.storage(1, 11);
    apply(&mut storage, (1..=3).map(create)).unwrap();
    apply(&mut storage, [insert(1, 1, 2, 100), insert(2, 3, 2, 100)]).unwrap();
    place.sql("UPDATE waxwing.pending_messages SET signature = set_byte(signature, 0, 1), timestamp = '?2026-11-30 00:00:0'");
    assert_eq!(mailbox(&mut storage, 2), [0; 0]);
    assert_eq!(aside(&mut storage, 2).len(), 2);
    storage.erase(user(3)).unwrap();
    assert_eq!(aside(&mut storage, 2).len(), 1);
    let expire = Question::Expire {
        shard: Shard::ONLY,
        accepted_before: START,
        forget_before: UnixTime::from_seconds(i64::MAX),
        now: START,
        limit: 10,
    };
    storage.answer(&expire).unwrap();
    assert_eq!(aside(&mut storage, 2), []);
}
