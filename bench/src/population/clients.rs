//! Many clients in one thread, which connect all at once, or so many a second, and stay connected.

use std::net::SocketAddr;
use std::ops::Range;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail};
use mio::{Events, Poll, Token};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use rustix::process::nice;
use waxwing_aws_lc::AwsLcPublicKey;
use waxwing_core::client::{Ended, Env, Event};
use waxwing_core::crypto::ReplyKey;
use waxwing_core::id::UserId;
use waxwing_core::wire::OtpGrant;
use waxwing_server::backend;

use super::Person;
use crate::line::{Line, now};
use crate::progress::Progress;

/// For a server that stops answering.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);
/// The niceness of a thread that goes last.
const LAST: i32 = 19;
/// Whoever reaches so much of a pace has kept it.
const KEPT: f64 = 0.9;

/// What they come for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// A session, in the short form of 106.
    Reconnect,
    /// A session, in the long form of 106: the server has another key than before.
    Return,
    /// An account, which the server has to make.
    Register,
}

/// The clients, each with a number from 0.
pub(crate) struct Clients<'a> {
    people: &'a [Person],
    address: SocketAddr,
    server_key: &'static AwsLcPublicKey,
    errand: Errand,
    poll: Poll,
    lines: Vec<Line>,
    reply_keys: Vec<ReplyKey>,
    came: Vec<Instant>,
    /// The ids that the server has given them.
    users: Vec<Option<UserId>>,
    /// Who was refused for now, and comes again when.
    again: Vec<(Instant, usize)>,
    /// How many were refused for now.
    refusals: usize,
    rng: ChaCha20Rng,
}

impl<'a> Clients<'a> {
    /// Everybody's first packet is made now, and sent when they come.
    pub(crate) fn new(
        people: &'a [Person],
        address: SocketAddr,
        server_key: &'static AwsLcPublicKey,
        errand: Errand,
    ) -> Result<Self> {
        let mut rng = backend::random();
        let progress = Progress::new("signing first packets", people.len());
        let (mut lines, mut reply_keys) = (Vec::new(), Vec::new());
        for person in people {
            let reply_key = ReplyKey::generate(&mut rng);
            lines.push(first_packet(person, server_key, errand, &reply_key, &mut rng)?);
            reply_keys.push(reply_key);
            progress.step(1);
        }
        let came = Vec::with_capacity(people.len());
        let (poll, users) = (Poll::new()?, vec![None; people.len()]);
        let (again, refusals) = (Vec::new(), 0);
        Ok(Self {
            people,
            address,
            server_key,
            errand,
            poll,
            lines,
            reply_keys,
            came,
            users,
            again,
            refusals,
            rng,
        })
    }

