//! What is said about letters, to whom and when.

use waxwing_core::id::PacketId;
use waxwing_core::server::Config;
use waxwing_core::wire::{CloseReason, ErrorCode, KeyQuestion, Op, Status};

use waxwing_testkit::backend::Paper;
use waxwing_testkit::packets::id_of;
use waxwing_testkit::person::Said;
use waxwing_testkit::world::{Sim, World};

#[test]
fn nothing_is_acknowledged_before_it_is_durable() {
    let (mut world, [mut ann, mut ben, _]) = World::online(Config::default());
    world.disk.held = true;
    let letter = ann.send(&mut world, ben.id(), b"on its way");
    assert_eq!(ann.hear(&mut world), []);
    world.crash();
    world.disk.held = false;
    assert!(world.disk.pending(ben.id()).is_empty());

    ann.come_to_nothing(&mut world);
    world.send(ann.conn, &letter);
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
    world.crash();
    ben.come(&mut world, 8);
    assert_eq!(ben.hear(&mut world), [Said::Letter(letter), Said::BacklogEnd(1)]);
}

#[test]
fn anothers_acknowledgment_does_nothing() {
    let (mut world, [mut ann, ben, mut cat]) = World::online(Config::default());
    let letter = ann.send(&mut world, ben.id(), b"for ben");
    ann.hear(&mut world);
    cat.acknowledge(&mut world, &[id_of(&letter)]);
    ann.acknowledge(&mut world, &[id_of(&letter), PacketId([7; 16])]);
    assert_eq!(world.disk.pending(ben.id()), [id_of(&letter)]);
    assert_eq!(ann.hear(&mut world), []);
    assert_eq!(cat.hear(&mut world), []);
}

#[test]
fn a_duplicate_is_answered_with_the_present_status_and_stored_once() {
    let (mut world, [mut ann, mut ben, _]) = World::online(Config::default());
    let letter = ann.letter(&mut world, ben.id(), b"once");
    world.disk.held = true;
    for _ in 0..3 {
        world.send(ann.conn, &letter);
    }
    assert_eq!(ann.hear(&mut world), []);
    world.release();
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
    world.send(ann.conn, &letter);
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
    assert_eq!(world.disk.pending(ben.id()).len(), 1);
    assert_eq!(ben.hear_letters(&mut world), [letter.clone()]);

    ben.acknowledge(&mut world, &[id_of(&letter)]);
    assert_eq!(ann.hear(&mut world), [Said::delivered(&letter)]);
    world.send(ann.conn, &letter);
    assert_eq!(ann.hear(&mut world), [Said::delivered(&letter)]);
    assert!(world.disk.pending(ben.id()).is_empty());
    assert_eq!(ben.hear(&mut world), []);
}

#[test]
fn one_answer_closes_every_copy_that_waited_for_it() {
    let (mut world, [mut ann, ben, _]) = World::online(Config::default());
    world.disk.held = true;
    let letter = ann.letter(&mut world, ben.id(), b"thrice");
    world.send(ann.conn, &[&letter[..], &letter, &letter].concat());
    world.release();
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
    ann.leave(&mut world);
    assert_eq!(ann.hear(&mut world), [Said::Closed(CloseReason::Leaving)]);
}

#[test]
fn a_duplicate_in_a_new_session_is_recognised() {
    let (mut world, [mut ann, mut ben, _]) = World::online(Config::default());
    let letter = ann.send(&mut world, ben.id(), b"once");
    world.hang_up(ann.conn);
    world.bytes(ann.conn);
    ann.come_to_nothing(&mut world);
    world.send(ann.conn, &letter);
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
    assert_eq!(ben.hear_letters(&mut world), [letter]);
}

