//! The client at a terminal, where it asks questions.

use rustix::process::Signal;
use waxwing::backend::load_key;
use waxwing_core::crypto::PrivateKey;
use waxwing_core::testing::keys::pkcs8_der;

use crate::keys::{number, replace_key};
use crate::process::Process;
use crate::test_server::{Person, TestServer};

/// A client whose standard streams are a terminal.
fn at_terminal(person: &Person, args: &[&str]) -> Process {
    Process::start_on_terminal(&mut person.command(args), 80)
}

#[track_caller]
fn shows(process: &Process, what: &str) {
    process.wait_for_out(|out| out.contains(what));
}

#[test]
fn an_interrupt_at_a_yes_or_no_question_ends_the_command_and_decides_nothing() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "hello").exits(0);
    let asked = at_terminal(&anna, &["verify", &bert.phone]);
    shows(&asked, "see the same number? [y/N]");
    asked.signal(Signal::INT);
    shows(&asked, "interrupted");
    asked.finish().exits(130);
    anna.run(&["contacts"]).exits(0).says("not verified");
}

#[test]
fn a_number_that_the_server_was_not_asked_about_is_shown_as_such() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "hello").exits(0);
    let following = anna.start(&["receive", "--follow", "--json"]);
    bert.send(&anna, "answer").exits(0);
    following.wait_for_out(|out| out.contains("answer"));
    let ran = anna.run(&["verify", &bert.phone]).exits(0);
    ran.says(&format!("process {} of this home talks to the server", following.id()))
        .says("press v on its full screen")
        .says("this is what the server said on 20");
    following.signal(Signal::INT);
    following.finish().exits(0);
    let ran = anna.run(&["verify", &bert.phone]).exits(0);
    assert_eq!(ran.err, "");
}

#[test]
fn a_key_is_accepted_by_the_one_who_has_compared_its_number() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "hello").exits(0);
    let false_key = load_key(pkcs8_der(0)).unwrap().spki().as_bytes().to_vec();
    let true_key = replace_key(&mut server, &bert, &false_key);
    let shown = number(&anna, &bert, 4);

    // While Anna compares, the server goes back to the key that she has.
    let mut asked = at_terminal(&anna, &["verify", &bert.phone]);
    shows(&asked, shown.trim());
    shows(&asked, "see the same number? [y/N]");
    replace_key(&mut server, &bert, &true_key);
    number(&anna, &bert, 0);
    asked.write("y\n");
    shows(&asked, "nothing is accepted");
    asked.finish().exits(4);

    let mut asked = at_terminal(&anna, &["verify", &bert.phone]);
    shows(&asked, "see the same number? [y/N]");
    asked.write("y\n");
    shows(&asked, "is verified");
    asked.finish().exits(0);
    assert_eq!(number(&anna, &bert, 0), number(&bert, &anna, 0));
}

#[test]
fn a_new_server_key_is_trusted_after_yes_and_nothing_else() {
    let (old, new) = (TestServer::new(), TestServer::new());
    let anna = old.person("anna", "+4915112345601");
    let key = new.public_key();
    let address = new.address().to_string();
    let again = ["register", "--server", &address, "--server-key", key.to_str().unwrap()];
    let again = [&again[..], &[&anna.phone]].concat();
    for (answer, code) in [("y\n", 4), ("\n", 4), ("yes\n", 0)] {
        let mut asked = at_terminal(&anna, &again);
        shows(&asked, "Type yes: ");
        asked.write(answer);
        asked.finish().exits(code);
    }
    anna.receives_nothing();
}
