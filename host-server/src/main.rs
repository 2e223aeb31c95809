//! The command `waxwing-server`.

use std::io::{self, Write};
use std::panic;
use std::process::{self, ExitCode};

use clap::Parser;
use waxwing_server::cli::{Cli, Command, ConfigCommand, check_config};
use waxwing_server::config::Config;
use waxwing_server::exit::{Exit, Failure};
use waxwing_server::{admin, app, clock, core_dumps, logging};

fn main() -> ExitCode {
    stop_when_a_thread_panics();
    core_dumps::forbid();
    match carry_out(&Cli::parse()) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            // Nobody is left to be told when this fails, too.
            let _ = writeln!(io::stderr(), "waxwing-server: {failure}");
            failure.exit().into()
        }
    }
}

/// A server that lacks one of its threads would go on and lose what it is given. A new start
/// recovers.
fn stop_when_a_thread_panics() {
    let say = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        say(info);
        process::abort();
    }));
}

fn carry_out(cli: &Cli) -> Result<(), Failure> {
    let command = cli.command()?;
    let load = || -> Result<Config, Failure> {
        let config = cli.load_config(&command)?;
        logging::start(&config.log)?;
        Ok(config)
    };
    match &command {
        Command::Run(args) => {
            let config = load()?;
            config.refuse_unverified()?;
            app::run(&config, args)
        }
        Command::Users(command) => {
            admin::users::run(&load()?, command, clock::unix_now(), &mut io::stdout().lock())
        }
        Command::Key(command) => app::key(&load()?, *command),
        Command::Config(command) => config(command),
    }
}

fn config(command: &ConfigCommand) -> Result<(), Failure> {
    let text = match command {
        ConfigCommand::Example => Config::example(),
        ConfigCommand::Check { file } => {
            check_config(file)?;
            format!("{} can be used\n", file.display())
        }
    };
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::new(Exit::Failure, format!("standard output: {error}")))
}
