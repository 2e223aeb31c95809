//! The server's identity, and the packets it makes itself.

use alloc::sync::Arc;

use super::Env;
use super::storage::WrappedKey;
use crate::crypto::{
    CryptoRng, KEY_LEN, PrivateKey, Provider, SessionKey, Spki, cbc_open, cbc_seal,
};
use crate::id::UserId;
use crate::limits::MAX_CONTROL_PACKET;
use crate::time::Timestamp;
use crate::wire::{BuildError, Draft, Full, Op};
use zeroize::Zeroizing;

/// The server's private key, and the key that wraps session keys in storage.
pub struct Identity<P: Provider> {
    pub(super) key: P::PrivateKey,
    wrap_key: Zeroizing<[u8; KEY_LEN]>,
}

impl<P: Provider> Identity<P> {
    /// Takes the private key as a handle and as PKCS#8 DER; from the latter comes the wrapping
    /// key (PROTOCOL.md, "What an implementation must persist").
    pub fn new(provider: &P, key: P::PrivateKey, pkcs8_der: &[u8]) -> Self {
        let wrap_key = Zeroizing::new(provider.sha256(&[b"waxwing/1:wrap", pkcs8_der]).0);
        Self { key, wrap_key }
    }

    /// The public half.
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
        let mut wrapped = Zeroizing::new(*wrapped);
        let key = cbc_open(provider, &self.wrap_key, wrapped.as_mut_slice()).ok()?;
        Some(SessionKey::from_bytes((&*key).try_into().ok()?))
    }

    /// Makes and signs a packet of the server's own; `payload` writes it and says its length.
    pub(super) fn issue(
        &self,
        provider: &P,
        env: &mut Env<'_>,
        op: Op,
        recipient: Option<UserId>,
        payload: impl FnOnce(&mut [u8], &mut dyn CryptoRng) -> Result<usize, BuildError>,
    ) -> Result<Arc<[u8]>, BuildError> {
        let mut buffer = [0; MAX_CONTROL_PACKET];
        let timestamp = Timestamp::from_unix(env.now.unix);
        let mut draft = Draft::new(&mut buffer, op, None, recipient, timestamp);
        let len = payload(draft.payload_mut(), env.rng)?;
        let (_, packet) = draft.sign(provider, &self.key, env.rng, len)?;
        Ok(Arc::from(&*packet))
    }
}
