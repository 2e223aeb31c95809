//! Several accounts of one person, what a configuration changes, and read receipts.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::binaries;
use crate::process::{Process, Ran};
use crate::test_server::{TestServer, lines};

/// Somebody who names no home.
struct Someone<'a> {
    root: &'a Path,
}

impl Someone<'_> {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binaries::client());
        command.args(args);
        command.env("XDG_DATA_HOME", self.root.join("data"));
        command.env("XDG_CONFIG_HOME", self.root.join("config"));
        command
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Ran {
        Process::start(&mut self.command(args)).finish_without_input()
    }

    fn configure(&self, text: &str) {
        let dir = self.root.join("config/waxwing");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("config.toml"), text).unwrap();
    }
}

#[test]
fn each_account_has_a_home_and_one_is_meant_when_none_is_named() {
    let server = TestServer::new();
    let root = tempfile::tempdir().unwrap();
    let someone = Someone { root: root.path() };
    let (address, key) = (server.address().to_string(), server.public_key());
    let register = ["register", "--server", &address, "--server-key", key.to_str().unwrap()];
    let registers = |account: &[&str], phone| {
        someone.run(&[account, &register, &[phone]].concat()).exits(0);
    };
    registers(&[], "+4915112345601");
    someone.run(&["--account", "work", "whoami"]).exits(78).says("waxwing accounts add work");
    someone.run(&["accounts", "add", "work"]).exits(0).says("--account work register");
    someone.run(&["accounts", "add", "work"]).exits(2);
    someone.run(&["--account", "work", "whoami"]).exits(1).says("waxwing register");
    registers(&["--account", "work"], "+4915112345602");

    someone.run(&["whoami"]).exits(0).says("+4915112345601");
    someone.run(&["accounts", "default", "work"]).exits(0);
    someone.run(&["whoami"]).exits(0).says("+4915112345602");
    // The configuration counts more than that, the environment more, and the command line most.
    someone.configure("account = \"main\"");
    someone.run(&["whoami"]).exits(0).says("+4915112345601");
    let mut with_variable = someone.command(&["whoami"]);
    let ran = Process::start(with_variable.env("WAXWING_ACCOUNT", "work")).finish_without_input();
    ran.exits(0).says("+4915112345602");
    someone.run(&["whoami", "--account", "work"]).exits(0).says("+4915112345602");

    let listed = lines(&someone.run(&["accounts", "list", "--json"]).exits(0).out);
    let shown: Vec<_> =
        listed.iter().map(|line| (line["account"].as_str(), line["default"].as_bool())).collect();
    assert_eq!(shown, [(Some("main"), Some(true)), (Some("work"), Some(false))]);

    // What is at work is not removed, and nothing is without a word for it.
    let following =
        Process::start(&mut someone.command(&["--account", "work", "receive", "--follow"]));
    someone.run(&["--account", "main", "send", "+4915112345602", "hello"]).exits(0);
    following.wait_for_out(|out| out.contains("hello"));
    someone.run(&["accounts", "remove", "work", "--yes"]).exits(1).says("at work");
    following.kill();
    someone.run(&["accounts", "remove", "work"]).exits(2).says("--yes");
    someone.run(&["accounts", "remove", "main", "--yes"]).exits(2);
    someone.run(&["accounts", "remove", "work", "--yes"]).exits(0);
    assert_eq!(lines(&someone.run(&["accounts", "list", "--json"]).out).len(), 1);
    assert!(
        fs::read_dir(root.path().join("data/waxwing/accounts"))
            .unwrap()
            .all(|entry| { entry.unwrap().file_type().unwrap().is_file() })
    );
    someone.run(&["whoami"]).exits(0).says("+4915112345601");
}

#[test]
fn accounts_are_made_and_removed_whatever_cuts_that_short() {
    let root = tempfile::tempdir().unwrap();
    let someone = Someone { root: root.path() };
    // Before there is anything: nobody else may read what comes to be there.
    someone.run(&["accounts", "default", "main"]).exits(0);
    someone.run(&["accounts", "add", "work"]).exits(0);
    // It was killed in the middle of a removal.
    let folder = root.path().join("data/waxwing/accounts");
    fs::rename(folder.join("work"), folder.join(".removed-work")).unwrap();
    let listed = someone.run(&["accounts", "list", "--json"]).exits(0);
    assert_eq!(lines(&listed.out).len(), 1);
    assert!(!folder.join(".removed-work").exists());
    // What is about all of them does not look as if it was about one.
    let home = root.path().join("elsewhere");
    someone
        .run(&["--home", home.to_str().unwrap(), "accounts", "add", "x"])
        .exits(2)
        .says("--home");
    someone.run(&["accounts", "list", "--account", "main"]).exits(2).says("--account");
    assert!(!folder.join("x").exists());
}

#[test]
fn a_configuration_with_a_mistake_is_named_and_exits_78() {
    let root = tempfile::tempdir().unwrap();
    let someone = Someone { root: root.path() };
    for (text, help) in [
        ("recipts = true", "receipts is the nearest"),
        ("country = \"Germany\"", "such as +49"),
        ("receipts = yes", "config.toml"),
    ] {
        someone.configure(text);
        someone.run(&["whoami"]).exits(78).says(help);
    }
    fs::remove_file(root.path().join("config/waxwing/config.toml")).unwrap();
    fs::create_dir(root.path().join("config/waxwing/config.toml")).unwrap();
    someone.run(&["whoami"]).exits(78).says("config.toml");
}

#[test]
fn who_wants_it_tells_people_that_their_letters_were_read() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let read =
        |name: &str| anna.history(&bert).iter().filter(|line| line[name].is_string()).count();
    let mut receive = bert.command(&["receive"]);
    let mut receiving = || Process::start(receive.env("WAXWING_RECEIPTS", "true"));
    anna.send(&bert, "from a stranger").exits(0);
    receiving().finish_without_input().exits(0);
    anna.run(&["receive"]).exits(7);
    assert_eq!(read("read_at"), 0);

    let ran = bert.run(&["send", "+49 151 12345601", "an answer", "--json"]).exits(0);
    let sent = lines(&ran.says("is +4915112345601").out);
    assert_eq!(sent[0]["state"], "stored");
    anna.receives(&["an answer"]);
    anna.send(&bert, "and now?").exits(0);
    receiving().finish_without_input().exits(0);
    anna.run(&["receive"]).exits(7);
    assert_eq!(read("read_at"), 1);
}
