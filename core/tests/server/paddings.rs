//! No answer tells how a padding looked: everything that does not open is the same refusal.

use std::collections::BTreeSet;
use std::time::Duration;

use waxwing_core::server::{Config, Rate};
use waxwing_core::wire::ErrorCode;

use waxwing_testkit::backend::Paper;
use waxwing_testkit::packets::{self, NOBODY};
use waxwing_testkit::person::{No, Person, Said};
use waxwing_testkit::world::Sim;

const HEADER: usize = 26;

fn world() -> (Sim<Paper>, Person<Paper>) {
    let mut config = Config::default();
    config.rates.reconnect_work = Rate::new(1_000_000, Duration::from_secs(1));
    let (world, [ann]) = Sim::populated(config);
    (world, ann)
}

/// The payload with one byte of its last block changed, in every way.
fn changed_last_blocks(payload: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let last = payload.len() - 16..payload.len();
    last.flat_map(|at| (1..=255).map(move |change| (at, change))).map(|(at, change)| {
        let mut payload = payload.to_vec();
        payload[at] ^= change;
        payload
    })
}

#[test]
fn every_confirmation_that_does_not_open_gets_the_same_bytes() {
    let (mut world, mut ann) = world();
    let mut answers = BTreeSet::new();
    ann.knock(&mut world);
    let sound = ann.seal_up(&mut world, &[0, 8]);
    for payload in changed_last_blocks(&sound) {
        ann.knock(&mut world);
        let packet = ann.packet(&mut world, 203, &payload);
        world.send(ann.conn, &packet);
        assert!(ann.is_closed(&world));
        answers.insert(world.bytes(ann.conn));
    }
    // Nor is it another answer when the signature is wrong, whatever happened to IV and block.
    for at in HEADER..HEADER + sound.len() {
        ann.knock(&mut world);
        let packet = ann.confirmation(&mut world, 8);
        world.send(ann.conn, &packets::flipped(&packet, at));
        answers.insert(world.bytes(ann.conn));
    }
    assert_eq!(answers.len(), 1);
}

#[test]
fn every_sealed_packet_that_does_not_open_is_a_bad_sequence() {
    let (mut world, mut ann) = world();
    ann.come_to_nothing(&mut world);
    let sound = ann.seal_up(&mut world, &[1, 0, 0]);
    for payload in changed_last_blocks(&sound).step_by(15) {
        ann.come_to_nothing(&mut world);
        let packet = ann.packet(&mut world, 203, &payload);
        world.send(ann.conn, &packet);
        let packet = Some(packets::id_of(&packet));
        let no = No { code: ErrorCode::BadSequence, op: 203, retry_after_s: 0, packet };
        assert_eq!(ann.hear(&mut world), [Said::Refused(no)]);
        assert!(ann.is_closed(&world));
    }
}

#[test]
fn every_short_106_that_does_not_open_is_an_unknown_session() {
    let (mut world, mut ann) = world();
    ann.come_to_nothing(&mut world);
    let short = ann.short(&mut world);
    // The last block is padding alone.
    for payload in changed_last_blocks(&short[HEADER..HEADER + 48]) {
        ann.conn = world.connect();
        let packet = ann.packet_as(&mut world, ann.id().get(), NOBODY, 106, &payload);
        world.send(ann.conn, &packet);
        let packet = Some(packets::id_of(&packet));
        let no = No { code: ErrorCode::SessionUnknown, op: 106, retry_after_s: 0, packet };
        assert_eq!(ann.hear(&mut world), [Said::Refused(no)]);
        assert!(!ann.is_closed(&world));
    }
}
