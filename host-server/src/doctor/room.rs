//! Whether the disks have room for what may come: letters up to the limits, and the next backup.

use std::path::Path;
use std::{fmt, fs};

use rustix::fs::statvfs;

use super::{Finding, Place};
use crate::backup::Shelf;
use crate::config::{Config, check_answers};
use crate::figures;

/// What a letter takes of the disk besides its own bytes.
const EXTRA: u64 = 600;

/// What may wait, in bytes.
struct Quotas {
    /// For one recipient.
    mailbox: u64,
    /// From one sender.
    sender: u64,
}

impl Quotas {
    fn of(config: &Config) -> Self {
        let limits = &config.limits;
        let with_extra =
            |bytes: u64, letters: u32| bytes.saturating_add(EXTRA * u64::from(letters));
        Self {
            mailbox: with_extra(limits.bytes_per_mailbox, limits.letters_per_mailbox),
            sender: with_extra(limits.bytes_per_sender, limits.letters_per_sender),
        }
    }

    /// Of so many users: whatever is in a mailbox counts for its sender, too.
    fn of_all(&self, users: u64) -> u64 {
        self.mailbox.min(self.sender).saturating_mul(users)
    }
}

pub(super) fn quotas(place: &Place<'_>) -> Finding {
    let config = place.config;
    let Some(status) = place.status() else {
        return Finding::skipped("no server answers, which says how many users there are");
    };
    let (users, waits) = status.load();
    match free(&config.server.data) {
        Ok(free) => {
            let room = free.saturating_sub(config.storage.min_free_disk).saturating_add(waits);
            judge_quotas(&Quotas::of(config), users, room)
        }
        Err(finding) => finding,
    }
}

/// If fewer than one in so many users can fill the disk, that is worth a warning.
const FEW: u64 = 100;

/// There is room for so much, with what waits already. Hardly any disk has room for all that everybody may
/// have, and none needs it; but a few people must not be enough to fill it.
fn judge_quotas(quotas: &Quotas, users: u64, room: u64) -> Finding {
    let all = quotas.of_all(users);
    let (room_shown, all_shown) = (figures::bytes(room), figures::bytes(all));
    let users_shown = figures::count(users, "user", "users");
    if all <= room {
        return Finding::ok(format!(
            "all that may wait for {users_shown} at the limits is {all_shown}, and there is room for it"
        ));
    }
    // The last of them need not fill it alone.
    let enough = room.div_ceil(quotas.mailbox.max(quotas.sender).max(1)).max(1);
    let found = format!(
        "there is room for {room_shown} of letters; {enough} of {users_shown} can fill it within their limits, and \
         all of them may have {all_shown}"
    );
    if enough < users / FEW || enough == 1 {
        return Finding::warn(
            found,
            "lower limits.bytes_per_sender, limits.bytes_per_mailbox or letters.life, or enlarge the disk",
        );
    }
    Finding::ok(found)
}

pub(super) fn backup(place: &Place<'_>) -> Finding {
    let config = place.config;
    let Some(shelf) = Shelf::of(config) else {
        return Finding::skipped("the server makes no backups by itself");
    };
    let size = match size_of(&config.server.data.join("waxwing.db")) {
        Ok(size) => size,
        Err(finding) => return finding,
    };
    match free(shelf.directory()) {
        Ok(free) => judge_backup(shelf.directory(), size, free, config.storage.min_free_disk),
        Err(finding) => finding,
    }
}

fn judge_backup(directory: &Path, size: u64, free: u64, floor: u64) -> Finding {
    let needed = size.saturating_add(floor);
    let (free_shown, size_shown) = (figures::bytes(free), figures::bytes(size));
    let found = format!(
        "a backup takes {size_shown}, and storage.min_free_disk ({}) has to stay free; {free_shown} is free at {}",
        figures::bytes(floor),
        directory.display(),
    );
    if free < needed {
        return Finding::fail(
            found,
            "make room there, lower backup.keep, or let backup.directory be on a larger disk",
        );
    }
    Finding::ok(found)
}

fn size_of(database: &Path) -> Result<u64, Finding> {
    fs::metadata(database).map(|metadata| metadata.len()).map_err(|error| {
        Finding::skipped(format!("{} cannot be looked at: {error}", database.display()))
    })
}

fn free(directory: &Path) -> Result<u64, Finding> {
    let skipped = |why: &dyn fmt::Display| {
        Finding::skipped(format!("{} cannot be looked at: {why}", directory.display()))
    };
    check_answers(directory).map_err(|why| skipped(&why))?;
    let found = statvfs(directory).map_err(|error| skipped(&error))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict::{Fail, Ok, Warn};
    use super::*;

    #[test]
    fn a_disk_that_a_few_people_can_fill_is_worth_a_warning() {
        let quotas = Quotas { mailbox: 64 << 20, sender: 128 << 20 };
        for (users, room, verdict) in [
            // For all of them.
            (0, 0, Ok),
            (16, 1 << 30, Ok),
            // For two senders of 1,000, for ten, and for a part of what one of 17 may have.
            (1_000, 2 * (128 << 20), Warn),
            (1_000, 10 * (128 << 20), Ok),
            (17, 100 << 20, Warn),
        ] {
            let judged = judge_quotas(&quotas, users, room);
            assert_eq!(judged.verdict, verdict, "{users} {room}: {}", judged.found);
        }
        let said = judge_quotas(&quotas, 2, 2 << 20).found;
        assert!(said.contains("2.0 MiB of letters; 1 of 2 users can fill it"), "{said}");
    }

    #[test]
    fn what_senders_may_have_bounds_what_mailboxes_may_hold() {
        let mut config = Config::default();
        config.limits.bytes_per_mailbox = 64 << 20;
        config.limits.letters_per_mailbox = 1;
        config.limits.bytes_per_sender = 1 << 20;
        config.limits.letters_per_sender = 10;
        assert_eq!(Quotas::of(&config).of_all(3), 3 * ((1 << 20) + 10 * EXTRA));
    }

    #[test]
    fn a_backup_needs_room_for_the_database_and_what_has_to_stay_free() {
        let judge = |free| judge_backup(Path::new("/srv/backups"), 1 << 30, free, 1 << 28).verdict;
        assert_eq!(judge((1 << 30) + (1 << 28)), Ok);
        assert_eq!(judge((1 << 30) + (1 << 28) - 1), Fail);
    }
}
