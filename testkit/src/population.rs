//! Participants, the server that they talk over, and the streams between them.

use std::time::Duration;

use waxwing_core::client::{Env, Keys};
use waxwing_core::crypto::{PrivateKey, ReplyKey};
use waxwing_core::id::{Uid, UserId};
use waxwing_core::messenger::Row;
use waxwing_core::phone::Phone;
use waxwing_core::server::{Config, ConnId};

use crate::backend::Backend;
use crate::participant::{End, Machine, Participant, Step};
use crate::person::Person;
use crate::world::{SERVER_KEY, Sim};

/// Everybody, and the world.
pub struct Population<P: Backend> {
    pub world: Sim<P>,
    pub people: Vec<Participant<'static, P>>,
    /// How every connection of a person has ended, oldest first.
    pub ends: Vec<Vec<End>>,
    /// Bytes arrive in pieces of this size, both ways.
    pub piece: usize,
    connections: Vec<Option<ConnId>>,
    uids: u8,
}

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

impl<P: Backend> Population<P> {
    /// So many people with accounts, none of whom is connected.
    pub fn of(count: usize) -> Self {
        Self::with(Config { otp_in_band: true, ..Config::default() }, count)
    }

    pub fn with(config: Config, count: usize) -> Self {
        let (world, people) = Sim::populate(config, 7, count);
        let mut all = Self {
            world,
            people: Vec::new(),
            ends: Vec::new(),
            piece: usize::MAX,
            connections: Vec::new(),
            uids: 0,
        };
        for Person { phone, key, id, .. } in people {
            all.add(phone, key, id);
        }
        all
    }

    /// One more person, who has an account if `user` is given.
    pub fn add(&mut self, phone: Phone, key: P::PrivateKey, user: Option<UserId>) -> usize {
        let provider = leak(P::default());
        let server = leak(P::key(SERVER_KEY)).spki();
        let public = leak(provider.public_key(server).unwrap());
        let keys = Keys { provider, own: leak(key), server: public };
        self.people.push(Participant::new(keys, server, phone, user));
        self.ends.push(Vec::new());
        self.connections.push(None);
        self.people.len() - 1
    }

    /// Somebody connects and gets an account, with a code that comes in band.
    ///
    /// # Panics
    /// When there is none in the end.
    pub fn register(&mut self, who: usize) {
        let (phone, reply_key) = (self.people[who].phone, ReplyKey::from_bytes(&[5; 32]));
        self.connect(who);
        self.ask(who, |client, env| client.request_otp(env, &phone, &reply_key)).unwrap();
        self.run();
        let code = self.people[who].profile.code.take().expect("a code in band");
        self.ask(who, |client, env| client.prove_otp(env, &phone, &reply_key, &code)).unwrap();
        self.run();
        assert!(self.people[who].profile.stored.user.is_some(), "{:?}", self.ends[who]);
    }

    /// `from` writes to `to`; nothing is sent by that.
    pub fn write(&mut self, from: usize, to: usize, text: &str) -> Row {
        self.uids += 1;
        let to = self.people[to].phone;
        self.people[from].profile.stored.write(Uid([self.uids; 16]), to, text)
    }

    /// Connects, as soon as the messenger may.
    pub fn connect(&mut self, who: usize) {
        let at = self.people[who].messenger.may_connect_at();
        self.world.wait(at.since(self.world.now.instant));
        self.connections[who] = Some(self.world.connect());
        let Self { world, people, .. } = self;
        people[who].connect(&mut Env { now: world.now, rng: &mut world.rng });
    }

    pub fn connect_all(&mut self) {
        (0..self.people.len()).for_each(|who| self.connect(who));
    }

    /// The connection of `who`.
    ///
    /// # Panics
    /// When there is none.
    pub fn connection(&self, who: usize) -> ConnId {
        self.connections[who].expect("a connection")
    }

    /// Asks the client machine of `who` for something.
    pub fn ask<T>(
        &mut self,
        who: usize,
        request: impl FnOnce(&mut Machine<'static, P>, &mut Env<'_>) -> T,
    ) -> T {
        let Self { world, people, .. } = self;
        let mut env = Env { now: world.now, rng: &mut world.rng };
        request(people[who].client().expect("a connection"), &mut env)
    }

    /// The connection breaks. What had come before is read.
    pub fn cut(&mut self, who: usize) {
        self.people[who].end_stream();
        self.hang_up(who);
        while self.people[who].is_connected() {
            self.take_step(who);
        }
    }

    /// The process dies, with its connection.
    pub fn kill(&mut self, who: usize) {
        self.hang_up(who);
        self.people[who].restart();
    }

    fn hang_up(&mut self, who: usize) {
        if let Some(conn) = self.connections[who].take() {
            self.world.hang_up(conn);
        }
    }

    /// Everybody does what there is to do, until nobody has anything.
    pub fn run(&mut self) {
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
    pub fn pass(&mut self, time: Duration) {
        self.world.wait(time);
        self.run();
    }

    /// One move of bytes and one turn. Whether there is more to do.
    pub fn step(&mut self, who: usize) -> bool {
        let Some(conn) = self.connections[who] else { return false };
        let bytes = self.world.bytes(conn);
        let mut is_busy = false;
        for piece in bytes.chunks(self.piece) {
            self.people[who].receive(piece);
            is_busy |= self.take_step(who);
        }
        if self.world.is_closed(conn) {
            self.people[who].end_stream();
        }
        is_busy | self.take_step(who)
    }

    fn take_step(&mut self, who: usize) -> bool {
        let Self { world, people, .. } = self;
        let step = people[who].step(&mut Env { now: world.now, rng: &mut world.rng });
        let bytes = people[who].transmit();
        let open = self.connections[who].filter(|conn| !self.world.is_closed(*conn));
        for piece in open.iter().flat_map(|_| bytes.chunks(self.piece)) {
            self.world.send(open.unwrap(), piece);
        }
        if let Step::Ended(end) = step {
            self.ends[who].push(end);
            self.hang_up(who);
        }
        step != Step::Idle
    }
}
