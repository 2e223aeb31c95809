//! What a connection leaves to the next one, and what not.

use std::time::Duration;

use waxwing_core::client::{Ended, Env};
use waxwing_core::messenger::{Advice, Cause};
use waxwing_core::server::{Config, Rate};
use waxwing_core::time::Now;
use waxwing_core::wire::Status;
use waxwing_testkit::participant::{End, Step};

use crate::Population;

/// Bytes of the packet with which `who` asks for a session, on a new connection.
fn request_len(all: &mut Population, who: usize) -> usize {
    all.connect(who);
    all.people[who].client().unwrap().transmit().len()
}

/// Lets `who` do what there is to do, until `is_reached`.
#[track_caller]
fn step_until(all: &mut Population, who: usize, is_reached: impl Fn(&mut Population) -> bool) {
    for _ in 0..1_000 {
        if is_reached(all) {
            return;
        }
        all.step(who);
    }
    panic!("it is never reached");
}

#[test]
fn after_a_refusal_a_session_is_asked_for_in_the_long_form() {
    let mut all = Population::of(2);
    let long = request_len(&mut all, 0);
    all.run();
    assert!(all.people[0].profile.stored.session_key.is_some());
    all.cut(0);
    let short = request_len(&mut all, 0);
    assert_ne!(short, long);
    all.run();
    all.cut(0);
    // The server refuses a signature of somebody else's.
    let (own, other) = (all.people[0].keys.own, all.people[1].keys.own);
    all.people[0].keys.own = other;
    assert_eq!(request_len(&mut all, 0), short);
    all.run();
    assert!(matches!(all.ends[0].last(), Some(End::Over(_))), "{:?}", all.ends[0]);
    all.people[0].keys.own = own;
    assert_eq!(request_len(&mut all, 0), long);
    all.run();
    all.cut(0);
    assert_eq!(request_len(&mut all, 0), short);
}

#[test]
fn a_letter_that_comes_after_the_goodbye_is_left_to_the_next_session() {
    let mut all = Population::of(2);
    all.write(0, 1, "before");
    all.connect_all();
    all.run();
    all.write(0, 1, "late");
    // The server hands it over, and it is still on the way.
    for _ in 0..3 {
        all.step(0);
    }
    all.ask(1, |client, env| client.leave(env).unwrap());
    all.run();
    assert!(!all.people[1].is_connected());
    assert_eq!(all.people[1].texts(), ["before"]);
    all.connect(1);
    all.run();
    assert_eq!(all.people[1].texts(), ["before", "late"]);
    assert_eq!(all.people[1].profile.stored.duplicates, 0);
}

#[test]
fn letters_aside_are_gone_with_their_connection_and_come_again() {
    let mut all = Population::of(2);
    all.write(0, 1, "hello");
    all.connect(0);
    all.run();
    all.connect(1);
    // The question who has sent it is on the way when the connection breaks.
    step_until(&mut all, 1, |all| all.people[1].client().unwrap().is_asking_for_key());
    assert!(!all.people[1].messenger.has_backlog());
    all.cut(1);
    assert!(all.people[1].texts().is_empty());
    all.connect(1);
    all.run();
    assert_eq!(all.people[1].texts(), ["hello"]);
    assert_eq!(all.people[1].profile.stored.duplicates, 0);
}

#[test]
fn what_a_failed_step_would_have_acknowledged_is_not_acknowledged_later() {
    let mut all = Population::of(2);
    all.write(0, 1, "known");
    all.connect_all();
    all.run();
    all.cut(1);
    for text in ["one", "two", "three"] {
        all.write(0, 1, text);
    }
    all.run();
    all.people[1].profile.fails_at = Some(all.people[1].profile.commits);
    all.connect(1);
    step_until(&mut all, 1, |all| !all.people[1].is_connected());
    assert_eq!(all.ends[1].last(), Some(&End::DiskFull));
    assert_eq!(all.people[1].profile.letters_in_step, 3);

    // The letters are on the way again, for longer than acknowledgments are collected.
    all.connect(1);
    step_until(&mut all, 1, |all| all.people[1].client().unwrap().is_in_session());
    let conn = all.connection(1);
    for _ in 0..5 {
        let Population { world, people, .. } = &mut all;
        let step = people[1].step(&mut Env { now: world.now, rng: &mut world.rng });
        assert!(!matches!(step, Step::Ended(_)), "{step:?}");
        world.send(conn, &people[1].transmit());
        world.wait(Duration::from_millis(600));
    }
    all.cut(1);
    assert_eq!(all.people[1].texts(), ["known"]);
    all.connect(1);
    all.run();
    assert_eq!(all.people[1].texts(), ["known", "one", "two", "three"]);
}

