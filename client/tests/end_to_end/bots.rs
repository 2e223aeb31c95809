//! Programs that answer letters by themselves, and are killed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::process::{Process, eventually};
use crate::test_server::{Person, TestServer, lines};

/// Moments, in milliseconds after the start, at which a bot is killed. Some come before it does anything.
const MOMENTS: [u64; 7] = [0, 60, 110, 170, 240, 350, 600];

/// Anna writes to a bot of Bert's that is killed again and again, and gets one answer to each letter.
fn echoes_each_letter_once(start: impl Fn(&Person) -> Command, kill: impl Fn(u32, usize)) {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let mut expected = Vec::new();
    for (round, moment) in MOMENTS.into_iter().enumerate() {
        for n in 0..2 {
            let text = format!("{round}.{n}");
            anna.send(&bert, &text).exits(0);
            expected.push(text);
        }
        let bot = Process::start(&mut start(&bert));
        thread::sleep(Duration::from_millis(moment));
        kill(bot.id(), round);
        bot.kill();
    }
    let bot = Process::start(&mut start(&bert));
    let mut answers = Vec::new();
    eventually("all answers", || {
        let ran = anna.run(&["receive", "--json"]);
        answers
            .extend(lines(&ran.out).iter().map(|line| line["text"].as_str().unwrap().to_owned()));
        (answers.len() >= expected.len()).then_some(())
    });
    assert_eq!(answers, expected);
    kill(bot.id(), 0);
    bot.kill();
    bert.run(&["receive"]);
    anna.receives_nothing();
}

/// The children of a process.
fn children(of: u32) -> Vec<u32> {
    let path = format!("/proc/{of}/task/{of}/children");
    let list = fs::read_to_string(path).unwrap_or_default();
    list.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

fn kill_all(ids: &[u32]) {
    for id in ids {
        let id = Pid::from_raw(i32::try_from(*id).unwrap()).unwrap();
        let _ = kill_process(id, Signal::KILL);
    }
}

fn example(name: &str) -> String {
    format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_bot_in_python_that_is_killed_at_any_moment_answers_each_letter_once() {
    echoes_each_letter_once(
        |bert| {
            let mut command = Command::new("python3");
            command.arg(example("echo.py")).arg("--home").arg(&bert.home);
            command.env("WAXWING", crate::binaries::client());
            command
        },
        // Now the bot, now its waxwing; then the other ends by itself.
        |bot, round| {
            if round % 2 == 1 {
                kill_all(&children(bot));
            }
        },
    );
}

#[test]
fn a_bot_in_shell_that_is_killed_at_any_moment_answers_each_letter_once() {
    echoes_each_letter_once(
        |bert| {
            let program = example("echo.sh");
            let mut command = bert.command(&["receive", "--follow", "--exec", &program]);
            command.env("WAXWING", crate::binaries::client());
            command
        },
        // Now with the program that it runs, now without.
        |receive, round| {
            if round % 2 == 1 {
                kill_all(&children(receive));
            }
        },
    );
}

/// A program of so many lines, for each letter.
fn script(person: &Person, lines: &str) -> String {
    let path = person.home.join("program");
    fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_program_that_fails_gets_the_same_letter_again_before_those_behind_it() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    for text in ["one\n\n two", "three"] {
        anna.send(&bert, text).exits(0);
    }
    let seen = bert.home.join("seen");
    let seen_name = seen.display();
    // It fails at the first time.
    let program = script(
        &bert,
        &format!(
            "cat >>{seen_name}; echo \"|$LETTER_FROM $LETTER_REQUEST\" >>{seen_name}\n\
             test -e {seen_name}.failed && exit 0; touch {seen_name}.failed; exit 7"
        ),
    );
    let once = ["receive", "--exec", &program];
    bert.run(&once).exits(1).says("exit status: 7");
    bert.run(&once).exits(0);
    let from = format!("|{} true\n", anna.phone);
    let expected = format!("one\n\n two{from}one\n\n two{from}three{from}");
    assert_eq!(fs::read_to_string(&seen).unwrap(), expected);
    bert.receives_nothing();

    // With --follow it is tried again by itself; and one that reads nothing is done all the same.
    fs::remove_file(format!("{seen_name}.failed")).unwrap();
    anna.send(&bert, &"long ".repeat(12_000)).exits(0);
    let program = script(&bert, &format!("mkdir {seen_name}.failed && exit 7; echo $LETTER_UID"));
    let following = bert.start(&["receive", "--follow", "--exec", &program]);
    following.wait_for_err("trying again in 1 s");
    following.wait_for_out(|out| out.ends_with('\n'));
    anna.send(&bert, "four").exits(0);
    following.wait_for_out(|out| out.lines().count() == 2);
    following.signal(Signal::TERM);
    following.finish().exits(0);
    bert.receives_nothing();

    anna.send(&bert, "five").exits(0);
    let program = script(&bert, &format!("cat >{seen_name}"));
    bert.run(&["receive", "--json", "--exec", &program]).exits(0);
    assert_eq!(lines(&fs::read_to_string(&seen).unwrap())[0]["text"], "five");
}

#[test]
fn with_a_time_a_program_that_fails_again_and_again_is_given_up() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "never done").exits(0);
    let program = script(&bert, "exit 7");
    let following = ["receive", "--follow", "--timeout", "2", "--exec", &program];
    let ran = bert.run(&following).exits(1).says("exit status: 7; trying again in 1 s");
    ran.says("exit status: 7; the time of --timeout is over, and the letter stays new");
    bert.receives(&["never done"]);
}

