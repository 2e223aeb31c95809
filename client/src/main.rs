//! The terminal client: arguments in, output and an exit code out.

use std::io::{self, BufReader, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use jiff::tz::TimeZone;
use tracing::Level;
use waxwing::args::Args;
use waxwing::commands::{self, Console};
use waxwing::core_dumps;

fn main() -> ExitCode {
    core_dumps::forbid();
    let args = Args::parse();
    let level = if args.verbose { Level::DEBUG } else { Level::WARN };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();

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
