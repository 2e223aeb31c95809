//! The commands, with a server and without.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::{Duration, Instant};

use rustix::process::geteuid;
use waxwing_server::backup::{Shelf, manifest_of};
use waxwing_server::clock;
use waxwing_server::config::Config;

use super::*;

impl Place {
    fn shelf(&self) -> Shelf {
        let mut config = Config::default();
        config.backup.directory = self.backups();
        Shelf::of(&config).unwrap()
    }

    /// A copy of [`Place::file`] with its manifest in this place.
    fn copy_to(&self, path: &Path) {
        fs::copy(self.file(), path).unwrap();
        fs::copy(manifest_of(&self.file()), manifest_of(path)).unwrap();
    }
}

fn acts(place: &Place) -> Vec<Value> {
    let shown = place.run(&["audit", "show", "--json"]);
    text(&shown.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_backup_is_made_with_and_without_a_server_and_holds_the_same() {
    let place = Place::new();
    let alone = place.backups().join("alone.db");
    let file = alone.to_str().unwrap();
    let made = json(&place.run(&["backup", "create", file, "--json"]));
    assert_eq!((&made["users"], &made["letters"]), (&2.into(), &2.into()));
    let server = place.start(&[]);
    let said = place.about(&["backup", "create"], 0);
    assert!(said.contains("2 users, 2 letters"), "{said}");
    for file in [alone, place.file()] {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let verified = place.command(&["backup", "verify", "--json"]).arg(&file).output().unwrap();
        let verified = json(&verified);
        assert_eq!((&verified["users"], &verified["letters"]), (&2.into(), &2.into()));
        let fingerprint = json(&place.run(&["key", "fingerprint", "--json"]));
        assert_eq!(verified["key"], fingerprint["fingerprint"]);
    }
    server.stop();
    let acts = acts(&place);
    let acts: Vec<_> = acts.iter().map(|act| (&act["command"], act["result"].as_str())).collect();
    let create = Value::from("backup create");
    let pair = [(&create, None), (&create, Some("done"))];
    assert_eq!(acts, [pair, pair].concat());
}

#[test]
fn what_is_written_after_a_backup_is_not_in_it() {
    let place = Place::new();
    let server = place.start(&[]);
    place.create();
    let removed = place.run(&["users", "remove", "2", "--yes"]);
    assert!(removed.status.success(), "{}", text(&removed.stderr));
    server.stop();
    let said = place.about(&["backup", "verify"], 0);
    assert!(said.contains("2 users, 2 letters"), "{said}");
}

#[test]
fn a_place_that_cannot_be_used_is_refused_and_nothing_is_made() {
    let place = Place::new();
    place.create();
    let before = place.content();
    let again = place.about(&["backup", "create"], 78);
    assert!(again.contains("it is there already"), "{again}");
    for (file, why) in [
        ("/no/such/directory/backup.db", "there is no such directory; make it"),
        ("/", "no name of a file"),
        (place.data().path().join("b.db").to_str().unwrap(), "holds the database itself"),
        ("/tmp/backup-of-waxwing.db", "others can change it"),
    ] {
        let output = place.run(&["backup", "create", file]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{file}: {said}");
        assert!(said.contains(why), "{file}: {said}");
    }
    let nowhere = place.run(&["backup", "create"]);
    assert_eq!(nowhere.status.code(), Some(78));
    assert!(text(&nowhere.stderr).contains("backup.directory is empty"));
    let missing = place.run(&["backup", "verify", "/no/such/backup.db"]);
    assert_eq!(missing.status.code(), Some(78));
    let names = |content: Vec<(PathBuf, _)>| content.into_iter().map(|(path, _)| path);
    assert!(names(before).eq(names(place.content())));
}

#[test]
fn without_room_no_backup_is_made_and_the_server_goes_on() {
    let place = Place::new();
    let mut command = place.command(&["backup", "create"]);
    command.env("WAXWING_STORAGE__MIN_FREE_DISK", "1000000GiB").arg(place.file());
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(74), "{said}");
    assert!(said.contains("is free") && said.contains("make room"), "{said}");
    assert!(!place.file().exists() && !place.file().with_extension("db.new").exists());
    let act = acts(&place).pop().unwrap();
    assert_eq!(act["result"], "failed");
}

#[test]
fn the_list_shows_backups_and_what_is_none() {
    let place = Place::new();
    let backups = place.backups();
    let run = |args: &[&str]| {
        let mut command = place.command(args);
        command.env("WAXWING_BACKUP__DIRECTORY", &backups).output().unwrap()
    };
    for _ in 0..2 {
        let made = run(&["backup", "create"]);
        assert!(made.status.success(), "{}", text(&made.stderr));
    }
    fs::write(backups.join("waxwing-20200101T000000Z.db"), "half").unwrap();
    fs::write(backups.join("notes.txt"), "mine").unwrap();
    let listed = text(&run(&["backup", "list", "--json"]).stdout);
    let listed: Vec<Value> =
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(listed.len(), 3);
    assert!(listed[0]["trouble"].as_str().unwrap().contains("is missing"));
    assert!(listed[1..].iter().all(|backup| backup["users"] == 2), "{listed:?}");
    assert!(listed[1]["made"].as_str() <= listed[2]["made"].as_str());
    let text = text(&run(&["backup", "list"]).stdout);
    assert!(text.starts_with("made ") && text.contains("NO BACKUP: "), "{text}");
}

#[test]
fn the_list_shows_what_was_left_and_what_has_lost_its_manifest_and_warns_of_the_directory() {
    let place = Place::new();
    let backups = place.backups();
    let list = || {
        let mut command = place.command(&["backup", "list"]);
        let output = command.env("WAXWING_BACKUP__DIRECTORY", &backups).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    };
    let (lost, killed) = (backups.join("lost.db"), backups.join("killed.db"));
    assert!(place.run(&["backup", "create", lost.to_str().unwrap()]).status.success());
    let (whole, quiet) = list();
    assert_eq!((whole.contains("NO BACKUP"), quiet.as_str()), (false, ""));
    fs::remove_file(manifest_of(&lost)).unwrap();
    let mut command = place.command(&["backup", "create"]);
    command.env("WAXWING_FAILPOINT", "before_backup_is_named:1").arg(&killed);
    assert_eq!(command.output().unwrap().status.code(), None);
    fs::write(backups.join("killed.db.json.new"), "{").unwrap();
    fs::write(backups.join("notes.db"), "mine").unwrap();
    fs::write(backups.join("notes.json.new"), "mine").unwrap();
    let (shown, _) = list();
    for part in [
        "lost.db: ".to_owned() + manifest_of(&lost).to_str().unwrap() + " is missing",
        "killed.db.new: a backup that was not made to its end has left this; delete it".to_owned(),
        "killed.db.json.new: a backup that was not made to its end has left this".to_owned(),
    ] {
        assert!(shown.contains(&part), "{part}: {shown}");
    }
    assert!(!shown.contains("notes"), "{shown}");
    // What somebody is at work on is left alone.
    let at_work = fs::File::open(backups.join("killed.db.new")).unwrap();
    at_work.lock().unwrap();
    assert!(!list().0.contains("has left this"));
    drop(at_work);

    fs::set_permissions(&backups, fs::Permissions::from_mode(0o777)).unwrap();
    let (_, warned) = list();
    assert!(
        warned.contains("no backup can be made there") && warned.contains("chmod go-w"),
        "{warned}"
    );
}

#[test]
fn a_list_of_a_directory_that_is_none_says_the_same_as_a_backup_that_goes_there() {
    let place = Place::new();
    let (file, missing) = (place.0.path().join("file"), place.0.path().join("missing"));
    fs::write(&file, "no directory").unwrap();
    for (directory, why) in [
        (&missing, "there is no such directory; make it"),
        (&file, "it is a file and no directory: name a directory"),
        (&file.join("below"), "something above it in its path is a file and no directory"),
    ] {
        let said = ["create", "list"].map(|name| {
            let mut command = place.command(&["backup", name]);
            let output = command.env("WAXWING_BACKUP__DIRECTORY", directory).output().unwrap();
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(78), "{said}");
            assert!(said.contains(why), "{said}");
            said
        });
        assert_eq!(said[0], said[1]);
    }
}

#[test]
fn what_a_backup_has_left_that_was_killed_is_deleted_by_the_next_one() {
    let place = Place::new();
    let names = || {
        let entries = fs::read_dir(place.backups()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let create = |kill: bool| {
        let mut command = place.command(&["backup", "create"]);
        if kill {
            command.env("WAXWING_FAILPOINT", "before_backup_is_named:1");
        }
        command.env("WAXWING_BACKUP__DIRECTORY", place.backups()).output().unwrap()
    };
    assert_eq!(create(true).status.code(), None);
    let left = names();
    let [manifest, draft] = &left[..] else { panic!("{left:?}") };
    assert!(manifest.ends_with(".db.json") && draft.ends_with(".db.new"), "{left:?}");
    let made = create(false);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let now = names();
    let [file, manifest] = &now[..] else { panic!("{now:?}") };
    assert_eq!(*manifest, format!("{file}.json"));
    assert!(file.ends_with(".db"), "{now:?}");

    // The same under a name of one's own.
    let mut killed = place.command(&["backup", "create"]);
    killed.env("WAXWING_FAILPOINT", "before_backup_is_named:1").arg(place.file());
    assert_eq!(killed.output().unwrap().status.code(), None);
    assert!(!place.file().exists());
    place.create();
    place.about(&["backup", "verify"], 0);
}

#[test]
fn no_backup_has_a_name_in_the_future() {
    let place = Place::new();
    place.create();
    let shelf = place.shelf();
    let now = clock::unix_now();
    let mut names = Vec::new();
    for _ in 0..11 {
        let path = shelf.next_name(now);
        place.copy_to(&path);
        names.push(path);
    }
    let moment = names[0].to_str().unwrap().strip_suffix(".db").unwrap();
    assert_eq!(names[1].to_str().unwrap(), format!("{moment}-2.db"));
    let listed: Vec<_> = shelf.entries().unwrap().into_iter().map(|entry| entry.file).collect();
    assert_eq!(listed, names);
}

#[test]
fn the_list_shows_backups_with_names_of_their_own_and_whose_they_are() {
    let (place, other) = (Place::new(), Place::new());
    let named = place.backups().join("before the move");
    place.run(&["backup", "create", named.to_str().unwrap()]);
    let foreign = place.backups().join("foreign.db");
    other.run(&["backup", "create", foreign.to_str().unwrap()]);
    fs::write(place.backups().join("notes.json"), "{}").unwrap();
    let mut command = place.command(&["backup", "list", "--json"]);
    let listed = command.env("WAXWING_BACKUP__DIRECTORY", place.backups()).output().unwrap();
    let listed: Vec<Value> =
        text(&listed.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let whose: Vec<_> =
        listed.iter().map(|one| (&one["file"], &one["of_another_server"])).collect();
    let (named, foreign) = (Value::from(named.to_str()), Value::from(foreign.to_str()));
    assert_eq!(whose, [(&named, &false.into()), (&foreign, &true.into())]);
    let mut command = place.command(&["backup", "list"]);
    let shown = command.env("WAXWING_BACKUP__DIRECTORY", place.backups()).output().unwrap();
    assert_eq!(text(&shown.stdout).matches("OF ANOTHER SERVER").count(), 1);
}

#[test]
fn a_directory_for_backups_that_cannot_be_used_is_found_by_whoever_checks_a_start() {
    let place = Place::new();
    let refused = |directory: &Path, why: &str| {
        let mut command = place.command(&["--listen", "127.0.0.1:0", "run", "--check"]);
        let output = command.env("WAXWING_BACKUP__DIRECTORY", directory).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains("backup.directory") && said.contains(why), "{said}");
    };
    refused(Path::new("/no/such/directory"), "install -d -o ");
    refused(&place.data().database(), "it is a file and no directory");
    refused(place.data().path(), "are the same directory");
    let open = place.0.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    refused(&open, "others can change it");
}

/// A server whose file names a directory of backups that is not there.
struct Lost {
    place: Place,
    _server: Server,
}

impl Lost {
    fn start() -> Self {
        Self::start_at(Place::new())
    }

    fn start_at(place: Place) -> Self {
        let gone = place.0.path().join("gone");
        let text =
            |directory: &Path| format!("backup.directory = {directory:?}\nbackup.every = \"1s\"\n");
        fs::write(Self::file(&place), text(&gone)).unwrap();
        let mut command = place.command(&["--listen", "127.0.0.1:0"]);
        command.arg("--config").arg(Self::file(&place));
        command.env("WAXWING_METRICS__LISTEN", "127.0.0.1:0");
        let log = fs::File::create(place.0.path().join("log")).unwrap();
        let server = Server(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let lost = Self { place, _server: server };
        lost.until("it serves", || lost.run(&["health"]).status.success());
        lost
    }

    fn file(place: &Place) -> PathBuf {
        place.0.path().join("waxwing.toml")
    }

    fn run(&self, args: &[&str]) -> Output {
        self.place.command(args).arg("--config").arg(Self::file(&self.place)).output().unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.place.0.path().join("log")).unwrap()
    }

    /// What `status` says of backups.
    fn backup(&self) -> Value {
        json(&self.run(&["status", "--json"]))["backup"].clone()
    }

    /// The value of a metric.
    fn metric(&self, name: &str) -> Option<String> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("numbers and health can be read"))?;
        let address = line.rsplit("address=").next()?.trim();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    }

    #[track_caller]
    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}: {}", self.log());
        }
    }
}

