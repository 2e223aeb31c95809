//! Questions to whoever sits at the terminal.

use std::io::{BufRead, Read};

use zeroize::Zeroizing;

use super::Console;
use crate::exit::Failure;
use crate::keyboard::Interrupted;

/// Nobody types a longer answer.
const LONGEST: u64 = 256;

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
}
