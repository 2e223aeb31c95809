//! A server, its storage, its clocks and its connections, all under the test's hand.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use waxwing_core::crypto::RustCrypto;
use waxwing_core::id::UserId;
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::server::storage::StoredUser;
use waxwing_core::server::{
    AddressPrefix, Config, ConnId, Env, Event, Identity, OtpTicket, Output, Peer, Server,
};
use waxwing_core::testing::keys;
use waxwing_core::time::{Instant, Now, UnixTime};
use waxwing_core::wire::{Frame, deframe};

use crate::backend::Backend;
use crate::disk::Disk;
use crate::person::Person;

/// A world with real cryptography.
pub type World = Sim<RustCrypto>;

/// The fixed key that is the server's.
pub const SERVER_KEY: usize = 7;
const START: i64 = 1_795_350_896;

struct Wire {
    bytes: Vec<u8>,
    closed: bool,
    reading: bool,
}

pub struct Sim<P: Backend> {
    pub server: Server<P>,
    pub disk: Disk,
    /// What the clients draw from; the server has its own.
    pub rng: ChaCha20Rng,
    server_rng: ChaCha20Rng,
    pub now: Now,
    pub events: Vec<Event>,
    pub codes: Vec<(OtpTicket, Phone, Otp)>,
    pub stopped: bool,
    /// Whether the DER that wraps session keys has changed.
    pub other_wrap_key: bool,
    config: Config,
    wires: BTreeMap<ConnId, Wire>,
    last_conn: u64,
}

impl<P: Backend> Sim<P> {
    pub fn new(config: Config) -> Self {
        Self::seeded(config, Disk::default(), 7)
    }

    pub fn seeded(config: Config, disk: Disk, seed: u64) -> Self {
        Self {
            server: start(&config, &disk, false),
            disk,
            rng: ChaCha20Rng::seed_from_u64(seed),
            server_rng: ChaCha20Rng::seed_from_u64(!seed),
            now: Now { instant: Instant::from_millis(0), unix: UnixTime::from_seconds(START) },
            events: Vec::new(),
            codes: Vec::new(),
            stopped: false,
            other_wrap_key: false,
            config,
            wires: BTreeMap::new(),
            last_conn: 0,
        }
    }

    /// A world with users 1 to `N`, none of whom is connected.
    pub fn populated<const N: usize>(config: Config) -> (Self, [Person<P>; N]) {
        Self::populated_and_seeded(config, 7)
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
        (Self::seeded(config, disk, seed), people)
    }

    pub fn public_key(&self) -> P::PublicKey {
        P::default().public_key(self.server.public_key()).unwrap()
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
        self.wires.insert(conn, Wire { bytes: Vec::new(), closed: false, reading: true });
        self.turn(|server, env| server.connected(env, conn, peer));
        conn
    }

    /// The client's end goes away.
    pub fn hang_up(&mut self, conn: ConnId) {
        if !self.is_closed(conn) {
            self.turn(|server, _| server.disconnected(conn));
            self.wires.get_mut(&conn).unwrap().closed = true;
        }
    }

