//! A server, its storage, its clocks and its connections, all under the test's hand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use waxwing_core::crypto::{CryptoRng, PrivateKey, RustCrypto, Spki, Unverified};
use waxwing_core::id::UserId;
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::server::storage::{OwnLimits, StoredUser};
use waxwing_core::server::{
    AddressPrefix, Administered, AdministrationError, Baggage, Config, ConnId, Env, Event,
    Identity, LetterState, Mail, Operator, OtpOutcome, OtpTicket, Output, Peer, Report, Server,
    Shard, ShardId,
};
use waxwing_core::time::{Instant, Now, Timestamp, UnixTime};
use waxwing_core::wire::{Packet, Successor};

use crate::backend::Backend;
use crate::disk::Disk;
use crate::packets;
use crate::person::Person;

/// A world with real cryptography.
pub type World = Sim<RustCrypto>;

/// The fixed key that is the server's.
pub const SERVER_KEY: usize = 7;
/// What machines do within this time a test need not wait for: letters are held back from storage,
/// and then statuses for company.
const BLINK: Duration = Duration::from_millis(12);
const START: i64 = 1_795_350_896;

struct Wire {
    bytes: Vec<u8>,
    closed: bool,
    reading: bool,
    /// Who serves it; `None` while it is on its way from one machine to another.
    shard: Option<ShardId>,
    /// What its client has sent meanwhile.
    early: Vec<u8>,
}

/// What one machine sends another.
enum Transfer {
    Mail(Mail),
    Connection(ConnId, Baggage),
}

pub struct Sim<P: Backend> {
    /// The machines that are the server, the registrar first.
    servers: Vec<Server<P>>,
    pub disk: Disk,
    /// Transfers stay on their way until the test says so.
    pub transfers_are_held: bool,
    transfers: BTreeMap<(ShardId, ShardId), VecDeque<Transfer>>,
    /// What the clients draw from; the server has its own.
    pub rng: ChaCha20Rng,
    server_rng: ChaCha20Rng,
    pub now: Now,
    pub events: Vec<Event>,
    pub codes: Vec<(OtpTicket, Phone, Otp)>,
    /// Whether nobody says that codes have gone out.
    pub codes_are_held: bool,
    codes_on_their_way: Vec<(ShardId, OtpTicket)>,
    /// What the operator has asked for and has ended.
    pub administered: Vec<(UserId, Administered)>,
    /// Machines that have stopped.
    stopped: usize,
    /// Whether the DER that wraps session keys has changed.
    pub other_wrap_key: bool,
    /// The numbers of the fixed keys that the server has had, the one that it has last.
    server_keys: Vec<usize>,
    /// What it announces.
    announced: Option<(usize, UnixTime)>,
    /// What the server has from its next start on.
    pub config: Config,
    wires: BTreeMap<ConnId, Wire>,
    last_conn: u64,
    /// The states of letters in hand that there were on machines that are gone.
    letter_states: BTreeSet<LetterState>,
}

impl<P: Backend> Sim<P> {
    pub fn new(config: Config) -> Self {
        Self::seeded(config, Disk::default(), 7)
    }

    pub fn seeded(config: Config, disk: Disk, seed: u64) -> Self {
        Self::sharded(config, disk, seed, shards())
    }

    /// A world whose server is so many machines.
    pub fn sharded(config: Config, disk: Disk, seed: u64, shards: u16) -> Self {
        let now = Now { instant: Instant::from_millis(0), unix: UnixTime::from_seconds(START) };
        let identity = identity(SERVER_KEY, None, false);
        Self {
            servers: start(&config, &disk, &identity, shards, now),
            disk,
            transfers_are_held: false,
            transfers: BTreeMap::new(),
            rng: ChaCha20Rng::seed_from_u64(seed),
            server_rng: ChaCha20Rng::seed_from_u64(!seed),
            now,
            events: Vec::new(),
            codes: Vec::new(),
            codes_are_held: false,
            codes_on_their_way: Vec::new(),
            administered: Vec::new(),
            stopped: 0,
            other_wrap_key: false,
            server_keys: vec![SERVER_KEY],
            announced: None,
            config,
            wires: BTreeMap::new(),
            last_conn: 0,
            letter_states: BTreeSet::new(),
        }
    }

