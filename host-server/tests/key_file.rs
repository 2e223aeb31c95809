//! The file with the server's key: which modes, owners and kinds of file are taken.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;
use waxwing_server::data_dir::DataDir;
use waxwing_server::exit::Exit;
use waxwing_server::key::load_or_create;

struct Place {
    root: TempDir,
    data: DataDir,
}

impl Place {
    /// With a key.
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let data = DataDir::create(&root.path().join("data")).unwrap();
        load_or_create(&data).unwrap();
        Self { root, data }
    }

    fn key(&self) -> PathBuf {
        self.data.private_key()
    }

    /// The key is somewhere else now.
    fn move_away(&self) -> PathBuf {
        let elsewhere = self.root.path().join("elsewhere.pem");
        fs::rename(self.key(), &elsewhere).unwrap();
        elsewhere
    }

    #[track_caller]
    fn assert_refused(&self, what: &str) {
        let failure = load_or_create(&self.data).err().unwrap_or_else(|| panic!("{what} is taken"));
        assert_eq!(failure.exit(), Exit::Key, "{what}");
        let said = failure.to_string();
        assert!(said.contains("plain file") || said.contains("run: chmod 600"), "{what}: {said}");
    }
}

#[test]
fn every_mode_that_gives_others_anything_is_refused() {
    let place = Place::new();
    for mode in 0o400..=0o777 {
        fs::set_permissions(place.key(), Permissions::from_mode(mode)).unwrap();
        if mode & 0o077 == 0 {
            load_or_create(&place.data).unwrap();
        } else {
            place.assert_refused(&format!("mode {mode:o}"));
        }
    }
}

#[test]
fn the_key_of_another_user_is_refused() {
    let place = Place::new();
    // Only root can give a file away.
    if chown(place.key(), Some(12_345), None).is_ok() {
        place.assert_refused("another's file");
    }
}

#[test]
fn what_is_no_plain_file_is_refused_and_not_waited_for() {
    let place = Place::new();
    let elsewhere = place.move_away();
    symlink(&elsewhere, place.key()).unwrap();
    place.assert_refused("a link to a good key");
    fs::remove_file(&elsewhere).unwrap();
    place.assert_refused("a link to nothing");
    assert!(!elsewhere.exists(), "no key is made through a link");

    fs::remove_file(place.key()).unwrap();
    fs::create_dir(place.key()).unwrap();
    place.assert_refused("a directory");

    fs::remove_dir(place.key()).unwrap();
    mknodat(CWD, place.key(), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    place.assert_refused("a pipe");

    fs::remove_file(place.key()).unwrap();
    let _socket = UnixListener::bind(place.key()).unwrap();
    place.assert_refused("a socket");
}

#[test]
fn a_directory_where_a_key_has_to_be_written_is_named_with_what_to_do() {
    for name in ["server.pub.pem", "server.pub.new"] {
        let place = Place::new();
        fs::remove_file(place.data.public_key()).unwrap();
        let directory = place.data.path().join(name);
        fs::create_dir(&directory).unwrap();
        let failure = load_or_create(&place.data).err().unwrap();
        assert_eq!(failure.exit(), Exit::Key, "{name}");
        let said = failure.to_string();
        assert!(said.starts_with(directory.to_str().unwrap()), "{said}");
        assert!(said.contains("remove this directory"), "{said}");
    }
}

#[test]
fn a_link_that_lies_where_the_new_key_is_written_is_not_followed() {
    let place = Place::new();
    fs::remove_file(place.key()).unwrap();
    let theirs = place.root.path().join("theirs");
    fs::write(&theirs, "untouched").unwrap();
    symlink(&theirs, place.key().with_extension("new")).unwrap();
    load_or_create(&place.data).unwrap();
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "untouched");
    assert_eq!(fs::metadata(place.key()).unwrap().permissions().mode() & 0o777, 0o600);
}
