//! Servers that move, lose an account, or have another key: what a home believes of its server is
//! checked before it is changed, and keys, contacts and history stay.

use std::io;
use std::net::{Shutdown, TcpListener};

use rustix::process::Signal;

use crate::clocks;
use crate::process::{Ran, eventually};
use crate::proxy::{Proxy, Way};
use crate::registration::another;
use crate::sent_codes::server_and_sent_codes;
use crate::test_server::{Person, TestServer};

/// What `whoami` says in the line that begins with `what`.
fn whoami(person: &Person, what: &str) -> String {
    let out = person.run(&["whoami"]).exits(0).out;
    let line = out.lines().find_map(|line| line.strip_prefix(what));
    line.unwrap_or_else(|| panic!("{out}")).trim().to_owned()
}

fn fingerprint(server: &TestServer) -> String {
    server.administer(&["key", "fingerprint"]).exits(0).out.trim().to_owned()
}

/// The operator removes the account: the server knows it no more than after an old backup.
fn remove(server: &mut TestServer, person: &Person) {
    server.stop();
    server.administer(&["users", "remove", "--yes", &person.phone]).exits(0);
    server.start();
}

#[test]
fn registering_in_a_registered_home_asks_the_server() {
    let mut server = TestServer::new();
    let (mut anna, _) = server.anna_and_bert();
    anna.register().exits(0).says("registered +4915112345601 as 1");
    let before = whoami(&anna, "server ");
    // Nobody is there, or somebody else: neither is believed, and the home stays as it was.
    let (right, key) = (anna.server, anna.server_key.clone());
    anna.server = "127.0.0.1:1".parse().unwrap();
    let ran = anna.register().exits(3).says("cannot reach 127.0.0.1:1").says("--server");
    assert_eq!(ran.out, "");
    let other = TestServer::new();
    anna.server = other.address();
    let ran = anna.register().exits(4).says("not signed with the key that this home trusts");
    assert_eq!(ran.out, "");
    assert_eq!(whoami(&anna, "server "), before);
    anna.receives_nothing();

    // Without an address it asks where the server was.
    anna.run(&["register", "--server-key", key.to_str().unwrap(), &anna.phone]).exits(0);
    anna.server = right;
    server.stop();
    anna.register().exits(3).says("cannot reach");
}

#[test]
fn a_server_is_followed_to_another_address_once_it_has_answered_there() {
    let server = TestServer::new();
    let (mut anna, bert) = server.anna_and_bert();
    let moved = Proxy::before(server.address());
    anna.server = moved.address();
    anna.register().exits(0).says("from now on the server is at").says("as 1");
    assert_eq!(whoami(&anna, "server "), moved.address().to_string());
    anna.send(&bert, "from the new address").exits(0);
    assert!(moved.ops().contains(&(Way::ToServer, 102)));
    bert.receives(&["from the new address"]);
}

/// Registers where one of these addresses answers.
fn register_at(person: &Person, addresses: &str) -> Ran {
    let key = person.server_key.to_str().unwrap();
    let words = ["register", "--server", addresses, "--server-key", key, &person.phone];
    person.run(&words)
}

#[test]
fn a_server_with_several_addresses_is_found_at_the_one_that_answers() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let there = Proxy::before(server.address());
    let addresses = format!("127.0.0.1:1,[::1]:1,{}", there.address());
    register_at(&anna, &addresses).exits(0).says("from now on the server is at").says("as 1");
    assert_eq!(whoami(&anna, "server "), addresses);
    anna.send(&bert, "found").exits(0);
    assert!(there.ops().contains(&(Way::ToServer, 102)));
    // What answered comes first from now on, and the others follow in the order in which they stood.
    assert_eq!(whoami(&anna, "server "), format!("{},127.0.0.1:1,[::1]:1", there.address()));
    bert.receives(&["found"]);

    server.stop();
    register_at(&anna, "127.0.0.1:1,127.0.0.1:2")
        .exits(3)
        .says("cannot reach 127.0.0.1:1: ")
        .says(", nor 127.0.0.1:2: ");
    register_at(&anna, "127.0.0.1:1,127.0.0.1").exits(2).says("HOST:PORT");
}

