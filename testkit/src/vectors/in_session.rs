//! Packets of a session: acknowledgments, directory, end of backlog, closing, refusals. The number
//! `seq` of a sealed one is free; some have a large one, so that its bytes are seen.

use waxwing_core::wire::ErrorCode;

use super::cast::{
    ANN, BEN, CAROL, IV, LETTER_ID, NONCE, SERVER, SESSION_KEY, TIME, counting, phone,
};
use super::json::{Json, hex, object};
use super::packet::{Case, cbc, signed};
use crate::packets;

fn from_ann(name: &'static str, kind: &'static str, op: u8, fields: Json) -> Case {
    Case { name, kind, op, from: ANN.id, to: 0, signer: Some(ANN), at: TIME, fields }
}

fn to_ann(name: &'static str, kind: &'static str, op: u8, fields: Json) -> Case {
    Case { name, kind, op, from: 0, to: ANN.id, signer: Some(SERVER), at: TIME, fields }
}

fn to_all(name: &'static str, kind: &'static str, op: u8, fields: Json) -> Case {
    Case { to: 0, ..to_ann(name, kind, op, fields) }
}

/// So many different ids.
fn ids(count: u8) -> Vec<[u8; 16]> {
    (0..count).map(counting).collect()
}

/// The key of another session, by number.
fn other_key(at: u8) -> [u8; 32] {
    [0x80 | at; 32]
}

/// `acknowledgments.json`.
pub(crate) fn acknowledgments() -> Vec<Json> {
    vec![
        statuses("203, one letter is stored", 0, &[(LETTER_ID, 1)]),
        statuses("203, one of each status", 1, &[0, 1, 2, 3].map(|at| (counting(at << 4), at))),
        statuses(
            "203, as many as fit",
            65_536,
            &ids(119).into_iter().map(|id| (id, 2)).collect::<Vec<_>>(),
        ),
        status_token("203 shared, one token", 1, 0),
        status_token("203 shared, the second of three", 3, 1),
        status_token("203 shared, the last of 127", 127, 126),
        held("203 kind 1, nothing: a sign of life", 1, 0),
        held("203 kind 1, one letter", 2, 1),
        held("203 kind 1, as many as may be", 16_909_060, 112),
        queries("203 kind 2, about one letter", 3, 1),
        queries("203 kind 2, about as many as may be", 4, 110),
    ]
}

fn statuses(name: &'static str, seq: u32, entries: &[([u8; 16], u8)]) -> Json {
    let count = u16::try_from(entries.len()).unwrap();
    let mut content = count.to_le_bytes().to_vec();
    entries.iter().for_each(|(id, status)| content.extend([&id[..], &[*status]].concat()));
    let entries = entries
        .iter()
        .map(|(id, status)| object().with("packet_id", hex(id)).with("status", *status));
    let fields = object().with("statuses", entries.collect::<Vec<_>>());
    to_ann(name, "statuses", 203, fields).sealed(seq, &content)
}

fn tokens(count: u8, own: u8, block: [u8; 16]) -> Vec<([u8; 32], [u8; 16])> {
    let token = |at| {
        if at == own { (SESSION_KEY, block) } else { (other_key(at), counting(at)) }
    };
    (0..count).map(token).collect()
}

fn status_token(name: &'static str, count: u8, own: u8) -> Json {
    let mut block = LETTER_ID;
    block[15] = 2;
    let fields = object().with("letter", hex(&block[..15])).with("status", 2_u8);
    to_all(name, "status_token", 203, fields).shared(&tokens(count, own, block))
}

fn held(name: &'static str, seq: u32, count: u8) -> Json {
    let ids = ids(count);
    let content = [&[1, count, 0], &ids.concat()[..]].concat();
    let fields = object().with("packet_ids", ids.iter().map(hex).collect::<Vec<_>>());
    from_ann(name, "held", 203, fields).sealed(seq, &content)
}

fn queries(name: &'static str, seq: u32, count: u8) -> Json {
    let recipient = BEN.id.to_le_bytes();
    let mut content = vec![2, count, 0];
    ids(count).iter().for_each(|id| content.extend([&recipient[..], id].concat()));
    let query = |id: [u8; 16]| object().with("recipient_id", BEN.id).with("packet_id", hex(id));
    let queries = ids(count).into_iter().map(query).collect::<Vec<_>>();
    from_ann(name, "status_queries", 203, object().with("queries", queries)).sealed(seq, &content)
}

/// `directory.json`.
pub(crate) fn directory() -> Vec<Json> {
    let by_phone = |name, number: &str| {
        let content = [&[2], &phone(number)[..]].concat();
        from_ann(name, "key_question", 105, object().with("phone", number)).sealed(2, &content)
    };
    let answer = |name, number: &str| {
        let content = [&BEN.id.to_le_bytes()[..], &phone(number), &BEN.spki()].concat();
        let fields = object().with("user_id", BEN.id).with("phone", number);
        let fields = fields.with("spki", hex(BEN.spki()));
        to_ann(name, "key_answer", 204, fields).sealed(1, &content)
    };
    let successor = |name, effective: &str| {
        let content = [&[0, 0], effective.as_bytes(), &CAROL.spki()].concat();
        let fields = object().with("effective", effective).with("spki", hex(CAROL.spki()));
        to_ann(name, "successor", 204, fields).sealed(1, &content)
    };
    let by_id = object().with("user_id", BEN.id);
    let of_server = object().with("user_id", SERVER.id);
    vec![
        from_ann("105 by id", "key_question", 105, by_id).sealed(1, &[1, 0x2c, 0x01]),
        by_phone("105 by phone", BEN.phone),
        by_phone("105 by the longest phone", "+123456789012345"),
        answer("204", BEN.phone),
        answer("204 with the shortest phone", "+1234567"),
        answer("204 with the longest phone", "+123456789012345"),
        from_ann("105 about the server", "key_question", 105, of_server).sealed(2, &[1, 0, 0]),
        successor("204 about the server", "2026-12-24 18:00:00"),
        successor("204 about the server, the last moment that there is", "9999-12-31 23:59:59"),
    ]
}

