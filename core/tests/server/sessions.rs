//! From a registered user to a session, and who has it.

use waxwing_core::crypto::{PrivateKey, RSA_LEN, RustCrypto, SessionKey};
use waxwing_core::limits::{MAX_CONTROL_PACKET, MAX_SEALED_MESSAGE};
use waxwing_core::server::{Config, Event};
use waxwing_core::wire::{CloseReason, ErrorCode, KeyQuestion, Op, ReconnectForm};

use waxwing_testkit::backend::{Backend, Paper, Work};
use waxwing_testkit::packets::{self, NOBODY};
use waxwing_testkit::person::{No, Person, Said};
use waxwing_testkit::world::{SERVER_KEY, Sim, World};

const OFFERED: Said = Said::SessionOffered(Op::SessionRenewed);
const TAKEN_OVER: Said = Said::Closed(CloseReason::TakenOver);

fn two() -> (World, [Person<RustCrypto>; 2]) {
    World::populated(Config::default())
}

/// The same person with another connection to come.
fn twin(of: &Person<RustCrypto>, at: usize) -> Person<RustCrypto> {
    let mut twin = Person::new(at);
    twin.id = of.id;
    twin
}

fn knock_with(world: &mut World, person: &mut Person<RustCrypto>, request: &[u8]) -> Vec<Said> {
    person.conn = world.connect();
    world.send(person.conn, request);
    person.hear(world)
}

#[test]
fn a_user_reconnects_and_is_told_that_nothing_is_pending() {
    let (mut world, [mut ann, _]) = two();
    ann.come_to_nothing(&mut world);
    assert_eq!(world.session_count(), 1);
    let confirmed = Event::SessionConfirmed { user: ann.id(), conn: ann.conn };
    assert!(world.events.contains(&confirmed));
    world.hang_up(ann.conn);
    assert_eq!(world.session_count(), 0);
    let ended = Event::SessionEnded { user: ann.id(), reason: None };
    assert_eq!(world.events.last(), Some(&ended));
}

#[test]
fn only_the_confirmation_may_follow_an_offer() {
    let (mut world, [mut ann, ben]) = two();
    let others = [
        ann.long(&mut world),
        ann.proof(&mut world, b"123456"),
        ann.request(&mut world),
        ann.letter(&mut world, ben.id(), b"early"),
    ];
    for other in others {
        ann.knock(&mut world);
        world.send(ann.conn, &other);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::UnexpectedOp]);
        assert!(ann.is_closed(&world));
    }
    for (op, content) in [(Op::KeyQuestion, &[1, 1, 0][..]), (Op::Close, &[1])] {
        ann.knock(&mut world);
        let early = ann.sealed(&mut world, op, content);
        world.send(ann.conn, &early);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::UnexpectedOp]);
        assert!(ann.is_closed(&world));
    }
    for (kind, code) in [
        (&[1, 0, 0][..], ErrorCode::UnexpectedOp),
        (&[2, 1, 0, 2, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7], ErrorCode::UnexpectedOp),
        (&[2, 0, 0], ErrorCode::Malformed),
        (&[0, 0], ErrorCode::Malformed),
        (&[0, 129], ErrorCode::Malformed),
        (&[0, 1, 1], ErrorCode::Malformed),
        (&[3], ErrorCode::Malformed),
    ] {
        ann.knock(&mut world);
        let other = ann.sealed(&mut world, Op::Acknowledgment, kind);
        world.send(ann.conn, &other);
        assert_eq!(ann.hear_refusals(&mut world), [code], "{kind:?}");
        assert!(ann.is_closed(&world));
    }
    assert_eq!(world.session_count(), 0);
    assert!(world.disk.users().all(|user| user.session_key.is_none()));
}

#[test]
fn a_mangled_confirmation_is_a_bad_sequence() {
    let (mut world, [mut ann, ben]) = two();
    for mangle in 0..5 {
        ann.knock(&mut world);
        let good = ann.confirmation(&mut world, 8);
        let bad = match mangle {
            0 => packets::flipped(&good, good.len() - 1),
            1 => packets::flipped(&good, 26),
            // Signed and wrongly padded.
            2 => ann.packet(&mut world, 203, &[7; 48]),
            // Signed by another.
            3 => packets::sign(good[..good.len() - 256].to_vec(), &ben.key, &mut world.rng),
            // The second seq.
            _ => ann.confirmation(&mut world, 8),
        };
        world.send(ann.conn, &bad);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::BadSequence], "{mangle}");
        assert!(ann.is_closed(&world));
    }
}

