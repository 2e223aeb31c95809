//! The life of one connection: what the device asks for, and what it does about what it hears.

use core::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use waxwing_core::client::{
    Client, DriveError, Ended, Env, Event, Keys, RefusalNotice, RequestError, drive,
};
use waxwing_core::crypto::{PrivateKey, RustCrypto};
use waxwing_core::envelope::Fingerprint;
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::phone::Phone;
use waxwing_core::refusal::Reaction;
use waxwing_core::time::{Instant, Now, Timestamp};
use waxwing_core::wire::{CloseReason, KeyAnswer, OtpGrant};

use crate::clock;
use crate::host::{self, say};
use crate::memory::Memory;
use crate::plan::Plan;
use crate::uart::{Overrun, Uart};

mod inbound;
mod outbound;

/// A client for one letter at a time.
pub type Machine<'a> = Client<'a, RustCrypto, &'a mut [u8], 1>;

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The plan is carried out and the server has said goodbye.
    Done,
    /// Another attempt is worth it.
    Lost,
    /// Another attempt is worth it, but not before so long, and after pauses that grow.
    Later(Duration),
    /// No attempt is.
    Hopeless,
}

/// One connection of the device.
pub struct Session<'s, 'k> {
    plan: &'s Plan<'s>,
    keys: Keys<'k, RustCrypto>,
    me: Fingerprint,
    memory: &'s mut Memory,
    rng: &'s mut ChaCha20Rng,
    /// Letters whose fate is settled, over all connections.
    letters: &'s mut u32,
    /// A letter lies in the buffer whose sender's key was asked for.
    waits_for_key: bool,
    /// The letter was signed and sent on this connection.
    has_sent: bool,
    /// How often.
    times_sent: u8,
    /// The peer has another id by now, if any: the letter waits for it.
    seeks_peer: bool,
    has_asked: bool,
    is_leaving: bool,
    backlog_has_come: bool,
    heard: Instant,
}

impl<'s, 'k> Session<'s, 'k> {
    /// A connection on which nothing has been said.
    pub fn new(
        plan: &'s Plan<'s>,
        keys: Keys<'k, RustCrypto>,
        memory: &'s mut Memory,
        rng: &'s mut ChaCha20Rng,
        letters: &'s mut u32,
    ) -> Self {
        let me = Fingerprint::of(keys.provider, &plan.own, keys.own.spki());
        let heard = clock::now().instant;
        Self {
            plan,
            keys,
            me,
            memory,
            rng,
            letters,
            waits_for_key: false,
            has_sent: false,
            times_sent: 0,
            seeks_peer: false,
            has_asked: false,
            is_leaving: false,
            backlog_has_come: false,
            heard,
        }
    }

    /// Runs it to its end.
    pub fn run(mut self, client: &mut Machine<'_>, uart: &mut Uart) -> Over {
        if self.begin(client).is_err() {
            return Over::Hopeless;
        }
        loop {
            let now = clock::now();
            let moved = match drive(client, uart, &mut self.env(now)) {
                Ok(moved) => moved,
                Err(DriveError::Stream(Overrun)) => {
                    say(&["lost: a byte came and there was no place for it"]);
                    return Over::Lost;
                }
                Err(DriveError::EndOfStream) => return Over::Lost,
            };
            if moved.read > 0 {
                self.heard = now.instant;
            }
            loop {
                match client.poll(&mut Env { now, rng: self.rng }) {
                    Ok(Some(event)) => {
                        if let Some(todo) = self.hear(event)
                            && let Some(over) = self.act(client, now, todo)
                        {
                            return over;
                        }
                    }
                    Ok(None) => break,
                    Err(ended) => return self.ended(ended),
                }
            }
            if self.pursue(client, now).is_err() {
                return Over::Hopeless;
            }
            if moved.is_nothing() {
                cortex_m::asm::wfi();
            }
        }
    }

