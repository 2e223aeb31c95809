//! What is measured.

use std::path::PathBuf;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::account::{Account, Yardstick};
use crate::cores::{Half, Side};
use crate::findings::{Goal, Run};
use crate::floor::{Floor, Work};
use crate::keys::KeyPair;
use crate::letters::Stock;
use crate::load::{Load, Measured, Stage, warm_up};
use crate::pair::Until;
use crate::population::{self, Clients, Errand, Person, ServerData};
use crate::process::{Server, ServerBinary, Settings};

/// Nothing that is signed waits longer than this for its run.
const LONGEST_RUN: Duration = Duration::from_secs(90);
/// For the server's threads to come to rest before its memory is read.
const REST: Duration = Duration::from_millis(500);
/// Of letters as they come a client acknowledges what it has at hand, which is little.
const TOGETHER: usize = 4;
/// Users that a server can have.
pub(crate) const ALL_USERS: u16 = u16::MAX;

/// Pairs and what they write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writing {
    pub(crate) pairs: usize,
    pub(crate) window: u8,
    pub(crate) payload: usize,
    pub(crate) span: Duration,
}

impl Writing {
    pub(crate) fn load(&self) -> Load {
        let Self { window, .. } = *self;
        Load {
            senders: true,
            recipients: true,
            window,
            together: TOGETHER.min(window.into()),
            rate: None,
            until: Until::Received,
            warm_up: warm_up(self.span),
        }
    }
}

/// What [`Bench::offline`] shows.
pub(crate) struct Offline {
    /// How long the server took to start.
    pub(crate) start: Goal,
    pub(crate) sending: Run,
    pub(crate) draining: Run,
}

/// The server to be measured, and what everything needs.
pub(crate) struct Bench {
    pub(crate) binary: ServerBinary,
    pub(crate) dir: PathBuf,
    pub(crate) threads: usize,
    pub(crate) floor: Floor,
    pub(crate) yardstick: Yardstick,
    pub(crate) keys: &'static [KeyPair],
    /// What servers are told besides.
    pub(crate) settings: Settings,
    /// Whether server and clients keep to cores of their own.
    pub(crate) apart: bool,
    /// What was signed, for the next run that can use it.
    pub(crate) stocks: Vec<Rc<Stock>>,
}

impl Bench {
    /// Letters online: sent, stored, handed over, acknowledged; three times, and what counts is the
    /// middle.
    pub(crate) fn relay(&mut self, writing: Writing) -> Result<Run> {
        middle_of_three(|| self.relay_once(writing), Run::ratio)
    }

    /// The same once.
    pub(crate) fn relay_once(&mut self, writing: Writing) -> Result<Run> {
        let Writing { pairs, window, .. } = writing;
        let (work, goal) = match (pairs, window) {
            (1, 1) => (Work::LETTER_ALONE, 1.2),
            (_, 1) => (Work::V, 5.0),
            _ => (Work::V, 2.0),
        };
        let name = format!("relay, {}, window {window}", count(pairs, "pair"));
        let run = Run::new(name, &self.floor, work, Some(goal));
        let (measured, memory) = self.relay_with(writing, &|_, _| Ok(()))?;
        Ok(run.with_load(&measured, memory))
    }

    /// The same, while something else happens.
    pub(crate) fn relay_with(
        &mut self,
        writing: Writing,
        meanwhile: &dyn Fn(&Server, Duration) -> Result<()>,
    ) -> Result<(Measured, (u64, u64))> {
        let people = population::of(2 * writing.pairs, self.keys);
        let stock = self.stock(&people, writing.letters_each(&self.floor), writing.payload)?;
        let (mut data, server) = self.start(&people, 0, 0)?;
        let _cores = self.half(Side::Clients)?;
        let stage = self.stage(&people, &stock, &server, &mut data);
        let measured =
            stage.relay(writing.load(), writing.span, |_| meanwhile(&server, writing.span))?;
        let memory = server.memory()?;
        server.stop()?;
        Ok((measured, memory))
    }

