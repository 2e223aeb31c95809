//! How often the events of a machine have happened, and what became of codes.

use waxwing_core::server::{Event, Limit, OtpOutcome};
use waxwing_core::wire::{CloseReason, ErrorCode};
use waxwing_transport_mio as transport;

use super::log::name;

/// What has happened since the start. It has a fixed size, whoever does what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    refused: [u64; ErrorCode::ALL.len()],
    limited: [u64; Limit::ALL.len()],
    /// Connections that were not served, because their address prefix had enough.
    pub connections_refused: u64,
    /// Connections that were not served, because their address is banned.
    pub banned: u64,
    /// Connections of proxies that were closed because it was not said whose they are.
    pub not_introduced: u64,
    /// Users who came to be.
    pub registered: u64,
    /// Sessions that began.
    pub sessions_begun: u64,
    sessions_ended: [u64; Self::ENDS.len()],
    /// Connections that were closed because they took too long.
    pub timed_out: u64,
    /// Connections that were closed because packets that were not complete took too much memory.
    pub shed: u64,
    connections_ended: [u64; Self::CONNECTION_ENDS.len()],
    /// Requests to reconnect that were played back.
    pub replayed: u64,
    /// Letters whose life was over.
    pub expired: u64,
    /// How often storage did not take or answer something.
    pub storage_failures: u64,
    /// How often so many codes were wrong that somebody may be guessing.
    pub guessing_suspected: u64,
    /// Packets that could not be made.
    pub internal_errors: u64,
    /// Codes that went out.
    pub codes_sent: u64,
    /// Codes that did not go out.
    pub codes_not_sent: u64,
    /// Codes of which nobody knows whether they went out.
    pub codes_lost: u64,
}

impl EventCounts {
    const ENDS: [&'static str; 5] =
        ["connection_ended", "leaving", "server_stopping", "taken_over", "no_progress"];

    const CONNECTION_ENDS: [&'static str; 8] = [
        "peer_closed",
        "reset",
        "silent",
        "failed",
        "closed",
        "closed_in_order",
        "output_not_taken",
        "output_overflow",
    ];

    /// A connection has ended.
    pub(super) const fn connection_ended(&mut self, why: transport::CloseReason) {
        self.connections_ended[connection_end(why)] += 1;
    }

    /// Something has happened.
    pub(super) fn event(&mut self, event: &Event) {
        match *event {
            Event::Registered { .. } => self.registered += 1,
            Event::SessionConfirmed { .. } => self.sessions_begun += 1,
            Event::SessionEnded { reason, .. } => self.sessions_ended[end(reason)] += 1,
            Event::Refused { code, .. } => {
                let known = ErrorCode::ALL.iter().position(|known| *known == code);
                known.into_iter().for_each(|at| self.refused[at] += 1);
            }
            Event::TimedOut { .. } => self.timed_out += 1,
            Event::Shed { .. } => self.shed += 1,
            Event::ReplayedReconnect { .. } => self.replayed += 1,
            Event::LimitReached { limit } => {
                let known = Limit::ALL.iter().position(|known| *known == limit);
                known.into_iter().for_each(|at| self.limited[at] += 1);
            }
            Event::Expired { letters } => self.expired += letters as u64,
            Event::StorageUnavailable => self.storage_failures += 1,
            Event::GuessingSuspected => self.guessing_suspected += 1,
            Event::InternalError => self.internal_errors += 1,
            // These have a gauge that says more.
            Event::CodesSpent | Event::IdsRunOut { .. } => {}
        }
    }

    /// It is known what became of a code.
    pub(super) const fn code(&mut self, outcome: OtpOutcome) {
        match outcome {
            OtpOutcome::Delivered => self.codes_sent += 1,
            OtpOutcome::Undeliverable => self.codes_not_sent += 1,
            OtpOutcome::Lost => self.codes_lost += 1,
        }
    }

    /// Refusals, each code by its name in PROTOCOL.md.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        ErrorCode::ALL.iter().map(|code| code.name()).zip(self.refused)
    }

