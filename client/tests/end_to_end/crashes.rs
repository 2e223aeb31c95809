//! The server dies again and again, at any moment and at the worst ones, while twenty people write
//! to one another. What they were told is held against what they got.
//!
//! `WAXWING_CRASHES=n` says how often it dies.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rand_core::Rng;
use waxwing::backend::{Backend, BackendKey, BackendPublicKey, generate_key, provider, rng};
use waxwing::clock;
use waxwing::keys::read_server_key;
use waxwing_core::client::{Addressee, Buffers, Client, Env, Event, Keys, LetterName, Options};
use waxwing_core::crypto::{PrivateKey, Provider, ReplyKey};
use waxwing_core::envelope::{self, Content, Fingerprint, OpenedLetter};
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::limits::MAX_CONTROL_PACKET;
use waxwing_core::phone::Phone;
use waxwing_core::time::{self, Now};
use waxwing_core::wire::Status;

use crate::process::PATIENCE;
use crate::town::Town;

const PEOPLE: usize = 20;
/// Letters without an answer, of all together.
const UNANSWERED: usize = 40;
/// Where the server can be made to die, in builds with debug assertions.
const FAILPOINTS: [&str; 5] = [
    "before_commit",
    "after_commit",
    "before_acknowledgment",
    "before_forwarding",
    "before_deleting",
];

struct Identity {
    phone: Phone,
    key: BackendKey,
    public: BackendPublicKey,
    fingerprint: Fingerprint,
    reply_key: ReplyKey,
}

impl Identity {
    fn new(number: usize) -> &'static Self {
        let phone = Phone::parse(format!("+4915100{number:05}").as_bytes()).unwrap();
        let key = generate_key().unwrap();
        Box::leak(Box::new(Self {
            phone,
            public: provider().public_key(key.spki()).unwrap(),
            fingerprint: Fingerprint::of(&provider(), &phone, key.spki()),
            key,
            reply_key: ReplyKey::generate(&mut rng()),
        }))
    }
}

/// What survives on somebody's device.
#[derive(Default)]
struct Journal {
    user: Option<UserId>,
    /// Letters without an answer, and to whom: they are sent again with every connection.
    open: BTreeMap<Uid, usize>,
    /// Letters that the server has said to have, and to whom.
    acknowledged: BTreeMap<Uid, usize>,
    received: BTreeSet<Uid>,
    /// Letters that came once more, and are not shown again.
    repeated: usize,
}

/// A connection, until it breaks.
struct Line {
    client: Client<'static, Backend, Vec<u8>>,
    stream: TcpStream,
    is_ready: bool,
    sent: BTreeMap<PacketId, Uid>,
}

struct Citizen {
    identity: &'static Identity,
    journal: Journal,
    line: Option<Line>,
}

impl Citizen {
    /// Connects, and begins to register or to reconnect.
    fn connect(&mut self, now: Now, server: SocketAddr, key: &'static BackendPublicKey) {
        const PROVIDER: &Backend = &provider();
        let Ok(stream) = TcpStream::connect(server) else { return };
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        let (letters, control) = (vec![0; 2_048], vec![0; MAX_CONTROL_PACKET]);
        let buffers = Buffers { letters, control, transmit: vec![0; 64 * 1_024] };
        let keys = Keys { provider: PROVIDER, own: &self.identity.key, server: key };
        let mut client = Client::new(keys, buffers, Options::default()).unwrap();
        let (rng, me) = (&mut rng(), self.identity);
        let env = &mut Env { now, rng };
        match self.journal.user {
            Some(user) => client.reconnect(env, user, None).unwrap(),
            None => client.request_otp(env, &me.phone, &me.reply_key).unwrap(),
        }
        self.line = Some(Line { client, stream, is_ready: false, sent: BTreeMap::new() });
    }

