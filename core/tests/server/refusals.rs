//! What is refused with which code, and whether that is the end.

use waxwing_core::server::Config;
use waxwing_core::wire::{ErrorCode, KeyQuestion};

use waxwing_testkit::backend::Paper;
use waxwing_testkit::packets;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::{Sim, World};

#[test]
fn while_a_user_is_stored_packets_wait() {
    let mut world = World::new(Config::default());
    let mut ann = Person::new(0);
    ann.conn = world.connect();
    let request = ann.request(&mut world);
    world.send(ann.conn, &request);
    ann.hear(&mut world);
    let code = ann.code(&world);
    let proof = ann.proof(&mut world, &code);
    world.disk.held = true;
    world.send(ann.conn, &[proof.clone(), proof].concat());
    assert!(!world.is_read(ann.conn));
    assert_eq!(ann.hear(&mut world), []);
    world.wait_s(600);
    assert!(!ann.is_closed(&world), "storage is slow, not the client");
    world.release();
    let said = ann.hear(&mut world);
    assert!(matches!(said[0], Said::SessionOffered(_)));
    assert_eq!(said[1].code(), Some(ErrorCode::UnexpectedOp), "a second 101 is fatal");
    assert!(ann.is_closed(&world));
}

#[test]
fn a_refusal_in_a_session_is_sealed_and_names_its_packet() {
    let (mut world, [mut ann, _]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    let question =
        ann.question(&mut world, KeyQuestion::ById(waxwing_core::id::UserId::new(2).unwrap()));
    world.send(ann.conn, &question);
    let Said::Refused(no) = ann.hear_one(&mut world) else { panic!() };
    assert_eq!((no.code, no.op), (ErrorCode::UnknownUser, 105));
    assert_eq!(no.packet, Some(packets::id_of(&question)));
    assert!(!ann.is_closed(&world));
}

#[test]
fn content_that_does_not_parse_is_malformed_and_fatal() {
    use waxwing_core::wire::Op;
    for (op, content) in [
        (Op::KeyQuestion, &[][..]),
        (Op::KeyQuestion, &[1, 0, 0, 0]),
        (Op::KeyQuestion, &[1, 1]),
        (Op::KeyQuestion, &[3, 1, 0]),
        (Op::KeyQuestion, &[2, 3, b'+', b'1', b'2']),
        (Op::Acknowledgment, &[]),
        (Op::Acknowledgment, &[1, 1, 0]),
        (Op::Acknowledgment, &[1, 0, 0, 9]),
        (Op::Acknowledgment, &[2, 1, 0]),
        (Op::Acknowledgment, &[7]),
        (Op::Close, &[]),
        (Op::Close, &[9]),
        (Op::Close, &[1, 1]),
    ] {
        let (mut world, [mut ann, _]) = Sim::<Paper>::populated(Config::default());
        ann.come_to_nothing(&mut world);
        let bad = ann.sealed(&mut world, op, content);
        world.send(ann.conn, &bad);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::Malformed], "{op} {content:?}");
        assert!(ann.is_closed(&world));
    }
}

#[test]
fn a_packet_in_anothers_name_or_to_another_is_malformed() {
    for (sender, recipient) in [(2, 0), (0, 0), (1, 2), (1, 1)] {
        let (mut world, [mut ann, _]) = Sim::<Paper>::populated(Config::default());
        ann.come_to_nothing(&mut world);
        let payload = ann.seal_up(&mut world, &[1, 0, 0]);
        let bad = ann.packet_as(&mut world, sender, recipient, 203, &payload);
        world.send(ann.conn, &bad);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::Malformed]);
        assert!(ann.is_closed(&world));
    }
}

#[test]
fn twenty_refusals_a_second_are_said_and_one_more_is_the_end() {
    let (mut world, [mut ann, _]) = Sim::<Paper>::populated(Config::default());
    ann.come_to_nothing(&mut world);
    let nobody = waxwing_core::id::UserId::new(900).unwrap();
    for n in 0..60 {
        if n % 20 == 0 {
            world.wait_s(1);
        }
        ann.send(&mut world, nobody, &[n]);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::UnknownRecipient]);
    }
    ann.send(&mut world, nobody, b"one more");
    assert_eq!(ann.hear(&mut world), []);
    assert!(ann.is_closed(&world));
}
