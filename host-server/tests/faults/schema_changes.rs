//! Each call of SQLite's to the system fails once while a database is brought up to date.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use waxwing_server::store::{SqliteOptions, SqliteStorage, Storage};
use waxwing_testkit_sqlite::{Fault, FaultyDisk};

const NAME: &str = "waxwing.db";

/// A database of the schema before the first, with something in it.
fn make_old(path: &Path) {
    let raw = Connection::open(path).unwrap();
    raw.pragma_update(None, "application_id", 0x5758_5747).unwrap();
    raw.execute_batch("CREATE TABLE old (word TEXT); INSERT INTO old VALUES ('kept')").unwrap();
}

fn word(path: &Path) -> String {
    let raw = Connection::open(path).unwrap();
    raw.query_row("SELECT word FROM old", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_schema_that_could_not_change_leaves_what_was_there_and_changes_the_next_time() {
    let (mut refused, mut number) = (0, 0);
    loop {
        number += 1;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        let disk = FaultyDisk::under(directory.path()).unwrap();
        disk.aside(|| make_old(&path));
        disk.fail(Fault::Once(number));
        let opened = SqliteStorage::open(&path, &SqliteOptions::default());
        if disk.injected().is_empty() {
            opened.unwrap();
            break;
        }
        refused += usize::from(opened.is_err());
        drop(opened);
        disk.heal();
        assert_eq!(word(&path), "kept", "call {number}");
        let mut storage = SqliteStorage::open(&path, &SqliteOptions::default()).unwrap();
        storage.check().unwrap();
        let entries = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap());
        let names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        for copy in names.iter().filter(|name| name.contains("before-schema-")) {
            assert_eq!(word(&directory.path().join(copy)), "kept", "call {number}");
        }
        let mut drafts = names.iter().filter(|name| name.ends_with(".new"));
        assert_eq!(drafts.next(), None, "call {number}");
    }
    assert!(refused > 10, "{refused} of {number}");
}
