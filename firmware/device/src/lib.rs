//! A device that is a client of Waxwing: what all boards have in common.
//!
//! [`board`] is what a board supplies. A program of a board is a few lines: [`device::Device::new`] and
//! [`device::Device::run`] are the whole device, [`conformance::run`] is the known-answer suite.
//! [`memory`] is the messenger's profile on the flash, and [`talk`] the loop around the messenger.
//! Where an executor runs the program, [`device::Device::converse_async`] is one connection.
#![no_std]

pub mod board;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod device;
pub mod entropy;
pub mod flash;
pub mod heap;
pub mod memory;
pub mod plan;
pub mod stack;
pub mod talk;
