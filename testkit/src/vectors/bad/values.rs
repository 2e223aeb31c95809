//! Values and contents that no parser may take.

use crate::vectors::before_session::proof_content;
use crate::vectors::cast::{ANN, BEN, CAROL, LETTER_ID, NONCE, OTP, REPLY_KEY, SESSION_KEY, phone};
use crate::vectors::json::{Json, hex, object};
use crate::vectors::packet::signed;

/// Phones in other forms.
pub(super) const PHONES: [(&str, &[u8]); 16] = [
    ("nothing", b""),
    ("a plus alone", b"+"),
    ("no plus", b"15550001"),
    ("six digits", b"+123456"),
    ("sixteen digits", b"+1234567890123456"),
    ("a leading zero", b"+01555000"),
    ("the prefix 00", b"0015550001"),
    ("a space in it", b"+1 5550001"),
    ("a space behind it", b"+15550001 "),
    ("a hyphen in it", b"+1-5550001"),
    ("a letter in it", b"+1555000l"),
    ("a NUL behind it", b"+15550001\0"),
    ("a line feed behind it", b"+15550001\n"),
    ("two pluses", b"++15550001"),
    ("digits of another script", "+١٢٣٤٥٦٧".as_bytes()),
    ("bytes that are no text", b"+1555\xff\xfe\xfd\xfc"),
];

pub(crate) fn cases() -> Vec<Json> {
    let mut cases = Vec::new();
    let mut add = |kind: &str, name: &str, bytes: &[u8], error: &str| {
        let case = object().with("name", format!("{kind}: {name}")).with("kind", kind);
        cases.push(case.with("bytes", hex(bytes)).with("error", error));
    };
    for text in TIMESTAMPS {
        add("timestamp", &text.escape_default().to_string(), text.as_bytes(), "Malformed");
    }
    for (name, bytes) in packets() {
        add("header_and_rest", name, &bytes, "Malformed");
    }
    for (name, text) in PHONES {
        add("phone", name, text, "BadPhone");
    }
    for (name, text) in OTPS {
        add("otp", name, text, "Malformed");
    }
    for (name, spki) in spkis() {
        add("spki", name, &spki, "WeakKey");
    }
    for (kind, name, content) in contents() {
        add(kind, name, &content, "Malformed");
    }
    cases
}

const TIMESTAMPS: [&str; 22] = [
    "2026-00-14 09:26:53",
    "2026-13-14 09:26:53",
    "2026-03-00 09:26:53",
    "2026-03-32 09:26:53",
    "2026-04-31 09:26:53",
    "2026-02-30 09:26:53",
    "2026-02-29 09:26:53",
    "1900-02-29 09:26:53",
    "2026-03-14 24:00:00",
    "2026-03-14 09:60:53",
    "2026-03-14 09:26:60",
    "2026-03-14T09:26:53",
    "2026-03-14_09:26:53",
    "2026/03/14 09:26:53",
    "2026-03-14 09.26.53",
    "14-03-2026 09:26:53",
    " 2026-3-14 09:26:53",
    "2026-03-14  9:26:53",
    "-026-03-14 09:26:53",
    "2O26-03-14 09:26:53",
    "2026-03-14 09:26:5\0",
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
];

const OTPS: [(&str, &[u8]); 9] = [
    ("nothing", b""),
    ("five digits", b"12345"),
    ("seven digits", b"1234567"),
    ("a letter in it", b"12345a"),
    ("a space in it", b"123 56"),
    ("a sign before it", b"-12345"),
    ("zeros that are no digits", b"\0\0\0\0\0\0"),
    ("numbers that are no digits", b"\x01\x02\x03\x04\x05\x06"),
    ("digits of another script", "١٢٣".as_bytes()),
];

/// Packets that are none by their length or their header.
fn packets() -> Vec<(&'static str, Vec<u8>)> {
    let good = signed(ANN.id, BEN.id, 102, b"hello", &ANN);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    vec![
        ("nothing", Vec::new()),
        ("one byte", good[..1].to_vec()),
        ("a header that lacks a byte", good[..25].to_vec()),
        ("a header alone", good[..26].to_vec()),
        ("no signature", good[..31].to_vec()),
        ("the signature lacks a byte", good[..good.len() - 1].to_vec()),
        ("a byte too many", [&good[..], &[0]].concat()),
        ("a payload size one too small", changed(24, 4)),
        ("a payload size one too large", changed(24, 6)),
        ("a payload size in the other order", {
            let mut bytes = changed(24, 0);
            bytes[25] = 5;
            bytes
        }),
        ("a broken timestamp", changed(4, b'x')),
    ]
}

