//! `otp test`: whether codes get through.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use waxwing_core::phone::Phone;

use super::super::audit::{Arguments, Outcome};
use super::super::control::{Answer, Caller, Connection};
use super::super::protocol::{self, Asked, Problem, Request, item};
use super::super::running::{Interrupted, Running};
use super::Paper;
use crate::cli::OtpCommand;
use crate::exit::{Exit, Failure};
use crate::figures;
use crate::otp::{TestEnd, TestRefused};
use crate::runtime;

/// A code that went out, or did not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Tested {
    way: String,
    milliseconds: u64,
    /// Why it did not go out, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trouble: Option<Trouble>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Trouble {
    error: String,
    help: String,
}

impl Tested {
    fn line(out: &mut dyn Write, tested: &Self) -> io::Result<()> {
        let (way, span) = (&tested.way, figures::span(tested.milliseconds));
        writeln!(
            out,
            "a code went out by {way} within {span}; it proves nothing, and nobody can register with it"
        )
    }

    fn outcome(&self) -> Outcome {
        let (way, span) = (&self.way, figures::span(self.milliseconds));
        match &self.trouble {
            None => Outcome::done(format!("by {way} within {span}")),
            Some(Trouble { error, .. }) => {
                Outcome::failed(format!("after {span}, by {way}: {error}"))
            }
        }
    }

    /// Nothing if it went out.
    fn failure(self) -> Option<Failure> {
        let Self { way, milliseconds, trouble } = self;
        let Trouble { error, help } = trouble?;
        let span = figures::span(milliseconds);
        let failure =
            Failure::new(Exit::Failure, format!("after {span}, by {way}: {error}; {help}"));
        Some(failure.with("way", way).with("milliseconds", milliseconds))
    }
}

// ---- In the server ----

pub(super) fn test(
    running: &Running,
    caller: Caller,
    (phone, fallback): (&str, bool),
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let phone = parse(phone).map_err(|why| Problem::new(Exit::Usage, why))?;
    let arguments = Arguments::new().with("phone", phone.as_str()).with("fallback", fallback);
    let tested = running.act((caller, answer), "otp test", arguments, |answer| {
        let number = usize::from(fallback);
        let end = running.ask_registrar(answer, |sender| runtime::Request::TestCode {
            phone,
            number,
            answer: sender,
        })?;
        let TestEnd { way, took, result } = end.map_err(|why| refused(why, fallback))?;
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let trouble = result
            .err()
            .map(|error| Trouble { error: error.to_string(), help: error.help().into() });
        let tested = Tested { way: way.into(), milliseconds, trouble };
        let outcome = tested.outcome();
        Ok((tested, outcome))
    })?;
    item(answer, tested)
}

fn refused(why: TestRefused, fallback: bool) -> Problem {
    match why {
        TestRefused::TooOften(wait) => {
            let wait = figures::span((wait.as_secs() + 1) * 1_000);
            let message = format!(
                "there were too many tests: in ten minutes, 10 codes may go out, since each may cost money, \
                 and 60 tests may fail. Try again in {wait}"
            );
            Problem::new(Exit::Failure, message)
        }
        TestRefused::NoSuchWay if fallback => Problem::new(
            Exit::Config,
            "otp.fallback is empty, so there is no second way of codes: leave --fallback out to test the way of \
             otp.delivery",
        ),
        TestRefused::NoSuchWay => Problem::new(
            Exit::Config,
            "otp.delivery is \"in-band\": the server tells each code to whoever asks for it, and there is nothing to \
             test",
        ),
    }
}

pub(crate) fn parse(phone: &str) -> Result<Phone, &'static str> {
    Phone::parse(phone.as_bytes()).map_err(|_| "a phone is + and 7 to 15 digits, the first not 0")
}

// ---- For the operator ----

pub(super) fn run(
    connection: Connection,
    command: &OtpCommand,
    paper: &mut Paper<'_>,
) -> Result<(), Failure> {
    let OtpCommand::Test { phone, fallback } = command;
    let request = Request::TestCode { phone: phone.as_str().to_owned(), fallback: *fallback };
    let asked = Asked::new(paper.config, request);
    let mut failure = None;
    protocol::ask(connection, &asked, |tested: Tested| {
        if tested.trouble.is_none() {
            return paper.done(&tested, Tested::line);
        }
        failure = tested.failure();
        Ok(())
    })?;
    failure.map_or(Ok(()), Err)
}
