//! When storage is asked how full a mailbox is, and when that is known without it.

use waxwing_core::crypto::RustCrypto;
use waxwing_core::server::Config;
use waxwing_core::wire::ErrorCode;

use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::World;

/// No mailbox takes more than two letters.
fn three() -> (World, [Person<RustCrypto>; 3]) {
    let mut config = Config::default();
    config.mailbox.letters = 2;
    World::populated(config)
}

/// Ann writes to an absent Ben.
fn with_a_letter() -> (World, [Person<RustCrypto>; 3], Vec<u8>) {
    let (mut world, [mut ann, ben, cat]) = three();
    ann.come_to_nothing(&mut world);
    let letter = ann.send(&mut world, ben.id(), b"while you were out");
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
    (world, [ann, ben, cat], letter)
}

#[test]
fn a_mailbox_that_is_empty_at_the_start_is_not_asked_about() {
    let (mut world, [mut ann, ben, _]) = three();
    world.crash();
    world.disk.refuses_questions = true;
    ann.come_to_nothing(&mut world);
    let letter = ann.send(&mut world, ben.id(), b"the first");
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
}

#[test]
fn what_lay_in_a_mailbox_before_the_start_is_counted_and_handed_over() {
    let (mut world, [mut ann, mut ben, _], letter) = with_a_letter();
    world.crash();
    ann.come_to_nothing(&mut world);
    let second = ann.send(&mut world, ben.id(), b"the second");
    assert_eq!(ann.hear(&mut world), [Said::stored(&second)]);
    ann.send(&mut world, ben.id(), b"one too many");
    assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::MailboxFull]);
    ben.come(&mut world, 8);
    let backlog = [Said::Letter(letter), Said::Letter(second), Said::BacklogEnd(2)];
    assert_eq!(ben.hear(&mut world), backlog);
}

#[test]
fn a_mailbox_that_was_forgotten_is_asked_about_again() {
    let (mut world, [mut ann, mut ben, _], letter) = with_a_letter();
    world.wait(Config::default().expiry_interval * 2);
    world.disk.refuses_questions = true;
    ann.send(&mut world, ben.id(), b"to be counted first");
    assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::StorageUnavailable]);
    world.disk.refuses_questions = false;
    ben.come(&mut world, 8);
    assert_eq!(ben.hear(&mut world), [Said::Letter(letter), Said::BacklogEnd(1)]);
}

#[test]
fn a_mailbox_is_not_forgotten_as_long_as_its_owner_is_here() {
    let (mut world, [mut ann, mut ben, _]) = three();
    for person in [&mut ann, &mut ben] {
        person.come_to_nothing(&mut world);
    }
    world.wait(Config::default().expiry_interval * 2);
    world.disk.refuses_questions = true;
    let letter = ann.send(&mut world, ben.id(), b"needs no question");
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
}

#[test]
fn a_mailbox_is_not_forgotten_as_long_as_letters_are_on_their_way_to_storage() {
    let (mut world, [mut ann, ben, _]) = three();
    ann.come_to_nothing(&mut world);
    world.disk.held = true;
    let letters = [b"1", b"2"].map(|text| ann.send(&mut world, ben.id(), text));
    world.wait(Config::default().expiry_interval * 2);
    ann.send(&mut world, ben.id(), b"one too many");
    assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::MailboxFull]);
    world.release();
    assert_eq!(ann.hear(&mut world), letters.each_ref().map(|letter| Said::stored(letter)));
}
