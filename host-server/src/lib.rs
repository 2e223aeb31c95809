//! The Waxwing server: a binary, and the parts it is made of.

pub mod store;
