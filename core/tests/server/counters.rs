//! What a machine counts.

use std::time::Duration;

use waxwing_core::id::UserId;
use waxwing_core::server::{Config, HandedIn, Outcomes, PrivateOperations, Report};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::ErrorCode;

use waxwing_testkit::backend::Paper;
use waxwing_testkit::packets::id_of;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::{Sim, World};

/// Counters of all machines together, in the order in which `of` names them.
fn sums<const N: usize>(
    reports: impl IntoIterator<Item = Report>,
    of: impl Fn(&Report) -> [u64; N],
) -> [u64; N] {
    reports.into_iter().fold([0; N], |mut sums, report| {
        sums.iter_mut().zip(of(&report)).for_each(|(sum, more)| *sum += more);
        sums
    })
}

/// Submitted, repeated, refused.
fn handed_in(world: &mut Sim<Paper>) -> [u64; 3] {
    sums(world.reports(), |report| {
        let HandedIn { submitted, repeated, refused } = report.handed_in;
        [submitted, repeated, refused]
    })
}

/// Stored, forwarded, delivered, expired.
fn outcomes(world: &mut Sim<Paper>) -> [u64; 4] {
    sums(world.reports(), |report| {
        let Outcomes { stored, forwarded, delivered, expired, .. } = report.outcomes;
        [stored, forwarded, delivered, expired]
    })
}

/// How many letters were delivered in each class of time, and the seconds of all together.
fn times(world: &mut Sim<Paper>) -> ([u64; 10], u64) {
    let counts = sums(world.reports(), |report| {
        let counts = report.outcomes.times.counts();
        counts.try_into().unwrap()
    });
    let [seconds] = sums(world.reports(), |report| [report.outcomes.times.sum()]);
    (counts, seconds)
}

/// Ann is there, and Ben is not.
fn two(config: Config) -> (Sim<Paper>, [Person<Paper>; 2]) {
    let (mut world, mut people) = Sim::<Paper>::populated::<2>(config);
    people[0].come_to_nothing(&mut world);
    (world, people)
}

#[test]
fn a_letter_that_waits_is_submitted_stored_and_then_delivered() {
    let (mut world, [mut ann, mut ben]) = two(Config::default());
    let letter = ann.send(&mut world, ben.id(), b"1");
    assert_eq!((handed_in(&mut world), outcomes(&mut world)), ([1, 0, 0], [1, 0, 0, 0]));
    world.wait_s(59);
    ben.come(&mut world, 64);
    assert_eq!(ben.hear(&mut world), [Said::Letter(letter.clone()), Said::BacklogEnd(1)]);
    assert_eq!(outcomes(&mut world), [1, 0, 0, 0]);
    ben.acknowledge(&mut world, &[id_of(&letter)]);
    assert_eq!((handed_in(&mut world), outcomes(&mut world)), ([1, 0, 0], [1, 0, 1, 0]));
    let (classes, seconds) = times(&mut world);
    assert_eq!(classes, [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert!((59..=60).contains(&seconds), "{seconds}");
    // It counts once, however often it is acknowledged.
    ben.acknowledge(&mut world, &[id_of(&letter)]);
    assert_eq!(outcomes(&mut world), [1, 0, 1, 0]);
}

#[test]
fn a_letter_acknowledged_at_once_is_forwarded_and_never_stored() {
    let (mut world, mut people) = Sim::<Paper>::populate_shards(Config::default(), 7, 2, 1);
    people.iter_mut().for_each(|person| person.come_to_nothing(&mut world));
    let [ann, ben] = &mut people[..] else { panic!() };
    let letter = ann.letter(&mut world, ben.id(), b"1");
    world.deliver(&[(ann.conn, letter.clone())]);
    assert_eq!(ben.hear_letters(&mut world), [letter.clone()]);
    ben.acknowledge(&mut world, &[id_of(&letter)]);
    assert_eq!((handed_in(&mut world), outcomes(&mut world)), ([1, 0, 0], [0, 1, 1, 0]));
    assert_eq!(times(&mut world), ([1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0));
}

#[test]
fn a_letter_that_comes_again_is_repeated() {
    let (mut world, [mut ann, ben]) = two(Config::default());
    let letter = ann.send(&mut world, ben.id(), b"1");
    world.send(ann.conn, &letter);
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter), Said::stored(&letter)]);
    assert_eq!((handed_in(&mut world), outcomes(&mut world)), ([1, 1, 0], [1, 0, 0, 0]));
}

