//! A home's account with its keys parsed, for as long as a command runs.

use std::cell::OnceCell;

use waxwing_core::client::Keys;
use waxwing_core::crypto::{Provider, Spki};
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
    server_key: ServerKey,
    fingerprint: Fingerprint,
}

impl Account {
    /// Parses the keys of an identity.
    ///
    /// # Errors
    /// [`SessionError::DamagedKey`] or [`SessionError::DamagedServerKey`] when they do not read.
    pub fn new(identity: Identity) -> Result<Self, SessionError> {
        let provider = provider();
        let key = load_key(&identity.private_key).map_err(SessionError::DamagedKey)?;
        let server_key = ServerKey::parse(&provider, &identity.server_key)?;
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

    /// The keys of a connection, with the server's key that was pinned when the account was read.
    #[must_use]
    pub const fn keys(&self) -> Keys<'_, Backend> {
        Keys { provider: &self.provider, own: &self.key, server: &self.server_key.parsed }
    }

    /// The keys of a connection to a server that has this key.
    ///
    /// # Errors
    /// [`SessionError::DamagedServerKey`] when it does not read.
    pub fn keys_with(&self, server: &Spki) -> Result<Keys<'_, Backend>, SessionError> {
        let server = self.server_key.find(&self.provider, server)?;
        Ok(Keys { server, ..self.keys() })
    }
}

/// A key of the server's, and those that it got while this process runs: connections borrow them, so
/// that none of them goes.
struct ServerKey {
    spki: Spki,
    parsed: BackendPublicKey,
    next: OnceCell<Box<Self>>,
}

impl ServerKey {
    fn parse(provider: &Backend, spki: &Spki) -> Result<Self, SessionError> {
        let parsed = provider.public_key(spki).map_err(|_| SessionError::DamagedServerKey)?;
        Ok(Self { spki: spki.clone(), parsed, next: OnceCell::new() })
    }

    fn find(&self, provider: &Backend, spki: &Spki) -> Result<&BackendPublicKey, SessionError> {
        let mut known = self;
        while known.spki != *spki {
            known = match known.next.get() {
                Some(next) => next,
                None => {
                    let next = Box::new(Self::parse(provider, spki)?);
                    known.next.get_or_init(|| next)
                }
            };
        }
        Ok(&known.parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::Registration;
    use waxwing_core::crypto::{KeyError, PrivateKey, ReplyKey};
    use waxwing_core::testing::keys::pkcs8_der;
    use zeroize::Zeroizing;

    #[test]
    fn a_private_key_that_is_damaged_is_refused_with_the_reason() {
        let spki = |at| load_key(pkcs8_der(at)).unwrap().spki().clone();
        let der = pkcs8_der(0);
        let identity = Identity {
            phone: waxwing_core::phone::Phone::parse(b"+4915112345602").unwrap(),
            servers: "localhost:1".parse().unwrap(),
            server_key: spki(1),
            private_key: Zeroizing::new(der[..der.len() - 1].to_vec()),
            public_key: spki(0),
            reply_key: ReplyKey::from_bytes(&[1; 32]),
            registration: Registration::Begun,
            is_renewing: false,
            session_key: None,
        };
        let error = Account::new(identity).map(drop).unwrap_err();
        assert!(matches!(error, SessionError::DamagedKey(KeyError::CutShort)), "{error}");
        assert!(error.to_string().ends_with(&KeyError::CutShort.to_string()), "{error}");
    }
}
