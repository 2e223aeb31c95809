//! `backup create`, `backup list`, `backup verify`, `backup drill` and `backup restore`.
//!
//! A running server makes the backup itself: it alone knows when its write-ahead log may be touched.
//! If none runs, the command makes it.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf, absolute};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::super::audit::{self, Arguments, AuditLog, Outcome};
use super::super::control::{Answer, Caller, Connection};
use super::super::protocol::{Request, item};
use super::super::running::{Interrupted, Running};
use super::doctor::Round;
use super::{Paper, reach};
use crate::backup::{self, Drill, Entry, Making, Manifest, Ready, Shelf, Target, Wanted};
use crate::canary;
use crate::cli::BackupCommand;
use crate::clock;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};
use crate::figures;
use crate::key::{self, Fingerprints};
use crate::runtime;
use crate::stderr;
use crate::store::{self, Interrupt, Opening};
#[cfg(feature = "postgres")]
use crate::store::{Contents, moving};

/// A backup, as the operator reads of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Backup {
    file: String,
    #[serde(flatten)]
    manifest: Manifest,
}

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Listed {
    file: String,
    /// What is in it, if it is a backup.
    #[serde(flatten)]
    manifest: Option<Manifest>,
    /// Whether it belongs to a server with another key than the one here.
    of_another_server: bool,
    /// Why it is none.
    trouble: Option<String>,
}

/// A backup that is the database now.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Restored {
    #[serde(flatten)]
    backup: Backup,
    /// Where the database is that was there before; nothing if there was none.
    before: Option<String>,
    /// So many ids are given to nobody for a while.
    resting_ids: u16,
    key_is_missing: bool,
}

/// A step of a drill.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Passed {
    step: String,
    milliseconds: u64,
}

impl Passed {
    fn line(out: &mut dyn Write, passed: &Self) -> io::Result<()> {
        writeln!(out, "{:<10} {}", passed.step, figures::span(passed.milliseconds))
    }
}

/// What is in a database of PostgreSQL.
#[cfg(feature = "postgres")]
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Database {
    url: String,
    /// Without accounts of the canary.
    users: u64,
    canary_accounts: u64,
    letters: u64,
    /// The fingerprint of the server's key.
    key: Option<String>,
}

#[cfg(feature = "postgres")]
impl Database {
    fn of(url: &str, contents: &Contents) -> Self {
        let Contents { key, users, own_accounts, letters, .. } = contents;
        Self {
            url: url.into(),
            users: *users,
            canary_accounts: *own_accounts,
            letters: *letters,
            key: key.map(|key| format!("{key:?}")),
        }
    }
}

/// What a server was started with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
enum Original {
    File(Backup),
    #[cfg(feature = "postgres")]
    Database(Database),
}

impl Original {
    fn holds(&self) -> String {
        match self {
            Self::File(backup) => backup.holds(),
            #[cfg(feature = "postgres")]
            Self::Database(Database { users, letters, .. }) => {
                let users = figures::count(*users, "user", "users");
                format!("{users}, {}", figures::count(*letters, "letter", "letters"))
            }
        }
    }

    fn done(&self) -> Outcome {
        match self {
            Self::File(backup) => done(backup),
            #[cfg(feature = "postgres")]
            Self::Database(Database { url, .. }) => {
                Outcome::done(format!("{url}: {}", self.holds()))
            }
        }
    }
}

/// A backup with which a server was started.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Practised {
    #[serde(flatten)]
    original: Original,
    /// How long all of it took.
    milliseconds: u64,
    /// What became of a letter in that server.
    canary: Round,
}

impl Practised {
    fn page(out: &mut dyn Write, practised: &Self) -> io::Result<()> {
        let Self { original, milliseconds, canary } = practised;
        Round::page(out, canary)?;
        if !canary.is_done() {
            return Ok(());
        }
        let named = match original {
            Original::File(Backup { file, manifest }) => {
                format!("{file}, as it was at {}", manifest.made)
            }
            #[cfg(feature = "postgres")]
            Original::Database(Database { url, .. }) => format!("what is in {url}"),
        };
        let (holds, took) = (original.holds(), figures::span(*milliseconds));
        writeln!(out, "people can go on with {named}: {holds}. The drill took {took}")
    }
}

