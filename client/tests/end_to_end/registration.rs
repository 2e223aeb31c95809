//! Getting an account, and everything that keeps one from it.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::process::{Process, eventually};
use crate::proxy::{Proxy, Way};
use crate::sent_codes::{SentCodes, server_and_sent_codes};
use crate::test_server::{Person, TestServer};

const PHONE: &str = "+4915112345601";

/// Has a code sent to somebody who types nothing in.
fn ask_for_code(person: &Person, sent: &SentCodes, count: usize) -> String {
    person.register().exits(6).says("code sent to the phone");
    sent.code(&person.phone, count)
}

pub(crate) fn another(code: &str) -> String {
    let last = if code.ends_with('0') { "1" } else { "0" };
    format!("{}{last}", &code[..5])
}

#[test]
fn a_code_can_be_typed_in_or_given_to_a_later_command() {
    let (server, sent) = server_and_sent_codes(&[]);
    let anna = server.newcomer("anna", PHONE);
    let mut registering = anna.start_registering(&[]);
    registering.wait_for_err("code sent to the phone");
    registering.write(&format!("{}\n", sent.code(PHONE, 1)));
    registering.finish_without_input().exits(0).says("registered +4915112345601 as 1");

    let bert = server.newcomer("bert", "+4915112345602");
    let code = ask_for_code(&bert, &sent, 1);
    bert.run(&["whoami"]).exits(0).says("with the code");
    bert.register_with(&["--otp", &code]).exits(0).says("as 2");
    bert.send(&anna, "hello").exits(0);
    anna.receives(&["hello"]);
    // Once more does no harm.
    bert.register().exits(0).says("as 2");
}

#[test]
fn at_the_prompt_for_the_code_an_interrupt_ends_the_command_and_nothing_is_lost() {
    let (server, sent) = server_and_sent_codes(&[]);
    let anna = server.newcomer("anna", PHONE);
    for signal in [Signal::INT, Signal::TERM] {
        let registering = anna.start_registering(&[]);
        registering.wait_for_err("The code: ");
        registering.signal(signal);
        registering.finish().exits(130).says("interrupted");
    }
    anna.register_with(&["--otp", &sent.code(PHONE, 1)]).exits(0);
    // It was the same attempt all the time.
    assert_eq!(sent.codes(PHONE).len(), 1);
}

#[test]
fn an_interrupt_that_comes_while_the_key_is_made_ends_the_command() {
    let server = TestServer::new();
    let mut anna = server.newcomer("anna", PHONE);
    // It takes connections and says nothing.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    anna.server = silent.local_addr().unwrap();
    let registering = anna.start_registering(&[]);
    eventually("it is at work in the home", || {
        anna.home.join("session.lock").exists().then_some(())
    });
    registering.signal(Signal::INT);
    registering.finish().exits(130).says("interrupted");
}

#[test]
fn what_is_mistyped_at_the_prompt_can_be_typed_again() {
    let (server, sent) = server_and_sent_codes(&[]);
    let anna = server.newcomer("anna", PHONE);
    let mut registering = anna.start_registering(&[]);
    registering.wait_for_err("good for 300 s and 3 attempts");
    registering.write("12345\nabcdef\n");
    registering.write(&format!(" {} \n", sent.code(PHONE, 1)));
    registering.finish().exits(0).says("a code is six digits").says("as 1");

    let bert = server.newcomer("bert", "+4915112345602");
    let mut registering = bert.start_registering(&[]);
    registering.wait_for_err("The code: ");
    registering.write("1\n2\n3\n");
    registering.finish().exits(6).says("--otp CODE");
}

#[test]
fn a_wrong_code_is_asked_for_again_while_it_has_attempts() {
    let (server, sent) = server_and_sent_codes(&[]);
    let anna = server.newcomer("anna", PHONE);
    let mut registering = anna.start_registering(&[]);
    registering.wait_for_err("The code: ");
    let code = sent.code(PHONE, 1);
    registering.write(&format!("{}\n", another(&code)));
    registering.wait_for_err("the code is wrong; attempts left: 2");
    registering.write(&format!("{code}\n"));
    registering.finish().exits(0).says("as 1");

    let bert = server.newcomer("bert", "+4915112345602");
    let mut registering = bert.start_registering(&[]);
    registering.wait_for_err("The code: ");
    let wrong = another(&sent.code(&bert.phone, 1));
    registering.write(&format!("{wrong}\n{wrong}\n{wrong}\n"));
    registering.finish().exits(6).says("the code is wrong; run");
}

#[test]
fn a_phone_that_has_an_account_is_refused_to_another_key() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let thief = server.newcomer("thief", &anna.phone);
    thief.register().exits(3).says("has an account already, with another key");
    thief.run(&["receive"]).exits(1).says("nobody is registered here");
    bert.send(&anna, "still hers").exits(0);
    anna.receives(&["still hers"]);
}

#[test]
fn three_wrong_codes_spend_a_code_and_a_new_one_can_be_had() {
    let (server, sent) = server_and_sent_codes(&[]);
    let anna = server.newcomer("anna", PHONE);
    let code = ask_for_code(&anna, &sent, 1);
    let wrong = another(&code);
    for _ in 0..3 {
        anna.register_with(&["--otp", &wrong]).exits(6).says("the code is wrong");
    }
    anna.register_with(&["--otp", &code]).exits(6).says("is still good: none was asked for here");

    let code = ask_for_code(&anna, &sent, 2);
    anna.register_with(&["--otp", &code]).exits(0);
}

