//! The connections of the device, one after the other, until its plan is carried out.

use rand_chacha::ChaCha20Rng;
use waxwing_core::client::{Buffers, Client, DriveError, Ended, Env, Keys, Options, drive};
use waxwing_core::crypto::RustCrypto;
use waxwing_core::messenger::{Advice, Cause, Messenger, Over, Turn};
use waxwing_core::time::Instant;
use waxwing_core::wire::{CloseReason, ErrorCode};

use crate::clock;
use crate::flash::WriteFailed;
use crate::host::{self, say};
use crate::memory::{Memory, short};
use crate::plan::Plan;
use crate::uart::{Overrun, Uart};

/// A connection with one letter at a time.
pub type Machine = Client<'static, RustCrypto, &'static mut [u8], 1>;
/// A messenger for one conversation, without memory for letters aside.
pub type Waxwing = Messenger<'static, [u8; 0], 2>;

/// What the device's connections are led with.
pub struct Device<'d> {
    plan: &'d Plan,
    messenger: &'d mut Waxwing,
    memory: &'d mut Memory,
    rng: &'d mut ChaCha20Rng,
    uart: Uart,
}

/// What comes after a connection.
enum Next {
    /// Nothing: the plan is carried out, and the server has said goodbye.
    Done,
    /// Another one, after a pause.
    Again,
    /// Nothing: another one would end like this one.
    GiveUp,
}

/// What the program has said and done on this connection.
#[derive(Default)]
struct Said {
    letter_waits: bool,
    is_leaving: bool,
}

impl<'d> Device<'d> {
    /// A device that has not connected yet. The line is switched on.
    pub fn new(
        plan: &'d Plan,
        messenger: &'d mut Waxwing,
        memory: &'d mut Memory,
        rng: &'d mut ChaCha20Rng,
    ) -> Self {
        Self { plan, messenger, memory, rng, uart: Uart::start() }
    }

    /// One connection after the other, until the plan is carried out, or cannot be: whether it was.
    pub fn run(
        mut self,
        keys: Keys<'static, RustCrypto>,
        machine: &mut Option<Machine>,
        mut buffers: Buffers<&'static mut [u8]>,
    ) -> bool {
        loop {
            let (probe, clock_offset_s) = (Some(self.plan.probe), self.messenger.clock_offset_s());
            let options = Options { window: 1, probe, clock_offset_s, ..Options::default() };
            match self.talk(connection(machine, keys, buffers, options)) {
                Next::Done => return true,
                Next::GiveUp => return false,
                Next::Again => {}
            }
            let Some(memory) = buffers_of(machine) else { return false };
            buffers = memory;
            // The other end of the line connects anew first, or what is said goes nowhere.
            wait(self.messenger.may_connect_at().after(self.plan.line));
            self.uart.clear();
        }
    }

    /// One connection, to its end.
    #[inline(never)]
    fn talk(&mut self, client: &mut Machine) -> Next {
        let mut said = Said::default();
        if self.begin(client).is_none() {
            say(&["the first packet could not be made"]);
            return Next::GiveUp;
        }
        loop {
            let mut env = Env { now: clock::now(), rng: self.rng };
            let moved = drive(client, &mut self.uart, &mut env);
            let more = moved.is_ok_and(|moved| moved.read > 0);
            let settled = self.memory.settled();
            let turn = self.messenger.turn(client, self.memory, &mut env, more);
            if self.plan.freeze && self.memory.settled() > settled {
                // What the turn has acknowledged goes out with the next move of bytes.
                freeze();
            }
            let why = match (turn, moved) {
                (Ok(Turn::Over(over)), _) => return after(over, said.is_leaving),
                (Err(WriteFailed), _) => "lost: the flash does not take it",
                (_, Err(DriveError::Stream(Overrun))) => {
                    "lost: a byte came and there was no place for it"
                }
                (_, Err(DriveError::EndOfStream)) => "lost: the line is over",
                (Ok(Turn::Open), Ok(_)) => continue,
                (Ok(turn), Ok(moved)) => {
                    if self.go_on(client, &mut said).is_none() {
                        say(&["a packet could not be made"]);
                        return Next::GiveUp;
                    }
                    if turn == Turn::Idle && moved.is_nothing() {
                        cortex_m::asm::wfi();
                    }
                    continue;
                }
            };
            say(&[why]);
            self.messenger.disconnected(&mut Env { now: clock::now(), rng: self.rng });
            return Next::Again;
        }
    }

