//! Drills: whether people could go on with a backup.

use std::fs::{self, DirBuilder};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use waxwing_core::phone::Phone;
use waxwing_core::server::storage::Write;
use waxwing_server::store::Storage;

use crate::support::{apply, spki, user};
use crate::{Place, text};

/// What lies beside the backup and is of a drill.
fn left(place: &Place) -> usize {
    let names = fs::read_dir(place.file().parent().unwrap()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("waxwing-drill-")).count()
}

impl Place {
    /// The canary has written letters here before.
    fn has_canary(&self) {
        let account = |id, phone: &[u8]| {
            let (phone, spki) = (Phone::parse(phone).unwrap(), spki(id).into());
            Write::CreateUser { id: user(id), phone, spki }
        };
        let accounts = [account(3, b"+99900000001"), account(4, b"+99900000002")];
        let mut storage = self.storage();
        apply(&mut storage, accounts).unwrap();
        Box::new(storage).close().unwrap();
    }
}

/// How much a thread lets others go first.
fn niceness(thread: &Path) -> Option<i32> {
    let stat = fs::read_to_string(thread.join("stat")).ok()?;
    // Behind the name, which is in parentheses.
    stat.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok()
}

#[test]
fn a_server_starts_with_a_good_backup_beside_the_one_that_runs() {
    let place = Place::new();
    place.has_canary();
    place.create();
    let before = fs::read(place.file()).unwrap();
    // What one has left that was killed.
    let killed = place.file().with_file_name("waxwing-drill-0123456789abcdef");
    DirBuilder::new().mode(0o700).create(&killed).unwrap();
    for name in ["lock", "waxwing.db"] {
        fs::write(killed.join(name), "").unwrap();
    }
    let server = place.start(&[]);
    // It warns of nothing, though the keys of the canary are in no backup.
    let said = place.about(&["backup", "drill", "--json", "--log-level", "warn"], 0);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps: Vec<_> = lines[..4].iter().map(|line| &line["step"]).collect();
    assert_eq!(steps, ["verify", "restore", "start", "canary"]);
    assert_eq!((&lines[4]["users"], &lines[4]["letters"]), (&2.into(), &2.into()));
    assert_eq!(lines[4]["canary_accounts"], 2);
    assert_eq!(lines[4]["canary"]["result"], "done", "{said}");
    assert_eq!(left(&place), 0);
    assert_eq!(fs::read(place.file()).unwrap(), before);
    // No key has come to the backup, and the server that runs has the accounts that it had.
    let users = String::from_utf8(place.run(&["users", "list"]).stdout).unwrap();
    assert_eq!(users.matches("  canary\n").count(), 2, "{users}");
    assert!(!place.data().path().join("canary-sender.key.pem").exists());
    let audit = String::from_utf8(place.run(&["audit", "show"]).stdout).unwrap();
    assert!(audit.contains("done     backup drill file="), "{audit}");
    // No start of a server finds a drill that has not ended, and calls it unknown.
    let lines = fs::read_to_string(place.data().path().join("audit.jsonl")).unwrap();
    let drills: Vec<_> = lines.lines().filter(|line| line.contains("backup drill")).collect();
    assert!(matches!(drills[..], [line] if line.contains(r#""result":"done""#)), "{lines}");
    server.stop();
}

#[test]
fn what_nobody_could_go_on_with_fails_and_leaves_nothing() {
    let place = Place::new();
    place.create();
    let key = place.data().private_key();
    let away = key.with_extension("away");
    fs::rename(&key, &away).unwrap();
    let said = place.about(&["backup", "drill"], 4);
    assert!(said.contains("the key is in no backup"), "{said}");
    fs::rename(&away, &key).unwrap();

    let mut bytes = fs::read(place.file()).unwrap();
    bytes[20_000] ^= 1;
    fs::write(place.file(), bytes).unwrap();
    let said = place.about(&["backup", "drill"], 74);
    assert!(said.contains("it is damaged"), "{said}");
    assert_eq!(left(&place), 0);
    let said = place.about(&["backup", "drill", "--directory", "/is/not/there"], 78);
    assert!(said.contains("there is no such directory; make it"), "{said}");
    let file = place.file();
    let said = place.about(&["backup", "drill", "--directory", file.to_str().unwrap()], 78);
    assert!(said.contains("it is a file and no directory: name a directory"), "{said}");
}

#[test]
fn a_drill_that_is_ended_leaves_nothing() {
    let place = Place::new();
    place.create();
    let mut command = place.command(&["backup", "drill"]);
    let mut drill = command.arg(place.file()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(drill.stdout.take().unwrap()).lines();
    // Its server is about to start, and the keys of its canary take their time.
    assert!(said.next().unwrap().unwrap().starts_with("verify"));
    assert_eq!(left(&place), 1);
    let threads = fs::read_dir(format!("/proc/{}/task", drill.id())).unwrap();
    let nice: Vec<_> = threads.map(|thread| niceness(&thread.unwrap().path())).collect();
    assert!(nice.contains(&Some(19)), "{nice:?}");
    kill_process(Pid::from_child(&drill), Signal::TERM).unwrap();
    assert_eq!(drill.wait().unwrap().code(), Some(1));
    assert_eq!(left(&place), 0);
}

#[test]
fn a_drill_with_a_copy_of_the_key_puts_nothing_beside_it() {
    let place = Place::new();
    place.has_canary();
    place.create();
    let copy = place.0.path().join("copy of the key");
    fs::create_dir(&copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o700)).unwrap();
    for file in [place.data().private_key(), place.data().public_key()] {
        fs::copy(&file, copy.join(file.file_name().unwrap())).unwrap();
    }
    let mut drill = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
    drill.env("WAXWING_STORAGE__MIN_FREE_DISK", "0").args(["backup", "drill"]).arg(place.file());
    let ran = drill.arg("--data").arg(&copy).output().unwrap();
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert_eq!(fs::read_dir(&copy).unwrap().count(), 2);
}
