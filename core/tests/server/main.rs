//! The server machine in a world of virtual time, storage and peers.

mod backend;
mod disk;
mod packets;
mod person;
mod world;

mod acknowledgments;
mod letters;
mod registration;
mod seeds;
mod sessions;
