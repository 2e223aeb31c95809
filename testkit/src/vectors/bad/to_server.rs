//! Packets that a server refuses (PROTOCOL.md, "Order of checks", "Refusal table").

use super::{greetings, values};
use crate::packets;
use crate::told::Told;
use crate::vectors::cast::{
    ANN, Actor, BEN, CAROL, IV, LETTER_ID, REPLY_KEY, SESSION_KEY, now, phone,
};
use crate::vectors::json::{Json, hex, object};
use crate::vectors::letters::content;
use crate::vectors::packet::{cbc, cbc_unpadded, envelope, sealed, signed};

pub(super) const MALFORMED: &str = "Malformed";
const UNEXPECTED: &str = "UnexpectedOp";
pub(super) const BAD_SIGNATURE: &str = "BadSignature";
const BAD_SEQUENCE: &str = "BadSequence";
pub(super) const WEAK_KEY: &str = "WeakKey";

/// The codes that end a session.
const FATAL: [&str; 5] = [MALFORMED, "UnknownOp", UNEXPECTED, BAD_SIGNATURE, BAD_SEQUENCE];

pub(crate) fn cases() -> Vec<Json> {
    let mut list = List::default();
    headers(&mut list);
    greetings::registration_requests(&mut list);
    greetings::proofs(&mut list);
    greetings::codes(&mut list);
    greetings::weak_keys(&mut list);
    greetings::reconnects(&mut list);
    confirmations(&mut list);
    seals(&mut list);
    requests(&mut list);
    letters(&mut list);
    list.cases
}

#[derive(Default)]
pub(super) struct List {
    cases: Vec<Json>,
    pub(super) state: &'static str,
}

impl List {
    pub(super) fn add(&mut self, name: impl Into<String>, packet: Vec<u8>, error: &str) {
        self.after(name, &[], packet, error);
    }

    pub(super) fn after(
        &mut self,
        name: impl Into<String>,
        before: &[&[u8]],
        packet: Vec<u8>,
        error: &str,
    ) {
        let ends = match self.state {
            "session" => FATAL.contains(&error),
            _ => error != "SessionUnknown",
        };
        let before: Vec<Json> = before.iter().map(|packet| hex(packet).into()).collect();
        let case = object()
            .with("name", format!("{}: {}", self.state, name.into()))
            .with("state", self.state)
            .with_some("before", (!before.is_empty()).then_some(before))
            .with("packet", hex(packet))
            .with("error", error)
            .with("ends", ends);
        self.cases.push(case);
    }
}

/// A header alone: enough to refuse it.
fn header(from: u16, to: u16, op: u8, size: u16) -> Vec<u8> {
    packets::header(from, to, now(), op, size)
}

/// What a header alone gives away.
fn headers(list: &mut List) {
    for (state, from) in [("new", 0), ("issued", ANN.id), ("session", ANN.id)] {
        list.state = state;
        let mut broken = header(from, 0, 203, 48);
        broken[20] = b'6';
        list.add("a header with second 69", broken, MALFORMED);
        for op in [0, 1, 99, 103, 104, 151, 202, 254] {
            list.add(
                format!("the op {op}, which does not exist"),
                header(from, 0, op, 48),
                "UnknownOp",
            );
        }
    }
    let out_of_place: [(&str, &[u8]); 3] = [
        ("new", &[102, 105, 150, 200, 201, 203, 204, 206, 222, 244, 255]),
        ("issued", &[100, 101, 102, 105, 106, 222, 244]),
        ("session", &[100, 101, 106, 150, 200, 201, 204, 206, 244, 255]),
    ];
    for (state, ops) in out_of_place {
        list.state = state;
        for op in ops {
            list.add(format!("a {op} has no place"), header(ANN.id, 0, *op, 48), UNEXPECTED);
        }
    }
    list.state = "new";
    for op in [100, 101, 106] {
        list.add(format!("a {op} above 1 KiB"), header(0, 0, op, 743), MALFORMED);
    }
    list.state = "issued";
    list.add("a 203 above 1 KiB", header(ANN.id, 0, 203, 743), MALFORMED);
    list.state = "session";
    for op in [102, 105, 203, 222] {
        list.add(format!("a {op} with another's id"), header(BEN.id, 0, op, 48), MALFORMED);
        list.add(format!("a {op} with the sender 0"), header(0, 0, op, 48), MALFORMED);
    }
    for op in [105, 203, 222] {
        list.add(format!("a {op} to somebody"), header(ANN.id, BEN.id, op, 48), MALFORMED);
        list.add(format!("a {op} of 2,049 bytes"), header(ANN.id, 0, op, 2_049), BAD_SEQUENCE);
    }
}

