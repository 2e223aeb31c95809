//! What an operator does with a server while it runs.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Process, eventually};
use crate::sent_codes::server_and_sent_codes;
use crate::test_server::{TestServer, lines};

fn json(server: &TestServer, command: &[&str]) -> Vec<Value> {
    lines(&server.administer(&[command, &["--json"]].concat()).exits(0).out)
}

/// What a program hears of a command that fails: the last line of what it prints.
fn failure(server: &TestServer, command: &[&str], exit: i32) -> Value {
    let out = server.administer(&[command, &["--json"]].concat()).exits(exit).out;
    let told = lines(&out).pop().unwrap_or_else(|| panic!("{command:?} says nothing"));
    assert_eq!(told["exit"], exit, "{command:?}: {told}");
    assert!(told["error"].as_str().is_some_and(|error| !error.is_empty()), "{told}");
    told
}

/// The command and the result of every line of the audit log, oldest first.
fn audit(server: &TestServer) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(server.data().join("audit.jsonl")).unwrap_or_default();
    let of = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    lines(&text).iter().map(|line| (of(line, "command"), of(line, "result"))).collect()
}

#[test]
fn a_server_says_how_it_is() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "one").exits(0);
    let mut listening = bert.start(&["receive", "--follow"]);
    eventually("a session", || {
        let status = json(&server, &["status"]).remove(0);
        (status["sessions"] == 1).then_some(())
    });
    let status = json(&server, &["status"]).remove(0);
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["listening"], serde_json::json!([server.address().to_string()]));
    assert_eq!(status["pid"], server.process().id());
    assert_eq!((&status["users"], &status["free_ids"]), (&2.into(), &65_533.into()));
    assert!(status["loops"].as_array().unwrap().iter().all(|one| one["answers"] == true));
    assert_eq!(status["storage"]["works"], true);
    assert!(status["storage"]["free_disk_bytes"].as_u64() > Some(0), "{status}");
    let commits = &status["storage"]["commits"];
    assert!(commits["count"].as_u64() >= Some(2) && commits["p99_us"].is_u64(), "{status}");
    assert_eq!(commits["letters"], 1);
    // Whoever is there is not idle.
    let idle = json(&server, &["users", "list", "--idle", "0s"]);
    assert_eq!(idle.iter().map(|user| &user["id"]).collect::<Vec<_>>(), [1]);
    server.administer(&["status"]).exits(0).says("waxwing-server").says("takes writes");
    listening.end_input();
    listening.signal(Signal::TERM);
}

#[test]
fn sessions_are_listed_and_ended_and_come_back() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let listening = bert.start(&["receive", "--follow"]);
    let session = eventually("a session", || json(&server, &["sessions", "list"]).pop());
    assert_eq!(session["user"], 2);
    assert_eq!(session["network"], "127.0.0.0/24");
    let (head, tail) = (&bert.phone[..3], &bert.phone[bert.phone.len() - 2..]);
    assert_eq!(session["phone"], format!("{head}…{tail}"));

    server.administer(&["sessions", "end", &bert.phone]).exits(0).says("user 2");
    server.administer(&["sessions", "end", "1"]).exits(1).says("user 1 has no session");
    server.administer(&["sessions", "end", "77"]).exits(1).says("there is no user 77");
    anna.send(&bert, "one").exits(0);
    listening.wait_for_out(|out| out.contains("one"));
    let acts = audit(&server);
    let expected = [
        ("sessions end", ""),
        ("sessions end", "done"),
        ("sessions end", ""),
        ("sessions end", "failed"),
    ];
    assert_eq!(acts, expected.map(|(command, result)| (command.to_owned(), result.to_owned())));
    listening.signal(Signal::TERM);
}

