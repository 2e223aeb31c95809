//! The whole server machine.

use waxwing_core::server::{Config, ConnId};
use waxwing_core::wire::{Frame, Op, deframe};
use waxwing_testkit::backend::Glass;
use waxwing_testkit::person::Person;
use waxwing_testkit::simulation::run;
use waxwing_testkit::world::Sim;

use crate::decisions::Decisions;
use crate::script::{Other, Step, Steps};
use crate::{Reached, name_of};

/// What the server must never sign, but in the letters that it passes on.
pub const CANARY: &[u8; 16] = b"never sign this!";
/// Users that are there at the beginning.
pub const USERS: usize = 3;

/// What clients do but send, on one of four connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// The client goes away.
    HangUp(u8),
    /// The client goes away and comes back, by another address.
    Reconnect(u8),
}

impl Other for Network {
    const ALL: [Self; 8] = [
        Self::HangUp(0),
        Self::HangUp(1),
        Self::HangUp(2),
        Self::HangUp(3),
        Self::Reconnect(0),
        Self::Reconnect(1),
        Self::Reconnect(2),
        Self::Reconnect(3),
    ];
}

/// A world whose cryptography hides nothing, and the people in it. They are the same every time.
pub fn world() -> (Sim<Glass>, Vec<Person<Glass>>) {
    Sim::populate(Config::default(), 7, USERS)
}

/// Whatever comes on four connections: no panic, nothing said to whom it does not concern (the
/// world sees to that), only whole packets, and none that says what a client wanted signed. It reaches
/// what the server has said.
pub fn server_bytes(data: &[u8]) -> Reached {
    let (mut world, _) = world();
    let mut connections: Vec<ConnId> = (0..4).map(|_| world.connect()).collect();
    let mut reached = Reached::new();
    for step in Steps::new(data) {
        match step {
            Step::Bytes(at, bytes) => {
                let conn = connections[usize::from(at)];
                if !world.is_closed(conn) && world.is_read(conn) {
                    world.send(conn, bytes);
                }
            }
            Step::Wait(seconds) => world.wait_s(seconds.into()),
            Step::Other(Network::HangUp(at)) => world.hang_up(connections[usize::from(at)]),
            Step::Other(Network::Reconnect(at)) => {
                world.hang_up(connections[usize::from(at)]);
                connections[usize::from(at)] = world.connect_from("192.0.2.7");
            }
        }
        for conn in &connections {
            check(&world.bytes(*conn), &mut reached);
        }
    }
    reached
}

fn check(mut said: &[u8], reached: &mut Reached) {
    while !said.is_empty() {
        let Ok(Frame::Complete(header)) = deframe(said) else { panic!("not a whole packet") };
        let (packet, rest) = said.split_at(header.packet_len());
        let op = Op::from_code(header.op_code).expect("an op that there is");
        reached.insert(name_of(op));
        let holds = packet.windows(CANARY.len()).any(|window| window == CANARY);
        assert!(!holds || op == Op::Letter, "the server signs what it is given");
        said = rest;
    }
}

/// People, honest and hostile, on a bad network, do whatever the decisions say: nothing is lost,
/// misdelivered or repeated. It is the simulation, with the fuzzer in the place of chance. It reaches
/// what the steps have come to.
pub fn server_ops(data: &[u8]) -> Reached {
    let (options, mut script) = Decisions(data).play();
    let played = run(&mut script, options);
    let mut reached = played.steps;
    if played.shown > 0 {
        reached.insert("a letter is shown");
    }
    if played.longest >= 60_000 {
        reached.insert("a letter of 60,000 bytes is shown");
    }
    reached
}
