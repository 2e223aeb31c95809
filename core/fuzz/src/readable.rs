//! How `cargo fuzz fmt TARGET INPUT` shows an input: in words, as the target understands it.

use std::fmt;
use std::marker::PhantomData;

use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use waxwing_core::id::UserId;
use waxwing_core::wire::{Frame, Op, Packet, deframe};

use crate::packets::KINDS;

/// Bytes of a payload that are shown.
const SHOWN: usize = 64;

/// What the bytes of an input mean.
pub trait Form {
    /// Shows the bytes to a person.
    ///
    /// # Errors
    /// When `f` has one.
    fn show(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// All bytes of an input, which mean what `F` says.
pub struct Readable<'a, F>(pub &'a [u8], PhantomData<F>);

impl<'a, F> Arbitrary<'a> for Readable<'a, F> {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let len = bytes.len();
        Ok(Self(bytes.bytes(len)?, PhantomData))
    }
}

impl<F: Form> fmt::Debug for Readable<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        F::show(self.0, f)
    }
}

/// Packets, one behind the other.
pub struct Packets;

impl Form for Packets {
    fn show(mut bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        while let Ok(Frame::Complete(header)) = deframe(bytes) {
            let (packet, rest) = bytes.split_at(header.packet_len());
            show_packet(packet, f)?;
            bytes = rest;
        }
        match deframe(bytes) {
            _ if bytes.is_empty() => Ok(()),
            Ok(Frame::Started(header)) => {
                let (is, should) = (bytes.len(), header.packet_len());
                writeln!(f, "the first {is} of {should} bytes of a packet: {header:?}")
            }
            Ok(_) => writeln!(f, "the beginning of a header: {}", hex(bytes)),
            Err(_) => writeln!(f, "no packet: {}", hex(bytes)),
        }
    }
}

fn show_packet(packet: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Ok(packet) = Packet::parse(packet) else { return writeln!(f, "no packet") };
    let header = packet.header();
    match Op::from_code(header.op_code) {
        Some(op) => write!(f, "{op} {op:?}")?,
        None => write!(f, "{}, which is no op code", header.op_code)?,
    }
    let (from, to) = (UserId::wire(header.sender), UserId::wire(header.recipient));
    let signature = match packet.signature().iter().all(|byte| *byte == 0) {
        true => "no signature",
        false => "a signature",
    };
    let (at, len) = (header.timestamp.as_str(), packet.payload().len());
    writeln!(f, " from {from} to {to} at {at}, {len} bytes and {signature}")?;
    if len > 0 {
        writeln!(f, "    {}", hex(packet.payload()))?;
    }
    Ok(())
}

/// A way to split a stream, in [`CUTS`] bytes, and the stream of packets.
pub struct Split;

/// Bytes that say how a stream is split.
pub const CUTS: usize = 8;

impl Form for Split {
    fn show(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cuts, stream) = bytes.split_at(bytes.len().min(CUTS));
        writeln!(f, "split by {cuts:?}")?;
        Packets::show(stream, f)
    }
}

/// A header, or the number of a kind of body and the body.
pub struct HeaderOrBody;

impl Form for HeaderOrBody {
    fn show(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((kind, body)) = bytes.split_first() else { return Ok(()) };
        writeln!(f, "as a body of kind {}: {}", kind % KINDS, hex(body))?;
        write!(f, "as a stream: ")?;
        Packets::show(bytes, f)
    }
}

/// Text, as far as it is text.
pub struct Text;

impl Form for Text {
    fn show(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\"{}\"", bytes.escape_ascii())
    }
}

/// Anything.
pub struct Bytes;

impl Form for Bytes {
    fn show(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} bytes: {}", bytes.len(), hex(bytes))
    }
}

/// The first bytes, in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(SHOWN)];
    let mut text: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
    if shown.len() < bytes.len() {
        text += "…";
    }
    text
}
