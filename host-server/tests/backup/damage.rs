//! Backups that are not what was written.

use std::os::unix::fs::FileExt;

use rusqlite::Connection;
use waxwing_core::crypto::{Digest, Provider};
use waxwing_core::time::UnixTime;
use waxwing_server::backend::Backend;
use waxwing_server::backup::manifest_of;
use waxwing_server::store::{Ownership, SqliteOptions, SqliteStorage};

use super::*;

impl Place {
    /// The manifest says again what is in the file, as somebody who can write there could have it say.
    pub(crate) fn seal(&self, change: impl FnOnce(&mut Value)) {
        let bytes = fs::read(self.file()).unwrap();
        let mut manifest = self.manifest();
        manifest["bytes"] = bytes.len().into();
        manifest["sha256"] = format!("{:?}", Backend::default().sha256(&[&bytes])).into();
        change(&mut manifest);
        fs::write(manifest_of(&self.file()), manifest.to_string()).unwrap();
    }

    fn manifest(&self) -> Value {
        serde_json::from_slice(&fs::read(manifest_of(&self.file())).unwrap()).unwrap()
    }

    fn change(&self, sql: &str) {
        let connection = Connection::open(self.file()).unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

/// Where it is read, and changes nothing.
#[track_caller]
fn refused(place: &Place, code: i32, why: &str) {
    let before = place.content();
    let said = place.about(&["backup", "verify"], code);
    assert!(said.contains(why), "{said}");
    assert!(before == place.content());
}

#[test]
fn a_backup_that_was_cut_at_any_byte_is_refused() {
    let place = Place::new();
    place.create();
    let whole = fs::read(place.file()).unwrap();
    for length in [0, 1, 99, 100, 4_095, 4_096, whole.len() / 2, whole.len() - 1] {
        fs::write(place.file(), &whole[..length]).unwrap();
        refused(&place, 74, &format!("it has {length} bytes"));
    }
    fs::write(place.file(), [&whole[..], b"x"].concat()).unwrap();
    refused(&place, 74, "were written");
    fs::write(place.file(), &whole).unwrap();
    place.about(&["backup", "verify"], 0);
}

#[test]
fn one_bit_is_enough() {
    let place = Place::new();
    place.create();
    let whole = fs::read(place.file()).unwrap();
    let file = fs::File::options().write(true).open(place.file()).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 12) {
        file.write_all_at(&[whole[at] ^ 0x10], at as u64).unwrap();
        refused(&place, 74, "it is damaged");
        file.write_all_at(&[whole[at]], at as u64).unwrap();
    }
    place.about(&["backup", "verify"], 0);
}

/// Writes over the first page of a table.
fn damage(database: &Path, table: &str) {
    let root: u32 = {
        let database = Connection::open(database).unwrap();
        let select = "SELECT rootpage FROM sqlite_schema WHERE name = ?";
        database.query_row(select, [table], |row| row.get(0)).unwrap()
    };
    let file = fs::File::options().write(true).open(database).unwrap();
    file.write_all_at(&[0xff; 64], u64::from(root - 1) * 4_096).unwrap();
}

#[test]
fn a_database_that_is_damaged_is_blamed_itself_and_the_doctor_finds_that() {
    let place = Place::new();
    let database = place.data().database();
    let pages = |code| {
        let said = place.run(&["doctor", "--json"]);
        assert_eq!(said.status.code(), Some(code), "{}", text(&said.stdout));
        let said = text(&said.stdout);
        let mut lines = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.find(|line| line["check"] == "database_pages").unwrap()
    };
    assert_eq!(pages(0)["verdict"], "ok");
    damage(&database, "damaged_messages");
    let said = place.about(&["backup", "create"], 74);
    assert!(said.contains("waxwing.db is damaged") && !said.contains(".new"), "{said}");
    assert!(!place.file().exists());
    let found = pages(1);
    assert_eq!(found["verdict"], "fail", "{found}");
    assert!(found["found"].as_str().unwrap().contains("waxwing.db is damaged"), "{found}");
}

#[test]
fn commands_that_read_a_damaged_page_name_the_file_and_what_to_do() {
    let place = Place::new();
    let file = place.data().database();
    let pages: Vec<u32> = {
        let database = Connection::open(&file).unwrap();
        let select = "SELECT rootpage FROM sqlite_schema WHERE tbl_name = 'pending_messages'";
        let mut select = database.prepare(select).unwrap();
        select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let damaged = fs::File::options().write(true).open(&file).unwrap();
    for page in pages {
        damaged.write_all_at(&[0xff; 64], u64::from(page - 1) * 4_096).unwrap();
    }
    for command in [
        &["users", "list"][..],
        &["users", "show", "1"],
        &["users", "export", "1"],
        &["users", "remove", "1", "--yes"],
        &["users", "remove", "1", "--erase", "--yes"],
        &["run", "--check"],
    ] {
        let said = place.run(command);
        let why = text(&said.stderr);
        assert_eq!(said.status.code(), Some(74), "{command:?}: {why}");
        assert_way_out(&why, &file);
    }
    fs::write(&file, [b"SQLite format 3\0".as_slice(), &[0xff; 8_176]].concat()).unwrap();
    assert_way_out(&text(&place.run(&["storage", "schema"]).stderr), &file);
}

#[test]
fn storage_schema_does_not_say_that_a_database_is_served_whose_log_is_lost_or_another_s() {
    let place = Place::new();
    let file = place.data().database();
    // As a server leaves it that was killed.
    let mut storage = SqliteStorage::open(&file, &SqliteOptions::default()).unwrap();
    storage.set_server_key(&Digest([1; 32]), UnixTime::from_seconds(2)).unwrap();
    drop(storage);
    let ask = || place.run(&["storage", "schema"]);
    assert_eq!(ask().status.code(), Some(0));
    let log = file.with_extension("db-wal");
    let other = tempfile::tempdir().unwrap();
    let raw = Connection::open(other.path().join("other.db")).unwrap();
    raw.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE words (word)").unwrap();
    fs::remove_file(file.with_extension("db-shm")).unwrap();
    for (others, why) in [(true, "belongs to another state of"), (false, "its log")] {
        fs::remove_file(&log).unwrap();
        if others {
            fs::copy(other.path().join("other.db-wal"), &log).unwrap();
        }
        let said = ask();
        assert_eq!(said.status.code(), Some(74), "{}", text(&said.stdout));
        assert!(text(&said.stderr).contains(why), "{}", text(&said.stderr));
        assert!(said.stdout.is_empty());
        // A start says the same.
        let start = place.run(&["--listen", "127.0.0.1:0"]);
        assert_eq!(text(&start.stderr), text(&said.stderr));
    }
}

#[track_caller]
fn assert_way_out(why: &str, file: &Path) {
    for part in [
        &format!("{} is damaged: ", file.display()),
        "`waxwing-server backup restore FILE`",
        "`waxwing-server run --recover`",
    ] {
        assert!(why.contains(part), "{why}");
    }
}

#[test]
fn without_its_own_manifest_it_is_refused() {
    let (place, other) = (Place::new(), Place::new());
    place.create();
    assert!(other.run(&["users", "remove", "2", "--yes"]).status.success());
    other.create();
    let own = fs::read(manifest_of(&place.file())).unwrap();
    fs::copy(manifest_of(&other.file()), manifest_of(&place.file())).unwrap();
    refused(&place, 74, "belongs to another backup");
    for wrong in [&b""[..], b"{}", b"[", b"\xff"] {
        fs::write(manifest_of(&place.file()), wrong).unwrap();
        refused(&place, 74, "not what belongs");
    }
    fs::remove_file(manifest_of(&place.file())).unwrap();
    refused(&place, 74, ".json is missing");
    fs::write(manifest_of(&place.file()), own).unwrap();
    place.about(&["backup", "verify"], 0);
    // One of an earlier version says nothing of accounts of the canary.
    place.seal(|manifest| _ = manifest.as_object_mut().unwrap().remove("canary_accounts"));
    place.about(&["backup", "verify"], 0);
    place.seal(|manifest| manifest["users"] = 3.into());
    refused(&place, 74, "something else than what is in the backup");
    place.seal(|manifest| {
        manifest["users"] = 2.into();
        manifest["format"] = 2.into();
    });
    refused(&place, 74, "use the version that has made the backup");
}

#[test]
fn a_letter_whose_bytes_are_not_those_of_its_id_is_found() {
    let place = Place::new();
    place.create();
    place.change("UPDATE pending_messages SET encrypted_payload = zeroblob(18) WHERE queue_id = 2");
    place.seal(|_| {});
    refused(&place, 74, "letter 2 cannot be rebuilt: it waits for user 1");
}

#[test]
fn a_letter_for_nobody_is_found() {
    let place = Place::new();
    place.create();
    place.change("PRAGMA foreign_keys = OFF; DELETE FROM users WHERE user_id = 2");
    place.seal(|_| {});
    refused(&place, 74, "a user that does not exist");
}

#[test]
fn one_of_a_later_version_is_refused() {
    let place = Place::new();
    place.create();
    place.change("PRAGMA user_version = 99; UPDATE about SET min_reader = 99");
    place.seal(|manifest| manifest["schema"] = 99.into());
    refused(&place, 74, "a backup.db has schema 99");
    for command in ["drill", "restore"] {
        let said = place.about(&["backup", command], 74);
        assert!(said.contains("a backup.db has schema 99"), "{said}");
    }
}

#[test]
fn one_of_another_server_is_refused_unless_it_is_meant() {
    let (place, other) = (Place::new(), Place::new());
    other.create();
    fs::copy(other.file(), place.file()).unwrap();
    fs::copy(manifest_of(&other.file()), manifest_of(&place.file())).unwrap();
    refused(&place, 4, "a server with another key");
    place.about(&["backup", "verify", "--other-key"], 0);
    // A drill has no use for it without its key.
    let said = place.about(&["backup", "drill"], 4);
    assert!(said.contains("a drill needs its key") && !said.contains("--other-key"), "{said}");
}

#[test]
fn damage_that_a_command_meets_is_in_the_log_of_the_server_that_goes_on() {
    let place = Place::new();
    let database = place.data().database();
    // Where there is nobody, the start does not read it.
    let raw = Connection::open(&database).unwrap();
    raw.execute_batch("DELETE FROM pending_messages; DELETE FROM users").unwrap();
    raw.close().unwrap();
    damage(&database, "pending_messages_by_mailbox");
    let server = place.start(&[]);
    let listed = place.run(&["queue", "list"]);
    assert_eq!(listed.status.code(), Some(74), "{}", text(&listed.stderr));
    let log = server.stop();
    assert!(log.contains("a command of an operator has read a damaged page"), "{log}");
    assert!(log.contains(&format!("{} is damaged", database.display())), "{log}");
}

#[test]
fn a_database_of_which_nothing_is_there_is_not_said_to_be_sound() {
    let place = Place::new();
    fs::write(place.data().database(), "").unwrap();
    let said = text(&place.run(&["doctor"]).stdout);
    let mut lines = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let pages = lines.find(|line| line.contains("database_pages")).unwrap();
    assert_eq!(pages, "skipped database_pages there are none: the file is empty");
}

#[test]
fn a_removal_that_meets_a_damaged_page_ends_with_the_server_and_says_what_helps() {
    let place = Place::new();
    let database = place.data().database();
    // The start does not read it.
    damage(&database, "undelivered_messages");
    let mut server = place.start(&[]);
    let removed = place.run(&["users", "remove", "2", "--yes"]);
    let said = text(&removed.stderr);
    assert_eq!(removed.status.code(), Some(74), "{said}");
    assert!(said.contains("has read a damaged page"), "{said}");
    assert!(said.contains("waxwing-server run --check"), "{said}");
    assert_eq!(server.0.wait().unwrap().code(), Some(74));
    let log = server.log();
    assert!(log.contains("a damaged page of the database was read"), "{log}");
    let checked = place.run(&["--check", "--listen", "127.0.0.1:0"]);
    let said = text(&checked.stderr);
    assert_eq!(checked.status.code(), Some(74), "{said}");
    assert_way_out(&said, &database);
}
