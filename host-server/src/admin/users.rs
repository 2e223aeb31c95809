//! `users list`, `users show` and `users remove`.
//!
//! Phones are shown in full: the operator has asked for them, on their own terminal.

use std::io::{self, Write};

use waxwing_core::time::UnixTime;

use crate::cli::UsersCommand;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};
use crate::store::{self, Engine, Opening, UserName, UserSummary};

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
            let mut storage = open()?;
            let removed = storage.remove_user(user, now)?.ok_or_else(|| no_such(user))?;
            storage.close()?;
            let phone = removed.phone.as_str();
            let undelivered = removed.undelivered;
            writeln!(
                out,
                "removed user {} ({phone}), {undelivered} letters undelivered",
                removed.id
            )
            .map_err(Failure::output)
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
