//! The server process: the production event handler of every shard, and the turns of its storage, in
//! one thread. All that its channels carry takes its time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SendError, Sender, channel};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_core::crypto::PrivateKey;
use waxwing_core::id::UserId;
use waxwing_core::server::{Identity, RegistrationPolicy, Server, Shard};
use waxwing_core::testing::keys;
use waxwing_core::time::{Instant, Timestamp, UnixTime};
use waxwing_core::wire::Successor;
use waxwing_server::config::Config;
use waxwing_server::exit::Failure;
use waxwing_server::runtime::{
    self, Bans, Channels, Deliveries, EventHandler, Links, Message, Reconfiguration, Request, Route,
};
use waxwing_server::store::{
    Done, Failed, Job, Reports, Storage, StorageClient, StorageError, StorageTurns, TurnOptions,
};
use waxwing_testkit::backend::{Backend, Paper};
use waxwing_testkit::world::SERVER_KEY;
use waxwing_transport_mio::Signal;

use crate::memory_loop::{After, Detached, Heard, MemoryLoop, OwnedSocket};
use crate::timeline::{Event, Line, Timeline, VirtualClock};

/// Microseconds that things take, mostly.
const TURN: usize = 100;
const PARCEL: usize = 200;
const COMMIT: usize = 3_000;
/// Without a job for so long, storage tidies up.
const IDLE: Duration = Duration::from_secs(5);

const END_OF_TIME: Instant = Instant::from_micros(u64::MAX);

type Handler = EventHandler<Paper, VirtualClock, MemoryLoop>;
type Transfer = Vec<Message<Detached>>;

/// The key of a server by its number, and the one that it announces, with the moment from which on it has that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerKey {
    pub(crate) own: usize,
    pub(crate) next: Option<(usize, UnixTime)>,
}

impl ServerKey {
    /// The first one, and no other is planned.
    pub(crate) const FIRST: Self = Self { own: SERVER_KEY, next: None };

    fn successor(self) -> Option<Successor> {
        let (key, effective) = self.next?;
        let spki = Paper::key(key).spki().clone();
        Some(Successor { effective: Timestamp::from_unix(effective), spki })
    }

    fn identity(self) -> Identity<Paper> {
        // Nothing but the first key has a DER, and any bytes do.
        let der = match self.own {
            SERVER_KEY => keys::pkcs8_der(SERVER_KEY).to_vec(),
            other => Paper::key(other).spki().as_bytes().to_vec(),
        };
        let mut identity = Identity::new(&Paper, Paper::key(self.own), &der);
        identity.announce(self.successor());
        identity
    }
}

pub(crate) struct Process {
    number: u64,
    loops: Vec<Loop>,
    channels: Vec<Channel>,
    jobs: Receiver<(usize, Job)>,
    queue: Line<(usize, Job)>,
    /// `None` once storage has failed.
    storage: Option<StorageTurns>,
    storage_is_busy_until: Instant,
    /// When storage is to be looked after next, if nothing comes before.
    storage_looks_at: Option<Instant>,
    /// Why it has failed, as the event handlers say.
    pub(crate) fatal: Option<Failure>,
    signals: usize,
    /// Machines that have said that they have stopped.
    done: usize,
}

struct Loop {
    /// `None` once it has stopped.
    handler: Option<Handler>,
    events: MemoryLoop,
    heard: Heard,
    inbox: Sender<Transfer>,
    completions: Sender<Done>,
    /// Takes a key that follows the server's.
    identities: Sender<Identity<Paper>>,
    /// What storage tells it; nothing where it wakes it.
    reports: Line<Option<Done>>,
    turn_at: Option<Instant>,
}

/// The channel from one shard to another.
struct Channel {
    from: usize,
    to: usize,
    sent: Receiver<Transfer>,
    wakes: Arc<AtomicUsize>,
    /// With a wake-up, or without.
    under_way: Line<(Transfer, bool)>,
}

/// What storage says, in order.
struct Told {
    machines: usize,
    all: Vec<(usize, Option<Done>)>,
}

impl Reports for Told {
    fn machines(&self) -> usize {
        self.machines
    }

    fn tell(&mut self, machine: usize, done: Done) {
        self.all.push((machine, Some(done)));
    }

    fn wake(&mut self, machine: usize) {
        self.all.push((machine, None));
    }
}

