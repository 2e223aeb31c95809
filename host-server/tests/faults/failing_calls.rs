//! Each call of SQLite's to the system fails, one after the other.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use waxwing_testkit_sqlite::{Call, Fault, FaultyDisk};

use crate::service::{LETTER_LIFE, Service};

/// Some hours with everything in them that a server does with its storage.
fn day(service: &mut Service) {
    service.come(0);
    (1..3).for_each(|who| service.create_user(who));
    (0..3).for_each(|who| service.come(who));
    service.write(0, 1, 300);
    service.write(0, 1, 9_000);
    service.acknowledge(1, 1);
    service.leave(2);
    service.write(1, 2, 5_000);
    service.write(0, 2, 20);
    service.tidy();
    service.come(2);
    service.acknowledge(2, 8);
    service.ask(0, 2);
    service.stop();
    (0..3).for_each(|who| service.come(who));
    service.acknowledge(1, 8);
    service.write(2, 0, 700);
    service.crash();
    service.come(0);
    service.acknowledge(0, 8);
    service.write(0, 1, 30);
    service.wait(LETTER_LIFE + Duration::from_secs(61));
    service.stop();
}

struct Ran {
    calls: u64,
    injected: BTreeMap<Call, u64>,
    refusals: usize,
    complaints: usize,
    failures: usize,
}

/// Says with which fault a run has failed.
struct Trial(Option<Fault>);

impl Drop for Trial {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with the fault {:?}", self.0);
        }
    }
}

fn run(fault: Option<Fault>) -> Ran {
    let _trial = Trial(fault);
    let directory = tempfile::tempdir().unwrap();
    let disk = Rc::new(FaultyDisk::under(directory.path()).unwrap());
    fault.into_iter().for_each(|fault| disk.fail(fault));
    let mut service = Service::new(directory.path(), disk.clone(), 3, 1);
    day(&mut service);
    let Service { refusals, complaints, failures, .. } = service;
    let (calls, injected) = (disk.calls(), disk.injected());
    // What fails before the database has its name is thrown away and made anew.
    let mut retried = disk.retried_syncs().into_iter();
    let is_draft = |path: Box<Path>| path.to_string_lossy().contains(".new");
    assert!(retried.all(is_draft), "a sync was tried again");
    disk.heal();
    service.finish();
    Ran { calls, injected, refusals, complaints, failures }
}

#[test]
fn a_day_without_a_fault_goes_well() {
    let ran = run(None);
    assert_eq!((ran.refusals, ran.complaints, ran.failures), (0, 0, 0));
    println!("{} calls", ran.calls);
}

/// What the runs have seen.
#[derive(Debug, Default)]
struct Seen {
    runs: u64,
    injected: BTreeMap<Call, u64>,
    refusals: usize,
    complaints: usize,
    failures: usize,
}

/// Runs with the fault at every call, until one is not reached.
fn at_every_call(fault: impl Fn(u64) -> Fault) -> Seen {
    let mut seen = Seen::default();
    loop {
        let number = seen.runs + 1;
        let ran = run(Some(fault(number)));
        if ran.injected.is_empty() {
            println!("{seen:?}");
            return seen;
        }
        let sync_failed = ran.injected.contains_key(&Call::Sync);
        assert!(!sync_failed || ran.complaints + ran.failures > 0, "a sync failed: {number}");
        for (call, count) in ran.injected {
            *seen.injected.entry(call).or_insert(0) += count;
        }
        seen.runs = number;
        seen.refusals += ran.refusals;
        seen.complaints += ran.complaints;
        seen.failures += ran.failures;
    }
}

#[test]
fn every_call_can_fail_once() {
    let seen = at_every_call(Fault::Once);
    assert!(seen.injected.into_keys().eq(Call::ALL));
    assert!(seen.refusals > 0 && seen.complaints > 0 && seen.failures > 0);
}

#[test]
fn every_call_can_be_the_first_of_those_that_fail() {
    let seen = at_every_call(Fault::From);
    assert!(seen.injected.into_keys().eq(Call::ALL));
    assert!(seen.refusals > 0 && seen.complaints > 0 && seen.failures > 0);
}

#[test]
fn a_disk_that_is_full_from_any_write_on_stops_no_server() {
    let seen = at_every_call(Fault::Full);
    assert!(seen.injected.into_keys().eq([Call::Write]));
    assert!(seen.refusals > 0 && seen.failures == 0);
}

#[test]
fn a_quota_that_is_used_up_from_any_write_on_stops_no_server() {
    let seen = at_every_call(Fault::Denied);
    assert!(seen.injected.into_keys().eq([Call::Write]));
    assert!(seen.refusals > 0 && seen.failures == 0);
}

#[test]
fn locks_that_somebody_else_holds_stop_no_server() {
    let seen = at_every_call(Fault::Busy);
    assert!(seen.injected.into_keys().eq([Call::Lock, Call::MapLock]));
    assert!(seen.refusals > 0 && seen.failures == 0);
}
