//! Many clients in one thread, which connect all at once, or so many a second, and stay connected.

use std::ops::Range;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use mio::{Events, Poll, Token};
use rand_chacha::ChaCha20Rng;
use rustix::process::nice;
use waxwing_aws_lc::AwsLcPublicKey;
use waxwing_core::client::{Env, Event};
use waxwing_core::crypto::ReplyKey;
use waxwing_core::wire::OtpGrant;
use waxwing_server::backend;

use super::Person;
use crate::line::{Line, now};
use crate::process::Server;
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
    /// An account, which the server has to make.
    Register,
}

/// The clients, each with a number from 0.
pub(crate) struct Clients<'a> {
    people: &'a [Person],
    server: &'a Server,
    errand: Errand,
    poll: Poll,
    lines: Vec<Line>,
    reply_keys: Vec<ReplyKey>,
    came: Vec<Instant>,
    rng: ChaCha20Rng,
}

impl<'a> Clients<'a> {
    /// Everybody's first packet is made now, and sent when they come.
    pub(crate) fn new(
        people: &'a [Person],
        server: &'a Server,
        server_key: &'static AwsLcPublicKey,
        errand: Errand,
    ) -> Result<Self> {
        let mut rng = backend::random();
        let progress = Progress::new("signing first packets", people.len());
        let (mut lines, mut reply_keys) = (Vec::new(), Vec::new());
        for person in people {
            let mut line = Line::new(person, server_key, false)?;
            let reply_key = ReplyKey::generate(&mut rng);
            match errand {
                Errand::Reconnect => line.reconnect(&mut rng, person)?,
                Errand::Register => {
                    let env = &mut Env { now: now(), rng: &mut rng };
                    line.client.request_otp(env, &person.phone, &reply_key)?;
                }
            }
            lines.push(line);
            reply_keys.push(reply_key);
            progress.step(1);
        }
        let came = Vec::with_capacity(people.len());
        Ok(Self { people, server, errand, poll: Poll::new()?, lines, reply_keys, came, rng })
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
            Errand::Reconnect => "reconnecting",
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
                self.lines[at].dial(self.server.address(), self.poll.registry(), Token(at))?;
            }
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

    /// Whether this made the client's session complete.
    fn turn(&mut self, at: usize) -> Result<bool> {
        let Self { people, lines, reply_keys, rng, .. } = self;
        let line = &mut lines[at];
        let (mut is_complete, mut issued): (bool, Option<OtpGrant>) = (false, None);
        line.turn(rng, |event| match event {
            Event::BacklogEnd(_) => is_complete = true,
            Event::OtpIssued(grant) => issued = Some(grant.clone()),
            _ => {}
        })?;
        if let Some(otp) = issued.and_then(|grant| grant.otp) {
            let env = &mut Env { now: now(), rng };
            line.client.prove_otp(env, &people[at].phone, &reply_keys[at], &otp)?;
            line.flush()?;
        }
        Ok(is_complete)
    }
}