/// `who` reads and writes for a while with a clock that is wrong by so many seconds.
fn run_with_clock(all: &mut Population, who: usize, wrong_by_s: i64) {
    let conn = all.connection(who);
    for _ in 0..40 {
        let bytes = all.world.bytes(conn);
        all.people[who].receive(&bytes);
        let now = Now { unix: all.world.now.unix.shifted(wrong_by_s), ..all.world.now };
        all.people[who].step(&mut Env { now, rng: &mut all.world.rng });
        let bytes = all.people[who].transmit();
        all.world.send(conn, &bytes);
        all.world.wait(Duration::from_millis(100));
    }
}

#[test]
fn a_clock_that_is_wrong_is_told_once_and_the_servers_time_is_used_from_then_on() {
    let mut all = Population::of(2);
    for text in ["first", "second"] {
        all.write(0, 1, text);
        all.connect(0);
        run_with_clock(&mut all, 0, 3_600);
        assert_eq!(all.people[0].messenger.clock_offset_s(), -3_600);
        all.cut(0);
    }
    let profile = &all.people[0].profile;
    assert!(profile.stored.outbox.iter().all(|one| one.status == Status::Stored));
    assert!(profile.stored.outbox.iter().all(|one| one.packets.len() == 1));
    let told = profile.notices.iter().filter(|notice| notice.contains("ClockIsOff(-3600)"));
    assert_eq!(told.count(), 1, "{:?}", profile.notices);
}

#[test]
fn a_letter_goes_out_with_how_wrong_the_clock_was_unless_nobody_would_mind() {
    for (wrong_by_s, off_s) in [(3_600, -3_600), (-301, 301), (300, 0), (-300, 0), (0, 0)] {
        let mut all = Population::of(2);
        all.write(0, 1, "dated by that clock");
        all.connect(0);
        run_with_clock(&mut all, 0, wrong_by_s);
        let letter = &all.people[0].profile.stored.outbox[0];
        assert_eq!((letter.status, letter.clock_was_off_s), (Status::Stored, off_s));
    }
}

#[test]
fn after_the_loss_of_a_session_and_after_each_failure_there_is_a_pause() {
    let mut all = Population::of(1);
    let pause =
        |all: &Population| all.people[0].messenger.may_connect_at().since(all.world.now.instant);
    assert_eq!(pause(&all), Duration::ZERO);
    all.connect(0);
    all.run();
    all.cut(0);
    assert!((1..=10).contains(&pause(&all).as_secs()), "{:?}", pause(&all));
    // Nobody is there any more: the pauses grow.
    let mut least = Duration::from_millis(500);
    for _ in 0..4 {
        let passed = pause(&all);
        all.world.wait(passed);
        let Population { world, people, .. } = &mut all;
        people[0].messenger.disconnected(&mut Env { now: world.now, rng: &mut world.rng });
        assert!((least..=2 * least).contains(&pause(&all)), "{:?}", pause(&all));
        least *= 2;
    }
}

#[test]
fn whoever_is_told_to_wait_waits_at_least_that_long() {
    let mut config = Config::default();
    config.rates.reconnect_work = Rate::new(1, Duration::from_secs(100));
    let mut all = Population::with(config, 2);
    all.connect_all();
    all.run();
    let told = all.ends[1][0].over();
    assert_eq!(told.advice, Advice::AgainQuietly);
    let Cause::Ended(Ended::Refused(refusal)) = told.cause else { panic!("{told:?}") };
    assert!(refusal.retry_after_s > 10, "{refusal:?}");
    let pause = all.people[1].messenger.may_connect_at().since(all.world.now.instant);
    let passed = Duration::from_secs(6);
    assert!(pause + passed >= Duration::from_secs(refusal.retry_after_s.into()), "{pause:?}");
}
