//! Packets that come before there is a session: registration, reconnecting, the confirmation.

use super::cast::{ANN, Actor, CAROL, NONCE, OTP, REPLY_KEY, SERVER, SESSION_KEY, TIME, phone};
use super::json::{Json, hex, object};
use super::packet::Case;

/// What a clock says that nobody has set.
const EPOCH: &str = "1970-01-01 00:00:00";

fn case(name: &'static str, kind: &'static str, op: u8) -> Case {
    Case { name, kind, op, from: 0, to: 0, signer: Some(SERVER), at: TIME, fields: object() }
}

/// `registration.json`.
pub(crate) fn registration() -> Vec<Json> {
    let rejected = case("150, the phone has an account", "registration_rejected", 150);
    let rejected = Case { fields: object().with("reason", 1_u8), ..rejected };
    let granted = case("201 for a new user", "session_issued", 201);
    vec![
        request("100 for an ordinary phone", CAROL.phone, TIME),
        request("100 for the shortest phone", "+1234567", TIME),
        request("100 for the longest phone", "+123456789012345", TIME),
        request("100 of a device whose clock has not been set", CAROL.phone, EPOCH),
        rejected.reply(&REPLY_KEY, &[1]),
        issued("200, the code goes to the phone", None),
        issued("200, the code comes in band", Some(OTP)),
        proof("101 for an ordinary phone", CAROL.phone),
        proof("101 for the longest phone", "+123456789012345"),
        grant(Case { to: 301, ..granted }, &CAROL),
    ]
}

/// `session.json`.
pub(crate) fn session() -> Vec<Json> {
    let from_ann =
        |name, kind, op| Case { from: ANN.id, signer: Some(ANN), ..case(name, kind, op) };
    let with_nonce = |case: Case| Case { fields: object().with("nonce", hex(NONCE)), ..case };
    let confirmation = |name, window: u8| {
        let case = from_ann(name, "confirmation", 203);
        Case { fields: object().with("window", window), ..case }.sealed(0, &[0, window])
    };
    let renewed = case("206 for a user who comes back", "session_renewed", 206);
    vec![
        with_nonce(from_ann("106, long form", "reconnect_long", 106)).oaep(&SERVER, &NONCE, &[]),
        with_nonce(from_ann("106, short form", "reconnect_short", 106)).last_session(&NONCE),
        Case {
            at: EPOCH,
            ..with_nonce(from_ann("106 of a device that knows no time", "reconnect_long", 106))
        }
        .oaep(&SERVER, &NONCE, &[]),
        grant(Case { to: ANN.id, ..renewed }, &ANN),
        confirmation("203 kind 0, the window of a host", 128),
        confirmation("203 kind 0, the window of a small device", 1),
    ]
}

fn request(name: &'static str, number: &str, at: &'static str) -> Json {
    let content = [&REPLY_KEY[..], &phone(number)].concat();
    let fields = object().with("reply_key", hex(REPLY_KEY)).with("phone", number);
    let case = case(name, "registration_request", 100);
    Case { signer: None, at, fields, ..case }.oaep(&SERVER, &content, &[])
}

fn issued(name: &'static str, otp: Option<&str>) -> Json {
    let mut content = vec![0x2c, 0x01, 3, 30, 0];
    content.push(otp.map_or(0, |_| 6));
    content.extend(otp.unwrap_or_default().bytes());
    let fields = object()
        .with("ttl_s", 300_u16)
        .with("attempts", 3_u8)
        .with("resend_s", 30_u16)
        .with_some("otp", otp);
    Case { fields, ..case(name, "otp_issued", 200) }.reply(&REPLY_KEY, &content)
}

/// The content of a 101 of Carol's.
pub(crate) fn proof_content(otp: &[u8], spki_digest: &[u8; 32], phone: &[u8]) -> Vec<u8> {
    [&REPLY_KEY[..], otp, &NONCE, spki_digest, phone].concat()
}

fn proof(name: &'static str, number: &str) -> Json {
    let content = proof_content(OTP.as_bytes(), &CAROL.spki_digest(), &phone(number));
    let fields = object()
        .with("reply_key", hex(REPLY_KEY))
        .with("otp", OTP)
        .with("nonce", hex(NONCE))
        .with("spki_digest", hex(CAROL.spki_digest()))
        .with("phone", number)
        .with("spki", hex(CAROL.spki()));
    let case = Case { signer: Some(CAROL), fields, ..case(name, "otp_proof", 101) };
    case.oaep(&SERVER, &content, &CAROL.spki())
}

fn grant(case: Case, to: &Actor) -> Json {
    let fields = object().with("session_key", hex(SESSION_KEY)).with("nonce", hex(NONCE));
    let content = [&SESSION_KEY[..], &NONCE].concat();
    Case { fields, ..case }.oaep(to, &content, &[])
}
