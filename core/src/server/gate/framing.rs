//! From bytes to packets, and who handles them (PROTOCOL.md, "Order of checks": frame, then size, op
//! and state; the rest is the handlers').

use alloc::vec::Vec;

use super::connection::State;
use crate::crypto::RSA_LEN;
use crate::id::UserId;
use crate::limits::{MAX_CONTROL_PACKET, MAX_UNAUTHENTICATED_PACKET};
use crate::wire::{ErrorCode, Frame, Header, Malformed, Op, OtpProof, ReconnectForm, deframe};

/// What a packet is, by its header and how far its connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Request {
    /// 100.
    Registration,
    /// 101.
    Proof,
    /// 106.
    Reconnect,
    /// The packet that confirms this user's session.
    Confirmation(UserId),
    /// 102 of this user's.
    Letter(UserId),
    /// Another packet of this user's session.
    Session(UserId, Op),
}

impl Request {
    /// What a packet with this header is, or why there is no place for it.
    pub(super) fn of(state: &State, header: &Header) -> Result<Self, ErrorCode> {
        let op = Op::from_code(header.op_code).ok_or(ErrorCode::UnknownOp)?;
        let request = match (op, state) {
            (Op::RegistrationRequest, State::Greeting | State::Called) => Self::Registration,
            (Op::OtpProof, State::Greeting | State::Called) => Self::Proof,
            (Op::ReconnectRequest, State::Greeting | State::Called) => Self::Reconnect,
            (Op::Acknowledgment, State::Offered(user)) => Self::Confirmation(*user),
            (Op::Letter, State::Active(user)) => Self::Letter(*user),
            (Op::KeyQuestion | Op::Acknowledgment | Op::Close, State::Active(user)) => {
                Self::Session(*user, op)
            }
            // At another moment, or never from a client.
            (
                Op::RegistrationRequest
                | Op::OtpProof
                | Op::ReconnectRequest
                | Op::Letter
                | Op::KeyQuestion
                | Op::Acknowledgment
                | Op::Close
                | Op::RegistrationRejected
                | Op::OtpIssued
                | Op::SessionIssued
                | Op::KeyAnswer
                | Op::SessionRenewed
                | Op::Refusal
                | Op::BacklogEnd,
                _,
            ) => return Err(ErrorCode::UnexpectedOp),
        };
        let payload = usize::from(header.payload_size);
        let (from, to) = (header.sender, header.recipient);
        let is_sound = match request {
            Self::Registration => (from, to) == (None, None) && payload == RSA_LEN,
            Self::Proof => (from, to) == (None, None) && payload == OtpProof::PAYLOAD_LEN,
            Self::Reconnect => {
                let is_known = [RSA_LEN, ReconnectForm::SHORT_LEN].contains(&payload);
                from.is_some() && to.is_none() && is_known
            }
            Self::Confirmation(user) => {
                let is_small = header.packet_len() <= MAX_UNAUTHENTICATED_PACKET;
                from == Some(user) && to.is_none() && is_small
            }
            Self::Letter(user) => from == Some(user),
            Self::Session(user, _) => from == Some(user) && to.is_none(),
        };
        match request {
            _ if !is_sound => Err(ErrorCode::Malformed),
            Self::Session(..) if header.packet_len() > MAX_CONTROL_PACKET => {
                Err(ErrorCode::BadSequence)
            }
            _ => Ok(request),
        }
    }

    /// Whether it comes from a client without a session.
    pub(super) const fn is_a_strangers(self) -> bool {
        matches!(self, Self::Registration | Self::Proof | Self::Reconnect)
    }

    /// Whether it comes from a client with a session.
    pub(super) const fn is_of_a_session(self) -> bool {
        matches!(self, Self::Letter(_) | Self::Session(..))
    }
}

/// What a connection has sent and nobody has looked at.
#[derive(Debug)]
pub(in crate::server) struct Unread<'b> {
    /// What came earlier, and what has come now behind it; empty if nothing came earlier.
    inbox: Vec<u8>,
    /// What has come now, if nothing came earlier.
    fresh: &'b [u8],
    taken: usize,
}

impl<'b> Unread<'b> {
    pub(super) fn new(mut inbox: Vec<u8>, bytes: &'b [u8]) -> Self {
        let fresh = if inbox.is_empty() { bytes } else { &[] };
        if fresh.is_empty() {
            inbox.extend_from_slice(bytes);
        }
        Self { inbox, fresh, taken: 0 }
    }

    fn stream(&self) -> &[u8] {
        if self.inbox.is_empty() { self.fresh } else { &self.inbox }
    }

    /// The packet at the front: its header, and whether all of it is there. `None` without a whole
    /// header.
    pub(super) fn frame(&self) -> Result<Option<(Header, bool)>, Malformed> {
        Ok(match deframe(self.stream().get(self.taken..).unwrap_or_default())? {
            Frame::Partial => None,
            Frame::Started(header) => Some((header, false)),
            Frame::Complete(header) => Some((header, true)),
        })
    }

    /// Takes out the packet at the front, which has so many bytes.
    pub(super) fn take(&mut self, len: usize) -> Option<&[u8]> {
        let begin = self.taken;
        self.taken = begin.saturating_add(len);
        self.stream().get(begin..self.taken)
    }

    /// Throws everything away: what follows cannot be understood.
    pub(super) fn discard(&mut self) {
        self.taken = self.stream().len();
    }

    /// Whether nothing was taken of what had come earlier.
    pub(super) fn has_grown(&self) -> bool {
        !self.inbox.is_empty() && self.taken == 0
    }

    /// What is left, in no more memory than it needs: only what is there is counted.
    pub(super) fn into_rest(mut self) -> Vec<u8> {
        if self.inbox.is_empty() {
            return self.fresh.get(self.taken..).unwrap_or_default().to_vec();
        }
        self.inbox.drain(..self.taken.min(self.inbox.len()));
        self.inbox.shrink_to_fit();
        self.inbox
    }
}
