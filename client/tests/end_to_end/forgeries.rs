//! Letters that claim to be somebody's, and that this somebody has not signed. Whoever can write on
//! the line, or into the server's database, can make them.

use std::sync::atomic::{AtomicU8, Ordering};

use rusqlite::params;
use waxwing::backend::{load_key, provider, rng};
use waxwing_core::id::UserId;
use waxwing_core::testing::keys::pkcs8_der;
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{Draft, Op};

use crate::proxy::{Proxy, Way};
use crate::test_server::{Person, TestServer, lines};

/// Puts a letter into the server's queue that claims to be from user `sender`, signed by nobody
/// whom anybody knows.
fn forge(server: &mut TestServer, sender: u16, recipient: u16) {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    server.stop();
    let filler = NEXT.fetch_add(1, Ordering::Relaxed);
    let id = |id| UserId::new(id);
    let now = jiff::Timestamp::now();
    let stamp = Timestamp::from_unix(UnixTime::from_seconds(now.as_second()));
    let mut buffer = [0; 1000];
    let mut draft = Draft::new(&mut buffer, Op::Letter, id(sender), id(recipient), stamp);
    draft.payload_mut()[..400].fill(filler);
    let forger = load_key(pkcs8_der(5)).unwrap();
    let (message, bytes) = draft.sign(&provider(), &forger, &mut rng(), 400).unwrap();
    let (header, rest) = bytes.split_at(26);
    let (payload, signature) = rest.split_at(400);
    // Ids, timestamp, op and size.
    let timestamp = str::from_utf8(&header[4..23]).unwrap();
    let database = server.database();
    database
        .execute(
            "INSERT INTO pending_messages (queue_id, message_id, sender_id, recipient_id, \
             timestamp, accepted_at, signature, encrypted_payload) \
             SELECT coalesce(max(queue_id), 0) + 1000, ?, ?, ?, ?, ?, ?, ? FROM pending_messages",
            params![message.0, sender, recipient, timestamp, now.as_second(), signature, payload],
        )
        .unwrap();
    drop(database);
    server.start();
}

fn anna_and_bert_who_talk(server: &TestServer) -> (Person, Person) {
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "hello").exits(0);
    bert.receives(&["hello"]);
    (anna, bert)
}

#[test]
fn a_forged_letter_is_said_to_be_unsigned_and_is_no_change_of_a_key() {
    let mut server = TestServer::new();
    let (anna, bert) = anna_and_bert_who_talk(&server);
    forge(&mut server, 1, 2);
    let ran = bert.run(&["receive", "--json"]).exits(0);
    let received = lines(&ran.out);
    assert_eq!(received.len(), 1, "{ran:?}");
    assert_eq!(received[0]["kind"], "unreadable");
    let error = received[0]["error"].as_str().unwrap();
    assert!(error.contains("not signed with the key of that sender"), "{error}");
    assert!(!ran.err.contains("changed"), "{ran:?}");
    assert!(!bert.run(&["contacts"]).exits(0).out.contains("changed"));
    bert.send(&anna, "nothing is held back").exits(0);
    // When the server has answered once, the next one is judged at once.
    forge(&mut server, 1, 2);
    anna.send(&bert, "a true one").exits(0);
    let received = lines(&bert.run(&["receive", "--json"]).exits(0).out);
    let kinds: Vec<_> = received.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["unreadable", "text"]);
}

#[test]
fn while_the_server_has_not_answered_nothing_is_said_and_the_next_session_asks_again() {
    let mut server = TestServer::new();
    let (_, mut bert) = anna_and_bert_who_talk(&server);
    let proxy = Proxy::before(server.address());
    bert.server = proxy.address();
    bert.register().exits(0);
    forge(&mut server, 1, 2);
    proxy.cut(Way::ToClient, 204);
    let ran = bert.run(&["receive"]).exits(3);
    assert!(proxy.has_cut());
    assert_eq!(ran.out, "");
    assert!(!ran.err.contains("changed"), "{ran:?}");
    // The letter was acknowledged, and is not handed over again.
    let ran = bert.run(&["receive"]).exits(0).says("not signed with the key of that sender");
    assert_eq!(ran.out.lines().count(), 1);
    bert.receives_nothing();
}
