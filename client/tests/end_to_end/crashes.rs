//! The server dies again and again, at any moment and at the worst ones, while twenty people write
//! to one another. What they were told is held against what they got and what its disk holds.
//!
//! `WAXWING_CRASHES=n` says how often it dies.

mod cable;
mod failovers;
mod person;

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_core::Rng;
use rusqlite::Connection;
use waxwing::backend::{BackendPublicKey, provider, rng};
use waxwing::clock;
use waxwing::keys::read_server_key;
use waxwing_core::crypto::Provider;
use waxwing_core::id::{PacketId, Uid};
use waxwing_core::time::{self, Now};

use crate::process::PATIENCE;
use crate::test_server::TestServer;
use person::{Journal, Person};

const PEOPLE: usize = 20;
/// Letters without an answer, of all together.
const UNANSWERED: usize = 40;
/// Where the server can be made to die, in builds with debug assertions.
const FAILPOINTS: [&str; 5] = [
    "before_commit",
    "after_commit",
    "before_acknowledgment",
    "before_forwarding",
    "before_deleting",
];

struct Population {
    people: Vec<Person>,
    server: SocketAddr,
    key: &'static BackendPublicKey,
    started: Instant,
}

impl Population {
    fn now(&self) -> Now {
        let millis = self.started.elapsed().as_millis().try_into().unwrap();
        Now { instant: time::Instant::from_millis(millis), unix: clock::now() }
    }

    fn turn(&mut self) {
        let now = self.now();
        for person in self.people.iter_mut().filter(|person| person.line.is_none()) {
            person.connect(now, self.server, self.key);
        }
        self.listen();
    }

    /// Takes in the last words of a server that is dead.
    fn hear_out(&mut self) {
        while self.people.iter().any(|person| person.line.is_some()) {
            self.listen();
        }
    }

    fn listen(&mut self) {
        let now = self.now();
        let directory: Vec<_> =
            self.people.iter().map(|person| (person.identity, person.journal.user)).collect();
        for at in 0..PEOPLE {
            let person = &mut self.people[at];
            person.turn(now, &directory);
            for (uid, to) in std::mem::take(&mut person.journal.delivered) {
                let received = &self.people[to].journal.received;
                assert!(received.contains(&uid), "{uid} was delivered to nobody");
            }
        }
    }

