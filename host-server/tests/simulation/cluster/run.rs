//! A run with two nodes on one database: people write to each other and wander between the nodes, while
//! nodes, database and connections fail; then nothing goes wrong any more, and it is checked what has come
//! of it.

use std::collections::HashSet;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_core::id::UserId;
use waxwing_server::config::Config;
use waxwing_server::exit::{Exit, Failure};
use waxwing_server::store::shared::{Epoch, Mark};

use super::database::Database;
use super::faults::Fault;
use super::machine::Machine;
use super::node::{LEASE, Node, Start};
use super::promises::Promises;
use crate::contents;
use crate::letters::Letters;
use crate::network::Network;
use crate::person::{MOST, Person};
use crate::process::Process;
use crate::run;
use crate::timeline::{Event, Timeline};
use crate::world::{PATIENCE, World};

/// A server that is asked to end has this long.
const STOP_TIME: Duration = Duration::from_secs(20);
/// An operator is called, and comes, within this time.
const OPERATOR: Duration = Duration::from_secs(30);
/// Microseconds that a statement can be late.
const LATE: usize = 3_000_000;

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) seed: u64,
    pub(super) people: usize,
    pub(super) shards: usize,
    pub(super) acts: usize,
    pub(super) losses: bool,
    pub(super) fault: Option<Fault>,
    pub(super) trace: bool,
}

impl Options {
    pub(super) fn of_seed(seed: u64) -> Self {
        let mut time = Timeline::new(seed ^ 0x0c10_57e5);
        Self {
            seed,
            people: 2 + time.roll(MOST - 2),
            shards: 1 + time.roll(2),
            acts: 20 + time.roll(60),
            losses: time.roll(4) == 0,
            fault: None,
            trace: false,
        }
    }
}

pub(super) struct Run {
    options: Options,
    time: Timeline,
    rng: ChaCha20Rng,
    config: Config,
    database: Database,
    nodes: Vec<Node>,
    processes: u64,
    network: Network,
    people: Vec<Person>,
    letters: Letters,
    promises: Promises,
    /// What was confirmed at some moment.
    backup: Option<Machine>,
}

impl Run {
    pub(super) fn new(options: Options) -> Self {
        let mut time = Timeline::new(options.seed);
        let mut people: Vec<_> = (0..options.people).map(Person::new).collect();
        let data = contents::of(people.iter().map(Person::stored));
        let database = Database::new(options.seed, data, options.fault);
        let mut nodes: Vec<_> = (0..2).map(|number| Node::new(number, &mut time)).collect();
        for node in &mut nodes {
            node.witness.is_broken = options.fault == Some(Fault::NoWitness);
        }
        for person in &mut people {
            person.nodes = nodes.len();
            person.wake(&mut time);
        }
        Self {
            options,
            time,
            rng: ChaCha20Rng::seed_from_u64(options.seed),
            config: run::config(),
            database,
            nodes,
            processes: 0,
            network: Network::default(),
            promises: Promises::new(people.len()),
            people,
            letters: Letters::default(),
            backup: None,
        }
    }

    /// The whole of it.
    pub(super) fn play(mut self) {
        self.time.is_uneven = true;
        for _ in 0..self.options.acts {
            self.wait_for_an_act();
            self.act();
            self.check_stored();
        }
        self.end_all_trouble();
        self.until(PATIENCE, "everybody has what is theirs", |run| {
            let pending = contents::pending_letters(&run.database.lock().confirmed().data);
            pending == 0 && run.letters.have_come(&run.people)
        });
        // What is under way about them arrives.
        self.pass(Duration::from_secs(3));
        self.check_counters();
        self.letters.check(&self.people);
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.options.trace {
            eprintln!("{:>12} {}", self.time.now().instant.as_micros(), what());
        }
    }

