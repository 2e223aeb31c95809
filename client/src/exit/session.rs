//! How a session fails, in sentences for a person.

use waxwing_core::client::Ended;
use waxwing_core::messenger::Cause;
use waxwing_core::wire::{CloseReason, ErrorCode};

use super::Failure;
use crate::clock;
use crate::home::Holder;
use crate::keylog::KeyLogError;
use crate::session::SessionError;

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Home(error) => error.into(),
            error => (&error).into(),
        }
    }
}

impl From<&SessionError> for Failure {
    fn from(error: &SessionError) -> Self {
        match error {
            SessionError::NotRegistered => Self::not_registered(),
            SessionError::Interrupted => Self::Interrupted,
            SessionError::KeyLog(error) => Self::Config(error.to_string()),
            SessionError::DamagedKey(_) | SessionError::DamagedServerKey => {
                Self::General(format!("{error}; restore the home from a backup"))
            }
            SessionError::Home(_) | SessionError::System { .. } | SessionError::Request(_) => {
                Self::General(error.to_string())
            }
            SessionError::Unreachable(_) => Self::Refused(format!(
                "{error}. Does the server run, and is it there? `waxwing register --server \
                 HOST:PORT --server-key FILE PHONE` names another address"
            )),
            SessionError::Over(cause) => (*cause).into(),
            SessionError::KeyNotDue(effective) => Self::Untrusted(format!(
                "the server's answers are not signed with the key that this home trusts. The server has \
                 announced another key from {} on, and by this machine's clock that is more than a day \
                 ahead; is the clock right? If it is, is the address?",
                clock::rfc3339(*effective)
            )),
            SessionError::CodeNotSent(retry_after_s) => Self::Refused(format!(
                "{error}; is the phone number right? If it is, try again in {retry_after_s} s"
            )),
            SessionError::HolderSilent(holder) => silence(holder),
            SessionError::EndOfStream => Self::Refused(format!(
                "{error} without saying why. If that lasts, ask its operator: it may keep this network out, or its \
                 storage may be away"
            )),
            SessionError::Broken(_) | SessionError::HolderOffline { .. } => {
                Self::Refused(error.to_string())
            }
        }
    }
}

impl From<KeyLogError> for Failure {
    fn from(error: KeyLogError) -> Self {
        Self::Config(error.to_string())
    }
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        let error = SessionError::Over(cause);
        match cause {
            Cause::Ended(ended) => ended.into(),
            Cause::Unanswered => Self::Refused(error.to_string()),
            Cause::OtherAccount => {
                Self::Untrusted(format!("{error}; nothing was sent. Ask its operator"))
            }
            Cause::WrongKey => Self::Untrusted(format!(
                "{error}; nothing was changed. Ask its operator before you trust it again"
            )),
            Cause::OwnKey => Self::General(format!("{error}; restore the home from a backup")),
            Cause::Profile => Self::General(error.to_string()),
        }
    }
}

impl From<Ended> for Failure {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Closed(CloseReason::TakenOver) => Self::Refused(
                "another session of this account took over: a copy of this home is in use, maybe on another \
                 machine. End one of the two"
                    .into(),
            ),
            Ended::Closed(CloseReason::ServerStopping) => {
                Self::Refused(
                    "the server has ended the session: it stops, or its operator has ended the session, \
                     or removed the account; the next connection says which"
                        .into(),
                )
            }
            Ended::Refused(refusal) => Self::refused(refusal.number, refusal.retry_after_s),
            Ended::BadBytes => Self::Untrusted(
                "the server's answers are not signed with the key that this home trusts; is the \
                 address right? If the server has a new key, get its server.pub.pem from the \
                 operator, and run `waxwing register --server-key FILE PHONE`"
                    .into(),
            ),
            Ended::TimedOut => {
                Self::Refused("the server does not answer; check the network, and try again".into())
            }
            Ended::WindowExceeded => Self::Refused(
                "more letters came at once than any honest server sends; somebody on the way to \
                 the server sends them, or the server does. The connection was closed"
                    .into(),
            ),
            Ended::Misbehaved | Ended::BadSeal | Ended::Closed(_) | Ended::Build(_) => {
                Self::Refused(format!(
                    "{ended}; is it a Waxwing server of this version? Tell its operator if this \
                     happens again"
                ))
            }
        }
    }
}

impl SessionError {
    /// The same beside a letter that is kept and goes out by itself: it has nothing that one has to try
    /// again, which would send the letter twice.
    pub(crate) fn beside_a_kept_letter(&self) -> Failure {
        match self {
            Self::Over(Cause::Ended(Ended::Refused(refusal)))
                if refusal.code.is_some_and(|code| {
                    matches!(
                        code,
                        ErrorCode::RateLimited | ErrorCode::StorageUnavailable | ErrorCode::Busy
                    )
                }) =>
            {
                Failure::postponed(refusal.number, refusal.retry_after_s)
            }
            Self::Over(Cause::Ended(Ended::TimedOut)) => {
                Failure::Refused("the server does not answer; check the network".into())
            }
            error => error.into(),
        }
    }
}

fn silence(holder: &Holder) -> Failure {
    let Holder { pid, since, silent_for, .. } = holder;
    Failure::Refused(format!(
        "process {pid} (`ps -p {pid}` shows it) has held the session of this home since {} and has not moved for \
         {} s, so nothing is sent or received; let it go on (`kill -CONT {pid}`), or end it (`kill -KILL \
         {pid}`)",
        clock::rfc3339(*since),
        silent_for.as_secs(),
    ))
}
