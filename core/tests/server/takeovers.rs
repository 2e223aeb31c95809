//! What it takes to become somebody: neither a registration, nor a recording, nor another device
//! costs a user the account, a letter, or the one session.

use waxwing_core::id::{Nonce, PacketId};
use waxwing_core::server::{Config, ConnId};
use waxwing_core::wire::{CloseReason, ErrorCode};

use waxwing_testkit::backend::Paper;
use waxwing_testkit::packets::id_of;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::Sim;

fn two() -> (Sim<Paper>, [Person<Paper>; 2]) {
    Sim::populated(Config::default())
}

/// What can happen between two who hold the same right code and have keys of their own.
#[derive(Debug)]
enum Step {
    First,
    Second,
    Commit,
    Tell,
}

/// All orders in which nothing is told before it is committed.
fn orders() -> impl Iterator<Item = Vec<Step>> {
    (0..=2).flat_map(|first| (0..=3).map(move |second| (first, second))).map(|(first, second)| {
        let mut order = vec![Step::Commit, Step::Tell];
        order.insert(first, Step::First);
        order.insert(second, Step::Second);
        order
    })
}

#[test]
fn of_two_keys_that_race_for_one_code_one_becomes_the_user_in_every_order() {
    for order in orders() {
        let mut world = Sim::<Paper>::new(Config::default());
        let mut ann = Person::new(0);
        ann.conn = world.connect();
        let request = ann.request(&mut world);
        world.send(ann.conn, &request);
        ann.hear(&mut world);
        let code = ann.code(&world);
        // Mallory knows the code and the attempt, and has a key of her own.
        let mut mallory = Person::<Paper>::new(1);
        (mallory.phone, mallory.reply_key) = (ann.phone, ann.reply_key.clone());
        mallory.conn = world.connect();
        let proofs = [ann.proof(&mut world, &code), mallory.proof(&mut world, &code)];

        (world.disk.held, world.disk.mute) = (true, true);
        for step in &order {
            match step {
                Step::First => world.send(ann.conn, &proofs[0]),
                Step::Second => world.send(mallory.conn, &proofs[1]),
                Step::Commit => {
                    world.disk.held = false;
                    while world.disk.has_jobs() {
                        world.disk.work();
                    }
                    world.disk.held = true;
                }
                Step::Tell => {
                    world.disk.mute = false;
                    if world.disk.has_news() {
                        world.tell_news();
                    }
                    world.disk.mute = true;
                }
            }
        }
        world.release();
        let said = [ann.hear_one(&mut world), mallory.hear_one(&mut world)];
        let offered = said.iter().filter(|said| matches!(said, Said::SessionOffered(_))).count();
        assert_eq!(offered, 1, "{order:?}: {said:?}");
        let loser = said.iter().find_map(Said::code).unwrap();
        assert!(matches!(loser, ErrorCode::Busy | ErrorCode::OtpExpired), "{order:?}: {loser}");
        assert_eq!(world.disk.users().count(), 1, "{order:?}");
    }
}

#[test]
fn registering_a_phone_that_has_an_account_changes_neither_key_nor_id_nor_mailbox() {
    let (mut world, [mut ann, mut ben]) = two();
    ann.come_to_nothing(&mut world);
    let letter = ann.send(&mut world, ben.id(), b"for ben");
    let users = |world: &Sim<Paper>| world.disk.users().cloned().collect::<Vec<_>>();
    let before = users(&world);

    // Mallory has the phone now, as with a number that was given out again, and a key of her own.
    let mut mallory = Person::<Paper>::new(4);
    mallory.phone = ben.phone;
    mallory.conn = world.connect();
    let request = mallory.request(&mut world);
    world.send(mallory.conn, &request);
    assert_eq!(mallory.hear(&mut world), [Said::PhoneTaken]);
    for code in [b"000000", b"123456"] {
        mallory.conn = world.connect();
        let proof = mallory.proof(&mut world, code);
        world.send(mallory.conn, &proof);
        assert_eq!(mallory.hear_refusals(&mut world), [ErrorCode::OtpExpired]);
    }
    assert_eq!(users(&world), before);
    assert_eq!(world.disk.pending(ben.id()), [id_of(&letter)]);

    ben.come(&mut world, 8);
    assert_eq!(ben.hear(&mut world), [Said::Letter(letter), Said::BacklogEnd(1)]);
}