impl Process {
    /// A server of so many shards begins with what is in its storage.
    pub(crate) fn start(
        number: u64,
        shards: usize,
        config: &Config,
        key: ServerKey,
        mut storage: Box<dyn Storage>,
        time: &mut Timeline,
    ) -> Result<Self, StorageError> {
        let snapshot = storage.load(UnixTime::default())?;
        let (inboxes, ends): (Vec<_>, Vec<_>) = (0..shards).map(|_| channel()).unzip();
        let (job, jobs) = channel();
        let (mut loops, mut channels) = (Vec::new(), Vec::new());
        let machines = Shard::all(shards as u16);
        for ((at, shard), (inbox, end)) in machines.enumerate().zip(inboxes.into_iter().zip(ends)) {
            let mut routes = Vec::new();
            for to in 0..shards {
                let ((sender, sent), wakes) = (channel(), Arc::new(AtomicUsize::new(0)));
                let counted = wakes.clone();
                let waker = Arc::new(move || {
                    counted.fetch_add(1, Ordering::Relaxed);
                });
                routes.push(Route { inbox: sender, waker });
                channels.push(Channel { from: at, to, sent, wakes, under_way: Line::default() });
            }
            let machine = runtime::machine(config, RegistrationPolicy::default());
            let identity = key.identity();
            let server = Server::shard(Paper, identity, machine, &snapshot, shard, time.now());
            let (identities, successors) = channel();
            let (completions, hear) = channel();
            let links = Links {
                storage: StorageClient::new(at, job.clone()),
                completions: hear,
                channels: Channels::new(routes, end),
                deliveries: Deliveries::default(),
                // Nobody asks anything by a signal but to end.
                signals: channel().0,
                stops: Arc::new(|| {}),
                bans: Bans::default(),
                own_addresses: Vec::new,
                identities: successors,
            };
            let rng = ChaCha20Rng::seed_from_u64(number << 8 | at as u64);
            let handler = EventHandler::new(server, config, time.clock(), rng, links);
            loops.push(Loop {
                handler: Some(handler),
                events: MemoryLoop::new(at),
                heard: Heard::default(),
                inbox,
                completions,
                identities,
                reports: Line::default(),
                turn_at: None,
            });
        }
        let storage = Some(StorageTurns::new(storage, TurnOptions::default()));
        let (queue, storage_is_busy_until) = (Line::default(), time.now().instant);
        let mut process = Self {
            number,
            loops,
            channels,
            jobs,
            queue,
            storage,
            storage_is_busy_until,
            storage_looks_at: None,
            fatal: None,
            signals: 0,
            done: 0,
        };
        (0..shards).for_each(|shard| process.schedule_turn(shard, time));
        process.measure_disk(time);
        process.look_after_storage(time);
        Ok(process)
    }

    /// Whether all loops have stopped.
    pub(crate) fn has_stopped(&self) -> bool {
        self.loops.iter().all(|one| one.handler.is_none())
    }

