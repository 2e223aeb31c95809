//! The disk of the data directory.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, openat, statfs, statvfs};

use super::{Finding, Place};
use crate::figures;

/// File systems that are no disk of this machine, by the numbers that the kernel gives them.
const OTHERS: [(u64, &str); 8] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "FUSE"),
    (0x794c_7630, "overlay"),
    (0x0102_1994, "tmpfs"),
    (0x8584_58f6, "ramfs"),
];

pub(super) fn file_system(place: &Place<'_>) -> Finding {
    let config = place.config;
    match statfs(&config.server.data) {
        Ok(found) => judge_file_system(found.f_type.cast_unsigned() & 0xffff_ffff),
        Err(error) => cannot_look(&config.server.data, &error.into()),
    }
}

fn judge_file_system(kind: u64) -> Finding {
    let known = OTHERS.iter().find(|(number, _)| *number == kind);
    match known.map(|(_, name)| *name) {
        None => Finding::ok("it is on a disk of this machine"),
        Some(name @ ("tmpfs" | "ramfs")) => Finding::warn(
            format!("it is on {name}, so all of it is lost with the power"),
            "let server.data name a directory on a disk",
        ),
        Some("overlay") => Finding::warn(
            "it is on an overlay, which often goes away with its container",
            "let server.data name a directory that stays, such as a volume",
        ),
        Some(name) => Finding::warn(
            format!("it is on {name}: locks and syncs may not mean there what a database needs"),
            "let server.data name a directory on a disk of this machine",
        ),
    }
}

pub(super) fn free(place: &Place<'_>) -> Finding {
    let config = place.config;
    match statvfs(&config.server.data) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            judge_free(free, config.storage.min_free_disk)
        }
        Err(error) => cannot_look(&config.server.data, &error.into()),
    }
}

/// Less room than this is worth a warning, as in the alert WaxwingDiskFull.
const LITTLE: u64 = 1 << 30;

fn judge_free(free: u64, floor: u64) -> Finding {
    let (written, room) = (figures::bytes(free), free.saturating_sub(floor));
    let help = "make room on the disk, or enlarge it; `waxwing-server queue list` shows whose letters take it";
    if free < floor {
        let floor = figures::bytes(floor);
        return Finding::fail(
            format!(
                "{written} is free, less than storage.min_free_disk ({floor}): letters for people who are away \
                 are refused"
            ),
            help,
        );
    }
    if room < LITTLE {
        let room = figures::bytes(room);
        return Finding::warn(format!("there is room for {room} of letters, and no more"), help);
    }
    Finding::ok(format!("{written} is free"))
}

/// Something written that is synced, to see how long that takes.
const PIECE: [u8; 4_096] = [0; 4_096];

pub(super) fn sync_time(place: &Place<'_>) -> Finding {
    let config = place.config;
    match measure(&config.server.data) {
        Ok(took) => judge_sync(took),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Finding::skipped(
            "nothing can be written to the data directory: do this as the user of the server, or as root",
        ),
        Err(error) => cannot_look(&config.server.data, &error),
    }
}

/// The median of five times, with a file that has no name and is gone in the end.
fn measure(directory: &Path) -> io::Result<Duration> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let mut file = File::from(openat(CWD, directory, flags, Mode::RUSR | Mode::WUSR)?);
    let mut times = [Duration::ZERO; 5];
    for time in &mut times {
        let begun = Instant::now();
        file.write_all(&PIECE)?;
        file.sync_all()?;
        *time = begun.elapsed();
    }
    times.sort_unstable();
    Ok(times[2])
}

fn judge_sync(took: Duration) -> Finding {
    let ms = took.as_micros().div_ceil(1_000);
    let help = "people wait that long for each letter to be stored: use a faster disk, or see what else keeps \
                this one busy";
    match took {
        _ if took >= Duration::from_secs(1) => Finding::fail(format!("a sync takes {ms} ms"), help),
        _ if took >= Duration::from_millis(100) => {
            Finding::warn(format!("a sync takes {ms} ms"), help)
        }
        _ => Finding::ok(format!("a sync takes {ms} ms")),
    }
}

fn cannot_look(path: &Path, error: &io::Error) -> Finding {
    Finding::skipped(format!("{} cannot be looked at: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict::{Fail, Ok, Warn};
    use super::*;

    #[test]
    fn a_disk_of_this_machine_is_expected() {
        // Those of ext4 and XFS.
        for kind in [0xef53, 0x5846_5342] {
            assert_eq!(judge_file_system(kind).verdict, Ok);
        }
        for (kind, _) in OTHERS {
            assert_eq!(judge_file_system(kind).verdict, Warn);
        }
    }

    #[test]
    fn room_and_time_have_bounds() {
        for (free, floor, verdict) in [
            (9 << 30, 1 << 28, Ok),
            (1 << 30, 1 << 28, Warn),
            (1 << 27, 1 << 28, Fail),
            (1 << 30, 0, Ok),
        ] {
            assert_eq!(judge_free(free, floor).verdict, verdict, "{free}");
        }
        for (ms, verdict) in [(3, Ok), (99, Ok), (100, Warn), (999, Warn), (1_000, Fail)] {
            assert_eq!(judge_sync(Duration::from_millis(ms)).verdict, verdict, "{ms}");
        }
    }

    #[test]
    fn measuring_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        if measure(directory.path()).is_ok() {
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        }
    }
}
