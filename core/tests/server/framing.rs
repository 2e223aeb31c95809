//! Where packets begin and end, however the stream is cut, and how long they may take.

use std::collections::BTreeMap;
use std::time::Duration;

use rand_chacha::rand_core::Rng;
use waxwing_core::id::PacketId;
use waxwing_core::server::{Config, ConnId, Event};
use waxwing_core::wire::{ErrorCode, KeyQuestion, Op};

use waxwing_testkit::backend::Paper;
use waxwing_testkit::disk::Disk;
use waxwing_testkit::packets::{self, NOBODY, id_of};
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::{Sim, World};

type PaperWorld = Sim<Paper>;

fn two() -> (PaperWorld, [Person<Paper>; 2]) {
    Sim::populated(Config::default())
}

/// A whole conversation, each side of it in one piece: the client's packets are made beforehand
/// by playing it once.
fn conversation() -> Vec<Vec<u8>> {
    let (mut world, [mut ann, ben]) = two();
    let mut packets = Vec::new();
    let mut say = |world: &mut PaperWorld, conn, packet: Vec<u8>| {
        world.send(conn, &packet);
        packets.push(packet);
    };
    ann.conn = world.connect();
    let reconnect = ann.long(&mut world);
    say(&mut world, ann.conn, reconnect);
    ann.hear(&mut world);
    for step in 0..8 {
        let packet = match step {
            0 => ann.confirmation(&mut world, 8),
            1 => ann.letter(&mut world, ben.id(), b"one"),
            2 => ann.question(&mut world, KeyQuestion::ByPhone(ben.phone)),
            3 => ann.letter(&mut world, ben.id(), &[3; 5_000]),
            4 => ann.letter(&mut world, ben.id(), b""),
            5 => ann.queries(&mut world, &[(ben.id(), PacketId([1; 16]))]),
            6 => ann.letter(&mut world, waxwing_core::id::UserId::new(99).unwrap(), b"?"),
            _ => ann.sealed(&mut world, Op::Close, &[1]),
        };
        say(&mut world, ann.conn, packet);
    }
    packets
}

/// Plays a conversation cut as told, and gives back what came and what is stored.
fn play(pieces: impl IntoIterator<Item = Vec<u8>>) -> (Vec<Vec<u8>>, Vec<PacketId>) {
    let (mut world, [_, ben]) = two();
    let conn = world.connect();
    for piece in pieces {
        world.send(conn, &piece);
    }
    assert!(world.is_closed(conn), "the last packet is a 222");
    (world.packets(conn), world.disk.pending(ben.id()))
}

/// How often every op came. Only what is said once a turn depends on where turns end.
fn ops(packets: &[Vec<u8>]) -> BTreeMap<u8, usize> {
    let mut ops = BTreeMap::new();
    let codes = packets.iter().map(|packet| packet[23]).filter(|op_code| *op_code != 203);
    codes.for_each(|op_code| *ops.entry(op_code).or_default() += 1);
    ops
}

#[test]
fn a_conversation_is_the_same_however_it_is_cut() {
    let packets = conversation();
    let (said, stored) = play(packets.clone());
    assert_eq!(stored.len(), 3);
    let expected = [(204, 1), (206, 1), (222, 1), (244, 1), (255, 1)];
    assert_eq!(ops(&said), expected.into_iter().collect());

    let stream = packets.concat();
    let bytewise = play(stream.iter().map(|byte| vec![*byte]));
    assert_eq!(bytewise, (said.clone(), stored.clone()));

    let (mut world, _) = two();
    for _ in 0..200 {
        let mut rest = &stream[..];
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let at = 1 + world.rng.next_u32() as usize % 900.min(rest.len());
            let (piece, tail) = rest.split_at(at);
            pieces.push(piece.to_vec());
            rest = tail;
        }
        let cut = play(pieces);
        assert_eq!((ops(&cut.0), cut.1), (ops(&said), stored.clone()));
    }
    // All but the 106, behind which nobody sends so much before it is answered.
    let glued = play([packets[0].clone(), packets[1..].concat()]);
    assert_eq!((ops(&glued.0), glued.1), (ops(&said), stored));
}

