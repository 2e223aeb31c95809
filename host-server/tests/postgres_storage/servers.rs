//! Real servers that share a database.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use waxwing_core::time::UnixTime;
use waxwing_server::clock;
use waxwing_server::data_dir::DataDir;
use waxwing_server::key;

use crate::support::postgres::Postgres;

/// For failure only.
const PATIENCE: Duration = Duration::from_secs(30);
/// For a silence that another server takes for the end of the one that serves.
const LEASE: &str = "250ms";

/// Data directories of servers with one key and one database.
pub(crate) struct Cluster {
    pub(crate) root: TempDir,
    pub(crate) postgres: Arc<Postgres>,
    pub(crate) url: String,
}

/// A server that runs.
pub(crate) struct Node {
    child: Child,
    /// What it says on standard output.
    says: Receiver<String>,
    log: PathBuf,
}

impl Cluster {
    /// `None` where there is no PostgreSQL.
    fn new() -> Option<Self> {
        crate::shared().map(Self::of)
    }

    pub(crate) fn of(postgres: Arc<Postgres>) -> Self {
        let url = postgres.database();
        Self { root: tempfile::tempdir().unwrap(), postgres, url }
    }

    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A data directory with the key of another server.
    pub(crate) fn share_key(&self, from: &str, to: &str) {
        let data = self.data(to);
        fs::create_dir(&data).unwrap();
        fs::copy(self.data(from).join("server.key.pem"), data.join("server.key.pem")).unwrap();
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
        command.arg("--data").arg(self.data(name)).env("WAXWING_SERVER__LISTEN", "127.0.0.1:0");
        command.env("WAXWING_STORAGE__URL", &self.url).env("WAXWING_STORAGE__COPIES", "1");
        command.env("WAXWING_STORAGE__TIMEOUT", "2s").env("WAXWING_CLUSTER__LEASE", LEASE);
        command
    }

    fn operator(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
        command.args(arguments).arg("--data").arg(self.data(name)).stdin(Stdio::null());
        command.env("WAXWING_STORAGE__URL", &self.url).output().unwrap()
    }

    pub(crate) fn start(&self, name: &str) -> Node {
        Node::start(self.command(name), self.data(&format!("{name}.log")))
    }

    /// What a server says that does not start, and with which code it ends.
    #[track_caller]
    pub(crate) fn refuses(
        &self,
        name: &str,
        change: impl FnOnce(&mut Command),
        code: i32,
        words: &str,
    ) {
        let mut command = self.command(name);
        change(&mut command);
        let ended = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "no {words:?} in {said}");
    }
}