/// Packets whose signature does not hold.
pub(super) fn badly_signed(
    from: u16,
    to: u16,
    op: u8,
    payload: &[u8],
    signer: &Actor,
    other: &Actor,
) -> Vec<(&'static str, Vec<u8>)> {
    let good = signed(from, to, op, payload, signer);
    let with_signature = |signature: &[u8]| [&good[..good.len() - 256], signature].concat();
    let mut reversed = good[good.len() - 256..].to_vec();
    reversed.reverse();
    vec![
        ("signed with another key", signed(from, to, op, payload, other)),
        ("a flipped bit in the signature", packets::flipped(&good, good.len() - 1)),
        ("a flipped bit in the timestamp", packets::flipped(&good, 22)),
        ("a flipped bit in the payload", packets::flipped(&good, 26)),
        ("a signature of zeros", with_signature(&[0; 256])),
        ("a signature above the modulus", with_signature(&[0xff; 256])),
        ("a signature in little endian", with_signature(&reversed)),
    ]
}

/// A 203 of Ann's.
fn report(payload: &[u8]) -> Vec<u8> {
    signed(ANN.id, 0, 203, payload, &ANN)
}

/// Payloads that do not open as number `seq`. `content` is what a good one would hold.
fn closed_seals(seq: u32, content: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let plain = [&seq.to_le_bytes()[..], content].concat();
    let good = sealed(seq, content);
    let padded = |fill: u8, last: u8| {
        let mut block = plain.clone();
        block.resize(plain.len().next_multiple_of(16), fill);
        *block.last_mut().unwrap() = last;
        cbc_unpadded(&SESSION_KEY, &IV, &block)
    };
    vec![
        ("a number that comes later", sealed(seq + 1, content)),
        ("a number in big endian", sealed((seq + 1).swap_bytes(), content)),
        ("under another key", cbc(&REPLY_KEY, &IV, &plain)),
        ("padding of zero bytes", padded(0, 0)),
        ("padding of seventeen bytes", padded(17, 17)),
        ("padding that is not all the same", padded(0, 3)),
        ("no payload", vec![]),
        ("an IV alone", good[..16].to_vec()),
        ("blocks that are not whole", good[..good.len() - 1].to_vec()),
        ("a byte behind the blocks", [&good[..], &[0]].concat()),
        ("half a number", cbc(&SESSION_KEY, &IV, &plain[..2])),
        ("nothing inside", cbc(&SESSION_KEY, &IV, b"")),
    ]
}

fn confirmations(list: &mut List) {
    list.state = "issued";
    list.add("another's 203", signed(BEN.id, 0, 203, &sealed(0, &[0, 128]), &BEN), MALFORMED);
    let to_ben = signed(ANN.id, BEN.id, 203, &sealed(0, &[0, 128]), &ANN);
    list.add("a 203 to somebody", to_ben, MALFORMED);
    for (name, packet) in badly_signed(ANN.id, 0, 203, &sealed(0, &[0, 128]), &ANN, &BEN) {
        list.add(format!("a confirmation, {name}"), packet, BAD_SEQUENCE);
    }
    for (name, payload) in closed_seals(0, &[0, 128]) {
        list.add(format!("a confirmation, {name}"), report(&payload), BAD_SEQUENCE);
    }
    let held = [&[1, 1, 0], &LETTER_ID[..]].concat();
    let queries = [&[2, 1, 0, 44, 1], &LETTER_ID[..]].concat();
    let contents: [(&str, &[u8], &str); 8] = [
        ("a window of 0", &[0, 0], MALFORMED),
        ("a window of 129", &[0, 129], MALFORMED),
        ("no window", &[0], MALFORMED),
        ("a byte too many", &[0, 128, 0], MALFORMED),
        ("no kind", &[], MALFORMED),
        ("a kind that does not exist", &[3, 128], MALFORMED),
        ("the kind 1", &held, UNEXPECTED),
        ("the kind 2", &queries, UNEXPECTED),
    ];
    for (name, content, error) in contents {
        list.add(format!("a confirmation, {name}"), report(&sealed(0, content)), error);
    }
}

