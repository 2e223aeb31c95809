//! A TCP event loop on `mio`: it moves bytes and knows no packets.
#![expect(dead_code, reason = "the loop that uses these parts follows")]

mod addresses;
mod deadlines;
mod output;
mod slab;

pub use slab::Token;
