//! Somebody with a client, whose process and connection come and go.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use waxwing_core::client::{Env, Keys};
use waxwing_core::crypto::{PrivateKey, Provider, Spki};
use waxwing_core::id::UserId;
use waxwing_core::phone::Phone;
use waxwing_core::server::storage::StoredUser;
use waxwing_core::time::Instant;
use waxwing_testkit::backend::{Backend, Paper, PaperKey};
use waxwing_testkit::participant::{Participant, Step};
use waxwing_testkit::person;
use waxwing_testkit::world::SERVER_KEY;

use crate::memory_loop::PeerEnd;
use crate::network::{Network, ToClient};
use crate::timeline::{Event, Timeline};

/// Microseconds after which a client looks at what has come, mostly.
const PAUSE: usize = 500;
/// Steps that it takes in a row.
const STEPS: usize = 200;
/// People that there can be.
pub(crate) const MOST: usize = 6;

pub(crate) struct Person {
    number: usize,
    pub(crate) client: Participant<'static, Paper>,
    pub(crate) address: SocketAddr,
    link: Option<usize>,
    /// The node that its next connection goes to, of so many.
    node: usize,
    pub(crate) nodes: usize,
    /// When it looks what there is to do.
    acts_at: Option<Instant>,
    /// Wants no connection.
    pub(crate) stays_away: bool,
}

/// Numbers of the keys that the server gets, one after the other.
pub(crate) const SUCCESSORS: [usize; 2] = [2_000, 2_001];

/// The keys of everybody.
struct Cast {
    server: PaperKey,
    successors: [PaperKey; 2],
    people: Vec<PaperKey>,
}

fn cast() -> &'static Cast {
    static CAST: OnceLock<Cast> = OnceLock::new();
    CAST.get_or_init(|| Cast {
        server: Paper.public_key(Paper::key(SERVER_KEY).spki()).unwrap(),
        successors: SUCCESSORS.map(Paper::key),
        people: (0..MOST).map(Paper::key).collect(),
    })
}

fn phone(number: usize) -> Phone {
    person::Person::<Paper>::with_key(number, cast().people[number].clone()).phone
}

fn user(number: usize) -> UserId {
    UserId::new(number as u16 + 1).unwrap()
}

impl Person {
    /// Somebody with an account; every second one's address has limits.
    pub(crate) fn new(number: usize) -> Self {
        let server: &'static Spki = cast().server.spki();
        let keys = Keys { provider: &Paper, own: &cast().people[number], server: &cast().server };
        let network = if number.is_multiple_of(2) { [127, 0, 0] } else { [198, 51, 100] };
        let address = SocketAddr::from(([network[0], network[1], network[2], 7], 40_000));
        let mut client = Participant::new(keys, server, phone(number), Some(user(number)));
        let others = cast().successors.iter().map(|key| (key.spki().clone(), key));
        client.server_keys = others.chain([(server.clone(), &cast().server)]).collect();
        Self {
            number,
            client,
            address,
            link: None,
            node: 0,
            nodes: 1,
            acts_at: None,
            stays_away: false,
        }
    }

    /// Asks for the server's next key in every session, since a run is much shorter than a day.
    pub(crate) fn asks_for_the_next_key(&mut self) {
        self.client.profile.asks_server_after_s = Some(0);
    }

    /// Whether it knows, and keeps, that this key follows the server's.
    pub(crate) fn knows(&self, key: usize) -> bool {
        let successor = self.client.profile.committed().successor.as_ref();
        successor.is_some_and(|next| next.spki == *Paper::key(key).spki())
    }

    pub(crate) fn stored(&self) -> StoredUser {
        let spki = cast().people[self.number].spki().clone();
        StoredUser { id: self.id(), phone: self.client.phone, spki, session_key: None }
    }

    pub(crate) fn id(&self) -> UserId {
        user(self.number)
    }

    /// The connection that it has.
    pub(crate) const fn link(&self) -> Option<usize> {
        self.link
    }

    /// Its client looks soon what there is to do.
    pub(crate) fn wake(&mut self, time: &mut Timeline) {
        let at = time.soon(PAUSE);
        self.act_at(at, time);
    }

    fn act_at(&mut self, at: Instant, time: &mut Timeline) {
        if self.acts_at.is_none_or(|before| at < before) {
            self.acts_at = Some(at);
            time.schedule(at, Event::Client(self.number));
        }
    }

    /// Takes what has arrived.
    pub(crate) fn receive(&mut self, arrived: ToClient, time: &mut Timeline) {
        match arrived {
            ToClient::Bytes(bytes) => self.client.receive(&bytes),
            ToClient::End => self.client.end_stream(),
        }
        self.wake(time);
    }

    /// The first bytes of a connection, which nobody gets.
    pub(crate) fn knock(&mut self, rng: &mut ChaCha20Rng, time: &Timeline) -> Vec<u8> {
        let mut env = Env { now: time.now(), rng };
        self.client.connect(&mut env);
        while self.client.step(&mut env) != Step::Idle {}
        let bytes = self.client.transmit();
        self.client.restart();
        bytes
    }

    /// The connection is cut.
    pub(crate) fn cut(&mut self, network: &mut Network, time: &mut Timeline) {
        if let Some(link) = self.link.take() {
            network.abandon(link, PeerEnd::Reset, time);
            self.client.end_stream();
            self.wake(time);
        }
    }

    /// The process dies, and its connection with it.
    pub(crate) fn kill(&mut self, network: &mut Network, time: &mut Timeline) {
        if let Some(link) = self.link.take() {
            let end = [PeerEnd::Reset, PeerEnd::Finished][time.roll(2)];
            network.abandon(link, end, time);
        }
        self.client.restart();
        self.wake(time);
    }

    /// Does what there is to do.
    pub(crate) fn act(
        &mut self,
        rng: &mut ChaCha20Rng,
        network: &mut Network,
        time: &mut Timeline,
    ) {
        let now = time.now().instant;
        if self.acts_at != Some(now) {
            return;
        }
        self.acts_at = None;
        let mut env = Env { now: time.now(), rng };
        if !self.client.is_connected() {
            if self.stays_away {
                return;
            }
            let at = self.client.messenger.may_connect_at();
            if at > now {
                return self.act_at(at, time);
            }
            self.link = Some(network.call(self.address, self.node, time));
            self.client.connect(&mut env);
        }
        for _ in 0..STEPS {
            let step = self.client.step(&mut env);
            if let Some(link) = self.link {
                network.send(link, &self.client.transmit(), time);
            }
            match step {
                // Between any two steps there may be a pause, and what happens in it.
                Step::Busy if time.roll(8) == 0 => return self.wake(time),
                Step::Busy => {}
                Step::Idle => {
                    if let Some(at) = self.client.client().and_then(|client| client.poll_timeout())
                    {
                        let at = at.max(now.after(Duration::from_micros(1)));
                        self.act_at(at, time);
                    }
                    return;
                }
                Step::Ended(_) => {
                    self.node = (self.node + 1) % self.nodes;
                    if let Some(link) = self.link.take() {
                        network.abandon(link, PeerEnd::Finished, time);
                    }
                    return self.wake(time);
                }
            }
        }
        self.wake(time);
    }
}
