//! Storage that does not answer: nothing is lost, nothing is promised, and it heals by itself.

use std::time::Duration;

use waxwing_core::crypto::RustCrypto;
use waxwing_core::server::{Config, Event};
use waxwing_core::wire::{CloseReason, ErrorCode, KeyQuestion, Op, Status};

use waxwing_testkit::packets::id_of;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::World;

#[test]
fn a_letter_that_cannot_be_stored_is_refused_and_welcome_again() {
    let (mut world, [mut ann, mut ben, _]) = World::online(Config::default());
    world.disk.refuses_writes = true;
    let letter = ann.letter(&mut world, ben.id(), b"patience");
    for attempt in 0..3 {
        world.send(ann.conn, &letter);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::StorageUnavailable]);
        // Once storage is known to be in trouble, nothing goes out that it has not taken.
        assert_eq!(ben.hear_letters(&mut world).len(), usize::from(attempt == 0));
    }
    assert!(world.events.contains(&Event::StorageUnavailable));
    world.disk.refuses_writes = false;
    world.send(ann.conn, &letter);
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
    assert_eq!(ben.hear_letters(&mut world), [letter]);
}

#[test]
fn a_damaged_letter_costs_itself_alone_and_its_sender_is_told() {
    let mut config = Config::default();
    config.mailbox.pair_letters = 3;
    let (mut world, [mut ann, mut ben]) = World::populated(config);
    ann.come_to_nothing(&mut world);
    let letters = [b"1", b"2", b"3"].map(|text| ann.send(&mut world, ben.id(), text));
    assert_eq!(ann.hear(&mut world).len(), 3);
    world.disk.damaged.insert(id_of(&letters[1]));
    ben.come(&mut world, 128);
    let [first, _, third] = letters.clone().map(Said::Letter);
    assert_eq!(ben.hear(&mut world), [first, third, Said::BacklogEnd(2)]);
    assert_eq!(ann.hear(&mut world), [Said::Fate(id_of(&letters[1]), Status::Expired)]);
    // There is room for one more, and for no more than that.
    let more = [b"4", b"5"].map(|text| ann.send(&mut world, ben.id(), text));
    let said = ann.hear(&mut world);
    assert!(said.contains(&Said::stored(&more[0])), "{said:?}");
    assert!(matches!(said[..], [_, Said::Refused(_)]), "{said:?}");
    ben.leave(&mut world);
    // One that is the last of its mailbox leaves an empty one.
    let (mut world, [mut ann, mut ben]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    let letter = ann.send(&mut world, ben.id(), b"alone");
    world.disk.damaged.insert(id_of(&letter));
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
    ben.come_to_nothing(&mut world);
    assert_eq!(ann.hear(&mut world), [Said::Fate(id_of(&letter), Status::Expired)]);
    let next = ann.send(&mut world, ben.id(), b"next");
    assert_eq!(ben.hear_letters(&mut world), [next]);
}

#[test]
fn what_could_not_be_stored_takes_no_room_in_the_mailbox() {
    let mut config = Config::default();
    config.mailbox.pair_letters = 1;
    let (mut world, [mut ann, ben]) = World::populated(config);
    ann.come_to_nothing(&mut world);
    world.disk.refuses_writes = true;
    for n in 0..3 {
        ann.send(&mut world, ben.id(), &[n]);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::StorageUnavailable]);
    }
    world.disk.refuses_writes = false;
    let letter = ann.send(&mut world, ben.id(), b"fits");
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
}

#[test]
fn copies_of_a_letter_that_fails_are_all_answered_by_one_refusal() {
    let (mut world, [mut ann, ben, _]) = World::online(Config::default());
    world.disk.held = true;
    let letter = ann.letter(&mut world, ben.id(), b"thrice");
    for _ in 0..3 {
        world.send(ann.conn, &letter);
    }
    world.disk.refuses_writes = true;
    world.release();
    assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::StorageUnavailable]);
    ann.leave(&mut world);
    assert_eq!(ann.hear(&mut world), [Said::Closed(CloseReason::Leaving)]);
}

