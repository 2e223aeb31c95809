//! The connections of the device, one after the other, until its plan is carried out.

use core::time::Duration;

use embedded_io::{Error, ErrorKind, Read, ReadReady, Write, WriteReady};
use static_cell::ConstStaticCell;
use waxwing_core::client::{
    Buffers, Client, DriveError, Ended, Env, Keys, Moved, Options, RequestError, drive, drive_async,
};
use waxwing_core::crypto::RustCrypto;
use waxwing_core::limits::MAX_CONTROL_PACKET;
use waxwing_core::messenger::{Advice, Cause, Over, Turn};
use waxwing_core::time::Instant;
use waxwing_core::wire::{CloseReason, ErrorCode};

use crate::device::Device;
use crate::flash::WriteFailed;
use crate::memory::short;

/// A connection with one letter at a time.
type Machine = Client<'static, RustCrypto, &'static mut [u8], 1>;

/// A letter that was put off is due at a time that only the memory knows: so often it is asked.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

static MACHINE: ConstStaticCell<Option<Machine>> = ConstStaticCell::new(None);
static PACKETS: ConstStaticCell<Packets> = ConstStaticCell::new(Packets::EMPTY);

/// The packet buffers.
struct Packets {
    /// The largest letter that it can read has 8 KiB.
    letter: [u8; 8 * 1_024],
    control: [u8; MAX_CONTROL_PACKET],
    /// A letter of its own and a control packet beside it.
    transmit: [u8; 1_024 + MAX_CONTROL_PACKET],
}

impl Packets {
    const EMPTY: Self = Self {
        letter: [0; 8 * 1_024],
        control: [0; MAX_CONTROL_PACKET],
        transmit: [0; 1_024 + MAX_CONTROL_PACKET],
    };
}

/// The memory of the connections, one after the other.
pub struct Machines {
    place: &'static mut Option<Machine>,
    /// The memory of the first one, until that is made.
    unused: Option<Buffers<&'static mut [u8]>>,
}

impl Machines {
    /// There is one. Call it once.
    pub fn take() -> Self {
        let Packets { letter, control, transmit } = PACKETS.take();
        let unused = Some(Buffers::from_arrays(letter, control, transmit));
        Self { place: MACHINE.take(), unused }
    }

    /// The next machine. It is made in a frame of its own, which is gone when the machine computes.
    #[inline(never)]
    fn next(&mut self, keys: Keys<'static, RustCrypto>, options: Options) -> Option<&mut Machine> {
        let of_last = self.place.take().map(Machine::into_buffers);
        let buffers = self.unused.take().or(of_last)?;
        Some(self.place.insert(Machine::new(keys, buffers, options).ok()?))
    }
}

/// What comes after a step.
enum Step {
    /// Another one, at once.
    GoOn,
    /// Another one, when a byte has come or the time of something has.
    Wait,
    /// The connection is over.
    Over(Next),
}

/// What comes after a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the plan is carried out, and the server has said goodbye.
    Done,
    /// Another one, not before this moment.
    Again(Instant),
    /// Nothing: another one would end like this one.
    GiveUp,
}

/// What the program has said and done on this connection.
#[derive(Default)]
struct Said {
    letter_waits: bool,
    is_leaving: bool,
}

impl Device {
    /// One connection after the other, until the plan is carried out, or cannot be: whether it was.
    pub(crate) fn talk<S>(&mut self, stream: &mut S, mut connect: impl FnMut(&mut S)) -> bool
    where
        S: Read + ReadReady + Write + WriteReady,
    {
        let mut machines = Machines::take();
        loop {
            connect(stream);
            let Some(client) = machines.next(self.keys, self.options()) else { return false };
            match self.converse(client, stream) {
                Next::Done => return true,
                Next::GiveUp => return false,
                Next::Again(at) => self.wait(at),
            }
        }
    }

    /// One connection, to its end.
    #[inline(never)]
    fn converse<S>(&mut self, client: &mut Machine, stream: &mut S) -> Next
    where
        S: Read + ReadReady + Write + WriteReady,
    {
        let mut said = Said::default();
        let mut step = self.begin(client);
        loop {
            match step {
                Step::GoOn => {}
                Step::Wait => self.board.sleep(),
                Step::Over(next) => return next,
            }
            let mut env = Env { now: self.board.now(), rng: &mut self.rng };
            let moved = drive(client, stream, &mut env);
            step = self.step(client, moved, &mut said);
        }
    }

    /// One connection, to its end, over the two halves of a stream that an executor waits for. `timer`
    /// ends at a moment. Dropping this ends the connection.
    pub async fn converse_async<R, W, T>(
        &mut self,
        machines: &mut Machines,
        (reader, writer): (&mut R, &mut W),
        timer: impl Fn(Instant) -> T,
    ) -> Next
    where
        R: embedded_io_async::Read,
        W: embedded_io_async::Write<Error = R::Error>,
        T: Future,
    {
        let Some(client) = machines.next(self.keys, self.options()) else { return Next::GiveUp };
        let mut said = Said::default();
        let mut step = self.begin(client);
        loop {
            let wait = match step {
                Step::GoOn => Duration::ZERO,
                Step::Wait => LONGEST_WAIT,
                Step::Over(next) => return next,
            };
            let latest = self.board.now().instant.after(wait);
            let until = |due: Option<Instant>| timer(due.map_or(latest, |due| due.min(latest)));
            let moved = drive_async(client, reader, writer, until).await;
            client.timeout(&mut Env { now: self.board.now(), rng: &mut self.rng });
            step = self.step(client, moved, &mut said);
        }
    }

