//! The machine around the server.

use std::fs;
use std::path::Path;

use super::programs::ask;
use super::{Finding, Place};

pub(super) fn clock(_: &Place<'_>) -> Finding {
    let said = ask("timedatectl", &["show", "--property=NTPSynchronized", "--value"]);
    let by_systemd = Path::new("/run/systemd/timesync/synchronized").exists();
    judge_clock(said.as_deref().map(str::trim), by_systemd)
}

fn judge_clock(said: Option<&str>, by_systemd: bool) -> Finding {
    match said {
        Some("yes") => Finding::ok("it is synchronised"),
        _ if by_systemd => Finding::ok("it is synchronised by systemd-timesyncd"),
        Some("no") => Finding::warn(
            "it is not synchronised: packets whose time is more than some minutes off are refused",
            "let systemd-timesyncd, chrony or ntpd set it",
        ),
        _ => {
            Finding::skipped("it is not known whether it is synchronised: timedatectl does not say")
        }
    }
}

pub(super) fn swap(_: &Place<'_>) -> Finding {
    match fs::read_to_string("/proc/swaps") {
        Ok(swaps) => judge_swap(&swaps, &is_encrypted),
        Err(error) => Finding::skipped(format!("/proc/swaps cannot be read: {error}")),
    }
}

/// Whether a device is encrypted, as far as the kernel says so.
fn is_encrypted(device: &str) -> bool {
    let name = fs::canonicalize(device).ok();
    let name = name.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    let uuid = name.map(|name| format!("/sys/class/block/{name}/dm/uuid"));
    uuid.and_then(|uuid| fs::read_to_string(uuid).ok())
        .is_some_and(|uuid| uuid.starts_with("CRYPT-"))
}

fn judge_swap(swaps: &str, is_encrypted: &dyn Fn(&str) -> bool) -> Finding {
    let devices = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    // What is compressed in memory stays there.
    let open: Vec<_> = devices
        .filter(|device| !device.starts_with("/dev/zram") && !is_encrypted(device))
        .collect();
    if open.is_empty() {
        return Finding::ok("nothing gets to a disk unencrypted");
    }
    Finding::warn(
        format!(
            "memory can be written to {}, which is not encrypted: keys and codes, too",
            open.join(", ")
        ),
        "encrypt it, or end it with swapoff -a and without its line in /etc/fstab",
    )
}

pub(super) fn unit(_: &Place<'_>) -> Finding {
    let said = ask("systemd-analyze", &["security", "--no-pager", "waxwing.service"]);
    judge_unit(said.as_deref())
}

fn judge_unit(said: Option<&str>) -> Finding {
    let level = said.and_then(|said| {
        let line = said.lines().rev().find(|line| line.contains("exposure level for"))?;
        let (_, after) = line.rsplit_once(": ")?;
        after.split_whitespace().next()?.parse::<f64>().ok()
    });
    match level {
        None => Finding::skipped("systemd does not run the service here, or does not say"),
        Some(level) if level <= 2.0 => Finding::ok(format!("{level} of 10")),
        Some(level) => Finding::warn(
            format!("{level} of 10"),
            "the unit of the package is at most at 2: look at what a drop-in has added \
             (systemctl cat waxwing)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict::{Ok, Skipped, Warn};
    use super::*;

    #[test]
    fn what_nobody_knows_of_the_clock_is_said() {
        let verdicts = [
            (Some("yes"), false, Ok),
            (Some("no"), false, Warn),
            (Some("no"), true, Ok),
            (None, true, Ok),
            (None, false, Skipped),
            (Some(""), false, Skipped),
        ];
        for (said, by_systemd, verdict) in verdicts {
            assert_eq!(judge_clock(said, by_systemd).verdict, verdict, "{said:?}");
        }
    }

    #[test]
    fn swap_has_to_be_encrypted_or_in_memory() {
        const HEAD: &str = "Filename\tType\tSize\tUsed\tPriority\n";
        let encrypted = |device: &str| device == "/dev/dm-1";
        for (lines, verdict) in [
            ("", Ok),
            ("/dev/zram0 partition 1 0 5\n", Ok),
            ("/dev/dm-1 partition 1 0 5\n", Ok),
            ("/dev/dm-1 partition 1 0 5\n/swapfile file 1 0 5\n", Warn),
        ] {
            assert_eq!(
                judge_swap(&format!("{HEAD}{lines}"), &encrypted).verdict,
                verdict,
                "{lines}"
            );
        }
    }

    #[test]
    fn the_unit_has_a_level() {
        let said = |level: &str| {
            format!("  NAME\n\n→ Overall exposure level for waxwing.service: {level} OK 🙂\n")
        };
        assert_eq!(judge_unit(Some(&said("1.3"))).verdict, Ok);
        assert_eq!(judge_unit(Some(&said("9.6"))).verdict, Warn);
        for unknown in [None, Some(""), Some("no such unit")] {
            assert_eq!(judge_unit(unknown).verdict, Skipped);
        }
    }
}
