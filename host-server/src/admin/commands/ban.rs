//! `ban add`, `ban list` and `ban remove`: addresses from which nobody is served.

use std::io::{self, Write};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use waxwing_core::server::ShardId;

use super::super::audit::Arguments;
use super::super::control::{Answer, Caller, Connection};
use super::super::protocol::{NewBan, Problem, Request, item};
use super::super::running::{Interrupted, Running, done, expect_all};
use super::Paper;
use crate::cli::BanCommand;
use crate::clock;
use crate::config::AddressRange;
use crate::exit::{Exit, Failure};
use crate::figures;
use crate::runtime::{self, AboutRange, Bans, Heard};
use crate::store::{Ban, BanChange};

/// A ban, as the operator reads of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Shown {
    range: AddressRange,
    /// In UTC.
    since: String,
    /// In UTC; `None` for never.
    until: Option<String>,
    automatic: bool,
    reason: String,
}

/// A ban that was set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Added {
    banned: AddressRange,
    until: Option<String>,
    ended_connections: usize,
    /// The ban of the same range that was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced: Option<Shown>,
}

/// A ban that was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Removed {
    no_longer_banned: AddressRange,
}

const HEAD: &str =
    "range                since                 until                 by        reason";
/// Characters of a reason.
const LONGEST_REASON: usize = 200;

impl Shown {
    fn of(ban: Ban) -> Self {
        let Ban { range, since, until, is_automatic, reason } = ban;
        let (since, until) = (clock::written(since), until.map(clock::written));
        Self { range, since, until, automatic: is_automatic, reason }
    }

    /// Until when it was to be, and why, for whoever has put another in its place.
    fn before(&self) -> String {
        let until = match &self.until {
            Some(until) => format!("until {until}"),
            None => "without an end".to_owned(),
        };
        match self.reason.as_str() {
            "" => format!("it was banned {until}"),
            reason => format!("it was banned {until}: {reason}"),
        }
    }

    fn row(out: &mut dyn Write, ban: &Self) -> io::Result<()> {
        let Self { range, since, until, automatic, reason } = ban;
        let until = until.as_deref().unwrap_or("never ends");
        let by = if *automatic { "itself" } else { "operator" };
        let range = range.to_string();
        writeln!(out, "{range:<19}  {since:<20}  {until:<20}  {by:<8}  {reason}")
    }
}

// ---- In the server ----

pub(super) fn all(running: &Running, answer: &mut Answer<'_>) -> Result<(), Interrupted> {
    let mut last = None;
    loop {
        let (bans, more) =
            running.ask_now(ShardId::REGISTRAR, |sender| runtime::Request::Bans(last, sender))?;
        last = bans.last().map(|ban| ban.range);
        for ban in bans {
            item(answer, Shown::of(ban))?;
        }
        if !more {
            return Ok(());
        }
    }
}

pub(super) fn add(
    running: &Running,
    caller: Caller,
    new: NewBan,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let NewBan { range, for_s, reason, force, own } = new;
    let range = range.network();
    if let Some(why) = unusable(&reason) {
        return Err(Problem::new(Exit::Usage, why).into());
    }
    let AboutRange { ban: replaced, counts, spared: trusted } = about(running, range)?;
    let why = spared(range, own, &addresses_of_machine(running), &trusted);
    if let Some(why) = why.filter(|_| !force) {
        let message = format!("{why}; to ban it all the same, repeat the command with --force");
        return Err(Problem::new(Exit::Usage, message).into());
    }
    let is_more = replaced.as_ref().is_none_or(|ban| ban.is_automatic);
    if is_more && counts.by_operator >= Bans::MOST {
        let message = format!(
            "operators have set {} bans, and no more than that are kept: remove some, or ban a \
             wider range",
            counts.by_operator
        );
        return Err(Problem::new(Exit::Failure, message).into());
    }
    let arguments = Arguments::new().with("range", range).with("reason", &reason);
    let arguments = match for_s {
        Some(seconds) => arguments.with("for-seconds", seconds),
        None => arguments,
    };
    let (added, late) = running.act((caller, answer), "ban add", arguments, |answer| {
        let since = clock::unix_now();
        let until = for_s.map(|seconds| since.shifted(i64::try_from(seconds).unwrap_or(i64::MAX)));
        let ban = Ban { range, since, until, is_automatic: false, reason };
        running.change_bans(answer, BanChange::Add(ban.clone()))?;
        let Heard { answers, late } =
            running.ask_all(|_, sender| runtime::Request::Ban(ban.clone(), sender))?;
        let ended_connections = answers.into_iter().map(|(_, ended)| ended).sum();
        let ended = figures::count(ended_connections as u64, "connection", "connections");
        let (until, replaced) = (until.map(clock::written), replaced.map(Shown::of));
        let added = Added { banned: range, until, ended_connections, replaced };
        let outcome = done(&format!("ended {ended}"), &late);
        Ok(((added, late), outcome))
    })?;
    item(answer, added)?;
    expect_all(&late, "who is banned is still served there")
}

