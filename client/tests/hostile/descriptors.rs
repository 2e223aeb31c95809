//! More connections than the server can have.

use std::fs;
use std::net::Ipv4Addr;
use std::time::Instant;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::line::{Door, Line};
use crate::pair::{Habit, Pair};
use crate::peer::Peer;
use crate::process::{Process, eventually};
use crate::swarm::{PER_ADDRESS, Stinger, Swarm};
use crate::test_server::TestServer;

fn descriptors(server: &Process) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap().count()
}

/// Once there are threads, a table that grows stops the loop for milliseconds.
#[test]
fn a_server_has_room_for_its_descriptors_from_the_start() {
    const MOST: u64 = 65_536;
    let server = TestServer::new();
    let granted = getrlimit(Resource::Nofile).maximum.unwrap_or(MOST).min(MOST);
    let status = fs::read_to_string(format!("/proc/{}/status", server.process().id())).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
    let size: u64 = size.trim().parse().unwrap();
    assert!(size >= granted, "room for {size} of {granted} descriptors");
}

/// With 1,024 descriptors there are 960 places.
#[test]
fn a_few_networks_leave_room_for_all_others() {
    const NETWORKS: usize = 14;
    let mut swarm = Swarm::new();
    let settings = [("limits.exempt", ""), ("deadlines.first_packet", "10m")];
    let server = TestServer::with_descriptors(1_024, &settings);
    let door = Door::of(&server);
    swarm.grow(door.address, NETWORKS * PER_ADDRESS);
    // The last eighth is for those who have none, and each has taken one of them at most.
    let most = 960 - 960 / 8 + NETWORKS;
    let is_served = |swarm: &Swarm| swarm.alive() <= most;
    swarm.run_until("the last are refused", |_, _| {}, is_served);
    println!("{NETWORKS} networks have {} connections", swarm.alive());
    let several = "connections are refused: their address prefix has as many as it may";
    assert_eq!(server.log().matches(several).count(), 1, "the operator is told, once");
    for network in 0..4 {
        let mut honest = Peer::new(door, usize::from(network)).at(network).registered();
        honest.leave();
    }
}

#[test]
fn the_addresses_of_a_prefix_count_together() {
    let server =
        TestServer::with(&[("limits.exempt", ""), ("limits.connections_per_prefix", "20")]);
    let door = Door::of(&server);
    let mut neighbours: Vec<_> =
        (1..=40).map(|host| Line::open(door.address, Ipv4Addr::new(127, 9, 9, host))).collect();
    for refused in &mut neighbours[20..] {
        assert_eq!(refused.packet(), None, "closed without a word");
    }
    Peer::new(door, 0).at(1).registered().leave();
}

#[test]
fn a_server_without_descriptors_serves_again_as_soon_as_there_are_some() {
    const FEW: u64 = 64;
    const MANY: usize = 1_000;
    const SHORT: &str = "cannot accept connections; will keep trying";
    let mut swarm = Swarm::new();
    let server = TestServer::with(&[("deadlines.first_packet", "60s")]);
    let pid = Pid::from_raw(server.process().id().cast_signed());
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(FEW), maximum: Some(FEW) }).unwrap();
    let door = Door::of(&server);
    let pair = Pair::begin(door, Habit::Stays);
    let before = descriptors(server.process());
    let mut newcomer = Peer::with_session(door, 0);
    newcomer.leave();

    for round in 1..=3 {
        swarm.sockets.clear();
        swarm.grow(door.address, MANY);
        // Those that it had before may have higher numbers than it may have now.
        eventually("the server has no descriptors", || {
            (descriptors(server.process()) as u64 >= FEW).then_some(())
        });
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
            (descriptors(server.process()) <= before).then_some(())
        });
    }
    println!("meanwhile {}", pair.end());
    let log = server.log();
    assert_eq!(log.matches("accepting connections again").count(), 3);
    // Warnings that come again within ten seconds are left out.
    assert!(log.contains(SHORT), "{log}");
}
