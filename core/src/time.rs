//! Two clocks that never mix: a monotonic one for timers, the civil one for timestamps.

use core::fmt;
use core::time::Duration;

use crate::wire::Malformed;

/// A moment on a monotonic clock, in microseconds since a start that the caller chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u64);

impl Instant {
    /// The moment `millis` milliseconds after the clock's start.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// The moment `micros` microseconds after the clock's start.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the clock's start.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the clock's start.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// The moment `span` later; the end of time at the latest.
    // Not inlined: it is called in many places, and on a device that is 400 bytes.
    #[must_use]
    #[inline(never)]
    pub fn after(self, span: Duration) -> Self {
        let micros = span.as_secs().saturating_mul(1_000_000);
        Self(self.0.saturating_add(micros).saturating_add(span.subsec_micros().into()))
    }

    /// How long ago `earlier` was; zero when it is still to come.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Seconds since 1970-01-01 00:00:00 UTC. It may jump, and on a device it may be wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnixTime(i64);

impl UnixTime {
    /// The moment `seconds` after the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the beginning of 1970, UTC.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0
    }

    /// This moment shifted by `seconds`.
    #[must_use]
    pub const fn shifted(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `other` to this moment; negative if `other` is later.
    #[must_use]
    pub const fn minus(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

/// What the caller's clocks say as it hands over an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Now {
    /// The clock that only goes forward, for every timer and limit.
    pub instant: Instant,
    /// The time of day, for timestamps and freshness.
    pub unix: UnixTime,
}

/// A packet's timestamp: `YYYY-MM-DD HH:MM:SS` in ASCII, UTC, a real date of the Gregorian
/// calendar, no leap second (PROTOCOL.md, "Packet").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp([u8; Self::LEN]);

impl Timestamp {
    /// Bytes of a timestamp on the wire.
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
        let (days, of_day) = days_and_seconds(time.0.clamp(FIRST_SECOND, LAST_SECOND));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (of_day / 3_600, of_day % 3_600 / 60, of_day % 60);
        let mut text = *b"0000-00-00 00:00:00";
        let pairs = [
            (0, year / 100),
            (2, year % 100),
            (5, month),
            (8, day),
            (11, hour),
            (14, minute),
            (17, second),
        ];
        for (at, value) in pairs {
            let digits = text.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
            if let (Some([tens, ones]), Ok(value)) = (digits, u8::try_from(value)) {
                *tens = tens.saturating_add(value / 10);
                *ones = ones.saturating_add(value % 10);
            }
        }
        Self(text)
    }

    /// The moment that the timestamp names.
    #[must_use]
    pub fn to_unix(self) -> UnixTime {
        let [y0, y1, y2, y3, _, o0, o1, _, d0, d1, _, h0, h1, _, m0, m1, _, s0, s1] = self.0;
        let pair = |tens, ones| u32::from(value_of(tens, ones));
        let year = pair(y0, y1).saturating_mul(100).saturating_add(pair(y2, y3));
        let days = i64::from(days_from_civil(year, pair(o0, o1), pair(d0, d1)));
        let of_day = pair(h0, h1)
            .saturating_mul(3_600)
            .saturating_add(pair(m0, m1).saturating_mul(60))
            .saturating_add(pair(s0, s1));
        let days = days.saturating_sub(UNIX_EPOCH);
        UnixTime(days.saturating_mul(86_400).saturating_add(of_day.into()))
    }

    /// The timestamp as it goes over the wire, in ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The time as text, `YYYY-MM-DD HH:MM:SS` in UTC: 19 bytes of ASCII.
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
    let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
    if digits { Ok(value_of(tens, ones)) } else { Err(Malformed) }
}

/// What two digits say.
#[expect(clippy::arithmetic_side_effects, reason = "at most 165")]
fn value_of(tens: u8, ones: u8) -> u16 {
    let value = |digit: u8| u16::from(digit & 0x0f);
    value(tens) * 10 + value(ones)
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

// Days of the proleptic Gregorian calendar, counted from the March of a year far enough back that
// nothing is negative, and years from March, so that the leap day comes last. All in 32 bits: what
// divides wider numbers would be most of this code on a small processor. Where something only
// seems to be able to become negative, it saturates: then the compiler sees it too.

/// Years before year 0 at which the count of days begins: one whole era.
const ERA_YEARS: u32 = 400;
const ERA_DAYS: u32 = 146_097;
/// 1970-01-01 in this count.
const UNIX_EPOCH: i64 = 719_468 + ERA_DAYS as i64;

/// The day and the second of it, of a moment that a timestamp can name.
#[expect(clippy::arithmetic_side_effects, reason = "years 0 to 9999 are below 2^39 seconds")]
fn days_and_seconds(time: i64) -> (u32, u32) {
    // 86,400 seconds are 675 times 128.
    let seconds = time + UNIX_EPOCH * 86_400;
    let units = u32::try_from(seconds >> 7).unwrap_or(0);
    let rest = u32::try_from(seconds & 0x7f).unwrap_or(0);
    (units / 675, units % 675 * 128 + rest)
}

/// Days of an era before its year `year`.
#[expect(clippy::arithmetic_side_effects, reason = "years 0 to 9999 cannot overflow")]
fn days_before(year: u32) -> u32 {
    (365 * year + year / 4).saturating_sub(year / 100)
}

#[expect(clippy::arithmetic_side_effects, reason = "years 0 to 9999 cannot overflow")]
fn days_from_civil(year: u32, month: u32, day: u32) -> u32 {
    let year = year + ERA_YEARS - u32::from(month <= 2);
    let (era, of_era) = (year / ERA_YEARS, year % ERA_YEARS);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.saturating_sub(1);
    era * ERA_DAYS + days_before(of_era) + of_year
}

#[expect(clippy::arithmetic_side_effects, reason = "years 0 to 9999 cannot overflow")]
fn civil_from_days(days: u32) -> (u32, u32, u32) {
    let (era, of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let leap_days = of_era / 1_460 + of_era / 146_096;
    let year = (of_era + of_era / 36_524).saturating_sub(leap_days) / 365;
    let of_year = of_era.saturating_sub(days_before(year));
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year.saturating_sub((153 * from_march + 2) / 5) + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * ERA_YEARS + year + u32::from(month <= 2);
    (year.saturating_sub(ERA_YEARS), month, day)
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
            "2028-02-30 00:00:00",
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
