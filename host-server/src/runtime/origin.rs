//! Key and database at the start: whether they belong together, and whether what is missing was
//! lost or has never been there.
//!
//! A first start makes the database, then the key, then tells the database which key it belongs to,
//! then publishes the public half. Cut short anywhere, the next start goes on: a database that
//! nobody was ever registered in, and that knows no key, is one whose key was not made yet. Anything
//! else that is missing was lost, and nothing is made in its place unless the operator says so.

use waxwing_core::crypto::Digest;
use waxwing_core::server::Identity;

use super::rotation;
use crate::admin::audit::{self, Arguments, AuditLog, Outcome};
use crate::backend::Backend;
use crate::cli::RunArgs;
use crate::clock;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};
use crate::key::{self, Fingerprints};
use crate::store::{Engine, Named, Opened, Opening, Standby, StorageError};

/// Whether a start would go on with what lies in the data directory, or make what is missing. Nothing is changed, and
/// the database is not opened.
///
/// # Errors
/// What a start would fail for.
pub fn check(config: &Config, directory: &DataDir) -> Result<(), Failure> {
    let (args, published) = (&RunArgs::default(), key::published(directory));
    let start = Start { config, args, directory, published };
    start.refuse_lost_database(&Named::find(config, directory)?)
}

/// Whether a start would take the key for that of the database, as far as that can be said without opening it. Nobody
/// may use it at this moment.
///
/// # Errors
/// What a start would fail for.
pub fn check_key(config: &Config, directory: &DataDir) -> Result<(), Failure> {
    let (args, published) = (&RunArgs::default(), key::published(directory));
    let start = Start { config, args, directory, published };
    let named = Named::find(config, directory)?;
    let of_database = named.server_key();
    if !key::is_there(directory)? {
        return of_database.map_or(Ok(()), |_| Err(start.key_is_missing(&named.to_string())));
    }
    let own = key::fingerprint(directory)?;
    let fingerprints = Fingerprints::read(directory, own)?;
    start.expect_key(of_database, own, &fingerprints)
}

/// Key and database, which belong together; `None` if the process was asked to end while another server served.
pub(super) fn open(
    config: &Config,
    args: &RunArgs,
    directory: &DataDir,
    wait: &mut Wait<'_>,
) -> Result<Option<Origin>, Failure> {
    if args.new_key {
        expect_no_plan(directory)?;
    }
    let start = Start { config, args, directory, published: key::published(directory) };
    let named = Named::find(config, directory)?;
    start.expect_database(&named)?;
    let audit = AuditLog::of(directory);
    let Some(act) = act(args) else { return start.open(named, &audit, wait) };
    let begun = audit.begin(clock::unix_now(), audit::caller(), "run", act)?;
    let opened = start.open(named, &audit, wait);
    let outcome = match &opened {
        Ok(Some((identity, _))) => {
            Outcome::done(format!("the key is {:?}", key::digest(identity.spki())))
        }
        Ok(None) => Outcome::failed("another server served until this one was asked to end"),
        // Some of it may have been done.
        Err(failure) if failure.exit() == Exit::Storage && !failure.has_changed_nothing() => {
            Outcome::unknown(failure.to_string())
        }
        Err(failure) => Outcome::failed(failure.to_string()),
    };
    let ended = audit.end(clock::unix_now(), begun, outcome);
    let opened = opened?;
    ended?;
    Ok(opened)
}

/// Key and database.
pub(super) type Origin = (Identity<Backend>, Box<dyn Engine>);

/// Waits until it is this server's turn to serve from a storage that others serve from, too. `None`: the process
/// was asked to end. The digest is that of its key, if it has one.
pub(super) type Wait<'a> =
    dyn FnMut(Box<dyn Standby>, Option<Digest>) -> Result<Option<Box<dyn Engine>>, Failure> + 'a;

/// What a start is to do that no other start does, if there is something.
fn act(args: &RunArgs) -> Option<Arguments> {
    let RunArgs { recover, new_key, new_database, without_log, .. } = *args;
    let all = [
        ("recover", recover),
        ("new-key", new_key),
        ("new-database", new_database),
        ("without-log", without_log),
    ];
    let mut asked = all.into_iter().filter(|(_, asked)| *asked).peekable();
    asked.peek()?;
    Some(asked.fold(Arguments::new(), |arguments, (flag, _)| arguments.with(flag, "yes")))
}

/// A start, and what it was given.
struct Start<'a> {
    config: &'a Config,
    args: &'a RunArgs,
    directory: &'a DataDir,
    /// The fingerprint of the public key that lies there for clients.
    published: Option<Digest>,
}