    /// Everybody comes at once, each group in a thread of its own. How long each client took, in
    /// ascending order.
    pub(crate) fn connect_all(groups: &mut [Self]) -> Result<Vec<Duration>> {
        let mut took = thread::scope(|scope| {
            let threads: Vec<_> = groups
                .iter_mut()
                .map(|clients| scope.spawn(|| clients.connect(0..clients.lines.len(), None)))
                .collect();
            let joined = |thread: ScopedJoinHandle<'_, _>| {
                thread.join().map_err(|_| anyhow!("a panic")).flatten()
            };
            threads.into_iter().map(joined).collect::<Result<Vec<_>>>()
        })?
        .concat();
        took.sort_unstable();
        Ok(took)
    }

    /// Everybody comes, `pace` of them a second. They stand for machines of their own, so whoever
    /// else shares their core does not wait for them. Whether they kept the pace.
    pub(crate) fn connect_beside_others(&mut self, pace: f64) -> Result<bool> {
        let count = self.lines.len();
        let begun = Instant::now();
        thread::scope(|scope| {
            let come = || {
                nice(LAST)?;
                self.connect(0..count, Some(pace))
            };
            scope.spawn(come).join().map_err(|_| anyhow!("a panic")).flatten()
        })?;
        let reached = count as f64 / begun.elapsed().as_secs_f64();
        Ok(reached >= KEPT * pace)
    }

    /// Those in `range`, who have to be the next, come: `pace` of them a second, or all at once.
    /// Returns when all have a session and its 255; how long each took, in ascending order.
    pub(crate) fn connect(
        &mut self,
        range: Range<usize>,
        pace: Option<f64>,
    ) -> Result<Vec<Duration>> {
        let label = match self.errand {
            Errand::Reconnect | Errand::Return => "reconnecting",
            Errand::Register => "registering",
        };
        let progress = Progress::new(label, range.len());
        let begun = Instant::now();
        let mut events = Events::with_capacity(1_024);
        let mut took = Vec::with_capacity(range.len());
        let mut moved = Instant::now();
        while took.len() < range.len() {
            let due = pace
                .map_or(range.len(), |pace| (begun.elapsed().as_secs_f64() * pace) as usize + 1);
            while self.came.len() < range.end.min(range.start + due) {
                let at = self.came.len();
                self.came.push(Instant::now());
                self.lines[at].dial(self.address, self.poll.registry(), Token(at))?;
            }
            self.come_again()?;
            self.poll.poll(&mut events, Some(LOOK))?;
            for event in &events {
                let Token(at) = event.token();
                if self.turn(at)? {
                    took.push(self.came[at].elapsed());
                    moved = Instant::now();
                }
            }
            progress.set(took.len());
            if moved.elapsed() > PATIENCE {
                bail!("{} of {} have come, and no more", took.len(), range.len());
            }
        }
        took.sort_unstable();
        Ok(took)
    }

    /// Those come whom the server has refused for now, and whose pause is over.
    fn come_again(&mut self) -> Result<()> {
        let now = Instant::now();
        let due: Vec<_> = self.again.extract_if(.., |(until, _)| *until <= now).collect();
        for (_, at) in due {
            let (person, reply_key) = (&self.people[at], &self.reply_keys[at]);
            let (key, errand) = (self.server_key, self.errand);
            let mut line = first_packet(person, key, errand, reply_key, &mut self.rng)?;
            line.dial(self.address, self.poll.registry(), Token(at))?;
            self.lines[at] = line;
        }
        Ok(())
    }

    /// Waits until the server has closed all connections, and says when it closed the first.
    pub(crate) fn await_end(&mut self, patience: Duration) -> Result<Instant> {
        let deadline = Instant::now() + patience;
        let mut events = Events::with_capacity(1_024);
        let mut first = None;
        let mut left: Vec<_> = (0..self.lines.len()).collect();
        while !left.is_empty() {
            if Instant::now() > deadline {
                bail!("{} connections were not closed", left.len());
            }
            self.poll.poll(&mut events, Some(LOOK))?;
            if first.is_none() && events.is_empty() {
                continue;
            }
            let before = left.len();
            left.retain(|at| !self.lines[*at].has_ended());
            if left.len() < before {
                first.get_or_insert_with(Instant::now);
            }
        }
        first.ok_or_else(|| anyhow!("nobody was there"))
    }

    /// How often somebody was refused for now, and came again.
    pub(crate) const fn refusals(&self) -> usize {
        self.refusals
    }

    /// The id that the server has given to each.
    pub(crate) fn users(&self) -> Result<Vec<UserId>> {
        self.users.iter().map(|user| user.context("everybody has an id")).collect()
    }

    /// Whether this made the client's session complete.
    fn turn(&mut self, at: usize) -> Result<bool> {
        let Self { people, lines, reply_keys, users, rng, .. } = self;
        let line = &mut lines[at];
        let (mut is_complete, mut issued): (bool, Option<OtpGrant>) = (false, None);
        let turned = line.turn(rng, |event| match event {
            Event::BacklogEnd(_) => is_complete = true,
            Event::OtpIssued(grant) => issued = Some(grant.clone()),
            Event::SessionIssued { user } => users[at] = Some(*user),
            _ => {}
        });
        if let Err(error) = turned {
            self.pause_after(at, error)?;
            return Ok(false);
        }
        if let Some(grant) = issued {
            let otp = grant.otp.context("the server does not say codes in band (otp.delivery)")?;
            let env = &mut Env { now: now(), rng };
            line.client.prove_otp(env, &people[at].phone, &reply_keys[at], &otp)?;
            line.flush()?;
        }
        Ok(is_complete)
    }

    /// Whoever is refused for now comes again after the pause that the server asks for, and up to half of it.
    fn pause_after(&mut self, at: usize, error: Error) -> Result<()> {
        let pause = match error.downcast_ref::<Ended>() {
            Some(Ended::Refused(notice)) if notice.retry_after_s > 0 => notice.retry_after_s,
            _ => return Err(error),
        };
        let more = f64::from(self.rng.next_u32()) / f64::from(u32::MAX) / 2.0;
        let pause = Duration::from_secs(pause.into()).mul_f64(1.0 + more);
        // The end of the connection may come after the refusal.
        self.lines[at].hang_up();
        self.again.push((Instant::now() + pause, at));
        self.refusals += 1;
        Ok(())
    }
}

/// A client with its first packet, which goes out once there is a connection.
fn first_packet(
    person: &Person,
    server_key: &'static AwsLcPublicKey,
    errand: Errand,
    reply_key: &ReplyKey,
    rng: &mut ChaCha20Rng,
) -> Result<Line> {
    let mut line = Line::new(person, server_key, false)?;
    match errand {
        Errand::Reconnect => line.reconnect(rng, person)?,
        Errand::Return => line.reconnect_anew(rng, person)?,
        Errand::Register => {
            let env = &mut Env { now: now(), rng };
            line.client.request_otp(env, &person.phone, reply_key)?;
        }
    }
    Ok(line)
}