impl Node {
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        let file = fs::File::create(&log).unwrap();
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let (say, says) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| say.send(line)));
        Self { child, says, log }
    }

    /// Waits until it serves.
    #[track_caller]
    pub(crate) fn serves(self) -> Self {
        let line = self.says.recv_timeout(PATIENCE);
        assert!(line.is_ok_and(|line| line.starts_with("listening on ")), "{}", self.log());
        self
    }

    fn is_silent(&self) -> bool {
        self.says.try_recv().is_err()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the log has these words.
    #[track_caller]
    pub(crate) fn logs(&self, words: &str) {
        let begin = Instant::now();
        while !self.log().contains(words) {
            assert!(begin.elapsed() < PATIENCE, "no {words:?} in {}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// How it ends.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> Option<i32> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begin.elapsed() < PATIENCE, "it does not end: {}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn one_server_serves_and_the_other_takes_over_when_it_stops_or_dies() {
    let Some(cluster) = Cluster::new() else { return };
    let mut first = cluster.start("a").serves();
    cluster.share_key("a", "b");
    let second = cluster.start("b");
    second.logs("this one stands by");
    // It gives the lease back.
    first.signal(Signal::TERM);
    assert_eq!(first.ends(), Some(0));
    let mut second = second.serves();
    let first = cluster.start("a");
    first.logs("this one stands by");
    assert!(first.is_silent());
    second.signal(Signal::KILL);
    assert_eq!(second.ends(), None);
    let mut first = first.serves();
    // One that waits ends in good order.
    let mut second = cluster.start("b");
    second.logs("this one stands by");
    second.signal(Signal::TERM);
    assert_eq!(second.ends(), Some(0));
    // Its own lease a server takes at once.
    first.signal(Signal::KILL);
    first.ends();
    let mut first = cluster.start("a").serves();
    first.signal(Signal::TERM);
    assert_eq!(first.ends(), Some(0));
}

/// What a server says of itself.
fn status(cluster: &Cluster, name: &str) -> serde_json::Value {
    let said = cluster.operator(name, &["status", "--json"]);
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    serde_json::from_slice(&said.stdout).unwrap()
}

#[test]
fn a_server_that_stands_by_says_so_and_takes_no_connections() {
    let Some(cluster) = Cluster::new() else { return };
    let mut first = cluster.start("a").serves();
    cluster.share_key("a", "b");
    let address = free_address("127.0.0.1").to_string();
    let manager = cluster.root.path().join("notify");
    let hears = UnixDatagram::bind(&manager).unwrap();
    hears.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = cluster.command("b");
    command.env("WAXWING_SERVER__LISTEN", &address).env("NOTIFY_SOCKET", &manager);
    let second = Node::start(command, cluster.data("b.log"));
    second.logs("this one stands by");
    let hears = |what: &str| {
        let mut buffer = [0; 4_096];
        while !String::from_utf8_lossy(&buffer).contains(what) {
            buffer.fill(0);
            hears.recv(&mut buffer).expect(what);
        }
    };
    hears("READY=1");
    hears("STATUS=standby");
    assert_eq!(status(&cluster, "b")["role"], "standby");
    assert_eq!(status(&cluster, "b")["key"], status(&cluster, "a")["key"]);
    let page = cluster.operator("b", &["status"]);
    assert!(String::from_utf8_lossy(&page.stdout).contains("stands by    since"), "{page:?}");
    assert_eq!(cluster.operator("b", &["health"]).status.code(), Some(0));
    assert_eq!(cluster.operator("b", &["health", "--ready"]).status.code(), Some(1));
    let refused = cluster.operator("b", &["users", "list"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        refused.status.code() == Some(3) && said.contains("on the machine of that one"),
        "{said}"
    );
    let refused = TcpStream::connect(&address).expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(TcpListener::bind(&address).is_err(), "the address is taken");
    // A stop that lasts would leave people with nowhere to go.
    let drained = cluster.operator("a", &["drain", "--over", "1h"]);
    assert_eq!(drained.status.code(), Some(0), "{drained:?}");
    assert_eq!(first.ends(), Some(0));
    let _second = second.serves();
    TcpStream::connect(&address).unwrap();
    assert_eq!(status(&cluster, "b")["role"], "primary");
    hears("STATUS=0 sessions");
}

#[test]
fn a_database_that_dies_and_comes_back_is_used_again_without_a_new_start() {
    let Some(postgres) = Postgres::start() else { return };
    let cluster = Cluster::of(Arc::new(postgres));
    let first = cluster.start("a").serves();
    cluster.postgres.kill();
    let is_ready = || cluster.operator("a", &["health", "--ready"]).status.code() == Some(0);
    until("it is not ready", || !is_ready());
    // Whoever asks a server hears the same as whoever starts one.
    for asked in [&["users", "list"][..], &["users", "show", "7"], &["ban", "add", "203.0.113.7"]] {
        let ended = cluster.operator("a", asked);
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(3), "{asked:?}: {said}");
    }
    let live = cluster.operator("a", &["doctor", "--live"]);
    let said = String::from_utf8_lossy(&live.stdout);
    assert!(said.contains("can the database server of storage.url be reached"), "{said}");
    let _again = cluster.postgres.start_again();
    until("it is ready", is_ready);
    drop(first);
}

#[test]
fn a_server_that_is_without_the_database_for_too_long_ends_for_another_one() {
    let Some(postgres) = Postgres::start() else { return };
    let cluster = Cluster::of(Arc::new(postgres));
    let mut command = cluster.command("a");
    command.env("WAXWING_CLUSTER__ISOLATED", "1s");
    let mut first = Node::start(command, cluster.data("a.log")).serves();
    cluster.postgres.kill();
    assert_eq!(first.ends(), Some(75), "{}", first.log());
    assert!(first.log().contains("another server may serve by now"), "{}", first.log());
    cluster.refuses("a", |_| {}, 3, "the database cannot be reached");
}

#[test]
fn of_a_data_directory_and_its_copy_one_stops_for_good() {
    let Some(cluster) = Cluster::new() else { return };
    let mut first = cluster.start("a").serves();
    cluster.share_key("a", "b");
    fs::copy(cluster.data("a").join("node"), cluster.data("b").join("node")).unwrap();
    let _second = cluster.start("b").serves();
    assert_eq!(first.ends(), Some(78), "{}", first.log());
    assert!(first.log().contains("remove the file `node`"), "{}", first.log());
}

/// An address that nobody has.
pub(crate) fn free_address(host: &str) -> SocketAddr {
    TcpListener::bind((host, 0)).unwrap().local_addr().unwrap()
}

/// Goes on until this is so.
#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "it does not happen that {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_holder_that_was_stopped_for_longer_than_its_lease_ends_at_once() {
    let Some(cluster) = Cluster::new() else { return };
    let mut first = cluster.start("a").serves();
    cluster.share_key("a", "b");
    let second = cluster.start("b");
    second.logs("this one stands by");
    first.signal(Signal::STOP);
    let _second = second.serves();
    first.signal(Signal::CONT);
    assert_eq!(first.ends(), Some(75), "{}", first.log());
    let first = cluster.start("a");
    first.logs("this one stands by");
    assert!(first.is_silent());
}

#[test]
fn a_database_that_cannot_be_used_is_refused_with_what_to_do() {
    let Some(cluster) = Cluster::new() else { return };
    let nowhere = "postgres://waxwing@127.0.0.1:1,localhost:2/chat";
    for host in ["127.0.0.1:1, ", "localhost:2, "] {
        let set = |command: &mut Command| {
            command.env("WAXWING_STORAGE__URL", nowhere);
        };
        cluster.refuses("nowhere", set, 3, host);
    }
    let url =
        |url: String| move |command: &mut Command| _ = command.env("WAXWING_STORAGE__URL", url);
    let here = |change: (&str, &str)| url(cluster.url.replace(change.0, change.1));
    let name = cluster.url.rsplit('/').next().unwrap();
    cluster.refuses("a", here(("postgres:", "mysql:")), 78, "storage.url: it has to begin with");
    cluster.refuses("a", here((name, "nothing")), 78, "createdb --owner");
    cluster.refuses("a", here(("waxwing@", "nobody@")), 78, "look at the user in storage.url");
    cluster.refuses("a", here(("waxwing@", "waxwing:secret@")), 78, "storage.password_file");
    let elsewhere = "postgres://waxwing@192.0.2.1/chat".to_owned();
    cluster.refuses("a", url(elsewhere), 78, "has to be verify-full");
    let nobody = "postgres://waxwing@127.0.0.1:1,127.0.0.1:2/chat".to_owned();
    cluster.refuses("a", url(nobody), 3, "127.0.0.1:1, error connecting to server");
    let one = || "postgres://waxwing@127.0.0.1:1/chat".to_owned();
    cluster.refuses("a", url(one()), 3, "the database cannot be reached: 127.0.0.1:1, error");
    cluster.refuses(
        "a",
        url(one()),
        3,
        "see whether PostgreSQL runs there, and whether storage.url",
    );
    assert!(!cluster.data("a").join("server.key.pem").exists());

    let psql = |statements: &str| cluster.postgres.psql(&cluster.url, statements);
    let read_only = |is: &str| {
        psql(&format!(
            "SET transaction_read_only = off; \
             ALTER DATABASE {name} SET default_transaction_read_only = {is}"
        ))
    };
    read_only("on");
    cluster.refuses("a", |_| {}, 3, "no host of storage.url takes writes");
    read_only("off");

    let mut first = cluster.start("a").serves();
    first.signal(Signal::TERM);
    assert_eq!(first.ends(), Some(0));
    cluster.refuses("b", |_| {}, 4, "copy it from another server of this database");
    let recover = |command: &mut Command| _ = command.arg("--recover");
    cluster.refuses("a", recover, 78, "--recover and --without-log are for SQLite");
    let about = |set: &str| psql(&format!("UPDATE waxwing.about SET {set}"));
    about("schema = 2, min_reader = 2, written_by = '9.9'");
    cluster.refuses("a", |_| {}, 74, "the database is of version 9.9");
    // Later versions that this one can read are served.
    about("min_reader = 1");
    let mut first = cluster.start("a").serves();
    first.signal(Signal::TERM);
    assert_eq!(first.ends(), Some(0));
    about("state = 'doubtful'");
    cluster.refuses("a", |_| {}, 74, "the database lacks changes that it had confirmed");
    psql("DROP SCHEMA waxwing CASCADE");
    cluster.refuses("a", |_| {}, 74, "--new-database");
}

#[test]
fn a_planned_key_takes_its_place_in_each_server_that_has_it() {
    let Some(cluster) = Cluster::new() else { return };
    let mut first = cluster.start("a").serves();
    first.signal(Signal::TERM);
    assert_eq!(first.ends(), Some(0));
    for name in ["b", "c"] {
        cluster.share_key("a", name);
    }
    let data = DataDir::existing(&cluster.data("a")).unwrap();
    key::plan(&data, UnixTime::from_seconds(1)).unwrap();
    fs::copy(data.next_private_key(), cluster.data("b").join("server.next.key.pem")).unwrap();
    let mut first = cluster.start("a").serves();
    let second = cluster.start("b");
    second.logs("this one stands by");
    cluster.refuses("c", |_| {}, 4, "is another key than before");
    first.signal(Signal::TERM);
    assert_eq!(first.ends(), Some(0));
    let _second = second.serves();
    let published = |name: &str| fs::read(cluster.data(name).join("server.pub.pem")).unwrap();
    assert_eq!(published("a"), published("b"));
}

#[test]
fn a_server_that_stands_by_says_that_a_changed_key_has_not_come_to_it() {
    let Some(cluster) = Cluster::new() else { return };
    let mut first = cluster.start("a").serves();
    cluster.share_key("a", "b");
    let second = cluster.start("b");
    second.logs("this one stands by");
    assert_eq!(status(&cluster, "b")["key"]["trouble"], serde_json::Value::Null);
    let soon = clock::written(clock::unix_now().shifted(2));
    let rotated = cluster.operator("a", &["key", "rotate", "--from", &soon, "--force"]);
    assert_eq!(rotated.status.code(), Some(0), "{rotated:?}");
    second.logs("another key than this one");
    let trouble = &status(&cluster, "b")["key"]["trouble"];
    assert!(
        trouble.as_str().is_some_and(|why| why.contains("copy its server.key.pem")),
        "{trouble}"
    );
    assert!(first.is_running());
}

/// What `doctor` says of copies.
fn copies(cluster: &Cluster) -> serde_json::Value {
    let ran = cluster.operator("a", &["doctor", "--json"]);
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let mut checks =
        said.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    checks.find(|check| check["check"] == "copies").unwrap_or_else(|| panic!("{said}"))
}

#[test]
fn a_server_whose_database_waits_for_its_standby_says_so_and_goes_on() {
    const ISOLATED: Duration = Duration::from_secs(1);
    let Some(postgres) = Postgres::start() else { return };
    let cluster = Cluster::of(Arc::new(postgres));
    let mut command = cluster.command("a");
    command.env("WAXWING_CLUSTER__ISOLATED", "1s").env("WAXWING_STORAGE__TIMEOUT", "500ms");
    let mut first = Node::start(command, cluster.data("a.log")).serves();
    cluster.share_key("a", "b");
    let second = cluster.start("b");
    second.logs("this one stands by");
    let name_standby = |name: &str| {
        let set = format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'");
        cluster.postgres.psql(&cluster.url, &set);
        cluster.postgres.psql(&cluster.url, "SELECT pg_reload_conf()");
    };
    name_standby("away");
    let begin = Instant::now();
    let says = |name: &str| status(&cluster, name)["storage"]["trouble"].to_string();
    for (name, node) in [("a", &first), ("b", &second)] {
        until("it says why", || says(name).contains("waits for its synchronous standby"));
        node.logs("waits for its synchronous standby");
    }
    until("doctor says so", || copies(&cluster)["verdict"] == "fail");
    let ready = cluster.operator("b", &["health", "--ready"]);
    assert!(format!("{ready:?}").contains("could not take over"), "{ready:?}");
    // Nobody else can have taken over.
    until("it was without the database for too long", || begin.elapsed() > 2 * ISOLATED);
    assert!(first.is_running(), "{}", first.log());
    name_standby("");
    // Whoever comes first when the row is free again.
    until("one of the two serves", || {
        first.log().contains("storage works again") || second.log().contains("listening")
    });
}

#[test]
fn doctor_says_whether_a_shared_database_has_a_second_copy() {
    let Some(cluster) = Cluster::new() else { return };
    let _first = cluster.start("a").serves();
    let copies = copies(&cluster);
    // Two copies are wanted unless the configuration says otherwise.
    assert_eq!(copies["verdict"], "fail");
    assert!(copies["help"].as_str().unwrap().contains("storage.copies = 1"), "{copies}");
}

#[test]
fn a_new_key_is_given_to_no_database_from_which_another_server_serves() {
    let Some(cluster) = Cluster::new() else { return };
    let mut first = cluster.start("a").serves();
    let new_key = |command: &mut Command| {
        command.args(["run", "--new-key"]);
    };
    cluster.refuses("b", new_key, 4, "another server serves");
    assert!(first.is_running());
    // It is dead: nobody gives its lease back.
    first.signal(Signal::KILL);
    first.ends();
    let mut command = cluster.command("b");
    new_key(&mut command);
    let _second = Node::start(command, cluster.data("b.log")).serves();
}

#[test]
fn a_server_whose_database_comes_back_older_says_so() {
    let Some(cluster) = Cluster::new() else { return };
    let mut first = cluster.start("a").serves();
    // The lease names an earlier process of the same server, as it did then.
    cluster.postgres.psql(
        &cluster.url,
        "BEGIN; UPDATE waxwing.lease SET epoch = epoch - 1, instance = '\\x00112233445566778899aabbccddeeff'; \
         DELETE FROM waxwing.marks WHERE grp > (SELECT max(grp) - 2 FROM waxwing.marks); COMMIT",
    );
    assert_eq!(first.ends(), Some(74), "{}", first.log());
    assert!(first.log().contains("lacks changes that it had confirmed"), "{}", first.log());
    let doctor = |name: &str| {
        let ran = cluster.operator(name, &["doctor"]);
        let said = String::from_utf8(ran.stdout).unwrap();
        said.lines().find(|line| line.contains(" database ")).unwrap().to_owned()
    };
    let found = doctor("a");
    assert!(found.starts_with("fail") && found.contains("lacks changes"), "{found}");
    cluster.refuses("a", |_| {}, 74, "storage adopt");
    // It is marked now.
    assert!(doctor("a").starts_with("fail"), "{}", doctor("a"));
}

#[test]
fn a_server_that_stands_by_ends_when_a_later_version_has_changed_the_database() {
    let Some(cluster) = Cluster::new() else { return };
    let _first = cluster.start("a").serves();
    cluster.share_key("a", "b");
    let mut second = cluster.start("b");
    second.logs("this one stands by");
    cluster.postgres.psql(
        &cluster.url,
        "UPDATE waxwing.about SET schema = 99, min_reader = 98, written_by = '7.1'",
    );
    assert_eq!(second.ends(), Some(74), "{}", second.log());
    assert!(second.log().contains("of version 7.1"), "{}", second.log());
}

#[test]
fn a_server_with_another_key_serves_nobody() {
    let Some(cluster) = Cluster::new() else { return };
    let mut first = cluster.start("a").serves();
    first.signal(Signal::TERM);
    first.ends();
    let elsewhere = Cluster::of(Arc::clone(&cluster.postgres));
    let mut other = elsewhere.start("other").serves();
    other.signal(Signal::TERM);
    other.ends();
    fs::rename(elsewhere.data("other"), cluster.data("b")).unwrap();
    cluster.refuses("b", |_| {}, 4, "is another key than before");
}
