//! `key`. Who may not read the key asks the server that uses it; another key is planned by that server
//! alone. The plan can be taken back without it.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use waxwing_core::crypto::Digest;
use waxwing_core::time::{Timestamp, UnixTime};

use super::super::audit::{self, Arguments, AuditLog, Outcome};
use super::super::control::{Answer, Caller, Connection};
use super::super::protocol::{Problem, Request, item};
use super::super::running::{Interrupted, Running};
use super::{KeyCommand, Paper, status};
use crate::clock;
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};
use crate::key::{self, Previous};
use crate::runtime;

/// Days for which another key is announced at least: who does not connect in that time is cut off.
const ANNOUNCED_DAYS: i64 = 7;
/// No key is planned for a later day: a year that is mistyped would be one.
const LATEST_DAYS: i64 = 3_650;
const DAY_S: i64 = 24 * 60 * 60;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Fingerprint {
    /// The SHA-256 of the public key, in hexadecimal.
    fingerprint: String,
}

impl Fingerprint {
    fn line(out: &mut dyn Write, Self { fingerprint }: &Self) -> io::Result<()> {
        writeln!(out, "{fingerprint}")
    }
}

/// The server's keys, as the operator reads of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Keys {
    /// The SHA-256 of the public key, in hexadecimal.
    fingerprint: String,
    /// The key that takes its place; nothing if none is planned.
    next: Option<Next>,
    /// Why that key cannot take its place, or has not although its moment is over; or that a server which stands by
    /// has another key than the one that serves.
    trouble: Option<String>,
    /// The file of the private key before, as long as it is there.
    previous: Option<String>,
    /// What is in that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_is: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Next {
    fingerprint: String,
    /// From when on, in UTC.
    from: String,
}

/// Another key was planned, or is no longer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Planned {
    #[serde(flatten)]
    keys: Keys,
    /// The key that was planned before, and is forgotten.
    forgotten: Option<String>,
}

impl Keys {
    pub(super) fn of(keys: runtime::Keys, previous: Option<Previous>) -> Self {
        let runtime::Keys { own, next, trouble } = keys;
        let previous_is = previous.as_ref().map(|previous| previous.is_what(&own).to_owned());
        Self {
            fingerprint: format!("{own:?}"),
            next: next.map(|(fingerprint, from)| Next {
                fingerprint: format!("{fingerprint:?}"),
                from: clock::written(from),
            }),
            trouble,
            previous: previous.map(|previous| previous.file.display().to_string()),
            previous_is,
        }
    }

    /// That of a server that stands by, beside one that serves with another key. What is planned is known
    /// where it serves.
    pub(super) fn of_standby(own: Digest, other: Option<Digest>) -> Self {
        let trouble = other.map(|other| {
            format!(
                "the server that serves has another key, {other:?}: copy its server.key.pem here, or this \
                 one cannot take over"
            )
        });
        Self::of(runtime::Keys { own, next: None, trouble }, None)
    }

    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Why the planned key has not taken its place, or this server cannot take over, if it is so.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Those in a data directory, where the server's key has the fingerprint `own`. What went wrong is not there.
    fn of_directory(own: Digest, directory: &DataDir) -> Result<Self, Failure> {
        let planned = key::planned(directory, &own)?;
        let next = planned.map(|planned| (planned.fingerprint(), planned.effective));
        let keys = runtime::Keys { own, next, trouble: None };
        Ok(Self::of(keys, Previous::find(directory)))
    }

    /// Those of a running server.
    fn of_running(running: &Running) -> Self {
        Self::of(running.rotation.keys(), running.files.found().previous_key)
    }

    pub(super) fn page(out: &mut dyn Write, keys: &Self) -> io::Result<()> {
        writeln!(out, "key          {}", keys.fingerprint)?;
        match &keys.next {
            Some(Next { fingerprint, from }) => {
                writeln!(out, "next key     {fingerprint}")?;
                writeln!(out, "             from {from} on, when all connections begin anew")?;
            }
            None => writeln!(out, "next key     none is planned")?,
        }
        match &keys.trouble {
            Some(why) if keys.next.is_some() => {
                writeln!(out, "             CANNOT TAKE ITS PLACE: {why}")?;
            }
            Some(why) => writeln!(out, "             CANNOT TAKE OVER: {why}")?,
            None => {}
        }
        if let (Some(file), Some(what)) = (&keys.previous, &keys.previous_is) {
            writeln!(out, "             {file} is {what}, which nothing needs; remove it")?;
        }
        Ok(())
    }
}

impl Planned {
    fn page(out: &mut dyn Write, Self { keys, forgotten }: &Self) -> io::Result<()> {
        Keys::page(out, keys)?;
        match &keys.next {
            Some(Next { from, .. }) => writeln!(
                out,
                "Clients ask once a day whether another key is planned. Those that ask before {from} go on by \
                 themselves. Everybody else has to be given server.pub.pem again, which is the next key from \
                 then on (server.next.pub.pem until then). Copy server.next.key.pem to where the copy of the \
                 key is, and to the data directories of all servers that share a database with this one. \
                 `waxwing-server key rotate --cancel` takes the plan back until then."
            )?,
            None => writeln!(
                out,
                "The key stays. Clients that have heard of the other one try both from its moment on, and forget it \
                 when they ask again, once a day. Whoever was given server.next.pub.pem needs server.pub.pem in its \
                 place."
            )?,
        }
        if let Some(fingerprint) = forgotten {
            writeln!(
                out,
                "The key that was planned before, {fingerprint}, is forgotten. If its server.next.key.pem was \
                 copied elsewhere, delete the copy."
            )?;
        }
        Ok(())
    }
}