#[test]
fn an_acknowledgment_is_kept_and_tried_again() {
    let (mut world, [mut ann, mut ben, _]) = World::online(Config::default());
    let letter = ann.send(&mut world, ben.id(), b"held");
    world.disk.refuses_writes = true;
    ben.acknowledge(&mut world, &[id_of(&letter)]);
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter), Said::delivered(&letter)]);
    world.wait_s(30);
    assert_eq!(world.disk.pending(ben.id()).len(), 1);
    world.disk.refuses_writes = false;
    world.wait_s(1);
    assert!(world.disk.pending(ben.id()).is_empty());
}

#[test]
fn a_letter_that_is_acknowledged_before_it_is_known_whether_it_is_stored_is_deleted_in_the_end() {
    for has_happened in [true, false] {
        let (mut world, [mut ann, mut ben, _]) = World::online(Config::default());
        world.disk.next_is_unclear = Some(has_happened);
        let letter = ann.send(&mut world, ben.id(), b"unclear");
        assert_eq!(ben.hear_letters(&mut world), [letter.clone()]);
        world.wait_s(1);
        assert!(world.disk.is_unclear());
        ben.acknowledge(&mut world, &[id_of(&letter)]);
        assert_eq!(ann.hear(&mut world), [Said::delivered(&letter)]);
        // Storage refuses to delete it before it says how the batch has ended that stores it.
        world.wait_s(30);
        assert_eq!(world.disk.pending(ben.id()).len(), usize::from(has_happened));
        world.disk.clear_up();
        world.release();
        world.wait_s(2);
        assert!(world.disk.pending(ben.id()).is_empty());
        assert_eq!(world.pending_from(ann.id()), (0, 0));
        assert_eq!(ann.hear(&mut world), []);
    }
}

#[test]
fn what_waits_to_be_deleted_is_not_handed_over_again_and_counted_out_once() {
    let mut config = Config::default();
    config.mailbox.pair_letters = 2;
    let (mut world, [mut ann, mut ben]) = World::populated(config);
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    let first = ann.send(&mut world, ben.id(), b"1");
    let second = ann.send(&mut world, ben.id(), b"2");
    world.disk.refuses_writes = true;
    ben.acknowledge(&mut world, &[id_of(&first)]);
    ben.come(&mut world, 8);
    assert_eq!(ben.hear(&mut world), [Said::Letter(second.clone()), Said::BacklogEnd(1)]);
    ben.acknowledge(&mut world, &[id_of(&first)]);
    world.disk.refuses_writes = false;
    world.wait_s(2);
    assert_eq!(world.disk.pending(ben.id()), [id_of(&second)]);
    ben.ask(&mut world, KeyQuestion::ById(ann.id()));
    assert!(matches!(ben.hear(&mut world)[..], [Said::Key(_)]), "one letter is left");
    let third = ann.send(&mut world, ben.id(), b"3");
    ann.hear(&mut world);
    let fourth = ann.send(&mut world, ben.id(), b"4");
    assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::MailboxFull]);
    assert_ne!(third, fourth);
}

#[test]
fn what_waits_to_be_deleted_holds_up_nothing_behind_it() {
    let (mut world, [mut ann, mut ben]) = World::online(Config::default());
    let letters = [b"1", b"2", b"3"].map(|text| ann.send(&mut world, ben.id(), text));
    world.disk.refuses_writes = true;
    ben.acknowledge(&mut world, &[id_of(&letters[0]), id_of(&letters[1])]);
    // One at a time: each of the first two is all that a question to storage brings.
    ben.come(&mut world, 1);
    assert_eq!(ben.hear(&mut world), [Said::Letter(letters[2].clone()), Said::BacklogEnd(1)]);
}

#[test]
fn leaving_waits_until_what_was_acknowledged_is_deleted() {
    let (mut world, [mut ann, mut ben, _]) = World::online(Config::default());
    let letter = ann.send(&mut world, ben.id(), b"held");
    ben.hear(&mut world);
    world.disk.refuses_writes = true;
    ben.acknowledge(&mut world, &[id_of(&letter)]);
    ben.leave(&mut world);
    assert!(!ben.is_closed(&world));
    world.disk.refuses_writes = false;
    world.wait_s(1);
    assert_eq!(ben.hear(&mut world), [Said::Closed(CloseReason::Leaving)]);
    assert!(world.disk.pending(ben.id()).is_empty());
}

