//! From sender to recipient.

use waxwing_core::crypto::{Provider, RustCrypto};
use waxwing_core::envelope::{self, Content, Fingerprint, OpenedLetter};
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::server::Config;
use waxwing_core::wire::{CloseReason, Draft, ErrorCode, KeyQuestion, Op, Packet, Status};

use waxwing_testkit::backend::{Paper, Work};
use waxwing_testkit::packets::{self, id_of};
use waxwing_testkit::person::{No, Person, Said};
use waxwing_testkit::world::{Sim, World};

fn refused(code: ErrorCode, letter: &[u8]) -> Said {
    let packet = Some(id_of(letter));
    Said::Refused(No { code, op: 102, retry_after_s: 0, packet })
}

fn ids(letters: &[Vec<u8>]) -> Vec<PacketId> {
    letters.iter().map(|letter| id_of(letter)).collect()
}

#[test]
fn a_letter_goes_online_byte_for_byte_and_its_fates_come_back() {
    let (mut world, [mut ann, mut ben, _]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    let letter = ann.send(&mut world, ben.id(), b"opaque to the server");
    assert_eq!(ben.hear_letters(&mut world), [letter.clone()]);
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
    assert_eq!(world.disk.pending(ben.id()), [id_of(&letter)]);
    ben.acknowledge(&mut world, &[id_of(&letter)]);
    assert_eq!(ann.hear(&mut world), [Said::delivered(&letter)]);
    assert_eq!(ben.hear(&mut world), []);
    assert!(world.disk.pending(ben.id()).is_empty());
}

#[test]
fn an_envelope_opens_at_the_other_end() {
    let (mut world, [mut ann, mut ben, _]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    let (from, to) = (
        Fingerprint::of(&RustCrypto, &ann.phone, &ann.spki()),
        Fingerprint::of(&RustCrypto, &ben.phone, &ben.spki()),
    );
    let key = RustCrypto.public_key(&ben.spki()).unwrap();
    let uid = Uid::generate(&mut world.rng);
    let text = Content::Text("when the waxwings come");
    let mut buffer = [0; 2_048];
    let at = waxwing_core::time::Timestamp::from_unix(world.now.unix);
    let mut draft = Draft::new(&mut buffer, Op::Letter, ann.id, ben.id, at);
    let room = draft.payload_mut();
    let len = envelope::seal(&RustCrypto, &mut world.rng, &from, &to, &key, &uid, &text, room);
    let (_, letter) = draft.sign(&RustCrypto, &ann.key, &mut world.rng, len.unwrap()).unwrap();
    world.send(ann.conn, letter);

    let mut arrived = ben.hear_letters(&mut world).remove(0);
    let anns_key = RustCrypto.public_key(&ann.spki()).unwrap();
    let packet = Packet::parse(&mut arrived[..]).unwrap();
    let packet =
        waxwing_core::crypto::Unverified::new(&RustCrypto, packet).verify(&anns_key).unwrap();
    let opened = envelope::open(&RustCrypto, &mut world.rng, &from, &to, &ben.key, packet);
    assert_eq!(opened, Ok(OpenedLetter { uid, content: text }));
}

#[test]
fn a_hundred_letters_survive_a_crash_and_come_in_order_then_255() {
    let (mut world, [mut ann, mut ben, _]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    let letters: Vec<_> = (0..100_u8).map(|n| ann.send(&mut world, ben.id(), &[n; 40])).collect();
    let said = ann.hear(&mut world);
    assert_eq!(said, letters.iter().map(|letter| Said::stored(letter)).collect::<Vec<_>>());
    world.crash();

    ben.come(&mut world, 128);
    let mut said = ben.hear(&mut world);
    assert_eq!(said.pop(), Some(Said::BacklogEnd(100)));
    assert_eq!(said, letters.into_iter().map(Said::Letter).collect::<Vec<_>>());
}

#[test]
fn a_window_is_never_exceeded_and_255_follows_the_last_of_the_backlog() {
    for window in [1, 3, 10] {
        let (mut world, [mut ann, mut ben, _]) = World::populated(Config::default());
        ann.come_to_nothing(&mut world);
        let letters: Vec<_> = (0..10_u8).map(|n| ann.send(&mut world, ben.id(), &[n])).collect();
        ben.come(&mut world, window);
        let mut got = Vec::new();
        let end = loop {
            let said = ben.hear(&mut world);
            let fresh: Vec<_> = said
                .iter()
                .filter_map(|said| match said {
                    Said::Letter(letter) => Some(letter.clone()),
                    _ => None,
                })
                .collect();
            assert!(fresh.len() <= usize::from(window));
            got.extend(fresh.clone());
            if let Some(Said::BacklogEnd(count)) = said.last() {
                break *count;
            }
            assert!(!fresh.is_empty(), "stuck");
            ben.acknowledge(&mut world, &ids(&fresh));
        };
        assert_eq!(end, 10);
        assert_eq!(got, letters);
    }
}

#[test]
fn the_last_of_the_backlog_brings_255_although_live_letters_wait_behind_it() {
    let (mut world, [mut ann, mut ben, _]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    let first = ann.send(&mut world, ben.id(), b"backlog");
    ann.hear(&mut world);
    ben.knock(&mut world);
    world.disk.held = true;
    ben.confirm(&mut world, 1);
    let second = ann.send(&mut world, ben.id(), b"live");
    world.release();
    assert_eq!(ben.hear(&mut world), [Said::Letter(first.clone()), Said::BacklogEnd(1)]);
    ben.acknowledge(&mut world, &[id_of(&first)]);
    assert_eq!(ben.hear_letters(&mut world), [second]);
}

#[test]
fn no_more_than_256_kib_are_unacknowledged() {
    let (mut world, [mut ann, mut ben, _]) = Sim::<Paper>::populated(Config::default());
    ann.come_to_nothing(&mut world);
    let letters: Vec<_> =
        (0..12_u8).map(|n| ann.send(&mut world, ben.id(), &[n; 60_000])).collect();
    ben.come(&mut world, 128);
    let mut got: Vec<Vec<u8>> = Vec::new();
    while got.len() < 12 {
        let said = ben.hear(&mut world);
        let fresh: Vec<_> = said
            .into_iter()
            .filter_map(|said| match said {
                Said::Letter(letter) => Some(letter),
                _ => None,
            })
            .collect();
        assert!(!fresh.is_empty(), "stuck");
        assert!(fresh.iter().map(Vec::len).sum::<usize>() <= 256 * 1_024);
        ben.acknowledge(&mut world, &ids(&fresh));
        got.extend(fresh);
    }
    assert_eq!(got, letters);
}

#[test]
fn unread_letters_are_not_deleted_and_come_again() {
    let (mut world, [mut ann, mut ben, _]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    let letter = ann.send(&mut world, ben.id(), b"stored by ben, who then fell");
    for _ in 0..3 {
        ben.come(&mut world, 8);
        let expected = [Said::Letter(letter.clone()), Said::BacklogEnd(1)];
        assert_eq!(ben.hear(&mut world), expected);
        world.hang_up(ben.conn);
    }
    ben.come(&mut world, 8);
    ben.acknowledge(&mut world, &[id_of(&letter)]);
    ben.hear(&mut world);
    world.hang_up(ben.conn);
    ben.come_to_nothing(&mut world);
}

#[test]
fn two_hundred_unreadable_letters_do_not_block_a_mailbox() {
    let (mut world, [mut ann, mut ben, mut cat]) = Sim::<Paper>::populated(Config::default());
    ann.come_to_nothing(&mut world);
    for n in 0..200_u8 {
        ann.send(&mut world, ben.id(), &vec![0xff; usize::from(n)]);
    }
    cat.come_to_nothing(&mut world);
    let good = cat.send(&mut world, ben.id(), b"good");
    ben.come(&mut world, 16);
    let (mut seen, mut last) = (0, Vec::new());
    loop {
        let said = ben.hear(&mut world);
        let ended = said.contains(&Said::BacklogEnd(201));
        for said in said {
            if let Said::Letter(letter) = said {
                seen += 1;
                ben.acknowledge(&mut world, &[id_of(&letter)]);
                last = letter;
            }
        }
        if ended {
            break;
        }
    }
    assert_eq!((seen, last), (201, good));
    assert!(world.disk.pending(ben.id()).is_empty());
}

#[test]
fn without_any_acknowledgment_for_120_s_the_session_ends_and_the_next_gets_them_again() {
    let (mut world, [mut ann, mut ben, _]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    let first = ann.send(&mut world, ben.id(), b"1");
    world.wait_s(100);
    let second = ann.send(&mut world, ben.id(), b"2");
    assert_eq!(ben.hear_letters(&mut world), [first.clone(), second.clone()]);
    ben.acknowledge(&mut world, &[id_of(&first)]);
    world.wait_s(119);
    assert!(!ben.is_closed(&world));
    world.wait_s(1);
    assert_eq!(ben.hear(&mut world), [Said::Closed(CloseReason::NoProgress)]);
    assert!(ben.is_closed(&world));
    ben.come(&mut world, 8);
    assert_eq!(ben.hear(&mut world), [Said::Letter(second), Said::BacklogEnd(1)]);
}

#[test]
fn an_idle_session_lasts() {
    let (mut world, [mut ann, mut ben, _]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    let letter = ann.send(&mut world, ben.id(), b"1");
    ben.acknowledge(&mut world, &[id_of(&letter)]);
    world.wait_s(3 * 86_400);
    assert!(!ann.is_closed(&world) && !ben.is_closed(&world));
}

#[test]
fn a_letter_too_large_is_refused_and_the_session_goes_on() {
    let (mut world, [mut ann, mut ben, _]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    let large = ann.send(&mut world, ben.id(), &vec![1; 60 * 1_024 + 1]);
    assert_eq!(ann.hear(&mut world), [refused(ErrorCode::TooLarge, &large)]);
    let largest = ann.send(&mut world, ben.id(), &vec![1; 60 * 1_024]);
    assert_eq!(ann.hear(&mut world), [Said::stored(&largest)]);
    assert_eq!(ben.hear_letters(&mut world), [largest]);
}

#[test]
fn a_letter_must_be_fresh_both_ways() {
    let (mut world, [mut ann, ben, _]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    for (off, fresh) in [(-301, false), (-300, true), (0, true), (300, true), (301, false)] {
        let at = world.now.unix.shifted(off);
        let letter = ann.letter_at(&mut world, at, ben.id(), b"about time");
        world.send(ann.conn, &letter);
        let expected = match fresh {
            true => Said::stored(&letter),
            false => refused(ErrorCode::StaleTimestamp, &letter),
        };
        assert_eq!(ann.hear(&mut world), [expected], "{off}");
    }
    assert_eq!(world.disk.pending(ben.id()).len(), 3);
    assert!(!ann.is_closed(&world));
}

#[test]
fn nobody_and_oneself_are_unknown_recipients() {
    let (mut world, [mut ann, _, _]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    for to in [500, 1] {
        let letter = ann.send(&mut world, UserId::new(to).unwrap(), b"?");
        assert_eq!(ann.hear(&mut world), [refused(ErrorCode::UnknownRecipient, &letter)]);
    }
    let bytes = packets::unsigned(1, 0, world.now.unix, 102, b"to the server");
    let letter = packets::sign(bytes, &ann.key, &mut world.rng);
    world.send(ann.conn, &letter);
    assert_eq!(ann.hear(&mut world), [refused(ErrorCode::UnknownRecipient, &letter)]);
    assert!(!ann.is_closed(&world));
}

#[test]
fn anothers_letter_is_malformed_and_ends_the_session() {
    let (mut world, [mut ann, mut ben, cat]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    let letter = ann.send(&mut world, ben.id(), b"to ben");
    ben.hear(&mut world);
    world.send(ben.conn, &letter);
    assert_eq!(ben.hear_refusals(&mut world), [ErrorCode::Malformed]);
    assert!(ben.is_closed(&world));
    assert!(world.disk.pending(cat.id()).is_empty());
}

#[test]
fn a_flipped_bit_is_a_bad_signature_and_ends_the_session() {
    let (mut world, [mut ann, ben, _]) = World::populated(Config::default());
    let len = ann.letter(&mut world, ben.id(), b"payload").len();
    for byte in [2, 22, 26, 32, len - 256, len - 1] {
        ann.come_to_nothing(&mut world);
        let letter = ann.letter(&mut world, ben.id(), b"payload");
        let mangled = packets::flipped(&letter, byte);
        world.send(ann.conn, &mangled);
        assert_eq!(ann.hear(&mut world), [refused(ErrorCode::BadSignature, &mangled)], "{byte}");
        assert!(ann.is_closed(&world));
    }
    assert!(world.disk.pending(ben.id()).is_empty());
}

#[test]
fn a_mailbox_has_room_for_so_many_of_one_sender_and_of_all() {
    let mut config = Config::default();
    config.mailbox.pair_letters = 2;
    config.mailbox.letters = 3;
    let (mut world, [mut ann, mut ben, mut cat, dan]) = World::populated(config);
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    let first = ann.send(&mut world, cat.id(), b"1");
    ann.send(&mut world, cat.id(), b"2");
    ann.hear(&mut world);
    let third = ann.send(&mut world, cat.id(), b"3");
    assert_eq!(ann.hear(&mut world), [refused(ErrorCode::MailboxFull, &third)]);
    ann.send(&mut world, dan.id(), b"another's mailbox");
    assert!(matches!(ann.hear(&mut world)[..], [Said::Fate(_, Status::Stored)]));

    let bens = ben.send(&mut world, cat.id(), b"1");
    assert_eq!(ben.hear(&mut world), [Said::stored(&bens)]);
    let bens = ben.send(&mut world, cat.id(), b"2");
    assert_eq!(ben.hear(&mut world), [refused(ErrorCode::MailboxFull, &bens)]);

    // A restart does not empty it, an acknowledgment makes room, and the refused bytes are welcome.
    world.crash();
    ann.come_to_nothing(&mut world);
    world.send(ann.conn, &third);
    assert_eq!(ann.hear(&mut world), [refused(ErrorCode::MailboxFull, &third)]);
    cat.come(&mut world, 8);
    cat.acknowledge(&mut world, &[id_of(&first)]);
    assert_eq!(ann.hear(&mut world), [Said::delivered(&first)]);
    world.send(ann.conn, &third);
    assert_eq!(ann.hear(&mut world), [Said::stored(&third)]);
}

#[test]
fn a_mailbox_has_room_for_so_many_bytes() {
    let mut config = Config::default();
    config.mailbox.pair_bytes = 2 * (282 + 1_000);
    config.mailbox.bytes = 3 * (282 + 1_000);
    let (mut world, [mut ann, mut ben, cat]) = World::populated(config);
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    for n in 0..2 {
        let letter = ann.send(&mut world, cat.id(), &[n; 1_000]);
        assert_eq!(ann.hear(&mut world), [Said::stored(&letter)]);
    }
    let over = ann.send(&mut world, cat.id(), b"");
    assert_eq!(ann.hear(&mut world), [refused(ErrorCode::MailboxFull, &over)]);
    let over = ben.send(&mut world, cat.id(), &[3; 1_001]);
    assert_eq!(ben.hear(&mut world), [refused(ErrorCode::MailboxFull, &over)]);
    let fits = ben.send(&mut world, cat.id(), &[3; 1_000]);
    assert_eq!(ben.hear(&mut world), [Said::stored(&fits)]);
}

#[test]
fn below_the_disk_floor_only_the_present_get_letters() {
    let (mut world, [mut ann, mut ben, cat]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    world.turn_all(|server, _| server.set_disk_is_low(true));
    let absent = ann.send(&mut world, cat.id(), b"absent");
    assert_eq!(ann.hear(&mut world), [refused(ErrorCode::StorageUnavailable, &absent)]);
    let present = ann.send(&mut world, ben.id(), b"present");
    assert_eq!(ann.hear(&mut world), [Said::stored(&present)]);
    world.turn_all(|server, _| server.set_disk_is_low(false));
    world.send(ann.conn, &absent);
    assert_eq!(ann.hear(&mut world), [Said::stored(&absent)]);
}

#[test]
fn keys_are_told_of_oneself_of_senders_in_the_queue_and_by_phone() {
    let (mut world, [mut ann, mut ben, cat]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    let (of_ann, unknown) = (KeyQuestion::ById(ann.id()), ErrorCode::UnknownUser);
    ben.ask(&mut world, of_ann);
    assert_eq!(ben.hear_refusals(&mut world), [unknown]);

    let letter = ann.send(&mut world, ben.id(), b"who am I?");
    ben.hear(&mut world);
    ben.ask(&mut world, of_ann);
    let [Said::Key(answer)] = &ben.hear(&mut world)[..] else { panic!() };
    assert_eq!((answer.user, answer.phone), (ann.id(), ann.phone));
    assert_eq!(answer.spki, ann.spki());

    ben.acknowledge(&mut world, &[id_of(&letter)]);
    ben.ask(&mut world, of_ann);
    ben.ask(&mut world, KeyQuestion::ById(cat.id()));
    ben.ask(&mut world, KeyQuestion::ById(UserId::new(900).unwrap()));
    assert_eq!(ben.hear_refusals(&mut world), [unknown, unknown, unknown]);
    ben.ask(&mut world, KeyQuestion::ByPhone(Person::<RustCrypto>::new(50).phone));
    assert_eq!(ben.hear_refusals(&mut world), [unknown]);

    ben.ask(&mut world, KeyQuestion::ById(ben.id()));
    ben.ask(&mut world, KeyQuestion::ByPhone(cat.phone));
    let [Said::Key(own), Said::Key(cats)] = &ben.hear(&mut world)[..] else { panic!() };
    assert_eq!((own.user, own.spki.clone()), (ben.id(), ben.spki()));
    assert_eq!((cats.user, cats.spki.clone()), (cat.id(), cat.spki()));
}

#[test]
fn a_key_is_told_of_whoever_has_a_letter_in_the_mailbox_before_it_is_handed_over() {
    let (mut world, [mut ann, mut ben, mut cat, dan]) = Sim::<Paper>::populated(Config::default());
    ann.come_to_nothing(&mut world);
    cat.come_to_nothing(&mut world);
    ben.come(&mut world, 1);
    ann.send(&mut world, ben.id(), b"it fills the window");
    cat.send(&mut world, ben.id(), b"behind it");
    assert!(matches!(ben.hear(&mut world)[..], [Said::BacklogEnd(0), Said::Letter(_)]));
    ben.ask(&mut world, KeyQuestion::ById(cat.id()));
    let Said::Key(answer) = ben.hear_one(&mut world) else { panic!() };
    assert_eq!((answer.user, answer.spki), (cat.id(), cat.spki()));
    ben.ask(&mut world, KeyQuestion::ById(dan.id()));
    assert_eq!(ben.hear_refusals(&mut world), [ErrorCode::UnknownUser]);
}

#[test]
fn a_letter_and_the_question_about_its_sender_survive_a_restart() {
    let (mut world, [mut ann, mut ben, _]) = World::populated(Config::default());
    ann.come_to_nothing(&mut world);
    ann.send(&mut world, ben.id(), b"who am I?");
    world.crash();
    ben.come(&mut world, 8);
    ben.hear(&mut world);
    ben.ask(&mut world, KeyQuestion::ById(ann.id()));
    assert!(matches!(ben.hear(&mut world)[..], [Said::Key(_)]));
}

#[test]
fn storage_is_asked_for_expired_letters_once_a_minute_and_not_at_every_timeout() {
    let (mut world, [mut ann]) = Sim::<Paper>::populated(Config::default());
    ann.come_to_nothing(&mut world);
    world.wait_s(120);
    world.turn_all(|server, env| server.timeout(env));
    assert!(!world.disk.has_jobs());
}

#[test]
fn a_letter_expires_and_its_sender_learns_it() {
    let (mut world, [mut ann, mut ben, _]) = Sim::<Paper>::populated(Config::default());
    ann.come_to_nothing(&mut world);
    let letter = ann.send(&mut world, ben.id(), b"never fetched");
    ann.hear(&mut world);
    let a_month = 30 * 86_400;
    world.wait_s(a_month);
    assert_eq!(world.disk.pending(ben.id()), [id_of(&letter)]);
    world.wait_s(61);
    assert_eq!(ann.hear(&mut world), [Said::Fate(id_of(&letter), Status::Expired)]);
    assert!(world.disk.pending(ben.id()).is_empty());
    ben.come_to_nothing(&mut world);

    let asked = ann.queries(&mut world, &[(ben.id(), id_of(&letter))]);
    world.send(ann.conn, &asked);
    assert_eq!(ann.hear(&mut world), [Said::Fate(id_of(&letter), Status::Expired)]);
    world.wait_s(a_month + 60);
    assert!(!world.disk.remembers(id_of(&letter)));
}

#[test]
fn a_letter_that_expires_under_the_clients_hands_gives_its_place_back_when_it_is_acknowledged() {
    let life = std::time::Duration::from_secs(100);
    let mut config = Config { letter_life: life, ..Config::default() };
    config.deadlines.progress = std::time::Duration::from_secs(1_000);
    config.mailbox.pair_letters = 1;
    let (mut world, [mut ann, mut ben, _]) = World::populated(config);
    ann.come_to_nothing(&mut world);
    ben.come(&mut world, 1);
    let old = ann.send(&mut world, ben.id(), b"old");
    world.wait_s(161);
    assert_eq!(ann.hear(&mut world).last(), Some(&Said::Fate(id_of(&old), Status::Expired)));
    // In the mailbox there is room again; in the window there is not, since the client cannot know.
    let new = ann.send(&mut world, ben.id(), b"new");
    assert_eq!(ann.hear(&mut world), [Said::stored(&new)]);
    assert_eq!(ben.hear(&mut world)[1..], [Said::Letter(old.clone())]);
    ben.acknowledge(&mut world, &[id_of(&old)]);
    assert_eq!(ben.hear(&mut world), [Said::Letter(new)]);
    assert_eq!(ann.hear(&mut world), [], "an expired letter is not delivered after all");
}

#[test]
fn a_key_is_parsed_once_for_all_letters_of_its_user_whoever_else_writes() {
    let (mut world, [mut ann, mut ben]) = Sim::<Paper>::online(Config::default());
    for n in 0..3 {
        for letter in [
            (ann.conn, ann.letter(&mut world, ben.id(), &[n])),
            (ben.conn, ben.letter(&mut world, ann.id(), &[n])),
        ] {
            Work::since_last_look();
            world.send_all(&[letter]);
            assert_eq!(Work::since_last_look().keys, 0, "they are here, and so are their keys");
        }
    }
}
