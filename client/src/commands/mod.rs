//! What a person can tell the client to do; one file per command.

mod accounts;
mod ask;
mod block;
mod chat;
mod consumers;
mod contacts;
mod conversations;
mod delete;
pub(crate) mod discarded;
mod history;
mod host;
mod key_news;
mod name;
mod outbox;
mod packet;
mod receive;
mod recover;
mod register;
mod rpc;
mod search;
mod send;
mod tui;
mod typed;
mod verify;
mod whoami;

use std::path::PathBuf;

pub use crate::console::Console;
use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;

use crate::accounts::Accounts;
use crate::args::{Args, Command};
use crate::backend::rng;
use crate::clock;
use crate::exit::Failure;
use crate::home::{Home, Identity, LetterId, OutboxId, OutboxStatus, Relation};
use crate::phone::Country;
use crate::session::{Session, stopped_holder};
use crate::settings::Settings;
use crate::show;
use crate::who::Who;

/// The directory of the home that a command works in.
///
/// # Errors
/// [`Failure::Config`] when neither the person nor the environment names one, or there is no such
/// account.
pub fn home_dir(args: &Args, settings: &Settings) -> Result<PathBuf, Failure> {
    if let Some(home) = &args.home {
        return Ok(home.clone());
    }
    let accounts = Accounts::of_user()?;
    let (name, place) = match (&args.account, &settings.account) {
        (Some(name), _) => (name.clone(), "--account".to_owned()),
        (None, Some(name)) => (name.clone(), Settings::place_of_account()),
        (None, None) => (accounts.default_name()?, accounts.default_file().display().to_string()),
    };
    if accounts.has(&name) {
        return Ok(accounts.home_of(&name));
    }
    Err(Failure::Config(format!(
        "there is no account {name}, which {place} names; `waxwing accounts list` shows those that there are, and `waxwing \
         accounts add {name}` makes one"
    )))
}

/// The home, if somebody has registered in it. One whose registration has begun has no account yet.
fn registered(home: Home) -> Result<(Home, Identity), Failure> {
    let identity = home.identity()?.filter(|identity| identity.user_id().is_some());
    let identity = identity.ok_or_else(Failure::not_registered)?;
    Ok((home, identity))
}

/// Where a command works, and what the person has set.
struct Place<'a> {
    dir: PathBuf,
    country: Option<&'a Country>,
    settings: &'a Settings,
}

impl Place<'_> {
    /// Opens a home that has an account, for a command that changes nothing in it.
    fn open_to_read(&self) -> Result<(Home, Identity), Failure> {
        registered(Home::open_to_read(&self.dir)?)
    }

    /// Opens a home that has an account.
    fn open(&self) -> Result<(Home, Identity), Failure> {
        registered(Home::open(&self.dir)?)
    }

    /// Deletes letters that are older than they are to be kept, some at a time. A clock that is wrong for
    /// once must not delete everything: what is old is so by the clocks of both this machine and the
    /// server.
    fn forget_old(&self, home: &Home, session: &Session<'_>) -> Result<(), Failure> {
        if let (Some(kept), Some(now)) = (self.settings.retention, session.agreed_time()) {
            home.forget_older(kept, now)?;
        }
        Ok(())
    }

    /// A person has got these letters. Their senders are told so, if the person wants that; how many
    /// receipts go out.
    fn note_read(&self, home: &Home, letters: &[LetterId]) -> Result<usize, Failure> {
        home.letters().mark_printed(letters)?;
        if !self.settings.receipts {
            return Ok(0);
        }
        Ok(home.queue_receipts(letters, || Uid::generate(&mut rng()), clock::now())?)
    }

    /// Who is meant. A number that was not typed as it is used is shown.
    fn find(&self, home: &Home, who: &Who, console: &mut Console<'_>) -> Result<Phone, Failure> {
        let phone = who.find(home, self.country)?;
        self.show_number(who, &phone, console)?;
        Ok(phone)
    }

    /// The same for what makes no sense with oneself.
    fn find_other(
        &self,
        (home, identity): (&Home, &Identity),
        who: &Who,
        console: &mut Console<'_>,
    ) -> Result<Phone, Failure> {
        let phone = self.find(home, who, console)?;
        if identity.phone == phone {
            return Err(Failure::Usage("this is your own phone number".into()));
        }
        Ok(phone)
    }

    fn show_number(
        &self,
        who: &Who,
        phone: &Phone,
        console: &mut Console<'_>,
    ) -> Result<(), Failure> {
        let typed = who.as_typed();
        if who.number(self.country)?.is_some() && typed != phone.as_str() {
            writeln!(console.remarks, "{typed} is {}", phone.as_str())?;
        }
        Ok(())
    }
}

