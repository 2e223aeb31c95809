//! How a command fails: an exit code for programs, and for people a sentence that says what to
//! do.

mod session;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;
use waxwing_core::wire::ErrorCode;

use crate::home::HomeError;
use crate::keys::KeyFileError;
use crate::settings::SettingsError;
use crate::show;

/// Why a command ends without having done what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Anything that has no code of its own: 1.
    #[error("{0}")]
    General(String),
    /// The command makes no sense as typed: 2.
    #[error("{0}")]
    Usage(String),
    /// The network does not work, or the server refuses: 3.
    #[error("{0}")]
    Refused(String),
    /// A key is not the one that is trusted: 4.
    #[error("{0}")]
    Untrusted(String),
    /// Too much of this: 5.
    #[error("{why}")]
    RateLimited {
        /// Of what there was too much, for the person.
        why: String,
        /// Seconds to wait.
        retry_after_s: u16,
    },
    /// The one-time password is wrong or gone: 6.
    #[error("{0}")]
    Otp(String),
    /// Nothing came in time: 7.
    #[error("{0}")]
    TimedOut(String),
    /// The person has pressed Ctrl-C: 130, as shells have it.
    #[error("interrupted")]
    Interrupted,
    /// The home does not work: 74.
    #[error(transparent)]
    Storage(HomeError),
    /// What the command needs to begin with is not right: 78.
    #[error("{0}")]
    Config(String),
    /// The output cannot be written: 1.
    #[error(
        "the output cannot be written: {0}; make room where it goes, or let it go somewhere else"
    )]
    Output(io::Error),
}

impl Failure {
    /// The exit code of the process: see "Exit codes" in README.md.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::General(_) | Self::Output(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused(_) => 3,
            Self::Untrusted(_) => 4,
            Self::RateLimited { .. } => 5,
            Self::Otp(_) => 6,
            Self::TimedOut(_) => 7,
            Self::Interrupted => 130,
            Self::Storage(_) => 74,
            Self::Config(_) => 78,
        }
    }

    /// Whether there is nobody to tell: the reader of the output has gone away.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Nobody has registered in this home.
    #[must_use]
    pub fn not_registered() -> Self {
        Self::General(
            "nobody is registered here; run `waxwing register --server ADDR --server-key FILE \
             PHONE`, or name another home with --home, or another account with --account"
                .into(),
        )
    }

    /// The person has named their own phone.
    #[must_use]
    pub fn to_oneself() -> Self {
        Self::Usage("this is the phone of this home itself; letters go to somebody else".into())
    }

    /// No key is pinned for this phone.
    #[must_use]
    pub fn no_contact(phone: &Phone) -> Self {
        let phone = phone.as_str();
        Self::General(format!(
            "no key of {phone} is known yet; run `waxwing verify {phone}` when the server can be \
             reached: it asks for the key, and shows the number to compare"
        ))
    }

    /// Nothing is known of this phone.
    #[must_use]
    pub fn no_conversation(phone: &Phone) -> Self {
        let phone = phone.as_str();
        Self::General(format!(
            "there is no conversation with {phone}; `waxwing conversations` and `waxwing requests` show \
             those that there are"
        ))
    }

    /// The key of a letter is that of another one.
    #[must_use]
    pub fn key_of_another(letter: &Uid) -> Self {
        Self::Usage(format!(
            "nothing was sent: this key was used before, for letter {letter}, which goes to somebody else or \
             says something else; take another key for another letter"
        ))
    }

    /// Nothing that this phone answers would be shown.
    #[must_use]
    pub fn blocked(name: Option<&str>, phone: &Phone) -> Self {
        let (who, phone) = (show::person(name, phone), phone.as_str());
        Self::General(format!(
            "{who} is blocked in this home, and an answer would be discarded; \
             `waxwing unblock {phone}` ends that"
        ))
    }

    /// Letters to this phone are held back.
    #[must_use]
    pub fn key_changed(name: Option<&str>, phone: &Phone) -> Self {
        let (who, phone) = (show::person(name, phone), phone.as_str());
        Self::Untrusted(format!(
            "the key of {who} has changed, and letters are held back; run `waxwing verify \
             {phone}` and compare the safety number over the phone or in person"
        ))
    }

    /// Why the server has not taken a letter that is kept, in a few words.
    #[must_use]
    pub fn why_not_taken(code: u16) -> String {
        match ErrorCode::from_code(code) {
            Some(ErrorCode::MailboxFull) => {
                "the recipient's mailbox is full, or too many of your letters wait".into()
            }
            Some(ErrorCode::StorageUnavailable) => "the server cannot store anything now".into(),
            Some(ErrorCode::RateLimited) => {
                "the server takes no more letters at the moment, or its operator has suspended the account"
                    .into()
            }
            Some(ErrorCode::Busy) => "the server is busy".into(),
            _ => Self::refused(code, 0).to_string(),
        }
    }

    /// The server does not take now what goes out by itself later: nobody has to try it again.
    #[must_use]
    pub fn postponed(code: u16, retry_after_s: u16) -> Self {
        let why = Self::why_not_taken(code);
        match ErrorCode::from_code(code) {
            Some(ErrorCode::RateLimited) => Self::RateLimited { why, retry_after_s },
            _ => Self::Refused(format!("{why} (code {code})")),
        }
    }

    /// The server refuses, for a reason that the client does not get around by itself.
    #[must_use]
    pub fn refused(code: u16, retry_after_s: u16) -> Self {
        let Some(known) = ErrorCode::from_code(code) else {
            return Self::Refused(format!(
                "the server refuses, for a reason that this version does not know (code {code})"
            ));
        };
        let sentence = match known {
            ErrorCode::RateLimited => {
                let why = format!(
                    "the server takes no more of this at the moment, or its operator has suspended the \
                     account and can say why; try again in {retry_after_s} s"
                );
                return Self::RateLimited { why, retry_after_s };
            }
            ErrorCode::OtpWrong => {
                return Self::Otp(
                    "the code is wrong; run `waxwing register` again with --otp CODE".into(),
                );
            }
            ErrorCode::OtpExpired | ErrorCode::OtpAttemptsSpent => {
                return Self::Otp(
                    "the server has no code for this phone and this home that is still good: none was asked for \
                     here, it is too old, or wrong ones were tried too often; run `waxwing register` again, without \
                     --otp, for a new one"
                        .into(),
                );
            }
            ErrorCode::UnknownRecipient | ErrorCode::UnknownUser => {
                "the server knows nobody with this phone; check the number, and ask whether its \
                 owner has registered with the same server"
            }
            ErrorCode::MailboxFull => {
                "the recipient's mailbox is full until they fetch their letters, or too many of yours wait \
                 to be fetched"
            }
            ErrorCode::StorageUnavailable => {
                "the server cannot store anything now; try again later, and tell its operator if that \
                 does not end"
            }
            ErrorCode::Busy => "the server is busy; try again in a moment",
            ErrorCode::ServerFull => "the server takes no more accounts; ask its operator",
            ErrorCode::TooLarge => "the letter is larger than the server allows; send it in parts",
            ErrorCode::BadPhone => "the server does not take this phone number; check it",
            ErrorCode::WeakKey => {
                "the server does not take this home's key; register with a new one, in an empty \
                 directory: --home DIR"
            }
            ErrorCode::StaleTimestamp => {
                "the server says that this machine's clock is wrong; set it, and try again"
            }
            ErrorCode::BadSignature | ErrorCode::SessionUnknown => {
                "account unknown or key refused: the operator of the server has removed the account, or \
                 somebody has registered the phone from another home. Nothing was deleted. `waxwing \
                 register --server-key FILE PHONE` finds out which, and registers again under the same \
                 key if it can"
            }
            ErrorCode::Malformed
            | ErrorCode::UnknownOp
            | ErrorCode::UnexpectedOp
            | ErrorCode::BadSequence => {
                return Self::Refused(format!(
                    "the server does not understand this client (code {}); are both of the same \
                     version?",
                    known.code()
                ));
            }
        };
        Self::Refused(format!("{sentence} (code {})", known.code()))
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        Self::from(failure.code())
    }
}