impl Restored {
    fn page(out: &mut dyn Write, restored: &Self) -> io::Result<()> {
        let Self { backup, before, resting_ids, key_is_missing } = restored;
        let made = &backup.manifest.made;
        writeln!(out, "restored {}, as it was at {made}: {}", backup.file, backup.holds())?;
        if let Some(before) = before {
            writeln!(out, "the database that was there is now {before}")?;
        }
        let rest = figures::count((*resting_ids).into(), "id rests", "ids rest");
        writeln!(out, "{rest}, which may have been given to others since then")?;
        writeln!(
            out,
            "suspensions, limits of users and bans are those of that moment: `waxwing-server audit show` says \
             which came or ended since then"
        )?;
        if *key_is_missing {
            writeln!(
                out,
                "the key of the server is not in a backup: put server.key.pem back before the server starts"
            )?;
        }
        Ok(())
    }
}

/// The database from before a restore is the database again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Undone {
    /// Where it was.
    from: String,
    /// Where the restored database is now; nothing if there was none.
    restored: Option<String>,
    /// So many ids that the restored database knew, or may have known, are given to nobody for a while.
    resting_ids: usize,
}

impl Undone {
    fn of(undone: &store::Undone) -> Self {
        Self {
            from: undone.from.display().to_string(),
            restored: undone.aside.as_ref().map(|path| path.display().to_string()),
            resting_ids: undone.resting_ids,
        }
    }

    fn page(out: &mut dyn Write, undone: &Self) -> io::Result<()> {
        let Self { from, restored, resting_ids } = undone;
        writeln!(out, "the database from before the restore is back; it was {from}")?;
        if let Some(restored) = restored {
            writeln!(
                out,
                "the restored one is now {restored}; letters, users, suspensions and bans that came since \
                 the restore are in it alone"
            )?;
        }
        let rest = figures::count(*resting_ids as u64, "id rests", "ids rest");
        writeln!(out, "{rest}, which the restored one may have given to others")
    }
}

const HEAD: &str = "made                  by       users   letters         size  file";

impl Backup {
    fn of(file: &Path, manifest: Manifest) -> Self {
        Self { file: file.display().to_string(), manifest }
    }

    fn holds(&self) -> String {
        let Manifest { users, letters, bytes, .. } = &self.manifest;
        let users = figures::count(*users, "user", "users");
        let letters = figures::count(*letters, "letter", "letters");
        format!("{users}, {letters}, {}", figures::bytes(*bytes))
    }

    fn made(out: &mut dyn Write, backup: &Self) -> io::Result<()> {
        writeln!(out, "made {}: {}; read back without an error", backup.file, backup.holds())
    }

    fn verified(out: &mut dyn Write, backup: &Self) -> io::Result<()> {
        let Manifest { made, version, schema, key, .. } = &backup.manifest;
        let key = key.as_deref().unwrap_or("none yet");
        writeln!(
            out,
            "{} is whole: {}\nmade       {made}, by version {version}, schema {schema}\nkey        {key}",
            backup.file,
            backup.holds()
        )
    }
}

impl Listed {
    fn of(entry: Entry, own: Option<&Fingerprints>) -> Self {
        let file = entry.file.display().to_string();
        let (manifest, trouble) = match entry.manifest {
            Ok(manifest) => (Some(manifest), None),
            Err(why) => (None, Some(why.to_string())),
        };
        let is_foreign = |manifest: &Manifest, own| manifest.key.is_some() && !manifest.is_of(own);
        let of_another_server =
            manifest.as_ref().zip(own).is_some_and(|(manifest, own)| is_foreign(manifest, own));
        Self { file, manifest, of_another_server, trouble }
    }

