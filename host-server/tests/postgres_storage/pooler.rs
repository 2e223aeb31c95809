//! A pooler that gives each transaction another connection.

use waxwing_core::server::storage::{Answer, Question, QueueId};

use super::*;

#[test]
fn everything_works_through_a_pooler_that_gives_each_transaction_another_connection() {
    let Some(direct) = Place::new() else { return };
    let Some((_pooler, url)) = direct.postgres.start_pooler(&direct.url) else { return };
    let place = Place { url, ..direct };
    let mut first = place.groups(1, 11);
    first.apply(&[batch([create(1), create(2)])]).unwrap();
    let mut standby = place.candidate(2, 22);
    let begin = Instant::default();
    assert!(standby.look(begin).unwrap().is_none());
    for letter in 1..=20 {
        first.apply(&[batch([insert(letter, 1, 2, 3_000)])]).unwrap();
        assert!(standby.look(begin.after(LEASE)).unwrap().is_none(), "the holder is at work");
    }
    let holder = standby.look(begin.after(2 * LEASE)).unwrap().expect("the holder is silent");
    let mut second = standby.serve(holder);
    assert_eq!(second.load(START).unwrap().users.len(), 2);
    second.apply(&[batch([delete(2, 1..=5)])]).unwrap();
    assert!(matches!(first.apply(&[batch([create(3)])]), Err(ApplyError::Unclear(_))));
    assert!(matches!(resolved(&mut first), Err(ApplyError::Fenced(_))));
    let recipient = user(2);
    let all =
        Question::Letters { recipient, after: QueueId(0), max_letters: 99, max_bytes: 1 << 20 };
    let Answer::Letters { letters, .. } = second.answer(&all).unwrap() else {
        panic!("letters were asked for");
    };
    assert_eq!(letters.len(), 15);
    second.give_back();
}
