//! `users list`, `users show` and `users remove`; those that keep a user out are in `suspensions`, and
//! what may wait for one is in `limits`.
//!
//! They ask the server that runs. If none runs, they open its database themselves. Phones are shortened
//! unless the operator asks for them, and then the audit log has a line.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use waxwing_core::id::UserId;
use waxwing_core::phone::Phone;
use waxwing_core::server::{Administered, AdministrationError};
use waxwing_core::time::{Timestamp, UnixTime};

use super::super::audit::{self, Arguments, AuditLog, Outcome};
use super::super::control::{Answer, Caller, Connection};
use super::super::patience::Still;
use super::super::protocol::{NewLimits, Problem, Request, item, no_such_user};
use super::super::running::{Interrupted, Running};
use super::Paper;
use super::limits::{self, Limits};
use super::mailboxes::{self, Mailboxes, Waiting};
use super::suspensions::{self, Suspended};
use super::{erase, export, sessions};
use crate::cli::UsersCommand;
use crate::clock;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};
use crate::figures;
use crate::runtime;
use crate::store::{self, ApplyError, Engine, Finding, Inspection, Opening, UserName, UserSummary};

/// A user, as the operator reads of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct User {
    id: u16,
    /// Whole, or its ends alone.
    phone: String,
    /// In UTC; nothing before the first session.
    last_seen: Option<String>,
    pending_letters: u64,
    pending_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    suspended: Option<Suspended>,
    /// Whether it is an account of the server itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    canary: bool,
    /// Nothing, if they are those of everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limits: Option<Limits>,
}

/// A user who is no more.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Removed {
    removed: u16,
    phone: String,
    undelivered_letters: u64,
}

impl User {
    fn of(summary: &UserSummary, waiting: Waiting, full: bool) -> Self {
        let UserSummary { id, phone, last_seen, .. } = summary;
        Self {
            id: id.get(),
            phone: if full { phone.as_str().to_owned() } else { format!("{phone:?}") },
            last_seen: last_seen.map(|moment| clock::written(moment.to_unix())),
            pending_letters: waiting.letters,
            pending_bytes: waiting.bytes,
            suspended: summary.suspended.as_ref().and_then(Suspended::of),
            canary: phone.is_reserved(),
            limits: Limits::of(&summary.limits),
        }
    }

    fn last_seen(&self) -> &str {
        self.last_seen.as_deref().unwrap_or("never")
    }

    fn row(out: &mut dyn Write, user: &Self) -> io::Result<()> {
        let Self { id, phone, pending_letters, pending_bytes, .. } = user;
        let (last_seen, size) = (user.last_seen(), figures::bytes(*pending_bytes));
        writeln!(
            out,
            "{id:>5}  {phone:<16}  {last_seen:<20}  {pending_letters:>7}  {size:>11}{}{}",
            if user.suspended.is_some() { "  suspended" } else { "" },
            if user.canary { "  canary" } else { "" }
        )
    }

    fn page(out: &mut dyn Write, user: &Self) -> io::Result<()> {
        let Self { id, phone, pending_letters, pending_bytes, .. } = user;
        let letters = figures::count(*pending_letters, "letter", "letters");
        let (last_seen, size) = (user.last_seen(), figures::bytes(*pending_bytes));
        writeln!(
            out,
            "id         {id}\nphone      {phone}\nlast seen  {last_seen}\npending    {letters}, \
             {size}"
        )?;
        if user.canary {
            writeln!(
                out,
                "canary     an account of the server itself, which is in no count of users"
            )?;
        }
        user.limits.map_or(Ok(()), |limits| limits.page(out))?;
        user.suspended.as_ref().map_or(Ok(()), |suspended| suspended.page(out))
    }
}

impl Removed {
    pub(super) fn new(user: UserId, phone: &Phone, undelivered_letters: u64) -> Self {
        Self { removed: user.get(), phone: format!("{phone:?}"), undelivered_letters }
    }

    pub(super) fn undelivered(&self) -> String {
        format!("{} undelivered", figures::count(self.undelivered_letters, "letter", "letters"))
    }

    pub(super) fn line(out: &mut dyn Write, user: &Self) -> io::Result<()> {
        let Self { removed, phone, .. } = user;
        writeln!(out, "removed user {removed} ({phone}), {}", user.undelivered())
    }
}

/// Which users are asked for: all, or those who have no session and had none since a moment.
struct Idle(Option<(UnixTime, BTreeSet<UserId>)>);

impl Idle {
    /// These people have a session.
    fn new(seconds: Option<u64>, there: BTreeSet<UserId>) -> Self {
        let since = |seconds| {
            let ago = i64::try_from(seconds).unwrap_or(i64::MAX);
            clock::unix_now().shifted(ago.saturating_neg())
        };
        Self(seconds.map(|seconds| (since(seconds), there)))
    }

    fn is(&self, user: &UserSummary) -> bool {
        self.0.as_ref().is_none_or(|(since, there)| {
            let seen = user.last_seen.map(Timestamp::to_unix);
            !there.contains(&user.id) && seen.is_none_or(|seen| seen <= *since)
        })
    }
}

