//! Pinned keys: who somebody is, as first seen, and what the server says since
//! (PROTOCOL.md, "Pinning").

use rusqlite::{Connection, OptionalExtension, Row, params};
use waxwing_core::crypto::Spki;
use waxwing_core::id::UserId;
use waxwing_core::messenger::{self, Conflict, Verdict};
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;
use waxwing_core::wire::KeyAnswer;

use super::relations::get_to_know;
use super::{Home, HomeError, columns};

/// Somebody whose key is pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The phone of the contact.
    pub phone: Phone,
    /// The id at the server; `None` when it was given to somebody else.
    pub user_id: Option<UserId>,
    /// The key that this home has pinned for the phone.
    pub spki: Spki,
    /// When it was pinned.
    pub first_seen: UnixTime,
    /// Whether a person has compared safety numbers for this key.
    pub verified: bool,
    /// When the server last answered for this phone.
    pub asked_at: Option<UnixTime>,
    /// Another key that the server gives out for this phone, until a person accepts it.
    pub changed: Option<ChangedKey>,
}

/// A key that differs from the pinned one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedKey {
    /// The id that came with it.
    pub user_id: UserId,
    /// The key that the server gives out now.
    pub spki: Spki,
    /// When the server first gave it out.
    pub since: UnixTime,
}

impl Contact {
    /// What a messenger wants to know of it.
    #[must_use]
    pub fn known(&self) -> messenger::Contact {
        messenger::Contact {
            phone: self.phone,
            user: self.user_id,
            spki: self.spki.clone(),
            asked_at: self.asked_at,
            changed: self.changed.as_ref().map(|changed| changed.spki.clone()),
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let changed = match columns::optional_spki(row, 6)? {
            None => None,
            Some(spki) => Some(ChangedKey {
                spki,
                user_id: columns::user_id(row, 7)?,
                since: columns::time(row, 8)?,
            }),
        };
        Ok(Self {
            phone: columns::phone(row, 0)?,
            user_id: columns::optional_user_id(row, 1)?,
            spki: columns::spki(row, 2)?,
            first_seen: columns::time(row, 3)?,
            verified: row.get(4)?,
            asked_at: columns::optional_time(row, 5)?,
            changed,
        })
    }
}

/// What became of accepting a changed key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Acceptance {
    /// It is the pinned key now, not verified.
    Accepted,
    /// No key, or another one by now, waits for being accepted.
    NotPending,
    /// By now it contradicts another pin.
    Refused(Conflict),
}

/// The pinned keys of a home.
#[derive(Clone, Copy, Debug)]
pub struct Contacts<'a> {
    home: &'a Home,
}

impl<'a> Contacts<'a> {
    pub(super) const fn of(home: &'a Home) -> Self {
        Self { home }
    }

