//! What a person sees, for what is in a home and what they do.
//!
//! The screens are files in `screens`. `WAXWING_WRITE_SCREENS=1` has a test write what it sees in place of
//! comparing it.

mod anything;
mod carrying;
mod forged;
mod person;
mod screens;
mod writing;

use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

/// Somebody, by the last digits of a number.
fn phone(last: u8) -> Phone {
    Phone::parse(format!("+49151123456{last:02}").as_bytes()).unwrap()
}

/// 2026-11-28 08:00 UTC, and so many minutes.
fn at(minutes: i64) -> UnixTime {
    UnixTime::from_seconds(1_795_852_800 + 60 * minutes)
}
