//! The Waxwing protocol, without I/O: wire format, crypto traits, envelope, and the state machines
//! of both sides. PROTOCOL.md is the specification; the docs here say which part of it they are.
//!
//! ```text
//!   bytes ──▶ wire ──▶ crypto (verify, then decrypt) ──▶ client | server ──▶ outputs
//!             packets  Verified, SessionSeal, envelope   states, limits      bytes, storage
//!                                                                            operations, events
//! ```
//!
//! - [`wire`]: what packets look like. [`crypto`]: what backends must do, and the one way from a
//!   packet's bytes to what is sealed in them. [`envelope`]: what the server cannot open.
//! - [`client`]: one connection of a client, [`messenger`]: what it does with its connections; no
//!   allocator. `server`: all of a server; with one.
//! - Time and randomness are arguments. Memory is the caller's. The sizes and bounds on which both
//!   ends have to agree are in [`limits`].
//!
//! # The drive contract
//!
//! **After every call that changes a machine, drain what it gives out before the next one.**
//!
//! 1. Hand over what happened: bytes, time, the end of something that was asked for.
//! 2. Drain: [`client::Client::poll`] until `None`; `Server::end_turn`, then `poll_output` until
//!    `None`.
//! 3. Move the bytes that came out, as far as the stream takes them.
//! 4. Wait until the stream is ready or the machine's `poll_timeout` is due; then from 1 again.
//!
//! A client's whole loop, over any stream that speaks `embedded_io`. [`client::drive`] moves the
//! bytes, tells the machine the time, and says how long one may wait:
//!
//! ```
//! use core::fmt::Debug;
//! use embedded_io::{Read, ReadReady, Write, WriteReady};
//! use waxwing_core::client::{Client, DriveError, Ended, Env, Event, drive};
//! use waxwing_core::crypto::{CryptoRng, Provider};
//! use waxwing_core::time::{Instant, Now};
//!
//! /// Until the machine says why it has ended, or the stream is over.
//! fn run<P: Provider, S: Read + ReadReady + Write + WriteReady<Error: Debug>>(
//!     client: &mut Client<'_, P, &mut [u8]>,
//!     stream: &mut S,
//!     mut clock: impl FnMut() -> Now,
//!     rng: &mut dyn CryptoRng,
//!     mut wait_until_ready_or: impl FnMut(Option<Instant>),
//! ) -> Result<Ended, DriveError<S::Error>> {
//!     loop {
//!         let mut env = Env { now: clock(), rng };
//!         let moved = drive(client, stream, &mut env);
//!         loop {
//!             match client.poll(&mut env) {
//!                 Ok(Some(Event::Letter(_letter))) => {
//!                     // Verify, open, and store it; only then:
//!                     client.acknowledge_letter(&mut env);
//!                 }
//!                 Ok(Some(_other_event)) => {}
//!                 Ok(None) => break,
//!                 Err(ended) => return Ok(ended),
//!             }
//!         }
//!         let moved = moved?;
//!         if moved.is_nothing() && client.transmit().is_empty() {
//!             wait_until_ready_or(moved.wait_until);
//!         }
//!     }
//! }
//! ```
//!
//! [`client::drive_async`] does the same for an executor, over any stream that speaks
//! `embedded_io_async`, and waits by itself; its loop is in its documentation.
//!
//! The folder `examples/` has four whole programs: `client` over a socket, `async_client` for an
//! executor, `server` on a loop, and `two_threads` for a stream that can only be read by waiting.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
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

/// Compiles the code of the guide.
#[cfg(all(doctest, feature = "rustcrypto", feature = "conformance"))]
#[doc = include_str!("../../docs/PORTING.md")]
mod porting {}

pub mod client;
pub mod crypto;
pub mod envelope;
#[cfg(feature = "defmt")]
mod format;
pub mod id;
pub mod limits;
pub mod messenger;
pub mod phone;
pub mod refusal;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod wire;