#[test]
fn letters_that_wait_are_listed_and_expire_when_the_operator_says_so() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "one").exits(0);
    anna.send(&bert, "two").exits(0);
    let mailbox = json(&server, &["queue", "list"]).remove(0);
    assert_eq!((&mailbox["user"], &mailbox["letters"]), (&2.into(), &2.into()));
    server
        .administer(&["queue", "list", "--top", "0"])
        .exits(2)
        .says("give a whole number from 1 to 65535");
    let letters = json(&server, &["queue", "show", "2"]);
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[0]["sender"], 1);
    let bytes: u64 = letters.iter().map(|letter| letter["bytes"].as_u64().unwrap()).sum();
    assert_eq!(mailbox["bytes"], bytes);

    let expire = ["queue", "expire", "2", "--older-than"];
    server.administer(&[&expire[..], &["0s"]].concat()).exits(2).says("--yes");
    let young = server.administer(&[&expire[..], &["1d", "--yes"]].concat()).exits(0);
    young.says("0 letters for user 2 expired");
    let expired = json(&server, &[&expire[..], &["0s", "--yes"]].concat()).remove(0);
    assert_eq!(expired["expired_letters"], 2);
    bert.receives_nothing();
    anna.receives_nothing();
    assert_eq!(anna.statuses(&bert), ["expired", "expired"]);
}

#[test]
fn a_user_is_removed_while_the_server_runs_and_nobody_else_is_disturbed() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let cora = server.person("cora", "+4915112345603");
    let others = cora.start(&["receive", "--follow"]);
    anna.send(&bert, "one").exits(0);
    let removed = server.administer(&["users", "remove", "--yes", &bert.phone]).exits(0);
    removed.says("removed user 2").says("1 letter undelivered");
    server.administer(&["users", "show", "2"]).exits(1).says("there is no user 2");
    bert.run(&["receive"]).exits(3);
    anna.receives_nothing();
    assert_eq!(anna.statuses(&bert), ["expired"]);
    anna.send(&cora, "still here?").exits(0);
    others.wait_for_out(|out| out.contains("still here?"));

    // The phone is free at once, and the id is not.
    let anew = server.newcomer("anew", &bert.phone);
    anew.register().exits(0).says("as 4");
    let acts = audit(&server);
    let expected = [("users remove", ""), ("users remove", "done")];
    assert_eq!(acts, expected.map(|(command, result)| (command.to_owned(), result.to_owned())));
    others.signal(Signal::TERM);
}

#[test]
fn a_user_with_a_session_can_be_removed_in_the_middle_of_letters() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let listening = bert.start(&["receive", "--follow"]);
    let writing: Vec<_> =
        (0..6).map(|number| anna.start(&["send", &bert.phone, &number.to_string()])).collect();
    listening.wait_for_out(|out| out.contains('\n'));
    server.administer(&["users", "remove", "--yes", "2"]).exits(0).says("removed user 2");
    for process in writing {
        let _ = process.finish_without_input();
    }
    let _ = listening.finish();
    assert_eq!(json(&server, &["sessions", "list"]), [] as [Value; 0]);
    assert_eq!(json(&server, &["queue", "list"]), [] as [Value; 0]);
    assert_eq!(json(&server, &["users", "list"]).len(), 1);
}

#[test]
fn whole_phones_are_shown_when_asked_for_and_the_audit_log_says_who_saw_them() {
    let mut server = TestServer::new();
    let (anna, _bert) = server.anna_and_bert();
    for with_server in [true, false] {
        if !with_server {
            server.stop();
        }
        let listed = server.administer(&["users", "list"]).exits(0).out;
        assert!(!listed.contains(&anna.phone), "{listed}");
        let shown = server.administer(&["users", "show", "1"]).exits(0).out;
        assert!(!shown.contains(&anna.phone), "{shown}");
        server.administer(&["users", "list", "--full"]).exits(0).says(&anna.phone);
        server.administer(&["users", "show", "1", "--full"]).exits(0).says(&anna.phone);
    }
    let expected =
        ["users list --full", "users show --full", "users list --full", "users show --full"];
    assert_eq!(audit(&server), expected.map(|command| (command.to_owned(), "shown".to_owned())));
    let log = std::fs::read_to_string(server.data().join("audit.jsonl")).unwrap();
    assert!(!log.contains(&anna.phone), "{log}");
}

