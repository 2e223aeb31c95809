//! The Waxwing server: a binary, and the parts it is made of.
//!
//! `waxwing-core` decides and `waxwing-transport-mio` moves bytes; this crate gives them a disk,
//! a clock, a configuration and an operator.

pub mod config;
pub mod exit;
pub mod otp;
pub mod store;
