//! Packets that do not end: their senders are gone by the deadline, and what they hold of the
//! server's memory is bounded.

use waxwing_core::limits::{MAX_PACKET, OVERHEAD};
use waxwing_core::wire::ErrorCode;
use waxwing_testkit::packets;

use crate::line::Door;
use crate::pair::{Habit, Pair};
use crate::peer::Peer;
use crate::swarm::{Stinger, Swarm};
use crate::test_server::TestServer;

/// How far memory may move between two rounds that do the same, in KiB.
const FLAT: u64 = 4 << 10;
/// What the server may keep for a connection besides what it has received, in KiB.
const PER_CONNECTION: u64 = 2;

/// The largest packet that may come before a session: nothing in its header is wrong.
fn proof() -> Vec<u8> {
    let unsigned = packets::unsigned(0, 0, waxwing::clock::now(), 101, &[0x5a; 550]);
    packets::zero_signed(unsigned)
}

#[test]
fn five_thousand_that_send_a_byte_a_second_are_gone_by_their_deadline() {
    const COUNT: usize = 5_000;
    let mut swarm = Swarm::new();
    let server = TestServer::with(&[("limits.exempt", ""), ("deadlines.first_packet", "5s")]);
    let door = Door::of(&server);
    let pair = Pair::begin(door, Habit::ComesAndGoes);
    let proof = proof();
    let before = server.process().resident_memory();
    let (mut peaks, mut rests) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        swarm.sockets.clear();
        swarm.grow(door.address, COUNT);
        let dribble = |at: usize, socket: &mut Stinger| {
            // Some begin in the middle of the header, some of the payload.
            let so_far = at % 500 + usize::try_from(socket.age().as_secs()).unwrap();
            socket.send(&proof, so_far + 1);
        };
        let all_sent = |swarm: &Swarm| swarm.sockets.iter().all(|socket| socket.sent > 0);
        swarm.run_until("all have begun", dribble, all_sent);
        assert_eq!(swarm.alive(), COUNT);
        peaks.push(server.process().resident_memory());
        swarm.run_until("all are gone", dribble, |swarm| swarm.alive() == 0);
        rests.push(server.process().resident_memory());
        assert!(swarm.sockets.iter().all(|socket| socket.heard.is_empty()));
    }
    let lived = swarm.sockets.iter().filter_map(|socket| socket.lived);
    println!("{COUNT} dribblers lived for {:.1?} at most", lived.max().unwrap());
    println!("server: {before} KiB before, {peaks:?} with them, {rests:?} after");
    println!("meanwhile {}", pair.end());
    let most = before + PER_CONNECTION * COUNT as u64;
    assert!(peaks.iter().all(|peak| *peak <= most), "above {most} KiB");
    assert!(rests[2].saturating_sub(rests[1]) <= FLAT, "memory grows");
}

#[test]
fn ten_thousand_half_sent_packets_stay_within_the_pool_and_the_slowest_go() {
    const EARLY: usize = 4_000;
    const LATE: usize = 6_000;
    const POOL: usize = 4 << 20;
    let mut swarm = Swarm::new();
    let server = TestServer::with(&[
        ("limits.exempt", ""),
        ("limits.half_received", "4MiB"),
        ("deadlines.first_packet", "60s"),
        ("deadlines.packet", "60s"),
    ]);
    let door = Door::of(&server);
    let pair = Pair::begin(door, Habit::Stays);
    let proof = proof();
    let half = proof.len() - 1;
    let before = server.process().resident_memory();
    let send = |_: usize, socket: &mut Stinger| socket.send(&proof, half);
    let all_sent = |swarm: &Swarm| swarm.sockets.iter().all(|socket| socket.sent == half);
    swarm.grow(door.address, EARLY);
    swarm.run_until("the early ones have sent", send, all_sent);
    assert_eq!(swarm.alive(), EARLY);
    // Answered only after all that: the early ones are in the pool.
    Peer::new(door, 0).register();
    swarm.grow(door.address, LATE);
    let kept = POOL / half;
    swarm.run_until("the pool is full", send, |swarm| all_sent(swarm) && swarm.alive() <= kept);
    Peer::new(door, 1).register();
    let after = server.process().resident_memory();
    swarm.run_until("a last look", send, |_| true);

    println!("server: {before} KiB before, {after} KiB with {} packets half sent", EARLY + LATE);
    println!("meanwhile {}", pair.end());
    let alive = swarm.alive();
    assert!((kept - 4..=kept).contains(&alive), "{alive} live");
    assert_eq!(swarm.sockets.iter().skip(EARLY).filter(|late| !late.lives()).count(), LATE - alive);
    // A buffer that grows can be twice as large as what is in it.
    let most = before + 2 * POOL as u64 / 1_024 + PER_CONNECTION * (EARLY + LATE) as u64;
    assert!(after <= most, "{after} KiB, not {most}");
}

#[test]
fn half_sent_letters_share_the_pool_and_cost_their_senders_the_session() {
    // Room for three of five.
    let server = TestServer::with(&[("limits.half_received", "256KiB")]);
    let door = Door::of(&server);
    let pair = Pair::begin(door, Habit::ComesAndGoes);
    let mut other = Peer::with_session(door, 0);
    let mut senders: Vec<_> = (1..=5).map(|at| Peer::with_session(door, at)).collect();
    let mut letters = Vec::new();
    for sender in &mut senders {
        let letter = sender.letter(other.id(), &[0x5a; MAX_PACKET - OVERHEAD]);
        sender.send(&letter[..letter.len() - 1]);
        // Answered after that, so this one has begun before the next.
        other.is_served();
        letters.push(letter);
    }
    let (slowest, rest) = senders.split_at_mut(2);
    assert!(slowest.iter_mut().all(|sender| sender.hear().is_none()));
    for (sender, letter) in rest.iter_mut().zip(&letters[2..]) {
        sender.send(&letter[letter.len() - 1..]);
        assert_eq!(sender.hear_no().code, ErrorCode::TooLarge);
        sender.is_served();
    }
    pair.end();
}
