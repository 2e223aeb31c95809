//! A backup in the place of the database.

use std::os::unix::fs::MetadataExt;

use rusqlite::Connection;
use waxwing_core::server::storage::Snapshot;
use waxwing_core::time::UnixTime;
use waxwing_server::backup::manifest_of;
use waxwing_server::clock;

use super::support::mailbox;
use super::*;

const DAY: i64 = 86_400;

impl Place {
    fn move_database_away(&self) {
        for suffix in ["", "-wal", "-shm", "-generation"] {
            let _ = fs::remove_file(self.data().path().join(format!("waxwing.db{suffix}")));
        }
    }

    /// As if the last change of the database had come a minute after `aside` was moved aside.
    fn let_pass_since(&self, aside: &Path) {
        let later = fs::metadata(aside).unwrap().ctime() + 60;
        let database = Connection::open(self.data().database()).unwrap();
        let last =
            "UPDATE restores SET restored_at = ? WHERE number = (SELECT max(number) FROM restores)";
        assert_eq!(database.execute(last, [later]).unwrap(), 1);
    }

    #[track_caller]
    fn is_not_undone(&self, aside: &Path) {
        let before = self.content();
        let refused = self.run(&["backup", "restore", "--undo"]);
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(78), "{said}");
        assert!(said.contains(aside.to_str().unwrap()) && said.contains("is older"), "{said}");
        let now = self.content();
        let is_aside = |(path, _): &&(PathBuf, Vec<u8>)| path == aside;
        assert!(before.iter().find(is_aside) == now.iter().find(is_aside) && aside.exists());
        assert_eq!(self.users(), [1, 2]);
    }

    /// What a server would start from, in so many days.
    fn snapshot(&self, days: i64) -> Snapshot {
        let long_ago = clock::unix_now().shifted((days - 60) * DAY);
        self.storage().load(long_ago).unwrap()
    }

    fn users(&self) -> Vec<u16> {
        self.snapshot(0).users.iter().map(|user| user.id.get()).collect()
    }

    /// Nothing but the audit log is another than before.
    #[track_caller]
    fn is_unchanged(&self, before: &[(PathBuf, Vec<u8>)]) {
        let others = |content: &[(PathBuf, Vec<u8>)]| -> Vec<_> {
            let is_other = |(path, _): &&(PathBuf, Vec<u8>)| !path.ends_with("audit.jsonl");
            content.iter().filter(is_other).cloned().collect()
        };
        let (before, after) = (others(before), others(&self.content()));
        let names = |content: &[(PathBuf, Vec<u8>)]| -> Vec<_> {
            content.iter().map(|(path, _)| path.clone()).collect()
        };
        assert_eq!(names(&before), names(&after));
        assert!(before == after);
    }
}

#[test]
fn what_was_there_comes_back_and_what_was_there_since_is_kept() {
    let place = Place::new();
    place.create();
    let mut storage = place.storage();
    apply(&mut storage, [create(3), insert(9, 3, 2, 18)]).unwrap();
    Box::new(storage).close().unwrap();
    let said = place.about(&["backup", "restore"], 0);
    assert!(said.contains("2 users, 2 letters") && said.contains("1000 ids rest"), "{said}");
    assert_eq!(place.users(), [1, 2]);
    assert_eq!(mailbox(&mut place.storage(), 2), [1]);
    let aside = place.data().path().join("waxwing.db.before-restore-1");
    assert!(said.contains(aside.to_str().unwrap()), "{said}");
    let mut before = SqliteStorage::open(&aside, &SqliteOptions::default()).unwrap();
    assert_eq!(mailbox(&mut before, 2), [1, 9]);
    // Twice is as good as once, and a server starts with it.
    place.about(&["backup", "restore"], 0);
    assert!(place.data().path().join("waxwing.db.before-restore-2").exists());
    let log = place.start(&[]).stop();
    assert!(!log.contains("ERROR"), "{log}");
    let acts = text(&place.run(&["audit", "show", "--json"]).stdout);
    assert!(
        acts.lines().any(|act| act.contains("backup restore") && act.contains("done")),
        "{acts}"
    );
}

#[test]
fn ids_that_may_have_been_given_to_others_since_rest_and_lost_letters_are_not_called_delivered() {
    let place = Place::new();
    place.create();
    place.about(&["backup", "restore"], 0);
    let snapshot = place.snapshot(0);
    let resting: Vec<_> = snapshot.resting_ids.iter().map(|id| id.get()).collect();
    assert_eq!(resting, Vec::from_iter(3..=1_002));
    assert_eq!(place.snapshot(59).resting_ids.len(), 1_000);
    assert_eq!(place.snapshot(61).resting_ids.len(), 0);
    let days = |moment: UnixTime| {
        (moment.as_seconds() - clock::unix_now().as_seconds()) as f64 / DAY as f64
    };
    let until = days(snapshot.letters_missing_until.unwrap());
    assert!((29.9..=30.0).contains(&until), "{until}");
    place.about(&["backup", "restore", "--registered-since", "2"], 0);
    assert_eq!(place.snapshot(0).resting_ids.len(), 2);
    // A shorter rest of removed users is no shorter rest of these.
    let mut command = place.command(&["backup", "restore", "--registered-since", "2"]);
    command.env("WAXWING_STORAGE__ID_REST", "0s").arg(place.file());
    assert!(command.output().unwrap().status.success());
    let short = place.storage().load(clock::unix_now().shifted(59 * DAY)).unwrap();
    assert_eq!(short.resting_ids.len(), 2);
}

