//! What one sender may have pending in all mailboxes together, and what a few leave to others in a
//! mailbox.

use waxwing_core::crypto::RustCrypto;
use waxwing_core::id::{Nonce, UserId};
use waxwing_core::limits::OVERHEAD;
use waxwing_core::server::Config;
use waxwing_core::wire::ErrorCode;

use waxwing_testkit::packets::id_of;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::World;

/// Nobody has more than two letters pending. Ann is there.
fn four() -> (World, [Person<RustCrypto>; 4]) {
    let mut config = Config::default();
    config.mailbox.sender_letters = 2;
    let (mut world, mut four) = World::populated(config);
    four[0].come_to_nothing(&mut world);
    (world, four)
}

/// The next letter is taken, or not.
fn is_taken(world: &mut World, from: &mut Person<RustCrypto>, to: &Person<RustCrypto>) -> bool {
    // The same words within a second would be the same letter.
    let words = Nonce::generate(&mut world.rng).0;
    let letter = from.send(world, to.id(), &words);
    match from.hear(world)[..] {
        [ref said] if *said == Said::stored(&letter) => true,
        [ref said] => {
            assert_eq!(said.code(), Some(ErrorCode::MailboxFull));
            false
        }
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn a_sender_has_room_for_so_many_letters_in_all_mailboxes_together() {
    let (mut world, [mut ann, mut ben, cat, dan]) = four();
    let first = ann.send(&mut world, ben.id(), b"1");
    assert_eq!(ann.hear(&mut world), [Said::stored(&first)]);
    assert!(is_taken(&mut world, &mut ann, &cat));
    assert!(!is_taken(&mut world, &mut ann, &dan));
    // Others have room of their own.
    let mut dan = dan;
    dan.come_to_nothing(&mut world);
    assert!(is_taken(&mut world, &mut dan, &cat));

    // A restart changes nothing, and an acknowledgment makes room.
    world.crash();
    ann.come_to_nothing(&mut world);
    assert!(!is_taken(&mut world, &mut ann, &dan));
    ben.come(&mut world, 8);
    ben.acknowledge(&mut world, &[id_of(&first)]);
    assert_eq!(ann.hear(&mut world), [Said::delivered(&first)]);
    assert!(is_taken(&mut world, &mut ann, &dan));
    assert!(!is_taken(&mut world, &mut ann, &dan));
}

#[test]
fn a_sender_has_room_for_so_many_bytes_in_all_mailboxes_together() {
    let mut config = Config::default();
    config.mailbox.sender_bytes = 2 * (OVERHEAD as u64 + 1_000);
    let (mut world, [mut ann, ben, cat]) = World::populated(config);
    ann.come_to_nothing(&mut world);
    for (to, len, fits) in [(&ben, 1_000, true), (&cat, 1_001, false), (&cat, 1_000, true)] {
        let letter = ann.send(&mut world, to.id(), &vec![0; len]);
        let full = Some(ErrorCode::MailboxFull);
        match ann.hear_one(&mut world) {
            said if fits => assert_eq!(said, Said::stored(&letter)),
            said => assert_eq!(said.code(), full),
        }
    }
    assert_eq!(world.pending_from(ann.id()), (2, 2 * (OVERHEAD as u64 + 1_000)));
}

#[test]
fn letters_that_were_refused_take_no_room_of_their_sender() {
    let (mut world, [mut ann, mut ben, ..]) = four();
    for _ in 0..3 {
        ann.send(&mut world, UserId::new(99).unwrap(), b"to nobody");
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::UnknownRecipient]);
    }
    world.disk.refuses_writes = true;
    for n in 0..3 {
        ann.send(&mut world, ben.id(), &[n]);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::StorageUnavailable]);
    }
    // One that its recipient got and storage did not.
    ben.come_to_nothing(&mut world);
    let given = ann.send(&mut world, ben.id(), b"given");
    assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::StorageUnavailable]);
    ben.acknowledge(&mut world, &[id_of(&given)]);
    assert_eq!(world.pending_from(ann.id()), (0, 0));
}

#[test]
fn a_letter_that_has_expired_takes_no_room_of_its_sender() {
    let life = std::time::Duration::from_secs(100);
    let mut config = Config { letter_life: life, ..Config::default() };
    config.mailbox.sender_letters = 1;
    let (mut world, [mut ann, ben, cat]) = World::populated(config);
    ann.come_to_nothing(&mut world);
    assert!(is_taken(&mut world, &mut ann, &ben));
    assert!(!is_taken(&mut world, &mut ann, &cat));
    world.wait_s(161);
    assert!(matches!(ann.hear(&mut world)[..], [Said::Fate(..)]));
    assert!(is_taken(&mut world, &mut ann, &cat));
}

#[test]
fn those_who_fill_a_mailbox_leave_room_for_others() {
    const ROOM: u32 = 80;
    let mut config = Config::default();
    (config.mailbox.letters, config.mailbox.pair_letters) = (ROOM, ROOM / 2);
    let (mut world, [ann, mut ben, mut cat, mut dan, mut eve]) = World::populated(config);
    let greedy = [&mut ben, &mut cat, &mut dan].map(|person| {
        person.come_to_nothing(&mut world);
        (0..ROOM)
            .take_while(|n| {
                let letter = person.letter(&mut world, ann.id(), &n.to_le_bytes());
                world.send(person.conn, &letter);
                person.hear_one(&mut world) == Said::stored(&letter)
            })
            .count()
    });
    assert_eq!(greedy, [40, 30, 1], "the first two fill all but the last eighth");
    eve.come_to_nothing(&mut world);
    let honest = (0..4_u8).filter(|n| {
        let letter = eve.send(&mut world, ann.id(), &[*n]);
        eve.hear_one(&mut world) == Said::stored(&letter)
    });
    assert_eq!(honest.count(), 1, "whoever has nothing there finds room");
}
