//! What stands inside a seal, or in clear: field by field, and then the verdict of the core's parser.

use std::fmt::Display;
use std::io;

use waxwing_core::limits::MAX_WINDOW;
use waxwing_core::phone::Phone;
use waxwing_core::wire::{
    BacklogSize, ClientReport, CloseReason, ErrorCode, KeyAnswer, KeyQuestion, Malformed, Op,
    OtpGrant, Refusal, RegistrationRejected, Statuses, Successor,
};

use super::tree::Tree;
use crate::keylog::hex;
use crate::show::for_line;

/// Of several ways to open a content, the one that reads; if none does, the first.
pub(super) fn best(opened: Vec<Vec<u8>>, op: Op, from_client: bool) -> Option<Vec<u8>> {
    let reads = opened.iter().position(|content| parse(op, from_client, content).is_ok());
    opened.into_iter().nth(reads.unwrap_or(0))
}

/// Whether the core's parser takes the content.
fn parse(op: Op, from_client: bool, content: &[u8]) -> Result<(), Malformed> {
    match op {
        Op::RegistrationRejected => RegistrationRejected::parse(content).map(drop),
        Op::OtpIssued => OtpGrant::parse(content).map(drop),
        Op::Acknowledgment if from_client => ClientReport::parse(content).map(drop),
        Op::Acknowledgment => Statuses::parse(content).map(drop),
        Op::KeyQuestion => KeyQuestion::parse(content).map(drop),
        Op::KeyAnswer if about_server(content) => Successor::parse(content).map(drop),
        Op::KeyAnswer => KeyAnswer::parse(content).map(drop),
        Op::BacklogEnd => BacklogSize::parse(content).map(drop),
        Op::Close => CloseReason::parse(content).map(drop),
        Op::Refusal => Refusal::parse(content).map(drop),
        Op::RegistrationRequest
        | Op::OtpProof
        | Op::Letter
        | Op::ReconnectRequest
        | Op::SessionIssued
        | Op::SessionRenewed => Err(Malformed),
    }
}

/// Offsets count from `at`.
pub(super) fn explain(
    tree: &mut Tree<'_>,
    op: Op,
    from_client: bool,
    at: usize,
    content: &[u8],
) -> io::Result<()> {
    let mut walk = Walk { tree, at, rest: content, is_short: false };
    match op {
        Op::RegistrationRejected => walk.u8("reason", |reason| match reason {
            1 => "the phone has an account",
            _ => "not defined",
        })?,
        Op::OtpIssued => grant(&mut walk)?,
        Op::Acknowledgment if from_client => report(&mut walk)?,
        Op::Acknowledgment => statuses(&mut walk)?,
        Op::KeyQuestion => question(&mut walk)?,
        Op::KeyAnswer => answer(&mut walk)?,
        Op::BacklogEnd => {
            walk.take(4, "count", |bytes| format!("{} letters were pending", little(bytes)))?;
        }
        Op::Close => walk.u8("reason", |reason| match reason {
            1 => "leaving",
            2 => "server stopping",
            3 => "taken over by a newer session",
            4 => "no progress",
            _ => "not defined",
        })?,
        Op::Refusal => refusal(&mut walk)?,
        Op::RegistrationRequest
        | Op::OtpProof
        | Op::Letter
        | Op::ReconnectRequest
        | Op::SessionIssued
        | Op::SessionRenewed => {}
    }
    let Walk { tree, at, rest, is_short } = walk;
    if !rest.is_empty() {
        tree.field(at, rest, "?", "bytes too many")?;
    }
    if is_short {
        tree.fault("malformed: fields are missing")
    } else if parse(op, from_client, content).is_err() {
        tree.fault("malformed")
    } else {
        Ok(())
    }
}

/// What a status means.
pub(super) const fn status(code: u8) -> &'static str {
    match code {
        0 => "unknown",
        1 => "stored",
        2 => "delivered",
        3 => "expired",
        _ => "not defined",
    }
}

/// Goes over a content from field to field.
struct Walk<'t, 'o, 'c> {
    tree: &'t mut Tree<'o>,
    at: usize,
    rest: &'c [u8],
    is_short: bool,
}

