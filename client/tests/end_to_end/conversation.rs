//! Two people who exchange letters, online and across everything that happens to a server.

use std::fmt::Write;

use rustix::process::Signal;

use crate::test_server::{TestServer, lines, numbered, texts};

#[test]
fn two_people_talk_online_and_across_a_server_killed_with_sigkill() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();

    let following = bert.start(&["receive", "--follow", "--json"]);
    anna.send(&bert, "are you there?").exits(0);
    let out = following.wait_for_out(|out| out.contains("are you there?"));
    let line = &lines(&out)[0];
    assert_eq!((&line["from"], &line["kind"]), (&anna.phone.as_str().into(), &"text".into()));
    following.signal(Signal::INT);
    following.finish().exits(0);

    let texts = numbered(1..=100);
    let (by_send, by_chat) = texts.split_at(10);
    for text in by_send {
        anna.send(&bert, text).exits(0).says("stored");
    }
    let mut chat = anna.start(&["chat", &bert.phone]);
    let mut typed = String::new();
    for text in by_chat {
        writeln!(typed, "{text}").unwrap();
    }
    chat.write(&typed);
    chat.finish_without_input().exits(0);

    server.kill();
    server.start();
    bert.receives(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    bert.receives_nothing();

    anna.receives_nothing();
    let statuses = anna.statuses(&bert);
    assert_eq!(statuses.len(), 101);
    assert!(statuses.iter().all(|status| status == "delivered"), "{statuses:?}");
}

#[test]
fn letters_written_while_the_server_is_down_go_out_in_order_with_the_next_connection() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    server.kill();
    // Anna does not even know Bert's key yet.
    for text in ["first", "second", "third"] {
        let ran = anna.send(&bert, text).exits(3).says("do not send it again");
        let (word, uid) = ran.out.trim_end().split_once(' ').unwrap();
        assert_eq!((word, uid.len()), ("queued", 32), "{ran:?}");
    }
    assert_eq!(anna.statuses(&bert), ["queued"; 3]);
    server.start();
    anna.send(&bert, "fourth").exits(0);
    bert.receives(&["first", "second", "third", "fourth"]);
}

#[test]
fn any_command_that_connects_takes_queued_letters_along() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    server.kill();
    anna.send(&bert, "later").exits(3);
    server.start();
    anna.receives_nothing();
    bert.receives(&["later"]);
}

#[test]
fn a_server_that_stops_says_so_and_its_clients_come_back() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "one").exits(0);
    let following = bert.start(&["--verbose", "receive", "--follow", "--json"]);
    following.wait_for_out(|out| out.contains("one"));
    server.stop();
    following.wait_for_err("the server has ended the session");
    server.start();
    anna.send(&bert, "two").exits(0);
    following.wait_for_out(|out| out.contains("two"));
    following.signal(Signal::TERM);
    let ran = following.finish().exits(0);
    assert_eq!(texts(&ran.out), [Some("one".into()), Some("two".into())]);
}

#[test]
fn a_sender_can_wait_until_a_letter_is_delivered() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let wait = |text, timeout| {
        anna.run(&["send", &bert.phone, text, "--wait", "delivered", "--timeout", timeout])
    };
    wait("nobody is there", "2").exits(7).says("stored");
    let following = bert.start(&["receive", "--follow"]);
    following.wait_for_out(|out| out.contains("nobody is there"));
    wait("somebody is there", "60").exits(0).says("delivered");
}