#[test]
fn whoever_asks_is_told_what_became_of_letters_and_only_the_sender() {
    let (mut world, [mut ann, mut ben, mut cat]) = World::online(Config::default());
    let pending = ann.send(&mut world, cat.id(), b"pending");
    let gone = ann.send(&mut world, ben.id(), b"gone");
    ben.acknowledge(&mut world, &[id_of(&gone)]);
    ann.hear(&mut world);
    world.crash();
    for person in [&mut ann, &mut ben] {
        person.come_to_nothing(&mut world);
    }
    let both = [(cat.id(), id_of(&pending)), (ben.id(), id_of(&gone))];
    let query = ann.queries(&mut world, &both);
    world.send(ann.conn, &query);
    assert_eq!(ann.hear(&mut world), [Said::stored(&pending), Said::delivered(&gone)]);
    let query = ben.queries(&mut world, &both[..1]);
    world.send(ben.conn, &query);
    assert_eq!(ben.hear(&mut world), [Said::Fate(id_of(&pending), Status::Unknown)]);
    cat.come(&mut world, 8);
}

#[test]
fn a_question_in_the_turn_of_its_letter_does_not_take_it_for_delivered() {
    let (mut world, [mut ann, ben, _]) = World::online(Config::default());
    let letter = ann.letter(&mut world, ben.id(), b"already?");
    let query = ann.queries(&mut world, &[(ben.id(), id_of(&letter))]);
    world.send(ann.conn, &[letter.clone(), query].concat());
    let said = ann.hear(&mut world);
    let unknown = Said::Fate(id_of(&letter), Status::Unknown);
    assert!(said[0] == Said::stored(&letter) || said[0] == unknown, "{said:?}");
    assert_eq!(said[1..], [Said::stored(&letter)]);
}

#[test]
fn questions_about_letters_come_once_a_second() {
    let (mut world, [mut ann, ben, _]) = World::online(Config::default());
    for (wait, limited) in [(0, false), (0, true), (1, false), (0, true)] {
        world.wait_s(wait);
        let query = ann.queries(&mut world, &[(ben.id(), PacketId([1; 16]))]);
        world.send(ann.conn, &query);
        let said = ann.hear_one(&mut world);
        assert_eq!(said.code() == Some(ErrorCode::RateLimited), limited, "{said:?}");
    }
    assert!(!ann.is_closed(&world));
}

#[test]
fn the_largest_question_has_a_whole_answer() {
    let (mut world, [mut ann, ben, _]) = World::online(Config::default());
    let all: Vec<_> = (0..110).map(|n| (ben.id(), PacketId([n; 16]))).collect();
    let query = ann.queries(&mut world, &all);
    world.send(ann.conn, &query);
    let expected = all.iter().map(|(_, id)| Said::Fate(*id, Status::Delivered));
    assert_eq!(ann.hear(&mut world), expected.collect::<Vec<_>>());
}

#[test]
fn after_an_older_state_came_back_a_letter_that_is_not_there_is_not_said_to_be_delivered() {
    const DAY: i64 = 86_400;
    let lost = PacketId([7; 16]);
    for (left, expected) in [(DAY, Status::Unknown), (0, Status::Unknown), (-1, Status::Delivered)]
    {
        let (mut world, [mut ann, ben, _]) = World::online(Config::default());
        world.disk.letters_missing_until = Some(world.now.unix.shifted(left));
        world.crash();
        ann.come_to_nothing(&mut world);
        let query = ann.queries(&mut world, &[(ben.id(), lost)]);
        world.send(ann.conn, &query);
        assert_eq!(ann.hear(&mut world), [Said::Fate(lost, expected)], "{left} s are left");
    }
}

#[test]
fn a_question_about_no_letter_or_more_than_110_is_malformed() {
    for count in [0, 111] {
        let (mut world, [mut ann, ben, _]) = World::online(Config::default());
        let all: Vec<_> = (0..count).map(|n| (ben.id(), PacketId([n; 16]))).collect();
        let query = ann.queries(&mut world, &all);
        world.send(ann.conn, &query);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::Malformed], "{count}");
    }
}

