//! From person to person: letters, envelopes, safety numbers.

use waxwing_core::crypto::{Provider, RustCrypto};

use super::cast::{ANN, Actor, BEN, CAROL, LETTER_ID, SERVER, TIME, UID};
use super::json::{Json, hex, object};
use super::packet::{Case, envelope, envelope_protection};

/// What an envelope says: a name, `uid ‖ kind ‖ body`, and the same taken apart.
fn contents() -> Vec<(&'static str, Vec<u8>, Json)> {
    let text = |name, text: &str| (name, content(1, text.as_bytes()), fields(1).with("text", text));
    vec![
        text("a short text", "Hello, Ben"),
        text("a text of no letters", ""),
        text("a text that is not ASCII", "Grüße, 你好 🕊"),
        text("a text up to the last byte of a block", "fourteen bytes"),
        text("a text that fills its last block", "fifteen bytes .."),
        text("a text of a thousand bytes", &"0123456789".repeat(100)),
        ("a read receipt", content(2, &LETTER_ID), fields(2).with("receipt", hex(LETTER_ID))),
        ("a reserved kind", content(77, b"what?"), fields(77).with("body", hex("what?"))),
        ("a reserved kind without a body", content(0, b""), fields(0).with("body", "")),
    ]
}

/// `uid ‖ kind ‖ body`.
pub(crate) fn content(kind: u8, body: &[u8]) -> Vec<u8> {
    [&UID[..], &[kind], body].concat()
}

fn fields(kind: u8) -> Json {
    object().with("uid", hex(UID)).with("content_kind", kind)
}

/// `letters.json`.
pub(crate) fn letters() -> Vec<Json> {
    let letter = |name, content: Vec<u8>, fields, at| {
        let (from, to, signer) = (ANN.id, BEN.id, Some(ANN));
        Case { name, kind: "letter", op: 102, from, to, signer, at, fields }.envelope(&content)
    };
    let dated = |name, at: &'static str| {
        letter(name, content(1, at.as_bytes()), fields(1).with("text", at), at)
    };
    let longest = "0123456789abcde\n".repeat(LONGEST_TEXT.div_ceil(16))[..LONGEST_TEXT].to_owned();
    let mut cases: Vec<Json> = contents()
        .into_iter()
        .map(|(name, content, fields)| letter(name, content, fields, TIME))
        .collect();
    cases.extend([
        letter(
            "the longest text of a letter of 60 KiB",
            content(1, longest.as_bytes()),
            fields(1).with("text", longest),
            TIME,
        ),
        dated("the last second of a leap day", "2028-02-29 23:59:59"),
        dated("the first second that a header can name", "0000-01-01 00:00:00"),
        dated("the last second that a header can name", "9999-12-31 23:59:59"),
    ]);
    cases
}

/// What fits a letter of 61,440 bytes (PROTOCOL.md, "Envelope").
const LONGEST_TEXT: usize = 61_134;

/// `envelope.json`.
pub(crate) fn envelopes() -> Vec<Json> {
    let both_ways = [(ANN, BEN), (BEN, ANN)];
    let cases = contents().into_iter().flat_map(|(name, content, fields)| {
        both_ways.map(|(sender, recipient)| {
            let name = format!("{name}, from {} to {}", sender.name, recipient.name);
            object()
                .with("name", name)
                .with("protection", envelope_protection(&sender, &recipient))
                .with("content", hex(&content))
                .with("fields", fields.clone())
                .with("envelope", hex(envelope(&sender, &recipient, &content)))
        })
    });
    cases.collect()
}

/// `safety.json`.
pub(crate) fn safety() -> Vec<Json> {
    let moved = |actor: Actor, phone| Actor { phone, ..actor };
    vec![
        number("ann and ben", &ANN, &BEN),
        number("ben and ann: the same", &BEN, &ANN),
        number("ann and carol", &ANN, &CAROL),
        number("ben and carol", &BEN, &CAROL),
        number("ann with another phone, and ben", &moved(ANN, "+15550003"), &BEN),
        number(
            "the shortest phone and the longest",
            &moved(ANN, "+1234567"),
            &moved(BEN, "+123456789012345"),
        ),
        number("ann with another key, and ben", &Actor { key: SERVER.key, ..ANN }, &BEN),
    ]
}

fn number(name: &str, one: &Actor, other: &Actor) -> Json {
    let (mut lo, mut hi) = (one.fingerprint(), other.fingerprint());
    if lo > hi {
        std::mem::swap(&mut lo, &mut hi);
    }
    let groups =
        [&b"waxwing/1:safety:1"[..], b"waxwing/1:safety:2"].into_iter().flat_map(|label| {
            let hash = RustCrypto.sha256(&[label, &lo, &hi]).0;
            let value =
                |five: &[u8]| five.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
            hash[..30]
                .chunks(5)
                .map(|five| format!("{:05}", value(five) % 100_000))
                .collect::<Vec<_>>()
        });
    let person = |actor: &Actor| {
        object()
            .with("phone", actor.phone)
            .with("spki", hex(actor.spki()))
            .with("fingerprint", hex(actor.fingerprint()))
    };
    object()
        .with("name", name)
        .with("people", vec![person(one), person(other)])
        .with("safety_number", groups.collect::<Vec<_>>().join(" "))
}
