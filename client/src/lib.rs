//! The Waxwing terminal client as a library.
//!
//! [`home`] keeps everything that must outlive the process. [`show`] is how commands answer,
//! and [`exit`] is how they fail. Keys come from [`keys`], by the crypto backend that
//! [`backend`] has chosen.

pub mod args;
pub mod backend;
pub mod clock;
pub mod exit;
pub mod home;
pub mod keys;
pub mod show;