    /// A world with users 1 to `N`, none of whom is connected.
    pub fn populated<const N: usize>(config: Config) -> (Self, [Person<P>; N]) {
        Self::populated_and_seeded(config, 7)
    }

    /// The same, and all of them have come back to nothing.
    pub fn online<const N: usize>(config: Config) -> (Self, [Person<P>; N]) {
        let (mut world, mut people) = Self::populated(config);
        people.iter_mut().for_each(|person| person.come_to_nothing(&mut world));
        (world, people)
    }

    pub fn populated_and_seeded<const N: usize>(
        config: Config,
        seed: u64,
    ) -> (Self, [Person<P>; N]) {
        let (world, people) = Self::populate(config, seed, N);
        (world, people.try_into().ok().expect("as many as were asked for"))
    }

    /// A world with so many users, none of whom is connected.
    ///
    /// # Panics
    /// With real cryptography, for more users than there are fixed keys.
    pub fn populate(config: Config, seed: u64, count: usize) -> (Self, Vec<Person<P>>) {
        Self::populate_shards(config, seed, count, shards())
    }

    /// The same, with a server of so many machines.
    ///
    /// # Panics
    /// As [`Sim::populate`].
    pub fn populate_shards(
        config: Config,
        seed: u64,
        count: usize,
        shards: u16,
    ) -> (Self, Vec<Person<P>>) {
        let mut disk = Disk::default();
        let people = (0..).filter(|at| *at != SERVER_KEY).take(count).zip(1..);
        let people = people.map(|(at, id)| {
            let mut person = Person::new(at);
            person.id = UserId::new(id);
            disk.plant(StoredUser {
                id: person.id(),
                phone: person.phone,
                spki: person.spki(),
                session_key: None,
            });
            person
        });
        let people = people.collect();
        (Self::sharded(config, disk, seed, shards), people)
    }

    pub fn public_key(&self) -> P::PublicKey {
        P::default().public_key(self.servers[0].public_key()).unwrap()
    }

    /// The key that a packet of the server's is signed with, if it has ever had that.
    pub fn key_of(&self, packet: &[u8]) -> P::PublicKey {
        let is_signed = |key: &P::PublicKey| {
            let packet = Packet::parse(packet).unwrap();
            Unverified::new(&P::default(), packet).verify(key).is_ok()
        };
        let former = self.server_keys.iter().rev().skip(1);
        let former = former.map(|at| P::default().public_key(P::key(*at).spki()).unwrap());
        former.into_iter().find(is_signed).unwrap_or_else(|| self.public_key())
    }

    /// The server announces that it will have the fixed key with this number from a moment on, or that it
    /// keeps its own.
    pub fn announce(&mut self, next: Option<(usize, UnixTime)>) {
        self.announced = next;
        let next = next.map(successor::<P>);
        self.operators().for_each(|mut operator| operator.announce(next.clone()));
    }

    /// What it announces.
    pub fn announced(&self) -> Option<(usize, UnixTime)> {
        self.announced
    }

    /// How many keys it has had.
    pub fn server_key_count(&self) -> usize {
        self.server_keys.len()
    }

    /// All machines go on with the fixed key with this number.
    pub fn succeed(&mut self, key: usize) {
        self.announced = None;
        self.server_keys.push(key);
        let other = self.other_wrap_key;
        self.turn_all(|server, env| {
            server.operator().succeed(env, identity(key, None, other));
        });
    }

    /// Connections that the server has.
    pub fn connection_count(&self) -> usize {
        self.servers.iter().map(Server::connection_count).sum()
    }

    /// Sessions that are confirmed.
    pub fn session_count(&self) -> usize {
        self.servers.iter().map(Server::session_count).sum()
    }

    /// What a sender's owner shard counts as pending in all mailboxes: letters, and bytes of packets.
    pub fn pending_from(&self, sender: UserId) -> (u32, u64) {
        let shards = Shard::all(self.shards()).zip(&self.servers);
        let owner = shards.into_iter().find(|(shard, _)| shard.owns(sender));
        owner.map(|(_, server)| server.pending_from(sender)).unwrap()
    }