/// Does what was typed.
///
/// # Errors
/// [`Failure`], which knows the exit code.
pub fn run(args: &Args, settings: &Settings, console: &mut Console<'_>) -> Result<(), Failure> {
    match args.wanted() {
        Command::Packet(packet) => return packet::run(packet, console),
        Command::Accounts(words) => return accounts::run(args, words, settings, console),
        _ => {}
    }
    let country = args.country.as_ref().or(settings.country.as_ref());
    let place = Place { dir: home_dir(args, settings)?, country, settings };
    match run_in(&place, args.wanted(), console) {
        Err(Failure::Storage(error)) if error.is_locked() => {
            Err(stopped_holder(&place.dir).map_or(Failure::Storage(error), Into::into))
        }
        Err(Failure::Storage(error)) => Err(Failure::Storage(error.of_home(&place.dir))),
        done => done,
    }
}

fn run_in(place: &Place<'_>, command: &Command, console: &mut Console<'_>) -> Result<(), Failure> {
    match command {
        Command::Register(register) => register::run(place, register, console),
        Command::Whoami { json } => whoami::run(place, *json, console),
        Command::Contacts { json } => contacts::run(place, *json, console),
        Command::Conversations { archived, json } => {
            conversations::list(place, *archived, *json, console)
        }
        Command::Requests { json } => conversations::requests(place, *json, console),
        Command::Accept(person) => conversations::accept(place, person, console),
        Command::Name(naming) => name::run(place, naming, console),
        Command::Search(search) => search::run(place, search, console),
        Command::Send(send) => send::run(place, send, console),
        Command::Receive(receive) => receive::run(place, receive, console),
        Command::Rpc(args) => rpc::run(place, args, console),
        Command::Consumers(words) => consumers::run(place, words, console),
        Command::Outbox(outbox) => outbox::run(place, outbox, console),
        Command::Chat { who } => chat::run(place, who, console),
        Command::Tui => tui::run(place, console),
        Command::Verify(verify) => verify::run(place, verify, console),
        Command::History { who, limit, json } => history::run(place, who, *limit, *json, console),
        Command::Block(person) => block::block(place, person, console),
        Command::Unblock(person) => block::unblock(place, person, console),
        Command::Archive(person) => conversations::archive(place, person, true, console),
        Command::Unarchive(person) => conversations::archive(place, person, false, console),
        Command::Mute(mute) => conversations::mute(place, mute, console),
        Command::Unmute(person) => conversations::unmute(place, person, console),
        Command::Recover { json } => recover::run(place, *json, console),
        Command::Delete(delete) => delete::run(place, delete, console),
        // They work in no home.
        Command::Packet(_) | Command::Accounts(_) => Ok(()),
    }
}

/// What keeps a waiting letter, or those behind it, from being tried now.
fn obstacle(home: &Home, letter: OutboxId) -> Result<Option<Failure>, Failure> {
    let held_up_by = home.outbox().held_up_by(letter, clock::now())?;
    Ok(held_up_by.as_ref().and_then(|status| match status.refusal_code {
        Some(code) => Some(Failure::postponed(code, pause(status))),
        None => refusal(status),
    }))
}

/// Why a letter was refused, if it was.
fn refusal(status: &OutboxStatus) -> Option<Failure> {
    let why = status.refusal_text.as_deref().filter(|text| !text.is_empty());
    match status.refusal_code {
        Some(code) => Some(Failure::refused(code, pause(status))),
        None if status.is_given_up() => why.map(|why| Failure::Refused(why.into())),
        None => why.map(|why| Failure::Untrusted(why.into())),
    }
}

/// Seconds until it is tried again.
fn pause(status: &OutboxStatus) -> u16 {
    let pause = status.not_before.minus(clock::now()).max(0);
    u16::try_from(pause).unwrap_or(u16::MAX)
}

/// Refuses to write to somebody whose answers would be discarded.
pub(crate) fn require_unblocked(home: &Home, phone: &Phone) -> Result<(), Failure> {
    if home.relations().with(phone)? != Relation::Blocked {
        return Ok(());
    }
    Err(Failure::blocked(home.conversations().name_of(phone)?.as_deref(), phone))
}

/// A fingerprint, or part of one, in groups that people can read.
fn grouped_hex(bytes: &[u8]) -> String {
    let groups: Vec<String> = bytes
        .chunks(4)
        .map(|group| group.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    groups.join(" ")
}

/// A value as a line of JSON.
fn json_line(value: &impl serde::Serialize, console: &mut Console<'_>) -> Result<(), Failure> {
    writeln!(console.output, "{}", show::json(value))?;
    Ok(())
}
