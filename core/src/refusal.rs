//! Which check refuses with which code, whether that ends the connection, and what a client
//! does about it (PROTOCOL.md, "Refusal table"). Both machines read this one table.

use crate::wire::ErrorCode;

/// What a client does when it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reaction {
    /// Closes and tries again with growing pauses.
    BackOff,
    /// Tries this request again after the pause that the refusal names, or a growing one.
    RetryLater,
    /// Sets its clock by the refusal, if that came in time, and signs the letter again.
    SignAgain,
    /// Asks for the recipient's key and id again, by phone.
    AskForKey,
    /// Asks the person for the right code.
    AskForCode,
    /// Asks the server for a new one-time password.
    RequestCode,
    /// Sends the long form of 106, once, on the same connection.
    LongForm,
    /// Tells the person; trying again would not help.
    GiveUp,
}

/// What follows when the server refuses with a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rule {
    /// Whether a refusal with this code ends a session. Before a session every refusal ends the
    /// connection but [`ErrorCode::SessionUnknown`].
    pub ends_session: bool,
    /// What a client does when it is refused with this code.
    pub reaction: Reaction,
}

impl ErrorCode {
    /// What follows when the server refuses with this code.
    #[must_use]
    pub const fn rule(self) -> Rule {
        use Reaction::{
            AskForCode, AskForKey, BackOff, GiveUp, LongForm, RequestCode, RetryLater, SignAgain,
        };
        let (ends_session, reaction) = match self {
            // The stream or the peer cannot be trusted any further.
            Self::Malformed | Self::UnknownOp | Self::UnexpectedOp => (true, BackOff),
            Self::BadSignature | Self::BadSequence => (true, BackOff),
            // This letter, not the session.
            Self::StaleTimestamp => (false, SignAgain),
            Self::UnknownRecipient => (false, AskForKey),
            Self::TooLarge => (false, GiveUp),
            Self::MailboxFull | Self::StorageUnavailable => (false, RetryLater),
            Self::RateLimited | Self::Busy => (false, RetryLater),
            // This question.
            Self::UnknownUser => (false, GiveUp),
            // This registration.
            Self::OtpWrong => (false, AskForCode),
            Self::OtpExpired | Self::OtpAttemptsSpent => (false, RequestCode),
            Self::WeakKey | Self::BadPhone | Self::ServerFull => (false, GiveUp),
            // This form of reconnecting.
            Self::SessionUnknown => (false, LongForm),
        };
        Rule { ends_session, reaction }
    }
}
