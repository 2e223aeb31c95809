//! A home whose log has changed on the disk.

use std::fs;
use std::path::{Path, PathBuf};

use waxwing::home::{Home, HomeError, Writing};

use crate::{TestHome, at, phone, register, uid};

const DATABASE: &str = "waxwing.db";
const LOG: &str = "waxwing.db-wal";

fn write(home: &Home, number: u8) {
    let text = Writing::text("a letter of some length ".repeat(200)).unwrap();
    home.outbox().queue(&uid(number), &phone(1), &text, at(number.into())).unwrap();
}

fn written(home: &Home) -> usize {
    (1..=20).filter(|number| home.outbox().find(&uid(*number)).unwrap().is_some()).count()
}

/// A home as a process leaves it that is killed after it has written 20 letters.
struct Killed {
    test: TestHome,
    dir: PathBuf,
}

impl Killed {
    fn new() -> Self {
        let test = TestHome::new();
        register(&test.open());
        let home = test.open();
        for number in 1..=20 {
            write(&home, number);
        }
        let dir = test.root.path().join("killed");
        let copied =
            std::process::Command::new("cp").arg("-a").args([test.dir(), dir.clone()]).status();
        assert!(copied.unwrap().success());
        Self { test, dir }
    }

    fn log(&self) -> Vec<u8> {
        fs::read(self.dir.join(LOG)).unwrap()
    }

    /// Changes a byte so far from the end of the log, and says what both files are then.
    fn damage(&self, from_end: usize) -> [Vec<u8>; 2] {
        let mut log = self.log();
        let at = log.len() - from_end;
        log[at] ^= 1;
        fs::write(self.dir.join(LOG), log).unwrap();
        self.files()
    }

    fn files(&self) -> [Vec<u8>; 2] {
        [DATABASE, LOG].map(|name| fs::read(self.dir.join(name)).unwrap())
    }
}

fn kept(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains(".damaged-")).collect()
}

#[test]
fn a_change_in_the_log_is_refused_before_anything_is_lost_and_a_recovery_keeps_what_was() {
    let killed = Killed::new();
    let files = killed.damage(killed.log().len() / 2);
    for opened in
        [Home::open(&killed.dir), Home::create(&killed.dir), Home::open_to_read(&killed.dir)]
    {
        let refused = opened.unwrap_err();
        assert!(matches!(refused, HomeError::DamagedLog { .. }), "{refused}");
        assert!(refused.to_string().contains("waxwing recover"), "{refused}");
        assert_eq!(killed.files(), files);
    }
    let recovery = Home::recover(&killed.dir, at(0)).unwrap().unwrap();
    assert_eq!(
        recovery.kept,
        killed.dir.join(format!("{DATABASE}.damaged-{}", at(0).as_seconds()))
    );
    assert_eq!(kept(&killed.dir).len(), 2);
    assert_eq!(fs::read(&recovery.kept).unwrap(), files[0]);
    let log = recovery.kept.with_extension(format!("damaged-{}-wal", at(0).as_seconds()));
    assert_eq!(fs::read(log).unwrap(), files[1]);

    let home = Home::open(&killed.dir).unwrap();
    let left = written(&home);
    assert!((1..20).contains(&left), "{left}");
    assert_eq!(recovery.lost, 20 - left as u64);
    // Whoever deletes letters hears that they are still in there.
    assert_eq!(home.older_copies().len(), 2);
    write(&home, 20);
    assert_eq!(written(&home), left + 1);
    drop(home);
    assert_eq!(Home::recover(&killed.dir, at(1)).unwrap(), None);
    assert_eq!(kept(&killed.dir).len(), 2);
}

/// This is what a power cut leaves.
#[test]
fn a_log_whose_last_change_is_torn_is_none_that_is_damaged() {
    for is_cut in [false, true] {
        let killed = Killed::new();
        killed.damage(100);
        if is_cut {
            let log = killed.log();
            fs::write(killed.dir.join(LOG), &log[..log.len() - 100]).unwrap();
        }
        assert_eq!(Home::recover(&killed.dir, at(0)).unwrap(), None);
        assert_eq!(written(&Home::open(&killed.dir).unwrap()), 19);
        assert!(kept(&killed.dir).is_empty());
    }
}

#[test]
fn a_home_that_somebody_uses_is_not_recovered() {
    let killed = Killed::new();
    assert!(matches!(
        Home::recover(&killed.test.root.path().join("none"), at(0)),
        Err(HomeError::Missing { .. })
    ));
    let open = killed.test.open();
    let session = open.try_lock_session().unwrap().unwrap();
    let refused = Home::recover(&killed.test.dir(), at(0)).unwrap_err().to_string();
    assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
    drop(session);
    // Nothing is wrong with it.
    assert_eq!(Home::recover(&killed.test.dir(), at(0)).unwrap(), None);
}

#[test]
fn a_log_that_others_write_to_meanwhile_is_not_taken_for_damaged() {
    let test = TestHome::new();
    register(&test.open());
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let home = test.open();
            for number in 0..=250 {
                write(&home, number);
            }
        });
        while !writing.is_finished() {
            drop(Home::open(&test.dir()).unwrap());
        }
    });
}