#[test]
fn without_a_server_commands_that_need_one_exit_3() {
    let mut server = TestServer::new();
    server.stop();
    for command in [&["status"][..], &["sessions", "list"], &["queue", "list"]] {
        server.administer(command).exits(3).says("no server answers");
    }
    // One that was killed leaves its socket behind.
    server.start();
    server.kill();
    assert!(server.data().join("control.sock").exists());
    server.administer(&["status"]).exits(3).says("no server answers");
    server.start();
    server.administer(&["status"]).exits(0);
}

#[test]
fn a_server_behind_another_socket_is_named() {
    let server = TestServer::new();
    let elsewhere = server.data().join("elsewhere.sock");
    let mut command = std::process::Command::new(crate::binaries::server());
    command
        .env("WAXWING_SERVER__CONTROL", &elsewhere)
        .args(["status", "--data"])
        .arg(server.data());
    let ran = Process::start(&mut command).finish_without_input();
    ran.exits(3)
        .says(&format!("process {} (waxwing-server) uses", server.process().id()))
        .says("name that in the variable WAXWING_SERVER__CONTROL");
}

#[test]
fn whoever_watches_sees_the_next_server_after_a_restart() {
    let mut server = TestServer::new();
    let mut command = std::process::Command::new(crate::binaries::server());
    command.args(["status", "--watch", "--json", "--data"]).arg(server.data());
    let watching = Process::start(&mut command);
    let pid = |server: &TestServer| format!("\"pid\":{}", server.process().id());
    watching.wait_for_out(|out| out.contains(&pid(&server)));
    server.stop();
    watching.wait_for_err("the server has gone, or does not answer; waiting for it");
    server.start();
    watching.wait_for_out(|out| out.contains(&pid(&server)));
    watching.signal(Signal::TERM);
}

#[test]
fn an_audit_log_that_cannot_be_written_is_seen_in_the_status() {
    let server = TestServer::new();
    assert_eq!(json(&server, &["status"])[0]["audit_problem"], Value::Null);
    let log = server.data().join("audit.jsonl");
    std::fs::rename(&log, server.data().join("moved")).unwrap();
    std::fs::create_dir(&log).unwrap();
    server.administer(&["status"]).exits(0).says("CANNOT BE WRITTEN").says("plain file");
}

