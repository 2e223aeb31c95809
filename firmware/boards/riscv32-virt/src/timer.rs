//! The timer of the machine (ACLINT MTIMER), 10 million ticks a second since the start.

use core::ptr::{read_volatile, write_volatile};

use riscv::register::mie;

/// Ticks in a millisecond.
pub(crate) const TICKS_PER_MILLISECOND: u64 = 10_000;

/// When the interrupt of the first processor is due, in two halves.
const COMPARE: [usize; 2] = [0x0200_4000, 0x0200_4004];
/// The time, in two halves.
const TIME: [usize; 2] = [0x0200_bff8, 0x0200_bffc];

/// Ticks since the start.
pub(crate) fn now() -> u64 {
    loop {
        let high = read(TIME[1]);
        let low = read(TIME[0]);
        if read(TIME[1]) == high {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

/// After so many ticks a `wfi` ends. The interrupt is never taken: it is not enabled for all.
pub(crate) fn end_wait_after(ticks: u64) {
    let due = now() + ticks;
    // Not due at any moment in between.
    write(COMPARE[1], u32::MAX);
    write(COMPARE[0], due as u32);
    write(COMPARE[1], (due >> 32) as u32);
    // SAFETY: no handler runs, because `mstatus` has interrupts disabled since the reset.
    unsafe { mie::set_mtimer() };
}

fn read(register: usize) -> u32 {
    // SAFETY: it is a register of the timer, and reading has no effect on memory.
    unsafe { read_volatile(register as *const u32) }
}

fn write(register: usize, value: u32) {
    // SAFETY: it is a register of the timer, and writing has no effect on memory.
    unsafe { write_volatile(register as *mut u32, value) }
}
