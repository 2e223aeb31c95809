//! What a server refuses, refused by the server machine.

use serde_json::Value;
use waxwing_core::id::PacketId;
use waxwing_core::server::storage::{LETTERS_MISSING, StoredUser};
use waxwing_core::server::{Config, ConnId, ShardId};
use waxwing_core::time::Timestamp;
use waxwing_core::wire::{Op, Status};

use super::{Chosen, Known, bytes, cases, first, text};
use crate::backend::Backend;
use crate::disk::Disk;
use crate::packets;
use crate::person::{Person, Said};
use crate::world::Sim;

/// Every case of `bad_to_server.json` gets the refusal that it names, and the connection ends if it
/// says so.
pub fn check<P: Backend>() {
    for case in cases("bad_to_server.json") {
        let name = text(&case, "name");
        let (mut world, mut ann) = in_state::<P>(text(&case, "state"));
        for before in case["before"].as_array().into_iter().flatten() {
            let conn = world.connect();
            let packet = crate::vectors::json::unhex(before.as_str().unwrap());
            receive(&mut world, conn, &packet);
        }
        receive(&mut world, ann.conn, &bytes(&case, "packet"));
        let said = ann.hear(&mut world);
        let [Said::Refused(refusal)] = &said[..] else { panic!("{name}: {said:?}") };
        assert_eq!(refusal.code.name(), text(&case, "error"), "{name}");
        assert_eq!(Value::from(ann.is_closed(&world)), case["ends"], "{name}");
    }
}

/// Every case of `sequences.json` about what a server answers about a letter comes to what is written.
pub fn check_fates<P: Backend>() {
    let about_fates = cases("sequences.json").into_iter().filter(|case| case["kind"] == "fates");
    let mut count = 0;
    for case in about_fates {
        let mut server = Letters::<P>::new();
        for step in case["steps"].as_array().unwrap() {
            server.go_to(step["at"].as_i64().unwrap());
            match step["happens"].as_str() {
                Some("stored") => server.store(),
                Some("acknowledged") => server.acknowledge(),
                Some("copied") => server.copy = Some(server.world.disk.copy()),
                Some("restored") => server.restore(),
                Some(other) => panic!("{other}"),
                None => {
                    assert_eq!(Value::from(server.ask().code()), step["status"], "{case}: {step}");
                }
            }
        }
        count += 1;
    }
    assert!(count > 0, "there are cases of fates");
}

/// A server, Ann, and Ben, who come for as long as a step lasts.
struct Letters<P: Backend> {
    world: Sim<P>,
    ann: Person<P>,
    ben: Person<P>,
    /// Of the letter; of one that is never sent until there is one.
    id: PacketId,
    copy: Option<Disk>,
    /// Seconds since the case began.
    at: i64,
}

impl<P: Backend> Letters<P> {
    /// After so many seconds the server has seen whose time is over.
    const EXPIRY: i64 = 120;

    fn new() -> Self {
        let (world, [ann, ben]) = Sim::populated(Config::default());
        Self { world, ann, ben, id: PacketId([7; 16]), copy: None, at: 0 }
    }

    fn go_to(&mut self, at: i64) {
        let left = at - std::mem::replace(&mut self.at, at);
        let lived = left.min(Self::EXPIRY);
        self.world.set_forward(left - lived);
        self.world.wait_s(lived.try_into().unwrap());
    }

    fn store(&mut self) {
        let Self { world, ann, ben, .. } = self;
        ann.come_to_nothing(world);
        let letter = ann.send(world, ben.id(), b"a letter");
        assert_eq!(ann.hear(world), [Said::stored(&letter)]);
        self.id = packets::id_of(&letter);
        ann.leave(world);
    }

    fn acknowledge(&mut self) {
        let Self { world, ben, id, .. } = self;
        ben.come(world, 128);
        assert_eq!(ben.hear(world).len(), 2, "the letter, and the end of the backlog");
        ben.acknowledge(world, &[*id]);
        ben.leave(world);
    }

    fn restore(&mut self) {
        let Self { world, copy, .. } = self;
        let until = world.now.unix.shifted(LETTERS_MISSING.as_secs().try_into().unwrap());
        world.disk = copy.as_ref().expect("there is a copy").copy();
        world.disk.letters_missing_until = Some(until);
        world.crash();
    }

    fn ask(&mut self) -> Status {
        let Self { world, ann, ben, id, .. } = self;
        ann.come(world, 128);
        let question = ann.queries(world, &[(ben.id(), *id)]);
        world.send(ann.conn, &question);
        let said = ann.hear(world);
        ann.leave(world);
        let mut fates = said.iter().filter_map(|said| match said {
            Said::Fate(about, status) if about == id => Some(*status),
            _ => None,
        });
        fates.next_back().unwrap_or_else(|| panic!("no answer: {said:?}"))
    }
}

/// A world in which Ann's connection is in this state, and Ann.
fn in_state<P: Backend>(state: &str) -> (Sim<P>, Person<P>) {
    let mut disk = Disk::default();
    for name in ["ann", "ben"] {
        let Known { spki, phone, id, .. } = Known::named(name);
        let (phone, id) = (phone.unwrap(), id.unwrap());
        disk.plant(StoredUser { id, phone, spki, session_key: None });
    }
    let mut world = Sim::sharded(Config::default(), disk, 7, 1);
    let reconnect = first("session.json", "reconnect_long");
    let at = text(&reconnect["header"], "timestamp").as_bytes();
    world.now.unix = Timestamp::parse(at.try_into().unwrap()).unwrap().to_unix();

    let known = Known::named("ann");
    let mut ann = Person::with_key(0, known.private::<P>());
    ann.id = known.id;
    ann.nonce = Chosen::new().nonce;
    ann.conn = world.connect();
    if state == "new" {
        return (world, ann);
    }
    receive(&mut world, ann.conn, &bytes(&reconnect, "packet"));
    assert_eq!(ann.hear(&mut world), [Said::SessionOffered(Op::SessionRenewed)]);
    assert_eq!(ann.seal.as_ref().unwrap().key().expose(), &Chosen::new().session_key);
    if state == "session" {
        let confirmation = first("session.json", "confirmation");
        receive(&mut world, ann.conn, &bytes(&confirmation, "packet"));
        assert_eq!(ann.hear(&mut world), [Said::BacklogEnd(0)]);
    }
    (world, ann)
}

/// Bytes arrive at a server that draws the values of the vectors.
fn receive<P: Backend>(world: &mut Sim<P>, conn: ConnId, bytes: &[u8]) {
    world.turn_drawing(ShardId::REGISTRAR, &mut Chosen::new(), |server, env| {
        server.received(env, conn, bytes);
    });
    world.settle();
}
