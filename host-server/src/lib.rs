//! The Waxwing server: a binary, and the parts it is made of.
//!
//! `waxwing-core` decides and `waxwing-transport-mio` moves bytes; this crate gives them a disk,
//! a clock, a configuration and an operator.

mod access;
pub mod admin;
pub mod backend;
pub mod backup;
pub mod canary;
pub mod cli;
pub mod clock;
pub mod config;
pub mod core_dumps;
pub mod data_dir;
pub mod descriptors;
pub mod doctor;
pub mod exit;
pub mod failpoint;
mod figures;
pub mod histogram;
pub mod key;
pub mod locks;
pub mod logging;
pub mod manual;
pub mod offer;
pub mod otp;
pub mod runtime;
mod slow_start;
pub mod stderr;
pub mod store;
pub mod wake;