#[test]
fn a_confirmation_under_another_id_is_malformed() {
    let (mut world, [mut ann, ben]) = two();
    for (sender, recipient) in [(ben.id().get(), NOBODY), (1, 1), (NOBODY, NOBODY)] {
        ann.knock(&mut world);
        let payload = ann.seal_up(&mut world, &[0, 8]);
        let bad = ann.packet_as(&mut world, sender, recipient, 203, &payload);
        world.send(ann.conn, &bad);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::Malformed]);
        assert!(ann.is_closed(&world));
    }
}

#[test]
fn before_the_confirmation_nothing_is_routed_and_nobody_displaced() {
    let (mut world, [mut ann, mut ben]) = two();
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    let key = world.disk.users().find(|user| user.id == ann.id()).unwrap().session_key;

    let mut impostor = twin(&ann, 0);
    impostor.knock(&mut world);
    let letter = ben.send(&mut world, ann.id(), b"for ann alone");
    assert_eq!(impostor.hear(&mut world), []);
    assert_eq!(ann.hear_letters(&mut world), [letter]);
    assert!(!ann.is_closed(&world));
    assert_eq!(world.disk.users().find(|user| user.id == ann.id()).unwrap().session_key, key);
}

#[test]
fn a_newer_session_takes_over_and_the_older_counts_for_nothing() {
    let (mut world, [mut ann, mut ben]) = two();
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    let letter = ben.send(&mut world, ann.id(), b"unacknowledged");
    assert_eq!(ann.hear_letters(&mut world), [letter.clone()]);

    let mut newer = twin(&ann, 0);
    newer.come(&mut world, 8);
    assert_eq!(ann.hear(&mut world), [TAKEN_OVER]);
    assert!(ann.is_closed(&world));
    ann.acknowledge(&mut world, &[packets::id_of(&letter)]);
    assert_eq!(world.disk.pending(ann.id()).len(), 1);
    assert_eq!(newer.hear(&mut world), [Said::Letter(letter), Said::BacklogEnd(1)]);
    assert_eq!(world.session_count(), 2);
}

#[test]
fn a_confirmation_is_refused_when_a_higher_issue_is_confirmed() {
    let (mut world, [mut ann, _]) = two();
    ann.knock(&mut world);
    let mut newer = twin(&ann, 0);
    newer.come_to_nothing(&mut world);
    ann.confirm(&mut world, 8);
    assert_eq!(ann.hear(&mut world), [TAKEN_OVER]);
    assert!(ann.is_closed(&world));
    assert!(!newer.is_closed(&world));

    // Also when that session is over.
    let mut late = twin(&ann, 0);
    late.knock(&mut world);
    let mut newest = twin(&ann, 0);
    newest.come_to_nothing(&mut world);
    newest.leave(&mut world);
    late.confirm(&mut world, 8);
    assert_eq!(late.hear(&mut world), [TAKEN_OVER]);
}

#[test]
fn of_two_that_confirm_in_one_turn_the_higher_issue_stays() {
    for older_first in [true, false] {
        let (mut world, [mut older, _]) = two();
        let mut newer = twin(&older, 0);
        older.knock(&mut world);
        newer.knock(&mut world);
        let mut both = [
            (older.conn, older.confirmation(&mut world, 8)),
            (newer.conn, newer.confirmation(&mut world, 8)),
        ];
        if !older_first {
            both.reverse();
        }
        world.send_all(&both);
        assert_eq!(older.hear(&mut world), [TAKEN_OVER]);
        assert!(older.is_closed(&world));
        assert_eq!(newer.hear(&mut world), [Said::BacklogEnd(0)]);
        assert!(!newer.is_closed(&world));
    }
}

#[test]
fn a_replayed_106_is_closed_without_a_word_and_harms_nobody() {
    let (mut world, [mut ann, mut ben]) = two();
    ben.come_to_nothing(&mut world);
    ann.conn = world.connect();
    let recorded = ann.long(&mut world);
    world.send(ann.conn, &recorded);
    assert_eq!(ann.hear(&mut world), [OFFERED]);
    ann.confirm(&mut world, 8);
    assert_eq!(ann.hear(&mut world), [Said::BacklogEnd(0)]);

    for seconds in [0, 1, 60] {
        world.wait_s(seconds);
        let stranger = world.connect();
        world.send(stranger, &recorded);
        assert!(world.is_closed(stranger));
        assert!(world.bytes(stranger).is_empty());
        assert!(world.events.contains(&Event::ReplayedReconnect { conn: stranger }));
        let letter = ben.send(&mut world, ann.id(), b"still there?");
        assert_eq!(ann.hear_letters(&mut world), [letter.clone()]);
        ann.acknowledge(&mut world, &[packets::id_of(&letter)]);
    }
    assert!(world.disk.pending(ann.id()).is_empty());
}

