//! The same clock for `embassy-time`, whose ticks are milliseconds.

use core::cell::RefCell;
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

struct Clock(Mutex<RefCell<Waiting>>);

/// Who waits, and until when the first of them does.
struct Waiting {
    queue: Queue,
    first: u64,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock(Mutex::new(RefCell::new(
    Waiting { queue: Queue::new(), first: u64::MAX },
))));

impl Driver for Clock {
    fn now(&self) -> u64 {
        super::millis()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|section| {
            let waiting = &mut *self.0.borrow_ref_mut(section);
            if waiting.queue.schedule_wake(at, waker) {
                waiting.first = waiting.queue.next_expiration(super::millis());
            }
        });
    }
}

/// Wakes those whose time has come.
pub(super) fn wake(section: CriticalSection<'_>, now: u64) {
    let waiting = &mut *CLOCK.0.borrow_ref_mut(section);
    if waiting.first <= now {
        waiting.first = waiting.queue.next_expiration(now);
    }
}
