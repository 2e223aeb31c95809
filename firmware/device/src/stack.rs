//! How deep the stack has been: it is painted, and later one looks how far the paint is gone.

use core::ptr::{read_volatile, write_volatile};

const PAINT: u32 = 0xc0de_d00d;
/// What is watched of the stack, if there is as much between it and what is static.
const DEPTH: usize = 64 * 1_024;
/// For the frame of whoever paints.
const MARGIN: usize = 64;

/// Paints what is free of the stack.
#[inline(never)]
pub fn paint() {
    for address in (bottom()..pointer() - MARGIN).step_by(4) {
        // SAFETY: it is RAM below the stack's pointer, which nothing uses.
        unsafe { write_volatile(address as *mut u32, PAINT) };
    }
}

/// Bytes that are in use now.
#[inline(never)]
pub fn used() -> usize {
    top() - pointer()
}

/// The most bytes that were in use since [`paint`].
#[inline(never)]
pub fn peak() -> usize {
    let is_painted = |address: &usize| {
        // SAFETY: it is RAM of the stack, and reading changes nothing.
        unsafe { read_volatile(*address as *const u32) == PAINT }
    };
    let untouched = (bottom()..top()).step_by(4).take_while(is_painted).count();
    top() - bottom() - 4 * untouched
}

fn pointer() -> usize {
    let here = 0_u32;
    &raw const *core::hint::black_box(&here) as usize
}

/// Where it begins; it grows downwards.
fn top() -> usize {
    unsafe extern "C" {
        static _stack_start: u32;
    }
    &raw const _stack_start as usize
}

/// Where what is watched of it ends.
fn bottom() -> usize {
    unsafe extern "C" {
        static __sheap: u32;
    }
    (&raw const __sheap as usize).max(top() - DEPTH)
}