#[test]
fn a_stream_cut_anywhere_is_waited_for_and_never_harms() {
    let packets = conversation();
    for packet in [&packets[0], &packets[1], &packets[2]] {
        for len in 0..packet.len() {
            let (mut world, _) = two();
            let conn = world.connect();
            if packet != &packets[0] {
                world.send(conn, &packets[0]);
                if packet != &packets[1] {
                    world.send(conn, &packets[1]);
                }
            }
            world.bytes(conn);
            world.send(conn, &packet[..len]);
            assert!(world.bytes(conn).is_empty() && !world.is_closed(conn), "{len}");
            world.hang_up(conn);
            assert_eq!(world.connection_count(), 0);
        }
    }
}

#[test]
fn nonsense_is_malformed_at_the_header() {
    let mut world = PaperWorld::new(Config::default());
    let conn = world.connect();
    world.send(conn, &[b'G'; 25]);
    assert!(!world.is_closed(conn));
    world.send(conn, b"G");
    assert!(world.is_closed(conn));
    assert_eq!(world.packets(conn).len(), 1);
}

#[test]
fn a_size_that_is_not_its_ops_is_refused_at_the_header_before_a_session() {
    let sizes = [
        (100, 256, false),
        (100, 255, true),
        (100, 257, true),
        (101, 550, false),
        (101, 256, true),
        (101, 65_535, true),
    ];
    for (op_code, size, refused) in sizes {
        let mut world = PaperWorld::new(Config::default());
        let mut ann = Person::new(0);
        ann.conn = world.connect();
        let header = packets::header(NOBODY, NOBODY, world.now.unix, op_code, size);
        world.send(ann.conn, &header);
        assert_eq!(world.is_closed(ann.conn), refused, "{op_code} of {size}");
        let expected: &[_] = if refused { &[ErrorCode::Malformed] } else { &[] };
        assert_eq!(ann.hear_refusals(&mut world), expected);
    }
}

#[test]
fn nothing_behind_a_fatal_packet_counts() {
    let (mut world, [mut ann, ben]) = two();
    ann.come_to_nothing(&mut world);
    let first = ann.letter(&mut world, ben.id(), b"before");
    let bad = packets::flipped(&ann.letter(&mut world, ben.id(), b"bad"), 100);
    let behind = ann.letter(&mut world, ben.id(), b"behind");
    world.send(ann.conn, &[first.clone(), bad, behind].concat());
    assert!(ann.is_closed(&world));
    assert_eq!(world.disk.pending(ben.id()), [id_of(&first)]);
}

fn lives_for(world: &mut PaperWorld, conn: ConnId, span: Duration) {
    world.wait(span - Duration::from_millis(1));
    assert!(!world.is_closed(conn), "closed early");
    world.wait(Duration::from_millis(1));
    assert!(world.is_closed(conn), "still open");
}

#[test]
fn the_first_packet_has_15_s_whole_and_not_only_begun() {
    let (mut world, [mut ann, _]) = two();
    let conn = world.connect();
    lives_for(&mut world, conn, Duration::from_secs(15));
    let conn = world.connect();
    let packet = ann.long(&mut world);
    for byte in &packet[..14] {
        world.wait_s(1);
        world.send(conn, &[*byte]);
    }
    lives_for(&mut world, conn, Duration::from_secs(1));
    assert!(world.bytes(conn).is_empty());
}

#[test]
fn the_confirmation_has_60_s() {
    let (mut world, [mut ann, _]) = two();
    ann.knock(&mut world);
    lives_for(&mut world, ann.conn, Duration::from_secs(60));
    ann.knock(&mut world);
    world.wait_s(59);
    ann.confirm(&mut world, 8);
    assert_eq!(ann.hear(&mut world), [Said::BacklogEnd(0)]);
    world.wait_s(600);
    assert!(!ann.is_closed(&world));
}

#[test]
fn a_packet_begun_in_a_session_has_30_s_from_its_first_byte() {
    let (mut world, [mut ann, ben]) = two();
    ann.come_to_nothing(&mut world);
    let letter = ann.letter(&mut world, ben.id(), &[1; 500]);
    for (n, piece) in letter.chunks(100).enumerate() {
        world.wait_s(if n == 0 { 100 } else { 4 });
        world.send(ann.conn, piece);
    }
    assert_eq!(world.disk.pending(ben.id()).len(), 1);
    world.send(ann.conn, &letter[..10]);
    world.wait_s(20);
    world.send(ann.conn, &letter[10..20]);
    lives_for(&mut world, ann.conn, Duration::from_secs(10));
}

