//! The binary, from outside.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use support::*;
use waxwing_server::data_dir::DataDir;
use waxwing_server::store::{SqliteOptions, SqliteStorage};

fn server(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_waxwing-server")).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// With users 1 and 2, and a letter from each to the other.
fn data_directory(path: &Path) {
    let data = DataDir::create(path).unwrap();
    let mut storage = SqliteStorage::open(&data.database(), &SqliteOptions::default()).unwrap();
    apply(&mut storage, [create(1), create(2), insert(1, 1, 2, 18), insert(2, 2, 1, 18)]).unwrap();
}

#[test]
fn the_example_passes_the_check() {
    let example = server(&["config", "example"]);
    assert!(example.status.success());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("waxwing.toml");
    fs::write(&file, &example.stdout).unwrap();
    let checked = server(&["config", "check", file.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", stderr(&checked));
    assert!(
        stdout(&checked).contains("Not looked at: the key, the database"),
        "{}",
        stdout(&checked)
    );
    let checked = server(&["config", "check", "--json", file.to_str().unwrap()]);
    let told: Value = serde_json::from_str(&stdout(&checked)).unwrap();
    assert_eq!(told["not_checked"], serde_json::json!(["key", "database", "addresses"]));

    fs::write(&file, "[log]\nlevle = \"info\"").unwrap();
    let checked = server(&["config", "check", file.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(78));
    assert!(stderr(&checked).contains("did you mean `log.level`?"), "{}", stderr(&checked));
}

#[test]
fn mistakes_have_their_exit_codes() {
    for (args, code) in [
        (&["--no-such-flag"][..], 2),
        (&["users", "show", "nobody"], 2),
        (&["--check", "users", "list"], 2),
        (&["--listen", "somewhere"], 2),
        (&["--config", "/no/such.toml", "users", "list"], 78),
        (&["--data", "/no/such/directory", "users", "list"], 74),
    ] {
        let output = server(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
        assert!(!output.stderr.is_empty());
        assert!(output.stdout.is_empty());

        let output = server(&[args, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
        let told: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(told["exit"], code);
        assert!(told["error"].as_str().is_some_and(|error| !error.is_empty()), "{told}");
    }
    // What stands behind -- is no flag.
    assert!(server(&["users", "show", "--", "--json"]).stdout.is_empty());
}

/// The file is all that says where the server is, and here nothing can be at the place of a server without one.
#[test]
fn a_file_that_cannot_be_read_names_no_socket_of_another_place() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("waxwing-data"), "in the way").unwrap();
    let file = directory.path().join("waxwing.toml");
    let ask = |command: &[&str]| {
        let mut asking = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
        asking.arg("--config").arg(&file).args(command).current_dir(directory.path());
        let output = asking.output().unwrap();
        (output.status.code(), stderr(&output))
    };
    // It is missing, everybody can change it, and it is cut off before it says where the socket is.
    let acts: [&dyn Fn(); 3] = [
        &|| (),
        &|| {
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        },
        &|| {
            fs::remove_file(&file).unwrap();
            fs::write(&file, "[server]\nlisten = \"127.0.0.1:9295\ncontrol = \"/x\"\n").unwrap();
        },
    ];
    for act in acts {
        act();
        for (command, code) in
            [(&["status"][..], 78), (&["users", "list"], 78), (&["reload"], 78), (&["health"], 1)]
        {
            let (exit, said) = ask(command);
            assert_eq!(exit, Some(code), "{command:?}: {said}");
            assert!(said.contains("waxwing.toml: "), "{command:?}: {said}");
            assert!(said.contains("WAXWING_SERVER__CONTROL="), "{command:?}: {said}");
            assert!(!said.contains("waxwing-data"), "{command:?}: {said}");
        }
    }
    fs::write(&file, "").unwrap();
    let (exit, said) = ask(&["reload"]);
    assert_eq!(exit, Some(78), "{said}");
    assert!(said.contains("names server.data or server.control"), "{said}");
}

#[test]
fn the_fingerprint_of_a_key_that_is_not_there_says_when_there_will_be_one() {
    let directory = tempfile::tempdir().unwrap();
    data_directory(directory.path());
    let data = directory.path().to_str().unwrap();
    let output = server(&["--data", data, "key", "fingerprint"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("server.key.pem: there is no key yet; a new server makes one"), "{said}");
}

#[test]
fn files_that_are_not_there_are_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("data");
    let absent = directory.path().join("absent");
    let [below, absent] = [below.to_str().unwrap(), absent.to_str().unwrap()];
    for (args, code, what) in [
        (["--config", absent, "run"], 78, "`waxwing-server config example` prints a file"),
        (["config", "check", absent], 78, "`waxwing-server config example` prints a file"),
        (["--data", below, "run"], 74, "--data, or server.data in the configuration"),
    ] {
        let output = server(&args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(what), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn users_are_listed_shown_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    data_directory(&path);
    let users = |args: &[&str]| {
        let mut all = vec!["--data", path.to_str().unwrap(), "users"];
        all.extend(args);
        server(&all)
    };

    let listed = stdout(&users(&["list"]));
    let lines: Vec<_> = listed.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(lines[1], ["1", "+49…01", "never", "1", "300", "B"]);
    assert_eq!(lines.len(), 3);
    assert!(stdout(&users(&["list", "--full"])).contains(" +491510000001 "));
    for name in ["2", "+491510000002"] {
        assert!(stdout(&users(&["show", name])).contains("phone      +49…02\n"));
        let full = stdout(&users(&["show", name, "--full"]));
        assert!(full.contains("phone      +491510000002\n"), "{full}");
    }

    let lock = DataDir::existing(&path).unwrap().lock().unwrap();
    let refused = users(&["remove", "--yes", "2"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("a waxwing-server is running"), "{}", stderr(&refused));
    drop(lock);

    let unmeant = users(&["delete", "2"]);
    assert_eq!(unmeant.status.code(), Some(2));
    assert!(stderr(&unmeant).contains("repeat the command with --yes"), "{}", stderr(&unmeant));
    let alone = users(&["suspend", "2", "--for", "7d"]);
    assert_eq!(alone.status.code(), Some(3));
    assert!(stderr(&alone).contains("no server runs"), "{}", stderr(&alone));
    let alone = users(&["limits", "2", "--letters", "7"]);
    assert_eq!(alone.status.code(), Some(3));
    let removed = users(&["remove", "--yes", "2"]);
    assert_eq!(stdout(&removed), "removed user 2 (+49…02), 1 letter undelivered\n");
    assert_eq!(stdout(&users(&["list"])).lines().count(), 2);
    for command in [&["show"][..], &["remove", "--yes"]] {
        let absent = users(&[command, &["2"]].concat());
        assert_eq!(absent.status.code(), Some(1));
        assert!(stderr(&absent).contains("there is no user 2"), "{}", stderr(&absent));
    }
}
