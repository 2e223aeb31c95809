//! The part that talks to the server.
//!
//! One process per home holds the session. Its [`Courier`] sends what lies in the outbox, stores
//! what comes in before acknowledging it, and pins keys; everything it learns lands in the home,
//! and that is where commands look. A process that does not hold the session does the same
//! through the home alone: [`Desk`] hides the difference.
//!
//! ```text
//! command ──▶ home (outbox, letters, contacts) ◀──▶ Courier ──▶ Link ──▶ server
//! ```

mod account;
mod backoff;
mod desk;
mod dial;
mod inbound;
mod keys;
mod link;
mod outbound;
mod register;
mod stream;
mod watch;

pub use account::Account;
pub use desk::{Desk, Reached};
pub use link::failure;
pub use register::{Asked, Known, Registrar};
pub use watch::stopped_holder;

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use waxwing_core::client::{Ended, Event, LetterName, RefusalNotice};
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::limits::FRESHNESS_S;
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{CloseReason, ErrorCode, KeyQuestion};

use crate::clock;
use crate::console::Remarks;
use crate::exit::Failure;
use crate::home::{Home, OutboxId, PacketName, SessionLock};
use backoff::Backoff;
use dial::Dial;
use inbound::Arrived;
use keys::Questions;
use link::Link;
use outbound::Traffic;
use stream::{Stream, Waiter};

/// How many connections in a row may be refused before the account counts as unknown. A single
/// refusal is shared by everybody and can be replayed, so it proves nothing.
const REFUSALS_BEFORE_GIVING_UP: u32 = 3;

/// Holds the session of a home.
pub struct Courier<'a> {
    home: &'a Home,
    account: &'a Account,
    remarks: Remarks,
    /// A connection that is being made.
    dial: Option<Dial>,
    link: Option<Link<'a>>,
    backoff: Backoff,
    clock_offset_s: i64,
    told_of_clock: bool,
    refusals: u32,
    /// Why the last connection ended, until the next one stands.
    problem: Option<Failure>,
    session: Progress,
    questions: Questions,
    /// Letters of senders whose key is being asked for: no more than the window.
    unopened: HashMap<UserId, Vec<Arrived>>,
    traffic: Traffic,
}

/// What this connection has done so far.
#[derive(Default)]
struct Progress {
    is_open: bool,
    backlog_has_come: bool,
    key_is_stored: bool,
    /// Where the questions about stored letters stand; `None` when all were asked.
    ask_after: Option<Option<OutboxId>>,
    /// The last letter of an open question about stored letters.
    answer_due: Option<PacketId>,
    /// Phones that were asked about on this connection.
    asked: HashSet<Phone>,
}

impl<'a> Courier<'a> {
    fn new(home: &'a Home, account: &'a Account, remarks: Remarks) -> Self {
        Self {
            home,
            account,
            remarks,
            dial: None,
            link: None,
            backoff: Backoff::default(),
            clock_offset_s: 0,
            told_of_clock: false,
            refusals: 0,
            problem: None,
            session: Progress::default(),
            questions: Questions::default(),
            unopened: HashMap::new(),
            traffic: Traffic::default(),
        }
    }

    /// Whether everything that was pending has come and been stored.
    fn has_backlog(&self) -> bool {
        self.session.backlog_has_come && self.unopened.is_empty()
    }

    /// Whether nothing is left to be said or heard: the backlog is here, what could be sent is
    /// answered, and so is what was asked.
    fn is_settled(&self) -> Result<bool, Failure> {
        let is_quiet = self.has_backlog()
            && self.traffic.is_quiet()
            && self.questions.is_empty()
            && self.session.ask_after.is_none()
            && self.session.answer_due.is_none();
        Ok(is_quiet && self.home.outbox().heads(clock::now())?.is_empty())
    }

    /// Why there is no connection, if there is none.
    fn problem(&self) -> Option<&Failure> {
        self.problem.as_ref()
    }

    /// The same, for whoever ends because of it.
    fn take_problem(&mut self) -> Option<Failure> {
        self.problem.take()
    }

    /// Why there is no connection, for whoever looks from outside; see [`SessionLock::show`].
    fn show(&self, lock: &mut SessionLock) {
        let problem = self.problem.as_ref().map(ToString::to_string);
        lock.show(self.has_backlog(), problem.as_deref());
    }

