//! The server gets another key, and those who were told of it go on (PROTOCOL.md, "Keys").

use std::time::Duration;

use waxwing_core::client::Ended;
use waxwing_core::crypto::{PrivateKey, Spki};
use waxwing_core::messenger::{Advice, Cause, SUCCESSOR_TOLERANCE_S};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{ErrorCode, Op};
use waxwing_testkit::backend::{Backend, Paper};
use waxwing_testkit::packets;
use waxwing_testkit::participant::End;
use waxwing_testkit::world::SERVER_KEY;

use crate::Population;

/// The numbers of the keys that follow.
const NEXT: usize = 2_000;
const LAST: usize = 2_001;
const DAY: i64 = 24 * 60 * 60;

fn spki(key: usize) -> Spki {
    Paper::key(key).spki().clone()
}

/// So many people, who ask the server once a day; its key changes in eight days.
fn told(count: usize) -> (Population, UnixTime) {
    let mut all = Population::of(count);
    let effective = all.world.now.unix.shifted(8 * DAY);
    for person in &mut all.people {
        person.profile.asks_server_after_s = Some(DAY);
        let keys =
            [SERVER_KEY, NEXT, LAST].map(|key| (spki(key), &*Box::leak(Box::new(Paper::key(key)))));
        person.server_keys = keys.to_vec();
    }
    all.world.announce(Some((NEXT, effective)));
    all.connect_all();
    all.run();
    (all, effective)
}

/// Time passes until then, and nobody is connected.
fn sleep_until(all: &mut Population, moment: UnixTime) {
    (0..all.people.len()).for_each(|who| all.cut(who));
    let left = moment.minus(all.world.now.unix);
    all.world.wait(Duration::from_secs(left.try_into().unwrap()));
}

fn pinned(all: &Population, who: usize) -> Option<Spki> {
    all.people[who].profile.committed().server_key.clone()
}

fn successor(all: &Population, who: usize) -> Option<Spki> {
    let stored = all.people[who].profile.committed();
    stored.successor.as_ref().map(|successor| successor.spki.clone())
}

/// A refusal for everybody, which anybody gets who sends the server rubbish.
fn recorded_refusal(all: &mut Population) -> Vec<u8> {
    let rubbish = packets::unsigned(0, 0, all.world.now.unix, Op::RegistrationRequest.code(), &[]);
    let stranger = all.world.connect();
    all.world.send(stranger, &packets::zero_signed(rubbish));
    all.world.bytes(stranger)
}

/// How the connections of `who` have ended because of a key, and whether quietly.
fn quiet_ends(all: &Population, who: usize) -> Vec<bool> {
    let ends = all.ends[who].iter().filter_map(|end| match end {
        End::Over(over) if over.cause == Cause::Ended(Ended::BadBytes) => {
            Some(over.advice == Advice::AgainQuietly)
        }
        _ => None,
    });
    ends.collect()
}

#[test]
fn the_server_is_asked_once_a_day_also_in_a_session_that_lasts() {
    let mut all = Population::of(1);
    all.people[0].profile.asks_server_after_s = Some(DAY);
    all.connect(0);
    all.run();
    let asked = |all: &Population| all.people[0].profile.committed().successor_asked.unwrap();
    let first = asked(&all);
    all.pass(Duration::from_hours(1));
    assert_eq!(asked(&all), first);
    all.cut(0);
    all.connect(0);
    all.run();
    assert_eq!(asked(&all), first);
    assert_eq!(successor(&all, 0), None);
    // In the same session, a day later.
    let effective = all.world.now.unix.shifted(8 * DAY);
    all.world.announce(Some((NEXT, effective)));
    for _ in 0..26 {
        all.pass(Duration::from_hours(1));
    }
    assert!(asked(&all).minus(first) >= DAY);
    assert_eq!(successor(&all, 0), Some(spki(NEXT)));
}

#[test]
fn what_the_server_has_said_last_counts() {
    let (mut all, effective) = told(1);
    assert_eq!(successor(&all, 0), Some(spki(NEXT)));
    for (said, kept) in [
        (Some((LAST, effective)), Some(spki(LAST))),
        (None, None),
        (Some((NEXT, effective)), Some(spki(NEXT))),
        // The key that is pinned is no other key.
        (Some((SERVER_KEY, effective)), None),
    ] {
        all.world.announce(said);
        all.people[0].profile.stored.server_key = Some(spki(SERVER_KEY));
        let next_day = all.world.now.unix.shifted(DAY);
        sleep_until(&mut all, next_day);
        all.connect(0);
        all.run();
        assert_eq!(successor(&all, 0), kept);
    }
}

