//! From the settings to a database that the server may use.

use waxwing_core::crypto::Digest;
use waxwing_core::time::Instant;

use super::session::{NOT_WHOLE, Sessions};
use super::url::Names;
use super::{PostgresOptions, PostgresStorage, SCHEMA, Server, Terms, admin, safety, unreachable};
use crate::store::engine::{Looked, Schema, SecondCopy, Standby, Use};
use crate::store::shared::{self, Candidate, Database, Mark, Witness};
use crate::store::{ApplyError, StorageError};

/// The form of the database that this program writes.
const KNOWN: i64 = 1;
/// The oldest PostgreSQL that is known to do what is asked of it.
const OLDEST: u32 = 140_000;

/// What a role may have otherwise, at the beginning of a transaction of its own.
pub(super) const SETTINGS: &str =
    "SET LOCAL synchronous_commit = on; SET LOCAL client_min_messages = warning";

/// A database that answers.
pub struct Reached {
    sessions: Sessions,
    options: PostgresOptions,
    schema: Option<Schema>,
}

impl Reached {
    /// Connects, and looks what is there. Nothing is changed.
    ///
    /// # Errors
    /// When it cannot be reached, or cannot be used.
    pub fn reach(options: PostgresOptions) -> Result<Self, StorageError> {
        let mut sessions = connect(&options)?;
        let about = about(&mut sessions)?;
        if let Some(why) = about.as_ref().and_then(|(_, state)| not_to_serve(state)) {
            return Err(StorageError::Misplaced(why.into()));
        }
        Ok(Self { sessions, options, schema: about.map(|(schema, _)| schema) })
    }

    /// The form of what is in it; `None` while there is nothing.
    #[must_use]
    pub const fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// Whether each commit is on a second machine.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn second_copy(&mut self) -> Result<SecondCopy, StorageError> {
        safety::second_copy(&mut self.sessions)
    }

    /// Whether all is there that was confirmed before this mark. Nothing is changed.
    ///
    /// # Errors
    /// When it is not, or the database does not answer.
    pub fn expect_confirmed(self, witnessed: Option<Mark>) -> Result<(), StorageError> {
        if self.schema.is_none() {
            return Ok(());
        }
        let mut server = Server { sessions: self.sessions, needs_standby: false };
        match server.look(witnessed).map_err(unreachable)?.is_lost(witnessed) {
            true => Err(unreachable(shared::lost())),
            false => Ok(()),
        }
    }

    /// One that waits for its turn. An empty database gets its tables.
    ///
    /// # Errors
    /// When the tables cannot be made, or are for other versions.
    pub fn candidate(
        self,
        witness: Box<dyn Witness>,
        now: Instant,
    ) -> Result<Candidate<Server>, StorageError> {
        let Self { mut sessions, options, schema } = self;
        match schema {
            None => make_tables(&mut sessions)?,
            Some(schema) => expect_known(schema)?,
        }
        let PostgresOptions { lease, copies, node, instance, .. } = options;
        safety::warn(&mut sessions, copies)?;
        let server = Server { sessions, needs_standby: copies > 1 };
        Ok(Candidate::new(node, instance, server, witness, lease, now))
    }

    /// The same, for a server.
    ///
    /// # Errors
    /// As [`Reached::candidate`].
    pub fn stand_by(
        self,
        witness: Box<dyn Witness>,
        now: Instant,
    ) -> Result<Box<dyn Standby>, StorageError> {
        let terms = self.options.terms();
        Ok(Box::new(Waiting { candidate: self.candidate(witness, now)?, terms }))
    }
}

/// A server that waits for its turn.
struct Waiting {
    candidate: Candidate<Server>,
    terms: Terms,
}

impl Standby for Waiting {
    fn server_key(&mut self) -> Result<Option<Digest>, StorageError> {
        admin::server_key(&mut self.candidate.database_mut().sessions).map_err(unreachable)
    }

    fn is_unused(&mut self) -> Result<bool, StorageError> {
        admin::is_unused(&mut self.candidate.database_mut().sessions).map_err(unreachable)
    }

    fn poll_timeout(&self) -> Instant {
        self.candidate.poll_timeout()
    }

    fn trouble(&self) -> Option<&str> {
        self.candidate.trouble()
    }

    fn look(self: Box<Self>, now: Instant) -> Result<Looked, ApplyError> {
        let Self { mut candidate, terms } = *self;
        match candidate.look(now)? {
            Some(holder) => {
                Ok(Looked::Ours(Box::new(PostgresStorage::serve(candidate, holder, terms))))
            }
            None => Ok(Looked::Waits(Box::new(Self { candidate, terms }))),
        }
    }
}

/// Connects with a database that can be used, as far as its settings say.
pub(super) fn connect(options: &PostgresOptions) -> Result<Sessions, StorageError> {
    let PostgresOptions { place, password, timeout, lease, .. } = options;
    let password = password.as_ref().map(|password| password.as_slice());
    let sessions = Sessions::new(place, password, *timeout, *lease);
    let mut sessions = sessions.map_err(|error| StorageError::Settings(error.into()))?;
    sessions.begin().map_err(|none| match none.in_words() {
        (why, true) => StorageError::Settings(why.into()),
        (why, false) => StorageError::Away(why.into()),
    })?;
    check_database(&mut sessions)?;
    safety::check(&mut sessions)?;
    Ok(sessions)
}