    fn row(out: &mut dyn Write, listed: &Self) -> io::Result<()> {
        match &listed.manifest {
            Some(Manifest { made, scheduled, users, letters, bytes, .. }) => {
                let by = if *scheduled { "clock" } else { "hand" };
                let bytes = figures::bytes(*bytes);
                let foreign = if listed.of_another_server { "  OF ANOTHER SERVER" } else { "" };
                let file = &listed.file;
                writeln!(
                    out,
                    "{made:<20}  {by:<5}  {users:>7}  {letters:>8}  {bytes:>11}  {file}{foreign}"
                )
            }
            None => {
                let why = listed.trouble.as_deref().unwrap_or_default();
                writeln!(out, "NO BACKUP: {why}")
            }
        }
    }
}

fn arguments(file: Option<&Path>) -> Arguments {
    let file = file.map(|file| file.display().to_string());
    Arguments::new().with("file", file.as_deref().unwrap_or("in backup.directory"))
}

fn done(backup: &Backup) -> Outcome {
    Outcome::done(format!("{}: {}", backup.file, backup.holds()))
}

// ---- In the server ----

pub(super) fn create(
    running: &Running,
    caller: Caller,
    file: Option<String>,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let file = file.map(PathBuf::from);
    let arguments = arguments(file.as_deref());
    let target = file.map_or(Target::Shelf, Target::Named);
    let made = running.act((caller, answer), "backup create", arguments, |answer| {
        let (file, manifest) = running.wait(answer, &running.backups.start(target)?)??;
        let backup = Backup::of(&file, manifest);
        let outcome = done(&backup);
        Ok((backup, outcome))
    })?;
    item(answer, made)
}

// ---- For the operator ----

pub(super) fn run(command: &BackupCommand, paper: &mut Paper<'_>) -> Result<(), Failure> {
    match command {
        BackupCommand::Create { file } => create_anyhow(file.as_deref(), paper),
        BackupCommand::List => list(paper),
        // Without a file, clap lets nothing through but --undo.
        BackupCommand::Restore { file: None, registered_since, .. } => {
            undo(*registered_since, paper)
        }
        BackupCommand::Restore { file: Some(file), other_key, registered_since, .. } => {
            let (other_key, registered_since) = (*other_key, *registered_since);
            let (now, interrupt) = (clock::unix_now(), &Interrupt::default());
            restore(&Wanted { file, other_key, registered_since, now, interrupt }, paper)
        }
        BackupCommand::Drill { file: Some(file), directory, .. } => {
            let directory = directory.as_deref().unwrap_or(backup::directory_of(file));
            drill(StartFrom::File(file), directory, paper)
        }
        BackupCommand::Drill { url: Some(url), directory: Some(directory), .. } => {
            #[cfg(feature = "postgres")]
            moving::check_url(url)?;
            drill(StartFrom::Database(url), directory, paper)
        }
        // The command line asks for one of them.
        BackupCommand::Drill { .. } => Ok(()),
        BackupCommand::Verify { file, other_key } => verify(file, *other_key, paper),
    }
}

/// By the server if one runs.
fn create_anyhow(file: Option<&Path>, paper: &mut Paper<'_>) -> Result<(), Failure> {
    let config = paper.config;
    if file.is_none() {
        Shelf::of(config).ok_or_else(backup::no_shelf)?;
    }
    match reach::try_to_connect(config)? {
        Some(connection) => ask(connection, file, paper),
        None => {
            let made = create_alone(config, file)?;
            paper.done(&made, Backup::made)
        }
    }
}

/// By the server, which may run in another directory than this command.
pub(super) fn ask(
    connection: Connection,
    file: Option<&Path>,
    paper: &mut Paper<'_>,
) -> Result<(), Failure> {
    let file = file.map(whole_name).transpose()?;
    paper.act(connection, Request::CreateBackup { file }, Backup::made)
}

/// The name of a file from the root on.
fn whole_name(file: &Path) -> Result<String, Failure> {
    let wrong =
        |why: &dyn fmt::Display| Failure::new(Exit::Config, format!("{}: {why}", file.display()));
    let name = absolute(file).map_err(|error| wrong(&error))?.into_os_string();
    name.into_string().map_err(|_| wrong(&"the name has to be text in UTF-8"))
}

