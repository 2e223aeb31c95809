//! One client, the scripted server, and the bytes between them.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_core::client::{
    Buffers, Client, Ended, Env, Event, Keys, LetterName, Options, OversizedLetter, RefusalNotice,
};
use waxwing_core::crypto::{RustCrypto, SessionKey};
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::limits::{MAX_CONTROL_PACKET, MAX_PACKET};
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::time::{Instant, Now, UnixTime};
use waxwing_core::wire::{KeyAnswer, KeyQuestion, Op, OtpGrant, Status, Successor};

use crate::keys::CLIENT;
use crate::server::{LAST_KEY, Sent, Server, US, pinned, user};

pub(crate) type Machine = Client<'static, RustCrypto, Vec<u8>>;

/// An event that outlives the buffers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    Code(OtpGrant),
    PhoneTaken,
    Session(UserId),
    Letter(PacketId),
    TooLarge(PacketId),
    Status(LetterName, Status),
    Key(Box<KeyAnswer>),
    WrongKey(KeyQuestion),
    Successor(Box<Successor>),
    BacklogEnd(u32),
    Refused(RefusalNotice),
}

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Fresh,
    AwaitingOtp,
    HasCode,
    AwaitingIssued,
    AwaitingRenewed,
    AwaitingRenewedShort,
    Unproven,
    Active,
    Leaving,
}

impl Stage {
    pub(crate) const ALL: [Self; 9] = [
        Self::Fresh,
        Self::AwaitingOtp,
        Self::HasCode,
        Self::AwaitingIssued,
        Self::AwaitingRenewed,
        Self::AwaitingRenewedShort,
        Self::Unproven,
        Self::Active,
        Self::Leaving,
    ];

    pub(crate) fn is_session(self) -> bool {
        matches!(self, Self::Unproven | Self::Active | Self::Leaving)
    }
}

pub(crate) struct Line {
    pub(crate) client: Machine,
    pub(crate) server: Server,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) now: Now,
    /// The packet that opened the connection.
    pub(crate) request: Option<PacketId>,
    /// Keep letters in their buffer.
    pub(crate) holds_letters: bool,
    /// The last letter that was too large.
    pub(crate) oversized: Option<OversizedLetter>,
    /// What the client had no room for.
    unread: Vec<u8>,
}

pub(crate) fn buffers() -> Buffers<Vec<u8>> {
    Buffers {
        letters: vec![0; MAX_PACKET],
        control: vec![0; MAX_CONTROL_PACKET],
        transmit: vec![0; MAX_PACKET + MAX_CONTROL_PACKET],
    }
}

pub(crate) fn keys() -> Keys<'static, RustCrypto> {
    Keys { provider: &RustCrypto, own: &CLIENT, server: pinned() }
}

pub(crate) fn phone() -> Phone {
    Phone::parse(b"+4915112345678").unwrap()
}

pub(crate) fn otp() -> Otp {
    Otp::parse(b"123456").unwrap()
}

impl Line {
    pub(crate) fn new() -> Self {
        Self::with(buffers(), Options::default())
    }

    pub(crate) fn with(buffers: Buffers<Vec<u8>>, options: Options) -> Self {
        let server = Server::new(1);
        let now = Now { instant: Instant::from_millis(1_000_000), unix: server.clock };
        Self {
            client: Client::new(keys(), buffers, options).unwrap(),
            server,
            rng: ChaCha20Rng::seed_from_u64(2),
            now,
            request: None,
            holds_letters: false,
            oversized: None,
            unread: Vec::new(),
        }
    }

    /// A client that has come as far as this.
    pub(crate) fn at(stage: Stage) -> Self {
        let mut line = Self::new();
        line.go_to(stage);
        line
    }

    pub(crate) fn go_to(&mut self, stage: Stage) {
        match stage {
            Stage::Fresh => {}
            Stage::AwaitingOtp => self.request_otp(),
            Stage::HasCode => {
                self.request_otp();
                let code = self.server.otp_issued();
                assert!(matches!(self.hear(&code)[..], [Heard::Code(_)]));
            }
            Stage::AwaitingIssued => self.prove_otp(),
            Stage::AwaitingRenewed => self.reconnect(None),
            Stage::AwaitingRenewedShort => {
                let last = SessionKey::from_bytes(&LAST_KEY);
                self.reconnect(Some(&last));
            }
            Stage::Unproven => {
                self.reconnect(None);
                self.renew();
            }
            Stage::Active => {
                self.go_to(Stage::Unproven);
                self.prove();
            }
            Stage::Leaving => {
                self.go_to(Stage::Active);
                self.ask(|client, env| client.leave(env)).unwrap();
                self.sent();
            }
        }
    }

    pub(crate) fn request_otp(&mut self) {
        let reply_key = self.server.reply_key.clone();
        self.ask(|client, env| client.request_otp(env, &phone(), &reply_key)).unwrap();
        self.note_request();
    }

    pub(crate) fn prove_otp(&mut self) {
        let reply_key = self.server.reply_key.clone();
        self.ask(|client, env| client.prove_otp(env, &phone(), &reply_key, &otp())).unwrap();
        self.note_request();
    }

