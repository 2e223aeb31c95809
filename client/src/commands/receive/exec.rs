//! `waxwing receive --exec`: a program for each letter, which is done with it when it ends with 0.

use std::fs::File;
use std::io::{self, ErrorKind, Seek, Write};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use std::{fs, fs::OpenOptions, os::unix::fs::OpenOptionsExt as _};

#[cfg(any(target_os = "linux", target_os = "android"))]
use rustix::fs::{MemfdFlags, memfd_create};

use crate::clock;
use crate::commands::{Console, Place};
use crate::exit::Failure;
use crate::home::{Home, Letter, LetterBody, LetterId};
use crate::session::{Reached, Session};
use crate::show::{self, Sender};
use crate::system;

/// How long to wait before a letter is tried again; each time twice as long, up to the second.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a program may go on when this command is to end.
const GOODBYE: Duration = Duration::from_secs(3);

/// What becomes of letters.
pub(super) struct Hands<'a> {
    pub(super) place: &'a Place<'a>,
    pub(super) home: &'a Home,
    pub(super) program: &'a Path,
    /// Whether the program gets a JSON object in place of the text.
    pub(super) json: bool,
    /// Whether a letter is tried again when the program fails.
    pub(super) persistent: bool,
    /// For how long, since the program was last done with one; `None` is for ever.
    pub(super) timeout: Option<Duration>,
}

/// Finds out before any letter comes whether the program is there.
pub(super) fn require(program: &Path) -> Result<(), Failure> {
    if system::find_program(program.as_os_str()).is_some() {
        return Ok(());
    }
    Err(Failure::Config(format!(
        "{} is no program that can be run: name one in PATH, or the path of a file with `chmod +x`; no letter \
         was touched",
        program.display()
    )))
}

/// How a program has ended, if it has.
enum End {
    Done,
    Failed(String),
    Interrupted,
}