    fn env(&mut self, now: Now) -> Env<'_> {
        Env { now, rng: self.rng }
    }

    /// 106 for an account, 100 for none.
    fn begin(&mut self, client: &mut Machine<'_>) -> Result<(), RequestError> {
        let now = clock::now();
        match self.memory.user {
            Some(user) => {
                say(&["reconnecting"]);
                client.reconnect(&mut self.env(now), user, None)
            }
            None => {
                self.save();
                say(&["asking for a code for ", &short(&self.plan.own)]);
                let reply_key = self.memory.reply_key.clone();
                client.request_otp(&mut Env { now, rng: self.rng }, &self.plan.own, &reply_key)
            }
        }
    }

    /// What an event says; what is to be done about it needs the machine again.
    #[inline(never)]
    fn hear(&mut self, event: Event<'_>) -> Option<Todo> {
        match event {
            Event::OtpIssued(grant) => return Some(Todo::Prove(grant)),
            Event::PhoneTaken => {
                say(&["the phone has an account"]);
                host::exit(host::Outcome::Failure);
            }
            Event::SessionIssued { user } => return Some(Todo::Confirmed(user)),
            Event::Letter(_) => return Some(Todo::Read),
            Event::TooLarge(letter) => {
                let mut room = [0; 10];
                let size = u32::from(letter.header.payload_size);
                say(&[
                    "a letter of ",
                    host::decimal(size, &mut room),
                    " bytes is too large to keep",
                ]);
                *self.letters += 1;
                return Some(Todo::Acknowledge(letter.id(), letter.header.packet_len()));
            }
            Event::Status { letter, status } => self.learn(letter.prefix(), status),
            Event::Key(answer) => return Some(Todo::Pin(answer)),
            Event::WrongKey(_) => say(&["the server answers another question than was asked"]),
            Event::BacklogEnd(count) => {
                self.backlog_has_come = true;
                say(&["backlog: ", host::decimal(count, &mut [0; 10])]);
            }
            Event::Refused(refusal) => return Some(Todo::Refused(refusal)),
        }
        None
    }

    #[inline(never)]
    fn act(&mut self, client: &mut Machine<'_>, now: Now, todo: Todo) -> Option<Over> {
        match todo {
            Todo::Prove(OtpGrant { otp: Some(otp), .. }) => {
                say(&["proving the code"]);
                let reply_key = self.memory.reply_key.clone();
                let own = &self.plan.own;
                let mut env = Env { now, rng: self.rng };
                if client.prove_otp(&mut env, own, &reply_key, &otp).is_err() {
                    say(&["the proof could not be made"]);
                }
            }
            Todo::Prove(_) => {
                say(&["the code goes elsewhere, and nobody can type it here"]);
                host::exit(host::Outcome::Failure);
            }
            Todo::Confirmed(user) => {
                if self.memory.user != Some(user) {
                    self.memory.user = Some(user);
                    self.save();
                    say(&["registered"]);
                }
                let year = now.unix.shifted(client.clock_offset_s());
                let time = Timestamp::from_unix(year);
                say(&["in a session; the clock says ", time.as_str()]);
            }
            Todo::Acknowledge(id, len) => client.acknowledge(&mut self.env(now), id, len),
            Todo::Read => self.read(client, now, None),
            Todo::Pin(answer) => self.pin(client, now, answer),
            Todo::Refused(refusal) => return self.refused(client, now, refusal),
        }
        None
    }

    /// What was refused is done again at once only where the refusal itself says how to do it
    /// better; whatever else is worth another attempt is left to the next connection.
    fn refused(
        &mut self,
        client: &mut Machine<'_>,
        now: Now,
        refusal: RefusalNotice,
    ) -> Option<Over> {
        say(&["refused: ", refusal.code.map_or("unknown code", |code| code.name())]);
        let is_our_letter = self.memory.outgoing.as_ref().is_some_and(|letter| {
            refusal.packet.is_some_and(|packet| letter.ids.contains(&packet))
        });
        let reaction = refusal.code.map(|code| code.rule().reaction);
        match reaction {
            // The machine has set its clock by the refusal.
            Some(Reaction::SignAgain) if is_our_letter && self.times_sent < SENDINGS => {
                self.has_sent = false;
            }
            Some(Reaction::AskForKey) if is_our_letter && self.times_sent < SENDINGS => {
                (self.has_sent, self.seeks_peer) = (false, true);
            }
            Some(Reaction::GiveUp) if is_our_letter => {
                say(&["own letter: given up"]);
                self.memory.outgoing = None;
                self.save();
            }
            // Nobody is known under the sender's id any more.
            Some(Reaction::GiveUp) if self.waits_for_key && !client.is_asking_for_key() => {
                self.settle(client, now);
            }
            _ => {
                say(&["lost: the server says later"]);
                return Some(Over::Later(Duration::from_secs(refusal.retry_after_s.into())));
            }
        }
        None
    }

    fn save(&mut self) {
        if self.memory.save().is_err() {
            say(&["the flash does not take it"]);
            host::exit(host::Outcome::Failure);
        }
    }

    fn ended(&mut self, ended: Ended) -> Over {
        match ended {
            Ended::Closed(_) if self.is_leaving => {
                say(&["left"]);
                return Over::Done;
            }
            Ended::Closed(CloseReason::TakenOver) => {
                say(&["another session took over"]);
                return Over::Hopeless;
            }
            Ended::Closed(reason) => {
                say(&["lost: the server closed the session"]);
                if reason == CloseReason::ServerStopping {
                    // Not everybody at once.
                    let pause = 1_000 + self.rng.next_u32() % 29_000;
                    return Over::Later(Duration::from_millis(pause.into()));
                }
            }
            Ended::Refused(refusal) => {
                say(&["lost: refused: ", refusal.code.map_or("unknown code", |code| code.name())]);
                return Over::Later(Duration::from_secs(refusal.retry_after_s.into()));
            }
            Ended::TimedOut => say(&["lost: the server does not answer"]),
            Ended::BadBytes | Ended::Misbehaved | Ended::BadSeal => {
                say(&["lost: what came is not the server's, or not for us"]);
            }
            Ended::WindowExceeded => say(&["lost: more letters came than were asked for"]),
            Ended::Build(_) => {
                say(&["a packet could not be made"]);
                return Over::Hopeless;
            }
        }
        Over::Lost
    }
}

/// How often a letter is signed on one connection.
const SENDINGS: u8 = 3;

/// What an event leads to.
#[expect(clippy::large_enum_variant, reason = "there is nothing to box it with")]
enum Todo {
    Prove(OtpGrant),
    Confirmed(UserId),
    Acknowledge(PacketId, usize),
    Read,
    Pin(KeyAnswer),
    Refused(RefusalNotice),
}

/// A phone number of which only the ends are shown.
fn short(phone: &Phone) -> heapless::String<8> {
    let text = phone.as_str();
    let mut short = heapless::String::new();
    let _ = short.push_str(&text[..3]);
    let _ = short.push('…');
    let _ = short.push_str(&text[text.len() - 2..]);
    short
}
