//! What the device knows: what it remembers without power, on one page of the flash, and what
//! matters only while it is on. It is the messenger's profile: a step's changes are one write of
//! the page, and what a step has to show is shown after that write.

mod page;
mod profile;

use heapless::String;
use waxwing_core::crypto::{CryptoRng, ReplyKey};
use waxwing_core::id::UserId;
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::Status;

use crate::board::Board;
use crate::flash::{Flash, ROOM, WriteFailed};
use page::{Outgoing, Page};

pub use page::Text;
pub(crate) use profile::short;

/// Bytes of the lines of one step: a letter takes 169 at most, and what else a step can bring, less
/// than as much again.
const LINES: usize = 512;

/// What the device knows.
pub struct Memory {
    board: &'static dyn Board,
    /// What outlives power, as the step has changed it.
    page: Page,
    flash: Flash,
    step: Step,
    attempt: Attempt,
    /// Letters whose fate is settled since the device was switched on.
    settled: u32,
    /// Whose letter came last that is not the peer.
    stranger: Option<Phone>,
    /// A code that has come and has yet to be stored.
    code: Option<Otp>,
}

/// What has happened since [`waxwing_core::messenger::Profile::begin`].
#[derive(Debug, Default)]
struct Step {
    /// Whether the page is another one now. Most steps hear only of other people's letters, and
    /// flash wears out.
    is_changed: bool,
    /// What to show when it is durable.
    lines: String<LINES>,
    /// Letters whose fate is settled then.
    settled: u32,
}

/// How far the device's own letter has come in this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// It is to be sent, not before this moment.
    Waiting(UnixTime),
    /// It is on its way.
    Sent,
    /// It is kept for the next session.
    Refused,
}

impl Attempt {
    const AT_ONCE: Self = Self::Waiting(UnixTime::from_seconds(0));
}

impl Memory {
    /// That of a new device, which talks with `peer`.
    #[inline(never)]
    pub fn new(board: &'static dyn Board, peer: Phone, rng: &mut dyn CryptoRng) -> Self {
        Self {
            board,
            page: Page::new(peer, rng),
            flash: Flash::new(board),
            step: Step::default(),
            attempt: Attempt::AT_ONCE,
            settled: 0,
            stranger: None,
            code: None,
        }
    }

    /// Takes up what was written last. Where there is nothing, what is here is written: the name of
    /// an attempt to register has to be durable before it is used.
    ///
    /// # Errors
    /// [`WriteFailed`] when that fails.
    pub fn open(&mut self) -> Result<(), WriteFailed> {
        if self.load() { Ok(()) } else { self.save() }
    }

    /// Stores a text for the peer, unless an earlier letter may still be delivered: whether it is
    /// stored.
    ///
    /// # Errors
    /// [`WriteFailed`] when the flash does not take it.
    pub fn write(&mut self, text: Text, rng: &mut dyn CryptoRng) -> Result<bool, WriteFailed> {
        if self.has_open_letter() {
            return Ok(false);
        }
        self.page.outgoing = Some(Outgoing::new(text, rng));
        self.save().map(|()| true)
    }

    /// The device's id, once it is registered.
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        self.page.user
    }

    /// The name of its attempt to register.
    #[must_use]
    pub const fn reply_key(&self) -> &ReplyKey {
        &self.page.reply_key
    }

    /// The one person that it talks with.
    #[must_use]
    pub const fn peer(&self) -> &Phone {
        &self.page.peer
    }

    /// Whether a letter of its own may still be delivered.
    #[must_use]
    pub fn has_open_letter(&self) -> bool {
        self.page.outgoing.as_ref().is_some_and(Outgoing::is_open)
    }

    /// Letters whose fate is settled since the device was switched on.
    #[must_use]
    pub const fn settled(&self) -> u32 {
        self.settled
    }

    /// The code to prove, if there is one.
    #[must_use]
    pub const fn code(&self) -> Option<&Otp> {
        self.page.code.as_ref()
    }

    /// Stores a code that has come: whether one has.
    ///
    /// # Errors
    /// [`WriteFailed`] when the flash does not take it; then it must not be proved.
    pub fn store_code(&mut self) -> Result<bool, WriteFailed> {
        let Some(code) = self.code.take() else { return Ok(false) };
        self.page.code = Some(code);
        let stored = self.save();
        if stored.is_err() {
            self.page.code = None;
        }
        stored.map(|()| true)
    }

    /// Gives up an attempt to register whose code is refused. The next one has another name, for
    /// which the server makes another code.
    ///
    /// # Errors
    /// [`WriteFailed`] when the flash does not take it; then it is still the same attempt.
    pub fn forget_attempt(&mut self, rng: &mut dyn CryptoRng) -> Result<(), WriteFailed> {
        self.page.code = None;
        self.page.reply_key = ReplyKey::generate(rng);
        let stored = self.save();
        if stored.is_err() {
            self.load();
        }
        stored
    }

    /// Its own letter, if the server has yet to say anything of it.
    fn unanswered(&self) -> Option<&Outgoing> {
        self.page.outgoing.as_ref().filter(|letter| letter.status == Status::Unknown)
    }

    #[inline(never)]
    fn save(&mut self) -> Result<(), WriteFailed> {
        let mut bytes = [0; ROOM];
        self.page.encode(&mut bytes).map_err(|_| WriteFailed)?;
        self.flash.write(&bytes)
    }

    /// Goes back to what was written last: whether there is something that can be read.
    #[inline(never)]
    fn load(&mut self) -> bool {
        let mut bytes = [0; ROOM];
        if !self.flash.read(&mut bytes) {
            return false;
        }
        let is_read = self.page.decode(&bytes).is_ok();
        if !is_read {
            self.board.say(&["the page in the flash is of another version"]);
        }
        is_read
    }
}

impl Step {
    /// A line to be shown when the step is durable.
    fn line(&mut self, parts: &[&str]) {
        for part in parts.iter().chain(&["\n"]) {
            let _ = self.lines.push_str(part);
        }
    }
}
