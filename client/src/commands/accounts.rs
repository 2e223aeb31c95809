//! `waxwing accounts`: a home each.

use serde::Serialize;

use super::{Console, json_line};
use crate::accounts::{Accounts, MAIN};
use crate::args::{self, AccountsAction, Args};
use crate::exit::Failure;
use crate::home::{Home, HomeError};
use crate::settings::Settings;
use crate::show;

#[derive(Serialize)]
struct Line<'a> {
    account: &'a str,
    default: bool,
    home: String,
    phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn run(
    args: &Args,
    words: &args::Accounts,
    settings: &Settings,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    if args.home.is_some() || args.account.is_some() {
        return Err(Failure::Usage(
            "`waxwing accounts` is about all accounts of this person, and works in no other home; leave \
             --home and --account out"
                .into(),
        ));
    }
    let accounts = Accounts::of_user()?;
    accounts.end_removals()?;
    match &words.action {
        AccountsAction::List => list(&accounts, settings, words.json, console),
        AccountsAction::Add { name } => {
            if accounts.has(name) {
                return Err(Failure::Usage(format!("there is an account {name} already")));
            }
            accounts.add(name)?;
            let next = format!(
                "account {name} is made; `waxwing --account {name} register --server ADDR \
                 --server-key FILE PHONE` goes on"
            );
            say(&accounts, settings, name, &next, words.json, console)
        }
        AccountsAction::Default { name } => {
            require(&accounts, name)?;
            accounts.set_default(name)?;
            if let Some(set) = settings.account.as_ref().filter(|set| *set != name) {
                writeln!(
                    console.remarks,
                    "{} names {set}, which counts more; take it out",
                    Settings::place_of_account()
                )?;
            }
            let done = format!("{name} is meant from now on when no account is named");
            say(&accounts, settings, name, &done, words.json, console)
        }
        AccountsAction::Remove { name, yes } => {
            remove(&accounts, name, *yes, console)?;
            if words.json {
                return json_line(&Removed { account: name, removed: true }, console);
            }
            writeln!(console.output, "account {name} is removed from this machine")?;
            Ok(())
        }
    }
}

#[derive(Serialize)]
struct Removed<'a> {
    account: &'a str,
    removed: bool,
}

fn require(accounts: &Accounts, name: &str) -> Result<(), Failure> {
    if accounts.has(name) {
        return Ok(());
    }
    let shown = "`waxwing accounts list` shows those that there are";
    Err(Failure::Usage(format!("there is no account {name}; {shown}")))
}

fn remove(
    accounts: &Accounts,
    name: &str,
    yes: bool,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    if name == MAIN {
        return Err(Failure::Usage(format!(
            "the account main has the others in its directory, and is not removed; if nobody needs any \
             of them, delete {}",
            accounts.home_of(MAIN).display()
        )));
    }
    require(accounts, name)?;
    let question = format!(
        "This deletes the key and all letters of {name}. Nobody can use the account any more, unless \
         there is a copy. Type {name} to go on: "
    );
    if !yes {
        console.make_sure(&[name], &question)?;
    }
    if !accounts.remove(name)? {
        return Err(Failure::General(format!(
            "another waxwing is at work in the account {name}; end it, and try again"
        )));
    }
    if accounts.default_name()? == name {
        accounts.set_default(MAIN)?;
    }
    Ok(())
}

fn list(
    accounts: &Accounts,
    settings: &Settings,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    for name in accounts.names()? {
        let line = line(accounts, settings, &name)?;
        if json {
            json_line(&line, console)?;
            continue;
        }
        let mark = if line.default { "*" } else { " " };
        let phone = line.error.as_deref().or(line.phone.as_deref()).unwrap_or("not registered");
        writeln!(console.output, "{mark} {name:<16} {}", show::for_line(phone))?;
    }
    Ok(())
}

fn line<'a>(accounts: &Accounts, settings: &Settings, name: &'a str) -> Result<Line<'a>, Failure> {
    let default = match &settings.account {
        Some(set) => set == name,
        None => accounts.default_name()? == name,
    };
    let home = accounts.home_of(name);
    let identity = match Home::open_to_read(&home) {
        Ok(home) => home.identity(),
        Err(HomeError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    let (phone, error) = match identity {
        Ok(identity) => (identity.map(|identity| identity.phone.as_str().to_owned()), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let home = home.display().to_string();
    Ok(Line { account: name, default, home, phone, error })
}

fn say(
    accounts: &Accounts,
    settings: &Settings,
    name: &str,
    words: &str,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    if json {
        return json_line(&line(accounts, settings, name)?, console);
    }
    writeln!(console.output, "{words}")?;
    Ok(())
}
