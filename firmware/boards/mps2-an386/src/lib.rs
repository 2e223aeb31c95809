//! QEMU's `mps2-an386`: a Cortex-M4 whose serial line is the connection.
#![no_std]

pub mod counter;
pub mod uart;

use core::panic::PanicInfo;

use waxwing_device::board;
use waxwing_systick::CortexM;

/// The processor's frequency.
const HERTZ: u32 = 25_000_000;

/// The board.
pub static BOARD: CortexM = CortexM::new(HERTZ);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    board::panicked(&BOARD, info)
}
