//! Processes that die and disks that are full, at any commit.

use std::time::Duration;

use waxwing_core::wire::Status;
use waxwing_testkit::profile::DiskFull;

use crate::town::Town;

const LETTERS: usize = 12;

fn written() -> Town {
    let mut town = Town::of(2);
    for n in 0..LETTERS {
        town.write(0, 1, &format!("a{n}"));
        town.write(1, 0, &format!("b{n}"));
    }
    town
}

/// Everybody comes back until all is said.
fn end(town: &mut Town) {
    for _ in 0..20 {
        for who in 0..2 {
            if !town.is_connected(who) {
                town.connect(who);
            }
        }
        town.run();
        town.pass(Duration::from_secs(2));
    }
}

fn assert_all_arrived_once(town: &Town, at: usize) {
    for (who, name) in [(0, "b"), (1, "a")] {
        let expected: Vec<_> = (0..LETTERS).map(|n| format!("{name}{n}")).collect();
        assert_eq!(town.people[who].texts(), expected, "at commit {at}");
        let outbox = &town.people[who].profile.stored.outbox;
        assert!(outbox.iter().all(|one| one.status == Status::Delivered), "at commit {at}");
    }
}

#[test]
fn a_commit_that_fails_loses_nothing_and_doubles_nothing() {
    for at in 0..60 {
        let mut town = written();
        town.people[1].profile.fails_at = Some(at);
        town.connect_all();
        town.run();
        let failed = town.people[1].ends.contains(&Err(DiskFull));
        end(&mut town);
        assert_all_arrived_once(&town, at);
        if !failed && at > 10 {
            return;
        }
    }
    panic!("the conversation has more commits than were tried");
}

#[test]
fn a_process_that_dies_between_any_two_commits_loses_nothing() {
    for at in 0..120 {
        let mut town = written();
        town.connect_all();
        let mut is_dead = false;
        for _ in 0..2_000 {
            for who in 0..2 {
                town.step(who);
            }
            if !is_dead && town.people[0].profile.commits == at {
                town.kill(0);
                is_dead = true;
            }
        }
        end(&mut town);
        assert_all_arrived_once(&town, at);
        if !is_dead {
            return;
        }
    }
    panic!("the conversation has more commits than were tried");
}

#[test]
fn a_process_that_dies_within_a_step_has_acknowledged_nothing_of_it() {
    let mut town = written();
    town.connect(0);
    town.run();
    for _ in 0..30 {
        town.connect(1);
        for _ in 0..200 {
            town.step(1);
            if town.people[1].profile.is_open() {
                break;
            }
        }
        let stored = town.people[1].texts().len();
        town.kill(1);
        assert!(town.people[1].texts().len() <= stored);
    }
    end(&mut town);
    assert_all_arrived_once(&town, 0);
}

#[test]
fn a_server_that_dies_is_written_to_again() {
    let mut town = written();
    town.connect_all();
    for _ in 0..40 {
        for who in 0..2 {
            town.step(who);
        }
    }
    town.world.crash();
    town.cut(0);
    town.cut(1);
    end(&mut town);
    assert_all_arrived_once(&town, 0);
}