    fn act(&mut self) {
        if self.options.losses && self.time.roll(12) == 0 {
            return self.lose();
        }
        let who = self.time.roll(self.people.len());
        let at = self.time.roll(self.nodes.len());
        let what = self.time.roll(100);
        let (network, time) = (&mut self.network, &mut self.time);
        match what {
            0..44 => {
                for _ in 0..=self.time.roll(4) {
                    let to = (who + 1 + self.time.roll(self.people.len() - 1)) % self.people.len();
                    self.write(who, to);
                }
            }
            44..50 => self.people[who].cut(network, time),
            50..54 => self.people[who].kill(network, time),
            54..58 => {
                let person = &mut self.people[who];
                person.stays_away = !person.stays_away;
                person.cut(network, time);
                person.wake(time);
            }
            58..61 => {
                self.say(|| format!("node {at} is killed"));
                if !self.nodes[at].refuses() {
                    self.nodes[at].restart(&mut self.time);
                }
            }
            61..64 => self.terminate(at),
            64..69 => self.pause(at),
            69..75 => {
                let is_bad = time.roll(2) == 0;
                self.database.lock().set_bad(is_bad);
                self.say(|| format!("statements are lost: {is_bad}"));
            }
            75..85 => {
                let is_replicated = time.roll(2) == 0;
                self.database.lock().set_replicated(is_replicated);
                self.say(|| format!("the standby hears from the primary: {is_replicated}"));
            }
            85..89 => {
                self.database.lock().end_wait(at);
                self.say(|| format!("nobody waits for the standby of machine {at}"));
            }
            89..93 => {
                let has_moved = self.database.lock().fail_over();
                self.say(|| format!("the database moves: {has_moved}"));
            }
            93..96 => {
                self.database.lock().rebuild();
                self.say(|| "there is a standby of the database".into());
            }
            _ => {}
        }
        self.look_after_the_database();
    }

    fn write(&mut self, from: usize, to: usize) {
        let Self { letters, people, time, .. } = self;
        let text = letters.write(from, to, people, time).map(str::to_owned);
        self.say(|| format!("{from} writes to {to}: {text:?}"));
    }

    fn terminate(&mut self, at: usize) {
        self.say(|| format!("node {at} is asked to end"));
        let (node, time) = (&mut self.nodes[at], &mut self.time);
        let by = time.now().instant.after(STOP_TIME);
        if let Some(process) = node.process_mut() {
            process.terminate(time);
            node.stops_by.get_or_insert(by);
        }
    }

    /// A process does nothing for up to three leases, and does not know.
    fn pause(&mut self, at: usize) {
        let micros = self.time.roll(3 * LEASE.as_micros() as usize) as u64;
        self.say(|| format!("node {at} is paused for {micros} us"));
        let until = self.time.now().instant.after(Duration::from_micros(micros));
        self.nodes[at].paused_until = Some(until);
    }

    /// An older state of the database comes back, if every node knows it to be older. Else the present one
    /// is kept, to come back later.
    fn lose(&mut self) {
        let present = self.database.lock().confirmed().copy();
        let backup = self.backup.get_or_insert(present);
        // What is from before an adoption is not missed.
        let adoptions = |epoch: Epoch| epoch.0 >> 32;
        let era = adoptions(backup.look(None).lease.epoch);
        let is_missing =
            |mark: Mark| adoptions(mark.epoch) == era && mark.group > backup.last().group;
        let knows = |node: &Node| node.witnessed().is_some_and(is_missing);
        if !self.nodes.iter().all(knows) {
            return;
        }
        self.database.lock().restore(backup);
        self.letters.may_all_be_lost();
        self.promises.may_all_be_lost();
        // It may happen while everything is out.
        if self.time.roll(2) == 0 {
            self.nodes.iter_mut().for_each(|node| node.restart_at_once(&mut self.time));
        }
        self.say(|| "an older state of the database comes back".into());
        self.until(OPERATOR, "the operator is called", |run| run.nodes.iter().all(Node::refuses));
        self.adopt();
    }

    /// An operator goes on with what is left, from one of the nodes.
    fn adopt(&mut self) {
        let until = self.time.now().unix.shifted(30 * 86_400);
        let newest = self.nodes.iter().filter_map(Node::witnessed).max_by_key(|mark| mark.epoch);
        self.database.lock().adopt(newest, until);
        self.backup = None;
        for node in &mut self.nodes {
            node.restart(&mut self.time);
        }
        self.say(|| "the operator adopts the database".into());
    }

    /// Statements that are late are to arrive.
    fn look_after_the_database(&mut self) {
        let late = self.database.lock().take_unscheduled();
        for _ in 0..late {
            let at = self.time.soon(LATE);
            self.time.schedule(at, Event::Database);
        }
    }

