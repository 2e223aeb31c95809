//! Bytes that may be packets.

use waxwing_core::id::UserId;
use waxwing_core::limits::{HEADER_LEN, OVERHEAD, SIGNATURE_LEN};
use waxwing_core::wire::{
    BacklogSize, ClientReport, CloseReason, Frame, Header, KeyAnswer, KeyQuestion, OtpGrant,
    OtpProof, Packet, Refusal, RegistrationRejected, RegistrationRequest, SessionGrant, Statuses,
    Writer, deframe,
};

use crate::reference;

/// The parser and the reference agree on what is a packet, and on everything in it.
pub fn packet_parse(data: &[u8]) {
    let expected = reference::decode(data);
    let Ok(packet) = Packet::parse(data) else {
        assert_eq!(expected, None);
        return;
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
}

/// What was parsed is written as it was: headers, and the body of every kind of packet.
pub fn packet_roundtrip(data: &[u8]) {
    if let Some((head, _)) = data.split_first_chunk::<HEADER_LEN>()
        && let Ok(header) = Header::parse(head)
    {
        assert_eq!(written(|writer| header.emit(writer)), head);
    }
    let Some((kind, body)) = data.split_first() else { return };
    match kind % 10 {
        0 => same(body, RegistrationRejected::parse(body), |it, writer| it.emit(writer)),
        1 => same(body, BacklogSize::parse(body), |it, writer| it.emit(writer)),
        2 => same(body, CloseReason::parse(body), |it, writer| it.emit(writer)),
        3 => same(body, KeyQuestion::parse(body), |it, writer| it.emit(writer)),
        4 => same(body, KeyAnswer::parse(body), |it, writer| it.emit(writer)),
        5 => same(body, OtpGrant::parse(body), |it, writer| it.emit(writer)),
        6 => same(body, SessionGrant::parse(body), |it, writer| it.emit(writer)),
        7 => same(body, Refusal::parse(body), |it, writer| it.emit(writer)),
        8 => report(body),
        _ => {
            let statuses = Statuses::parse(body).map(|statuses| statuses.collect::<Vec<_>>());
            same(body, statuses, |it, writer| Statuses::emit(writer, it));
            // Their parts are views, so there is nothing to write them from.
            let _ = (OtpProof::parse(body), RegistrationRequest::parse(body));
        }
    }
}

fn report(body: &[u8]) {
    let again = match ClientReport::parse(body) {
        Err(_) => return,
        Ok(ClientReport::Confirmation { window }) => {
            written(|writer| ClientReport::emit_confirmation(writer, window))
        }
        Ok(ClientReport::Held(ids)) => {
            let ids: Vec<_> = ids.collect();
            written(|writer| ClientReport::emit_held(writer, &ids))
        }
        Ok(ClientReport::Queries(queries)) => {
            let queries: Vec<_> = queries.collect();
            written(|writer| ClientReport::emit_queries(writer, &queries))
        }
    };
    assert_eq!(again, body);
}

fn same<T, E: std::fmt::Debug, F: std::fmt::Debug>(
    body: &[u8],
    parsed: Result<T, E>,
    emit: impl FnOnce(&T, &mut Writer<'_>) -> Result<(), F>,
) {
    if let Ok(parsed) = parsed {
        assert_eq!(written(|writer| emit(&parsed, writer)), body);
    }
}

fn written<F: std::fmt::Debug>(write: impl FnOnce(&mut Writer<'_>) -> Result<(), F>) -> Vec<u8> {
    let mut buffer = [0; 70_000];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer).expect("there is room");
    writer.into_written().to_vec()
}

/// However a stream is split, the same packets come out of it. The first bytes say how.
pub fn stream_fragments(data: &[u8]) {
    let Some((cuts, stream)) = data.split_first_chunk::<8>() else { return };
    let whole = packets(stream);
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
