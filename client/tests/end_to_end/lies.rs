//! A server that tells one person another key than everybody else.

use std::fs;

use waxwing::backend::load_key;
use waxwing_core::crypto::PrivateKey;
use waxwing_core::testing::keys::pkcs8_der;

use crate::keys::{accept, number, replace_key};
use crate::test_server::{Person, TestServer, texts};

/// Another face of the same server: its key, its users, and a false key for `about`.
fn two_faced(server: &mut TestServer, about: &Person) -> TestServer {
    server.stop();
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("server");
    fs::create_dir(&data).unwrap();
    for file in ["server.key.pem", "waxwing.db"] {
        fs::copy(server.data().join(file), data.join(file)).unwrap();
    }
    server.start();
    let mut liar = TestServer::in_directory(root, &[]);
    let false_key = load_key(pkcs8_der(0)).unwrap().spki().as_bytes().to_vec();
    replace_key(&mut liar, about, &false_key);
    liar
}

fn lead(person: &mut Person, to: &TestServer) {
    person.server = to.address();
    person.register().exits(0).says("from now on the server is at");
}

#[test]
fn a_lie_at_first_contact_shows_in_the_numbers_and_when_it_ends() {
    let mut server = TestServer::new();
    let (mut anna, bert) = server.anna_and_bert();
    let cleo = server.person("cleo", "+4915112345603");
    let liar = two_faced(&mut server, &bert);

    lead(&mut anna, &liar);
    anna.send(&bert, "for whoever has this key").exits(0);
    cleo.send(&bert, "hello").exits(0);
    // Nothing is wrong that a program could see: the two have to compare.
    bert.send(&anna, "from the true one").exits(0);
    assert_ne!(number(&anna, &bert, 0), number(&bert, &anna, 0));
    assert_eq!(number(&cleo, &bert, 0), number(&bert, &cleo, 0));

    // A lie has to be told for ever.
    lead(&mut anna, &server);
    let truth = number(&anna, &bert, 4);
    assert_eq!(truth, number(&bert, &anna, 0));
    anna.send(&bert, "held back").exits(4);
    accept(&anna, &bert, &truth).exits(0);
    anna.receives(&["from the true one"]);
    bert.receives(&["hello", "held back"]);
}

#[test]
fn a_lie_that_comes_later_and_to_one_person_alone_holds_that_ones_letters_back() {
    let mut server = TestServer::new();
    let (mut anna, bert) = server.anna_and_bert();
    let cleo = server.person("cleo", "+4915112345603");
    for person in [&anna, &cleo] {
        person.send(&bert, "hello").exits(0);
    }
    bert.receives(&["hello", "hello"]);
    let annas = number(&anna, &bert, 0);
    let cleos = number(&cleo, &bert, 0);
    let liar = two_faced(&mut server, &bert);

    lead(&mut anna, &liar);
    assert_ne!(number(&anna, &bert, 4), annas);
    anna.run(&["contacts"]).exits(0).says("key changed");
    anna.send(&bert, "held back").exits(4);
    assert_eq!(
        liar.database().query_one("SELECT count(*) FROM pending_messages", [], count),
        Ok(0)
    );
    assert_eq!(number(&cleo, &bert, 0), cleos);

    lead(&mut anna, &server);
    assert_eq!(number(&anna, &bert, 0), annas);
    bert.receives(&["held back"]);
}

#[test]
fn a_lie_about_one_person_keeps_nobody_elses_letters() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let cleo = server.person("cleo", "+4915112345603");
    anna.send(&bert, "hello").exits(0);
    bert.receives(&["hello"]);
    cleo.send(&anna, "from Cleo").exits(0);
    bert.send(&anna, "from Bert").exits(0);
    let database = server.database();
    let key = "SELECT rsa_public_key FROM users WHERE phone_number = ?";
    let of_bert: Vec<u8> = database.query_one(key, [&bert.phone], |row| row.get(0)).unwrap();
    drop(database);
    let of_cleo = replace_key(&mut server, &cleo, &of_bert);

    // Who wrote the first of the two is asked, and the answer is no good.
    let received = anna.run(&["receive", "--json"]).exits(0).says("is not believed");
    assert_eq!(texts(&received.out), [Some("from Bert".into()), None]);
    anna.run(&["verify", &cleo.phone]).exits(4).says("gives out the key of");
    let sent = anna.send(&cleo, "for Cleo").exits(4).says("gives out the key of");
    assert!(sent.out.starts_with("queued "), "{sent:?}");
    let mut chat = anna.start(&["chat", &cleo.phone]);
    chat.write("typed\n");
    chat.finish().exits(4).says("gives out the key of");
    anna.send(&bert, "still here").exits(0);
    bert.receives(&["still here"]);

    // Once the server tells the truth, the letter goes out at its next attempt.
    replace_key(&mut server, &cleo, &of_cleo);
    anna.database().execute("UPDATE outbox SET not_before = 0", []).unwrap();
    anna.send(&cleo, "after").exits(0);
    cleo.receives(&["for Cleo", "typed", "after"]);
}

fn count(row: &rusqlite::Row<'_>) -> rusqlite::Result<i64> {
    row.get(0)
}