/// Without a server.
fn create_alone(config: &Config, file: Option<&Path>) -> Result<Backup, Failure> {
    let directory = DataDir::existing(&config.server.data)?.lock()?;
    let now = clock::unix_now();
    let place = match (file, Shelf::of(config)) {
        (Some(file), _) => file.to_owned(),
        (None, Some(shelf)) => {
            shelf.check()?;
            shelf.forget_drafts()?;
            shelf.next_name(now)
        }
        (None, None) => return Err(backup::no_shelf()),
    };
    let storage =
        store::open(config, &directory, Opening::Existing).map_err(Failure::of_storage)?;
    let log = AuditLog::of(&directory);
    let begun = log.begin(now, audit::caller(), "backup create", arguments(file))?;
    let making = Making {
        copier: &*storage.copier(),
        data: directory.path(),
        min_free: config.storage.min_free_disk,
        interrupt: &Interrupt::default(),
        now,
        scheduled: false,
    };
    let made = backup::make(&making, &place).map(|manifest| Backup::of(&place, manifest));
    let outcome = match &made {
        Ok(backup) => done(backup),
        Err(error) => Outcome::failed(error.to_string()),
    };
    let ended = log.end(clock::unix_now(), begun, outcome);
    let made = made?;
    ended?;
    Ok(made)
}

fn list(paper: &mut Paper<'_>) -> Result<(), Failure> {
    let shelf = Shelf::of(paper.config).ok_or_else(backup::no_shelf)?;
    let (own, entries) = (own_keys(paper.config)?, shelf.entries()?);
    let strays = shelf.strays()?;
    if let Err(why) = shelf.check() {
        stderr::write(format!("waxwing-server: no backup can be made there: {why}\n").as_bytes());
    }
    paper.head(HEAD)?;
    for entry in entries.into_iter().chain(strays) {
        paper.write(&Listed::of(entry, own.as_ref()), Listed::row)?;
    }
    Ok(())
}

fn verify(file: &Path, other_key: bool, paper: &mut Paper<'_>) -> Result<(), Failure> {
    let manifest = backup::check(file, &Interrupt::default())?;
    check_key(paper.config, file, &manifest, other_key)?;
    paper.write(&Backup::of(file, manifest), Backup::verified)
}

/// What a server is to be started with.
#[derive(Clone, Copy)]
enum StartFrom<'a> {
    File(&'a Path),
    /// The URL of a database of PostgreSQL.
    Database(&'a str),
}

impl StartFrom<'_> {
    fn arguments(self) -> Arguments {
        match self {
            Self::File(file) => arguments(Some(file)),
            Self::Database(url) => Arguments::new().with("url", url),
        }
    }

    fn drill(
        self,
        drill: &Drill<'_>,
        passed: impl FnMut(backup::Step, Duration) -> Result<(), Failure>,
    ) -> Result<(Original, canary::Outcome), Failure> {
        match self {
            Self::File(file) => {
                let drilled = drill.with_file(file, passed)?;
                Ok((Original::File(Backup::of(file, drilled.found)), drilled.canary))
            }
            #[cfg(feature = "postgres")]
            Self::Database(url) => {
                let drilled = drill.with_database(url, passed)?;
                Ok((Original::Database(Database::of(url, &drilled.found)), drilled.canary))
            }
            #[cfg(not(feature = "postgres"))]
            Self::Database(_) => Err(super::storage::without_postgres()),
        }
    }
}

