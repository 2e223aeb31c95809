//! What a person can tell the client to do; one file per command.

mod ask;
mod block;
mod chat;
mod contacts;
mod delete;
mod history;
mod host;
mod outbox;
mod packet;
mod receive;
mod register;
mod send;
mod typed;
mod verify;
mod whoami;

use std::path::{Path, PathBuf};

pub use crate::console::Console;
use waxwing_core::phone::Phone;

use crate::args::{Args, Command};
use crate::clock;
use crate::exit::Failure;
use crate::home::{Home, HomeError, Identity, OutboxId, OutboxStatus, Relation};
use crate::session::stopped_holder;

/// The directory of the home that a command works in.
///
/// # Errors
/// [`HomeError::NoDefault`] when neither the person nor the environment names one.
pub fn home_dir(args: &Args) -> Result<PathBuf, HomeError> {
    args.home.clone().map_or_else(Home::default_dir, Ok)
}

/// Does what was typed.
///
/// # Errors
/// [`Failure`], which knows the exit code.
pub fn run(args: &Args, console: &mut Console<'_>) -> Result<(), Failure> {
    let dir = || home_dir(args);
    let done = match &args.command {
        Command::Register(register) => register::run(&dir()?, register, console),
        Command::Whoami => whoami::run(&dir()?, console),
        Command::Contacts => contacts::run(&dir()?, console),
        Command::Send(send) => send::run(&dir()?, send, console),
        Command::Receive(receive) => receive::run(&dir()?, receive, console),
        Command::Outbox(outbox) => outbox::run(&dir()?, outbox, console),
        Command::Chat { phone } => chat::run(&dir()?, phone, console),
        Command::Verify(verify) => verify::run(&dir()?, verify, console),
        Command::History { phone, json } => history::run(&dir()?, phone, *json, console),
        Command::Block { phone } => block::block(&dir()?, phone, console),
        Command::Unblock { phone } => block::unblock(&dir()?, phone, console),
        Command::Delete(delete) => delete::run(&dir()?, delete, console),
        Command::Packet(packet) => packet::run(packet, console),
    };
    match done {
        Err(Failure::Storage(error)) if error.is_locked() => {
            Err(stopped_holder(&dir()?).map_or(Failure::Storage(error), Into::into))
        }
        done => done,
    }
}

/// What keeps a waiting letter, or those behind it, from being tried now.
fn obstacle(home: &Home, letter: OutboxId) -> Result<Option<Failure>, Failure> {
    let held_up_by = home.outbox().held_up_by(letter, clock::now())?;
    Ok(held_up_by.as_ref().and_then(refusal))
}

/// Why a letter was refused, if it was.
fn refusal(status: &OutboxStatus) -> Option<Failure> {
    let why = status.refusal_text.as_deref().filter(|text| !text.is_empty());
    match status.refusal_code {
        Some(code) => {
            let pause = status.not_before.minus(clock::now()).max(0);
            Some(Failure::refused(code, u16::try_from(pause).unwrap_or(u16::MAX)))
        }
        None if status.is_given_up() => why.map(|why| Failure::Refused(why.into())),
        None => why.map(|why| Failure::Untrusted(why.into())),
    }
}

/// Refuses to write to somebody whose answers would be discarded.
fn require_unblocked(home: &Home, phone: &Phone) -> Result<(), Failure> {
    match home.relations().with(phone)? {
        Relation::Blocked => Err(Failure::blocked(phone)),
        Relation::Known | Relation::Stranger => Ok(()),
    }
}

/// Opens a home that has an account, for a command that changes nothing in it.
fn open_to_read(dir: &Path) -> Result<(Home, Identity), Failure> {
    let home = Home::open_to_read(dir)?;
    let identity = home.identity()?.ok_or_else(Failure::not_registered)?;
    Ok((home, identity))
}

/// Opens a home that has an account.
fn open(dir: &Path) -> Result<(Home, Identity), Failure> {
    let home = Home::open(dir)?;
    let identity = home.identity()?.ok_or_else(Failure::not_registered)?;
    Ok((home, identity))
}

/// A fingerprint, or part of one, in groups that people can read.
fn grouped_hex(bytes: &[u8]) -> String {
    let groups: Vec<String> = bytes
        .chunks(4)
        .map(|group| group.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    groups.join(" ")
}