#[test]
fn an_address_that_takes_a_connection_and_does_not_serve_is_left_for_the_next() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let [bad, good] = [Proxy::before(server.address()), Proxy::before(server.address())];
    let addresses = format!("{},{}", bad.address(), good.address());
    register_at(&anna, &addresses).exits(0);
    bad.cut(Way::ToServer, 106);
    anna.send(&bert, "on another way").exits(0);
    assert!(bad.has_cut());
    assert!(good.ops().contains(&(Way::ToServer, 102)));
    assert_eq!(whoami(&anna, "server "), format!("{},{}", good.address(), bad.address()));
    bert.receives(&["on another way"]);
}

#[test]
fn asking_whether_the_server_knows_an_account_takes_no_session_from_anybody() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let proxy = Proxy::before(server.address());
    let following = bert.start(&["receive", "--follow", "--json"]);
    anna.send(&bert, "one").exits(0);
    following.wait_for_out(|out| out.contains("one"));
    // Another copy of the home, as a person may have made one.
    let copy = Person { server: proxy.address(), ..server.copy_of(&bert) };
    copy.register().exits(0).says("as 2");
    assert!(!proxy.ops().contains(&(Way::ToServer, 203)));
    anna.send(&bert, "two").exits(0);
    following.wait_for_out(|out| out.contains("two"));
    following.signal(Signal::INT);
    following.finish().exits(0);
}

#[test]
fn an_account_that_the_server_has_lost_is_registered_again_under_the_same_key() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let cleo = server.person("cleo", "+4915112345603");
    anna.send(&bert, "before").exits(0);
    bert.receives(&["before"]);
    bert.send(&anna, "answer").exits(0);
    anna.receives(&["answer"]);
    anna.send(&cleo, "hello").exits(0);
    cleo.receives(&["hello"]);
    anna.send(&cleo, "on its way").exits(0);
    let key = whoami(&anna, "fingerprint ");
    remove(&mut server, &anna);

    anna.send(&bert, "written meanwhile").exits(3).says("waxwing register");
    anna.register().exits(0).says("does not know").says("registered +4915112345601 as 4");
    assert_eq!(whoami(&anna, "fingerprint "), key);
    anna.receives_nothing();
    bert.receives(&["written meanwhile"]);
    // Nobody has to compare anything again, and nobody is asked to accept anything.
    bert.send(&anna, "welcome back").exits(0);
    anna.receives(&["welcome back"]);
    assert_eq!(anna.history(&bert).len(), 4);
    // What the old account had sent and nobody has acknowledged is sent again, and read once.
    cleo.receives(&["on its way"]);
    cleo.receives_nothing();
    anna.receives_nothing();
    assert_eq!(anna.statuses(&cleo), ["delivered"; 2]);
    anna.register().exits(0).says("as 4");
}

#[test]
fn a_letter_whose_answer_was_lost_with_the_account_goes_out_under_the_new_id() {
    let mut server = TestServer::new();
    let proxy = Proxy::before(server.address());
    let (mut anna, bert) = server.anna_and_bert();
    anna.send(&bert, "first").exits(0);
    bert.receives(&["first"]);
    anna.server = proxy.address();
    anna.register().exits(0);
    proxy.cut(Way::ToClient, 203);
    anna.send(&bert, "once").exits(3);
    remove(&mut server, &anna);
    let before = proxy.ops().len();
    anna.register().exits(0).says("as 3");
    // One refusal could be played back by anybody.
    let said = proxy.ops().split_off(before).into_iter();
    let said: Vec<_> = said.filter(|(way, _)| *way == Way::ToServer).map(|(_, op)| op).collect();
    assert_eq!(said[..4], [106, 106, 106, 100]);
    anna.receives_nothing();
    bert.receives(&["once"]);
    bert.receives_nothing();
}

