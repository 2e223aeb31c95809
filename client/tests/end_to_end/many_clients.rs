//! Hundreds of clients at once, as machines of the core in one thread: as processes they would
//! measure the machine that runs the test.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use waxwing::backend::{Backend, BackendKey, BackendPublicKey, generate_key, provider, rng};
use waxwing::clock;
use waxwing::keys::read_server_key;
use waxwing_core::client::{
    Addressee, Buffers, Client, Env, Event, Keys, LetterName, Options, drive,
};
use waxwing_core::crypto::{PrivateKey, Provider, ReplyKey, Unverified};
use waxwing_core::envelope::{self, Content, Fingerprint};
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::limits::MAX_CONTROL_PACKET;
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::time::{self, Now};
use waxwing_core::wire::{KeyAnswer, KeyQuestion, Packet, Status};

use crate::process::PATIENCE;
use crate::test_server::TestServer;

const FIRST_USERS: usize = 200;
const NEWCOMERS: usize = 20;
/// How far memory may move between two rounds that do the same.
const FLAT: u64 = 4 << 10;

/// Who somebody is, on their own machine.
struct Identity {
    phone: Phone,
    key: BackendKey,
    fingerprint: Fingerprint,
    reply_key: ReplyKey,
}

impl Identity {
    fn new(number: usize) -> Self {
        let phone = Phone::parse(format!("+4915100{number:05}").as_bytes()).unwrap();
        let key = generate_key().unwrap();
        let fingerprint = Fingerprint::of(&provider(), &phone, key.spki());
        Self { phone, key, fingerprint, reply_key: ReplyKey::generate(&mut rng()) }
    }

    /// Identities as they are made. Making keys is most of the work, so every core does some of it,
    /// while those who came first register.
    fn many(count: usize) -> Receiver<&'static Self> {
        let (ready, identities) = channel();
        let threads = thread::available_parallelism().map_or(1, usize::from);
        for first in 0..threads {
            let ready = ready.clone();
            thread::spawn(move || {
                for number in (first..count).step_by(threads) {
                    // Connections borrow it until the process ends. Nobody listens any more
                    // when the test has failed.
                    let _ = ready.send(&*Box::leak(Box::new(Self::new(number))));
                }
            });
        }
        identities
    }
}

/// What a client has learnt, without its memory.
enum Learnt {
    Code(Otp),
    Session(UserId),
    Ready,
    Key(Box<KeyAnswer>),
    Letter(PacketId, Option<UserId>, Vec<u8>),
    Status(LetterName, Status),
}

struct Member<'k> {
    identity: &'k Identity,
    client: Client<'k, Backend, Vec<u8>>,
    socket: Socket,
    user: Option<UserId>,
    is_ready: bool,
    /// What to write as soon as the recipient's key is here.
    text: String,
    unanswered: Vec<PacketId>,
    received: Vec<String>,
}

impl<'k> Member<'k> {
    fn new(identity: &'k Identity, server: SocketAddr, server_key: &'k BackendPublicKey) -> Self {
        const PROVIDER: &Backend = &provider();
        let keys = Keys { provider: PROVIDER, own: &identity.key, server: server_key };
        let (letters, control) = (vec![0; 2_048], vec![0; MAX_CONTROL_PACKET]);
        let buffers = Buffers { letters, control, transmit: vec![0; 3 * MAX_CONTROL_PACKET] };
        Self {
            identity,
            client: Client::new(keys, buffers, Options::default()).unwrap(),
            socket: Socket::connect(server),
            user: None,
            is_ready: false,
            text: String::new(),
            unanswered: Vec::new(),
            received: Vec::new(),
        }
    }

    fn begin(&mut self, env: &mut Env<'_>) {
        self.client.request_otp(env, &self.identity.phone, &self.identity.reply_key).unwrap();
    }

    fn write_to(&mut self, env: &mut Env<'_>, phone: &Phone, text: String) {
        self.text = text;
        self.client.ask_for_key(env, KeyQuestion::ByPhone(*phone)).unwrap();
    }

