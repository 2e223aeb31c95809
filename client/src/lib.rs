//! The Waxwing terminal client as a library.
//!
//! [`settings`] are what a person has set, [`accounts`] are their homes, and [`servers`] is where their
//! server is. [`home`] keeps everything
//! that must outlive the process. [`session`] talks to the server, and [`courier`] does that in a thread
//! of its own. [`trust`] is what two people compare.
//! [`commands`] are what a person types, [`console`] is where they write, [`show`] is how they
//! answer, and [`exit`] is how they fail. Keys come from [`keys`], by the crypto backend that
//! [`backend`] has chosen.

pub mod accounts;
pub mod args;
pub mod backend;
pub mod clock;
pub mod commands;
pub mod console;
pub mod core_dumps;
pub mod courier;
pub mod exit;
pub mod home;
mod interrupt;
pub mod keyboard;
pub mod keylog;
pub mod keys;
mod lines;
pub mod name;
mod nearest;
pub mod phone;
pub mod reopen;
mod rpc;
pub mod servers;
pub mod session;
pub mod settings;
pub mod show;
mod system;
pub mod trust;
pub mod tui;
pub mod who;
