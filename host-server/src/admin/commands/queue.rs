//! `queue list`, `queue show` and `queue expire`: letters that wait for their recipients.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use waxwing_core::id::UserId;
use waxwing_core::server::Administered;
use waxwing_core::server::storage::QueueId;
use waxwing_core::time::UnixTime;

use super::super::audit::Outcome;
use super::super::control::{Answer, Caller, Connection};
use super::super::patience::Still;
use super::super::protocol::{Request, item};
use super::super::running::{Interrupted, Running};
use super::Paper;
use super::mailboxes::Mailboxes;
use super::users::{names, not_administered};
use crate::cli::QueueCommand;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::figures;
use crate::runtime;
use crate::store::{Finding, Inspection, LetterSummary, MailboxSummary, UserName};

/// A mailbox, as the operator reads of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Mailbox {
    user: u16,
    /// Whether it is that of an account of the server itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    canary: bool,
    letters: u64,
    bytes: u64,
    /// When the first of its letters was accepted, in UTC.
    oldest: String,
}

/// A letter, as the operator reads of it: nothing of what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Letter {
    place: u64,
    packet_id: String,
    sender: u16,
    /// In UTC.
    accepted: String,
    bytes: u64,
}

/// Letters that were taken out of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Expired {
    user: u16,
    expired_letters: u64,
}

const MAILBOXES: &str = " user  letters          size  oldest";
const LETTERS: &str =
    "     place  packet id                          from  accepted                     size";

impl Mailbox {
    fn of(summary: &MailboxSummary, canary: bool) -> Self {
        let MailboxSummary { owner, letters, bytes, oldest } = *summary;
        Self { user: owner.get(), canary, letters, bytes, oldest: clock::written(oldest) }
    }

    fn row(out: &mut dyn Write, mailbox: &Self) -> io::Result<()> {
        let Self { user, canary, letters, bytes, oldest } = mailbox;
        let (size, mark) = (figures::bytes(*bytes), if *canary { "  canary" } else { "" });
        writeln!(out, "{user:>5}  {letters:>7}  {size:>12}  {oldest}{mark}")
    }
}

impl Letter {
    fn of(summary: &LetterSummary) -> Self {
        let LetterSummary { queue_id, id, sender, accepted_at, bytes } = *summary;
        Self {
            place: queue_id.0,
            packet_id: id.to_string(),
            sender: sender.get(),
            accepted: clock::written(accepted_at),
            bytes,
        }
    }

    fn row(out: &mut dyn Write, letter: &Self) -> io::Result<()> {
        let Self { place, packet_id, sender, accepted, bytes } = letter;
        let size = figures::bytes(*bytes);
        writeln!(out, "{place:>10}  {packet_id:<32}  {sender:>5}  {accepted:<20}  {size:>11}")
    }
}

// ---- In the server ----

/// The mailboxes with the most letters, the fullest first.
pub(super) fn largest(
    running: &Running,
    top: usize,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    // The fullest first, and no more of them than are asked for.
    let mut largest: BTreeMap<(Reverse<u64>, UserId), MailboxSummary> = BTreeMap::new();
    let (mut mailboxes, mut still) = (Mailboxes::default(), Still::new());
    while let Some(mailbox) = mailboxes.next(|what| {
        still.tell(answer)?;
        running.inspect(answer, what)
    })? {
        largest.insert((Reverse(mailbox.letters), mailbox.owner), mailbox);
        if largest.len() > top {
            largest.pop_last();
        }
    }
    for mailbox in largest.values() {
        let owner = Inspection::User(UserName::Id(mailbox.owner));
        let Finding::Users(owner) = running.inspect(answer, owner)? else { continue };
        let is_canary = owner.first().is_some_and(|owner| owner.phone.is_reserved());
        item(answer, Mailbox::of(mailbox, is_canary))?;
    }
    Ok(())
}

pub(super) fn letters(
    running: &Running,
    user: UserName,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let user = running.user(answer, &user)?.id;
    let mut last = QueueId(0);
    while let Finding::Letters(page) = running.inspect(answer, Inspection::Letters(user, last))? {
        let Some(letter) = page.last() else { break };
        last = letter.queue_id;
        for letter in &page {
            item(answer, Letter::of(letter))?;
        }
    }
    Ok(())
}

pub(super) fn expire(
    running: &Running,
    caller: Caller,
    (user, older_than_s): (UserName, u64),
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let user = running.user(answer, &user)?;
    let arguments = names(&user).with("older-than-seconds", older_than_s);
    let expired = running.act((caller, answer), "queue expire", arguments, |answer| {
        let before = before(clock::unix_now(), older_than_s);
        let ended = running.ask_owner(answer, user.id, |sender| {
            runtime::Request::ExpireLetters(user.id, before, sender)
        })?;
        match ended {
            Ok(Administered::Expired { letters }) => {
                let expired = Expired { user: user.id.get(), expired_letters: letters };
                let detail = figures::count(letters, "letter", "letters");
                Ok((expired, Outcome::done(detail)))
            }
            other => Err(not_administered(running, user.id, other).into()),
        }
    })?;
    item(answer, expired)
}

/// Letters that were accepted before this moment are at least so old.
fn before(now: UnixTime, age_s: u64) -> UnixTime {
    now.shifted(1_i64.saturating_sub_unsigned(age_s))
}

// ---- For the operator ----

pub(super) fn run(
    connection: Connection,
    command: &QueueCommand,
    paper: &mut Paper<'_>,
) -> Result<(), Failure> {
    match *command {
        QueueCommand::List { top } => {
            let top = top.into();
            paper.list(connection, Request::Mailboxes { top }, MAILBOXES, Mailbox::row)
        }
        QueueCommand::Show { user } => {
            paper.list(connection, Request::Letters { user }, LETTERS, Letter::row)
        }
        QueueCommand::Expire { user, older_than, yes } => {
            if !yes {
                return Err(Failure::new(
                    Exit::Usage,
                    "letters that expire are gone, and their senders are told so: repeat the command \
                     with --yes",
                ));
            }
            let request = Request::ExpireLetters { user, older_than_s: older_than.as_secs() };
            paper.act(connection, request, |out, expired: &Expired| {
                let letters = figures::count(expired.expired_letters, "letter", "letters");
                writeln!(out, "{letters} for user {} expired", expired.user)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_are_exactly_so_old_expire() {
        let now = UnixTime::from_seconds(1_000);
        assert!(UnixTime::from_seconds(900) < before(now, 100));
        assert!(UnixTime::from_seconds(901) >= before(now, 100));
        assert!(now < before(now, 0));
        assert!(before(now, u64::MAX) < UnixTime::from_seconds(i64::MIN / 2));
    }
}