    /// Whether nothing happened.
    fn turn(&mut self, env: &mut Env<'_>, people: &Directory<'_>) -> bool {
        let moved = drive(&mut self.client, &mut self.socket, env).unwrap();
        for learnt in self.drain(env) {
            self.act(env, people, learnt);
        }
        moved.is_nothing()
    }

    fn drain(&mut self, env: &mut Env<'_>) -> Vec<Learnt> {
        let mut all = Vec::new();
        while let Some(event) = self.client.poll(env).unwrap() {
            let is_letter = matches!(event, Event::Letter(_));
            all.push(match event {
                Event::OtpIssued(grant) => Learnt::Code(grant.otp.unwrap()),
                Event::SessionIssued { user } => Learnt::Session(user),
                Event::BacklogEnd(_) => Learnt::Ready,
                Event::Key(answer) => Learnt::Key(Box::new(answer)),
                Event::Letter(letter) => {
                    let bytes = letter.packet().as_bytes().to_vec();
                    Learnt::Letter(letter.id(), letter.header().sender, bytes)
                }
                Event::Status { letter, status } => Learnt::Status(letter, status),
                other => panic!("{other:?}"),
            });
            if is_letter {
                self.client.release_letter();
            }
        }
        all
    }

    fn act(&mut self, env: &mut Env<'_>, people: &Directory<'_>, learnt: Learnt) {
        let identity = self.identity;
        match learnt {
            Learnt::Code(code) => {
                self.client.prove_otp(env, &identity.phone, &identity.reply_key, &code).unwrap();
            }
            Learnt::Session(user) => self.user = Some(user),
            Learnt::Ready => self.is_ready = true,
            Learnt::Key(answer) => {
                let fingerprint = Fingerprint::of(&provider(), &answer.phone, &answer.spki);
                let key = provider().public_key(&answer.spki).unwrap();
                let to = Addressee { user: answer.user, fingerprint: &fingerprint, key: &key };
                let (uid, content) = (Uid::generate(&mut rng()), Content::Text(&self.text));
                let id =
                    self.client.compose(env, &identity.fingerprint, &to, &uid, &content).unwrap();
                self.client.release_composed();
                self.unanswered.push(id);
            }
            Learnt::Letter(id, sender, mut bytes) => {
                let len = bytes.len();
                let sender = people[&sender.unwrap()];
                let key = provider().public_key(sender.key.spki()).unwrap();
                let packet = Packet::parse(bytes.as_mut_slice()).unwrap();
                let verified = Unverified::new(&provider(), packet).verify(&key).unwrap();
                let (from, own) = (&sender.fingerprint, &identity.fingerprint);
                let opened =
                    envelope::open(&provider(), env.rng, from, own, &identity.key, verified);
                let Content::Text(text) = opened.unwrap().content else { panic!() };
                self.received.push(text.to_owned());
                self.client.acknowledge(env, id, len);
            }
            Learnt::Status(letter, Status::Stored | Status::Delivered) => {
                self.unanswered.retain(|id| id.prefix() != letter.prefix());
            }
            // Shared acknowledgments are noise to all but one, and noise sometimes looks like
            // a status of a letter that nobody has sent.
            Learnt::Status(..) => {}
        }
    }
}

/// Who has which id.
type Directory<'k> = HashMap<UserId, &'k Identity>;

struct Clients<'k> {
    members: Vec<Member<'k>>,
    people: Directory<'k>,
    started: Instant,
}

