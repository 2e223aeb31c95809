//! What a server refuses, refused by the server machine.

use serde_json::Value;
use waxwing_core::server::storage::StoredUser;
use waxwing_core::server::{Config, ConnId, ShardId};
use waxwing_core::time::Timestamp;
use waxwing_core::wire::Op;

use super::{Chosen, Known, bytes, cases, first, text};
use crate::backend::Backend;
use crate::disk::Disk;
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
