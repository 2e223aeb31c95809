//! Homes that an earlier version has written.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use waxwing::home::{
    Deletion, Event, Home, HomeError, LetterBody, Registration, Relation, Writing,
};

use crate::{TestHome, phone, pkcs8_der, spki, uid, user};

/// The first schema, with an account and a letter in it.
fn home_of_the_first_schema() -> TestHome {
    let test = TestHome::new();
    fs::create_dir(test.dir()).unwrap();
    fs::set_permissions(test.dir(), Permissions::from_mode(0o700)).unwrap();
    let database = Connection::open(test.dir().join("waxwing.db")).unwrap();
    database.execute_batch(include_str!("../../src/home/migrations/0001-initial.sql")).unwrap();
    database.execute_batch("PRAGMA application_id = 1465407304; PRAGMA user_version = 1").unwrap();
    let (server_key, public_key) = (spki(1), spki(0));
    database
        .execute(
            "INSERT INTO identity (only_row, phone, server, server_key, private_key, public_key, \
             reply_key, stage, user_id) VALUES (1, ?, '127.0.0.1:9295', ?, ?, ?, ?, 3, 100)",
            rusqlite::params![
                phone(0).as_str(),
                server_key.as_bytes(),
                pkcs8_der(0),
                public_key.as_bytes(),
                [3_u8; 32]
            ],
        )
        .unwrap();
    database
        .execute(
            "INSERT INTO outbox (id, uid, recipient, kind, body, created_at) \
             VALUES (1, ?, ?, 'text', ?, 0)",
            rusqlite::params![[7_u8; 16], phone(2).as_str(), &b"old"[..]],
        )
        .unwrap();
    test
}

fn copies(test: &TestHome) -> Vec<PathBuf> {
    let names = fs::read_dir(test.dir()).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.to_string_lossy().contains(".before-schema-")).collect()
}

fn copy_of(test: &TestHome) -> PathBuf {
    let [copy] = &copies(test)[..] else { panic!("{:?}", copies(test)) };
    copy.clone()
}

fn schema(file: &Path) -> i64 {
    let database = Connection::open(file).unwrap();
    database.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn is_whole(home: &Home) {
    let found = home.identity().unwrap().unwrap();
    assert_eq!(found.registration, Registration::Done(user(100)));
    let letters = home.outbox().queued().unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].uid, uid(7));
    assert_eq!(letters[0].writing, Writing::text("old").unwrap());
}

#[test]
fn an_older_home_is_copied_before_it_is_changed() {
    let test = home_of_the_first_schema();
    let home = Home::open(&test.dir()).unwrap();
    is_whole(&home);
    assert!(schema(&test.dir().join("waxwing.db")) > 1);

    let copy = copy_of(&test);
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(schema(&copy), 1);
    // It is a home of its own: put in the place of the other, it opens.
    drop(home);
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(test.dir().join(format!("waxwing.db{suffix}")));
    }
    fs::rename(&copy, test.dir().join("waxwing.db")).unwrap();
    is_whole(&Home::open(&test.dir()).unwrap());
}

#[test]
fn many_processes_find_one_older_home_and_change_it_once() {
    let test = home_of_the_first_schema();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| is_whole(&Home::open(&test.dir()).unwrap()));
        }
    });
    // The copy was made before the change, not of what another process had changed.
    assert_eq!(schema(&copy_of(&test)), 1);
}

#[test]
fn what_is_half_copied_is_copied_anew_and_a_home_that_cannot_be_copied_is_not_changed() {
    let test = home_of_the_first_schema();
    drop(Home::open(&test.dir()).unwrap());
    let copy = copy_of(&test);
    let draft = PathBuf::from(format!("{}.new", copy.display()));

    let test = home_of_the_first_schema();
    let draft = test.dir().join(draft.file_name().unwrap());
    fs::create_dir(&draft).unwrap();
    let error = Home::open(&test.dir()).unwrap_err();
    assert!(matches!(&error, HomeError::Io { path, .. } if *path == draft), "{error}");
    assert_eq!(schema(&test.dir().join("waxwing.db")), 1);

    fs::remove_dir(&draft).unwrap();
    fs::write(&draft, "half").unwrap();
    is_whole(&Home::open(&test.dir()).unwrap());
    assert_eq!(schema(&copy_of(&test)), 1);
}

#[test]
fn a_new_home_has_nothing_to_be_copied() {
    let test = TestHome::new();
    drop(test.open());
    assert!(copies(&test).is_empty());
}

#[test]
fn an_older_home_knows_whom_it_has_written_to_and_letters_of_others_count() {
    let test = home_of_the_first_schema();
    let database = Connection::open(test.dir().join("waxwing.db")).unwrap();
    for (id, from) in [(2_u8, phone(2)), (3, phone(3))] {
        database
            .execute(
                "INSERT INTO letters (id, packet_id, sender_id, sender, uid, kind, body, sent_at, \
                 received_at) VALUES (?, ?, 7, ?, ?, 'text', x'61', 0, 0)",
                rusqlite::params![id, [id; 16], from.as_str(), [id; 16]],
            )
            .unwrap();
    }
    drop(database);
    let home = Home::open(&test.dir()).unwrap();
    assert_eq!(home.older_copies(), [copy_of(&test)]);
    assert_eq!(home.relations().with(&phone(2)).unwrap(), Relation::Known);
    assert_eq!(home.relations().with(&phone(3)).unwrap(), Relation::Stranger);
    assert_eq!(home.delete(&Deletion::Strangers).unwrap().received, 1);
    assert_eq!(home.letters().unprinted(9).unwrap().len(), 1);
}

