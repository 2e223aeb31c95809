//! The device.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use waxwing_device::device::Device;
use waxwing_mps2_an386::BOARD;
use waxwing_mps2_an386::uart::Uart;

#[entry]
fn main() -> ! {
    BOARD.start();
    Device::new(&BOARD).run(&mut Uart::start(), Uart::connect)
}
