//! The Waxwing terminal client as a library.
//!
//! [`home`] keeps everything that must outlive the process. [`session`] talks to the server.
//! [`commands`] are what a person types, [`console`] is where they write, [`show`] is how they
//! answer, and [`exit`] is how they fail. Keys come from [`keys`], by the crypto backend that
//! [`backend`] has chosen.

pub mod args;
pub mod backend;
pub mod clock;
pub mod commands;
pub mod console;
pub mod core_dumps;
pub mod exit;
pub mod home;
mod interrupt;
pub mod keyboard;
pub mod keylog;
pub mod keys;
pub mod reopen;
pub mod session;
pub mod show;
