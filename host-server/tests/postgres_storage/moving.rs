//! `storage copy` and `storage adopt`, as an operator gives them.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use waxwing_core::server::storage::{AllowanceKey, Write};
use waxwing_core::server::storage::{Answer, OwnLimits, Question, QueueId, StoredAllowance};
use waxwing_core::time::{Now, Timestamp, UnixTime};
use waxwing_core::wire::{Status, StatusQuery};
use waxwing_server::clock::Clock;
use waxwing_server::data_dir::DataDir;
use waxwing_server::key;
use waxwing_server::store::shared::WitnessFile;
use waxwing_server::store::{
    Ban, BanChange, Engine, KeepBans, Ownership, Personal, SqliteOptions, SqliteStorage, Storage,
};

use super::*;

/// A data directory, and a database of PostgreSQL.
struct Both {
    root: tempfile::TempDir,
    place: Place,
}

impl Both {
    fn new() -> Option<Self> {
        let place = Place::new()?;
        Some(Self { root: tempfile::tempdir().unwrap(), place })
    }

    fn data(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn file(&self, name: &str) -> SqliteStorage {
        std::fs::create_dir_all(self.data(name)).unwrap();
        let path = self.data(name).join("waxwing.db");
        SqliteStorage::open(&path, &SqliteOptions::default()).unwrap()
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
        command.env("WAXWING_STORAGE__COPIES", "1").arg("--data").arg(self.data(name));
        command.args(arguments).stdin(std::process::Stdio::null()).output().unwrap()
    }

    fn copy_to(&self, name: &str) -> Output {
        self.command(name, &["--json", "storage", "copy", "--to", &self.place.url])
    }

    fn copy_from(&self, name: &str) -> Output {
        self.command(name, &["--json", "storage", "copy", "--from", &self.place.url])
    }

    fn state(&self) -> String {
        self.place.sql("SELECT state FROM waxwing.about")
    }
}

#[track_caller]
fn ended(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "no {words:?} in {said}");
}

