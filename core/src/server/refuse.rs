//! Saying no (PROTOCOL.md, "Errors"): sealed in a session; before one in clear, and as long as
//! nothing has cost a private-key operation, in one packet that everybody shares.

use alloc::sync::Arc;
use core::time::Duration;

use hashbrown::HashMap;

use super::answers::Answer;
use super::connection::State;
use super::output::{ConnId, Event, Output};
use super::{Env, Server};
use crate::crypto::Provider;
use crate::id::PacketId;
use crate::time::Instant;
use crate::wire::{BuildError, ErrorCode, Op, Refusal, Writer};

/// A refusal, before it is decided how it is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) code: ErrorCode,
    retry_after: Duration,
    /// The refused packet, if the refusal may name it.
    packet: Option<(Op, PacketId)>,
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

    fn retry_after_s(&self) -> u16 {
        let seconds = self.retry_after.as_millis().div_ceil(1_000);
        u16::try_from(seconds).unwrap_or(u16::MAX)
    }
}

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
}

impl<P: Provider> Server<P> {
    /// Refuses, in the way that fits the connection's state, and ends the connection if the
    /// code does.
    pub(super) fn refuse(&mut self, env: &mut Env<'_>, conn: ConnId, refused: Refused) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        self.outputs.push_back(Output::Event(Event::Refused { conn, code: refused.code }));
        let in_session = matches!(connection.state, State::Active(_));
        if in_session {
            let rate = self.config.rates.refusals;
            let too_many = connection.refusals.take(rate, env.now.instant).is_err();
            let answer = if too_many { Answer::End } else { Answer::Refusal(refused) };
            self.answer_session(env, conn, answer);
            return;
        }
        let packet = match refused.packet {
            Some(_) => self.clear_refusal(env, &refused),
            None => self.shared_refusal(env, refused),
        };
        match packet {
            Ok(packet) => self.outputs.push_back(Output::Send { conn, packet }),
            Err(error) => self.internal_error(error),
        }
        if refused.code != ErrorCode::SessionUnknown {
            self.drop_connection(conn);
        } else if let Some(connection) = self.connections.get_mut(&conn) {
            connection.since = env.now.instant;
        }
    }

    /// Refuses in a session, whose turn it is.
    pub(super) fn tell_refusal(&mut self, env: &mut Env<'_>, conn: ConnId, refused: &Refused) {
        if let Some((Op::Letter | Op::KeyQuestion, _)) = refused.packet {
            self.request_answered(conn, 1);
        }
        self.send_sealed(env, conn, Op::Refusal, |writer| body(refused).emit(writer));
        if refused.code.rule().ends_session {
            self.end_session(env, conn, None);
        }
    }

    fn clear_refusal(
        &mut self,
        env: &mut Env<'_>,
        refused: &Refused,
    ) -> Result<Arc<[u8]>, BuildError> {
        self.identity.issue(&self.provider, env, Op::Refusal, None, |out, _| {
            let mut writer = Writer::new(out);
            body(refused).emit(&mut writer)?;
            Ok(writer.position())
        })
    }

    fn shared_refusal(
        &mut self,
        env: &mut Env<'_>,
        refused: Refused,
    ) -> Result<Arc<[u8]>, BuildError> {
        let pause = SharedRefusals::pause(refused.retry_after_s());
        let key = (refused.code, pause);
        if let Some(shared) = self.shared_refusals.packets.get(&key)
            && env.now.instant.since(shared.signed_at) < SharedRefusals::LIFE
        {
            return Ok(shared.packet.clone());
        }
        let refused = refused.after(Duration::from_secs(u64::from(pause)));
        let packet = self.clear_refusal(env, &refused)?;
        self.shared_refusals
            .packets
            .insert(key, SharedRefusal { signed_at: env.now.instant, packet: packet.clone() });
        Ok(packet)
    }
}

fn body(refused: &Refused) -> Refusal<'static> {
    Refusal {
        code: refused.code.code(),
        op: refused.packet.map_or(0, |(op, _)| op.code()),
        retry_after_s: refused.retry_after_s(),
        packet: refused.packet.map(|(_, id)| id),
        text: refused.code.name(),
    }
}
