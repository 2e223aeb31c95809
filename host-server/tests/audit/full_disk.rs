//! Disks that are full, and files that may not grow.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use waxwing_server::exit::Exit;

use super::*;

/// Writes until there is no room.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [65_536, 4_096, 1] {
        let bytes = vec![1; size];
        let error = loop {
            if let Err(error) = file.write_all(&bytes) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}

fn begin(log: &AuditLog) -> Option<()> {
    match log.begin(NOW, 7, "users remove", Arguments::new().with("id", 2)) {
        Ok(begun) => {
            drop(begun);
            Some(())
        }
        Err(refused) => {
            assert_eq!(refused.exit(), Exit::Storage);
            assert!(refused.to_string().contains("nothing was changed"), "{refused}");
            None
        }
    }
}

/// Runs a test again, with a small disk of its own in place of `path`.
#[track_caller]
fn with_a_small_disk(test: &str, path: &Path) {
    let mount = "mount -t tmpfs -o size=512k,mode=700 tmpfs \"$0\" || exit 33; exec \"$@\"";
    let wrapper = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount];
    let mut wrapper = wrapper.to_vec();
    wrapper.push(path.to_str().unwrap());
    match elsewhere(test, path, &wrapper).output() {
        Ok(output) if output.status.success() => {
            assert!(stdout(&output).contains("1 passed"), "{}", stdout(&output));
        }
        Ok(output) if output.status.code() == Some(101) => {
            panic!("{}{}", stdout(&output), stderr(&output));
        }
        // Neither namespaces nor disks can be made everywhere.
        other => eprintln!("SKIPPED, because no disk could be made here: {other:?}"),
    }
}

#[test]
fn on_a_full_disk_there_is_still_room_for_what_is_done_about_it() {
    let Some(path) = task() else {
        let place = Place::new();
        drop(place.data());
        let test = "full_disk::on_a_full_disk_there_is_still_room_for_what_is_done_about_it";
        return with_a_small_disk(test, &place.path());
    };
    let log = AuditLog::of(&DataDir::existing(&path).unwrap());
    log.settle(NOW).unwrap();
    fill(&path.join("everything"));
    log.check().unwrap();
    let (seen, mut lines) = (log.clone(), 0_u64);
    while begin(&log).is_some() {
        lines += 1;
        assert!(lines < 10_000);
    }
    // 64 KiB were free for it, and a line has some 200 bytes.
    assert!(lines >= 250, "{lines}");
    for _ in 0..3 {
        assert_eq!(begin(&log), None);
        assert_eq!(holds(&log).lines, lines);
        assert!(!holds(&log).torn);
        let why = seen.check().unwrap_err().to_string();
        assert!(why.contains("No space left on device"), "{why}");
    }
    // It is seen that there is room again before somebody tries it.
    fs::remove_file(path.join("everything")).unwrap();
    seen.check().unwrap();
    assert_eq!(begin(&log), Some(()));
    assert_eq!(holds(&log).last, Some(lines + 1));
}

#[test]
fn on_a_full_disk_a_full_file_keeps_the_room_that_it_has() {
    let Some(path) = task() else {
        let place = Place::new();
        drop(place.data());
        let test = "full_disk::on_a_full_disk_a_full_file_keeps_the_room_that_it_has";
        return with_a_small_disk(test, &place.path());
    };
    let limits = Limits { file_bytes: 4_000, files: 3, ..Limits::default() };
    let log = AuditLog::with_limits(&DataDir::existing(&path).unwrap(), limits);
    log.settle(NOW).unwrap();
    fill(&path.join("everything"));
    for _ in 0..100 {
        begin(&log).unwrap();
    }
    assert_eq!(holds(&log).files, 1);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 2);
    fs::remove_file(path.join("everything")).unwrap();
    begin(&log).unwrap();
    assert_eq!((holds(&log).files, holds(&log).lines), (2, 101));
}

#[test]
fn what_cannot_be_written_whole_is_not_begun_and_leaves_no_half_line() {
    if let Some(path) = task() {
        let log = AuditLog::of(&DataDir::existing(&path).unwrap());
        let mut lines = 0;
        while begin(&log).is_some() {
            lines += 1;
            assert!(lines < 100);
        }
        assert!(lines > 10, "{lines}");
        log.check().unwrap_err();
        assert_eq!(begin(&log), None);
        assert_eq!((holds(&log).lines, holds(&log).torn), (lines, false));
        return;
    }
    let place = Place::new();
    drop(place.data());
    let test = "full_disk::what_cannot_be_written_whole_is_not_begun_and_leaves_no_half_line";
    // Files of this process hold 4 KiB, and it is not killed for that.
    let limited = "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"";
    let output = elsewhere(test, &place.path(), &["sh", "-c", limited]).output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("1 passed"));
    let log = place.log();
    let lines = holds(&log).lines;
    act(&log, 1);
    assert_eq!(holds(&log).lines, lines + 2);
}
