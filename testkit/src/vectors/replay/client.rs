//! What a client refuses, refused by the client machine; and what it makes of packets that come one
//! after the other.

use waxwing_core::client::{Buffers, Client, Ended, Env, Event, Keys, Options};
use waxwing_core::crypto::{ReplyKey, SessionKey, Unverified};
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

/// Every packet of the cases of `sequences.json` comes to what is written beside it, up to the end of
/// the connection.
pub fn check_sequences<P: Backend>() {
    let (ann, server) = (Known::named("ann"), Known::named("server"));
    let (own, server) = (ann.private::<P>(), server.public::<P>());
    let keys = Keys { provider: &P::default(), own: &own, server: &server };
    let packets = cases("sequences.json").into_iter().filter(|case| case["kind"] == "packets");
    for case in packets {
        let mut client = in_state(keys, &ann, text(&case, "state"));
        for (at, step) in case["steps"].as_array().unwrap().iter().enumerate() {
            let unsent = client.transmit().len();
            let mut comes = come(&mut client, &bytes(step, "packet"));
            if comes == "Ignored" && client.transmit().len() > unsent {
                comes = "LongForm";
            }
            assert_eq!(comes, text(step, "comes"), "{}, step {at}", text(&case, "name"));
        }
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
        "reconnecting_short" => {
            let short = first("session.json", "reconnect_short");
            let key = SessionKey::from_bytes(&array(&short["protection"], "session_key"));
            let mut chosen = Chosen::with_iv(array(&short["protection"], "iv"));
            let mut env = Env { now: now(), rng: &mut chosen };
            client.reconnect(&mut env, ann.id.unwrap(), Some(&key)).unwrap();
            assert_eq!(client.transmit(), bytes(&short, "packet"), "Ann's 106");
        }
        "session" | "asking" | "asking_the_server" | "watching" | "online" | "leaving"
        | "leaving_early" => {
            client.reconnect(&mut env, ann.id.unwrap(), None).unwrap();
            let renewed = first("session.json", "session_renewed");
            assert_eq!(come(&mut client, &bytes(&renewed, "packet")), "SessionKey");
            let mut env = Env { now: now(), rng: &mut chosen };
            match state {
                "asking" => {
                    let ben = Known::named("ben").phone.unwrap();
                    client.ask_for_key(&mut env, KeyQuestion::ByPhone(ben)).unwrap();
                }
                "asking_the_server" => {
                    client.ask_for_key(&mut env, KeyQuestion::Successor).unwrap();
                }
                "online" | "leaving" => {
                    let backlog_end = first("backlog.json", "backlog_end");
                    assert_eq!(come(&mut client, &bytes(&backlog_end, "packet")), "BacklogEnd");
                }
                _ => {}
            }
            if state.starts_with("leaving") {
                client.leave(&mut Env { now: now(), rng: &mut chosen }).unwrap();
            }
        }
        _ => panic!("no such state: {state}"),
    }
    client
}

fn now() -> Now {
    Now { instant: Instant::from_millis(0), unix: crate::vectors::cast::now() }
}

/// Hands over as much of a packet as there is room for, and gives the rest.
fn hand_over<'p, P: Backend>(client: &mut Machine<'_, P>, packet: &'p [u8]) -> &'p [u8] {
    let room = client.receive_buffer();
    let (now, later) = packet.split_at(room.len().min(packet.len()));
    room[..now.len()].copy_from_slice(now);
    client.received(now.len());
    later
}

/// Hands over a packet and says what comes of it.
fn receive<P: Backend>(client: &mut Machine<'_, P>, ann: &Known, mut packet: &[u8]) -> String {
    let mut chosen = Chosen::new();
    let mut env = Env { now: now(), rng: &mut chosen };
    while !packet.is_empty() {
        packet = hand_over(client, packet);
        match client.poll(&mut env) {
            Ok(None) => {}
            Ok(Some(event)) => return learnt::<P>(event, ann),
            Err(ended) => return end(ended).into(),
        }
    }
    "Ignored".into()
}

/// Hands over a packet and says, in the words of `sequences.json`, what comes of it.
fn come<P: Backend>(client: &mut Machine<'_, P>, mut packet: &[u8]) -> &'static str {
    let mut chosen = Chosen::new();
    let mut env = Env { now: now(), rng: &mut chosen };
    let mut comes = None;
    while !packet.is_empty() {
        packet = hand_over(client, packet);
        loop {
            let (word, is_letter) = match client.poll(&mut env) {
                Ok(None) => break,
                Ok(Some(event)) => (word(&event), matches!(event, Event::Letter(_))),
                Err(ended) => return end(ended),
            };
            comes.get_or_insert(word);
            if is_letter {
                client.release_letter();
            }
        }
    }
    comes.unwrap_or("Ignored")
}

fn word(event: &Event<'_>) -> &'static str {
    match event {
        Event::OtpIssued(_) => "Code",
        Event::PhoneTaken => "PhoneTaken",
        Event::SessionIssued { .. } => "SessionKey",
        Event::Letter(_) | Event::TooLarge(_) => "Letter",
        Event::Status { .. } => "Status",
        Event::Key(_) => "Key",
        Event::Successor(_) => "Successor",
        Event::WrongKey(_) => "WrongKey",
        Event::BacklogEnd(_) => "BacklogEnd",
        Event::Refused(_) => "Refused",
    }
}

fn end(ended: Ended) -> &'static str {
    match ended {
        Ended::Closed(_) => "Closed",
        Ended::Refused(_) => "Refused",
        Ended::BadBytes => "BadBytes",
        Ended::BadSeal => "BadSeal",
        _ => "Misbehaved",
    }
}

fn learnt<P: Backend>(event: Event<'_>, ann: &Known) -> String {
    match event {
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
