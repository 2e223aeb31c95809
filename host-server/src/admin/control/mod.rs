//! The control socket: how commands of the operator reach a running server.
//!
//! It carries lines of JSON, and knows no commands. A connection is one request, a line, and its answer,
//! as many lines as the command needs; which of them is the last one is said in the line itself. The
//! server's end is a [`Listener`], which hands requests to a [`Serve`]; the command's end is a
//! [`Connection`].
//!
//! Whoever can open the socket may be hostile or broken, and so may whoever is at the other end: at both
//! ends every line has a longest length, and every wait an end.

mod connection;
mod exchange;
mod listener;
mod refusal;
mod socket_file;

pub use connection::{Answers, Connection};
pub use exchange::Answer;
pub use listener::{Caller, Limits, Listener, Serve};
pub use refusal::{Refusal, RefusalCode};
pub use socket_file::check_place;

/// Bytes of the longest request, without the end of its line.
pub const MAX_REQUEST: usize = 4_096;

/// Bytes of the longest line of an answer, without the end of the line.
pub const MAX_LINE: usize = 1 << 20;
