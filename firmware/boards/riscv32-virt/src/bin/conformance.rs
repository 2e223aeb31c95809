//! The known answers.
#![no_std]
#![no_main]

use riscv_rt::entry;
use waxwing_riscv32_virt::BOARD;

#[entry]
fn main() -> ! {
    waxwing_device::conformance::run(&BOARD)
}
