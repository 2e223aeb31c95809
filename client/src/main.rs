//! The terminal client: arguments in, output and an exit code out.

use std::io::{self, BufReader, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use jiff::tz::TimeZone;
use tracing::Level;
use waxwing::args::Args;
use waxwing::commands::{self, Console};
use waxwing::core_dumps;
use waxwing::exit::Failure;
use waxwing::keylog::{KeyLog, VARIABLE};

fn main() -> ExitCode {
    core_dumps::forbid();
    let args = Args::parse();
    let level = if args.verbose { Level::DEBUG } else { Level::WARN };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();

    if let Err(failure) = warn_of_key_log() {
        eprintln!("waxwing: {failure}");
        return ExitCode::from(&failure);
    }
    let stdout = io::stdout();
    let mut console = Console {
        // Not locked for good: `chat` reads from a thread of its own.
        input: &mut BufReader::new(io::stdin()),
        output: &mut stdout.lock(),
        remarks: &mut io::stderr(),
        interactive: io::stdin().is_terminal() && io::stderr().is_terminal(),
        zone: TimeZone::system(),
    };
    let done = commands::run(&args, &mut console).and_then(|()| Ok(console.output.flush()?));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_silent() {
                eprintln!("waxwing: {failure}");
            }
            ExitCode::from(&failure)
        }
    }
}

/// Says loudly that keys are written down, if they are, before anything is done.
fn warn_of_key_log() -> Result<(), Failure> {
    if KeyLog::from_environment()?.is_some() {
        eprintln!(
            "waxwing: WARNING: {VARIABLE} is set, and the keys of all sessions are written to its \
             file. Whoever reads it reads what this client and the server say to each other."
        );
    }
    Ok(())
}
