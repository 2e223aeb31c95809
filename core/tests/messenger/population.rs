//! People with messengers, and the world that they talk in.

use std::time::Duration;

use waxwing_core::client::{Buffers, Client, Env, Keys, Options, drive};
use waxwing_core::crypto::{PrivateKey, Spki};
use waxwing_core::envelope::Fingerprint;
use waxwing_core::id::{Uid, UserId};
use waxwing_core::limits::{MAX_CONTROL_PACKET, MAX_PACKET};
use waxwing_core::messenger::{Account, Messenger, Over, Row, Turn};
use waxwing_core::phone::Phone;
use waxwing_core::server::{Config, ConnId};
use waxwing_testkit::backend::{Backend, Paper, PaperKey};
use waxwing_testkit::profile::{DiskFull, MemoryProfile};
use waxwing_testkit::world::{SERVER_KEY, Sim};

type World = Sim<Paper>;
pub(crate) type Machine = Client<'static, Paper, Vec<u8>>;
type Waxwing = Messenger<'static, Vec<u8>, 64>;

/// Everybody, and the world.
pub(crate) struct Population {
    pub(crate) world: World,
    pub(crate) people: Vec<Person>,
    uids: u8,
}

/// Somebody with a messenger.
pub(crate) struct Person {
    pub(crate) phone: Phone,
    pub(crate) profile: MemoryProfile,
    pub(crate) messenger: Waxwing,
    pub(crate) key: &'static PaperKey,
    pub(crate) ends: Vec<Result<Over, DiskFull>>,
    line: Option<Line>,
    server: &'static PaperKey,
    aside: usize,
    window: u8,
}

struct Line {
    client: Machine,
    conn: ConnId,
    pipe: Pipe,
}

#[derive(Default)]
struct Pipe {
    to_client: Vec<u8>,
    to_server: Vec<u8>,
}

impl embedded_io::ErrorType for Pipe {
    type Error = embedded_io::ErrorKind;
}

impl embedded_io::Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        let count = buffer.len().min(self.to_client.len());
        buffer[..count].copy_from_slice(&self.to_client[..count]);
        self.to_client.drain(..count);
        Ok(count)
    }
}

impl embedded_io::ReadReady for Pipe {
    fn read_ready(&mut self) -> Result<bool, Self::Error> {
        Ok(!self.to_client.is_empty())
    }
}

impl embedded_io::Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        self.to_server.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl embedded_io::WriteReady for Pipe {
    fn write_ready(&mut self) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

impl Person {
    fn new(phone: Phone, user: Option<UserId>, key: PaperKey, server: &'static PaperKey) -> Self {
        let key = leak(key);
        let (profile, aside) = (MemoryProfile::default(), Waxwing::ASIDE);
        let messenger = messenger(phone, user, key, server.spki(), aside);
        let (ends, line, window) = (Vec::new(), None, 128);
        Self { phone, profile, messenger, key, ends, line, server, aside, window }
    }

    /// No memory for letters aside, and one letter at a time.
    pub(crate) fn become_a_device(&mut self) {
        (self.aside, self.window) = (0, 1);
        self.restart();
    }

    /// The process dies, and begins again with what is durable.
    pub(crate) fn restart(&mut self) {
        self.profile.crash();
        let user = self.messenger.account().user;
        self.messenger = messenger(self.phone, user, self.key, self.server.spki(), self.aside);
    }

    /// Somebody without an account, with the fixed key number `at`.
    pub(crate) fn become_nobody(&mut self, phone: Phone, at: usize) {
        (self.phone, self.key) = (phone, leak(Paper::key(at)));
        self.messenger = messenger(phone, None, self.key, self.server.spki(), self.aside);
    }

    /// What has come, as it can be read.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.profile.stored.texts()
    }
}

fn messenger(
    phone: Phone,
    user: Option<UserId>,
    key: &PaperKey,
    server: &'static Spki,
    aside: usize,
) -> Waxwing {
    let fingerprint = Fingerprint::of(&Paper, &phone, key.spki());
    let account = Account { phone, user, fingerprint, server };
    Messenger::new(account, vec![0; aside])
}

impl Population {
    /// So many people with accounts, none of whom is connected.
    pub(crate) fn of(count: usize) -> Self {
        Self::with(Config { otp_in_band: true, ..Config::default() }, count)
    }

    pub(crate) fn with(config: Config, count: usize) -> Self {
        let (world, people) = World::populate(config, 7, count);
        let server = leak(Paper::key(SERVER_KEY));
        let person = |person: waxwing_testkit::person::Person<Paper>| {
            Person::new(person.phone, person.id, person.key, server)
        };
        Self { world, people: people.into_iter().map(person).collect(), uids: 0 }
    }

    /// `from` writes to `to`; nothing is sent by that.
    pub(crate) fn write(&mut self, from: usize, to: usize, text: &str) -> Row {
        self.uids += 1;
        let to = self.people[to].phone;
        self.people[from].profile.stored.write(Uid([self.uids; 16]), to, text)
    }

