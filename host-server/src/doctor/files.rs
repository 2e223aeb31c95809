//! Owners and modes.

use std::borrow::Borrow;
use std::fmt;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind::PermissionDenied};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::process::geteuid;

use super::{Finding, Place, another_user};
use crate::data_dir;

/// A file or directory.
struct Seen {
    path: String,
    owner: u32,
    mode: u32,
    /// What it is, if it is no plain file.
    kind: Option<&'static str>,
}

impl Seen {
    fn of(path: &Path, metadata: &Metadata) -> Self {
        let mode = metadata.permissions().mode() & 0o777;
        let kind = match metadata.file_type() {
            kind if kind.is_file() => None,
            kind if kind.is_dir() => Some("directory"),
            kind if kind.is_symlink() => Some("link"),
            _ => Some("device, pipe or socket"),
        };
        Self { path: path.display().to_string(), owner: metadata.uid(), mode, kind }
    }
}

/// Files that only the server may read.
const PRIVATE: [&str; 9] = [
    "server.key.pem",
    "server.next.key.pem",
    "server.previous.key.pem",
    "canary-sender.key.pem",
    "canary-recipient.key.pem",
    "waxwing.db",
    "waxwing.db-wal",
    "audit.jsonl",
    "audit.settled",
];

/// What else the server has to write to.
const OTHERS: [&str; 8] = [
    "lock",
    "waxwing.db-shm",
    "waxwing.db-generation",
    "server.pub.pem",
    "server.former",
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

/// What a recovery has moved aside has this in its name.
const DAMAGED: &str = ".damaged-";

pub(super) fn older_databases(place: &Place<'_>) -> Finding {
    let data = &place.config.server.data;
    match data_dir::older_databases(data) {
        Ok(names) => judge_older(data, &names),
        Err(error) if error.kind() == PermissionDenied => another_user(place.config)
            .unwrap_or_else(|| Finding::skipped(format!("{}: {error}", data.display()))),
        Err(error) => Finding::skipped(format!("{}: {error}", data.display())),
    }
}

fn judge_older(data: &Path, names: &[String]) -> Finding {
    if names.is_empty() {
        return Finding::ok("there is none");
    }
    let found = format!(
        "{} in {}: users and letters that are gone since are still in there",
        some_of(names),
        data.display()
    );
    let help = "delete it when you are sure that you need it no more";
    Finding::warn(
        found,
        match names.iter().any(|name| name.contains(DAMAGED)) {
            true => format!(
                "after `run --recover`, look first whether a backup has what was lost, `waxwing-server backup list`; \
                 {help}"
            ),
            false => help.to_owned(),
        },
    )
}

/// A directory that this user may not enter. If a server answers, somebody else's server uses it.
fn judge_closed(directory: &Seen, own: u32, is_served: bool) -> Finding {
    let Seen { path, owner, .. } = directory;
    if is_served || *owner == own {
        return Finding::for_another(format!(
            "{path} is closed, as it should be: do this as the user of the server"
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

/// Names that are told, at most. The command is about all of them.
const TOLD: usize = 10;

/// What is wrong with some files, and the command that mends them.
struct Wrong {
    what: Vec<String>,
    command: String,
}

impl Wrong {
    /// Nothing if there are no such files.
    fn of(
        files: &[&Seen],
        what: impl Fn(&Seen) -> String,
        command: impl fmt::Display,
    ) -> Option<Self> {
        let paths: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
        let command = format!("{command} {}", paths.join(" "));
        let what = files.iter().map(|file| what(file)).collect();
        (!files.is_empty()).then_some(Self { what, command })
    }

    /// All of it, with one command.
    fn told(wrong: &[Self]) -> (String, String) {
        let what: Vec<_> = wrong.iter().flat_map(|wrong| &wrong.what).map(String::as_str).collect();
        let commands: Vec<_> = wrong.iter().map(|wrong| wrong.command.as_str()).collect();
        (some_of(&what), commands.join(" && "))
    }
}

/// The first of them, and how many there are besides.
fn some_of<T: Borrow<str>>(all: &[T]) -> String {
    let (told, more) = all.split_at(all.len().min(TOLD));
    let more = match more.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    told.join("; ") + &more
}

fn judge(directory: &Seen, private: &[Seen], others: &[Seen]) -> Finding {
    let Seen { path, owner, mode, .. } = directory;
    if let Some((file, kind)) =
        private.iter().find_map(|file| file.kind.map(|kind| (&file.path, kind)))
    {
        return Finding::fail(
            format!("{file} is a {kind}, and has to be a plain file"),
            format!(
                "move it away (mv {file} {file}.aside), and put the file in its place from a backup or its copy"
            ),
        );
    }
    let all: Vec<_> = private.iter().chain(others).collect();
    if let Some(found) = foreign_directory(directory, &all) {
        return found;
    }
    let foreign: Vec<_> = all.iter().copied().filter(|file| file.owner != *owner).collect();
    let readable: Vec<_> = private.iter().filter(|file| file.mode & 0o077 != 0).collect();
    let changeable: Vec<_> =
        others.iter().filter(|file| file.kind != Some("link") && file.mode & 0o022 != 0).collect();
    let open = if mode & 0o022 != 0 { vec![directory] } else { Vec::new() };
    let whose = |file: &Seen| {
        let Seen { path, owner: other, .. } = file;
        format!(
            "{path} belongs to the user with number {other}, and the server is the user with number {owner}"
        )
    };
    let can_read = |file: &Seen| format!("others can read {} (mode {:o})", file.path, file.mode);
    let can_change = |directory: &Seen| {
        let Seen { path, mode, .. } = directory;
        format!("others can change {path} (mode {mode:o}), and so be the server")
    };
    let failed: Vec<_> = [
        Wrong::of(&foreign, whose, format_args!("chown {owner}")),
        Wrong::of(&readable, can_read, "chmod 600"),
        Wrong::of(&changeable, can_change, "chmod go-w"),
        Wrong::of(&open, can_change, "chmod 700"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !failed.is_empty() {
        let (found, command) = Wrong::told(&failed);
        let root = if foreign.is_empty() { "" } else { "run as root: " };
        return Finding::fail(found, format!("{root}{command}"));
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
        Seen { path: "/data/x".into(), owner, mode, kind: None }
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
        let changed = judge(&seen(7, 0o700), &[seen(7, 0o600)], &[seen(7, 0o666)]);
        assert_eq!((changed.verdict, &*changed.help.unwrap()), (Fail, "chmod go-w /data/x"));
        assert!(PRIVATE.contains(&"audit.settled"));
        // No mode of a directory makes a file of it.
        let key = Seen { kind: Some("directory"), ..seen(7, 0o755) };
        let found = judge(&seen(7, 0o700), &[key], &[]);
        assert!(found.found.contains("is a directory, and has to be a plain file"), "{found:?}");
        assert!(found.help.unwrap().contains("mv /data/x /data/x.aside"));
        // Where everything in the directory is another's, the directory is what was given away.
        let given = judge(&seen(0, 0o700), &[seen(7, 0o600), seen(7, 0o600)], &[]);
        assert!(given.found.contains("what is in it to the user with number 7"), "{}", given.found);
        assert_eq!(&*given.help.unwrap(), "run as root: chown 7 /data/x");
    }

    #[test]
    fn all_that_is_wrong_is_told_with_one_command() {
        let file = |name: &str, owner, mode| Seen {
            path: format!("/data/{name}"),
            owner,
            mode,
            kind: None,
        };
        let private = [file("key", 7, 0o640), file("db", 0, 0o600), file("log", 7, 0o600)];
        let found = judge(&seen(7, 0o770), &private, &[file("lock", 0, 0o600)]);
        for part in ["/data/db belongs to", "/data/lock belongs to", "read /data/key (mode 640)"] {
            assert!(found.found.contains(part), "{}", found.found);
        }
        assert!(found.found.contains("others can change /data/x (mode 770)"), "{}", found.found);
        assert_eq!(
            found.help.unwrap(),
            "run as root: chown 7 /data/db /data/lock && chmod 600 /data/key && chmod 700 /data/x"
        );
        // Those of the server are more.
        let many: Vec<_> =
            (0..TOLD + 2).map(|number| file(&number.to_string(), 0, 0o600)).collect();
        let own: Vec<_> = (0..TOLD + 3).map(|_| file("own", 7, 0o600)).collect();
        let found = judge(&seen(7, 0o700), &own, &many);
        assert!(found.found.ends_with("; and 2 more"), "{}", found.found);
        assert!(found.help.unwrap().ends_with(" /data/10 /data/11"));
    }

    #[test]
    fn an_older_state_of_the_database_is_named_with_what_to_look_at_before_it_goes() {
        let judged = |names: &[&str]| {
            judge_older(
                Path::new("/data"),
                &names.iter().map(|name| (*name).into()).collect::<Vec<_>>(),
            )
        };
        assert_eq!(judged(&[]).verdict, Ok);
        let restored = judged(&["waxwing.db.before-restore-1"]);
        assert_eq!(restored.verdict, Warn);
        assert!(
            restored.found.starts_with("waxwing.db.before-restore-1 in /data: "),
            "{restored:?}"
        );
        assert!(!restored.help.unwrap().contains("backup list"));
        let recovered = judged(&["before-schema-9.db", "waxwing.db.damaged-1"]);
        assert!(recovered.found.starts_with("before-schema-9.db; waxwing.db.damaged-1 in"));
        assert!(recovered.help.unwrap().contains("`waxwing-server backup list`"));
    }

    #[test]
    fn a_directory_of_another_user_fails_unless_its_server_answers() {
        let closed = |own, is_served| judge_closed(&seen(7, 0o700), own, is_served).verdict;
        assert_eq!(closed(8, false), Fail);
        assert_eq!(closed(8, true), Skipped);
    }
}
