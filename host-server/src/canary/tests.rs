//! Rounds with servers that are not there, or are none.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use waxwing_core::id::UserId;
use waxwing_core::phone::Phone;
use waxwing_core::server::storage::StoredUser;
use waxwing_core::server::{Administered, AdministrationError};

use super::*;
use crate::backend;
use crate::data_dir::DataDir;
use crate::runtime::{Message, Route, ShardReport};
use waxwing_core::crypto::PrivateKey;

/// What a shard says to those who ask it.
#[derive(Clone, Copy)]
enum Shard {
    Works,
    /// The phones are other people's.
    IsOthers,
    Stops,
    Hangs,
    IsGone,
}

impl Shard {
    /// The way to it.
    fn lines(self) -> ShardLines {
        let (inbox, messages) = channel();
        let route: Route<()> = Route { inbox, waker: Arc::new(|| {}) };
        thread::spawn(move || {
            let mut unanswered = Vec::new();
            for message in messages.iter().flatten() {
                match (message, self) {
                    (_, Self::IsGone) => return,
                    (Message::Request(Request::Report(answer)), _) => {
                        let stops = matches!(self, Self::Stops);
                        let _ = answer.send(ShardReport { stops, ..ShardReport::default() });
                    }
                    (Message::Request(Request::Enrol(_, _, answer)), Self::Hangs) => {
                        unanswered.push(answer);
                    }
                    (Message::Request(Request::Enrol(_, _, answer)), Self::IsOthers) => {
                        let user = UserId::new(7).unwrap();
                        let _ = answer.send(Err(AdministrationError::PhoneTaken(user)));
                    }
                    (Message::Request(Request::RemoveUser(_, answer)), Self::IsOthers) => {
                        let phone = Phone::parse(b"+99900000001").unwrap();
                        let _ = answer.send(Ok(Administered::Removed { phone, undelivered: 3 }));
                    }
                    (Message::Request(Request::Enrol(phone, _, answer)), _) => {
                        let number = phone.as_str().ends_with('2');
                        let user = UserId::new(1 + u16::from(number)).unwrap();
                        let _ = answer.send(Ok(Administered::Enrolled { user }));
                    }
                    _ => {}
                }
            }
        });
        ShardLines::new(&[route])
    }
}

/// A canary with keys of its own, and the directory of them.
fn canary() -> (tempfile::TempDir, Canary) {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.server.data = directory.path().to_owned();
    let server_key = backend::generate_key().unwrap().spki().clone();
    let canary = Canary { bound: Duration::from_millis(200), ..Canary::new(&config, server_key) };
    (directory, canary)
}

fn round(canary: &Canary, shard: Shard, listening: &[SocketAddr], is_drained: bool) -> Outcome {
    canary.round(Place {
        shards: &shard.lines(),
        audit: &audit(canary),
        listening,
        is_proxy: &|_| false,
        is_drained: &|| is_drained,
    })
}

fn audit(canary: &Canary) -> AuditLog {
    AuditLog::of(&DataDir::existing(&canary.data).unwrap())
}

/// Somebody who accepts connections and does this with them.
fn peer(act: impl Fn(&mut std::net::TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            act(&mut stream.unwrap());
        }
    });
    address
}

