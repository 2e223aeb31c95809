//! Refusals that name no packet: many connections are told the same.

use alloc::sync::Arc;
use core::time::Duration;

use hashbrown::HashMap;

use super::super::refused::Refused;
use crate::time::Instant;
use crate::wire::ErrorCode;

/// The shared refusals: one packet per code and pause, signed at most once a second.
#[derive(Debug, Default)]
pub(super) struct SharedRefusals {
    packets: HashMap<(ErrorCode, u16), SharedRefusal>,
}

#[derive(Debug)]
struct SharedRefusal {
    signed_at: Instant,
    packet: Arc<[u8]>,
}

impl SharedRefusals {
    const LIFE: Duration = Duration::from_secs(1);
    /// The pauses that a shared refusal can name, so that there are few different ones.
    const PAUSES_S: [u16; 9] = [0, 1, 5, 15, 60, 300, 900, 3_600, 43_200];

    fn pause(retry_after_s: u16) -> u16 {
        let longest = u16::MAX;
        Self::PAUSES_S.into_iter().find(|pause| *pause >= retry_after_s).unwrap_or(longest)
    }

    /// The refusal with a pause that others are told, too.
    pub(super) fn rounded(refused: Refused) -> Refused {
        refused.after(Duration::from_secs(Self::pause(refused.retry_after_s()).into()))
    }

    /// The packet that says it, if it was signed a short time ago.
    pub(super) fn get(&self, refused: &Refused, now: Instant) -> Option<Arc<[u8]>> {
        let shared = self.packets.get(&(refused.code, refused.retry_after_s()))?;
        (now.since(shared.signed_at) < Self::LIFE).then(|| shared.packet.clone())
    }

    /// Notes the packet that says it.
    pub(super) fn put(&mut self, refused: &Refused, now: Instant, packet: Arc<[u8]>) {
        let shared = SharedRefusal { signed_at: now, packet };
        self.packets.insert((refused.code, refused.retry_after_s()), shared);
    }
}