fn seals(list: &mut List) {
    list.state = "session";
    list.add("the confirmation again", report(&sealed(0, &[0, 128])), BAD_SEQUENCE);
    for (op, content) in [(105, &[1, 44, 1][..]), (203, &[1, 0, 0]), (222, &[1])] {
        for (name, payload) in closed_seals(1, content) {
            let packet = signed(ANN.id, 0, op, &payload, &ANN);
            list.add(format!("a {op}, {name}"), packet, BAD_SEQUENCE);
        }
        for (name, packet) in badly_signed(ANN.id, 0, op, &sealed(1, content), &ANN, &BEN) {
            list.add(format!("a {op}, {name}"), packet, BAD_SEQUENCE);
        }
    }
}

fn requests(list: &mut List) {
    list.state = "session";
    for (kind, name, content) in values::contents() {
        let op = match kind {
            "key_question" => 105,
            "held" | "status_queries" => 203,
            "closing" => 222,
            _ => continue,
        };
        let packet = signed(ANN.id, 0, op, &sealed(1, &content), &ANN);
        list.add(format!("a {op} ({kind}), {name}"), packet, MALFORMED);
    }
    list.add("a second confirmation", report(&sealed(1, &[0, 128])), UNEXPECTED);
    list.add("a 203 without a kind", report(&sealed(1, &[])), MALFORMED);
    list.add("a 203 of a kind that does not exist", report(&sealed(1, &[3, 0, 0])), MALFORMED);
    let question = |content: &[u8]| signed(ANN.id, 0, 105, &sealed(1, content), &ANN);
    let nobody = [&[2], &phone(CAROL.phone)[..]].concat();
    list.add("a 105 about a phone that nobody has", question(&nobody), "UnknownUser");
    list.add("a 105 about an id that nobody has", question(&[1, 9, 0]), "UnknownUser");
    list.add("a 105 about an id that has sent nothing", question(&[1, 44, 1]), "UnknownUser");
    list.add("a 105 about a server that keeps its key", question(&[1, 0, 0]), "UnknownUser");
}

fn letters(list: &mut List) {
    list.state = "session";
    let payload = envelope(&ANN, &BEN, &content(1, b"Hello, Ben"));
    for (name, packet) in badly_signed(ANN.id, BEN.id, 102, &payload, &ANN, &BEN) {
        list.add(format!("a letter, {name}"), packet, BAD_SIGNATURE);
    }
    for seconds in [-86_400, -301, 301, 86_400] {
        let at = now().shifted(seconds);
        let bytes = packets::unsigned(ANN.id, BEN.id, at, 102, &payload);
        let packet = sign(bytes);
        list.add(format!("a letter that is {seconds} s off"), packet, "StaleTimestamp");
    }
    for (name, to) in [("to nobody", 9), ("to the server", 0), ("to its own sender", ANN.id)] {
        let packet = signed(ANN.id, to, 102, &payload, &ANN);
        list.add(format!("a letter {name}"), packet, "UnknownRecipient");
    }
    // The size comes before the signature.
    let mut large = header(ANN.id, BEN.id, 102, 61_441);
    large.resize(large.len() + 61_441 + 256, 0);
    list.add("a letter of 61,441 bytes", large, "TooLarge");
}

fn sign(bytes: Vec<u8>) -> Vec<u8> {
    packets::sign(bytes, &ANN.private(), &mut Told::new(&[]))
}
