//! The server's identity, the key that is to follow it, and the packets it makes itself.

use alloc::sync::Arc;

use super::report::PrivateOperations;
use super::storage::WrappedKey;
use crate::crypto::{
    CryptoRng, Digest, KEY_LEN, PrivateKey, Provider, RSA_LEN, Rejected, SessionKey, Spki,
    cbc_open, cbc_seal,
};
use crate::id::UserId;
use crate::limits::MAX_CONTROL_PACKET;
use crate::time::{Timestamp, UnixTime};
use crate::wire::{BuildError, Draft, Full, Op, Successor};
use zeroize::Zeroizing;

/// The server's private key, and the keys that come from it: one wraps session keys in storage, one
/// names there whose allowance it is that something was taken of.
///
/// Clones share the key: it is in memory once.
pub struct Identity<P: Provider> {
    key: Arc<P::PrivateKey>,
    wrap_key: Arc<Zeroizing<[u8; KEY_LEN]>>,
    name_key: Arc<Zeroizing<[u8; KEY_LEN]>>,
    /// What wrapped session keys before this key took the place of another one.
    former_wrap_key: Option<Arc<Zeroizing<[u8; KEY_LEN]>>>,
    /// The key that has been announced to follow this one.
    successor: Option<Successor>,
    operations: PrivateOperations,
}

impl<P: Provider> Clone for Identity<P> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            wrap_key: self.wrap_key.clone(),
            name_key: self.name_key.clone(),
            former_wrap_key: self.former_wrap_key.clone(),
            successor: self.successor.clone(),
            operations: PrivateOperations::default(),
        }
    }
}

impl<P: Provider> Identity<P> {
    /// Takes the private key as a handle and as PKCS#8 DER; from the latter come the keys for what is
    /// stored (PROTOCOL.md, "What an implementation must persist").
    pub fn new(provider: &P, key: P::PrivateKey, pkcs8_der: &[u8]) -> Self {
        let derived = |label| Arc::new(Zeroizing::new(provider.sha256(&[label, pkcs8_der]).0));
        let (wrap_key, name_key) = (derived(b"waxwing/1:wrap"), derived(b"waxwing/1:name"));
        Self {
            key: Arc::new(key),
            wrap_key,
            name_key,
            former_wrap_key: None,
            successor: None,
            operations: PrivateOperations::default(),
        }
    }

    /// Announces another key to whoever asks, or, without one, that there is none. It does nothing else:
    /// the other key takes the place of this one by [`Operator::succeed`](super::Operator::succeed).
    pub fn announce(&mut self, successor: Option<Successor>) {
        self.successor = successor;
    }

    /// What is announced.
    pub(super) const fn successor(&self) -> Option<&Successor> {
        self.successor.as_ref()
    }

    /// Whether this is the server's key, or the one that is announced.
    pub(super) fn is_own(&self, key: &Spki) -> bool {
        key == self.spki() || self.successor.as_ref().is_some_and(|next| next.spki == *key)
    }

    /// Another key takes the place of this one. Session keys that are stored stay good until the next
    /// start.
    pub(super) fn succeed(&mut self, next: Self) {
        let (operations, wrap_key) = (self.operations, self.wrap_key.clone());
        *self = Self { operations, former_wrap_key: Some(wrap_key), ..next };
    }

    /// The public half of the server's key.
    pub fn spki(&self) -> &Spki {
        self.key.spki()
    }

    pub(super) fn wrap(
        &self,
        provider: &P,
        rng: &mut dyn CryptoRng,
        key: &SessionKey,
    ) -> Result<WrappedKey, Full> {
        let mut wrapped = [0; size_of::<WrappedKey>()];
        cbc_seal(provider, &self.wrap_key, rng, &mut wrapped, |w| w.put(key.expose()))?;
        Ok(wrapped)
    }

    pub(super) fn unwrap(&self, provider: &P, wrapped: &WrappedKey) -> Option<SessionKey> {
        let open = |wrap_key: &[u8; KEY_LEN]| {
            let mut wrapped = Zeroizing::new(*wrapped);
            let key = cbc_open(provider, wrap_key, wrapped.as_mut_slice()).ok()?;
            Some(SessionKey::from_bytes((&*key).try_into().ok()?))
        };
        let former = || self.former_wrap_key.as_ref().and_then(|wrap_key| open(wrap_key));
        open(&self.wrap_key).or_else(former)
    }

    /// A name that tells nothing to whoever has not the server's key.
    pub(super) fn name(&self, provider: &P, parts: [&[u8]; 3]) -> Digest {
        let [one, two, three] = parts;
        provider.sha256(&[self.name_key.as_slice(), one, two, three])
    }

    /// How often the private key was used.
    pub(super) const fn operations(&self) -> u64 {
        self.operations.opened.saturating_add(self.operations.signed)
    }

    /// The same, by what it was used for.
    pub(super) const fn private_operations(&self) -> PrivateOperations {
        self.operations
    }

    /// Opens what was sealed to the server, into `out`, and says how long it is.
    pub(super) fn open(
        &mut self,
        rng: &mut dyn CryptoRng,
        op: Op,
        block: &[u8; RSA_LEN],
        out: &mut [u8],
    ) -> Result<usize, Rejected> {
        self.operations.opened = self.operations.opened.saturating_add(1);
        self.key.oaep_open(rng, op.oaep_label(), block, out)
    }

    /// Makes and signs a packet of the server's own; `payload` writes it and says its length.
    pub(super) fn issue(
        &mut self,
        provider: &P,
        now: UnixTime,
        rng: &mut dyn CryptoRng,
        (op, recipient): (Op, Option<UserId>),
        payload: impl FnOnce(&mut [u8], &mut dyn CryptoRng) -> Result<usize, BuildError>,
    ) -> Result<Arc<[u8]>, BuildError> {
        let mut buffer = [0; MAX_CONTROL_PACKET];
        let timestamp = Timestamp::from_unix(now);
        let mut draft = Draft::new(&mut buffer, op, None, recipient, timestamp);
        let len = payload(draft.payload_mut(), rng)?;
        self.operations.signed = self.operations.signed.saturating_add(1);
        let (_, packet) = draft.sign(provider, &*self.key, rng, len)?;
        Ok(Arc::from(&*packet))
    }
}