#[test]
fn a_106_replayed_after_a_restart_gets_a_206_and_nothing_more() {
    let (mut world, [mut ann, mut ben]) = two();
    ann.conn = world.connect();
    let recorded = ann.long(&mut world);
    world.send(ann.conn, &recorded);
    world.crash();

    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    let stranger = world.connect();
    world.send(stranger, &recorded);
    assert_eq!(world.packets(stranger).len(), 1);
    let letter = ben.send(&mut world, ann.id(), b"for ann alone");
    assert_eq!(ann.hear_letters(&mut world), [letter]);
    assert!(world.bytes(stranger).is_empty());
    world.wait_s(60);
    assert!(world.is_closed(stranger));
    assert!(!ann.is_closed(&world));
}

#[test]
fn a_206_lost_on_the_way_locks_nobody_out() {
    let (mut world, [mut ann, _]) = two();
    ann.come_to_nothing(&mut world);
    let confirmed = ann.seal.clone().unwrap();
    world.hang_up(ann.conn);
    for _ in 0..3 {
        ann.conn = world.connect();
        let request = ann.long(&mut world);
        world.send(ann.conn, &request);
        world.hang_up(ann.conn);
        world.bytes(ann.conn);
    }
    let short = ann.short_under(&mut world, confirmed.key());
    assert_eq!(knock_with(&mut world, &mut ann, &short), [OFFERED]);
    ann.confirm(&mut world, 8);
    assert_eq!(ann.hear(&mut world), [Said::BacklogEnd(0)]);
}

#[test]
fn the_short_form_works_after_a_confirmation_and_after_a_restart() {
    let (mut world, [mut ann, _]) = two();
    ann.come_to_nothing(&mut world);
    for _ in 0..3 {
        let short = ann.short(&mut world);
        assert_eq!(knock_with(&mut world, &mut ann, &short), [OFFERED]);
        ann.confirm(&mut world, 8);
        assert_eq!(ann.hear(&mut world), [Said::BacklogEnd(0)]);
        world.crash();
    }
}

#[test]
fn without_a_key_to_open_the_short_form_the_long_one_follows_on_the_same_connection() {
    for case in 0..3 {
        let (mut world, [mut ann, _]) = two();
        let key = match case {
            // Never confirmed.
            0 => SessionKey::from_bytes(&[9; 32]),
            // Wrapped under the key of another server file.
            1 => {
                ann.come_to_nothing(&mut world);
                world.other_wrap_key = true;
                world.crash();
                ann.seal.clone().unwrap().key().clone()
            }
            // Another than the last.
            _ => {
                ann.come_to_nothing(&mut world);
                SessionKey::from_bytes(&[9; 32])
            }
        };
        let short = ann.short_under(&mut world, &key);
        let said = knock_with(&mut world, &mut ann, &short);
        let packet = Some(packets::id_of(&short));
        let no = No { code: ErrorCode::SessionUnknown, op: 106, retry_after_s: 0, packet };
        assert_eq!(said, [Said::Refused(no)]);
        assert!(!ann.is_closed(&world));
        world.wait_s(14);
        let long = ann.long(&mut world);
        world.send(ann.conn, &long);
        assert_eq!(ann.hear(&mut world), [OFFERED]);
        ann.confirm(&mut world, 8);
        assert_eq!(ann.hear(&mut world), [Said::BacklogEnd(0)]);
    }
}

#[test]
fn after_session_unknown_the_client_has_its_time_again() {
    let (mut world, [mut ann, _]) = two();
    let short = ann.short_under(&mut world, &SessionKey::from_bytes(&[9; 32]));
    ann.conn = world.connect();
    world.wait_s(14);
    world.send(ann.conn, &short);
    world.wait_s(14);
    assert!(!ann.is_closed(&world));
    world.wait_s(1);
    assert!(ann.is_closed(&world));
}