#[test]
fn more_than_112_ids_in_an_acknowledgment_are_malformed() {
    for (count, refused) in [(112, &[][..]), (113, &[ErrorCode::Malformed])] {
        let (mut world, [mut ann, _, _]) = World::online(Config::default());
        let ids: Vec<_> = (0..count).map(|n| PacketId([n; 16])).collect();
        ann.acknowledge(&mut world, &ids);
        assert_eq!(ann.hear_refusals(&mut world), refused, "{count}");
    }
}

#[test]
fn leaving_is_answered() {
    let (mut world, [mut ann, _, _]) = World::online(Config::default());
    ann.leave(&mut world);
    assert_eq!(ann.hear(&mut world), [Said::Closed(CloseReason::Leaving)]);
    assert!(ann.is_closed(&world));
}

#[test]
fn leaving_is_answered_after_what_was_read_before_is_stored_and_said() {
    let (mut world, [mut ann, ben, mut cat]) = World::online(Config::default());
    let to_ann = cat.send(&mut world, ann.id(), b"to ann");
    cat.hear(&mut world);
    assert_eq!(ann.hear_letters(&mut world), [to_ann.clone()]);
    world.disk.held = true;
    let letter = ann.letter(&mut world, ben.id(), b"the last word");
    let held = ann.held(&mut world, &[id_of(&to_ann)]);
    let close = ann.sealed(&mut world, Op::Close, &[1]);
    world.send(ann.conn, &[letter.clone(), held, close].concat());
    assert_eq!(ann.hear(&mut world), []);
    assert!(!world.is_read(ann.conn));
    world.release();
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter), Said::Closed(CloseReason::Leaving)]);
    assert!(ann.is_closed(&world));
    assert!(world.disk.pending(ann.id()).is_empty());
}

#[test]
fn leaving_waits_for_a_question_that_storage_has_to_answer() {
    let (mut world, [mut ann, mut ben, cat]) = World::populated(Config::default());
    ben.come(&mut world, 8);
    ben.send(&mut world, ann.id(), b"to be counted");
    world.crash();
    ann.knock(&mut world);
    world.disk.mute = true;
    ann.confirm(&mut world, 8);
    world.tell_outcome();
    let question = ann.question(&mut world, KeyQuestion::ById(cat.id()));
    let close = ann.sealed(&mut world, Op::Close, &[1]);
    world.send(ann.conn, &[question, close].concat());
    assert_eq!(ann.hear(&mut world), []);
    assert!(!ann.is_closed(&world));
    world.release();
    let said = ann.hear(&mut world);
    let codes: Vec<_> = said.iter().filter_map(Said::code).collect();
    assert_eq!(codes, [ErrorCode::UnknownUser]);
    assert_eq!(said.last(), Some(&Said::Closed(CloseReason::Leaving)));
}

#[test]
fn leaving_is_answered_after_5_s_at_the_latest() {
    let (mut world, [mut ann, ben, _]) = World::online(Config::default());
    world.disk.held = true;
    ann.send(&mut world, ben.id(), b"stuck");
    ann.leave(&mut world);
    world.wait(std::time::Duration::from_millis(4_999));
    assert!(!ann.is_closed(&world));
    world.wait(std::time::Duration::from_millis(1));
    assert_eq!(ann.hear(&mut world), [Said::Closed(CloseReason::Leaving)]);
    world.release();
    assert_eq!(world.disk.pending(ben.id()).len(), 1);
}

#[test]
fn whoever_leaves_has_time_for_it_though_letters_are_not_acknowledged() {
    let (mut world, [mut ann, mut ben, _]) = World::online(Config::default());
    ann.send(&mut world, ben.id(), b"not acknowledged");
    ben.hear(&mut world);
    world.wait_s(118);
    world.disk.held = true;
    ben.send(&mut world, ann.id(), b"stuck");
    ben.leave(&mut world);
    // The 120 s for an acknowledgment end within the 5 s for the goodbye.
    world.wait_s(4);
    assert!(!ben.is_closed(&world));
    world.wait_s(1);
    assert_eq!(ben.hear(&mut world), [Said::Closed(CloseReason::Leaving)]);
}

