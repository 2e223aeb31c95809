//! QEMU's `mps2-an386`: a Cortex-M4 whose serial line is the connection.
#![no_std]

pub mod counter;
pub mod uart;

use core::panic::PanicInfo;

use waxwing_core::time::Now;
use waxwing_device::board::{self, Board};

/// The processor's frequency.
const HERTZ: u32 = 25_000_000;

/// The board.
pub static BOARD: Mps2 = Mps2(());

/// What it supplies.
pub struct Mps2(());

impl Mps2 {
    /// Starts its clock. Call it once.
    pub fn start(&self) {
        if let Some(peripherals) = cortex_m::Peripherals::take() {
            waxwing_systick::start(peripherals.SYST, HERTZ);
        }
    }
}

impl Board for Mps2 {
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
