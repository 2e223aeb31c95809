//! A network that records everything and plays it back, whenever it likes and in any order.

use rand_chacha::rand_core::Rng;
use waxwing_core::wire::Status;

use crate::person::Person;
use crate::post_office::{PostOffice, two_people};

const LETTERS: usize = 24;

/// Numbers below `len`, in an order of the generator's choice, about half of them twice.
fn shuffled(office: &mut PostOffice, len: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..len).chain((0..len).step_by(2)).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, office.rng.next_u32() as usize % (at + 1));
    }
    order
}

#[test]
fn letters_played_back_in_any_order_and_after_restarts_are_read_once() {
    let (mut office, mut ann, mut ann_call, mut ben, mut ben_call) = two_people();
    let to = ben.phone;

    let mut recorded = Vec::new();
    for number in 0..LETTERS {
        office.send(&mut ann, &mut ann_call, &to, &format!("letter {number}"));
        recorded.push(ann_call.client.transmit().to_vec());
        office.run(&mut [(&mut ann, &mut ann_call), (&mut ben, &mut ben_call)]);
    }
    office.tick(&mut [(&mut ann, &mut ann_call), (&mut ben, &mut ben_call)]);
    let read: Vec<_> = ben.inbox.iter().map(|(_, text)| text.clone()).collect();
    assert_eq!(read, (0..LETTERS).map(|n| format!("letter {n}")).collect::<Vec<_>>());

    for restarts in 0..3 {
        if restarts > 0 {
            office.crash();
            ann_call = office.reconnect(&mut ann);
            ben_call = office.reconnect(&mut ben);
        }
        for at in shuffled(&mut office, LETTERS) {
            office.inject(&ann_call, &recorded[at]);
            office.run(&mut [(&mut ann, &mut ann_call), (&mut ben, &mut ben_call)]);
        }
        office.tick(&mut [(&mut ann, &mut ann_call), (&mut ben, &mut ben_call)]);
        // A server that remembers hands nothing over again; one that has forgotten, each once more.
        assert_eq!(ben.duplicates, restarts * LETTERS);
        assert_eq!(ben.inbox.len(), LETTERS);
        assert_eq!(office.disk.pending(), 0);
    }
    assert!(ann.sent.iter().all(|id| ann.statuses[id] == Status::Delivered));
}

#[test]
fn a_letter_cut_off_on_its_way_is_fresh_to_the_server_for_300_s_and_to_its_recipient_for_ever() {
    let (mut office, mut ann, mut ann_call, mut ben, mut ben_call) = two_people();
    let to = ben.phone;
    office.send(&mut ann, &mut ann_call, &to, "hello");
    office.run(&mut [(&mut ann, &mut ann_call), (&mut ben, &mut ben_call)]);
    office.tick(&mut [(&mut ann, &mut ann_call), (&mut ben, &mut ben_call)]);
    office.send(&mut ann, &mut ann_call, &to, "cut off");
    let letter = ann_call.client.transmit().to_vec();
    office.hang_up(ann_call);
    office.hang_up(ben_call);
    office.clock_ms += 320_000;

    // The server refuses it, even in its sender's session.
    ann_call = office.reconnect(&mut ann);
    ben_call = office.reconnect(&mut ben);
    office.inject(&ann_call, &letter);
    office.run(&mut [(&mut ann, &mut ann_call), (&mut ben, &mut ben_call)]);
    assert_eq!((office.disk.pending(), ben.inbox.len()), (0, 1));

    // Whoever is on its recipient's line needs no server, and has it shown once.
    office.hang_up(ben_call);
    office.clock_ms += 10 * 365 * 86_400_000;
    ben_call = office.reconnect(&mut ben);
    for duplicates in 0..3 {
        office.inject_to_client(&ben_call, &letter);
        office.run(&mut [(&mut ben, &mut ben_call)]);
        assert_eq!(ben.inbox.last(), Some(&(ann.phone, "cut off".to_owned())));
        assert_eq!((ben.inbox.len(), ben.duplicates, ben_call.ended), (2, duplicates, None));
    }
}

#[test]
fn a_letter_played_back_in_anothers_session_ends_that_one_alone() {
    let (mut office, mut ann, mut ann_call, mut ben, mut ben_call) = two_people();
    let to = ben.phone;
    office.send(&mut ann, &mut ann_call, &to, "for ben");
    let letter = ann_call.client.transmit().to_vec();
    office.run(&mut [(&mut ann, &mut ann_call), (&mut ben, &mut ben_call)]);

    let mut eve = Person::new(3);
    for has_account in [false, true] {
        let mut eve_call =
            if has_account { office.reconnect(&mut eve) } else { office.register(&mut eve) };
        office.inject(&eve_call, &letter);
        office.run(&mut [(&mut eve, &mut eve_call)]);
        assert!(eve_call.ended.is_some());
    }
    office.inject(&ben_call, &letter);
    office.run(&mut [(&mut ann, &mut ann_call), (&mut ben, &mut ben_call)]);
    assert!(ben_call.ended.is_some(), "not even its recipient sends it on");
    assert_eq!((ann_call.ended, ben.inbox.len(), ben.duplicates), (None, 1, 0));
    assert!(eve.inbox.is_empty());
}