    /// Letters to people who are away, then those people come back. `pending` letters of others
    /// lie there before.
    pub(crate) fn offline(&mut self, writing: Writing, pending: u32) -> Result<Offline> {
        let people = population::of(2 * writing.pairs, self.keys);
        let users = if pending > 0 { ALL_USERS } else { 0 };
        let (mut data, server) = self.start(&people, users, pending)?;
        let stock = self.stock(&people, writing.letters_each(&self.floor), writing.payload)?;
        let stage = self.stage(&people, &stock, &server, &mut data);
        let beside = match pending {
            0 => String::new(),
            pending => format!(", {} pending", thousands(pending)),
        };
        let run = |what: String, goal| Run::new(what + &beside, &self.floor, Work::V, Some(goal));

        let load = Load { recipients: false, until: Until::Answered, ..writing.load() };
        let stored = stage.relay(load, writing.span, |_| Ok(()))?;
        let sending = run(format!("stored offline, window {}", writing.window), 2.2)
            .with_load(&stored, server.memory()?);
        let drained = stage.drain(&stored.sent)?;
        let draining =
            run("drained after reconnect".into(), 1.5).with_load(&drained, server.memory()?);
        let start = starting(&server, users, pending);
        server.stop()?;
        Ok(Offline { start, sending, draining })
    }

    /// `clients` with a session each, from nothing and all at once; and how long that took beside
    /// what the RSA of server and clients takes when it keeps every processor busy. The middle of
    /// three.
    pub(crate) fn storm(&mut self, clients: usize) -> Result<(Run, Goal)> {
        middle_of_three(|| self.storm_once(clients), |(run, _)| run.ratio())
    }

    fn storm_once(&mut self, clients: usize) -> Result<(Run, Goal)> {
        let name = format!("reconnect storm, {}", count(clients, "client"));
        let run = Run::new(name, &self.floor, Work::RECONNECT, Some(1.2));
        let run = self.admission(run, clients, Errand::Reconnect)?;
        let [server, client] = [Work::RECONNECT, Work::COMING_BACK].map(|work| self.floor.of(work));
        let both = run.floor * (server + client) / server;
        let least = both / processors()? as f64;
        let name = format!("{}: all are back", run.name);
        let goal =
            Goal::new(name, 1.3, 1e6 / run.per_second / least, "times the RSA of both sides");
        Ok((run, goal))
    }

    /// `clients` who are new, all at once.
    pub(crate) fn register(&mut self, clients: usize) -> Result<Run> {
        // Two people with one key are not registered.
        let clients = clients.min(self.keys.len());
        let name = format!("registration, {}", count(clients, "client"));
        let run = Run::new(name, &self.floor, Work::REGISTRATION, None);
        self.admission(run, clients, Errand::Register)
    }

    fn admission(&mut self, run: Run, clients: usize, errand: Errand) -> Result<Run> {
        let people = population::of(clients, self.keys);
        let known = if errand == Errand::Reconnect { &people[..] } else { &[] };
        let (data, server) = self.start(known, 0, 0)?;
        let mut groups = people
            .chunks(clients.div_ceil(processors()?))
            .map(|people| Clients::new(people, server.address(), data.server_key(), errand))
            .collect::<Result<Vec<_>>>()?;
        let account = Account::open(Some(&server), Some(self.yardstick))?;
        let took = Clients::connect_all(&mut groups)?;
        let run = run.with(&account.close()?, clients, &took, server.memory()?);
        drop(groups);
        server.stop()?;
        Ok(run)
    }

    /// Bytes of memory that a session at rest takes. The first half of the sessions fills the
    /// cache of parsed keys, if it is large enough; the second half is measured.
    pub(crate) fn idle(&mut self, connections: usize) -> Result<Goal> {
        let people = population::of(connections, self.keys);
        let (data, server) = self.start(&people, 0, 0)?;
        let key = data.server_key();
        let mut clients = Clients::new(&people, server.address(), key, Errand::Reconnect)?;
        let half = connections / 2;
        clients.connect(0..half, None)?;
        thread::sleep(REST);
        let (before, _) = server.memory()?;
        clients.connect(half..connections, None)?;
        thread::sleep(REST);
        let (after, _) = server.memory()?;
        drop(clients);
        server.stop()?;
        let each = after.saturating_sub(before) as f64 / (connections - half) as f64;
        let name = format!("idle, {}: memory for one", count(connections, "session"));
        Ok(Goal::new(name, 1.0, each, "KiB"))
    }

