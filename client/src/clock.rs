//! The one place that reads this machine's clocks, and the one that writes times for people and
//! programs.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use waxwing_core::time::{Instant, Now, UnixTime};

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

/// Both clocks of this machine: the one for timers, and the time of day.
#[must_use]
pub fn both() -> Now {
    let micros = u64::try_from(since_start().as_micros()).unwrap_or(u64::MAX);
    Now { instant: Instant::from_micros(micros), unix: now() }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const TICKING: rustix::time::ClockId = rustix::time::ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const TICKING: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

/// A moment as RFC 3339 in UTC.
#[must_use]
pub fn rfc3339(time: UnixTime) -> String {
    match Timestamp::from_second(time.as_seconds()) {
        Ok(known) => known.to_string(),
        Err(_) => format!("{}Z", in_utc(time).replace(' ', "T")),
    }
}

/// A moment for a person, to the minute.
#[must_use]
pub fn in_zone(time: UnixTime, zone: &TimeZone) -> String {
    const TO_THE_MINUTE: usize = 16;
    match Timestamp::from_second(time.as_seconds()) {
        Ok(known) => known.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => in_utc(time)[..TO_THE_MINUTE].to_owned(),
    }
}

/// The time of day, for a person.
#[must_use]
pub fn minute(time: UnixTime, zone: &TimeZone) -> String {
    in_zone(time, zone).split_off("YYYY-MM-DD ".len())
}

/// The day, for a person.
#[must_use]
pub fn day(time: UnixTime, zone: &TimeZone) -> String {
    match Timestamp::from_second(time.as_seconds()) {
        Ok(known) => known.to_zoned_datetime(zone.clone()).strftime("%A, %-d %B %Y").to_string(),
        Err(_) => in_zone(time, zone)[.."YYYY-MM-DD".len()].to_owned(),
    }
}

/// As it stands in a packet. `jiff` ends a day before year 9999 does, so that every zone has a date
/// for every moment.
fn in_utc(time: UnixTime) -> String {
    waxwing_core::time::Timestamp::from_unix(time).as_str().to_owned()
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

/// A span as people write it: a number, and m, h, d, w or y for minutes, hours, days, weeks or years.
///
/// # Errors
/// What it can be.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    const UNITS: [(char, u64); 5] =
        [('m', 60), ('h', 3_600), ('d', 86_400), ('w', 7 * 86_400), ('y', 365 * 86_400)];
    const LONGEST_S: u64 = 100 * 365 * 86_400;
    let unit = UNITS.into_iter().find(|(letter, _)| text.ends_with(*letter));
    let seconds = unit.and_then(|(letter, length)| {
        let digits = text.strip_suffix(letter)?;
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|_| is_plain)?.checked_mul(length)
    });
    match seconds {
        Some(seconds @ 1..=LONGEST_S) => Ok(Duration::from_secs(seconds)),
        _ => {
            Err("a span is a number with m, h, d, w or y, such as 8h or 30d, up to 100y".to_owned())
        }
    }
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
    fn every_date_that_a_packet_can_have_is_shown() {
        let east = TimeZone::fixed(jiff::tz::offset(14));
        for (seconds, minute, utc) in [
            (253_402_300_799, "9999-12-31 23:59", "9999-12-31T23:59:59Z"),
            (-62_167_219_200, "0000-01-01 00:00", "0000-01-01T00:00:00Z"),
            (i64::MAX, "9999-12-31 23:59", "9999-12-31T23:59:59Z"),
        ] {
            let time = UnixTime::from_seconds(seconds);
            assert_eq!(in_zone(time, &TimeZone::UTC), minute);
            assert_eq!(rfc3339(time), utc);
        }
        assert_eq!(in_zone(UnixTime::from_seconds(253_402_300_799), &east), "9999-12-31 23:59");
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
    fn spans_are_read_as_people_write_them() {
        for (text, seconds) in [("90m", 5_400), ("8h", 28_800), ("1w", 604_800), ("1y", 31_536_000)]
        {
            assert_eq!(parse_span(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "h", "0d", "1", "-1h", "+1h", "1.5h", "1 h", "101y", "99999999999999999y"]
        {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn people_get_their_own_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(in_zone(UnixTime::from_seconds(1_795_350_896), &zone), "2026-11-22 14:34");
    }
}
