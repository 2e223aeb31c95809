//! From a phone number to a user.

use std::time::Duration;

use waxwing_core::crypto::{ReplyKey, RustCrypto, Spki};
use waxwing_core::id::UserId;
use waxwing_core::phone::Phone;
use waxwing_core::server::{Config, Event, OtpOutcome, RegistrationPolicy, ShardId};
use waxwing_core::wire::{ErrorCode, KeyQuestion, Op};

use waxwing_testkit::backend::{Backend, Paper, PaperKey};
use waxwing_testkit::packets;
use waxwing_testkit::person::{No, Person, Said};
use waxwing_testkit::world::{SERVER_KEY, Sim, World};

fn world() -> World {
    World::new(Config::default())
}

/// Somebody on a new connection who has asked for a code and got it.
fn asked(world: &mut World, at: usize) -> (Person<RustCrypto>, Vec<u8>) {
    let mut person = Person::new(at);
    let code = ask(world, &mut person);
    (person, code)
}

fn ask<P: Backend>(world: &mut Sim<P>, person: &mut Person<P>) -> Vec<u8> {
    person.conn = world.connect();
    let request = person.request(world);
    world.send(person.conn, &request);
    let said = person.hear_one(world);
    assert!(matches!(said, Said::CodeIssued { code: None, .. }), "{said:?}");
    person.code(world)
}

/// Sends a 101 on a new connection.
fn prove<P: Backend>(world: &mut Sim<P>, person: &mut Person<P>, code: &[u8]) -> Said {
    let proof = person.proof(world, code);
    person.conn = world.connect();
    world.send(person.conn, &proof);
    person.hear_one(world)
}

fn wrong(code: &[u8]) -> Vec<u8> {
    let mut wrong = code.to_vec();
    wrong[0] = b'0' + (wrong[0] - b'0' + 1) % 10;
    wrong
}

const OFFERED: Said = Said::SessionOffered(Op::SessionIssued);

#[test]
fn a_phone_becomes_a_user_with_a_session() {
    let mut world = world();
    let mut ann = Person::new(0);
    ann.register(&mut world);
    assert_eq!(ann.id, UserId::new(1));
    let stored: Vec<_> = world.disk.users().collect();
    assert_eq!(stored.len(), 1);
    assert_eq!((stored[0].phone, &stored[0].spki), (ann.phone, &ann.spki()));
    assert!(stored[0].session_key.is_some());
    assert!(world.events.contains(&Event::Registered { user: ann.id() }));
}

#[test]
fn a_code_is_issued_with_its_life_and_its_attempts() {
    let mut world = world();
    let mut ann = Person::<RustCrypto>::new(0);
    ann.conn = world.connect();
    let request = ann.request(&mut world);
    world.send(ann.conn, &request);
    let said = ann.hear_one(&mut world);
    assert_eq!(said, Said::CodeIssued { attempts: 3, ttl_s: 300, code: None });
    assert_eq!(world.codes.len(), 1);
}

#[test]
fn in_band_codes_come_only_when_configured_and_go_nowhere_else() {
    let mut world = World::new(Config { otp_in_band: true, ..Config::default() });
    let mut ann = Person::new(0);
    ann.register(&mut world);
    assert!(world.codes.is_empty());
}

#[test]
fn a_phone_with_an_account_is_rejected() {
    let (mut world, [ann]) = World::populated(Config::default());
    let mut mallory = Person::new(1);
    mallory.phone = ann.phone;
    mallory.conn = world.connect();
    let request = mallory.request(&mut world);
    world.send(mallory.conn, &request);
    assert_eq!(mallory.hear(&mut world), [Said::PhoneTaken]);
    assert!(world.codes.is_empty());
}

#[test]
fn three_wrong_codes_are_wrong_and_the_fourth_is_spent_even_when_right() {
    let mut world = world();
    let (mut ann, code) = asked(&mut world, 0);
    for _ in 0..3 {
        let said = prove(&mut world, &mut ann, &wrong(&code));
        assert_eq!(said.code(), Some(ErrorCode::OtpWrong));
        assert!(ann.is_closed(&world));
    }
    let said = prove(&mut world, &mut ann, &code);
    assert_eq!(said.code(), Some(ErrorCode::OtpAttemptsSpent));
    assert_eq!(world.disk.users().count(), 0);
}

