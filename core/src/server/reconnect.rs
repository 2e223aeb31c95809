//! From a registered user to a session: 106, 206 and the confirmation
//! (PROTOCOL.md, "Reconnect", "Confirmation").

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::mem;

use hashbrown::HashSet;

use super::connection::{Offer, State};
use super::output::{ConnId, Event, Output};
use super::refuse::Refused;
use super::{Env, Server};
use crate::crypto::{
    Digest, Provider, PublicKey, RSA_LEN, Rejected, SessionKey, SessionSeal, Unverified, Verified,
};
use crate::id::{Nonce, PacketId, UserId};
use crate::wire::{
    BuildError, ClientReport, ErrorCode, Op, Packet, ReconnectForm, SessionGrant, Writer,
};
use zeroize::Zeroizing;

/// The ids of 106s that were answered: such a one is not answered again.
#[derive(Debug, Default)]
pub(super) struct AnsweredReconnects {
    ids: HashSet<PacketId>,
    order: VecDeque<PacketId>,
}

impl AnsweredReconnects {
    const CAPACITY: usize = 16_384;

    fn contains(&self, id: PacketId) -> bool {
        self.ids.contains(&id)
    }

    fn note(&mut self, id: PacketId) {
        self.ids.insert(id);
        self.order.push_back(id);
        if self.order.len() > Self::CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

impl<P: Provider> Server<P> {
    /// A 106.
    pub(super) fn reconnect_request(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        packet: Packet<&mut [u8]>,
    ) -> Result<(), Refused> {
        let malformed = Refused::plain(ErrorCode::Malformed);
        ReconnectForm::parse(packet.payload()).map_err(|_| malformed)?;
        let user = packet.header().sender.ok_or(malformed)?;
        let peer = self.connections.get(&conn).map(|c| c.peer).ok_or(malformed)?;
        let now = env.now.instant;
        let bad_signature = Refused::plain(ErrorCode::BadSignature);
        let packet = self.signed_by(user, packet).map_err(|Rejected| bad_signature)?;
        let id = packet.id();
        if self.answered_reconnects.contains(id) {
            self.outputs.push_back(Output::Event(Event::ReplayedReconnect { conn }));
            self.drop_connection(conn);
            return Ok(());
        }
        // What anybody can say in the user's name uses up nothing of the user's.
        if !peer.exempt {
            self.limits.reconnects.take((user, peer.prefix), now).map_err(Refused::limited)?;
        }
        self.limits
            .reconnect_work
            .take(self.config.rates.reconnect_work, now)
            .map_err(Refused::busy)?;
        self.answered_reconnects.note(id);

        let nonce = match ReconnectForm::parse(packet.payload()).map_err(|_| malformed)? {
            ReconnectForm::Long(block) => self.open_long(env, block).map_err(|_| malformed)?,
            ReconnectForm::Short { iv, sealed } => {
                let refused = Refused::naming(ErrorCode::SessionUnknown, Op::ReconnectRequest, id);
                self.open_short(user, iv, sealed).ok_or(refused)?
            }
        };
        self.offer_session(env, conn, user, nonce, Op::SessionRenewed);
        Ok(())
    }

    /// Checks that the user signed it. That there is no such user is not to be told from a bad
    /// signature, by the time that it takes either: both ways a key is parsed, since a cache would
    /// show, and a signature is compared that is below its modulus, since others are refused at sight.
    fn signed_by<'a>(
        &self,
        user: UserId,
        packet: Packet<&'a mut [u8]>,
    ) -> Result<Verified<&'a mut [u8]>, Rejected> {
        let known = self.directory.get(user);
        let spki = known.map_or_else(|| self.identity.spki(), |known| &*known.spki);
        let key = self.provider.public_key(spki)?;
        let packet = Unverified::new(&self.provider, packet);
        if packet.packet().signature() >= spki.modulus() {
            let mut smaller = *packet.packet().signature();
            // The modulus has this bit.
            smaller[0] &= 0x7f;
            key.verify(&Digest([0; 32]), &smaller)?;
            return Err(Rejected);
        }
        let packet = packet.verify(&key)?;
        if known.is_some() { Ok(packet) } else { Err(Rejected) }
    }

