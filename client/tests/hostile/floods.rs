//! As much as one can send, and how those fare who send little.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use waxwing::backend::generate_key;
use waxwing_core::id::UserId;
use waxwing_core::wire::{ErrorCode, KeyQuestion, Status};
use waxwing_testkit::packets;
use waxwing_testkit::person::Said;

use crate::line::{Door, Line};
use crate::pair::{Delays, Habit, Pair, exchange};
use crate::peer::Peer;
use crate::swarm::alone;
use crate::test_server::TestServer;

#[test]
fn one_who_floods_a_mailbox_fills_a_share_of_it_and_others_still_get_through() {
    const SHARE: usize = 1_000;
    let server = TestServer::new();
    let door = Door::of(&server);
    let (mut flooder, mut victim) = (Peer::with_session(door, 0), Peer::with_session(door, 1));
    let mut other = Peer::with_session(door, 2);
    victim.leave();
    let mut letters = Vec::new();
    let mut write = |from: &mut Peer, count: usize| {
        let text = |number| format!("letter {number}").into_bytes();
        let some: Vec<_> = (letters.len()..letters.len() + count)
            .map(|number| from.write(victim.id(), &text(number)))
            .collect();
        from.hear_fates(&some, Status::Stored);
        letters.extend(some);
    };
    (0..SHARE / 100).for_each(|_| write(&mut flooder, 100));
    for number in 0..5 {
        let one_more = flooder.write(victim.id(), format!("too many {number}").as_bytes());
        let no = flooder.hear_no();
        assert_eq!((no.code, no.packet), (ErrorCode::MailboxFull, Some(packets::id_of(&one_more))));
    }
    write(&mut other, 1);
    flooder.is_served();

    victim.reconnect();
    let confirmation = victim.confirmation(128);
    victim.send(&confirmation);
    for letter in &letters {
        assert_eq!(victim.hear_letter(), *letter);
        victim.acknowledge(letter);
    }
    assert_eq!(victim.hear(), Some(Said::BacklogEnd(1 + SHARE as u32)));
    flooder.hear_fates(&letters[..SHARE], Status::Delivered);
    flooder.write(victim.id(), b"there is room again");
    assert_eq!(victim.hear_letter()[26..][..19], *b"there is room again");
}

/// What was said to packets that each came on a connection of its own.
#[derive(Default)]
struct Answers {
    /// By op, and by code where it was a refusal.
    counts: HashMap<(u8, u16), usize>,
    /// Closed without a word.
    silent: usize,
    refusals: HashSet<Vec<u8>>,
}

/// Ends a flood when it is dropped, by a failure too.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Sends one packet over and over.
fn flood(door: &Door, from: u8, bytes: &[u8], is_over: &AtomicBool) -> Answers {
    let mut answers = Answers::default();
    while !is_over.load(Relaxed) {
        let mut line = Line::open(door.address, Ipv4Addr::new(127, 1, from, 1));
        line.send(bytes);
        let Some(packet) = line.packet() else {
            answers.silent += 1;
            continue;
        };
        let code = if packet[23] == 244 { u16::from_le_bytes([packet[26], packet[27]]) } else { 0 };
        *answers.counts.entry((packet[23], code)).or_default() += 1;
        if code != 0 {
            answers.refusals.insert(packet);
        }
    }
    answers
}