impl Failure {
    /// The same, of a command whose letter is stored in spite of it.
    pub(crate) fn beside_a_letter(self, dir: &Path) -> Self {
        match self {
            Self::Storage(error) => Self::Storage(error.after(dir, "the letter is kept")),
            other => other,
        }
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        match error {
            HomeError::Missing { .. } => Self::not_registered(),
            HomeError::NoDefault => Self::Config(error.to_string()),
            HomeError::Occupied { .. } | HomeError::InUse { .. } => {
                Self::General(error.to_string())
            }
            error => Self::Storage(error),
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::Config(error.to_string())
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        Self::Config(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

#[cfg(test)]
mod tests {
    use waxwing_core::client::{Ended, RefusalNotice};
    use waxwing_core::messenger::Cause;

    use super::*;
    use crate::session::SessionError;

    #[test]
    fn every_code_of_the_server_has_an_exit_code_and_a_sentence() {
        for code in ErrorCode::ALL {
            let failure = Failure::refused(code.code(), 7);
            let expected = match code {
                ErrorCode::RateLimited => 5,
                ErrorCode::OtpWrong | ErrorCode::OtpExpired | ErrorCode::OtpAttemptsSpent => 6,
                _ => 3,
            };
            assert_eq!(failure.code(), expected, "{code}");
            assert!(failure.to_string().len() > 20, "{code}");
        }
        assert_eq!(Failure::refused(9999, 0).code(), 3);
        assert!(Failure::refused(11, 7).to_string().contains("7 s"));
    }

    /// Beside a letter that goes out by itself, such an order would have it sent twice.
    #[test]
    fn what_goes_out_by_itself_later_is_nothing_to_try_again() {
        use ErrorCode::{Busy, MailboxFull, RateLimited, StorageUnavailable};
        for code in [Busy, MailboxFull, RateLimited, StorageUnavailable] {
            let refused = Failure::refused(code.code(), 7);
            let mut all = vec![Failure::postponed(code.code(), 7)];
            if code != MailboxFull {
                let refusal = RefusalNotice {
                    code: Some(code),
                    number: code.code(),
                    retry_after_s: 7,
                    packet: None,
                };
                let ended = Cause::Ended(Ended::Refused(refusal));
                all.push(SessionError::Over(ended).beside_a_kept_letter());
            }
            for failure in all {
                let said = failure.to_string();
                assert!(said.len() > 15 && !said.contains("again"), "{said}");
                assert_eq!(failure.code(), refused.code());
            }
        }
        let silent = SessionError::Over(Cause::Ended(Ended::TimedOut));
        assert!(!silent.beside_a_kept_letter().to_string().contains("again"));
    }

    #[test]
    fn homes_fail_as_storage_unless_there_is_none() {
        let missing = HomeError::Missing { dir: "/x".into() };
        assert_eq!(Failure::from(missing).code(), 1);
        let wide = HomeError::TooWide { dir: "/x".into(), mode: 0o755 };
        assert_eq!(Failure::from(wide).code(), 74);
        assert_eq!(Failure::from(HomeError::NoDefault).code(), 78);
    }
}