/// Only root can be somebody else.
#[test]
fn a_group_that_may_use_the_socket_sees_audit_log_and_fingerprint_through_it() {
    const GROUP: u32 = 54_321;
    let run = tempfile::tempdir().unwrap();
    std::fs::set_permissions(run.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    // Where another user can run it.
    let program = run.path().join("waxwing-server");
    std::fs::copy(crate::binaries::server(), &program).unwrap();
    let socket = run.path().join("control.sock");
    if std::os::unix::fs::chown(&program, Some(65_534), None).is_err() {
        let _ = writeln!(std::io::stderr(), "a group: SKIPPED: only root can be somebody else");
        return;
    }
    let server = TestServer::with(&[
        ("server.control", socket.to_str().unwrap()),
        ("server.control_group", &GROUP.to_string()),
    ]);
    let (_anna, _bert) = server.anna_and_bert();
    server.administer(&["sessions", "end", "2"]).exits(1);
    let asked = |command: &[&str]| {
        let mut asking = std::process::Command::new(&program);
        asking
            .args(command)
            .arg("--data")
            .arg(server.data())
            .env("WAXWING_SERVER__CONTROL", &socket)
            .env("WAXWING_BACKUP__DIRECTORY", server.data().join("backups"));
        Process::start(asking.uid(65_534).gid(GROUP)).finish_without_input()
    };
    let ask = |command: &[&str]| asked(command).exits(0).out;
    // What is closed to them is so for a reason, and they read what to do.
    let backup = server.data().join("a.db");
    asked(&["backup", "list"]).exits(78).says("sudo -u '#0' waxwing-server");
    asked(&["backup", "verify", backup.to_str().unwrap()])
        .exits(78)
        .says("sudo -u '#0' waxwing-server");
    assert!(ask(&["audit", "show"]).contains("sessions end id=2"));
    let shown = ask(&["audit", "show", "--json"]);
    assert_eq!(shown, std::fs::read_to_string(server.data().join("audit.jsonl")).unwrap());
    assert!(ask(&["audit", "verify"]).contains("the chain holds"));
    assert_eq!(
        ask(&["key", "fingerprint"]),
        server.administer(&["key", "fingerprint"]).exits(0).out
    );
}

#[test]
fn an_act_that_the_server_dies_in_is_known_to_be_unknown() {
    let mut server = TestServer::new();
    let (_anna, _bert) = server.anna_and_bert();
    server.stop();
    server.start_with(Some(("WAXWING_FAILPOINT", "after_audit_line:1")));
    server.administer(&["users", "remove", "--yes", "2"]).exits(3).says("audit show");
    server.kill();
    server.start();
    let acts = audit(&server);
    let expected = [("users remove", ""), ("users remove", "unknown")];
    assert_eq!(acts, expected.map(|(command, result)| (command.to_owned(), result.to_owned())));
    // It was not done, and can be repeated.
    server.administer(&["users", "remove", "--yes", "2"]).exits(0).says("removed user 2");
}

#[test]
fn what_nobody_waits_for_any_more_is_not_done() {
    let server = TestServer::new();
    let (_anna, _bert) = server.anna_and_bert();
    server.process().signal(Signal::STOP);
    // Two commands that a person has given up.
    for request in
        ["{\"command\":\"remove-user\",\"user\":\"2\"}", "{\"command\":\"users\",\"full\":true}"]
    {
        let mut stream = UnixStream::connect(server.data().join("control.sock")).unwrap();
        writeln!(stream, "{{\"data\":null,\"request\":{request}}}").unwrap();
    }
    server.process().signal(Signal::CONT);
    // It is answered behind them.
    server.administer(&["users", "show", "2", "--full"]).exits(0);
    assert_eq!(audit(&server), [("users show --full".to_owned(), "shown".to_owned())]);
}

#[test]
fn an_act_that_is_done_is_not_said_to_have_failed() {
    let server = TestServer::new();
    let (_anna, _bert) = server.anna_and_bert();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(crate::binaries::server());
    command.args(["users", "remove", "--yes", "2", "--data"]).arg(server.data()).stdout(full);
    let output = command.stderr(std::process::Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("it was done, but standard output cannot be written to"), "{said}");
    server.administer(&["users", "show", "2"]).exits(1);
}

#[test]
fn what_a_command_prints_is_json_when_asked_for() {
    let server = TestServer::new();
    server.person("anna", "+4915112345601");
    assert_eq!(json(&server, &["users", "list"])[0]["id"], 1);
    assert_eq!(json(&server, &["users", "show", "1"])[0]["pending_letters"], 0);
    let fingerprint = json(&server, &["key", "fingerprint"]);
    assert_eq!(fingerprint[0]["fingerprint"].as_str().map(str::len), Some(64));
    assert!(json(&server, &["config", "example"]).iter().any(|key| key["key"] == "server.control"));
    server.administer(&["--json"]).exits(2).says("--log-format json");
    let unused = Process::start(
        std::process::Command::new(crate::binaries::server())
            .args(["status", "--watch", "--data"])
            .arg(server.data()),
    );
    unused.wait_for_out(|out| out.matches("takes writes").count() >= 2);
    unused.signal(Signal::INT);
}

#[test]
fn a_command_that_fails_tells_programs_why_and_with_which_code() {
    let mut server = TestServer::new();
    for (command, exit) in [
        (&["sessions", "end", "2"][..], 1),
        (&["users", "resume", "2"], 1),
        (&["users", "suspend", "2", "--until", "2000-01-01"], 2),
        (&["users", "show", "77"], 1),
        (&["users", "remove", "2"], 2),
        (&["users", "export", "77"], 1),
        (&["ban", "remove", "192.0.2.1"], 1),
        (&["ban", "add", "127.0.0.1"], 2),
        (&["queue", "expire", "2", "--older-than", "1d"], 2),
        (&["log", "reopen"], 1),
        (&["undrain"], 1),
        (&["key", "rotate", "--cancel"], 1),
        (&["backup", "create"], 78),
        (&["backup", "verify", "/no/such/file"], 78),
        (&["users", "shwo", "2"], 2),
    ] {
        failure(&server, command, exit);
    }
    server.stop();
    for command in [&["status"][..], &["users", "resume", "2"], &["reload"]] {
        failure(&server, command, 3);
    }
    let ill = failure(&server, &["health"], 1);
    assert!(ill["healthy"] == false && ill["message"] == ill["error"], "{ill}");
}

#[test]
fn an_operator_finds_out_whether_codes_get_through() {
    let (server, sent) = server_and_sent_codes(&[]);
    let phone = "+4915112349999";
    let tested = json(&server, &["otp", "test", phone]).remove(0);
    assert_eq!(tested["way"], "exec");
    let code = sent.code(phone, 1);
    server
        .administer(&["otp", "test", "--fallback", phone])
        .exits(78)
        .says("otp.fallback is empty");
    server.administer(&["otp", "test", "0151"]).exits(2).says("a phone is + and 7 to 15 digits");
    let log = std::fs::read_to_string(server.data().join("audit.jsonl")).unwrap();
    assert!(log.contains("otp test") && !log.contains(phone) && !log.contains(&code), "{log}");
}

#[test]
fn a_way_of_codes_that_rests_is_in_the_status_and_can_be_tested_often() {
    let server = TestServer::with(&[
        ("otp.delivery", "exec"),
        ("otp.exec.program", "/bin/sh"),
        ("otp.exec.args", "-c, exit 1"),
    ]);
    let failing = || json(&server, &["status"]).remove(0)["failing_ways"].take();
    for tests in 0..11 {
        let failing = failing();
        let way = failing.get(0);
        assert_eq!(way.map_or(0, |way| way["failures"].as_u64().unwrap()), tests);
        assert_eq!(way.is_some_and(|way| way["next_try_ms"].is_u64()), tests >= 5, "{failing}");
        server.administer(&["otp", "test", "+4915112349999"]).exits(1).says("by exec");
    }
    let failed = failure(&server, &["otp", "test", "+4915112349999"], 1);
    assert!(failed["way"] == "exec" && failed["milliseconds"].is_u64(), "{failed}");
    assert!(failed["error"].as_str().unwrap().contains("the log of the program"), "{failed}");
    let rests = failing();
    assert_eq!(rests[0]["way"], "exec");
    assert!((1..=30_000).contains(&rests[0]["next_try_ms"].as_u64().unwrap()), "{rests}");
    server.administer(&["status"]).exits(0).says("THE LAST 12 DID NOT GET THROUGH by exec");
}

#[test]
fn a_suspended_user_is_kept_out_until_the_operator_lets_them_in() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let until = ["users", "suspend", &bert.phone, "--until", "2000-01-01"];
    server.administer(&until).exits(2).says("that time is over already");
    let suspend = ["users", "suspend", &bert.phone, "--for", "7d", "--reason", "spam"];
    server.administer(&suspend).exits(0).says("user 2 is kept out until");
    anna.send(&bert, "one").exits(0);
    bert.run(&["receive"]).exits(5);
    server.administer(&["users", "show", "2"]).exits(0).says("reason     spam");
    assert_eq!(json(&server, &["users", "list"])[1]["suspended"]["reason"], "spam");
    assert_eq!(json(&server, &["users", "list", "--idle", "1d"]), [] as [Value; 0]);
    assert_eq!(json(&server, &["users", "list", "--idle", "0s"]).len(), 2);
    // Who is suspended again is so in another way, and it is said in which way before.
    let kept = json(&server, &["users", "suspend", "2"]).remove(0);
    assert_eq!(kept["replaced"]["reason"], "spam");
    server.administer(&["users", "suspend", "2"]).exits(0).says("before, that was without an end");
    server.administer(&["users", "resume", "1"]).exits(1).says("user 1 is not suspended");
    server.administer(&["users", "resume", "2"]).exits(0).says("user 2 may come in");
    bert.run(&["receive"]).exits(0).says("one");
    let acts: Vec<_> = audit(&server).into_iter().filter(|(_, result)| result == "done").collect();
    let expected = ["users suspend", "users suspend", "users suspend", "users resume"];
    assert_eq!(acts, expected.map(|command| (command.to_owned(), "done".to_owned())));
}

