//! What every board with a Cortex-M shares: its clocks. They are milliseconds since the start, by the
//! processor's SysTick timer, and a civil clock that knows nothing, and begins in 1970.
#![no_std]

#[cfg(feature = "embassy")]
mod embassy;

use core::cell::Cell;

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use critical_section::Mutex;
use waxwing_core::time::{Instant, Now, UnixTime};
use waxwing_device::board::Board;

static MILLIS: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

/// A board with a Cortex-M. Console, flash, seed and exit code are semihosting's.
pub struct CortexM {
    hertz: u32,
}

impl CortexM {
    /// The board whose processor has this frequency. There is one.
    #[must_use]
    pub const fn new(hertz: u32) -> Self {
        Self { hertz }
    }

    /// Starts its clock. Call it once.
    pub fn start(&self) {
        if let Some(peripherals) = cortex_m::Peripherals::take() {
            start(peripherals.SYST, self.hertz);
        }
    }
}

impl Board for CortexM {
    fn now(&self) -> Now {
        let millis = millis();
        let seconds = i64::try_from(millis / 1_000).unwrap_or(i64::MAX);
        Now { instant: Instant::from_millis(millis), unix: UnixTime::from_seconds(seconds) }
    }

    fn sleep(&self) {
        cortex_m::asm::wfi();
    }
}

/// Starts counting. From then on an interrupt comes every millisecond, which ends a `wfi`.
fn start(mut timer: SYST, hertz: u32) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(hertz / 1_000 - 1);
    timer.clear_current();
    timer.enable_counter();
    timer.enable_interrupt();
}

/// Milliseconds since [`CortexM::start`].
pub fn millis() -> u64 {
    critical_section::with(|section| MILLIS.borrow(section).get())
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
