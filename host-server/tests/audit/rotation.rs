//! Full files, and the chain from file to file.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use super::*;

/// Files of this size hold a few acts.
const SMALL: u64 = 1_000;

fn numbers(log: &AuditLog) -> Vec<u64> {
    entries(log).iter().map(|line| line.number).collect()
}

#[test]
fn a_full_file_makes_room_and_the_chain_goes_on_until_the_oldest_goes() {
    let place = Place::new();
    let log = place.with_limits(SMALL, 4);
    let mut id = 0;
    while !place.numbered(3).exists() {
        id += 1;
        act(&log, id);
        let verified = holds(&log);
        assert_eq!(verified.lines, u64::from(2 * id));
        assert_eq!((verified.first, verified.older_lines_gone), (Some(1), false));
    }
    let oldest = fs::read(place.numbered(3)).unwrap();
    while fs::read(place.numbered(3)).unwrap() == oldest {
        id += 1;
        act(&log, id);
    }
    let verified = holds(&log);
    assert_eq!((verified.files, verified.last), (4, Some(u64::from(2 * id))));
    assert!(verified.older_lines_gone && verified.rotated);
    assert!(!place.numbered(4).exists());
    for number in 1..=3 {
        let len = fs::metadata(place.numbered(number)).unwrap().len();
        assert!((SMALL..SMALL + 400).contains(&len), "{len}");
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 4);
}

/// A log of which the current file is full, and so many others are there.
fn full(older: u32) -> (Place, AuditLog) {
    let place = Place::new();
    let log = place.with_limits(SMALL, 4);
    let mut id = 0;
    let is_full = || fs::metadata(place.file()).is_ok_and(|file| file.len() >= SMALL);
    while !(is_full() && (older == 0 || place.numbered(older).exists())) {
        id += 1;
        drop(log.begin(NOW, 7, "users remove", Arguments::new().with("id", id)).unwrap());
    }
    (place, log)
}

#[test]
fn a_rotation_that_was_cut_short_anywhere_loses_no_line_and_goes_on() {
    for older in 0..=3 {
        // What a rotation does, one after the other.
        let (place, _) = full(older);
        let mut steps: Vec<[PathBuf; 2]> = Vec::new();
        for number in (1..=older.min(2)).rev() {
            steps.push([place.numbered(number), place.numbered(number + 1)]);
        }
        steps.push([place.file(), place.numbered(1)]);
        drop(place);

        for done in 0..=steps.len() {
            for spare in [false, true] {
                let (place, log) = full(older);
                let before = numbers(&log);
                // Of four files the oldest goes, and nothing else ever does.
                let oldest = match older {
                    3 => fs::read_to_string(place.numbered(3)).unwrap().lines().count(),
                    _ => 0,
                };
                let relative = |path: &PathBuf| place.path().join(path.file_name().unwrap());
                if spare {
                    fs::write(place.path().join("audit.jsonl.new"), "").unwrap();
                }
                for [from, to] in &steps[..done] {
                    fs::rename(relative(from), relative(to)).unwrap();
                }
                let left = &before[oldest..];
                let now = if done > 0 { left } else { &before };
                assert_eq!(numbers(&log), now, "{older} {done}");
                holds(&log);

                act(&log, 99);
                let last = before.last().unwrap();
                let expected = [left, &[last + 1, last + 2]].concat();
                assert_eq!(numbers(&log), expected, "{older} {done}");
                holds(&log);
                assert!(!place.path().join("audit.jsonl.new").exists() || done == steps.len());
                // And so does the next rotation.
                (0..12).for_each(|id| act(&log, id));
                assert!(!place.path().join("audit.jsonl.new").exists());
                holds(&log);
            }
        }
    }
}

#[test]
fn whoever_reads_while_others_write_and_rotate_sees_a_log_that_holds() {
    let place = Place::new();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (log, mut seen) = (place.with_limits(SMALL, 5), 0);
            while !done.load(Relaxed) {
                seen = seen.max(holds(&log).last.unwrap_or(0));
            }
            seen
        });
        let writers: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| (0..60).for_each(|id| act(&place.with_limits(SMALL, 5), id))))
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    let verified = holds(&place.with_limits(SMALL, 5));
    assert_eq!(verified.last, Some(360));
    assert!(verified.rotated);
}

#[test]
fn an_act_that_was_begun_before_a_rotation_is_settled_after_it() {
    let place = Place::new();
    let log = place.with_limits(SMALL, 20);
    drop(log.begin(NOW, 7, "users remove", Arguments::new()).unwrap());
    (0..20).for_each(|id| act(&log, id));
    assert!(place.numbered(2).exists());
    assert_eq!(log.settle(NOW), Ok(1));
    assert_eq!(entries(&log).last().unwrap().of, Some(1));
    assert_eq!(log.settle(NOW), Ok(0));
}

#[test]
fn a_start_reads_no_more_of_the_log_than_what_came_since_the_one_before() {
    let place = Place::new();
    let log = place.with_limits(SMALL, 20);
    (0..20).for_each(|id| act(&log, id));
    assert_eq!(log.settle(NOW), Ok(0));
    // As if an act had been begun long ago, and nobody had ended it.
    let old = place.numbered(3);
    let line = fs::read_to_string(&old).unwrap().lines().next().unwrap().to_owned();
    fs::write(&old, format!("{line}\n")).unwrap();
    drop(log.begin(NOW, 7, "sessions end", Arguments::new()).unwrap());
    (0..20).for_each(|id| act(&log, id));
    assert_eq!((log.settle(NOW), log.settle(NOW)), (Ok(1), Ok(0)));

    // A note about another log, or none, is no reason to leave anything out.
    let note = place.path().join("audit.settled");
    let noted = fs::read_to_string(&note).unwrap();
    fs::write(&note, noted.replace("\"sha256\":\"", "\"sha256\":\"x")).unwrap();
    assert_eq!((log.settle(NOW), log.settle(NOW)), (Ok(1), Ok(0)));
    fs::remove_file(&note).unwrap();
    assert_eq!(log.settle(NOW), Ok(0));
}

#[test]
fn an_erasure_that_is_open_is_found_by_every_start() {
    let place = Place::new();
    let log = place.with_limits(SMALL, 20);
    (0..10).for_each(|id| act(&log, id));
    let erase = Arguments::new().with("erase", true).with("id", 7);
    drop(log.begin(NOW, 7, "users remove", erase).unwrap());
    for _ in 0..3 {
        (0..5).for_each(|id| act(&log, id));
        assert_eq!(log.settle(NOW), Ok(0));
        assert_eq!(log.open_erasures().unwrap().len(), 1);
    }
}

#[test]
fn a_file_that_cannot_be_moved_is_written_to_beyond_its_size() {
    let place = Place::new();
    let log = place.with_limits(SMALL, 2);
    act(&log, 0);
    fs::create_dir_all(place.numbered(1).join("in the way")).unwrap();
    (1..10).for_each(|id| act(&log, id));
    assert_eq!(place.lines().len(), 20);
    assert!(!place.path().join("audit.jsonl.new").exists());
    fs::remove_dir_all(place.numbered(1)).unwrap();
    act(&log, 10);
    assert_eq!((holds(&log).lines, holds(&log).files), (22, 2));
}