#[test]
fn a_user_with_limits_of_their_own_is_written_to_that_much_and_no_more() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    server.administer(&["users", "limits", "2"]).exits(2).says("--letters");
    server.administer(&["users", "limits", "2", "--letters", "0"]).exits(2).says("from 1 to");
    server.administer(&["users", "limits", "2", "--bytes", "1"]).exits(2).says("from 1KiB to");
    server.administer(&["users", "limits", "2", "--bytes", "much"]).exits(2).says("is no size");
    server.administer(&["users", "limits", "9", "--letters", "1"]).exits(1).says("no user 9");
    let both = ["users", "limits", "2", "--letters", "1", "--default"];
    server.administer(&both).exits(2).says("--default");

    anna.send(&bert, "one").exits(0);
    let set = ["users", "limits", &bert.phone, "--letters", "1"];
    let first = server.administer(&set).exits(0).says("user 2: 1 letter, as many bytes as");
    assert!(!first.out.contains("before"), "{first:?}");
    let second = server.administer(&["users", "limits", "2", "--bytes", "64KiB"]).exits(0);
    second.says("1 letter, 64.0 KiB").says("before, that was: 1 letter, as many bytes as");
    anna.send(&bert, "two").exits(3).says("mailbox is full");
    server.stop();
    server.start();
    server.administer(&["users", "show", "2"]).exits(0).says("limits     1 letter, 64.0 KiB");
    let user = json(&server, &["users", "show", "2"]).remove(0);
    assert_eq!(user["limits"], serde_json::json!({ "letters": 1, "bytes": 65_536 }));
    bert.run(&["receive"]).exits(0).says("one");
    server.administer(&["users", "limits", "2", "--default"]).exits(0).says("as many letters as");
    assert!(json(&server, &["users", "list"])[1]["limits"].is_null());
    let limits = audit(&server).into_iter().filter(|(command, _)| command == "users limits");
    assert_eq!(limits.filter(|(_, result)| result == "done").count(), 3);
}