#[test]
fn registering_again_goes_on_where_it_was_and_takes_the_code_from_a_later_command() {
    let (mut server, sent) = server_and_sent_codes(&[]);
    let anna = server.newcomer("anna", "+4915112345601");
    anna.register().exits(6);
    anna.register_with(&["--otp", &sent.code(&anna.phone, 1)]).exits(0).says("as 1");
    remove(&mut server, &anna);
    anna.register().exits(6).says("code sent to the phone");
    // The id is not lost before there is another.
    anna.run(&["whoami"]).exits(0).says("which the server did not know");
    let code = sent.code(&anna.phone, 2);
    anna.register_with(&["--otp", &another(&code)]).exits(6).says("the code is wrong");
    anna.register_with(&["--otp", &code]).exits(0).says("as 2");
    anna.receives_nothing();
}

#[test]
fn a_phone_that_somebody_else_took_meanwhile_is_said_and_nothing_is_lost() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "before").exits(0);
    remove(&mut server, &anna);
    let thief = server.newcomer("thief", &anna.phone);
    thief.register().exits(0).says("as 3");
    let ran = anna.register().exits(3).says("has an account already, with another key");
    ran.says("waxwing-server users remove");
    assert_eq!(anna.history(&bert).len(), 1);
    // The operator sorts it out.
    remove(&mut server, &thief);
    anna.register().exits(0).says("as 4");
}

#[test]
fn a_server_with_a_new_key_is_trusted_after_an_explicit_word_and_pins_stay() {
    let (old, new) = (TestServer::new(), TestServer::new());
    // Somebody is there already, with the ids that others had.
    new.person("cleo", "+4915112345603");
    let (mut anna, mut bert) = old.anna_and_bert();
    anna.send(&bert, "before").exits(0);
    bert.receives(&["before"]);
    bert.send(&anna, "answer").exits(0);
    anna.receives(&["answer"]);
    let numbers = bert.run(&["verify", &anna.phone]).exits(0).out;
    for person in [&mut anna, &mut bert] {
        person.server = new.address();
        person.server_key = new.public_key();
    }

    let (trusted, offered) = (fingerprint(&old), fingerprint(&new));
    let before = whoami(&anna, "server key ");
    let ran = anna.register().exits(4).says(&format!("trusted so far  {before}"));
    ran.says(&format!("--accept-server-key {offered}"));
    assert_eq!(whoami(&anna, "server key "), before);
    // Only the fingerprint of the very key is a word for it.
    anna.register_with(&["--accept-server-key", &trusted]).exits(4).says("another key than");
    anna.register_with(&["--accept-server-key", "yes"]).exits(2);
    assert_eq!(whoami(&anna, "server key "), before);

    anna.register_with(&["--accept-server-key", &offered]).exits(0).says("as 2");
    let after: String = whoami(&anna, "server key ").split_whitespace().collect();
    assert_eq!(after, offered);
    bert.register_with(&["--accept-server-key", &offered]).exits(0).says("as 3");
    anna.send(&bert, "after").exits(0);
    bert.receives(&["after"]);
    bert.send(&anna, "here too").exits(0);
    anna.receives(&["here too"]);
    assert_eq!(anna.history(&bert).len(), 4);
    assert_eq!(bert.run(&["verify", &anna.phone]).exits(0).out, numbers);
}

#[test]
fn a_new_server_key_is_not_believed_before_it_has_signed_an_answer() {
    let (server, other) = (TestServer::new(), TestServer::new());
    let (mut anna, bert) = server.anna_and_bert();
    let trusted = whoami(&anna, "server key ");
    let right = anna.server_key.clone();
    // A mistaken file, and a word for it.
    anna.server_key = other.public_key();
    anna.register_with(&["--accept-server-key", &fingerprint(&other)]).exits(4);
    assert_eq!(whoami(&anna, "server key "), trusted);
    anna.send(&bert, "still here").exits(0);
    anna.server_key = right;
    anna.register().exits(0).says("as 1");
}

/// The private key that is planned counts from this moment on, as if the server had slept until then.
fn let_the_moment_come(server: &TestServer) {
    let file = server.data().join("server.next.key.pem");
    let planned = std::fs::read_to_string(&file).unwrap();
    let (_, pem) = planned.split_once('\n').unwrap();
    std::fs::write(&file, format!("Effective: 2026-01-01 00:00:00\n{pem}")).unwrap();
}