#[test]
fn a_wrong_code_leaves_the_right_one_right() {
    let mut world = world();
    let (mut ann, code) = asked(&mut world, 0);
    prove(&mut world, &mut ann, &wrong(&code));
    prove(&mut world, &mut ann, &wrong(&code));
    assert_eq!(prove(&mut world, &mut ann, &code), OFFERED);
}

#[test]
fn a_code_expires() {
    let mut world = world();
    let (mut ann, code) = asked(&mut world, 0);
    world.wait_s(299);
    let (mut ben, bens) = asked(&mut world, 1);
    world.wait_s(1);
    let said = prove(&mut world, &mut ann, &code);
    assert_eq!(said.code(), Some(ErrorCode::OtpExpired));
    assert_eq!(prove(&mut world, &mut ben, &bens), OFFERED);
}

#[test]
fn a_refused_proof_is_named_and_closes() {
    let mut world = world();
    let (mut ann, code) = asked(&mut world, 0);
    let proof = ann.proof(&mut world, &wrong(&code));
    ann.conn = world.connect();
    world.send(ann.conn, &proof);
    let packet = Some(packets::id_of(&proof));
    let no = No { code: ErrorCode::OtpWrong, op: 101, retry_after_s: 0, packet };
    assert_eq!(ann.hear(&mut world), [Said::Refused(no)]);
    assert!(ann.is_closed(&world));
}

#[test]
fn the_same_attempt_gets_the_same_bytes_and_no_new_code() {
    let mut world = world();
    let ann = Person::<RustCrypto>::new(0);
    let answers: Vec<_> = (0..5)
        .map(|_| {
            let conn = world.connect();
            let request = ann.request(&mut world);
            world.send(conn, &request);
            world.bytes(conn)
        })
        .collect();
    assert!(!answers[0].is_empty());
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(world.codes.len(), 1);
}

#[test]
fn anothers_request_neither_cancels_nor_spends_a_code() {
    let mut world = world();
    let (mut ann, code) = asked(&mut world, 0);
    let mut mallory = Person::new(1);
    mallory.phone = ann.phone;
    let mallorys = ask(&mut world, &mut mallory);
    for _ in 0..4 {
        prove(&mut world, &mut mallory, &wrong(&mallorys));
    }
    assert_eq!(prove(&mut world, &mut ann, &code), OFFERED);
}

#[test]
fn a_code_belongs_to_the_attempt_that_asked_for_it() {
    let mut world = world();
    let (ann, code) = asked(&mut world, 0);
    let mut mallory = Person::new(1);
    mallory.phone = ann.phone;
    let said = prove(&mut world, &mut mallory, &code);
    assert_eq!(said.code(), Some(ErrorCode::OtpExpired));
}

#[test]
fn a_lost_201_is_had_again_a_day_later() {
    let mut world = world();
    let (mut ann, code) = asked(&mut world, 0);
    assert_eq!(prove(&mut world, &mut ann, &code), OFFERED);
    world.hang_up(ann.conn);
    world.wait_s(86_400);
    assert_eq!(prove(&mut world, &mut ann, b"000000"), OFFERED);
    assert_eq!(ann.id, UserId::new(1));
    ann.confirm(&mut world, 128);
    assert_eq!(ann.hear(&mut world), [Said::BacklogEnd(0)]);
    assert_eq!(world.disk.users().count(), 1);
}

#[test]
fn a_201_lost_in_a_crash_is_had_again() {
    let mut world = world();
    let (mut ann, code) = asked(&mut world, 0);
    prove(&mut world, &mut ann, &code);
    world.crash();
    assert_eq!(prove(&mut world, &mut ann, &code), OFFERED);
}

#[test]
fn the_right_code_for_a_phone_taken_meanwhile_is_expired() {
    let mut world = world();
    let (mut ann, code) = asked(&mut world, 0);
    let mut mallory = Person::new(1);
    mallory.phone = ann.phone;
    let mallorys = ask(&mut world, &mut mallory);
    assert_eq!(prove(&mut world, &mut ann, &code), OFFERED);
    let said = prove(&mut world, &mut mallory, &mallorys);
    assert_eq!(said.code(), Some(ErrorCode::OtpExpired));
    assert_eq!(world.disk.users().count(), 1);
}