    /// The time until a server with so much in its database listens.
    pub(crate) fn startup(&mut self, users: u16, pending: u32) -> Result<Goal> {
        let (_data, server) = self.start(&[], users, pending)?;
        let goal = starting(&server, users, pending);
        server.stop()?;
        Ok(goal)
    }

    /// A server with accounts for `people`, and more.
    pub(crate) fn start(
        &self,
        people: &[Person],
        users: u16,
        pending: u32,
    ) -> Result<(ServerData, Server)> {
        let mut data = ServerData::new(&self.dir)?;
        data.register(people)?;
        if users > 0 {
            data.fill(users, pending)?;
        }
        let _cores = self.half(Side::Server)?;
        let server = data.start(&self.binary, &self.settings)?;
        Ok((data, server))
    }

    /// Cores of its own for a side, for as long as what is returned lives, where that is wanted.
    pub(crate) fn half(&self, side: Side) -> Result<Option<Half>> {
        self.apart.then(|| Half::of(side)).transpose()
    }

    pub(crate) fn stage<'a>(
        &self,
        people: &'a [Person],
        stock: &'a Stock,
        server: &'a Server,
        data: &mut ServerData,
    ) -> Stage<'a> {
        let (server_key, threads) = (data.server_key(), self.threads);
        let (yardstick, address) = (Some(self.yardstick), server.address());
        Stage { people, stock, server: Some(server), address, server_key, threads, yardstick }
    }

    /// So many letters for each pair of `people`. What was signed before serves again where it
    /// can, because no two servers here know each other.
    pub(crate) fn stock(
        &mut self,
        people: &[Person],
        each: usize,
        payload: usize,
    ) -> Result<Rc<Stock>> {
        self.stocks.retain(|stock| stock.is_fresh_for(LONGEST_RUN));
        let pairs = people.len() / 2;
        if let Some(stock) = self.stocks.iter().find(|stock| stock.serves(pairs, each, payload)) {
            return Ok(Rc::clone(stock));
        }
        let stock = Rc::new(Stock::sign(people, each, payload)?);
        self.stocks.push(Rc::clone(&stock));
        Ok(stock)
    }
}

impl Writing {
    /// Letters of each pair that a fast server takes in the time, with what the warm-up takes.
    pub(crate) fn letters_each(&self, floor: &Floor) -> usize {
        let least = match (self.pairs, self.window) {
            (1, 1) => floor.of(Work::LETTER_ALONE) / 2.0,
            (_, 1) => 5.0 * floor.verify,
            _ => 2.0 * floor.verify,
        };
        self.letters_at(1e6 / least)
    }

    /// Letters of each pair when all write so many a second.
    pub(crate) fn letters_at(&self, rate: f64) -> usize {
        let span = self.span + warm_up(self.span);
        (span.as_secs_f64() * rate) as usize / self.pairs + 1
    }
}

/// Does something three times, and takes the middle by a figure.
pub(crate) fn middle_of_three<T>(
    mut once: impl FnMut() -> Result<T>,
    figure: impl Fn(&T) -> f64,
) -> Result<T> {
    let mut three = [once()?, once()?, once()?];
    three.sort_by(|one, other| figure(one).total_cmp(&figure(other)));
    let [_, middle, _] = three;
    Ok(middle)
}

fn processors() -> Result<usize> {
    Ok(thread::available_parallelism()?.get())
}

pub(crate) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// A number as people write it.
pub(crate) fn thousands(number: u32) -> String {
    match number {
        ..1_000 => number.to_string(),
        1_000.. => format!("{},{:03}", thousands(number / 1_000), number % 1_000),
    }
}

fn starting(server: &Server, users: u16, pending: u32) -> Goal {
    let (users, pending) = (thousands(users.into()), thousands(pending));
    let name = format!("start with {users} users and {pending} letters");
    Goal::new(name, 1.0, server.took.as_secs_f64(), "s")
}

/// The median latency of a run as a goal.
pub(crate) fn median(run: &Run, limit: f64) -> Result<Goal> {
    let [median, ..] = run.latency.context("the run has latencies")?;
    Ok(Goal::new(format!("{}: median latency", run.name), limit, median / 1e3, "ms"))
}
