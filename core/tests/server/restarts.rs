//! What a restart leaves of limits: nobody gets a code, a guess or a question more for it.

use std::time::Duration;

use waxwing_core::crypto::ReplyKey;
use waxwing_core::server::{Config, Rate};
use waxwing_core::wire::{ErrorCode, KeyQuestion};

use waxwing_testkit::backend::Paper;
use waxwing_testkit::disk::Disk;
use waxwing_testkit::packets;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::Sim;

type World = Sim<Paper>;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
const LIMITED: Option<ErrorCode> = Some(ErrorCode::RateLimited);

/// Somebody in the place of `at`, as a new attempt.
fn person(at: usize, attempt: u8) -> Person<Paper> {
    let mut person = Person::new(at);
    person.reply_key = ReplyKey::from_bytes(&[attempt; 32]);
    person
}

/// Asks for a code, and gives the refusal.
fn ask(world: &mut World, at: usize, attempt: u8, address: &str) -> Option<ErrorCode> {
    let mut person = person(at, attempt);
    person.conn = world.connect_from(address);
    let request = person.request(world);
    world.send(person.conn, &request);
    person.hear_one(world).code()
}

/// Asks for a code, and hears nothing at once: it has not gone out.
fn ask_in_vain(world: &mut World, at: usize) {
    let mut person = person(at, 1);
    person.conn = world.connect_from("198.51.100.7");
    let request = person.request(world);
    world.send(person.conn, &request);
    assert_eq!(person.hear(world), []);
}

/// Guesses a code wrongly, and gives the refusal.
fn guess(world: &mut World, at: usize, attempt: u8, address: &str) -> Option<ErrorCode> {
    let mut person = person(at, attempt);
    let sent = world.codes.iter().any(|(_, phone, _)| *phone == person.phone);
    let is_right = sent && person.code(world) == b"000000";
    let proof = person.proof(world, if is_right { b"000001" } else { b"000000" });
    person.conn = world.connect_from(address);
    world.send(person.conn, &proof);
    person.hear_one(world).code()
}

/// Limits of codes and guesses alone.
fn many() -> Config {
    let mut config = Config::default();
    config.rates.registrations = Rate::new(100_000, Duration::from_secs(1));
    config.rates.proofs = Rate::new(100_000, Duration::from_secs(1));
    config
}

#[test]
fn codes_that_were_sent_are_counted_after_a_restart() {
    let mut world = World::new(many());
    for attempt in 0..3 {
        world.crash();
        assert_eq!(ask(&mut world, 0, attempt, "198.51.100.7"), None);
        world.wait_s(301);
    }
    world.crash();
    assert_eq!(ask(&mut world, 0, 3, "198.51.100.7"), LIMITED, "per phone and prefix");
    for attempt in 3..10 {
        assert_eq!(ask(&mut world, 0, attempt, &format!("198.51.{attempt}.7")), None);
    }
    world.crash();
    assert_eq!(ask(&mut world, 0, 10, "203.0.113.1"), LIMITED, "per phone");
    assert_eq!(ask(&mut world, 1, 10, "203.0.113.1"), None, "another's");
    assert_eq!(world.codes.len(), 11);
    // They come back as if nothing had happened.
    world.wait_s(DAY / 10);
    world.crash();
    assert_eq!(ask(&mut world, 0, 11, "203.0.113.2"), None);
    assert_eq!(ask(&mut world, 0, 12, "203.0.113.3"), LIMITED);
}

#[test]
fn every_limit_that_protects_phones_outlives_the_server() {
    let mut config = Config::default();
    config.rates.registrations = Rate::new(3, Duration::from_secs(HOUR));
    config.rates.proofs = Rate::new(4, Duration::from_secs(HOUR));
    config.rates.guesses_per_prefix = Rate::new(2, Duration::from_secs(DAY));
    config.rates.guesses = Rate::new(3, Duration::from_secs(DAY));
    config.rates.otps = Rate::new(4, Duration::from_secs(DAY));
    let mut world = World::new(config);
    for at in 0..3 {
        assert_eq!(ask(&mut world, at, 1, "198.51.100.7"), None);
    }
    world.crash();
    assert_eq!(ask(&mut world, 3, 1, "198.51.100.7"), LIMITED, "100s per prefix");
    assert_eq!(ask(&mut world, 4, 1, "203.0.113.7"), None);
    world.crash();
    assert_eq!(ask(&mut world, 5, 1, "192.0.2.7"), LIMITED, "codes of the server");
    world.wait_s(DAY);
    assert_eq!(ask(&mut world, 6, 1, "203.0.113.7"), None);
    for _ in 0..2 {
        assert_eq!(guess(&mut world, 6, 1, "203.0.113.7"), Some(ErrorCode::OtpWrong));
    }
    world.crash();
    assert_eq!(guess(&mut world, 6, 1, "203.0.113.7"), LIMITED, "wrong codes per prefix");
    assert_eq!(guess(&mut world, 6, 1, "198.18.0.7"), Some(ErrorCode::OtpExpired), "it is gone");
    assert_eq!(ask(&mut world, 7, 1, "198.18.0.7"), None);
    assert_eq!(guess(&mut world, 7, 1, "198.18.0.7"), Some(ErrorCode::OtpWrong));
    world.crash();
    let mut last = person(8, 1);
    last.conn = world.connect_from("192.0.2.7");
    let request = last.request(&mut world);
    world.send(last.conn, &request);
    let said = last.hear_one(&mut world);
    assert!(matches!(said, Said::CodeIssued { attempts: 1, .. }), "wrong codes of the server");
    for _ in 0..2 {
        guess(&mut world, 9, 1, "203.0.113.7");
    }
    world.crash();
    assert_eq!(guess(&mut world, 9, 1, "203.0.113.7"), LIMITED, "101s per prefix");
}