    pub(crate) fn reconnect(&mut self, last: Option<&SessionKey>) {
        self.ask(|client, env| client.reconnect(env, user(US), last)).unwrap();
        self.note_request();
    }

    fn note_request(&mut self) {
        let sent = self.sent();
        self.request = Some(sent.last().unwrap().id);
    }

    /// The server answers the 106, and reads the confirmation.
    pub(crate) fn renew(&mut self) {
        let grant = self.server.grant(Op::SessionRenewed);
        assert_eq!(self.hear(&grant), [Heard::Session(user(US))]);
        let sent = self.sent();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].content, [0, 128]);
    }

    /// The server shows that it knows the session's key.
    pub(crate) fn prove(&mut self) {
        let end = self.server.sealed(Op::BacklogEnd, &[0; 4]);
        let heard = self.hear(&end);
        // It is told once, and counts each time.
        assert!(heard.is_empty() || heard == [Heard::BacklogEnd(0)], "{heard:?}");
    }

    pub(crate) fn ask<T>(&mut self, call: impl FnOnce(&mut Machine, &mut Env<'_>) -> T) -> T {
        let mut env = Env { now: self.now, rng: &mut self.rng };
        call(&mut self.client, &mut env)
    }

    pub(crate) fn pass(&mut self, millis: u64) {
        self.now.instant = Instant::from_millis(self.now.instant.as_millis() + millis);
        let seconds = i64::try_from(millis / 1_000).unwrap();
        self.now.unix = self.now.unix.shifted(seconds);
        self.server.clock = self.server.clock.shifted(seconds);
    }

    pub(crate) fn set_civil(&mut self, seconds: i64) {
        self.now.unix = UnixTime::from_seconds(seconds);
    }

    pub(crate) fn ended(&self) -> Option<Ended> {
        self.client.ended()
    }

    /// Everything that the client has to say, gone out and understood.
    pub(crate) fn sent(&mut self) -> Vec<Sent> {
        let bytes = self.client.transmit().to_vec();
        self.client.transmitted(bytes.len());
        self.time_out();
        self.server.understand(&bytes)
    }

    /// What is due is done. Nothing is due after that, or a program that waits until then would not
    /// wait at all.
    pub(crate) fn time_out(&mut self) {
        self.ask(|client, env| client.timeout(env));
        let due = self.client.poll_timeout();
        assert!(self.ended().is_some() || due.is_none_or(|at| at > self.now.instant), "{due:?}");
    }

    /// Gives bytes to the client and drains it.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Vec<Heard> {
        self.hear_in_pieces(bytes, &mut || usize::MAX)
    }

    pub(crate) fn hear_in_pieces(
        &mut self,
        bytes: &[u8],
        piece: &mut dyn FnMut() -> usize,
    ) -> Vec<Heard> {
        self.unread.extend(bytes);
        let mut heard = self.drain();
        while !self.unread.is_empty() {
            let room = self.client.receive_buffer();
            let count = room.len().min(self.unread.len()).min(piece());
            if count == 0 {
                break;
            }
            room[..count].copy_from_slice(&self.unread[..count]);
            self.unread.drain(..count);
            self.client.received(count);
            heard.extend(self.drain());
        }
        heard
    }

    /// Bytes for which the client has no room yet.
    pub(crate) fn unread(&self) -> usize {
        self.unread.len()
    }

    pub(crate) fn drain(&mut self) -> Vec<Heard> {
        let mut heard = Vec::new();
        loop {
            let mut env = Env { now: self.now, rng: &mut self.rng };
            let event = match self.client.poll(&mut env) {
                Ok(Some(event)) => event,
                Ok(None) => return heard,
                Err(ended) => {
                    assert_eq!(self.client.ended(), Some(ended));
                    return heard;
                }
            };
            let is_letter = matches!(event, Event::Letter(_));
            heard.push(match event {
                Event::OtpIssued(grant) => Heard::Code(grant),
                Event::PhoneTaken => Heard::PhoneTaken,
                Event::SessionIssued { user } => Heard::Session(user),
                Event::Letter(letter) => Heard::Letter(letter.id()),
                Event::TooLarge(letter) => {
                    self.oversized = Some(letter);
                    Heard::TooLarge(letter.id())
                }
                Event::Status { letter, status } => Heard::Status(letter, status),
                Event::Key(answer) => Heard::Key(Box::new(answer)),
                Event::WrongKey(question) => Heard::WrongKey(question),
                Event::Successor(successor) => Heard::Successor(Box::new(successor)),
                Event::BacklogEnd(count) => Heard::BacklogEnd(count),
                Event::Refused(notice) => Heard::Refused(notice),
            });
            if is_letter && !self.holds_letters {
                self.client.release_letter();
            }
        }
    }

    /// The client says nothing more and has changed nothing.
    pub(crate) fn assert_ended(&mut self, why: Ended) {
        assert_eq!(self.ended(), Some(why));
        assert!(self.client.transmit().is_empty(), "a bad packet was answered");
        assert!(self.client.receive_buffer().is_empty());
        assert!(!self.client.is_in_session());
    }
}