    fn open_long(&mut self, env: &mut Env<'_>, block: &[u8; RSA_LEN]) -> Result<Nonce, Rejected> {
        let mut nonce = [0; Nonce::LEN];
        let len = self.identity.open(env.rng, Op::ReconnectRequest, block, &mut nonce)?;
        if len == Nonce::LEN { Ok(Nonce(nonce)) } else { Err(Rejected) }
    }

    fn open_short(&self, user: UserId, iv: &[u8; 16], sealed: &[u8; 32]) -> Option<Nonce> {
        let wrapped = self.directory.get(user)?.session_key.as_ref()?;
        let key = self.identity.unwrap(&self.provider, wrapped)?;
        let mut blocks = *sealed;
        let len = self.provider.cbc_decrypt(key.expose(), iv, &mut blocks).ok()?;
        Some(Nonce(blocks.get(..len)?.try_into().ok()?))
    }

    /// Answers a 101 or 106 with a session key that has yet to be confirmed.
    pub(super) fn offer_session(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        user: UserId,
        nonce: Nonce,
        op: Op,
    ) {
        let Some(known) = self.directory.get_mut(user) else { return };
        let issue = known.next_issue;
        known.next_issue = issue.saturating_add(1);
        let session_key = SessionKey::generate(env.rng);
        let seal = SessionSeal::new(session_key.clone());
        let Self { identity, provider, directory, .. } = self;
        let packet = identity.issue(provider, env, op, Some(user), |out, rng| {
            let mut block = Zeroizing::new([0; SessionGrant::LEN]);
            SessionGrant { session_key, nonce }.emit(&mut Writer::new(block.as_mut_slice()))?;
            let key = directory.key(provider, user).ok_or(Rejected)?;
            let sealed = key.oaep_seal(rng, op.oaep_label(), block.as_slice())?;
            let mut writer = Writer::new(out);
            writer.put(&sealed)?;
            Ok::<_, BuildError>(writer.position())
        });
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.state = State::Offered(Box::new(Offer { user, seal, nonce, issue }));
        }
        self.answer_greeting(env, conn, packet);
    }

    /// The packet after a 201 or 206: the confirmation, or the end.
    pub(super) fn confirmation(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        packet: Packet<&mut [u8]>,
    ) -> Result<(), Refused> {
        let Some(connection) = self.connections.get_mut(&conn) else { return Ok(()) };
        let State::Offered(offer) = mem::replace(&mut connection.state, State::Greeting) else {
            return Ok(());
        };
        let mut offer = *offer;
        let malformed = Refused::plain(ErrorCode::Malformed);
        let bad_sequence = Refused::plain(ErrorCode::BadSequence);
        let key = self.directory.key(&self.provider, offer.user).ok_or(bad_sequence)?;
        let packet: Verified<&mut [u8]> =
            Unverified::new(&self.provider, packet).verify(key).map_err(|_| bad_sequence)?;
        let content = offer.seal.open(&self.provider, packet).map_err(|_| bad_sequence)?;
        match ClientReport::parse(content).map_err(|_| malformed)? {
            ClientReport::Confirmation { window } => {
                self.confirmed(env, conn, offer, window);
                Ok(())
            }
            _ => Err(Refused::plain(ErrorCode::UnexpectedOp)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_answered_106s_are_remembered_as_there_is_room_for() {
        let id = |n: usize| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&(n as u64).to_le_bytes());
            PacketId(id)
        };
        let full = AnsweredReconnects::CAPACITY;
        let mut answered = AnsweredReconnects::default();
        (0..full).for_each(|n| answered.note(id(n)));
        assert!((0..full).all(|n| answered.contains(id(n))));
        answered.note(id(full));
        assert!(!answered.contains(id(0)), "the oldest goes");
        assert!((1..=full).all(|n| answered.contains(id(n))));
    }
}