#[test]
fn a_refusal_that_somebody_plays_back_takes_no_successor_away() {
    let (mut all, _) = told(1);
    let next_day = all.world.now.unix.shifted(DAY);
    sleep_until(&mut all, next_day);
    let recorded = recorded_refusal(&mut all);
    all.connect(0);
    while !all.people[0].client().expect("a connection").is_in_session() {
        all.step(0);
    }
    // The question has gone out, and nothing has come yet under the key of the session.
    let client = all.people[0].client().unwrap();
    assert!(client.is_asking_for_key() && client.proven_session_key().is_none());
    all.people[0].receive(&recorded);
    all.run();
    let Some(End::Over(over)) = all.ends[0].last() else { panic!("{:?}", all.ends[0]) };
    let Cause::Ended(Ended::Refused(refusal)) = over.cause else { panic!("{over:?}") };
    assert_eq!((refusal.code, refusal.packet), (Some(ErrorCode::Malformed), None));
    assert_eq!(successor(&all, 0), Some(spki(NEXT)));
    // The question is still to be asked.
    all.world.announce(None);
    all.connect(0);
    all.run();
    assert_eq!(successor(&all, 0), None);
}

#[test]
fn a_key_that_a_person_has_is_not_kept() {
    let (mut all, effective) = told(2);
    let ben = all.people[1].phone;
    all.people[0].messenger.want_key(&ben);
    all.run();
    // Numbers 0 and 1 are the people's own.
    for key in [0, 1] {
        all.world.announce(Some((key, effective)));
        let next_day = all.world.now.unix.shifted(DAY);
        sleep_until(&mut all, next_day);
        all.connect_all();
        all.run();
        assert_eq!(successor(&all, 0), None, "{key}");
    }
}

#[test]
fn from_the_moment_on_people_go_on_under_the_other_key_and_no_other() {
    let (mut all, effective) = told(2);
    sleep_until(&mut all, effective);
    all.world.succeed(NEXT);
    all.write(0, 1, "after");
    all.connect_all();
    all.run();
    assert_eq!(all.people[1].texts(), ["after"]);
    for who in [0, 1] {
        assert_eq!((pinned(&all, who), successor(&all, who)), (Some(spki(NEXT)), None));
        assert_eq!(quiet_ends(&all, who), [false; 0]);
    }
    // Whoever has the old key is not the server any more.
    (0..2).for_each(|who| all.cut(who));
    all.world.succeed(SERVER_KEY);
    for _ in 0..4 {
        all.connect(0);
        all.run();
        assert!(!all.people[0].is_connected());
    }
    assert_eq!(quiet_ends(&all, 0), [false; 4]);
    assert_eq!(pinned(&all, 0), Some(spki(NEXT)));
}

#[test]
fn sessions_that_stand_end_and_are_opened_again_under_the_other_key() {
    let (mut all, effective) = told(2);
    let left = effective.minus(all.world.now.unix);
    all.pass(Duration::from_secs(left.try_into().unwrap()));
    (0..2)
        .filter(|who| !all.people[*who].is_connected())
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(|who| all.connect(who));
    all.run();
    all.world.succeed(NEXT);
    all.run();
    assert!(!all.people[0].is_connected() && !all.people[1].is_connected());
    all.write(1, 0, "hello");
    all.connect_all();
    all.run();
    assert_eq!(all.people[0].texts(), ["hello"]);
    assert_eq!(pinned(&all, 0), Some(spki(NEXT)));
}

#[test]
fn a_clock_that_is_wrong_by_less_than_a_day_costs_one_connection_at_most() {
    // The server is early, or late, by the clocks of the people.
    for off in [-SUCCESSOR_TOLERANCE_S + 1_000, -60, 60, SUCCESSOR_TOLERANCE_S, 400 * DAY] {
        let is_late = off > 0;
        let (mut all, effective) = told(1);
        sleep_until(&mut all, effective.shifted(off));
        if !is_late {
            all.world.succeed(NEXT);
        }
        // The process knows nothing of the server's clock.
        all.people[0].restart();
        all.connect(0);
        all.run();
        all.connect(0);
        all.run();
        assert!(all.people[0].is_connected(), "{off}");
        assert_eq!(quiet_ends(&all, 0), [true], "{off}");
        let expected = if is_late { None } else { Some(spki(NEXT)) };
        assert_eq!(pinned(&all, 0), expected, "{off}");
        if is_late {
            all.world.succeed(NEXT);
            all.run();
            all.connect(0);
            all.run();
            assert_eq!(pinned(&all, 0), Some(spki(NEXT)), "{off}");
        }
    }
}

