//! `waxwing packet explain`: a packet, or the packets of a stream, taken apart.

use std::io;

use waxwing_core::crypto::{Provider, Spki, Unverified};
use waxwing_core::limits::HEADER_LEN;
use waxwing_core::time::Timestamp;
use waxwing_core::wire::{Frame, Header, Op, Packet, Reader, deframe};

use super::payload::{self, Payload};
use super::tree::Tree;
use super::{Console, read_file, read_packets};
use crate::args::Explain;
use crate::backend::{BackendPublicKey, provider};
use crate::exit::Failure;
use crate::keylog::LoggedKeys;
use crate::keys::read_server_key;

/// What is known besides the bytes.
pub(super) struct Knowledge {
    server: Option<BackendPublicKey>,
    pub(super) keys: LoggedKeys,
}

pub(super) fn run(explain: &Explain, console: &mut Console<'_>) -> Result<(), Failure> {
    let server = explain.server_key.as_deref().map(read_server_key).transpose()?;
    let server = server.map(|spki| {
        let refused = |_| Failure::Config("the server's key cannot be used".into());
        provider().public_key(&spki).map_err(refused)
    });
    let keys = match &explain.keylog {
        None => LoggedKeys::default(),
        Some(path) => LoggedKeys::parse(&read_file(path)?).map_err(|line| {
            Failure::Config(format!("{}: line {line} is no line of a key log", path.display()))
        })?,
    };
    let knowledge = Knowledge { server: server.transpose()?, keys };
    let bytes = read_packets(&explain.file, console)?;
    let mut tree = Tree::new(console.output);
    stream(&mut tree, &knowledge, &bytes)?;
    match tree.faults() {
        0 => Ok(()),
        1 => Err(Failure::General("one thing is wrong".into())),
        faults => Err(Failure::General(format!("{faults} things are wrong"))),
    }
}

fn stream(tree: &mut Tree<'_>, knowledge: &Knowledge, bytes: &[u8]) -> io::Result<()> {
    let mut at = 0;
    if bytes.is_empty() {
        tree.fault("there are no bytes")?;
    }
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        if at > 0 {
            tree.title("")?;
        }
        match deframe(rest) {
            Ok(Frame::Complete(header)) => {
                packet(tree, knowledge, at, &header, &rest[..header.packet_len()])?;
                at += header.packet_len();
            }
            Ok(Frame::Started(header)) => {
                tree.title(title(at, &header))?;
                header_fields(tree, at, rest)?;
                let missing = header.packet_len() - rest.len();
                return tree
                    .fault(format_args!("the packet is cut off: {missing} bytes are missing"));
            }
            Ok(Frame::Partial) => {
                tree.title(format_args!("{} bytes at {at}", rest.len()))?;
                return tree.fault(format_args!("a header has {HEADER_LEN} bytes"));
            }
            Err(_) => {
                tree.title(format_args!("{} bytes at {at}", rest.len()))?;
                header_fields(tree, at, rest)?;
                return tree
                    .fault("the header is malformed; where another packet begins is not known");
            }
        }
    }
    Ok(())
}

fn title(at: usize, header: &Header) -> String {
    let name = Op::from_code(header.op_code).map_or("no such op", payload::name);
    let (op, len) = (header.op_code, header.packet_len());
    format!("{op} {name}, {len} bytes at {at}")
}

fn packet(
    tree: &mut Tree<'_>,
    knowledge: &Knowledge,
    at: usize,
    header: &Header,
    bytes: &[u8],
) -> io::Result<()> {
    tree.title(title(at, header))?;
    header_fields(tree, at, bytes)?;
    let Ok(packet) = Packet::parse(bytes) else { return tree.fault("not exactly one packet") };
    let payload = Payload { header, bytes: packet.payload(), at: at + HEADER_LEN };
    payload::explain(tree, knowledge, &payload)?;
    let at = at + packet.signed_bytes().len();
    tree.field(at, packet.signature(), "signature", whose_signature(header))?;
    tree.inside(|tree| signature(tree, knowledge, packet))
}

fn header_fields(tree: &mut Tree<'_>, at: usize, bytes: &[u8]) -> io::Result<()> {
    let mut reader = Reader::new(bytes);
    let id = |bytes: &[u8; 2]| match u16::from_le_bytes(*bytes) {
        0 => "0: the server, somebody without an id, or everybody".to_owned(),
        id => format!("user {id}"),
    };
    // The header is there, whatever is in it.
    let Ok(sender) = reader.array::<2>() else { return Ok(()) };
    tree.field(at, sender, "sender_id", id(sender))?;
    let Ok(recipient) = reader.array::<2>() else { return Ok(()) };
    tree.field(at + 2, recipient, "recipient_id", id(recipient))?;
    let Ok(stamp) = reader.array::<{ Timestamp::LEN }>() else { return Ok(()) };
    tree.field(at + 4, stamp, "timestamp", String::from_utf8_lossy(stamp).escape_debug())?;
    if Timestamp::parse(stamp).is_err() {
        tree.inside(|tree| tree.fault("not YYYY-MM-DD HH:MM:SS of a real date"))?;
    }
    let Ok([op]) = reader.array::<1>() else { return Ok(()) };
    let name = Op::from_code(*op).map_or("! there is no such op", payload::name);
    tree.field(at + 23, &[*op], "op_code", format_args!("{op}, {name}"))?;
    let Ok(size) = reader.array::<2>() else { return Ok(()) };
    tree.field(at + 24, size, "payload_size", format_args!("{} bytes", u16::from_le_bytes(*size)))
}

fn whose_signature(header: &Header) -> String {
    match (Op::from_code(header.op_code), header.sender) {
        (Some(Op::RegistrationRequest), _) => "none: all zero".into(),
        (Some(Op::OtpProof), _) => "with the key in the payload".into(),
        (_, None) => "with the server's key".into(),
        (_, Some(user)) => format!("with the key of user {user}"),
    }
}

fn signature(tree: &mut Tree<'_>, knowledge: &Knowledge, packet: Packet<&[u8]>) -> io::Result<()> {
    let header = *packet.header();
    let shown = Unverified::new(&provider(), packet);
    tree.note(format_args!("packet id {}", shown.id()))?;
    let own_key =
        |spki: &[u8]| Spki::parse(spki).ok().and_then(|spki| provider().public_key(&spki).ok());
    let key = match (Op::from_code(header.op_code), header.sender) {
        (Some(Op::RegistrationRequest), _) => {
            let is_zero = packet.signature().iter().all(|byte| *byte == 0);
            return if is_zero { Ok(()) } else { tree.fault("a 100 has no signature") };
        }
        (Some(Op::OtpProof), _) => payload::key_of_proof(packet.payload()).and_then(own_key),
        (_, None) => return check(tree, shown, knowledge.server.as_ref()),
        _ => None,
    };
    check(tree, shown, key.as_ref())
}

fn check(
    tree: &mut Tree<'_>,
    packet: Unverified<&[u8]>,
    key: Option<&BackendPublicKey>,
) -> io::Result<()> {
    match key.map(|key| packet.verify(key)) {
        None => tree.note("not checked: the key is not known here"),
        Some(Ok(_)) => tree.note("holds"),
        Some(Err(_)) => tree.fault("does not hold"),
    }
}