/// The lines of an export, by their kinds.
fn kinds(text: &str) -> Vec<(String, Value)> {
    let only = |line: &str| {
        let Value::Object(line) = serde_json::from_str(line).unwrap() else { panic!("{line}") };
        line.into_iter().next().unwrap()
    };
    text.lines().map(only).collect()
}

#[test]
fn all_that_is_held_about_one_person_is_exported_with_a_server_and_without() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let carl = server.person("carl", "+4915110000003");
    bert.send(&carl, "two").exits(0);
    anna.send(&bert, "one").exits(0);
    let export = ["users", "export", &bert.phone];
    server.administer(&["users", "export", "9"]).exits(1).says("no user 9");
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("bert.jsonl");
    let to_file = [&export[..], &["--letters", "--output", file.to_str().unwrap()]].concat();
    server.administer(&to_file).exits(0).says("wrote 5 lines to");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let lines = kinds(&text);
    let names: Vec<_> = lines.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(names, ["account", "waiting_letter", "sent_letter", "audit_line", "complete"]);
    let [account, waiting, sent, noted, complete] = &lines[..] else { unreachable!() };
    assert_eq!((&account.1["phone"], &account.1["id"]), (&bert.phone.as_str().into(), &2.into()));
    assert_eq!(account.1["key_spki"].as_str().unwrap().len(), 392);
    assert_eq!((&waiting.1["sender"], &waiting.1["recipient"]), (&1.into(), &2.into()));
    assert_eq!((&sent.1["sender"], &sent.1["recipient"]), (&2.into(), &3.into()));
    let packet = waiting.1["packet"].as_str().unwrap();
    assert_eq!(packet.len(), (waiting.1["bytes"].as_u64().unwrap() as usize).div_ceil(3) * 4);
    assert_eq!(noted.1["command"], "users export");
    assert_eq!(complete.1["lines"], 5);

    // A file that is there stays as it is, and one that could not be finished is not left behind.
    server.administer(&to_file).exits(78).says("is there already");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    let absent = place.path().join("absent.jsonl");
    let nobody = ["users", "export", "9", "--output", absent.to_str().unwrap()];
    server.administer(&nobody).exits(1);
    assert!(!absent.exists());

    let shown = kinds(&server.administer(&export).exits(0).out);
    assert!(shown.iter().all(|(_, held)| held.get("packet").is_none()));
    server.stop();
    let alone = kinds(&server.administer(&export).exits(0).out);
    assert_eq!(alone[..3], shown[..3]);
    assert!(audit(&server).contains(&("users export".to_owned(), "shown".to_owned())));
    let log = std::fs::read_to_string(server.data().join("audit.jsonl")).unwrap();
    assert!(!log.contains(&bert.phone[1..]), "{log}");
}

