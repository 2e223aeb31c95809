//! `users export`: all that is held about one person, as lines of JSON.
//!
//! It is written as it is found, and nobody holds all of it: a user may have a hundred thousand letters.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use rustix::fs::{FileType, fstat, statvfs};
use serde::{Deserialize, Serialize};
use waxwing_core::id::UserId;
use waxwing_core::server::storage::QueueId;
use waxwing_core::time::Timestamp;

use super::super::audit::{self, AuditLog, Line};
use super::super::control::{Answer, Caller, Connection};
use super::super::patience::Still;
use super::super::protocol::{self, Asked, Request, item};
use super::super::running::{Interrupted, Running};
use super::Paper;
use super::limits::Limits;
use super::mailboxes::{self, Waiting};
use super::suspensions::Suspended;
use super::users::{found, names};
use crate::access;
use crate::clock;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::figures;
use crate::key;
use crate::store::{
    AsideLetter, Engine, FateSummary, Finding, Inspection, LetterSummary, SentLetter, UserName,
    UserSummary,
};

const COMMAND: &str = "users export";

/// One line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Held {
    /// The first line.
    Account(Account),
    /// A letter that waits for the person.
    WaitingLetter(Letter),
    /// A letter from the person that waits for somebody else.
    SentLetter(Letter),
    /// That a letter from or to the person was not delivered.
    Undelivered(Undelivered),
    /// A letter from or to the person that was found damaged and set aside.
    DamagedLetter(Aside),
    /// A line of the audit log about the person.
    AuditLine(Line),
    /// The last line: an export without it was cut off.
    Complete(Complete),
}

/// What is held of the account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Account {
    id: u16,
    phone: String,
    /// The SHA-256 of the public key, in hexadecimal.
    key_fingerprint: String,
    /// The public key, DER in Base64.
    key_spki: String,
    /// In UTC; nothing before the first session.
    last_seen: Option<String>,
    pending_letters: u64,
    pending_bytes: u64,
    suspended: Option<Suspended>,
    limits: Option<Limits>,
}

/// A letter, as far as the server knows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Letter {
    place: u64,
    packet_id: String,
    sender: u16,
    recipient: u16,
    /// In UTC.
    accepted: String,
    bytes: u64,
    /// The sealed packet, in Base64, if it was asked for and is still there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    packet: Option<String>,
}

/// What became of a letter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Undelivered {
    packet_id: String,
    sender: u16,
    recipient: u16,
    /// In UTC.
    removed: String,
}

/// A letter that was set aside, as far as what is left of it makes sense.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Aside {
    place: u64,
    packet_id: Option<String>,
    sender: Option<u16>,
    recipient: Option<u16>,
    /// In UTC.
    set_aside: String,
}

/// What all of it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Complete {
    /// In UTC.
    exported: String,
    /// With this one.
    lines: u64,
    not_held: String,
}

/// Said in every export.
const NOT_HELD: &str = "the server does not keep when somebody registered, nor letters that were delivered; bans are \
     about addresses, and limits that outlive a restart are counted under hashes that name nobody";

impl Account {
    fn of(user: &UserSummary, waiting: Waiting) -> Self {
        Self {
            id: user.id.get(),
            phone: user.phone.as_str().to_owned(),
            key_fingerprint: format!("{:?}", key::digest(&user.spki)),
            key_spki: Base64::encode_string(user.spki.as_bytes()),
            last_seen: user.last_seen.map(Timestamp::to_unix).map(clock::written),
            pending_letters: waiting.letters,
            pending_bytes: waiting.bytes,
            suspended: user.suspended.as_ref().and_then(Suspended::of),
            limits: Limits::of(&user.limits),
        }
    }
}

impl Letter {
    fn waiting(user: &UserSummary, letter: &LetterSummary) -> Self {
        Self {
            place: letter.queue_id.0,
            packet_id: letter.id.to_string(),
            sender: letter.sender.get(),
            recipient: user.id.get(),
            accepted: clock::written(letter.accepted_at),
            bytes: letter.bytes,
            packet: None,
        }
    }

    fn sent(user: &UserSummary, letter: &SentLetter) -> Self {
        Self {
            place: letter.queue_id.0,
            packet_id: letter.id.to_string(),
            sender: user.id.get(),
            recipient: letter.recipient.get(),
            accepted: clock::written(letter.accepted_at),
            bytes: letter.bytes,
            packet: None,
        }
    }
}

