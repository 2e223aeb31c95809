//! A server on a loop: the server machine over TCP sockets of the standard library, with storage in
//! memory. `cargo run -p waxwing-core --example server` starts it, sends it bytes that are no packet,
//! prints what it says about them, and stops it.
//!
//! It shows what a caller of the machine owes it. It is no server for use: storage ends with the
//! process, the key is one that everybody has, one-time passwords prove no phone, and the standard
//! library cannot wait for several sockets, so the loop looks at each of them every millisecond.
//! `waxwing-server` has the rest.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_core::crypto::{PrivateKey, Provider};
use waxwing_core::crypto::{RustCrypto, RustCryptoKey, Spki, Unverified};
use waxwing_core::server::storage::{
    Answer, Ask, Batch, Outcome, PendingLetter, Question, QueueId, SenderUsage, Snapshot, Ticket,
    Write,
};
use waxwing_core::server::{AddressPrefix, Config, ConnId, Env, Identity, Output, Peer, Server};
use waxwing_core::testing::keys;
use waxwing_core::time::{Instant, Now, UnixTime};
use waxwing_core::wire::{ErrorCode, Packet, Refusal, Status};

/// Between two looks at the sockets.
const LOOK: Duration = Duration::from_millis(1);

pub(crate) fn main() {
    let server = RunningServer::start();
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.write_all(&[0xff; 300]).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    let answer = Unverified::new(&RustCrypto, Packet::parse(&answer[..]).unwrap());
    let answer = answer.verify(&RustCrypto.public_key(&server.key).unwrap()).unwrap();
    let code = ErrorCode::from_code(Refusal::parse(answer.payload()).unwrap().code).unwrap();
    assert_eq!(code, ErrorCode::Malformed);
    println!("the server refuses 300 bytes that are no packet: {code}");
    server.stop();
    println!("the server has stopped");
}

