//! How a command reaches the server that a configuration means.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::super::control::Connection;
use super::NO_SOCKET;
use crate::access;
use crate::config::{Config, ServerConfig};
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};

/// A connection with the server; `None` when none answers.
pub(super) fn try_to_connect(config: &Config) -> Result<Option<Connection>, Failure> {
    let path = config.server.control_socket()?;
    let opened = path.as_deref().map(Connection::open).transpose();
    Ok(opened.map_err(|failure| unusable(failure, config))?.flatten())
}

/// The same for a command that needs a server.
pub(super) fn connect(config: &Config) -> Result<Connection, Failure> {
    let path = socket(config)?;
    let opened = Connection::open(&path).map_err(|failure| unusable(failure, config))?;
    opened.ok_or_else(|| Failure::new(Exit::Network, nobody_at(&path, config)))
}

/// A connection with the server, which can read a file of the data directory that is closed to this user; `None` if
/// it is not closed.
pub(super) fn instead_of(config: &Config, file: &str) -> Result<Option<Connection>, Failure> {
    let file = config.server.data.join(file);
    match File::open(&file) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let why = access::cannot_open(&file, &error);
            let connection = try_to_connect(config)?;
            connection.map(Some).ok_or_else(|| {
                let nobody = nobody_at(&socket(config).unwrap_or_default(), config);
                let message = format!(
                    "{}: {why}. The server could be asked instead, but {nobody}",
                    file.display()
                );
                Failure::new(Exit::Network, message)
            })
        }
        _ => Ok(None),
    }
}

/// A socket that cannot be used is that of another server, or of none, if nobody has named a place.
fn unusable(failure: Failure, config: &Config) -> Failure {
    let ServerConfig { data, control, .. } = &Config::default().server;
    if config.server.data != *data || config.server.control != *control {
        return failure;
    }
    Failure::new(
        Exit::Config,
        format!(
            "{failure}. No configuration names server.data or server.control, so the server was looked for \
             below the directory in which you are: give this command the --config or --data of the one that you \
             mean. If you have given a --config, see whether it is the right one: it names neither, and may be empty"
        ),
    )
}

/// Where the socket of the server is.
pub(super) fn socket(config: &Config) -> Result<PathBuf, Failure> {
    config.server.control_socket()?.ok_or_else(|| Failure::new(Exit::Config, NO_SOCKET))
}

/// What to say when no server answers at `path`.
pub(super) fn nobody_at(path: &Path, config: &Config) -> String {
    let path = path.display();
    let data = &config.server.data;
    let users = DataDir::existing(data).map(|data| data.users()).unwrap_or_default();
    if users.is_empty() {
        return format!(
            "no server answers at {path}: start it, or give this command the --config or --data of the \
             one that runs"
        );
    }
    format!(
        "no server answers at {path}, but {} uses {}: it may be about to start or to stop, or its control \
         socket is elsewhere; give this command the --config of that server, and look at its log. If \
         server.control was changed since it started, commands reach it at the old place until it is \
         restarted: name that in the variable WAXWING_SERVER__CONTROL for this command; to have it read its \
         configuration again, send it SIGHUP",
        users.join(", "),
        data.display()
    )
}