    /// Everybody, by phone.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn all(&self) -> Result<Vec<Contact>, HomeError> {
        let sql = format!("{SELECT} ORDER BY phone");
        let mut select = self.home.connection.prepare_cached(&sql)?;
        let rows = select.query_map([], Contact::read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Those who have a name, or are blocked, and whose key is not known, by phone.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn without_key(&self) -> Result<Vec<Phone>, HomeError> {
        let mut select = self.home.connection.prepare_cached(
            "SELECT phone FROM conversations WHERE (name IS NOT NULL OR blocked = 1) \
             AND phone NOT IN (SELECT phone FROM contacts) ORDER BY phone",
        )?;
        let rows = select.query_map([], |row| columns::phone(row, 0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Whoever has this phone.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn by_phone(&self, phone: &Phone) -> Result<Option<Contact>, HomeError> {
        by_phone(&self.home.connection, phone)
    }

    /// Whoever a letter from this id is from, by the pinned id or the one that came with a
    /// changed key. In the second case [`Contact::changed`] has that id, and the letter is to
    /// be held back.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn by_user_id(&self, user: UserId) -> Result<Option<Contact>, HomeError> {
        let sql = format!(
            "{SELECT} WHERE user_id = ?1 OR changed_user_id = ?1 \
             ORDER BY user_id IS ?1 DESC LIMIT 1"
        );
        let mut select = self.home.connection.prepare_cached(&sql)?;
        Ok(select.query_one([user.get()], Contact::read).optional()?)
    }

    /// Whoever has this pinned key.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn by_key(&self, key: &Spki) -> Result<Option<Contact>, HomeError> {
        let sql = format!("{SELECT} WHERE spki = ?");
        let mut select = self.home.connection.prepare_cached(&sql)?;
        Ok(select.query_one([key.as_bytes()], Contact::read).optional()?)
    }

    /// Stores what the server says about a key, as it was judged.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing was changed then.
    pub fn note(
        &self,
        answer: &KeyAnswer,
        verdict: Verdict,
        now: UnixTime,
    ) -> Result<(), HomeError> {
        let sql = match verdict {
            Verdict::Pin => {
                "INSERT INTO contacts (phone, user_id, spki, first_seen, asked_at) \
                 VALUES (?1, ?2, ?3, ?4, ?4)"
            }
            Verdict::Confirm => {
                "UPDATE contacts SET user_id = ?2, asked_at = ?4, changed_spki = NULL, \
                 changed_user_id = NULL, changed_at = NULL WHERE phone = ?1 AND spki = ?3"
            }
            Verdict::Change => {
                "UPDATE contacts SET changed_at = CASE WHEN changed_spki IS ?3 \
                 THEN changed_at ELSE ?4 END, changed_spki = ?3, changed_user_id = ?2, \
                 asked_at = ?4 WHERE phone = ?1"
            }
        };
        let KeyAnswer { phone, user, spki } = answer;
        let values = params![phone.as_str(), user.get(), spki.as_bytes(), now.as_seconds()];
        self.home.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// Pins the changed key that the person has seen, in place of the old one. Letters held
    /// back under it are then to be opened.
    ///
    /// # Errors
    /// [`HomeError::Database`]; nothing was changed then.
    pub fn accept(
        &self,
        phone: &Phone,
        seen: &Spki,
        now: UnixTime,
    ) -> Result<Acceptance, HomeError> {
        self.home.write(|change| {
            let changed = by_phone(change, phone)?.and_then(|contact| contact.changed);
            let Some(changed) = changed.filter(|changed| changed.spki == *seen) else {
                return Ok(Acceptance::NotPending);
            };
            if let Some(conflict) = conflict(change, phone, changed.user_id, &changed.spki)? {
                return Ok(Acceptance::Refused(conflict));
            }
            change.execute(
                "UPDATE contacts SET spki = changed_spki, user_id = changed_user_id, \
                 first_seen = ?2, verified = 0, changed_spki = NULL, changed_user_id = NULL, \
                 changed_at = NULL WHERE phone = ?1",
                params![phone.as_str(), now.as_seconds()],
            )?;
            get_to_know(change, phone)?;
            Ok(Acceptance::Accepted)
        })
    }

    /// Notes that a person has compared the safety number for this key; `false` when it is not
    /// the pinned one any more.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn mark_verified(&self, phone: &Phone, compared: &Spki) -> Result<bool, HomeError> {
        let sql = "UPDATE contacts SET verified = 1 WHERE phone = ? AND spki = ?";
        self.home.write(|change| {
            let values = params![phone.as_str(), compared.as_bytes()];
            let is_marked = change.prepare_cached(sql)?.execute(values)? == 1;
            if is_marked {
                get_to_know(change, phone)?;
            }
            Ok(is_marked)
        })
    }

    /// Takes the id from a pin, whose key stays: the server has said that the id is not this
    /// phone's any more.
    ///
    /// # Errors
    /// [`HomeError::Database`].
    pub fn release_id(&self, phone: &Phone) -> Result<(), HomeError> {
        let sql = "UPDATE contacts SET user_id = NULL WHERE phone = ?";
        self.home.connection.prepare_cached(sql)?.execute([phone.as_str()])?;
        Ok(())
    }
}

/// Takes the id from every pin, so that the server is asked before anything is sent: this home has
/// a new account, and the ids may be other people's by now. The keys stay.
pub(super) fn forget_ids(change: &Connection) -> Result<(), HomeError> {
    change.execute("UPDATE contacts SET user_id = NULL, asked_at = NULL", [])?;
    Ok(())
}

const SELECT: &str = "SELECT phone, user_id, spki, first_seen, verified, asked_at, changed_spki, \
                      changed_user_id, changed_at FROM contacts";

fn by_phone(connection: &Connection, phone: &Phone) -> Result<Option<Contact>, HomeError> {
    let sql = format!("{SELECT} WHERE phone = ?");
    let mut select = connection.prepare_cached(&sql)?;
    Ok(select.query_one([phone.as_str()], Contact::read).optional()?)
}

/// Whether key or id is pinned for another phone than `phone`.
fn conflict(
    connection: &Connection,
    phone: &Phone,
    user: UserId,
    spki: &Spki,
) -> Result<Option<Conflict>, HomeError> {
    let mut of_key =
        connection.prepare_cached("SELECT phone FROM contacts WHERE spki = ? AND phone <> ?")?;
    let of_key =
        of_key.query_one(params![spki.as_bytes(), phone.as_str()], |row| columns::phone(row, 0));
    if let Some(other) = of_key.optional()? {
        return Ok(Some(Conflict::KeyOf(other)));
    }
    let mut of_id =
        connection.prepare_cached("SELECT phone FROM contacts WHERE user_id = ? AND phone <> ?")?;
    let of_id = of_id.query_one(params![user.get(), phone.as_str()], |row| columns::phone(row, 0));
    Ok(of_id.optional()?.map(Conflict::IdOf))
}
