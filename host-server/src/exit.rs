//! How the process ends.

use std::fmt;
use std::io;
use std::process::ExitCode;

use serde_json::{Map, Value};

use crate::config::ConfigError;
use crate::store::{ApplyError, StorageError};

/// The exit codes of both binaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The server has stopped in good order, or the command has done what it was asked to.
    Ok = 0,
    /// Something failed that has no code of its own.
    Failure = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The network does not let it.
    Network = 3,
    /// A key is missing, unreadable or readable by others.
    Key = 4,
    /// Storage failed: the disk, the database, or the permissions of its directory.
    Storage = 74,
    /// Another server has taken the storage over. Whoever starts the process again has it wait for its
    /// turn.
    Fenced = 75,
    /// The configuration makes no sense.
    Config = 78,
}

impl Exit {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Failure,
        Self::Usage,
        Self::Network,
        Self::Key,
        Self::Storage,
        Self::Fenced,
        Self::Config,
    ];

    /// The exit with this code; one that is not known is a failure.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        Self::ALL.into_iter().find(|exit| *exit as u8 == code).unwrap_or(Self::Failure)
    }

    /// What the manual says of it.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::Failure => {
                "failed, in a way that has no code of its own; of `health` and `doctor`: something is wrong"
            }
            Self::Usage => {
                "the command line makes no sense, or asks for something that has to be confirmed"
            }
            Self::Network => {
                "no server answers, or the network or a database behind it cannot be reached"
            }
            Self::Key => {
                "the server's key is missing, cannot be used, or is not the one that is expected"
            }
            Self::Storage => "storage: the disk, the database, or the permissions of its directory",
            Self::Fenced => {
                "another server has taken over the storage that both share, or may have"
            }
            Self::Config => "bad configuration, or a file that was named cannot be used",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Whether something was changed, for programs.
const CHANGED: &str = "changed";

/// Why the process ends, and with which code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    message: String,
    /// What programs read besides.
    details: Map<String, Value>,
}

impl Failure {
    /// Ends with `exit`; `message` is for the operator.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string(), details: Map::new() }
    }

    /// With something that programs read, and that people read in the message.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }

    /// The storage that a server has cannot be used, and what helps if it is damaged.
    #[must_use]
    pub fn of_storage(error: StorageError) -> Self {
        let why = error.explained();
        Self { message: why, ..error.into() }
    }

    /// The same, and nothing was changed.
    #[must_use]
    pub fn without_change(self) -> Self {
        self.with(CHANGED, false)
    }

    /// Whether it is known that nothing was changed.
    #[must_use]
    pub fn has_changed_nothing(&self) -> bool {
        self.details.get(CHANGED) == Some(&Value::Bool(false))
    }

    /// Standard output takes no more, so that whoever reads it has a part. A reader that has left wanted no more, and
    /// hears nothing.
    #[must_use]
    pub fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Failure, "");
        }
        Self::new(
            Exit::Storage,
            format!(
                "standard output cannot be written to: {error}. What was written there is not whole: do not use it. \
                 Make room where it goes, or let it go somewhere else"
            ),
        )
    }

    /// Whether there is nobody to tell.
    #[must_use]
    pub const fn is_silent(&self) -> bool {
        self.message.is_empty()
    }

    /// The exit code of the process.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// What a command with `--json` prints: why it has failed, and with which exit code, in an object of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut object = self.details.clone();
        object.insert("error".into(), self.message.as_str().into());
        object.insert("exit".into(), (self.exit as u8).into());
        Value::Object(object).to_string()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Config, error)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        let exit = match error {
            StorageError::Away(_) => Exit::Network,
            StorageError::Settings(_) => Exit::Config,
            _ => Exit::Storage,
        };
        Self::new(exit, error)
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        let exit = match error {
            ApplyError::Fenced(_) | ApplyError::Isolated(_) => Exit::Fenced,
            ApplyError::Twin(_) => Exit::Config,
            ApplyError::Away(_) | ApplyError::AwaitsStandby | ApplyError::Unclear(_) => {
                Exit::Network
            }
            _ => Exit::Storage,
        };
        Self::new(exit, error)
    }
}