    /// The number that its events have.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// The machines that run.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &Server<Paper>> {
        self.loops.iter().filter_map(|one| one.handler.as_ref()).map(EventHandler::server)
    }

    /// What its owner shard counts as pending of a sender's.
    pub(crate) fn pending_from(&self, sender: UserId) -> (u32, u64) {
        let shards = Shard::all(self.loops.len() as u16);
        let owner = shards.zip(self.servers()).find(|(shard, _)| shard.owns(sender));
        owner.expect("every shard runs").1.pending_from(sender)
    }

    /// Connections that loops have, and that they count by address.
    pub(crate) fn load(&self) -> (usize, usize) {
        let loads = self.loops.iter().map(|one| one.events.load());
        loads.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }

    /// Letters that were written before the end of the turn that had them.
    pub(crate) fn early_letters(&self) -> usize {
        self.loops.iter().map(|one| one.events.early_letters).sum()
    }

    /// How often a loop was told to read no more from a connection.
    pub(crate) fn pauses(&self) -> usize {
        self.loops.iter().map(|one| one.events.pauses).sum()
    }

    /// Somebody asks for a connection.
    pub(crate) fn call(&mut self, peer: SocketAddr, socket: OwnedSocket, time: &mut Timeline) {
        self.loops[0].heard.callers.push((peer, socket));
        self.schedule_turn(0, time);
    }

    /// Something has arrived on a connection that this loop watches.
    pub(crate) fn notice(&mut self, shard: usize, time: &mut Timeline) {
        self.schedule_turn(shard, time);
    }

    /// Somebody asks the process to end; the second time, at once.
    pub(crate) fn terminate(&mut self, time: &mut Timeline) {
        self.signals += 1;
        self.loops[0].heard.signals.push(Signal::Terminate);
        self.schedule_turn(0, time);
    }

    /// Every shard that runs is to go on with another configuration.
    pub(crate) fn configure(&mut self, config: &Config, time: &mut Timeline) {
        let config = Arc::new(config.clone());
        for shard in 0..self.loops.len() {
            // Nobody waits until it is taken, and no codes are sent.
            let next = Reconfiguration {
                config: config.clone(),
                registration: RegistrationPolicy::default(),
                ways: None,
                taken: channel().0,
            };
            let asked = Message::Request(Request::Configure(next));
            if self.loops[shard].inbox.send(vec![asked]).is_ok() {
                self.wake(shard, time);
            }
        }
    }

    /// Every shard that runs is to announce the key that is planned, or that none is.
    pub(crate) fn announce(&mut self, key: ServerKey, time: &mut Timeline) {
        // Nobody waits until it is taken.
        let successor = key.successor().map(Box::new);
        self.ask_all(|| Request::Announce(successor.clone(), channel().0), time);
    }

    /// Every shard that runs is to go on with this key.
    pub(crate) fn succeed(&mut self, key: ServerKey, time: &mut Timeline) {
        for one in &self.loops {
            // One that has stopped needs none.
            let _ = one.identities.send(key.identity());
        }
        self.ask_all(|| Request::Succeed, time);
    }

    fn ask_all(&mut self, request: impl Fn() -> Request, time: &mut Timeline) {
        for shard in 0..self.loops.len() {
            if self.loops[shard].inbox.send(vec![Message::Request(request())]).is_ok() {
                self.wake(shard, time);
            }
        }
    }

    /// Carries out an event, if it is one of this process.
    pub(crate) fn handle(&mut self, event: Event, time: &mut Timeline) {
        match event {
            Event::Turn(number, shard) if number == self.number => self.turn(shard, time),
            Event::Transfer(number, channel) if number == self.number => {
                self.deliver(channel, time);
            }
            Event::Storage(number) if number == self.number => self.work(time),
            Event::Report(number, machine) if number == self.number => self.report(machine, time),
            _ => {}
        }
    }

    /// All loops have stopped: storage does what is left in its queue, and lets go.
    pub(crate) fn close(mut self) {
        for channel in 0..self.channels.len() {
            while let Some((transfer, _)) = self.channels[channel].under_way.take(END_OF_TIME) {
                self.check_parcel(&transfer);
            }
        }
        let Some(mut storage) = self.storage else { return };
        let mut told = Told { machines: self.loops.len(), all: Vec::new() };
        let jobs = std::iter::from_fn(|| self.queue.take(END_OF_TIME));
        if storage.serve(jobs, &|| END_OF_TIME, &mut told).is_ok() {
            storage.close().expect("it is memory");
        }
    }

    fn schedule_turn(&mut self, shard: usize, time: &mut Timeline) {
        let at = time.soon(TURN);
        self.schedule_turn_at(shard, at, time);
    }

    fn schedule_turn_at(&mut self, shard: usize, at: Instant, time: &mut Timeline) {
        let one = &mut self.loops[shard];
        if one.turn_at.is_none_or(|before| at < before) {
            one.turn_at = Some(at);
            time.schedule(at, Event::Turn(self.number, shard));
        }
    }

    fn turn(&mut self, shard: usize, time: &mut Timeline) {
        let now = time.now().instant;
        let one = &mut self.loops[shard];
        let Some(handler) =
            one.handler.as_mut().filter(|_| one.turn_at.is_some_and(|at| at <= now))
        else {
            return;
        };
        one.turn_at = None;
        let heard = std::mem::take(&mut one.heard);
        match one.events.turn(handler, heard, time.dice()) {
            After::Again => self.schedule_turn(shard, time),
            After::Sleep(nap) => {
                if let Some(nap) = nap {
                    let nap = nap.max(Duration::from_micros(20));
                    self.schedule_turn_at(shard, now.after(nap), time);
                }
            }
            After::Ended => {
                let all_done = self.done == self.loops.len();
                assert!(all_done || !self.is_orderly(), "a loop ends before its machine is done");
                let one = &mut self.loops[shard];
                let fatal = one.handler.take().and_then(EventHandler::into_fatal);
                self.fatal = fatal.or(self.fatal.take());
                one.heard = Heard::default();
            }
        }
        self.send_off(shard, time);
        self.queue_jobs(time);
    }

    /// What the turn of a shard has put into the channels to others.
    fn send_off(&mut self, from: usize, time: &mut Timeline) {
        for (at, channel) in self.channels.iter_mut().enumerate() {
            if channel.from != from {
                continue;
            }
            let mut wakes = channel.wakes.swap(0, Ordering::Relaxed);
            for transfer in channel.sent.try_iter() {
                let says_stopped = |message: &Message<_>| matches!(message, Message::Stopped);
                self.done += usize::from(channel.to == from && transfer.iter().any(says_stopped));
                let arrives = channel.under_way.put(time.soon(PARCEL), (transfer, wakes > 0));
                wakes = wakes.saturating_sub(1);
                time.schedule(arrives, Event::Transfer(self.number, at));
            }
        }
    }

    fn deliver(&mut self, channel: usize, time: &mut Timeline) {
        let Channel { to, under_way, .. } = &mut self.channels[channel];
        let (to, Some((transfer, wakes))) = (*to, under_way.take(time.now().instant)) else {
            return;
        };
        if let Err(SendError(transfer)) = self.loops[to].inbox.send(transfer) {
            self.check_parcel(&transfer);
        }
        if wakes {
            self.wake(to, time);
        }
    }

    /// Whether it ends in good order, if it ends.
    const fn is_orderly(&self) -> bool {
        self.signals == 1 && self.storage.is_some()
    }

    /// A transfer is not taken any more.
    fn check_parcel(&self, transfer: &Transfer) {
        let has_mail = transfer.iter().any(|message| matches!(message, Message::Mail(_)));
        assert!(!self.is_orderly() || !has_mail, "mail for a shard that has stopped");
    }

    fn wake(&mut self, shard: usize, time: &mut Timeline) {
        self.loops[shard].heard.is_woken = true;
        self.schedule_turn(shard, time);
    }

    fn queue_jobs(&mut self, time: &mut Timeline) {
        for job in self.jobs.try_iter() {
            let arrives = self.queue.put(time.soon(TURN), job);
            time.schedule(arrives.max(self.storage_is_busy_until), Event::Storage(self.number));
        }
    }

    /// What has queued up is done, and told when it has taken its time.
    fn work(&mut self, time: &mut Timeline) {
        let now = time.now().instant;
        if now < self.storage_is_busy_until {
            return time.schedule(self.storage_is_busy_until, Event::Storage(self.number));
        }
        let Some(storage) = &mut self.storage else { return };
        let mut told = Told { machines: self.loops.len(), all: Vec::new() };
        let queue = &mut self.queue;
        let mut jobs = std::iter::from_fn(|| queue.take(now)).peekable();
        let is_due = self.storage_looks_at.take_if(|at| *at <= now).is_some();
        let served = if jobs.peek().is_some() {
            let served = storage.serve(jobs, &|| now, &mut told);
            self.storage_is_busy_until = time.soon(COMMIT);
            time.schedule(now.after(IDLE), Event::Storage(self.number));
            served
        } else if now >= self.storage_is_busy_until.after(IDLE / 2) {
            time.schedule(now.after(IDLE), Event::Storage(self.number));
            storage.idle(now, &mut told)
        } else if is_due {
            storage.timeout(now, &mut told)
        } else {
            Ok(())
        };
        if let Err(Failed) = served {
            self.storage = None;
        }
        self.tell(told, time);
        self.look_after_storage(time);
    }

    /// Storage has something to do at a moment of its own.
    fn look_after_storage(&mut self, time: &mut Timeline) {
        let at = self.storage.as_ref().and_then(StorageTurns::poll_timeout);
        if let Some(at) = at.map(|at| at.max(self.storage_is_busy_until))
            && self.storage_looks_at != Some(at)
        {
            self.storage_looks_at = Some(at);
            time.schedule(at, Event::Storage(self.number));
        }
    }

    fn measure_disk(&mut self, time: &mut Timeline) {
        let mut told = Told { machines: self.loops.len(), all: Vec::new() };
        let now = time.now().instant;
        self.storage.iter_mut().for_each(|storage| storage.measure_disk(now, &mut told));
        self.tell(told, time);
    }

    fn tell(&mut self, told: Told, time: &mut Timeline) {
        for (machine, done) in told.all {
            let begins = time.soon(TURN).max(self.storage_is_busy_until);
            let arrives = self.loops[machine].reports.put(begins, done);
            time.schedule(arrives, Event::Report(self.number, machine));
        }
    }

    fn report(&mut self, machine: usize, time: &mut Timeline) {
        match self.loops[machine].reports.take(time.now().instant) {
            // Whoever shuts down may have stopped listening.
            Some(Some(done)) => drop(self.loops[machine].completions.send(done)),
            Some(None) => self.wake(machine, time),
            None => {}
        }
    }
}