impl<'k> Clients<'k> {
    fn with_env<T>(&mut self, act: impl FnOnce(&mut Self, &mut Env<'_>) -> T) -> T {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap();
        let now = Now { instant: time::Instant::from_millis(millis), unix: clock::now() };
        let mut rng = rng();
        act(self, &mut Env { now, rng: &mut rng })
    }

    fn join(&mut self, member: Member<'k>) {
        self.members.push(member);
        self.with_env(|clients, env| clients.members.last_mut().unwrap().begin(env));
    }

    /// Goes on until `is_done`.
    fn run_until(&mut self, what: &str, is_done: impl Fn(&[Member<'_>]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_done(&self.members) {
            assert!(Instant::now() < deadline, "never: {what}");
            let mut idle = true;
            for at in 0..self.members.len() {
                idle &= self.with_env(|clients, env| {
                    let member = &mut clients.members[at];
                    let idle = member.turn(env, &clients.people);
                    if let Some(user) = member.user {
                        clients.people.insert(user, member.identity);
                    }
                    idle
                });
            }
            if idle {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Each of the first `count` writes to another of them, `distance` further on.
    fn write(&mut self, count: usize, distance: usize) {
        for at in 0..count {
            let phone = self.members[(at + distance) % count].identity.phone;
            let text = format!("{distance} from {at}");
            self.with_env(|clients, env| clients.members[at].write_to(env, &phone, text));
        }
    }

    /// What [`Clients::write`] wrote has arrived, exactly once.
    fn check(&mut self, count: usize, distance: usize) {
        for (at, member) in self.members[..count].iter_mut().enumerate() {
            let from = (at + count - distance) % count;
            assert_eq!(member.received, [format!("{distance} from {from}")]);
            member.received.clear();
        }
    }
}

fn is_quiet(members: &[Member<'_>]) -> bool {
    members.iter().all(|member| member.is_ready && member.unanswered.is_empty())
}

#[test]
fn two_hundred_clients_at_once_write_to_one_another_while_others_register() {
    let server = TestServer::new();
    let server_key = read_server_key(&server.public_key()).unwrap();
    let server_key = provider().public_key(&server_key).unwrap();
    let identities = Identity::many(FIRST_USERS + NEWCOMERS);
    let started = Instant::now();
    let mut clients = Clients { members: Vec::new(), people: Directory::new(), started };
    for identity in identities.iter().take(FIRST_USERS) {
        clients.join(Member::new(identity, server.address(), &server_key));
        // All at once they would time out where the server was built without optimisation: it
        // looks for small factors in every key.
        clients.run_until("some have registered", |members| {
            members.iter().filter(|member| !member.is_ready).count() < NEWCOMERS
        });
    }
    clients.run_until("all have registered", is_quiet);
    let newcomers: Vec<_> = identities.iter().collect();

    clients.write(FIRST_USERS, 1);
    for identity in newcomers {
        clients.join(Member::new(identity, server.address(), &server_key));
    }
    let everybody = FIRST_USERS + NEWCOMERS;
    let has_received = |count| {
        move |members: &[Member<'_>]| {
            is_quiet(members) && members[..count].iter().all(|member| !member.received.is_empty())
        }
    };
    clients.run_until("the first letters", has_received(FIRST_USERS));
    clients.check(FIRST_USERS, 1);
    assert_eq!(clients.people.len(), everybody);

    // Once more to warm up, then twice to measure.
    let mut sizes = Vec::new();
    for distance in [2, 3, 4, 5] {
        clients.write(everybody, distance);
        clients.run_until("letters of everybody", has_received(everybody));
        clients.check(everybody, distance);
        sizes.push(server.process().resident_memory());
    }
    let growth = sizes[3].saturating_sub(sizes[0]);
    assert!(growth <= FLAT, "memory grows: {sizes:?} KiB");
}

/// A non-blocking connection as `embedded_io` wants to see it.
struct Socket {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl Socket {
    fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, ahead: Vec::new() }
    }
}

impl embedded_io::ErrorType for Socket {
    type Error = Infallible;
}

impl embedded_io::ReadReady for Socket {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        if self.ahead.is_empty() {
            let mut buffer = [0; 2_048];
            match self.stream.read(&mut buffer) {
                Ok(0) => panic!("the server closed a connection"),
                Ok(count) => self.ahead.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
        Ok(!self.ahead.is_empty())
    }
}

impl embedded_io::Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let count = self.ahead.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.ahead[..count]);
        self.ahead.drain(..count);
        Ok(count)
    }
}

impl embedded_io::WriteReady for Socket {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        // So little is written that it always fits.
        Ok(true)
    }
}

impl embedded_io::Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(self.stream.write(bytes).unwrap())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
