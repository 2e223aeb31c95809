//! QEMU's `lm3s6965evb`: a Cortex-M3 with 64 KiB of memory, an Ethernet controller, and TCP/IP of
//! its own.
#![no_std]

#[cfg(feature = "embassy")]
pub mod embassy;
pub mod ethernet;
pub mod network;

use core::panic::PanicInfo;

use waxwing_core::time::Now;
use waxwing_device::board::{self, Board};

/// The processor's frequency after a reset.
const HERTZ: u32 = 12_500_000;

/// The board.
pub static BOARD: Lm3s6965 = Lm3s6965(());

/// What it supplies.
pub struct Lm3s6965(());

impl Lm3s6965 {
    /// Starts its clock. Call it once.
    pub fn start(&self) {
        if let Some(peripherals) = cortex_m::Peripherals::take() {
            waxwing_systick::start(peripherals.SYST, HERTZ);
        }
    }
}

impl Board for Lm3s6965 {
    fn now(&self) -> Now {
        waxwing_systick::now()
    }

    fn sleep(&self) {
        cortex_m::asm::wfi();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    board::panicked(&BOARD, info)
}
