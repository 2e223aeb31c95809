//! A disk that is full, and a database that somebody else has locked: letters are refused for the
//! time being, sessions stay, and it heals by itself. And files that are taken away from under the
//! server.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rusqlite::Connection;

use crate::process::{Process, eventually};
use crate::proxy::{Proxy, Way};
use crate::test_server::{Person, TestServer, texts};

/// A small file system over a directory, until it is dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` without the right to mount one.
    pub(crate) fn over(directory: &Path, size: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "waxwing-test"]);
        let mounted = mount.arg(directory).stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(directory.to_owned()))
    }

    /// Takes all the room that is left.
    pub(crate) fn fill(&self) {
        let ballast = File::options().create(true).append(true).open(self.ballast());
        let mut ballast = ballast.unwrap();
        while ballast.write_all(&[0; 512]).is_ok() {}
    }

    /// Gives it another size.
    pub(crate) fn resize(&self, size: &str) {
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-o", &format!("remount,size={size}")]).arg(&self.0).status();
        assert!(mounted.unwrap().success());
    }

    pub(crate) fn make_room(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The server still runs when a test has failed; it keeps what it has open.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Somebody who listens all the time, through a network that is watched.
struct Listener {
    proxy: Proxy,
    person: Person,
    process: Process,
}

impl Listener {
    fn on(server: &TestServer) -> Self {
        let proxy = Proxy::before(server.address());
        let mut person = server.newcomer("bert", "+4915112345602");
        person.server = proxy.address();
        person.register().exits(0);
        let process = person.start(&["receive", "--follow", "--json"]);
        Self { proxy, person, process }
    }

    #[track_caller]
    fn hears(&self, text: &str) {
        let heard = |out: &str| out.ends_with('\n') && texts(out).contains(&Some(text.into()));
        self.process.wait_for_out(heard);
    }

    /// Sessions opened since the account was made.
    fn sessions(&self) -> usize {
        self.proxy.ops().iter().filter(|op| **op == (Way::ToServer, 106)).count()
    }
}

/// Anna, whose letter is refused, Carl, and Bert, who listens.
fn people(server: &TestServer) -> (Person, Person, Listener) {
    let (anna, carl) =
        (server.person("anna", "+4915112345601"), server.person("carl", "+4915112345603"));
    let bert = Listener::on(server);
    anna.send(&bert.person, "before").exits(0);
    bert.hears("before");
    (anna, carl, bert)
}

/// The trouble is over: letters go through as before, in the session of before, and what has been
/// acknowledged meanwhile is deleted. Anna's letter has its time.
fn all_is_well_again(server: &mut TestServer, (anna, carl, bert): &(Person, Person, Listener)) {
    carl.send(&bert.person, "after").exits(0);
    bert.hears("after");
    assert_eq!(bert.sessions(), 1, "the session was lost");
    assert!(server.is_running());
    eventually("nothing waits", || {
        let count = "SELECT count(*) FROM pending_messages";
        let waiting = server.database().query_row(count, [], |row| row.get::<_, u32>(0)).unwrap();
        (waiting == 0).then_some(())
    });
    assert_eq!(anna.statuses(&bert.person).last().unwrap(), "queued");
}

/// `None`, and a word about it, where no small disk can be mounted.
fn server_on_a_small_disk() -> Option<(TestServer, SmallDisk)> {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("server");
    fs::create_dir(&data).unwrap();
    let Some(disk) = SmallDisk::over(&data, "2m") else {
        // Not through the macro, whose output is kept from view.
        let _ = writeln!(io::stderr(), "a full disk: SKIPPED: only root can mount a small one");
        return None;
    };
    let server = TestServer::in_directory(root, &[("storage.min_free_disk", "0B")]);
    Some((server, disk))
}

#[test]
fn a_full_disk_refuses_letters_and_takes_them_again_when_there_is_room() {
    let Some((mut server, disk)) = server_on_a_small_disk() else { return };
    let people = people(&server);
    let (anna, _, bert) = &people;

    disk.fill();
    // A few may fit into what the log has already.
    let mut sent = (0..50).map(|_| anna.send(&bert.person, &"?".repeat(20_000)));
    let refused = sent.find(|ran| ran.code != Some(0)).expect("the disk is full");
    refused.exits(3).says("cannot store anything now");
    // What an operator does is done or not, and said to be so.
    let ban = |n: u32| server.administer(&["ban", "add", &format!("203.0.113.{n}")]);
    let banned = (0..50).take_while(|n| {
        let ran = ban(*n);
        ran.code == Some(0) || {
            ran.exits(74).says("nothing was changed");
            false
        }
    });
    let banned = banned.count();
    assert!(banned < 50, "the disk is full");
    disk.make_room();
    let list = server.administer(&["ban", "list"]).exits(0).out;
    assert_eq!(list.matches("203.0.113.").count(), banned, "{list}");
    ban(99).exits(0);
    all_is_well_again(&mut server, &people);
    drop(disk);
}

#[test]
fn on_a_full_disk_a_server_that_is_drained_stops_in_order() {
    let Some((mut server, disk)) = server_on_a_small_disk() else { return };
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "before").exits(0).says("stored");
    disk.fill();
    let mut sent = (0..50).map(|_| anna.send(&bert, &"?".repeat(20_000)));
    sent.find(|ran| ran.code != Some(0)).expect("the disk is full").exits(3);
    server.administer(&["drain", "--over", "0s"]).exits(0);
    server.ends(0).says("the next start does that, and nothing is lost");
    disk.make_room();
    server.start();
    assert_eq!(bert.receive().first().unwrap().as_deref(), Some("before"));
    server.stop();
    drop(disk);
}

