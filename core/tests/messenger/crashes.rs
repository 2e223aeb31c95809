//! Processes that die and disks that are full, at any commit.

use std::time::Duration;

use waxwing_core::wire::Status;
use waxwing_testkit::participant::End;

use crate::Population;

const LETTERS: usize = 12;

fn written() -> Population {
    let mut all = Population::of(2);
    for n in 0..LETTERS {
        all.write(0, 1, &format!("a{n}"));
        all.write(1, 0, &format!("b{n}"));
    }
    all
}

/// Everybody comes back until all is said.
fn end(all: &mut Population) {
    for _ in 0..20 {
        for who in 0..2 {
            if !all.people[who].is_connected() {
                all.connect(who);
            }
        }
        all.run();
        all.pass(Duration::from_secs(2));
    }
}

fn assert_all_arrived_once(all: &Population, at: usize) {
    for (who, name) in [(0, "b"), (1, "a")] {
        let expected: Vec<_> = (0..LETTERS).map(|n| format!("{name}{n}")).collect();
        assert_eq!(all.people[who].texts(), expected, "at commit {at}");
        let outbox = &all.people[who].profile.stored.outbox;
        assert!(outbox.iter().all(|one| one.status == Status::Delivered), "at commit {at}");
    }
}

/// Each commit of the second person fails once, in a conversation of its own.
fn each_commit_fails_once(prepare: impl Fn(&mut Population)) {
    for at in 0..100 {
        let mut all = written();
        prepare(&mut all);
        all.people[1].profile.fails_at = Some(at);
        all.connect_all();
        all.run();
        let failed = all.ends[1].contains(&End::DiskFull);
        end(&mut all);
        assert_all_arrived_once(&all, at);
        if !failed && at > 10 {
            return;
        }
    }
    panic!("the conversation has more commits than were tried");
}

#[test]
fn a_commit_that_fails_loses_nothing_and_doubles_nothing() {
    each_commit_fails_once(|_| ());
}

#[test]
fn a_device_whose_flash_fails_at_any_commit_loses_nothing_and_doubles_nothing() {
    each_commit_fails_once(|all| all.people[1].become_a_device());
}

#[test]
fn a_process_that_dies_between_any_two_commits_loses_nothing() {
    for at in 0..120 {
        let mut all = written();
        all.connect_all();
        let mut is_dead = false;
        for _ in 0..2_000 {
            for who in 0..2 {
                all.step(who);
            }
            if !is_dead && all.people[0].profile.commits == at {
                all.kill(0);
                is_dead = true;
            }
        }
        end(&mut all);
        assert_all_arrived_once(&all, at);
        if !is_dead {
            return;
        }
    }
    panic!("the conversation has more commits than were tried");
}

#[test]
fn a_process_that_dies_within_a_step_has_acknowledged_nothing_of_it() {
    let mut all = written();
    all.connect(0);
    all.run();
    for _ in 0..30 {
        all.connect(1);
        for _ in 0..200 {
            all.step(1);
            if all.people[1].profile.is_open() {
                break;
            }
        }
        let stored = all.people[1].texts().len();
        all.kill(1);
        assert!(all.people[1].texts().len() <= stored);
    }
    end(&mut all);
    assert_all_arrived_once(&all, 0);
}

#[test]
fn a_server_that_dies_is_written_to_again() {
    let mut all = written();
    all.connect_all();
    for _ in 0..40 {
        for who in 0..2 {
            all.step(who);
        }
    }
    all.world.crash();
    all.cut(0);
    all.cut(1);
    end(&mut all);
    assert_all_arrived_once(&all, 0);
}
