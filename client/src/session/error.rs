//! How a session fails, by whom it is up to. What a person can do about it is for the program to say.

use std::fmt;
use std::io;
use std::path::Path;

use waxwing_core::client::{Ended, RefusalNotice, RequestError};
use waxwing_core::crypto::KeyError;
use waxwing_core::messenger::Cause;
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{CloseReason, ErrorCode};

use crate::home::{Holder, HomeError};
use crate::keylog::KeyLogError;
use crate::system;

/// Why a session cannot go on, or has no connection.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The home does not work.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The private key of the home is none, for this reason.
    #[error("this home's private key is damaged: {0}")]
    DamagedKey(KeyError),
    /// The crypto backend does not take the home's copy of the server's key.
    #[error("this home's copy of the server's key is damaged")]
    DamagedServerKey,
    /// Nobody is registered in the home.
    #[error("nobody is registered")]
    NotRegistered,
    /// This machine does not do something that is needed.
    #[error("{what}: {}", system::of_machine(.source))]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The log that keys are to be written to does not take them.
    #[error(transparent)]
    KeyLog(#[from] KeyLogError),
    /// A packet cannot be made.
    #[error("the request could not be made: {0}")]
    Request(#[from] RequestError),
    /// The person wants to stop.
    #[error("interrupted")]
    Interrupted,
    /// The network, or nobody listens.
    ///
    /// Each address, as it was given, with the reason.
    #[error("cannot reach {}", InTurn(.0))]
    Unreachable(Vec<(String, io::Error)>),
    /// The network broke a connection that was made.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// The server, or somebody on the way, closed the connection without a word.
    #[error("the server closed the connection")]
    EndOfStream,
    /// The connection is over, in most cases because the server ended it.
    #[error("{}", InWords(.0))]
    Over(Cause),
    /// The server does not have the pinned key, and the one that it has announced counts from this moment
    /// on: too far ahead to be tried.
    #[error(
        "the server's bytes are not signed with the pinned key, and its next key is not due yet"
    )]
    KeyNotDue(UnixTime),
    /// The server could not send a code to the phone, and may be able to after so many seconds.
    #[error("the server could not send a code")]
    CodeNotSent(u16),
    /// The process that holds the session has no connection.
    #[error(
        "process {pid} (`ps -p {pid}` shows it) holds the session of this home and has no connection: {problem}"
    )]
    HolderOffline {
        /// Its number.
        pid: u32,
        /// Why, as it says.
        problem: String,
    },
    /// The process that holds the session is stopped, or hangs.
    #[error("process {} holds the session of this home and does not move", .0.pid)]
    HolderSilent(Holder),
}

struct InTurn<'a>(&'a [(String, io::Error)]);

impl fmt::Display for InTurn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (address, why)) in self.0.iter().enumerate() {
            let between = if at == 0 { "" } else { ", nor " };
            write!(f, "{between}{address}: {why}")?;
        }
        Ok(())
    }
}

impl SessionError {
    /// Another session of the account has ended this one. Who took over would lose the session to a process
    /// that came back by itself, and take it over again.
    pub(super) const TAKEN_OVER: Self =
        Self::Over(Cause::Ended(Ended::Closed(CloseReason::TakenOver)));

    /// Whether another session of the account has ended this one.
    #[must_use]
    pub const fn is_taken_over(&self) -> bool {
        matches!(self, Self::Over(Cause::Ended(Ended::Closed(CloseReason::TakenOver))))
    }

    /// The same in a few words, where there is no room for more. `dir` is that of the home.
    #[must_use]
    pub fn in_brief(&self, dir: &Path) -> String {
        let brief = match self {
            Self::Home(error) if error.is_full(dir) => "the disk is full",
            Self::Home(_) | Self::Over(Cause::Profile) => "the home cannot be used",
            Self::Unreachable(tried) => match &tried[..] {
                [(address, _)] => return format!("{address} cannot be reached"),
                tried => return format!("none of {} addresses can be reached", tried.len()),
            },
            Self::Broken(_) | Self::EndOfStream => "it broke",
            Self::Over(Cause::Ended(ended)) => ended_in_brief(ended),
            Self::Over(Cause::Unanswered) => "the server does not answer",
            Self::Over(Cause::OtherAccount | Cause::WrongKey) | Self::KeyNotDue(_) => {
                "the server is not to be trusted"
            }
            Self::HolderOffline { .. } => "the other waxwing of this home has none",
            Self::HolderSilent(_) => "the other waxwing of this home does not move",
            other => return other.to_string(),
        };
        brief.to_owned()
    }
}

const fn ended_in_brief(ended: &Ended) -> &'static str {
    match ended {
        Ended::Closed(CloseReason::ServerStopping) => "the server has ended the session",
        Ended::Closed(CloseReason::TakenOver) => "another session took over",
        Ended::Closed(_) => "the server has ended it",
        Ended::Refused(RefusalNotice {
            code: Some(ErrorCode::BadSignature | ErrorCode::SessionUnknown),
            ..
        }) => "account unknown or key refused",
        Ended::Refused(_) => "the server refuses",
        Ended::BadBytes => "the server has another key",
        Ended::TimedOut => "the server does not answer",
        Ended::Misbehaved | Ended::WindowExceeded | Ended::BadSeal | Ended::Build(_) => {
            "the server is not understood"
        }
    }
}

struct InWords<'a>(&'a Cause);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Cause::Ended(ended) => return ended.fmt(f),
            Cause::Unanswered => "the server does not answer a letter",
            Cause::OtherAccount => "the server takes this home for another account",
            Cause::WrongKey => "the server answered a question about one key with another's",
            Cause::OwnKey => "this home's private key cannot sign",
            Cause::Profile => "the home could not be written",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_in_brief_has_room_in_a_row_and_no_name_of_ours() {
        let dir = Path::new("/nonexistent");
        let full = HomeError::Full { dir: "/a/long/path/of/a/home".into() };
        let tried = |count| {
            let tried = || ("messages.example.org:9295".to_owned(), io::ErrorKind::TimedOut.into());
            std::iter::repeat_with(tried).take(count).collect()
        };
        for problem in [
            SessionError::Home(full),
            SessionError::Unreachable(tried(1)),
            SessionError::Unreachable(tried(9)),
            SessionError::Over(Cause::Ended(Ended::Closed(CloseReason::ServerStopping))),
            SessionError::Over(Cause::Ended(Ended::Closed(CloseReason::NoProgress))),
            SessionError::Over(Cause::Ended(Ended::BadBytes)),
            SessionError::Over(Cause::Unanswered),
            SessionError::EndOfStream,
            SessionError::HolderOffline { pid: 4_194_304, problem: "x".repeat(99) },
        ] {
            let brief = problem.in_brief(dir);
            assert!(brief.len() <= 44 && !brief.contains("Stopping"), "{brief}");
        }
    }
}
