//! Op codes (PROTOCOL.md, "Op codes").

use core::fmt;

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// What a packet is for. One byte on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[repr(u8)]
        pub enum Op {
            $($(#[$doc])* $name = $code,)*
        }

        impl Op {
            /// Every op, in the order of the codes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

ops! {
    /// A client without an id asks for a one-time password.
    RegistrationRequest = 100,
    /// The client proves the password and shows its public key.
    OtpProof = 101,
    /// A letter from client to client.
    Letter = 102,
    /// A client asks for a public key.
    KeyQuestion = 105,
    /// A registered client asks for a session.
    ReconnectRequest = 106,
    /// No code is sent, since the phone has an account under another key.
    RegistrationRejected = 150,
    /// A one-time password is on its way.
    OtpIssued = 200,
    /// A session key for a newly registered client.
    SessionIssued = 201,
    /// What became of letters; from a client: confirmation, receipt, or question.
    Acknowledgment = 203,
    /// The public key that was asked for, with id and phone of its owner.
    KeyAnswer = 204,
    /// A session key for a client that reconnects.
    SessionRenewed = 206,
    /// The side that sends this ends the session, and says why.
    Close = 222,
    /// The server refuses a packet, or the connection, with an error code.
    Refusal = 244,
    /// Everything that was pending has gone out.
    BacklogEnd = 255,
}

impl Op {
    /// The op with this code; `None` if there is none.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|op| op.code() == code)
    }

    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The OAEP label of blocks in packets of this op (PROTOCOL.md, "Cryptography").
    ///
    /// Only ops that carry such a block have one: it is empty for all others. A letter's label goes on
    /// with both fingerprints.
    #[must_use]
    pub const fn oaep_label(self) -> &'static [u8] {
        match self {
            Self::RegistrationRequest => b"waxwing/1:100",
            Self::OtpProof => b"waxwing/1:101",
            Self::Letter => b"waxwing/1:102",
            Self::ReconnectRequest => b"waxwing/1:106",
            Self::SessionIssued => b"waxwing/1:201",
            Self::SessionRenewed => b"waxwing/1:206",
            Self::KeyQuestion
            | Self::RegistrationRejected
            | Self::OtpIssued
            | Self::Acknowledgment
            | Self::KeyAnswer
            | Self::Close
            | Self::Refusal
            | Self::BacklogEnd => b"",
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code().fmt(f)
    }
}
