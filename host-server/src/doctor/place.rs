//! What the checks look at: the configuration, and what the server that runs with it says of itself. It is asked
//! once, so that one that hangs is waited for once.

use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{Access, access};
use rustix::io::Errno;

use crate::admin::commands::reload::{self, NotReloaded};
use crate::admin::commands::status::{self, SOON, Status};
use crate::admin::control::Connection;
use crate::config::Config;
use crate::exit::Failure;

/// What is looked at.
pub struct Place<'a> {
    pub(super) config: &'a Config,
    pub(super) server: Server,
}

/// The server that runs with a configuration.
pub(super) enum Server {
    /// There is no place for its control socket.
    Nowhere,
    /// The place of its control socket cannot be used.
    Misplaced(String),
    /// This user may not use the control socket at this path.
    Closed(PathBuf),
    /// Nobody listens at this path.
    Absent(PathBuf),
    /// Somebody listens there, and does not answer as a server does.
    Unwell { process: Option<i32>, why: String },
    /// It has answered.
    Runs { path: PathBuf, process: Option<i32>, status: Box<Status> },
}

impl<'a> Place<'a> {
    /// Asks the server that runs with this configuration how it is, if there is one.
    #[must_use]
    pub fn new(config: &'a Config) -> Self {
        Self { config, server: Server::look(config, SOON) }
    }

    /// What of the configuration the server that runs has not read yet, or why it could not. Nothing if none has
    /// answered.
    pub(super) fn not_reloaded(&self) -> Option<Result<NotReloaded, Failure>> {
        let Server::Runs { path, .. } = &self.server else { return None };
        match Connection::open_within(path, SOON) {
            Ok(connection) => Some(reload::ask_what_would_change(connection?, self.config)),
            Err(failure) => Some(Err(failure)),
        }
    }

    /// What the server that runs says of itself.
    pub(super) fn status(&self) -> Option<&Status> {
        match &self.server {
            Server::Runs { status, .. } => Some(status),
            _ => None,
        }
    }
}

impl Server {
    pub(super) fn look(config: &Config, patience: Duration) -> Self {
        let path = match config.server.control_socket() {
            Ok(Some(path)) => path,
            Ok(None) => return Self::Nowhere,
            Err(error) => return Self::Misplaced(error.to_string()),
        };
        if access(&path, Access::WRITE_OK) == Err(Errno::ACCESS) {
            return Self::Closed(path);
        }
        let connection = match Connection::open_within(&path, patience) {
            Ok(Some(connection)) => connection,
            Ok(None) => return Self::Absent(path),
            Err(failure) => return Self::Unwell { process: None, why: failure.to_string() },
        };
        let process = connection.server();
        match status::ask(connection, config) {
            Ok(status) => Self::Runs { path, process, status: Box::new(status) },
            Err(failure) => Self::Unwell { process, why: failure.to_string() },
        }
    }

    /// The process that is the server.
    pub(super) const fn process(&self) -> Option<i32> {
        match self {
            Self::Unwell { process, .. } | Self::Runs { process, .. } => *process,
            _ => None,
        }
    }
}
