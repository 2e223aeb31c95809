//! Batches that go out together, on the product's own thread: what it says of each of them holds,
//! whichever call fails under it.

use std::sync::mpsc::channel;
use std::time::Duration;

use waxwing_core::server::storage::{Outcome, Ticket};
use waxwing_server::store::{
    Done, Job, Outlet, SqliteOptions, SqliteStorage, StorageThread, ThreadOptions,
};
use waxwing_testkit_sqlite::{Fault, FaultyDisk};

use crate::support::*;

const BATCHES: u64 = 6;
/// It gives a place to two letters, and takes no other batch down with it.
const BAD: u64 = 4;

/// What was said of the batches, and whether the fault was reached.
fn run(fault: Fault) -> (Vec<Option<Outcome>>, bool) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("waxwing.db");
    let disk = FaultyDisk::under(directory.path()).unwrap();
    let open = || SqliteStorage::open(&path, &SqliteOptions::default()).unwrap();
    let mut storage = open();
    apply(&mut storage, [create(1), create(2)]).unwrap();

    disk.fail(fault);
    let (report, reports) = channel();
    let options = ThreadOptions { idle: Duration::from_secs(3_600), ..ThreadOptions::default() };
    let outlets = vec![Outlet { done: report, waker: Box::new(|| ()) }];
    let (thread, clients) = StorageThread::spawn(Box::new(storage), options, outlets).unwrap();
    for ticket in 1..=BATCHES {
        let second = if ticket == BAD { ticket } else { ticket + 100 };
        let letters = [insert(ticket, 1, 2, 5_000), insert(second, 1, 2, 9)];
        let mut batch = (*batch(letters)).clone();
        batch.ticket = Ticket(ticket);
        clients[0].send(Job::Batch(batch.into()));
    }
    drop(clients);
    // It may not be able to close in good order.
    let _ = thread.shut_down();
    let mut said = vec![None; BATCHES as usize + 1];
    let (mut last, mut has_failed) = (0, false);
    for done in reports {
        match done {
            Done::Batch(Ticket(ticket), outcome) => {
                assert!(ticket == last + 1 && !has_failed, "in order, and nothing after the end");
                (last, said[ticket as usize]) = (ticket, Some(outcome));
            }
            Done::Fatal(_) => has_failed = true,
            Done::FreeDisk(_) => {}
            Done::Answer(..) => panic!("nothing was asked"),
        }
    }
    assert!(has_failed || last == BATCHES, "the end of a batch was not told");

    disk.heal();
    let waiting = mailbox(&mut open(), 2);
    for ticket in 1..=BATCHES {
        let is_there = waiting.contains(&ticket);
        if let Some(outcome) = said[ticket as usize] {
            assert_eq!(is_there, outcome == Outcome::Done, "batch {ticket}");
        }
        assert_eq!(is_there, waiting.contains(&(ticket + 100)), "half of batch {ticket}");
    }
    (said, !disk.injected().is_empty())
}

#[test]
fn what_is_said_of_batches_that_go_out_together_holds() {
    let (mut done, mut refused, mut untold) = (0, 0, 0);
    for fault in [Fault::Once, Fault::From, Fault::Full, Fault::Denied, Fault::Busy] {
        for number in 1.. {
            let (said, is_reached) = run(fault(number));
            for (ticket, outcome) in said.into_iter().enumerate().skip(1) {
                assert!(ticket as u64 != BAD || outcome != Some(Outcome::Done));
                *match outcome {
                    Some(Outcome::Done) => &mut done,
                    Some(Outcome::Unavailable) => &mut refused,
                    None => &mut untold,
                } += 1;
            }
            if !is_reached {
                break;
            }
        }
    }
    println!("{done} done, {refused} refused, {untold} untold");
    assert!(done > 0 && refused > 0 && untold > 0);
}
