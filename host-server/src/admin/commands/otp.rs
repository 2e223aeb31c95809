//! `otp test`: whether codes get through.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use waxwing_core::phone::Phone;

use super::super::audit::{Arguments, Outcome};
use super::super::control::{Answer, Caller, Connection};
use super::super::protocol::{Problem, Request, item};
use super::super::running::{Interrupted, Running};
use super::Paper;
use crate::cli::OtpCommand;
use crate::exit::{Exit, Failure};
use crate::figures;
use crate::otp::{TestEnd, TestRefused};
use crate::runtime;

/// A code that went out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Sent {
    way: String,
    milliseconds: u64,
}

impl Sent {
    fn line(out: &mut dyn Write, sent: &Self) -> io::Result<()> {
        let (way, span) = (&sent.way, figures::span(sent.milliseconds));
        writeln!(
            out,
            "a code went out by {way} within {span}; it proves nothing, and nobody can register with it"
        )
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
    let sent = running.act((caller, answer), "otp test", arguments, |answer| {
        let number = usize::from(fallback);
        let end = running.ask_registrar(answer, |sender| runtime::Request::TestCode {
            phone,
            number,
            answer: sender,
        })?;
        let TestEnd { way, took, result } = end.map_err(refused)?;
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match result {
            Ok(()) => {
                let detail = format!("by {way} within {}", figures::span(milliseconds));
                Ok((Sent { way: way.into(), milliseconds }, Outcome::done(detail)))
            }
            Err(error) => {
                let message = format!("after {}, by {way}: {error}", figures::span(milliseconds));
                Err(Problem::new(Exit::Failure, message).into())
            }
        }
    })?;
    item(answer, sent)
}

fn refused(why: TestRefused) -> Problem {
    match why {
        TestRefused::TooOften(wait) => {
            let wait = figures::span((wait.as_secs() + 1) * 1_000);
            let message = format!(
                "there were too many tests: in ten minutes, 10 codes may go out, since each may cost money, \
                 and 60 tests may fail. Try again in {wait}"
            );
            Problem::new(Exit::Failure, message)
        }
        TestRefused::NoSuchWay => Problem::new(
            Exit::Config,
            "there is no such way of codes: otp.delivery is \"in-band\", or otp.fallback is empty",
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
    paper.act(connection, request, Sent::line)
}
