//! A network that records everything and plays it back, whenever it likes and in any order.

use rand_chacha::rand_core::Rng;
use waxwing_core::wire::Status;

use crate::{ANN, BEN, EVE, Population, pending, seal, statuses, strangers, talk, two_people};

const LETTERS: usize = 24;

/// Numbers below `len`, in an order of the generator's choice, about half of them twice.
fn shuffled(all: &mut Population, len: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..len).chain((0..len).step_by(2)).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, all.world.rng.next_u32() as usize % (at + 1));
    }
    order
}

/// Bytes that the client has not written follow those that it has.
fn inject(all: &mut Population, who: usize, bytes: &[u8]) {
    let conn = all.connection(who);
    all.world.send(conn, bytes);
}

fn duplicates(all: &Population, who: usize) -> usize {
    all.people[who].profile.stored.duplicates
}

#[test]
fn letters_played_back_in_any_order_and_after_restarts_are_read_once() {
    let mut all = two_people();
    let texts: Vec<_> = (0..LETTERS).map(|number| format!("letter {number}")).collect();
    let mut recorded = Vec::new();
    for text in &texts {
        all.write(ANN, BEN, text);
        recorded.push(seal(&mut all, ANN));
        talk(&mut all);
    }
    assert_eq!(all.people[BEN].texts(), texts);

    for restarts in 0..3 {
        if restarts > 0 {
            all.world.crash();
            talk(&mut all);
            all.connect_all();
            talk(&mut all);
        }
        for at in shuffled(&mut all, LETTERS) {
            inject(&mut all, ANN, &recorded[at]);
            talk(&mut all);
        }
        // A server that remembers hands nothing over again; one that has forgotten, each once more.
        assert_eq!(duplicates(&all, BEN), restarts * LETTERS);
        assert_eq!(all.people[BEN].texts(), texts);
        assert_eq!(pending(&all), 0);
    }
    assert!(statuses(&all, ANN).iter().all(|status| *status == Status::Delivered));
}

#[test]
fn a_letter_cut_off_on_its_way_is_fresh_to_the_server_for_300_s_and_to_its_recipient_for_ever() {
    let mut all = two_people();
    all.write(ANN, BEN, "hello");
    all.run();
    let row = all.write(ANN, BEN, "cut off");
    let letter = seal(&mut all, ANN);
    all.cut(ANN);
    all.cut(BEN);
    assert!(all.people[ANN].profile.stored.give_up(row));
    all.world.wait_s(320);

    // The server refuses it, even in its sender's session.
    all.connect_all();
    all.run();
    inject(&mut all, ANN, &letter);
    all.run();
    assert_eq!((pending(&all), all.people[BEN].texts().len()), (0, 1));

    // Whoever is on its recipient's line needs no server, and has it shown once.
    all.cut(BEN);
    all.world.set_forward(10 * 365 * 86_400);
    all.connect(BEN);
    all.run();
    for repeated in 0..3 {
        all.people[BEN].receive(&letter);
        all.run();
        assert_eq!(all.people[BEN].texts(), ["hello", "cut off"]);
        assert_eq!(duplicates(&all, BEN), repeated);
        assert!(all.people[BEN].is_connected());
    }
}

#[test]
fn a_letter_played_back_in_anothers_session_ends_that_one_alone() {
    let mut all = strangers(3);
    all.register(ANN);
    all.register(BEN);
    all.write(ANN, BEN, "for ben");
    let letter = seal(&mut all, ANN);
    all.run();

    for has_account in [false, true] {
        if has_account {
            all.connect(EVE);
            all.run();
        } else {
            all.register(EVE);
        }
        inject(&mut all, EVE, &letter);
        all.run();
        assert!(!all.people[EVE].is_connected());
    }
    inject(&mut all, BEN, &letter);
    all.run();
    assert!(!all.people[BEN].is_connected(), "not even its recipient sends it on");
    assert!(all.people[ANN].is_connected());
    assert_eq!((all.people[BEN].texts(), duplicates(&all, BEN)), (vec!["for ben"], 0));
    assert!(all.people[EVE].texts().is_empty());
}
