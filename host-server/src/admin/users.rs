//! `users list`, `users show` and `users remove`.
//!
//! Phones are shown in full: the operator has asked for them, on their own terminal.

use std::io::{self, Write};

use waxwing_core::time::UnixTime;

use super::audit::{self, Arguments, AuditLog, Outcome};
use crate::cli::UsersCommand;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};
use crate::store::{self, ApplyError, Engine, Opening, UserName, UserSummary};

/// Carries out `command` and writes what it has to say to `out`.
///
/// # Errors
/// When there is no such user or storage cannot be used; `remove` also when a server runs.
pub fn run(
    config: &Config,
    command: &UsersCommand,
    now: UnixTime,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let directory = DataDir::existing(&config.server.data)?;
    let open = || store::open(config, &directory, Opening::Existing);
    match command {
        UsersCommand::List => list(&all(&mut *open()?)?, out),
        UsersCommand::Show { user } => {
            let found = open()?.find_user(user)?.ok_or_else(|| no_such(user))?;
            show(&found, out)
        }
        UsersCommand::Remove { user } => {
            let _lock = directory.clone().lock()?;
            remove(&AuditLog::of(&directory), open()?, user, now, out)
        }
    }
}

fn all(storage: &mut dyn Engine) -> Result<Vec<UserSummary>, Failure> {
    let mut users: Vec<UserSummary> = Vec::new();
    loop {
        let page = storage.users(users.last().map(|user| user.id))?;
        if page.is_empty() {
            return Ok(users);
        }
        users.extend(page);
    }
}

fn remove(
    log: &AuditLog,
    mut storage: Box<dyn Engine>,
    user: &UserName,
    now: UnixTime,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let UserSummary { id, phone, .. } = storage.find_user(user)?.ok_or_else(|| no_such(user))?;
    let arguments = Arguments::new().with("id", id).with("phone", phone.as_str());
    let begun = log.begin(now, audit::caller(), "users remove", arguments)?;
    let removed = match storage.remove_user(&UserName::Id(id), now) {
        Ok(Some(removed)) => removed,
        Ok(None) => {
            log.end(now, begun, Outcome::failed("there is no such user any more"))?;
            return Err(no_such(user));
        }
        Err(error) => {
            // That it was not done is what people come for.
            if let Err(unsaid) = log.end(now, begun, outcome_of(&error)) {
                tracing::error!(error = %unsaid, "the audit log could not be written to");
            }
            return Err(error.into());
        }
    };
    let undelivered = removed.undelivered;
    let ended = log.end(now, begun, Outcome::done(format!("{undelivered} letters undelivered")));
    let closed = storage.close();
    let phone = removed.phone.as_str();
    let told = writeln!(out, "removed user {id} ({phone}), {undelivered} letters undelivered");
    // What is wrong with the files matters more than a reader who has left.
    ended?;
    closed?;
    told.map_err(Failure::output)
}

fn outcome_of(error: &ApplyError) -> Outcome {
    match error {
        ApplyError::Refused(_) | ApplyError::Unavailable(_) => Outcome::failed(error.to_string()),
        ApplyError::Fatal(_) | ApplyError::Corrupt(_) => Outcome::unknown(error.to_string()),
    }
}

fn list(users: &[UserSummary], out: &mut dyn Write) -> Result<(), Failure> {
    let mut write = || -> io::Result<()> {
        writeln!(
            out,
            "{:>5}  {:<16}  {:<19}  {:>7}  {:>10}",
            "id", "phone", "last seen (UTC)", "pending", "bytes"
        )?;
        for user in users {
            let UserSummary { id, phone, pending_letters, pending_bytes, .. } = user;
            writeln!(
                out,
                "{:>5}  {:<16}  {:<19}  {pending_letters:>7}  {pending_bytes:>10}",
                id.get(),
                phone.as_str(),
                last_seen(user)
            )?;
        }
        Ok(())
    };
    write().map_err(Failure::output)
}

fn show(user: &UserSummary, out: &mut dyn Write) -> Result<(), Failure> {
    let UserSummary { id, phone, pending_letters, pending_bytes, .. } = user;
    writeln!(
        out,
        "id         {id}\nphone      {}\nlast seen  {}\npending    {pending_letters} letters, \
         {pending_bytes} bytes",
        phone.as_str(),
        last_seen(user)
    )
    .map_err(Failure::output)
}

fn last_seen(user: &UserSummary) -> &str {
    user.last_seen.as_ref().map_or("never", |moment| moment.as_str())
}

fn no_such(user: &UserName) -> Failure {
    let name = match user {
        UserName::Id(id) => id.to_string(),
        UserName::Phone(phone) => phone.as_str().to_owned(),
    };
    Failure::new(
        Exit::Failure,
        format!("there is no user {name}; `waxwing-server users list` shows all"),
    )
}