    #[track_caller]
    fn run_until(&mut self, what: &str, mut is_done: impl FnMut(&[Person]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_done(&self.people) {
            assert!(Instant::now() < deadline, "never: {what}");
            self.turn();
        }
    }

    /// Somebody has something to say to somebody.
    fn write(&mut self, dice: &mut impl Rng) {
        let open: usize = self.journals().map(|journal| journal.open.len()).sum();
        if open >= UNANSWERED {
            return;
        }
        let from = dice.next_u32() as usize % PEOPLE;
        let to = (from + 1 + dice.next_u32() as usize % (PEOPLE - 1)) % PEOPLE;
        self.people[from].journal.open.insert(Uid::generate(&mut rng()), to);
    }

    fn journals(&self) -> impl Iterator<Item = &Journal> {
        self.people.iter().map(|person| &person.journal)
    }

    /// Whatever was acknowledged has come to its recipient, or waits; and nothing else has come
    /// than what was sent.
    fn audit(&self, waiting: &BTreeSet<PacketId>) {
        let mut sent: Vec<BTreeSet<Uid>> = vec![BTreeSet::new(); PEOPLE];
        for journal in self.journals() {
            let waits = |uid| {
                let mut packets = journal.packets.iter().filter(|(_, carried)| *carried == uid);
                packets.any(|(id, _)| waiting.contains(id))
            };
            for (uid, to) in &journal.acknowledged {
                let has_come = self.people[*to].journal.received.contains(uid);
                assert!(has_come || waits(uid), "{uid} was acknowledged and is lost");
            }
            for (uid, to) in journal.acknowledged.iter().chain(&journal.open) {
                sent[*to].insert(*uid);
            }
        }
        for (journal, sent) in self.journals().zip(&sent) {
            assert!(journal.received.is_subset(sent), "a letter that nobody sent");
        }
    }

    /// Whether everything that was acknowledged has come.
    fn has_everything(people: &[Person]) -> bool {
        people.iter().all(|person| {
            let mut acknowledged = person.journal.acknowledged.iter();
            acknowledged.all(|(uid, to)| people[*to].journal.received.contains(uid))
        })
    }
}

/// The packets that wait on the disk of a server that is dead. A copy is looked at: the next server
/// finds what this one has left.
fn waiting(server: &TestServer) -> BTreeSet<PacketId> {
    let copy = tempfile::tempdir().unwrap();
    for file in ["waxwing.db", "waxwing.db-wal"] {
        let original = server.data().join(file);
        if original.exists() {
            fs::copy(original, copy.path().join(file)).unwrap();
        }
    }
    let database = Connection::open(copy.path().join("waxwing.db")).unwrap();
    let mut select = database.prepare("SELECT message_id FROM pending_messages").unwrap();
    let ids = select.query_map([], |row| Ok(PacketId(row.get(0)?))).unwrap();
    ids.map(Result::unwrap).collect()
}

/// How the server dies this time: at a named place, or at any time.
fn death(round: usize, dice: &mut impl Rng) -> Option<String> {
    let name = FAILPOINTS[round / 2 % FAILPOINTS.len()];
    let is_named = round.is_multiple_of(2) && cfg!(debug_assertions);
    // The first commits are those of sessions; letters come behind them.
    is_named.then(|| format!("{name}:{}", 1 + dice.next_u32() % 40))
}

#[test]
fn what_was_acknowledged_survives_a_server_that_dies_again_and_again() {
    let rounds = std::env::var("WAXWING_CRASHES").map_or(10, |rounds| rounds.parse().unwrap());
    let mut dice = rng();
    let mut server = TestServer::new();
    let server_key = read_server_key(&server.public_key()).unwrap();
    let key = Box::leak(Box::new(provider().public_key(&server_key).unwrap()));
    let people = (0..PEOPLE).map(Person::new).collect();
    let mut population =
        Population { people, server: server.address(), key, started: Instant::now() };
    population.run_until("all have registered", |people| people.iter().all(Person::is_quiet));

    for round in 0..rounds {
        let failpoint = death(round, &mut dice);
        server.stop();
        server.start_with(failpoint.as_deref().map(|at| ("WAXWING_FAILPOINT", at)));
        population.run_until("all are back", |people| {
            people.iter().all(Person::is_ready) || failpoint.is_some()
        });
        let dies_at = Instant::now() + Duration::from_millis(5 + u64::from(dice.next_u32() % 300));
        let deadline = Instant::now() + PATIENCE;
        loop {
            population.write(&mut dice);
            population.turn();
            if failpoint.is_some() {
                if !server.is_running() {
                    break;
                }
                assert!(Instant::now() < deadline, "it never came to {failpoint:?}");
            } else if Instant::now() >= dies_at {
                break;
            }
        }
        server.kill();
        population.hear_out();
        population.audit(&waiting(&server));
        server.start();
        population
            .run_until("everything is answered", |people| people.iter().all(Person::is_quiet));
    }
    // Whatever still waits comes with the last connections, and then nothing waits any more.
    population.run_until("every letter has come", Population::has_everything);
    population.run_until("every letter is acknowledged", |_| {
        let database = server.database();
        let count = "SELECT count(*) FROM pending_messages";
        database.query_row(count, [], |row| row.get::<_, u32>(0)).unwrap() == 0
    });
    server.stop();
    population.audit(&waiting(&server));
    let letters: usize = population.journals().map(|journal| journal.received.len()).sum();
    let repeated: usize = population.journals().map(|journal| journal.repeated).sum();
    println!("{rounds} deaths, {letters} letters, {repeated} of them handed over more than once");
}
