//! The client at a terminal, where it asks questions.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use waxwing::backend::load_key;
use waxwing_core::crypto::PrivateKey;
use waxwing_core::testing::keys::pkcs8_der;

use crate::keys::{number, replace_key};
use crate::process::eventually;
use crate::test_server::{Person, TestServer};

/// A client whose standard streams are a terminal.
struct AtTerminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<String>>,
}

impl AtTerminal {
    fn start(person: &Person, args: &[&str]) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let side = || Stdio::from(rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap());
        let mut command = person.command(args);
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        drop(command);
        let keyboard = File::from(terminal);
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut from, shown) = (keyboard.try_clone().unwrap(), screen.clone());
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        Self { child, keyboard, screen }
    }

    fn wait_for(&self, what: &str) {
        eventually(what, || self.screen.lock().unwrap().contains(what).then_some(()));
    }

    fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    fn ends(mut self) -> Option<i32> {
        let status = eventually("its end", || self.child.try_wait().unwrap());
        status.code()
    }
}

impl Drop for AtTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_interrupt_at_a_yes_or_no_question_ends_the_command_and_decides_nothing() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "hello").exits(0);
    let asked = AtTerminal::start(&anna, &["verify", &bert.phone]);
    asked.wait_for("see the same number? [y/N]");
    kill_process(Pid::from_child(&asked.child), Signal::INT).unwrap();
    asked.wait_for("interrupted");
    assert_eq!(asked.ends(), Some(130));
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
    ran.says("another waxwing command of this home has the session");
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
    let mut asked = AtTerminal::start(&anna, &["verify", &bert.phone]);
    asked.wait_for(shown.trim());
    asked.wait_for("see the same number? [y/N]");
    replace_key(&mut server, &bert, &true_key);
    number(&anna, &bert, 0);
    asked.types("y\n");
    asked.wait_for("nothing is accepted");
    assert_eq!(asked.ends(), Some(4));

    let mut asked = AtTerminal::start(&anna, &["verify", &bert.phone]);
    asked.wait_for("see the same number? [y/N]");
    asked.types("y\n");
    asked.wait_for("is verified");
    assert_eq!(asked.ends(), Some(0));
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
        let mut asked = AtTerminal::start(&anna, &again);
        asked.wait_for("Type yes: ");
        asked.types(answer);
        assert_eq!(asked.ends(), Some(code), "{answer:?}");
    }
    anna.receives_nothing();
}
