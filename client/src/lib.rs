//! The Waxwing terminal client as a library.
//!
//! Keys come from [`keys`], by the crypto backend that [`backend`] has chosen.

pub mod backend;
pub mod keys;
