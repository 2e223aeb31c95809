//! Machines whose clock is wrong.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::process::{Process, Ran};
use crate::test_server::{Person, TestServer, lines};

pub(crate) const DAY: i64 = 24 * 60 * 60;

/// Builds what sets the clock of a process, with the C compiler that the build needs anyway.
pub(crate) fn wrong_clock(server: &TestServer) -> PathBuf {
    let library = server.data().with_file_name("clocks.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/clocks.c");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut compile = Command::new(compiler);
    let built = compile.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
    assert!(built.unwrap().success());
    library
}

/// Runs a command of `person` on a machine whose clock is wrong by so many seconds.
pub(crate) fn run(person: &Person, clock: &PathBuf, wrong_by: i64, args: &[&str]) -> Ran {
    let mut command = person.command(args);
    command.env("LD_PRELOAD", clock).env("WRONG_BY", wrong_by.to_string());
    Process::start(&mut command).finish_without_input()
}

fn seconds(time: &Value) -> i64 {
    time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second()
}

#[test]
fn what_a_home_notes_of_letters_does_not_depend_on_its_clock() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let clock = wrong_clock(&server);
    for (wrong_by, way) in [(-100 * DAY, "100 days behind"), (100 * DAY, "100 days ahead of")] {
        let run = |args: &[&str]| run(&anna, &clock, wrong_by, args);
        bert.send(&anna, "to anna").exits(0);
        run(&["send", &bert.phone, "from anna"]).exits(0).says(way);
        bert.receives(&["from anna"]);
        let received = run(&["receive", "--json"]).exits(0).says(way);
        let received = &lines(&received.out)[0];
        let now = jiff::Timestamp::now().as_second();
        let is_now = |time: &Value| assert!((seconds(time) - now).abs() < 600, "{time} {now}");
        is_now(&received["sent_at"]);
        is_now(&received["received_at"]);
        // Also for a clock that is right again.
        let history = anna.history(&bert);
        let [.., written, came] = &history[..] else { panic!("{history:?}") };
        let (written, came) =
            if written["direction"] == "out" { (written, came) } else { (came, written) };
        is_now(&written["created_at"]);
        is_now(&came["received_at"]);
        assert_eq!(written["status"], "delivered", "{history:?}");
    }
}

#[test]
fn a_clock_that_is_far_ahead_for_once_makes_no_letter_old() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let clock = wrong_clock(&server);
    for text in ["one", "two"] {
        bert.send(&anna, text).exits(0);
        anna.receives(&[text]);
    }
    let receive = |wrong_by: i64| {
        let mut command = anna.command(&["receive"]);
        command.env("LD_PRELOAD", &clock).env("WRONG_BY", wrong_by.to_string());
        Process::start(command.env("WAXWING_RETENTION", "30d")).finish_without_input().exits(7);
        anna.history(&bert).iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect()
    };
    let texts: Vec<String> = receive(100 * DAY);
    assert_eq!(texts, ["one", "two"]);
    let sql = "UPDATE items SET stored_at = stored_at - 40 * 86400 WHERE text = 'one'";
    assert_eq!(anna.database().execute(sql, []).unwrap(), 1);
    let texts = receive(0);
    assert_eq!(texts, ["two"]);
}