impl Start<'_> {
    /// What is missing may be missing.
    fn open(
        &self,
        named: Named,
        audit: &AuditLog,
        wait: &mut Wait<'_>,
    ) -> Result<Option<Origin>, Failure> {
        let opening = match (self.args.recover, self.args.without_log) {
            (true, true) => Opening::RecoveredWithoutLog,
            (true, false) => Opening::Recovered,
            (false, true) => Opening::WithoutLog,
            (false, false) => Opening::ToServe,
        };
        let name = named.to_string();
        let opened = named.open(self.config, opening);
        let opened = opened.map_err(|error| match (opening, &error) {
            // What could be read of it is put in its place last.
            (Opening::Recovered | Opening::RecoveredWithoutLog, StorageError::Damaged(_)) => {
                Failure::from(error).without_change()
            }
            (Opening::Recovered | Opening::RecoveredWithoutLog, _) => error.into(),
            _ => Failure::of_storage(error),
        })?;
        let storage = match opened {
            Opened::Ours(storage) => storage,
            Opened::Shared(mut standby) => {
                let key = self.expect_own(&name, audit, &mut *standby)?;
                let Some(storage) = wait(standby, key)? else { return Ok(None) };
                storage
            }
        };
        self.belong(&name, audit, storage).map(Some)
    }

    /// Whether this server could serve from it, as far as that is known before its turn has come.
    /// Returns the fingerprint of its key, if it has one.
    fn expect_own(
        &self,
        name: &str,
        audit: &AuditLog,
        standby: &mut dyn Standby,
    ) -> Result<Option<Digest>, Failure> {
        let of_database = standby.server_key()?;
        if key::is_there(self.directory)? {
            let own = key::digest(self.settle(audit)?.spki());
            let fingerprints = Fingerprints::read(self.directory, own)?;
            return self.expect_key(of_database, own, &fingerprints).map(|()| Some(own));
        }
        let is_first_start = self.is_first_start(of_database, || standby.is_unused())?;
        if is_first_start || self.args.new_key { Ok(None) } else { Err(self.key_is_missing(name)) }
    }

    /// Makes a key if there was never any, and has the two know each other.
    fn belong(
        &self,
        name: &str,
        audit: &AuditLog,
        mut storage: Box<dyn Engine>,
    ) -> Result<Origin, Failure> {
        let Self { args, directory, published, .. } = *self;
        let of_database = storage.server_key()?;
        if !key::is_there(directory)? {
            let is_first_start = self.is_first_start(of_database, || storage.is_unused())?;
            if !is_first_start && !args.new_key {
                return Err(self.key_is_missing(name));
            }
            key::create(directory)?;
        }
        let identity = self.settle(audit)?;
        let own = key::digest(identity.spki());
        let fingerprints = Fingerprints::read(directory, own)?;
        self.expect_key(of_database, own, &fingerprints)?;
        if fingerprints.former.contains(&own) {
            // Before the database is told: a start that is cut short here is repeated with the same command.
            key::note_return(directory, &own, of_database)?;
        }
        if of_database != Some(own) {
            storage.set_server_key(&own, clock::unix_now())?;
            if let Some(before) = of_database {
                tracing::warn!(name: "database_key_changed", ?before, now = ?own, "the database has a new key from now on");
            }
        }
        if let Some(before) = published.filter(|before| *before != own) {
            tracing::warn!(name: "public_key_replaced", ?before, now = ?own, "the public key for clients is replaced");
        }
        key::publish(directory, identity.spki())?;
        Ok((identity, storage))
    }

    /// The key that this server has. A planned one takes its place if its moment has come.
    fn settle(&self, audit: &AuditLog) -> Result<Identity<Backend>, Failure> {
        let directory = self.directory;
        let settled = key::settle(directory, clock::unix_now());
        let identity = key::load(directory)?;
        let own = key::digest(identity.spki());
        match settled {
            Ok(false) => {}
            Ok(true) => {
                tracing::warn!(name: "key_changed_at_start", "the planned key has taken the place of the server's, as its moment has come");
                rotation::note_change(audit, own, clock::unix_now());
            }
            // As long as the key before lies there, it can serve, and the plan is tried again.
            Err(error) if key::planned(directory, &own)?.is_some() => {
                tracing::error!(name: "key_not_changed", %error, "the planned key could not take its place; it is tried again");
            }
            Err(error) => return Err(error),
        }
        Ok(identity)
    }

    fn is_first_start(
        &self,
        of_database: Option<Digest>,
        is_unused: impl FnOnce() -> Result<bool, StorageError>,
    ) -> Result<bool, StorageError> {
        Ok(of_database.is_none() && self.published.is_none() && is_unused()?)
    }

    /// Whether the database and the clients expect this key.
    fn expect_key(
        &self,
        of_database: Option<Digest>,
        own: Digest,
        fingerprints: &Fingerprints,
    ) -> Result<(), Failure> {
        let Self { args, directory, published, .. } = *self;
        // A database from before it knew its key: what clients were given speaks for it.
        match of_database.or(published) {
            // The key before, in a database that has not been told yet, or that is older. Clients were given
            // the one that followed it.
            Some(former)
                if fingerprints.former.contains(&former)
                    && !fingerprints.former.contains(&own)
                    && key::published(directory) == Some(own) =>
            {
                Ok(())
            }
            Some(expected) if expected != own && !args.new_key => {
                Err(another_key(directory, own, expected))
            }
            Some(expected) if expected == own && args.new_key => {
                let message = format!(
                    "{} belongs to this database already, so --new-key has nothing to do; to replace it, \
                     move it away first",
                    directory.private_key().display()
                );
                Err(Failure::new(Exit::Key, message))
            }
            _ => Ok(()),
        }
    }

    /// Refuses to make a database in the place of one that was lost, and says if one is made.
    fn expect_database(&self, named: &Named) -> Result<(), Failure> {
        self.refuse_lost_database(named)?;
        if self.args.new_database {
            tracing::warn!(
                name: "database_made_anew", %named,
                "an empty database is made, as --new-database says: all users have to register again"
            );
        } else if !named.is_there() {
            tracing::warn!(
                name: "first_start",
                directory = %self.directory.path().display(),
                "there is neither key nor database: this is the first start of a new server"
            );
        }
        Ok(())
    }

    fn refuse_lost_database(&self, named: &Named) -> Result<(), Failure> {
        let Self { config, args, directory, published } = *self;
        let is_there = named.is_there();
        if is_there && args.new_database {
            return Err(Failure::new(
                Exit::Storage,
                format!(
                    "{named} is there, so --new-database has nothing to do; move it away first"
                ),
            ));
        }
        if is_there || args.new_database {
            return Ok(());
        }
        if published.is_some() || key::is_there(directory)? {
            return Err(database_is_missing(named, directory)?);
        }
        if !config.server.allow_first_start {
            return Err(Failure::new(
                Exit::Storage,
                format!(
                    "there is neither key nor database in {}, and server.allow_first_start is false: \
                     is its disk mounted?",
                    directory.path().display()
                ),
            ));
        }
        Ok(())
    }

    fn key_is_missing(&self, database: &str) -> Failure {
        let key = self.directory.private_key();
        let key = key.display();
        // The others that share the database have it.
        let copy = if self.config.storage.is_shared() {
            "copy it from another server of this database, or restore it"
        } else {
            "restore it from its copy"
        };
        Failure::new(
            Exit::Key,
            format!(
                "there is no {key}, but {database} belongs to a key: {copy}. Only if it is lost for good, start \
                 once with --new-key; every client has to be given the new public key by hand then, and refuses \
                 the server until it is"
            ),
        )
    }
}

