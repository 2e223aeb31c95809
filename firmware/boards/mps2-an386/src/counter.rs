//! Time for measurements: the board's first CMSDK timer, 25 million ticks a second.
//!
//! Under `qemu -icount shift=0` every instruction takes one nanosecond of virtual time, so that a
//! tick is 40 instructions.

use core::ptr::{read_volatile, write_volatile};

const BASE: usize = 0x4000_0000;
const CTRL: usize = BASE;
const VALUE: usize = BASE + 0x04;
const RELOAD: usize = BASE + 0x08;

/// Instructions a tick, at one nanosecond each.
pub const INSTRUCTIONS_PER_TICK: u64 = 40;

/// Starts the timer; it counts down and begins anew after 171 seconds.
pub fn start() {
    for (register, value) in [(RELOAD, u32::MAX), (VALUE, u32::MAX), (CTRL, 1)] {
        // SAFETY: it is a register of the timer, and writing has no effect on memory.
        unsafe { write_volatile(register as *mut u32, value) };
    }
}

/// Ticks that are left.
pub fn ticks_left() -> u32 {
    // SAFETY: it is a register of the timer, and reading has no effect on memory.
    unsafe { read_volatile(VALUE as *const u32) }
}