#[test]
fn the_same_proof_twice_while_the_first_is_stored_makes_one_user() {
    let mut world = world();
    let (mut ann, code) = asked(&mut world, 0);
    let proof = ann.proof(&mut world, &code);
    let (first, second) = (world.connect(), world.connect());
    world.disk.held = true;
    world.send(first, &proof);
    world.send(second, &proof);
    ann.conn = second;
    assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::Busy]);
    world.release();
    ann.conn = first;
    assert_eq!(ann.hear(&mut world), [OFFERED]);
    assert_eq!(world.disk.users().count(), 1);
}

#[test]
fn two_right_codes_for_one_phone_at_once_make_one_user() {
    let mut world = world();
    let (mut ann, code) = asked(&mut world, 0);
    let mut ben = Person::new(1);
    ben.phone = ann.phone;
    let bens = ask(&mut world, &mut ben);
    world.disk.held = true;
    let (anns_proof, bens_proof) = (ann.proof(&mut world, &code), ben.proof(&mut world, &bens));
    (ann.conn, ben.conn) = (world.connect(), world.connect());
    world.send_all(&[(ann.conn, anns_proof), (ben.conn, bens_proof.clone())]);
    assert_eq!(ben.hear_refusals(&mut world), [ErrorCode::Busy]);
    world.release();
    assert_eq!(ann.hear(&mut world), [OFFERED]);
    ben.conn = world.connect();
    world.send(ben.conn, &bens_proof);
    assert_eq!(ben.hear_refusals(&mut world), [ErrorCode::OtpExpired]);
    assert_eq!(world.disk.users().count(), 1);
}

#[test]
fn a_failed_commit_burns_nothing() {
    let mut world = world();
    world.disk.resting_ids = (2..=u16::MAX).filter_map(UserId::new).collect();
    world.crash();
    let (mut ann, code) = asked(&mut world, 0);
    world.disk.refuses_writes = true;
    for _ in 0..5 {
        let said = prove(&mut world, &mut ann, &code);
        assert_eq!(said.code(), Some(ErrorCode::StorageUnavailable));
        assert!(ann.is_closed(&world));
        assert_eq!(world.reports()[0].free_ids, Some(1));
    }
    world.disk.refuses_writes = false;
    assert_eq!(prove(&mut world, &mut ann, &code), OFFERED);
    assert_eq!(ann.id, UserId::new(1), "the only id that is free");
    assert_eq!(world.reports()[0].free_ids, Some(0));
}

#[test]
fn a_client_that_left_during_the_commit_comes_back_to_its_account() {
    let mut world = world();
    let (mut ann, code) = asked(&mut world, 0);
    let proof = ann.proof(&mut world, &code);
    world.disk.held = true;
    world.send(ann.conn, &proof);
    world.hang_up(ann.conn);
    world.release();
    assert_eq!(world.disk.users().count(), 1);
    assert_eq!(prove(&mut world, &mut ann, &code), OFFERED);
}

#[test]
fn whoever_left_during_a_commit_that_fails_is_refused_nothing() {
    let mut world = world();
    let (mut ann, code) = asked(&mut world, 0);
    let proof = ann.proof(&mut world, &code);
    world.disk.held = true;
    world.send(ann.conn, &proof);
    world.hang_up(ann.conn);
    world.disk.refuses_writes = true;
    world.release();
    assert!(!world.events.iter().any(|event| matches!(event, Event::Refused { .. })));
    world.disk.refuses_writes = false;
    assert_eq!(prove(&mut world, &mut ann, &code), OFFERED);
}

#[test]
fn the_servers_key_and_anothers_are_weak_and_burn_nothing() {
    let (mut world, [_ann]) = World::populated(Config::default());
    for taken in [SERVER_KEY, 0] {
        let mut thief = Person::with_key(3, RustCrypto::key(taken));
        thief.reply_key = ReplyKey::from_bytes(&[taken as u8 + 90; 32]);
        let code = ask(&mut world, &mut thief);
        for _ in 0..4 {
            let said = prove(&mut world, &mut thief, &code);
            assert_eq!(said.code(), Some(ErrorCode::WeakKey));
            assert!(thief.is_closed(&world));
        }
    }
    assert_eq!(world.disk.users().count(), 1);
}

