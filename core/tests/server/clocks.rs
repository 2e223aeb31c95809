//! Clocks that are wrong, on purpose or not: deadlines and memory follow the monotonic one, and the
//! civil one decides freshness and expiry alone.

use waxwing_core::server::Config;
use waxwing_core::wire::{ErrorCode, Status};

use waxwing_testkit::backend::Paper;
use waxwing_testkit::packets::id_of;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::Sim;

const DAY: i64 = 86_400;

fn both_there() -> (Sim<Paper>, [Person<Paper>; 2]) {
    let (mut world, [mut ann, mut ben]) = Sim::populated(Config::default());
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    (world, [ann, ben])
}

#[test]
fn a_letter_recorded_before_the_clock_was_set_back_is_a_duplicate() {
    let (mut world, [mut ann, mut ben]) = both_there();
    let recorded = ann.send(&mut world, ben.id(), b"once");
    assert_eq!(ben.hear_letters(&mut world), [recorded.clone()]);
    ben.acknowledge(&mut world, &[id_of(&recorded)]);
    ann.hear(&mut world);
    let jumps = [(200, 0, true), (200, -400, true), (60, -DAY, false), (60, DAY, true)];
    for (wait_s, jump, is_fresh) in jumps {
        world.wait_s(wait_s);
        world.now.unix = world.now.unix.shifted(jump);
        world.send(ann.conn, &recorded);
        let said = ann.hear_one(&mut world);
        if is_fresh {
            assert_eq!(said, Said::delivered(&recorded));
        } else {
            assert_eq!(said.code(), Some(ErrorCode::StaleTimestamp));
        }
        assert_eq!(ben.hear(&mut world), []);
        assert!(world.disk.pending(ben.id()).is_empty());
    }
}

#[test]
fn a_letter_from_the_future_or_the_past_is_stale_whatever_the_clock_did() {
    let (mut world, [mut ann, ben]) = both_there();
    for jump in [-DAY, 3_650 * DAY, -3_650 * DAY, 301, -301] {
        let before = ann.letter(&mut world, ben.id(), b"by the old clock");
        world.now.unix = world.now.unix.shifted(jump);
        world.send(ann.conn, &before);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::StaleTimestamp], "{jump}");
        assert!(!ann.is_closed(&world));
    }
    assert!(world.disk.pending(ben.id()).is_empty());
}

#[test]
fn a_code_and_its_limits_do_not_follow_the_civil_clock() {
    for jump in [-DAY, 3_650 * DAY] {
        let mut world = Sim::<Paper>::new(Config::default());
        let mut ann = Person::new(0);
        let ask = |world: &mut Sim<Paper>, ann: &mut Person<Paper>| {
            ann.conn = world.connect_from("198.51.100.7");
            let request = ann.request(world);
            world.send(ann.conn, &request);
            ann.hear_one(world)
        };
        for attempt in 0..3 {
            ann.reply_key = waxwing_core::crypto::ReplyKey::from_bytes(&[attempt; 32]);
            assert!(matches!(ask(&mut world, &mut ann), Said::CodeIssued { .. }));
        }
        let code = ann.code(&world);
        world.now.unix = world.now.unix.shifted(jump);
        let mut other = Person::with_key(0, ann.key.clone());
        other.reply_key = waxwing_core::crypto::ReplyKey::from_bytes(&[9; 32]);
        assert_eq!(ask(&mut world, &mut other).code(), Some(ErrorCode::RateLimited));
        world.wait_s(299);
        ann.conn = world.connect();
        let proof = ann.proof(&mut world, &code);
        world.send(ann.conn, &proof);
        assert!(matches!(ann.hear_one(&mut world), Said::SessionOffered(_)));
    }
}

#[test]
fn a_clock_that_jumps_a_month_ahead_expires_what_waits_and_says_so() {
    let (mut world, [mut ann, ben]) = both_there();
    world.hang_up(ben.conn);
    let letter = ann.send(&mut world, ben.id(), b"waits");
    ann.hear(&mut world);
    world.now.unix = world.now.unix.shifted(-3_650 * DAY);
    world.wait_s(120);
    assert_eq!(world.disk.pending(ben.id()), [id_of(&letter)], "a clock set back keeps it");
    world.now.unix = world.now.unix.shifted((3_650 + 31) * DAY);
    world.wait_s(120);
    assert!(world.disk.pending(ben.id()).is_empty());
    assert_eq!(ann.hear(&mut world), [Said::Fate(id_of(&letter), Status::Expired)]);
}
