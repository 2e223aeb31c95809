//! The clocks.

use std::time::{self, SystemTime, UNIX_EPOCH};

use waxwing_core::time::{Instant, Now, Timestamp, UnixTime};

/// Tells the time to whoever drives a machine.
pub trait Clock {
    /// The monotonic time since a start of its own, and the civil time.
    fn now(&self) -> Now;
}

/// The clocks of the system.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { started: time::Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now { instant: Instant::from_micros(micros), unix: unix_now() }
    }
}

/// What time it is.
#[must_use]
pub fn unix_now() -> UnixTime {
    let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |s| -s),
    };
    UnixTime::from_seconds(seconds)
}

/// A moment as people and programs read it, in UTC: `2026-11-28T10:00:00Z`.
#[must_use]
pub fn written(moment: UnixTime) -> String {
    format!("{}Z", Timestamp::from_unix(moment).as_str().replace(' ', "T"))
}
