//! The start of the binary: which key and which database it takes, and what it refuses.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value};
use waxwing_core::server::Identity;
use waxwing_core::time::UnixTime;
use waxwing_server::backend::Backend;
use waxwing_server::clock;
use waxwing_server::data_dir::DataDir;
use waxwing_server::failpoint::Failpoint;
use waxwing_server::key::{self, Fingerprints};
use waxwing_server::store::{Ownership, SqliteOptions, SqliteStorage, Storage};

mod support;
use support::{apply, create};

/// For failure only.
const PATIENCE: Duration = Duration::from_secs(30);

/// A data directory.
struct Place {
    root: tempfile::TempDir,
}

/// How a start ended.
#[derive(Debug)]
struct Start {
    /// Whether it served, until it was stopped.
    has_served: bool,
    code: Option<i32>,
    log: String,
}

impl Start {
    #[track_caller]
    fn serves(self) -> Self {
        assert!(self.has_served && self.code == Some(0), "{self:?}");
        self
    }

    #[track_caller]
    fn refuses(self, code: i32, words: &[&str]) {
        assert!(!self.has_served && self.code == Some(code), "{self:?}");
        for word in words {
            assert!(self.log.contains(word), "no {word:?} in {self:?}");
        }
    }
}

impl Place {
    fn empty() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    /// Where a server has run, with a user.
    fn used() -> Self {
        let place = Self::empty();
        place.start(&[]).serves();
        apply(&mut place.open(), [create(1)]).unwrap();
        place
    }

    fn data(&self) -> DataDir {
        DataDir::create(&self.root.path().join("data")).unwrap()
    }

    fn open(&self) -> SqliteStorage {
        SqliteStorage::open(&self.data().database(), &SqliteOptions::default()).unwrap()
    }

