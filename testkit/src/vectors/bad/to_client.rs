//! Packets that a client refuses, or that mean nothing to it (PROTOCOL.md, "Order of checks",
//! "State diagrams", "Letters").

use super::values;
use crate::packets;
use crate::vectors::cast::{
    ANN, Actor, BEN, CAROL, IV, LETTER_ID, MESSAGE_KEY, NONCE, REPLY_KEY, SEED, SERVER,
    SESSION_KEY, UID, counting, phone,
};
use crate::vectors::in_session::refusal;
use crate::vectors::json::{Json, hex, object};
use crate::vectors::letters::content;
use crate::vectors::packet::{cbc, cbc_unpadded, envelope, envelope_label, sealed, signed, token};

const BAD_BYTES: &str = "BadBytes";
const BAD_SEAL: &str = "BadSeal";
const MISBEHAVED: &str = "Misbehaved";
const IGNORED: &str = "Ignored";
const DOES_NOT_OPEN: &str = "DoesNotOpen";

pub(crate) fn cases() -> Vec<Json> {
    let mut list = List::default();
    frames(&mut list);
    answers_to_100(&mut list);
    session_keys(&mut list);
    clear_refusals(&mut list);
    seals(&mut list);
    contents(&mut list);
    shared(&mut list);
    key_answers(&mut list);
    letters(&mut list);
    list.cases
}

#[derive(Default)]
struct List {
    cases: Vec<Json>,
    state: &'static str,
}

impl List {
    fn add(&mut self, name: impl Into<String>, packet: Vec<u8>, error: &str) {
        let case = object()
            .with("name", format!("{}: {}", self.state, name.into()))
            .with("state", self.state)
            .with("packet", hex(packet))
            .with("error", error);
        self.cases.push(case);
    }
}

/// A packet of the server's.
fn from_server(to: u16, op: u8, payload: &[u8]) -> Vec<u8> {
    signed(0, to, op, payload, &SERVER)
}