#[test]
fn while_a_server_runs_nothing_is_restored() {
    let place = Place::new();
    place.create();
    let server = place.start(&[]);
    let said = place.about(&["backup", "restore"], 1);
    assert!(said.contains("is running on"), "{said}");
    server.stop();
    assert!(!place.data().path().join("waxwing.db.before-restore-1").exists());
}

#[test]
fn a_damaged_backup_changes_nothing() {
    let place = Place::new();
    place.create();
    let whole = fs::read(place.file()).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    for (bytes, why) in [(&damaged[..], "it is damaged"), (&whole[1..], "were written")] {
        fs::write(place.file(), bytes).unwrap();
        let before = place.content();
        let said = place.about(&["backup", "restore"], 74);
        assert!(said.contains(why), "{said}");
        place.is_unchanged(&before);
    }
    fs::write(place.file(), &whole).unwrap();
    let manifest = fs::read(manifest_of(&place.file())).unwrap();
    fs::remove_file(manifest_of(&place.file())).unwrap();
    let before = place.content();
    place.about(&["backup", "restore"], 74);
    place.is_unchanged(&before);
    fs::write(manifest_of(&place.file()), manifest).unwrap();
    let mut full = place.command(&["backup", "restore"]);
    full.env("WAXWING_STORAGE__MIN_FREE_DISK", "1000000GiB").arg(place.file());
    assert_eq!(full.output().unwrap().status.code(), Some(74));
    place.about(&["backup", "restore"], 0);
}

#[test]
fn the_backup_of_another_server_is_refused_unless_it_is_meant() {
    let (place, other) = (Place::new(), Place::new());
    other.create();
    fs::copy(other.file(), place.file()).unwrap();
    fs::copy(manifest_of(&other.file()), manifest_of(&place.file())).unwrap();
    let before = place.content();
    let said = place.about(&["backup", "restore"], 4);
    assert!(said.contains("--other-key"), "{said}");
    place.is_unchanged(&before);
    place.about(&["backup", "restore", "--other-key"], 0);
    // The database knows whose it is.
    let started = place.run(&["--listen", "127.0.0.1:0"]);
    assert_eq!(started.status.code(), Some(4), "{}", text(&started.stderr));
}

#[test]
fn on_a_new_machine_the_key_has_to_be_put_back() {
    let (place, new) = (Place::new(), Place(tempfile::tempdir().unwrap()));
    place.create();
    let file = place.file();
    let restored = new.run(&["backup", "restore", file.to_str().unwrap()]);
    let said = text(&restored.stdout);
    assert!(said.contains("put server.key.pem back"), "{said}");
    assert_eq!(new.run(&["--listen", "127.0.0.1:0"]).status.code(), Some(4));
    let (from, to) = (place.data().private_key(), new.data().private_key());
    fs::copy(from, to).unwrap();
    new.start(&[]).stop();
    assert_eq!(new.users(), [1, 2]);
}

#[test]
fn one_of_an_older_version_is_brought_up_to_date() {
    let place = Place::new();
    place.create();
    let old = Connection::open(place.file()).unwrap();
    old.execute_batch(
        "DROP TABLE about; DROP TABLE restores; DROP TABLE bans; DROP TABLE user_limits; PRAGMA user_version = 5",
    )
    .unwrap();
    drop(old);
    place.seal(|manifest| manifest["schema"] = 5.into());
    place.about(&["backup", "restore"], 0);
    assert_eq!(place.users(), [1, 2]);
    assert!(place.snapshot(0).letters_missing_until.is_some());
}

#[test]
fn a_command_that_is_killed_changes_nothing_and_can_be_given_again() {
    let place = Place::new();
    place.create();
    let mut command = place.command(&["backup", "restore"]);
    command.env("WAXWING_FAILPOINT", "after_audit_line:1").arg(place.file());
    assert!(!command.output().unwrap().status.success());
    assert_eq!(place.users(), [1, 2]);
    place.about(&["backup", "restore"], 0);
    assert!(!place.data().path().join("waxwing.db.restored").exists());
}

