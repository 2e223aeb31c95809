//! Two people, one of whom writes to the other.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rand_chacha::ChaCha20Rng;
use waxwing_core::client::{Env, Event, LetterName};
use waxwing_core::id::{PacketId, PacketIdPrefix};
use waxwing_core::wire::{ErrorCode, Status};

use crate::letters::Letter;
use crate::line::{Line, now};
use crate::recipient::Recipient;

/// What became of the letters of one pair, or of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sent: usize,
    /// Letters of which the server has said that it has them, or that they are delivered.
    pub(crate) answered: usize,
    pub(crate) received: usize,
    pub(crate) duplicated: usize,
    /// Answered and never received, where somebody was there to receive.
    pub(crate) lost: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.received += other.received;
        self.duplicated += other.duplicated;
        self.lost += other.lost;
    }
}

/// When a letter is measured as there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Once the server has answered for it.
    Answered,
    /// Once its recipient has verified it.
    Received,
}

/// One pair. Either side may be away.
pub(crate) struct Pair<'a> {
    letters: &'a [Letter],
    names: HashMap<PacketIdPrefix, usize>,
    sender: Option<Line>,
    recipient: Option<Recipient<'a>>,
    is_ready: bool,
    sent_at: Vec<Instant>,
    answered: Vec<bool>,
    received: Vec<bool>,
    unanswered: usize,
    tally: Tally,
}

impl<'a> Pair<'a> {
    pub(crate) fn new(
        letters: &'a [Letter],
        sender: Option<Line>,
        recipient: Option<Recipient<'a>>,
    ) -> Self {
        let named = |(at, letter): (usize, &Letter)| (letter.id.prefix(), at);
        Self {
            letters,
            names: letters.iter().enumerate().map(named).collect(),
            sender,
            recipient,
            is_ready: false,
            sent_at: Vec::with_capacity(letters.len()),
            answered: vec![false; letters.len()],
            received: vec![false; letters.len()],
            unanswered: 0,
            tally: Tally::default(),
        }
    }

    /// The sender's socket is ready. Answers say how long they took.
    pub(crate) fn sender_turn(
        &mut self,
        rng: &mut ChaCha20Rng,
        mut answer_took: impl FnMut(Duration),
    ) -> Result<()> {
        let Self { sender, names, sent_at, answered, unanswered, is_ready, tally, .. } = self;
        let mut refused: Option<ErrorCode> = None;
        if let Some(line) = sender {
            line.turn(rng, |event| match event {
                Event::Status { letter, status: Status::Stored | Status::Delivered } => {
                    let prefix = match letter {
                        LetterName::Whole(id) => id.prefix(),
                        LetterName::Prefix(prefix) => *prefix,
                    };
                    // What names no letter of this pair is noise of a shared packet.
                    if let Some(&at) = names.get(&prefix)
                        && let Some(sent_at) = sent_at.get(at)
                        && !std::mem::replace(&mut answered[at], true)
                    {
                        answer_took(sent_at.elapsed());
                        *unanswered -= 1;
                        tally.answered += 1;
                    }
                }
                Event::BacklogEnd(_) => *is_ready = true,
                Event::Refused(notice) => refused = notice.code,
                _ => {}
            })?;
        }
        match refused {
            Some(code) => bail!("the server refused a letter: {code}"),
            None => Ok(()),
        }
    }

    /// The recipient's socket is ready. Letters say how long they took, if they were sent in this
    /// run.
    pub(crate) fn recipient_turn(
        &mut self,
        rng: &mut ChaCha20Rng,
        mut letter_took: impl FnMut(Option<Duration>),
    ) -> Result<()> {
        let Self { recipient, names, sent_at, received, tally, .. } = self;
        let Some(recipient) = recipient else { return Ok(()) };
        let mut strange: Option<PacketId> = None;
        recipient.turn(rng, |id| match names.get(&id.prefix()) {
            None => strange = Some(id),
            Some(&at) if std::mem::replace(&mut received[at], true) => tally.duplicated += 1,
            Some(&at) => {
                letter_took(sent_at.get(at).map(Instant::elapsed));
                tally.received += 1;
            }
        })?;
        match strange {
            Some(id) => bail!("the letter {id} came, which nobody has sent"),
            None => Ok(()),
        }
    }

    /// Whether whoever is there has a session.
    pub(crate) fn is_ready(&self) -> bool {
        (self.sender.is_none() || self.is_ready)
            && self.recipient.as_ref().is_none_or(Recipient::is_open)
    }

    /// Whether the recipient's session waits for [`Pair::confirm`].
    pub(crate) fn is_issued(&self) -> bool {
        self.recipient.as_ref().is_some_and(Recipient::is_issued)
    }

    /// Makes confirmation and acknowledgments, for the first `letters`.
    pub(crate) fn confirm(&mut self, letters: usize, rng: &mut ChaCha20Rng) -> Result<()> {
        let letters = &self.letters[..letters.min(self.letters.len())];
        self.recipient.as_mut().map_or(Ok(()), |recipient| recipient.confirm(letters, rng))
    }

    /// Sends what the recipient has to say.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.recipient.as_mut().map_or(Ok(()), Recipient::flush)
    }

    /// Writes letters until `window` of them are unanswered or `up_to` have been sent in all.
    /// Whether there are any left.
    pub(crate) fn write(
        &mut self,
        window: usize,
        up_to: usize,
        rng: &mut ChaCha20Rng,
    ) -> Result<bool> {
        let Some(line) = &mut self.sender else { return Ok(true) };
        let up_to = up_to.min(self.letters.len());
        let before = self.tally.sent;
        while self.unanswered < window && self.tally.sent < up_to {
            let letter = &self.letters[self.tally.sent];
            let env = Env { now: now(), rng };
            if line.client.resend(&env, letter.id, &letter.packet).is_err() {
                // The machine has no room now; what is in it goes out below.
                break;
            }
            self.sent_at.push(Instant::now());
            self.unanswered += 1;
            self.tally.sent += 1;
        }
        if self.tally.sent > before {
            line.flush()?;
        }
        Ok(self.tally.sent < self.letters.len())
    }

    /// Whether everything sent has been answered and, with a recipient, received.
    pub(crate) fn is_settled(&self) -> bool {
        self.unanswered == 0 && (self.recipient.is_none() || self.tally.received >= self.tally.sent)
    }

    /// Letters received so far.
    pub(crate) const fn received(&self) -> usize {
        self.tally.received
    }

    /// Counts. `sent` letters were sent, in this run or in an earlier one.
    pub(crate) fn settle(mut self, sent: usize) -> Tally {
        if self.recipient.is_some() {
            let missing = |at: &usize| !self.received[*at];
            let must_have_come = |at: &usize| self.sender.is_none() || self.answered[*at];
            let sent = 0..sent.max(self.tally.sent);
            self.tally.lost = sent.filter(must_have_come).filter(missing).count();
        }
        self.tally
    }
}