#[test]
fn two_phones_cannot_have_one_key_even_at_once() {
    let mut world = world();
    let (mut ann, code) = asked(&mut world, 0);
    let mut twin = Person::with_key(1, RustCrypto::key(0));
    let twins = ask(&mut world, &mut twin);
    world.disk.held = true;
    let (anns, twins) = (ann.proof(&mut world, &code), twin.proof(&mut world, &twins));
    world.send_all(&[(ann.conn, anns), (twin.conn, twins)]);
    assert_eq!(twin.hear_refusals(&mut world), [ErrorCode::WeakKey]);
    world.release();
    assert_eq!(ann.hear(&mut world), [OFFERED]);
}

#[test]
fn a_modulus_with_a_small_factor_is_weak() {
    // 2^2047 + c, with c such that 65521 divides it.
    let residue = (0..2_047).fold(1_u64, |power, _| power * 2 % 65_521);
    let mut modulus = [0; 256];
    modulus[0] = 0x80;
    let c = (1..).map(|k| k * 65_521 - residue).find(|c| c % 2 == 1).unwrap();
    modulus[248..].copy_from_slice(&c.to_be_bytes());
    let key = PaperKey(Spki::from_modulus(&modulus).unwrap());

    let mut world = Sim::<Paper>::new(Config::default());
    let mut ann = Person::with_key(0, key);
    let code = ask(&mut world, &mut ann);
    let said = prove(&mut world, &mut ann, &code);
    assert_eq!(said.code(), Some(ErrorCode::WeakKey));
    assert_eq!(world.disk.users().count(), 0);
}

#[test]
fn a_key_in_another_form_is_weak() {
    let mut world = world();
    let (mut ann, code) = asked(&mut world, 0);
    let proof = ann.proof(&mut world, &code);
    let exponent = 26 + 256 + 293;
    let bytes = packets::flipped(&proof[..26 + 550], exponent);
    let mangled = packets::sign(bytes, &ann.key, &mut world.rng);
    ann.conn = world.connect();
    world.send(ann.conn, &mangled);
    let no = No { code: ErrorCode::WeakKey, op: 0, retry_after_s: 0, packet: None };
    assert_eq!(ann.hear(&mut world), [Said::Refused(no)]);
    assert!(ann.is_closed(&world));
}

#[test]
fn a_proof_for_one_key_does_not_serve_another() {
    let mut world = world();
    let (mut ann, code) = asked(&mut world, 0);
    let proof = ann.proof(&mut world, &code);
    let mallory = Person::<RustCrypto>::new(1);
    let mut bytes = proof[..26 + 256].to_vec();
    bytes.extend(mallory.spki().as_bytes());
    let stolen = packets::sign(bytes, &mallory.key, &mut world.rng);
    ann.conn = world.connect();
    world.send(ann.conn, &stolen);
    let said = ann.hear_one(&mut world);
    assert_eq!(said.code(), Some(ErrorCode::Malformed));
    assert_eq!(prove(&mut world, &mut ann, &code), OFFERED);
}

#[test]
fn a_proof_with_a_bad_signature_counts_no_guess() {
    let mut world = world();
    let (mut ann, code) = asked(&mut world, 0);
    for _ in 0..5 {
        let proof = ann.proof(&mut world, &wrong(&code));
        let conn = world.connect();
        world.send(conn, &packets::flipped(&proof, proof.len() - 1));
        ann.conn = conn;
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::BadSignature]);
    }
    assert_eq!(prove(&mut world, &mut ann, &code), OFFERED);
}

#[test]
fn a_phone_in_another_form_is_a_bad_phone() {
    let mut world = world();
    let mut ann = Person::<RustCrypto>::new(0);
    for phone in [&b"+0491511234"[..], b"4915112345678", b"+123456", b"+12 345678", b""] {
        ann.conn = world.connect();
        let request = ann.request_for(&mut world, phone);
        world.send(ann.conn, &request);
        let packet = Some(packets::id_of(&request));
        let no = No { code: ErrorCode::BadPhone, op: 100, retry_after_s: 0, packet };
        assert_eq!(ann.hear(&mut world), [Said::Refused(no)], "{phone:?}");
        assert!(ann.is_closed(&world));
    }
}