#[test]
fn a_server_that_stops_says_so_after_what_it_has_read_is_stored() {
    let (mut world, [mut ann, mut ben, _]) = World::online(Config::default());
    world.disk.held = true;
    let letter = ann.send(&mut world, ben.id(), b"just in time");
    world.turn_all(|server, env| server.stop(env));
    let late = ann.letter(&mut world, ben.id(), b"too late");
    world.send(ann.conn, &late);
    assert!(!world.stopped());
    world.release();
    let stopping = Said::Closed(CloseReason::ServerStopping);
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter), stopping]);
    assert_eq!(ben.hear(&mut world).last(), Some(&Said::Closed(CloseReason::ServerStopping)));
    assert!(world.stopped());
    assert_eq!(world.disk.pending(ben.id()), [id_of(&letter)]);
    assert_eq!(world.connection_count(), 0);
}

#[test]
fn a_server_that_stops_waits_for_deletions() {
    let (mut world, [mut ann, mut ben, _]) = World::online(Config::default());
    let letter = ann.send(&mut world, ben.id(), b"read in time");
    ben.hear(&mut world);
    world.disk.held = true;
    ben.acknowledge(&mut world, &[id_of(&letter)]);
    world.turn_all(|server, env| server.stop(env));
    assert!(!world.stopped());
    world.release();
    assert!(world.stopped());
    assert_eq!(world.disk.pending(ben.id()), []);
}

#[test]
fn a_server_that_stops_waits_for_deletions_that_storage_has_refused() {
    let (mut world, [mut ann, mut ben, _]) = World::online(Config::default());
    let letter = ann.send(&mut world, ben.id(), b"read in time");
    ben.hear(&mut world);
    world.disk.refuses_writes = true;
    ben.acknowledge(&mut world, &[id_of(&letter)]);
    world.turn_all(|server, env| server.stop(env));
    assert!(!world.stopped());
    world.disk.refuses_writes = false;
    world.wait_s(1);
    world.release();
    assert!(world.stopped());
    assert_eq!(world.disk.pending(ben.id()), []);
}

#[test]
fn a_server_that_stops_stores_a_letter_that_its_recipient_has_and_not_acknowledged() {
    let (mut world, [mut ann, mut ben, _]) = World::online(Config::default());
    let letter = ann.letter(&mut world, ben.id(), b"handed over");
    world.deliver(&[(ann.conn, letter.clone())]);
    world.deliver_all_transfers();
    assert_eq!(ben.hear_letters(&mut world), [letter.clone()]);
    assert_eq!(world.disk.pending(ben.id()), [], "it is held back from storage");
    // Nobody waits for an answer about it.
    world.hang_up(ann.conn);
    world.turn_all(|server, env| server.stop(env));
    assert!(!world.stopped());
    world.settle();
    assert!(world.stopped());
    assert_eq!(world.disk.pending(ben.id()), [id_of(&letter)]);
}

#[test]
fn a_server_that_stops_stores_the_key_of_a_session_that_has_just_begun() {
    let (mut world, [mut ann]) = World::populated(Config::default());
    ann.knock(&mut world);
    let confirmation = ann.confirmation(&mut world, 8);
    world.deliver(&[(ann.conn, confirmation)]);
    // What asked for the mailbox has its answer, and nothing else is under way.
    while world.disk.has_jobs() {
        world.disk.work();
    }
    world.tell_news();
    let key_is_stored = |world: &World| world.disk.users().all(|user| user.session_key.is_some());
    assert!(!key_is_stored(&world), "it waits for company");
    world.turn_all(|server, env| server.stop(env));
    assert!(!world.stopped());
    world.settle();
    assert!(world.stopped());
    assert!(key_is_stored(&world));
}

