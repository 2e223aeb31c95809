//! The server's key, its published half, and what a planned change has left.

use waxwing_core::crypto::Digest;
use waxwing_core::time::UnixTime;

use super::{Finding, Place, another_user};
use crate::admin::commands::status::Status;
use crate::clock;
use crate::data_dir::DataDir;
use crate::exit::Failure;
use crate::key::{self, Previous};
use crate::runtime;

pub(super) fn look(place: &Place<'_>) -> Finding {
    let config = place.config;
    if let Some(skipped) = another_user(config) {
        return skipped;
    }
    let directory = match DataDir::existing(&config.server.data) {
        Ok(directory) => directory,
        Err(failure) => {
            return Finding::fail("the data directory cannot be used", failure.to_string());
        }
    };
    // Of one that a server has open, the file alone says little.
    let is_free = !config.storage.is_shared() && directory.users().is_empty();
    let refused = is_free.then(|| runtime::check_key(config, &directory).err()).flatten();
    if let Some(failure) = refused {
        return Finding::fail("no server starts with this key", failure.to_string());
    }
    if is_free
        && matches!(key::is_there(&directory), Ok(false))
        && key::published(&directory).is_none()
    {
        return Finding::skipped(
            "there is no key yet: a server makes it when it starts for the first time",
        );
    }
    let found = Found::of(&directory, clock::unix_now());
    found.map_or_else(
        |failure| Finding::fail("a key of the server cannot be used", failure.to_string()),
        |found| {
            let runs_with = place.status().map(Status::key).unwrap_or_default();
            let is_own = is_free || runs_with == format!("{:?}", found.own);
            found.judge(is_own, place.status().and_then(Status::key_trouble))
        },
    )
}

/// What lies in the data directory.
struct Found {
    own: Digest,
    published: Option<Digest>,
    /// A key is planned, and its moment is over.
    is_overdue: bool,
    /// What the file of the private key before is, if it is still there.
    previous: Option<&'static str>,
}

impl Found {
    fn of(directory: &DataDir, now: UnixTime) -> Result<Self, Failure> {
        let own = key::fingerprint(directory)?;
        let planned = key::planned(directory, &own)?;
        Ok(Self {
            own,
            published: key::published(directory),
            is_overdue: planned.is_some_and(|planned| planned.effective < now),
            previous: Previous::find(directory).map(|previous| previous.is_what(&own)),
        })
    }

    /// With whether the key is that of the server, and the reason of the server that runs, if a planned key could not
    /// take its place.
    fn judge(&self, is_own: bool, trouble: Option<String>) -> Finding {
        let own = self.own;
        match self.published {
            Some(published) if published != own && is_own => Finding::fail(
                format!(
                    "the key has the fingerprint {own:?}, and server.pub.pem is of another key, {published:?}"
                ),
                "the server writes server.pub.pem anew when it starts; give it to those who were given the other one",
            ),
            Some(published) if published != own => Finding::fail(
                format!("the key has the fingerprint {own:?}, and server.pub.pem {published:?}"),
                "put the right key back from its copy; see \"The key is lost\" in OPERATING.md",
            ),
            _ if self.is_overdue => {
                let found = "the planned key has not taken the place of the server's, although its moment is over";
                match trouble {
                    Some(why) => Finding::fail(
                        format!("{found}: {why}"),
                        "put that right: the server tries it again every few seconds, and when it starts",
                    ),
                    None => {
                        Finding::fail(found, "it takes its place when the server starts; start it")
                    }
                }
            }
            None => Finding::warn(
                "server.pub.pem is missing, or cannot be read",
                "the server writes it again when it starts",
            ),
            Some(_) => match self.previous {
                Some(what) => Finding::warn(
                    format!("server.previous.key.pem is {what}, which nothing needs"),
                    "remove it",
                ),
                None => Finding::ok(format!("its fingerprint is {own:?}")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict::{self, Fail, Ok, Skipped, Warn};
    use super::*;
    use crate::config::Config;
    use crate::store::{Ownership, SqliteOptions, SqliteStorage, Storage};

    #[test]
    fn a_key_and_its_published_half_have_one_fingerprint() {
        let [own, other] = [1, 2].map(|byte| Digest([byte; 32]));
        let verdicts = [Some(own), Some(other), None].map(|published| {
            let found = Found { own, published, is_overdue: false, previous: None };
            [true, false].map(|is_own| found.judge(is_own, None).verdict)
        });
        assert_eq!(verdicts, [[Ok; 2], [Fail; 2], [Warn; 2]]);
    }

    #[test]
    fn a_key_that_is_not_the_one_of_the_database_fails_although_its_published_half_is_there() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = DataDir::create(temporary.path()).unwrap();
        let mut config = Config::default();
        config.server.data = temporary.path().to_owned();
        let look = || look(&Place::new(&config));
        assert_eq!(look().verdict, Skipped);
        let own = key::digest(key::load_or_create(&directory).unwrap().spki());
        let of = |key: &Digest| {
            let options = SqliteOptions::default();
            let mut storage = SqliteStorage::open(&directory.database(), &options).unwrap();
            storage.set_server_key(key, UnixTime::from_seconds(1)).unwrap();
            Box::new(storage).close().unwrap();
        };
        of(&own);
        assert_eq!(look().verdict, Ok);
        // The key is that of the database, so it is the published half that is wrong.
        let other = tempfile::tempdir().unwrap();
        let other = DataDir::create(other.path()).unwrap();
        key::publish(&directory, key::load_or_create(&other).unwrap().spki()).unwrap();
        let wrong = look();
        assert_eq!(wrong.verdict, Fail);
        assert!(wrong.found.contains("server.pub.pem is of another key"), "{}", wrong.found);
        key::publish(&directory, key::load(&directory).unwrap().spki()).unwrap();
        of(&Digest([1; 32]));
        let another = look();
        assert_eq!(another.verdict, Fail);
        assert!(another.help.unwrap().contains("is another key than before"));
        std::fs::remove_file(directory.private_key()).unwrap();
        let lost = look();
        assert_eq!(lost.verdict, Fail);
        assert!(lost.help.unwrap().contains("belongs to a key: restore it from its copy"));
    }

    #[test]
    fn what_a_planned_change_has_left_undone_is_told() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = DataDir::create(temporary.path()).unwrap();
        key::load_or_create(&directory).unwrap();
        let verdict = |seconds| -> Verdict {
            Found::of(&directory, UnixTime::from_seconds(seconds))
                .unwrap()
                .judge(true, None)
                .verdict
        };
        key::plan(&directory, UnixTime::from_seconds(100)).unwrap();
        assert_eq!([99, 101].map(verdict), [Ok, Fail]);
        let overdue = Found::of(&directory, UnixTime::from_seconds(101)).unwrap();
        let full = overdue.judge(true, Some("No space left on device".into()));
        assert!(full.found.ends_with("No space left on device"), "{}", full.found);
        assert!(key::settle(&directory, UnixTime::from_seconds(100)).unwrap());
        assert_eq!(verdict(101), Warn);
        std::fs::remove_file(directory.previous_private_key()).unwrap();
        assert_eq!(verdict(101), Ok);
    }
}
