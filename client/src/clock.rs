//! The one place that reads this machine's clocks, and the one that writes times for people and
//! programs.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use waxwing_core::time::UnixTime;

/// Now, as this machine believes.
#[must_use]
pub fn now() -> UnixTime {
    UnixTime::from_seconds(Timestamp::now().as_second())
}

/// Time since the machine was started, and while it slept too where the system counts that: a
/// connection has been silent for as long as the lid was closed.
#[must_use]
pub fn since_start() -> Duration {
    let time = rustix::time::clock_gettime(TICKING);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const TICKING: rustix::time::ClockId = rustix::time::ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const TICKING: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

/// A moment as RFC 3339 in UTC.
#[must_use]
pub fn rfc3339(time: UnixTime) -> String {
    timestamp(time).to_string()
}

/// A moment for a person, to the minute.
#[must_use]
pub fn in_zone(time: UnixTime, zone: &TimeZone) -> String {
    timestamp(time).to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// So many seconds, for a person, in the largest unit of which there are two.
#[must_use]
pub fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(24 * 60 * 60, "days"), (60 * 60, "hours"), (60, "minutes")];
    let (count, unit) = UNITS
        .into_iter()
        .find(|(length, _)| seconds >= 2 * length)
        .map_or((seconds, "s"), |(length, unit)| (seconds / length, unit));
    format!("{count} {unit}")
}

/// Timestamps on the wire reach from year 0 to 9999, within what `jiff` knows.
fn timestamp(time: UnixTime) -> Timestamp {
    Timestamp::from_second(time.as_seconds()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(rfc3339(UnixTime::from_seconds(1_795_350_896)), "2026-11-22T12:34:56Z");
        assert_eq!(rfc3339(UnixTime::from_seconds(0)), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn spans_are_in_units_that_people_use() {
        for (seconds, said) in [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 minutes"),
            (7_199, "119 minutes"),
            (7_200, "2 hours"),
            (172_799, "47 hours"),
            (8_640_000, "100 days"),
        ] {
            assert_eq!(span(seconds), said);
        }
    }

    #[test]
    fn people_get_their_own_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(in_zone(UnixTime::from_seconds(1_795_350_896), &zone), "2026-11-22 14:34");
    }
}
