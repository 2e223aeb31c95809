//! The Rust decoder against another one: inputs, and what the Rust one makes of each, in one line.
//! `fuzz/differential` compares the lines with those of the client in Python.

mod conduct;
mod inputs;
mod kept;
mod verdict;

pub use inputs::{Input, Inputs};
pub use kept::kept;
pub use verdict::{Kind, verdict};

/// The time in packets where nothing depends on it.
const TIMESTAMP: &[u8; 19] = b"2026-11-22 12:34:56";

/// A packet with this header and payload. Its signature is none.
fn packet(sender: u16, recipient: u16, time: &[u8; 19], op: u8, payload: &[u8]) -> Vec<u8> {
    let size = u16::try_from(payload.len()).expect("a payload has at most 65,535 bytes");
    let (from, to) = (sender.to_le_bytes(), recipient.to_le_bytes());
    [&from, &to, &time[..], &[op], &size.to_le_bytes(), payload, &[0xa5; 256]].concat()
}
