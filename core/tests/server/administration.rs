//! What an operator does to users while the server runs.

use std::time::Duration;

use waxwing_core::crypto::RustCrypto;
use waxwing_core::id::UserId;
use waxwing_core::limits::MIN_ENVELOPE;
use waxwing_core::phone::Phone;
use waxwing_core::server::storage::OwnLimits;
use waxwing_core::server::{
    Administered, AdministrationError, Config, RegistrationPolicy, Report, SessionPage,
};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{CloseReason, ErrorCode, KeyQuestion, Status};

use waxwing_testkit::backend::Glass;
use waxwing_testkit::packets::id_of;
use waxwing_testkit::person::{No, Person, Said};
use waxwing_testkit::world::{Sim, World};

const ALWAYS: UnixTime = UnixTime::from_seconds(i64::MAX);

fn removed(ben: &Person<RustCrypto>, undelivered: u64) -> (UserId, Administered) {
    (ben.id(), Administered::Removed { phone: ben.phone, undelivered })
}

fn expired(letter: &[u8]) -> Said {
    Said::Fate(id_of(letter), Status::Expired)
}

fn refused(person: &mut Person<RustCrypto>, world: &mut World) -> ErrorCode {
    person.hear_one(world).code().unwrap()
}

/// Why somebody who comes back is not let in.
fn turned_away(person: &mut Person<RustCrypto>, world: &mut World) -> ErrorCode {
    let request = person.long(world);
    person.conn = world.connect();
    world.send(person.conn, &request);
    refused(person, world)
}

#[test]
fn a_removed_user_is_gone_and_so_is_the_way_into_the_account() {
    let (mut world, [mut ann, mut ben]) = World::online(Config::default());
    world.remove_user(ben.id()).unwrap();
    world.settle();
    assert_eq!(world.administered, [removed(&ben, 0)]);
    assert_eq!(ben.hear(&mut world), [Said::Closed(CloseReason::ServerStopping)]);
    assert!(ben.is_closed(&world));
    assert_eq!(world.session_count(), 1);

    ann.send(&mut world, ben.id(), b"anybody there?");
    assert_eq!(refused(&mut ann, &mut world), ErrorCode::UnknownRecipient);
    ann.ask(&mut world, KeyQuestion::ByPhone(ben.phone));
    assert_eq!(refused(&mut ann, &mut world), ErrorCode::UnknownUser);
    assert_eq!(turned_away(&mut ben, &mut world), ErrorCode::BadSignature);
    assert_eq!(world.remove_user(ben.id()), Err(AdministrationError::NoSuchUser));
    // The next start knows nothing else.
    world.crash();
    assert_eq!(turned_away(&mut ben, &mut world), ErrorCode::BadSignature);
}

#[test]
fn phone_and_key_of_a_removed_user_are_free_at_once_and_the_id_rests() {
    let (mut world, [_, mut ben]) = World::online(Config::default());
    let (before, free) = (ben.id(), world.reports()[0].free_ids);
    world.remove_user(before).unwrap();
    world.settle();
    assert_eq!(world.reports()[0].free_ids, free);
    ben.hear(&mut world);
    ben.register(&mut world);
    assert_ne!(ben.id(), before);
    let letter = ben.send(&mut world, UserId::new(1).unwrap(), b"back again");
    assert!(ben.hear(&mut world).contains(&Said::stored(&letter)));
}

