//! Who this home is: phone, keys, server, and how far its registration has come.
//!
//! Key and reply key are on the disk before the first packet goes out, and no later attempt
//! throws a key away with which an account may exist: an answer that got lost on the wire must
//! not lock anyone out.

use std::fmt;

use rusqlite::{Connection, OptionalExtension, Row, params};
use waxwing_core::crypto::{KEY_LEN, ReplyKey, SessionKey, Spki};
use waxwing_core::id::UserId;
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;
use zeroize::Zeroizing;

use super::{Home, HomeError, columns, contacts, outbox, succession};
use crate::servers::Servers;

/// How far the registration has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// A code may have been asked for; none is known to be on its way.
    Begun,
    /// The server has issued a code.
    CodeIssued {
        /// The code is good until then.
        expires_at: UnixTime,
    },
    /// A code was sent back and the server's answer is not known: an account with this key may
    /// exist.
    Proving,
    /// The server has given out an id.
    Done(UserId),
}

impl Registration {
    const fn columns(self) -> (u8, Option<i64>, Option<u16>) {
        match self {
            Self::Begun => (0, None, None),
            Self::CodeIssued { expires_at } => (1, Some(expires_at.as_seconds()), None),
            Self::Proving => (2, None, None),
            Self::Done(user) => (3, None, Some(user.get())),
        }
    }
}

/// What is stored before anything is sent.
pub struct NewIdentity<'a> {
    /// The phone to register.
    pub phone: Phone,
    /// Where the server is.
    pub servers: &'a Servers,
    /// The server's key, as the person handed it over.
    pub server_key: &'a Spki,
    /// The new private key, PKCS#8 DER.
    pub private_key: &'a [u8],
    /// The public half of the new key.
    pub public_key: &'a Spki,
    /// The name of the attempt, and the key for the server's answers.
    pub reply_key: &'a ReplyKey,
}

/// The account of a home.
pub struct Identity {
    /// The phone that this account is, or is to be, registered with.
    pub phone: Phone,
    /// Where the server is. The address at which it was last comes first.
    pub servers: Servers,
    /// The server's pinned key.
    pub server_key: Spki,
    /// The private key, PKCS#8 DER.
    pub private_key: Zeroizing<Vec<u8>>,
    /// The public half of the private key.
    pub public_key: Spki,
    /// The name of the registration attempt.
    pub reply_key: ReplyKey,
    /// How far the registration has come.
    pub registration: Registration,
    /// Whether the server did not know the account any more, and an attempt to register again
    /// under the same key has begun.
    pub is_renewing: bool,
    /// The last session key under which the server has answered.
    pub session_key: Option<SessionKey>,
}

