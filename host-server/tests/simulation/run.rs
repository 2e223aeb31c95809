//! A run: people write to each other through a server, while everything else goes wrong; then nothing
//! goes wrong any more, and it is checked what has come of it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_core::id::UserId;
use waxwing_core::time::Instant;
use waxwing_server::config::Config;
use waxwing_server::store::MemoryStorage;
use waxwing_testkit::profile::State;

use crate::contents;
use crate::disk::Disk;
use crate::letters::Letters;
use crate::memory_loop::{OwnedSocket, PeerEnd, Socket};
use crate::network::Network;
use crate::person::{MOST, Person, SUCCESSORS};
use crate::process::{Process, ServerKey};
use crate::simulated::Simulated;
use crate::timeline::{Event, Timeline};
use crate::world::{PATIENCE, World};

/// A letter between two who are there, with its answer.
const LETTER_TIME: Duration = Duration::from_secs(6);
/// A process that is asked to end has this long.
const STOP_TIME: Duration = Duration::from_secs(20);
pub(crate) const ENOUGH: u64 = 1 << 40;
/// Letters from one person to another that may be pending.
const PAIR_LETTERS: u32 = 5;

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) people: usize,
    pub(crate) shards: usize,
    pub(crate) acts: usize,
    pub(crate) bad_disk: bool,
    pub(crate) crashes: bool,
    pub(crate) restores: bool,
    pub(crate) key_changes: bool,
    pub(crate) trace: bool,
}

impl Options {
    /// So many people and shards, and nothing goes wrong.
    pub(crate) const fn calm(people: usize, shards: usize) -> Self {
        let (bad_disk, crashes, restores, key_changes, trace) = (false, false, false, false, false);
        Self { seed: 7, people, shards, acts: 0, bad_disk, crashes, restores, key_changes, trace }
    }

    pub(crate) fn of_seed(seed: u64) -> Self {
        let mut time = Timeline::new(seed ^ 0x0b7_1005);
        Self {
            seed,
            people: 2 + time.roll(MOST - 1),
            shards: 1 + time.roll(4),
            acts: 20 + time.roll(60),
            bad_disk: time.roll(2) == 0,
            crashes: time.roll(3) != 0,
            restores: time.roll(3) == 0,
            key_changes: time.roll(3) == 0,
            trace: false,
        }
    }
}

pub(crate) struct Run {
    options: Options,
    time: Timeline,
    rng: ChaCha20Rng,
    config: Config,
    key: ServerKey,
    /// How often the server has got another key.
    key_changes: usize,
    disk: Disk,
    process: Option<Process>,
    processes: u64,
    network: Network,
    people: Vec<Person>,
    letters: Letters,
    /// What was durable at some moment.
    backup: MemoryStorage,
    /// By when the process, which was asked to, has to end.
    stops_by: Option<Instant>,
}

/// That of a server that nobody has set up in a strange way.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.limits.exempt = vec!["127.0.0.0/8".parse().unwrap()];
    config.limits.connections_per_prefix = 8;
    config.limits.letters_per_pair = PAIR_LETTERS;
    config.limits.reconnects_per_user_and_prefix_per_minute = 60;
    config
}

impl Run {
    /// Nobody is connected, and nothing goes wrong until [`Run::play`] lets it.
    pub(crate) fn new(options: Options) -> Self {
        let config = config();
        let mut time = Timeline::new(options.seed);
        let people: Vec<_> = (0..options.people).map(Person::new).collect();
        let mut disk = Disk::new(options.seed, people.iter().map(Person::stored));
        disk.may_break = options.crashes;
        disk.set_free(ENOUGH);
        let rng = ChaCha20Rng::seed_from_u64(options.seed);
        let network = Network::default();
        let storage = Box::new(Simulated(disk.clone()));
        let process =
            Process::start(1, options.shards, &config, ServerKey::FIRST, storage, &mut time);
        let process = process.expect("it is memory");
        let backup = disk.backup();
        let mut run = Self {
            options,
            time,
            rng,
            config,
            key: ServerKey::FIRST,
            key_changes: 0,
            disk,
            process: Some(process),
            processes: 1,
            network,
            people,
            letters: Letters::default(),
            backup,
            stops_by: None,
        };
        for person in &mut run.people {
            if options.key_changes {
                person.asks_for_the_next_key();
            }
            person.wake(&mut run.time);
        }
        run
    }

