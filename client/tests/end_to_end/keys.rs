//! A server that hands out another key than before.

use rusqlite::params;
use waxwing::backend::load_key;
use waxwing_core::crypto::PrivateKey;
use waxwing_core::testing::keys::pkcs8_der;

use rustix::process::Signal;

use crate::process::{Process, Ran};
use crate::test_server::{Person, TestServer, lines};

/// The server lies about somebody's key from now on. Returns the true one.
pub(crate) fn replace_key(server: &mut TestServer, of: &Person, by: &[u8]) -> Vec<u8> {
    server.stop();
    let database = server.database();
    let key = "SELECT rsa_public_key FROM users WHERE phone_number = ?";
    let before = database.query_one(key, [&of.phone], |row| row.get(0)).unwrap();
    let replace = "UPDATE users SET rsa_public_key = ? WHERE phone_number = ?";
    assert_eq!(database.execute(replace, params![by, of.phone]).unwrap(), 1);
    drop(database);
    server.start();
    before
}

pub(crate) fn number(person: &Person, of: &Person, code: i32) -> String {
    let ran = person.run(&["verify", &of.phone]).exits(code);
    assert_eq!(ran.out.split_whitespace().count(), 12, "{ran:?}");
    ran.out
}

/// Accepts the key whose number was shown.
pub(crate) fn accept(person: &Person, of: &Person, number: &str) -> Ran {
    person.run(&["verify", &of.phone, "--accept", number.trim()])
}

#[test]
fn a_server_that_hands_out_another_key_is_noticed_and_the_numbers_differ() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "hello").exits(0);
    bert.receives(&["hello"]);
    bert.send(&anna, "before").exits(0);
    assert_eq!(number(&anna, &bert, 0), number(&bert, &anna, 0));

    let false_key = load_key(pkcs8_der(0)).unwrap().spki().as_bytes().to_vec();
    let true_key = replace_key(&mut server, &bert, &false_key);
    let annas = number(&anna, &bert, 4);
    // Bert cannot ask any more: the server believes that he is somebody else.
    let berts = number(&bert, &anna, 0);
    assert_ne!(annas, berts);
    anna.run(&["contacts"]).exits(0).says("key changed");
    // What he wrote before is his: the pinned key says so.
    anna.receives(&["before"]);
    let ran = anna.send(&bert, "held back").exits(4).says("has changed");
    let ran = ran.says("goes out when you have accepted the new key");
    assert!(ran.out.starts_with("queued "), "{ran:?}");
    anna.receives_nothing();
    assert_eq!(anna.statuses(&bert), ["delivered", "queued"]);
    bert.run(&["receive"]).exits(3).says("account unknown or key refused");

    // The server tells the truth again: there is nothing to be accepted any more.
    replace_key(&mut server, &bert, &true_key);
    assert_eq!(number(&anna, &bert, 0), berts);
    anna.send(&bert, "after").exits(0);
    bert.receives(&["held back", "after"]);
}

#[test]
fn an_accepted_key_is_used_and_letters_under_the_old_one_are_not_shown_as_that_contacts() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "hello").exits(0);
    bert.receives(&["hello"]);
    let false_key = load_key(pkcs8_der(0)).unwrap().spki().as_bytes().to_vec();
    let true_key = replace_key(&mut server, &bert, &false_key);
    let changed = number(&anna, &bert, 4);
    anna.send(&bert, "held back").exits(4);
    let accepted = accept(&anna, &bert, &changed).exits(0);
    assert_eq!(accepted.out, changed);
    anna.send(&bert, "for the new key").exits(0);

    replace_key(&mut server, &bert, &true_key);
    bert.send(&anna, "it is me").exits(0);
    let received = lines(&anna.run(&["receive", "--json"]).exits(0).out);
    assert_eq!(received.len(), 1);
    assert_eq!(received[0]["kind"], "unreadable");
    assert!(received[0]["text"].is_null(), "{received:?}");
    // What was sealed for the other key, Bert cannot open; it is a line all the same.
    let received = lines(&bert.run(&["receive", "--json"]).exits(0).out);
    let kinds: Vec<_> = received.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["unreadable"; 2]);

    // Under the key that Anna has doubted since the first such letter, letters are held back until
    // she accepts it; then all of them are hers to read.
    bert.send(&anna, "really").exits(0);
    let held = lines(&anna.run(&["receive", "--json"]).exits(0).out);
    assert_eq!((&held[0]["kind"], &held[0]["from"]), (&"unreadable".into(), &held[0]["text"]));
    let shown = number(&anna, &bert, 4);
    assert_eq!(shown, number(&bert, &anna, 0));
    accept(&anna, &bert, &shown).exits(0);
    anna.receives(&["it is me", "really"]);
}

/// The process with the session is another one: what the home says is told by all.
#[test]
fn a_chat_and_whoever_follows_hear_of_a_key_that_changed_while_another_process_has_the_session() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "before").exits(0);
    let mut holder = anna.start(&["rpc", "--allow-trust"]);
    let ask = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"verify\",\"params\":{{\"with\":\"{}\"}}}}\n",
        bert.phone
    );
    holder.write("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"subscribe\"}\n");
    holder.write(&ask);
    holder.wait_for_out(|out| out.contains("\"fresh\":true"));
    let following = anna.start(&["receive", "--follow"]);
    let mut chat = Process::start_on_terminal(&mut anna.command(&["chat", &bert.phone]), 80);
    chat.wait_for_out(|out| out.contains("/help"));
    let mut piped = anna.start(&["chat", &bert.phone]);

    let false_key = load_key(pkcs8_der(0)).unwrap().spki().as_bytes().to_vec();
    replace_key(&mut server, &bert, &false_key);
    let told = "the key of +4915112345602 has changed, and letters are held back";
    holder.wait_for_out(|out| {
        let (_, since_down) = out.split_once("\"down\"").unwrap_or_default();
        since_down.contains("\"up\"")
    });
    holder.write(&ask);
    chat.wait_for_out(|out| out.contains(told));
    following.wait_for_err(told);
    chat.write("typed at once\n");
    // What is typed is kept, and a person goes on.
    let held = "held back: it goes out when you have accepted the new key: ";
    chat.wait_for_out(|out| out.contains(&format!("{held}typed at once")));
    chat.write("typed meanwhile\n");
    chat.wait_for_out(|out| out.contains(&format!("{held}typed meanwhile")));
    assert_eq!(chat.out().matches(told).count(), 1, "{}", chat.out());
    // A program cannot accept a key.
    piped.write("not typed\n");
    piped.finish().exits(4).says(told);

    let shown = number(&anna, &bert, 4);
    accept(&anna, &bert, &shown).exits(0);
    chat.wait_for_out(|out| out.contains("✓ typed at once") && out.contains("✓ typed meanwhile"));
    chat.write("/quit\n");
    chat.finish().exits(0);
    following.signal(Signal::TERM);
    following.finish().exits(0);
    holder.finish_without_input().exits(0);
}