#[test]
fn a_number_that_was_mistyped_does_not_spoil_the_code_of_the_right_one() {
    let (server, sent) = server_and_sent_codes(&[]);
    let anna = server.newcomer("anna", PHONE);
    let mut mistyped = server.newcomer("anna", "+4915112345610");
    let code = ask_for_code(&anna, &sent, 1);
    for _ in 0..4 {
        let ran = mistyped.register_with(&["--otp", &code]).exits(6);
        ran.says("nothing was done: a code was sent to +4915112345601")
            .says("Is the number right?");
    }
    // At a terminal there is a question.
    let mut command = mistyped.command(&["register", "--server", &server.address().to_string()]);
    command.arg("--server-key").arg(&mistyped.server_key).arg(&mistyped.phone);
    let mut asked = Process::start_on_terminal(&mut command, 200);
    asked.wait_for_out(|out| out.contains("gives it up. Go on? [y/N]"));
    asked.write("\n");
    asked.finish().exits(1).says("nothing was done");
    // The file of another server's key does not spoil it, either.
    let mut misled = server.newcomer("anna", PHONE);
    let other = TestServer::new();
    misled.server_key = other.public_key();
    misled.register_with(&["--otp", &code]).exits(6).says("Is the file right?");
    anna.register_with(&["--otp", &code]).exits(0).says("as 1");

    // Whoever has mistyped at first goes on with the right number at once.
    mistyped.home = server.newcomer("bert", "").home;
    let bert = server.newcomer("bert", "+4915112345602");
    ask_for_code(&mistyped, &sent, 1);
    bert.register().exits(6).says("the code that was sent to +4915112345610 is given up");
    bert.register_with(&["--otp", &sent.code(&bert.phone, 1)]).exits(0).says("as 2");
}

#[test]
fn after_a_code_that_is_not_good_any_more_the_next_attempt_has_another_name() {
    let (server, sent) = server_and_sent_codes(&[]);
    let anna = server.newcomer("anna", PHONE);
    let name = || -> Vec<u8> {
        let select = "SELECT reply_key FROM identity";
        anna.database().query_one(select, [], |row| row.get(0)).unwrap()
    };
    // No code was ever asked for.
    let refused = || {
        anna.register_with(&["--otp", "123456"])
            .exits(6)
            .says("is still good: none was asked for here")
    };
    refused();
    let first = name();
    refused();
    assert_ne!(name(), first);
    let code = ask_for_code(&anna, &sent, 1);
    let second = name();
    anna.register_with(&["--otp", &another(&code)]).exits(6).says("the code is wrong");
    // A wrong code spends one of its attempts, and the code is still that of this attempt.
    assert_eq!(name(), second);
    anna.register_with(&["--otp", &code]).exits(0).says("as 1");
}

#[test]
fn an_expired_code_is_refused() {
    let (server, sent) = server_and_sent_codes(&[("otp.ttl", "1s")]);
    let anna = server.newcomer("anna", PHONE);
    let code = ask_for_code(&anna, &sent, 1);
    let expired = Instant::now() + Duration::from_millis(1_100);
    eventually("the code expires", || (Instant::now() > expired).then_some(()));
    anna.register_with(&["--otp", &code]).exits(6).says("is still good: none was asked for here");
    anna.run(&["whoami"]).exits(0).says("none yet");
}

#[test]
fn an_account_whose_201_was_lost_is_found_by_registering_again() {
    let mut server = TestServer::new();
    let proxy = Proxy::before(server.address());
    let mut anna = server.newcomer("anna", PHONE);
    anna.server = proxy.address();
    proxy.cut(Way::ToClient, 201);
    anna.register().exits(3);
    assert!(proxy.has_cut());
    anna.run(&["whoami"]).exits(0).says("not known yet");
    server.kill();
    server.start();
    anna.register().exits(0).says("as 1");
    anna.receives_nothing();
}

#[test]
fn registering_goes_on_after_any_of_its_packets_was_lost() {
    let server = TestServer::new();
    let proxy = Proxy::before(server.address());
    let steps = [(Way::ToServer, 100), (Way::ToClient, 200), (Way::ToServer, 101)];
    let steps = steps.into_iter().chain([(Way::ToServer, 203), (Way::ToClient, 255)]);
    for (number, (way, op)) in steps.enumerate() {
        let mut person = server.newcomer(&format!("home{number}"), &format!("{PHONE}{number}"));
        person.server = proxy.address();
        proxy.cut(way, op);
        let cut = person.register();
        assert!(proxy.has_cut(), "{op}");
        assert!(cut.code == Some(3), "{op}: {cut:?}");
        person.register().exits(0);
        person.receives_nothing();
    }
}

#[test]
fn a_home_with_an_account_takes_no_other_phone() {
    let server = TestServer::new();
    let (anna, _) = server.anna_and_bert();
    let other = Person { phone: "+4915112345609".into(), home: anna.home.clone(), ..anna };
    other.register().exits(1).says("this home belongs to +4915112345601");
}