/// Files below a directory in which these bytes are.
fn files_with(directory: &std::path::Path, bytes: &[u8]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files_with(&entry.path(), bytes));
        } else if kind.is_file() {
            let content = std::fs::read(entry.path()).unwrap();
            found.extend(content.windows(bytes.len()).any(|w| w == bytes).then(|| entry.path()));
        }
    }
    found
}

#[test]
fn nothing_names_a_user_any_more_who_is_removed_with_erase() {
    for is_running in [true, false] {
        let mut server = TestServer::new();
        let (anna, bert) = server.anna_and_bert();
        anna.send(&bert, "one").exits(0);
        bert.send(&anna, "two").exits(0);
        let reason = "ask Bert's lawyer";
        server.administer(&["users", "suspend", "2", "--reason", reason]).exits(0);
        server.administer(&["users", "show", "2", "--full"]).exits(0);
        assert!(!files_with(&server.data(), &bert.phone.as_bytes()[1..]).is_empty());
        if !is_running {
            server.stop();
        }
        server.administer(&["users", "remove", "2", "--erase"]).exits(2).says("--yes");
        let erase = ["users", "remove", &bert.phone, "--erase", "--yes"];
        let erased = server.administer(&erase).exits(0);
        erased.says("removed user 2").says("erased from 3 lines").says("backups");
        for gone in [&bert.phone[1..], reason] {
            let left = files_with(&server.data(), gone.as_bytes());
            assert!(left.is_empty(), "{gone} is in {left:?}");
        }
        server.administer(&["audit", "verify"]).exits(0).says("erased     3 lines");
        server.administer(&erase).exits(1).says("no user");
        if is_running {
            server.stop();
        }
        let left = files_with(&server.data(), &bert.phone.as_bytes()[1..]);
        assert!(left.is_empty(), "{left:?}");
        server.start();
        anna.run(&["receive"]).exits(0);
    }
}

#[test]
fn an_erasure_in_which_the_server_dies_is_finished_by_the_next_start() {
    let mut server = TestServer::new();
    let (_anna, bert) = server.anna_and_bert();
    server.administer(&["users", "show", "2", "--full"]).exits(0);
    let erase = ["users", "remove", &bert.phone, "--erase", "--yes"];
    for (point, is_gone) in [("after_audit_line:1", false), ("before_erasing:1", true)] {
        server.stop();
        server.start_with(Some(("WAXWING_FAILPOINT", point)));
        server.administer(&erase).exits(3).says("audit show");
        server.kill();
        server.start();
        let left = files_with(&server.data(), &bert.phone.as_bytes()[1..]);
        assert_eq!(left.is_empty(), is_gone, "{point}: {left:?}");
        let results: Vec<_> = audit(&server).into_iter().map(|(_, result)| result).collect();
        assert_eq!(
            results.last().unwrap(),
            if is_gone { "done" } else { "unknown" },
            "{results:?}"
        );
    }
    server.administer(&["audit", "verify"]).exits(0).says("erased     1 line,");
}

