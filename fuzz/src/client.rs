//! The whole client machine.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_core::client::{Buffers, Client, Env, Event, Keys, Options};
use waxwing_core::crypto::{Provider, ReplyKey, SessionKey};
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::time::{Instant, Now, UnixTime};
use waxwing_core::wire::{KeyQuestion, StatusQuery};
use waxwing_testkit::backend::{Backend, Glass};
use waxwing_testkit::world::SERVER_KEY;

use crate::script::{Step, Steps};

type Machine<'a> = Client<'a, Glass, Vec<u8>, 4>;

/// The moment at which every run begins.
pub const NOW: UnixTime = UnixTime::from_seconds(1_795_350_896);

/// Whatever a server says: no panic, an end that stays, no bytes after it. The first byte says
/// with which request the connection begins, and how large a letter may be; the steps are as in
/// `script`, hanging up being a request of the user's.
pub fn client_bytes(data: &[u8]) {
    let Some((how, script)) = data.split_first() else { return };
    let own = Glass::key(0);
    let server = Glass.public_key(&Glass::key(SERVER_KEY).0).unwrap();
    let keys = Keys { provider: &Glass, own: &own, server: &server };
    let letters = if how & 8 == 0 { 400 } else { 70_000 };
    let buffers =
        Buffers { letters: vec![0; letters], control: vec![0; 2_330], transmit: vec![0; 4_096] };
    let options = Options { window: 1 + (how >> 4 & 3), ..Options::default() };
    let mut run = Run {
        client: Machine::new(keys, buffers, options).unwrap(),
        rng: ChaCha20Rng::from_seed([3; 32]),
        now: Now { instant: Instant::from_millis(0), unix: NOW },
    };
    run.begin(how & 7);
    for step in Steps(script) {
        match step {
            Step::Bytes(_, bytes) => run.hear(bytes),
            Step::HangUp(which) => run.ask(which),
            Step::Wait(seconds) => run.wait(seconds),
            Step::Reconnect(_) => run.release(),
        }
        run.check();
    }
}

struct Run<'a> {
    client: Machine<'a>,
    rng: ChaCha20Rng,
    now: Now,
}

impl Run<'_> {
    fn begin(&mut self, how: u8) {
        let (phone, key) =
            (Phone::parse(b"+4915112345678").unwrap(), ReplyKey::from_bytes(&[5; 32]));
        let env = &mut Env { now: self.now, rng: &mut self.rng };
        let user = UserId::new(1).unwrap();
        let last = SessionKey::from_bytes(&[6; 32]);
        let _ = match how {
            0 => self.client.request_otp(env, &phone, &key),
            1 => self.client.prove_otp(env, &phone, &key, &Otp::parse(b"123456").unwrap()),
            2 => self.client.reconnect(env, user, Some(&last)),
            _ => self.client.reconnect(env, user, None),
        };
    }

    fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.client.receive_buffer();
            if room.is_empty() {
                return;
            }
            let (now, later) = bytes.split_at(room.len().min(bytes.len()));
            room[..now.len()].copy_from_slice(now);
            self.client.received(now.len());
            bytes = later;
            self.drain();
        }
    }

    fn drain(&mut self) {
        let env = &mut Env { now: self.now, rng: &mut self.rng };
        while let Ok(Some(event)) = self.client.poll(env) {
            match event {
                Event::Letter(letter) => assert!(letter.packet().as_bytes().len() >= 282),
                Event::TooLarge(letter) => {
                    self.client.acknowledge(env, letter.id(), letter.header.packet_len());
                }
                _ => {}
            }
        }
    }

    fn ask(&mut self, which: u8) {
        let env = &mut Env { now: self.now, rng: &mut self.rng };
        let peer = UserId::new(2).unwrap();
        let query = StatusQuery { recipient: peer, letter: PacketId([9; 16]) };
        let _ = match which {
            0 => self.client.ask_for_key(env, KeyQuestion::ById(peer)),
            1 => self.client.ask_for_statuses(env, &[query]),
            2 => self.client.leave(env),
            _ => return self.client.flush_acknowledgments(env),
        };
    }

    fn wait(&mut self, seconds: u8) {
        let span = Duration::from_secs(seconds.into());
        self.now.instant = self.now.instant.after(span);
        self.now.unix = self.now.unix.shifted(seconds.into());
        self.client.timeout(&mut Env { now: self.now, rng: &mut self.rng });
        self.drain();
    }

    fn release(&mut self) {
        self.client.acknowledge_letter(&mut Env { now: self.now, rng: &mut self.rng });
        self.drain();
    }

    fn check(&mut self) {
        let len = self.client.transmit().len();
        self.client.transmitted(len);
        if let Some(ended) = self.client.ended() {
            let env = &mut Env { now: self.now, rng: &mut self.rng };
            assert_eq!(self.client.poll(env).err(), Some(ended));
            assert!(self.client.receive_buffer().is_empty());
            assert!(!self.client.is_in_session());
        }
    }
}
