//! The known answers.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use waxwing_mps2_an386::BOARD;

#[entry]
fn main() -> ! {
    waxwing_device::conformance::run(&BOARD)
}
