//! The server side: sans-IO, and with an allocator.

pub mod storage;