    fn ended(&mut self, node: usize, failure: &Failure) {
        self.say(|| format!("node {node} ends: {failure}"));
        let has_lost = self.database.lock().has_lost;
        let is_fine = match failure.exit() {
            Exit::Fenced => true,
            Exit::Storage => has_lost,
            _ => false,
        };
        assert!(is_fine, "node {node} ends without a reason: {failure}");
    }

    fn end_all_trouble(&mut self) {
        self.time.is_uneven = false;
        self.database.lock().end_all_trouble();
        for person in &mut self.people {
            person.stays_away = false;
            person.wake(&mut self.time);
        }
        self.say(|| "all trouble is over".into());
    }

    /// The node that serves, once nothing goes wrong any more.
    fn serving(&self) -> &Process {
        let mut serving = self.nodes.iter().filter_map(Node::process);
        let process = serving.next().expect("one of them serves");
        assert!(serving.next().is_none(), "two of them serve");
        process
    }

    /// The counters of machines are what the database holds.
    fn check_counters(&self) {
        let data = self.database.lock().confirmed().data.clone();
        let users: Vec<UserId> = self.people.iter().map(Person::id).collect();
        let stored = contents::stored(&data, &users);
        for server in self.serving().servers() {
            assert_eq!(server.audit(&stored).err(), None, "the counters of this mailbox are wrong");
        }
        for user in users {
            let (counted, is) =
                (self.serving().pending_from(user), contents::usage_of(&data, user));
            assert_eq!(counted, is, "pending letters of {user:?}");
        }
    }

    /// What was told to be stored is in the database, or with its recipient.
    fn check_stored(&self) {
        let users: Vec<UserId> = self.people.iter().map(Person::id).collect();
        let data = self.database.lock().confirmed().data.clone();
        let stored: HashSet<_> =
            contents::letters(&data, &users).iter().map(|letter| letter.id).collect();
        self.promises.check_stored(&self.people, &stored);
    }
}

impl World for Run {
    fn step(&mut self) -> Event {
        let event = self.time.next();
        let Self { time, network, people, rng, nodes, .. } = self;
        match event {
            Event::Turn(number, _)
            | Event::Transfer(number, _)
            | Event::Storage(number)
            | Event::Report(number, _) => {
                let is_its =
                    |node: &Node| node.process().is_some_and(|process| process.number() == number);
                if let Some((at, node)) =
                    nodes.iter_mut().enumerate().find(|(_, node)| is_its(node))
                {
                    node.handle(event, time);
                    if let Some(failure) = node.look_after_the_process(time) {
                        self.ended(at, &failure);
                    }
                }
            }
            Event::Node(at) => {
                let node = &mut nodes[at];
                if let Some(until) = node.paused_until.filter(|until| time.now().instant < *until) {
                    time.schedule(until, event);
                } else {
                    let mut start = Start {
                        database: &self.database,
                        config: &self.config,
                        shards: self.options.shards,
                        processes: &mut self.processes,
                    };
                    let ended = node.act(&mut start, time);
                    if node.process().is_some() {
                        self.say(|| format!("node {at} serves"));
                    }
                    if let Some(failure) = ended {
                        self.ended(at, &failure);
                    }
                }
            }
            Event::Database => self.database.lock().arrive(),
            Event::AtServer(link) => {
                let process = nodes[network.node(link)].process_mut();
                network.arrive(link, process, time);
            }
            Event::AtClient(link) => {
                if let Some(arrived) = network.take(link, time)
                    && let Some(person) = people.iter_mut().find(|one| one.link() == Some(link))
                {
                    person.receive(arrived, time);
                }
            }
            Event::Client(who) => {
                people[who].act(rng, network, time);
                self.promises.heard_by(who, &self.people, &self.letters);
            }
            Event::Act => {}
        }
        self.look_after_the_database();
        self.network.send_off(&mut self.time);
        event
    }

    fn time(&mut self) -> &mut Timeline {
        &mut self.time
    }

    fn people(&mut self) -> (&mut [Person], &mut Timeline) {
        (&mut self.people, &mut self.time)
    }

    fn report(&self) -> String {
        let stages = self.nodes.iter().map(Node::describe);
        stages.chain(self.letters.report(&self.people)).collect::<Vec<_>>().join("\n")
    }
}