const USABLE: &str = "waxwing_backup_directory_usable ";

#[test]
fn a_server_serves_without_its_directory_of_backups_until_that_is_there_again() {
    let lost = Lost::start();
    let gone = lost.place.0.path().join("gone");
    let said = |output: &Output| text(&output.stdout) + &text(&output.stderr);
    let names_it =
        |text: &str| text.contains(gone.to_str().unwrap()) && text.contains("install -d -o ");
    lost.until("it says so", || lost.backup()["unusable"].is_string());
    assert!(names_it(lost.backup()["unusable"].as_str().unwrap()));
    let status = said(&lost.run(&["status"]));
    assert!(status.contains("NONE CAN BE MADE IN") && names_it(&status), "{status}");
    let log = lost.log();
    assert!(log.contains("no backup can be put into backup.directory") && names_it(&log), "{log}");
    assert_eq!(lost.metric(USABLE).as_deref(), Some("0"));
    let doctor = lost.run(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(1));
    assert!(said(&doctor).contains("fail     backups"), "{}", said(&doctor));
    let by_hand = lost.run(&["backup", "create"]);
    assert_eq!(by_hand.status.code(), Some(78));
    assert!(names_it(&said(&by_hand)), "{}", said(&by_hand));
    // Whoever asks whether a start would be as it should be hears that it would not.
    let file = Lost::file(&lost.place);
    let check = lost.place.run(&["config", "check", file.to_str().unwrap()]);
    assert_eq!(check.status.code(), Some(78));
    assert!(names_it(&said(&check)), "{}", said(&check));

    fs::create_dir(&gone).unwrap();
    lost.until("a backup is made", || lost.backup()["verified"].is_string());
    assert_eq!(lost.metric(USABLE).as_deref(), Some("1"));
    assert_eq!(
        (&lost.backup()["unusable"], &lost.backup()["trouble"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn what_is_in_a_directory_that_takes_nothing_at_the_start_counts() {
    let place = Place::new();
    let gone = place.0.path().join("gone");
    fs::create_dir(&gone).unwrap();
    let made = place.run(&["backup", "create", gone.join("waxwing-1.db").to_str().unwrap()]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    // It is refused for another reason than a disk that is mounted to be read only, and can be read as that can.
    fs::set_permissions(&gone, fs::Permissions::from_mode(0o777)).unwrap();
    let lost = Lost::start_at(place);
    lost.until("what is there is known", || lost.backup()["verified"].is_string());
    assert!(lost.backup()["unusable"].is_string());
}

#[test]
fn a_reload_needs_the_directory_of_backups_only_if_it_names_another_one() {
    let lost = Lost::start();
    let file = Lost::file(&lost.place);
    let text_of = |output: &Output| text(&output.stderr);
    let other_setting = fs::read_to_string(&file).unwrap() + "limits.codes_per_day = 77\n";
    fs::write(&file, &other_setting).unwrap();
    let reloaded = lost.run(&["reload"]);
    assert!(reloaded.status.success(), "{}", text_of(&reloaded));
    fs::write(&file, other_setting.replace("/gone", "/gone-too")).unwrap();
    let refused = lost.run(&["reload"]);
    assert_eq!(refused.status.code(), Some(78));
    assert!(text_of(&refused).contains("backup.directory: "), "{}", text_of(&refused));
    assert!(text_of(&refused).contains("gone-too: there is no such directory"));
}

#[test]
fn the_clock_makes_backups_and_keeps_as_many_as_are_wanted() {
    let place = Place::new();
    let backups = place.backups();
    let old = backups.join("waxwing-20200101T000000Z.db");
    fs::write(&old, "of somebody else").unwrap();
    // An operator has made it, so it stays, and counts for nothing.
    let by_hand = backups.join("waxwing-20200101T000001Z.db");
    place.run(&["backup", "create", by_hand.to_str().unwrap()]);
    let mut command = place.command(&["--listen", "127.0.0.1:0"]);
    command.env("WAXWING_BACKUP__DIRECTORY", &backups).env("WAXWING_BACKUP__KEEP", "2");
    command.env("WAXWING_BACKUP__EVERY", "1s");
    let _server = Server(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let listed = || {
        let mut command = place.command(&["backup", "list", "--json"]);
        let output = command.env("WAXWING_BACKUP__DIRECTORY", &backups).output().unwrap();
        let lines = text(&output.stdout);
        let all = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let scheduled = all.filter(|backup| backup["scheduled"] == true);
        scheduled.filter_map(|backup| backup["made"].as_str().map(String::from)).collect::<Vec<_>>()
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut seen = BTreeSet::new();
    while seen.len() < 4 {
        assert!(Instant::now() < deadline, "{seen:?}");
        let now = listed();
        // A new one is there before an old one goes.
        assert!(now.len() <= 3, "{now:?}");
        seen.extend(now);
    }
    assert!(old.exists() && by_hand.exists());
    let status = json(&place.run(&["status", "--json"]));
    assert_eq!(status["backup"]["scheduled"], true);
    assert_eq!(status["backup"]["trouble"], Value::Null);
    assert!(status["backup"]["verified"].as_str().unwrap() >= seen.first().unwrap().as_str());
}

#[test]
fn what_is_put_elsewhere_is_not_the_newest_of_the_directory() {
    let place = Place::new();
    let mut command = place.command(&["--listen", "127.0.0.1:0"]);
    command.env("WAXWING_BACKUP__DIRECTORY", place.backups());
    let _server = Server(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let deadline = Instant::now() + Duration::from_secs(60);
    let verified = || {
        let status = place.run(&["status", "--json"]);
        let status = status.status.success().then(|| json(&status))?;
        status["backup"]["verified"].as_str().map(String::from)
    };
    let newest = loop {
        match verified() {
            Some(newest) => break newest,
            None => assert!(Instant::now() < deadline),
        }
    };
    // Until one has another moment.
    let elsewhere = place.backups().with_file_name("elsewhere.db");
    loop {
        let made = json(&place.run(&["backup", "create", "--json", elsewhere.to_str().unwrap()]));
        if made["made"].as_str().unwrap() > newest.as_str() {
            break;
        }
        assert!(Instant::now() < deadline, "{made}");
        for file in [elsewhere.clone(), elsewhere.with_extension("db.json")] {
            fs::remove_file(file).unwrap();
        }
    }
    assert_eq!(verified(), Some(newest));
}

#[test]
fn doctor_learns_from_the_server_what_is_closed_to_whoever_asks() {
    let place = Place::new();
    let mut command = place.command(&["--listen", "127.0.0.1:0"]);
    command.env("WAXWING_BACKUP__DIRECTORY", place.backups());
    let server = Server(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let deadline = Instant::now() + Duration::from_secs(60);
    while !text(&place.run(&["status"]).stdout).contains("the newest is of") {
        assert!(Instant::now() < deadline);
    }
    if !geteuid().is_root() {
        println!("SKIPPED: only root can look into what is another user's");
        return;
    }
    let mut doctor = place.command(&["doctor"]);
    doctor.env("WAXWING_BACKUP__DIRECTORY", place.backups());
    chown(place.data().path(), Some(65_534), None).unwrap();
    let mut found = || {
        let output = doctor.output().unwrap();
        let said = text(&output.stdout);
        ["audit_log", "backups"].map(|check| {
            let mut lines = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            lines.find(|words| words[1] == check).unwrap().join(" ")
        })
    };
    let closed = "the data directory belongs to the user with number 65534";
    let [audit_log, backups] = found();
    assert!(audit_log.starts_with(&format!("skipped audit_log {closed}")), "{audit_log}");
    assert!(backups.starts_with("ok backups the newest is"), "{backups}");
    drop(server);
    let [audit_log, backups] = found();
    assert!(audit_log.starts_with(&format!("skipped audit_log {closed}")), "{audit_log}");
    assert!(backups.starts_with(&format!("skipped backups {closed}")), "{backups}");
}

#[test]
fn a_backup_by_the_clock_that_is_not_made_is_told() {
    let place = Place::new();
    let mut command = place.command(&["--listen", "127.0.0.1:0"]);
    command.env("WAXWING_BACKUP__DIRECTORY", place.backups());
    command.env("WAXWING_STORAGE__MIN_FREE_DISK", "1000000GiB");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let _server = Server(child);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let status = json(&place.run(&["status", "--json"]));
        if let Some(why) = status["backup"]["trouble"]["why"].as_str() {
            assert!(why.contains("is free"), "{why}");
            assert_eq!(status["backup"]["verified"], Value::Null);
            assert_eq!(status["backup"]["trouble_by_hand"], Value::Null);
            break;
        }
        assert!(Instant::now() < deadline);
    }
    // What fails by hand is told beside it, and not in its place.
    place.about(&["backup", "create"], 74);
    let status = json(&place.run(&["status", "--json"]));
    let troubles = ["trouble", "trouble_by_hand"].map(|of| status["backup"][of]["why"].is_string());
    assert_eq!(troubles, [true; 2]);
    let shown = text(&place.run(&["status"]).stdout);
    assert!(shown.contains("BY THE CLOCK") && shown.contains("by hand"), "{shown}");
    assert_eq!(fs::read_dir(place.backups()).unwrap().count(), 0);
}

#[test]
fn storage_schema_says_what_this_version_would_do_with_the_database() {
    let place = Place::new();
    let database = place.data().database();
    let ask = |code: i32| -> Value {
        let output = place.run(&["storage", "schema", "--json"]);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        // Behind it, a command that fails says that it does.
        serde_json::from_str(text(&output.stdout).lines().next().unwrap()).unwrap()
    };
    let now = ask(0);
    assert_eq!((&now["schema"], &now["this_version"]), (&now["writes"], &"serves".into()));
    assert_eq!(now["written_by"], env!("CARGO_PKG_VERSION"));
    // The package refuses a downgrade by this number.
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/server/preinst");
    let knows = format!("\nknows={}\n", now["writes"]);
    assert!(fs::read_to_string(script).unwrap().contains(&knows), "{knows}");
    // A running server is in nobody's way.
    let server = place.start(&[]);
    assert_eq!(ask(0), now);
    server.stop();
    let change = |sql: &str| {
        let connection = rusqlite::Connection::open(&database).unwrap();
        connection.execute_batch(sql).unwrap();
    };
    change(
        "PRAGMA user_version = 99; UPDATE about SET schema = 99, min_reader = 98, written_by = '7.1'",
    );
    let newer = ask(74);
    assert_eq!((&newer["this_version"], &newer["min_reader"]), (&"refuses".into(), &98.into()));
    let said = text(&place.run(&["storage", "schema"]).stderr);
    assert!(said.contains("run version 7.1, which wrote it"), "{said}");
    assert_eq!(place.run(&["--listen", "127.0.0.1:0"]).status.code(), Some(74));
    change("UPDATE about SET min_reader = 1");
    assert_eq!(ask(0)["this_version"], "serves");
    place.start(&[]).stop();
    change(
        "DROP TABLE about; DROP TABLE restores; DROP TABLE bans; DROP TABLE user_limits; PRAGMA user_version = 5",
    );
    assert_eq!(ask(0)["this_version"], "changes");
    place.start(&[]).stop();
    assert_eq!(ask(0), now);
    let copy = place.data().path().join("before-schema-8.db");
    assert_eq!(fs::metadata(copy).unwrap().permissions().mode() & 0o777, 0o600);
}
