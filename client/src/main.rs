//! The terminal client: arguments in, output and an exit code out.

use std::io::{self, BufReader, IsTerminal, Read};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ContextValue;
use jiff::tz::TimeZone;
use tracing::level_filters::LevelFilter;
use waxwing::args::{Args, Command};
use waxwing::commands;
use waxwing::console::{Console, Remarks};
use waxwing::core_dumps;
use waxwing::exit::Failure;
use waxwing::keyboard::Keyboard;
use waxwing::keylog::{KeyLog, VARIABLE};
use waxwing::settings::Settings;
use waxwing::show;

/// Columns of a terminal that does not say how many it has.
const COLUMNS: usize = 80;

fn main() -> ExitCode {
    core_dumps::forbid();
    let mut remarks = Remarks::new(io::stderr());
    match Args::try_parse() {
        Ok(args) => end(run(&args, remarks.clone()), &mut remarks),
        // Help that was asked for is output; a remark about wrong usage is not.
        Err(said) if !said.use_stderr() => end(said.print().map_err(Into::into), &mut remarks),
        Err(said) => {
            // A remark never fails.
            let _ = writeln!(remarks, "{}", wrong_usage(said));
            ExitCode::from(&Failure::Usage(String::new()))
        }
    }
}

/// What is wrong with how the command was typed. It quotes what was typed, which may come from somebody else.
fn wrong_usage(mut said: clap::Error) -> String {
    let quoted: Vec<_> = said.context().map(|(kind, value)| (kind, value.clone())).collect();
    for (kind, value) in quoted {
        // Without this, what looks like a color would be left out.
        if let ContextValue::String(text) = value {
            said.insert(kind, ContextValue::String(show::for_line(&text)));
        }
    }
    show::for_terminal(&said.render().to_string())
}

fn run(args: &Args, mut remarks: Remarks) -> Result<(), Failure> {
    // What a person has to know is a remark. The log is for whoever asks for it.
    let is_in_the_way = matches!(args.wanted(), Command::Tui) && io::stderr().is_terminal();
    let level = if args.verbose && !is_in_the_way { LevelFilter::DEBUG } else { LevelFilter::OFF };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(|| Remarks::new(io::stderr()))
        .with_ansi(io::stderr().is_terminal())
        .init();
    let settings = match args.wanted() {
        // It needs none, and works whatever is wrong with them.
        Command::Packet(_) => Settings::default(),
        _ => Settings::load()?,
    };
    warn_of_key_log(args, &settings, &mut remarks)?;
    let stdout = io::stdout();
    let input: Box<dyn Read> = match args.wanted() {
        // They ask questions, and wait for the answers.
        Command::Register(_)
        | Command::Verify(_)
        | Command::Accounts(_)
        | Command::Consumers(_)
        | Command::Delete(_) => Box::new(Keyboard::new().map_err(|error| {
            Failure::General(format!("standard input cannot be watched: {error}"))
        })?),
        // Not locked for good: `chat` reads from a thread of its own.
        _ => Box::new(io::stdin()),
    };
    let mut console = Console {
        input: &mut BufReader::new(input),
        output: &mut stdout.lock(),
        remarks,
        interactive: io::stdin().is_terminal() && io::stderr().is_terminal(),
        columns,
        zone: TimeZone::system(),
    };
    commands::run(args, &settings, &mut console)?;
    Ok(console.output.flush()?)
}

fn end(done: Result<(), Failure>, remarks: &mut Remarks) -> ExitCode {
    let Err(failure) = done else { return ExitCode::SUCCESS };
    if !failure.is_silent() {
        // A remark never fails.
        let _ = writeln!(remarks, "waxwing: {}", show::for_terminal(&failure.to_string()));
    }
    ExitCode::from(&failure)
}

fn columns() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(io::stdout());
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    Some(if columns == 0 { COLUMNS } else { columns })
}

/// Says loudly that keys are written down, if they are, before anything is done.
fn warn_of_key_log(args: &Args, settings: &Settings, remarks: &mut Remarks) -> Result<(), Failure> {
    if let Ok(home) = commands::home_dir(args, settings) {
        KeyLog::keep_out_of(&home)?;
    }
    if KeyLog::from_environment()?.is_some() {
        writeln!(
            remarks,
            "waxwing: WARNING: {VARIABLE} is set, and the keys of all sessions are written to its \
             file. Whoever reads it reads what this client and the server say to each other."
        )?;
    }
    Ok(())
}