/// A home of each earlier schema, with letters of all kinds in it, one of them printed.
fn home_of_schema(schema: u8) -> TestHome {
    let test = home_of_the_first_schema();
    let database = Connection::open(test.dir().join("waxwing.db")).unwrap();
    let later = [
        include_str!("../../src/home/migrations/0002-trust.sql"),
        include_str!("../../src/home/migrations/0003-quotas.sql"),
        include_str!("../../src/home/migrations/0004-successor.sql"),
    ];
    for sql in later.into_iter().take(usize::from(schema) - 1) {
        database.execute_batch(sql).unwrap();
    }
    database.pragma_update(None, "user_version", schema).unwrap();
    let letters = [
        (2_u8, Some(phone(2)), "text", "read", true),
        (3, Some(phone(2)), "text", "new gr\u{fc}\u{df}e", false),
        (4, Some(phone(3)), "unknown", "\u{1}", false),
        (5, Some(phone(3)), "unreadable", "", false),
        (6, None, "unreadable", "", false),
        (7, Some(phone(4)), "held", "", false),
    ];
    for (id, from, kind, says, is_printed) in letters {
        let body = (!says.is_empty()).then_some(says.as_bytes());
        let packet = says.is_empty().then_some(&b"packet"[..]);
        let uid = body.map(|_| [id; 16]);
        let error = (kind != "text").then_some("why");
        database
            .execute(
                "INSERT INTO letters (id, packet_id, sender_id, sender, uid, kind, body, error, \
                 packet, sent_at, received_at, printed) VALUES (?, ?, 7, ?, ?, ?, ?, ?, ?, 8, 9, ?)",
                rusqlite::params![
                    id,
                    [id; 16],
                    from.map(|from| from.as_str().to_owned()),
                    uid,
                    kind,
                    body,
                    error,
                    packet,
                    is_printed
                ],
            )
            .unwrap();
    }
    database
        .execute(
            "INSERT INTO outbox (id, uid, recipient, kind, body, created_at, state) \
             VALUES (8, ?1, ?2, 'receipt', ?3, 0, 0)",
            rusqlite::params![[8_u8; 16], phone(2).as_str(), [2_u8; 16]],
        )
        .unwrap();
    test
}

#[test]
fn a_home_of_each_earlier_schema_keeps_every_letter_and_what_was_read() {
    for schema in 1..=4 {
        let test = home_of_schema(schema);
        let home = Home::open(&test.dir()).unwrap();
        let said = |other| home.history(&other).unwrap().len();
        let texts: Vec<_> = home
            .history(&phone(2))
            .unwrap()
            .into_iter()
            .map(|entry| match entry.event {
                Event::Received { body: LetterBody::Text(text), .. } => ("in", text),
                Event::Written { writing: Writing::Text(text), .. } => ("out", text),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [("out", "old"), ("in", "read"), ("in", "new gr\u{fc}\u{df}e")];
        assert_eq!(texts, expected.map(|(way, text)| (way, text.to_owned())), "schema {schema}");
        assert_eq!(said(phone(3)), 2);
        // What is held back is in no conversation.
        assert_eq!(said(phone(4)), 0);
        let conversations = home.conversations().all().unwrap();
        let shown: Vec<_> =
            conversations.iter().map(|one| (one.phone, one.state.name(), one.unread)).collect();
        assert_eq!(shown, [(phone(3), "request", 2), (phone(2), "open", 1)], "schema {schema}");
        assert_eq!(home.letters().unprinted(9).unwrap().len(), 4);
        let queued = home.outbox().queued().unwrap();
        assert_eq!(queued.len(), 2);
        assert_eq!(queued[1].writing, Writing::ReadReceipt(uid(2)));
        assert_eq!(home.delete(&Deletion::Unreadable).unwrap().received, 2);
        assert_eq!(said(phone(3)), 1);
    }
}

#[test]
fn a_home_in_which_an_earlier_version_is_at_work_is_not_changed() {
    let test = home_of_the_first_schema();
    // The lock that every version takes while it has the session.
    let lock = fs::File::create(test.dir().join("session.lock")).unwrap();
    lock.lock().unwrap();
    let error = Home::open(&test.dir()).unwrap_err();
    assert!(matches!(error, HomeError::UsedByEarlier { .. }), "{error}");
    assert_eq!(schema(&test.dir().join("waxwing.db")), 1);
    assert!(copies(&test).is_empty());
    drop(lock);
    is_whole(&Home::open(&test.dir()).unwrap());
}

#[test]
fn a_home_that_another_process_brings_up_to_date_is_waited_for() {
    let test = home_of_the_first_schema();
    let lock = fs::File::create(test.dir().join("schema.lock")).unwrap();
    lock.lock().unwrap();
    thread::scope(|scope| {
        let opened = scope.spawn(|| is_whole(&Home::open(&test.dir()).unwrap()));
        assert_eq!(schema(&test.dir().join("waxwing.db")), 1);
        assert!(!opened.is_finished());
        drop(lock);
        opened.join().unwrap();
    });
}

/// Set in the child processes of the test below: the home to bring up to date.
const CHILD: &str = "WAXWING_TEST_OLD_HOME_OF_CHILD";

#[test]
fn an_upgrade_that_is_killed_at_any_moment_is_done_by_the_next_one() {
    if let Some(dir) = std::env::var_os(CHILD) {
        drop(Home::open(dir.as_ref()));
        return;
    }
    let name = "upgrades::an_upgrade_that_is_killed_at_any_moment_is_done_by_the_next_one";
    for step in 0..6 {
        let test = home_of_the_first_schema();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(CHILD, test.dir())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // From before it has begun until after its end.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(step * 6) {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        is_whole(&Home::open(&test.dir()).unwrap());
        assert_eq!(schema(&copy_of(&test)), 1, "step {step}");
    }
}
