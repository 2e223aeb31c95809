//! What each operation takes on this processor: instructions, stack, heap. A line for each, its
//! fields separated by tabs; `firmware/footprint` makes a table of them.
//!
//! The random generator has a fixed seed, so that two runs of one program say the same.
#![no_std]
#![no_main]

mod meter;
mod operations;
mod server;

use core::mem::MaybeUninit;

use cortex_m_rt::entry;
use waxwing_device::board::{Board, Outcome};
use waxwing_device::heap;
use waxwing_mps2_an386::{BOARD, counter};

/// For the keys of the device, the server and a peer, and what computing with one of them takes.
const HEAP: usize = 48 * 1_024;

#[entry]
fn main() -> ! {
    static mut HEAP_MEMORY: [MaybeUninit<u8>; HEAP] = [MaybeUninit::uninit(); HEAP];
    heap::start(HEAP_MEMORY);
    counter::start();
    let outcome = operations::measure_all();
    BOARD.exit(if outcome.is_some() { Outcome::Success } else { Outcome::Failure })
}