    /// Connects, as soon as the messenger may.
    pub(crate) fn connect(&mut self, who: usize) {
        let at = self.people[who].messenger.may_connect_at();
        self.world.wait(at.since(self.world.now.instant));
        let conn = self.world.connect();
        let person = &mut self.people[who];
        let server =
            leak(waxwing_core::crypto::Provider::public_key(&Paper, person.server.spki()).unwrap());
        let keys = Keys { provider: leak(Paper), own: person.key, server };
        let buffers = Buffers {
            letters: vec![0; MAX_PACKET],
            control: vec![0; MAX_CONTROL_PACKET],
            transmit: vec![0; 2 * MAX_PACKET],
        };
        let clock_offset_s = person.messenger.clock_offset_s();
        let options = Options { window: person.window, clock_offset_s, ..Options::default() };
        let mut client = Client::new(keys, buffers, options).unwrap();
        let mut env = Env { now: self.world.now, rng: &mut self.world.rng };
        person.messenger.connect(&mut client, &mut person.profile, &mut env).unwrap();
        person.line = Some(Line { client, conn, pipe: Pipe::default() });
    }

    /// Asks the client machine of `who` for something.
    pub(crate) fn ask(&mut self, who: usize, request: impl FnOnce(&mut Machine, &mut Env<'_>)) {
        let line = self.people[who].line.as_mut().unwrap();
        let mut env = Env { now: self.world.now, rng: &mut self.world.rng };
        request(&mut line.client, &mut env);
    }

    pub(crate) fn connect_all(&mut self) {
        (0..self.people.len()).for_each(|who| self.connect(who));
    }

    pub(crate) fn is_connected(&self, who: usize) -> bool {
        self.people[who].line.is_some()
    }

    /// The connection breaks.
    pub(crate) fn cut(&mut self, who: usize) {
        let person = &mut self.people[who];
        let Some(mut line) = person.line.take() else { return };
        self.world.hang_up(line.conn);
        let mut env = Env { now: self.world.now, rng: &mut self.world.rng };
        let turn = person.messenger.turn(&mut line.client, &mut person.profile, &mut env, false);
        if !matches!(turn, Ok(Turn::Over(_))) {
            person.messenger.disconnected(&mut env);
        }
    }

    /// The process dies, with its connection.
    pub(crate) fn kill(&mut self, who: usize) {
        if let Some(line) = self.people[who].line.take() {
            self.world.hang_up(line.conn);
        }
        self.people[who].restart();
    }

    /// Everybody does what there is to do, until nobody has anything.
    pub(crate) fn run(&mut self) {
        let mut idle = 0;
        for _ in 0..10_000 {
            let moved: Vec<bool> = (0..self.people.len()).map(|who| self.step(who)).collect();
            idle = if moved.contains(&true) { 0 } else { idle + 1 };
            if idle > 2 {
                return;
            }
            if idle > 0 {
                // Acknowledgments are collected for a second.
                self.world.wait(Duration::from_millis(1_200));
            }
        }
        panic!("it never ends");
    }

    /// Time passes, and everybody does what there is to do.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.world.wait(time);
        self.run();
    }

    /// One move of bytes and one turn. Whether there is more to do.
    pub(crate) fn step(&mut self, who: usize) -> bool {
        let Self { world, people, .. } = self;
        let person = &mut people[who];
        let Some(line) = &mut person.line else { return false };
        line.pipe.to_client.extend(world.bytes(line.conn));
        let mut env = Env { now: world.now, rng: &mut world.rng };
        let moved = drive(&mut line.client, &mut line.pipe, &mut env).unwrap();
        let more = moved.read > 0;
        let (client, profile) = (&mut line.client, &mut person.profile);
        let turn = person.messenger.turn(client, profile, &mut env, more);
        if !matches!(turn, Ok(Turn::Open)) {
            assert!(!person.profile.is_open(), "a transaction stays open");
        }
        let conn = line.conn;
        let bytes = std::mem::take(&mut line.pipe.to_server);
        let has_moved = !moved.is_nothing();
        let end = match turn {
            Ok(Turn::Over(over)) => Some(Ok(over)),
            Err(DiskFull) => Some(Err(DiskFull)),
            _ => None,
        };
        if !bytes.is_empty() && !world.is_closed(conn) {
            world.send(conn, &bytes);
        }
        let Some(end) = end else {
            if world.is_closed(conn) && !has_moved {
                self.cut(who);
            }
            return has_moved || turn == Ok(Turn::More) || turn == Ok(Turn::Open);
        };
        let person = &mut self.people[who];
        person.ends.push(end);
        person.line = None;
        self.world.hang_up(conn);
        if end.is_err() {
            let mut env = Env { now: self.world.now, rng: &mut self.world.rng };
            self.people[who].messenger.disconnected(&mut env);
        }
        true
    }
}