pub(super) fn remove(
    running: &Running,
    caller: Caller,
    range: AddressRange,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let range = range.network();
    if about(running, range)?.ban.is_none() {
        let message =
            format!("{range} is not banned as such; `waxwing-server ban list` shows what is");
        return Err(Problem::new(Exit::Failure, message).into());
    }
    let arguments = Arguments::new().with("range", range);
    let late = running.act((caller, answer), "ban remove", arguments, |answer| {
        running.change_bans(answer, BanChange::Remove(range))?;
        let Heard { late, .. } =
            running.ask_all(|_, sender| runtime::Request::EndBan(range, sender))?;
        let outcome = done("", &late);
        Ok((late, outcome))
    })?;
    item(answer, Removed { no_longer_banned: range })?;
    expect_all(&late, "nobody from these addresses is served there")
}

fn about(running: &Running, range: AddressRange) -> Result<AboutRange, Interrupted> {
    running.ask_now(ShardId::REGISTRAR, |sender| runtime::Request::AboutRange(range, sender))
}

fn unusable(reason: &str) -> Option<String> {
    if reason.chars().count() > LONGEST_REASON {
        return Some(format!("the reason has more than {LONGEST_REASON} characters: shorten it"));
    }
    let has_control = reason.chars().any(char::is_control);
    has_control.then(|| "the reason has control characters in it: leave them out".into())
}

/// Why an operator may not want to ban this range: somebody is in it who is logged in from `own`, this machine
/// with its addresses, or whom the configuration trusts.
fn spared(
    range: AddressRange,
    own: Option<IpAddr>,
    machine: &[IpAddr],
    trusted: &[AddressRange],
) -> Option<String> {
    if let Some(own) = own.filter(|own| range.contains(*own)) {
        return Some(format!("{range} has {own} in it, from which you are logged in"));
    }
    let loopback = ["127.0.0.0/8", "::1"].map(|range| range.parse::<AddressRange>());
    if let Some(other) = loopback.into_iter().flatten().find(|other| range.overlaps(*other)) {
        return Some(format!("{range} has addresses of this machine in it ({other})"));
    }
    if let Some(address) = machine.iter().find(|address| range.contains(**address)) {
        return Some(format!("{range} has {address} in it, an address of this machine"));
    }
    let other = trusted.iter().find(|other| range.overlaps(**other))?;
    Some(format!("{range} has addresses of limits.exempt or server.proxies in it ({other})"))
}

/// The addresses on which the server listens, and all that the machine has.
fn addresses_of_machine(running: &Running) -> Vec<IpAddr> {
    let named = running.listening.iter().map(|address| address.ip().to_canonical());
    named.filter(|address| !address.is_unspecified()).chain(runtime::of_interfaces()).collect()
}

// ---- For the operator ----

pub(super) fn run(
    connection: Connection,
    command: &BanCommand,
    paper: &mut Paper<'_>,
) -> Result<(), Failure> {
    match command {
        BanCommand::Add { range, duration, reason, force } => {
            let new = NewBan {
                range: *range,
                for_s: duration.map(|duration| duration.as_secs()),
                reason: reason.clone().unwrap_or_default(),
                force: *force,
                own: own_address(),
            };
            paper.act(connection, Request::Ban(new), |out, added: &Added| {
                let Added { banned, until, ended_connections, replaced } = added;
                let until = until.as_ref().map(|until| format!(" until {until}"));
                let ended = figures::count(*ended_connections as u64, "connection", "connections");
                writeln!(out, "banned {banned}{}; ended {ended}", until.unwrap_or_default())?;
                replaced.as_ref().map_or(Ok(()), |ban| writeln!(out, "{}", ban.before()))
            })
        }
        BanCommand::List => paper.list(connection, Request::Bans, HEAD, Shown::row),
        BanCommand::Remove { range } => {
            let request = Request::EndBan { range: *range };
            paper.act(connection, request, |out, removed: &Removed| {
                writeln!(out, "{} is no longer banned", removed.no_longer_banned)
            })
        }
    }
}

/// From where the operator is logged in, as far as SSH tells.
fn own_address() -> Option<IpAddr> {
    let connection = std::env::var("SSH_CONNECTION").ok()?;
    connection.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_would_ban_oneself_is_told_so() {
        let machine = ["203.0.113.5", "2001:db8:1:2::10"].map(|own| own.parse().unwrap());
        let trusted = ["192.0.2.200/32".parse().unwrap()];
        let own = Some("198.51.100.7".parse().unwrap());
        for (range, why) in [
            ("203.0.113.0/24", Some("an address of this machine")),
            ("203.0.113.5", Some("an address of this machine")),
            ("2001:db8:1:2::/64", Some("an address of this machine")),
            ("198.51.100.0/24", Some("from which you are logged in")),
            ("192.0.2.0/24", Some("limits.exempt or server.proxies")),
            ("0.0.0.0/0", Some("from which you are logged in")),
            ("::/0", Some("addresses of this machine in it (::1")),
            ("203.0.113.6", None),
            ("2001:db8:1:3::/64", None),
        ] {
            let told = spared(range.parse().unwrap(), own, &machine, &trusted);
            match why {
                Some(why) => assert!(told.unwrap().contains(why), "{range}"),
                None => assert_eq!(told, None, "{range}"),
            }
        }
    }
}
