//! Output and remarks that nobody takes: a full disk, a reader that has gone.

use std::fs::OpenOptions;
use std::io::pipe;
use std::process::{Command, Stdio};

use crate::test_server::{Person, TestServer};

fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

/// A pipe whose reader has gone.
fn broken() -> Stdio {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer.into()
}

/// The exit code, and what came on standard error unless that was replaced.
fn ends(command: &mut Command, out: Option<Stdio>, err: Option<Stdio>) -> (Option<i32>, String) {
    command.stdin(Stdio::null());
    command.stdout(out.unwrap_or_else(Stdio::null));
    command.stderr(err.unwrap_or_else(Stdio::piped));
    let ran = command.spawn().unwrap().wait_with_output().unwrap();
    (ran.status.code(), String::from_utf8(ran.stderr).unwrap())
}

fn without_remarks(person: &Person, args: &[&str]) {
    for gone in [full, broken] {
        let args = [&["--verbose"], args].concat();
        assert_eq!(ends(&mut person.command(&args), None, Some(gone())).0, Some(0), "{args:?}");
    }
}

#[test]
fn remarks_and_log_lines_that_nobody_takes_end_no_command() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    without_remarks(&anna, &["send", &bert.phone, "hello"]);
    bert.receives(&["hello", "hello"]);
    without_remarks(&anna, &["chat", &bert.phone]);
    without_remarks(&anna, &["contacts"]);
    let (code, _) = ends(&mut anna.command(&["nonsense"]), None, Some(full()));
    assert_eq!(code, Some(2));
    let (code, _) = ends(&mut anna.command(&["verify", "+15550009999"]), None, Some(full()));
    assert_eq!(code, Some(3));
}

#[test]
fn a_letter_that_could_not_be_printed_is_printed_by_the_next_command() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "hello").exits(0);
    for command in [&["receive"][..], &["receive", "--json"], &["chat", &anna.phone]] {
        let (code, said) = ends(&mut bert.command(command), Some(full()), None);
        assert_eq!(code, Some(1), "{command:?}: {said}");
        assert!(said.contains("the output cannot be written"), "{said}");
        // Whoever has closed the pipe does not want to hear of it.
        let (code, said) = ends(&mut bert.command(command), Some(broken()), None);
        assert_eq!(code, Some(1), "{command:?}: {said}");
        assert!(!said.contains("cannot be written"), "{said}");
    }
    bert.receives(&["hello"]);
    bert.receives_nothing();
}

#[test]
fn output_that_cannot_be_written_is_a_failure_of_every_command() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "hello").exits(0);
    for command in [
        &["--help"][..],
        &["--version"],
        &["send", "--help"],
        &["whoami"],
        &["contacts"],
        &["history", &bert.phone],
        &["send", &bert.phone, "more"],
    ] {
        let (code, said) = ends(&mut anna.command(command), Some(full()), None);
        assert_eq!(code, Some(1), "{command:?}: {said}");
        assert!(said.contains("the output cannot be written"), "{command:?}: {said}");
        assert!(said.contains("make room where it goes"), "{command:?}: {said}");
    }
}

#[test]
fn a_letter_whose_status_cannot_be_written_is_not_to_be_sent_again() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let mut send = anna.command(&["send", &bert.phone, "once"]);
    let (code, said) = ends(&mut send, Some(full()), None);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the letter is stored"), "{said}");
    assert!(said.contains("do not send it again"), "{said}");
    bert.receives(&["once"]);
}
