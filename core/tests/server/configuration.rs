//! A server that goes on with another configuration.

use std::time::Duration;

use waxwing_core::crypto::{ReplyKey, RustCrypto};
use waxwing_core::server::{Config, Rate};
use waxwing_core::wire::{ErrorCode, Op};

use waxwing_testkit::backend::Paper;
use waxwing_testkit::packets::id_of;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::{Sim, World};

type PaperWorld = Sim<Paper>;

const DAY: Duration = Duration::from_secs(86_400);
const ADDRESS: &str = "198.51.100.7";

/// How many codes for other phones an address gets, until it is told to come back later.
fn codes(world: &mut PaperWorld, phones: &mut std::ops::RangeFrom<usize>) -> usize {
    for gets in 0..100 {
        let mut person = Person::new(phones.next().unwrap());
        person.reply_key = ReplyKey::from_bytes(&[9; 32]);
        person.conn = world.connect_from(ADDRESS);
        let request = person.request(world);
        world.send(person.conn, &request);
        match person.hear_one(world) {
            Said::CodeIssued { .. } => {}
            Said::Refused(no) => {
                assert_eq!(no.code, ErrorCode::RateLimited);
                return gets;
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("there is no limit");
}

/// So many codes a day, on the whole server, and nothing else is limited.
fn per_day(codes: u32) -> Config {
    let mut config = Config::default();
    config.rates.registrations = Rate::new(100_000, DAY);
    config.rates.registration_work = Rate::new(1_000_000, Duration::from_secs(1));
    config.rates.otps = Rate::new(codes, DAY);
    config
}

#[test]
fn a_limit_that_is_raised_gives_what_it_has_more_at_once_and_not_again_after_a_restart() {
    let (mut world, mut phones) = (PaperWorld::new(per_day(10)), 0..);
    assert_eq!(codes(&mut world, &mut phones), 10);
    world.configure(per_day(30));
    assert_eq!(world.reports()[0].codes_left, Some(20));
    world.crash();
    assert_eq!(world.reports()[0].codes_left, Some(20));
    assert_eq!(codes(&mut world, &mut phones), 20);
    world.configure(per_day(30));
    assert_eq!(codes(&mut world, &mut phones), 0);
}

#[test]
fn a_limit_that_is_lowered_forgets_nothing_and_comes_back_within_its_period() {
    let (mut world, mut phones) = (PaperWorld::new(per_day(30)), 0..);
    assert_eq!(codes(&mut world, &mut phones), 30);
    world.configure(per_day(5));
    assert_eq!(codes(&mut world, &mut phones), 0);
    world.crash();
    assert_eq!(codes(&mut world, &mut phones), 0);
    world.wait(DAY);
    assert_eq!(codes(&mut world, &mut phones), 5);
}

/// The next letter is taken, or refused.
fn send(
    world: &mut World,
    from: &mut Person<RustCrypto>,
    to: &Person<RustCrypto>,
    len: usize,
) -> Result<Vec<u8>, ErrorCode> {
    let letter = from.send(world, to.id(), &vec![0; len]);
    match from.hear_one(world) {
        said if said == Said::stored(&letter) => Ok(letter),
        said => Err(said.code().expect("a refusal")),
    }
}

#[test]
fn sessions_go_on_and_their_next_letters_are_judged_by_what_is_set_now() {
    let (mut world, [mut ann, mut ben]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    let first = send(&mut world, &mut ann, &ben, 1_000).unwrap();
    let second = send(&mut world, &mut ann, &ben, 1_100).unwrap();

    let mut small = Config { max_letter: 500, ..Config::default() };
    small.mailbox.pair_letters = 1;
    world.configure(small.clone());
    assert!(ann.hear(&mut world).is_empty(), "nobody is told anything");
    assert_eq!(send(&mut world, &mut ann, &ben, 501), Err(ErrorCode::TooLarge));
    assert_eq!(send(&mut world, &mut ann, &ben, 400), Err(ErrorCode::MailboxFull));

    // What lies there already stays, although it is more than fits now.
    ben.come(&mut world, 8);
    let letters = [first.clone(), second.clone()].map(Said::Letter);
    assert_eq!(
        ben.hear(&mut world),
        letters.into_iter().chain([Said::BacklogEnd(2)]).collect::<Vec<_>>()
    );
    ben.acknowledge(&mut world, &[id_of(&first), id_of(&second)]);
    assert_eq!(ann.hear(&mut world), [Said::delivered(&first), Said::delivered(&second)]);
    world.configure(Config::default());
    send(&mut world, &mut ann, &ben, 501).unwrap();
    assert!(!ann.is_closed(&world) && !ben.is_closed(&world));
    world.assert_counted();
}

#[test]
fn a_deadline_that_is_set_comes_no_earlier_and_new_ones_are_as_long_as_is_set_now() {
    let deadline = |seconds| {
        let mut config = Config::default();
        config.deadlines.first_packet = Duration::from_secs(seconds);
        config
    };
    let mut world = World::new(deadline(20));
    let before = world.connect();
    world.wait_s(10);
    world.configure(deadline(5));
    let after = world.connect();
    world.wait_s(6);
    assert!(!world.is_closed(before) && world.is_closed(after));
    world.configure(deadline(40));
    world.wait_s(10);
    assert!(!world.is_closed(before), "a longer deadline is everybody's");
    world.wait_s(20);
    assert!(world.is_closed(before));
}

#[test]
fn a_code_is_good_for_as_long_as_its_owner_was_told() {
    let mut world = World::new(Config::default());
    let mut ann = Person::new(0);
    ann.conn = world.connect();
    let request = ann.request(&mut world);
    world.send(ann.conn, &request);
    assert!(matches!(ann.hear_one(&mut world), Said::CodeIssued { .. }));
    world.configure(Config {
        otp_life: Duration::from_secs(1),
        otp_attempts: 1,
        otp_in_band: true,
        ..Config::default()
    });
    world.wait_s(200);
    let code = ann.code(&world);
    let proof = ann.proof(&mut world, &code);
    ann.conn = world.connect();
    world.send(ann.conn, &proof);
    assert_eq!(ann.hear_one(&mut world), Said::SessionOffered(Op::SessionIssued));
}

#[test]
fn somebody_who_asked_too_often_does_not_wait_for_an_interval_that_is_not_set_any_more() {
    let interval = |seconds| {
        let mut config = Config::default();
        config.rates.status_queries = Rate::new(1, Duration::from_secs(seconds));
        config
    };
    let (mut world, [mut ann, ben]) = World::online(interval(3_600));
    let letter = send(&mut world, &mut ann, &ben, 400).unwrap();
    let query = |world: &mut World, ann: &mut Person<RustCrypto>| {
        let query = ann.queries(world, &[(ben.id(), id_of(&letter))]);
        world.send(ann.conn, &query);
        ann.hear_one(world).code()
    };
    assert_eq!(query(&mut world, &mut ann), None);
    assert_eq!(query(&mut world, &mut ann), Some(ErrorCode::RateLimited));
    world.configure(interval(1));
    world.wait_s(1);
    assert_eq!(query(&mut world, &mut ann), None);
}
