//! A server machine with storage in memory, clients on the client machine, and a virtual clock.
//! Bytes travel in pieces of a size that the test chooses.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_core::client::{
    Addressee, Buffers, Client, DriveError, Ended, Env as ClientEnv, Keys, Options, drive,
};
use waxwing_core::crypto::{PrivateKey, Provider, RustCrypto, RustCryptoKey};
use waxwing_core::envelope::{Content, Fingerprint};
use waxwing_core::id::{PacketId, Uid};
use waxwing_core::limits::{MAX_CONTROL_PACKET, MAX_PACKET};
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::server::storage::{Ask, Outcome, Snapshot};
use waxwing_core::server::{AddressPrefix, Config, ConnId, Env, Identity, Output, Peer, Server};
use waxwing_core::testing::keys;
use waxwing_core::time::{Instant, Now, UnixTime};
use waxwing_core::wire::KeyQuestion;

use crate::disk::Disk;
use crate::person::Person;

/// Everything but the clients.
pub(crate) struct PostOffice {
    pub(crate) server: Server<RustCrypto>,
    pub(crate) disk: Disk,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) clock_ms: u64,
    config: Config,
    lines: BTreeMap<ConnId, Line>,
    next_line: u64,
}

/// One connection's bytes on their way.
#[derive(Default)]
struct Line {
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    closed: bool,
}

/// Letters and statuses are held for about this long.
const BLINK: std::time::Duration = std::time::Duration::from_millis(12);
const EPOCH: i64 = 1_795_350_896;

/// Two people with accounts, connected; the first knows the second's key.
pub(crate) fn two_people() -> (PostOffice, Person, Call, Person, Call) {
    let mut office = PostOffice::new();
    let (mut ann, mut ben) = (Person::new(1), Person::new(2));
    let mut ann_call = office.register(&mut ann);
    let ben_call = office.register(&mut ben);
    office.learn_key(&mut ann, &mut ann_call, &ben.phone);
    (office, ann, ann_call, ben, ben_call)
}

impl PostOffice {
    pub(crate) fn new() -> Self {
        let config = Config { otp_in_band: true, ..Config::default() };
        let server = server(&config, Snapshot::default(), clocks_at(0));
        Self {
            server,
            disk: Disk::default(),
            rng: ChaCha20Rng::seed_from_u64(7),
            clock_ms: 0,
            config,
            lines: BTreeMap::new(),
            next_line: 1,
        }
    }

    pub(crate) fn now(&self) -> Now {
        clocks_at(self.clock_ms)
    }

    fn with_server(&mut self, act: impl FnOnce(&mut Server<RustCrypto>, &mut Env<'_>)) {
        let now = self.now();
        let mut env = Env { now, rng: &mut self.rng };
        act(&mut self.server, &mut env);
    }

    /// Lets time pass for the server.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.clock_ms += millis;
        self.with_server(|server, env| server.timeout(env));
        self.settle();
    }

    /// Lets the server do what it wants to do in the next moment, if that is so.
    fn blink(&mut self) -> bool {
        let now = self.now().instant;
        let soon = self.server.poll_timeout().filter(|at| at.since(now) <= BLINK);
        if let Some(at) = soon {
            self.pass(at.since(now).as_millis() as u64);
        }
        soon.is_some()
    }

    fn connect(&mut self) -> ConnId {
        let conn = ConnId(self.next_line);
        self.next_line += 1;
        self.lines.insert(conn, Line::default());
        let prefix = AddressPrefix::of("192.0.2.1".parse().unwrap());
        let peer = Peer { prefix, exempt: true };
        self.with_server(|server, env| server.connected(env, conn, peer));
        self.settle();
        conn
    }

    fn cut(&mut self, conn: ConnId) {
        self.lines.remove(&conn);
        self.with_server(|server, env| server.disconnected(env, conn));
    }

    /// Bytes that clients wrote reach the server in pieces; the server works until it is idle.
    pub(crate) fn carry(&mut self, piece: usize) -> bool {
        let mut moved = false;
        let conns: Vec<_> = self.lines.keys().copied().collect();
        for conn in conns {
            let bytes = std::mem::take(&mut self.lines.get_mut(&conn).unwrap().to_server);
            for piece in bytes.chunks(piece) {
                moved = true;
                self.with_server(|server, env| server.received(env, conn, piece));
                self.settle();
            }
        }
        moved
    }

    fn settle(&mut self) {
        self.with_server(|server, env| server.end_turn(env));
        let mut again = false;
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { conn, packet } => {
                    if let Some(line) = self.lines.get_mut(&conn) {
                        line.to_client.extend_from_slice(&packet);
                    }
                }
                Output::Close { conn } => {
                    if let Some(line) = self.lines.get_mut(&conn) {
                        line.closed = true;
                    }
                }
                Output::Store(batch) => {
                    for write in &batch.writes {
                        self.disk.apply(write);
                    }
                    self.with_server(|s, env| s.stored(env, batch.ticket, Outcome::Done));
                    again = true;
                }
                Output::Mail { .. } | Output::Move { .. } => panic!("there is one machine"),
                Output::Ask(Ask { ticket, question }) => {
                    let answer = self.disk.answer(&question);
                    self.with_server(|s, env| s.answered(env, ticket, answer));
                    again = true;
                }
                Output::Reading { .. } | Output::Event(_) | Output::Stopped => {}
                Output::DeliverOtp { .. } => unreachable!("codes are in-band here"),
            }
        }
        if again {
            self.settle();
        }
    }

    /// The server dies and starts again from what was committed.
    pub(crate) fn crash(&mut self) {
        self.lines.values_mut().for_each(|line| line.closed = true);
        self.server = server(&self.config, self.disk.snapshot(), self.now());
        self.lines.clear();
    }
}

