//! A server that starts, serves, fails and starts again, and the people who use it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use waxwing_core::id::{PacketId, UserId};
use waxwing_core::server::storage::{Batch, Outcome, Ticket, Write};
use waxwing_core::server::{Config, Rate};
use waxwing_core::wire::{CloseReason, ErrorCode, Status};
use waxwing_server::store::StorageError;
use waxwing_testkit::backend::Paper;
use waxwing_testkit::disk::{Backing, Disk};
use waxwing_testkit::packets::id_of;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::Sim;
use waxwing_testkit_sqlite::FaultyDisk;

use crate::archive::Archive;
use crate::books::Books;

pub(crate) const LETTER_LIFE: Duration = Duration::from_secs(100);

/// Somebody, and what their device holds.
struct Participant {
    person: Person<Paper>,
    is_user: bool,
    is_online: bool,
    /// Letters without an answer, and how they are sent again.
    open: BTreeMap<PacketId, Vec<u8>>,
    received: BTreeSet<PacketId>,
    unacknowledged: Vec<PacketId>,
}

/// A server, its disk, and the people who use it. What the people know outlives every server, and every
/// disk.
pub(crate) struct Service {
    world: Sim<Paper>,
    people: Vec<Participant>,
    archive: Archive,
    is_up: bool,
    /// Why the last server that did not start did not.
    refusal: Option<StorageError>,
    /// To whom each letter goes.
    written: BTreeMap<PacketId, usize>,
    /// Letters that the server has said to have.
    promised: BTreeSet<PacketId>,
    /// Refusals that people have heard.
    pub(crate) refusals: usize,
    /// Servers that did not start, or did not end in good order.
    pub(crate) complaints: usize,
    /// Servers that have stopped because storage failed under them.
    pub(crate) failures: usize,
    /// Letters handed over once more.
    pub(crate) repetitions: usize,
}

impl Service {
    pub(crate) fn new(directory: &Path, disk: Rc<FaultyDisk>, people: usize, seed: u64) -> Self {
        let mut config = Config { letter_life: LETTER_LIFE, ..Config::default() };
        config.rates.status_queries = Rate::new(1_000, Duration::from_secs(1));
        let participant = |at| Participant {
            person: Person::new(at),
            is_user: false,
            is_online: false,
            open: BTreeMap::new(),
            received: BTreeSet::new(),
            unacknowledged: Vec::new(),
        };
        Self {
            world: Sim::seeded(config, Disk::default(), seed),
            people: (0..people).map(participant).collect(),
            archive: Archive::new(directory, disk, Books::default()),
            is_up: false,
            refusal: None,
            written: BTreeMap::new(),
            promised: BTreeSet::new(),
            refusals: 0,
            complaints: 0,
            failures: 0,
            repetitions: 0,
        }
    }

    /// The server dies with its disk, and the next one finds what was left in `directory`.
    pub(crate) fn move_to(&mut self, directory: &Path, disk: Rc<FaultyDisk>) {
        self.crash();
        self.archive = Archive::new(directory, disk, self.archive.take_books());
    }

    // The server.

    /// Starts the server unless it runs. Whether it does then.
    pub(crate) fn start(&mut self) -> bool {
        if !self.is_up {
            match self.archive.open() {
                Ok(snapshot) => {
                    self.world.disk = Disk::over(Box::new(self.archive.clone()), snapshot);
                    self.world.crash();
                    self.is_up = true;
                }
                Err(error) => {
                    self.complaints += 1;
                    self.refusal = Some(error);
                }
            }
        }
        self.is_up
    }

    /// The process ends without a word.
    pub(crate) fn crash(&mut self) {
        self.archive.abandon();
        self.is_up = false;
        // Codes end with their server.
        self.world.codes.clear();
        self.people.iter_mut().for_each(|participant| participant.is_online = false);
    }

    /// An operator stops the server.
    pub(crate) fn stop(&mut self) {
        if self.is_up {
            self.complaints += usize::from(self.archive.close().is_err());
            self.crash();
        }
    }

    pub(crate) fn tidy(&mut self) {
        if self.start() && !self.archive.tidy() {
            self.failures += 1;
            self.crash();
        }
    }

    /// Lets the world react, and everybody hear.
    fn turn(&mut self) {
        self.world.settle();
        (0..self.people.len()).for_each(|who| self.listen(who));
        if self.world.disk.failed {
            self.failures += 1;
            self.crash();
        }
    }