#[test]
fn a_server_that_is_drained_lets_nobody_in_sends_its_sessions_away_and_stops() {
    // The first loop sends its first session away at once, and the two people are to be in one.
    let mut server = TestServer::with(&[("server.loops", "1")]);
    let (anna, bert) = server.anna_and_bert();
    let listening = [&anna, &bert].map(|one| one.start(&["--verbose", "receive", "--follow"]));
    let sessions = |server: &TestServer| json(server, &["sessions", "list"]).len();
    eventually("two sessions", || (sessions(&server) == 2).then_some(()));
    let stops = json(&server, &["drain", "--over", "1h"]).remove(0);
    let mut before = stops["stops"].clone();
    assert_eq!(stops["sessions"], 2);
    let [annas, berts] = listening;
    annas.wait_for_err("the server has ended the session");
    // Another time ends nobody at that moment.
    server.administer(&["drain", "--over", "25h"]).exits(2).says("from 0ms to 1d");
    server.administer(&["doctor", "--live"]).exits(1).says("no letter was sent");
    for over in ["3h", "2h"] {
        let again = json(&server, &["drain", "--over", over]).remove(0);
        let status = json(&server, &["status"]).remove(0);
        assert_eq!(status["drained_by"], again["stops"]);
        assert!(again["stops"].as_str() > stops["stops"].as_str(), "{again}");
        assert_eq!(again["replaced"], before);
        before = again["stops"].clone();
        assert_eq!(sessions(&server), 1);
    }
    server.administer(&["health"]).exits(0);
    server.administer(&["health", "--ready"]).exits(1).says("sends all sessions away");
    anna.send(&bert, "one").exits(3);
    annas.signal(Signal::TERM);
    let _ = annas.finish();

    server.administer(&["undrain"]).exits(0).says("goes on");
    server.administer(&["undrain"]).exits(1).says("not being drained");
    server.administer(&["health", "--ready"]).exits(0);
    berts.signal(Signal::TERM);
    let _ = berts.finish();
    anna.send(&bert, "two").exits(0);
    bert.receives(&["one", "two"]);

    // When nobody is left, there is nothing to wait for.
    server.administer(&["drain", "--over", "1d"]).exits(0).says("the server stops now");
    server.ends(0);
    server.start();
    anna.send(&bert, "three").exits(0);
    bert.receives(&["three"]);

    // Who wants no delay is answered, too.
    let listening = bert.start(&["receive", "--follow"]);
    eventually("a session", || (sessions(&server) == 1).then_some(()));
    server.administer(&["drain", "--over", "0s"]).exits(0).says("1 session will end");
    server.ends(0);
    listening.signal(Signal::TERM);
}

#[test]
fn a_server_can_be_reached_although_its_configuration_cannot_be_read_any_more() {
    let mut server = TestServer::new();
    let broken = server.data().join("broken.toml");
    std::fs::write(&broken, "[server\n").unwrap();
    let broken = broken.to_str().unwrap();
    let asked = server.administer(&["--config", broken, "status"]).exits(0);
    asked.says("takes writes").says("broken.toml");
    server.administer(&["--config", broken, "users", "list"]).exits(0).says("broken.toml");
    let absent = server.data().join("absent.toml");
    let mut command = std::process::Command::new(crate::binaries::server());
    command.env("WAXWING_SERVER__CONTROL", server.data().join("control.sock"));
    let asked = Process::start(command.arg("status").arg("--config").arg(absent));
    asked.finish_without_input().exits(0).says("takes writes").says("absent.toml");
    server.stop();
    server.administer(&["--config", broken, "users", "list"]).exits(78);
    server.administer(&["--config", broken, "status"]).exits(78).says("broken.toml");
}
