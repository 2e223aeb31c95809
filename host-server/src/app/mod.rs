//! The wiring of event loop, server machine and storage thread.

use crate::cli::{KeyCommand, RunArgs};
use crate::config::Config;
use crate::exit::{Exit, Failure};

/// Serves until a signal says stop.
///
/// # Errors
/// When it cannot start, or storage fails.
pub fn run(_config: &Config, _args: &RunArgs) -> Result<(), Failure> {
    Err(Failure::new(Exit::Failure, "not wired yet"))
}

/// Carries out a command on the server's key.
///
/// # Errors
/// When there is no key, or it cannot be used.
pub fn key(_config: &Config, _command: KeyCommand) -> Result<(), Failure> {
    Err(Failure::new(Exit::Failure, "not wired yet"))
}
