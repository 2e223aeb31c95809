//! The statuses and answers about keys of `vectors/sequences.json`, as a home takes them.

use serde_json::Value;
use waxwing::backend::load_key;
use waxwing::home::{Acceptance, Home, NewIdentity, PacketName, Registration, State, Writing};
use waxwing::servers::Servers;
use waxwing_core::crypto::{PrivateKey, ReplyKey, Spki};
use waxwing_core::phone::Phone;
use waxwing_core::testing::keys::pkcs8_der;
use waxwing_core::wire::{KeyAnswer, Status};
use waxwing_testkit::vectors::replay::{cases, key_and_phone};

use crate::judging::{Judgement, judge};
use crate::{TestHome, at, packet_id, phone, uid, user};

fn number(value: &Value) -> u8 {
    value.as_u64().unwrap().try_into().unwrap()
}

fn of_kind(kind: &str) -> Vec<Value> {
    let cases: Vec<_> =
        cases("sequences.json").into_iter().filter(|case| case["kind"] == kind).collect();
    assert!(!cases.is_empty(), "no case of kind {kind}");
    cases
}

/// The status of PROTOCOL.md that a state comes from; 0 before there is one.
fn known(state: State) -> u8 {
    match state {
        State::Waiting | State::Sent | State::Refused => 0,
        State::Stored => 1,
        State::Delivered => 2,
        State::Expired => 3,
        State::NoLongerKept => panic!("the server was heard of a moment ago"),
    }
}

#[test]
fn statuses_one_after_the_other_come_to_what_is_written() {
    for case in of_kind("statuses") {
        let test = TestHome::new();
        let home = test.open();
        let writing = Writing::text("a letter").unwrap();
        let letter = home.outbox().queue(&uid(1), &phone(2), &writing, at(0)).unwrap();
        let sent = home.outbox();
        assert!(sent.begin_sending(letter, &packet_id(1), user(7), &[0; 400], at(1)).unwrap());
        for step in case["steps"].as_array().unwrap() {
            if step["status"].is_null() {
                let code = step["refused"].as_u64().unwrap().try_into().unwrap();
                let _ = home.outbox().refuse(letter, Some(code), "").unwrap();
            } else {
                let status = Status::from_code(number(&step["status"])).unwrap();
                let told = [(PacketName::Full(packet_id(1)), status)];
                let _ = home.outbox().apply(&told, at(2)).unwrap();
            }
            let state = home.outbox().status_of(letter).unwrap().unwrap().state;
            assert_eq!(known(state), number(&step["known"]), "{}: {step}", case["name"]);
        }
    }
}

fn key(name: &str) -> Spki {
    load_key(pkcs8_der(key_and_phone(name).0)).unwrap().spki().clone()
}

/// The home of the vectors' Ann.
fn ann(home: &Home) {
    let (index, phone) = key_and_phone("ann");
    home.store_identity(&NewIdentity {
        phone: phone.unwrap(),
        servers: &Servers::default(),
        server_key: &key("server"),
        private_key: pkcs8_der(index),
        public_key: &key("ann"),
        reply_key: &ReplyKey::from_bytes(&[3; 32]),
    })
    .unwrap();
    home.set_registration(Registration::Done(user(7))).unwrap();
}

fn judged(judgement: &Judgement) -> &'static str {
    match judgement {
        Judgement::Pinned => "Pinned",
        Judgement::Unchanged => "Unchanged",
        Judgement::NewId => "NewId",
        Judgement::Changed => "Changed",
        Judgement::Reverted => "Reverted",
        Judgement::Refused(_) => "Refused",
        Judgement::Own => "Own",
    }
}

#[test]
fn answers_about_a_key_one_after_the_other_come_to_what_is_written() {
    for case in of_kind("pins") {
        let test = TestHome::new();
        let home = test.open();
        ann(&home);
        let ben = key_and_phone("ben").1.unwrap();
        for step in case["steps"].as_array().unwrap() {
            let comes = match step["accept"].as_str() {
                Some(name) => match home.contacts().accept(&ben, &key(name), at(1)).unwrap() {
                    Acceptance::Accepted => "Accepted",
                    Acceptance::NotPending => "NotWaiting",
                    Acceptance::Refused(_) => "Refused",
                },
                None => {
                    let answer = KeyAnswer {
                        user: user(step["user_id"].as_u64().unwrap().try_into().unwrap()),
                        phone: Phone::parse(step["phone"].as_str().unwrap().as_bytes()).unwrap(),
                        spki: key(step["key"].as_str().unwrap()),
                    };
                    judged(&judge(&home, &answer, at(0)))
                }
            };
            let name = format!("{}: {step}", case["name"]);
            assert_eq!(comes, step["comes"], "{name}");
            let contact = home.contacts().by_phone(&ben).unwrap().unwrap();
            assert_eq!(contact.spki, key(step["pinned"].as_str().unwrap()), "{name}");
            let waiting = step["waiting"].as_str().map(key);
            assert_eq!(contact.changed.map(|changed| changed.spki), waiting, "{name}");
        }
    }
}