#[test]
fn floods_of_requests_cost_a_bounded_share_and_sessions_go_on() {
    use ErrorCode::{BadSignature, Busy};

    const BUDGET: usize = 100;
    const LETTERS: usize = 100;
    let _alone = alone();
    let server = TestServer::with(&[("limits.registration_operations_per_second", "100")]);
    let door = Door::of(&server);
    let mut peer = Peer::with_session(door, 0);
    // A phone that has an account costs two private-key operations: one more than a bad block.
    let request = peer.request();
    let forged = packets::flipped(&peer.long(), 300);
    let unknown = packets::unsigned(999, 0, waxwing::clock::now(), 106, &[0; 256]);
    let unknown = packets::zero_signed(unknown);
    let replayed = peer.long();
    peer.call(&replayed).unwrap();

    let pair = Pair::begin(door, Habit::Stays);
    println!("before the flood: {}", pair.next(LETTERS));
    let (is_over, began) = (AtomicBool::new(false), Instant::now());
    let floods = thread::scope(|scope| {
        let packets = [&request, &forged, &unknown, &replayed];
        let floods = [1, 2, 3, 4].map(|number| {
            let (bytes, is_over) = (packets[usize::from(number) - 1], &is_over);
            scope.spawn(move || flood(door, number, bytes, is_over))
        });
        let end = End(&is_over);
        println!("in the flood: {}", pair.next(LETTERS));
        drop(end);
        floods.map(|flood| flood.join().unwrap())
    });
    let seconds = began.elapsed().as_secs_f64();
    println!("after the flood: {}", pair.end());
    let counts = floods.each_ref().map(|answers| &answers.counts);
    println!("in {seconds:.1} s: {counts:?}, and {} replays", floods[3].silent);

    let [requests, forged, unknown, replayed] = &floods;
    let only = |answers: &Answers, allowed: &[(u8, u16)]| {
        answers.silent == 0 && answers.counts.keys().all(|key| allowed.contains(key))
    };
    assert!(only(requests, &[(150, 0), (244, Busy.code())]));
    assert!(only(forged, &[(244, BadSignature.code())]));
    assert!(only(unknown, &[(244, BadSignature.code())]));
    assert!(replayed.counts.is_empty() && replayed.silent > 0);
    let worked_on = requests.counts.get(&(150, 0)).copied().unwrap_or_default();
    assert!(worked_on as f64 <= BUDGET as f64 * (seconds + 1.0) + 1.0, "{worked_on}");
    // Shared refusals are signed once a second, whoever gets them.
    let signed: HashSet<_> = forged.refusals.union(&unknown.refusals).collect();
    assert!(signed.len() as f64 <= seconds + 2.0, "{}", signed.len());
}

/// Sends the same letter again and again, as fast as it is answered, and asks for a key in
/// between: the first costs its sender nothing, the second costs the server a signature.
fn run_hot(mut hot: Peer, to: UserId, is_over: &AtomicBool) -> usize {
    let letter = hot.letter(to, b"again");
    let mut sent = 0;
    while !is_over.load(Relaxed) {
        hot.send(&letter.repeat(100));
        let question = hot.question(KeyQuestion::ById(hot.id()));
        hot.send(&question);
        while let Said::Fate(..) = hot.hear().unwrap() {}
        sent += 101;
    }
    sent
}

#[test]
fn a_hundred_quiet_clients_are_served_while_one_is_hot() {
    const QUIET: usize = 100;
    let _alone = alone();
    let server = TestServer::new();
    let door = Door::of(&server);
    let keys = thread::scope(|scope| {
        let make = || (0..QUIET / 2).map(|_| generate_key().unwrap()).collect::<Vec<_>>();
        [(); 2].map(|()| scope.spawn(make)).map(|made| made.join().unwrap())
    });
    let newcomers = keys.into_iter().flatten().zip(100..);
    let mut quiet: Vec<_> =
        newcomers.map(|(key, at)| Peer::with_key(door, at, key).registered()).collect();
    let (hot, absent) = (Peer::with_session(door, 0), Peer::with_session(door, 1));
    let target = absent.id();

    println!("before: {}", round(&mut quiet));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let hot = scope.spawn(|| run_hot(hot, target, &is_over));
        let end = End(&is_over);
        println!("beside a hot client: {}", round(&mut quiet));
        drop(end);
        println!("which sent {} packets", hot.join().unwrap());
    });
}

#[test]
fn one_who_asks_much_at_once_does_not_have_all_answers_before_others_have_one() {
    const QUESTIONS: usize = 800;
    const ANSWER: usize = 336 + 282;
    let _alone = alone();
    let server = TestServer::new();
    let door = Door::of(&server);
    let (mut hot, mut quiet) = (Peer::with_session(door, 0), Peer::with_session(door, 1));
    let about_oneself = KeyQuestion::ById(hot.id());
    let questions: Vec<_> = (0..QUESTIONS).flat_map(|_| hot.question(about_oneself)).collect();
    hot.send(&questions);
    quiet.is_served();
    let answers = hot.line().discard() / ANSWER;
    println!("the hot client had {answers} answers before the quiet one had its own");
    assert!(answers < QUESTIONS / 2);
}

/// Each writes a letter to the next, and hears that it was delivered.
fn round(people: &mut [Peer]) -> Delays {
    let count = people.len();
    let delays = (0..count).map(|at| {
        let [writer, reader] = people.get_disjoint_mut([at, (at + 1) % count]).unwrap();
        exchange(writer, reader)
    });
    Delays(delays.collect())
}
