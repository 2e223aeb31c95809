//! The whole server machine.

use waxwing_core::server::{Config, ConnId};
use waxwing_core::wire::{Frame, deframe};
use waxwing_testkit::backend::Glass;
use waxwing_testkit::person::Person;
use waxwing_testkit::simulation::{Bytes, Options, run};
use waxwing_testkit::world::Sim;

use crate::script::{Step, Steps};

/// What the server must never sign, but in the letters that it passes on.
pub const CANARY: &[u8; 16] = b"never sign this!";
/// Users that are there at the beginning.
pub const USERS: usize = 3;
const LETTER: u8 = 102;

/// A world whose cryptography hides nothing, and the people in it. They are the same every time.
pub fn world() -> (Sim<Glass>, Vec<Person<Glass>>) {
    Sim::populate(Config::default(), 7, USERS)
}

/// Whatever comes on four connections: no panic, nothing said to whom it does not concern (the
/// world sees to that), only whole packets, and none that says what a client wanted signed.
pub fn server_bytes(data: &[u8]) {
    let (mut world, _) = world();
    let mut connections: Vec<ConnId> = (0..4).map(|_| world.connect()).collect();
    for step in Steps(data) {
        match step {
            Step::Bytes(at, bytes) => {
                let conn = connections[usize::from(at)];
                if !world.is_closed(conn) && world.is_read(conn) {
                    world.send(conn, bytes);
                }
            }
            Step::HangUp(at) => world.hang_up(connections[usize::from(at)]),
            Step::Wait(seconds) => world.wait_s(seconds.into()),
            Step::Reconnect(at) => {
                world.hang_up(connections[usize::from(at)]);
                connections[usize::from(at)] = world.connect_from("192.0.2.7");
            }
        }
        for conn in &connections {
            let said = world.bytes(*conn);
            check(&said);
        }
    }
}

fn check(mut said: &[u8]) {
    while !said.is_empty() {
        let Ok(Frame::Complete(header)) = deframe(said) else { panic!("not a whole packet") };
        let (packet, rest) = said.split_at(header.packet_len());
        let is_signed_by_us = header.op_code != LETTER;
        let holds = packet.windows(CANARY.len()).any(|window| window == CANARY);
        assert!(!(is_signed_by_us && holds), "the server signs what it is given");
        said = rest;
    }
}

/// People, honest and hostile, on a bad network, do whatever the bytes say: nothing is lost,
/// misdelivered or repeated. It is the simulation, with the fuzzer in the place of chance.
pub fn server_ops(data: &[u8]) {
    let Some(([people, hostile, shards, trouble], decisions)) = data.split_first_chunk() else {
        return;
    };
    let options = Options {
        people: 2 + usize::from(people % 4),
        hostile: usize::from(hostile % 3),
        shards: 1 + u16::from(shards % 4),
        steps: 400,
        bad_network: trouble & 1 != 0,
        bad_storage: trouble & 2 != 0,
        short_lives: trouble & 4 != 0,
        crashes: trouble & 8 != 0,
        seed: 7,
        trace: false,
    };
    let _ = run(&mut Bytes(decisions), options);
}
