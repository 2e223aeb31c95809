//! Bytes that may be packets.

use waxwing_core::id::{Nonce, UserId};
use waxwing_core::limits::{HEADER_LEN, OVERHEAD, SIGNATURE_LEN};
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::wire::{
    BacklogSize, BacklogToken, ClientReport, CloseReason, Frame, Full, Header, KeyAnswer,
    KeyQuestion, Malformed, Op, OtpGrant, OtpProof, Packet, ReconnectForm, Refusal,
    RegistrationRejected, RegistrationRequest, SessionGrant, StatusToken, Statuses, Successor,
    Writer, deframe,
};

use crate::readable::CUTS;
use crate::{Reached, name_of, reference, taken};

/// The parser and the reference agree on what is a packet, and on everything in it.
///
/// It reaches the op code, and whether one client or everybody is meant.
pub fn packet_parse(data: &[u8]) -> Reached {
    let expected = reference::decode(data);
    let Ok(packet) = Packet::parse(data) else {
        assert_eq!(expected, None);
        return taken(false);
    };
    let expected = expected.expect("the reference takes it for a packet");
    let header = packet.header();
    assert_eq!(UserId::wire(header.sender), expected.sender);
    assert_eq!(UserId::wire(header.recipient), expected.recipient);
    assert_eq!(header.timestamp.as_str(), expected.timestamp);
    assert_eq!(header.op_code, expected.op_code);
    assert_eq!(packet.payload(), expected.payload);
    assert_eq!(packet.signature()[..], expected.signature);
    assert_eq!(packet.signed_bytes(), &data[..data.len() - SIGNATURE_LEN]);
    let direction = match (header.sender, header.recipient) {
        (None, None) => "to or from nobody that has an id",
        (Some(_), None) => "from a client",
        (None, Some(_)) => "to a client",
        (Some(_), Some(_)) => "from client to client",
    };
    Reached::from([Op::from_code(header.op_code).map_or("no op code", name_of), direction])
}

/// Kinds of bodies.
pub const KINDS: u8 = 16;

/// What was parsed is written as it was: headers, and the body of every kind of packet. The reference
/// takes the same bodies.
///
/// It reaches the op code of the packet that has such a body, and who sends that.
pub fn packet_roundtrip(data: &[u8]) -> Reached {
    if let Some((head, _)) = data.split_first_chunk::<HEADER_LEN>()
        && let Ok(header) = Header::parse(head)
    {
        assert_eq!(written(|writer| header.emit(writer)), head);
    }
    let Some((kind, body)) = data.split_first() else { return taken(false) };
    let kind = kind % KINDS;
    let (name, is_taken) = match kind {
        0 => ("150", same(body, RegistrationRejected::parse(body), |it, to| it.emit(to))),
        1 => ("255", same(body, BacklogSize::parse(body), |it, to| it.emit(to))),
        2 => ("222", same(body, CloseReason::parse(body), |it, to| it.emit(to))),
        3 => ("105", same(body, KeyQuestion::parse(body), |it, to| it.emit(to))),
        4 if body.starts_with(&[0, 0]) => {
            ("204 about the server", same(body, Successor::parse(body), |it, to| it.emit(to)))
        }
        4 => ("204", same(body, KeyAnswer::parse(body), |it, to| it.emit(to))),
        5 => ("200", same(body, OtpGrant::parse(body), |it, to| it.emit(to))),
        6 => ("201", same(body, SessionGrant::parse(body), |it, to| it.emit(to))),
        7 => ("244", same(body, Refusal::parse(body), |it, to| it.emit(to))),
        8 => ("203 of a client", same(body, ClientReport::parse(body), report)),
        9 => {
            let statuses = Statuses::parse(body).map(|statuses| statuses.collect::<Vec<_>>());
            ("203", same(body, statuses, |it, to| Statuses::emit(to, it)))
        }
        // Phone and code may be badly formed. Then there is nothing to write them from.
        10 => {
            let request = RegistrationRequest::parse(body).ok();
            let parts = request.and_then(|it| Some((Phone::parse(it.phone).ok()?, it)));
            let parts = parts.ok_or(Malformed);
            let emit = |(phone, it): &(Phone, RegistrationRequest<'_>), to: &mut Writer<'_>| {
                RegistrationRequest::emit(to, &it.reply_key, phone)
            };
            ("100", same(body, parts, emit))
        }
        11 => {
            let proof = OtpProof::parse(body).ok();
            let parts = proof.and_then(|it| {
                Some((Phone::parse(it.phone).ok()?, Otp::parse(&it.otp[..]).ok()?, it))
            });
            let parts = parts.ok_or(Malformed);
            let emit = |(phone, otp, it): &(Phone, Otp, OtpProof<'_>), to: &mut Writer<'_>| {
                OtpProof::emit(to, &it.reply_key, otp, &it.nonce, &it.spki_digest, phone)
            };
            ("101", same(body, parts, emit))
        }
        12 => {
            let emit = |form: &ReconnectForm<'_>, to: &mut Writer<'_>| match form {
                ReconnectForm::Long(block) => to.put(&block[..]),
                ReconnectForm::Short { iv, sealed } => {
                    to.put(&iv[..])?;
                    to.put(&sealed[..])
                }
            };
            ("106", same(body, ReconnectForm::parse(body), emit))
        }
        13 => {
            let token = body.try_into().ok().and_then(StatusToken::parse).ok_or(Malformed);
            ("203 for all", same(body, token, |it, to| to.put(&it.to_block())))
        }
        // The nonce of a session, and the block.
        14 => {
            let (nonce, block) = body.split_at(body.len().min(Nonce::LEN));
            let nonce = nonce.try_into().map(Nonce).ok();
            let size = nonce.and_then(|it| BacklogToken::parse(block.try_into().ok()?, &it));
            let parts = nonce.zip(size).ok_or(Malformed);
            let emit = |(nonce, size): &(Nonce, BacklogSize), to: &mut Writer<'_>| {
                to.put(&nonce.0)?;
                to.put(&BacklogToken::block(nonce, *size))
            };
            ("255 for all", same(body, parts, emit))
        }
        _ => {
            let emit = |(block, spki): &(&[u8; 256], &[u8; 294]), to: &mut Writer<'_>| {
                to.put(&block[..])?;
                to.put(&spki[..])
            };
            ("101, in two parts", same(body, OtpProof::split(body), emit))
        }
    };
    assert_eq!(is_taken, reference::is_body(kind, body), "a body of a {name}");
    if is_taken { Reached::from([name]) } else { taken(false) }
}