impl Identity {
    /// The id, once registered.
    #[must_use]
    pub const fn user_id(&self) -> Option<UserId> {
        match self.registration {
            Registration::Done(user) => Some(user),
            _ => None,
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let stage: u8 = row.get(6)?;
        let registration = match (stage, row.get(7)?, columns::optional_user_id(row, 8)?) {
            (_, _, Some(user)) => Registration::Done(user),
            (1, Some(at), None) => {
                Registration::CodeIssued { expires_at: UnixTime::from_seconds(at) }
            }
            (2, _, None) => Registration::Proving,
            _ => Registration::Begun,
        };
        let reply_key = Zeroizing::new(row.get::<_, [u8; KEY_LEN]>(5)?);
        let session_key = row.get::<_, Option<[u8; KEY_LEN]>>(9)?.map(Zeroizing::new);
        Ok(Self {
            phone: columns::phone(row, 0)?,
            servers: columns::servers(row, 1)?,
            server_key: columns::spki(row, 2)?,
            private_key: Zeroizing::new(row.get(3)?),
            public_key: columns::spki(row, 4)?,
            reply_key: ReplyKey::from_bytes(&reply_key),
            registration,
            is_renewing: row.get(10)?,
            session_key: session_key.map(|key| SessionKey::from_bytes(&key)),
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            phone,
            servers,
            server_key: _,
            private_key: _,
            public_key,
            reply_key: _,
            registration,
            is_renewing: _,
            session_key: _,
        } = self;
        f.debug_struct("Identity")
            .field("phone", phone)
            .field("servers", servers)
            .field("public_key", public_key)
            .field("registration", registration)
            .finish_non_exhaustive()
    }
}

/// What stands in the way of registering a phone with a server here.
#[derive(Debug)]
pub enum Standing {
    /// Nothing worth keeping; make a key and store it.
    Vacant,
    /// An attempt with the same phone and server, to be continued with its key.
    Resumable(Identity),
    /// The phone is registered with that server already.
    Registered(Identity),
    /// The phone is registered here, or may be, with a server that has another key.
    OtherServerKey(Identity),
    /// Another account is here, or may be.
    Occupied(Identity),
}

impl Home {
    /// The account; `None` before the first `register`.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn identity(&self) -> Result<Option<Identity>, HomeError> {
        let mut select = self.connection.prepare_cached(
            "SELECT phone, server, server_key, private_key, public_key, reply_key, stage, \
             code_expires_at, user_id, session_key, renewing FROM identity",
        )?;
        Ok(select.query_one([], Identity::read).optional()?)
    }

    /// What registering `phone` with the server that has `server_key` would meet.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn standing(&self, phone: &Phone, server_key: &Spki) -> Result<Standing, HomeError> {
        let Some(identity) = self.identity()? else { return Ok(Standing::Vacant) };
        let same_phone = identity.phone == *phone;
        let same = same_phone && identity.server_key == *server_key;
        Ok(match identity.registration {
            Registration::Done(_) if same => Standing::Registered(identity),
            _ if same => Standing::Resumable(identity),
            Registration::Proving | Registration::Done(_) if same_phone => {
                Standing::OtherServerKey(identity)
            }
            Registration::Proving | Registration::Done(_) => Standing::Occupied(identity),
            Registration::Begun | Registration::CodeIssued { .. } => Standing::Vacant,
        })
    }

    /// Stores a new account, in place of one that cannot exist at any server.
    ///
    /// # Errors
    /// [`HomeError::Occupied`] when there is one that exists, or may.
    pub fn store_identity(&self, new: &NewIdentity<'_>) -> Result<(), HomeError> {
        self.write(|change| {
            if let Some(found) = self.identity()?
                && matches!(found.registration, Registration::Proving | Registration::Done(_))
            {
                return Err(HomeError::Occupied { phone: found.phone.as_str().to_owned() });
            }
            change.execute("DELETE FROM identity", [])?;
            succession::forget_successor(change)?;
            change.execute(
                "INSERT INTO identity (only_row, phone, server, server_key, private_key, \
                 public_key, reply_key, stage) VALUES (1, ?, ?, ?, ?, ?, ?, 0)",
                params![
                    new.phone.as_str(),
                    new.servers.to_string(),
                    new.server_key.as_bytes(),
                    new.private_key,
                    new.public_key.as_bytes(),
                    new.reply_key.expose(),
                ],
            )?;
            Ok(())
        })
    }

    /// Stores how far the registration has come. An account that is registered stays so.
    ///
    /// # Errors
    /// [`HomeError::Occupied`] for another state after [`Registration::Done`].
    pub fn set_registration(&self, registration: Registration) -> Result<(), HomeError> {
        self.write(|change| {
            let found = self.identity()?.ok_or(HomeError::NoSuchRow("account"))?;
            if found.registration == registration {
                return Ok(());
            }
            if found.user_id().is_some() {
                return Err(HomeError::Occupied { phone: found.phone.as_str().to_owned() });
            }
            let (stage, expires_at, user_id) = registration.columns();
            let sql = "UPDATE identity SET stage = ?, code_expires_at = ?, user_id = ?";
            update(change, sql, params![stage, expires_at, user_id])
        })
    }