#[test]
fn a_limit_of_file_sizes_refuses_letters_and_takes_them_again_when_it_is_lifted() {
    let mut server = TestServer::new();
    let people = people(&server);
    let (anna, _, bert) = &people;

    let log = fs::metadata(server.data().join("waxwing.db-wal")).unwrap();
    // In the middle of a page.
    server.process().limit_files(Some(log.len() + 10_000));
    let mut sent = (0..50).map(|_| anna.send(&bert.person, &"?".repeat(20_000)));
    let refused = sent.find(|ran| ran.code != Some(0)).expect("the log is as long as it may be");
    refused.exits(3).says("cannot store anything now");
    server.process().limit_files(None);
    all_is_well_again(&mut server, &people);
}

#[test]
fn a_database_that_another_process_has_locked_refuses_letters_until_it_is_free() {
    let mut server = TestServer::with(&[("storage.busy_timeout", "20ms")]);
    let people = people(&server);
    let (anna, _, bert) = &people;

    let other = Connection::open(server.data().join("waxwing.db")).unwrap();
    eventually("the lock", || other.execute_batch("BEGIN EXCLUSIVE").ok());
    // What is acknowledged at once is never written, and so not refused.
    let mut sent = (0..50).map(|_| anna.send(&bert.person, "meanwhile"));
    let refused = sent.find(|ran| ran.code != Some(0)).expect("nothing can be stored");
    refused.exits(3).says("cannot store anything now");
    other.execute_batch("ROLLBACK").unwrap();
    all_is_well_again(&mut server, &people);
}

/// The server stops instead of saying that a letter is stored; when all is back in its place, nothing
/// is missing.
fn taken_away_and_back(file: &str) {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "before").exits(0).says("stored");
    let file = server.data().join(file);
    let elsewhere = file.with_extension("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    let sent = anna.send(&bert, "meanwhile").exits(3);
    assert!(!sent.out.contains("stored"), "{sent:?}");
    server.ends(74).says("is not the file any more").says("start the server again");
    fs::remove_file(&file).unwrap_or_default();
    fs::rename(&elsewhere, &file).unwrap();
    server.start();
    anna.receives_nothing();
    bert.receives(&["before", "meanwhile"]);
    assert_eq!(anna.statuses(&bert).len(), 2);
}

#[test]
fn a_database_moved_away_under_the_server_loses_nothing_that_was_stored() {
    taken_away_and_back("waxwing.db");
}

#[test]
fn a_log_moved_away_under_the_server_loses_nothing_that_was_stored() {
    taken_away_and_back("waxwing.db-wal");
}

#[test]
fn a_damaged_letter_costs_itself_alone_and_its_sender_is_told() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    for text in ["one", "two", "three"] {
        anna.send(&bert, text).exits(0);
    }
    server.stop();
    let damage = "UPDATE pending_messages SET encrypted_payload = \
         zeroblob(length(encrypted_payload)) WHERE queue_id = \
         (SELECT queue_id FROM pending_messages ORDER BY queue_id LIMIT 1 OFFSET 1)";
    assert_eq!(server.database().execute(damage, []).unwrap(), 1);
    server.start();
    bert.receives(&["one", "three"]);
    anna.receives_nothing();
    assert_eq!(anna.statuses(&bert), ["delivered", "expired", "delivered"]);
    assert!(server.log().contains("a letter is damaged"), "{}", server.log());
    assert!(!server.log().contains(&bert.phone[1..]), "{}", server.log());
    anna.send(&bert, "four").exits(0);
    bert.receives(&["four"]);
}

#[test]
fn after_a_database_was_deleted_no_empty_server_begins() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "before").exits(0);
    fs::remove_file(server.data().join("waxwing.db")).unwrap();
    anna.send(&bert, "meanwhile").exits(3);
    server.ends(74);
    server.administer(&["--listen", "127.0.0.1:0"]).exits(74).says("no database");
}