fn clocks_at(clock_ms: u64) -> Now {
    Now {
        instant: Instant::from_millis(clock_ms),
        unix: UnixTime::from_seconds(EPOCH + (clock_ms / 1_000) as i64),
    }
}

fn server(config: &Config, snapshot: Snapshot, now: Now) -> Server<RustCrypto> {
    let der = keys::pkcs8_der(0);
    let key = RustCryptoKey::from_pkcs8_der(der).unwrap();
    let identity = Identity::new(&RustCrypto, key, der);
    Server::new(RustCrypto, identity, config.clone(), &snapshot, now)
}

type Machine = Client<'static, RustCrypto, Vec<u8>>;

/// A person's connection while it lasts.
pub(crate) struct Call {
    pub(crate) client: Machine,
    pub(crate) conn: ConnId,
    pub(crate) otp: Option<Otp>,
    pub(crate) phone_taken: bool,
    pub(crate) ended: Option<Ended>,
}

/// A non-blocking stream onto a line.
struct Wire<'a>(&'a mut Line, usize);

impl embedded_io::ErrorType for Wire<'_> {
    type Error = embedded_io::ErrorKind;
}

impl embedded_io::Read for Wire<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        let count = buf.len().min(self.0.to_client.len()).min(self.1);
        buf[..count].copy_from_slice(&self.0.to_client[..count]);
        self.0.to_client.drain(..count);
        Ok(count)
    }
}

impl embedded_io::ReadReady for Wire<'_> {
    fn read_ready(&mut self) -> Result<bool, Self::Error> {
        Ok(!self.0.to_client.is_empty() || self.0.closed)
    }
}