#[test]
fn a_confirmation_that_cannot_be_stored_opens_the_session_all_the_same() {
    let (mut world, [mut ann, _]) = World::populated(Config::default());
    world.disk.refuses_writes = true;
    ann.come_to_nothing(&mut world);
    let key = |world: &World| world.disk.users().next().unwrap().session_key;
    assert_eq!(key(&world), None);
    world.disk.refuses_writes = false;
    world.wait_s(1);
    assert!(key(&world).is_some());
    world.crash();
    let short = ann.short(&mut world);
    ann.conn = world.connect();
    world.send(ann.conn, &short);
    assert_eq!(ann.hear(&mut world), [Said::SessionOffered(Op::SessionRenewed)]);
}

#[test]
fn an_older_session_key_never_overwrites_a_newer_one() {
    let (mut world, [mut ann, _]) = World::populated(Config::default());
    world.disk.refuses_writes = true;
    ann.come_to_nothing(&mut world);
    world.disk.refuses_writes = false;
    ann.come_to_nothing(&mut world);
    world.wait_s(5);
    world.crash();
    let short = ann.short(&mut world);
    ann.conn = world.connect();
    world.send(ann.conn, &short);
    assert_eq!(ann.hear(&mut world), [Said::SessionOffered(Op::SessionRenewed)]);
}

#[test]
fn a_mailbox_that_cannot_be_counted_refuses_what_needs_its_count() {
    let (mut world, [mut ann, mut ben, cat]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    for recipient in [&ben, &cat] {
        ann.send(&mut world, recipient.id(), b"to be counted");
    }
    world.crash();
    ann.come_to_nothing(&mut world);
    world.disk.refuses_questions = true;
    let letter = ann.letter(&mut world, cat.id(), b"to an unknown mailbox");
    for _ in 0..2 {
        world.send(ann.conn, &letter);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::StorageUnavailable]);
    }
    ben.come(&mut world, 8);
    ben.ask(&mut world, KeyQuestion::ById(cat.id()));
    let said = ben.hear(&mut world);
    assert_eq!(said.last().unwrap().code(), Some(ErrorCode::StorageUnavailable));

    world.disk.refuses_questions = false;
    world.send(ann.conn, &letter);
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
    ben.ask(&mut world, KeyQuestion::ById(cat.id()));
    let codes: Vec<_> = ben.hear(&mut world).iter().filter_map(Said::code).collect();
    assert_eq!(codes, [ErrorCode::UnknownUser]);
}

#[test]
fn a_mailbox_that_is_counted_while_letters_go_counts_right() {
    for in_one_turn in [true, false] {
        counted_while_letters_go(in_one_turn);
    }
}

/// Of a mailbox with a letter that storage would not delete the counters are too high. Once it is
/// gone they are forgotten, and learnt again when they are needed.
fn have_counters_forgotten(world: &mut World, owner: &mut Person<RustCrypto>, letter: &[u8]) {
    world.disk.refuses_writes = true;
    owner.acknowledge(world, &[id_of(letter)]);
    world.disk.refuses_writes = false;
    world.wait_s(2);
}