impl Undelivered {
    fn of(fate: &FateSummary) -> Self {
        Self {
            packet_id: fate.id.to_string(),
            sender: fate.sender.get(),
            recipient: fate.recipient.get(),
            removed: clock::written(fate.removed_at),
        }
    }
}

impl Aside {
    fn of(letter: &AsideLetter) -> Self {
        Self {
            place: letter.queue_id.0,
            packet_id: letter.id.map(|id| id.to_string()),
            sender: letter.sender.map(UserId::get),
            recipient: letter.recipient.map(UserId::get),
            set_aside: clock::written(letter.set_aside_at),
        }
    }
}

/// Who looks things up for an export, and takes what was found.
trait Clerk {
    type Error: From<Failure>;

    fn look(&mut self, what: Inspection) -> Result<Finding, Self::Error>;

    fn log(&self) -> &AuditLog;

    fn write(&mut self, held: Held) -> Result<(), Self::Error>;

    /// Nothing was found for a while.
    fn still(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// An export while it is written.
struct Export<'a, C> {
    user: &'a UserSummary,
    /// Whether sealed letters are in it.
    letters: bool,
    clerk: &'a mut C,
    lines: u64,
}

impl<'a, C: Clerk> Export<'a, C> {
    fn new(user: &'a UserSummary, letters: bool, clerk: &'a mut C) -> Self {
        Self { user, letters, clerk, lines: 0 }
    }

    /// Has all of it written.
    fn write(mut self) -> Result<(), C::Error> {
        let waiting = mailboxes::waiting_for(self.user.id, |what| {
            self.clerk.still()?;
            self.clerk.look(what)
        })?;
        self.line(Held::Account(Account::of(self.user, waiting)))?;
        self.waiting_letters()?;
        self.sent_letters()?;
        self.undelivered()?;
        self.damaged_letters()?;
        self.audit_lines()?;
        let exported = clock::written(clock::unix_now());
        let (lines, not_held) = (self.lines + 1, NOT_HELD.to_owned());
        self.line(Held::Complete(Complete { exported, lines, not_held }))
    }

    fn line(&mut self, held: Held) -> Result<(), C::Error> {
        self.lines += 1;
        self.clerk.write(held)
    }

    fn waiting_letters(&mut self) -> Result<(), C::Error> {
        let (user, mut last) = (self.user, QueueId(0));
        while let Finding::Letters(page) = self.clerk.look(Inspection::Letters(user.id, last))? {
            let Some(letter) = page.last() else { break };
            last = letter.queue_id;
            for letter in &page {
                let packet = self.packet(letter.queue_id)?;
                let letter = Letter { packet, ..Letter::waiting(user, letter) };
                self.line(Held::WaitingLetter(letter))?;
            }
        }
        Ok(())
    }

    fn sent_letters(&mut self) -> Result<(), C::Error> {
        let (user, mut last) = (self.user, None);
        loop {
            let found = self.clerk.look(Inspection::SentLetters(user.id, last))?;
            let Finding::SentLetters(stretch) = found else { return Ok(()) };
            for letter in &stretch.found {
                let packet = self.packet(letter.queue_id)?;
                self.line(Held::SentLetter(Letter { packet, ..Letter::sent(user, letter) }))?;
            }
            self.clerk.still()?;
            last = stretch.next;
            if last.is_none() {
                return Ok(());
            }
        }
    }

    fn undelivered(&mut self) -> Result<(), C::Error> {
        let mut last = None;
        loop {
            let found = self.clerk.look(Inspection::Fates(self.user.id, last))?;
            let Finding::Fates(stretch) = found else { return Ok(()) };
            for fate in &stretch.found {
                self.line(Held::Undelivered(Undelivered::of(fate)))?;
            }
            self.clerk.still()?;
            last = stretch.next;
            if last.is_none() {
                return Ok(());
            }
        }
    }

    fn damaged_letters(&mut self) -> Result<(), C::Error> {
        let mut last = QueueId(0);
        loop {
            let found = self.clerk.look(Inspection::Aside(self.user.id, last))?;
            let Finding::Aside(stretch) = found else { return Ok(()) };
            for letter in &stretch.found {
                self.line(Held::DamagedLetter(Aside::of(letter)))?;
            }
            self.clerk.still()?;
            let Some(next) = stretch.next else { return Ok(()) };
            last = next;
        }
    }