#[test]
fn a_restore_can_be_taken_back_and_ids_that_were_given_out_meanwhile_rest() {
    let place = Place::new();
    place.create();
    let mut storage = place.storage();
    apply(&mut storage, [create(3), insert(9, 3, 2, 18)]).unwrap();
    Box::new(storage).close().unwrap();
    place.about(&["backup", "restore", "--registered-since", "2"], 0);
    // The restored database goes on: 3 and 4 rest, and 5 is somebody new.
    let mut storage = place.storage();
    apply(&mut storage, [create(5)]).unwrap();
    Box::new(storage).close().unwrap();
    let undone = json(&place.run(&["backup", "restore", "--undo", "--json"]));
    assert_eq!(place.users(), [1, 2, 3]);
    assert_eq!(mailbox(&mut place.storage(), 2), [1, 9]);
    let resting: Vec<_> = place.snapshot(59).resting_ids.iter().map(|id| id.get()).collect();
    assert_eq!(resting, [4, 5]);
    assert_eq!(undone["resting_ids"], 2);
    assert!(place.snapshot(0).letters_missing_until.is_some());
    let restored = PathBuf::from(undone["restored"].as_str().unwrap());
    assert!(!Path::new(undone["from"].as_str().unwrap()).exists());
    let restored =
        SqliteStorage::open(&restored, &SqliteOptions::default()).unwrap().load(clock::unix_now());
    assert_eq!(restored.unwrap().users.len(), 3);
    let log = place.start(&[]).stop();
    assert!(!log.contains("ERROR"), "{log}");
    let before = place.content();
    let again = place.run(&["backup", "restore", "--undo"]);
    assert_eq!(again.status.code(), Some(78));
    assert!(text(&again.stderr).contains("nothing to go back to"), "{}", text(&again.stderr));
    place.is_unchanged(&before);
}

#[test]
fn the_last_of_several_restores_is_taken_back_and_one_that_was_cut_short() {
    let place = Place::new();
    place.create();
    for user in [3, 4] {
        place.about(&["backup", "restore", "--registered-since", "0"], 0);
        let mut storage = place.storage();
        apply(&mut storage, [create(user)]).unwrap();
        Box::new(storage).close().unwrap();
    }
    // Whoever tidies up does not make a later one the first.
    let moved =
        |number: u32| place.data().path().join(format!("waxwing.db.before-restore-{number}"));
    fs::remove_file(moved(1)).unwrap();
    place.about(&["backup", "restore"], 0);
    assert!(moved(2).exists() && moved(3).exists());
    let server = place.start(&[]);
    let refused = place.run(&["backup", "restore", "--undo"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
    server.stop();
    // As a power cut between the two renames of a restore leaves it.
    place.move_database_away();
    let undone = json(&place.run(&["backup", "restore", "--undo", "--json"]));
    assert_eq!((&undone["restored"], &undone["resting_ids"]), (&Value::Null, &1_000.into()));
    assert_eq!(place.users(), [1, 2, 4]);
    place.start(&[]).stop();
}

#[test]
fn ids_that_a_database_may_have_given_out_which_is_gone_rest_when_its_restore_is_taken_back() {
    let place = Place::new();
    place.create();
    place.about(&["backup", "restore"], 0);
    place.move_database_away();
    let undo = |since| place.run(&["backup", "restore", "--undo", "--registered-since", since]);
    let refused = undo("65533");
    assert_eq!(refused.status.code(), Some(78));
    assert!(text(&refused.stderr).contains("number up to 65532"), "{}", text(&refused.stderr));
    let undone = undo("3");
    assert!(text(&undone.stdout).contains("3 ids rest"), "{}", text(&undone.stdout));
    let resting: Vec<_> = place.snapshot(59).resting_ids.iter().map(|id| id.get()).collect();
    assert_eq!((place.users(), resting), (vec![1, 2], vec![3, 4, 5]));
}

#[test]
fn a_database_that_an_earlier_restore_has_moved_aside_does_not_come_back_by_itself() {
    let place = Place::new();
    place.create();
    place.about(&["backup", "restore"], 0);
    // Long afterwards, the database is moved away and the backup is restored where nothing is.
    place.move_database_away();
    place.about(&["backup", "restore"], 0);
    let aside = place.data().path().join("waxwing.db.before-restore-1");
    place.let_pass_since(&aside);
    place.is_not_undone(&aside);
    // Whoever wants it all the same says so.
    place.move_database_away();
    assert!(place.run(&["backup", "restore", "--undo"]).status.success());
}

#[test]
fn the_same_restore_is_not_taken_back_twice() {
    let place = Place::new();
    place.create();
    place.about(&["backup", "restore"], 0);
    place.about(&["backup", "restore"], 0);
    assert!(place.run(&["backup", "restore", "--undo"]).status.success());
    let aside = place.data().path().join("waxwing.db.before-restore-1");
    place.let_pass_since(&aside);
    place.is_not_undone(&aside);
}

#[test]
fn a_restore_that_would_leave_no_id_for_anybody_is_refused() {
    let place = Place::new();
    place.create();
    let before = place.content();
    for too_many in ["65533", "65535"] {
        let said = place.about(&["backup", "restore", "--registered-since", too_many], 78);
        assert!(said.contains("Give a number up to 65532"), "{said}");
    }
    place.is_unchanged(&before);
    place.about(&["backup", "restore", "--registered-since", "65532"], 0);
}
