use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use rusqlite::Connection;
use waxwing::home::{Home, HomeError};

use crate::{TestHome, store_identity};

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_home_is_closed_to_others() {
    let test = TestHome::new();
    let home = test.open();
    store_identity(&home);
    assert_eq!(mode(&test.dir()), 0o700);
    for entry in fs::read_dir(test.dir()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_home_open_to_others_is_refused_and_says_what_to_do() {
    let test = TestHome::new();
    drop(test.open());
    for wide in (0o700..=0o777).filter(|mode| mode & 0o077 != 0) {
        fs::set_permissions(test.dir(), Permissions::from_mode(wide)).unwrap();
        let error = Home::open(&test.dir()).unwrap_err();
        assert!(matches!(error, HomeError::TooWide { mode, .. } if mode == wide));
        assert!(error.to_string().contains("chmod 700"), "{error}");
        assert!(Home::create(&test.dir()).is_err());
    }
    fs::set_permissions(test.dir(), Permissions::from_mode(0o700)).unwrap();
    Home::open(&test.dir()).unwrap();
}

#[test]
fn a_directory_of_somebody_else_is_refused() {
    let test = TestHome::new();
    drop(test.open());
    // Only root can give a directory away.
    if std::os::unix::fs::chown(test.dir(), Some(12_345), None).is_ok() {
        assert!(matches!(
            Home::open(&test.dir()),
            Err(HomeError::ForeignOwner { owner: 12_345, .. })
        ));
    }
}

#[test]
fn a_link_is_judged_by_where_it_leads() {
    let test = TestHome::new();
    drop(test.open());
    let link = test.root.path().join("link");
    symlink(test.dir(), &link).unwrap();
    drop(Home::open(&link).unwrap());
    fs::set_permissions(test.dir(), Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(Home::open(&link), Err(HomeError::TooWide { .. })));
    fs::remove_file(&link).unwrap();
    symlink(test.root.path().join("nowhere"), &link).unwrap();
    assert!(matches!(Home::open(&link), Err(HomeError::Missing { .. })));
}

#[test]
fn opening_makes_nothing() {
    let test = TestHome::new();
    assert!(matches!(Home::open(&test.dir()), Err(HomeError::Missing { .. })));
    assert!(!test.dir().exists());
    fs::create_dir(test.dir()).unwrap();
    fs::set_permissions(test.dir(), Permissions::from_mode(0o700)).unwrap();
    assert!(matches!(Home::open(&test.dir()), Err(HomeError::Missing { .. })));
    assert_eq!(fs::read_dir(test.dir()).unwrap().count(), 0);
}

#[test]
fn files_that_are_not_a_homes_are_refused_and_left_alone() {
    let test = TestHome::new();
    drop(test.open());
    let file = test.dir().join("waxwing.db");

    let change = |sql: &str| Connection::open(&file).unwrap().execute_batch(sql).unwrap();
    change("PRAGMA user_version = 99");
    let error = Home::open(&test.dir()).unwrap_err();
    assert!(matches!(error, HomeError::NewerSchema { found: 99, .. }), "{error}");
    change("PRAGMA user_version = 1; PRAGMA application_id = 5");
    assert!(matches!(Home::open(&test.dir()), Err(HomeError::Foreign { .. })));

    fs::remove_file(&file).unwrap();
    change("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
    let before = fs::read(&file).unwrap();
    assert!(matches!(Home::open(&test.dir()), Err(HomeError::Foreign { .. })));
    assert_eq!(fs::read(&file).unwrap(), before);

    for (content, what) in [(&b""[..], "empty"), (&[b'x'; 5000][..], "no database")] {
        fs::remove_file(&file).unwrap();
        fs::write(&file, content).unwrap();
        let error = Home::create(&test.dir()).unwrap_err();
        assert!(
            matches!(error, HomeError::Foreign { .. } | HomeError::Damaged { .. }),
            "{what}: {error}"
        );
        assert_eq!(fs::read(&file).unwrap(), content);
    }
}

#[test]
fn a_half_made_home_is_made_anew() {
    let test = TestHome::new();
    drop(test.open());
    fs::remove_file(test.dir().join("waxwing.db")).unwrap();
    fs::write(test.dir().join("waxwing.db.new"), "half").unwrap();
    store_identity(&test.open());
    assert!(test.open().identity().unwrap().is_some());
}

#[test]
fn the_old_database_is_kept_when_its_schema_changes() {
    let home = TestHome::new();
    home.open();
    let file = home.dir().join("waxwing.db");
    fs::remove_file(&file).unwrap();
    let raw = Connection::open(&file).unwrap();
    raw.pragma_update(None, "application_id", 0x5758_5748).unwrap();
    raw.execute_batch("CREATE TABLE old (word TEXT); INSERT INTO old VALUES ('kept')").unwrap();
    drop(raw);
    home.open();
    let names = fs::read_dir(home.dir()).unwrap().map(|entry| entry.unwrap().path());
    let copies: Vec<_> =
        names.filter(|path| path.to_string_lossy().contains(".before-schema-")).collect();
    let [copy] = &copies[..] else { panic!("{copies:?}") };
    assert_eq!(mode(copy), 0o600);
    let old = Connection::open(copy).unwrap();
    let word: String = old.query_row("SELECT word FROM old", [], |row| row.get(0)).unwrap();
    assert_eq!(word, "kept");
}