#[test]
fn a_letter_is_refused_by_whoever_refuses_it() {
    let config = Config { max_letter: 1_000, ..Config::default() };
    let (mut world, [mut ann, ben]) = two(config);
    let too_large = ann.letter(&mut world, ben.id(), &[7; 1_001]);
    world.send(ann.conn, &too_large);
    assert_eq!(ann.hear_one(&mut world).code(), Some(ErrorCode::TooLarge));
    assert_eq!(handed_in(&mut world), [0, 0, 1]);
    // The mailbox says no, and so does storage.
    ann.send(&mut world, UserId::new(77).unwrap(), b"nobody");
    assert_eq!(ann.hear_one(&mut world).code(), Some(ErrorCode::UnknownRecipient));
    assert_eq!(handed_in(&mut world), [1, 0, 2]);
    assert_eq!(outcomes(&mut world), [0, 0, 0, 0]);
}

#[test]
fn letters_expire_for_their_age_and_because_the_operator_says_so() {
    let (letter_life, expiry_interval) = (Duration::from_secs(100), Duration::from_secs(10));
    let config = Config { letter_life, expiry_interval, ..Config::default() };
    let (mut world, [mut ann, ben]) = two(config);
    ann.send(&mut world, ben.id(), b"1");
    world.wait_s(90);
    assert_eq!(outcomes(&mut world), [1, 0, 0, 0]);
    world.wait_s(30);
    assert_eq!(outcomes(&mut world), [1, 0, 0, 1]);
    ann.hear(&mut world);
    ann.send(&mut world, ben.id(), b"2");
    world.expire_letters(ben.id(), UnixTime::from_seconds(i64::MAX)).unwrap();
    world.settle();
    assert_eq!(outcomes(&mut world), [2, 0, 0, 2]);
}

#[test]
fn codes_and_the_use_of_the_key_are_counted() {
    let mut world = World::new(Config { otp_in_band: true, ..Config::default() });
    let mut ann = Person::new(0);
    let counts = |world: &mut World| {
        sums(world.reports(), |report| {
            [report.codes.in_band, report.codes.used, report.codes.wrong]
        })
    };
    let operations = |world: &mut World| {
        sums(world.reports(), |report| {
            let PrivateOperations { opened, signed } = report.private_operations;
            [opened, signed]
        })
    };
    assert_eq!((counts(&mut world), operations(&mut world)), ([0; 3], [0; 2]));
    ann.conn = world.connect();
    let request = ann.request(&mut world);
    world.send(ann.conn, &request);
    let Said::CodeIssued { code: Some(code), .. } = ann.hear_one(&mut world) else { panic!() };
    // The request is sealed, and the answer is signed.
    assert_eq!((counts(&mut world), operations(&mut world)), ([1, 0, 0], [1, 1]));
    let wrong = if code == b"000000" { b"000001" } else { b"000000" };
    let proof = ann.proof(&mut world, wrong);
    world.send(ann.conn, &proof);
    assert_eq!(ann.hear_one(&mut world).code(), Some(ErrorCode::OtpWrong));
    assert_eq!(counts(&mut world), [1, 0, 1]);
    ann.conn = world.connect();
    let proof = ann.proof(&mut world, &code);
    world.send(ann.conn, &proof);
    ann.hear(&mut world);
    assert_eq!(counts(&mut world), [1, 1, 1]);
}