    /// Does what there is to do, and waits at most `patience` for more.
    fn turn(&mut self, waiter: &mut Waiter, patience: Duration) -> Result<(), Failure> {
        if self.link.is_none() {
            self.connect(waiter)?;
        }
        let Some(link) = &mut self.link else {
            let due = if self.dial.is_some() { dial::LOOK } else { self.backoff.remaining() };
            return waiter.wait(None, patience.min(due));
        };
        let moved = link.drive();
        // One packet moved at most, so these are a letter, or what is in a sealed or shared packet.
        let mut events = VecDeque::new();
        let ended = link.drain(&mut events);
        self.clock_offset_s = link.clock_offset_s();
        self.learn(events)?;
        self.act()?;
        let Some(link) = &mut self.link else { return Ok(()) };
        match (ended, moved) {
            (Some(ended), _) => self.hang_up(ended),
            (None, Err(failure)) => {
                self.lose(failure);
                Ok(())
            }
            (None, Ok(true)) => Ok(()),
            (None, Ok(false)) => {
                let patience = link.patience().min(patience);
                waiter.wait(Some(link.stream_mut()), patience)
            }
        }
    }

    /// Goes on with making a connection, if it is time for one.
    fn connect(&mut self, waiter: &Waiter) -> Result<(), Failure> {
        if self.dial.is_none() && self.backoff.is_over() {
            self.dial = Some(Dial::new(&self.account.identity().server, waiter)?);
        }
        let Some(dial) = &mut self.dial else { return Ok(()) };
        match dial.poll(waiter) {
            Ok(None) => return Ok(()),
            Ok(Some(stream)) => self.begin(stream)?,
            Err(failure) => self.lose(failure),
        }
        self.dial = None;
        Ok(())
    }

    fn begin(&mut self, stream: Stream) -> Result<(), Failure> {
        self.session = Progress { ask_after: Some(None), ..Progress::default() };
        self.questions = Questions::default();
        self.unopened.clear();
        self.traffic.is_over();
        let latest = i64::try_from(backoff::LONGEST.as_secs()).unwrap_or(i64::MAX);
        self.home.outbox().limit_pauses(clock::now().shifted(latest))?;
        let user = self.account.user_id().ok_or_else(Failure::not_registered)?;
        let mut link = Link::open(self.account, stream, self.clock_offset_s, self.remarks.clone())?;
        // After a refusal the long form, which needs nothing to be remembered.
        let last = self.home.identity()?.and_then(|identity| identity.session_key);
        let last = last.filter(|_| self.refusals == 0);
        link.reconnect(user, last.as_ref())?;
        self.link = Some(link);
        Ok(())
    }

    /// Takes in everything that was learnt, in order, with one commit for letters and one for
    /// statuses.
    fn learn(&mut self, events: VecDeque<Learnt>) -> Result<(), Failure> {
        let mut letters = Vec::new();
        let mut statuses = Vec::new();
        for learnt in events {
            match learnt {
                Learnt::Letter(letter) => letters.push(letter),
                Learnt::Status(name, status) => statuses.push((name, status)),
                Learnt::SessionIssued(user) => {
                    if Some(user) != self.account.user_id() {
                        return Err(Failure::Untrusted(
                            "the server takes this home for another account; nothing was sent. Ask its \
                             operator"
                                .into(),
                        ));
                    }
                    self.session.is_open = true;
                    self.remark_on_clock()?;
                    self.ask_about_doubted()?;
                }
                Learnt::Key(answer) => self.key_answered(&answer)?,
                Learnt::WrongKey => {
                    return Err(Failure::Untrusted(
                        "the server answered a question about one key with another's; nothing was \
                         changed. Ask its operator before you trust it again"
                            .into(),
                    ));
                }
                Learnt::BacklogEnd => {
                    self.session.backlog_has_come = true;
                    self.refusals = 0;
                    self.problem = None;
                    self.backoff = Backoff::default();
                }
                Learnt::Refused(refusal) => self.refused(&refusal)?,
            }
        }
        self.letters_arrived(letters)?;
        self.statuses_arrived(&statuses)
    }

    /// Once, and not at every connection.
    fn remark_on_clock(&mut self) -> Result<(), Failure> {
        let offset_s = self.clock_offset_s;
        if offset_s.abs() <= FRESHNESS_S || self.told_of_clock {
            return Ok(());
        }
        self.told_of_clock = true;
        let way = if offset_s > 0 { "behind" } else { "ahead of" };
        let span = clock::span(offset_s.unsigned_abs());
        writeln!(
            self.remarks,
            "this machine's clock is {span} {way} the server's; set it. Until then the server's \
             time is used"
        )?;
        Ok(())
    }

    /// Now, as the server has it, as far as is known: what is noted of letters and keys does not
    /// depend on whether this machine's clock is right.
    fn now(&self) -> UnixTime {
        clock::now().shifted(self.clock_offset_s)
    }

    /// What the state of the home gives reason to.
    fn act(&mut self) -> Result<(), Failure> {
        if !self.session.is_open {
            return Ok(());
        }
        self.keep_session_key()?;
        self.ask_next_question()?;
        self.send_outbox()?;
        if self.traffic.is_overdue(clock::since_start()) {
            self.lose(Failure::Refused("the server does not answer a letter".into()));
            return Ok(());
        }
        self.ask_what_became()
    }

