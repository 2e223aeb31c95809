//! The server's key, and the one that follows it (PROTOCOL.md, "Keys", "Directory").

use waxwing_core::crypto::PrivateKey;
use waxwing_core::server::{Config, Event};
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{ErrorCode, KeyQuestion, Op, Successor};
use waxwing_testkit::backend::{Backend, Paper};
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::Sim;

type World = Sim<Paper>;

/// The number of the key that follows.
const NEXT: usize = 2_000;

fn effective(world: &World) -> UnixTime {
    world.now.unix.shifted(8 * 24 * 60 * 60)
}

/// What a session is told of the server's key.
fn ask(world: &mut World, person: &mut Person<Paper>) -> Said {
    person.ask(world, KeyQuestion::Successor);
    person.hear_one(world)
}

fn announced(effective: UnixTime) -> Said {
    let effective = Timestamp::from_unix(effective);
    Said::Successor(Box::new(Successor { effective, spki: Paper::key(NEXT).spki().clone() }))
}

#[test]
fn whoever_asks_in_a_session_is_told_what_is_announced_at_that_moment() {
    let (mut world, [mut ann, mut ben]) = World::online(Config::default());
    let unknown = Some(ErrorCode::UnknownUser);
    assert_eq!(ask(&mut world, &mut ann).code(), unknown);
    // Everybody asks each day, so whoever counts refusals does not count these.
    assert!(!world.events.iter().any(|event| matches!(event, Event::Refused { .. })));
    let moment = effective(&world);
    world.announce(Some((NEXT, moment)));
    assert_eq!(ask(&mut world, &mut ann), announced(moment));
    assert_eq!(ask(&mut world, &mut ben), announced(moment));
    world.announce(Some((NEXT, moment.shifted(60))));
    assert_eq!(ask(&mut world, &mut ann), announced(moment.shifted(60)));
    // What runs after a crash announces it, too.
    world.crash();
    ann.come_to_nothing(&mut world);
    assert_eq!(ask(&mut world, &mut ann), announced(moment.shifted(60)));
    world.announce(None);
    assert_eq!(ask(&mut world, &mut ann).code(), unknown);
}

#[test]
fn with_the_other_key_every_connection_ends_and_the_next_is_under_it() {
    let (mut world, [mut ann, mut ben, mut cat]) = World::online(Config::default());
    let moment = effective(&world);
    world.announce(Some((NEXT, moment)));
    let before = world.public_key().spki().clone();
    let waiting = world.connect();
    let letter = ann.send(&mut world, ben.id(), b"before");
    ann.hear(&mut world);
    assert_eq!(ben.hear_letters(&mut world), [letter.clone()]);
    world.succeed(NEXT);
    assert!(ann.is_closed(&world) && ben.is_closed(&world) && world.is_closed(waiting));
    // Nobody was told why: it would have been signed for everybody at once.
    assert_eq!((ann.hear(&mut world), ben.hear(&mut world)), (vec![], vec![]));
    assert_eq!(world.session_count(), 0);

    assert_ne!(*world.public_key().spki(), before);
    let short = ann.short(&mut world);
    ann.conn = world.connect();
    world.send(ann.conn, &short);
    // What storage has of session keys stays good.
    assert_eq!(ann.hear(&mut world), [Said::SessionOffered(Op::SessionRenewed)]);
    ann.come_to_nothing(&mut world);
    assert_eq!(ask(&mut world, &mut ann).code(), Some(ErrorCode::UnknownUser));
    // What was not acknowledged comes again.
    ben.come(&mut world, 8);
    assert!(ben.hear(&mut world).contains(&Said::Letter(letter)));
    // But not longer than to the next start.
    world.crash();
    let short = cat.short(&mut world);
    cat.conn = world.connect();
    world.send(cat.conn, &short);
    assert_eq!(cat.hear_refusals(&mut world), [ErrorCode::SessionUnknown]);
}

#[test]
fn nobody_can_register_with_the_key_that_follows() {
    let mut world = World::new(Config { otp_in_band: false, ..Config::default() });
    let moment = effective(&world);
    world.announce(Some((NEXT, moment)));
    let mut thief = Person::with_key(3, Paper::key(NEXT));
    thief.conn = world.connect();
    let request = thief.request(&mut world);
    world.send(thief.conn, &request);
    let code = thief.code(&world);
    thief.hear(&mut world);
    thief.conn = world.connect();
    let proof = thief.proof(&mut world, &code);
    world.send(thief.conn, &proof);
    assert_eq!(thief.hear_refusals(&mut world), [ErrorCode::WeakKey]);
}
