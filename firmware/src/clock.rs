//! Two clocks: milliseconds since the start, by the processor's timer; and a civil one that knows
//! nothing, and begins in 1970.

use core::cell::Cell;

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use critical_section::Mutex;
use waxwing_core::time::{Instant, Now, UnixTime};

use crate::uart;

/// The processor's frequency on this board.
pub const HERTZ: u32 = 25_000_000;

static MILLIS: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

/// Starts counting.
pub fn start(mut timer: SYST) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(HERTZ / 1_000 - 1);
    timer.clear_current();
    timer.enable_counter();
    timer.enable_interrupt();
}

/// What the clocks say.
pub fn now() -> Now {
    let millis = critical_section::with(|section| MILLIS.borrow(section).get());
    let seconds = i64::try_from(millis / 1_000).unwrap_or(i64::MAX);
    Now { instant: Instant::from_millis(millis), unix: UnixTime::from_seconds(seconds) }
}

#[exception]
fn SysTick() {
    critical_section::with(|section| {
        let millis = MILLIS.borrow(section);
        millis.set(millis.get() + 1);
    });
}

/// Every interrupt of the board.
#[exception]
unsafe fn DefaultHandler(irq: i16) {
    if irq == uart::RECEIVE_IRQ as i16 {
        uart::received();
    }
}
