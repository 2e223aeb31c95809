//! What can be wrong with a round, and what an operator reads then.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use waxwing_core::client::{Ended, RefusalNotice, RequestError};
use waxwing_core::server::AdministrationError;
use waxwing_core::wire::{CloseReason, ErrorCode};

use super::Stage;
use crate::exit::Failure;

const LOOK: &str = "`waxwing-server status` and the log say more";

/// Why a round did not go on.
#[derive(Debug)]
pub enum Trouble {
    /// The files with the keys of the accounts cannot be used.
    KeyFile(Failure),
    /// The audit log does not take that an account is removed.
    NotNoted(Failure),
    /// The server does not make the accounts.
    NotEnrolled(AdministrationError),
    /// Storage does not take the accounts.
    NotStored,
    /// The server has stopped.
    Stopped,
    /// The server cannot be connected to.
    NotConnected(SocketAddr, io::Error),
    /// The connection failed.
    Line(io::Error),
    /// The server has closed the connection without a word.
    Closed,
    /// A stage took too long.
    TooLate,
    /// The machine of the client says that the connection is over.
    Ended(Ended),
    /// The server refuses a packet.
    Refused(RefusalNotice),
    /// The machine of the client does not take a request, or a key does not work.
    NotMade(RequestError),
    /// The letter came, and it is not the one that was sent.
    Unreadable,
}

impl Trouble {
    /// Whether the server has said goodbye because somebody wants it to stop.
    pub(super) const fn is_orderly_stop(&self) -> bool {
        matches!(self, Self::Stopped | Self::Ended(Ended::Closed(CloseReason::ServerStopping)))
    }

    /// What an operator reads of a stage that may take so long. `suspect` is what may be wrong with storage.
    pub(super) fn at(&self, stage: Stage, bound: Duration, suspect: &str) -> String {
        let bound = bound.as_secs();
        match self {
            Self::KeyFile(failure) | Self::NotNoted(failure) => format!("{failure}"),
            Self::NotEnrolled(error) => format!(
                "the server does not make an account for the canary ({error:?}); {LOOK}"
            ),
            Self::NotStored => format!(
                "storage does not take an account for the canary: {suspect} {LOOK}"
            ),
            Self::Stopped => "the server stops".into(),
            Self::NotConnected(address, error) => format!(
                "{address} cannot be connected to ({error}): does something on this machine forbid it, \
                 such as a firewall?"
            ),
            Self::Line(error) => format!("the connection failed ({error})"),
            Self::Closed if matches!(stage, Stage::Connect | Stage::Fetch) => {
                "the server closed the connection before there was a session. Is the address of this \
                 machine banned (`waxwing-server ban list`), or has it too many connections \
                 (limits.connections_per_prefix)?"
                    .into()
            }
            Self::Closed => format!("the server closed the connection; {LOOK}"),
            Self::TooLate => match stage {
                Stage::Account => format!("the server did not do it within {bound} s: {LOOK}"),
                Stage::Store => format!(
                    "the letter was not stored within {bound} s: the disk or the database is slow, or does \
                     not answer; {LOOK}"
                ),
                _ => format!("the server did not answer within {bound} s; {LOOK}"),
            },
            Self::Ended(Ended::Refused(refusal)) | Self::Refused(refusal) => {
                format!("the server refused: {}", reason(refusal, stage, suspect))
            }
            Self::Ended(Ended::TimedOut) => format!("the server did not answer in time; {LOOK}"),
            Self::Ended(ended) => format!("{ended}; {LOOK}"),
            Self::NotMade(error) => format!("a packet could not be made: {error}"),
            Self::Unreadable => {
                "the letter that came is not the one that was sent: please report this, with the log".into()
            }
        }
    }
}

/// What to ask where storage does not take something.
pub(super) const fn suspect(is_shared: bool) -> &'static str {
    if is_shared {
        "can the database server of storage.url be reached, and does it take writes?"
    } else {
        "is the disk full or read-only?"
    }
}

fn reason(refusal: &RefusalNotice, stage: Stage, suspect: &str) -> String {
    let Some(code) = refusal.code else { return format!("code {}", refusal.number) };
    let help = match (code, stage) {
        (ErrorCode::StorageUnavailable | ErrorCode::MailboxFull, _) => {
            let name = code.name();
            return format!(
                "{name}; letters for people who are away are not taken: {suspect} {LOOK}"
            );
        }
        (ErrorCode::RateLimited, Stage::Connect | Stage::Fetch) => {
            "is the account suspended? `waxwing-server users list` shows it, and \
             `waxwing-server users resume` lets it in again"
        }
        (ErrorCode::StaleTimestamp, _) => "the clock of this machine is being changed",
        (ErrorCode::Busy, _) => "it has more to do than it can; `waxwing-server status` says more",
        _ => LOOK,
    };
    format!("{}; {help}", code.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_that_takes_nothing_is_the_disk_here_or_the_database_server_elsewhere() {
        let unavailable = RefusalNotice {
            number: ErrorCode::StorageUnavailable as u16,
            code: Some(ErrorCode::StorageUnavailable),
            retry_after_s: 0,
            packet: None,
        };
        for trouble in [Trouble::NotStored, Trouble::Refused(unavailable)] {
            let [own, shared] = [false, true].map(|is_shared| {
                trouble.at(Stage::Store, Duration::from_secs(1), suspect(is_shared))
            });
            assert!(own.contains("is the disk full"), "{own}");
            assert!(shared.contains("database server of storage.url"), "{shared}");
            assert!(!shared.contains("disk"), "{shared}");
        }
    }
}
