//! The row of the lease is locked by somebody else.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::*;

/// A client that sends what it is told to, and no more.
pub(crate) struct Client(UnixStream);

impl Client {
    pub(crate) fn new(place: &Place) -> Self {
        let mut stream = UnixStream::connect(place.postgres.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (_, database) = place.url.rsplit_once('/').unwrap();
        let mut startup = 196_608_i32.to_be_bytes().to_vec();
        startup.extend(format!("user\0waxwing\0database\0{database}\0\0").bytes());
        stream.write_all(&(startup.len() as i32 + 4).to_be_bytes()).unwrap();
        stream.write_all(&startup).unwrap();
        let mut client = Self(stream);
        client.read_until(b'Z');
        client
    }

    fn send(&mut self, kind: u8, content: &[u8]) {
        self.0.write_all(&[kind]).unwrap();
        self.0.write_all(&(content.len() as i32 + 4).to_be_bytes()).unwrap();
        self.0.write_all(content).unwrap();
    }

    /// Reads messages up to one of this kind, and returns what is in that one.
    fn read_until(&mut self, kind: u8) -> Vec<u8> {
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head).unwrap();
            let [found, length @ ..] = head;
            let mut content = vec![0; i32::from_be_bytes(length) as usize - 4];
            self.0.read_exact(&mut content).unwrap();
            if found == kind {
                return content;
            }
        }
    }

    /// Statements, to their end.
    pub(crate) fn query(&mut self, statements: &str) {
        self.send(b'Q', format!("{statements}\0").as_bytes());
        self.read_until(b'Z');
    }

    /// Gives the database a statement whose end never comes: all messages but the last, `Sync`.
    fn begin(&mut self, statement: &str) {
        self.send(b'P', format!("\0{statement}\0\0\0").as_bytes());
        self.send(b'B', &[0; 8]);
        self.send(b'E', &[0; 5]);
        self.send(b'H', &[]);
        self.read_until(b'C');
    }
}

#[test]
fn a_group_whose_last_bytes_never_come_does_not_hold_the_lease_for_long() {
    let Some(place) = Place::new() else { return };
    let place = Place { lease: Duration::from_millis(500), ..place };
    let mut groups = place.groups(1, 11);
    let mut ghost = Client::new(&place);
    ghost.begin("SELECT FROM waxwing.lease FOR NO KEY UPDATE");
    let applied = groups.apply(&[batch([create(1)])]);
    assert!(matches!(applied, Err(ApplyError::Unclear(_))), "{applied:?}");
    let is_done = resolved(&mut groups).unwrap() == Resolved::Done(None);
    let said = ghost.read_until(b'E');
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("57P01"), "{said}");
    let users = if is_done { "1" } else { "0" };
    assert_eq!(place.sql("SELECT count(*) FROM waxwing.users"), users);
    groups.apply(&[batch([create(2)])]).unwrap();
}

#[test]
fn a_standby_takes_the_lease_over_a_group_whose_last_bytes_never_come() {
    let Some(place) = Place::new() else { return };
    let place = Place { lease: Duration::from_millis(500), ..place };
    drop(place.groups(1, 11));
    let mut ghost = Client::new(&place);
    ghost.begin("SELECT FROM waxwing.lease FOR NO KEY UPDATE");
    let mut standby = place.candidate(2, 22);
    let begin = Moment::now();
    let mut now = Instant::default();
    while standby.look(now).unwrap().is_none() {
        now = now.after(place.lease);
        assert!(begin.elapsed() < PATIENCE, "the row is held for ever");
    }
    ghost.read_until(b'E');
}

#[test]
fn whoever_has_the_row_and_works_is_waited_for() {
    let Some(place) = Place::new() else { return };
    let place = Place { lease: Duration::from_millis(200), ..place };
    let mut groups = place.groups(1, 11);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            place.sql("BEGIN; SELECT FROM waxwing.lease FOR UPDATE; SELECT pg_sleep(2); COMMIT")
        });
        let begin = Moment::now();
        let holds = "SELECT count(*) FROM pg_stat_activity \
                     WHERE wait_event = 'PgSleep' AND datname = current_database()";
        while place.sql(holds) == "0" {
            assert!(begin.elapsed() < PATIENCE, "nobody has the row");
        }
        let applied = groups.apply(&[batch([create(1)])]);
        assert!(matches!(applied, Err(ApplyError::Unclear(_))), "{applied:?}");
        resolved(&mut groups).unwrap();
        worker.join().expect("nobody has ended it");
    });
}