fn report(report: &ClientReport<'_>, to: &mut Writer<'_>) -> Result<(), Full> {
    match report.clone() {
        ClientReport::Confirmation { window } => ClientReport::emit_confirmation(to, window),
        ClientReport::Held(ids) => ClientReport::emit_held(to, &ids.collect::<Vec<_>>()),
        ClientReport::Queries(queries) => {
            ClientReport::emit_queries(to, &queries.collect::<Vec<_>>())
        }
    }
}

/// Whether a body was taken. Then it is written as it was.
fn same<T, E>(
    body: &[u8],
    parsed: Result<T, E>,
    emit: impl FnOnce(&T, &mut Writer<'_>) -> Result<(), Full>,
) -> bool {
    if let Ok(parsed) = &parsed {
        assert_eq!(written(|writer| emit(parsed, writer)), body);
    }
    parsed.is_ok()
}

fn written<F: std::fmt::Debug>(write: impl FnOnce(&mut Writer<'_>) -> Result<(), F>) -> Vec<u8> {
    let mut buffer = [0; 70_000];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer).expect("there is room");
    writer.into_written().to_vec()
}

/// However a stream is split, the packets that the reference finds come out of it. The first bytes say how.
pub fn stream_fragments(data: &[u8]) -> Reached {
    let Some((cuts, stream)) = data.split_first_chunk::<CUTS>() else { return taken(false) };
    let whole = packets(stream);
    assert_eq!(whole, reference::packets(stream));
    let (mut buffer, mut rest, mut found) = (Vec::new(), stream, (Vec::new(), true));
    for cut in cuts.iter().cycle() {
        let (now, later) = rest.split_at(rest.len().min(usize::from(*cut) * usize::from(*cut) + 1));
        buffer.extend_from_slice(now);
        rest = later;
        let (packets, is_sound) = packets(&buffer);
        let used: usize = packets.iter().map(Vec::len).sum();
        buffer.drain(..used);
        found.0.extend(packets);
        found.1 = is_sound;
        if rest.is_empty() || !is_sound {
            break;
        }
    }
    assert_eq!(found.0, whole.0);
    assert_eq!(found.1, whole.1);
    let is_long = whole.0.len() > 1;
    Reached::from([if is_long { "packets" } else { "one packet, or none" }])
}

/// The packets at the front, and whether what follows may become one.
fn packets(mut stream: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let mut found = Vec::new();
    loop {
        match deframe(stream) {
            Ok(Frame::Complete(header)) => {
                assert!(header.packet_len() >= OVERHEAD);
                let (packet, rest) = stream.split_at(header.packet_len());
                found.push(packet.to_vec());
                stream = rest;
            }
            Ok(Frame::Partial | Frame::Started(_)) => return (found, true),
            Err(_) => return (found, false),
        }
    }
}
