//! The Waxwing terminal client as a library.
//!
//! [`home`] keeps everything that must outlive the process. Keys come from [`keys`], by the
//! crypto backend that [`backend`] has chosen.

pub mod backend;
pub mod home;
pub mod keys;
