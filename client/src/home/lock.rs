//! Who holds the session: one process per home, and what the others know of it. The file also says when a
//! session on another machine has taken over: no process of the home takes it back by itself.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use waxwing_core::time::UnixTime;

use super::database::lock_file;
use super::directory::io;
use super::{Home, HomeError};
use crate::clock;

const FILE: &str = "session.lock";
/// How often the holder shows that it moves: by the time of the file's last change, not by bytes.
const BEAT: Duration = Duration::from_millis(500);
/// What the holder writes about itself is always as long, so that nobody reads half of it.
const NOTE_LEN: usize = 1_024;
/// Bytes of a problem's text that are told.
const PROBLEM_LEN: usize = 400;

/// The right to connect as this home's user, until it is dropped or the process ends.
///
/// Whoever does not get it works through the database: it queues letters in the outbox, which
/// the holder sends, and reads the letters that the holder stores.
#[derive(Debug)]
#[must_use = "dropping it gives the session to the next process that asks"]
pub struct SessionLock {
    file: File,
    note: Note,
    moved: Duration,
}

/// What the holder says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    pid: u32,
    since: i64,
    has_backlog: bool,
    problem: Option<String>,
    /// Another session of the account has ended that of this home, and nobody has wanted it back since.
    #[serde(default)]
    is_taken_over: bool,
}

impl Note {
    fn read(file: &File) -> Option<Self> {
        let mut bytes = [0; NOTE_LEN];
        let len = file.read_at(&mut bytes, 0).ok()?;
        serde_json::from_slice(bytes.get(..len)?).ok()
    }
}

/// The process that holds the session, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The id of the process.
    pub pid: u32,
    /// Since when it holds the session.
    pub since: UnixTime,
    /// Whether everything that was pending at the server has come.
    pub has_backlog: bool,
    /// Why it has no connection, if it says that it has none.
    pub problem: Option<String>,
    /// How long ago it last showed that it moves.
    pub silent_for: Duration,
}

impl Home {
    /// Takes the session; `None` while another process, or another part of this one, has it.
    ///
    /// # Errors
    /// [`HomeError::Io`] when the lock file cannot be used.
    pub fn try_lock_session(&self) -> Result<Option<SessionLock>, HomeError> {
        SessionLock::take(self.dir())
    }

    /// Who holds the session; `None` when it does not say, as earlier versions do not. It means
    /// something only while the session cannot be taken.
    #[must_use]
    pub fn session_holder(&self) -> Option<Holder> {
        Self::session_holder_in(self.dir())
    }

    /// The same of a home that need not open: its holder may have been stopped while it wrote.
    #[must_use]
    pub fn session_holder_in(dir: &Path) -> Option<Holder> {
        let file = File::open(dir.join(FILE)).ok()?;
        let note = Note::read(&file)?;
        let changed = file.metadata().and_then(|metadata| metadata.modified()).ok()?;
        // A clock that was set back says nothing.
        let silent_for = SystemTime::now().duration_since(changed).unwrap_or_default();
        let Note { pid, since, has_backlog, problem, is_taken_over: _ } = note;
        let since = UnixTime::from_seconds(since);
        Some(Holder { pid, since, has_backlog, problem, silent_for })
    }

    /// Whether another session of the account has ended that of this home, and nobody has wanted it back since.
    #[must_use]
    pub fn is_taken_over(&self) -> bool {
        let file = File::open(self.dir().join(FILE)).ok();
        file.and_then(|file| Note::read(&file)).is_some_and(|note| note.is_taken_over)
    }
}

impl SessionLock {
    /// Takes the session of a home that need not open; `None` while another process has it.
    ///
    /// # Errors
    /// [`HomeError::Io`] when the lock file cannot be used.
    pub fn take(dir: &Path) -> Result<Option<Self>, HomeError> {
        let path = dir.join(FILE);
        let file = lock_file(&path).map_err(|source| io(&path, source))?;
        match file.try_lock() {
            Ok(()) => {
                let (pid, since) = (std::process::id(), clock::now().as_seconds());
                let is_taken_over = Note::read(&file).is_some_and(|note| note.is_taken_over);
                let note = Note { pid, since, has_backlog: false, problem: None, is_taken_over };
                let lock = Self { file, note, moved: clock::since_start() };
                lock.write();
                Ok(Some(lock))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(io(&path, source)),
        }
    }

    /// Whether another session of the account has ended that of this home, and nobody has wanted it back since.
    #[must_use]
    pub const fn is_taken_over(&self) -> bool {
        self.note.is_taken_over
    }

    /// Notes for all processes of the home that another session has taken over, or that somebody wants the
    /// session back.
    pub fn set_taken_over(&mut self, is_taken_over: bool) {
        if self.note.is_taken_over != is_taken_over {
            self.note.is_taken_over = is_taken_over;
            self.write();
        }
    }

    /// Shows the others that this process moves, how far it has come, and why it has no
    /// connection. To be called at every turn; it writes where something has changed, and else
    /// now and then the time alone.
    pub fn show(&mut self, has_backlog: bool, problem: Option<&str>) {
        let problem = problem.map(shortened);
        let is_news =
            self.note.has_backlog != has_backlog || self.note.problem.as_deref() != problem;
        if is_news {
            (self.note.has_backlog, self.note.problem) = (has_backlog, problem.map(str::to_owned));
            self.write();
        } else if clock::since_start().saturating_sub(self.moved) >= BEAT {
            // It is a courtesy to others; the session does not depend on it.
            let _ = self.file.set_modified(SystemTime::now());
        } else {
            return;
        }
        self.moved = clock::since_start();
    }

    fn write(&self) {
        let mut bytes = serde_json::to_vec(&self.note).unwrap_or_default();
        bytes.resize(NOTE_LEN, b' ');
        let _: io::Result<()> = self.file.write_all_at(&bytes, 0);
    }
}

fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(PROBLEM_LEN)).unwrap_or(text)
}