#[test]
fn a_request_with_a_signature_or_an_id_is_malformed() {
    let mut world = world();
    let mut ann = Person::<RustCrypto>::new(0);
    let request = ann.request(&mut world);
    let last = request.len() - 1;
    let signed = packets::sign(request[..26 + 256].to_vec(), &ann.key, &mut world.rng);
    for bad in [
        packets::flipped(&request, last),
        packets::flipped(&request, 0),
        packets::flipped(&request, 2),
        signed,
    ] {
        ann.conn = world.connect();
        world.send(ann.conn, &bad);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::Malformed]);
        assert!(ann.is_closed(&world));
    }
    assert!(world.codes.is_empty());
}

#[test]
fn every_failure_to_open_is_the_same_malformed() {
    let mut world = world();
    let mut ann = Person::<RustCrypto>::new(0);
    let mut said = Vec::new();
    let request = ann.request(&mut world);
    let mut garbage = request.clone();
    garbage[26..282].fill(0xff);
    // A well-made block of another op: the label differs.
    let proof = ann.proof(&mut world, b"123456");
    let mut relabelled = request.clone();
    relabelled[26..282].copy_from_slice(&proof[26..282]);
    for bad in [packets::flipped(&request, 100), garbage, relabelled] {
        let conn = world.connect();
        world.send(conn, &bad);
        assert!(world.is_closed(conn));
        said.push(world.bytes(conn));
    }
    assert!(!said[0].is_empty());
    assert!(said.iter().all(|bytes| *bytes == said[0]));
}

#[test]
fn a_block_that_opens_and_has_other_fields_is_malformed_by_name() {
    let mut world = world();
    let mut ann = Person::<RustCrypto>::new(0);
    for block in [&[][..], &[1; 32], &[5; 49]] {
        let block = ann.oaep(&mut world, Op::RegistrationRequest, block);
        let bytes = packets::unsigned(0, 0, world.now.unix, 100, &block);
        let request = packets::zero_signed(bytes);
        ann.conn = world.connect();
        world.send(ann.conn, &request);
        let packet = Some(packets::id_of(&request));
        let no = No { code: ErrorCode::Malformed, op: 100, retry_after_s: 0, packet };
        assert_eq!(ann.hear(&mut world), [Said::Refused(no)]);
        assert!(ann.is_closed(&world));
    }
}

#[test]
fn an_undeliverable_code_can_be_asked_for_again() {
    let mut world = world();
    let (mut ann, first) = asked(&mut world, 0);
    let ticket = world.codes[0].0;
    world.turn_all(|server, env| server.otp_ended(env, ticket, OtpOutcome::Undeliverable));
    let said = prove(&mut world, &mut ann, &first);
    assert_eq!(said.code(), Some(ErrorCode::OtpExpired));
    let second = ask(&mut world, &mut ann);
    assert_eq!(world.codes.len(), 2);
    assert_eq!(prove(&mut world, &mut ann, &second), OFFERED);
}

/// Somebody who asks for a code whose delivery nobody has spoken of.
fn asks_and_waits(world: &mut World) -> Person<RustCrypto> {
    world.codes_are_held = true;
    let mut ann = Person::new(0);
    ann.conn = world.connect_from("192.0.2.1");
    let request = ann.request(world);
    world.send(ann.conn, &request);
    assert_eq!(ann.hear(world), []);
    ann
}

#[test]
fn whoever_asks_for_a_code_hears_when_it_has_gone_out() {
    let mut world = world();
    let mut ann = asks_and_waits(&mut world);
    let ticket = world.codes[0].0;
    world.turn_all(|server, env| server.otp_ended(env, ticket, OtpOutcome::Delivered));
    assert!(matches!(ann.hear_one(&mut world), Said::CodeIssued { .. }));
    // Once.
    world.turn_all(|server, env| server.otp_ended(env, ticket, OtpOutcome::Delivered));
    world.wait_s(4);
    assert_eq!(ann.hear(&mut world), []);
    assert!(!ann.is_closed(&world));
}

#[test]
fn a_gateway_that_says_nothing_holds_the_200_up_for_three_seconds() {
    let mut world = world();
    let mut ann = asks_and_waits(&mut world);
    world.wait(Duration::from_millis(2_900));
    assert_eq!(ann.hear(&mut world), []);
    world.wait(Duration::from_millis(100));
    assert!(matches!(ann.hear_one(&mut world), Said::CodeIssued { .. }));
    let code = ann.code(&world);
    assert_eq!(prove(&mut world, &mut ann, &code), OFFERED);
}