#[test]
fn an_unknown_id_is_answered_like_a_bad_signature_in_bytes_that_all_share() {
    let (mut world, [mut ann, mut ben]) = two();
    let good = ann.long(&mut world);
    let bad = packets::flipped(&good, good.len() - 1);
    ben.id = waxwing_core::id::UserId::new(500);
    let unknown = ben.long(&mut world);
    let mut short = ben.short_under(&mut world, &SessionKey::from_bytes(&[9; 32]));
    short[300] ^= 1;
    let mut answers = Vec::new();
    for packet in [&bad, &unknown, &short, &bad] {
        let conn = world.connect();
        world.send(conn, packet);
        assert!(world.is_closed(conn));
        answers.push(world.bytes(conn));
    }
    assert!(answers.iter().all(|bytes| *bytes == answers[0]));
    ann.conn = world.connect();
    world.send(ann.conn, &bad);
    let no = No { code: ErrorCode::BadSignature, op: 0, retry_after_s: 0, packet: None };
    assert_eq!(ann.hear(&mut world), [Said::Refused(no)]);

    world.wait_s(1);
    let later = world.connect();
    world.send(later, &bad);
    assert_ne!(world.bytes(later), answers[0], "signed anew after a second");
}

#[test]
fn an_unknown_id_costs_the_same_work_as_a_bad_signature() {
    let (mut world, [mut ann, ben]) = Sim::<Paper>::populated(Config::default());
    // The keys of those who are here have been parsed, and that of the others has not.
    ann.come_to_nothing(&mut world);
    let server = *Paper::key(SERVER_KEY).spki().modulus();
    let mut higher = server;
    higher[255] = 0xff;
    let signatures = [[7; 256], [0; 256], [0xff; 256], server, higher, *ben.spki().modulus()];
    for signature in signatures {
        let mut work = |id: u16, payload: &[u8]| {
            let mut request = ben.packet_as(&mut world, id, 0, 106, payload);
            *request.last_chunk_mut().unwrap() = signature;
            let conn = world.connect();
            Work::since_last_look();
            world.send(conn, &request);
            assert!(world.is_closed(conn));
            Work::since_last_look()
        };
        for payload in [&[7; 256][..], &[7; 48]] {
            let of = [ann.id().get(), ben.id().get(), 500, u16::MAX].map(|id| work(id, payload));
            assert_eq!(of, [Work { keys: 1, signatures: 1 }; 4], "{:?}", &signature[..4]);
        }
    }
}

#[test]
fn a_106_that_does_not_open_is_malformed_and_shared() {
    let (mut world, [mut ann, mut ben]) = two();
    let mut answers = Vec::new();
    for person in [&mut ann, &mut ben] {
        let payload = [0xab; 256];
        let bad = person.packet(&mut world, 106, &payload);
        person.conn = world.connect();
        world.send(person.conn, &bad);
        assert!(person.is_closed(&world));
        answers.push(world.bytes(person.conn));
    }
    assert!(!answers[0].is_empty());
    assert_eq!(answers[0], answers[1]);
    for len in [0, 47, 49, 255, 257] {
        let bad = ann.packet(&mut world, 106, &vec![1; len]);
        assert_eq!(knock_with(&mut world, &mut ann, &bad), [refused(ErrorCode::Malformed)]);
    }
}

fn refused(code: ErrorCode) -> Said {
    Said::Refused(No { code, op: 0, retry_after_s: 0, packet: None })
}

#[test]
fn the_device_that_was_overtaken_can_come_back() {
    let (mut world, [mut ann, _]) = two();
    let mut other = twin(&ann, 0);
    for _ in 0..2 {
        ann.come_to_nothing(&mut world);
        other.come_to_nothing(&mut world);
        assert_eq!(ann.hear(&mut world), [TAKEN_OVER]);
    }
    ann.come_to_nothing(&mut world);
    assert_eq!(other.hear(&mut world), [TAKEN_OVER]);
}

#[test]
fn a_clock_of_1970_does_not_keep_anybody_out() {
    let (mut world, [mut ann, _]) = two();
    let real = world.now.unix;
    world.now.unix = waxwing_core::time::UnixTime::from_seconds(0);
    let request = ann.long(&mut world);
    world.now.unix = real;
    assert_eq!(knock_with(&mut world, &mut ann, &request), [OFFERED]);
}

#[test]
fn a_failed_seal_in_a_session_is_a_bad_sequence_that_ends_it() {
    let (mut world, [mut ann, ben]) = two();
    for mangle in 0..6 {
        ann.come_to_nothing(&mut world);
        let question = KeyQuestion::ByPhone(ben.phone);
        let good = ann.question(&mut world, question);
        let bad = match mangle {
            0 => packets::flipped(&good, good.len() - 1),
            1 => packets::flipped(&good, 30),
            2 => ann.packet(&mut world, 105, &[7; 48]),
            3 => ann.packet(&mut world, 105, &[7; 47]),
            4 => ann.packet(&mut world, 105, &[]),
            // A seq is skipped.
            _ => ann.question(&mut world, question),
        };
        world.send(ann.conn, &bad);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::BadSequence], "{mangle}");
        assert!(ann.is_closed(&world));
    }
}