#[test]
fn senders_are_told_of_every_letter_that_a_removed_user_does_not_get() {
    let (mut world, [mut ann, mut ben, mut cat]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    cat.come_to_nothing(&mut world);
    let stored = ann.send(&mut world, ben.id(), b"in storage");
    let given = cat.send(&mut world, ben.id(), b"given and not acknowledged");
    ann.hear(&mut world);
    cat.hear(&mut world);
    ben.come(&mut world, 1);
    world.disk.held = true;
    let on_its_way = ann.send(&mut world, ben.id(), b"not stored yet");
    world.remove_user(ben.id()).unwrap();
    world.release();
    assert_eq!(world.administered, [removed(&ben, 3)]);
    let told = ann.hear(&mut world);
    assert!(told.contains(&expired(&stored)), "{told:?}");
    assert!(told.contains(&expired(&on_its_way)), "{told:?}");
    assert_eq!(cat.hear(&mut world), [expired(&given)]);
    for sender in [&ann, &cat] {
        assert_eq!(world.pending_from(sender.id()), (0, 0));
    }
    // And when they ask.
    let question = ann.queries(&mut world, &[(ben.id(), id_of(&on_its_way))]);
    world.send(ann.conn, &question);
    assert_eq!(ann.hear(&mut world), [expired(&on_its_way)]);
}

#[test]
fn a_letter_that_is_held_back_for_a_removed_user_expires_too() {
    let (mut world, [mut ann, ben]) = World::online(Config::default());
    let letter = ann.letter(&mut world, ben.id(), &[7; MIN_ENVELOPE]);
    world.deliver(&[(ann.conn, letter.clone())]);
    world.deliver_all_transfers();
    world.remove_user(ben.id()).unwrap();
    world.settle();
    assert_eq!(world.administered, [removed(&ben, 1)]);
    assert!(ann.hear(&mut world).contains(&expired(&letter)));
}

#[test]
fn letters_from_a_removed_user_stay_where_they_are() {
    let (mut world, [mut ann, mut ben]) = World::populated(Config::default());
    ben.come_to_nothing(&mut world);
    let letter = ben.send(&mut world, ann.id(), b"my last");
    world.remove_user(ben.id()).unwrap();
    world.settle();
    ann.come(&mut world, 8);
    assert_eq!(ann.hear(&mut world), [Said::Letter(letter.clone()), Said::BacklogEnd(1)]);
    ann.ask(&mut world, KeyQuestion::ById(ben.id()));
    assert_eq!(refused(&mut ann, &mut world), ErrorCode::UnknownUser);
    ann.acknowledge(&mut world, &[id_of(&letter)]);
    assert_eq!(world.pending_from(ben.id()), (0, 0));
}

#[test]
fn until_storage_has_done_it_letters_are_refused_for_now_and_nobody_gets_in() {
    let (mut world, [mut ann, mut ben]) = World::online(Config::default());
    world.disk.held = true;
    world.remove_user(ben.id()).unwrap();
    assert_eq!(world.remove_user(ben.id()), Err(AdministrationError::UnderWay));
    assert_eq!(world.expire_letters(ben.id(), ALWAYS), Err(AdministrationError::UnderWay));
    ann.send(&mut world, ben.id(), b"in between");
    assert_eq!(refused(&mut ann, &mut world), ErrorCode::StorageUnavailable);
    ben.hear(&mut world);
    assert_eq!(turned_away(&mut ben, &mut world), ErrorCode::BadSignature);
    world.release();
    assert_eq!(world.administered, [removed(&ben, 0)]);
}

#[test]
fn who_could_not_be_removed_is_there_as_before() {
    let (mut world, [mut ann, mut ben]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    let letter = ann.send(&mut world, ben.id(), b"not lost");
    ann.hear(&mut world);
    world.disk.refuses_questions = true;
    world.remove_user(ben.id()).unwrap();
    world.settle();
    world.disk.refuses_questions = false;
    assert_eq!(world.administered, [(ben.id(), Administered::NotDone { letters: 0 })]);
    ben.come(&mut world, 8);
    assert_eq!(ben.hear(&mut world), [Said::Letter(letter), Said::BacklogEnd(1)]);

    // The letter can be taken out, and then the user cannot be removed.
    world.administered.clear();
    world.disk.refuses_writes = true;
    world.remove_user(ben.id()).unwrap();
    world.settle();
    world.disk.refuses_writes = false;
    assert_eq!(world.administered, [(ben.id(), Administered::NotDone { letters: 1 })]);
    world.wait_s(2);
    ben.hear(&mut world);
    ben.come(&mut world, 8);
    assert_eq!(ben.hear(&mut world), [Said::BacklogEnd(0)]);
    let letter = ann.send(&mut world, ben.id(), b"still here");
    assert_eq!(ben.hear(&mut world), [Said::Letter(letter)]);
}

#[test]
fn a_letter_that_waits_for_the_counters_of_the_mailbox_does_not_get_in() {
    for fails in [false, true] {
        let (mut world, [mut ann, mut ben]) = World::populated(Config::default());
        ann.come_to_nothing(&mut world);
        ann.send(&mut world, ben.id(), b"so that it has to be counted");
        world.crash();
        ann.come_to_nothing(&mut world);
        world.disk.held = true;
        ann.send(&mut world, ben.id(), b"waits");
        world.remove_user(ben.id()).unwrap();
        world.settle();
        assert_eq!(refused(&mut ann, &mut world), ErrorCode::StorageUnavailable);
        world.disk.refuses_writes = fails;
        world.release();
        world.disk.refuses_writes = false;
        world.wait_s(2);
        let left = Administered::NotDone { letters: 1 };
        let done = Administered::Removed { phone: ben.phone, undelivered: 1 };
        assert_eq!(world.administered, [(ben.id(), if fails { left } else { done })]);
        if fails {
            ann.hear(&mut world);
            let letter = ann.send(&mut world, ben.id(), b"counted once");
            ben.come(&mut world, 8);
            assert_eq!(ben.hear(&mut world), [Said::Letter(letter), Said::BacklogEnd(1)]);
        }
    }
}

#[test]
fn a_session_that_was_confirmed_a_moment_ago_does_no_harm() {
    let (mut world, [_, mut ben]) = World::populated(Config::default());
    ben.knock(&mut world);
    let confirmation = ben.confirmation(&mut world, 8);
    world.deliver(&[(ben.conn, confirmation)]);
    // Its key is not stored yet, and cannot be when the user is gone.
    world.remove_user(ben.id()).unwrap();
    world.settle();
    world.wait_s(2);
    assert_eq!(world.administered, [removed(&ben, 0)]);
}

#[test]
fn who_is_removed_between_proof_and_session_is_not_kept_waiting() {
    let (mut world, [_, mut ben]) = World::populated(Config::default());
    ben.knock(&mut world);
    world.remove_user(ben.id()).unwrap();
    world.settle();
    let confirmation = ben.confirmation(&mut world, 8);
    world.send(ben.conn, &confirmation);
    assert_eq!(refused(&mut ben, &mut world), ErrorCode::BadSequence);
    assert!(ben.is_closed(&world));
}

#[test]
fn a_full_mailbox_is_emptied_in_steps() {
    let mut config = Config::default();
    config.mailbox.pair_letters = 5_000;
    let (mut world, [mut ann, ben]) = Sim::<Glass>::populated(config);
    ann.come_to_nothing(&mut world);
    for n in 0_u16..2_500 {
        let mut payload = [0; MIN_ENVELOPE];
        payload[..2].copy_from_slice(&n.to_be_bytes());
        ann.send(&mut world, ben.id(), &payload);
    }
    world.expire_letters(ben.id(), ALWAYS).unwrap();
    world.settle();
    assert_eq!(world.administered, [(ben.id(), Administered::Expired { letters: 2_500 })]);
    assert_eq!(world.disk.pending(ben.id()), []);
    assert_eq!(world.pending_from(ann.id()), (0, 0));
}

#[test]
fn letters_expire_that_were_accepted_before_a_moment_and_no_others() {
    let (mut world, [mut ann, mut ben]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    let old = ann.send(&mut world, ben.id(), b"old");
    world.wait_s(100);
    let young = ann.send(&mut world, ben.id(), b"young");
    ann.hear(&mut world);
    world.expire_letters(ben.id(), world.now.unix.shifted(-50)).unwrap();
    world.settle();
    assert_eq!(world.administered, [(ben.id(), Administered::Expired { letters: 1 })]);
    assert_eq!(ann.hear(&mut world), [expired(&old)]);
    ben.come(&mut world, 8);
    assert_eq!(ben.hear(&mut world), [Said::Letter(young), Said::BacklogEnd(1)]);
    // Whoever is there has been given it, and keeps it; the sender is told that it has expired.
    world.wait_s(1);
    world.expire_letters(ben.id(), ALWAYS).unwrap();
    world.settle();
    assert_eq!(world.session_count(), 2);
    let nobody = UserId::new(77).unwrap();
    assert_eq!(world.expire_letters(nobody, ALWAYS), Err(AdministrationError::NoSuchUser));
}

#[test]
fn a_session_that_the_operator_ends_can_come_back() {
    let (mut world, [_, mut ben]) = World::online(Config::default());
    assert!(world.end_session(ben.id()));
    assert!(!world.end_session(ben.id()));
    assert_eq!(ben.hear(&mut world), [Said::Closed(CloseReason::ServerStopping)]);
    ben.come_to_nothing(&mut world);
    assert_eq!(world.session_count(), 2);
}

#[test]
fn sessions_are_listed_with_all_that_an_operator_sees() {
    let (mut world, [mut ann, mut ben, _]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    world.wait_s(10);
    ben.come_to_nothing(&mut world);
    ann.send(&mut world, ben.id(), b"not acknowledged");
    let (mut sessions, now) = (Vec::new(), world.now.instant);
    for operator in world.operators() {
        let SessionPage { sessions: some, mut next } = operator.sessions(None, now);
        sessions.extend(some);
        while let Some(after) = next {
            let page = operator.sessions(Some(after), now);
            assert_eq!(page.sessions, []);
            assert!(page.next.is_none() || page.next > next);
            next = page.next;
        }
    }
    sessions.sort_by_key(|session| session.user);
    let [first, second] = &sessions[..] else { panic!("{sessions:?}") };
    assert_eq!((first.user, first.phone, first.unacknowledged), (ann.id(), ann.phone, 0));
    assert_eq!((second.user, second.unacknowledged), (ben.id(), 1));
    assert_eq!(first.age.as_secs() - second.age.as_secs(), 10);
    assert_eq!(first.prefix.to_string(), "127.0.0.0/24");
}

#[test]
fn a_report_says_what_there_is() {
    let (mut world, [mut ann, ben, _]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    let letter = ann.send(&mut world, ben.id(), b"waits");
    let all = |world: &mut World| {
        world.reports().iter().fold((0, 0, 0, 0, 0), |sum, report| {
            let (connections, sessions, users) =
                (sum.0 + report.connections, sum.1 + report.sessions, sum.2 + report.users);
            let (letters, bytes) = (sum.3 + report.pending_letters, sum.4 + report.pending_bytes);
            (connections, sessions, users, letters, bytes)
        })
    };
    assert_eq!(all(&mut world), (1, 1, 3, 1, letter.len() as u64));
    let free = world.reports()[0].free_ids;
    assert_eq!(free, Some(65_535 - 3));
    let of_storage = |world: &mut World| {
        let reports = world.reports();
        let sum = |of: fn(&Report) -> usize| reports.iter().map(of).sum::<usize>();
        (sum(|report| report.unsettled_batches), sum(|report| report.open_questions))
    };
    assert_eq!(of_storage(&mut world), (0, 0));
    assert!(world.reports().iter().all(|report| report.oldest_unsettled.is_none()));
    let codes = |world: &mut World| world.reports()[0].codes_left.unwrap();
    let before = codes(&mut world);
    Person::new(5).register(&mut world);
    assert_eq!((before, codes(&mut world)), (Config::default().rates.otps.burst(), before - 1));
    assert_eq!(all(&mut world).2, 4);

    world.disk.held = true;
    ann.send(&mut world, ben.id(), b"on its way");
    world.wait(Duration::from_secs(3));
    let waits = world.reports().into_iter();
    let waits: Vec<_> = waits.filter(|report| report.unsettled_batches > 0).collect();
    let [report] = &waits[..] else { panic!("{waits:?}") };
    assert!(report.oldest_unsettled >= Some(Duration::from_secs(2)), "{report:?}");
    let question = ann.queries(&mut world, &[(ben.id(), id_of(&letter))]);
    world.send(ann.conn, &question);
    assert_eq!(of_storage(&mut world), (1, 1));
    world.release();
    assert_eq!(of_storage(&mut world), (0, 0));
    assert_eq!(all(&mut world), (2, 2, 4, 2, 2 * letter.len() as u64 + 5));
    // The machine that starts next counts the same.
    world.crash();
    assert_eq!(all(&mut world).3, 2);
}

/// What the client of a user hears who is kept out.
fn kept_out(world: &mut World, ben: &mut Person<RustCrypto>) -> Said {
    ben.conn = world.connect();
    let long = ben.long(world);
    world.send(ben.conn, &long);
    world.bring(ben.conn);
    ben.hear_one(world)
}

const IN_AN_HOUR: Said =
    Said::Refused(No { code: ErrorCode::RateLimited, op: 0, retry_after_s: 3_600, packet: None });

#[test]
fn a_suspended_user_is_sent_away_and_letters_to_them_wait() {
    let (mut world, [mut ann, mut ben]) = World::online(Config::default());
    world.suspend(ben.id(), None).unwrap();
    world.settle();
    assert_eq!(ben.hear(&mut world), [Said::Closed(CloseReason::ServerStopping)]);
    assert_eq!(world.administered, [(ben.id(), Administered::Stored)]);
    let letter = ann.send(&mut world, ben.id(), b"waits");
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
    assert_eq!(kept_out(&mut world, &mut ben), IN_AN_HOUR);
    // Nor by a 101, whose signature proves as much.
    ben.conn = world.connect();
    let proof = ben.proof(&mut world, b"000000");
    world.send(ben.conn, &proof);
    world.bring(ben.conn);
    assert_eq!(ben.hear_one(&mut world), IN_AN_HOUR);
    world.crash();
    assert_eq!(kept_out(&mut world, &mut ben), IN_AN_HOUR);

    world.administered.clear();
    world.resume(ben.id()).unwrap();
    world.settle();
    assert_eq!(world.administered, [(ben.id(), Administered::Stored)]);
    ben.come(&mut world, 8);
    assert_eq!(ben.hear(&mut world), [Said::Letter(letter), Said::BacklogEnd(1)]);
    assert_eq!(world.disk.suspensions().count(), 0);
}

#[test]
fn nobody_but_the_user_learns_that_they_are_suspended() {
    let (mut world, [mut ann, ben]) = World::populated(Config::default());
    world.suspend(ben.id(), None).unwrap();
    // Somebody else signs in the name of the user.
    let mut mallory = Person { id: ben.id, phone: ben.phone, ..Person::new(7) };
    let said = kept_out(&mut world, &mut mallory);
    assert_eq!(said.code(), Some(ErrorCode::BadSignature));
    ann.come_to_nothing(&mut world);
    ann.ask(&mut world, KeyQuestion::ByPhone(ben.phone));
    assert!(matches!(ann.hear_one(&mut world), Said::Key(_)));
}

#[test]
fn a_suspension_ends_by_itself_at_its_time() {
    let (mut world, [_, mut ben]) = World::populated(Config::default());
    let until = world.now.unix.shifted(7 * 86_400);
    world.suspend(ben.id(), Some(until)).unwrap();
    world.wait_s(7 * 86_400 - 1);
    assert_eq!(kept_out(&mut world, &mut ben), IN_AN_HOUR);
    world.wait_s(1);
    ben.come_to_nothing(&mut world);
    // Nobody needs to remember it.
    world.wait(Config::default().expiry_interval);
    assert_eq!(world.disk.suspensions().count(), 0);
    // A server that starts later knows it, too.
    world.crash();
    ben.come_to_nothing(&mut world);
}

#[test]
fn a_session_that_is_offered_is_not_confirmed_once_its_user_is_suspended() {
    let (mut world, [_, mut ben]) = World::populated(Config::default());
    ben.knock(&mut world);
    world.suspend(ben.id(), None).unwrap();
    ben.confirm(&mut world, 8);
    assert_eq!(ben.hear_one(&mut world), IN_AN_HOUR);
    assert_eq!(world.session_count(), 0);
}

#[test]
fn a_suspension_that_storage_does_not_take_is_as_if_nobody_had_asked_for_it() {
    let (mut world, [_, mut ben]) = World::populated(Config::default());
    world.disk.refuses_writes = true;
    world.suspend(ben.id(), None).unwrap();
    assert_eq!(world.suspend(ben.id(), None), Err(AdministrationError::UnderWay));
    world.settle();
    world.disk.refuses_writes = false;
    assert_eq!(world.administered, [(ben.id(), Administered::NotDone { letters: 0 })]);
    world.wait_s(2);
    ben.come_to_nothing(&mut world);

    world.suspend(ben.id(), None).unwrap();
    world.settle();
    world.disk.refuses_writes = true;
    world.resume(ben.id()).unwrap();
    world.settle();
    world.disk.refuses_writes = false;
    world.wait_s(2);
    assert_eq!(kept_out(&mut world, &mut ben), IN_AN_HOUR);
    assert_eq!(world.suspend(UserId::new(9).unwrap(), None), Err(AdministrationError::NoSuchUser));
}

#[test]
fn limits_of_ones_own_refuse_what_is_new_and_keep_what_waits() {
    let (mut world, [mut ann, ben]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    let first = ann.send(&mut world, ben.id(), b"one");
    assert_eq!(ann.hear(&mut world), [Said::stored(&first)]);
    let second = ann.send(&mut world, ben.id(), b"two");
    assert_eq!(ann.hear(&mut world), [Said::stored(&second)]);

    world.set_limits(ben.id(), OwnLimits { letters: Some(1), bytes: None }).unwrap();
    world.settle();
    assert_eq!(world.administered, [(ben.id(), Administered::Stored)]);
    ann.send(&mut world, ben.id(), b"three");
    assert_eq!(refused(&mut ann, &mut world), ErrorCode::MailboxFull);
    assert_eq!(world.disk.pending(ben.id()), [id_of(&first), id_of(&second)]);
    // A server that starts later knows them, too.
    world.crash();
    ann.come_to_nothing(&mut world);
    ann.send(&mut world, ben.id(), b"four");
    assert_eq!(refused(&mut ann, &mut world), ErrorCode::MailboxFull);

    // Bytes are a limit of their own, and others are not concerned.
    let bytes = Some(3 * first.len() as u64 + 1);
    world.set_limits(ben.id(), OwnLimits { letters: None, bytes }).unwrap();
    world.settle();
    let third = ann.send(&mut world, ben.id(), b"six");
    assert_eq!(ann.hear(&mut world), [Said::stored(&third)]);
    ann.send(&mut world, ben.id(), b"five");
    assert_eq!(refused(&mut ann, &mut world), ErrorCode::MailboxFull);

    world.set_limits(ben.id(), OwnLimits::default()).unwrap();
    world.settle();
    let last = ann.send(&mut world, ben.id(), b"last");
    assert_eq!(ann.hear(&mut world), [Said::stored(&last)]);
}

#[test]
fn limits_that_storage_does_not_take_are_as_if_nobody_had_set_them() {
    let (mut world, [mut ann, ben]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    let one = OwnLimits { letters: Some(1), bytes: None };
    world.disk.refuses_writes = true;
    world.set_limits(ben.id(), one).unwrap();
    assert_eq!(world.set_limits(ben.id(), one), Err(AdministrationError::UnderWay));
    world.settle();
    world.disk.refuses_writes = false;
    assert_eq!(world.administered, [(ben.id(), Administered::NotDone { letters: 0 })]);
    world.wait_s(2);
    for text in [b"one", b"two"] {
        let letter = ann.send(&mut world, ben.id(), text);
        assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
    }
    let nobody = UserId::new(9).unwrap();
    assert_eq!(world.set_limits(nobody, one), Err(AdministrationError::NoSuchUser));
}

#[test]
fn a_server_that_is_drained_sends_all_sessions_away_evenly_and_gives_out_no_codes() {
    let (mut world, mut people) = World::online::<6>(Config::default());
    world.drain(Duration::from_secs(60));
    // One at once, however many shards there are.
    world.wait(Duration::ZERO);
    assert_eq!(world.session_count(), 5);
    world.wait_s(30);
    assert!((1..=3).contains(&world.session_count()), "{}", world.session_count());
    // Whoever comes back over a connection that is there is sent away, too.
    let closed = [Said::Closed(CloseReason::ServerStopping)];
    let at = people.iter().position(|person| person.is_closed(&world)).unwrap();
    assert_eq!(people[at].hear(&mut world), closed);
    people[at].come_to_nothing(&mut world);
    world.wait_s(31);
    assert_eq!(world.session_count(), 0);
    for person in &mut people {
        assert_eq!(person.hear(&mut world), closed);
    }

    let mut newcomer = Person::new(6);
    newcomer.conn = world.connect();
    let request = newcomer.request(&mut world);
    world.send(newcomer.conn, &request);
    assert_eq!(refused(&mut newcomer, &mut world), ErrorCode::Busy);
    assert!(!world.stopped());
}

#[test]
fn a_drain_that_is_asked_for_again_ends_nobody_early() {
    let (mut world, _people) = World::online::<6>(Config::default());
    world.drain(Duration::from_secs(60));
    world.wait(Duration::ZERO);
    let left = world.session_count();
    for _ in 0..10 {
        world.drain(Duration::from_secs(3_600));
        world.wait(Duration::ZERO);
        assert_eq!(world.session_count(), left);
    }
    world.drain(Duration::from_secs(10));
    world.wait_s(11);
    assert_eq!(world.session_count(), 0);
}

#[test]
fn a_server_that_is_drained_no_more_keeps_the_sessions_that_are_left() {
    let (mut world, [ann, ben, cora]) = World::online(Config::default());
    world.drain(Duration::from_secs(60));
    world.stop_draining();
    world.wait_s(120);
    assert_eq!(world.session_count(), 3);
    assert!([ann, ben, cora].iter().all(|person| !person.is_closed(&world)));
    let mut newcomer = Person::new(3);
    newcomer.register(&mut world);
}

/// Two accounts of the server itself, which are not there yet.
fn own() -> [Person<RustCrypto>; 2] {
    [3, 4].map(|at| {
        let phone = Phone::parse(format!("+9990000000{at}").as_bytes()).unwrap();
        Person { phone, ..Person::new(at) }
    })
}

fn enrol(world: &mut World, person: &mut Person<RustCrypto>) {
    let user = world.enrol(person.phone, &person.spki()).unwrap();
    world.settle();
    assert_eq!(world.administered.pop(), Some((user, Administered::Enrolled { user })));
    person.id = Some(user);
}

fn users(world: &mut World) -> usize {
    world.reports().iter().map(|report| report.users).sum()
}

#[test]
fn accounts_of_the_server_itself_need_no_code_and_are_in_no_count() {
    let closed = RegistrationPolicy::new(false, vec![], None).unwrap();
    let (mut world, _) = World::online::<2>(Config::default());
    world.configure(Config { registration: closed, ..Config::default() });
    let [mut one, mut other] = own();
    for person in [&mut one, &mut other] {
        enrol(&mut world, person);
        let id = person.id();
        // Asked for again, it is the same one.
        enrol(&mut world, person);
        assert_eq!(person.id(), id);
    }
    let counted = |world: &mut World| {
        let counts = |report: &Report| {
            let pending = (report.pending_letters, report.pending_bytes);
            (report.users, report.suspended, pending, report.handed_in, report.outcomes)
        };
        world.reports().iter().map(counts).collect::<Vec<_>>()
    };
    let before = counted(&mut world);
    assert_eq!(users(&mut world), 2);
    one.come_to_nothing(&mut world);
    let letter = one.send(&mut world, other.id(), b"is anybody there");
    assert_eq!(one.hear(&mut world), [Said::stored(&letter)]);
    assert_eq!(counted(&mut world), before);
    other.come(&mut world, 64);
    assert_eq!(other.hear(&mut world), [Said::Letter(letter.clone()), Said::BacklogEnd(1)]);
    other.acknowledge(&mut world, &[id_of(&letter)]);
    assert_eq!(one.hear(&mut world), [Said::delivered(&letter)]);
    world.suspend(other.id(), None).unwrap();
    world.settle();
    assert_eq!(counted(&mut world), before);
    world.resume(other.id()).unwrap();
    world.settle();
    // The next start knows them, and removed ones are gone.
    world.crash();
    assert_eq!(users(&mut world), 2);
    world.remove_user(one.id()).unwrap();
    world.settle();
    assert_eq!(users(&mut world), 2);
    let before = one.id();
    enrol(&mut world, &mut one);
    assert_ne!(one.id(), before);
}

#[test]
fn nobody_else_gets_an_account_as_those_of_the_server_itself() {
    let (mut world, [mut ann]) = World::online(Config::default());
    let [mut one, mut other] = own();
    let ask = |world: &mut World, person: &mut Person<RustCrypto>| {
        person.conn = world.connect();
        let request = person.request(world);
        world.send(person.conn, &request);
        refused(person, world)
    };
    assert_eq!(ask(&mut world, &mut one), ErrorCode::BadPhone);
    for (phone, spki, why) in [
        (ann.phone, one.spki(), AdministrationError::Refused(ErrorCode::BadPhone)),
        (one.phone, ann.spki(), AdministrationError::Refused(ErrorCode::WeakKey)),
    ] {
        assert_eq!(world.enrol(phone, &spki), Err(why));
    }
    enrol(&mut world, &mut one);
    let taken = AdministrationError::PhoneTaken(one.id());
    assert_eq!(world.enrol(one.phone, &other.spki()), Err(taken));
    // What storage does not take has not been, and can be asked for again.
    world.disk.refuses_writes = true;
    world.enrol(other.phone, &other.spki()).unwrap();
    world.settle();
    let not_done = Administered::NotDone { letters: 0 };
    assert_eq!(world.administered.pop().map(|(_, outcome)| outcome), Some(not_done));
    world.disk.refuses_writes = false;
    world.wait_s(2);
    enrol(&mut world, &mut other);
    // People neither find nor reach them.
    ann.ask(&mut world, KeyQuestion::ByPhone(other.phone));
    assert_eq!(refused(&mut ann, &mut world), ErrorCode::UnknownUser);
    ann.send(&mut world, other.id(), b"who are you");
    assert_eq!(refused(&mut ann, &mut world), ErrorCode::UnknownRecipient);
}
