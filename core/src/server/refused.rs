//! A refusal, before it is decided how it is said (PROTOCOL.md, "Errors").

use core::time::Duration;

use crate::id::PacketId;
use crate::wire::{ErrorCode, Op, Refusal};

/// Why a packet is refused, and what its client is told of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) code: ErrorCode,
    retry_after: Duration,
    /// The refused packet, if the refusal may name it.
    pub(super) packet: Option<(Op, PacketId)>,
}

impl Refused {
    /// A refusal that names no packet.
    pub(super) const fn plain(code: ErrorCode) -> Self {
        Self { code, retry_after: Duration::ZERO, packet: None }
    }

    /// A refusal that names its packet.
    pub(super) const fn naming(code: ErrorCode, op: Op, id: PacketId) -> Self {
        Self { code, retry_after: Duration::ZERO, packet: Some((op, id)) }
    }

    /// Too much of this, told before the packet has cost anything.
    pub(super) const fn limited(wait: Duration) -> Self {
        Self::plain(ErrorCode::RateLimited).after(wait)
    }

    /// Too much of everybody's private-key work, told likewise.
    pub(super) const fn busy(wait: Duration) -> Self {
        Self::plain(ErrorCode::Busy).after(wait)
    }

    /// Says when trying again is sensible.
    pub(super) const fn after(self, retry_after: Duration) -> Self {
        Self { retry_after, ..self }
    }

    /// The pause that it names, in whole seconds: never less than the pause, since 0 is no advice.
    pub(super) fn retry_after_s(&self) -> u16 {
        let seconds = self.retry_after.as_nanos().div_ceil(1_000_000_000);
        u16::try_from(seconds).unwrap_or(u16::MAX)
    }

    /// What the refusal says on the wire.
    pub(super) fn body(&self) -> Refusal<'static> {
        Refusal {
            code: self.code.code(),
            op: self.packet.map_or(0, |(op, _)| op.code()),
            retry_after_s: self.retry_after_s(),
            packet: self.packet.map(|(_, id)| id),
            text: self.code.name(),
        }
    }
}