#[test]
fn a_server_that_stops_waits_for_the_key_of_a_session_that_storage_has_refused() {
    let (mut world, [mut ann]) = World::populated(Config::default());
    world.disk.refuses_writes = true;
    ann.come_to_nothing(&mut world);
    world.wait(std::time::Duration::from_millis(100));
    let key_is_stored = |world: &World| world.disk.users().all(|user| user.session_key.is_some());
    assert!(!key_is_stored(&world));
    world.turn_all(|server, env| server.stop(env));
    assert!(!world.stopped());
    world.disk.refuses_writes = false;
    world.wait_s(1);
    world.release();
    assert!(world.stopped());
    assert!(key_is_stored(&world));
}

#[test]
fn leaving_is_answered_after_the_acknowledgments_before_it_are_stored() {
    let (mut world, [mut ann, mut ben, _]) = World::online(Config::default());
    // Batches that have ended: the one that matters is not the first.
    let letters = [b"1", b"2", b"3"].map(|text| ann.send(&mut world, ben.id(), text));
    ben.hear(&mut world);
    ben.acknowledge(&mut world, &[id_of(&letters[0])]);
    ben.acknowledge(&mut world, &[id_of(&letters[1])]);
    world.disk.held = true;
    let held = ben.held(&mut world, &[id_of(&letters[2])]);
    let close = ben.sealed(&mut world, Op::Close, &[1]);
    world.send(ben.conn, &[held, close].concat());
    // The server looks again whenever a turn ends.
    world.turn_all(|_, _| {});
    assert_eq!(ben.hear(&mut world), []);
    assert!(!ben.is_closed(&world));
    world.release();
    assert_eq!(ben.hear(&mut world), [Said::Closed(CloseReason::Leaving)]);
    assert_eq!(world.disk.pending(ben.id()), []);
}

#[test]
fn leaving_waits_for_every_batch_before_it_and_for_none_behind_it() {
    let (mut world, [mut ann, mut ben, _]) = World::online(Config::default());
    let letter = ann.send(&mut world, ben.id(), b"1");
    ben.hear(&mut world);
    world.disk.mute = true;
    ann.send(&mut world, ben.id(), b"2");
    let held = ben.held(&mut world, &[id_of(&letter)]);
    let close = ben.sealed(&mut world, Op::Close, &[1]);
    world.send(ben.conn, &[held, close].concat());
    ann.send(&mut world, ben.id(), b"3");
    world.turn_all(|_, _| {});
    assert!(!ben.is_closed(&world));
    world.tell_outcome();
    world.turn_all(|_, _| {});
    assert!(!ben.is_closed(&world));
    world.tell_outcome();
    assert!(ben.is_closed(&world));
    world.release();
}

#[test]
fn each_recipient_s_acknowledgments_of_a_turn_delete_letters_of_their_own() {
    let (mut world, people) = World::populate_shards(Config::default(), 7, 3, 1);
    let [mut ann, mut ben, mut cat] = people.try_into().ok().unwrap();
    for person in [&mut ann, &mut ben, &mut cat] {
        person.come_to_nothing(&mut world);
    }
    let to_ben = ann.send(&mut world, ben.id(), b"to ben");
    let to_cat = ann.send(&mut world, cat.id(), b"to cat");
    let also_to_ben = ann.send(&mut world, ben.id(), b"to ben, too");
    world.wait_s(1);
    let held = [
        (ben.conn, ben.held(&mut world, &[id_of(&to_ben)])),
        (cat.conn, cat.held(&mut world, &[id_of(&to_cat)])),
        (ben.conn, ben.held(&mut world, &[id_of(&also_to_ben)])),
    ];
    world.send_all(&held);
    for person in [&ben, &cat] {
        assert_eq!(world.disk.pending(person.id()), []);
    }
}

#[test]
fn a_server_stops_after_5_s_whatever_storage_does() {
    let (mut world, [mut ann, ben, _]) = World::online(Config::default());
    world.disk.held = true;
    ann.send(&mut world, ben.id(), b"stuck");
    world.turn_all(|server, env| server.stop(env));
    let late = world.connect();
    assert!(world.is_closed(late));
    world.wait_s(4);
    assert!(!world.stopped());
    world.wait_s(1);
    assert!(world.stopped());
    assert_eq!(ann.hear(&mut world), [Said::Closed(CloseReason::ServerStopping)]);
}

