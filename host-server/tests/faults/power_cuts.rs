//! The power goes at any call of SQLite's, again and again. What was synced is there when it comes
//! back, and of what was not, anything.

use std::rc::Rc;
use std::time::Duration;

use waxwing_testkit::simulation::{Dice, Seeded};
use waxwing_testkit_sqlite::{Fault, FaultyDisk};

use crate::service::Service;

/// Power cuts in the run of one seed.
const CUTS_PER_SEED: u64 = 10;
const PEOPLE: usize = 4;
/// The power goes after at most so many calls.
const CALLS: usize = 500;

fn step(service: &mut Service, dice: &mut Seeded) {
    let who = dice.roll(PEOPLE);
    let other = (who + 1 + dice.roll(PEOPLE - 1)) % PEOPLE;
    match dice.roll(20) {
        0..5 => service.come(who),
        5..12 => service.write(who, other, [0, 20, 700, 5_000, 20_000][dice.roll(5)]),
        12..15 => service.acknowledge(who, 1 + dice.roll(4)),
        15 => service.leave(who),
        16 => service.ask(who, other),
        17 => service.tidy(),
        18 => service.wait(Duration::from_secs(1)),
        _ if dice.roll(2) == 0 => service.stop(),
        _ => service.crash(),
    }
}

/// Says which seed has failed, so that it can be run alone.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in the run of seed {}", self.0);
        }
    }
}

/// How often the power went while a call was under way, and how many letters were promised.
fn live(seed: u64, cuts: u64) -> (u64, usize) {
    let _seed = Seed(seed);
    let mut dice = Seeded::new(seed);
    let places: Vec<_> = (0..=cuts).map(|_| tempfile::tempdir().unwrap()).collect();
    let mut disk = Rc::new(FaultyDisk::under(places[0].path()).unwrap());
    let mut service = Service::new(places[0].path(), disk.clone(), PEOPLE, seed);
    let mut amid = 0;
    for next in &places[1..] {
        disk.fail(Fault::From(1 + dice.roll(CALLS) as u64));
        for _ in 0..100 {
            step(&mut service, &mut dice);
            if !disk.injected().is_empty() {
                amid += 1;
                break;
            }
        }
        disk.lose_power(next.path(), &mut |sides| dice.roll(sides)).unwrap();
        disk = Rc::new(FaultyDisk::under(next.path()).unwrap());
        service.move_to(next.path(), disk.clone());
    }
    service.finish();
    (amid, service.promises())
}

#[test]
fn what_was_promised_survives_power_cuts() {
    let cuts = std::env::var("WAXWING_POWER_CUTS").map_or(50, |cuts| cuts.parse().unwrap());
    let (mut amid, mut promises) = (0, 0);
    for seed in 0..cuts / CUTS_PER_SEED {
        let (cuts, letters) = live(seed, CUTS_PER_SEED);
        (amid, promises) = (amid + cuts, promises + letters);
    }
    println!("{cuts} cuts, {amid} of them amid a call, {promises} letters");
    assert!(amid > cuts / 2 && promises > amid as usize, "{amid} amid a call, {promises} letters");
}
