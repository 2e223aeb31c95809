//! A storage that several servers can reach, and one at a time serves.
//!
//! Who serves is the *holder* of a lease (`lease.rs`); the others stand by. There is no I/O in here.

mod lease;

pub use lease::{
    Epoch, Fence, Holder, Instance, LeaseRow, Mark, Node, Renewal, Renewed, Seen, Standby, Verdict,
    beat_interval,
};
