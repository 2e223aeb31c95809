//! Backups.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use super::{Finding, Place, another_user};
use crate::admin::commands::status::Status;
use crate::backup::Shelf;
use crate::clock;
use crate::config::check_answers;
use crate::data_dir::DataDir;
use crate::figures;
use crate::key::{self, Fingerprints};

pub(super) fn look(place: &Place<'_>) -> Finding {
    let config = place.config;
    if config.storage.is_shared() {
        return Finding::skipped("the database of storage.url is backed up with its own tools");
    }
    let Some(shelf) = Shelf::of(config) else {
        return Finding::warn(
            "the server makes no backups by itself",
            "let backup.directory name a directory; see \"Backup\" in OPERATING.md",
        );
    };
    if let Err(why) = check_answers(shelf.directory()) {
        let directory = shelf.directory().display();
        return Finding::fail(format!("no backup can be made in {directory}: {why}"), HELP);
    }
    if let Err(error) = fs::read_dir(shelf.directory()) {
        let another = another_user(config);
        let why = shelf.check().err().map(|failure| failure.to_string());
        return judge_unreadable((shelf.directory(), &error), why, another);
    }
    if let Some(why) = unusable(place, &shelf) {
        return Finding::fail(format!("no backup can be made in {why}"), THEN);
    }
    let begun = place.status().and_then(Status::backup_begun);
    if let Some(another) = another_user(config) {
        // Which of them are of this server is closed to whoever asks, and known to the server.
        return place.status().map_or(another, |status| {
            judge(status.age_of_newest_backup(), config.backup.every, begun)
        });
    }
    let own = DataDir::existing(&config.server.data).ok().and_then(|directory| {
        let own = key::fingerprint(&directory).ok().or_else(|| key::published(&directory))?;
        Fingerprints::read(&directory, own).ok()
    });
    let Some(own) = own else {
        return Finding::skipped(
            "neither key nor server.pub.pem can be read, which say whose backups count",
        );
    };
    match shelf.newest(&own) {
        Ok(newest) => {
            let age = newest.map(|made| {
                let seconds = clock::unix_now().as_seconds() - made.as_seconds();
                Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
            });
            judge(age, config.backup.every, begun)
        }
        Err(error) => Finding::fail(error.to_string(), HELP),
    }
}

/// A directory that cannot be read is one in which nothing can be made either. It may only be closed to whoever
/// asks, if that is `another` than the user of the server.
fn judge_unreadable(
    (directory, error): (&Path, &io::Error),
    why: Option<String>,
    another: Option<Finding>,
) -> Finding {
    let is_closed = error.kind() == ErrorKind::PermissionDenied;
    match (another.filter(|_| is_closed), why) {
        (Some(skipped), _) => skipped,
        (None, Some(why)) => Finding::fail(format!("no backup can be made in {why}"), THEN),
        (None, None) => Finding::fail(
            format!("{} (backup.directory) cannot be read: {error}", directory.display()),
            "mount its disk, or let backup.directory name a directory that the user of the server can read",
        ),
    }
}

/// Why no backup can be put there. A server that runs knows what whoever asks may not see: systemd may have
/// closed the directory to the server alone.
fn unusable(place: &Place<'_>, shelf: &Shelf) -> Option<String> {
    let told = place.status().and_then(Status::backups_unusable);
    let seen = || {
        shelf
            .check()
            .err()
            .filter(|_| another_user(place.config).is_none())
            .map(|why| why.to_string())
    };
    told.or_else(seen)
}

/// What else there is to do about a directory that has said itself how it is mended.
const THEN: &str = "the server makes the backup that is due within a minute after that";

const HELP: &str =
    "`waxwing-server backup create` makes one now, and says what is wrong if it cannot";

/// A backup that is made for longer than this may never end.
const LONG: Duration = Duration::from_hours(1);

/// With when the backup was begun that is being made, and for how long it is.
fn judge(age: Option<Duration>, every: Duration, begun: Option<(&str, Duration)>) -> Finding {
    let span = |span: Duration| figures::span(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    let found = age.map_or_else(
        || "there is no backup of this server".to_owned(),
        |age| format!("the newest is {} old", span(age)),
    );
    if let Some((begun, lasts)) = begun {
        let found = format!("{found}; one is being made since {begun}");
        return match lasts > LONG {
            true => Finding::fail(
                found,
                "if it does not end, the disk that it goes to does not answer: mend that, or restart the server",
            ),
            false => Finding::ok(found),
        };
    }
    let Some(age) = age else { return Finding::fail(found, HELP) };
    if age > every.saturating_mul(2) {
        let every = span(every);
        return Finding::fail(format!("{found}, and one each {every} is expected"), HELP);
    }
    Finding::ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_backup_is_old_when_two_are_missing() {
        let hours = |hours| Some(Duration::from_hours(hours));
        let verdicts = [None, hours(1), hours(48), hours(49)]
            .map(|age| judge(age, Duration::from_hours(24), None).verdict);
        assert_eq!(verdicts, [Verdict::Fail, Verdict::Ok, Verdict::Ok, Verdict::Fail]);
    }

    #[test]
    fn a_backup_that_does_not_end_is_told_of_with_its_beginning() {
        let judge =
            |lasts| judge(None, Duration::from_hours(24), Some(("2026-11-30T12:00:00Z", lasts)));
        assert_eq!(judge(LONG).verdict, Verdict::Ok);
        let hangs = judge(LONG + Duration::from_secs(1));
        assert_eq!(hangs.verdict, Verdict::Fail);
        assert!(
            hangs.found.ends_with("one is being made since 2026-11-30T12:00:00Z"),
            "{}",
            hangs.found
        );
        assert!(!hangs.help.unwrap().contains("backup create"));
    }

    #[test]
    fn a_directory_that_is_gone_is_wrong_and_one_that_is_closed_may_not_be() {
        let judged = |kind: ErrorKind, another: Option<Finding>| {
            judge_unreadable((Path::new("/backups"), &kind.into()), None, another).verdict
        };
        let another = || Some(Finding::skipped("another user"));
        assert_eq!(judged(ErrorKind::NotFound, None), Verdict::Fail);
        assert_eq!(judged(ErrorKind::NotFound, another()), Verdict::Fail);
        assert_eq!(judged(ErrorKind::PermissionDenied, None), Verdict::Fail);
        assert_eq!(judged(ErrorKind::PermissionDenied, another()), Verdict::Skipped);

        let mut config = Config::default();
        config.backup.directory = "/a/directory/that/is/not/there".into();
        assert_eq!(look(&Place::new(&config)).verdict, Verdict::Fail);
    }
}