#[test]
fn a_server_that_stops_does_not_forget_letters_that_wait_for_their_mailbox() {
    let (mut world, [mut ann, ben, _]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    ann.send(&mut world, ben.id(), b"to be counted");
    world.crash();
    ann.come_to_nothing(&mut world);
    world.disk.held = true;
    let letter = ann.send(&mut world, ben.id(), b"to a mailbox not yet counted");
    world.turn_all(|server, env| server.stop(env));
    assert!(!world.stopped());
    world.release();
    assert_eq!(
        ann.hear(&mut world),
        [Said::stored(&letter), Said::Closed(CloseReason::ServerStopping)]
    );
}

#[test]
fn whoever_has_128_requests_open_is_not_read_until_some_are_answered() {
    let (mut world, [mut ann, mut ben, _]) = Sim::<Paper>::populated(Config::default());
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    world.disk.held = true;
    let letters: Vec<_> =
        (0..400_u16).map(|n| ann.letter(&mut world, ben.id(), &n.to_le_bytes())).collect();
    for letter in &letters[..127] {
        world.send(ann.conn, letter);
    }
    assert!(world.is_read(ann.conn));
    world.send(ann.conn, &letters[127..].concat());
    assert!(!world.is_read(ann.conn));
    // Acknowledging is not a request, and others are read.
    assert!(world.is_read(ben.conn));
    // One answer after the other.
    for _ in 0..500 {
        world.disk.work();
        world.tell_news();
        world.deliver_all_transfers();
    }
    world.settle();
    assert!(world.is_read(ann.conn));
    let said = ann.hear(&mut world);
    assert_eq!(said, letters.iter().map(|letter| Said::stored(letter)).collect::<Vec<_>>());
    assert_eq!(world.disk.pending(ben.id()).len(), 400);
}

#[test]
fn what_answers_no_request_leaves_as_many_open_as_there_were() {
    let (mut world, [mut ann, ben]) = Sim::<Paper>::online(Config::default());
    let question = [(ben.id(), PacketId([1; 16]))];
    for _ in 0..2 {
        world.disk.held = true;
        for n in 0..127_u8 {
            let letter = ann.letter(&mut world, ben.id(), &[n]);
            world.send(ann.conn, &letter);
        }
        // The second question in a second is refused.
        let questions = [(); 2].map(|()| ann.queries(&mut world, &question));
        world.send(ann.conn, &questions.concat());
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::RateLimited]);
        assert!(world.is_read(ann.conn));
        let last = ann.letter(&mut world, ben.id(), b"the last");
        world.send(ann.conn, &last);
        assert!(!world.is_read(ann.conn));
        world.release();
        assert!(world.is_read(ann.conn));
        world.wait_s(1);
        ann.hear(&mut world);
    }
}

#[test]
fn letters_acknowledged_before_their_commit_is_told_leave_no_request_open() {
    let (mut world, [mut ann, mut ben, _]) = Sim::<Paper>::populated(Config::default());
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    for n in 0..200_u8 {
        ben.knock(&mut world);
        // The letter is stored, and a session that begins then fetches it: what the fetch found
        // overtakes how the commit ended.
        world.disk.mute = true;
        let letter = ann.send(&mut world, ben.id(), &[n]);
        ben.confirm(&mut world, 8);
        world.tell_answer();
        assert!(ben.hear(&mut world).contains(&Said::Letter(letter.clone())));
        ben.acknowledge(&mut world, &[id_of(&letter)]);
        assert_eq!(ann.hear(&mut world), [Said::delivered(&letter)]);
        world.release();
        assert_eq!(ann.hear(&mut world), []);
        assert!(world.is_read(ann.conn), "requests stay open after {n}");
    }
}