    /// Bytes arrive in a turn of their own, and storage catches up.
    pub fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        self.send_all(&[(conn, bytes.to_vec())]);
    }

    /// Bytes arrive on several connections in one turn, and storage catches up.
    pub fn send_all(&mut self, inputs: &[(ConnId, Vec<u8>)]) {
        self.turn(|server, env| {
            for (conn, bytes) in inputs {
                server.received(env, *conn, bytes);
            }
        });
        self.settle();
    }

    /// One turn of the machine.
    pub fn turn(&mut self, input: impl FnOnce(&mut Server<P>, &mut Env<'_>)) {
        let mut env = Env { now: self.now, rng: &mut self.server_rng };
        input(&mut self.server, &mut env);
        self.server.end_turn(&mut env);
        while let Some(output) = self.server.poll_output() {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { conn, packet } => self.open_wire(conn).bytes.extend_from_slice(&packet),
            Output::Reading { conn, on } => {
                let wire = self.open_wire(conn);
                assert_ne!(wire.reading, on, "reading is switched, not repeated");
                wire.reading = on;
            }
            Output::Close { conn } => self.open_wire(conn).closed = true,
            Output::Store(batch) => self.disk.store(batch),
            Output::Ask(ask) => self.disk.ask(ask),
            Output::DeliverOtp { ticket, phone, otp } => self.codes.push((ticket, phone, otp)),
            Output::Event(Event::InternalError) => panic!("internal error"),
            Output::Event(event) => self.events.push(event),
            Output::Stopped => self.stopped = true,
        }
    }

    fn open_wire(&mut self, conn: ConnId) -> &mut Wire {
        let wire = self.wires.get_mut(&conn).unwrap();
        assert!(!wire.closed, "output for a connection that is closed");
        wire
    }

    /// Lets storage do its work, and the machine react, until nothing is left to do.
    pub fn settle(&mut self) {
        while self.disk.has_jobs() || self.disk.has_news() {
            while self.disk.has_jobs() {
                self.disk.work();
            }
            if self.disk.has_news() {
                self.tell_news();
            }
        }
    }

    /// Tells all that storage has ready, in one turn.
    pub fn tell_news(&mut self) {
        let outcomes: Vec<_> = std::iter::from_fn(|| self.disk.next_outcome()).collect();
        let answers: Vec<_> = std::iter::from_fn(|| self.disk.next_answer()).collect();
        self.turn(|server, env| {
            outcomes.into_iter().for_each(|(ticket, outcome)| server.stored(env, ticket, outcome));
            answers.into_iter().for_each(|(ticket, answer)| server.answered(env, ticket, answer));
        });
    }

    /// Storage goes on after it was held or mute.
    pub fn release(&mut self) {
        (self.disk.held, self.disk.mute) = (false, false);
        self.settle();
    }

    /// Time passes, and the machine is woken whenever it asked to be.
    pub fn wait(&mut self, span: Duration) {
        let until = self.now.instant.after(span);
        while let Some(at) = self.server.poll_timeout().filter(|at| *at <= until) {
            self.set_clock(at.max(self.now.instant));
            self.turn(Server::timeout);
            self.settle();
        }
        self.set_clock(until);
    }

    pub fn wait_s(&mut self, seconds: u64) {
        self.wait(Duration::from_secs(seconds));
    }

    fn set_clock(&mut self, instant: Instant) {
        let seconds = |instant: Instant| (instant.as_millis() / 1_000) as i64;
        let passed = seconds(instant) - seconds(self.now.instant);
        self.now = Now { instant, unix: self.now.unix.shifted(passed) };
    }

    /// The server dies, and another starts from what is durable.
    pub fn crash(&mut self) {
        self.disk.crash();
        self.wires.values_mut().for_each(|wire| wire.closed = true);
        self.server = start(&self.config, &self.disk, self.other_wrap_key);
    }

    pub fn is_closed(&self, conn: ConnId) -> bool {
        self.wires[&conn].closed
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
        let bytes = self.bytes(conn);
        let (mut rest, mut packets) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let Ok(Frame::Complete(header)) = deframe(rest) else { panic!("not a whole packet") };
            let (packet, tail) = rest.split_at(header.packet_len());
            packets.push(packet.to_vec());
            rest = tail;
        }
        packets
    }
}

fn start<P: Backend>(config: &Config, disk: &Disk, other_wrap_key: bool) -> Server<P> {
    let der = if other_wrap_key { &[1, 2, 3][..] } else { keys::pkcs8_der(SERVER_KEY) };
    let identity = Identity::new(&P::default(), P::key(SERVER_KEY), der);
    Server::new(P::default(), identity, config.clone(), disk.snapshot())
}