    fn audit_lines(&mut self) -> Result<(), C::Error> {
        let log = self.clerk.log().clone();
        log.about(self.user.id, |line| match line {
            Some(line) => self.line(Held::AuditLine(line.clone())),
            None => self.clerk.still(),
        })
    }

    /// A sealed letter, if it is asked for.
    fn packet(&mut self, place: QueueId) -> Result<Option<String>, C::Error> {
        if !self.letters {
            return Ok(None);
        }
        let Finding::Packet(packet) = self.clerk.look(Inspection::Packet(place))? else {
            return Ok(None);
        };
        Ok(packet.map(|packet| Base64::encode_string(&packet)))
    }
}

// ---- In the server ----

/// Looks things up in a running server, and sends what was found to the command.
struct InServer<'a, 'b> {
    running: &'a Running,
    answer: &'a mut Answer<'b>,
    still: Still,
}

impl Clerk for InServer<'_, '_> {
    type Error = Interrupted;

    fn look(&mut self, what: Inspection) -> Result<Finding, Interrupted> {
        self.running.inspect(self.answer, what)
    }

    fn log(&self) -> &AuditLog {
        &self.running.audit
    }

    fn write(&mut self, held: Held) -> Result<(), Interrupted> {
        self.still.told();
        item(self.answer, held)
    }

    fn still(&mut self) -> Result<(), Interrupted> {
        self.still.tell(self.answer)
    }
}

pub(super) fn answer(
    running: &Running,
    caller: Caller,
    (user, letters): (UserName, bool),
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let user = running.user(answer, &user)?;
    let arguments = names(&user).with("letters", letters);
    running.note_shown((caller, answer), COMMAND, arguments)?;
    let mut clerk = InServer { running, answer, still: Still::new() };
    Export::new(&user, letters, &mut clerk).write()
}

// ---- For the operator ----

/// Where an export goes.
struct Sheet<'a> {
    out: Box<dyn Write + 'a>,
    /// The file that was made for it, if one was.
    made: Option<(PathBuf, File)>,
    lines: u64,
    floor: Option<Floor>,
}

/// So much has to stay free of the disk on which the export is written, as it is that of the data directory.
struct Floor {
    data: PathBuf,
    bytes: u64,
}

impl Floor {
    /// `None` if the export goes to another disk, or to none.
    fn of(config: &Config, output: impl AsFd) -> Option<Self> {
        let output = fstat(output).ok()?;
        let data = &config.server.data;
        let is_file = FileType::from_raw_mode(output.st_mode) == FileType::RegularFile;
        let is_there = fs::metadata(data).is_ok_and(|data| data.dev() == output.st_dev);
        let bytes = config.storage.min_free_disk;
        (is_file && is_there).then(|| Self { data: data.clone(), bytes })
    }

    fn check(&self) -> Result<(), Failure> {
        let Ok(disk) = statvfs(&self.data) else { return Ok(()) };
        if disk.f_bavail.saturating_mul(disk.f_frsize) >= self.bytes {
            return Ok(());
        }
        let floor = figures::bytes(self.bytes);
        let message = format!(
            "less than storage.min_free_disk ({floor}) is left of the disk of {}, which the server needs: make room \
             there, or let the export go to another disk",
            self.data.display()
        );
        Err(Failure::new(Exit::Storage, message))
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Written {
    file: PathBuf,
    lines: u64,
}

impl<'a> Sheet<'a> {
    /// A new file for its owner alone, or else `out`.
    fn new(
        config: &Config,
        output: Option<&Path>,
        out: &'a mut dyn Write,
    ) -> Result<Self, Failure> {
        let Some(path) = output else {
            let floor = Floor::of(config, io::stdout());
            return Ok(Self { out: Box::new(out), made: None, lines: 0, floor });
        };
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = made.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Failure::new(
                Exit::Config,
                format!(
                    "{} is there already, and stays as it is: name another file",
                    path.display()
                ),
            ),
            _ => unwritable(path, &error),
        })?;
        let out = file.try_clone().map_err(|error| unwritable(path, &error))?;
        let floor = Floor::of(config, &file);
        let made = Some((path.to_owned(), file));
        Ok(Self { out: Box::new(BufWriter::new(out)), made, lines: 0, floor })
    }