/// Public keys in other forms (PROTOCOL.md, "Keys").
pub(super) fn spkis() -> Vec<(&'static str, Vec<u8>)> {
    let good = CAROL.spki().to_vec();
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let modulus = &good[33..289];
    vec![
        ("nothing", Vec::new()),
        ("a byte is missing", good[..293].to_vec()),
        ("a byte too many", [&good[..], &[0]].concat()),
        ("an even modulus", changed(288, good[288] & 0xfe)),
        ("a modulus of 2047 bits", changed(33, good[33] & 0x7f)),
        ("a modulus of zero", [&good[..33], &[0; 256], &good[289..]].concat()),
        ("the exponent 3", [&good[..24], &[0x30, 0x82, 1, 8], &good[28..289], &[2, 1, 3]].concat()),
        ("the exponent 65539", changed(293, 3)),
        ("the exponent 1", [&good[..289], &[2, 3, 0, 0, 1]].concat()),
        ("an even exponent", changed(293, 0)),
        ("a negative modulus", changed(32, 0xff)),
        ("RSASSA-PSS as the algorithm", changed(18, 0x0a)),
        ("parameters that are not NULL", changed(19, 0x04)),
        ("unused bits in the bit string", changed(23, 1)),
        ("an outer length that is one too small", changed(3, 0x21)),
        ("a set instead of a sequence", changed(0, 0x31)),
        ("PKCS#1 without the algorithm", good[24..].to_vec()),
        ("the modulus alone", modulus.to_vec()),
    ]
}