#[test]
fn whoever_asks_while_no_code_goes_out_is_told_and_loses_nothing() {
    let mut world = world();
    // More often than one phone may have codes in a day, or one network for it in an hour.
    for attempt in 0..12 {
        let mut ann = asks_and_waits(&mut world);
        let ticket = world.codes[attempt].0;
        world.turn_all(|server, env| server.otp_ended(env, ticket, OtpOutcome::Undeliverable));
        let refused = ann.hear_one(&mut world);
        let Said::Refused(No { code: ErrorCode::Busy, op: 100, retry_after_s: 30, .. }) = refused
        else {
            panic!("{attempt}: {refused:?}")
        };
        assert!(ann.is_closed(&world));
        world.wait_s(360);
    }
    world.codes_are_held = false;
    let (mut ann, code) = asked(&mut world, 0);
    assert_eq!(prove(&mut world, &mut ann, &code), OFFERED);
}

#[test]
fn a_code_that_may_have_gone_out_counts() {
    let mut world = world();
    for attempt in 0..4 {
        world.codes_are_held = true;
        let mut ann = Person::<RustCrypto>::new(0);
        ann.conn = world.connect_from("192.0.2.1");
        let request = ann.request(&mut world);
        world.send(ann.conn, &request);
        if let Some(ticket) = world.codes.get(attempt).map(|code| code.0) {
            world.turn_all(|server, env| server.otp_ended(env, ticket, OtpOutcome::Lost));
        }
        let expected = if attempt < 3 { ErrorCode::Busy } else { ErrorCode::RateLimited };
        assert_eq!(ann.hear_one(&mut world).code(), Some(expected), "{attempt}");
    }
}

#[test]
fn whoever_leaves_before_the_code_has_gone_out_takes_nothing_along() {
    let mut world = world();
    let ann = asks_and_waits(&mut world);
    world.hang_up(ann.conn);
    for ticket in [world.codes[0].0, world.codes[0].0] {
        world.turn_all(|server, env| server.otp_ended(env, ticket, OtpOutcome::Delivered));
        world.turn_all(|server, env| server.otp_ended(env, ticket, OtpOutcome::Undeliverable));
    }
    world.wait_s(4);
}

#[test]
fn ids_that_rest_are_not_given_out() {
    let mut world = world();
    world.disk.resting_ids = [1, 2, 4].into_iter().filter_map(UserId::new).collect();
    world.crash();
    for (at, expected) in [(0, 3), (1, 5), (2, 6)] {
        let mut person = Person::new(at);
        person.register(&mut world);
        assert_eq!(person.id, UserId::new(expected));
    }
}

#[test]
fn ids_go_round_after_the_last_and_the_full_server_says_so() {
    let mut world = world();
    let resting = |range: std::ops::RangeInclusive<u16>| range.filter_map(UserId::new).collect();
    world.disk.resting_ids = resting(1..=65_534);
    world.crash();
    let mut last = Person::new(0);
    last.register(&mut world);
    assert_eq!(last.id, UserId::new(65_535));

    world.disk.resting_ids = resting(2..=65_534);
    world.crash();
    let mut wrapped = Person::new(1);
    wrapped.register(&mut world);
    assert_eq!(wrapped.id, UserId::new(1));

    let (mut late, code) = asked(&mut world, 2);
    let said = prove(&mut world, &mut late, &code);
    assert_eq!(said.code(), Some(ErrorCode::ServerFull));
    wrapped.ask(&mut world, KeyQuestion::ById(wrapped.id()));
    assert!(matches!(wrapped.hear(&mut world)[..], [Said::Key(_)]));
}

#[test]
fn a_100_or_101_that_names_a_sender_or_a_recipient_is_malformed() {
    for [sender, recipient] in [[1, 0], [0, 1], [1, 1]] {
        let mut world = world();
        let mut ann = Person::<RustCrypto>::new(0);
        let whole = ann.request(&mut world);
        let block = &whole[packets::header(0, 0, world.now.unix, 100, 0).len()..][..256];
        let request = packets::unsigned(sender, recipient, world.now.unix, 100, block);
        ann.conn = world.connect();
        world.send(ann.conn, &packets::zero_signed(request));
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::Malformed]);
        assert!(world.codes.is_empty());

        let code = ask(&mut world, &mut ann);
        let whole = ann.proof(&mut world, &code);
        let payload = &whole[packets::header(0, 0, world.now.unix, 101, 0).len()..][..256 + 294];
        let proof = ann.packet_as(&mut world, sender, recipient, 101, payload);
        ann.conn = world.connect();
        world.send(ann.conn, &proof);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::Malformed]);
        assert_eq!(prove(&mut world, &mut ann, &code), OFFERED, "the code is still good");
    }
}