fn still_receives(world: &mut Sim<Paper>, ann: &mut Person<Paper>, ben: &mut Person<Paper>) {
    let text = Nonce::generate(&mut world.rng);
    let letter = ben.send(world, ann.id(), &text.0);
    assert_eq!(ann.hear_letters(world), [letter]);
}

#[test]
fn a_106_played_back_at_any_time_and_after_a_restart_takes_nothing_from_its_user() {
    let (mut world, [mut ann, mut ben]) = two();
    ann.conn = world.connect();
    let recorded = ann.long(&mut world);
    world.send(ann.conn, &recorded);
    ann.hear(&mut world);
    ann.confirm(&mut world, 8);
    assert_eq!(ann.hear(&mut world), [Said::BacklogEnd(0)]);
    ben.come_to_nothing(&mut world);

    for wait_s in [1, 59, 600] {
        world.wait_s(wait_s);
        let stranger = world.connect();
        world.send(stranger, &recorded);
        assert!(world.is_closed(stranger));
        assert!(world.bytes(stranger).is_empty());
        still_receives(&mut world, &mut ann, &mut ben);
        let held = world.disk.pending(ann.id());
        ann.acknowledge(&mut world, &held);
    }

    world.crash();
    let stranger = world.connect();
    world.send(stranger, &recorded);
    // A 206 that only Ann could open; whatever else the stranger says ends it.
    assert_eq!(world.packets(stranger).len(), 1);
    ann.come_to_nothing(&mut world);
    ben.come(&mut world, 8);
    ben.hear(&mut world);
    still_receives(&mut world, &mut ann, &mut ben);
    world.send(stranger, &recorded);
    assert!(world.is_closed(stranger));
    still_receives(&mut world, &mut ann, &mut ben);
}

#[test]
fn of_three_devices_one_has_the_session_and_no_letter_is_lost_or_deleted_twice() {
    let (mut world, [mut ann, mut ben]) = two();
    ben.come_to_nothing(&mut world);
    let mut sent = Vec::new();
    let mut held: Vec<PacketId> = Vec::new();
    let mut devices: [Option<(ConnId, Person<Paper>)>; 3] = [None, None, None];
    for round in 0..30_u8 {
        // Another device comes, and the one before it is told.
        let at = usize::from(round) % devices.len();
        let mut device = Person { id: ann.id, ..Person::with_key(0, ann.key.clone()) };
        device.come(&mut world, 4);
        let before = devices.iter_mut().flatten().find(|(_, device)| !device.is_closed(&world));
        if let Some((_, before)) = before {
            let said = before.hear(&mut world);
            assert_eq!(said.last(), Some(&Said::Closed(CloseReason::TakenOver)), "{said:?}");
        }
        let letter = ben.send(&mut world, ann.id(), &[round]);
        sent.push(id_of(&letter));
        let said = device.hear(&mut world);
        let letters: Vec<_> = said
            .iter()
            .filter_map(|said| match said {
                Said::Letter(letter) => Some(id_of(letter)),
                _ => None,
            })
            .collect();
        // One acknowledges, the next is too slow.
        if round % 2 == 0 {
            assert!(letters.iter().all(|id| !held.contains(id)), "handed over after 203");
            device.acknowledge(&mut world, &letters);
            held.extend(letters);
        }
        devices[at] = Some((device.conn, device));
        let open = devices.iter().flatten().filter(|(conn, _)| !world.is_closed(*conn)).count();
        assert!(open <= 1 || devices.iter().flatten().count() < 2, "two sessions of one user");
    }
    ann.come(&mut world, 128);
    for said in ann.hear(&mut world) {
        if let Said::Letter(letter) = said {
            held.push(id_of(&letter));
        }
    }
    assert_eq!(held, sent, "in order, each once");
}