/// `backlog.json`.
pub(crate) fn backlog() -> Vec<Json> {
    let sealed = |name, seq, count: u32| {
        let case = to_ann(name, "backlog_end", 255, object().with("count", count));
        case.sealed(seq, &count.to_le_bytes())
    };
    let shared = |name, of, own, count: u32| {
        let mut block = NONCE;
        block[12..].copy_from_slice(&count.to_le_bytes());
        let fields = object().with("nonce", hex(&NONCE[..12])).with("count", count);
        to_all(name, "backlog_token", 255, fields).shared(&tokens(of, own, block))
    };
    vec![
        sealed("255, nothing was pending", 0, 0),
        sealed("255, after many letters", 4, 10_000),
        sealed("255, the greatest number", 5, u32::MAX),
        shared("255 shared, one token", 1, 0, 0),
        shared("255 shared, the first of 127", 127, 0, 3),
    ]
}

/// `closing.json`.
pub(crate) fn closing() -> Vec<Json> {
    let fields = |reason: u8| object().with("reason", reason);
    let from_server =
        |name, reason| to_ann(name, "closing", 222, fields(reason)).sealed(9, &[reason]);
    vec![
        from_ann("222, the client leaves", "closing", 222, fields(1)).sealed(9, &[1]),
        from_server("222, the server's answer", 1),
        from_server("222, the server stops", 2),
        from_server("222, a newer session took over", 3),
        from_server("222, no progress", 4),
    ]
}

/// `refusals.json`.
pub(crate) fn refusals() -> Vec<Json> {
    let longest = "0123456789abcdef".repeat(8);
    let mut cases: Vec<Json> = ErrorCode::ALL
        .iter()
        .map(|code| {
            let (body, fields) = refusal(code.code(), 102, 0, Some(LETTER_ID), code.name());
            to_ann(code.name(), "refusal", 244, fields).sealed(1, &body)
        })
        .collect();
    let sealed = |name, seq, (body, fields): (Vec<u8>, Json)| {
        to_ann(name, "refusal", 244, fields).sealed(seq, &body)
    };
    let clear =
        |name, (body, fields): (Vec<u8>, Json)| to_all(name, "refusal", 244, fields).clear(&body);
    cases.extend([
        sealed("244, wait a minute", 2, refusal(11, 105, 60, Some(LETTER_ID), "RateLimited")),
        sealed("244, no text", 3, refusal(5, 102, 0, Some(LETTER_ID), "")),
        sealed("244, the longest text", 4, refusal(15, 102, 0, Some(LETTER_ID), &longest)),
        sealed(
            "244, a text that is not ASCII",
            5,
            refusal(12, 102, 9, Some(LETTER_ID), "voll · plein"),
        ),
        sealed("244, the header alone told", 6, refusal(2, 0, 0, None, "UnknownOp")),
        sealed(
            "244, a code of a later version",
            7,
            refusal(999, 102, 65_535, Some(LETTER_ID), "?"),
        ),
        clear("244 in clear, shared", refusal(4, 0, 0, None, "BadSignature")),
        clear("244 in clear, shared, without a text", refusal(1, 0, 0, None, "")),
        clear("244 in clear, shared, later", refusal(11, 0, 43_200, None, "RateLimited")),
        clear("244 in clear, about a 101", refusal(8, 101, 0, Some(LETTER_ID), "OtpWrong")),
        clear(
            "244 in clear, about a short 106",
            refusal(20, 106, 0, Some(LETTER_ID), "SessionUnknown"),
        ),
        clear(
            "244 in clear, about the short 106 of session.json",
            refusal(20, 106, 0, Some(short_reconnect()), "SessionUnknown"),
        ),
        clear("244 in clear, the longest text", refusal(17, 100, 0, Some(LETTER_ID), &longest)),
        clear("244 in clear, a code of a later version", refusal(999, 0, 5, None, "?")),
        clear(
            "244 in clear about a packet, a code of a later version",
            refusal(65_535, 101, 0, Some(LETTER_ID), "?"),
        ),
    ]);
    cases
}

/// The id of Ann's 106 in the short form.
pub(crate) fn short_reconnect() -> [u8; 16] {
    let payload = cbc(&SESSION_KEY, &IV, &NONCE);
    packets::id_of(&signed(ANN.id, 0, 106, &payload, &ANN)).0
}

/// The body of a 244, and what it says.
pub(crate) fn refusal(
    code: u16,
    op: u8,
    retry_after_s: u16,
    packet: Option<[u8; 16]>,
    text: &str,
) -> (Vec<u8>, Json) {
    let mut body = code.to_le_bytes().to_vec();
    body.push(op);
    body.extend(retry_after_s.to_le_bytes());
    body.push(u8::from(packet.is_some()));
    body.extend(packet.iter().flatten());
    body.extend(text.bytes());
    let fields = object()
        .with("code", code)
        .with("op", op)
        .with("retry_after_s", retry_after_s)
        .with_some("packet_id", packet.map(hex))
        .with("text", text);
    (body, fields)
}
