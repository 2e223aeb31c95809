//! The file: who may use it, and how many at a time.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::thread;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use waxwing_server::admin::audit::AuditResult;
use waxwing_server::exit::{Exit, Failure};

use super::*;

#[track_caller]
fn refused(place: &Place, what: &str) {
    let log = place.log();
    let failures: [Failure; 4] = [
        log.begin(NOW, 7, "users remove", Arguments::new()).unwrap_err(),
        log.note_shown(NOW, 7, "users show", Arguments::new()).unwrap_err(),
        log.settle(NOW).unwrap_err(),
        log.verify().unwrap_err(),
    ];
    for failure in failures {
        assert_eq!(failure.exit(), Exit::Storage);
        assert!(failure.to_string().contains(what), "{failure}");
        assert!(failure.to_string().contains("audit.jsonl"), "{failure}");
    }
}

#[test]
fn the_file_is_for_its_owner_and_has_room_behind_its_end() {
    let place = Place::new();
    act(&place.log(), 1);
    let file = fs::metadata(place.file()).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    if file.blocks() * 512 < file.len() + 65_536 {
        let other = File::create(place.path().join("other")).unwrap();
        let keep = rustix::fs::FallocateFlags::KEEP_SIZE;
        let reserved = rustix::fs::fallocate(&other, keep, 0, 65_536);
        assert!(reserved.is_err(), "{} blocks", file.blocks());
        eprintln!("SKIPPED: this file system reserves no room: {reserved:?}");
    }
}

#[test]
fn a_log_that_is_no_plain_file_is_refused() {
    let place = Place::new();
    let path = place.file();
    drop(place.data());
    let elsewhere = place.root.path().join("elsewhere");
    fs::write(&elsewhere, "").unwrap();
    let make: [&dyn Fn(); 5] = [
        &|| fs::create_dir(&path).unwrap(),
        &|| symlink(&elsewhere, &path).unwrap(),
        &|| symlink("nowhere", &path).unwrap(),
        &|| drop(UnixListener::bind(&path).unwrap()),
        &|| mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
    ];
    for make in make {
        make();
        refused(&place, "has to be a plain file; move away what is there");
        let _ = fs::remove_dir(&path);
        let _ = fs::remove_file(&path);
    }
    assert_eq!(fs::read(&elsewhere).unwrap(), b"");
}

#[test]
fn a_log_that_others_can_change_is_refused_with_the_command_that_helps() {
    let place = Place::new();
    act(&place.log(), 1);
    for mode in 0..=0o777_u32 {
        if mode & 0o600 != 0o600 {
            continue;
        }
        fs::set_permissions(place.file(), Permissions::from_mode(mode)).unwrap();
        if mode & 0o022 == 0 {
            holds(&place.log());
        } else {
            refused(&place, "chmod go-w");
        }
    }
    fs::set_permissions(place.file(), Permissions::from_mode(0o600)).unwrap();
    // Only root can give it away.
    if chown(place.file(), Some(12_345), None).is_ok() {
        refused(&place, "chown");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_an_error_and_the_next_start_says_unknown() {
    let place = Place::new();
    let log = place.log();
    let begun = log.begin(NOW, 7, "users remove", Arguments::new()).unwrap();
    fs::set_permissions(place.file(), Permissions::from_mode(0o622)).unwrap();
    let failure = log.end(NOW, begun, Outcome::done("gone")).unwrap_err();
    assert_eq!(failure.exit(), Exit::Storage);
    let said = failure.to_string();
    assert!(
        said.contains("does not say that the result is done") && said.contains("chmod"),
        "{said}"
    );
    fs::set_permissions(place.file(), Permissions::from_mode(0o600)).unwrap();
    assert_eq!(log.settle(NOW), Ok(1));
    assert_eq!(entries(&log)[1].result, Some(AuditResult::Unknown));
}

#[test]
fn an_older_file_that_others_can_change_or_that_is_a_link_is_refused_by_who_reads_it() {
    let place = Place::new();
    let log = place.with_limits(1, 3);
    act(&log, 1);
    assert!(place.numbered(1).exists());
    fs::set_permissions(place.numbered(1), Permissions::from_mode(0o620)).unwrap();
    let refused = log.verify().unwrap_err();
    assert!(refused.to_string().contains("audit.jsonl.1"), "{refused}");
    fs::rename(place.numbered(1), place.path().join("moved")).unwrap();
    symlink("moved", place.numbered(1)).unwrap();
    assert!(log.verify().unwrap_err().to_string().contains("plain file"));
}

#[test]
fn whoever_hangs_with_the_log_is_named_and_waited_for() {
    let place = Place::new();
    let limits = Limits { patience: Duration::from_millis(50), ..Limits::default() };
    let log = AuditLog::with_limits(&place.data(), limits);
    act(&log, 1);
    let held = File::open(place.file()).unwrap();
    held.lock().unwrap();
    let refused = log.begin(NOW, 7, "users remove", Arguments::new()).unwrap_err();
    assert_eq!(refused.exit(), Exit::Storage);
    let own = format!("process {}", std::process::id());
    assert!(refused.to_string().contains(&own), "{refused}");
    assert!(log.verify().unwrap_err().to_string().contains(&own));

    let patient = place.with_limits(1 << 20, 3);
    let waits = thread::spawn(move || act(&patient, 2));
    drop(held);
    waits.join().unwrap();
    assert_eq!(holds(&log).lines, 4);
}

const EACH: u32 = 40;

#[test]
fn threads_with_logs_of_their_own_write_at_the_same_time_without_a_gap() {
    let place = Place::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..EACH).for_each(|id| act(&place.with_limits(1 << 20, 3), id)));
        }
    });
    let verified = holds(&place.log());
    assert_eq!((verified.lines, verified.first), (u64::from(4 * 2 * EACH), Some(1)));
    assert_eq!(place.log().settle(NOW), Ok(0));
}

#[test]
fn processes_write_at_the_same_time_without_a_gap() {
    if let Some(path) = task() {
        let limits = Limits { file_bytes: 4_000, files: 40, patience: Duration::from_secs(60) };
        let log = AuditLog::with_limits(&DataDir::existing(&path).unwrap(), limits);
        (0..EACH).for_each(|id| act(&log, id));
        return;
    }
    let place = Place::new();
    let test = "files::processes_write_at_the_same_time_without_a_gap";
    drop(place.data());
    let start = || elsewhere(test, &place.path(), &[]).spawn().unwrap();
    let processes = [start(), start(), start()];
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    let log = place.with_limits(4_000, 40);
    let verified = holds(&log);
    assert_eq!((verified.lines, verified.first), (u64::from(3 * 2 * EACH), Some(1)));
    assert!(verified.files > 5, "{verified:?}");
    assert_eq!(log.settle(NOW), Ok(0));
}
