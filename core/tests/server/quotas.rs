//! What one sender may have pending in all mailboxes together, and what a few leave to others in a
//! mailbox.

use waxwing_core::crypto::RustCrypto;
use waxwing_core::id::{Nonce, UserId};
use waxwing_core::limits::OVERHEAD;
use waxwing_core::server::storage::OwnLimits;
use waxwing_core::server::{Config, Event, Fullness, Limit, Report};
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

/// How full the fullest is, and how many are nearly full: of mailboxes, pairs and senders.
fn fullness(world: &mut World) -> [(u8, usize); 3] {
    let of: [fn(&Report) -> Fullness; 3] =
        [|report| report.mailboxes, |report| report.pairs, |report| report.senders];
    let reports = world.reports();
    of.map(|of| {
        let all = || reports.iter().map(of);
        let fullest = all().map(|one| one.fullest_percent).max().unwrap();
        (fullest, all().map(|one| one.nearly_full).sum())
    })
}

/// The limits that the operator was told of since the last look.
fn limits_reached(world: &mut World) -> Vec<Limit> {
    let limit = |event| match event {
        Event::LimitReached { limit } => Some(limit),
        _ => None,
    };
    std::mem::take(&mut world.events).into_iter().filter_map(limit).collect()
}

#[test]
fn how_full_mailboxes_pairs_and_senders_are_is_known() {
    let mut config = Config::default();
    config.mailbox.letters = 10;
    config.mailbox.pair_letters = 5;
    config.mailbox.sender_letters = 8;
    let (mut world, [mut ann, mut ben, mut cat, dan]) = World::populated(config.clone());
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    assert_eq!(fullness(&mut world), [(0, 0); 3]);
    let anns: Vec<_> = (0..4_u8).map(|n| ann.send(&mut world, cat.id(), &[n])).collect();
    ann.hear(&mut world);
    assert_eq!(fullness(&mut world), [(0, 0), (80, 1), (50, 0)]);
    for _ in 0..4 {
        assert!(is_taken(&mut world, &mut ben, &cat));
    }
    assert_eq!(fullness(&mut world), [(80, 1), (80, 2), (50, 0)]);

    // A restart finds senders at once, and a mailbox when it is used. A mailbox that nobody uses any more
    // stays known.
    world.crash();
    assert_eq!(fullness(&mut world), [(0, 0), (0, 0), (50, 0)]);
    ann.come_to_nothing(&mut world);
    assert!(is_taken(&mut world, &mut ann, &cat));
    world.wait(Config::default().expiry_interval * 2);
    assert_eq!(fullness(&mut world), [(90, 1), (100, 2), (62, 0)]);

    // Other limits make another share of the same, for all or for one.
    config.mailbox.letters = 15;
    world.configure(config);
    assert_eq!(fullness(&mut world)[0], (60, 0));
    let own = OwnLimits { letters: Some(9), bytes: None };
    world.set_limits(cat.id(), own).unwrap();
    world.settle();
    assert_eq!(fullness(&mut world)[0], (100, 1));

    // What is acknowledged, expires, or goes with its owner takes no room.
    cat.come(&mut world, 8);
    cat.acknowledge(&mut world, &[id_of(&anns[0]), id_of(&anns[1])]);
    assert_eq!(fullness(&mut world), [(77, 0), (80, 1), (50, 0)]);
    cat.leave(&mut world);
    world.wait(Config::default().letter_life);
    world.wait(Config::default().expiry_interval * 2);
    assert_eq!(fullness(&mut world), [(0, 0); 3]);
    ann.come_to_nothing(&mut world);
    for _ in 0..5 {
        assert!(is_taken(&mut world, &mut ann, &dan));
    }
    assert_eq!(fullness(&mut world), [(0, 0), (100, 1), (62, 0)]);
    world.remove_user(dan.id()).unwrap();
    world.settle();
    assert_eq!(fullness(&mut world), [(0, 0); 3]);
}

#[test]
fn the_operator_hears_which_limit_a_letter_has_reached() {
    let big = 2 * (OVERHEAD as u64 + 1_000);
    type Set = fn(&mut Config, u64);
    let cases: [(Limit, Set); 6] = [
        (Limit::LettersPerMailbox, |config, _| config.mailbox.letters = 2),
        (Limit::BytesPerMailbox, |config, big| config.mailbox.bytes = big),
        (Limit::LettersPerPair, |config, _| config.mailbox.pair_letters = 2),
        (Limit::BytesPerPair, |config, big| config.mailbox.pair_bytes = big),
        (Limit::LettersPerSender, |config, _| config.mailbox.sender_letters = 2),
        (Limit::BytesPerSender, |config, big| config.mailbox.sender_bytes = big),
    ];
    for (limit, set) in cases {
        let mut config = Config::default();
        set(&mut config, big);
        let (mut world, [mut ann, ben]) = World::populated(config);
        ann.come_to_nothing(&mut world);
        for n in 0..2 {
            let letter = ann.send(&mut world, ben.id(), &[n; 1_000]);
            assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
        }
        assert_eq!(limits_reached(&mut world), []);
        ann.send(&mut world, ben.id(), &[9; 1_000]);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::MailboxFull]);
        assert_eq!(limits_reached(&mut world), [limit]);
    }
}