#[test]
fn questions_by_phone_are_counted_at_home_after_a_restart_into_other_machines() {
    let mut config = Config::default();
    config.rates.questions = Rate::new(4, Duration::from_secs(DAY));
    let (mut world, mut people) = World::populate_shards(config, 7, 3, 1);
    for (asked, shards) in [(1, 3), (1, 2), (2, 1), (0, 4)] {
        for at in 0..people.len() {
            let about = KeyQuestion::ByPhone(people[(at + 1) % 3].phone);
            let asker = &mut people[at];
            asker.come_to_nothing(&mut world);
            for _ in 0..asked {
                asker.ask(&mut world, about);
                assert!(matches!(asker.hear_one(&mut world), Said::Key(_)));
            }
            if asked == 0 {
                asker.ask(&mut world, about);
                assert_eq!(asker.hear_refusals(&mut world), [ErrorCode::RateLimited]);
            }
        }
        world.crash_into(shards);
    }
}

#[test]
fn a_clock_set_while_the_server_is_off_costs_a_period_at_most() {
    for years in [-10, -56] {
        let mut world = World::new(many());
        for attempt in 0..3 {
            assert_eq!(ask(&mut world, 0, attempt, "198.51.100.7"), None);
        }
        world.now.unix = world.now.unix.shifted(years * 366 * DAY as i64);
        world.crash();
        world.wait_s(301);
        assert_eq!(ask(&mut world, 0, 3, "198.51.100.7"), LIMITED, "nothing is given back");
        world.wait_s(DAY);
        assert_eq!(ask(&mut world, 0, 4, "198.51.100.7"), None, "nobody is locked out");
    }
}

#[test]
fn a_clock_set_while_the_server_runs_changes_nothing() {
    for years in [-10, 10] {
        let mut world = World::new(many());
        world.wait_s(60);
        for attempt in 0..3 {
            assert_eq!(ask(&mut world, 0, attempt, "198.51.100.7"), None);
        }
        world.now.unix = world.now.unix.shifted(years * 366 * DAY as i64);
        world.wait_s(600);
        world.settle();
        world.crash();
        assert_eq!(ask(&mut world, 0, 3, "198.51.100.7"), LIMITED);
        world.wait_s(HOUR / 3 - 600 + 2);
        assert_eq!(ask(&mut world, 0, 4, "198.51.100.7"), None, "{years} years");
        world.wait_s(301);
        assert_eq!(ask(&mut world, 0, 5, "198.51.100.7"), LIMITED, "{years} years");
    }
}

#[test]
fn limits_are_stored_anew_when_the_clock_was_set_and_only_then() {
    let mut world = World::new(many());
    assert_eq!(ask(&mut world, 0, 1, "198.51.100.7"), None);
    world.wait_s(HOUR + 120);
    assert_eq!(world.disk.allowances().count(), 1, "the phone's takes longest");
    let mut whole_at = world.disk.allowances().next().unwrap().full_at;
    for (set_forward_s, is_stored) in [(0, false), (5, false), (-5, false), (6, true), (-6, true)] {
        let commits = world.disk.commits;
        world.set_forward(set_forward_s);
        world.wait_s(600);
        assert_eq!(world.disk.commits > commits, is_stored, "{set_forward_s} s");
        if is_stored {
            whole_at = whole_at.shifted(set_forward_s);
        }
        let stored = world.disk.allowances().next().unwrap().full_at;
        assert!(stored.minus(whole_at).abs() <= 1, "{set_forward_s} s");
    }
}