impl<'c> Walk<'_, '_, 'c> {
    /// The next bytes, if there are as many.
    fn take<D: Display>(
        &mut self,
        len: usize,
        name: &str,
        meaning: impl FnOnce(&[u8]) -> D,
    ) -> io::Result<Option<&'c [u8]>> {
        let Some((taken, rest)) = self.rest.split_at_checked(len).filter(|_| !self.is_short) else {
            self.is_short = true;
            return Ok(None);
        };
        self.tree.field(self.at, taken, name, meaning(taken))?;
        (self.at, self.rest) = (self.at + len, rest);
        Ok(Some(taken))
    }

    fn u8(&mut self, name: &str, meaning: impl FnOnce(u8) -> &'static str) -> io::Result<()> {
        self.take(1, name, |bytes| format!("{}, {}", bytes[0], meaning(bytes[0]))).map(drop)
    }

    fn number(&mut self, len: usize, name: &str, unit: &str) -> io::Result<Option<u64>> {
        let meaning = |bytes: &[u8]| format!("{} {unit}", little(bytes));
        let taken = self.take(len, name, meaning)?;
        Ok(taken.map(little))
    }

    fn phone(&mut self) -> io::Result<()> {
        let Some(len) = self.number(1, "len", "characters")? else { return Ok(()) };
        let len = usize::try_from(len).unwrap_or_default();
        let read = |bytes: &[u8]| match Phone::parse(bytes) {
            Ok(phone) => phone.as_str().to_owned(),
            Err(_) => "! not a phone number".to_owned(),
        };
        self.take(len, "phone", read).map(drop)
    }

    /// As many entries as a count before them says.
    fn counted(&mut self, mut entry: impl FnMut(&mut Self) -> io::Result<()>) -> io::Result<()> {
        let count = self.number(2, "count", "")?.unwrap_or_default();
        for _ in 0..count {
            if self.is_short {
                break;
            }
            entry(self)?;
        }
        Ok(())
    }

    fn packet_id(&mut self) -> io::Result<()> {
        self.take(16, "packet_id", hex).map(drop)
    }
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

fn grant(walk: &mut Walk<'_, '_, '_>) -> io::Result<()> {
    walk.number(2, "ttl_s", "s that the code lives")?;
    walk.number(1, "attempts", "guesses")?;
    walk.number(2, "resend_s", "s until another is sensible")?;
    let len = walk.number(1, "otp_len", "digits")?.unwrap_or_default();
    if len > 0 {
        let len = usize::try_from(len).unwrap_or_default();
        walk.take(len, "otp", |bytes| String::from_utf8_lossy(bytes).escape_debug().to_string())?;
    }
    Ok(())
}

fn report(walk: &mut Walk<'_, '_, '_>) -> io::Result<()> {
    let kind = walk.rest.first().copied();
    walk.u8("kind", |kind| match kind {
        0 => "confirmation",
        1 => "I hold these letters",
        2 => "what became of these?",
        _ => "not defined",
    })?;
    match kind {
        Some(0) => {
            let unit = format!("letters, of 1 to {MAX_WINDOW}");
            walk.number(1, "window", &unit).map(drop)
        }
        Some(1) => walk.counted(Walk::packet_id),
        Some(2) => walk.counted(|walk| {
            walk.take(2, "recipient_id", |bytes| format!("user {}", little(bytes)))?;
            walk.packet_id()
        }),
        _ => Ok(()),
    }
}

fn statuses(walk: &mut Walk<'_, '_, '_>) -> io::Result<()> {
    walk.counted(|walk| {
        walk.packet_id()?;
        walk.u8("status", status)
    })
}

fn question(walk: &mut Walk<'_, '_, '_>) -> io::Result<()> {
    let form = walk.rest.first().copied();
    walk.u8("form", |form| match form {
        1 => "by id",
        2 => "by phone",
        _ => "not defined",
    })?;
    match form {
        Some(1) => walk.take(2, "user_id", whose).map(drop),
        Some(2) => walk.phone(),
        _ => Ok(()),
    }
}

/// Whether a key answer is about the server's own key.
fn about_server(content: &[u8]) -> bool {
    content.starts_with(&[0, 0])
}

fn answer(walk: &mut Walk<'_, '_, '_>) -> io::Result<()> {
    if about_server(walk.rest) {
        walk.take(2, "user_id", whose)?;
        walk.take(19, "effective", |bytes| for_line(&String::from_utf8_lossy(bytes)))?;
        return walk.take(294, "spki", |_| "the server's public key from then on").map(drop);
    }
    walk.take(2, "user_id", whose)?;
    walk.phone()?;
    walk.take(294, "spki", |_| "the user's public key").map(drop)
}

/// Whose id that is.
fn whose(bytes: &[u8]) -> String {
    match little(bytes) {
        0 => "the server".to_owned(),
        user => format!("user {user}"),
    }
}

fn refusal(walk: &mut Walk<'_, '_, '_>) -> io::Result<()> {
    walk.take(2, "code", |bytes| {
        let code = u16::try_from(little(bytes)).unwrap_or_default();
        let name = ErrorCode::from_code(code).map_or("of a later version", ErrorCode::name);
        format!("{code}, {name}")
    })?;
    walk.take(1, "op", |bytes| match bytes[0] {
        0 => "0: not told".to_owned(),
        op => format!("of the refused packet: {op}"),
    })?;
    walk.number(2, "retry_after_s", "s")?;
    let has_id = walk.number(1, "has_id", "")?;
    if has_id == Some(1) {
        walk.packet_id()?;
    }
    let len = walk.rest.len();
    if len > 0 {
        walk.take(len, "text", |bytes| for_line(&String::from_utf8_lossy(bytes)))?;
    }
    Ok(())
}