/// A server in a thread of its own.
pub(crate) struct RunningServer {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its public key, for clients to trust.
    pub(crate) key: Spki,
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl RunningServer {
    /// Starts it on a port that is free.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let key = RustCryptoKey::from_pkcs8_der(keys::pkcs8_der(0)).unwrap().spki().clone();
        let (stop, stopping) = channel();
        let thread = thread::spawn(move || Loop::new(listener).run(&stopping));
        Self { address, key, stop, thread }
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// Both clocks of the machine.
pub(crate) fn now(start: std::time::Instant) -> Now {
    let micros = u64::try_from(start.elapsed().as_micros()).unwrap();
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Now {
        instant: Instant::from_micros(micros),
        unix: UnixTime::from_seconds(i64::try_from(since_1970.as_secs()).unwrap()),
    }
}

/// One client's socket.
struct Line {
    socket: TcpStream,
    unsent: Vec<u8>,
    is_read: bool,
    is_closing: bool,
}

impl Line {
    /// Writes what the socket takes. Whether the line goes on.
    fn write(&mut self) -> bool {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        !self.is_closing
    }
}

struct Loop {
    server: Server<RustCrypto>,
    storage: Memory,
    listener: TcpListener,
    lines: BTreeMap<ConnId, Line>,
    last_line: u64,
    /// What storage has done, and the machine has not heard of.
    done: Vec<Done>,
    rng: ChaCha20Rng,
    start: std::time::Instant,
}

enum Done {
    Stored(Ticket, Outcome),
    Answered(Ticket, Answer),
}

impl Loop {
    fn new(listener: TcpListener) -> Self {
        listener.set_nonblocking(true).unwrap();
        let start = std::time::Instant::now();
        // Everybody has this key, and can foresee these numbers.
        let der = keys::pkcs8_der(0);
        let key = RustCryptoKey::from_pkcs8_der(der).unwrap();
        let identity = Identity::new(&RustCrypto, key, der);
        let config = Config { otp_in_band: true, ..Config::default() };
        let server = Server::new(RustCrypto, identity, config, &Snapshot::default(), now(start));
        Self {
            server,
            storage: Memory::default(),
            listener,
            lines: BTreeMap::new(),
            last_line: 0,
            done: Vec::new(),
            rng: ChaCha20Rng::seed_from_u64(1),
            start,
        }
    }

    fn run(mut self, stopping: &Receiver<()>) {
        let mut is_stopping = false;
        loop {
            if !is_stopping && stopping.try_recv() != Err(TryRecvError::Empty) {
                is_stopping = true;
                self.with_server(|server, env| server.stop(env));
            }
            // 1. What has happened.
            self.accept();
            self.read();
            for done in std::mem::take(&mut self.done) {
                self.with_server(|server, env| match done {
                    Done::Stored(ticket, outcome) => server.stored(env, ticket, outcome),
                    Done::Answered(ticket, answer) => server.answered(env, ticket, answer),
                });
            }
            let now = now(self.start).instant;
            if self.server.poll_timeout().is_some_and(|due| due <= now) {
                self.with_server(Server::timeout);
            }
            // 2. The end of the turn, and what comes out of it.
            self.with_server(Server::end_turn);
            while let Some(output) = self.server.poll_output() {
                if !self.carry_out(output) {
                    return;
                }
            }
            // 3. The bytes that came out.
            self.write();
            if self.done.is_empty() {
                thread::sleep(LOOK);
            }
        }
    }

    fn with_server(&mut self, act: impl FnOnce(&mut Server<RustCrypto>, &mut Env<'_>)) {
        act(&mut self.server, &mut Env { now: now(self.start), rng: &mut self.rng });
    }

    fn accept(&mut self) {
        while let Ok((socket, address)) = self.listener.accept() {
            socket.set_nonblocking(true).unwrap();
            self.last_line += 1;
            let conn = ConnId(self.last_line);
            let (unsent, is_read, is_closing) = (Vec::new(), true, false);
            self.lines.insert(conn, Line { socket, unsent, is_read, is_closing });
            let peer = Peer { prefix: AddressPrefix::of(address.ip()), exempt: false };
            self.with_server(|server, env| server.connected(env, conn, peer));
        }
    }

    fn read(&mut self) {
        let conns: Vec<_> = self.lines.keys().copied().collect();
        for conn in conns {
            let mut bytes = [0; 16 * 1_024];
            let Some(line) = self.lines.get_mut(&conn).filter(|line| line.is_read) else {
                continue;
            };
            match line.socket.read(&mut bytes) {
                Ok(count @ 1..) => {
                    self.with_server(|server, env| server.received(env, conn, &bytes[..count]));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => {
                    self.lines.remove(&conn);
                    self.with_server(|server, env| server.disconnected(env, conn));
                }
            }
        }
    }

    /// Does one thing that the machine asks for. Whether there is more to come.
    fn carry_out(&mut self, output: Output) -> bool {
        match output {
            Output::Send { conn, packet } => {
                if let Some(line) = self.lines.get_mut(&conn) {
                    line.unsent.extend_from_slice(&packet);
                }
            }
            Output::Reading { conn, on } => {
                if let Some(line) = self.lines.get_mut(&conn) {
                    line.is_read = on;
                }
            }
            Output::Close { conn } => {
                if let Some(line) = self.lines.get_mut(&conn) {
                    (line.is_read, line.is_closing) = (false, true);
                }
            }
            Output::Store(batch) => {
                self.storage.apply(&batch);
                self.done.push(Done::Stored(batch.ticket, Outcome::Done));
            }
            Output::Ask(Ask { ticket, question }) => {
                self.done.push(Done::Answered(ticket, self.storage.answer(&question)));
            }
            Output::Event(event) => eprintln!("server: {event:?}"),
            Output::Stopped => {
                self.write();
                return false;
            }
            Output::Administered { .. } => unreachable!("nobody has asked for it"),
            Output::Mail { .. } | Output::Move { .. } => unreachable!("there is one shard"),
            Output::DeliverOtp { .. } => unreachable!("codes are in the answer to a 100"),
        }
        true
    }

    fn write(&mut self) {
        let mut ended = Vec::new();
        self.lines.retain(|conn, line| {
            let goes_on = line.write();
            if !goes_on && !line.is_closing {
                ended.push(*conn);
            }
            goes_on
        });
        for conn in ended {
            self.with_server(|server, env| server.disconnected(env, conn));
        }
    }
}

/// Storage that ends with the process. Users are not kept: a machine asks for them at its start only.
#[derive(Default)]
struct Memory {
    letters: BTreeMap<QueueId, PendingLetter>,
}

impl Memory {
    fn apply(&mut self, batch: &Batch) {
        for write in &batch.writes {
            match write {
                Write::InsertLetter(letter) => {
                    self.letters.insert(letter.queue_id, PendingLetter::clone(letter));
                }
                Write::DeleteLetters { letters, .. } => {
                    letters.iter().for_each(|letter| drop(self.letters.remove(letter)));
                }
                Write::CreateUser { .. }
                | Write::ConfirmSession { .. }
                | Write::KeepAllowances(_)
                | Write::ForgetAllowances(_)
                | Write::RemoveUser { .. }
                | Write::Suspend { .. }
                | Write::Resume { .. }
                | Write::SetLimits { .. } => {}
            }
        }
    }

    fn answer(&self, question: &Question) -> Answer {
        match question {
            Question::Letters { recipient, after, max_letters, max_bytes } => {
                let all = self.letters.values().filter(|letter| letter.recipient == *recipient);
                let mut rest = all.filter(|letter| letter.queue_id > *after).peekable();
                let (mut letters, mut bytes) = (Vec::new(), 0);
                while let Some(letter) = rest.peek() {
                    bytes += letter.packet.len();
                    let is_too_much = letters.len() == *max_letters || bytes > *max_bytes;
                    if is_too_much && !letters.is_empty() {
                        break;
                    }
                    letters.extend(rest.next().cloned());
                }
                let exhausted = rest.peek().is_none();
                Answer::Letters { letters, damaged: Vec::new(), exhausted }
            }
            Question::Usage { recipient } => {
                let mut usage = BTreeMap::new();
                for letter in self.letters.values().filter(|it| it.recipient == *recipient) {
                    let none = SenderUsage { sender: letter.sender, letters: 0, bytes: 0 };
                    let sum = usage.entry(letter.sender).or_insert(none);
                    (sum.letters, sum.bytes) =
                        (sum.letters + 1, sum.bytes + letter.packet.len() as u64);
                }
                Answer::Usage(usage.into_values().collect())
            }
            Question::Fates { asker, letters } => {
                let fates = letters.iter().map(|query| {
                    let pending = self.letters.values().find(|letter| letter.id == query.letter);
                    let status = match pending {
                        None => Status::Delivered,
                        Some(letter) if letter.sender == *asker => Status::Stored,
                        Some(_) => Status::Unknown,
                    };
                    (query.letter, status)
                });
                Answer::Fates(fates.collect())
            }
            // The process does not live for thirty days, and nobody asks it to.
            Question::Expire { .. } | Question::TakeOut { .. } => Answer::Expired(Vec::new()),
        }
    }
}
