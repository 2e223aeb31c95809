//! QEMU's `lm3s6965evb`: a Cortex-M3 with 64 KiB of memory, an Ethernet controller, and TCP/IP of
//! its own.
#![no_std]

#[cfg(feature = "embassy")]
pub mod embassy;
pub mod ethernet;
pub mod network;

use core::panic::PanicInfo;

use waxwing_device::board;
use waxwing_systick::CortexM;

/// The processor's frequency after a reset.
const HERTZ: u32 = 12_500_000;

/// The board.
pub static BOARD: CortexM = CortexM::new(HERTZ);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    board::panicked(&BOARD, info)
}
