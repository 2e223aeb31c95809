//! Key and database at the start: whether they belong together, and whether what is missing was
//! lost or has never been there.
//!
//! A first start makes the database, then the key, then tells the database which key it belongs to,
//! then publishes the public half. Cut short anywhere, the next start goes on: a database that
//! nobody was ever registered in, and that knows no key, is one whose key was not made yet. Anything
//! else that is missing was lost, and nothing is made in its place unless the operator says so.

use waxwing_core::crypto::Digest;
use waxwing_core::server::Identity;

use super::{rotation, say_what_helps};
use crate::admin::audit::{self, Arguments, AuditLog, Outcome};
use crate::backend::Backend;
use crate::cli::RunArgs;
use crate::clock;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};
use crate::key::{self, Fingerprints};
use crate::store::{self, Engine, Opening};

/// Key and database, which belong together.
pub(super) fn open(
    config: &Config,
    args: &RunArgs,
    directory: &DataDir,
) -> Result<(Identity<Backend>, Box<dyn Engine>), Failure> {
    if args.new_key {
        expect_no_plan(directory)?;
    }
    let published = key::published(directory);
    expect_database(config, args, directory, published.is_some())?;
    let audit = AuditLog::of(directory);
    let Some(act) = act(args) else {
        return open_expected(config, args, (directory, &audit), published);
    };
    let begun = audit.begin(clock::unix_now(), audit::caller(), "run", act)?;
    let opened = open_expected(config, args, (directory, &audit), published);
    let outcome = match &opened {
        Ok((identity, _)) => {
            Outcome::done(format!("the key is {:?}", key::digest(identity.spki())))
        }
        // Some of it may have been done.
        Err(failure) if failure.exit() == Exit::Storage => Outcome::unknown(failure.to_string()),
        Err(failure) => Outcome::failed(failure.to_string()),
    };
    let ended = audit.end(clock::unix_now(), begun, outcome);
    let opened = opened?;
    ended?;
    Ok(opened)
}

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

/// The same, where what is missing may be missing.
fn open_expected(
    config: &Config,
    args: &RunArgs,
    (directory, audit): (&DataDir, &AuditLog),
    published: Option<Digest>,
) -> Result<(Identity<Backend>, Box<dyn Engine>), Failure> {
    let opening = match (args.recover, args.without_log) {
        (true, true) => Opening::RecoveredWithoutLog,
        (true, false) => Opening::Recovered,
        (false, true) => Opening::WithoutLog,
        (false, false) => Opening::ToServe,
    };
    let opened = store::open(config, directory, opening);
    let mut storage = opened.map_err(|error| match opening {
        Opening::Recovered | Opening::RecoveredWithoutLog => error.into(),
        _ => say_what_helps(error),
    })?;
    let of_database = storage.server_key()?;
    if !key::is_there(directory)? {
        let is_first_start = of_database.is_none() && published.is_none() && storage.is_unused()?;
        if !is_first_start && !args.new_key {
            return Err(key_is_missing(directory));
        }
        key::create(directory)?;
    }
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
    let fingerprints = Fingerprints::read(directory, own)?;
    // A database from before it knew its key: what clients were given speaks for it.
    match of_database.or(published) {
        // The key before, in a database that has not been told yet, or that is older. Clients were given
        // the one that followed it.
        Some(former)
            if fingerprints.former.contains(&former)
                && !fingerprints.former.contains(&own)
                && key::published(directory) == Some(own) => {}
        Some(expected) if expected != own && !args.new_key => {
            return Err(another_key(directory, own, expected));
        }
        Some(expected) if expected == own && args.new_key => {
            let message = format!(
                "{} belongs to this database already, so --new-key has nothing to do; to replace it, \
                 move it away first",
                directory.private_key().display()
            );
            return Err(Failure::new(Exit::Key, message));
        }
        _ => {}
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

/// Refuses to make a database in the place of one that was lost.
fn expect_database(
    config: &Config,
    args: &RunArgs,
    directory: &DataDir,
    is_published: bool,
) -> Result<(), Failure> {
    let path = store::place(directory);
    let is_there = path.symlink_metadata().is_ok();
    if is_there && args.new_database {
        let path = path.display();
        return Err(Failure::new(
            Exit::Storage,
            format!("{path} is there, so --new-database has nothing to do; move it away first"),
        ));
    }
    if args.new_database {
        let path = path.display();
        tracing::warn!(
            name: "database_made_anew", %path,
            "an empty database is made, as --new-database says: all users have to register again"
        );
    }
    if is_there || args.new_database {
        return Ok(());
    }
    if is_published || key::is_there(directory)? {
        return Err(database_is_missing(directory)?);
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
    tracing::warn!(
            name: "first_start",
        directory = %directory.path().display(),
        "there is neither key nor database: this is the first start of a new server"
    );
    Ok(())
}

fn database_is_missing(directory: &DataDir) -> Result<Failure, Failure> {
    let (path, key) = (store::place(directory), directory.private_key());
    let (path, key) = (path.display(), key.display());
    let message = match key::is_there(directory)? {
        true => format!(
            "there is a key, but no database {path}: mount or restore what is missing. Only if it is \
             lost for good, start once with --new-database; all users have to register again then"
        ),
        false => format!(
            "there is neither the key {key} nor the database {path}, but {} of an earlier server: \
             mount or restore what is missing. Only if both are lost for good, start once with \
             --new-key and --new-database; all users have to be given the new key by hand, and to \
             register again then",
            directory.public_key().display()
        ),
    };
    Ok(Failure::new(Exit::Storage, message))
}

fn key_is_missing(directory: &DataDir) -> Failure {
    let (key, database) = (directory.private_key(), store::place(directory));
    let (key, database) = (key.display(), database.display());
    Failure::new(
        Exit::Key,
        format!(
            "there is no {key}, but {database} belongs to a key: restore it from its copy. Only if it \
             is lost for good, start once with --new-key; every client has to be given the new public \
             key by hand then, and refuses the server until it is"
        ),
    )
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
