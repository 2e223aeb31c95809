//! Letters go out before they are stored, and some never are.

use std::time::Duration;

use waxwing_core::server::{Config, Event};
use waxwing_core::wire::{CloseReason, ErrorCode, Op};

use waxwing_testkit::backend::Paper;
use waxwing_testkit::packets::id_of;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::Sim;

/// Ann and Ben are there, on one machine.
fn two(config: Config) -> (Sim<Paper>, [Person<Paper>; 2]) {
    let (mut world, mut people) = Sim::populate_shards(config, 7, 2, 1);
    people.iter_mut().for_each(|person| person.come_to_nothing(&mut world));
    (world, people.try_into().ok().unwrap())
}

/// A letter arrives at the server and goes on, and no time passes.
fn give(world: &mut Sim<Paper>, from: &mut Person<Paper>, to: &mut Person<Paper>) -> Vec<u8> {
    let number = [from.sent.len() as u8];
    let letter = from.letter(world, to.id(), &number);
    world.deliver(&[(from.conn, letter.clone())]);
    assert_eq!(to.hear_letters(world), [letter.clone()]);
    letter
}

#[test]
fn a_letter_acknowledged_at_once_is_never_written_and_told_once() {
    let (mut world, [mut ann, mut ben]) = two(Config::default());
    let before = world.disk.commits;
    for _ in 0..3 {
        let letter = give(&mut world, &mut ann, &mut ben);
        assert_eq!(ann.hear(&mut world), []);
        ben.acknowledge(&mut world, &[id_of(&letter)]);
        assert_eq!(ann.hear(&mut world), [Said::delivered(&letter)]);
    }
    world.wait_s(1);
    assert_eq!(world.disk.commits, before);
    assert_eq!(ann.hear(&mut world), []);
}

#[test]
fn whoever_acknowledges_late_has_letters_stored_at_once_until_prompt_again() {
    let (mut world, [mut ann, mut ben]) = two(Config::default());
    let late = give(&mut world, &mut ann, &mut ben);
    assert!(!world.disk.has_jobs(), "it is held");
    world.settle();
    assert_eq!(ann.hear(&mut world), [Said::stored(&late)]);
    let unseen = give(&mut world, &mut ann, &mut ben);
    assert!(!world.disk.has_jobs(), "nothing is known against him yet");
    world.wait_s(1);
    ben.acknowledge(&mut world, &[id_of(&late), id_of(&unseen)]);
    assert_eq!(
        ann.hear(&mut world),
        [Said::stored(&unseen), Said::delivered(&late), Said::delivered(&unseen)]
    );

    let prompt = give(&mut world, &mut ann, &mut ben);
    assert!(world.disk.has_jobs(), "it is not held");
    ben.acknowledge(&mut world, &[id_of(&prompt)]);
    assert_eq!(ann.hear(&mut world), [Said::delivered(&prompt)]);

    let last = give(&mut world, &mut ann, &mut ben);
    assert!(!world.disk.has_jobs());
    ben.acknowledge(&mut world, &[id_of(&last)]);
    assert_eq!(ann.hear(&mut world), [Said::delivered(&last)]);
    assert_eq!(world.disk.pending(ben.id()), []);
}

#[test]
fn the_next_session_finds_what_was_held_when_the_last_one_ended() {
    for takes_over in [false, true] {
        let (mut world, [mut ann, mut ben]) = two(Config::default());
        let held = give(&mut world, &mut ann, &mut ben);
        if !takes_over {
            world.hang_up(ben.conn);
        }
        let later = ann.letter(&mut world, ben.id(), b"later");
        world.deliver(&[(ann.conn, later.clone())]);
        ben.come(&mut world, 128);
        let mut heard = ben.hear(&mut world);
        // What came after the confirmation may come before the end of the backlog or behind it.
        heard.retain(|said| !matches!(said, Said::BacklogEnd(_)));
        assert_eq!(heard, [Said::Letter(held.clone()), Said::Letter(later.clone())]);
        assert_eq!(ann.hear(&mut world), [Said::stored(&held), Said::stored(&later)]);
    }
}

#[test]
fn whoever_leaves_does_not_wait_for_letters_that_are_held_for_others() {
    let (mut world, people) = Sim::<Paper>::populate_shards(Config::default(), 7, 3, 1);
    let [mut ann, mut ben, mut cat] = people.try_into().ok().unwrap();
    for person in [&mut ann, &mut ben, &mut cat] {
        person.come_to_nothing(&mut world);
    }
    world.wait_s(1);
    give(&mut world, &mut ann, &mut ben);
    assert!(!world.disk.has_jobs(), "it is held");
    let close = cat.sealed(&mut world, Op::Close, &[1]);
    world.deliver(&[(cat.conn, close)]);
    assert_eq!(cat.hear(&mut world), [Said::Closed(CloseReason::Leaving)]);
    assert!(!world.disk.has_jobs(), "it is held still");
}

#[test]
fn a_letter_that_was_handed_over_and_never_stored_is_delivered_and_takes_no_room() {
    let mut config = Config::default();
    config.mailbox.pair_letters = 2;
    let (mut world, [mut ann, mut ben]) = two(config);
    world.disk.refuses_writes = true;
    let letter = give(&mut world, &mut ann, &mut ben);
    world.settle();
    assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::StorageUnavailable]);
    ben.acknowledge(&mut world, &[id_of(&letter)]);
    assert_eq!(ann.hear(&mut world), [Said::delivered(&letter)]);
    world.disk.refuses_writes = false;
    world.wait_s(2);
    world.hang_up(ben.conn);
    for n in 0..2_u8 {
        let fits = ann.send(&mut world, ben.id(), &[n]);
        assert_eq!(ann.hear(&mut world), [Said::stored(&fits)]);
    }
    ann.send(&mut world, ben.id(), b"one too many");
    assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::MailboxFull]);
}

#[test]
fn a_letter_that_its_recipient_holds_is_not_taken_again_though_storage_refused_it() {
    let (mut world, [mut ann, mut ben]) = two(Config::default());
    let letter = give(&mut world, &mut ann, &mut ben);
    world.disk.held = true;
    world.wait(Duration::from_millis(3));
    ben.acknowledge(&mut world, &[id_of(&letter)]);
    assert_eq!(ann.hear(&mut world), [Said::delivered(&letter)]);
    world.disk.refuses_writes = true;
    world.release();
    assert!(world.events.contains(&Event::StorageUnavailable), "it was to be stored");
    world.disk.refuses_writes = false;
    world.wait_s(2);
    assert_eq!(ann.hear(&mut world), []);
    world.send(ann.conn, &letter);
    assert_eq!(ann.hear(&mut world), [Said::delivered(&letter)]);
    assert_eq!(ben.hear(&mut world), []);
}

#[test]
fn a_letter_that_dies_with_the_server_was_not_promised() {
    let (mut world, [mut ann, mut ben]) = two(Config::default());
    let letter = give(&mut world, &mut ann, &mut ben);
    world.crash();
    ben.come_to_nothing(&mut world);
    ann.come_to_nothing(&mut world);
    world.send(ann.conn, &letter);
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
    assert_eq!(ben.hear_letters(&mut world), [letter]);
}