#[test]
fn a_plan_that_is_taken_back_after_its_moment_cuts_nobody_off() {
    let (mut all, effective) = told(1);
    // The key could not take its place at its moment, and was given up then.
    sleep_until(&mut all, effective.shifted(DAY));
    all.world.announce(None);
    all.people[0].restart();
    for _ in 0..2 {
        all.connect(0);
        all.run();
    }
    assert!(all.people[0].is_connected());
    assert_eq!(quiet_ends(&all, 0), [true]);
    assert_eq!((pinned(&all, 0), successor(&all, 0)), (None, None));
    all.cut(0);
    all.connect(0);
    all.run();
    assert!(all.people[0].is_connected());
    assert_eq!(quiet_ends(&all, 0), [true], "it knows of one key, and tries no other");
}

#[test]
fn bad_bytes_in_a_session_are_no_reason_to_try_the_other_key_at_once() {
    let (mut all, effective) = told(1);
    sleep_until(&mut all, effective);
    let bad = recorded_refusal(&mut all);
    let bad = packets::flipped(&bad, bad.len() - 1);
    for round in 1..=3 {
        // The server is late, so that the successor comes first and is not the server's key.
        all.connect(0);
        all.run();
        assert!(!all.people[0].is_connected());
        all.connect(0);
        all.run();
        assert!(all.people[0].is_connected());
        all.people[0].receive(&bad);
        all.run();
        assert_eq!(quiet_ends(&all, 0), [true, false].repeat(round));
        assert!(all.people[0].messenger.may_connect_at() > all.world.now.instant);
    }
    assert_eq!(pinned(&all, 0), None);
    assert_eq!(successor(&all, 0), Some(spki(NEXT)));
}

#[test]
fn a_server_that_has_the_key_long_before_the_moment_is_refused() {
    let (mut all, effective) = told(1);
    sleep_until(&mut all, effective.shifted(-SUCCESSOR_TOLERANCE_S - 100));
    all.world.succeed(NEXT);
    for _ in 0..3 {
        all.connect(0);
        all.run();
        assert!(!all.people[0].is_connected());
    }
    assert_eq!(quiet_ends(&all, 0), [false; 3]);
    assert_eq!(pinned(&all, 0), None);
}

#[test]
fn whoever_was_not_told_refuses_the_server() {
    let (mut all, effective) = told(2);
    all.people[0].profile.stored.successor = None;
    sleep_until(&mut all, effective);
    all.world.succeed(NEXT);
    for _ in 0..3 {
        all.connect(0);
        all.run();
        assert!(!all.people[0].is_connected());
    }
    assert_eq!(quiet_ends(&all, 0), [false; 3]);
    assert_eq!(pinned(&all, 0), None);
}

#[test]
fn the_change_survives_a_crash_at_any_moment() {
    for moment in 0..12 {
        let (mut all, effective) = told(1);
        sleep_until(&mut all, effective);
        all.world.succeed(NEXT);
        all.people[0].profile.fails_after = Some(moment);
        for _ in 0..3 {
            if !all.people[0].is_connected() {
                all.connect(0);
            }
            all.run();
        }
        all.kill(0);
        all.people[0].profile.fails_after = None;
        all.connect(0);
        all.run();
        assert!(all.people[0].is_connected());
        assert_eq!(pinned(&all, 0), Some(spki(NEXT)), "{moment}");
    }
}

#[test]
fn the_key_that_follows_is_no_persons() {
    let (mut all, _) = told(2);
    let contact = all.people[1].phone;
    let answer = waxwing_core::wire::KeyAnswer {
        user: all.people[1].profile.stored.user.unwrap(),
        phone: contact,
        spki: spki(NEXT),
    };
    let account = all.people[0].messenger.account().clone();
    let own = all.people[0].keys.own.spki().clone();
    let profile = &mut all.people[0].profile;
    let now = UnixTime::from_seconds(0);
    let judged = waxwing_core::messenger::judge(profile, &account, &own, &answer, now).unwrap();
    let expected =
        waxwing_core::messenger::Judgement::Refused(waxwing_core::messenger::Conflict::Server);
    assert_eq!(judged, expected);
}
