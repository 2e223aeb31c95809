//! Accounts: who the users of this shard are, their keys, and how somebody proves to be one of them
//! (PROTOCOL.md, "Reconnect", "Directory").

mod answered;
mod directory;
mod suspensions;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::ctx::Ctx;
use super::limits::Kept;
use super::mail::{Inquiry, Message, Note};
use super::output::Limit;
use super::peer::Peer;
use super::refused::Refused;
use super::shard::{Shard, ShardId};
use super::storage::{Snapshot, WrappedKey, Write};
use crate::crypto::{
    Digest, Provider, PublicKey, RSA_LEN, Rejected, SessionKey, Spki, Unverified, Verified,
};
use crate::id::{Nonce, UserId};
use crate::phone::Phone;
use crate::time::{Timestamp, UnixTime};
use crate::wire::{ErrorCode, KeyQuestion, Op, Packet, ReconnectForm};
use answered::AnsweredReconnects;
use directory::Directory;
use suspensions::Suspensions;

/// The users whom a shard owns.
pub(super) struct Accounts<P: Provider> {
    directory: Directory<P>,
    suspensions: Suspensions,
    answered_reconnects: AnsweredReconnects,
    /// Session keys that storage could not take.
    not_stored: Vec<LastKey>,
}

/// The key of a session that was confirmed.
#[derive(Clone, Copy)]
struct LastKey {
    user: UserId,
    session_key: WrappedKey,
    last_seen: Timestamp,
}

/// What becomes of a 106 that is not refused.
pub(super) enum Reconnect {
    /// Its user is to have a session.
    Proved { user: UserId, nonce: Nonce },
    /// It was answered before, and its connection is over.
    Replayed,
}

impl<P: Provider> Accounts<P> {
    pub(super) fn new(shard: Shard, snapshot: &Snapshot) -> Self {
        Self {
            directory: Directory::new(shard, snapshot),
            suspensions: Suspensions::new(shard, snapshot),
            answered_reconnects: AnsweredReconnects::default(),
            not_stored: Vec::new(),
        }
    }

    /// Whether this shard owns such a user.
    pub(super) fn has(&self, user: UserId) -> bool {
        self.directory.get(user).is_some()
    }

    /// How many users this shard owns.
    pub(super) fn count(&self) -> usize {
        self.directory.len()
    }

    /// How many of them are suspended.
    pub(super) fn suspended(&self) -> usize {
        self.suspensions.count()
    }

    /// The phone of a user.
    pub(super) fn phone(&self, user: UserId) -> Option<&Phone> {
        self.directory.get(user).map(|known| &known.phone)
    }

    /// Why the user may not come in, if the operator has suspended them. Only they themselves hear it.
    pub(super) fn refusal(&self, ctx: &Ctx<'_, P>, user: UserId) -> Option<Refused> {
        let is_suspended = self.suspensions.keep_out(user, ctx.now.unix);
        is_suspended.then(|| Refused::limited(Self::COME_BACK))
    }

    /// When suspended clients are told to come back.
    const COME_BACK: Duration = Duration::from_secs(3_600);

    /// The suspension of a user, if there is one: when it ends, or that nobody has said when.
    pub(super) fn suspension(&self, user: UserId) -> Option<Option<UnixTime>> {
        self.suspensions.get(user)
    }

    /// The user is suspended like that from now on, or not any more.
    pub(super) fn suspend(&mut self, user: UserId, suspension: Option<Option<UnixTime>>) {
        self.suspensions.set(user, suspension);
    }

    /// Forgets suspensions whose time is over. Storage does so by itself when it looks for old letters.
    pub(super) fn forget_suspensions(&mut self, now: UnixTime) {
        self.suspensions.forget_over(now);
    }

    /// A user is to be removed: there is no way into the account any more.
    pub(super) fn withdraw(&mut self, user: UserId) {
        self.directory.withdraw(user);
    }

    /// A user who was to be removed could not be.
    pub(super) fn put_back(&mut self, user: UserId) {
        self.directory.put_back(user);
    }

