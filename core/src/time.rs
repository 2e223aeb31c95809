//! Two clocks that never mix: a monotonic one for timers, the civil one for timestamps.

use core::fmt;
use core::time::Duration;

use crate::wire::Malformed;

/// A moment on a monotonic clock, in milliseconds since a start that the caller chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The moment `millis` milliseconds after the clock's start.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the clock's start.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The moment `span` later; the end of time at the latest.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero when it is still to come.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Seconds since 1970-01-01 00:00:00 UTC. It may jump, and on a device it may be wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(i64);

impl UnixTime {
    /// The moment `seconds` after the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0
    }

    /// This moment shifted by `seconds`.
    #[must_use]
    pub const fn shifted(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// `self - other` in seconds.
    #[must_use]
    pub const fn minus(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

/// What the caller's clocks say as it hands over an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For every timer and limit.
    pub instant: Instant,
    /// For timestamps and freshness.
    pub unix: UnixTime,
}

/// A packet's timestamp: `YYYY-MM-DD HH:MM:SS` in ASCII, UTC, a real date of the Gregorian
/// calendar, no leap second (PROTOCOL.md, "Packet").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp([u8; Self::LEN]);

impl Timestamp {
    /// Bytes on the wire.
    pub const LEN: usize = 19;

    /// Checks the grammar and the calendar.
    ///
    /// # Errors
    /// [`Malformed`] when either is broken.
    pub fn parse(text: &[u8; Self::LEN]) -> Result<Self, Malformed> {
        let [y0, y1, y2, y3, b'-', o0, o1, b'-', d0, d1, b' ', h0, h1, b':', m0, m1, b':', s0, s1] =
            *text
        else {
            return Err(Malformed);
        };
        let century = two_digits(y0, y1)?;
        let year = century.saturating_mul(100).saturating_add(two_digits(y2, y3)?);
        let (month, day) = (two_digits(o0, o1)?, two_digits(d0, d1)?);
        let (hour, minute, second) =
            (two_digits(h0, h1)?, two_digits(m0, m1)?, two_digits(s0, s1)?);
        let real = (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        if real { Ok(Self(*text)) } else { Err(Malformed) }
    }

    /// The timestamp of a moment; years before 0 and after 9999 become the nearest that fits.
    #[must_use]
    pub fn from_unix(time: UnixTime) -> Self {
        let seconds = time.0.clamp(FIRST_SECOND, LAST_SECOND);
        let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (
            of_day.div_euclid(3_600),
            of_day.rem_euclid(3_600).div_euclid(60),
            of_day.rem_euclid(60),
        );
        let digit = |value: i64, unit: i64| {
            b'0'.saturating_add(u8::try_from(value.div_euclid(unit).rem_euclid(10)).unwrap_or(0))
        };
        Self([
            digit(year, 1_000),
            digit(year, 100),
            digit(year, 10),
            digit(year, 1),
            b'-',
            digit(month, 10),
            digit(month, 1),
            b'-',
            digit(day, 10),
            digit(day, 1),
            b' ',
            digit(hour, 10),
            digit(hour, 1),
            b':',
            digit(minute, 10),
            digit(minute, 1),
            b':',
            digit(second, 10),
            digit(second, 1),
        ])
    }

    /// The moment that it names.
    #[must_use]
    pub fn to_unix(self) -> UnixTime {
        let [y0, y1, y2, y3, _, o0, o1, _, d0, d1, _, h0, h1, _, m0, m1, _, s0, s1] = self.0;
        let pair = |tens, ones| i64::from(two_digits(tens, ones).unwrap_or(0));
        let year = pair(y0, y1).saturating_mul(100).saturating_add(pair(y2, y3));
        let days = days_from_civil(year, pair(o0, o1), pair(d0, d1));
        let of_day = pair(h0, h1)
            .saturating_mul(3_600)
            .saturating_add(pair(m0, m1).saturating_mul(60))
            .saturating_add(pair(s0, s1));
        UnixTime(days.saturating_mul(86_400).saturating_add(of_day))
    }

    /// The bytes on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// 0000-01-01 00:00:00.
const FIRST_SECOND: i64 = -62_167_219_200;
/// 9999-12-31 23:59:59.
const LAST_SECOND: i64 = 253_402_300_799;

fn two_digits(tens: u8, ones: u8) -> Result<u16, Malformed> {
    if tens.is_ascii_digit() && ones.is_ascii_digit() {
        let value = |digit: u8| u16::from(digit & 0x0f);
        Ok(value(tens).saturating_mul(10).saturating_add(value(ones)))
    } else {
        Err(Malformed)
    }
}

fn days_in_month(year: u16, month: u16) -> u16 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

// Days since 1970-01-01 in the proleptic Gregorian calendar, by counting years from March so
// that the leap day comes last. The inputs are bounded (years 0 to 9999), so nothing overflows.
#[expect(clippy::arithmetic_side_effects, reason = "years 0 to 9999 cannot overflow an i64")]
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[expect(clippy::arithmetic_side_effects, reason = "years 0 to 9999 cannot overflow an i64")]
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Timestamp, Malformed> {
        Timestamp::parse(text.as_bytes().try_into().unwrap())
    }

    #[test]
    fn known_moments_convert_both_ways() {
        for (text, seconds) in [
            ("1970-01-01 00:00:00", 0),
            ("2000-02-29 23:59:59", 951_868_799),
            ("2026-11-22 12:34:56", 1_795_350_896),
            ("0000-01-01 00:00:00", FIRST_SECOND),
            ("9999-12-31 23:59:59", LAST_SECOND),
        ] {
            assert_eq!(parse(text).unwrap().to_unix(), UnixTime(seconds), "{text}");
            assert_eq!(Timestamp::from_unix(UnixTime(seconds)).as_str(), text);
        }
    }

    #[test]
    fn every_day_of_four_centuries_survives_the_round_trip() {
        for day in 0..146_097 {
            let time = UnixTime(day * 86_400 + day % 86_400);
            let stamp = Timestamp::from_unix(time);
            assert_eq!(Timestamp::parse(stamp.as_bytes()).unwrap().to_unix(), time);
        }
    }

    #[test]
    fn impossible_dates_are_refused() {
        for text in [
            "2026-02-29 00:00:00",
            "1900-02-29 00:00:00",
            "2026-04-31 00:00:00",
            "2026-00-10 00:00:00",
            "2026-13-10 00:00:00",
            "2026-01-00 00:00:00",
            "2026-01-01 24:00:00",
            "2026-01-01 00:60:00",
            "2026-12-31 23:59:60",
            "2026-01-01T00:00:00",
            "2026-01-01 00:00:0\0",
            "+026-01-01 00:00:00",
            "2026/01/01 00:00:00",
        ] {
            assert_eq!(parse(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn moments_outside_the_calendar_are_clamped() {
        assert_eq!(Timestamp::from_unix(UnixTime(i64::MAX)).as_str(), "9999-12-31 23:59:59");
        assert_eq!(Timestamp::from_unix(UnixTime(i64::MIN)).as_str(), "0000-01-01 00:00:00");
    }
}