const HEAD: &str = "   id  phone             last seen             pending         size";

// ---- In the server ----

pub(super) fn answer_all(
    running: &Running,
    caller: Caller,
    (full, idle_s): (bool, Option<u64>),
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let mut there = BTreeSet::new();
    if idle_s.is_some() {
        sessions::each(running, answer, |_, session| {
            there.insert(session.user);
            Ok(())
        })?;
    }
    let idle = Idle::new(idle_s, there);
    if full {
        running.note_shown((caller, answer), "users list --full", Arguments::new())?;
    }
    let (mut last, mut mailboxes, mut still) = (None, Mailboxes::default(), Still::new());
    while let Finding::Users(page) = running.inspect(answer, Inspection::Users(last))? {
        let Some(user) = page.last() else { break };
        last = Some(user.id);
        for user in page.iter().filter(|user| idle.is(user)) {
            let waiting = mailboxes.of(user.id, |what| {
                still.tell(answer)?;
                running.inspect(answer, what)
            })?;
            still.told();
            item(answer, User::of(user, waiting, full))?;
        }
    }
    Ok(())
}

pub(super) fn answer_one(
    running: &Running,
    caller: Caller,
    user: UserName,
    full: bool,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let user = running.user(answer, &user)?;
    if full {
        running.note_shown((caller, answer), "users show --full", names(&user))?;
    }
    let mut still = Still::new();
    let waiting = mailboxes::waiting_for(user.id, |what| {
        still.tell(answer)?;
        running.inspect(answer, what)
    })?;
    item(answer, User::of(&user, waiting, full))
}

pub(super) fn remove(
    running: &Running,
    caller: Caller,
    user: UserName,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let user = running.user(answer, &user)?;
    let removed = running.act((caller, answer), "users remove", names(&user), |answer| {
        let removed = remove_from(running, user.id, answer)?;
        let detail = removed.undelivered();
        Ok((removed, Outcome::done(detail)))
    })?;
    item(answer, removed)
}

/// Has the shard of a user remove them.
pub(super) fn remove_from(
    running: &Running,
    user: UserId,
    answer: &mut Answer<'_>,
) -> Result<Removed, Interrupted> {
    let ended =
        running.ask_owner(answer, user, |sender| runtime::Request::RemoveUser(user, sender))?;
    match ended {
        Ok(Administered::Removed { phone, undelivered }) => {
            Ok(Removed::new(user, &phone, undelivered))
        }
        other => Err(not_administered(running, user, other).into()),
    }
}

/// Why something was not done to a user.
pub(super) fn not_administered(
    running: &Running,
    user: UserId,
    ended: runtime::Administration,
) -> Problem {
    match ended {
        Err(AdministrationError::NoSuchUser) => Problem::no_such_user(&UserName::Id(user)),
        Err(AdministrationError::UnderWay) => Problem::new(
            Exit::Failure,
            format!("another command is at work on user {user}; try again when it has ended"),
        ),
        Ok(Administered::NotDone { letters }) => Problem::new(
            running.storage_exit(),
            match letters {
                0 => "storage does not take it now, and nothing was changed; the log says why, and the \
                      command can be repeated"
                    .to_owned(),
                _ => format!(
                    "storage does not take it now: {} expired, and nothing else was changed; the log says \
                     why, and the command can be repeated",
                    figures::count(letters, "letter", "letters")
                ),
            },
        ),
        Err(AdministrationError::PhoneTaken(_) | AdministrationError::Refused(_))
        | Ok(
            Administered::Removed { .. }
            | Administered::Expired { .. }
            | Administered::Enrolled { .. }
            | Administered::Stored,
        ) => {
            Problem::new(Exit::Failure, "something else was done than what was asked")
        }
    }
}

/// What the audit log has of a user.
pub(super) fn names(user: &UserSummary) -> Arguments {
    Arguments::about(user.id, &user.phone)
}

// ---- For the operator ----

pub(super) fn run(
    connection: Connection,
    command: &UsersCommand,
    paper: &mut Paper<'_>,
) -> Result<(), Failure> {
    match command.clone() {
        UsersCommand::List { full, idle } => {
            let idle_s = idle.map(|idle| idle.as_secs());
            paper.list(connection, Request::Users { full, idle_s }, HEAD, User::row)
        }
        UsersCommand::Show { user, full } => {
            paper.ask(connection, Request::User { user, full }, User::page)
        }
        UsersCommand::Remove { user, erase, yes } => {
            has_to_be_meant(yes)?;
            let request = Request::RemoveUser { user, erase };
            if erase {
                return paper.act(connection, request, erase::Erased::page);
            }
            paper.act(connection, request, Removed::line)
        }
        UsersCommand::Export { user, letters, output } => {
            export::run(connection, (user, letters, output.as_deref()), paper)
        }
        UsersCommand::Limits { user, letters, bytes, default } => {
            let limits = match default {
                true => NewLimits::Default {},
                false => NewLimits::Own { letters, bytes },
            };
            paper.act(connection, Request::SetLimits { user, limits }, limits::Set::line)
        }
        UsersCommand::Suspension(command) => suspensions::run(connection, command, paper),
    }
}

