//! What the head of the database says of it. It is read as a file: this process is not the server, so
//! SQLite's locks there do not care.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::Duration;

use super::{Finding, Place, another_user};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::runtime;
use crate::store::{self, Pages, SecondCopy, StorageError, Use};

/// The bytes with which a database of SQLite begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// What the server makes.
const PAGE: usize = 4_096;

pub(super) fn look(place: &Place<'_>) -> Finding {
    let config = place.config;
    if config.storage.is_shared() {
        return look_at_shared(config);
    }
    let path = config.server.data.join("waxwing.db");
    let mut head = [0; 20];
    match File::open(&path).and_then(|mut file| file.read_exact(&mut head)) {
        Ok(()) => store::why_refused(&path, is_used(config))
            .map_or_else(|| judge(&head), |why| judge_refused(&why)),
        Err(error) if error.kind() == ErrorKind::NotFound => look_at_none(config, &path),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => judge_refused(&cut_off(&path)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::for_another(format!(
            "{} is closed: do this as the user of the server",
            path.display()
        )),
        Err(error) => Finding::fail(
            format!("{} cannot be read: {error}", path.display()),
            "see \"The disk is lost\" in OPERATING.md",
        ),
    }
}

/// There is no database: it was lost, or there never was one.
fn look_at_none(config: &Config, path: &Path) -> Finding {
    if let Some(skipped) = another_user(config) {
        return skipped;
    }
    let checked = DataDir::existing(&config.server.data)
        .and_then(|directory| runtime::check_origin(config, &directory));
    match checked {
        Ok(()) => Finding::skipped(format!("there is no {} yet", path.display())),
        Err(why) => Finding::fail(why.to_string(), "no server starts until then"),
    }
}

/// Whether a process has the data directory locked.
fn is_used(config: &Config) -> bool {
    DataDir::existing(&config.server.data).is_ok_and(|directory| !directory.users().is_empty())
}

/// How long pages are read: of a fast disk, these are some gigabytes.
const READING: Duration = Duration::from_secs(5);

pub(super) fn pages(place: &Place<'_>) -> Finding {
    let config = place.config;
    if config.storage.is_shared() {
        return Finding::skipped(
            "the database of storage.url has tools of its own, such as pg_amcheck; `waxwing-server backup drill \
             --url` reads every letter",
        );
    }
    if let Some(skipped) = another_user(config) {
        return skipped;
    }
    let path = config.server.data.join("waxwing.db");
    match path.metadata() {
        Err(_) => return Finding::skipped(format!("there is no {} yet", path.display())),
        Ok(file) if file.len() == 0 => {
            return Finding::skipped("there are none: the file is empty");
        }
        Ok(_) => {}
    }
    judge_pages(store::look_at_pages(&path, is_used(config), READING))
}

fn judge_pages(found: Result<Pages, StorageError>) -> Finding {
    match found {
        Ok(Pages::Sound) => Finding::ok("all of them were read, and are sound"),
        Ok(Pages::Unread(tables)) => Finding::ok(format!(
            "they are sound, but for those of {}, for which there was no time: `waxwing-server backup create` \
             reads all",
            tables.join(", ")
        )),
        Err(error @ StorageError::Damaged(_)) => Finding::fail(
            error.to_string(),
            "look at the disk (dmesg), then do as \"The database is damaged\" in OPERATING.md says",
        ),
        Err(error) => Finding::skipped(error.to_string()),
    }
}

/// A database that several servers can reach is asked.
fn look_at_shared(config: &Config) -> Finding {
    let directory = match DataDir::existing(&config.server.data) {
        Ok(directory) => directory,
        Err(error) => return Finding::skipped(error.to_string()),
    };
    let found = store::schema(config, &directory).and_then(|schema| {
        store::expect_confirmed(config, &directory)?;
        Ok(schema)
    });
    match found {
        Ok(schema) if schema.outcome == Use::Refuses => Finding::fail(
            "the database is of a later version",
            "`waxwing-server storage schema` says of which; run that one",
        ),
        Ok(schema) => Finding::ok(format!("storage.url answers; its schema is {}", schema.found)),
        Err(error) => Finding::fail(error.to_string(), "see \"A shared database\" in OPERATING.md"),
    }
}

/// It has fewer bytes than a database begins with.
fn cut_off(path: &Path) -> StorageError {
    let what = format!("{} is damaged: it is shorter than any database", path.display());
    StorageError::Damaged(what.into())
}

fn judge_refused(why: &StorageError) -> Finding {
    let help = match why {
        StorageError::Damaged(_) => {
            "no server starts with it: do as \"The database is damaged\" in OPERATING.md says"
        }
        StorageError::OtherVersion(_) => {
            "no server of this version starts with it; `waxwing-server storage schema` says of which version it is"
        }
        _ => "no server starts with it as it is",
    };
    Finding::fail(why.to_string(), help)
}

pub(super) fn copies(place: &Place<'_>) -> Finding {
    let config = place.config;
    if !config.storage.is_shared() {
        return Finding::skipped("the database is on this machine alone: backups are its copies");
    }
    let found = DataDir::existing(&config.server.data).map_err(|error| error.to_string()).and_then(
        |directory| store::second_copy(config, &directory).map_err(|error| error.to_string()),
    );
    match found {
        Ok(found) => judge_copies(found, config.storage.copies),
        Err(why) => Finding::skipped(why),
    }
}

fn judge_copies(found: SecondCopy, wanted: u32) -> Finding {
    match (found, wanted) {
        (SecondCopy::Awaited, _) => Finding::fail(
            "commits wait for the synchronous standby: nothing is confirmed, so the server takes no letters",
            "bring the standby of the database back: see \"What happens when something dies\" in CLUSTER.md",
        ),
        (SecondCopy::Named, _) => Finding::ok(
            "each commit waits for a synchronous standby. Under Patroni, only synchronous_mode_strict keeps \
             it so while the standby is away: see `patronictl show-config`",
        ),
        (SecondCopy::None, 1) => Finding::warn(
            "the database names no synchronous standby, so what is stored is on one machine alone",
            "set synchronous_standby_names: see \"The databases\" in CLUSTER.md",
        ),
        (SecondCopy::None, _) => Finding::fail(
            "the database names no synchronous standby, so the server takes no letters",
            "set synchronous_standby_names, see \"The databases\" in CLUSTER.md; or, if one machine has to \
             do, storage.copies = 1",
        ),
    }
}

fn judge(head: &[u8; 20]) -> Finding {
    if !head.starts_with(MAGIC) {
        return Finding::fail(
            "waxwing.db is no database, or is damaged",
            "no server starts with it: do as \"The database is damaged\" in OPERATING.md says",
        );
    }
    let page = match u16::from_be_bytes([head[16], head[17]]) {
        1 => 65_536,
        size => usize::from(size),
    };
    // 2 stands for a write-ahead log, for those who write and for those who read.
    if head[18..] != [2, 2] {
        return Finding::fail(
            "the database has no write-ahead log: another program has changed its journal mode",
            "use no other program on it; start the server again, which sets it back",
        );
    }
    if page != PAGE {
        return Finding::warn(
            format!("a write-ahead log, and pages of {page} bytes"),
            format!("the server is made for pages of {PAGE} bytes: it works, and may be slower"),
        );
    }
    Finding::ok(format!("a write-ahead log, pages of {PAGE} bytes; each commit is synced"))
}

#[cfg(test)]
mod tests {
    use waxwing_core::crypto::Digest;
    use waxwing_core::time::UnixTime;

    use super::super::Verdict;
    use super::*;
    use crate::store::{Ownership, SqliteOptions, SqliteStorage, Storage};

    fn head(page: [u8; 2], mode: u8) -> [u8; 20] {
        let mut head = [0; 20];
        head[..16].copy_from_slice(MAGIC);
        head[16..18].copy_from_slice(&page);
        head[18..].fill(mode);
        head
    }

    #[test]
    fn a_database_for_later_versions_is_found_and_one_that_this_version_may_use_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.data = directory.path().to_owned();
        let path = directory.path().join("waxwing.db");
        let storage = SqliteStorage::open(&path, &SqliteOptions::default()).unwrap();
        Box::new(storage).close().unwrap();
        assert_eq!(look(&Place::new(&config)).verdict, Verdict::Ok);
        for (min_reader, verdict) in [(1, Verdict::Ok), (98, Verdict::Fail)] {
            let database = rusqlite::Connection::open(&path).unwrap();
            let newer = format!(
                "PRAGMA user_version = 99; UPDATE about SET schema = 99, min_reader = {min_reader}, \
                 written_by = '7.1'; PRAGMA wal_checkpoint(TRUNCATE)"
            );
            database.execute_batch(&newer).unwrap();
            drop(database);
            let files = || std::fs::read_dir(directory.path()).unwrap().count();
            let before = files();
            let found = look(&Place::new(&config));
            assert_eq!(found.verdict, verdict, "{}", found.found);
            assert_eq!(
                found.found.contains("schema 99"),
                verdict == Verdict::Fail,
                "{}",
                found.found
            );
            assert_eq!(files(), before);
        }
    }

    #[test]
    fn what_keeps_a_server_from_starting_fails() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.data = directory.path().to_owned();
        let found = |config: &Config| look(&Place::new(config));
        assert_eq!(found(&config).verdict, Verdict::Skipped);
        config.server.allow_first_start = false;
        let gone = found(&config);
        assert_eq!(gone.verdict, Verdict::Fail);
        assert!(gone.found.contains("server.allow_first_start is false"), "{}", gone.found);
        let data = DataDir::existing(directory.path()).unwrap();
        crate::key::load_or_create(&data).unwrap();
        let lost = found(&config);
        assert_eq!(lost.verdict, Verdict::Fail);
        assert!(lost.found.contains("there is a key, but no database"), "{}", lost.found);

        // Killed, and its log is lost.
        let path = directory.path().join("waxwing.db");
        let mut storage = SqliteStorage::open(&path, &SqliteOptions::default()).unwrap();
        storage.set_server_key(&Digest([1; 32]), UnixTime::from_seconds(2)).unwrap();
        drop(storage);
        assert_eq!(found(&config).verdict, Verdict::Ok);
        let log = directory.path().join("waxwing.db-wal");
        let own = std::fs::read(&log).unwrap();
        let other = tempfile::tempdir().unwrap();
        let other = other.path().join("waxwing.db");
        drop(SqliteStorage::open(&other, &SqliteOptions::default()).unwrap());
        std::fs::copy(other.with_extension("db-wal"), &log).unwrap();
        let foreign = found(&config);
        let refused =
            SqliteStorage::open(&path, &SqliteOptions::default()).unwrap_err().to_string();
        assert!(refused.contains("belongs to another state of"), "{refused}");
        assert_eq!((foreign.verdict, foreign.found), (Verdict::Fail, refused));
        std::fs::write(&log, own).unwrap();
        assert_eq!(found(&config).verdict, Verdict::Ok);
        std::fs::remove_file(&log).unwrap();
        let refused =
            SqliteStorage::open(&path, &SqliteOptions::default()).unwrap_err().to_string();
        let lost = found(&config);
        assert_eq!((lost.verdict, lost.found), (Verdict::Fail, refused));
    }

    #[test]
    fn a_file_that_is_empty_or_cut_off_is_called_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.data = directory.path().to_owned();
        for bytes in [&b""[..], b"SQLite"] {
            std::fs::write(directory.path().join("waxwing.db"), bytes).unwrap();
            let found = look(&Place::new(&config));
            assert_eq!(found.verdict, Verdict::Fail);
            assert!(found.found.contains("waxwing.db is damaged: it is shorter"), "{found:?}");
            assert!(found.help.unwrap().contains("The database is damaged"));
        }
    }

    #[test]
    fn damaged_pages_fail_and_what_was_not_read_is_named() {
        assert_eq!(judge_pages(Ok(Pages::Sound)).verdict, Verdict::Ok);
        let unread = judge_pages(Ok(Pages::Unread(vec!["pending_messages".into()])));
        assert_eq!(unread.verdict, Verdict::Ok);
        assert!(unread.found.contains("but for those of pending_messages"), "{}", unread.found);
        let damaged = judge_pages(Err(StorageError::Damaged("page 7".into())));
        assert_eq!((damaged.verdict, damaged.found.as_str()), (Verdict::Fail, "page 7"));
        let closed = judge_pages(Err(StorageError::Unreachable("locked".into())));
        assert_eq!(closed.verdict, Verdict::Skipped);
    }

    #[test]
    fn a_shared_database_is_judged_by_the_copies_that_are_wanted() {
        for (found, wanted, verdict) in [
            (SecondCopy::Named, 2, Verdict::Ok),
            (SecondCopy::None, 1, Verdict::Warn),
            (SecondCopy::None, 2, Verdict::Fail),
            (SecondCopy::Awaited, 1, Verdict::Fail),
        ] {
            assert_eq!(judge_copies(found, wanted).verdict, verdict);
        }
    }

    #[test]
    fn a_database_of_the_server_has_its_log_and_its_pages() {
        for (head, verdict) in [
            (head([0x10, 0], 2), Verdict::Ok),
            (head([0, 1], 2), Verdict::Warn),
            (head([0x10, 0], 1), Verdict::Fail),
            ([0; 20], Verdict::Fail),
        ] {
            assert_eq!(judge(&head).verdict, verdict);
        }
    }
}