    /// How often each limit was reached, by its name in the section `limits` of a configuration.
    pub fn limited(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        Limit::ALL.iter().map(|limit| name(*limit)).zip(self.limited)
    }

    /// What ended connections.
    pub fn connections_ended(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        Self::CONNECTION_ENDS.into_iter().zip(self.connections_ended)
    }

    /// How sessions ended.
    pub fn sessions_ended(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        Self::ENDS.into_iter().zip(self.sessions_ended)
    }
}

/// The place of a reason in [`EventCounts::ENDS`].
const fn end(reason: Option<CloseReason>) -> usize {
    match reason {
        None => 0,
        Some(CloseReason::Leaving) => 1,
        Some(CloseReason::ServerStopping) => 2,
        Some(CloseReason::TakenOver) => 3,
        Some(CloseReason::NoProgress) => 4,
    }
}

/// The place of a reason in [`EventCounts::CONNECTION_ENDS`].
const fn connection_end(why: transport::CloseReason) -> usize {
    use transport::CloseReason::{
        Closed, FlushTimeout, Flushed, OutputOverflow, PeerClosed, Reset, TimedOut,
    };
    match why {
        PeerClosed => 0,
        Reset => 1,
        TimedOut => 2,
        Closed => 4,
        Flushed => 5,
        FlushTimeout => 6,
        OutputOverflow => 7,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use waxwing_core::id::UserId;
    use waxwing_core::server::ConnId;

    use super::*;

    #[test]
    fn each_event_is_counted_under_its_name() {
        let mut counts = EventCounts::default();
        let (user, conn) = (UserId::new(1).unwrap(), ConnId(1));
        let ends = [None, Some(CloseReason::TakenOver), Some(CloseReason::NoProgress), None];
        for event in [
            Event::Registered { user },
            Event::SessionConfirmed { user, conn },
            Event::Refused { conn, code: ErrorCode::Busy },
            Event::Refused { conn, code: ErrorCode::MailboxFull },
            Event::Refused { conn, code: ErrorCode::Busy },
            Event::TimedOut { conn },
            Event::Shed { conn },
            Event::GuessingSuspected,
            Event::InternalError,
            Event::ReplayedReconnect { conn },
            Event::LimitReached { limit: Limit::Lookups },
            Event::Expired { letters: 7 },
            Event::StorageUnavailable,
        ]
        .into_iter()
        .chain(ends.map(|reason| Event::SessionEnded { user, reason }))
        {
            counts.event(&event);
        }
        for outcome in [OtpOutcome::Delivered, OtpOutcome::Lost, OtpOutcome::Lost] {
            counts.code(outcome);
        }
        let refused: Vec<_> = counts.refused().filter(|(_, count)| *count > 0).collect();
        assert_eq!(refused, [("MailboxFull", 1), ("Busy", 2)]);
        let limited: Vec<_> = counts.limited().filter(|(_, count)| *count > 0).collect();
        assert_eq!(limited, [("lookups_per_user_per_day", 1)]);
        let ended: Vec<_> = counts.sessions_ended().filter(|(_, count)| *count > 0).collect();
        assert_eq!(ended, [("connection_ended", 2), ("taken_over", 1), ("no_progress", 1)]);
        let EventCounts { registered, sessions_begun, timed_out, replayed, expired, .. } = counts;
        assert_eq!([registered, sessions_begun, timed_out, replayed, expired], [1, 1, 1, 1, 7]);
        assert_eq!((counts.codes_sent, counts.codes_not_sent, counts.codes_lost), (1, 0, 2));
        assert_eq!(counts.storage_failures, 1);
        assert_eq!((counts.shed, counts.guessing_suspected, counts.internal_errors), (1, 1, 1));
        let failed = transport::CloseReason::Failed(std::io::ErrorKind::HostUnreachable);
        for why in [transport::CloseReason::OutputOverflow, failed] {
            counts.connection_ended(why);
        }
        let ended: Vec<_> = counts.connections_ended().filter(|(_, count)| *count > 0).collect();
        assert_eq!(ended, [("failed", 1), ("output_overflow", 1)]);
    }
}
