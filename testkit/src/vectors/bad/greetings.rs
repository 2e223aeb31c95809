//! Registration and reconnecting: 100, 101 and 106 that a server refuses.

use super::to_server::{BAD_SIGNATURE, List, MALFORMED, WEAK_KEY, badly_signed};
use super::{values, weak};
use crate::packets;
use crate::vectors::before_session::proof_content;
use crate::vectors::cast::{
    ANN, BEN, CAROL, IV, NONCE, OTP, REPLY_KEY, SEED, SERVER, SESSION_KEY, counting, now, phone,
};
use crate::vectors::packet::{cbc, signed, unsigned};

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

pub(super) fn registration_requests(list: &mut List) {
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
        // A longer one is of no form that the block can have.
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

pub(super) fn proofs(list: &mut List) {
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

/// Wrong codes and no codes.
pub(super) fn codes(list: &mut List) {
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
    // The same 101 again is one guess, so those of another guess have another nonce.
    let [second, third] = [1, 2].map(|number| {
        let mut content = carols("000000");
        content[38] = number;
        proof(&content)
    });
    list.after(
        "a 101 with a wrong code, played back",
        &[&asked, &wrong],
        wrong.clone(),
        "OtpWrong",
    );
    let attempts: [&[u8]; 3] = [&asked, &wrong, &second];
    list.after("a 101 with the third wrong code", &attempts, third.clone(), "OtpWrong");
    let spent: [&[u8]; 4] = [&asked, &wrong, &second, &third];
    let right = proof(&carols(OTP));
    list.after("a 101 with the right code, too late", &spent, right, "OtpAttemptsSpent");
    let other = [&counting::<32>(0x61), &carols(OTP)[32..]].concat();
    list.after("a 101 with the code of another reply key", &[&asked], proof(&other), "OtpExpired");
    let taken = proof_content(OTP.as_bytes(), &CAROL.spki_digest(), &phone(ANN.phone));
    list.add("a 101 for a phone that another key has", proof(&taken), "OtpExpired");
}

/// Everything is right but the key (PROTOCOL.md, "Keys").
pub(super) fn weak_keys(list: &mut List) {
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

pub(super) fn reconnects(list: &mut List) {
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
