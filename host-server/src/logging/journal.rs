//! Whether standard error leads to the journal of systemd, which then reads how urgent a line is from
//! `<n>` at its beginning (sd-daemon(3)).

use std::env;
use std::io;

use rustix::fs::fstat;
use tracing::Level;

/// Whether it does: systemd says in `JOURNAL_STREAM` which device and inode it has given, and whoever has
/// led the output elsewhere since has another one (systemd.exec(5)).
pub(super) fn is_standard_error() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else { return false };
    let numbers = stream.split_once(':');
    let numbers = numbers.and_then(|(dev, ino)| Some((dev.parse().ok()?, ino.parse().ok()?)));
    let is_same = |(dev, ino): (u64, u64)| {
        fstat(io::stderr()).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (dev, ino))
    };
    numbers.is_some_and(is_same)
}

/// What stands before a line of this level.
pub(super) const fn prefix(level: Level) -> &'static [u8] {
    match level {
        Level::ERROR => b"<3>",
        Level::WARN => b"<4>",
        Level::INFO => b"<6>",
        _ => b"<7>",
    }
}