impl Hands<'_> {
    /// Runs the program for one letter after the other, oldest first. A letter that it is not done with is
    /// the first one the next time.
    pub(super) fn hand_over(
        &self,
        session: &mut Session<'_>,
        unnoted: &mut Vec<LetterId>,
        console: &mut Console<'_>,
    ) -> Result<super::Printed, Failure> {
        let mut printed = super::Printed::default();
        let mut pause = PAUSE;
        let after = || self.timeout.map(|timeout| Instant::now() + timeout);
        let mut deadline = after();
        while let Some(letter) = self.home.letters().unprinted(1)?.pop() {
            match self.run(&letter, session, console)? {
                End::Done => {
                    unnoted.push(letter.id);
                    printed.letters += 1;
                    printed.receipts += super::note(self.place, self.home, unnoted)?;
                    (pause, deadline) = (PAUSE, after());
                }
                End::Interrupted => break,
                End::Failed(how) if !self.persistent => return Err(Failure::General(how)),
                End::Failed(how) => {
                    let again = Instant::now() + pause;
                    let end = deadline.filter(|deadline| *deadline < again);
                    if end.is_none() {
                        writeln!(console.remarks, "{how}; trying again in {} s", pause.as_secs())?;
                    }
                    pause = (2 * pause).min(LONGEST_PAUSE);
                    let until = Some(end.unwrap_or(again));
                    let waited = session.wait_until(until, true, |_| Ok::<_, Failure>(false))?;
                    if waited == Reached::Interrupted {
                        break;
                    }
                    if end.is_some() {
                        return Err(Failure::General(format!(
                            "{how}; the time of --timeout is over, and the letter stays new"
                        )));
                    }
                }
            }
        }
        Ok(printed)
    }

    fn run(
        &self,
        letter: &Letter,
        session: &mut Session<'_>,
        console: &mut Console<'_>,
    ) -> Result<End, Failure> {
        let LetterBody::Text(text) = &letter.body else {
            // There is nothing to hand over. It comes again when it can be opened.
            writeln!(console.remarks, "{}", show::letter_text(letter, None, &console.page()))?;
            return Ok(End::Done);
        };
        let ended = self.start(letter, text, session)?;
        let mut status = None;
        let mut has_ended = |_: &mut Session<'_>| -> Result<bool, Failure> {
            status = match ended.try_recv() {
                Ok(status) => Some(status),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(Err(ErrorKind::Other.into())),
            };
            Ok(status.is_some())
        };
        if session.wait_until(None, true, &mut has_ended)? == Reached::Interrupted {
            return Ok(match ended.recv_timeout(GOODBYE) {
                Ok(Ok(status)) if status.success() => End::Done,
                _ => End::Interrupted,
            });
        }
        let program = self.program.display();
        Ok(match status {
            Some(Ok(status)) if status.success() => End::Done,
            Some(Ok(status)) => {
                End::Failed(format!("{program} is not done with a letter: {status}"))
            }
            Some(Err(error)) => End::Failed(format!("{program} is lost: {error}")),
            None => End::Interrupted,
        })
    }

    /// Starts the program, and tells how it has ended.
    fn start(
        &self,
        letter: &Letter,
        text: &str,
        session: &Session<'_>,
    ) -> Result<Receiver<io::Result<ExitStatus>>, Failure> {
        let name = letter.from.map(|from| self.home.conversations().name_of(&from)).transpose()?;
        let name = name.flatten();
        let is_stranger = super::is_stranger(self.home, letter)?;
        let given = if self.json {
            show::letter_json(letter, &Sender { name: name.as_deref(), is_stranger }) + "\n"
        } else {
            text.to_owned()
        };
        let input = complete(self.home.dir(), &given).map_err(|error| {
            let program = self.program.display();
            Failure::General(format!(
                "there is no file for a letter to {program}: {}; the letter stays new",
                system::of_machine(&error)
            ))
        })?;
        let child = Command::new(self.program)
            .env("LETTER_HOME", self.home.dir())
            .env("LETTER_FROM", letter.from.as_ref().map_or("", |from| from.as_str()))
            .env("LETTER_NAME", name.unwrap_or_default())
            .env("LETTER_UID", letter.uid.map(|uid| uid.to_string()).unwrap_or_default())
            .env("LETTER_SENT_AT", clock::rfc3339(letter.sent_at))
            .env("LETTER_REQUEST", if is_stranger { "true" } else { "false" })
            .stdin(input)
            .spawn();
        let mut child = child.map_err(|error| {
            let program = self.program.display();
            Failure::Config(format!(
                "{program} cannot be started: {}; the letter stays new",
                system::of_program(self.program.as_os_str(), &error)
            ))
        })?;
        let (end, ended) = channel();
        let waker = session.waker();
        let watch = move || {
            let _ = end.send(child.wait());
            // Without it the end is seen a moment later.
            let _ = waker.wake();
        };
        let watching = thread::Builder::new().name("program".into()).spawn(watch);
        watching.map_err(|error| {
            Failure::General(format!("no thread for a program: {}", system::of_machine(&error)))
        })?;
        Ok(ended)
    }
}

/// The input of a program, which is complete before the program starts. If this process were killed while it
/// writes into a pipe, the program would take the part that it has got for the letter, and answer that.
fn complete(home: &Path, given: &str) -> io::Result<File> {
    let mut file = nameless(home)?;
    file.write_all(given.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

/// A file in memory: what is deleted from the home is on no disk.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn nameless(_home: &Path) -> io::Result<File> {
    // Some systems demand the second flag, and Linux before 6.3 does not know it.
    let flags = MemfdFlags::CLOEXEC;
    let made = memfd_create("letter", flags | MemfdFlags::NOEXEC_SEAL);
    Ok(made.or_else(|_| memfd_create("letter", flags))?.into())
}

/// A file of the home that has lost its name before anything is in it. One process of a home hands letters
/// over at a time.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn nameless(home: &Path) -> io::Result<File> {
    let path = home.join("letter-for-program");
    // A process that was killed in between may have left one, with nothing in it.
    let _ = fs::remove_file(&path);
    let mut how = OpenOptions::new();
    let file = how.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}
