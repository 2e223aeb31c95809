//! The audit log: what operators did, in `audit.jsonl` in the data directory.
//!
//! An act has two lines: one that is on the disk before anything is changed, and one that says what
//! became of it. What changes nothing has one line, which says that, too. Each line has the SHA-256 of the line before ([`Line::before`]). A running server and
//! commands without one can write to the same log: whoever writes has the file locked, and looks where
//! it ends.

mod erase;
mod file;
mod line;
mod person;
mod read;
mod rotation;
mod settled;
mod show;
mod verify;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use rustix::process::getuid;
use waxwing_core::id::UserId;
use waxwing_core::time::UnixTime;

use crate::cli::AuditCommand;
use crate::clock;
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};
use crate::failpoint::Failpoint;
pub use erase::Erased;
use file::{Last, Purpose, Tail, failure};
pub use line::{Arguments, AuditResult, Line, MAX_LINE, MAX_TEXT};
pub use read::{Entry, Snapshot};
use rotation::Files;
use settled::{Open, Settled};
pub use show::show;
use verify::Expected;
pub use verify::{Fault, FaultKind, Verified};

/// The audit log of a data directory.
#[derive(Clone, Debug)]
pub struct AuditLog {
    directory: DataDir,
    files: Files,
    limits: Limits,
    /// The newest line that was found or written by this value or a clone of it: if it is gone later,
    /// somebody has removed it.
    newest: Arc<Mutex<Option<Last>>>,
    /// Why this value or a clone of it could not write the last line; nothing if it could.
    unwritten: Arc<Mutex<Option<io::Error>>>,
}

/// How large the log becomes, and how long somebody waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A file of so many bytes is full.
    pub file_bytes: u64,
    /// How many files there are at most; at least two.
    pub files: u32,
    /// How long to wait for somebody else who has the log locked.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 16 << 20, files: 12, patience: Duration::from_secs(5) }
    }
}

/// An act that is in the log, and has not ended.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the log has to be told what became of the act"]
pub struct Begun {
    number: u64,
    uid: u32,
    command: String,
}

/// What became of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    result: AuditResult,
    detail: String,
}

impl Outcome {
    /// It was done.
    pub fn done(detail: impl Into<String>) -> Self {
        Self { result: AuditResult::Done, detail: detail.into() }
    }

    /// It was not done.
    pub fn failed(detail: impl Into<String>) -> Self {
        Self { result: AuditResult::Failed, detail: detail.into() }
    }

    /// Nobody can say whether it was done.
    pub fn unknown(detail: impl Into<String>) -> Self {
        Self { result: AuditResult::Unknown, detail: detail.into() }
    }
}

/// A line that has no number yet.
struct Draft {
    uid: u32,
    command: String,
    arguments: Arguments,
    of: Option<u64>,
    outcome: Option<Outcome>,
}

impl Draft {
    /// That no other line follows.
    fn whole(uid: u32, command: &str, arguments: Arguments, outcome: Outcome) -> Self {
        let command = line::short(command);
        Self { uid, command, arguments, of: None, outcome: Some(outcome) }
    }
}

impl AuditLog {
    /// The log in `directory`. Nothing is made before there is something to write.
    #[must_use]
    pub fn of(directory: &DataDir) -> Self {
        Self::with_limits(directory, Limits::default())
    }

    /// The same with other limits. Whoever uses a log has to use the same ones.
    #[must_use]
    pub fn with_limits(directory: &DataDir, limits: Limits) -> Self {
        let files = Files::of(directory.path(), limits.files);
        Self {
            directory: directory.clone(),
            files,
            limits,
            newest: Arc::default(),
            unwritten: Arc::default(),
        }
    }

