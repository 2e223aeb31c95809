//! Owners and modes.

use std::fs::{self, Metadata};
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
    let mut files = Vec::new();
    for name in PRIVATE {
        let path = data.join(name);
        match fs::symlink_metadata(&path) {
            Ok(metadata) => files.push(Seen::of(&path, &metadata)),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Finding::skipped(format!(
                    "{} is closed, as it should be: do this as the user of the server, or as root",
                    data.display()
                ));
            }
            Err(_) => {}
        }
    }
    judge(&directory, &files)
}

fn judge(directory: &Seen, files: &[Seen]) -> Finding {
    let Seen { path, owner, mode } = directory;
    if mode & 0o022 != 0 {
        return Finding::fail(
            format!("others can change {path} (mode {mode:o}), and so be the server"),
            format!("chmod 700 {path}"),
        );
    }
    if let Some(file) = files.iter().find(|file| file.owner != *owner) {
        return Finding::fail(
            format!("{} belongs to the user with number {}", file.path, file.owner),
            format!("chown {owner} {}", file.path),
        );
    }
    if let Some(file) = files.iter().find(|file| file.mode & 0o077 != 0) {
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
            let found = judge(&seen(directory.0, directory.1), &[seen(file.0, file.1)]);
            assert_eq!(found.verdict, verdict, "{found:?}");
            assert_eq!(found.help.is_some(), verdict != Ok);
        }
    }
}