/// Broken frames and signatures, and ops out of place, in every state.
fn frames(list: &mut List) {
    let states: [(&'static str, &[u8]); 5] = [
        ("idle", &[100, 150, 200, 201, 203, 206, 222, 244, 255]),
        ("asked", &[100, 101, 201, 203, 204, 206, 222, 255]),
        ("proving", &[150, 200, 203, 204, 206, 222, 255]),
        ("reconnecting", &[106, 150, 200, 201, 203, 222, 255]),
        ("session", &[0, 100, 101, 105, 106, 150, 200, 201, 206, 254]),
    ];
    for (state, ops) in states {
        list.state = state;
        let body = refusal(4, 0, 0, None, "BadSignature").0;
        let good = from_server(0, 244, &body);
        let mut broken = good.clone();
        broken[4] = b'x';
        list.add("a broken timestamp", broken, BAD_BYTES);
        list.add("a 244 signed with another key", signed(0, 0, 244, &body, &BEN), BAD_BYTES);
        list.add("a 244 with a flipped bit", packets::flipped(&good, 26), BAD_BYTES);
        list.add(
            "a 244 with a flipped signature",
            packets::flipped(&good, good.len() - 9),
            BAD_BYTES,
        );
        let from_ben = signed(BEN.id, 0, 244, &body, &SERVER);
        list.add("a 244 with a sender", from_ben, MISBEHAVED);
        list.add("a 244 to somebody else", from_server(BEN.id, 244, &body), MISBEHAVED);
        for op in ops {
            let to = if state == "session" { ANN.id } else { 0 };
            let packet = from_server(to, *op, &sealed(0, &[1]));
            list.add(format!("a {op} has no place"), packet, MISBEHAVED);
        }
        if state != "session" {
            let letter = signed(BEN.id, ANN.id, 102, b"hello", &BEN);
            list.add("a letter has no place", letter, MISBEHAVED);
        }
    }
}

fn answers_to_100(list: &mut List) {
    list.state = "asked";
    let good = [44, 1, 3, 30, 0, 0];
    let under_another_key = cbc(&SESSION_KEY, &IV, &good);
    list.add("a 200 under another key", from_server(0, 200, &under_another_key), MISBEHAVED);
    list.add(
        "a 150 under another key",
        from_server(0, 150, &cbc(&SESSION_KEY, &IV, &[1])),
        MISBEHAVED,
    );
    list.add(
        "a 150 with the reason 2",
        from_server(0, 150, &cbc(&REPLY_KEY, &IV, &[2])),
        MISBEHAVED,
    );
    list.add(
        "a 150 that says what a 200 says",
        from_server(0, 150, &cbc(&REPLY_KEY, &IV, &good)),
        MISBEHAVED,
    );
    list.add(
        "a 200 that says what a 150 says",
        from_server(0, 200, &cbc(&REPLY_KEY, &IV, &[1])),
        MISBEHAVED,
    );
    list.add("a 200 without a payload", from_server(0, 200, b""), MISBEHAVED);
    list.add("a 200 of an IV alone", from_server(0, 200, &IV), MISBEHAVED);
    let unpadded = cbc_unpadded(&REPLY_KEY, &IV, &[0; 16]);
    list.add("a 200 without padding", from_server(0, 200, &unpadded), MISBEHAVED);
    for (kind, name, content) in values::contents() {
        let op = match kind {
            "registration_rejected" => 150,
            "otp_issued" => 200,
            _ => continue,
        };
        let packet = from_server(0, op, &cbc(&REPLY_KEY, &IV, &content));
        list.add(format!("a {op}, {name}"), packet, MISBEHAVED);
    }
}

fn session_keys(list: &mut List) {
    let good = [&SESSION_KEY[..], &NONCE].concat();
    let states: [(&'static str, u8, &[u8], &[u8]); 2] = [
        ("proving", 201, b"waxwing/1:201", b"waxwing/1:206"),
        ("reconnecting", 206, b"waxwing/1:206", b"waxwing/1:201"),
    ];
    for (state, op, label, other) in states {
        list.state = state;
        let mut add = |name: &str, to: u16, payload: &[u8]| {
            list.add(format!("a {op}, {name}"), from_server(to, op, payload), MISBEHAVED);
        };
        let block = |message: &[u8]| ANN.oaep(label, SEED, message);
        let mut flipped = block(&good);
        flipped[10] ^= 1;
        add("the label of the other op", ANN.id, &ANN.oaep(other, SEED, &good));
        add("for another key", ANN.id, &BEN.oaep(label, SEED, &good));
        add("a flipped bit", ANN.id, &flipped);
        add("above the modulus", ANN.id, &[0xff; 256]);
        add("another nonce", ANN.id, &block(&[&SESSION_KEY[..], &UID].concat()));
        add("a nonce that lacks a byte", ANN.id, &block(&good[..47]));
        add("a byte too many", ANN.id, &block(&[&good[..], &[0]].concat()));
        add("255 bytes", ANN.id, &block(&good)[..255]);
        add("257 bytes", ANN.id, &[&block(&good)[..], &[0]].concat());
        add("no payload", ANN.id, b"");
        add("to 0", 0, &block(&good));
        if op == 206 {
            add("to somebody else", BEN.id, &block(&good));
        }
    }
}

fn clear_refusals(list: &mut List) {
    for state in ["asked", "proving", "reconnecting"] {
        list.state = state;
        for (kind, name, content) in values::contents() {
            if kind == "refusal" {
                list.add(format!("a 244, {name}"), from_server(0, 244, &content), MISBEHAVED);
            }
        }
        let another = refusal(8, 101, 0, Some(LETTER_ID), "OtpWrong").0;
        list.add("a 244 about another packet", from_server(0, 244, &another), IGNORED);
    }
    list.state = "session";
    let another = refusal(8, 101, 0, Some(LETTER_ID), "OtpWrong").0;
    list.add("a 244 in clear about a packet", from_server(0, 244, &another), IGNORED);
}

fn seals(list: &mut List) {
    list.state = "session";
    let goods: [(u8, &[u8]); 4] = [
        (203, &[1, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 1]),
        (222, &[1]),
        (244, &[11, 0, 0, 0, 0, 0]),
        (255, &[0; 4]),
    ];
    for (op, content) in goods {
        let plain = [&[0; 4], content].concat();
        let good = sealed(0, content);
        let padded = |fill: u8, last: u8| {
            let mut blocks = plain.clone();
            blocks.resize(plain.len().next_multiple_of(16), fill);
            *blocks.last_mut().unwrap() = last;
            cbc_unpadded(&SESSION_KEY, &IV, &blocks)
        };
        for (name, payload) in [
            ("a number that comes later", sealed(1, content)),
            ("under another key", cbc(&REPLY_KEY, &IV, &plain)),
            ("padding of zero bytes", padded(0, 0)),
            ("padding of seventeen bytes", padded(17, 17)),
            ("padding that is not all the same", padded(0, 3)),
            ("no payload", vec![]),
            ("an IV alone", good[..16].to_vec()),
            ("blocks that are not whole", good[..good.len() - 1].to_vec()),
            ("half a number", cbc(&SESSION_KEY, &IV, &[0, 0])),
        ] {
            list.add(format!("a {op}, {name}"), from_server(ANN.id, op, &payload), BAD_SEAL);
        }
    }
}

fn contents(list: &mut List) {
    list.state = "session";
    for (kind, name, content) in values::contents() {
        let op = match kind {
            "statuses" => 203,
            "backlog_end" => 255,
            "closing" => 222,
            "refusal" => 244,
            _ => continue,
        };
        let packet = from_server(ANN.id, op, &sealed(0, &content));
        list.add(format!("a {op}, {name}"), packet, MISBEHAVED);
    }
}

/// Shared packets: noise, and sizes that are none.
fn shared(list: &mut List) {
    list.state = "session";
    let noise = |count: usize| [&IV[..], &[0x5a; 16].repeat(count)].concat();
    for op in [203, 255] {
        let mut add = |name: &str, payload: &[u8], error| {
            list.add(format!("a shared {op}, {name}"), from_server(0, op, payload), error);
        };
        add("no token", &IV, MISBEHAVED);
        add("no payload", b"", MISBEHAVED);
        add("half a token", &noise(2)[..40], MISBEHAVED);
        add("128 tokens", &noise(128), BAD_BYTES);
        add("a token of another session", &[IV, token(&REPLY_KEY, NONCE)].concat(), IGNORED);
        add("tokens of other sessions", &noise(127), IGNORED);
    }
    let block = |block: [u8; 16]| [IV, token(&SESSION_KEY, block)].concat();
    let other_nonce = [&counting::<12>(0x41)[..], &[0; 4]].concat().try_into().unwrap();
    list.add("a shared 255 with another nonce", from_server(0, 255, &block(other_nonce)), IGNORED);
    let mut status_4 = LETTER_ID;
    status_4[15] = 4;
    list.add("a shared 203 with the status 4", from_server(0, 203, &block(status_4)), IGNORED);
}

fn key_answers(list: &mut List) {
    let answer = |id: u16, number: &str, spki: &[u8]| {
        let content = [&id.to_le_bytes()[..], &phone(number), spki].concat();
        from_server(ANN.id, 204, &sealed(0, &content))
    };
    list.state = "session";
    let good = answer(BEN.id, BEN.phone, &BEN.spki());
    list.add("a 204 that nobody has asked for", good, MISBEHAVED);
    list.state = "asking";
    list.add("a 204 about another phone", answer(BEN.id, CAROL.phone, &BEN.spki()), "WrongKey");
    for (name, spki) in values::spkis() {
        if spki.len() == 294 {
            list.add(format!("a 204 with {name}"), answer(BEN.id, BEN.phone, &spki), MISBEHAVED);
        }
    }
    list.state = "asking_the_server";
    list.add("a 204 about a user", answer(BEN.id, BEN.phone, &BEN.spki()), MISBEHAVED);
    for (kind, name, content) in values::contents() {
        if kind == "successor" {
            let packet = from_server(ANN.id, 204, &sealed(0, &content));
            list.add(format!("a 204 about the server, {name}"), packet, MISBEHAVED);
        }
    }
    list.state = "asking";
    let successor = [&[0, 0], &b"2026-12-24 18:00:00"[..], &CAROL.spki()].concat();
    let packet = from_server(ANN.id, 204, &sealed(0, &successor));
    list.add("a 204 about the server", packet, MISBEHAVED);
    for (kind, name, content) in values::contents() {
        if kind == "key_answer" {
            let packet = from_server(ANN.id, 204, &sealed(0, &content));
            list.add(format!("a 204, {name}"), packet, MISBEHAVED);
        }
    }
}

/// A letter of Ben's to Ann.
fn letter(payload: &[u8]) -> Vec<u8> {
    signed(BEN.id, ANN.id, 102, payload, &BEN)
}

fn letters(list: &mut List) {
    list.state = "session";
    let hello = content(1, b"Hello, Ann");
    let good = envelope(&BEN, &ANN, &hello);
    list.add("a letter to somebody else", signed(BEN.id, 9, 102, &good, &BEN), MISBEHAVED);
    list.add("a letter to nobody", signed(BEN.id, 0, 102, &good, &BEN), MISBEHAVED);
    list.add("a letter of nobody", signed(0, ANN.id, 102, &good, &SERVER), MISBEHAVED);
    list.add("a letter of one's own", signed(ANN.id, ANN.id, 102, &good, &ANN), MISBEHAVED);

    list.add(
        "a letter signed by another",
        signed(BEN.id, ANN.id, 102, &good, &CAROL),
        "BadSignature",
    );
    list.add("a letter with a flipped bit", packets::flipped(&letter(&good), 300), "BadSignature");
    list.add(
        "a letter with another timestamp",
        packets::flipped(&letter(&good), 22),
        "BadSignature",
    );

    let changed = |at: usize, byte: u8| {
        let mut payload = good.clone();
        payload[at] = byte;
        letter(&payload)
    };
    for version in [0, 2, 255] {
        list.add(format!("a letter of version {version}"), changed(0, version), "UnknownVersion");
    }
    for suite in [0, 2, 255] {
        list.add(format!("a letter of suite {suite}"), changed(1, suite), "UnknownSuite");
    }
    list.add("a letter of version 2 that is short", letter(&[2, 1]), "UnknownVersion");

    let (label, mine) = (envelope_label(&BEN, &ANN), |wrapped: &[u8], rest: &[u8]| {
        letter(&[&[1, 1], wrapped, rest].concat())
    });
    let rest = &good[258..];
    let wrapped = |to: &Actor, label: &[u8], key: &[u8]| to.oaep(label, SEED, key);
    let mut damaged = wrapped(&ANN, &label, &MESSAGE_KEY);
    damaged[99] ^= 0x10;
    let relabelled =
        |from: &Actor, to: &Actor| wrapped(&ANN, &envelope_label(from, to), &MESSAGE_KEY);
    let blocks = |plain: &[u8]| cbc_unpadded(&MESSAGE_KEY, &IV, plain);
    let whole = wrapped(&ANN, &label, &MESSAGE_KEY);
    for (name, packet) in [
        ("an envelope of Carol's, signed by Ben", mine(&relabelled(&CAROL, &ANN), rest)),
        ("an envelope to Carol", mine(&wrapped(&CAROL, &label, &MESSAGE_KEY), rest)),
        ("a label with the two people swapped", mine(&relabelled(&ANN, &BEN), rest)),
        ("a label without the people", mine(&wrapped(&ANN, b"waxwing/1:102", &MESSAGE_KEY), rest)),
        ("a damaged wrapped key", mine(&damaged, rest)),
        ("a wrapped key that lacks a byte", mine(&wrapped(&ANN, &label, &MESSAGE_KEY[..31]), rest)),
        ("a wrapped key with a byte too many", mine(&wrapped(&ANN, &label, &[1; 33]), rest)),
        ("no payload", letter(b"")),
        ("a version alone", letter(&[1])),
        ("version and suite alone", letter(&[1, 1])),
        ("a wrapped key that is cut off", letter(&good[..257])),
        ("no IV", letter(&good[..258])),
        ("no blocks", letter(&good[..274])),
        ("blocks that are not whole", letter(&good[..good.len() - 1])),
        ("padding of zero bytes", mine(&whole, &blocks(&[0; 32]))),
        ("padding of seventeen bytes", mine(&whole, &blocks(&[17; 32]))),
        ("another key for the blocks", mine(&whole, &cbc(&SESSION_KEY, &IV, &hello))),
        ("nothing inside", mine(&whole, &cbc(&MESSAGE_KEY, &IV, b""))),
        ("half a uid inside", mine(&whole, &cbc(&MESSAGE_KEY, &IV, &UID[..8]))),
        ("a uid without a kind", mine(&whole, &cbc(&MESSAGE_KEY, &IV, &UID))),
    ] {
        list.add(format!("a letter, {name}"), packet, DOES_NOT_OPEN);
    }

    let says = |kind: u8, body: &[u8]| letter(&envelope(&BEN, &ANN, &content(kind, body)));
    for (name, kind, body) in [
        ("a kind of 0", 0, &b"?"[..]),
        ("a kind of 3", 3, b"?"),
        ("a kind of 255", 255, b""),
        ("a text that is not UTF-8", 1, b"\xff\xfe"),
        ("a text that ends in half a character", 1, b"Gr\xc3"),
        ("a text with a surrogate", 1, b"\xed\xa0\x80"),
        ("a text with an overlong slash", 1, b"\xc0\xaf"),
        ("a receipt that lacks a byte", 2, &LETTER_ID[..15]),
        ("a receipt with a byte too many", 2, &[7; 17]),
        ("a receipt of nothing", 2, b""),
    ] {
        list.add(format!("a letter, {name}"), says(kind, body), "UnknownKind");
    }
}
