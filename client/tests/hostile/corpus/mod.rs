//! Thousands of malformed packets, each in every state where it means something else, each with
//! the answer that PROTOCOL.md gives it. It is the document's word, so where the two differ one
//! of them is wrong.

mod bodies;
mod case;
mod cut;
mod document;
mod headers;

use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use crate::line::Door;
use crate::pair::{Habit, Pair};
use crate::peer::Peer;
use crate::swarm::alone;
use crate::test_server::TestServer;
use case::{Case, SINK};

const WORKERS: usize = 5;
const LEAST: usize = 5_000;

#[test]
fn every_malformed_packet_has_the_answer_of_the_document() {
    let _alone = alone();
    let many = "1000000";
    let mut server = TestServer::with(&[
        ("limits.registration_operations_per_second", many),
        ("limits.reconnect_operations_per_second", many),
    ]);
    let door = Door::of(&server);
    let mut sink = Peer::with_session(door, 5);
    assert_eq!(sink.id().get(), SINK);
    let cases = all(&mut sink);
    drop(sink.hang_up());
    assert!(cases.len() >= LEAST, "{}", cases.len());

    let pair = Pair::begin(door, Habit::ComesAndGoes);
    let began = Instant::now();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let mut peer = Peer::new(door, worker);
            peer.from = Ipv4Addr::new(127, 0, 1, 1 + worker as u8);
            peer.register();
            let (cases, next, wrong) = (&cases, &next, &wrong);
            scope.spawn(move || {
                while let Some(case) = cases.get(next.fetch_add(1, Relaxed)) {
                    let run = catch_unwind(AssertUnwindSafe(|| case.run(&mut peer)));
                    match run.unwrap_or_else(|_| Err(format!("{}: see above", case.name()))) {
                        Ok(()) => {}
                        Err(how) => wrong.lock().unwrap().push(how),
                    }
                }
            });
        }
    });
    println!("{} cases in {:.1?}", cases.len(), began.elapsed());
    println!("meanwhile {}", pair.end());
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} wrong: {:#?}", wrong.len(), &wrong[..wrong.len().min(40)]);

    // And it serves everybody else.
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "after all that").exits(0);
    bert.receives(&["after all that"]);
    server.stop();
    assert!(!server.log().contains("panic"), "{}", server.log());
}

fn all(model: &mut Peer) -> Vec<Case> {
    let families = [
        cut::cases(model),
        headers::ops(),
        headers::sizes(),
        headers::id_fields(),
        headers::without_payload(),
        headers::dates(),
        headers::off_by_one(),
        headers::told_by_header(),
        bodies::flips(),
        bodies::signatures(),
        bodies::contents(),
        bodies::dribbled(),
        bodies::glued(),
    ];
    families.into_iter().flatten().collect()
}