fn database_is_missing(named: &Named, directory: &DataDir) -> Result<Failure, Failure> {
    let key = directory.private_key();
    let key = key.display();
    let message = match key::is_there(directory)? {
        true => format!(
            "there is a key, but no database: {named} is missing; mount or restore it. Only if it is \
             lost for good, start once with --new-database; all users have to register again then"
        ),
        false => format!(
            "there is neither the key {key} nor {named}, but {} of an earlier server: \
             mount or restore what is missing. Only if both are lost for good, start once with \
             --new-key and --new-database; all users have to be given the new key by hand, and to \
             register again then",
            directory.public_key().display()
        ),
    };
    Ok(Failure::new(Exit::Storage, message))
}

/// Refuses to make a key beside one that would take its place: whoever has the old key may have that one,
/// too.
fn expect_no_plan(directory: &DataDir) -> Result<(), Failure> {
    let next = directory.next_private_key();
    if next.symlink_metadata().is_err() {
        return Ok(());
    }
    let (next, own) = (next.display(), directory.private_key());
    Err(Failure::new(
        Exit::Key,
        format!(
            "{next} is planned to take the place of the server's key, also of a new one. If the old key may \
             be in wrong hands, so may this one: move it away, too, and repeat the command. If the old key \
             is only lost, move this one to {own}, and repeat the command: clients that have heard of it go \
             on with it from its day on",
            own = own.display()
        ),
    ))
}

fn another_key(directory: &DataDir, own: Digest, expected: Digest) -> Failure {
    let key = directory.private_key();
    let key = key.display();
    Failure::new(
        Exit::Key,
        format!(
            "{key} is another key than before: its fingerprint is {own:?}, and this database and its \
             clients expect {expected:?}. Restore the key from its copy, or the database that belongs \
             to this key. To go on with this key, start once with --new-key; every client has to be \
             given its public half by hand then"
        ),
    )
}
