//! Owners and modes.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind::PermissionDenied};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::{Finding, Place};

/// A file or directory.
struct Seen {
    path: String,
    owner: u32,
    mode: u32,
}

impl Seen {
    fn of(path: &Path, metadata: &Metadata) -> Self {
        let mode = metadata.permissions().mode() & 0o777;
        Self { path: path.display().to_string(), owner: metadata.uid(), mode }
    }
}

/// Files that only the server may read.
const PRIVATE: [&str; 8] = [
    "server.key.pem",
    "server.next.key.pem",
    "server.previous.key.pem",
    "canary-sender.key.pem",
    "canary-recipient.key.pem",
    "waxwing.db",
    "waxwing.db-wal",
    "audit.jsonl",
];

/// What else the server has to write to.
const OTHERS: [&str; 9] = [
    "lock",
    "waxwing.db-shm",
    "waxwing.db-generation",
    "server.pub.pem",
    "server.former",
    "audit.settled",
    "node",
    "witness",
    "backups",
];

pub(super) fn look(place: &Place<'_>) -> Finding {
    let config = place.config;
    let data = &config.server.data;
    let directory = match fs::metadata(data) {
        Ok(metadata) => Seen::of(data, &metadata),
        Err(error) => {
            let found = format!("{} cannot be looked at: {error}", data.display());
            return Finding::fail(
                found,
                "mount its disk, or let --config or --data name the server that you mean",
            );
        }
    };
    let see = |names: &[&str]| -> io::Result<Vec<Seen>> {
        let paths = names.iter().map(|name| data.join(name));
        let looked =
            paths.map(|path| fs::symlink_metadata(&path).map(|found| Seen::of(&path, &found)));
        // What is not there belongs to nobody.
        looked
            .filter(|seen| !matches!(seen, Err(error) if error.kind() != PermissionDenied))
            .collect()
    };
    match (see(&PRIVATE), see(&OTHERS)) {
        (Ok(private), Ok(others)) => judge(&directory, &private, &others),
        _ => Finding::skipped(format!(
            "{} is closed, as it should be: do this as the user of the server, or as root",
            data.display()
        )),
    }
}

fn judge_foreign(directory: &Seen, seen: &Seen) -> Finding {
    let (owner, path) = (directory.owner, &seen.path);
    Finding::fail(
        format!(
            "{path} belongs to the user with number {}, and the server is the user with number {owner}",
            seen.owner
        ),
        format!("run as root: chown {owner} {path}"),
    )
}

fn judge(directory: &Seen, private: &[Seen], others: &[Seen]) -> Finding {
    let Seen { path, owner, mode } = directory;
    if mode & 0o022 != 0 {
        return Finding::fail(
            format!("others can change {path} (mode {mode:o}), and so be the server"),
            format!("chmod 700 {path}"),
        );
    }
    if let Some(file) = private.iter().chain(others).find(|file| file.owner != *owner) {
        return judge_foreign(directory, file);
    }
    if let Some(file) = private.iter().find(|file| file.mode & 0o077 != 0) {
        return Finding::fail(
            format!("others can read {} (mode {:o})", file.path, file.mode),
            format!("chmod 600 {}", file.path),
        );
    }
    if mode & 0o077 != 0 {
        return Finding::warn(
            format!("others can look into {path} (mode {mode:o})"),
            format!("chmod 700 {path}"),
        );
    }
    Finding::ok(format!("nobody but the user with number {owner} can enter {path}"))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict::{Fail, Ok, Warn};
    use super::*;

    fn seen(owner: u32, mode: u32) -> Seen {
        Seen { path: "/data/x".into(), owner, mode }
    }

    #[test]
    fn what_others_can_read_or_change_is_told() {
        for (directory, file, verdict) in [
            ((7, 0o700), (7, 0o600), Ok),
            ((7, 0o750), (7, 0o600), Warn),
            ((7, 0o770), (7, 0o600), Fail),
            ((7, 0o700), (8, 0o600), Fail),
            ((7, 0o700), (7, 0o640), Fail),
        ] {
            let found = judge(&seen(directory.0, directory.1), &[seen(file.0, file.1)], &[]);
            assert_eq!(found.verdict, verdict, "{found:?}");
            assert_eq!(found.help.is_some(), verdict != Ok);
        }
        // Everybody may read others, such as the public key, and nobody else may have them.
        let judge_other = |owner| judge(&seen(7, 0o700), &[], &[seen(owner, 0o644)]);
        assert_eq!(judge_other(7).verdict, Ok);
        let left = judge_other(0);
        assert_eq!((left.verdict, &*left.help.unwrap()), (Fail, "run as root: chown 7 /data/x"));
    }
}
