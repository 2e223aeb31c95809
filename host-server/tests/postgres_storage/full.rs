//! A database whose disk is full.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

/// A small disk, until it is dropped. `None` for whoever may not mount one.
struct Disk(PathBuf);

impl Disk {
    fn new(postgres: &Postgres) -> Option<Self> {
        let place = postgres.directory.join("disk");
        std::fs::create_dir(&place).unwrap();
        if !rustix::process::geteuid().is_root()
            || !mount(&["-t", "tmpfs", "-o", "size=16m", "tmpfs"], &place)
        {
            eprintln!("SKIPPED: this user may mount no disk");
            return None;
        }
        let disk = Self(place);
        postgres.give_directory(&disk.0);
        Some(disk)
    }

    fn grow(&self) {
        assert!(mount(&["-o", "remount,size=64m"], &self.0));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A test that has failed leaves files open there.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn mount(options: &[&str], place: &Path) -> bool {
    Command::new("mount").args(options).arg(place).status().is_ok_and(|status| status.success())
}

#[test]
fn a_database_whose_disk_is_full_takes_nothing_and_loses_nothing() {
    // One that others share might stop when the disk goes.
    let Some(postgres) = Postgres::start() else { return };
    let place = Place::of(Arc::new(postgres));
    let Some(disk) = Disk::new(&place.postgres) else { return };
    let path = disk.0.display();
    place.sql(&format!("CREATE TABLESPACE small LOCATION '{path}'"));
    place.sql("CREATE DATABASE small TABLESPACE small");
    let (server, _) = place.url.rsplit_once('/').unwrap();
    let place = Place { url: format!("{server}/small"), ..place };
    let mut groups = place.groups(1, 11);
    groups.apply(&[batch([create(1), create(2)])]).unwrap();
    let mut accepted = 0_u64;
    let refused = loop {
        match groups.apply(&[batch([insert(accepted + 1, 1, 2, 60_000)])]) {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 1_000, "the disk does not get full");
    };
    assert!(matches!(&refused, ApplyError::Away(why) if why.starts_with("53100")), "{refused:?}");
    assert_eq!(place.sql("SELECT count(*) FROM waxwing.pending_messages"), accepted.to_string());
    disk.grow();
    groups.apply(&[batch([insert(accepted + 1, 1, 2, 60_000)])]).unwrap();
    drop(groups);
}
