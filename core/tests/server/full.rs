//! A server whose 65,535 ids are all given out.

use waxwing_core::id::UserId;
use waxwing_core::phone::Phone;
use waxwing_core::server::storage::StoredUser;
use waxwing_core::server::{Config, Event};
use waxwing_core::wire::ErrorCode;

use waxwing_testkit::backend::{Backend, Paper, PaperKey};
use waxwing_testkit::disk::Disk;
use waxwing_testkit::packets::id_of;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::Sim;

const FREE: u16 = 5;

/// A key for the user with this id.
fn key(id: u16) -> PaperKey {
    Paper::key(1_000 + usize::from(id))
}

fn almost_full() -> Sim<Paper> {
    with_users(u16::MAX - FREE)
}

fn with_users(count: u16) -> Sim<Paper> {
    let mut disk = Disk::default();
    for id in 1..=count {
        disk.plant(StoredUser {
            id: UserId::new(id).unwrap(),
            phone: Phone::parse(format!("+1555{id:07}").as_bytes()).unwrap(),
            spki: key(id).0,
            session_key: None,
        });
    }
    Sim::seeded(Config::default(), disk, 7)
}

/// What the operator has been told of the ids since the last look.
fn told(world: &mut Sim<Paper>) -> Vec<u8> {
    // The machine says it when it is next heard.
    world.wait_s(1);
    let events = std::mem::take(&mut world.events).into_iter();
    let percent = |event| match event {
        Event::IdsRunOut { percent } => Some(percent),
        _ => None,
    };
    events.filter_map(percent).collect()
}

#[test]
fn the_operator_is_told_once_when_the_ids_run_out() {
    // 80 % of 65,535 ids are 52,428, and 95 % are 62,259.
    let mut world = with_users(52_427 - 1);
    world.disk.resting_ids.push(UserId::new(65_535).unwrap());
    world.crash();
    assert_eq!(told(&mut world), [0_u8; 0]);
    let mut keys = (100_000..).map(Paper::key).filter(|key: &PaperKey| !key.0.has_small_factor());
    for (at, expected) in [vec![80], vec![]].into_iter().enumerate() {
        Person::with_key(at, keys.next().unwrap()).register(&mut world);
        assert_eq!(told(&mut world), expected);
    }
    world.crash();
    assert_eq!(told(&mut world), [80], "once for each start");
    let mut world = with_users(62_259);
    assert_eq!(told(&mut world), [95]);
}

#[test]
fn the_last_id_is_given_out_then_nobody_is_taken_and_everybody_else_goes_on() {
    let mut world = almost_full();
    // What is registered has to look like a key: most odd numbers have a small factor.
    let mut keys = (100_000..).map(Paper::key).filter(|key: &PaperKey| !key.0.has_small_factor());
    let mut last = None;
    for (at, id) in (u16::MAX - FREE + 1..=u16::MAX).enumerate() {
        let mut person = Person::with_key(at, keys.next().unwrap());
        person.register(&mut world);
        assert_eq!(person.id, UserId::new(id));
        last = Some(person);
    }

    let mut late = Person::with_key(50, keys.next().unwrap());
    late.conn = world.connect();
    let request = late.request(&mut world);
    world.send(late.conn, &request);
    late.hear(&mut world);
    let code = late.code(&world);
    for _ in 0..4 {
        // It uses up neither code nor attempt.
        late.conn = world.connect();
        let proof = late.proof(&mut world, &code);
        world.send(late.conn, &proof);
        assert_eq!(late.hear_refusals(&mut world), [ErrorCode::ServerFull]);
    }
    assert_eq!(world.disk.users().count(), usize::from(u16::MAX));

    // The first and the last write to each other, before and after a restart.
    let mut first = Person { id: UserId::new(1), ..Person::with_key(60, key(1)) };
    let mut last = last.unwrap();
    for _ in 0..2 {
        first.come_to_nothing(&mut world);
        last.come_to_nothing(&mut world);
        let letter = first.send(&mut world, last.id(), b"still here");
        assert_eq!(last.hear_letters(&mut world), [letter.clone()]);
        last.acknowledge(&mut world, &[id_of(&letter)]);
        let said = first.hear(&mut world);
        assert_eq!(said.last(), Some(&Said::delivered(&letter)));
        world.crash();
    }
}