    /// The states of letters in hand that there were.
    pub fn letter_states(&self) -> BTreeSet<LetterState> {
        let now = self.servers.iter().flat_map(Server::letter_states);
        self.letter_states.iter().copied().chain(now).collect()
    }

    /// The counters of every mailbox that is known are the letters that are in it, and what every
    /// sender has pending is what is in the mailboxes and between the shards.
    ///
    /// # Panics
    /// When one of them is not.
    pub fn assert_counted(&self) {
        let Some(stored) = self.disk.stored() else { return };
        let in_mailboxes = self.servers.iter().flat_map(|server| {
            server.audit(&stored).unwrap_or_else(|owner| {
                panic!(
                    "the mailbox of {owner} is miscounted, or has letters in hand that go astray"
                )
            })
        });
        let between = self.transfers.values().flatten().filter_map(|transfer| match transfer {
            Transfer::Mail(mail) => mail.pending(),
            Transfer::Connection(..) => None,
        });
        let mut pending = BTreeMap::new();
        for (sender, bytes) in in_mailboxes.chain(between) {
            let (letters, sum): &mut (u32, u64) = pending.entry(sender).or_default();
            (*letters, *sum) = (*letters + 1, *sum + bytes);
        }
        for user in self.disk.users() {
            let expected = pending.get(&user.id).copied().unwrap_or_default();
            assert_eq!(self.pending_from(user.id), expected, "what {} has pending", user.id);
        }
    }

    /// The next moment at which one of the machines wants to be woken.
    fn next_timeout(&self) -> Option<(Instant, ShardId)> {
        let ids = Shard::all(self.shards()).map(Shard::id);
        ids.zip(&self.servers).filter_map(|(id, server)| Some((server.poll_timeout()?, id))).min()
    }

    fn shards(&self) -> u16 {
        self.servers.len() as u16
    }

    /// A connection from an address that limits skip.
    pub fn connect(&mut self) -> ConnId {
        self.connect_as(Peer { prefix: AddressPrefix::of([127, 0, 0, 1].into()), exempt: true })
    }

    /// A connection from an address that limits count.
    pub fn connect_from(&mut self, address: &str) -> ConnId {
        let address: IpAddr = address.parse().unwrap();
        self.connect_as(Peer { prefix: AddressPrefix::of(address), exempt: false })
    }

    fn connect_as(&mut self, peer: Peer) -> ConnId {
        self.last_conn += 1;
        let conn = ConnId(self.last_conn);
        let (shard, closed, reading) = (Some(ShardId::REGISTRAR), false, true);
        let wire = Wire { bytes: Vec::new(), closed, reading, shard, early: Vec::new() };
        self.wires.insert(conn, wire);
        self.turn(ShardId::REGISTRAR, |server, env| server.connected(env, conn, peer));
        conn
    }

    /// The client's end goes away.
    pub fn hang_up(&mut self, conn: ConnId) {
        if self.is_closed(conn) {
            return;
        }
        if let Some(shard) = self.wires[&conn].shard {
            self.turn(shard, |server, env| server.disconnected(env, conn));
        }
        self.wires.get_mut(&conn).unwrap().closed = true;
    }

