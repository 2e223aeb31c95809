//! Owners and modes.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind::PermissionDenied};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::process::geteuid;

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
        _ => judge_closed(&directory, geteuid().as_raw(), place.status().is_some()),
    }
}

/// A directory that this user may not enter. If a server answers, somebody else's server uses it.
fn judge_closed(directory: &Seen, own: u32, is_served: bool) -> Finding {
    let Seen { path, owner, .. } = directory;
    if is_served || *owner == own {
        return Finding::skipped(format!(
            "{path} is closed, as it should be: do this as the user of the server, or as root"
        ));
    }
    Finding::fail(
        format!(
            "{path} belongs to the user with number {owner}, and this is the user with number {own}: a server of \
             this user does not start, and hardly anything can be looked at"
        ),
        format!(
            "do this as the user of the server, sudo -u '#{owner}' waxwing-server ...; if that is the user with \
             number {own}, run as root: chown {own} {path}"
        ),
    )
}

/// Whether the directory has another owner than most of what is in it, which is the server's.
fn foreign_directory(directory: &Seen, files: &[&Seen]) -> Option<Finding> {
    let server = files.first()?.owner;
    let is_of_server = |file: &&&Seen| file.owner == server;
    if server == directory.owner || files.iter().filter(is_of_server).count() * 2 <= files.len() {
        return None;
    }
    let Seen { path, owner, .. } = directory;
    Some(Finding::fail(
        format!(
            "{path} belongs to the user with number {owner}, and what is in it to the user with number {server}, who \
             must be the server"
        ),
        format!("run as root: chown {server} {path}"),
    ))
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
    let all: Vec<_> = private.iter().chain(others).collect();
    if let Some(found) = foreign_directory(directory, &all) {
        return found;
    }
    if let Some(file) = all.into_iter().find(|file| file.owner != *owner) {
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
    use super::super::Verdict::{Fail, Ok, Skipped, Warn};
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
            ((0, 0o700), (8, 0o600), Fail),
            ((7, 0o700), (7, 0o640), Fail),
        ] {
            let found = judge(&seen(directory.0, directory.1), &[seen(file.0, file.1)], &[]);
            assert_eq!(found.verdict, verdict, "{found:?}");
            assert_eq!(found.help.is_some(), verdict != Ok);
        }
        // Everybody may read others, such as the public key, and nobody else may have them.
        let judge_other = |owner| judge(&seen(7, 0o700), &[seen(7, 0o600)], &[seen(owner, 0o644)]);
        assert_eq!(judge_other(7).verdict, Ok);
        let left = judge_other(0);
        assert_eq!((left.verdict, &*left.help.unwrap()), (Fail, "run as root: chown 7 /data/x"));
        // Where everything in the directory is another's, the directory is what was given away.
        let given = judge(&seen(0, 0o700), &[seen(7, 0o600), seen(7, 0o600)], &[]);
        assert!(given.found.contains("what is in it to the user with number 7"), "{}", given.found);
        assert_eq!(&*given.help.unwrap(), "run as root: chown 7 /data/x");
    }

    #[test]
    fn a_directory_of_another_user_fails_unless_its_server_answers() {
        let closed = |own, is_served| judge_closed(&seen(7, 0o700), own, is_served).verdict;
        assert_eq!(closed(8, false), Fail);
        assert_eq!(closed(8, true), Skipped);
    }
}