    /// A user is removed. The phone and the key that they had.
    pub(super) fn removed(&mut self, user: UserId) -> Option<(Phone, Arc<Spki>)> {
        self.suspensions.set(user, None);
        self.directory.removed(user).map(|known| (known.phone, known.spki))
    }

    /// The user's key, parsed.
    pub(super) fn key(&mut self, provider: &P, user: UserId) -> Option<&P::PublicKey> {
        self.directory.key(provider, user)
    }

    /// A 106.
    pub(super) fn reconnect(
        &mut self,
        ctx: &mut Ctx<'_, P>,
        peer: Peer,
        packet: Packet<&mut [u8]>,
    ) -> Result<Reconnect, Refused> {
        let malformed = Refused::plain(ErrorCode::Malformed);
        ReconnectForm::parse(packet.payload()).map_err(|_| malformed)?;
        let user = packet.header().sender.ok_or(malformed)?;
        let now = ctx.now.instant;
        let bad_signature = Refused::plain(ErrorCode::BadSignature);
        let packet = self.signed_by(ctx, user, packet).map_err(|Rejected| bad_signature)?;
        let id = packet.id();
        if self.answered_reconnects.contains(id) {
            return Ok(Reconnect::Replayed);
        }
        // What anybody can say in the user's name uses up nothing of the user's.
        if !peer.exempt {
            let taken = ctx.limits.reconnects.take((user, peer.prefix), now);
            ctx.tell_if_reached(Limit::Reconnects, taken).map_err(Refused::limited)?;
        }
        if let Some(refused) = self.refusal(ctx, user) {
            return Err(refused);
        }
        let rate = ctx.config.rates.reconnect_work;
        let taken = ctx.limits.reconnect_work.take(rate, now);
        ctx.tell_if_reached(Limit::ReconnectWork, taken).map_err(Refused::busy)?;
        self.answered_reconnects.note(id);

        let nonce = match ReconnectForm::parse(packet.payload()).map_err(|_| malformed)? {
            ReconnectForm::Long(block) => open_long(ctx, block).map_err(|_| malformed)?,
            ReconnectForm::Short { iv, sealed } => {
                let refused = Refused::naming(ErrorCode::SessionUnknown, Op::ReconnectRequest, id);
                self.open_short(ctx, user, iv, sealed).ok_or(refused)?
            }
        };
        Ok(Reconnect::Proved { user, nonce })
    }

