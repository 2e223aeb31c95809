//! The Waxwing protocol core.
#![no_std]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(any(feature = "server", feature = "rustcrypto"))]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod client;
pub mod crypto;
pub mod envelope;
pub mod id;
pub mod limits;
pub mod phone;
pub mod refusal;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod wire;