fn counted_while_letters_go(in_one_turn: bool) {
    let (mut world, [mut ann, mut ben, _]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    let zeroth = ann.send(&mut world, ben.id(), b"0");
    let first = ann.send(&mut world, ben.id(), b"1");
    let second = ann.send(&mut world, ben.id(), b"2");
    ben.come(&mut world, 8);
    have_counters_forgotten(&mut world, &mut ben, &zeroth);
    // The next letter has them counted, and one is acknowledged meanwhile.
    world.disk.held = true;
    let third = ann.letter(&mut world, ben.id(), b"3");
    let held = ben.held(&mut world, &[id_of(&first)]);
    if in_one_turn {
        world.send_all(&[(ann.conn, third.clone()), (ben.conn, held)]);
    } else {
        world.send(ann.conn, &third);
        world.send(ben.conn, &held);
    }
    world.release();
    ben.acknowledge(&mut world, &[id_of(&second)]);
    assert_eq!(world.disk.pending(ben.id()), [id_of(&third)]);
    ben.hear(&mut world);
    ben.ask(&mut world, KeyQuestion::ById(ann.id()));
    assert!(matches!(ben.hear(&mut world)[..], [Said::Key(_)]), "one letter is left");
    ben.acknowledge(&mut world, &[id_of(&third)]);
    ben.ask(&mut world, KeyQuestion::ById(ann.id()));
    assert_eq!(ben.hear_refusals(&mut world), [ErrorCode::UnknownUser], "none is left");
}

fn has_letters_of(
    world: &mut World,
    owner: &mut Person<RustCrypto>,
    sender: &Person<RustCrypto>,
) -> bool {
    owner.hear(world);
    owner.ask(world, KeyQuestion::ById(sender.id()));
    matches!(owner.hear(world)[..], [Said::Key(_)])
}

#[test]
fn a_letter_that_is_acknowledged_and_then_not_stored_is_counted_out_once() {
    let (mut world, [mut ann, mut ben, _]) = World::online(Config::default());
    let kept = ann.send(&mut world, ben.id(), b"kept");
    world.wait_s(1);
    assert_eq!(world.disk.pending(ben.id()), [id_of(&kept)]);
    world.disk.held = true;
    let lost = ann.send(&mut world, ben.id(), b"lost");
    world.wait_s(1);
    ben.acknowledge(&mut world, &[id_of(&lost)]);
    world.disk.refuses_writes = true;
    world.release();
    assert!(has_letters_of(&mut world, &mut ben, &ann));
}

#[test]
fn a_letter_that_is_not_stored_and_then_acknowledged_is_counted_out_once_and_not_deleted() {
    let (mut world, [mut ann, mut ben, _]) = World::online(Config::default());
    let kept = ann.send(&mut world, ben.id(), b"kept");
    world.wait_s(1);
    world.disk.refuses_writes = true;
    let lost = ann.send(&mut world, ben.id(), b"lost");
    assert_eq!(ben.hear_letters(&mut world), [kept.clone(), lost.clone()]);
    let said = ann.hear(&mut world);
    let codes: Vec<_> = said.iter().filter_map(Said::code).collect();
    assert_eq!(codes, [ErrorCode::StorageUnavailable]);
    assert_eq!(world.pending_from(ann.id()), (1, kept.len() as u64));

    world.disk.refuses_writes = false;
    world.wait_s(1);
    let before = world.disk.commits;
    ben.acknowledge(&mut world, &[id_of(&lost)]);
    assert_eq!(ann.hear(&mut world), [Said::delivered(&lost)]);
    assert_eq!(world.disk.commits, before, "storage has nothing to delete");
    assert_eq!(world.pending_from(ann.id()), (1, kept.len() as u64));
    assert!(has_letters_of(&mut world, &mut ben, &ann));
}

#[test]
fn who_has_been_given_a_letter_may_ask_about_its_sender_when_storage_has_refused_it() {
    let (mut world, [mut ann, mut ben, cat]) = World::online(Config::default());
    world.disk.refuses_writes = true;
    let lost = ann.send(&mut world, ben.id(), b"lost");
    assert_eq!(ben.hear_letters(&mut world), [lost.clone()]);
    world.wait_s(1);
    assert!(world.disk.pending(ben.id()).is_empty());
    assert!(has_letters_of(&mut world, &mut ben, &ann));
    assert!(!has_letters_of(&mut world, &mut ben, &cat));
    // Whoever holds it asks no more.
    ben.acknowledge(&mut world, &[id_of(&lost)]);
    assert!(!has_letters_of(&mut world, &mut ben, &ann));
}

/// Ann's letters live for 100 s: one that has just expired, one that has not, and Ben holds both. The
/// next search for expired letters is 19 s away.
fn old_and_young() -> (World, [Person<RustCrypto>; 2], [Vec<u8>; 3]) {
    let mut config = Config { letter_life: Duration::from_secs(100), ..Config::default() };
    config.deadlines.progress = Duration::from_secs(1_000);
    let (mut world, [mut ann, mut ben]) = World::populated(config);
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    let [zeroth, old] = ["0", "old"].map(|text| ann.send(&mut world, ben.id(), text.as_bytes()));
    world.wait_s(80);
    let young = ann.send(&mut world, ben.id(), b"young");
    world.wait_s(21);
    (world, [ann, ben], [zeroth, old, young])
}

#[test]
fn a_letter_that_is_acknowledged_while_it_expires_is_counted_out_once() {
    let (mut world, [ann, mut ben], [zeroth, old, young]) = old_and_young();
    world.disk.held = true;
    world.wait_s(20);
    ben.acknowledge(&mut world, &[id_of(&zeroth), id_of(&old)]);
    world.release();
    assert_eq!(world.disk.pending(ben.id()), [id_of(&young)]);
    assert_eq!(world.pending_from(ann.id()).0, 1);
    assert!(has_letters_of(&mut world, &mut ben, &ann));
}

/// Tells all answers of storage, and no outcome.
fn tell_answers(world: &mut World) {
    while world.disk.has_answers() {
        world.tell_answer();
    }
    world.settle();
}

#[test]
fn a_letter_that_has_expired_before_anybody_hears_that_it_was_stored_is_not_stored_after_all() {
    let config = Config { letter_life: Duration::from_secs(100), ..Config::default() };
    let (mut world, [mut ann, ben]) = World::populated(config);
    ann.come_to_nothing(&mut world);
    world.disk.mute = true;
    let letter = ann.send(&mut world, ben.id(), b"late news");
    world.wait_s(161);
    // The searches that began when it was young, and then those that find it.
    tell_answers(&mut world);
    world.wait_s(61);
    tell_answers(&mut world);
    let expired = Said::Fate(id_of(&letter), Status::Expired);
    assert_eq!(ann.hear(&mut world), [expired]);
    assert_eq!(world.pending_from(ann.id()), (0, 0));
    world.release();
    assert_eq!(ann.hear(&mut world), []);
    assert_eq!(world.pending_from(ann.id()), (0, 0));
}

#[test]
fn a_letter_that_expires_when_its_deletion_was_refused_is_counted_out_once() {
    let (mut world, [ann, mut ben], [zeroth, old, young]) = old_and_young();
    world.disk.held = true;
    ben.acknowledge(&mut world, &[id_of(&zeroth), id_of(&old)]);
    world.wait_s(20);
    world.disk.refuses_writes = true;
    world.disk.work();
    world.disk.refuses_writes = false;
    world.release();
    assert_eq!(world.disk.pending(ben.id()), [id_of(&young)]);
    assert_eq!(world.pending_from(ann.id()).0, 1);
    assert!(has_letters_of(&mut world, &mut ben, &ann));
}

#[test]
fn a_letter_that_is_acknowledged_while_it_expires_and_others_are_counted_is_counted_out_once() {
    let (mut world, [mut ann, mut ben], [zeroth, old, young]) = old_and_young();
    have_counters_forgotten(&mut world, &mut ben, &zeroth);
    world.disk.held = true;
    world.wait_s(20);
    let next = ann.send(&mut world, ben.id(), b"next");
    ben.acknowledge(&mut world, &[id_of(&old)]);
    world.release();
    ben.acknowledge(&mut world, &[id_of(&next)]);
    assert_eq!(world.disk.pending(ben.id()), [id_of(&young)]);
    assert!(has_letters_of(&mut world, &mut ben, &ann));
}

#[test]
fn a_backlog_that_cannot_be_fetched_comes_when_storage_is_back() {
    for is_counted in [true, false] {
        let (mut world, [mut ann, mut ben, _]) = World::populated(Config::default());
        ann.come_to_nothing(&mut world);
        let letter = ann.send(&mut world, ben.id(), b"later");
        if !is_counted {
            world.crash();
        }
        world.disk.refuses_questions = true;
        ben.come(&mut world, 8);
        world.wait_s(30);
        assert_eq!(ben.hear(&mut world), []);
        world.disk.refuses_questions = false;
        world.wait_s(1);
        assert_eq!(ben.hear(&mut world), [Said::Letter(letter), Said::BacklogEnd(1)]);
    }
}

#[test]
fn letters_whose_deletion_was_refused_take_no_room_once_they_are_gone() {
    const LARGE: &[u8] = &[b'x'; 3_000];
    let mut config = Config::default();
    // One large letter and a small one.
    config.mailbox.pair_bytes = 6_000;
    let (mut world, [mut ann, mut ben]) = World::populated(config);
    ann.come_to_nothing(&mut world);
    let small = ann.send(&mut world, ben.id(), b"small");
    let large = ann.send(&mut world, ben.id(), LARGE);
    ben.come(&mut world, 8);
    have_counters_forgotten(&mut world, &mut ben, &small);
    // Now they are learnt from a storage that still has the letter.
    world.disk.refuses_writes = true;
    ben.acknowledge(&mut world, &[id_of(&large)]);
    ann.hear(&mut world);
    ann.send(&mut world, ben.id(), LARGE);
    assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::MailboxFull]);
    world.disk.refuses_writes = false;
    world.wait_s(2);
    let third = ann.send(&mut world, ben.id(), LARGE);
    assert_eq!(ann.hear(&mut world), [Said::stored(&third)]);
}