#[test]
fn a_packet_that_follows_another_in_pieces_has_its_own_time() {
    let (mut world, [mut ann, ben]) = two();
    ann.come_to_nothing(&mut world);
    for n in 0..10_u8 {
        let letter = ann.letter(&mut world, ben.id(), &[n]);
        let at = letter.len() / 2;
        world.send(ann.conn, &letter[..at]);
        world.wait_s(20);
        // The end of this one and the beginning of the next arrive together.
        world.send(ann.conn, &letter[at..]);
    }
    assert!(!ann.is_closed(&world));
    assert_eq!(world.disk.pending(ben.id()).len(), 10);
}

#[test]
fn while_a_connection_waits_for_storage_its_packets_have_time() {
    let (mut world, [mut ann, ben]) = two();
    ann.come_to_nothing(&mut world);
    world.disk.held = true;
    let letters: Vec<_> = (0..129_u8).map(|n| ann.letter(&mut world, ben.id(), &[n])).collect();
    let stream = letters.concat();
    let (most, last) = stream.split_at(stream.len() - 5);
    world.send(ann.conn, most);
    assert!(!world.is_read(ann.conn));
    world.wait_s(100);
    assert!(!ann.is_closed(&world));
    world.release();
    world.wait_s(29);
    assert!(!ann.is_closed(&world));
    world.send(ann.conn, last);
    assert_eq!(world.disk.pending(ben.id()).len(), 129);
}

#[test]
fn when_half_received_packets_take_too_much_the_slowest_goes() {
    let config = Config { half_received_bytes: 1_199, ..Config::default() };
    let mut world = PaperWorld::sharded(config, Disk::default(), 7, 1);
    let header = packets::header(NOBODY, NOBODY, world.now.unix, 100, 256);
    let half = [&header[..], &[0; 274]].concat();
    let conns: Vec<_> = (0..4)
        .map(|_| {
            world.wait_s(1);
            let conn = world.connect();
            world.send(conn, &half);
            conn
        })
        .collect();
    let closed: Vec<_> = conns.iter().map(|conn| world.is_closed(*conn)).collect();
    assert_eq!(closed, [true, false, false, false]);
    assert!(world.events.contains(&Event::Shed { conn: conns[0] }));
    assert!(!world.events.contains(&Event::TimedOut { conn: conns[0] }));
    // Ended and finished packets give their room back.
    world.hang_up(conns[1]);
    let another = world.connect();
    world.send(another, &half);
    assert!(!world.is_closed(conns[2]));
    world.send(conns[2], &[0; 264]);
    assert!(world.is_closed(conns[2]), "malformed");
    let another = world.connect();
    world.send(another, &half);
    assert!(!world.is_closed(conns[3]));
}

#[test]
fn real_cryptography_arrives_in_pieces_too() {
    let (mut world, [mut ann, mut ben]) = World::online(Config::default());
    let letter = ann.letter(&mut world, ben.id(), &[9; 2_000]);
    for piece in letter.chunks(7) {
        world.send(ann.conn, piece);
    }
    assert_eq!(ben.hear_letters(&mut world), [letter]);
}

#[test]
fn the_civil_clock_may_jump_and_no_deadline_follows_it() {
    for jump in [-86_400, 10 * 365 * 86_400] {
        let (mut world, [mut ann, mut ben]) = two();
        ann.come_to_nothing(&mut world);
        ben.come_to_nothing(&mut world);
        let waiting = world.connect();
        let before = ann.letter(&mut world, ben.id(), b"signed before");
        world.now.unix = world.now.unix.shifted(jump);
        world.wait_s(14);
        assert!(!world.is_closed(waiting));
        world.send(ann.conn, &before);
        assert_eq!(ann.hear_refusals(&mut world), [ErrorCode::StaleTimestamp]);
        let after = ann.send(&mut world, ben.id(), b"signed after");
        assert_eq!(ben.hear_letters(&mut world), [after]);
        world.wait_s(1);
        assert!(world.is_closed(waiting));
        assert!(!ann.is_closed(&world));
    }
}
