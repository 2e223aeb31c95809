//! What commands say to a running server, and what it answers: each is one line of JSON.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::control::{Answer, Answers, Connection, Refusal};
use super::running::Interrupted;
use crate::config::{AddressRange, Config, LogLevel};
use crate::exit::{Exit, Failure};
use crate::stderr;
use crate::store::{ApplyError, UserName};

/// A request, and of which server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// The data directory that the command was told of: whoever has named one means the server that uses
    /// it, and not another that happens to be behind the socket. Nothing if this user cannot see it.
    pub(super) data: Option<String>,
    pub(super) request: Request,
}

impl Asked {
    pub(super) fn new(config: &Config, request: Request) -> Self {
        Self { data: whole(&config.server.data), request }
    }
}

/// A path as it is from everywhere; `None` if this user cannot see where it leads. One that leads to nothing
/// may be a wrong name, and stays what it is. A relative one may be right from where the server was started.
pub(super) fn whole(path: &Path) -> Option<String> {
    let whole = match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && path.is_absolute() => path.to_owned(),
        found => found.ok()?,
    };
    whole.into_os_string().into_string().ok()
}

/// What a command asks of a running server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Request {
    /// `status`.
    Status {
        /// Again and again, each second.
        watch: bool,
    },
    /// `health`.
    Health {
        /// Whether it takes letters, and not only whether it runs.
        ready: bool,
    },
    /// `reload`.
    Reload,
    /// What `reload` would change, for `doctor`.
    NotReloaded,
    /// `log level`.
    LogLevel {
        level: LogLevel,
        /// Of this part of the program alone.
        target: Option<String>,
        /// For so many milliseconds.
        for_ms: Option<u64>,
    },
    /// `log reopen`.
    ReopenLog,
    /// `sessions list`.
    Sessions,
    /// `sessions end`.
    EndSession { user: UserName },
    /// `queue list`.
    Mailboxes {
        /// So many, those with the most letters.
        top: usize,
    },
    /// `queue show`.
    Letters { user: UserName },
    /// `queue expire`.
    ExpireLetters {
        user: UserName,
        /// Letters that were accepted at least so many seconds ago.
        older_than_s: u64,
    },
    /// `users list`.
    Users {
        /// With whole phones.
        full: bool,
        /// Only those who had no session for so many seconds.
        #[serde(default)]
        idle_s: Option<u64>,
    },
    /// `users show`.
    User { user: UserName, full: bool },
    /// `users remove`.
    RemoveUser {
        user: UserName,
        /// Also what is left of them elsewhere.
        #[serde(default)]
        erase: bool,
    },
    /// `audit show`, by somebody who may not open its files.
    ShowAudit { json: bool },
    /// `audit verify`, likewise.
    VerifyAudit { json: bool },
    /// `key fingerprint`, likewise.
    Fingerprint,
    /// `key show`, likewise.
    Keys,
    /// `key rotate`.
    RotateKey {
        /// In seconds since 1970.
        from: i64,
        /// Even if that is soon.
        force: bool,
    },
    /// `key rotate --cancel`.
    KeepKey,
    /// `backup create`.
    CreateBackup {
        /// Where, from everywhere; if nothing is said, in the directory of backups.
        file: Option<String>,
    },
    /// `users suspend`.
    Suspend { user: UserName, until: Until, reason: String },
    /// `users resume`.
    Resume { user: UserName },
    /// `users export`.
    Export {
        user: UserName,
        /// With sealed letters.
        letters: bool,
    },
    /// `users limits`.
    SetLimits { user: UserName, limits: NewLimits },
    /// `otp test`.
    TestCode {
        phone: String,
        /// By the second way.
        fallback: bool,
    },
    /// `doctor --live`.
    Canary,
    /// `drain`.
    Drain { over_s: u64 },
    /// `undrain`.
    Undrain,
    /// `ban list`.
    Bans,
    /// `ban add`.
    Ban(NewBan),
    /// `ban remove`.
    EndBan { range: AddressRange },
}

impl Request {
    /// Whether it is to change something.
    const fn changes(&self) -> bool {
        !matches!(
            self,
            Self::Status { .. }
                | Self::Health { .. }
                | Self::NotReloaded
                | Self::Sessions
                | Self::Mailboxes { .. }
                | Self::Letters { .. }
                | Self::Users { .. }
                | Self::User { .. }
                | Self::ShowAudit { .. }
                | Self::VerifyAudit { .. }
                | Self::Fingerprint
                | Self::Keys
                | Self::Export { .. }
                | Self::Canary
                | Self::Bans
        )
    }

    /// The server was asked, and has not answered: what it was to change may be changed.
    fn unclear(&self, failure: Failure) -> Failure {
        if failure.exit() != Exit::Network || !self.changes() {
            return failure;
        }
        let how = "What was to be changed may be changed all the same: `waxwing-server audit show` says whether it is";
        Failure::new(Exit::Network, format!("{failure}. {how}"))
    }

    /// What somebody reads who waits for longer than they may expect.
    const fn what_it_waits_for(&self) -> &'static str {
        match self {
            Self::TestCode { .. } => {
                "whoever delivers the code has not answered yet; otp.exec.timeout and otp.webhook.timeout say \
                 how long that may take"
            }
            Self::Mailboxes { .. } | Self::Users { .. } => {
                "the server still counts letters; with many users that takes a while"
            }
            _ => {
                "the server is still at it; `waxwing-server status` in another terminal says whether an event \
                 loop hangs"
            }
        }
    }
}

