//! What tests need and nothing else should use (feature `testing`).

pub mod keys;