fn limited_to(open: bool, countries: &[&str]) -> Config {
    let countries = countries.iter().map(|country| country.parse().unwrap()).collect();
    let registration = RegistrationPolicy::new(open, countries, None).unwrap();
    Config { registration, ..Config::default() }
}

#[test]
fn a_phone_of_another_country_is_refused_before_a_code_or_a_limit_of_phones() {
    let mut world = World::new(limited_to(true, &["+1", "+44"]));
    let mut ann = Person::<RustCrypto>::new(0);
    let codes_left = world.reports()[0].codes_left;
    ann.conn = world.connect();
    let request = ann.request(&mut world);
    world.send(ann.conn, &request);
    let packet = Some(packets::id_of(&request));
    let no = No { code: ErrorCode::BadPhone, op: 100, retry_after_s: 0, packet };
    assert_eq!(ann.hear_one(&mut world), Said::Refused(no));
    assert!(world.is_closed(ann.conn) && world.codes.is_empty());
    assert_eq!(world.reports()[0].codes_left, codes_left);
    let phone = Phone::parse(b"+15550001111").unwrap();
    let mut ben = Person { phone, ..Person::<RustCrypto>::new(1) };
    ben.register(&mut world);
    // The three codes of this hour are still Ann's, once her country is served.
    world.config = Config::default();
    world.crash();
    for attempt in 0..3 {
        ann.reply_key = ReplyKey::from_bytes(&[0x40 + attempt; 32]);
        ask(&mut world, &mut ann);
    }
}

#[test]
fn a_closed_server_takes_nobody_new_and_everybody_who_is_there() {
    let mut world = World::new(Config::default());
    let mut ann = Person::new(0);
    ann.register(&mut world);
    world.config = limited_to(false, &[]);
    world.crash();
    let mut ben = Person::<RustCrypto>::new(1);
    ben.conn = world.connect();
    let request = ben.request(&mut world);
    world.send(ben.conn, &request);
    assert_eq!(ben.hear_one(&mut world).code(), Some(ErrorCode::BadPhone));
    // Who has the account is told so, proves it by its key, and comes back.
    ann.conn = world.connect();
    let request = ann.request(&mut world);
    world.send(ann.conn, &request);
    assert_eq!(ann.hear_one(&mut world), Said::PhoneTaken);
    assert_eq!(prove(&mut world, &mut ann, b"000000"), OFFERED);
}

#[test]
fn a_proof_of_a_phone_that_may_not_register_is_refused_as_its_request_is() {
    let mut world = Sim::<Paper>::new(limited_to(false, &[]));
    let mut ann = Person::new(0);
    // It comes before the code, and so says nothing of one.
    let said = prove(&mut world, &mut ann, b"000000");
    assert_eq!(said.code(), Some(ErrorCode::BadPhone));
}

#[test]
fn while_no_code_goes_out_whoever_asks_is_told_when_to_come_back_and_loses_nothing() {
    let mut world = Sim::<Paper>::new(Config::default());
    let mut ann = Person::new(0);
    let codes_left = world.reports()[0].codes_left;
    let until = world.now.instant.after(Duration::from_secs(30));
    world.turn(ShardId::REGISTRAR, |server, _| server.set_codes_rest_until(Some(until)));
    world.wait(Duration::from_millis(10_500));
    ann.conn = world.connect();
    let request = ann.request(&mut world);
    world.send(ann.conn, &request);
    let packet = Some(packets::id_of(&request));
    let no = No { code: ErrorCode::Busy, op: 100, retry_after_s: 20, packet };
    assert_eq!(ann.hear_one(&mut world), Said::Refused(no));
    let report = world.reports()[0];
    assert_eq!((report.codes_left, report.codes.held_back), (codes_left, 1));
    assert!(world.codes.is_empty());
    world.wait(Duration::from_millis(19_500));
    // Three codes an hour are for this phone from here, and all of them are left.
    for attempt in 0..3 {
        ann.reply_key = ReplyKey::from_bytes(&[0x40 + attempt; 32]);
        ask(&mut world, &mut ann);
    }
}