    /// Notes that an act begins; when this returns, the line is on the disk.
    ///
    /// # Errors
    /// When that is not so. Then the act must not be done.
    pub fn begin(
        &self,
        now: UnixTime,
        uid: u32,
        command: &str,
        arguments: Arguments,
    ) -> Result<Begun, Failure> {
        let command = line::short(command);
        let draft = Draft { uid, command: command.clone(), arguments, of: None, outcome: None };
        let number = self.append(now, draft).map_err(|error| {
            let message = format!("nothing was changed, because it cannot be noted first: {error}");
            Failure::new(Exit::Storage, message)
        })?;
        Failpoint::AfterAuditLine.pass();
        Ok(Begun { number, uid, command })
    }

    /// Notes what became of an act.
    ///
    /// # Errors
    /// When that cannot be written. The next start of the server writes that nobody knows.
    pub fn end(&self, now: UnixTime, begun: Begun, outcome: Outcome) -> Result<(), Failure> {
        self.end_with(now, begun, Arguments::new(), outcome)
    }

    /// The same for an act that has erased so many lines of the log.
    ///
    /// # Errors
    /// As [`Self::end`].
    pub fn end_erasure(
        &self,
        now: UnixTime,
        begun: Begun,
        lines: u64,
        outcome: Outcome,
    ) -> Result<(), Failure> {
        self.end_with(now, begun, Arguments::new().with(erase::LINES, lines), outcome)
    }

    fn end_with(
        &self,
        now: UnixTime,
        begun: Begun,
        arguments: Arguments,
        outcome: Outcome,
    ) -> Result<(), Failure> {
        let Begun { number, uid, command } = begun;
        let result = outcome.result;
        let of = Some(number);
        let draft = Draft { uid, command, arguments, of, outcome: Some(outcome) };
        self.append(now, draft).map(drop).map_err(|error| without_result(result, &error))
    }

    /// Notes that phones are about to be shown in full.
    ///
    /// # Errors
    /// When that cannot be written. Then they must not be shown.
    pub fn note_shown(
        &self,
        now: UnixTime,
        uid: u32,
        command: &str,
        arguments: Arguments,
    ) -> Result<(), Failure> {
        let outcome = Outcome { result: AuditResult::Shown, detail: String::new() };
        let draft = Draft::whole(uid, command, arguments, outcome);
        self.append(now, draft).map(drop).map_err(|error| {
            let message = format!("nothing is shown, because it cannot be noted first: {error}");
            Failure::new(Exit::Storage, message)
        })
    }