    /// Checks that the user signed it. That there is no such user is not to be told from a bad
    /// signature, by the time that it takes either: both ways a key is parsed, since a cache would
    /// show, and a signature is compared that is below its modulus, since others are refused at sight.
    fn signed_by<'a>(
        &self,
        ctx: &Ctx<'_, P>,
        user: UserId,
        packet: Packet<&'a mut [u8]>,
    ) -> Result<Verified<&'a mut [u8]>, Rejected> {
        let known = self.directory.get(user);
        let spki = known.map_or_else(|| ctx.identity.spki(), |known| &*known.spki);
        let key = ctx.provider.public_key(spki)?;
        let packet = Unverified::new(ctx.provider, packet);
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

    fn open_short(
        &self,
        ctx: &Ctx<'_, P>,
        user: UserId,
        iv: &[u8; 16],
        sealed: &[u8; 32],
    ) -> Option<Nonce> {
        let wrapped = self.directory.get(user)?.session_key.as_ref()?;
        let key = ctx.identity.unwrap(ctx.provider, wrapped)?;
        let mut blocks = *sealed;
        let len = ctx.provider.cbc_decrypt(key.expose(), iv, &mut blocks).ok()?;
        Some(Nonce(blocks.get(..len)?.try_into().ok()?))
    }

    /// The number of the next 201 or 206 of a user's.
    pub(super) fn next_issue(&mut self, user: UserId) -> Option<u64> {
        let known = self.directory.get_mut(user)?;
        let issue = known.next_issue;
        known.next_issue = issue.saturating_add(1);
        Some(issue)
    }

    /// Whether a later 201 or 206 of the user's was confirmed than this.
    pub(super) fn has_confirmed_later(&self, user: UserId, issue: u64) -> bool {
        self.directory.get(user).is_some_and(|known| known.confirmed_issue > issue)
    }

    /// The user has confirmed the session of this 201 or 206: its key is kept.
    pub(super) fn confirmed(
        &mut self,
        ctx: &mut Ctx<'_, P>,
        user: UserId,
        issue: u64,
        key: &SessionKey,
    ) {
        let Ok(session_key) = ctx.identity.wrap(ctx.provider, ctx.rng, key) else { return };
        let last_seen = Timestamp::from_unix(ctx.now.unix);
        let write = Write::ConfirmSession { user, session_key, last_seen };
        ctx.storage.write_later(write, ctx.now.instant);
        if let Some(known) = self.directory.get_mut(user) {
            known.session_key = Some(session_key);
            known.confirmed_issue = issue;
        }
    }

    /// Storage could not take the key of a session.
    pub(super) fn key_not_stored(
        &mut self,
        user: UserId,
        session_key: WrappedKey,
        last_seen: Timestamp,
    ) {
        self.not_stored.push(LastKey { user, session_key, last_seen });
    }

    /// Gives storage again the keys that it could not take, unless a later session's was stored since.
    pub(super) fn retry(&mut self, ctx: &mut Ctx<'_, P>) {
        for LastKey { user, session_key, last_seen } in self.not_stored.drain(..) {
            if self.directory.get(user).is_some_and(|u| u.session_key == Some(session_key)) {
                ctx.storage.write(Write::ConfirmSession { user, session_key, last_seen });
            }
        }
    }

    /// Whether storage is to be told something again that it could not do.
    pub(super) const fn defers_writes(&self) -> bool {
        !self.not_stored.is_empty()
    }

    /// A 105 by phone, about the asker, or about the server. One about somebody else by id is for the mailbox.
    pub(super) fn question(
        &self,
        ctx: &mut Ctx<'_, P>,
        inquiry: Inquiry,
        question: KeyQuestion,
    ) -> Result<(), Refused> {
        match question {
            KeyQuestion::ByPhone(phone) => {
                ctx.take(Kept::Lookups(inquiry.asker)).map_err(|wait| {
                    let code = ErrorCode::RateLimited;
                    Refused::naming(code, Op::KeyQuestion, inquiry.packet).after(wait)
                })?;
                ctx.post(ShardId::REGISTRAR, Message::WhoHas { phone, inquiry });
            }
            KeyQuestion::ById(about) => self.who_is(ctx, about, inquiry),
            KeyQuestion::Successor => {
                let successor = ctx.identity.successor().cloned().map(Box::new);
                ctx.tell(Note::Announced { inquiry, successor });
            }
        }
        Ok(())
    }

    /// What is known of this user?
    pub(super) fn who_is(&self, ctx: &mut Ctx<'_, P>, about: UserId, inquiry: Inquiry) {
        let answer = self.directory.answer(about).map(Box::new);
        ctx.post_to_owner(inquiry.asker, Message::Known { inquiry, answer });
    }

    /// This shard owns a new user from now on; the registrar hears of it.
    pub(super) fn welcome(
        &mut self,
        ctx: &mut Ctx<'_, P>,
        user: UserId,
        phone: Phone,
        spki: Arc<Spki>,
    ) {
        self.directory.welcome(user, phone, spki.clone());
        ctx.post(ShardId::REGISTRAR, Message::Settled { user, phone, spki });
    }
}

fn open_long<P: Provider>(ctx: &mut Ctx<'_, P>, block: &[u8; RSA_LEN]) -> Result<Nonce, Rejected> {
    let mut nonce = [0; Nonce::LEN];
    let len = ctx.identity.open(ctx.rng, Op::ReconnectRequest, block, &mut nonce)?;
    if len == Nonce::LEN { Ok(Nonce(nonce)) } else { Err(Rejected) }
}
