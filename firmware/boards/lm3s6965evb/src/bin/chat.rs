//! The device, over smoltcp.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use waxwing_device::board::Board;
use waxwing_device::device::Device;
use waxwing_lm3s6965evb::{BOARD, network};

#[entry]
fn main() -> ! {
    BOARD.start();
    let mut device = Device::new(&BOARD);
    let Some(server) = device.plan().server else { BOARD.fail("there is no server=ADDRESS:PORT") };
    let stream = network::start(device.rng());
    device.run(stream, |stream| {
        if stream.connect(server).is_err() {
            BOARD.fail("the server's address is none");
        }
    })
}
