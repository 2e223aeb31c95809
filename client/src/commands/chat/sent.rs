//! The letters that were written in this chat, and what becomes of them.

use std::collections::BTreeMap;

use crate::clock;
use crate::commands::{Console, obstacle};
use crate::exit::Failure;
use crate::home::{Home, OutboxId, OutboxStatus, State};
use crate::show;

/// Characters of a line by which it is told from others.
const EXCERPT: usize = 40;

/// Letters without a last word.
#[derive(Default)]
pub(super) struct Sent(BTreeMap<OutboxId, Letter>);

struct Letter {
    excerpt: String,
    known: State,
    /// What was told of why it waits.
    told: Option<Why>,
}

/// Why a letter waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The server has refused it for now, with this code.
    Refused(u16),
    /// The recipient's key is not believed.
    Held,
}

impl Sent {
    pub(super) fn add(&mut self, id: OutboxId, line: &str) {
        let excerpt = excerpt(line);
        self.0.insert(id, Letter { excerpt, known: State::Waiting, told: None });
    }

    /// How many the server has not answered for.
    pub(super) fn unanswered(&self) -> usize {
        self.0.values().filter(|letter| !letter.known.is_answered()).count()
    }

    /// Whether none that is unanswered will be tried soon.
    pub(super) fn are_put_off(&self, home: &Home) -> Result<bool, Failure> {
        for (id, letter) in &self.0 {
            if !letter.known.is_answered()
                && (letter.known != State::Waiting || obstacle(home, *id)?.is_none())
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tells what is new about them.
    ///
    /// # Errors
    /// [`Failure::Untrusted`] when one cannot be sealed for the recipient's key, unless the chat `goes_on` then.
    pub(super) fn tell(
        &mut self,
        home: &Home,
        goes_on: bool,
        console: &mut Console<'_>,
    ) -> Result<(), Failure> {
        for (id, letter) in &mut self.0 {
            let Some(status) = home.outbox().status_of(*id)? else { continue };
            if status.state == State::Waiting
                && let Some(distrust @ Failure::Untrusted(_)) = obstacle(home, *id)?
            {
                if !goes_on {
                    return Err(distrust);
                }
                letter.tell_held(&distrust.to_string(), console)?;
                continue;
            }
            if let Some(news) = letter.news(&status) {
                writeln!(console.output, "  {news} {}", letter.excerpt)?;
            }
        }
        console.output.flush()?;
        self.0.retain(|_, letter| !letter.known.is_answered() || letter.known == State::Stored);
        Ok(())
    }

    /// Tells of those that wait because the recipient's key has changed.
    pub(super) fn tell_all_held(&mut self, console: &mut Console<'_>) -> Result<(), Failure> {
        for letter in self.0.values_mut().filter(|letter| !letter.known.is_answered()) {
            letter.tell_held("it goes out when you have accepted the new key", console)?;
        }
        Ok(())
    }
}

impl Letter {
    fn tell_held(&mut self, why: &str, console: &mut Console<'_>) -> Result<(), Failure> {
        if self.told.replace(Why::Held) != Some(Why::Held) {
            writeln!(console.output, "  held back: {why}: {}", self.excerpt)?;
            console.output.flush()?;
        }
        Ok(())
    }

    /// What is new, as it stands before the letter's words.
    fn news(&mut self, status: &OutboxStatus) -> Option<String> {
        let was = std::mem::replace(&mut self.known, status.state);
        match status.state {
            State::Waiting => {
                let code = status.refusal_code.filter(|_| status.not_before > clock::now())?;
                let why = Some(Why::Refused(code));
                if std::mem::replace(&mut self.told, why) == why {
                    return None;
                }
                let pause = clock::span(status.not_before.minus(clock::now()).unsigned_abs());
                let reason = Failure::why_not_taken(code);
                Some(format!("not taken yet: {reason}; kept, next try in {pause}:"))
            }
            State::Sent => None,
            _ if was == status.state => None,
            State::Stored => Some("✓".to_owned()),
            State::Delivered => Some("✓✓".to_owned()),
            State::Refused => {
                let why = status.refusal_code.map(Failure::why_not_taken);
                let why = why.or_else(|| status.refusal_text.as_deref().map(show::for_line));
                Some(format!("not taken: {}:", why.unwrap_or_default()))
            }
            _ => Some(format!("{}:", show::status_text(status))),
        }
    }
}

/// Enough of a line to know which it was.
fn excerpt(line: &str) -> String {
    let shown = show::for_line(line);
    let mut short: String = shown.chars().take(EXCERPT).collect();
    if short.len() < shown.len() {
        short.push('…');
    }
    short
}