#[test]
fn a_question_about_letters_that_storage_cannot_answer_is_refused() {
    let (mut world, [mut ann, ben, _]) = World::online(Config::default());
    let letter = ann.send(&mut world, ben.id(), b"?");
    ann.hear(&mut world);
    let about = [(ben.id(), id_of(&letter))];
    world.disk.refuses_questions = true;
    let query = ann.queries(&mut world, &about);
    world.send(ann.conn, &query);
    let Said::Refused(no) = ann.hear_one(&mut world) else { panic!() };
    assert_eq!((no.code, no.op), (ErrorCode::StorageUnavailable, 203));
    assert_eq!(no.packet, Some(id_of(&query)));
    world.disk.refuses_questions = false;
    world.wait_s(1);
    let query = ann.queries(&mut world, &about);
    world.send(ann.conn, &query);
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
}

#[test]
fn an_expiry_that_storage_cannot_do_is_done_later() {
    let life = Duration::from_secs(100);
    let config = Config { letter_life: life, ..Config::default() };
    let (mut world, [mut ann, ben]) = World::populated(config);
    ann.come_to_nothing(&mut world);
    let letter = ann.send(&mut world, ben.id(), b"short-lived");
    ann.hear(&mut world);
    world.disk.refuses_questions = true;
    world.wait_s(200);
    assert_eq!(ann.hear(&mut world), []);
    world.disk.refuses_questions = false;
    world.wait_s(60);
    assert_eq!(ann.hear(&mut world), [Said::Fate(id_of(&letter), Status::Expired)]);
}

