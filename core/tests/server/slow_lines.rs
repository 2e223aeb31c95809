//! Lines on which a large letter takes minutes, and those who only pretend to have one.

use waxwing_core::crypto::RustCrypto;
use waxwing_core::server::{Config, Event};
use waxwing_core::wire::CloseReason;

use waxwing_testkit::packets::id_of;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::World;

const LARGE: &[u8] = &[7; 60_000];

fn two() -> (World, [Person<RustCrypto>; 2]) {
    World::online(Config::default())
}

/// Sends at so many bytes a second, as long as the server listens. Seconds that it took.
fn trickle(world: &mut World, person: &Person<RustCrypto>, bytes: &[u8], rate: usize) -> u64 {
    let mut seconds = 0;
    for part in bytes.chunks(rate) {
        if person.is_closed(world) {
            break;
        }
        world.send(person.conn, part);
        world.wait_s(1);
        seconds += 1;
    }
    seconds
}

#[test]
fn a_letter_is_taken_however_long_it_needs_as_long_as_it_makes_progress() {
    for rate in [1_000, 300, 220] {
        let (mut world, [mut ann, ben]) = two();
        let letter = ann.letter(&mut world, ben.id(), LARGE);
        let seconds = trickle(&mut world, &ann, &letter, rate);
        assert!(seconds >= 60, "{seconds} s");
        assert_eq!(ann.hear(&mut world), [Said::stored(&letter)], "{rate} bytes a second");
    }
}

#[test]
fn a_letter_that_makes_no_progress_ends_the_session_without_a_word() {
    let (mut world, [mut ann, ben]) = two();
    let letter = ann.letter(&mut world, ben.id(), LARGE);
    let seconds = trickle(&mut world, &ann, &letter, 130);
    assert!((30..=31).contains(&seconds), "{seconds} s");
    assert_eq!(ann.hear(&mut world), []);
    assert!(world.events.contains(&Event::TimedOut { conn: ann.conn }));

    // After some progress, too.
    ann.come_to_nothing(&mut world);
    let letter = ann.letter(&mut world, ben.id(), LARGE);
    world.send(ann.conn, &letter[..50_000]);
    world.wait_s(29);
    assert!(!ann.is_closed(&world));
    world.send(ann.conn, &letter[50_000..54_000]);
    world.wait_s(2);
    assert!(ann.is_closed(&world));
}

#[test]
fn a_packet_has_its_time_from_where_it_begins_though_it_came_with_the_end_of_another() {
    let (mut world, [mut ann, ben]) = two();
    let letters: Vec<_> = (0..9_u8).map(|n| ann.letter(&mut world, ben.id(), &[n])).collect();
    let stream = letters.concat();
    // Of each letter the end comes with the beginning of the next.
    let (begin, rest) = stream.split_at(letters[0].len() / 2);
    world.send(ann.conn, begin);
    for part in rest.chunks(letters[0].len()) {
        world.wait_s(20);
        world.send(ann.conn, part);
    }
    assert_eq!(ann.hear(&mut world), letters.iter().map(|it| Said::stored(it)).collect::<Vec<_>>());
}

#[test]
fn before_a_session_a_packet_has_its_time_and_no_more() {
    let (mut world, [mut ann, _]) = World::populated(Config::default());
    ann.conn = world.connect();
    let request = ann.long(&mut world);
    let seconds = trickle(&mut world, &ann, &request, 20);
    assert!(seconds <= 16, "{seconds} s");
    assert!(ann.is_closed(&world));
}

#[test]
fn whoever_is_given_a_large_letter_has_time_to_read_it() {
    let (mut world, [mut ann, mut ben]) = two();
    let letter = ann.send(&mut world, ben.id(), LARGE);
    ann.send(&mut world, ben.id(), b"behind it");
    world.wait_s(500);
    assert!(!ben.is_closed(&world));
    // What comes behind it has as much time as any other.
    ben.acknowledge(&mut world, &[id_of(&letter)]);
    world.wait_s(119);
    assert!(!ben.is_closed(&world));
    world.wait_s(2);
    assert_eq!(ben.hear(&mut world).last(), Some(&Said::Closed(CloseReason::NoProgress)));
}

#[test]
fn whoever_never_acknowledges_a_large_letter_loses_the_session_in_the_end() {
    let (mut world, [mut ann, mut ben]) = two();
    ann.send(&mut world, ben.id(), LARGE);
    world.wait_s(600);
    assert_eq!(ben.hear(&mut world).last(), Some(&Said::Closed(CloseReason::NoProgress)));
}

#[test]
fn an_acknowledgment_may_stand_behind_a_large_letter_of_the_same_client() {
    let (mut world, [mut ann, mut ben]) = two();
    let short = ann.send(&mut world, ben.id(), b"short");
    ann.hear(&mut world);
    let letter = ben.letter(&mut world, ann.id(), LARGE);
    assert!(trickle(&mut world, &ben, &letter, 300) > 120);
    ben.acknowledge(&mut world, &[id_of(&short)]);
    assert!(!ben.is_closed(&world));
    assert!(ben.hear(&mut world).contains(&Said::stored(&letter)));
    assert!(ann.hear(&mut world).contains(&Said::delivered(&short)));
}
