//! The command `waxwing-server`.

use std::env;
use std::io::{self, Write};
use std::panic;
use std::process::{self, ExitCode};

use clap::Parser;
use clap::error::Error as Unparsed;
use serde_json::json;
use waxwing_server::admin::commands;
use waxwing_server::cli::{Cli, Command, ConfigCommand, OperatorCommand, asks_for_json};
use waxwing_server::config::{Config, Place};
use waxwing_server::exit::{Exit, Failure};
use waxwing_server::{core_dumps, logging, runtime, stderr};

fn main() -> ExitCode {
    stop_when_a_thread_panics();
    core_dumps::forbid();
    let json = asks_for_json(env::args_os().skip(1));
    let exit = match Cli::try_parse() {
        Ok(cli) => end(carry_out(&cli), json),
        Err(unparsed) => explain(&unparsed, json),
    };
    logging::flush();
    exit
}

/// Says why, if there is something to say.
fn end(result: Result<(), Failure>, json: bool) -> ExitCode {
    let Err(failure) = result else { return Exit::Ok.into() };
    if !failure.is_silent() {
        stderr::write(format!("waxwing-server: {failure}\n").as_bytes());
        tell_programs(&failure, json);
    }
    failure.exit().into()
}

/// A program that has asked for JSON reads standard output alone.
fn tell_programs(failure: &Failure, json: bool) {
    if json {
        // Nobody is left to be told when this fails, too.
        let _ = writeln!(io::stdout(), "{}", failure.to_json());
    }
}

/// Help, the version, or what is wrong with the command line.
fn explain(unparsed: &Unparsed, json: bool) -> ExitCode {
    if unparsed.use_stderr() {
        // Nobody is left to be told when this fails, too.
        let _ = unparsed.print();
        let words = unparsed.to_string();
        let words = words.strip_prefix("error: ").unwrap_or(&words).trim_end();
        tell_programs(&Failure::new(Exit::Usage, words), json);
        return Exit::Usage.into();
    }
    end(unparsed.print().map_err(Failure::output), json)
}

/// A server that lacks one of its threads would go on and lose what it is given. A new start
/// recovers.
fn stop_when_a_thread_panics() {
    panic::set_hook(Box::new(|info| {
        logging::panicked(info);
        logging::flush();
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
            config.check_serving()?;
            runtime::run(&config, args, cli.clone().reader()?)
        }
        Command::Operator(command) => operate(cli, command, load()),
        Command::Config(command) => config(cli, command),
    }
}

/// Carries out a command of the operator. If the configuration cannot be read any more, a running server is
/// asked all the same, as far as the configuration still says where it is: an operator in trouble has to reach
/// it, and a server that cannot read it either has to say so in its log and its status.
fn operate(
    cli: &Cli,
    command: &OperatorCommand,
    loaded: Result<Config, Failure>,
) -> Result<(), Failure> {
    let out = &mut io::stdout().lock();
    let unreadable = match loaded {
        Ok(config) => return commands::run(&config, command, cli.json(), out),
        Err(unreadable) => unreadable,
    };
    if !commands::can_be_asked(command) {
        return Err(unreadable);
    }
    let Place { config, is_known } = cli.place_of_server();
    if !is_known && !commands::reaches_server(&config) {
        return Err(commands::without_file(command, &unreadable));
    }
    match commands::ask(&config, command, cli.json(), out) {
        // A server that was to read it has found the same mistake.
        Err(failure) if failure.exit() == Exit::Network || *command == OperatorCommand::Reload => {
            Err(unreadable)
        }
        asked => {
            stderr::write(format!("waxwing-server: {unreadable}\n").as_bytes());
            asked
        }
    }
}

/// What a start can fail for although the configuration can be used.
const NOT_CHECKED: &str = "Not looked at: the key, the database, and whether the addresses of server.listen and \
                           metrics.listen are free; `waxwing-server doctor` looks at them";

/// What is written below, if there is something.
fn lines(remark: Option<String>) -> String {
    remark.map(|remark| format!("{remark}\n")).unwrap_or_default()
}

fn config(cli: &Cli, command: &ConfigCommand) -> Result<(), Failure> {
    let text = match command {
        ConfigCommand::Example if cli.json() => Config::keys_as_json(),
        ConfigCommand::Example => Config::example(),
        ConfigCommand::Show { settings, .. } if cli.json() => cli.load_with(settings)?.to_json(),
        ConfigCommand::Show { origin, settings } => cli.load_with(settings)?.to_toml(*origin),
        ConfigCommand::Check { file } => {
            let config = cli.check_config(file)?;
            let directories = runtime::check_as_owner(&config)?;
            let remark = config.registration.remark();
            let file = file.display().to_string();
            match (cli.json(), directories) {
                (true, _) => {
                    let told = json!({
                        "usable": file, "directories_checked": directories,
                        "not_checked": ["key", "database", "addresses"], "remark": remark,
                    });
                    format!("{told}\n")
                }
                (false, true) => {
                    let remark = lines(remark);
                    format!("{file} can be used in this environment. {NOT_CHECKED}\n{remark}")
                }
                (false, false) => {
                    let remark = lines(remark);
                    format!(
                        "{file} can be used. The data directory belongs to another user, as whom the server \
                         runs: do this as that user to have its directories checked, too. {NOT_CHECKED}\n{remark}"
                    )
                }
            }
        }
    };
    io::stdout().write_all(text.as_bytes()).map_err(Failure::output)
}