/// A ban that is to be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBan {
    pub(super) range: AddressRange,
    /// So many seconds; `None` for ever.
    pub(super) for_s: Option<u64>,
    pub(super) reason: String,
    /// Even if somebody is in it whom the operator hardly means.
    pub(super) force: bool,
    /// From where the operator is logged in, as far as that is known.
    pub(super) own: Option<IpAddr>,
}

/// Limits of a user that are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum NewLimits {
    /// As the configuration says.
    Default {},
    /// What is not named stays as it was.
    Own { letters: Option<u32>, bytes: Option<u64> },
}

/// How long something is to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Until {
    /// Until the operator decides otherwise.
    Further,
    /// So many seconds from now.
    Seconds(u64),
    /// Until this moment, in seconds since 1970.
    Moment(i64),
}

/// One line of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Line<T> {
    /// Part of what was asked for.
    Item(T),
    /// The server is at it.
    Waiting {},
    /// That was all.
    Done {},
    /// It was not done, or not all of it.
    Error(Problem),
}

impl<T: Serialize> Line<T> {
    pub(super) fn to_json(&self) -> String {
        // Nothing in a line can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Problem {
    exit: u8,
    message: String,
    /// Nobody knows whether it was done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unknown: bool,
}

impl Problem {
    pub(super) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit: exit as u8, message: message.to_string(), unknown: false }
    }

    pub(super) fn of(failure: &Failure) -> Self {
        Self::new(failure.exit(), failure)
    }

    pub(super) fn no_such_user(name: &UserName) -> Self {
        Self::of(&no_such_user(name))
    }

    /// The server stops before it has answered, because its storage has failed if that is said.
    pub(super) fn server_stops(failed: Option<&ApplyError>) -> Self {
        let (exit, message) = match failed {
            None => (
                Exit::Failure,
                "the server stops, and does not say any more whether it was done; look again when it runs",
            ),
            Some(ApplyError::Corrupt(_)) => (
                Exit::Storage,
                "the server has stopped, because it has read a damaged page of its database, and nobody can say \
                 whether it was done. The log of the server says what is damaged; `waxwing-server run --check` \
                 reads the whole database and says what helps",
            ),
            Some(_) => (
                Exit::Failure,
                "the server has stopped, because its storage has failed, and nobody can say whether it was done. \
                 The log of the server says why; look again when it runs",
            ),
        };
        Self { unknown: true, ..Self::new(exit, message) }
    }

    /// It is not done to its end, and the next start of the server goes on with it.
    pub(super) fn goes_on_later(self, what: &str) -> Self {
        Self { unknown: true, message: format!("{what}: {}", self.message), ..self }
    }

    pub(super) const fn is_unknown(&self) -> bool {
        self.unknown
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// There is no such user.
pub(super) fn no_such_user(name: &UserName) -> Failure {
    Failure::new(
        Exit::Failure,
        format!("there is no user {name}; `waxwing-server users list` shows all"),
    )
}

/// Sends part of what was asked for.
pub(super) fn item<T: Serialize>(answer: &mut Answer<'_>, item: T) -> Result<(), Interrupted> {
    Ok(answer.line(&Line::Item(item).to_json())?)
}

/// Asks a running server for one item.
pub(super) fn ask_one<T: DeserializeOwned>(
    connection: Connection,
    asked: &Asked,
) -> Result<T, Failure> {
    let mut told = None;
    ask(connection, asked, |item| {
        told = Some(item);
        Ok(())
    })?;
    told.ok_or_else(|| {
        Failure::new(Exit::Failure, "the server has answered without saying anything")
    })
}

/// Asks a running server, and hands over each item of its answer.
pub(super) fn ask<T: DeserializeOwned>(
    connection: Connection,
    asked: &Asked,
    mut each: impl FnMut(T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // Nothing in a request can fail to be written.
    let line = serde_json::to_string(asked).unwrap_or_default();
    let unclear = |failure| asked.request.unclear(failure);
    let mut answers = connection.ask(&line).map_err(unclear)?;
    let mut knows_that_it_waits = false;
    loop {
        match next(&mut answers).map_err(unclear)? {
            Line::Item(item) => each(item)?,
            Line::Waiting {} if knows_that_it_waits => {}
            Line::Waiting {} => {
                let waits = asked.request.what_it_waits_for();
                stderr::write(format!("waxwing-server: {waits}\n").as_bytes());
                knows_that_it_waits = true;
            }
            Line::Done {} => return Ok(()),
            Line::Error(Problem { exit, message, .. }) => {
                return Err(Failure::new(Exit::from_code(exit), message));
            }
        }
    }
}

fn next<T: DeserializeOwned>(answers: &mut Answers) -> Result<Line<T>, Failure> {
    let Some(line) = answers.next_line()? else {
        return Err(Failure::new(Exit::Network, "the server has stopped before its answer"));
    };
    if let Some(refusal) = Refusal::in_line(&line) {
        return Err(Failure::new(Exit::Failure, refusal));
    }
    serde_json::from_str(&line).map_err(|error| {
        Failure::new(
            Exit::Failure,
            format!("the server's answer cannot be read ({error}): is it of another version?"),
        )
    })
}
