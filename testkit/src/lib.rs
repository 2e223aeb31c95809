//! A world for the server machine: its clients, storage, clock and connections, all under a test's
//! hand. For tests and fuzz targets; it panics where a test should fail.
#![expect(missing_docs, reason = "what is for tests alone is named well enough")]

pub mod backend;
pub mod binaries;
pub mod differential;
pub mod disk;
pub mod packets;
pub mod participant;
pub mod person;
pub mod population;
pub mod profile;
pub mod simulation;
pub mod told;
pub mod vectors;
pub mod world;
