//! The heap, for the `rsa` crate alone, and how much of it was ever in use.
//!
//! That crate wipes its keys, and not all the numbers that it computes them and with them. So
//! whatever is given back is wiped here.

use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use embedded_alloc::LlffHeap;

#[global_allocator]
static HEAP: Counting =
    Counting { heap: LlffHeap::empty(), used: AtomicUsize::new(0), peak: AtomicUsize::new(0) };

struct Counting {
    heap: LlffHeap,
    used: AtomicUsize,
    peak: AtomicUsize,
}

// SAFETY: it hands everything on to an allocator, and counts.
// In line, its functions would take 20 KiB of flash, all over the `rsa` crate.
unsafe impl GlobalAlloc for Counting {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = self.used.load(Relaxed) + layout.size();
        self.used.store(used, Relaxed);
        self.peak.store(self.peak.load(Relaxed).max(used), Relaxed);
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { self.heap.alloc(layout) }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.used.store(self.used.load(Relaxed) - layout.size(), Relaxed);
        // SAFETY: until it is given back the block is the caller's, who is done with it.
        unsafe { pointer.write_bytes(0, layout.size()) };
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { self.heap.dealloc(pointer, layout) }
    }
}

/// Gives the heap its memory. Once, before anything allocates.
pub fn start(memory: &'static mut [MaybeUninit<u8>]) {
    // SAFETY: the memory is the heap's alone, for ever.
    unsafe { HEAP.heap.init(memory.as_mut_ptr() as usize, memory.len()) }
}

/// Bytes in use now.
pub fn used() -> usize {
    HEAP.used.load(Relaxed)
}

/// The most bytes in use since the last [`restart_peak`].
pub fn peak() -> usize {
    HEAP.peak.load(Relaxed)
}

/// Begins a new peak.
pub fn restart_peak() {
    HEAP.peak.store(used(), Relaxed);
}
