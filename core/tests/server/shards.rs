//! Several machines that are one server: connections and mail find their way.

use waxwing_core::server::{Config, Event};
use waxwing_core::wire::{CloseReason, ErrorCode, KeyQuestion, Op};

use waxwing_testkit::backend::Paper;
use waxwing_testkit::packets::id_of;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::Sim;

const SHARDS: u16 = 3;

/// Users 1 to 3, each owned by another shard, and the mail between these held.
fn strangers() -> (Sim<Paper>, [Person<Paper>; 3]) {
    let (world, people) = Sim::populate_shards(Config::default(), 7, 3, SHARDS);
    (world, people.try_into().ok().unwrap())
}

#[test]
fn what_follows_a_reconnect_request_on_its_heels_is_read_at_home() {
    let (mut world, [mut ann, ..]) = strangers();
    ann.conn = world.connect();
    assert_eq!(world.connection_count(), 1);
    world.transfers_are_held = true;
    let long = ann.long(&mut world);
    let (head, tail) = long.split_at(26);
    world.send(ann.conn, head);
    assert_eq!(world.connection_count(), 0, "it is on its way");
    world.send(ann.conn, tail);
    world.release();
    assert_eq!(ann.hear(&mut world), [Said::SessionOffered(Op::SessionRenewed)]);
    ann.confirm(&mut world, 8);
    assert_eq!(ann.hear(&mut world), [Said::BacklogEnd(0)]);
}

#[test]
fn what_arrives_in_the_turn_in_which_a_connection_leaves_goes_with_it() {
    let (mut world, [mut ann, ..]) = strangers();
    ann.conn = world.connect();
    let long = ann.long(&mut world);
    let pieces: Vec<_> = long.chunks(100).map(|piece| (ann.conn, piece.to_vec())).collect();
    world.send_all(&pieces);
    assert_eq!(ann.hear(&mut world), [Said::SessionOffered(Op::SessionRenewed)]);
}

#[test]
fn a_connection_that_breaks_between_two_machines_is_forgotten() {
    let (mut world, [mut ann, ..]) = strangers();
    ann.conn = world.connect();
    world.transfers_are_held = true;
    let long = ann.long(&mut world);
    world.send(ann.conn, &long);
    world.hang_up(ann.conn);
    world.release();
    assert_eq!(world.connection_count(), 0);
}

#[test]
fn people_register_at_the_desk_and_live_at_home() {
    let mut config = Config { otp_in_band: true, ..Config::default() };
    config.otp_attempts = 1;
    let (mut world, _) = Sim::<Paper>::populate_shards(config, 7, 0, SHARDS);
    for at in 0..6 {
        let mut person = Person::<Paper>::new(at);
        person.conn = world.connect();
        let request = person.request(&mut world);
        world.send(person.conn, &request);
        let Said::CodeIssued { code: Some(code), .. } = person.hear_one(&mut world) else {
            panic!("no code")
        };
        let proof = person.proof(&mut world, &code);
        world.send(person.conn, &proof);
        assert_eq!(person.hear_one(&mut world), Said::SessionOffered(Op::SessionIssued));
        assert_eq!(person.id().get(), at as u16 + 1);
        person.confirm(&mut world, 8);
        assert_eq!(person.hear_one(&mut world), Said::BacklogEnd(0));

        // The 101 again, as if the 201 had been lost.
        person.conn = world.connect();
        let proof = person.proof(&mut world, b"000000");
        world.send(person.conn, &proof);
        assert_eq!(person.hear_one(&mut world), Said::SessionOffered(Op::SessionIssued));
    }
    let registered = |event: &&Event| matches!(event, Event::Registered { .. });
    assert_eq!(world.events.iter().filter(registered).count(), 6);
}

#[test]
fn nobody_hears_of_a_new_user_before_their_home_does() {
    let config = Config { otp_in_band: true, ..Config::default() };
    let (mut world, mut people) = Sim::<Paper>::populate_shards(config, 7, 3, SHARDS);
    let ann = &mut people[2];
    ann.come_to_nothing(&mut world);
    let mut new = Person::<Paper>::new(4);
    new.conn = world.connect();
    let request = new.request(&mut world);
    world.send(new.conn, &request);
    let Said::CodeIssued { code: Some(code), .. } = new.hear_one(&mut world) else {
        panic!("no code")
    };
    let proof = new.proof(&mut world, &code);
    world.transfers_are_held = true;
    world.send(new.conn, &proof);
    assert_eq!(new.hear(&mut world), [], "their owner shard has not answered");
    world.release();
    assert_eq!(new.hear_one(&mut world), Said::SessionOffered(Op::SessionIssued));
    ann.ask(&mut world, KeyQuestion::ByPhone(new.phone));
    assert!(matches!(ann.hear_one(&mut world), Said::Key(answer) if answer.user == new.id()));
    let letter = ann.send(&mut world, new.id(), b"welcome");
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
}

#[test]
fn a_server_stops_after_letters_between_its_machines_are_stored_and_said() {
    let (mut world, [mut ann, ben, _]) = strangers();
    ann.come_to_nothing(&mut world);
    world.transfers_are_held = true;
    let letter = ann.send(&mut world, ben.id(), b"on its way");
    world.turn_all(|server, env| server.stop(env));
    assert!(!world.stopped());
    world.release();
    assert!(world.stopped());
    let stored = Said::stored(&letter);
    assert_eq!(ann.hear(&mut world), [stored, Said::Closed(CloseReason::ServerStopping)]);
    assert_eq!(world.disk.pending(ben.id()), [id_of(&letter)]);
}

#[test]
fn letters_keep_their_order_in_a_mailbox_whatever_its_machine_was_before() {
    let (mut world, [mut ann, mut ben, _]) = strangers();
    ann.come_to_nothing(&mut world);
    let mut letters = Vec::new();
    for shards in [3, 1, 4, 2] {
        world.crash_into(shards);
        ann.come_to_nothing(&mut world);
        for n in 0..5_u8 {
            letters.push(ann.send(&mut world, ben.id(), &[shards as u8, n]));
        }
    }
    ben.come(&mut world, 128);
    let mut expected: Vec<_> = letters.into_iter().map(Said::Letter).collect();
    expected.push(Said::BacklogEnd(20));
    assert_eq!(ben.hear(&mut world), expected);
}

#[test]
fn a_letter_to_nobody_is_refused_wherever_nobody_would_be_at_home() {
    let (mut world, [mut ann, ..]) = strangers();
    ann.come_to_nothing(&mut world);
    for nobody in 4..10 {
        ann.send(&mut world, waxwing_core::id::UserId::new(nobody).unwrap(), b"anybody?");
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::UnknownRecipient]);
    }
}