fn moment(seconds: i64) -> String {
    let now = jiff::Timestamp::now().as_second();
    jiff::Timestamp::from_second(now + seconds).unwrap().to_string()
}

#[test]
fn people_who_were_told_go_on_when_the_server_has_its_planned_key_and_others_are_told_why() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let away = server.person("cleo", "+4915112345603");
    let before = fingerprint(&server);
    // Nothing is done in a hurry unless the operator says so.
    let soon = moment(20 * 60 * 60);
    let hasty = server.administer(&["key", "rotate", "--from", &soon]).exits(2).says("--force");
    // Who is here has asked today, and may not ask again in time.
    assert!(hasty.err.contains("clients ask once a day"), "{}", hasty.err);
    let far = server.administer(&["key", "rotate", "--from", "2999-01-15"]).exits(2);
    assert!(far.err.contains("later than in 3650 days"), "{}", far.err);
    server.administer(&["key", "rotate", "--cancel"]).exits(1).says("no other key is planned");
    let later = moment(30 * 24 * 60 * 60);
    let first = server.administer(&["key", "rotate", "--from", &later]).exits(0).out;
    let first = first.lines().find_map(|line| line.strip_prefix("next key     ")).unwrap();
    let second = server.administer(&["key", "rotate", "--from", &soon, "--force"]).exits(0).out;
    assert!(second.contains(&format!("{first}, is forgotten")), "{second}");
    let planned = server.administer(&["key", "show"]).exits(0).out;
    assert!(planned.contains(&before) && planned.contains(&soon), "{planned}");
    anna.send(&bert, "before").exits(0);
    bert.receives(&["before"]);

    server.stop();
    let_the_moment_come(&server);
    server.start();
    let after = fingerprint(&server);
    assert_ne!(after, before);
    assert!(planned.contains(&after), "{planned}");
    // By a clock that is days behind, the key that was announced is not to be tried yet.
    let clock = clocks::wrong_clock(&server);
    let refused = clocks::run(&anna, &clock, -3 * clocks::DAY, &["receive"]).exits(4);
    assert!(
        refused.err.contains(&soon) && refused.err.contains("is the clock right?"),
        "{}",
        refused.err
    );
    let sent = anna.send(&bert, "after").exits(0);
    assert!(!sent.err.contains("key"), "{}", sent.err);
    bert.receives(&["after"]);
    bert.send(&anna, "answer").exits(0);
    anna.receives(&["answer"]);
    assert_eq!(anna.history(&bert).len(), 3);
    away.run(&["receive"]).exits(4).says("not signed with the key that this home trusts");
    // Whoever is new is given the new key.
    server.person("dora", "+4915112345604");

    // A server that runs takes a planned key, too. Whoever has asked today hears of it too late.
    server.administer(&["key", "rotate", "--from", &moment(2), "--force"]).exits(0);
    while fingerprint(&server) == after {
        std::thread::yield_now();
    }
    // The key is on the disk before all connections begin anew.
    let refused = eventually("a refusal", || {
        let ran = anna.run(&["receive"]);
        (ran.code != Some(3)).then_some(ran)
    });
    refused.exits(4).says("not signed with the key that this home trusts");
    server.person("emil", "+4915112345605");
    server.stop();
    server.start();
    server.person("fritz", "+4915112345606");
}

#[test]
fn a_server_that_closes_the_connection_without_a_word_is_said_to_do_so_and_whom_to_ask() {
    let server = TestServer::new();
    let mut anna = server.newcomer("anna", "+4915112345601");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    anna.server = silent.local_addr().unwrap();
    let closing = std::thread::spawn(move || {
        let (mut stream, _) = silent.accept().unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // What is not read would break the connection.
        io::copy(&mut stream, &mut io::sink()).unwrap();
    });
    let ran = anna.register().exits(3).says("closed the connection without saying why");
    ran.says("ask its operator");
    closing.join().unwrap();
}