impl embedded_io::Write for Wire<'_> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        let count = buf.len().min(self.1);
        self.0.to_server.extend_from_slice(&buf[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl embedded_io::WriteReady for Wire<'_> {
    fn write_ready(&mut self) -> Result<bool, Self::Error> {
        Ok(!self.0.closed)
    }
}

impl PostOffice {
    pub(crate) fn call(&mut self, person: &Person) -> Call {
        self.call_with(person, MAX_PACKET)
    }

    /// A connection whose letter buffer has a size of the test's choice.
    pub(crate) fn call_with(&mut self, person: &Person, letter_buffer: usize) -> Call {
        let conn = self.connect();
        let leak = |key: &RustCryptoKey| -> &'static RustCryptoKey {
            let der = key.to_pkcs8_der().unwrap();
            Box::leak(Box::new(RustCryptoKey::from_pkcs8_der(&der).unwrap()))
        };
        let server = RustCryptoKey::from_pkcs8_der(keys::pkcs8_der(0)).unwrap();
        let server = RustCrypto.public_key(server.spki()).unwrap();
        let keys = Keys {
            provider: &RustCrypto,
            own: leak(&person.key),
            server: Box::leak(Box::new(server)),
        };
        let buffers = Buffers {
            letters: vec![0; letter_buffer],
            control: vec![0; MAX_CONTROL_PACKET],
            transmit: vec![0; 2 * MAX_PACKET],
        };
        let options = Options { window: person.window, ..Options::default() };
        let client = Client::new(keys, buffers, options).unwrap();
        Call { client, conn, otp: None, phone_taken: false, ended: None }
    }

    pub(crate) fn env_call<T>(&mut self, act: impl FnOnce(&mut ClientEnv<'_>) -> T) -> T {
        let now = self.now();
        act(&mut ClientEnv { now, rng: &mut self.rng })
    }

    /// Runs everybody until nothing moves any more.
    pub(crate) fn run(&mut self, parties: &mut [(&mut Person, &mut Call)]) {
        self.run_in_pieces(parties, usize::MAX);
    }

    pub(crate) fn run_in_pieces(&mut self, parties: &mut [(&mut Person, &mut Call)], piece: usize) {
        for _ in 0..100_000 {
            let mut moved = false;
            for (person, call) in parties.iter_mut() {
                moved |= self.step(person, call, piece);
            }
            moved |= self.carry(piece);
            if !moved && !self.blink() {
                return;
            }
        }
        panic!("the conversation never ends");
    }

    fn step(&mut self, person: &mut Person, call: &mut Call, piece: usize) -> bool {
        if call.ended.is_some() {
            return false;
        }
        let now = self.now();
        let moved = match self.lines.get_mut(&call.conn) {
            Some(line) => {
                let mut env = ClientEnv { now, rng: &mut self.rng };
                drive(&mut call.client, &mut Wire(line, piece), &mut env)
            }
            None => Err(DriveError::EndOfStream),
        };
        let mut env = ClientEnv { now, rng: &mut self.rng };
        loop {
            match call.client.poll(&mut env) {
                Ok(Some(event)) => {
                    let todo = person.learn(event);
                    person.act(&mut env, call, todo);
                }
                Ok(None) => break,
                Err(ended) => {
                    call.ended = Some(ended);
                    break;
                }
            }
        }
        if let Some(key) = call.client.proven_session_key() {
            person.last_key = Some(key.clone());
        }
        match moved {
            Ok(moved) => moved.read + moved.written > 0,
            Err(_) => {
                call.ended.get_or_insert(Ended::TimedOut);
                false
            }
        }
    }

    /// Registers a person, in band, and leaves them in session.
    pub(crate) fn register(&mut self, person: &mut Person) -> Call {
        let mut call = self.call(person);
        let (phone, reply_key) = (person.phone, person.reply_key.clone());
        self.env_call(|env| call.client.request_otp(env, &phone, &reply_key)).unwrap();
        self.run(&mut [(person, &mut call)]);
        let otp = call.otp.clone().expect("an in-band code");
        self.env_call(|env| call.client.prove_otp(env, &phone, &reply_key, &otp)).unwrap();
        self.run(&mut [(person, &mut call)]);
        assert!(person.user.is_some(), "{:?}", call.ended);
        call
    }

    /// Reconnects a person and runs until the backlog has come.
    pub(crate) fn reconnect(&mut self, person: &mut Person) -> Call {
        let mut call = self.call(person);
        let user = person.user.unwrap();
        let key = person.last_key.clone();
        self.env_call(|env| call.client.reconnect(env, user, key.as_ref())).unwrap();
        self.run(&mut [(person, &mut call)]);
        call
    }

    pub(crate) fn hang_up(&mut self, call: Call) {
        self.cut(call.conn);
    }

    pub(crate) fn learn_key(&mut self, person: &mut Person, call: &mut Call, of: &Phone) {
        let question = KeyQuestion::ByPhone(*of);
        self.env_call(|env| call.client.ask_for_key(env, question)).unwrap();
        self.run(&mut [(person, call)]);
    }

    /// Sends a text and returns its packet id; it is on its way, not more.
    pub(crate) fn send(
        &mut self,
        person: &mut Person,
        call: &mut Call,
        to: &Phone,
        text: &str,
    ) -> PacketId {
        let uid = Uid::generate(&mut self.rng);
        self.send_as(person, call, to, text, &uid)
    }

    pub(crate) fn send_as(
        &mut self,
        person: &mut Person,
        call: &mut Call,
        to: &Phone,
        text: &str,
        uid: &Uid,
    ) -> PacketId {
        let contact = person.contacts.values().find(|c| c.phone == *to).expect("a known contact");
        let key = RustCrypto.public_key(&contact.spki).unwrap();
        let fingerprint = Fingerprint::of(&RustCrypto, &contact.phone, &contact.spki);
        let to = Addressee { user: contact.user, fingerprint: &fingerprint, key: &key };
        let from = person.fingerprint();
        let content = Content::Text(text);
        let id = self
            .env_call(|env| call.client.compose(env, &from, &to, uid, &content))
            .expect("room for a letter");
        call.client.release_composed();
        person.sent.push(id);
        id
    }

    pub(crate) fn spoil(&mut self, call: &Call, at: usize) {
        let line = self.lines.get_mut(&call.conn).unwrap();
        line.to_client[at] ^= 1;
    }

    /// Moves what the client wrote onto the line without letting the server answer.
    pub(crate) fn flush(&mut self, call: &mut Call) {
        let now = self.now();
        let line = self.lines.get_mut(&call.conn).unwrap();
        let mut env = ClientEnv { now, rng: &mut self.rng };
        let _ = drive(&mut call.client, &mut Wire(line, usize::MAX), &mut env);
    }

    /// Bytes that the client has not written follow those that it has.
    pub(crate) fn inject(&mut self, call: &Call, bytes: &[u8]) {
        self.lines.get_mut(&call.conn).unwrap().to_server.extend_from_slice(bytes);
    }

    /// Bytes that the server has not written follow those that it has.
    pub(crate) fn inject_to_client(&mut self, call: &Call, bytes: &[u8]) {
        self.lines.get_mut(&call.conn).unwrap().to_client.extend_from_slice(bytes);
    }

    /// Throws away what the server has said and the client has not read.
    pub(crate) fn lose_answers(&mut self, call: &Call) {
        self.lines.get_mut(&call.conn).unwrap().to_client.clear();
    }
}

impl PostOffice {
    /// A second passes for a client, so that what it collected goes out.
    pub(crate) fn tick(&mut self, parties: &mut [(&mut Person, &mut Call)]) {
        self.clock_ms += 1_100;
        for (_, call) in parties.iter_mut() {
            let now = self.now();
            call.client.timeout(&mut ClientEnv { now, rng: &mut self.rng });
        }
        self.run(parties);
    }
}