/// Contents that are none.
pub(super) fn contents() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let join = |parts: &[&[u8]]| parts.concat();
    let ben = phone(BEN.phone);
    let request = join(&[&REPLY_KEY, &ben]);
    let proof = proof_content(OTP.as_bytes(), &CAROL.spki_digest(), &ben);
    let grant = join(&[&SESSION_KEY, &NONCE]);
    let answer = join(&[&BEN.id.to_le_bytes(), &ben, &BEN.spki()]);
    let successor = join(&[&[0, 0], b"2026-12-24 18:00:00", &BEN.spki()]);
    let even = spkis()[3].1.clone();
    let ids = |count: usize| [7; 16].repeat(count);
    let entries = |count: usize| [7; 18].repeat(count);
    let shorter = |bytes: &[u8]| bytes[..bytes.len() - 1].to_vec();
    let longer = |bytes: &[u8]| [bytes, &[0]].concat();
    let refusal = |has_id: u8, rest: &[u8]| join(&[&[11, 0, 102, 0, 0, has_id], rest]);
    vec![
        ("registration_request", "nothing", vec![]),
        ("registration_request", "no phone", REPLY_KEY.to_vec()),
        ("registration_request", "a phone that lacks a byte", shorter(&request)),
        ("registration_request", "a byte too many", longer(&request)),
        ("otp_proof", "nothing", vec![]),
        ("otp_proof", "no phone", proof[..86].to_vec()),
        ("otp_proof", "a phone that lacks a byte", shorter(&proof)),
        ("otp_proof", "a byte too many", longer(&proof)),
        ("registration_rejected", "nothing", vec![]),
        ("registration_rejected", "a byte too many", vec![1, 0]),
        ("registration_rejected", "a reason that does not exist", vec![2]),
        ("otp_issued", "nothing", vec![]),
        ("otp_issued", "no length of the code", vec![44, 1, 3, 30, 0]),
        ("otp_issued", "a code of five digits", b"\x2c\x01\x03\x1e\x00\x0512345".to_vec()),
        ("otp_issued", "a code of seven digits", b"\x2c\x01\x03\x1e\x00\x071234567".to_vec()),
        ("otp_issued", "a code that lacks a byte", b"\x2c\x01\x03\x1e\x00\x0612345".to_vec()),
        ("otp_issued", "a code with a letter", b"\x2c\x01\x03\x1e\x00\x0612345a".to_vec()),
        ("otp_issued", "a byte behind no code", vec![44, 1, 3, 30, 0, 0, 0]),
        ("otp_issued", "a byte behind the code", b"\x2c\x01\x03\x1e\x00\x061234567".to_vec()),
        ("session_issued", "a nonce that lacks a byte", shorter(&grant)),
        ("session_issued", "a byte too many", longer(&grant)),
        ("session_renewed", "nothing", vec![]),
        ("session_renewed", "a byte too many", longer(&grant)),
        ("confirmation", "nothing", vec![]),
        ("confirmation", "no window", vec![0]),
        ("confirmation", "a window of 0", vec![0, 0]),
        ("confirmation", "a window of 129", vec![0, 129]),
        ("confirmation", "a window of 255", vec![0, 255]),
        ("confirmation", "a byte too many", vec![0, 128, 0]),
        ("confirmation", "a kind that does not exist", vec![3, 1]),
        ("held", "no count", vec![1]),
        ("held", "half a count", vec![1, 0]),
        ("held", "a count above the ids", join(&[&[1, 2, 0], &ids(1)])),
        ("held", "a count below the ids", join(&[&[1, 1, 0], &ids(2)])),
        ("held", "half an id", join(&[&[1, 1, 0], &[7; 8]])),
        ("held", "a count in the other order", join(&[&[1, 0, 1], &ids(1)])),
        ("held", "one id more than may be", join(&[&[1, 113, 0], &ids(113)])),
        ("status_queries", "no count", vec![2]),
        ("status_queries", "no entry", vec![2, 0, 0]),
        ("status_queries", "a count above the entries", join(&[&[2, 2, 0], &entries(1)])),
        ("status_queries", "a count below the entries", join(&[&[2, 1, 0], &entries(2)])),
        ("status_queries", "ids without recipients", join(&[&[2, 1, 0], &ids(1)])),
        ("status_queries", "the recipient 0", join(&[&[2, 1, 0, 0, 0], &ids(1)])),
        ("status_queries", "one entry more than may be", join(&[&[2, 111, 0], &entries(111)])),
        ("statuses", "nothing", vec![]),
        ("statuses", "no entry", vec![0, 0]),
        ("statuses", "a count above the entries", join(&[&[2, 0], &LETTER_ID, &[1]])),
        ("statuses", "a count below the entries", join(&[&[0, 0], &LETTER_ID, &[1]])),
        ("statuses", "an entry without a status", join(&[&[1, 0], &LETTER_ID])),
        ("statuses", "the status 4", join(&[&[1, 0], &LETTER_ID, &[4]])),
        ("statuses", "the status 255", join(&[&[1, 0], &LETTER_ID, &[255]])),
        ("key_question", "nothing", vec![]),
        ("key_question", "the form 0", vec![0, 44, 1]),
        ("key_question", "the form 3", vec![3, 44, 1]),
        ("key_question", "half an id", vec![1, 44]),
        ("key_question", "a byte behind the id", vec![1, 44, 1, 0]),
        ("key_question", "no phone", vec![2]),
        ("key_question", "a phone that lacks a byte", shorter(&join(&[&[2], &ben]))),
        ("key_question", "a byte behind the phone", longer(&join(&[&[2], &ben]))),
        ("key_question", "a phone without a plus", join(&[&[2], &phone("15550001")])),
        ("key_question", "a phone of six digits", join(&[&[2], &phone("+123456")])),
        ("key_answer", "nothing", vec![]),
        ("key_answer", "the id 0", join(&[&[0, 0], &answer[2..]])),
        ("key_answer", "a key that lacks a byte", shorter(&answer)),
        ("key_answer", "a byte too many", longer(&answer)),
        ("key_answer", "a key with an even modulus", join(&[&answer[..2], &ben, &even])),
        ("key_answer", "a bad phone", join(&[&answer[..2], &phone("+0123456"), &BEN.spki()])),
        ("successor", "nothing", vec![]),
        ("successor", "a user's id", join(&[&[44, 1], &successor[2..]])),
        (
            "successor",
            "a moment that there is not",
            join(&[&[0, 0], b"2026-02-30 00:00:00", &BEN.spki()]),
        ),
        ("successor", "a key that lacks a byte", shorter(&successor)),
        ("successor", "a byte too many", longer(&successor)),
        ("successor", "a key with an even modulus", join(&[&successor[..21], &even])),
        ("successor", "a user's key", answer.clone()),
        ("backlog_end", "nothing", vec![]),
        ("backlog_end", "three bytes", vec![0; 3]),
        ("backlog_end", "five bytes", vec![0; 5]),
        ("closing", "nothing", vec![]),
        ("closing", "the reason 0", vec![0]),
        ("closing", "the reason 5", vec![5]),
        ("closing", "a byte too many", vec![1, 0]),
        ("refusal", "nothing", vec![]),
        ("refusal", "no has_id", vec![11, 0, 102, 0, 0]),
        ("refusal", "half an id", refusal(1, &[7; 8])),
        ("refusal", "has_id is 2", refusal(2, &[7; 16])),
        ("refusal", "a text of 129 bytes", refusal(0, &[b'x'; 129])),
        ("refusal", "a text that is not UTF-8", refusal(0, b"\xff")),
        ("refusal", "a text that ends in half a character", refusal(0, b"\xc3")),
    ]
}