    fn options(&self) -> Options {
        let clock_offset_s = self.messenger.clock_offset_s();
        Options { window: 1, probe: Some(self.plan.probe), clock_offset_s, ..Options::default() }
    }

    /// What there is to do after bytes were moved, or were not.
    fn step<E: Error>(
        &mut self,
        client: &mut Machine,
        moved: Result<Moved, DriveError<E>>,
        said: &mut Said,
    ) -> Step {
        let mut env = Env { now: self.board.now(), rng: &mut self.rng };
        let more = moved.as_ref().is_ok_and(|moved| moved.read > 0);
        let settled = self.memory.settled();
        let turn = self.messenger.turn(client, self.memory, &mut env, more);
        if self.plan.freeze && self.memory.settled() > settled {
            // What the turn has acknowledged goes out with the next move of bytes.
            self.freeze();
        }
        let why = match (turn, moved) {
            (Ok(Turn::Over(over)), _) => return Step::Over(self.after(over, said.is_leaving)),
            (Err(WriteFailed), _) => "lost: the flash does not take it",
            (_, Err(error)) => how_a_line_ends(error),
            (Ok(Turn::Open), Ok(_)) => return Step::GoOn,
            (Ok(turn), Ok(moved)) => match self.memory.store_code() {
                Ok(has_code) => {
                    if self.go_on(client, has_code, said).is_none() {
                        self.board.say(&["a packet could not be made"]);
                        return Step::Over(Next::GiveUp);
                    }
                    let is_idle = turn == Turn::Idle && moved.is_nothing();
                    return if is_idle { Step::Wait } else { Step::GoOn };
                }
                Err(WriteFailed) => "lost: the flash does not take it",
            },
        };
        self.board.say(&[why]);
        let mut env = Env { now: self.board.now(), rng: &mut self.rng };
        self.messenger.disconnected(&mut env);
        Step::Over(self.again())
    }

    /// Asks for a session; without an account, proves the code that it has, or asks for one.
    fn begin(&mut self, client: &mut Machine) -> Step {
        if self.ask(client).is_some() {
            return Step::GoOn;
        }
        self.board.say(&["the first packet could not be made"]);
        Step::Over(Next::GiveUp)
    }

    fn ask(&mut self, client: &mut Machine) -> Option<()> {
        let mut env = Env { now: self.board.now(), rng: &mut self.rng };
        self.messenger.connect(client, self.memory, &mut env).ok()?;
        let own = &self.plan.own;
        if self.memory.user().is_some() {
            self.board.say(&["reconnecting"]);
            return Some(());
        }
        if let Some(code) = self.memory.code() {
            self.board.say(&["proving the code"]);
            return client.prove_otp(&mut env, own, self.memory.reply_key(), code).ok();
        }
        self.board.say(&["asking for a code for ", &short(own)]);
        client.request_otp(&mut env, own, self.memory.reply_key()).ok()
    }

    /// What the messenger leaves to the program, between two of its steps.
    fn go_on(&mut self, client: &mut Machine, has_code: bool, said: &mut Said) -> Option<()> {
        let mut env = Env { now: self.board.now(), rng: &mut self.rng };
        if has_code {
            self.board.say(&["proving the code"]);
            let (reply_key, code) = (self.memory.reply_key(), self.memory.code()?);
            client.prove_otp(&mut env, &self.plan.own, reply_key, code).ok()?;
        }
        if !client.is_in_session() || said.is_leaving {
            return Some(());
        }
        // One whose sender is known was taken by the turn.
        if !said.letter_waits && client.letter().is_some() {
            said.letter_waits = true;
            self.board.say(&["a letter of somebody unknown waits"]);
        }
        let is_enough = self.plan.letters.is_some_and(|letters| self.memory.settled() >= letters);
        let is_settled = self.messenger.is_settled(self.memory, env.now.unix);
        if is_enough && !self.memory.has_open_letter() && is_settled == Ok(true) {
            match client.leave(&mut env) {
                Ok(()) => {
                    said.is_leaving = true;
                    self.board.say(&["leaving"]);
                }
                // There is no room for the packet now; the next turn tries again.
                Err(RequestError::Busy) => {}
                Err(_) => return None,
            }
        }
        Some(())
    }

    /// Says how a connection has ended, and what comes next.
    fn after(&mut self, over: Over, is_leaving: bool) -> Next {
        if is_leaving && matches!(over.cause, Cause::Ended(Ended::Closed(_))) {
            self.board.say(&["left"]);
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
        self.board.say(&[why, code]);
        match over.advice {
            Advice::Again | Advice::AgainQuietly => {}
            // Nobody can type a code here: the server has to make another one.
            Advice::AskForCode | Advice::RequestCode => {
                if self.memory.forget_attempt(&mut self.rng).is_err() {
                    self.board.say(&["the flash does not take it"]);
                }
            }
            Advice::GiveUp => return Next::GiveUp,
        }
        self.again()
    }

    const fn again(&self) -> Next {
        Next::Again(self.messenger.may_connect_at())
    }

    fn wait(&self, until: Instant) {
        while self.board.now().instant < until {
            self.board.sleep();
        }
    }

    fn freeze(&self) -> ! {
        self.board.say(&["frozen before the acknowledgment"]);
        loop {
            self.board.sleep();
        }
    }
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

fn how_a_line_ends<E: Error>(error: DriveError<E>) -> &'static str {
    let DriveError::Stream(error) = error else { return "lost: the line is over" };
    match error.kind() {
        ErrorKind::ConnectionRefused => "lost: the server takes no connection",
        ErrorKind::ConnectionReset => "lost: the connection was reset",
        _ => "lost: the line failed",
    }
}
