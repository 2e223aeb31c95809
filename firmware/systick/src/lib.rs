//! The clocks of a Cortex-M: milliseconds since the start, by the processor's SysTick timer; and a
//! civil clock that knows nothing, and begins in 1970.
#![no_std]

#[cfg(feature = "embassy")]
mod embassy;

use core::cell::Cell;

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use critical_section::Mutex;
use waxwing_core::time::{Instant, Now, UnixTime};

static MILLIS: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

/// Starts counting. `hertz` is the frequency of the processor.
///
/// From then on an interrupt comes every millisecond, which ends a `wfi`.
pub fn start(mut timer: SYST, hertz: u32) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(hertz / 1_000 - 1);
    timer.clear_current();
    timer.enable_counter();
    timer.enable_interrupt();
}

/// Milliseconds since [`start`].
pub fn millis() -> u64 {
    critical_section::with(|section| MILLIS.borrow(section).get())
}

/// What the clocks say.
pub fn now() -> Now {
    let millis = millis();
    let seconds = i64::try_from(millis / 1_000).unwrap_or(i64::MAX);
    Now { instant: Instant::from_millis(millis), unix: UnixTime::from_seconds(seconds) }
}

#[exception]
fn SysTick() {
    critical_section::with(|section| {
        let millis = MILLIS.borrow(section);
        millis.set(millis.get() + 1);
        #[cfg(feature = "embassy")]
        embassy::wake(section, millis.get());
    });
}
