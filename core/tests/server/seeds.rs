//! Many seeds: letters between users whose connections, acknowledgments, windows, storage and
//! server come and go at random.
//!
//! Held against a model of a few lines: within a session every letter is handed over at most once
//! and in the order of the queue; 255 comes once, after the last letter that was pending at the
//! confirmation; never more than the window is unacknowledged; what was said to be stored is
//! delivered in the end, across crashes; what was said to be delivered was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::{ChaCha20Rng, rand_core::Rng, rand_core::SeedableRng};
use waxwing_core::id::PacketId;
use waxwing_core::server::Config;
use waxwing_core::wire::{ErrorCode, Status};

use waxwing_testkit::backend::Paper;
use waxwing_testkit::packets::id_of;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::Sim;

const PEOPLE: usize = 3;
const STEPS: usize = 250;
const PAIR_LETTERS: u32 = 12;

/// What a person's device holds.
#[derive(Default)]
struct Device {
    online: bool,
    window: u8,
    /// Ids handed over in this session, in order.
    session: Vec<PacketId>,
    unacknowledged: Vec<PacketId>,
    /// Pending when the confirmation was sent; `None` once 255 has come.
    backlog: Option<Vec<PacketId>>,
    acknowledged: BTreeSet<PacketId>,
}

struct Run {
    dice: ChaCha20Rng,
    world: Sim<Paper>,
    people: [Person<Paper>; PEOPLE],
    devices: [Device; PEOPLE],
    /// Letters that have no answer yet, by sender: sent again after a reconnect.
    open: [BTreeMap<PacketId, Vec<u8>>; PEOPLE],
    statuses: BTreeMap<PacketId, Status>,
    /// To whom every letter went.
    to: BTreeMap<PacketId, usize>,
    /// Letters whose first copy may have survived a crash that their answer did not: they are
    /// sent again and may be stored twice.
    doubtful: BTreeSet<PacketId>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut config = Config::default();
        config.mailbox.pair_letters = PAIR_LETTERS;
        let (world, people) = Sim::populated_and_seeded(config, seed);
        Self {
            dice: ChaCha20Rng::seed_from_u64(seed ^ 0x5eed),
            world,
            people,
            devices: Default::default(),
            open: Default::default(),
            statuses: BTreeMap::new(),
            to: BTreeMap::new(),
            doubtful: BTreeSet::new(),
        }
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.dice.next_u32() as usize % sides
    }

    fn step(&mut self, storage_fails: bool) {
        let who = self.roll(PEOPLE);
        match self.roll(100) {
            0..30 => self.send(who),
            30..50 => self.acknowledge(who),
            50..58 => self.come(who),
            58..60 => self.hang_up(who),
            60..75 => self.world.disk.work(),
            75..84 => self.tell_outcome(),
            84..93 => self.tell_answer(),
            93..96 => {
                self.world.wait(std::time::Duration::from_millis(700));
            }
            96..97 => self.crash(),
            97..98 => self.take_over(who),
            98..99 => self.world.disk.refuses_writes = storage_fails && self.roll(2) == 0,
            _ => self.world.disk.refuses_questions = storage_fails && self.roll(2) == 0,
        }
        (0..PEOPLE).for_each(|who| self.listen(who));
    }

    fn send(&mut self, who: usize) {
        if !self.devices[who].online {
            return;
        }
        let to = (who + 1 + self.roll(PEOPLE - 1)) % PEOPLE;
        let len = [0, 10, 3_000, 60_000][self.roll(4)];
        let recipient = self.people[to].id();
        // Payloads differ, so packets do.
        let mut payload = vec![0; len];
        payload.extend(self.to.len().to_le_bytes());
        payload.truncate(60 * 1_024);
        let letter = self.people[who].letter(&mut self.world, recipient, &payload);
        self.to.insert(id_of(&letter), to);
        self.open[who].insert(id_of(&letter), letter.clone());
        self.give(who, &letter);
        if self.roll(10) == 0 {
            self.give(who, &letter);
        }
    }

    fn give(&mut self, who: usize, bytes: &[u8]) {
        let cut = self.roll(bytes.len());
        let conn = self.people[who].conn;
        self.world.send(conn, &bytes[..cut]);
        self.world.send(conn, &bytes[cut..]);
    }

    fn acknowledge(&mut self, who: usize) {
        let device = &mut self.devices[who];
        if !device.online || device.unacknowledged.is_empty() {
            return;
        }
        let count = 1 + self.dice.next_u32() as usize % device.unacknowledged.len();
        let device = &mut self.devices[who];
        let held: Vec<_> = device.unacknowledged.drain(..count).collect();
        device.acknowledged.extend(&held);
        let packet = self.people[who].held(&mut self.world, &held);
        self.give(who, &packet);
    }

    fn come(&mut self, who: usize) {
        if !self.devices[who].online {
            self.take_over(who);
        }
    }

    fn take_over(&mut self, who: usize) {
        self.people[who].knock(&mut self.world);
        let window = [1, 2, 7, 128][self.roll(4)];
        // What storage holds now, and all of it that the server has yet to delete.
        let backlog = self.world.disk.pending(self.people[who].id());
        let acknowledged = std::mem::take(&mut self.devices[who].acknowledged);
        self.devices[who] = Device {
            online: true,
            window,
            backlog: Some(backlog),
            acknowledged,
            ..Device::default()
        };
        let confirmation = self.people[who].confirmation(&mut self.world, window);
        self.give(who, &confirmation);
        for letter in self.open[who].clone().into_values() {
            self.give(who, &letter);
        }
    }

    fn hang_up(&mut self, who: usize) {
        if self.devices[who].online {
            self.world.hang_up(self.people[who].conn);
            self.devices[who].online = false;
        }
    }

    fn crash(&mut self) {
        self.world.crash();
        self.doubtful.extend(self.open.iter().flat_map(BTreeMap::keys));
        self.devices.iter_mut().for_each(|device| device.online = false);
    }

    fn tell_outcome(&mut self) {
        if let Some((ticket, outcome)) = self.world.disk.next_outcome() {
            self.world.turn(|server, env| server.stored(env, ticket, outcome));
        }
    }

    fn tell_answer(&mut self) {
        if let Some((ticket, answer)) = self.world.disk.next_answer() {
            self.world.turn(|server, env| server.answered(env, ticket, answer));
        }
    }

    fn listen(&mut self, who: usize) {
        if !self.devices[who].online {
            return;
        }
        for said in self.people[who].hear(&mut self.world) {
            match said {
                Said::Letter(letter) => self.letter_came(who, &letter),
                Said::BacklogEnd(count) => self.backlog_ended(who, count),
                Said::Fate(id, status) => {
                    self.open[who].remove(&id);
                    let to = &self.devices[self.to[&id]];
                    let known = status == Status::Delivered;
                    assert!(!known || to.acknowledged.contains(&id), "nobody holds {id}");
                    let best = self.statuses.entry(id).or_insert(status);
                    *best = status.after(*best);
                }
                Said::Refused(no) => {
                    let excused = [ErrorCode::StorageUnavailable, ErrorCode::MailboxFull];
                    assert!(excused.contains(&no.code), "{no:?}");
                    let id = no.packet.unwrap();
                    // A refusal is not the last word on a letter that was stored.
                    if !self.statuses.contains_key(&id) {
                        self.open[who].remove(&id);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        if self.people[who].is_closed(&self.world) {
            self.devices[who].online = false;
        }
    }

    fn letter_came(&mut self, who: usize, letter: &[u8]) {
        let id = id_of(letter);
        let device = &mut self.devices[who];
        assert_eq!(self.to[&id], who);
        let twice = device.session.contains(&id);
        assert!(!twice || self.doubtful.contains(&id), "{id} came twice in a session");
        device.session.push(id);
        device.unacknowledged.push(id);
        assert!(device.unacknowledged.len() <= usize::from(device.window), "above the window");
    }

    fn backlog_ended(&mut self, who: usize, count: u32) {
        let device = &mut self.devices[who];
        let backlog = device.backlog.take().expect("one 255 per session");
        // What was acknowledged before may be deleted before the fetch, or come once more.
        let still = backlog.iter().filter(|id| !device.acknowledged.contains(*id));
        for id in still {
            assert!(device.session.contains(id), "255 before {id} of the backlog");
        }
        assert!(count as usize <= device.session.len());
    }

    /// All trouble ends, everybody comes and reads everything.
    fn finish(&mut self) {
        self.world.disk.refuses_writes = false;
        self.world.disk.refuses_questions = false;
        self.world.release();
        self.world.wait_s(2);
        // Whoever has a session gets everything in it: nothing was skipped.
        for who in 0..PEOPLE {
            self.read_all(who);
            let id = self.people[who].id();
            assert!(!self.devices[who].online || self.world.disk.pending(id).is_empty());
        }
        for who in (0..PEOPLE).chain(0..PEOPLE) {
            self.take_over(who);
            self.read_all(who);
        }
        self.world.wait_s(2);
        for who in 0..PEOPLE {
            self.listen(who);
            assert!(self.devices[who].backlog.is_none(), "255 never came");
            assert!(self.world.is_read(self.people[who].conn));
            assert_eq!(self.world.disk.pending(self.people[who].id()), []);
            assert!(self.open[who].is_empty(), "{} without an answer", self.open[who].len());
        }
        for (id, status) in &self.statuses {
            let held = &self.devices[self.to[id]].acknowledged;
            assert!(held.contains(id), "{id} was {status:?} and is lost");
        }
        self.count();
    }

    fn read_all(&mut self, who: usize) {
        self.listen(who);
        while self.devices[who].online && !self.devices[who].unacknowledged.is_empty() {
            self.acknowledge(who);
            self.listen(who);
        }
    }

    /// Every mailbox knows that it is empty: so many letters fit, and not one more.
    fn count(&mut self) {
        for who in 0..PEOPLE {
            for to in (0..PEOPLE).filter(|to| *to != who) {
                let recipient = self.people[to].id();
                for n in 0..=PAIR_LETTERS {
                    let letter =
                        self.people[who].letter(&mut self.world, recipient, &n.to_le_bytes());
                    self.world.send(self.people[who].conn, &letter);
                }
                let said = self.people[who].hear(&mut self.world);
                let is_answer = |said: &&Said| !matches!(said, Said::Letter(_));
                let answers: Vec<_> = said.iter().filter(is_answer).collect();
                let full = answers.last().and_then(|said| said.code());
                assert_eq!(full, Some(ErrorCode::MailboxFull), "{who} to {to}");
                let stored = |said: &&&Said| matches!(said, Said::Fate(_, Status::Stored));
                assert_eq!(answers.iter().filter(stored).count(), PAIR_LETTERS as usize);
            }
        }
    }
}

/// The letters of a session come in the order in which the queue holds them.
fn assert_order(run: &Run) {
    for (device, person) in run.devices.iter().zip(&run.people) {
        let pending = run.world.disk.pending(person.id());
        let place = |id| pending.iter().position(|other| other == id);
        let certain = device.session.iter().filter(|id| !run.doubtful.contains(*id));
        let places: Vec<_> = certain.filter_map(place).collect();
        assert!(places.is_sorted(), "out of order: {places:?}");
    }
}

fn run(seed: u64, storage_fails: bool) {
    let mut run = Run::new(seed);
    run.world.disk.held = true;
    run.world.disk.mute = true;
    for _ in 0..STEPS {
        run.step(storage_fails);
        assert_order(&run);
    }
    run.finish();
}

fn run_all(seeds: std::ops::Range<u64>, storage_fails: bool) {
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| run(seed, storage_fails));
        assert!(outcome.is_ok(), "seed {seed} (storage fails: {storage_fails})");
    }
}

/// So many seeds, or as many as `WAXWING_SEEDS` says.
fn seeds() -> u64 {
    std::env::var("WAXWING_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(100)
}

#[test]
fn every_letter_is_handed_over_once_per_session_in_order_and_none_is_lost() {
    run_all(0..seeds(), false);
}

#[test]
fn storage_that_fails_now_and_then_loses_nothing_either() {
    run_all(1_000_000..1_000_000 + seeds(), true);
}