    /// Asks for a session, or, without an account, for a code.
    fn begin(&mut self, client: &mut Machine) -> Option<()> {
        let mut env = Env { now: clock::now(), rng: self.rng };
        self.messenger.connect(client, self.memory, &mut env).ok()?;
        let own = &self.plan.own;
        if self.memory.user().is_some() {
            say(&["reconnecting"]);
            return Some(());
        }
        say(&["asking for a code for ", &short(own)]);
        client.request_otp(&mut env, own, self.memory.reply_key()).ok()
    }

    /// What the messenger leaves to the program, between two of its steps.
    fn go_on(&mut self, client: &mut Machine, said: &mut Said) -> Option<()> {
        let mut env = Env { now: clock::now(), rng: self.rng };
        if let Some(code) = self.memory.take_code() {
            say(&["proving the code"]);
            let reply_key = self.memory.reply_key();
            client.prove_otp(&mut env, &self.plan.own, reply_key, &code).ok()?;
        }
        if !client.is_in_session() || said.is_leaving {
            return Some(());
        }
        // One whose sender is known was taken by the turn.
        if !said.letter_waits && client.letter().is_some() {
            said.letter_waits = true;
            say(&["a letter of somebody unknown waits"]);
        }
        let is_enough = self.plan.letters.is_some_and(|letters| self.memory.settled() >= letters);
        let is_settled = self.messenger.is_settled(self.memory, env.now.unix);
        if is_enough && !self.memory.has_open_letter() && is_settled == Ok(true) {
            said.is_leaving = true;
            say(&["leaving"]);
            client.leave(&mut env).ok()?;
        }
        Some(())
    }
}

/// A new machine. It is made in a frame of its own, which is gone when the machine computes.
#[inline(never)]
fn connection<'m>(
    place: &'m mut Option<Machine>,
    keys: Keys<'static, RustCrypto>,
    buffers: Buffers<&'static mut [u8]>,
    options: Options,
) -> &'m mut Machine {
    let Ok(client) = Machine::new(keys, buffers, options) else {
        say(&["bad options"]);
        host::exit(host::Outcome::Failure);
    };
    place.insert(client)
}

/// The machine's memory, for the next one.
#[inline(never)]
fn buffers_of(place: &mut Option<Machine>) -> Option<Buffers<&'static mut [u8]>> {
    place.take().map(Machine::into_buffers)
}

/// Says how a connection has ended, and what comes next.
fn after(over: Over, is_leaving: bool) -> Next {
    if is_leaving && matches!(over.cause, Cause::Ended(Ended::Closed(_))) {
        say(&["left"]);
        return Next::Done;
    }
    let (why, code) = match over.cause {
        Cause::Ended(ended) => how(ended),
        Cause::Unanswered => ("lost: a letter has had no answer", ""),
        Cause::OtherAccount => ("the server takes this device for another one", ""),
        Cause::WrongKey => ("the server answers another question than was asked", ""),
        Cause::OwnKey => ("a packet could not be made", ""),
        Cause::Profile => ("lost: the flash does not take it", ""),
    };
    say(&[why, code]);
    if over.advice == Advice::GiveUp { Next::GiveUp } else { Next::Again }
}

fn how(ended: Ended) -> (&'static str, &'static str) {
    let why = match ended {
        Ended::Refused(refusal) => {
            return ("lost: refused: ", refusal.code.map_or("unknown code", ErrorCode::name));
        }
        Ended::Closed(CloseReason::TakenOver) => "another session took over",
        Ended::Closed(_) => "lost: the server closed the session",
        Ended::TimedOut => "lost: the server does not answer",
        Ended::BadBytes | Ended::Misbehaved | Ended::BadSeal => {
            "lost: what came is not the server's, or not for us"
        }
        Ended::WindowExceeded => "lost: more letters came than were asked for",
        Ended::Build(_) => "a packet could not be made",
    };
    (why, "")
}

fn wait(until: Instant) {
    while clock::now().instant < until {
        cortex_m::asm::wfi();
    }
}

fn freeze() -> ! {
    say(&["frozen before the acknowledgment"]);
    loop {
        cortex_m::asm::wfi();
    }
}
