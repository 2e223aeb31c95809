//! QEMU's `virt`: a RISC-V processor of 32 bits.
#![no_std]

mod timer;

use core::panic::PanicInfo;

use waxwing_core::time::{Instant, Now, UnixTime};
use waxwing_device::board::{self, Board};

/// The board.
pub static BOARD: Virt = Virt(());

/// What it supplies.
pub struct Virt(());

impl Board for Virt {
    fn now(&self) -> Now {
        let millis = timer::now() / timer::TICKS_PER_MILLISECOND;
        let seconds = i64::try_from(millis / 1_000).unwrap_or(i64::MAX);
        Now { instant: Instant::from_millis(millis), unix: UnixTime::from_seconds(seconds) }
    }

    fn sleep(&self) {
        timer::end_wait_after(timer::TICKS_PER_MILLISECOND);
        riscv::asm::wfi();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    board::panicked(&BOARD, info)
}