    /// Begins another attempt for the same phone and key, because the code of the last one is
    /// spent: a code belongs to its reply key.
    ///
    /// # Errors
    /// [`HomeError::Occupied`] when the account is registered, and not about to be so again.
    pub fn renew_attempt(&self, reply_key: &ReplyKey) -> Result<(), HomeError> {
        self.write(|change| {
            let found = self.identity()?.ok_or(HomeError::NoSuchRow("account"))?;
            if found.is_renewing {
                let sql = "UPDATE identity SET reply_key = ?";
                return update(change, sql, [reply_key.expose()]);
            }
            if found.user_id().is_some() {
                return Err(HomeError::Occupied { phone: found.phone.as_str().to_owned() });
            }
            let sql = "UPDATE identity SET reply_key = ?, stage = 0, code_expires_at = NULL";
            update(change, sql, [reply_key.expose()])
        })
    }

    /// Stores where the server is, and the key by which it has answered there. A person has
    /// decided for a key that is another than before.
    ///
    /// # Errors
    /// [`HomeError::NoSuchRow`] before the first `register`.
    pub fn trust_server(&self, servers: &Servers, server_key: &Spki) -> Result<(), HomeError> {
        // What another server knew, or gave out, counts for nothing with this one.
        let sql = "UPDATE identity SET server = ?1, server_key = ?2, \
                   session_key = CASE WHEN server_key = ?2 THEN session_key END, \
                   renewing = renewing AND server_key = ?2";
        self.write(|change| {
            let keys = self.server_keys()?;
            if keys.is_some_and(|keys| keys.pinned != *server_key) {
                succession::forget_successor(change)?;
            }
            update(change, sql, params![servers.to_string(), server_key.as_bytes()])
        })
    }

    /// Stores that the server is at the address which comes first in `now`, of those that the home has
    /// as `before`: the next process tries it first. A person who has named others since then is right.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn found_server(&self, before: &Servers, now: &Servers) -> Result<(), HomeError> {
        let sql = "UPDATE identity SET server = ?2 WHERE server = ?1";
        self.write(|change| {
            change.execute(sql, [before.to_string(), now.to_string()])?;
            Ok(())
        })
    }

    /// Begins to register a second time, under the same key, because the server does not know the
    /// account any more. The id stays until there is another; so does an attempt that has begun.
    ///
    /// # Errors
    /// [`HomeError::NoSuchRow`] when there is no account.
    pub fn begin_renewal(&self, reply_key: &ReplyKey) -> Result<(), HomeError> {
        let sql = "UPDATE identity SET renewing = 1, session_key = NULL, \
                   reply_key = CASE WHEN renewing THEN reply_key ELSE ?1 END WHERE stage = 3";
        self.write(|change| update(change, sql, [reply_key.expose()]))
    }

    /// Ends such an attempt: the server has given out an id, which may be the old one. What this
    /// home believes about ids and letters at the server was true of the old account, so that
    /// contacts have to be asked for, and what was not delivered is sent again. Keys stay pinned.
    ///
    /// # Errors
    /// [`HomeError::NoSuchRow`] when no such attempt has begun.
    pub fn renew(&self, user: UserId) -> Result<(), HomeError> {
        self.write(|change| {
            let sql = "UPDATE identity SET user_id = ?, renewing = 0, session_key = NULL \
                       WHERE stage = 3 AND renewing = 1";
            update(change, sql, [user.get()])?;
            contacts::forget_ids(change)?;
            outbox::forget_server(change)
        })
    }

    /// Stores that the server knows the account after all.
    ///
    /// # Errors
    /// [`HomeError::NoSuchRow`] when there is none.
    pub fn end_renewal(&self) -> Result<(), HomeError> {
        self.write(|change| update(change, "UPDATE identity SET renewing = 0", []))
    }

    /// Stores a session key, once the server has answered under it; `None` when the server has
    /// said that it does not know it.
    ///
    /// # Errors
    /// [`HomeError::NoSuchRow`] before the first `register`.
    pub fn set_session_key(&self, key: Option<&SessionKey>) -> Result<(), HomeError> {
        let key = key.map(SessionKey::expose);
        self.write(|change| update(change, "UPDATE identity SET session_key = ?", [key]))
    }
}

fn update(
    change: &Connection,
    sql: &'static str,
    values: impl rusqlite::Params,
) -> Result<(), HomeError> {
    match change.execute(sql, values)? {
        0 => Err(HomeError::NoSuchRow("account")),
        _ => Ok(()),
    }
}