/// Nothing here changes, but whoever reads the audit log sees that somebody has practised. A server can start
/// meanwhile.
fn drill(from: StartFrom<'_>, directory: &Path, paper: &mut Paper<'_>) -> Result<(), Failure> {
    let config = paper.config;
    let installation = DataDir::existing(&config.server.data)?;
    let (now, interrupt) = (clock::unix_now(), &Interrupt::default());
    let start = Instant::now();
    let drilled = runtime::until_a_signal(interrupt, || {
        let drill = Drill { config, installation: &installation, directory, interrupt, now };
        from.drill(&drill, |step, took| {
            let passed = Passed { step: step.name().into(), milliseconds: milliseconds(took) };
            paper.write(&passed, Passed::line)
        })
    });
    let drilled = drilled.and_then(|drilled| drilled).map(|(original, canary)| Practised {
        original,
        milliseconds: milliseconds(start.elapsed()),
        canary: Round::of(canary),
    });
    let outcome = match &drilled {
        Ok(practised) if practised.canary.is_done() => practised.original.done(),
        Ok(practised) => Outcome::failed(practised.canary.reason()),
        Err(error) => Outcome::failed(error.to_string()),
    };
    let act = (audit::caller(), "backup drill");
    let log = AuditLog::of(&installation);
    // A copy of the key is no server, and nothing is to be put beside it.
    let is_server = installation.database().exists() || installation.witness().exists();
    let noted = match is_server {
        true => log.note_ended(clock::unix_now(), act, from.arguments(), outcome),
        false => Ok(()),
    };
    let practised = drilled?;
    paper.write(&practised, Practised::page)?;
    if !practised.canary.is_done() {
        let message = "a server that starts with this backup does not get letters through";
        return Err(Failure::new(Exit::Failure, message));
    }
    noted
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn restore(wanted: &Wanted<'_>, paper: &mut Paper<'_>) -> Result<(), Failure> {
    let config = paper.config;
    let directory = DataDir::create(&config.server.data)?.lock()?;
    let ready = Ready::new(config, &directory, wanted)?;
    let backup = Backup::of(wanted.file, ready.manifest.clone());
    let log = AuditLog::of(&directory);
    let arguments = arguments(Some(wanted.file)).with("made", &ready.manifest.made);
    let arguments = arguments.with("registered-since", wanted.registered_since);
    let begun = log.begin(wanted.now, audit::caller(), "backup restore", arguments)?;
    let restored = ready.put_in_place(config, &directory, wanted).map(|before| Restored {
        backup,
        before: before.map(|path| path.display().to_string()),
        resting_ids: wanted.registered_since,
        key_is_missing: !key::is_there(&directory).unwrap_or(true),
    });
    let outcome = match &restored {
        Ok(restored) => done(&restored.backup),
        Err(error) => Outcome::unknown(error.to_string()),
    };
    let ended = log.end(clock::unix_now(), begun, outcome);
    paper.done(&restored?, Restored::page)?;
    ended
}

/// Takes the last restore back.
fn undo(registered_since: u16, paper: &mut Paper<'_>) -> Result<(), Failure> {
    let config = paper.config;
    let directory = DataDir::existing(&config.server.data)?.lock()?;
    let (log, now) = (AuditLog::of(&directory), clock::unix_now());
    let begun = log.begin(now, audit::caller(), "backup restore --undo", Arguments::new())?;
    let undone =
        backup::undo(config, &directory, registered_since, now).map(|undone| Undone::of(&undone));
    let outcome = match &undone {
        Ok(undone) => Outcome::done(format!("{} is the database again", undone.from)),
        Err(error) if error.exit() == Exit::Config => Outcome::failed(error.to_string()),
        Err(error) => Outcome::unknown(error.to_string()),
    };
    let ended = log.end(clock::unix_now(), begun, outcome);
    paper.done(&undone?, Undone::page)?;
    ended
}

/// The keys of the server of this configuration, if there is one.
fn own_keys(config: &Config) -> Result<Option<Fingerprints>, Failure> {
    let Ok(directory) = DataDir::existing(&config.server.data) else { return Ok(None) };
    key::published(&directory).map(|own| Fingerprints::read(&directory, own)).transpose()
}

/// Whether the backup belongs to the server of this configuration, if there is one.
fn check_key(
    config: &Config,
    file: &Path,
    manifest: &Manifest,
    may_be_another: bool,
) -> Result<(), Failure> {
    match own_keys(config)? {
        Some(own) if !manifest.is_of(&own) && manifest.key.is_some() && !may_be_another => {
            Err(backup::another_key(file, manifest, &own.own, backup::IF_MEANT))
        }
        _ => Ok(()),
    }
}
