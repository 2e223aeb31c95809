//! Waxwing on a Cortex-M4 without an operating system: QEMU's `mps2-an386`.
//!
//! The board, a file for each part: [`uart`] (the line to the server), [`clock`], [`entropy`],
//! [`flash`], [`heap`], [`stack`], [`counter`], and [`host`] (semihosting: console, files,
//! command line, exit code). Above it [`memory`], which is the messenger's profile on the flash, and
//! [`talk`], the loop around the messenger.
#![no_std]

extern crate alloc;

pub mod clock;
pub mod counter;
pub mod entropy;
pub mod flash;
pub mod heap;
pub mod host;
pub mod memory;
pub mod plan;
pub mod stack;
pub mod talk;
pub mod uart;

use core::panic::PanicInfo;

/// Says where, and ends QEMU with a failure.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (file, line) = info.location().map_or(("?", 0), |at| (at.file(), at.line()));
    host::say(&["panic at ", file, ":", host::decimal(line, &mut [0; 10])]);
    host::exit(host::Outcome::Failure)
}