#[test]
fn one_turn_is_one_commit() {
    let (mut world, mut people) = World::populate_shards(Config::default(), 7, 3, 1);
    people.iter_mut().for_each(|person| person.come_to_nothing(&mut world));
    let [mut ann, mut ben, mut cat] = people.try_into().ok().unwrap();
    let before = world.disk.commits;
    let letters = [
        (ann.conn, ann.letter(&mut world, cat.id(), b"1")),
        (ben.conn, ben.letter(&mut world, cat.id(), b"2")),
        (cat.conn, cat.letter(&mut world, ann.id(), b"3")),
    ];
    world.send_all(&letters);
    assert_eq!(world.disk.commits, before + 1);
}

#[test]
fn what_nobody_waits_for_goes_with_a_batch_that_is_there_anyway() {
    let (mut world, people) = World::populate_shards(Config::default(), 7, 3, 1);
    let [mut ann, mut ben, cat]: [Person<_>; 3] = people.try_into().ok().unwrap();
    ann.come_to_nothing(&mut world);
    ben.knock(&mut world);
    let before = world.disk.commits;
    let confirmation = ben.confirmation(&mut world, 8);
    let letter = ann.letter(&mut world, cat.id(), b"in the same turn");
    world.deliver(&[(ben.conn, confirmation), (ann.conn, letter.clone())]);
    while world.disk.has_jobs() {
        world.disk.work();
    }
    assert_eq!(world.disk.commits, before + 1);
    assert_eq!(world.disk.pending(cat.id()), [id_of(&letter)]);
    let mut others = world.disk.users().filter(|user| user.id != cat.id());
    assert!(others.all(|user| user.session_key.is_some()), "the key went with it");
}

#[test]
fn places_of_letters_follow_one_another_and_shards_take_turns() {
    for shards in [1, 3] {
        let (mut world, people) = World::populate_shards(Config::default(), 7, 4, shards);
        let [mut ann, others @ ..]: [Person<_>; 4] = people.try_into().ok().unwrap();
        ann.come_to_nothing(&mut world);
        for other in others.iter().chain(&others) {
            ann.send(&mut world, other.id(), &other.id().get().to_le_bytes());
            world.wait_s(1);
        }
        let places: Vec<_> = world.disk.places().iter().map(|place| place.0).collect();
        // Each of three shards has two of the letters, and every third place.
        assert_eq!(places, [1, 2, 3, 4, 5, 6], "{shards} shards");
    }
}
