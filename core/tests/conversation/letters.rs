//! Letters from person to person.

use waxwing_core::wire::Status;

use crate::{ANN, BEN, backlogs, pending, statuses, two_people};

fn texts(from: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{from}{n}")).collect()
}

#[test]
fn a_letter_from_an_unknown_sender_waits_for_the_key_and_is_read_once() {
    let mut all = two_people();
    all.write(ANN, BEN, "hello");
    let his = &all.people[BEN].profile.stored;
    assert!(his.contacts.is_empty());
    all.run();
    assert_eq!(all.people[BEN].texts(), ["hello"]);
    let his = &all.people[BEN].profile.stored;
    assert_eq!(his.letters[0].from, Some(all.people[ANN].phone));
    assert_eq!((his.contacts.len(), his.duplicates), (1, 0));
    assert_eq!(statuses(&all, ANN), [Status::Delivered]);
    assert_eq!(pending(&all), 0);
}

#[test]
fn a_hundred_letters_survive_the_servers_death_in_order() {
    let mut all = two_people();
    all.cut(BEN);
    for text in texts("letter ", 100) {
        all.write(ANN, BEN, &text);
    }
    all.run();
    assert!(statuses(&all, ANN).iter().all(|status| *status == Status::Stored));
    all.world.crash();
    all.connect(BEN);
    all.run();
    assert_eq!(all.people[BEN].texts(), texts("letter ", 100));
    assert_eq!(backlogs(&all, BEN), [0, 100]);
    assert_eq!(pending(&all), 0);
}

#[test]
fn a_window_of_one_drains_the_mailbox_one_by_one() {
    let mut all = two_people();
    all.cut(BEN);
    for text in texts("", 5) {
        all.write(ANN, BEN, &text);
    }
    all.run();
    all.people[BEN].window = 1;
    all.connect(BEN);
    all.run();
    assert_eq!(all.people[BEN].texts(), texts("", 5));
    assert_eq!(backlogs(&all, BEN), [0, 5]);
}

#[test]
fn a_letter_too_large_for_a_device_is_reported_and_the_queue_moves_on() {
    let mut all = two_people();
    all.cut(BEN);
    for text in ["before", &"x".repeat(20_000), "after"] {
        all.write(ANN, BEN, text);
    }
    all.run();
    (all.people[BEN].window, all.people[BEN].letter_buffer) = (1, 8 * 1_024);
    all.piece = 1_000;
    all.connect(BEN);
    all.run();
    assert_eq!(all.people[BEN].texts(), ["before", "after"]);
    assert_eq!(all.people[BEN].profile.stored.letters.len(), 3);
    assert_eq!(pending(&all), 0);
    assert_eq!(backlogs(&all, BEN), [0, 3]);
}

#[test]
fn letters_cross_in_both_directions_at_once() {
    let mut all = two_people();
    for n in 0..20 {
        all.write(ANN, BEN, &format!("a{n}"));
        all.write(BEN, ANN, &format!("b{n}"));
    }
    all.run();
    assert_eq!(all.people[BEN].texts(), texts("a", 20));
    assert_eq!(all.people[ANN].texts(), texts("b", 20));
    for who in [ANN, BEN] {
        assert!(statuses(&all, who).iter().all(|status| *status == Status::Delivered));
    }
}