#[track_caller]
fn done(output: &Output) -> Value {
    ended(output, 0, "");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Something in each table.
fn fill(storage: &mut dyn Engine) {
    let writes = (1..=4).map(create).chain((1..=1_200).map(|place| insert(place, 1, 2, 40)));
    apply(storage, writes).unwrap();
    apply(storage, [insert(1_201, 2, 3, 60_000), insert(1_202, 4, 3, 1)]).unwrap();
    let last_seen = Timestamp::from_unix(START);
    apply(
        storage,
        [
            Write::ConfirmSession { user: user(1), session_key: [7; 64], last_seen },
            Write::KeepAllowances(vec![
                StoredAllowance { key: AllowanceKey([200; 16]), full_at: START },
                StoredAllowance { key: AllowanceKey([9; 16]), full_at: START.shifted(5) },
            ]),
            Write::Suspend {
                user: user(3), until: None, reason: "Grüße, 'x'".into(), now: START
            },
            Write::SetLimits { user: user(2), limits: OwnLimits { letters: Some(5), bytes: None } },
            Write::RemoveUser { user: user(4), now: START },
        ],
    )
    .unwrap();
    for key in [[9; 32], [3; 32]] {
        storage.set_server_key(&waxwing_core::crypto::Digest(key), START).unwrap();
    }
    for range in ["192.0.2.0/24", "2001:db8::/32", "10.0.0.0/8"] {
        let ban = Ban {
            range: range.parse().unwrap(),
            since: START,
            until: None,
            is_automatic: range.starts_with('1'),
            reason: "so".into(),
        };
        storage.change_bans(&BanChange::Add(ban)).unwrap();
    }
    // The highest place is of no letter that is there.
    apply(storage, [delete(3, [1_202]), delete(2, 1..=3)]).unwrap();
    let oldest = Question::TakeOut {
        recipient: user(2),
        accepted_before: UnixTime::from_seconds(i64::MAX),
        now: START.shifted(9),
        limit: 2,
    };
    storage.answer(&oldest).unwrap();
}

#[test]
fn everything_goes_from_one_storage_to_the_other_and_back() {
    let Some(both) = Both::new() else { return };
    let mut file = both.file("first");
    fill(&mut file);
    let before = file.load(START).unwrap();
    Box::new(file).close().unwrap();
    let damage = rusqlite::Connection::open(both.data("first").join("waxwing.db")).unwrap();
    damage
        .execute_batch(
            "INSERT INTO damaged_messages VALUES (77, x'01', 'no id', 2, 5, 6, NULL, 8, x'ff'); \
             INSERT INTO restores VALUES (1, 5, 6)",
        )
        .unwrap();
    drop(damage);

    let copied = done(&both.copy_to("first"));
    assert_eq!((&copied["users"], &copied["letters"]), (&3.into(), &1_196.into()), "{copied}");
    assert_eq!(both.state(), "open");
    let refused = both.command("first", &["users", "list"]);
    ended(&refused, 74, "was moved");
    let mut storage = both.place.storage(1, 10);
    let mut after = storage.load(START).unwrap();
    after.users.sort_by_key(|user| user.id);
    assert_eq!((&after.users, after.last_queue_id), (&before.users, before.last_queue_id));
    assert_eq!(after.with_letters.len(), before.with_letters.len());
    assert_eq!(after.suspensions, before.suspensions);
    assert_eq!(after.own_limits, before.own_limits);
    assert_eq!(mailbox(&mut storage, 3), [1_201]);
    assert_eq!(storage.bans().unwrap().len(), 3);
    assert_eq!(storage.server_key().unwrap().unwrap().0, [3; 32]);
    assert_eq!(storage.letters_aside(user(2), QueueId(0)).unwrap().found.len(), 1);
    // Again: it is done already. And when it is used, it is no copy any more.
    assert_eq!(done(&both.copy_to("first"))["digest"], copied["digest"]);
    apply(&mut storage, [delete(3, [1_201])]).unwrap();
    ended(&both.copy_to("first"), 74, "was moved before");
    // A server has it.
    ended(&both.copy_from("second"), 74, "another server has the lease");
    Box::new(storage).close().unwrap();

    let back = done(&both.copy_from("second"));
    assert_eq!(back["letters"], 1_195);
    assert_eq!(both.state(), "moved");
    assert_eq!(mailbox(&mut both.file("second"), 2).len(), 1_195);
    assert_eq!(both.file("second").load(START).unwrap().users, before.users);
    assert!(both.place.stand_by(1, 12).is_err(), "nobody serves what was moved");
    assert_eq!(done(&both.copy_from("second"))["digest"], back["digest"]);
    // To the place from which it was moved once; that one stays beside it.
    both.place.sql("UPDATE waxwing.about SET state = 'open'");
    done(&both.copy_from("first"));
    assert!(both.data("first").join("waxwing.db.moved-1").exists());
    assert_eq!(mailbox(&mut both.file("first"), 2).len(), 1_195);
    both.place.sql("UPDATE waxwing.about SET state = 'open'");
    ended(&both.copy_from("first"), 74, "is there already");
    let audit = std::fs::read_to_string(both.data("second").join("audit.jsonl")).unwrap();
    assert!(audit.contains("storage copy"), "{audit}");
}

#[test]
fn a_copy_that_was_interrupted_goes_on_from_each_of_its_steps() {
    let Some(both) = Both::new() else { return };
    let mut file = both.file("data");
    fill(&mut file);
    Box::new(file).close().unwrap();
    // Something is there that is not whole.
    both.place.groups(1, 11).apply(&[batch([create(9)])]).unwrap();
    ended(&both.copy_to("data"), 74, "is not empty");
    both.place.sql("UPDATE waxwing.about SET state = 'copying'");
    let copied = done(&both.copy_to("data"));
    assert_eq!(both.state(), "open");
    // The file is moved, and nobody has opened the copy.
    both.place.sql("UPDATE waxwing.about SET state = 'copying'");
    assert!(both.place.stand_by(1, 12).is_err());
    assert_eq!(done(&both.copy_to("data"))["digest"], copied["digest"]);
    assert_eq!(both.state(), "open");
    // The file is moved, and its copy is another one, or gone.
    both.place.sql("UPDATE waxwing.about SET state = 'copying'; DELETE FROM waxwing.bans");
    ended(&both.copy_to("data"), 74, "was moved before");
    assert_eq!(both.state(), "copying");
    ended(&both.copy_from("other"), 74, "not everything is in the database");
    both.place.sql("DROP SCHEMA waxwing CASCADE");
    ended(&both.copy_to("data"), 74, "was moved before");
    ended(&both.copy_from("other"), 74, "there is nothing");
}

#[test]
fn a_copy_back_that_was_interrupted_goes_on() {
    let Some(both) = Both::new() else { return };
    let mut storage = both.place.storage(1, 10);
    apply(&mut storage, [create(1), create(2), insert(1, 1, 2, 500)]).unwrap();
    Box::new(storage).close().unwrap();
    // A part of an earlier attempt lies there.
    std::fs::create_dir(both.data("data")).unwrap();
    std::fs::write(both.data("data").join("waxwing.db.copied"), "half").unwrap();
    let copied = done(&both.copy_from("data"));
    // It was killed before the copy had its place.
    let (place, draft) =
        (both.data("data").join("waxwing.db"), both.data("data").join("waxwing.db.copied"));
    std::fs::rename(&place, &draft).unwrap();
    assert_eq!(done(&both.copy_from("data"))["digest"], copied["digest"]);
    assert_eq!(mailbox(&mut both.file("data"), 2), [1]);
    assert!(!draft.exists());
    std::fs::remove_file(&place).unwrap();
    ended(&both.copy_from("data"), 74, "was moved before");
}

#[test]
fn a_copy_to_a_place_that_is_none_changes_nothing() {
    let Some(both) = Both::new() else { return };
    let mut file = both.file("data");
    apply(&mut file, [create(1)]).unwrap();
    Box::new(file).close().unwrap();
    let copy = |url: &str| both.command("data", &["storage", "copy", "--to", url]);
    for url in ["mysql://chat", "postgres://waxwing:secret@localhost/chat", "postgres://u@db1/chat"]
    {
        ended(&copy(url), 78, "the URL cannot be used");
    }
    ended(&copy("postgres://waxwing@127.0.0.1:1/chat"), 3, "cannot be reached");
    ended(&copy(&both.place.url.replace("waxwing@", "nobody@")), 78, "nobody");
    ended(&both.command("data", &["storage", "copy"]), 2, "--to");
    both.place.groups(1, 11).apply(&[batch([create(9)])]).unwrap();
    ended(&copy(&both.place.url), 74, "is not empty");
    assert_eq!(both.file("data").load(START).unwrap().users.len(), 1);
}

struct Unchanging;

impl Clock for Unchanging {
    fn now(&self) -> Now {
        Now { instant: Instant::default(), unix: START }
    }
}

#[test]
fn a_database_that_was_restored_to_yesterday_is_adopted_and_nobody_is_told_a_falsehood() {
    let Some(both) = Both::new() else { return };
    std::fs::create_dir(both.data("data")).unwrap();
    let witness = both.data("data").join("witness");
    let adopt = || {
        let url = &both.place.url;
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
        command.env("WAXWING_STORAGE__COPIES", "1").env("WAXWING_STORAGE__URL", url);
        command.arg("--data").arg(both.data("data"));
        command.args(["--json", "storage", "adopt", "--registered-since", "3"]).output().unwrap()
    };
    let mut storage = both.place.storage(1, 10);
    apply(&mut storage, [create(1), create(2)]).unwrap();
    both.place.sql("CREATE SCHEMA yesterday; CREATE TABLE yesterday.marks AS TABLE waxwing.marks");
    apply(&mut storage, [insert(1, 1, 2, 100)]).unwrap();
    let known = both.place.witness.mark().unwrap();
    WitnessFile::open(&witness, Unchanging).unwrap().write(known);
    ended(&adopt(), 78, "lacks nothing");
    both.place.sql(
        "DELETE FROM waxwing.marks; INSERT INTO waxwing.marks SELECT * FROM yesterday.marks; \
         DELETE FROM waxwing.pending_messages",
    );
    assert!(matches!(apply(&mut storage, [create(3)]), Err(ApplyError::Unclear(_))));
    drop(storage);
    assert!(both.place.candidate(1, 12).look(Instant::default()).is_err(), "the next start");
    assert_eq!(both.state(), "doubtful");

    assert_eq!(done(&adopt())["resting_ids"], 3);
    assert_eq!(both.state(), "open");
    ended(&adopt(), 78, "lacks nothing");
    // Also with what it has witnessed before.
    let mut storage = both.place.storage(1, 10);
    let snapshot = storage.load(START).unwrap();
    assert!(snapshot.letters_missing_until.is_some_and(|until| until > START));
    let mut resting: Vec<_> = snapshot.resting_ids.iter().map(|id| id.get()).collect();
    resting.sort_unstable();
    assert_eq!(resting, [3, 4, 5]);
    // What the server machine makes of that, and of `letters_missing_until`, is *unknown*.
    let letters = vec![StatusQuery { recipient: user(2), letter: letter(1, 1, 2, 100).id }];
    let fates = storage.answer(&Question::Fates { asker: user(1), letters }).unwrap();
    assert!(matches!(fates, Answer::Fates(fates) if fates[0].1 == Status::Delivered));
    apply(&mut storage, [create(9)]).unwrap();
}

impl Both {
    /// What a server has stored there whose key is in the data directory, which servers may use meanwhile.
    fn to_drill(&self, name: &str) -> PostgresStorage {
        let data = self.data(name);
        std::fs::create_dir_all(&data).unwrap();
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
        let identity = key::load_or_create(&DataDir::existing(&data).unwrap()).unwrap();
        let mut storage = self.place.storage(1, 10);
        fill(&mut storage);
        storage.set_server_key(&key::digest(identity.spki()), START).unwrap();
        storage
    }

    fn drill(&self, name: &str, setting: (&str, &str)) -> Output {
        self.drill_with(&self.place.url, name, setting)
    }

    fn drill_with(&self, url: &str, name: &str, setting: (&str, &str)) -> Output {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
        command.env("WAXWING_STORAGE__COPIES", "1").env(setting.0, setting.1);
        command.arg("--data").arg(self.data(name)).arg("--json");
        command.args(["backup", "drill", "--url", url, "--directory"]);
        let ran = command.arg(self.root.path()).stdin(std::process::Stdio::null()).output();
        let names =
            std::fs::read_dir(self.root.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = names.filter(|found| found != name).collect();
        assert!(left.is_empty(), "{left:?}");
        ran.unwrap()
    }
}

const ANY_ROOM: (&str, &str) = ("WAXWING_STORAGE__MIN_FREE_DISK", "0");

#[test]
fn a_drill_starts_a_server_with_what_a_database_holds_and_nothing_in_it_changes() {
    let Some(both) = Both::new() else { return };
    let mut storage = both.to_drill("data");
    let everything = "SELECT md5(string_agg(one::text, '' ORDER BY one::text)) FROM (\
        SELECT row(letter.*) AS one FROM waxwing.pending_messages letter UNION ALL \
        SELECT row(person.*) FROM waxwing.users person UNION ALL \
        SELECT row(holder.*) FROM waxwing.lease holder) AS rows";
    let before = both.place.sql(everything);
    let ran = both.drill("data", ANY_ROOM);
    ended(&ran, 0, "");
    let said = String::from_utf8(ran.stdout).unwrap();
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps: Vec<_> = lines[..4].iter().map(|line| line["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["copy", "verify", "start", "canary"]);
    assert_eq!((&lines[4]["users"], &lines[4]["letters"]), (&3.into(), &1_196.into()), "{said}");
    assert_eq!(lines[4]["canary"]["result"], "done", "{said}");
    assert_eq!(lines[4]["url"], both.place.url.as_str());
    assert_eq!(both.place.sql(everything), before);
    // Whoever serves goes on.
    apply(&mut storage, [delete(3, [1_201])]).unwrap();
}

#[test]
fn a_drill_with_a_database_that_nobody_could_go_on_with_says_why() {
    let Some(both) = Both::new() else { return };
    let empty =
        Both { root: tempfile::tempdir().unwrap(), place: Place::of(both.place.postgres.clone()) };
    let mut storage = both.to_drill("data");
    ended(
        &both.drill("data", ("WAXWING_STORAGE__MIN_FREE_DISK", "900000GiB")),
        74,
        "of the disk is free",
    );
    let moved = both.place.sql("UPDATE waxwing.about SET state = 'moved' RETURNING state");
    assert!(moved.contains("moved"), "{moved}");
    ended(&both.drill("data", ANY_ROOM), 74, "was moved to a file before this backup was made");
    both.place.sql("UPDATE waxwing.about SET state = 'open'");
    storage.set_server_key(&waxwing_core::crypto::Digest([3; 32]), START).unwrap();
    ended(&both.drill("data", ANY_ROOM), 4, "belongs to a server with another key");
    both.place.sql(
        "UPDATE waxwing.pending_messages SET encrypted_payload = encrypted_payload || '\\x00' \
         WHERE queue_id = 700",
    );
    let ran = both.drill("data", ANY_ROOM);
    ended(&ran, 74, &both.place.url);
    ended(&ran, 74, "is damaged");
    // Nothing is there yet.
    let data = empty.data("data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    ended(&empty.drill("data", ANY_ROOM), 4, "the key is in no backup");
    key::load_or_create(&DataDir::existing(&data).unwrap()).unwrap();
    ended(&empty.drill("data", ANY_ROOM), 74, "there is nothing of a server in the database");
}

#[test]
fn a_drill_whose_database_cannot_be_used_names_that_one_and_what_to_do() {
    let Some(both) = Both::new() else { return };
    drop(both.to_drill("data"));
    let url = &both.place.url;
    let database = url.rsplit('/').next().unwrap();
    let other =
        |change: (&str, &str)| both.drill_with(&url.replace(change.0, change.1), "data", ANY_ROOM);
    let ran = other((database, "nothing"));
    ended(&ran, 78, "the database of that URL is not there");
    ended(&ran, 78, "createdb --owner=waxwing nothing");
    ended(&other(("waxwing@", "nobody@")), 78, "look at the user in that URL");
    let reader = format!("reader_of_{database}");
    both.place.sql(&format!("CREATE ROLE {reader} LOGIN"));
    let ran = other(("waxwing@", &format!("{reader}@")));
    ended(&ran, 78, &format!("(ALTER DATABASE \"{database}\" OWNER TO \"{reader}\")"));
    both.place.sql(&format!("DROP ROLE {reader}"));

    let again = "is not whole: bring its backup back again, into an empty database";
    let broken_by = |change: &str, why: &str| {
        both.place.sql(change);
        let ran = both.drill("data", ANY_ROOM);
        ended(&ran, 74, why);
        ended(&ran, 74, again);
        assert!(!String::from_utf8(ran.stderr).unwrap().contains("waxwing.db.copied"));
    };
    broken_by("DROP TABLE waxwing.user_limits", "waxwing.user_limits");
    broken_by("DELETE FROM waxwing.users WHERE user_id = 3", "a row of pending_messages");
    broken_by("DELETE FROM waxwing.about", "the table waxwing.about has no row");
}

#[test]
fn no_password_in_a_url_gets_into_the_audit_log() {
    let Some(both) = Both::new() else { return };
    let storage = both.to_drill("data");
    Box::new(storage).close().unwrap();
    let url = "postgres://waxwing:geheim@localhost/chat";
    let elsewhere = both.root.path().to_str().unwrap();
    for arguments in [
        &["backup", "drill", "--url", url, "--directory", elsewhere][..],
        &["storage", "copy", "--to", url],
        &["storage", "copy", "--from", url],
    ] {
        let ran = both.command("data", arguments);
        ended(&ran, 78, "a password does not belong into it");
        assert!(!String::from_utf8_lossy(&ran.stderr).contains("geheim"));
    }
    std::fs::write(both.data("data").join("witness"), "").unwrap();
    ended(
        &both.command("data", &["backup", "drill", "--url", url, "--directory", elsewhere]),
        78,
        "",
    );
    let audit = std::fs::read_to_string(both.data("data").join("audit.jsonl")).unwrap_or_default();
    assert!(!audit.contains("geheim"), "{audit}");
}