#[test]
fn a_code_goes_out_when_it_is_durable_that_it_was_counted() {
    let mut world = World::new(many());
    world.disk.held = true;
    ask_in_vain(&mut world, 0);
    assert!(world.codes.is_empty());
    world.release();
    assert_eq!(world.codes.len(), 1);

    // While storage takes nothing, none goes out; as soon as it does, all do.
    world.disk.refuses_writes = true;
    ask_in_vain(&mut world, 1);
    world.wait_s(5);
    ask_in_vain(&mut world, 2);
    world.wait_s(5);
    assert_eq!(world.codes.len(), 1);
    world.disk.refuses_writes = false;
    world.wait_s(2);
    assert_eq!(world.codes.len(), 3);
    assert_eq!(guess(&mut world, 2, 1, "198.51.100.7"), Some(ErrorCode::OtpWrong));

    // What storage has refused is counted by the batch with which it is told again, and by no other.
    world.disk.refuses_writes = true;
    ask_in_vain(&mut world, 5);
    (world.disk.refuses_writes, world.disk.mute) = (false, true);
    ask_in_vain(&mut world, 6);
    world.wait_s(2);
    world.tell_outcome();
    assert_eq!(world.codes.len(), 3);
    world.release();
    assert_eq!(world.codes.len(), 5);

    // What had no time to go out is lost, and what has lost its meaning does not go out.
    world.disk.held = true;
    ask_in_vain(&mut world, 3);
    world.crash();
    world.release();
    world.disk.refuses_writes = true;
    ask_in_vain(&mut world, 4);
    world.wait_s(360);
    world.disk.refuses_writes = false;
    world.wait_s(5);
    assert_eq!(world.codes.len(), 5);
}

#[test]
fn what_is_left_of_a_limit_waits_for_company_unless_a_code_waits_for_it() {
    let (mut world, mut people) = World::populate_shards(many(), 7, 2, 1);
    let [ann, ben] = &mut people[..] else { unreachable!() };
    ann.come_to_nothing(&mut world);
    let question = ann.question(&mut world, KeyQuestion::ByPhone(ben.phone));
    world.deliver(&[(ann.conn, question)]);
    assert!(!world.disk.has_jobs());

    let mut newcomer = person(5, 1);
    newcomer.conn = world.connect_from("198.51.100.7");
    let request = newcomer.request(&mut world);
    world.deliver(&[(newcomer.conn, request)]);
    world.disk.work();
    world.tell_news();
    assert_eq!(world.codes.len(), 1, "at once");
    assert_eq!(world.disk.allowances().count(), 5, "of the question, and four of the code");
}

#[test]
fn a_limit_of_which_nothing_is_taken_any_more_takes_no_room() {
    let mut world = World::new(Config::default());
    for at in 0..9 {
        assert_eq!(ask(&mut world, at, 1, "198.51.100.7"), None);
    }
    assert_eq!(world.disk.allowances().count(), 9 + 9 + 2);
    world.wait_s(HOUR + 120);
    assert_eq!(world.disk.allowances().count(), 9, "the phones' take longer");
    world.crash();
    world.wait_s(DAY);
    assert_eq!(world.disk.allowances().count(), 0);
}

#[test]
fn a_limit_that_is_whole_again_when_the_server_starts_takes_no_room_and_others_stay() {
    let mut world = World::new(Config::default());
    assert_eq!(ask(&mut world, 0, 1, "198.51.100.7"), None);
    world.crash();
    world.wait_s(301);
    assert_eq!(world.disk.allowances().count(), 3, "the address's, the phone's, and that of both");
    world.set_forward(2 * DAY as i64);
    world.crash();
    world.wait_s(301);
    assert_eq!(world.disk.allowances().count(), 0);
}

#[test]
fn a_limit_is_forgotten_by_the_machine_that_counts_it_and_by_no_other() {
    let mut world = World::sharded(many(), Disk::default(), 7, 3);
    assert_eq!(ask(&mut world, 0, 1, "198.51.100.7"), None);
    world.crash();
    world.wait_s(1);
    assert_eq!(ask(&mut world, 0, 2, "198.51.100.7"), None);
    // Ten codes a day: the first has come back since, and the second has not.
    world.wait_s(3 * HOUR);
    assert_eq!(world.disk.allowances().count(), 1);
}

#[test]
fn storage_forgets_faster_than_strangers_can_fill_it() {
    const NETWORKS: usize = 2_500;
    let mut config = Config::default();
    config.rates.registrations = Rate::new(1, Duration::from_secs(10));
    config.rates.registration_work = Rate::new(1_000_000, Duration::from_secs(1));
    let mut world = World::new(config);
    for network in 0..NETWORKS {
        let conn = world.connect_from(&format!("198.{}.{}.7", network / 256, network % 256));
        let request = packets::unsigned(0, 0, world.now.unix, 100, &[7; 256]);
        world.send(conn, &packets::zero_signed(request));
    }
    assert_eq!(world.disk.allowances().count(), NETWORKS);
    world.wait_s(180);
    assert_eq!(world.disk.allowances().count(), 0);
}

#[test]
fn storage_is_not_told_whose_limits_they_are() {
    let keys = |other_key: bool| {
        let mut world = World::new(Config::default());
        world.other_wrap_key = other_key;
        world.crash();
        assert_eq!(ask(&mut world, 0, 1, "198.51.100.7"), None);
        guess(&mut world, 0, 1, "198.51.100.7");
        let keys: Vec<_> = world.disk.allowances().map(|allowance| allowance.key).collect();
        keys
    };
    let (ours, others) = (keys(false), keys(true));
    assert_eq!(ours, keys(false), "the same after every restart");
    let shared: Vec<_> = ours.iter().filter(|key| others.contains(key)).collect();
    assert_eq!(ours.len(), 7);
    assert_eq!(shared.len(), 2, "those of the whole server: {shared:?}");
}