    pub(crate) fn wait(&mut self, span: Duration) {
        if self.start() {
            self.world.wait(span);
            self.turn();
        }
    }

    // The people.

    /// Connects, registering first if need be, and sends again what has no answer.
    pub(crate) fn come(&mut self, who: usize) {
        if !self.start() {
            return;
        }
        let is_user = self.people[who].is_user;
        if if is_user { self.reconnect(who) } else { self.register(who) } {
            let Participant { person, is_user, is_online, unacknowledged, open, .. } =
                &mut self.people[who];
            (*is_user, *is_online) = (true, true);
            unacknowledged.clear();
            person.confirm(&mut self.world, 8);
            for letter in open.values() {
                self.world.send(person.conn, letter);
            }
        }
        self.turn();
    }

    /// Becomes a user behind the server's back, which knows it when it starts the next time. To
    /// register takes long without optimisation.
    pub(crate) fn create_user(&mut self, who: usize) {
        if !self.start() {
            return;
        }
        let Participant { person, is_user, .. } = &mut self.people[who];
        let (id, phone) = (UserId::new(who as u16 + 1).unwrap(), person.phone);
        let create = Write::CreateUser { id, phone, spki: person.spki().into() };
        let batch = Arc::new(Batch { ticket: Ticket(0), writes: vec![create] });
        match self.archive.apply(&batch) {
            Some(Outcome::Done) => (*is_user, person.id) = (true, Some(id)),
            Some(Outcome::Unavailable) => self.refusals += 1,
            None => self.failures += 1,
        }
        self.crash();
    }

    fn reconnect(&mut self, who: usize) -> bool {
        let person = &mut self.people[who].person;
        person.conn = self.world.connect();
        let long = person.long(&mut self.world);
        self.world.send(person.conn, &long);
        self.is_offered(who)
    }

    fn register(&mut self, who: usize) -> bool {
        let person = &mut self.people[who].person;
        person.conn = self.world.connect();
        let request = person.request(&mut self.world);
        self.world.send(person.conn, &request);
        let mut said = person.hear(&mut self.world);
        if said.is_empty() {
            // The answer waits for the code, but not for long.
            self.world.wait(Duration::from_secs(4));
            said = person.hear(&mut self.world);
        }
        let code = match &said[..] {
            [Said::CodeIssued { .. }] => {
                let to = |(_, phone, _): &&(_, _, _)| *phone == person.phone;
                let Some((_, _, code)) = self.world.codes.iter().rev().find(to) else {
                    // It waits for storage, or went with the server.
                    self.refusals += usize::from(!self.world.disk.failed);
                    return false;
                };
                code.expose().to_vec()
            }
            // The server has stopped.
            [] if self.world.disk.failed => return false,
            // The 201 was lost with a server; its account is had again with any code.
            [Said::PhoneTaken] => b"000000".to_vec(),
            other => panic!("{other:?}"),
        };
        let proof = person.proof(&mut self.world, &code);
        person.conn = self.world.connect();
        self.world.send(person.conn, &proof);
        self.is_offered(who)
    }

