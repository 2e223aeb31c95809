//! A home's account with its keys parsed, for as long as a command runs.

use waxwing_core::client::Keys;
use waxwing_core::crypto::Provider;
use waxwing_core::envelope::Fingerprint;
use waxwing_core::id::UserId;
use waxwing_core::messenger;

use crate::backend::{Backend, BackendKey, BackendPublicKey, load_key, provider};
use crate::home::Identity;
use crate::session::SessionError;

/// Who we are, and whom we trust to be the server.
pub struct Account {
    identity: Identity,
    provider: Backend,
    key: BackendKey,
    server_key: BackendPublicKey,
    fingerprint: Fingerprint,
}

impl Account {
    /// Parses the keys of an identity.
    ///
    /// # Errors
    /// [`SessionError::DamagedKey`] when they do not read.
    pub fn new(identity: Identity) -> Result<Self, SessionError> {
        let provider = provider();
        let key =
            load_key(&identity.private_key).map_err(|_| SessionError::DamagedKey("private key"))?;
        let server_key = provider
            .public_key(&identity.server_key)
            .map_err(|_| SessionError::DamagedKey("copy of the server's key"))?;
        let fingerprint = Fingerprint::of(&provider, &identity.phone, &identity.public_key);
        Ok(Self { identity, provider, key, server_key, fingerprint })
    }

    /// The account as stored.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The id, once registered.
    #[must_use]
    pub const fn user_id(&self) -> Option<UserId> {
        self.identity.user_id()
    }

    /// As a messenger wants it.
    #[must_use]
    pub fn for_messenger(&self) -> messenger::Account<'_> {
        messenger::Account {
            phone: self.identity.phone,
            user: self.user_id(),
            fingerprint: self.fingerprint,
            server: &self.identity.server_key,
        }
    }

    /// The keys of a connection.
    #[must_use]
    pub const fn keys(&self) -> Keys<'_, Backend> {
        Keys { provider: &self.provider, own: &self.key, server: &self.server_key }
    }
}