    fn line(&mut self, held: &Held) -> Result<(), Failure> {
        self.floor.as_ref().map_or(Ok(()), Floor::check)?;
        self.lines += 1;
        // Nothing in a line can fail to be written.
        let json = serde_json::to_string(held).unwrap_or_default();
        let written = writeln!(self.out, "{json}");
        written.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Failure {
        match &self.made {
            Some((path, _)) => unwritable(path, &error),
            None => Failure::output(error),
        }
    }

    /// All of it is there; or else the file must not be, since nobody would see what it lacks.
    fn end(mut self, exported: Result<(), Failure>) -> Result<Option<Written>, Failure> {
        let ended = exported.and_then(|()| {
            let flushed = self.out.flush();
            let synced = flushed.and_then(|()| match &self.made {
                Some((_, file)) => file.sync_all(),
                None => Ok(()),
            });
            synced.map_err(|error| self.failed(error))
        });
        let Self { made, lines, .. } = self;
        let path = made.map(|(path, _)| path);
        if let (Err(_), Some(path)) = (&ended, &path) {
            let _ = fs::remove_file(path);
        }
        ended.map(|()| path.map(|file| Written { file, lines }))
    }
}

impl Written {
    fn line(out: &mut dyn Write, written: &Self) -> io::Result<()> {
        let lines = figures::count(written.lines, "line", "lines");
        writeln!(out, "wrote {lines} to {}", written.file.display())
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let why = access::cannot_open(path, error);
    Failure::new(Exit::Storage, format!("{} cannot be written: {why}", path.display()))
}

pub(super) fn run(
    connection: Connection,
    (user, letters, output): (UserName, bool, Option<&Path>),
    paper: &mut Paper<'_>,
) -> Result<(), Failure> {
    let mut sheet = Sheet::new(paper.config, output, &mut *paper.out)?;
    let asked = Asked::new(paper.config, Request::Export { user, letters });
    let exported = protocol::ask(connection, &asked, |held: Held| sheet.line(&held));
    match sheet.end(exported)? {
        Some(written) => paper.write(&written, Written::line),
        None => Ok(()),
    }
}

/// Looks things up in a storage that no server has open.
struct Alone<'a, 'b> {
    storage: &'a mut dyn Engine,
    log: &'a AuditLog,
    sheet: &'a mut Sheet<'b>,
}

impl Clerk for Alone<'_, '_> {
    type Error = Failure;

    fn look(&mut self, what: Inspection) -> Result<Finding, Failure> {
        what.look(self.storage).map_err(Failure::of_storage)
    }

    fn log(&self) -> &AuditLog {
        self.log
    }

    fn write(&mut self, held: Held) -> Result<(), Failure> {
        self.sheet.line(&held)
    }
}

/// Without a server.
pub(super) fn run_alone(
    (storage, log): (&mut dyn Engine, &AuditLog),
    (user, letters, output): (&UserName, bool, Option<&Path>),
    paper: &mut Paper<'_>,
) -> Result<(), Failure> {
    let user = found(storage, user)?;
    let mut sheet = Sheet::new(paper.config, output, &mut *paper.out)?;
    let arguments = names(&user).with("letters", letters);
    let exported =
        log.note_shown(clock::unix_now(), audit::caller(), COMMAND, arguments).and_then(|()| {
            let mut clerk = Alone { storage, log, sheet: &mut sheet };
            Export::new(&user, letters, &mut clerk).write()
        });
    match sheet.end(exported)? {
        Some(written) => paper.write(&written, Written::line),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> Held {
        let exported = "2026-11-30T00:00:00Z".to_owned();
        Held::Complete(Complete { exported, lines: 1, not_held: String::new() })
    }

    #[test]
    fn what_the_server_needs_of_its_disk_is_left_and_else_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.data = directory.path().to_owned();
        let file = directory.path().join("person.jsonl");
        for (min_free, is_written) in [(0, true), (u64::MAX, false)] {
            config.storage.min_free_disk = min_free;
            let mut out = io::sink();
            let mut sheet = Sheet::new(&config, Some(&file), &mut out).unwrap();
            let line = sheet.line(&held());
            assert_eq!(sheet.end(line).is_ok(), is_written);
            assert_eq!(file.exists(), is_written);
            let _ = fs::remove_file(&file);
        }
        // Another disk is no business of the server.
        assert!(Floor::of(&config, File::open("/dev/null").unwrap()).is_none());
    }
}