    /// Notes that something has ended which changes nothing, or was done by the clock because an earlier line
    /// says so. Nobody needs the data directory locked for that: it is in the log from its end on alone, so
    /// that no start says that it is unknown.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn note_ended(
        &self,
        now: UnixTime,
        (uid, command): (u32, &str),
        arguments: Arguments,
        outcome: Outcome,
    ) -> Result<(), Failure> {
        let result = outcome.result;
        let draft = Draft::whole(uid, command, arguments, outcome);
        self.append(now, draft).map(drop).map_err(|error| without_result(result, &error))
    }

    /// Makes the log ready for a server that starts: there is a file with room for the next lines, and
    /// every act that nobody has ended is said to be unknown. Returns how many these were. Erasures are
    /// left out ([`Self::open_erasures`]): they can be brought to their end later.
    ///
    /// Whoever calls this has the data directory locked, so that nobody else is in the middle of an act.
    ///
    /// # Errors
    /// When the log cannot be read or written.
    pub fn settle(&self, now: UnixTime) -> Result<usize, Failure> {
        let (file, tail) = self.open_whole()?;
        file::reserve_or_warn(&self.files.current(), &file, tail.whole);
        self.found(tail.last)?;
        drop(file);
        let (later, open): (Vec<_>, _) = self.open_acts()?.into_iter().partition(Open::is_erasure);
        let count = open.len();
        for open in open {
            self.end_interrupted(now, open.begun())?;
        }
        self.note_last_line(&later);
        Ok(count)
    }

    /// Notes the last line when the server has stopped, so that whoever looks later misses it if it is gone. A log that
    /// cannot be read is told of by the next start.
    pub fn note_end(&self) {
        if let Ok(open) = self.open_acts() {
            self.note_last_line(&open);
        }
    }

    /// The last line of those up to which every act has ended, as `open` are those that have not.
    fn note_last_line(&self, open: &[Open]) {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(settled) = Settled::before(open, newest) {
            settled.write(&self.files);
        }
    }

    /// Notes that nobody can say what became of an act.
    ///
    /// # Errors
    /// As [`Self::end`].
    pub fn end_interrupted(&self, now: UnixTime, begun: Begun) -> Result<(), Failure> {
        self.end(now, begun, Outcome::unknown("the server or the command ended before it did"))
    }

    /// Erasures that nobody has ended, and of whom.
    ///
    /// Whoever calls this has the data directory locked.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn open_erasures(&self) -> Result<Vec<(Begun, UserId)>, Failure> {
        let of_whom = |open: Open| {
            let whom = erase::of_whom(open.arguments.map())?;
            Some((open.begun(), whom))
        };
        Ok(self.open_acts()?.into_iter().filter_map(of_whom).collect())
    }

    /// Acts that nobody has ended.
    fn open_acts(&self) -> Result<Vec<Open>, Failure> {
        settled::open_acts(&self.snapshot()?, &self.files)
    }

    /// What is in the log now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, Failure> {
        Snapshot::take(&self.files, self.limits.patience)
    }

    /// Whether each line follows the one before, and the last one that the server has noted is there.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn verify(&self) -> Result<Verified, Failure> {
        let (noted, note_problem) = match Settled::read(&self.files) {
            Ok(settled) => (settled.map(Settled::line), None),
            Err(why) => (None, Some(why.to_string())),
        };
        // Whoever makes a database, or changes it, begins the log before.
        let expected = Expected { noted, note_problem, file: self.directory.database().exists() };
        verify::verify(&self.snapshot()?, &expected)
    }

    /// Writes a line, and returns its number.
    fn append(&self, now: UnixTime, draft: Draft) -> Result<u64, Failure> {
        let path = self.files.current();
        let (file, tail) = self.open_to_append()?;
        let last = self.found(tail.last)?;
        let (number, before) = match last {
            None => (1, line::NO_LINE_BEFORE.to_owned()),
            Some(Last { number, digest }) => {
                (number.checked_add(1).ok_or_else(|| file::damaged(&path, &file))?, digest)
            }
        };
        let Draft { uid, command, arguments, of, outcome } = draft;
        let (result, detail) = match outcome {
            Some(Outcome { result, detail }) => (Some(result), Some(line::short(&detail))),
            None => (None, None),
        };
        let detail = detail.filter(|detail| !detail.is_empty());
        let arguments = arguments.into_map();
        let time = clock::written(now);
        let erased = None;
        let line =
            Line { number, time, uid, command, arguments, of, result, detail, before, erased };
        let written = line.to_bytes().and_then(|mut bytes| {
            let digest = line::digest(&bytes);
            bytes.push(b'\n');
            write_durably(&file, &bytes)?;
            Ok((tail.whole + bytes.len() as u64, digest))
        });
        match written {
            Ok((end, digest)) => {
                self.remember(Some(Last { number, digest }));
                *self.unwritten() = None;
                file::reserve_or_warn(&path, &file, end);
                Ok(number)
            }
            Err(error) => {
                // Else a line that nobody acts by would be there, or half of one.
                let _ = file.set_len(tail.whole).and_then(|()| file.sync_all());
                let _ = file::reserve(&file, tail.whole);
                let failure = failure(&path, &error);
                *self.unwritten() = Some(error);
                Err(failure)
            }
        }
    }

    /// The line that the next one follows, where `last` is the last one of the file that is written to. If
    /// newer ones were there before, the next one follows these all the same: so `verify` sees that they
    /// are gone.
    fn found(&self, last: Option<Last>) -> Result<Option<Last>, Failure> {
        let last = match last {
            Some(last) => Some(last),
            None => self.last_of_older()?,
        };
        let number = |line: &Option<Last>| line.as_ref().map_or(0, |line| line.number);
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // The server has noted one, too, for those who come later.
        let newest =
            newest.or_else(|| Settled::read(&self.files).ok().flatten().map(Settled::line));
        if number(&last) < number(&newest) {
            let (path, number) = (self.files.current().display().to_string(), number(&newest));
            tracing::warn!(
            name: "audit_lines_gone",
                %path, number,
                "lines of the audit log up to this number are gone: somebody has moved the file away, or \
                 changed it"
            );
            return Ok(newest);
        }
        self.remember(last.clone());
        Ok(last)
    }

    fn remember(&self, newest: Option<Last>) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = newest;
    }

    /// Whether the next line could be written, as far as that can be seen without writing or making anything.
    /// If the last one could not, the next one cannot either, until there is room for it.
    ///
    /// # Errors
    /// Why it could not.
    pub fn check(&self) -> Result<(), Failure> {
        let path = self.files.current();
        let Some(file) = file::open(&path, Purpose::Look)? else { return file::can_be_made(&path) };
        let tail = file::tail(&path, &file)?;
        let mut unwritten = self.unwritten();
        let was_full = |error: &mut io::Error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        };
        unwritten.take_if(|error| was_full(error) && file::reserve(&file, tail.whole).is_ok());
        unwritten.as_ref().map_or(Ok(()), |error| Err(failure(&path, error)))
    }

    fn unwritten(&self) -> MutexGuard<'_, Option<io::Error>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Self::open_whole`]; a full file has made room for a new one, if that can be.
    fn open_to_append(&self) -> Result<(File, Tail), Failure> {
        loop {
            let (file, tail) = self.open_whole()?;
            if tail.whole < self.limits.file_bytes {
                return Ok((file, tail));
            }
            if let Err(error) = self.files.rotate() {
                warn_of_rotation(&self.files.current(), &error);
                return Ok((file, tail));
            }
        }
    }

    /// The file that is written to, locked, without what a power cut has left of a line.
    fn open_whole(&self) -> Result<(File, Tail), Failure> {
        let path = self.files.current();
        let opened = file::open_locked(&path, Purpose::Append, self.limits.patience)?;
        // It is made if there is none.
        let file = opened.ok_or_else(|| failure(&path, "it was removed"))?;
        let tail = file::tail(&path, &file)?;
        let prepare = || -> io::Result<()> {
            if tail.torn > 0 {
                file.set_len(tail.whole)?;
                file.sync_all()?;
                let (path, bytes) = (path.display(), tail.torn);
                tracing::warn!(name: "audit_line_torn", %path, bytes, "half a line was cut off: an act that it was to announce was not done, and an act whose end it was to note is \
                     noted as unknown");
            }
            // A file that has lines had its name made durable before.
            if tail.whole == 0 { self.files.sync_directory() } else { Ok(()) }
        };
        prepare().map_err(|error| failure(&path, error))?;
        Ok((file, tail))
    }

    fn last_of_older(&self) -> Result<Option<Last>, Failure> {
        for path in self.files.older() {
            if let Some(file) = file::open(&path, Purpose::Read)?
                && let Some(last) = file::tail(&path, &file)?.last
            {
                return Ok(Some(last));
            }
        }
        Ok(None)
    }
}

/// Who has started this process, for commands that do without a server.
#[must_use]
pub fn caller() -> u32 {
    getuid().as_raw()
}

/// Writes to `out` what `command` has to say of `log`: text for people, or JSON.
///
/// # Errors
/// When the log cannot be read; `verify` also when the chain does not hold.
pub fn print(
    log: &AuditLog,
    command: AuditCommand,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        AuditCommand::Show => show(&log.snapshot()?, json, out),
        AuditCommand::Verify => log.verify()?.report(json, out),
    }
}

fn without_result(result: AuditResult, error: &Failure) -> Failure {
    let message = format!("the audit log does not say that the result is {result}: {error}");
    Failure::new(Exit::Storage, message)
}

fn write_durably(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

fn warn_of_rotation(path: &Path, error: &io::Error) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        tracing::warn!(
            name: "audit_log_full",
            path = %path.display(), %error,
            "the audit log is full, and no new file can be begun: it grows until there is room for one"
        );
    });
}
