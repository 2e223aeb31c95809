//! What the server machine does for a letter besides cryptography: crypto is of paper, at the
//! price of a hash, and the disk is in memory.

use std::time::{Duration, Instant};

use criterion::Criterion;
use waxwing_core::server::{Config, Rate};
use waxwing_testkit::backend::Paper;
use waxwing_testkit::packets;
use waxwing_testkit::person::Person;
use waxwing_testkit::world::Sim;

type People = [Person<Paper>; 2];

const PAYLOAD: [u8; 400] = [7; 400];
/// Letters made ahead of the time that is measured.
const BATCH: u64 = 64;

/// Takes what has come off the wires, so that it does not pile up.
fn clear(world: &mut Sim<Paper>, [ann, ben]: &People) {
    world.bytes(ann.conn);
    world.bytes(ben.conn);
}

/// The time for so many letters, each in a turn of its own.
fn relay(world: &mut Sim<Paper>, people: &mut People, count: u64) -> Duration {
    let (mut left, mut took) = (count, Duration::ZERO);
    while left > 0 {
        let batch = left.min(BATCH);
        let [ann, ben] = people;
        let exchange: Vec<_> = (0..batch)
            .map(|number| {
                let payload = [&PAYLOAD[..], &(left - number).to_le_bytes()].concat();
                let letter = ann.letter(world, ben.id(), &payload);
                let held = ben.held(world, &[packets::id_of(&letter)]);
                (letter, held)
            })
            .collect();
        // Seconds pass, so that no letter is the same as an earlier one.
        world.wait_s(1);
        let begun = Instant::now();
        for (letter, held) in &exchange {
            world.send(ann.conn, letter);
            world.send(ben.conn, held);
        }
        took += begun.elapsed();
        ann.sent.clear();
        clear(world, people);
        left -= batch;
    }
    took
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut session = criterion.benchmark_group("session");
    session.bench_function("a letter relayed and acknowledged", |bencher| {
        let (mut world, mut people) = Sim::<Paper>::populated::<2>(Config::default());
        people.iter_mut().for_each(|person| person.come_to_nothing(&mut world));
        bencher.iter_custom(|count| relay(&mut world, &mut people, count));
        assert!(people.iter().all(|person| !person.is_closed(&world)));
    });
    session.bench_function("a reconnect", |bencher| {
        // The world's clock stands still, and with it the budget for reconnects.
        let mut config = Config::default();
        config.rates.reconnect_work = Rate::new(u32::MAX, Duration::from_hours(1));
        let (mut world, [mut ann]) = Sim::<Paper>::populated::<1>(config);
        bencher.iter(|| {
            ann.come_to_nothing(&mut world);
            world.hang_up(ann.conn);
        });
    });
    session.finish();
    criterion.final_summary();
}
