//! More connections than the server can have.

use std::fs;
use std::time::Instant;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::line::Door;
use crate::pair::{Habit, Pair};
use crate::peer::Peer;
use crate::process::{Process, eventually};
use crate::swarm::{Stinger, Swarm};
use crate::town::Town;

fn descriptors(server: &Process) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap().count()
}

/// Once there are threads, a table that grows stops the loop for milliseconds.
#[test]
fn a_server_has_room_for_its_descriptors_from_the_start() {
    const MOST: u64 = 65_536;
    let town = Town::new();
    let granted = getrlimit(Resource::Nofile).maximum.unwrap_or(MOST).min(MOST);
    let status = fs::read_to_string(format!("/proc/{}/status", town.server().id())).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
    let size: u64 = size.trim().parse().unwrap();
    assert!(size >= granted, "room for {size} of {granted} descriptors");
}

#[test]
fn a_server_without_descriptors_serves_again_as_soon_as_there_are_some() {
    const FEW: u64 = 64;
    const MANY: usize = 1_000;
    const SHORT: &str = "cannot accept connections; will keep trying";
    let mut swarm = Swarm::new();
    let town = Town::with(&[("deadlines.first_packet", "60s")]);
    let server = Pid::from_raw(town.server().id().cast_signed());
    prlimit(server, Resource::Nofile, Rlimit { current: Some(FEW), maximum: Some(FEW) }).unwrap();
    let door = Door::of(&town);
    let pair = Pair::begin(door, Habit::Stays);
    let before = descriptors(town.server());
    let mut newcomer = Peer::resident(door, 0);
    newcomer.leave();

    for round in 1..=3 {
        swarm.sockets.clear();
        swarm.grow(door.address, MANY);
        let short = |log: &str| log.matches(SHORT).count() == round;
        eventually("the server has no descriptors", || short(&town.log()).then_some(()));
        // The kernel may take the connection; the server cannot.
        let long = newcomer.long();
        newcomer.connect();
        newcomer.send(&long);
        swarm.sockets.iter_mut().for_each(Stinger::leave);
        let freed = Instant::now();
        newcomer.hear_session();
        println!("round {round}: served {:.1?} after descriptors were freed", freed.elapsed());
        newcomer.leave();
        eventually("the descriptors are given back", || {
            (descriptors(town.server()) <= before).then_some(())
        });
    }
    println!("meanwhile {}", pair.end());
    assert_eq!(town.log().matches("accepting connections again").count(), 3);
}
