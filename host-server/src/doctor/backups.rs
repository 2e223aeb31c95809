//! Backups.

use std::time::Duration;

use super::Finding;
use crate::backup::Shelf;
use crate::clock;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::figures;
use crate::key::{self, Fingerprints};

pub(super) fn look(config: &Config) -> Finding {
    let Some(shelf) = Shelf::of(config) else {
        return Finding::warn(
            "the server makes no backups by itself",
            "let backup.directory name a directory; see \"Backup\" in docs/OPERATING.md",
        );
    };
    let own = DataDir::existing(&config.server.data).ok().and_then(|directory| {
        let own = key::published(&directory)?;
        Fingerprints::read(&directory, own).ok()
    });
    let Some(own) = own else {
        return Finding::skipped("server.pub.pem cannot be read, which says whose backups count");
    };
    match shelf.newest(&own) {
        Ok(newest) => {
            let age = newest.map(|made| {
                let seconds = clock::unix_now().as_seconds() - made.as_seconds();
                Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
            });
            judge(age, config.backup.every)
        }
        Err(error) => Finding::skipped(error.to_string()),
    }
}

fn judge(age: Option<Duration>, every: Duration) -> Finding {
    const HELP: &str =
        "`waxwing-server backup create` makes one now, and says what is wrong if it cannot";
    let Some(age) = age else { return Finding::fail("there is no backup of this server", HELP) };
    let span = |span: Duration| figures::span(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    let found = format!("the newest is {} old", span(age));
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

    #[test]
    fn a_backup_is_old_when_two_are_missing() {
        let hours = |hours| Some(Duration::from_hours(hours));
        let verdicts = [None, hours(1), hours(48), hours(49)]
            .map(|age| judge(age, Duration::from_hours(24)).verdict);
        assert_eq!(verdicts, [Verdict::Fail, Verdict::Ok, Verdict::Ok, Verdict::Fail]);
    }
}
