//! The civil clock.

use std::time::{SystemTime, UNIX_EPOCH};

use waxwing_core::time::UnixTime;

/// What time it is.
#[must_use]
pub fn unix_now() -> UnixTime {
    let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |s| -s),
    };
    UnixTime::from_seconds(seconds)
}