#[test]
fn a_seq_is_used_once() {
    let (mut world, [mut ann, ben]) = two();
    ann.come_to_nothing(&mut world);
    let question = ann.question(&mut world, KeyQuestion::ByPhone(ben.phone));
    world.send(ann.conn, &question);
    assert!(matches!(ann.hear(&mut world)[..], [Said::Key(_)]));
    world.send(ann.conn, &question);
    assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::BadSequence]);
    assert!(ann.is_closed(&world));
}

#[test]
fn what_is_too_long_for_a_seal_is_refused_at_its_header() {
    let (mut world, [mut ann, _]) = two();
    ann.come_to_nothing(&mut world);
    let header = packets::header(1, NOBODY, world.now.unix, 203, 2_049);
    world.send(ann.conn, &header);
    assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::BadSequence]);
    assert!(ann.is_closed(&world));
}

#[test]
fn a_second_confirmation_is_unexpected() {
    let (mut world, [mut ann, _]) = two();
    ann.come_to_nothing(&mut world);
    ann.confirm(&mut world, 8);
    assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::UnexpectedOp]);
    assert!(ann.is_closed(&world));
}

#[test]
fn sessions_confirmed_within_a_moment_share_a_commit_and_it_comes_soon() {
    let (mut world, mut people) = World::populate_shards(Config::default(), 7, 3, 1);
    people.iter_mut().for_each(|person| person.knock(&mut world));
    let before = world.disk.commits;
    for person in &mut people {
        let confirmation = person.confirmation(&mut world, 8);
        world.deliver(&[(person.conn, confirmation)]);
    }
    world.settle();
    assert_eq!(world.disk.commits, before + 1);
    // The keys are there: the short form works after a restart.
    world.crash();
    for person in &mut people {
        let short = person.short(&mut world);
        assert_eq!(knock_with(&mut world, person, &short), [OFFERED]);
    }
}

#[test]
fn a_106_that_names_a_recipient_is_malformed() {
    let (mut world, [mut ann, ben]) = World::populated(Config::default());
    ann.conn = world.connect();
    let long = ann.long(&mut world);
    let block = &long[packets::header(0, 0, world.now.unix, 106, 0).len()..][..256];
    let packet = ann.packet_as(&mut world, ann.id().get(), ben.id().get(), 106, block);
    world.send(ann.conn, &packet);
    assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::Malformed]);
    ann.come_to_nothing(&mut world);
}

#[test]
fn a_sealed_packet_of_the_largest_size_is_read() {
    let (mut world, [mut ann, _]) = Sim::<Paper>::online(Config::default());
    let packet = ann.sealed(&mut world, Op::Acknowledgment, &[0xff; MAX_SEALED_MESSAGE]);
    assert_eq!(packet.len(), MAX_CONTROL_PACKET);
    world.send(ann.conn, &packet);
    // It is not refused for its size, but for what is in it.
    assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::Malformed]);
}

#[test]
fn a_106_whose_header_or_length_is_wrong_is_malformed() {
    let (mut world, [ann, ben]) = Sim::<Paper>::populated(Config::default());
    let (own, other) = (ann.id().get(), ben.id().get());
    for (sender, recipient, len) in [
        (NOBODY, NOBODY, RSA_LEN),
        (own, other, RSA_LEN),
        (NOBODY, other, ReconnectForm::SHORT_LEN),
        (own, NOBODY, RSA_LEN - 1),
        (own, NOBODY, ReconnectForm::SHORT_LEN + 1),
    ] {
        let mut conn = Person::with_key(0, ann.key.clone());
        conn.conn = world.connect();
        let op = Op::ReconnectRequest.code();
        // A request that would be answered, if its header were right and it were not cut or padded.
        let mut request = ann.oaep(&mut world, Op::ReconnectRequest, &[7; 16]).to_vec();
        request.resize(len, 7);
        let packet = ann.packet_as(&mut world, sender, recipient, op, &request);
        world.send(conn.conn, &packet);
        let refused = conn.hear_refusals(&mut world);
        assert_eq!(refused, [ErrorCode::Malformed], "{sender} {recipient} {len}");
    }
}
