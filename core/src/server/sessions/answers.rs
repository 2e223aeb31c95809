//! What one session alone is told, at the price of a signature: answers to questions, and refusals.
//!
//! A client can ask for them as fast as it can send. So they wait their turn: each session has a pace,
//! and all of them together a share of the turn (`share.rs`). Nothing is refused for it; whoever
//! leaves too much without an answer is not read meanwhile.

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::super::limiter::{Allowance, Rate};
use super::super::output::ConnId;
use super::super::refused::Refused;
use crate::id::PacketId;
use crate::limits::MAX_UNANSWERED;
use crate::time::Instant;
use crate::wire::{KeyAnswer, Op, Status, Successor};

/// Something to be told.
#[derive(Debug)]
pub(super) enum Answer {
    /// 204.
    Key(Box<KeyAnswer>),
    /// 204: the key that follows the server's.
    Successor(Box<Successor>),
    /// 203: what became of letters that were asked about.
    Fates(Vec<(PacketId, Status)>),
    /// 244. It may be the session's end.
    Refusal(Refused),
    /// The session's end without a word: too many refusals.
    End,
}

impl Answer {
    /// How many of the session's letters and questions it answers.
    pub(super) fn requests(&self) -> usize {
        match self {
            Self::Key(_) | Self::Successor(_) => 1,
            Self::Refusal(refused) => refused.packet.map_or(0, |(op, _)| match op {
                Op::Letter | Op::KeyQuestion => 1,
                _ => 0,
            }),
            Self::Fates(_) | Self::End => 0,
        }
    }

    fn is_last(&self) -> bool {
        match self {
            Self::Key(_) | Self::Successor(_) | Self::Fates(_) => false,
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
    pub(super) fn push(&mut self, answer: Answer) -> bool {
        if self.is_ending {
            return false;
        }
        self.is_ending = answer.is_last();
        self.waiting.push_back(answer);
        self.waiting.len() == 1
    }

    /// The pace has changed. Whoever stands in line already keeps their place.
    pub(super) fn change_rate(&mut self, before: Rate, rate: Rate, now: Instant) {
        self.pace.change_rate(before, rate, now);
    }

    /// When the next of them may be told. What costs no signature can be at any time.
    pub(super) fn next_at(&self, rate: Rate) -> Option<Instant> {
        self.waiting.front().map(|answer| match answer {
            Answer::End => Instant::default(),
            _ => self.pace.ready_at(rate),
        })
    }

    /// Takes out the next, whose time has come.
    pub(super) fn pop(&mut self, rate: Rate, now: Instant) -> Option<Answer> {
        let answer = self.waiting.pop_front()?;
        let _ = self.pace.take(rate, now);
        Some(answer)
    }
}

/// Sessions for which something waits, each once, in the order in which they may be told.
#[derive(Debug, Default)]
pub(super) struct AnswerLine(BTreeSet<(Instant, ConnId)>);

impl AnswerLine {
    /// A session may be told the next of what waits for it then.
    pub(super) fn stand(&mut self, at: Instant, conn: ConnId) {
        self.0.insert((at, conn));
    }

    /// When the next of them may be told.
    pub(super) fn wait_until(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    pub(super) fn take_due(&mut self, now: Instant) -> Option<ConnId> {
        let (at, conn) = *self.0.first()?;
        (at <= now).then(|| {
            self.0.pop_first();
            conn
        })
    }
}
