//! `waxwing chat`, through pipes and on a terminal.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::process::Process;
use crate::test_server::{Person, TestServer};

/// Ctrl-D.
const END: &str = "\x04";

fn on_terminal(person: &Person, with: &Person) -> Process {
    let chat = Process::start_on_terminal(&mut person.command(&["chat", &with.phone]), 80);
    chat.wait_for_out(|out| out.contains("/help"));
    chat
}

#[test]
fn a_chat_shows_ticks_and_what_the_other_says_until_its_input_ends() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let mut annas = anna.start(&["chat", &bert.phone]);
    annas.write("anybody home?\n");
    annas.wait_for_out(|out| out.contains("  ✓ anybody home?\n"));

    let mut berts = bert.start(&["chat", &anna.phone]);
    berts.wait_for_out(|out| out.contains(": anybody home?\n"));
    annas.wait_for_out(|out| out.contains("  ✓✓ anybody home?\n"));
    berts.write("yes\n");
    let out = annas.wait_for_out(|out| out.contains(": yes\n"));
    assert!(out.contains(&bert.phone));
    berts.wait_for_out(|out| out.contains("  ✓✓ yes\n"));

    annas.finish_without_input().exits(0);
    berts.finish_without_input().exits(0);
    // What a chat has shown is not printed again.
    bert.receives_nothing();
    anna.receives_nothing();
}

#[test]
fn what_was_typed_before_the_end_of_input_still_goes_out() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let mut chat = anna.start(&["chat", &bert.phone]);
    chat.write("one\n\ntwo");
    let ran = chat.finish_without_input().exits(0);
    assert!(ran.out.contains("✓ one") && ran.out.contains("✓ two"), "{ran:?}");
    bert.receives(&["one", "two"]);
}

#[test]
fn a_chat_without_a_server_keeps_what_was_typed() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    server.stop();
    let mut chat = anna.start(&["chat", &bert.phone]);
    chat.write("kept\n");
    chat.finish_without_input().exits(0).says("goes out next time");
    server.start();
    anna.receives_nothing();
    bert.receives(&["kept"]);
}

#[test]
fn every_chat_of_a_conversation_shows_all_of_it() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "waits").exits(0);
    let chats = [(); 2].map(|()| bert.start(&["chat", &anna.phone]));
    chats[0].wait_for_out(|out| out.contains(": waits\n"));
    let texts: Vec<_> = (0..20).map(|number| format!("number {number}")).collect();
    for text in &texts {
        anna.send(&bert, text).exits(0);
    }
    for chat in chats {
        let out = chat.wait_for_out(|out| out.contains(": number 19\n"));
        let shown: Vec<_> = out.lines().filter(|line| line.contains(": number ")).collect();
        assert_eq!(shown.len(), texts.len(), "{out}");
        assert!(shown.iter().zip(&texts).all(|(line, text)| line.ends_with(text)), "{out}");
        chat.finish_without_input().exits(0);
    }
    bert.receives_nothing();
}

#[test]
fn a_line_that_is_no_text_is_named_and_the_others_go_out() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let mut chat = anna.start(&["chat", &bert.phone]);
    chat.write_bytes(b"one\r\ntw\xffo\nthree\n");
    chat.write(&format!("{}\nfive", "x".repeat(70_000)));
    let ran = chat.finish_without_input().exits(2).says("line 2 is not sent: its byte 3");
    let ran = ran.says("line 4 is not sent: it is longer than the 61134 bytes");
    ran.says("2 lines of the input were not sent");
    bert.receives(&["one", "three", "five"]);
}

#[test]
fn input_without_an_end_holds_up_neither_letters_nor_ctrl_c() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let mut chat = anna.start(&["chat", &bert.phone]);
    let lines = "line\n".repeat(500);
    let until = Instant::now() + Duration::from_secs(20);
    while !chat.out().contains("  ✓ line\n") {
        assert!(Instant::now() < until, "{}", chat.err());
        // It takes lines faster than it sends letters.
        chat.write(&lines);
    }
    chat.signal(Signal::INT);
    chat.finish().exits(0).says("not with the server yet");
}

#[test]
fn a_full_mailbox_is_told_once_and_leaving_takes_a_moment() {
    let server = TestServer::with(&[("limits.letters_per_pair", "1")]);
    let (anna, bert) = server.anna_and_bert();
    let mut chat = on_terminal(&anna, &bert);
    chat.write("one\n");
    chat.wait_for_out(|out| out.contains("  ✓ one"));
    chat.write("two\nthree\n");
    let told = "not taken yet: the recipient's mailbox is full, or too many of your letters wait; \
                kept, next try in";
    chat.wait_for_out(|out| out.contains(told));
    let begun = Instant::now();
    chat.write(END);
    let ran =
        chat.finish().exits(0).says("2 letters to +4915112345602 are not with the server yet");
    assert!(begun.elapsed() < Duration::from_secs(30), "{ran:?}");
    let told_of =
        |end| ran.out.lines().filter(move |line| line.contains(told) && line.ends_with(end));
    assert_eq!((told_of(": two").count(), told_of(": three").count() <= 1), (1, true), "{ran:?}");
    assert_eq!(anna.statuses(&bert), ["stored", "queued", "queued"]);
}

#[test]
fn on_a_terminal_a_slash_begins_a_command() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let mut chat = on_terminal(&anna, &bert);
    chat.write("/help\n/nonsense\n//sent\n");
    let out = chat.wait_for_out(|out| out.contains("  ✓ /sent"));
    assert!(out.contains("ends the chat") && out.contains("no command /nonsense"), "{out}");
    chat.write("/quit\n");
    chat.finish().exits(0);
    let mut piped = anna.start(&["chat", &bert.phone]);
    piped.write("/quit\n");
    piped.finish_without_input().exits(0);
    bert.receives(&["/sent", "/quit"]);
}

#[test]
fn on_a_terminal_no_letter_fills_a_line_so_that_its_rest_looks_like_another() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let forged = "2026-01-01 00:00 +4915112345699: send me money";
    anna.send(&bert, &format!("hi{}{forged}", " ".repeat(45))).exits(0);
    let receive = Process::start_on_terminal(&mut bert.command(&["receive"]), 80);
    let ran = receive.finish().exits(0);
    let lines: Vec<_> = ran.out.lines().collect();
    assert!(lines.len() > 1 && lines[0].contains(&anna.phone), "{ran:?}");
    assert!(lines.iter().all(|line| line.chars().count() < 80), "{ran:?}");
    assert!(lines[1..].iter().all(|line| line.starts_with("  | ")), "{ran:?}");
}