    /// The whole of it.
    pub(crate) fn play(mut self) {
        self.time.is_uneven = true;
        self.disk.set_bad(self.options.bad_disk);
        for _ in 0..self.options.acts {
            self.wait_for_an_act();
            self.act();
        }
        self.end_all_trouble();
        self.check_counters();
        self.come_back();
        self.letters.check(&self.people);
        self.check_promptness();
        self.leave();
        self.stop();
    }

    /// One that has stopped is followed by another.
    fn look_after_the_process(&mut self) {
        let now = self.time.now().instant;
        let Some(process) = self.process.take_if(|process| process.has_stopped()) else {
            assert!(self.stops_by.is_none_or(|by| now <= by), "the server does not stop");
            return;
        };
        let may_stop = self.stops_by.take().is_some() || process.fatal.is_some();
        assert!(may_stop, "the server has stopped, and nobody knows why");
        process.close();
        self.start();
    }

    fn start(&mut self) {
        self.processes += 1;
        let Options { shards, .. } = self.options;
        let (config, time) = (&self.config, &mut self.time);
        let storage = Box::new(Simulated(self.disk.clone()));
        let started = Process::start(self.processes, shards, config, self.key, storage, time);
        self.process = Some(started.expect("it is memory"));
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.options.trace {
            eprintln!("{:>12} {}", self.time.now().instant.as_micros(), what());
        }
    }

    fn act(&mut self) {
        if self.options.key_changes && self.time.roll(5) == 0 {
            return self.change_key();
        }
        let who = self.time.roll(self.people.len());
        let what = self.time.roll(100);
        let (network, time) = (&mut self.network, &mut self.time);
        match what {
            0..56 => {
                for _ in 0..=self.time.roll(4) {
                    let to = (who + 1 + self.time.roll(self.people.len() - 1)) % self.people.len();
                    self.write(who, to);
                }
            }
            56..60 => {
                self.config = self.any_config();
                self.configure();
                self.say(|| "the configuration changes".into());
            }
            60..68 => {
                self.people[who].cut(network, time);
                self.say(|| format!("{who} is cut off"));
            }
            68..76 => {
                self.people[who].kill(network, time);
                self.say(|| format!("the client of {who} dies"));
            }
            76..84 => {
                let person = &mut self.people[who];
                person.stays_away = !person.stays_away;
                person.cut(network, time);
                person.wake(time);
                self.say(|| format!("{who} comes or goes"));
            }
            84..88 => {
                let free = [0, ENOUGH][time.roll(2)];
                self.disk.set_free(free);
                self.say(|| format!("{free} bytes are free"));
            }
            88..92 => {
                let is_bad = self.options.bad_disk && time.roll(2) == 0;
                self.disk.set_bad(is_bad);
                self.say(|| format!("the disk is bad: {is_bad}"));
            }
            92..94 if self.options.restores => self.backup = self.disk.backup(),
            94..96 if self.options.restores => self.restore(),
            92..96 if self.options.crashes => {
                self.process = None;
                self.stops_by = None;
                self.start();
                self.say(|| "the server dies, and starts again".into());
            }
            96..100 if self.options.crashes => {
                self.terminate();
                self.say(|| "the server is asked to end".into());
            }
            _ => {}
        }
    }

    /// The server announces another key, or, when everybody knows of one and its moment has come, goes on with it.
    fn change_key(&mut self) {
        let now = self.time.now().unix;
        let Some((key, effective)) = self.key.next else {
            let Some(key) = SUCCESSORS.get(self.key_changes) else { return };
            let effective = now.shifted(1 + self.time.roll(8) as i64);
            self.key.next = Some((*key, effective));
            return self.announce();
        };
        if self.time.roll(8) == 0 {
            self.key.next = None;
            return self.announce();
        }
        if !self.people.iter().all(|person| person.knows(key)) {
            // Whoever comes asks for it.
            for person in self.people.iter_mut().filter(|person| !person.knows(key)) {
                person.stays_away = false;
                person.cut(&mut self.network, &mut self.time);
                person.wake(&mut self.time);
            }
            return self.say(|| "whoever does not know of the key yet comes anew".into());
        }
        if now < effective {
            return self.say(|| "the moment of the key has not come yet".into());
        }
        self.key_changes += 1;
        self.key = ServerKey { own: key, next: None };
        if let Some(process) = &mut self.process {
            process.succeed(self.key, &mut self.time);
        }
        self.say(|| "the server has another key".into());
    }