#[test]
fn a_server_that_answers_nothing_or_nonsense_fails_at_its_stage_and_in_time() {
    let (_directory, canary) = canary();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closes = peer(|_| {});
    let silent = peer(|stream| _ = stream.read_to_end(&mut Vec::new()));
    let rubbish = peer(|stream| _ = stream.write_all(&[0xff; 4_096]));
    for (shard, listening, stage, why) in [
        (Shard::Hangs, silent, Stage::Account, "the server did not do it within"),
        (Shard::Works, nobody, Stage::Connect, "cannot be connected to"),
        (Shard::Works, closes, Stage::Connect, "before there was a session. Is the address"),
        (Shard::Works, silent, Stage::Connect, "the server did not answer within"),
        (Shard::Works, rubbish, Stage::Connect, "bytes are not Waxwing's"),
    ] {
        let begun = Instant::now();
        let outcome = round(&canary, shard, &[listening], false);
        let Outcome::Failed { stage: at, why: said } = outcome else { panic!("{outcome:?}") };
        assert_eq!(at, stage, "{said}");
        assert!(said.contains(why), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    let state = canary.state();
    assert_eq!(state.failures, [1, 4, 0, 0, 0, 0]);
    assert_eq!((state.done, state.skipped, state.succeeded), (0, 0, None));
    assert_eq!(state.trouble.unwrap().stage, Stage::Connect);
}

#[test]
fn a_server_that_is_to_stop_or_has_stopped_is_no_failure() {
    let (_directory, canary) = canary();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (shard, is_drained) in [(Shard::Works, true), (Shard::Stops, false), (Shard::IsGone, false)]
    {
        let outcome = round(&canary, shard, &[nobody], is_drained);
        assert!(matches!(outcome, Outcome::Skipped(_)), "{outcome:?}");
    }
    let State { skipped, failures, trouble, .. } = canary.state();
    assert_eq!((skipped, failures, trouble), (3, [0; 6], None));
}

#[test]
fn a_key_that_changes_during_the_round_is_no_failure() {
    let (_directory, canary) = canary();
    let closes = peer(|_| {});
    let next = backend::generate_key().unwrap().spki().clone();
    let asked = std::cell::Cell::new(0);
    let outcome = canary.round(Place {
        shards: &Shard::Works.lines(),
        listening: &[closes],
        audit: &audit(&canary),
        is_proxy: &|_| false,
        is_drained: &|| {
            // First before the round, then after it has failed.
            if asked.replace(asked.get() + 1) == 1 {
                canary.trust(next.clone());
            }
            false
        },
    });
    assert!(matches!(outcome, Outcome::Skipped(_)), "{outcome:?}");
    assert_eq!(canary.state().trouble, None);
}

#[test]
fn keys_that_cannot_be_used_are_told_of_and_left_alone() {
    let (directory, canary) = canary();
    let file = directory.path().join("canary-sender.key.pem");
    fs::write(&file, "no key").unwrap();
    let outcome = round(&canary, Shard::Works, &[], false);
    let Outcome::Failed { stage, why } = outcome else { panic!("{outcome:?}") };
    assert_eq!(stage, Stage::Account);
    assert!(why.contains("others can read") && why.contains("canary-sender.key.pem"), "{why}");
    assert_eq!(fs::read(&file).unwrap(), b"no key");
}

#[test]
fn whoever_is_removed_for_an_account_stands_in_the_audit_log() {
    let (directory, canary) = canary();
    let outcome = round(&canary, Shard::IsOthers, &[], false);
    assert!(matches!(outcome, Outcome::Failed { stage: Stage::Account, .. }), "{outcome:?}");
    let log = fs::read_to_string(directory.path().join("audit.jsonl")).unwrap();
    let lines: Vec<_> = log.lines().collect();
    let [begun, ended] = lines[..] else { panic!("{log}") };
    for (line, part) in [
        (begun, "\"users remove\""),
        (begun, "\"by\":\"canary\""),
        (begun, "\"id\":\"7\""),
        (ended, "\"done\""),
        (ended, "3 letters not delivered"),
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    // What cannot be noted is not done.
    fs::remove_file(directory.path().join("audit.jsonl")).unwrap();
    fs::create_dir(directory.path().join("audit.jsonl")).unwrap();
    let outcome = round(&canary, Shard::IsOthers, &[], false);
    let Outcome::Failed { stage: Stage::Account, why } = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("nothing was changed"), "{why}");
}

#[test]
fn strangers_are_those_whose_keys_the_canary_does_not_have() {
    let (directory, _) = canary();
    let accounts = Accounts::load(directory.path()).unwrap();
    let user = |id, phone: &str, spki: &Spki| StoredUser {
        id: UserId::new(id).unwrap(),
        phone: Phone::parse(phone.as_bytes()).unwrap(),
        spki: spki.clone(),
        session_key: None,
    };
    let (sender, recipient) = (accounts.sender.spki(), accounts.recipient.spki());
    let users = [
        user(1, "+99900000001", sender),
        user(2, "+99900000002", recipient),
        user(3, "+99900000003", sender),
        user(4, "+15550001111", sender),
    ];
    let found = |users: &[StoredUser]| -> Vec<u16> {
        strangers(directory.path(), users).into_iter().map(UserId::get).collect()
    };
    assert_eq!(found(&users), [3]);
    assert_eq!(found(&[user(1, "+99900000001", recipient)]), [1]);
    fs::remove_file(directory.path().join("canary-sender.key.pem")).unwrap();
    // No backup has the keys in it: the account was one of the server before it was restored.
    assert_eq!(found(&users), [3]);
    assert!(found(&[user(1, "+99900000001", recipient)]).is_empty());
}
