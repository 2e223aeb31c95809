//! What the Rust client machine makes of one packet from its server, in one line.
//!
//! Its cryptography is of glass: every signature holds, and what is sealed lies open. So inputs are
//! about ids, sizes, op codes, sequence numbers and contents. The line says what the client learns,
//! event by event, and how the connection ends, if it does.

use std::convert::Infallible;

use super::verdict::{hex, text};
use super::{TIMESTAMP, packet};
use crate::backend::{Backend, Glass};
use crate::world::SERVER_KEY;
use rand_chacha::rand_core::{TryCryptoRng, TryRng};
use waxwing_core::client::{
    Buffers, Client, Ended, Env, Event, Keys, LetterName, Options, RefusalNotice,
};
use waxwing_core::crypto::ReplyKey;
use waxwing_core::id::UserId;
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::time::{Instant, Now, UnixTime};
use waxwing_core::wire::{KeyQuestion, Packet};

/// The client's own id.
pub(super) const USER: u16 = 7;
/// The id about whose key it has asked.
pub(super) const ASKED_ABOUT: u16 = 300;
/// Every byte of its nonces.
pub(super) const NONCE: u8 = 0x40;

/// How far the client has come when the packet comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    /// Its 100 has gone out.
    Asked,
    /// Its 101 has gone out.
    Proving,
    /// Its 106 has gone out.
    Reconnecting,
    /// It has confirmed its session, and asked for a key. The server has said nothing under it.
    Confirming,
    /// The same, after an end of an empty backlog, sealed.
    Online,
}

/// The line.
pub(super) fn verdict(moment: Moment, data: &[u8]) -> String {
    if Packet::parse(data).is_err() {
        return "no packet".into();
    }
    let (own, server) = (Glass::key(0), Glass::key(SERVER_KEY));
    let keys = Keys { provider: &Glass, own: &own, server: &server };
    let mut talk = Talk::new(keys);
    talk.begin(moment);
    talk.hear(data);
    talk.said.join("; ")
}

struct Talk<'a> {
    client: Client<'a, Glass, Vec<u8>, 4>,
    said: Vec<String>,
}

impl<'a> Talk<'a> {
    fn new(keys: Keys<'a, Glass>) -> Self {
        let buffers =
            Buffers { letters: vec![0; 70_000], control: vec![0; 2_330], transmit: vec![0; 4_096] };
        let options = Options { window: 4, ..Options::default() };
        Self { client: Client::new(keys, buffers, options).unwrap(), said: Vec::new() }
    }

    fn begin(&mut self, moment: Moment) {
        let mut rng = Constant;
        let env = &mut env(&mut rng);
        let (phone, key) = (Phone::parse(b"+15550001111").unwrap(), ReplyKey::from_bytes(&[5; 32]));
        match moment {
            Moment::Asked => self.client.request_otp(env, &phone, &key),
            Moment::Proving => {
                self.client.prove_otp(env, &phone, &key, &Otp::parse(b"123456").unwrap())
            }
            _ => self.client.reconnect(env, UserId::new(USER).unwrap(), None),
        }
        .unwrap();
        if moment >= Moment::Confirming {
            self.hear(&packet(
                0,
                USER,
                TIMESTAMP,
                206,
                &wrapped(&[[6; 32].as_slice(), &[NONCE; 16]].concat()),
            ));
            let asked = KeyQuestion::ById(UserId::new(ASKED_ABOUT).unwrap());
            let len = self.client.transmit().len();
            self.client.transmitted(len);
            self.client.ask_for_key(env, asked).unwrap();
        }
        if moment == Moment::Online {
            self.hear(&packet(0, USER, TIMESTAMP, 255, &sealed(0, &[0; 4])));
        }
        self.said.clear();
    }

    fn hear(&mut self, mut bytes: &[u8]) {
        let mut rng = Constant;
        let env = &mut env(&mut rng);
        while !bytes.is_empty() && self.client.ended().is_none() {
            let len = self.client.transmit().len();
            self.client.transmitted(len);
            let room = self.client.receive_buffer();
            let (now, later) = bytes.split_at(room.len().min(bytes.len()));
            room[..now.len()].copy_from_slice(now);
            self.client.received(now.len());
            bytes = later;
            while let Ok(Some(event)) = self.client.poll(env) {
                self.said.extend(line(event));
            }
        }
        self.said.extend(self.client.ended().map(end));
    }
}

fn line(event: Event<'_>) -> Option<String> {
    Some(match event {
        Event::OtpIssued(grant) => {
            let otp = grant.otp.as_ref().map_or("-".into(), |otp| text(otp.expose()));
            format!("code {} {} {} {otp}", grant.ttl_s, grant.attempts, grant.resend_s)
        }
        Event::PhoneTaken => "phone exists".into(),
        Event::SessionIssued { user } => format!("session of {user}"),
        Event::Letter(letter) => format!("letter {}", hex(&letter.id().0)),
        Event::TooLarge(letter) => format!("too large {}", hex(&letter.id().0)),
        Event::Status { letter, status } => {
            let letter = match letter {
                LetterName::Whole(id) => hex(&id.0),
                LetterName::Prefix(prefix) => hex(&prefix.0),
            };
            format!("status {letter}:{}", status.code())
        }
        Event::Key(answer) if answer.spki.has_small_factor() => return Some("failed".into()),
        Event::Key(answer) => {
            let spki = hex(answer.spki.as_bytes());
            format!("key {} {} {spki}", answer.user, answer.phone.as_str())
        }
        Event::Successor(_) => panic!("nobody has asked for it"),
        // A client may close then.
        Event::WrongKey(_) => "failed".into(),
        Event::BacklogEnd(count) => format!("backlog {count}"),
        Event::Refused(notice) => refused(&notice),
    })
}

fn end(ended: Ended) -> String {
    match ended {
        Ended::Closed(reason) => format!("closed {}", reason as u8),
        Ended::Refused(notice) => refused(&notice),
        Ended::BadBytes | Ended::Misbehaved | Ended::BadSeal | Ended::WindowExceeded => {
            "failed".into()
        }
        Ended::TimedOut | Ended::Build(_) => panic!("{ended}"),
    }
}

fn refused(notice: &RefusalNotice) -> String {
    let RefusalNotice { number, retry_after_s, packet, .. } = notice;
    let packet = packet.map_or("-".into(), |id| hex(&id.0));
    format!("refused {number} {retry_after_s} {packet}")
}

/// `OAEP(client; message)`, of glass: the length, the message, and zeros.
pub(super) fn wrapped(message: &[u8]) -> Vec<u8> {
    let mut block = [&[message.len() as u8][..], message].concat();
    block.resize(256, 0);
    block
}

/// `sealed(message)`, of glass: an IV, the sequence number, the message, and a padding.
pub(super) fn sealed(seq: u32, message: &[u8]) -> Vec<u8> {
    padded([&seq.to_le_bytes()[..], message].concat())
}

/// `IV ‖ CBC(key; message)`, of glass.
pub(super) fn padded(mut message: Vec<u8>) -> Vec<u8> {
    let padding = 16 - message.len() % 16;
    message.resize(message.len() + padding, padding as u8);
    [&[0x11; 16][..], &message].concat()
}

fn env(rng: &mut Constant) -> Env<'_> {
    let now = Now { instant: Instant::from_millis(0), unix: UnixTime::from_seconds(1_795_350_896) };
    Env { now, rng }
}

/// No generator: what it draws is known to both decoders.
struct Constant;

impl TryRng for Constant {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes([NONCE; 4]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes([NONCE; 8]))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(NONCE);
        Ok(())
    }
}

impl TryCryptoRng for Constant {}