// ---- In the server ----

pub(super) fn answer(running: &Running, answer: &mut Answer<'_>) -> Result<(), Interrupted> {
    item(answer, Fingerprint { fingerprint: format!("{:?}", running.rotation.keys().own) })
}

pub(super) fn answer_all(running: &Running, answer: &mut Answer<'_>) -> Result<(), Interrupted> {
    let keys = running.rotation.keys_now();
    item(answer, Keys::of(keys, running.files.found().previous_key))
}

pub(super) fn rotate(
    running: &Running,
    caller: Caller,
    (from, force): (i64, bool),
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let from = UnixTime::from_seconds(from);
    let left = from.minus(clock::unix_now());
    // What clients are told is a timestamp, which has four digits for the year.
    if left <= 0 || Timestamp::from_unix(from).to_unix() != from {
        return Err(Problem::new(Exit::Usage, "that time is over already").into());
    }
    if left > LATEST_DAYS * DAY_S {
        let message = format!("that is later than in {LATEST_DAYS} days: name a sooner day");
        return Err(Problem::new(Exit::Usage, message).into());
    }
    if left < ANNOUNCED_DAYS * DAY_S && !force {
        let who = if left < DAY_S {
            "clients ask once a day whether another key is planned, so that most of those who are here now \
             do not hear of it. They are cut off, as all others are, and have"
        } else {
            "whoever is not here before is cut off, and has"
        };
        let message = format!(
            "that is sooner than in {ANNOUNCED_DAYS} days: {who} to be given the new key by hand. Name a later \
             day, or repeat the command with --force"
        );
        return Err(Problem::new(Exit::Usage, message).into());
    }
    let arguments = Arguments::new().with("from", clock::written(from));
    let planned = running.act((caller, answer), "key rotate", arguments, |_| {
        let forgotten = next_key(running);
        running.rotation.plan(from)?;
        let next = next_key(running).unwrap_or_default();
        Ok((Planned { keys: Keys::of_running(running), forgotten }, Outcome::done(next)))
    })?;
    item(answer, planned)
}

pub(super) fn keep(
    running: &Running,
    caller: Caller,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let arguments = Arguments::new().with("cancel", "yes");
    let planned = running.act((caller, answer), "key rotate", arguments, |_| {
        let forgotten = next_key(running);
        running.rotation.cancel()?;
        Ok((Planned { keys: Keys::of_running(running), forgotten }, Outcome::done("")))
    })?;
    item(answer, planned)
}

/// The fingerprint of the key that is planned.
fn next_key(running: &Running) -> Option<String> {
    running.rotation.keys().next.map(|(fingerprint, _)| format!("{fingerprint:?}"))
}

// ---- For the operator ----

pub(super) fn ask(
    connection: Connection,
    command: &KeyCommand,
    paper: &mut Paper<'_>,
) -> Result<(), Failure> {
    match *command {
        KeyCommand::Fingerprint => paper.ask(connection, Request::Fingerprint, Fingerprint::line),
        KeyCommand::Show => paper.ask(connection, Request::Keys, Keys::page),
        KeyCommand::Rotate { from: Some(from), force, .. } => {
            let request = Request::RotateKey { from: from.as_seconds(), force };
            paper.act(connection, request, Planned::page)
        }
        KeyCommand::Rotate { from: None, .. } => {
            paper.act(connection, Request::KeepKey, Planned::page)
        }
    }
}

/// Takes the plan back while no server runs: its next start could come after the moment.
pub(super) fn keep_alone(paper: &mut Paper<'_>) -> Result<(), Failure> {
    let directory = DataDir::existing(&paper.config.server.data)?.lock()?;
    let own = key::fingerprint(&directory)?;
    // A plan that cannot be read can be taken back all the same.
    let planned = key::planned(&directory, &own).ok().flatten();
    let forgotten = planned.map(|planned| format!("{:?}", planned.fingerprint()));
    let log = AuditLog::of(&directory);
    let arguments = Arguments::new().with("cancel", "yes");
    let begun = log.begin(clock::unix_now(), audit::caller(), "key rotate", arguments)?;
    let cancelled = key::cancel(&directory, &own);
    let outcome = match &cancelled {
        Ok(()) => Outcome::done(""),
        Err(failure) => Outcome::failed(failure.to_string()),
    };
    let ended = log.end(clock::unix_now(), begun, outcome);
    cancelled?;
    let keys = Keys::of_directory(own, &directory)?;
    paper.done(&Planned { keys, forgotten }, Planned::page)?;
    ended
}

/// Without a server.
pub(super) fn read(command: &KeyCommand, paper: &mut Paper<'_>) -> Result<(), Failure> {
    let directory = DataDir::existing(&paper.config.server.data)?;
    let own = key::fingerprint(&directory)?;
    if *command == KeyCommand::Fingerprint {
        let fingerprint = format!("{own:?}");
        return paper.write(&Fingerprint { fingerprint }, Fingerprint::line);
    }
    let mut keys = Keys::of_directory(own, &directory)?;
    // The server that runs knows it, also one that stands by.
    keys.trouble = status::of_running(paper.config).and_then(|status| status.key_trouble());
    paper.write(&keys, Keys::page)
}