    fn announce(&mut self) {
        if let Some(process) = &mut self.process {
            process.announce(self.key, &mut self.time);
        }
        self.say(|| format!("the server announces {:?}", self.key.next));
    }

    /// What an operator could set without losing a letter for good.
    fn any_config(&mut self) -> Config {
        let mut config = config();
        let time = &mut self.time;
        config.limits.letters_per_pair = 1 + time.roll(8) as u32;
        config.limits.reconnects_per_user_and_prefix_per_minute = 1 + time.roll(60) as u32;
        config.limits.answers_per_second = 1 + time.roll(20) as u32;
        config.limits.refusals_per_second = 1 + time.roll(20) as u32;
        config.limits.status_query_interval = Duration::from_secs(time.roll(60) as u64);
        config.limits.connections_per_prefix = 1 + time.roll(8) as u32;
        config.limits.half_received = [1, 1 << 17, 1 << 26][time.roll(3)];
        config.deadlines.first_packet = Duration::from_millis(100 + time.roll(15_000) as u64);
        config.deadlines.confirmation = Duration::from_millis(100 + time.roll(60_000) as u64);
        config.deadlines.progress = Duration::from_millis(100 + time.roll(120_000) as u64);
        config.deadlines.leave = Duration::from_millis(100 + time.roll(5_000) as u64);
        config.storage.min_free_disk = [0, 1 << 28, 2 * ENOUGH][time.roll(3)];
        config.storage.expiry_interval = Duration::from_millis(100 + time.roll(60_000) as u64);
        config
    }

    /// The process, if it runs, goes on with the configuration that later ones start with.
    fn configure(&mut self) {
        if let Some(process) = &mut self.process {
            process.configure(&self.config, &mut self.time);
        }
    }

    fn terminate(&mut self) {
        if let Some(process) = &mut self.process {
            process.terminate(&mut self.time);
            let by = self.time.now().instant.after(STOP_TIME);
            self.stops_by.get_or_insert(by);
        }
    }

    /// `from` writes to `to`.
    pub(crate) fn write(&mut self, from: usize, to: usize) {
        let Self { letters, people, time, .. } = self;
        let text = letters.write(from, to, people, time).map(str::to_owned);
        self.say(|| format!("{from} writes to {to}: {text:?}"));
    }

    /// Somebody's connection goes, and none comes in its place.
    pub(crate) fn send_away(&mut self, who: usize) {
        self.people[who].stays_away = true;
        self.people[who].cut(&mut self.network, &mut self.time);
    }

    /// Somebody's first bytes arrive together with the end of their connection.
    pub(crate) fn knock_and_leave(&mut self, who: usize) -> Rc<RefCell<Socket>> {
        let bytes = self.people[who].knock(&mut self.rng, &self.time);
        self.call(who, bytes, Some(PeerEnd::Finished))
    }

    /// Bytes arrive on a new connection from the address of `who`, and perhaps its end.
    pub(crate) fn call(
        &mut self,
        who: usize,
        bytes: Vec<u8>,
        peer_end: Option<PeerEnd>,
    ) -> Rc<RefCell<Socket>> {
        let socket = Socket { incoming: bytes.into(), peer_end, ..Socket::default() };
        let (socket, address) = (Rc::new(RefCell::new(socket)), self.people[who].address);
        let process = self.process.as_mut().expect("it runs");
        process.call(address, OwnedSocket(socket.clone()), &mut self.time);
        socket
    }

    /// So much is free on the disk.
    pub(crate) fn set_free(&mut self, bytes: u64) {
        self.disk.set_free(bytes);
    }

    /// How far the letter that was written last has come.
    pub(crate) fn last_state(&self) -> State {
        self.letters.last().written(&self.people).state
    }

    /// Nothing goes wrong any more; one of the people may stay away.
    fn end_all_trouble(&mut self) {
        self.time.is_uneven = false;
        self.disk.set_bad(false);
        self.disk.set_free(ENOUGH);
        self.config = config();
        self.configure();
        let absent = self.time.roll(2 * self.people.len());
        for (who, person) in self.people.iter_mut().enumerate() {
            person.stays_away = who == absent;
            if person.stays_away {
                person.cut(&mut self.network, &mut self.time);
            }
            person.wake(&mut self.time);
        }
        self.say(|| format!("all trouble is over, and {absent} is away"));
        self.until(PATIENCE, "everybody who is there has what is theirs", |run| {
            run.stops_by.is_none() && run.letters.have_come(&run.people)
        });
        // What is under way about them arrives.
        self.pass(Duration::from_secs(3));
    }