/// Whether it can be used at all.
fn check_database(sessions: &mut Sessions) -> Result<(), StorageError> {
    const ASK: &str = "SELECT current_setting('server_version_num'), current_setting('server_version'), \
        current_setting('server_encoding')";
    let rows = sessions.simple(ASK).map_err(unreachable)?;
    let mut columns = rows.into_iter().flatten().flatten();
    let mut next = || columns.next().unwrap_or_default();
    let (number, version, encoding) = (next(), next(), next());
    if number.parse().is_ok_and(|number: u32| number < OLDEST) {
        let why = format!("PostgreSQL {version} is too old; it has to be 14 at least");
        return Err(StorageError::OtherVersion(why.into()));
    }
    if encoding != "UTF8" {
        let why = format!(
            "the database has the encoding {encoding}, and not UTF8; make it again, or another one, as \
             in: {}",
            sessions.names().createdb("--encoding=UTF8 --template=template0 ")
        );
        return Err(StorageError::Settings(why.into()));
    }
    Ok(())
}

/// Why nobody serves a database in this state, if an operator has set it.
pub(super) fn not_to_serve(state: &str) -> Option<&'static str> {
    match state {
        "copying" => Some(
            "not everything is in this database yet: `waxwing-server storage copy` has begun to fill it; run \
             that again",
        ),
        "moved" => Some(
            "this database was moved: everything in it was copied to another place, and is used there. Let \
             storage.url name that place; it is empty if that is server.data",
        ),
        _ => None,
    }
}

/// Its form, and its state; `None` while there is nothing.
pub(super) fn about(sessions: &mut Sessions) -> Result<Option<(Schema, String)>, StorageError> {
    // A role that may not use the schema does not see its tables by their names.
    const IS_THERE: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace AS space \
        ON relnamespace = space.oid WHERE nspname = 'waxwing' AND relname = 'about')";
    const ABOUT: &str = "SELECT schema, min_reader, written_by, state FROM waxwing.about";
    let is_there = sessions.simple(IS_THERE).map_err(unreachable)?;
    if is_there.first().and_then(|row| row.first()).is_none_or(|is| is.as_deref() != Some("t")) {
        return Ok(None);
    }
    let about = sessions.simple(ABOUT);
    let about = about.map_err(|error| closed(sessions.names(), error))?;
    let mut columns = about.into_iter().flatten();
    let mut next = || columns.next().flatten();
    let (found, min_reader, written_by, state) = (next(), next(), next(), next());
    let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
    let (Some(found), min_reader) = (number(found), number(min_reader)) else {
        return Err(not_whole("the table waxwing.about has no row"));
    };
    let outcome = outcome(found, min_reader);
    let written_by = written_by.filter(|version| !version.is_empty());
    let schema = Schema { found, min_reader, written_by, known: KNOWN, outcome };
    Ok(Some((schema, state.unwrap_or_default())))
}

fn make_tables(sessions: &mut Sessions) -> Result<(), StorageError> {
    let statements = format!("BEGIN; {SETTINGS}; {}; COMMIT", tables("open"));
    let made = sessions.simple(&statements);
    made.map(|_| ()).map_err(|error| closed(sessions.names(), error))
}

/// What makes the tables, in a transaction.
pub(super) fn tables(state: &'static str) -> String {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    format!("{SCHEMA}; UPDATE waxwing.about SET written_by = '{VERSION}', state = '{state}'")
}

const fn outcome(found: i64, min_reader: Option<i64>) -> Use {
    match (found, min_reader) {
        (KNOWN, _) => Use::Serves,
        (found, Some(min_reader)) if found > KNOWN && min_reader <= KNOWN => Use::Serves,
        _ => Use::Refuses,
    }
}

/// Whether this version may use it.
pub(super) fn expect_known(schema: Schema) -> Result<(), StorageError> {
    let Schema { outcome: Use::Refuses, written_by, .. } = schema else { return Ok(()) };
    let version = written_by.unwrap_or_else(|| "a later version".into());
    Err(StorageError::OtherVersion(of_other_version(&version).into()))
}

/// The same while a server stands by: one of a later version may have changed its form meanwhile.
pub(super) fn expect_to_know(
    found: i32,
    min_reader: i32,
    written_by: &str,
) -> Result<(), ApplyError> {
    match outcome(found.into(), Some(min_reader.into())) {
        Use::Refuses => Err(ApplyError::Fatal(of_other_version(written_by))),
        Use::Serves | Use::Changes => Ok(()),
    }
}

fn of_other_version(version: &str) -> String {
    format!(
        "the database is of version {version}, and this version cannot use it; run that one, or a later one"
    )
}

/// Something is missing that every server has in its database.
pub(super) fn not_whole(why: &str) -> StorageError {
    StorageError::Misplaced(format!("{why}; {NOT_WHOLE}").into())
}

/// The role of the server may not do that.
pub(super) fn closed(names: &Names, error: ApplyError) -> StorageError {
    match error {
        // insufficient_privilege
        ApplyError::Away(why) if why.starts_with("42501") => {
            let why = format!(
                "{why}; the role in {} has to own the database ({}) and what is in its schema waxwing",
                names.url,
                names.alter_owner()
            );
            StorageError::Settings(why.into())
        }
        other => unreachable(other),
    }
}
