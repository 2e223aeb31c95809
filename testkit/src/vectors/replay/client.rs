//! What a client refuses, refused by the client machine.

use waxwing_core::client::{Buffers, Client, Ended, Env, Event, Keys, Options};
use waxwing_core::crypto::{ReplyKey, Unverified};
use waxwing_core::envelope::{self, Content, Fingerprint, Unreadable};
use waxwing_core::limits::{MAX_CONTROL_PACKET, MAX_PACKET};
use waxwing_core::phone::Otp;
use waxwing_core::time::{Instant, Now};
use waxwing_core::wire::KeyQuestion;

use super::{Chosen, Known, array, bytes, cases, first, text};
use crate::backend::Backend;

/// Every case of `bad_to_client.json` comes to what it names, and a client that closes says nothing.
pub fn check<P: Backend>() {
    let (ann, server) = (Known::named("ann"), Known::named("server"));
    let (own, server) = (ann.private::<P>(), server.public::<P>());
    let keys = Keys { provider: &P::default(), own: &own, server: &server };
    for case in cases("bad_to_client.json") {
        let name = text(&case, "name");
        let mut client = in_state(keys, &ann, text(&case, "state"));
        let unsent = client.transmit().len();
        let outcome = receive(&mut client, &ann, &bytes(&case, "packet"));
        assert_eq!(outcome, text(&case, "error"), "{name}");
        assert_eq!(client.transmit().len(), unsent, "{name}: the client has answered");
    }
}

type Machine<'k, P> = Client<'k, P, Vec<u8>>;

fn in_state<'k, P: Backend>(keys: Keys<'k, P>, ann: &Known, state: &str) -> Machine<'k, P> {
    let buffers = Buffers {
        letters: vec![0; MAX_PACKET],
        control: vec![0; MAX_CONTROL_PACKET],
        transmit: vec![0; MAX_PACKET],
    };
    let mut client = Client::new(keys, buffers, Options::default()).unwrap();
    let mut chosen = Chosen::new();
    let mut env = Env { now: now(), rng: &mut chosen };
    let phone = ann.phone.unwrap();
    let request = first("registration.json", "registration_request");
    let reply_key = ReplyKey::from_bytes(&array(&request["fields"], "reply_key"));
    match state {
        "idle" => {}
        "asked" => client.request_otp(&mut env, &phone, &reply_key).unwrap(),
        "proving" => {
            let otp = Otp::parse(b"123456").unwrap();
            client.prove_otp(&mut env, &phone, &reply_key, &otp).unwrap();
        }
        "reconnecting" => client.reconnect(&mut env, ann.id.unwrap(), None).unwrap(),
        "session" | "asking" => {
            client.reconnect(&mut env, ann.id.unwrap(), None).unwrap();
            let renewed = first("session.json", "session_renewed");
            assert_eq!(receive(&mut client, ann, &bytes(&renewed, "packet")), "SessionIssued");
            if state == "asking" {
                let ben = Known::named("ben").phone.unwrap();
                client.ask_for_key(&mut env, KeyQuestion::ByPhone(ben)).unwrap();
            }
        }
        _ => panic!("no such state: {state}"),
    }
    client
}

fn now() -> Now {
    Now { instant: Instant::from_millis(0), unix: crate::vectors::cast::now() }
}

/// Hands over a packet and says what comes of it.
fn receive<P: Backend>(client: &mut Machine<'_, P>, ann: &Known, mut packet: &[u8]) -> String {
    let mut chosen = Chosen::new();
    let mut env = Env { now: now(), rng: &mut chosen };
    while !packet.is_empty() {
        let room = client.receive_buffer();
        let taken = room.len().min(packet.len());
        room[..taken].copy_from_slice(&packet[..taken]);
        client.received(taken);
        packet = &packet[taken..];
        match client.poll(&mut env) {
            Ok(None) => {}
            Ok(Some(event)) => return learnt::<P>(event, ann),
            Err(Ended::BadBytes) => return "BadBytes".into(),
            Err(Ended::BadSeal) => return "BadSeal".into(),
            Err(Ended::Misbehaved) => return "Misbehaved".into(),
            Err(other) => return format!("{other:?}"),
        }
    }
    "Ignored".into()
}

fn learnt<P: Backend>(event: Event<'_>, ann: &Known) -> String {
    match event {
        Event::SessionIssued { .. } => "SessionIssued".into(),
        Event::WrongKey(_) => "WrongKey".into(),
        Event::Letter(letter) => read::<P>(letter, ann).into(),
        _ => "taken".into(),
    }
}

/// What Ann makes of a letter, with Ben pinned.
fn read<P: Backend>(letter: Unverified<&mut [u8]>, ann: &Known) -> &'static str {
    let (provider, ben) = (P::default(), Known::named("ben"));
    let Ok(letter) = letter.verify(&ben.public::<P>()) else { return "BadSignature" };
    let print = |person: &Known| Fingerprint::of(&provider, &person.phone.unwrap(), &person.spki);
    let (from, to, key) = (print(&ben), print(ann), ann.private::<P>());
    match envelope::open(&provider, &mut Chosen::new(), &from, &to, &key, letter) {
        Err(Unreadable::UnknownVersion(_)) => "UnknownVersion",
        Err(Unreadable::UnknownSuite(_)) => "UnknownSuite",
        Err(Unreadable::DoesNotOpen) => "DoesNotOpen",
        Ok(opened) if matches!(opened.content, Content::Unknown { .. }) => "UnknownKind",
        Ok(_) => "taken",
    }
}
