//! What one session alone is told, at the price of a signature: answers to questions, and refusals.
//!
//! A client can ask for them as fast as it can send. So they wait their turn: each session has a pace,
//! and all of them together a share of the turn ([`super::share`]). Nothing is refused for it; whoever
//! leaves too much without an answer is not read meanwhile.

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::limiter::{Allowance, Rate};
use super::output::ConnId;
use super::refuse::Refused;
use super::share::Share;
use super::{Env, Server};
use crate::crypto::Provider;
use crate::id::PacketId;
use crate::limits::MAX_UNANSWERED;
use crate::time::Instant;
use crate::wire::{KeyAnswer, Op, Status, Statuses};

/// Something to be told.
#[derive(Debug)]
pub(super) enum Answer {
    /// 204.
    Key(Box<KeyAnswer>),
    /// 203: what became of letters that were asked about.
    Fates(Vec<(PacketId, Status)>),
    /// 244. It may be the session's end.
    Refusal(Refused),
    /// The session's end without a word: too many refusals.
    End,
}

impl Answer {
    fn is_last(&self) -> bool {
        match self {
            Self::Key(_) | Self::Fates(_) => false,
            Self::Refusal(refused) => refused.code.rule().ends_session,
            Self::End => true,
        }
    }
}

/// What waits to be told to a session.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: VecDeque<Answer>,
    pace: Allowance,
    /// The last of them ends the session.
    is_ending: bool,
}

impl Answers {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether nothing more is to be read until some of them have been told.
    pub(super) fn are_enough(&self) -> bool {
        self.is_ending || self.waiting.len() >= MAX_UNANSWERED
    }

    /// Takes one more, unless none can follow. Whether it is the only one.
    fn push(&mut self, answer: Answer) -> bool {
        if self.is_ending {
            return false;
        }
        self.is_ending = answer.is_last();
        self.waiting.push_back(answer);
        self.waiting.len() == 1
    }

    /// When the next of them may be told. What costs no signature can be at any time.
    fn next_at(&self, rate: Rate) -> Option<Instant> {
        self.waiting.front().map(|answer| match answer {
            Answer::End => Instant::default(),
            _ => self.pace.ready_at(rate),
        })
    }

    /// Takes out the next, whose time has come.
    fn pop(&mut self, rate: Rate, now: Instant) -> Option<Answer> {
        let answer = self.waiting.pop_front()?;
        let _ = self.pace.take(rate, now);
        Some(answer)
    }
}

/// Sessions for which something waits, each once, in the order in which they may be told.
#[derive(Debug, Default)]
pub(super) struct AnswerLine(BTreeSet<(Instant, ConnId)>);

impl AnswerLine {
    /// When the next of them may be told.
    pub(super) fn wait_until(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    fn take_due(&mut self, now: Instant) -> Option<ConnId> {
        let (at, conn) = *self.0.first()?;
        (at <= now).then(|| {
            self.0.pop_first();
            conn
        })
    }
}

impl<P: Provider> Server<P> {
    /// Tells a session something, when it is its turn.
    pub(super) fn answer_session(&mut self, env: &Env<'_>, conn: ConnId, answer: Answer) {
        let session = self.connections.get_mut(&conn).and_then(|c| c.session_mut());
        if session.is_some_and(|session| session.answers.push(answer)) {
            self.stand_in_answer_line(env, conn);
        }
    }

    fn stand_in_answer_line(&mut self, env: &Env<'_>, conn: ConnId) {
        let session = self.connections.get_mut(&conn).and_then(|c| c.session_mut());
        let at = session.and_then(|session| session.answers.next_at(self.config.rates.answers));
        self.answer_line.0.extend(at.map(|at| (at.max(env.now.instant), conn)));
    }

    /// Tells the first of those who wait for it, at the end of a turn.
    pub(super) fn answer_in_turn(&mut self, env: &mut Env<'_>, share: u64) {
        let before = self.identity.operations();
        while Share::cost_of(self.identity.operations().saturating_sub(before)) < share
            && let Some(conn) = self.answer_line.take_due(env.now.instant)
        {
            self.answer_next(env, conn);
        }
    }

    fn answer_next(&mut self, env: &mut Env<'_>, conn: ConnId) {
        let (rate, now) = (self.config.rates.answers, env.now.instant);
        // Whoever is gone keeps nobody waiting.
        let session = self.connections.get_mut(&conn).and_then(|c| c.session_mut());
        let Some(answer) = session.and_then(|session| session.answers.pop(rate, now)) else {
            return;
        };
        self.stand_in_answer_line(env, conn);
        match answer {
            Answer::Key(key) => {
                self.request_answered(conn, 1);
                self.send_sealed(env, conn, Op::KeyAnswer, |writer| key.emit(writer));
            }
            Answer::Fates(fates) => {
                self.send_sealed(env, conn, Op::Acknowledgment, |writer| {
                    Statuses::emit(writer, &fates)
                });
            }
            Answer::Refusal(refused) => self.tell_refusal(env, conn, &refused),
            Answer::End => self.end_session(env, conn, None),
        }
        self.ready.push(conn);
    }
}