    /// Bytes arrive in a turn of their own, and storage catches up.
    pub fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        self.send_all(&[(conn, bytes.to_vec())]);
    }

    /// Bytes arrive on several connections in one turn, and storage catches up.
    pub fn send_all(&mut self, inputs: &[(ConnId, Vec<u8>)]) {
        self.deliver(inputs);
        self.settle();
    }

    /// Bytes arrive, each machine's in one turn, and nothing else happens.
    pub fn deliver(&mut self, inputs: &[(ConnId, Vec<u8>)]) {
        for (conn, bytes) in inputs {
            let wire = self.wires.get_mut(conn).unwrap();
            if wire.shard.is_none() {
                wire.early.extend_from_slice(bytes);
            }
        }
        for shard in Shard::all(self.shards()).map(Shard::id) {
            let here = |(conn, _): &&(ConnId, Vec<u8>)| self.wires[conn].shard == Some(shard);
            let here: Vec<_> = inputs.iter().filter(here).collect();
            if here.is_empty() {
                continue;
            }
            self.turn(shard, |server, env| {
                for (conn, bytes) in here {
                    server.received(env, *conn, bytes);
                }
            });
        }
    }

    /// The machine that owns a user.
    pub fn owner_of(&self, user: UserId) -> ShardId {
        let owner = Shard::all(self.shards()).find(|shard| shard.owns(user));
        owner.map(Shard::id).unwrap()
    }

    /// The operator has a user removed. What becomes of it is in [`Sim::administered`].
    ///
    /// # Errors
    /// As [`Operator::remove_user`].
    pub fn remove_user(&mut self, user: UserId) -> Result<(), AdministrationError> {
        let mut begun = Ok(());
        let owner = self.owner_of(user);
        self.turn(owner, |server, env| begun = server.operator().remove_user(env, user));
        begun
    }

    /// The server is to have an account of its own. When it is there, [`Sim::administered`] says so.
    ///
    /// # Errors
    /// As [`Operator::enrol`].
    pub fn enrol(&mut self, phone: Phone, spki: &Spki) -> Result<UserId, AdministrationError> {
        let mut begun = Err(AdministrationError::NoSuchUser);
        self.turn(ShardId::REGISTRAR, |server, env| {
            begun = server.operator().enrol(env, phone, spki);
        });
        begun
    }

    /// The operator ends a user's session. Whether there was one.
    pub fn end_session(&mut self, user: UserId) -> bool {
        let mut was_there = false;
        let owner = self.owner_of(user);
        self.turn(owner, |server, env| was_there = server.operator().end_session(env, user));
        was_there
    }

    /// The operator has all sessions end, evenly over a time.
    pub fn drain(&mut self, over: Duration) {
        self.turn_all(|server, env| server.operator().drain(env, over));
    }

    /// The operator does not want that any more.
    pub fn stop_draining(&mut self) {
        self.turn_all(|server, _| server.operator().stop_draining());
    }

    /// The operator has the letters of a mailbox expire that were accepted before a moment.
    ///
    /// # Errors
    /// As [`Operator::remove_user`].
    pub fn expire_letters(
        &mut self,
        user: UserId,
        accepted_before: UnixTime,
    ) -> Result<(), AdministrationError> {
        let mut begun = Ok(());
        let owner = self.owner_of(user);
        self.turn(owner, |server, env| {
            begun = server.operator().expire_letters(env, user, accepted_before);
        });
        begun
    }

    /// The operator suspends a user. Whether it is durable is in [`Sim::administered`].
    ///
    /// # Errors
    /// As [`Operator::remove_user`].
    pub fn suspend(
        &mut self,
        user: UserId,
        until: Option<UnixTime>,
    ) -> Result<(), AdministrationError> {
        let mut begun = Ok(());
        let owner = self.owner_of(user);
        self.turn(owner, |server, env| {
            begun = server.operator().suspend(env, user, until, "spam".into());
        });
        begun
    }

    /// The operator gives a user limits of their own. Whether they are durable is in
    /// [`Sim::administered`].
    ///
    /// # Errors
    /// As [`Operator::remove_user`].
    pub fn set_limits(
        &mut self,
        user: UserId,
        limits: OwnLimits,
    ) -> Result<(), AdministrationError> {
        let mut begun = Ok(());
        let owner = self.owner_of(user);
        self.turn(owner, |server, env| begun = server.operator().set_limits(env, user, limits));
        begun
    }

    /// The operator lets a user in again. Whether it is durable is in [`Sim::administered`].
    ///
    /// # Errors
    /// As [`Operator::remove_user`].
    pub fn resume(&mut self, user: UserId) -> Result<(), AdministrationError> {
        let mut begun = Ok(());
        let owner = self.owner_of(user);
        self.turn(owner, |server, env| begun = server.operator().resume(env, user));
        begun
    }

    /// The machines that are the server, the registrar first, as the operator sees them.
    pub fn operators(&mut self) -> impl Iterator<Item = Operator<'_, P>> {
        self.servers.iter_mut().map(Server::operator)
    }

    /// What the machines say of themselves, the registrar first.
    pub fn reports(&mut self) -> Vec<Report> {
        let now = self.now.instant;
        self.operators().map(|operator| operator.report(now)).collect()
    }

    /// All machines go on with another configuration, and those after them start with it.
    pub fn configure(&mut self, config: Config) {
        self.turn_all(|server, env| server.operator().configure(env, config.clone()));
        self.config = config;
        self.settle();
    }

    /// A turn of every machine.
    pub fn turn_all(&mut self, input: impl Fn(&mut Server<P>, &mut Env<'_>)) {
        for shard in Shard::all(self.shards()) {
            self.turn(shard.id(), &input);
        }
    }

    /// One turn of a machine.
    pub fn turn(&mut self, shard: ShardId, input: impl FnOnce(&mut Server<P>, &mut Env<'_>)) {
        let mut rng = self.server_rng.clone();
        self.turn_drawing(shard, &mut rng, input);
        self.server_rng = rng;
    }

    /// One turn of a machine that draws from this generator. It is the order of the server's event
    /// handler once more: tests of the core step through it, and the core cannot know the server.
    pub fn turn_drawing(
        &mut self,
        shard: ShardId,
        rng: &mut dyn CryptoRng,
        input: impl FnOnce(&mut Server<P>, &mut Env<'_>),
    ) {
        let (at, now) = (usize::from(shard.0), self.now);
        input(&mut self.servers[at], &mut Env { now, rng: &mut *rng });
        // As the real server does: what is ready does not wait for the end of the turn.
        self.carry_out_all(shard);
        self.servers[at].end_turn(&mut Env { now, rng });
        self.carry_out_all(shard);
    }

    fn carry_out_all(&mut self, shard: ShardId) {
        while let Some(output) = self.servers[usize::from(shard.0)].poll_output() {
            self.carry_out(shard, output);
        }
    }

    fn carry_out(&mut self, shard: ShardId, output: Output) {
        if let Output::Send { conn, .. } | Output::Reading { conn, .. } | Output::Close { conn } =
            &output
        {
            assert_eq!(self.wires[conn].shard, Some(shard), "another machine's connection");
        }
        match output {
            Output::Send { conn, packet } => self.open_wire(conn).bytes.extend_from_slice(&packet),
            Output::Reading { conn, on } => {
                let wire = self.open_wire(conn);
                assert_ne!(wire.reading, on, "reading is switched, not repeated");
                wire.reading = on;
            }
            Output::Close { conn } => self.open_wire(conn).closed = true,
            Output::Mail { to, mail } => {
                self.transfers.entry((shard, to)).or_default().push_back(Transfer::Mail(mail));
            }
            Output::Move { conn, to, baggage } => {
                let wire = self.open_wire(conn);
                (wire.shard, wire.reading) = (None, true);
                let transfer = Transfer::Connection(conn, baggage);
                self.transfers.entry((shard, to)).or_default().push_back(transfer);
            }
            Output::Store(batch) => self.disk.store(shard, batch),
            Output::Ask(ask) => self.disk.ask(shard, ask),
            Output::DeliverOtp { ticket, phone, otp } => {
                self.codes.push((ticket, phone, otp));
                self.codes_on_their_way.push((shard, ticket));
            }
            Output::Event(Event::InternalError) => panic!("internal error"),
            Output::Event(event) => self.events.push(event),
            Output::Administered { user, outcome } => self.administered.push((user, outcome)),
            Output::Stopped => self.stopped += 1,
        }
    }

    fn open_wire(&mut self, conn: ConnId) -> &mut Wire {
        let wire = self.wires.get_mut(&conn).unwrap();
        assert!(!wire.closed, "output for a connection that is closed");
        wire
    }

    /// Lets storage do its work, and the machines react, until nothing is left to do now or in a
    /// blink. Then everything has to be counted right.
    pub fn settle(&mut self) {
        self.settle_now();
        let until = self.now.instant.after(BLINK);
        while let Some((at, shard)) = self.next_timeout().filter(|(at, _)| *at <= until) {
            self.set_clock(at.max(self.now.instant));
            self.turn(shard, Server::timeout);
            self.settle_now();
        }
        self.assert_counted();
    }

    fn settle_now(&mut self) {
        while self.disk.has_jobs()
            || self.disk.has_news()
            || self.has_transfers()
            || self.has_codes()
        {
            if self.has_transfers() {
                self.deliver_all_transfers();
            }
            while self.disk.has_jobs() {
                self.disk.work();
            }
            if self.disk.has_news() {
                self.tell_news();
            }
            if self.has_codes() {
                self.tell_of_codes();
            }
        }
    }

    fn has_codes(&self) -> bool {
        !self.codes_are_held && !self.codes_on_their_way.is_empty()
    }

    fn tell_of_codes(&mut self) {
        for (shard, ticket) in std::mem::take(&mut self.codes_on_their_way) {
            self.turn(shard, |server, env| server.otp_ended(env, ticket, OtpOutcome::Delivered));
        }
    }

    fn has_transfers(&self) -> bool {
        !self.transfers_are_held && !self.transfers.is_empty()
    }

    /// A connection that is on its way to another machine arrives, with all that goes before it.
    pub fn bring(&mut self, conn: ConnId) {
        while self.wires[&conn].shard.is_none() {
            let goes = |transfer: &Transfer| matches!(transfer, Transfer::Connection(on, _) if *on == conn);
            let route =
                self.transfers.values().position(|transfers| transfers.iter().any(goes)).unwrap();
            self.deliver_transfers(route, 1);
        }
    }

    /// Pairs of machines between which transfers are on their way.
    pub fn routes(&self) -> usize {
        self.transfers.len()
    }

    /// Every transfer arrives, those of a route in one turn.
    pub fn deliver_all_transfers(&mut self) {
        while !self.transfers.is_empty() {
            self.deliver_transfers(0, usize::MAX);
        }
    }

    /// The oldest transfers on one of the routes arrive, so many at most.
    pub fn deliver_transfers(&mut self, route: usize, count: usize) {
        let Some((&(from, to), transfers)) = self.transfers.iter_mut().nth(route) else { return };
        let arrived: Vec<_> = transfers.drain(..count.min(transfers.len())).collect();
        if transfers.is_empty() {
            self.transfers.remove(&(from, to));
        }
        let mut early = Vec::new();
        for transfer in &arrived {
            if let Transfer::Connection(conn, _) = transfer {
                let wire = self.wires.get_mut(conn).unwrap();
                wire.shard = Some(to);
                early.push((*conn, std::mem::take(&mut wire.early)));
            }
        }
        let is_gone = |conn: &ConnId| self.wires[conn].closed;
        let gone: Vec<_> = early.iter().map(|(conn, _)| *conn).filter(is_gone).collect();
        self.turn(to, |server, env| {
            for transfer in arrived {
                match transfer {
                    Transfer::Mail(mail) => server.mail(env, mail),
                    Transfer::Connection(conn, _) if gone.contains(&conn) => {}
                    Transfer::Connection(conn, baggage) => server.moved_in(env, conn, baggage),
                }
            }
        });
        early.retain(|(conn, bytes)| !bytes.is_empty() && !self.is_closed(*conn));
        self.deliver(&early);
    }

    /// Tells all that storage has ready, in one turn.
    pub fn tell_news(&mut self) {
        let outcomes: Vec<_> = std::iter::from_fn(|| self.disk.next_outcome()).collect();
        let answers: Vec<_> = std::iter::from_fn(|| self.disk.next_answer()).collect();
        for shard in Shard::all(self.shards()).map(Shard::id) {
            let outcomes: Vec<_> = outcomes.iter().filter(|(to, ..)| *to == shard).collect();
            let answers: Vec<_> = answers.iter().filter(|(to, ..)| *to == shard).collect();
            if outcomes.is_empty() && answers.is_empty() {
                continue;
            }
            self.turn(shard, |server, env| {
                for (_, ticket, outcome) in outcomes {
                    server.stored(env, *ticket, *outcome);
                }
                for (_, ticket, answer) in answers {
                    server.answered(env, *ticket, answer.clone());
                }
            });
        }
    }

    /// Tells the outcome of one batch.
    pub fn tell_outcome(&mut self) {
        if let Some((shard, ticket, outcome)) = self.disk.next_outcome() {
            self.turn(shard, |server, env| server.stored(env, ticket, outcome));
        }
    }

    /// Tells the answer to one question.
    pub fn tell_answer(&mut self) {
        if let Some((shard, ticket, answer)) = self.disk.next_answer() {
            self.turn(shard, |server, env| server.answered(env, ticket, answer));
        }
    }

    /// Storage goes on after it was held or mute.
    pub fn release(&mut self) {
        (self.disk.held, self.disk.mute, self.transfers_are_held) = (false, false, false);
        self.settle();
    }

    /// Time passes, and the machine is woken whenever it asked to be.
    pub fn wait(&mut self, span: Duration) {
        let until = self.now.instant.after(span);
        while let Some((at, shard)) = self.next_timeout().filter(|(at, _)| *at <= until) {
            self.set_clock(at.max(self.now.instant));
            self.turn(shard, Server::timeout);
            self.settle_now();
        }
        self.set_clock(until);
    }

    pub fn wait_s(&mut self, seconds: u64) {
        self.wait(Duration::from_secs(seconds));
    }

    /// The clock on the wall is set forward; no time passes.
    pub fn set_forward(&mut self, seconds: i64) {
        self.now.unix = self.now.unix.shifted(seconds);
    }

    fn set_clock(&mut self, instant: Instant) {
        let seconds = |instant: Instant| (instant.as_millis() / 1_000) as i64;
        let passed = seconds(instant) - seconds(self.now.instant);
        self.now = Now { instant, unix: self.now.unix.shifted(passed) };
    }

    /// The server dies, and another starts from what is durable.
    pub fn crash(&mut self) {
        self.crash_into(self.shards());
    }

    /// The same, and the other is so many machines.
    pub fn crash_into(&mut self, shards: u16) {
        self.disk.crash();
        self.wires.values_mut().for_each(|wire| wire.closed = true);
        self.transfers.clear();
        self.codes_on_their_way.clear();
        self.letter_states = self.letter_states();
        let key = *self.server_keys.last().unwrap();
        let identity = identity(key, self.announced, self.other_wrap_key);
        self.servers = start(&self.config, &self.disk, &identity, shards, self.now);
        self.stopped = 0;
    }

    pub fn is_closed(&self, conn: ConnId) -> bool {
        self.wires[&conn].closed
    }

    /// Whether all machines have said that they are done.
    pub fn stopped(&self) -> bool {
        self.stopped == self.servers.len()
    }

    pub fn is_read(&self, conn: ConnId) -> bool {
        self.wires[&conn].reading
    }

    /// Everything that has come on a connection since the last look.
    pub fn bytes(&mut self, conn: ConnId) -> Vec<u8> {
        std::mem::take(&mut self.wires.get_mut(&conn).unwrap().bytes)
    }

    /// The same, packet by packet.
    pub fn packets(&mut self, conn: ConnId) -> Vec<Vec<u8>> {
        let mut bytes = self.bytes(conn);
        let packets = packets::take_whole(&mut bytes);
        assert!(bytes.is_empty(), "not a whole packet");
        packets
    }
}

fn start<P: Backend>(
    config: &Config,
    disk: &Disk,
    identity: &Identity<P>,
    shards: u16,
    now: Now,
) -> Vec<Server<P>> {
    let snapshot = disk.snapshot();
    let machine = |shard| {
        Server::shard(P::default(), identity.clone(), config.clone(), &snapshot, shard, now)
    };
    Shard::all(shards).map(machine).collect()
}

/// That of a server with the fixed key of this number, which announces another one.
fn identity<P: Backend>(
    key: usize,
    announced: Option<(usize, UnixTime)>,
    other_wrap_key: bool,
) -> Identity<P> {
    // Keys without a real number have no DER, and any bytes do.
    let der = if other_wrap_key { vec![1, 2, 3] } else { P::key(key).spki().as_bytes().to_vec() };
    let mut identity = Identity::new(&P::default(), P::key(key), &der);
    identity.announce(announced.map(successor::<P>));
    identity
}

fn successor<P: Backend>((key, effective): (usize, UnixTime)) -> Successor {
    let effective = Timestamp::from_unix(effective);
    Successor { effective, spki: P::key(key).spki().clone() }
}

/// Of how many machines the server is, where a test does not say so: `SIM_SHARDS`, or one.
fn shards() -> u16 {
    std::env::var("SIM_SHARDS").map_or(1, |shards| shards.parse().expect("a number"))
}
