//! Disks under SQLite that a test can make fail: one call of many, all calls from one on, or all
//! at once because the power goes.
//!
//! [`FaultyDisk::under`] puts one under a directory, whose databases are then opened as always: the shim
//! is the process's default VFS, and leaves every other directory alone. So tests in parallel
//! threads do not see each other's faults, and the code under test knows of nothing.

mod call;
mod disk;
mod remains;
mod vfs;

pub use call::{Call, Fault};
pub use disk::FaultyDisk;