    fn is_offered(&mut self, who: usize) -> bool {
        let said = self.people[who].person.hear(&mut self.world);
        match &said[..] {
            [Said::SessionOffered(_)] => true,
            [Said::Refused(no)] if no.code == ErrorCode::StorageUnavailable => {
                self.refusals += 1;
                false
            }
            // The server has stopped.
            [] if self.world.disk.failed => false,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn leave(&mut self, who: usize) {
        let Participant { person, is_online, .. } = &mut self.people[who];
        if std::mem::take(is_online) {
            self.world.hang_up(person.conn);
            self.turn();
        }
    }

    fn has_session(&mut self, who: usize) -> bool {
        self.start() && self.people[who].is_online
    }

    /// Writes a letter, which is sent now or with the next connection.
    pub(crate) fn write(&mut self, who: usize, to: usize, len: usize) {
        // Whoever has no id yet can neither write nor be written to.
        let Some(recipient) = self.people[to].person.id else { return };
        let Participant { person, open, is_online, .. } = &mut self.people[who];
        if person.id.is_none() {
            return;
        }
        let mut payload = vec![who as u8; len];
        payload.extend(self.written.len().to_le_bytes());
        let letter = person.letter(&mut self.world, recipient, &payload);
        self.written.insert(id_of(&letter), to);
        open.insert(id_of(&letter), letter.clone());
        if *is_online && self.is_up {
            self.world.send(person.conn, &letter);
            self.turn();
        }
    }

    /// Acknowledges up to `most` of the letters that have come.
    pub(crate) fn acknowledge(&mut self, who: usize, most: usize) {
        if !self.has_session(who) {
            return;
        }
        let Participant { person, unacknowledged, .. } = &mut self.people[who];
        let count = unacknowledged.len().min(most);
        if count > 0 {
            let held: Vec<_> = unacknowledged.drain(..count).collect();
            person.acknowledge(&mut self.world, &held);
            self.turn();
        }
    }

    /// Asks what became of the letters to somebody that were promised.
    pub(crate) fn ask(&mut self, who: usize, about: usize) {
        if !self.has_session(who) {
            return;
        }
        let Some(recipient) = self.people[about].person.id else { return };
        let person = &mut self.people[who].person;
        let to_them =
            |id: &&PacketId| self.promised.contains(*id) && self.written.get(*id) == Some(&about);
        let letters: Vec<_> =
            person.sent.iter().filter(to_them).map(|id| (recipient, *id)).collect();
        if !letters.is_empty() {
            let queries = person.queries(&mut self.world, &letters);
            self.world.send(person.conn, &queries);
            self.turn();
        }
    }

    fn listen(&mut self, who: usize) {
        if !self.people[who].is_online {
            return;
        }
        for said in self.people[who].person.hear(&mut self.world) {
            self.hear(who, said);
        }
        let participant = &mut self.people[who];
        participant.is_online = !participant.person.is_closed(&self.world);
    }

    fn hear(&mut self, who: usize, said: Said) {
        match said {
            Said::Letter(letter) => {
                let id = id_of(&letter);
                assert_eq!(self.written.get(&id), Some(&who), "{id} is not for {who}");
                self.repetitions += usize::from(!self.people[who].received.insert(id));
                self.people[who].unacknowledged.push(id);
            }
            Said::Fate(id, status) => {
                match status {
                    Status::Stored => {}
                    Status::Delivered => {
                        let to = &self.people[self.written[&id]];
                        assert!(to.received.contains(&id), "nobody holds {id}");
                    }
                    Status::Expired => {
                        assert!(self.archive.books(|books| books.expired.contains(&id)));
                    }
                    Status::Unknown => panic!("{id} is its asker's own"),
                }
                self.people[who].open.remove(&id);
                self.promised.insert(id);
            }
            Said::Refused(no) => {
                assert_eq!(no.code, ErrorCode::StorageUnavailable);
                self.refusals += 1;
            }
            // Letters that came late, because storage was in trouble, and are not acknowledged yet.
            Said::Closed(CloseReason::NoProgress) => {}
            Said::BacklogEnd(_) => {}
            other => panic!("{other:?}"),
        }
    }

    // The end.

    /// All is well from now on: the server serves without anybody's help, everybody gets what was
    /// promised, and storage holds what it has to.
    pub(crate) fn finish(&mut self) {
        assert!(self.start(), "the disk is sound again, and yet: {:?}", self.refusal);
        // What was refused is tried again, and the limit of questions is past.
        self.wait(Duration::from_secs(3));
        for _ in 0..2 {
            for who in 0..self.people.len() {
                self.come(who);
                self.read_all(who);
            }
        }
        (0..self.people.len()).for_each(|who| self.read_all(who));
        self.wait(Duration::from_secs(3));
        assert!(self.is_up, "it has stopped again");
        for (who, participant) in self.people.iter().enumerate() {
            assert!(participant.is_online, "{who} has no session");
            assert!(participant.open.is_empty(), "{who} has letters without an answer");
        }
        let expired = self.archive.books(|books| books.expired.clone());
        for id in self.promised.difference(&expired) {
            let to = &self.people[self.written[id]];
            assert!(to.received.contains(id), "{id} was promised and is lost");
        }
        assert_eq!(self.archive.books(Books::waiting), 0, "letters that all have acknowledged");
        self.stop();
        assert!(self.start());
        self.archive.check().unwrap();
    }

    fn read_all(&mut self, who: usize) {
        while !self.people[who].unacknowledged.is_empty() {
            self.acknowledge(who, usize::MAX);
        }
    }

    /// Letters that were promised.
    pub(crate) fn promises(&self) -> usize {
        self.promised.len()
    }
}