/// A program that reads from a pipe cannot tell a short letter from one that was cut because `waxwing` was
/// killed.
#[test]
fn a_letter_is_complete_before_its_program_starts() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let seen = bert.home.join("seen");
    let program =
        script(&bert, &format!("{{ stat -Lc '%F %s' /dev/stdin; wc -c; }} >{}", seen.display()));
    let text = "long ".repeat(12_000);
    anna.send(&bert, &text).exits(0);
    bert.run(&["receive", "--exec", &program]).exits(0);
    let len = text.len();
    assert_eq!(fs::read_to_string(&seen).unwrap(), format!("regular file {len}\n{len}\n"));
}

#[test]
fn a_program_that_is_not_there_is_told_before_a_letter_comes() {
    let server = TestServer::new();
    let bert = server.person("bert", "+4915112345602");
    let plain = bert.home.join("plain");
    fs::write(&plain, "no program").unwrap();
    let home = bert.home.to_str().unwrap();
    for program in ["/nonexistent/program", "no-such-program", plain.to_str().unwrap(), home] {
        for more in [&[][..], &["--follow"]] {
            let ran = bert.run(&[&["receive", "--exec", program], more].concat());
            ran.exits(78).says("is no program that can be run");
        }
    }
    // One in PATH is found.
    bert.run(&["receive", "--exec", "true"]).exits(7);
}

#[test]
fn what_is_sent_under_a_key_is_sent_once() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let send = |key: &str| anna.run(&["send", &bert.phone, "hello", "--key", key]).exits(0).out;
    assert_eq!(send("a"), send("a"));
    assert_ne!(send("a"), send("b"));
    bert.receives(&["hello", "hello"]);
    for empty in ["", " \u{200b}"] {
        anna.run(&["send", &bert.phone, "hello", "--key", empty]).exits(2).says("can be seen");
    }
    // Who asks again must not believe that it has failed, and ask for ever.
    anna.receives_nothing();
    let uid = send("a").split_whitespace().last().unwrap().to_owned();
    anna.run(&["delete", &bert.phone, "--letter", &uid, "--yes"]).exits(0);
    assert_eq!(send("a"), format!("deleted {uid}\n"));
    bert.receives_nothing();
}
