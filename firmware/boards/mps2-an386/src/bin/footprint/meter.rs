//! What a piece of work takes.

use waxwing_device::board::{Board, decimal};
use waxwing_device::{heap, stack};
use waxwing_mps2_an386::BOARD;
use waxwing_mps2_an386::counter;

/// The sum of some pieces of work: all instructions, and the most of stack and heap.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    ticks: u32,
    stack: usize,
    heap: usize,
}

impl Meter {
    /// Does a piece of work.
    #[inline(never)]
    pub(crate) fn add<T>(&mut self, work: impl FnOnce() -> T) -> T {
        stack::paint();
        heap::restart_peak();
        let (stack_before, heap_before) = (stack::used(), heap::used());
        let before = counter::ticks_left();
        let result = apart(work);
        let ticks = before.wrapping_sub(counter::ticks_left());
        self.ticks = self.ticks.wrapping_add(ticks);
        self.stack = self.stack.max(stack::peak() - stack_before);
        self.heap = self.heap.max(heap::peak() - heap_before);
        result
    }

    /// Writes the line.
    pub(crate) fn report(&self, name: &str) {
        let instructions = u64::from(self.ticks) * counter::INSTRUCTIONS_PER_TICK;
        let instructions = u32::try_from(instructions).unwrap_or(u32::MAX);
        BOARD.say(&[
            name,
            "\t",
            decimal(instructions, &mut [0; 10]),
            "\t",
            decimal(self.stack as u32, &mut [0; 10]),
            "\t",
            decimal(self.heap as u32, &mut [0; 10]),
        ]);
    }
}

/// In a frame of its own, which belongs to the work.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}
