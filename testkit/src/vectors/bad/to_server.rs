//! Packets that a server refuses (PROTOCOL.md, "Order of checks", "Refusal table").

use super::{values, weak};
use crate::packets;
use crate::vectors::before_session::proof_content;
use crate::vectors::cast::{
    ANN, Actor, BEN, CAROL, IV, LETTER_ID, NONCE, OTP, REPLY_KEY, SEED, SERVER, SESSION_KEY, Told,
    counting, now, phone,
};
use crate::vectors::json::{Json, hex, object};
use crate::vectors::letters::content;
use crate::vectors::packet::{cbc, cbc_unpadded, envelope, sealed, signed, unsigned};

const MALFORMED: &str = "Malformed";
const UNEXPECTED: &str = "UnexpectedOp";
const BAD_SIGNATURE: &str = "BadSignature";
const BAD_SEQUENCE: &str = "BadSequence";
const WEAK_KEY: &str = "WeakKey";

/// The codes that end a session.
const FATAL: [&str; 5] = [MALFORMED, "UnknownOp", UNEXPECTED, BAD_SIGNATURE, BAD_SEQUENCE];

pub(crate) fn cases() -> Vec<Json> {
    let mut list = List::default();
    headers(&mut list);
    registration_requests(&mut list);
    proofs(&mut list);
    codes(&mut list);
    weak_keys(&mut list);
    reconnects(&mut list);
    confirmations(&mut list);
    seals(&mut list);
    requests(&mut list);
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
        self.after(name, &[], packet, error);
    }

    fn after(&mut self, name: impl Into<String>, before: &[&[u8]], packet: Vec<u8>, error: &str) {
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

/// A 100 with this content.
fn request(content: &[u8]) -> Vec<u8> {
    unsigned(0, 0, 100, &SERVER.oaep(b"waxwing/1:100", SEED, content))
}

/// Blocks that do not open under the server's key and `label`.
fn closed_blocks(label: &[u8], other: &[u8], message: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let good = SERVER.oaep(label, SEED, message);
    let mut flipped = good;
    flipped[100] ^= 1;
    vec![
        ("a block under the label of another op", SERVER.oaep(other, SEED, message).to_vec()),
        ("a block without a label", SERVER.oaep(b"", SEED, message).to_vec()),
        ("a block for another key", BEN.oaep(label, SEED, message).to_vec()),
        ("a block with a flipped bit", flipped.to_vec()),
        ("a block of zeros", vec![0; 256]),
        ("a block above the modulus", vec![0xff; 256]),
    ]
}

fn registration_requests(list: &mut List) {
    list.state = "new";
    let content = [&REPLY_KEY[..], &phone(CAROL.phone)].concat();
    for size in [0, 255, 257] {
        list.add(
            format!("a 100 with a payload of {size} bytes"),
            unsigned(0, 0, 100, &vec![1; size]),
            MALFORMED,
        );
    }
    let block = SERVER.oaep(b"waxwing/1:100", SEED, &content);
    list.add("a 100 that is signed", signed(0, 0, 100, &block, &CAROL), MALFORMED);
    let mut tail = request(&content);
    *tail.last_mut().unwrap() = 1;
    list.add("a 100 whose signature is not all zero", tail, MALFORMED);
    list.add("a 100 with a sender", unsigned(ANN.id, 0, 100, &block), MALFORMED);
    list.add("a 100 with a recipient", unsigned(0, ANN.id, 100, &block), MALFORMED);
    for (name, block) in closed_blocks(b"waxwing/1:100", b"waxwing/1:101", &content) {
        list.add(format!("a 100, {name}"), unsigned(0, 0, 100, &block), MALFORMED);
    }
    let contents: [(&str, &[u8]); 5] = [
        ("an empty block", b""),
        ("a block with half a reply key", &REPLY_KEY[..16]),
        ("a block without a phone", &REPLY_KEY),
        ("a block whose phone lacks a byte", &content[..content.len() - 1]),
        ("a block with a byte too many", &[&content[..], &[0]].concat()),
    ];
    for (name, content) in contents {
        list.add(format!("a 100, {name}"), request(content), MALFORMED);
    }
    for (name, text) in values::PHONES {
        let number = [&[text.len() as u8], text].concat();
        // The longest that fits the block is one of 157 bytes; the server's place for it is less.
        if number.len() <= 17 {
            let content = [&REPLY_KEY[..], &number].concat();
            list.add(format!("a 100, the phone is {name}"), request(&content), "BadPhone");
        }
    }
}

/// A 101 of Carol's with this content.
fn proof(content: &[u8]) -> Vec<u8> {
    let block = SERVER.oaep(b"waxwing/1:101", SEED, content);
    signed(0, 0, 101, &[&block[..], &CAROL.spki()].concat(), &CAROL)
}

fn carols(otp: &str) -> Vec<u8> {
    proof_content(otp.as_bytes(), &CAROL.spki_digest(), &phone(CAROL.phone))
}

fn proofs(list: &mut List) {
    list.state = "new";
    let spki = CAROL.spki();
    let block = SERVER.oaep(b"waxwing/1:101", SEED, &carols(OTP));
    let payload = [&block[..], &spki].concat();
    for payload in [&payload[..549], &[&payload[..], &[0]].concat(), &block] {
        let name = format!("a 101 with a payload of {} bytes", payload.len());
        list.add(name, signed(0, 0, 101, payload, &CAROL), MALFORMED);
    }
    list.add("a 101 with a sender", signed(ANN.id, 0, 101, &payload, &CAROL), MALFORMED);
    list.add("a 101 with a recipient", signed(0, ANN.id, 101, &payload, &CAROL), MALFORMED);
    for (name, spki) in values::spkis() {
        if spki.len() == 294 {
            let payload = [&block[..], &spki].concat();
            list.add(format!("a 101 with {name}"), signed(0, 0, 101, &payload, &CAROL), WEAK_KEY);
        }
    }
    for (name, packet) in badly_signed(0, 0, 101, &payload, &CAROL, &ANN) {
        list.add(format!("a 101, {name}"), packet, BAD_SIGNATURE);
    }
    for (name, block) in closed_blocks(b"waxwing/1:101", b"waxwing/1:100", &carols(OTP)) {
        let payload = [&block[..], &spki].concat();
        list.add(format!("a 101, {name}"), signed(0, 0, 101, &payload, &CAROL), MALFORMED);
    }
    let good = carols(OTP);
    let digest = proof_content(OTP.as_bytes(), &ANN.spki_digest(), &phone(CAROL.phone));
    let contents: [(&str, &[u8]); 5] = [
        ("an empty block", b""),
        ("a block without a phone", &good[..86]),
        ("a block whose phone lacks a byte", &good[..good.len() - 1]),
        ("a block with a byte too many", &[&good[..], &[0]].concat()),
        ("the hash of another key", &digest),
    ];
    for (name, content) in contents {
        list.add(format!("a 101, {name}"), proof(content), MALFORMED);
    }
    for text in ["33612345678", "+036123456", "+336123", "+3361234567x"] {
        let content = proof_content(OTP.as_bytes(), &CAROL.spki_digest(), &phone(text));
        list.add(format!("a 101, the phone is {text}"), proof(&content), "BadPhone");
    }
}

/// Packets whose signature does not hold.
fn badly_signed(
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

/// Wrong codes and no codes.
fn codes(list: &mut List) {
    list.state = "new";
    let asked = request(&[&REPLY_KEY[..], &phone(CAROL.phone)].concat());
    let wrong = proof(&carols("000000"));
    list.add("a 101 without a 100", proof(&carols(OTP)), "OtpExpired");
    list.after("a 101 with a wrong code", &[&asked], wrong.clone(), "OtpWrong");
    list.after(
        "a 101 with a code that is no digits",
        &[&asked],
        proof(&carols("12345x")),
        "OtpWrong",
    );
    let attempts: [&[u8]; 3] = [&asked, &wrong, &wrong];
    list.after("a 101 with the third wrong code", &attempts, wrong.clone(), "OtpWrong");
    let spent: [&[u8]; 4] = [&asked, &wrong, &wrong, &wrong];
    let right = proof(&carols(OTP));
    list.after("a 101 with the right code, too late", &spent, right, "OtpAttemptsSpent");
    let other = [&counting::<32>(0x61), &carols(OTP)[32..]].concat();
    list.after("a 101 with the code of another reply key", &[&asked], proof(&other), "OtpExpired");
    let taken = proof_content(OTP.as_bytes(), &CAROL.spki_digest(), &phone(ANN.phone));
    list.add("a 101 for a phone that another key has", proof(&taken), "OtpExpired");
}

/// Everything is right but the key (PROTOCOL.md, "Keys").
fn weak_keys(list: &mut List) {
    list.state = "new";
    let asked = request(&[&REPLY_KEY[..], &phone(CAROL.phone)].concat());
    for owner in [SERVER, BEN] {
        let content = proof_content(OTP.as_bytes(), &owner.spki_digest(), &phone(CAROL.phone));
        let block = SERVER.oaep(b"waxwing/1:101", SEED, &content);
        let packet = signed(0, 0, 101, &[&block[..], &owner.spki()].concat(), &owner);
        list.after(format!("a 101 with the key of {}", owner.name), &[&asked], packet, WEAK_KEY);
    }
    let spki = weak::spki();
    let content = proof_content(OTP.as_bytes(), &packets::digest_of(&spki), &phone(CAROL.phone));
    let block = SERVER.oaep(b"waxwing/1:101", SEED, &content);
    let bytes = packets::unsigned(0, 0, now(), 101, &[&block[..], &spki].concat());
    let name = "a 101 with a modulus that 65,521 divides";
    list.after(name, &[&asked], weak::sign(bytes), WEAK_KEY);
}

fn reconnects(list: &mut List) {
    list.state = "new";
    let long = |message: &[u8]| SERVER.oaep(b"waxwing/1:106", SEED, message).to_vec();
    let packet = |payload: &[u8]| signed(ANN.id, 0, 106, payload, &ANN);
    for size in [0, 32, 47, 49, 64, 255, 257] {
        list.add(
            format!("a 106 with a payload of {size} bytes"),
            packet(&vec![1; size]),
            MALFORMED,
        );
    }
    let good = long(&NONCE);
    list.add("a 106 with the sender 0", signed(0, 0, 106, &good, &ANN), MALFORMED);
    list.add("a 106 to somebody", signed(ANN.id, BEN.id, 106, &good, &ANN), MALFORMED);
    list.add("a 106 of nobody", signed(9, 0, 106, &good, &ANN), BAD_SIGNATURE);
    for (name, packet) in badly_signed(ANN.id, 0, 106, &good, &ANN, &BEN) {
        list.add(format!("a 106, {name}"), packet, BAD_SIGNATURE);
    }
    for (name, block) in closed_blocks(b"waxwing/1:106", b"waxwing/1:206", &NONCE) {
        list.add(format!("a 106, {name}"), packet(&block), MALFORMED);
    }
    list.add("a 106, a nonce that lacks a byte", packet(&long(&NONCE[..15])), MALFORMED);
    list.add("a 106, a nonce with a byte too many", packet(&long(&[7; 17])), MALFORMED);
    list.add("a 106, no nonce", packet(&long(b"")), MALFORMED);
    let short = cbc(&SESSION_KEY, &IV, &NONCE);
    list.add("a short 106 without an earlier session", packet(&short), "SessionUnknown");
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
