//! Questions to whoever sits at the terminal.

use std::io::{BufRead, Read};

use waxwing_core::phone::Otp;
use zeroize::Zeroizing;

use super::Console;
use crate::exit::Failure;
use crate::keyboard::Interrupted;

/// How often somebody may mistype a code.
const TRIES: u32 = 3;
/// Nobody types a longer answer.
const LONGEST: u64 = 256;

/// Answers that are a yes.
pub(super) const YES: [&str; 5] = ["y", "Y", "yes", "Yes", "YES"];

impl Console<'_> {
    /// Asks, and reads a line; `None` at the end of input. Ctrl-C ends the command.
    fn ask(&mut self, question: &str) -> Result<Option<Zeroizing<String>>, Failure> {
        write!(self.remarks, "{question}")?;
        self.remarks.flush()?;
        let mut line = Zeroizing::new(String::new());
        match (&mut *self.input).take(LONGEST).read_line(&mut line) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(line)),
            Err(error) if Interrupted::is_cause_of(&error) => {
                writeln!(self.remarks)?;
                Err(Failure::Interrupted)
            }
            Err(error) => Err(Failure::Usage(format!("standard input does not read: {error}"))),
        }
    }

    /// Whether the answer is yes. Nothing else than one of `words` is.
    pub(super) fn is_answered_by(
        &mut self,
        words: &[&str],
        question: &str,
    ) -> Result<bool, Failure> {
        let answer = self.ask(question)?;
        Ok(answer.is_some_and(|answer| words.contains(&answer.trim())))
    }

    /// Lets a command go on that takes something away for ever: the answer is one of `words`. Where nobody
    /// can be asked, nothing is done.
    pub(super) fn make_sure(&mut self, words: &[&str], question: &str) -> Result<(), Failure> {
        if !self.interactive {
            return Err(Failure::Usage(
                "nothing was done: this cannot be taken back, and there is no terminal to ask at; say --yes \
                 if it is meant"
                    .into(),
            ));
        }
        if self.is_answered_by(words, question)? {
            return Ok(());
        }
        Err(Failure::General("nothing was done; --yes does it without a question".into()))
    }

    /// Asks for a code, and again when what was typed is none.
    pub(super) fn code(&mut self, question: &str) -> Result<Otp, Failure> {
        let mut answer = self.ask(question)?;
        for try_number in 1.. {
            let Some(line) = &answer else { break };
            match Otp::parse(line.trim().as_bytes()) {
                Ok(code) => return Ok(code),
                Err(_) if try_number == TRIES => break,
                Err(_) => answer = self.ask("a code is six digits, such as 123456. The code: ")?,
            }
        }
        Err(Failure::Otp(
            "no code was typed; when you have it, run `waxwing register` again with --otp CODE"
                .into(),
        ))
    }
}