    /// Moves bytes and acts on what they say. The line is gone when the server is.
    fn turn(&mut self, now: Now, people: &[(&'static Identity, Option<UserId>)]) {
        let Some(line) = &mut self.line else { return };
        if !line.carry() {
            self.line = None;
            return;
        }
        let (rng, me, journal) = (&mut rng(), self.identity, &mut self.journal);
        let env = &mut Env { now, rng };
        line.client.timeout(env);
        loop {
            match line.client.poll(env) {
                Err(_) => {
                    self.line = None;
                    return;
                }
                Ok(None) => break,
                Ok(Some(Event::OtpIssued(grant))) => {
                    let code = grant.otp.unwrap();
                    line.client.prove_otp(env, &me.phone, &me.reply_key, &code).unwrap();
                }
                Ok(Some(Event::SessionIssued { user })) => journal.user = Some(user),
                Ok(Some(Event::BacklogEnd(_))) => line.is_ready = true,
                Ok(Some(Event::Letter(letter))) => {
                    let sender = letter.header().sender;
                    let from = people.iter().find(|(_, user)| *user == sender).unwrap().0;
                    let verified = letter.verify(&from.public).unwrap();
                    let (theirs, mine) = (&from.fingerprint, &me.fingerprint);
                    let OpenedLetter { uid, .. } =
                        envelope::open(&provider(), env.rng, theirs, mine, &me.key, verified)
                            .unwrap();
                    journal.repeated += usize::from(!journal.received.insert(uid));
                    line.client.acknowledge_letter(env);
                }
                Ok(Some(Event::Status { letter, status })) => {
                    // Noise of a shared packet can look like a status of nobody's letter.
                    let named = line.sent.iter().find(|(id, _)| match letter {
                        LetterName::Whole(name) => **id == name,
                        LetterName::Prefix(name) => id.prefix() == name,
                    });
                    if let Some((_, uid)) = named
                        && matches!(status, Status::Stored | Status::Delivered)
                        && let Some(to) = journal.open.remove(uid)
                    {
                        journal.acknowledged.insert(*uid, to);
                    }
                }
                Ok(Some(other)) => panic!("{other:?}"),
            }
        }
        if line.is_ready {
            line.client.flush_acknowledgments(env);
            line.send_open(env, me, journal, people);
        }
    }

    fn is_quiet(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.is_ready) && self.journal.open.is_empty()
    }
}

impl Line {
    /// Whether there still is a server.
    fn carry(&mut self) -> bool {
        loop {
            match self.stream.write(self.client.transmit()) {
                Ok(0) => break,
                Ok(count) => self.client.transmitted(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        // One read a turn: what it brings is acted on before more is taken.
        let room = self.client.receive_buffer();
        if room.is_empty() {
            return true;
        }
        match self.stream.read(room) {
            Ok(0) => false,
            Ok(count) => {
                self.client.received(count);
                true
            }
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }

    /// Signs what has not been sent on this line.
    fn send_open(
        &mut self,
        env: &mut Env<'_>,
        me: &Identity,
        journal: &Journal,
        people: &[(&'static Identity, Option<UserId>)],
    ) {
        for (uid, to) in &journal.open {
            let (to, user) = people[*to];
            if self.sent.values().any(|sent| sent == uid) {
                continue;
            }
            let to =
                Addressee { user: user.unwrap(), fingerprint: &to.fingerprint, key: &to.public };
            let text = Content::Text("whatever happens");
            let Ok(id) = self.client.compose(env, &me.fingerprint, &to, uid, &text) else { return };
            self.client.release_composed();
            self.sent.insert(id, *uid);
        }
    }
}

struct Crowd {
    people: Vec<Citizen>,
    server: SocketAddr,
    key: &'static BackendPublicKey,
    started: Instant,
}

impl Crowd {
    fn turn(&mut self) {
        let millis = self.started.elapsed().as_millis().try_into().unwrap();
        let now = Now { instant: time::Instant::from_millis(millis), unix: clock::now() };
        let directory: Vec<_> =
            self.people.iter().map(|citizen| (citizen.identity, citizen.journal.user)).collect();
        for citizen in &mut self.people {
            match citizen.line {
                None => citizen.connect(now, self.server, self.key),
                Some(_) => citizen.turn(now, &directory),
            }
        }
    }

    #[track_caller]
    fn run_until(&mut self, what: &str, mut is_done: impl FnMut(&[Citizen]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_done(&self.people) {
            assert!(Instant::now() < deadline, "never: {what}");
            self.turn();
        }
    }

    /// Somebody has something to say to somebody.
    fn write(&mut self, dice: &mut impl Rng) {
        let open: usize = self.people.iter().map(|citizen| citizen.journal.open.len()).sum();
        if open >= UNANSWERED {
            return;
        }
        let from = dice.next_u32() as usize % PEOPLE;
        let to = (from + 1 + dice.next_u32() as usize % (PEOPLE - 1)) % PEOPLE;
        self.people[from].journal.open.insert(Uid::generate(&mut rng()), to);
    }

    /// Everything that was acknowledged has come, and nothing but what was sent.
    fn audit(&self) -> (usize, usize) {
        let mut sent: Vec<BTreeSet<Uid>> = vec![BTreeSet::new(); PEOPLE];
        for journal in self.people.iter().map(|citizen| &citizen.journal) {
            for (uid, to) in &journal.acknowledged {
                let recipient = &self.people[*to].journal;
                assert!(recipient.received.contains(uid), "{uid} was acknowledged and is lost");
                sent[*to].insert(*uid);
            }
        }
        for (citizen, sent) in self.people.iter().zip(&sent) {
            assert!(citizen.journal.received.is_subset(sent), "a letter that nobody sent");
        }
        let repeated = self.people.iter().map(|citizen| citizen.journal.repeated).sum();
        (sent.iter().map(BTreeSet::len).sum(), repeated)
    }
}

/// How the server dies this time: at a named place, or at any time.
fn death(round: usize, dice: &mut impl Rng) -> Option<String> {
    let name = FAILPOINTS.get(round % (2 * FAILPOINTS.len()))?;
    cfg!(debug_assertions).then(|| format!("{name}:{}", 1 + dice.next_u32() % 8))
}

#[test]
fn what_was_acknowledged_survives_a_server_that_dies_again_and_again() {
    let rounds = std::env::var("WAXWING_CRASHES").map_or(10, |rounds| rounds.parse().unwrap());
    let mut dice = rng();
    let mut town = Town::new();
    let server_key = read_server_key(&town.public_key()).unwrap();
    let key = Box::leak(Box::new(provider().public_key(&server_key).unwrap()));
    let citizen = |number| {
        let identity = Identity::new(number);
        Citizen { identity, journal: Journal::default(), line: None }
    };
    let people = (0..PEOPLE).map(citizen).collect();
    let mut crowd = Crowd { people, server: town.address(), key, started: Instant::now() };
    crowd.run_until("all have registered", |people| people.iter().all(Citizen::is_quiet));

    for round in 0..rounds {
        let failpoint = death(round, &mut dice);
        town.stop();
        town.start_with(failpoint.as_deref().map(|at| ("WAXWING_FAILPOINT", at)));
        crowd.run_until("all are back", |people| {
            people.iter().all(|citizen| citizen.line.as_ref().is_some_and(|line| line.is_ready))
                || failpoint.is_some()
        });
        let dies_at = Instant::now() + Duration::from_millis(5 + u64::from(dice.next_u32() % 300));
        let deadline = Instant::now() + PATIENCE;
        loop {
            crowd.write(&mut dice);
            crowd.turn();
            if failpoint.is_some() {
                if !town.is_running() {
                    break;
                }
                assert!(Instant::now() < deadline, "it never came to {failpoint:?}");
            } else if Instant::now() >= dies_at {
                break;
            }
        }
        town.kill();
        town.start();
        crowd.people.iter_mut().for_each(|citizen| citizen.line = None);
        crowd.run_until("everything is answered", |people| people.iter().all(Citizen::is_quiet));
    }
    // Whatever still waits comes with the last connections.
    let expected = |people: &[Citizen]| {
        let journals = || people.iter().map(|citizen| &citizen.journal);
        let acknowledged: usize = journals().map(|journal| journal.acknowledged.len()).sum();
        let received: usize = journals().map(|journal| journal.received.len()).sum();
        received >= acknowledged
    };
    crowd.run_until("every letter has come", expected);
    let (letters, repeated) = crowd.audit();
    println!("{rounds} deaths, {letters} letters, {repeated} of them handed over more than once");
}