    fn keep_session_key(&mut self) -> Result<(), Failure> {
        let Some(link) = &self.link else { return Ok(()) };
        if !self.session.key_is_stored
            && let Some(key) = link.proven_session_key()
        {
            self.home.set_session_key(Some(key))?;
            self.session.key_is_stored = true;
        }
        Ok(())
    }

    fn refused(&mut self, refusal: &RefusalNotice) -> Result<(), Failure> {
        if self.question_refused(refusal)? {
            return Ok(());
        }
        self.letter_refused(refusal)
    }

    /// The machine has ended the connection.
    fn hang_up(&mut self, ended: Ended) -> Result<(), Failure> {
        let failure = failure(&ended);
        match ended {
            Ended::Closed(CloseReason::TakenOver) => return Err(failure),
            Ended::Refused(RefusalNotice {
                code: Some(ErrorCode::BadSignature | ErrorCode::SessionUnknown),
                ..
            }) if !self.session.is_open => {
                self.refusals += 1;
                if self.refusals >= REFUSALS_BEFORE_GIVING_UP {
                    return Err(failure);
                }
            }
            Ended::Closed(CloseReason::ServerStopping) => {
                self.backoff.server_stopped();
                self.end_connection();
                self.problem = Some(failure);
                return Ok(());
            }
            Ended::Refused(RefusalNotice {
                code: Some(ErrorCode::Busy), retry_after_s, ..
            }) => {
                // The server has too much to do just now: no reason to tell anybody.
                self.end_connection();
                self.backoff.at_least(Duration::from_secs(retry_after_s.max(1).into()));
                return Ok(());
            }
            Ended::Refused(RefusalNotice { retry_after_s, .. }) => {
                self.backoff.at_least(Duration::from_secs(retry_after_s.into()));
            }
            _ => {}
        }
        self.lose(failure);
        Ok(())
    }

    fn end_connection(&mut self) {
        self.link = None;
        self.session = Progress::default();
    }

    fn lose(&mut self, failure: Failure) {
        tracing::debug!(%failure, "no connection");
        if self.session.backlog_has_come {
            self.backoff.session_lost();
        } else {
            self.backoff.fail();
        }
        self.end_connection();
        self.problem = Some(failure);
    }

    /// Says goodbye and waits for the answer, for so long.
    fn leave(&mut self, waiter: &mut Waiter, patience: Duration) -> Result<(), Failure> {
        let Some(mut link) = self.link.take() else { return Ok(()) };
        if link.leave().is_err() {
            return Ok(());
        }
        let begun = Instant::now();
        while begun.elapsed() < patience {
            let moved = link.drive();
            let mut events = VecDeque::new();
            let ended = link.drain(&mut events);
            // Letters that come now are handed over again unless they were acknowledged, so only the
            // statuses are worth keeping.
            let statuses: Vec<_> = events
                .into_iter()
                .filter_map(|learnt| match learnt {
                    Learnt::Status(name, status) => Some((name, status)),
                    _ => None,
                })
                .collect();
            self.statuses_arrived(&statuses)?;
            if ended.is_some() || moved.is_err() {
                break;
            }
            if !moved.unwrap_or(false) {
                let left = patience.saturating_sub(begun.elapsed());
                let wait = link.patience().min(left);
                waiter.wait(Some(link.stream_mut()), wait)?;
            }
        }
        Ok(())
    }
}

/// What an event comes to, without the connection's memory.
#[expect(clippy::large_enum_variant, reason = "keys come one at a time")]
enum Learnt {
    SessionIssued(UserId),
    Letter(Arrived),
    Status(PacketName, waxwing_core::wire::Status),
    Key(waxwing_core::wire::KeyAnswer),
    WrongKey,
    BacklogEnd,
    Refused(RefusalNotice),
}

impl Learnt {
    fn from(event: Event<'_>) -> Option<Self> {
        Some(match event {
            Event::SessionIssued { user } => Self::SessionIssued(user),
            Event::Letter(letter) => Self::Letter(Arrived::new(&letter)),
            Event::TooLarge(letter) => Self::Letter(Arrived::too_large(&letter)),
            Event::Status { letter: LetterName::Whole(id), status } => {
                Self::Status(PacketName::Full(id), status)
            }
            Event::Status { letter: LetterName::Prefix(prefix), status } => {
                Self::Status(PacketName::Prefix(prefix), status)
            }
            Event::Key(answer) => Self::Key(answer),
            Event::WrongKey(KeyQuestion::ById(_) | KeyQuestion::ByPhone(_)) => Self::WrongKey,
            Event::BacklogEnd(_) => Self::BacklogEnd,
            Event::Refused(refusal) => Self::Refused(refusal),
            Event::OtpIssued(_) | Event::PhoneTaken => return None,
        })
    }
}