    /// The server dies, and starts again with an older state of its storage.
    fn restore(&mut self) {
        self.process = None;
        self.stops_by = None;
        let until = self.time.now().unix.shifted(30 * 86_400);
        self.disk.restore(&self.backup, until);
        self.letters.may_all_be_lost();
        self.start();
        self.say(|| "an older state comes back".into());
    }

    fn come_back(&mut self) {
        for person in &mut self.people {
            person.stays_away = false;
            person.wake(&mut self.time);
        }
        self.until(PATIENCE, "everybody has what is theirs", |run| {
            let pending = contents::pending_letters(&run.disk.contents());
            run.letters.have_come(&run.people) && pending == 0
        });
        self.pass(Duration::from_secs(3));
        self.check_counters();
    }

    /// The counters of machines are what storage holds.
    fn check_counters(&mut self) {
        let users: Vec<UserId> = self.people.iter().map(Person::id).collect();
        let disk = self.disk.contents();
        let stored = contents::stored(&disk, &users);
        for server in self.process().servers() {
            assert_eq!(server.audit(&stored).err(), None, "the counters of this mailbox are wrong");
        }
        for user in users {
            let counted = self.process().pending_from(user);
            let usage = contents::usage_of(&disk, user);
            assert_eq!(counted, usage, "pending letters of {user:?}");
        }
    }

    /// Between people who are there a letter takes no longer than its way.
    fn check_promptness(&mut self) {
        self.until_all_are_there();
        for from in 0..self.people.len() {
            self.write(from, (from + 1) % self.people.len());
        }
        self.until_all_has_come();
        self.letters.check(&self.people);
    }

    pub(crate) fn until_all_are_there(&mut self) {
        self.until(PATIENCE, "everybody has a session", |run| {
            let sessions = run.process().servers().map(|server| server.session_count());
            sessions.sum::<usize>() == run.people.len()
        });
    }

    pub(crate) fn until_all_has_come(&mut self) {
        self.until(LETTER_TIME, "everybody has a letter, and its writer knows", |run| {
            run.letters.have_come(&run.people)
        });
    }

    /// The server that runs.
    pub(crate) fn process(&self) -> &Process {
        self.process.as_ref().expect("it runs")
    }

    /// Everybody leaves, and nothing is left of their connections.
    fn leave(&mut self) {
        for person in &mut self.people {
            person.stays_away = true;
            person.cut(&mut self.network, &mut self.time);
        }
        self.pass(Duration::from_secs(2));
        let process = self.process();
        assert_eq!(process.load(), (0, 0), "connections of nobody");
        let kept: usize = process.servers().map(|server| server.connection_count()).sum();
        assert_eq!(kept, 0, "connections that machines believe in");
    }

    fn stop(&mut self) {
        self.terminate();
        let before = self.processes;
        self.until(STOP_TIME, "the server stops", |run| run.processes > before);
    }
}

impl World for Run {
    /// Carries out the next event.
    fn step(&mut self) -> Event {
        let event = self.time.next();
        let Self { time, process, network, people, rng, .. } = self;
        match event {
            Event::Turn(..) | Event::Transfer(..) | Event::Storage(_) | Event::Report(..) => {
                if let Some(process) = process {
                    process.handle(event, time);
                }
                self.look_after_the_process();
            }
            Event::AtServer(link) => network.arrive(link, process.as_mut(), time),
            Event::AtClient(link) => {
                if let Some(arrived) = network.take(link, time)
                    && let Some(person) = people.iter_mut().find(|one| one.link() == Some(link))
                {
                    person.receive(arrived, time);
                }
            }
            Event::Client(who) => people[who].act(rng, network, time),
            // There is one server.
            Event::Node(_) | Event::Database | Event::Act => {}
        }
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
        let users: Vec<UserId> = self.people.iter().map(Person::id).collect();
        let stored = contents::stored(&self.disk.contents(), &users);
        let servers = self.process.iter().flat_map(Process::servers);
        let counts = servers.map(|server| {
            let (wrong, at) = (server.audit(&stored).err(), server.poll_timeout());
            format!("miscounted: {wrong:?}, timeout: {at:?}")
        });
        let letters = stored.letters.iter().map(|letter| format!("in storage: {letter:?}"));
        let lines = self.letters.report(&self.people).into_iter().chain(counts).chain(letters);
        lines.collect::<Vec<_>>().join("\n")
    }
}
