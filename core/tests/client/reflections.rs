//! Everything that a client says, played back to it: the sequences of both directions begin at 0, and
//! only ids, signatures and the direction of an op keep them apart.

use std::collections::BTreeSet;

use waxwing_core::client::{Ended, Env};
use waxwing_core::crypto::{ReplyKey, SessionKey};
use waxwing_core::id::PacketId;
use waxwing_core::wire::{KeyQuestion, Op, StatusQuery};

use crate::line::{Heard, Line, Machine, Stage, otp, phone};
use crate::server::{FRIEND, LAST_KEY, US, user};

fn said(stage: Stage, mut act: impl FnMut(&mut Machine, &mut Env<'_>)) -> Vec<u8> {
    let mut line = Line::at(stage);
    line.ask(|client, env| act(client, env));
    let said = line.sent();
    assert_eq!(said.len(), 1);
    said[0].bytes.clone()
}

/// One of each kind that a client sends, letters apart.
fn everything_said() -> Vec<Vec<u8>> {
    let reply_key = ReplyKey::from_bytes(&[5; 32]);
    let last = SessionKey::from_bytes(&LAST_KEY);
    let query = StatusQuery { recipient: user(FRIEND), letter: PacketId([9; 16]) };
    let confirmation = {
        let mut line = Line::at(Stage::AwaitingRenewed);
        let grant = line.server.grant(Op::SessionRenewed);
        assert_eq!(line.hear(&grant), [Heard::Session(user(US))]);
        line.sent()[0].bytes.clone()
    };
    vec![
        said(Stage::Fresh, |client, env| client.request_otp(env, &phone(), &reply_key).unwrap()),
        said(Stage::Fresh, |client, env| {
            client.prove_otp(env, &phone(), &reply_key, &otp()).unwrap();
        }),
        said(Stage::Fresh, |client, env| client.reconnect(env, user(US), None).unwrap()),
        said(Stage::Fresh, |client, env| client.reconnect(env, user(US), Some(&last)).unwrap()),
        confirmation,
        said(Stage::Active, |client, env| {
            client.ask_for_key(env, KeyQuestion::ById(user(US))).unwrap();
        }),
        said(Stage::Active, |client, env| {
            client.acknowledge(env, PacketId([9; 16]), 300);
            client.flush_acknowledgments(env);
        }),
        said(Stage::Active, |client, env| client.ask_for_statuses(env, &[query]).unwrap()),
        said(Stage::Active, |client, env| client.leave(env).unwrap()),
    ]
}

#[test]
fn what_a_client_has_said_is_nothing_that_it_takes() {
    let said = everything_said();
    let ops: BTreeSet<_> = said.iter().map(|packet| packet[23]).collect();
    assert_eq!(ops, BTreeSet::from([100, 101, 105, 106, 203, 222]));
    for stage in Stage::ALL {
        for packet in &said {
            let mut line = Line::at(stage);
            assert_eq!(line.hear(packet), [], "{stage:?}: {}", packet[23]);
            let why = line.ended().unwrap_or_else(|| panic!("{stage:?}: {}", packet[23]));
            assert!(matches!(why, Ended::Misbehaved | Ended::BadBytes), "{stage:?}: {why:?}");
            line.assert_ended(why);
        }
    }
}