    /// Starts the server. The first line that it says.
    fn serve(&self, args: &[&str]) -> (Child, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_waxwing-server"))
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(self.root.path().join("data"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (child, line)
    }

    /// Starts the server and stops it as soon as it serves.
    fn start(&self, args: &[&str]) -> Start {
        let (mut child, line) = self.serve(args);
        let has_served = line.starts_with("listening on");
        if has_served {
            kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        }
        let mut log = String::new();
        child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        Start { has_served, code: child.wait().unwrap().code(), log }
    }

    fn remove(&self, path: PathBuf) {
        fs::remove_file(path).unwrap();
    }

    fn identity(&self) -> Identity<Backend> {
        key::load(&self.data()).unwrap()
    }

    fn public(&self) -> Vec<u8> {
        fs::read(self.data().public_key()).unwrap()
    }
}

#[test]
fn a_first_start_says_so_and_goes_on_wherever_it_was_cut_short() {
    let steps: [&dyn Fn(&Place); 5] = [
        &|place| drop(place.data()),
        // A process that dies leaves the log as it is.
        &|place| drop(place.open()),
        &|place| key::create(&place.data()).unwrap(),
        &|place| {
            let own = key::digest(place.identity().spki());
            place.open().set_server_key(&own, UnixTime::from_seconds(1)).unwrap();
        },
        &|place| key::publish(&place.data(), place.identity().spki()).unwrap(),
    ];
    for count in 0..=steps.len() {
        let place = Place::empty();
        steps[..count].iter().for_each(|step| step(&place));
        let said = place.start(&[]).serves().log;
        assert_eq!(said.contains("this is the first start"), count < 2, "{count} steps: {said}");
        let public = place.public();
        place.start(&[]).serves();
        assert_eq!(place.public(), public);
    }
}

#[test]
fn whoever_puts_an_older_database_back_is_told_what_is_not_in_it() {
    let place = Place::used();
    place.start(&[]).serves();
    let database = place.data().database();
    let old = fs::read(&database).unwrap();
    let is_told = || place.start(&[]).serves().log.contains("this is an older database");
    assert!(!is_told());
    fs::write(&database, &old).unwrap();
    assert!(is_told());
    // Where nothing is known of another one, nothing is said.
    fs::write(&database, &old).unwrap();
    place.remove(database.with_file_name("waxwing.db-generation"));
    assert!(!is_told());
}

#[test]
fn a_key_that_is_missing_is_not_made_again_unless_asked_for() {
    let place = Place::used();
    let before = place.public();
    place.remove(place.data().private_key());
    for _ in 0..2 {
        place.start(&[]).refuses(4, &["server.key.pem", "--new-key", "restore it"]);
        assert!(!place.data().private_key().exists());
        assert_eq!(place.public(), before);
    }
    let said = place.start(&["--new-key"]).serves().log;
    assert!(said.contains("the public key for clients is replaced"), "{said}");
    assert_ne!(place.public(), before);
    place.start(&[]).serves();
    place.start(&["--new-key"]).refuses(4, &["has nothing to do"]);
}

#[test]
fn a_key_that_is_planned_does_not_follow_one_that_is_made_because_the_old_one_was_stolen() {
    const YESTERDAY: i64 = -24 * 60 * 60;
    for (left, is_stolen) in [(YESTERDAY, true), (-YESTERDAY, true), (-YESTERDAY, false)] {
        let place = Place::used();
        let moment = clock::unix_now().shifted(left);
        let planned = key::plan(&place.data(), moment).unwrap().fingerprint();
        place.remove(place.data().private_key());
        place.start(&["--new-key"]).refuses(4, &["server.next.key.pem", "move it away, too"]);
        assert!(!place.data().private_key().exists());
        let next = place.data().next_private_key();
        if is_stolen {
            place.remove(next);
        } else {
            fs::rename(next, place.data().private_key()).unwrap();
        }
        place.start(&["--new-key"]).serves();
        place.start(&[]).serves();
        let own = key::digest(place.identity().spki());
        assert_eq!(own == planned, !is_stolen);
        assert_eq!(key::published(&place.data()), Some(own));
        assert!(!place.data().next_public_key().exists());
    }
}

#[test]
fn a_planned_key_that_cannot_take_its_place_keeps_no_server_from_starting() {
    let place = Place::used();
    let before = key::digest(place.identity().spki());
    key::plan(&place.data(), clock::unix_now()).unwrap();
    let taken = place.data().previous_private_key();
    fs::create_dir(&taken).unwrap();
    for _ in 0..2 {
        let said = place.start(&[]).serves().log;
        assert!(said.contains("the planned key could not take its place"), "{said}");
        assert_eq!(key::digest(place.identity().spki()), before);
    }
    let (mut server, _) = place.serve(&[]);
    // The server tries it when it starts, and says so a moment later.
    let deadline = Instant::now() + PATIENCE;
    let show = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
        command.arg("--data").arg(place.data().path()).args(["key", "show", "--json"]);
        serde_json::from_slice::<Value>(&command.output().unwrap().stdout).unwrap()
    };
    let why = loop {
        match show()["trouble"].as_str() {
            Some(why) => break why.to_owned(),
            None => assert!(Instant::now() < deadline, "it never says why"),
        }
        thread::sleep(Duration::from_millis(10));
    };
    assert!(why.contains("server.previous.key.pem"), "{why}");
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    assert!(server.wait().unwrap().success());
    assert_eq!(show()["trouble"], Value::Null);
    // Whoever has set the clock right needs no server to take the plan back.
    for (code, word) in [(0, "The key stays"), (1, "no other key is planned")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
        command.arg("--data").arg(place.data().path()).args(["key", "rotate", "--cancel"]);
        let ended = command.output().unwrap();
        let said = [ended.stdout, ended.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(said.contains(word), "{said}");
    }
    fs::remove_dir(taken).unwrap();
    place.start(&[]).serves();
    assert_eq!(key::digest(place.identity().spki()), before);
}

/// What `status` and `key show` say of the keys.
fn told_of_keys(place: &Place) -> [Value; 2] {
    let ask = |command: &[&str]| -> Value {
        let mut asked = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
        asked.arg("--data").arg(place.data().path()).args(command).arg("--json");
        serde_json::from_slice(&asked.output().unwrap().stdout).unwrap_or_default()
    };
    [ask(&["status"])["key"].take(), ask(&["key", "show"])]
}

#[test]
fn a_planned_key_whose_file_is_lost_is_told_at_once_and_is_planned_again_when_its_copy_is_put_back()
{
    let place = Place::used();
    let in_a_month = clock::unix_now().shifted(30 * 24 * 60 * 60);
    let next = key::plan(&place.data(), in_a_month).unwrap().fingerprint();
    let file = place.data().next_private_key();
    let copy = fs::read(&file).unwrap();
    let put_back = || {
        fs::write(&file, &copy).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    };
    let serve = || {
        let (server, _) = place.serve(&[]);
        let deadline = Instant::now() + PATIENCE;
        while told_of_keys(&place)[0].is_null() {
            assert!(Instant::now() < deadline, "it does not answer");
        }
        server
    };
    let is_planned = |keys: &Value| {
        keys["next"]["fingerprint"] == format!("{next:?}") && keys["trouble"].is_null()
    };
    // The server looks by itself every ten seconds, which is too late; who asks in that very moment is not answered by
    // a look of its own.
    let is_told = |is_so: &dyn Fn(&[Value; 2]) -> bool| {
        let told: Vec<_> = (0..3).map(|_| told_of_keys(&place)).collect();
        assert!(told.iter().any(is_so), "{told:?}");
    };
    let mut server = serve();
    is_told(&|keys| keys.iter().all(is_planned));
    let lose = || fs::remove_file(&file).unwrap();
    let spoil = || fs::write(&file, "rubbish\n").unwrap();
    for act in [&lose as &dyn Fn(), &spoil] {
        act();
        is_told(&|[status, _]| {
            let why = status["trouble"].as_str().unwrap_or_default();
            why.matches("put its copy back, or take the plan back").count() == 1
        });
        put_back();
        is_told(&|keys| keys.iter().all(is_planned));
    }
    server.kill().unwrap();
    server.wait().unwrap();
    spoil();
    place.start(&[]).refuses(4, &["its first line has to be", "put its copy back, or take the"]);
    lose();
    let log = place.start(&[]).serves().log;
    assert!(log.contains("Put the copy of server.next.key.pem back"), "{log}");
    let mut server = serve();
    is_told(&|keys| keys.iter().all(|keys| keys["next"].is_null()));
    put_back();
    is_told(&|keys| keys.iter().all(is_planned));
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(place.data().next_public_key().exists());
}

/// Steps on the disk in which a planned key takes the place of the server's.
const KEY_STEPS: u32 = 5;

#[test]
fn a_server_that_is_killed_in_any_step_of_a_change_of_its_key_goes_on_with_the_next_one() {
    thread::scope(|scope| {
        for step in 1..=KEY_STEPS {
            for while_it_runs in [false, true] {
                scope.spawn(move || is_killed_while_its_key_changes(step, while_it_runs));
            }
        }
    });
}

fn is_killed_while_its_key_changes(step: u32, while_it_runs: bool) {
    let place = Place::used();
    let before = key::digest(place.identity().spki());
    // Else its moment is over when the server starts.
    let moment = clock::unix_now().shifted(if while_it_runs { 3 } else { 0 });
    let next = key::plan(&place.data(), moment).unwrap().fingerprint();
    let point = Failpoint::ALL.into_iter().find(|(point, _)| *point == Failpoint::KeyChanging);
    let (_, name) = point.unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_waxwing-server"))
        .args(["--listen", "127.0.0.1:0", "--data"])
        .arg(place.root.path().join("data"))
        .env("WAXWING_FAILPOINT", format!("{name}:{step}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let what = format!("step {step}, while it runs: {while_it_runs}");
    assert_eq!(line.starts_with("listening on"), while_it_runs, "{what}");
    let deadline = Instant::now() + PATIENCE;
    let ended = loop {
        if let Some(ended) = server.try_wait().unwrap() {
            break ended;
        }
        if Instant::now() > deadline {
            server.kill().unwrap();
            panic!("{what}: there is no such step");
        }
        thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(ended.code(), None, "{what}: {ended}");
    place.start(&[]).serves();
    assert_eq!(key::digest(place.identity().spki()), next, "{what}");
    assert_eq!(key::published(&place.data()), Some(next), "{what}");
    let keys = Fingerprints::read(&place.data(), next).unwrap();
    assert_eq!(keys, Fingerprints { own: next, former: vec![before] }, "{what}");
    for left in [place.data().next_private_key(), place.data().next_public_key()] {
        assert!(!left.exists(), "{what}: {}", left.display());
    }
    let previous = fs::read_to_string(place.data().previous_private_key()).unwrap();
    assert!(previous.starts_with("-----BEGIN PRIVATE KEY-----"), "{what}");
    place.start(&[]).serves();
}

#[test]
fn a_key_that_is_missing_beside_a_database_from_before_it_knew_its_key_is_not_made_again() {
    let place = Place::empty();
    apply(&mut place.open(), [create(1)]).unwrap();
    place.start(&[]).refuses(4, &["server.key.pem"]);
    // Nobody is in this one, but clients were given a key.
    let place = Place::empty();
    place.start(&[]).serves();
    place.remove(place.data().private_key());
    place.remove(place.data().database());
    place.start(&["--new-database"]).refuses(4, &["server.key.pem"]);
}

#[test]
fn the_key_of_another_server_is_refused_and_nothing_is_overwritten() {
    let (place, other) = (Place::used(), Place::used());
    fs::copy(other.data().private_key(), place.data().private_key()).unwrap();
    let before = place.public();
    place.start(&[]).refuses(4, &["another key", "--new-key"]);
    assert_eq!(place.public(), before);
    place.start(&["--new-key"]).serves();
    assert_eq!(place.public(), other.public());
    place.start(&[]).serves();
    // The database of another server comes to the same.
    let (place, other) = (Place::used(), Place::used());
    fs::copy(other.data().database(), place.data().database()).unwrap();
    fs::remove_file(place.data().path().join("waxwing.db-wal")).unwrap_or_default();
    place.start(&["--without-log"]).refuses(4, &["another key"]);
}

#[test]
fn a_database_of_a_former_key_goes_with_the_key_that_followed_and_with_no_other() {
    let (place, other) = (Place::used(), Place::empty());
    key::load_or_create(&other.data()).unwrap();
    let former = key::digest(place.identity().spki());
    key::plan(&place.data(), clock::unix_now()).unwrap();
    place.start(&[]).serves();
    let [own, old] = [place.data().private_key(), place.data().previous_private_key()];
    let pem = fs::read(&own).unwrap();
    assert_ne!(key::digest(place.identity().spki()), former);
    place.open().set_server_key(&former, UnixTime::from_seconds(2)).unwrap();
    fs::copy(other.data().private_key(), &own).unwrap();
    place.start(&[]).refuses(4, &["another key"]);
    fs::write(&own, pem).unwrap();
    place.start(&[]).serves();
    // The key before is one that clients refuse.
    fs::copy(old, own).unwrap();
    place.start(&[]).refuses(4, &["another key"]);
}

#[test]
fn whoever_goes_back_to_the_key_before_has_that_key_and_the_other_one_is_a_former_one() {
    let place = Place::used();
    let first = key::digest(place.identity().spki());
    key::plan(&place.data(), clock::unix_now()).unwrap();
    place.start(&[]).serves();
    let second = key::digest(place.identity().spki());
    let [own, old] = [place.data().private_key(), place.data().previous_private_key()];
    fs::copy(&old, own).unwrap();
    place.start(&["--new-key"]).serves();
    place.start(&[]).serves();
    assert_eq!(key::digest(place.identity().spki()), first);
    // So a backup that was made under the key in between is one of this server.
    let keys = Fingerprints::read(&place.data(), first).unwrap();
    assert_eq!(keys, Fingerprints { own: first, former: vec![second] });
    let said = |command: &[&str]| {
        let mut server = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
        let ended = server.arg("--data").arg(place.data().path()).args(command).output().unwrap();
        String::from_utf8(ended.stdout).unwrap()
    };
    for command in [&["key", "show"][..], &["doctor"]] {
        let said = said(command);
        assert!(said.contains("is a copy of the server's own private key"), "{said}");
        assert!(!said.contains("is the private key before"), "{said}");
    }
    place.remove(old);
    assert!(!said(&["key", "show"]).contains("server.previous.key.pem"));
    // And so is a database of that time.
    place.open().set_server_key(&second, UnixTime::from_seconds(2)).unwrap();
    place.start(&[]).serves();
}

#[test]
fn before_a_database_knows_its_key_the_published_half_speaks_for_it() {
    let (place, other) = (Place::empty(), Place::used());
    key::load_or_create(&place.data()).unwrap();
    apply(&mut place.open(), [create(1)]).unwrap();
    fs::copy(other.data().private_key(), place.data().private_key()).unwrap();
    place.start(&[]).refuses(4, &["another key"]);
}

#[test]
fn a_database_that_is_missing_is_not_made_again_unless_asked_for() {
    let place = Place::used();
    let public = place.public();
    Box::new(place.open()).close().unwrap();
    place.remove(place.data().database());
    place.start(&[]).refuses(74, &["no database", "--new-database", "mount"]);
    assert!(!place.data().database().exists());
    // The public half alone tells that there was a server.
    let key = fs::read(place.data().private_key()).unwrap();
    place.remove(place.data().private_key());
    place
        .start(&[])
        .refuses(74, &["of an earlier server", "mount", "--new-key and --new-database"]);
    fs::write(place.data().private_key(), key).unwrap();
    let chmod = Command::new("chmod").arg("600").arg(place.data().private_key()).status();
    assert!(chmod.unwrap().success());

    place.start(&["--new-database"]).serves();
    assert_eq!(place.public(), public);
    place.start(&[]).serves();
    place.start(&["--new-database"]).refuses(74, &["has nothing to do"]);
}

#[test]
fn a_server_of_which_the_public_key_alone_is_left_begins_anew_when_asked_for() {
    let place = Place::used();
    let public = place.public();
    Box::new(place.open()).close().unwrap();
    place.remove(place.data().database());
    place.remove(place.data().private_key());
    place.start(&[]).refuses(74, &["of an earlier server"]);
    place.start(&["--new-key", "--new-database"]).serves();
    assert_ne!(place.public(), public);
    place.start(&[]).serves();
}

#[test]
fn an_empty_directory_is_no_first_start_when_the_configuration_says_so() {
    let place = Place::empty();
    let config = place.root.path().join("waxwing.toml");
    fs::write(&config, "[server]\nallow_first_start = false\n").unwrap();
    let args = ["--config", config.to_str().unwrap()];
    place.start(&args).refuses(74, &["data"]);
    place.data();
    place.start(&args).refuses(74, &["allow_first_start", "mounted"]);
    place.start(&[]).serves();
    place.start(&args).serves();
}

/// What is in a directory.
fn names(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_first_start_that_fails_for_a_directory_makes_nothing_and_config_check_says_so_before() {
    let root = tempfile::tempdir().unwrap();
    let [data, file] = ["data", "waxwing.toml"].map(|name| root.path().join(name));
    let open = root.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    let absent = root.path().join("absent/control.sock");
    fs::create_dir(root.path().join("taken")).unwrap();
    for (control, why) in [
        (open.join("control.sock"), "run: chmod go-w"),
        (absent, "make it, or let server.control name another place"),
        (root.path().join("taken"), "a directory is in the place of the control socket"),
    ] {
        let text = format!(
            "server.data = \"{}\"\nserver.control = \"{}\"\nserver.listen = \"127.0.0.1:0\"",
            data.display(),
            control.display()
        );
        fs::write(&file, text).unwrap();
        for command in [&["--config"][..], &["config", "check"]] {
            let mut server = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
            let ended = server.args(command).arg(&file).output().unwrap();
            let said = String::from_utf8(ended.stderr).unwrap();
            assert_eq!(ended.status.code(), Some(74), "{said}");
            assert!(said.contains(why), "{said}");
        }
        assert!(!data.exists(), "{:?}", names(&data));
    }
    fs::write(&file, format!("server.data = \"{}\"", data.display())).unwrap();
    let check = || {
        let mut server = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
        let ended = server.args(["config", "check", "--json"]).arg(&file).output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stdout).unwrap())
    };
    assert!(check().1.contains("\"directories_checked\":true"), "{:?}", check());
    assert!(!data.exists());
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, Permissions::from_mode(0o777)).unwrap();
    assert_eq!(check().0, Some(74));
    fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
    // Only root can give it away. Then it is somebody else who starts the server.
    if chown(&data, Some(12_345), None).is_ok() {
        assert!(check().1.contains("\"directories_checked\":false"), "{:?}", check());
    }
}

#[test]
fn signals_that_come_during_a_start_are_obeyed_after_it() {
    let place = Place::empty();
    // A start waits for whoever has the audit log locked.
    let log = place.data().path().join("audit.jsonl");
    let locked = OpenOptions::new().create(true).append(true).mode(0o600).open(&log).unwrap();
    locked.lock().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_waxwing-server"))
        .args(["--listen", "127.0.0.1:0", "--data"])
        .arg(place.data().path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("this is the first start") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0);
    }
    let pid = Pid::from_child(&child);
    for signal in [Signal::HUP, Signal::USR1, Signal::USR2] {
        kill_process(pid, signal).unwrap();
    }
    drop(locked);
    let mut greeting = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
    assert!(greeting.starts_with("listening on"), "{:?}", child.wait());
    let acts = |text: &str| text.matches("\"result\":\"done\"").count();
    let deadline = Instant::now() + PATIENCE;
    while acts(&fs::read_to_string(&log).unwrap()) < 2 {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains("\"SIGHUP\"") && text.contains("\"SIGUSR1\""), "{text}");
    kill_process(pid, Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_no_other_start_does_is_in_the_audit_log() {
    let place = Place::used();
    let noted = || -> Vec<Value> {
        let text = fs::read_to_string(place.data().path().join("audit.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let count = || noted().len();
    // A refusal at the door changes nothing.
    place.start(&["--new-database"]).refuses(74, &["has nothing to do"]);
    assert_eq!(count(), 0);
    place.start(&["--recover"]).serves();
    place.remove(place.data().private_key());
    place.start(&["--new-key", "--without-log"]).serves();
    place.start(&["--new-key"]).refuses(4, &["has nothing to do"]);
    for file in fs::read_dir(place.data().path()).unwrap() {
        let file = file.unwrap();
        if file.file_name().to_str().unwrap().starts_with("waxwing.db") {
            fs::remove_file(file.path()).unwrap();
        }
    }
    place.start(&["--new-database"]).serves();
    let expected = [
        (vec!["recover"], "done"),
        (vec!["new-key", "without-log"], "done"),
        (vec!["new-key"], "failed"),
        (vec!["new-database"], "done"),
    ];
    assert_eq!(count(), 2 * expected.len());
    for ((flags, result), lines) in expected.iter().zip(noted().chunks(2)) {
        let [begun, ended] = lines else { panic!("{lines:?}") };
        assert_eq!((&begun["command"], &begun["result"]), (&"run".into(), &Value::Null));
        let asked: Map<_, _> =
            flags.iter().map(|flag| ((*flag).to_owned(), "yes".into())).collect();
        assert_eq!(begun["arguments"], Value::Object(asked));
        assert_eq!((&ended["of"], &ended["result"]), (&begun["number"], &(*result).into()));
    }
    // What cannot be noted is not done.
    place.remove(place.data().private_key());
    let log = place.data().path().join("audit.jsonl");
    fs::write(&log, "no line\n").unwrap();
    place.start(&["--new-key"]).refuses(74, &["nothing was changed", "audit verify"]);
    assert!(!place.data().private_key().exists());
}
