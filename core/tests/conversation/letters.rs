//! Letters from person to person.

use waxwing_core::wire::Status;

use crate::post_office::two_people;

#[test]
fn a_letter_from_an_unknown_sender_waits_for_the_key_and_is_read_once() {
    let (mut office, mut ann, mut ann_call, mut ben, mut ben_call) = two_people();
    let to = ben.phone;
    let id = office.send(&mut ann, &mut ann_call, &to, "hello");
    office.run(&mut [(&mut ann, &mut ann_call), (&mut ben, &mut ben_call)]);
    assert_eq!(ben.inbox, [(ann.phone, "hello".to_owned())]);
    assert_eq!(ann.statuses[&id], Status::Stored);
    office.tick(&mut [(&mut ann, &mut ann_call), (&mut ben, &mut ben_call)]);
    assert_eq!(ann.statuses[&id], Status::Delivered);
    assert_eq!(office.disk.pending(), 0);
}

#[test]
fn a_hundred_letters_survive_the_servers_death_in_order() {
    let (mut office, mut ann, mut ann_call, mut ben, ben_call) = two_people();
    office.hang_up(ben_call);
    let to = ben.phone;
    for n in 0..100 {
        office.send(&mut ann, &mut ann_call, &to, &format!("letter {n}"));
        office.run(&mut [(&mut ann, &mut ann_call)]);
    }
    assert!(ann.sent.iter().all(|id| ann.statuses[id] == Status::Stored));
    office.crash();
    let mut ben_call = office.reconnect(&mut ben);
    office.tick(&mut [(&mut ben, &mut ben_call)]);
    let expected: Vec<_> = (0..100).map(|n| (ann.phone, format!("letter {n}"))).collect();
    assert_eq!(ben.inbox, expected);
    assert_eq!(ben.backlogs, [0, 100]);
    assert_eq!(office.disk.pending(), 0);
}

#[test]
fn a_window_of_one_drains_the_mailbox_one_by_one() {
    let (mut office, mut ann, mut ann_call, mut ben, ben_call) = two_people();
    office.hang_up(ben_call);
    let to = ben.phone;
    for n in 0..5 {
        office.send(&mut ann, &mut ann_call, &to, &format!("{n}"));
        office.run(&mut [(&mut ann, &mut ann_call)]);
    }
    ben.window = 1;
    let _call = office.reconnect(&mut ben);
    assert_eq!(ben.inbox.len(), 5);
    assert_eq!(ben.backlogs, [0, 5]);
}

#[test]
fn a_letter_too_large_for_a_device_is_reported_and_the_queue_moves_on() {
    let (mut office, mut ann, mut ann_call, mut ben, ben_call) = two_people();
    office.hang_up(ben_call);
    let to = ben.phone;
    let long = "x".repeat(20_000);
    for text in ["before", long.as_str(), "after"] {
        office.send(&mut ann, &mut ann_call, &to, text);
        office.run(&mut [(&mut ann, &mut ann_call)]);
    }
    ben.window = 1;
    let mut call = office.call_with(&ben, 8 * 1_024);
    let user = ben.user.unwrap();
    office.env_call(|env| call.client.reconnect(env, user, None)).unwrap();
    office.run_in_pieces(&mut [(&mut ben, &mut call)], 1_000);
    let texts: Vec<_> = ben.inbox.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["before", "after"]);
    assert_eq!(office.disk.pending(), 0);
    assert_eq!(ben.backlogs, [0, 3]);
}

#[test]
fn letters_cross_in_both_directions_at_once() {
    let (mut office, mut ann, mut ann_call, mut ben, mut ben_call) = two_people();
    let (a, b) = (ann.phone, ben.phone);
    office.learn_key(&mut ben, &mut ben_call, &a);
    for n in 0..20 {
        office.send(&mut ann, &mut ann_call, &b, &format!("a{n}"));
        office.send(&mut ben, &mut ben_call, &a, &format!("b{n}"));
    }
    office.run(&mut [(&mut ann, &mut ann_call), (&mut ben, &mut ben_call)]);
    office.tick(&mut [(&mut ann, &mut ann_call), (&mut ben, &mut ben_call)]);
    assert_eq!(ben.inbox, (0..20).map(|n| (a, format!("a{n}"))).collect::<Vec<_>>());
    assert_eq!(ann.inbox, (0..20).map(|n| (b, format!("b{n}"))).collect::<Vec<_>>());
    assert!(ann.sent.iter().all(|id| ann.statuses[id] == Status::Delivered));
}
