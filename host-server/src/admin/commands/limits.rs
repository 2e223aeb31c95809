//! `users limits`.

use std::io::{self, Write};
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use waxwing_core::server::Administered;
use waxwing_core::server::storage::OwnLimits;

use super::super::audit::{Arguments, Outcome};
use super::super::control::{Answer, Caller};
use super::super::protocol::{NewLimits, Problem, item};
use super::super::running::{Interrupted, Running};
use super::users::{names, not_administered};
use crate::exit::Exit;
use crate::figures;
use crate::runtime;
use crate::store::UserName;

/// What the settings for everybody take, too.
pub(crate) const LETTERS: RangeInclusive<u32> = 1..=10_000_000;
const BYTES: RangeInclusive<u64> = 1 << 10..=1 << 40;

/// What may wait for a user; nothing for what is as the configuration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Limits {
    letters: Option<u32>,
    bytes: Option<u64>,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Set {
    user: u16,
    limits: Limits,
    /// Those of before; nothing if they were those of everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced: Option<Limits>,
}

impl Limits {
    /// Nothing, if they are those of everybody.
    pub(super) fn of(limits: &OwnLimits) -> Option<Self> {
        let OwnLimits { letters, bytes } = *limits;
        (*limits != OwnLimits::default()).then_some(Self { letters, bytes })
    }

    pub(super) fn page(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "limits     {}", self.words())
    }

    fn words(&self) -> String {
        let letters =
            self.letters.map(|letters| figures::count(letters.into(), "letter", "letters"));
        let letters = letters.unwrap_or_else(|| "as many letters as the configuration says".into());
        let bytes = self.bytes.map(figures::bytes);
        let bytes = bytes.unwrap_or_else(|| "as many bytes as the configuration says".into());
        format!("{letters}, {bytes}")
    }

    /// For the audit log.
    fn note(&self, arguments: Arguments) -> Arguments {
        let words = |limit: Option<u64>| limit.map_or("default".to_owned(), |n| n.to_string());
        arguments
            .with("letters", words(self.letters.map(u64::from)))
            .with("bytes", words(self.bytes))
    }
}

impl Set {
    pub(super) fn line(out: &mut dyn Write, set: &Self) -> io::Result<()> {
        let Self { user, limits, replaced } = set;
        writeln!(out, "so much may wait for user {user}: {}", limits.words())?;
        replaced.map_or(Ok(()), |before| writeln!(out, "before, that was: {}", before.words()))
    }
}

pub(super) fn set(
    running: &Running,
    caller: Caller,
    (user, new): (UserName, NewLimits),
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let user = running.user(answer, &user)?;
    let limits = match new {
        NewLimits::Default {} => OwnLimits::default(),
        NewLimits::Own { letters, bytes } => OwnLimits {
            letters: letters.or(user.limits.letters),
            bytes: bytes.or(user.limits.bytes),
        },
    };
    if let Some(why) = out_of_range(limits) {
        return Err(Problem::new(Exit::Usage, why).into());
    }
    let shown = Limits { letters: limits.letters, bytes: limits.bytes };
    let arguments = shown.note(names(&user));
    let set = running.act((caller, answer), "users limits", arguments, |answer| {
        let ended = running.ask_owner(answer, user.id, |sender| {
            runtime::Request::SetLimits(user.id, limits, sender)
        })?;
        match ended {
            Ok(Administered::Stored) => {
                let replaced = Limits::of(&user.limits);
                Ok((Set { user: user.id.get(), limits: shown, replaced }, Outcome::done("")))
            }
            other => Err(not_administered(running, user.id, other).into()),
        }
    })?;
    item(answer, set)
}

fn out_of_range(OwnLimits { letters, bytes }: OwnLimits) -> Option<String> {
    if letters.is_some_and(|letters| !LETTERS.contains(&letters)) {
        let (least, most) = (LETTERS.start(), LETTERS.end());
        return Some(format!("--letters has to be from {least} to {most}"));
    }
    bytes.is_some_and(|bytes| !BYTES.contains(&bytes)).then(|| {
        "--bytes has to be from 1KiB to 1024GiB; --letters 1 lets least of all wait".into()
    })
}