/// Without a server.
pub(super) fn run_alone(
    config: &Config,
    command: &UsersCommand,
    paper: &mut Paper<'_>,
) -> Result<(), Failure> {
    let directory = DataDir::existing(&config.server.data)?;
    let log = AuditLog::of(&directory);
    let open = || store::open(config, &directory, Opening::Existing).map_err(Failure::of_storage);
    let (now, uid) = (clock::unix_now(), audit::caller());
    match command {
        UsersCommand::List { full, idle } => {
            let idle = Idle::new(idle.map(|idle| idle.as_secs()), BTreeSet::new());
            let mut storage = open()?;
            if *full {
                log.note_shown(now, uid, "users list --full", Arguments::new())?;
            }
            paper.head(HEAD)?;
            let (mut last, mut mailboxes) = (None, Mailboxes::default());
            loop {
                let page = storage.users(last).map_err(Failure::of_storage)?;
                let Some(user) = page.last() else { return Ok(()) };
                last = Some(user.id);
                for user in page.iter().filter(|user| idle.is(user)) {
                    let waiting = mailboxes.of(user.id, |what| what.look(&mut *storage));
                    let waiting = waiting.map_err(Failure::of_storage)?;
                    paper.write(&User::of(user, waiting, *full), User::row)?;
                }
            }
        }
        UsersCommand::Show { user, full } => {
            let mut storage = open()?;
            let user = found(&mut *storage, user)?;
            if *full {
                log.note_shown(now, uid, "users show --full", names(&user))?;
            }
            let waiting = mailboxes::waiting_for(user.id, |what| what.look(&mut *storage));
            let waiting = waiting.map_err(Failure::of_storage)?;
            paper.write(&User::of(&user, waiting, *full), User::page)
        }
        UsersCommand::Export { user, letters, output } => {
            export::run_alone((&mut *open()?, &log), (user, *letters, output.as_deref()), paper)
        }
        UsersCommand::Limits { .. } | UsersCommand::Suspension(_) => Err(Failure::new(
            Exit::Network,
            "no server runs, and nothing was changed: start it, and repeat the command",
        )),
        UsersCommand::Remove { user, erase, yes } => {
            has_to_be_meant(*yes)?;
            let locked = directory.clone().lock()?;
            if *erase {
                return erase::remove_alone((&locked, &log), open()?, user, paper);
            }
            remove_alone(&log, open()?, user, paper)
        }
    }
}

/// The user of this name in a storage that no server has open.
pub(super) fn found(storage: &mut dyn Engine, name: &UserName) -> Result<UserSummary, Failure> {
    let found = storage.find_user(name).map_err(Failure::of_storage)?;
    found.ok_or_else(|| no_such_user(name))
}

fn has_to_be_meant(yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let message = "a user who is removed is gone, and so are the letters that wait for them: repeat the \
                   command with --yes";
    Err(Failure::new(Exit::Usage, message))
}

fn remove_alone(
    log: &AuditLog,
    mut storage: Box<dyn Engine>,
    user: &UserName,
    paper: &mut Paper<'_>,
) -> Result<(), Failure> {
    let now = clock::unix_now();
    let user = found(&mut *storage, user)?;
    let begun = log.begin(now, audit::caller(), "users remove", names(&user))?;
    let (undelivered, ended) = store::remove_user(&mut *storage, user.id, now);
    if let Err(error) = ended {
        // That it was not done is what people come for.
        if let Err(unsaid) = log.end(now, begun, outcome_of(&error)) {
            tracing::error!(name: "audit_log_unwritable", error = %unsaid, "the audit log could not be written to");
        }
        return Err(not_removed(undelivered, error));
    }
    let removed = Removed::new(user.id, &user.phone, undelivered);
    let ended = log.end(now, begun, Outcome::done(removed.undelivered()));
    let closed = storage.close();
    let told = paper.done(&removed, Removed::line);
    // What is wrong with the files matters more than a reader who has left.
    ended?;
    closed?;
    told
}

/// What a removal that has failed has done.
pub(super) fn not_removed(expired: u64, error: ApplyError) -> Failure {
    let failure = Failure::from(error);
    if expired == 0 {
        return failure;
    }
    let expired = figures::count(expired, "letter", "letters");
    let message =
        format!("the user is still there, and {expired} expired: {failure}; repeat the command");
    Failure::new(failure.exit(), message)
}

pub(super) fn outcome_of(error: &ApplyError) -> Outcome {
    match error {
        ApplyError::Refused(_)
        | ApplyError::Unavailable(_)
        | ApplyError::Away(_)
        | ApplyError::AwaitsStandby
        | ApplyError::Fenced(_) => Outcome::failed(error.to_string()),
        ApplyError::Unclear(_)
        | ApplyError::Twin(_)
        | ApplyError::Isolated(_)
        | ApplyError::Fatal(_)
        | ApplyError::Corrupt(_) => Outcome::unknown(error.to_string()),
    }
}
