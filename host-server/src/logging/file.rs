//! The file of the log, if it has one. A thread of its own writes what others leave in a queue with a
//! bound, as for standard error: nobody waits for the disk, and what cannot be written is counted.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use crate::stderr;

/// Lines that may wait.
const QUEUE: usize = 4_096;
/// How long the end of the process waits for the disk.
const FLUSH: Duration = Duration::from_secs(1);

static WAY: OnceLock<Option<SyncSender<Entry>>> = OnceLock::new();
static LOST: AtomicU64 = AtomicU64::new(0);
static STATE: Mutex<State> = Mutex::new(State::well(None, None));

/// What is known of the file.
struct State {
    /// Where it is; nothing while the log goes to standard error.
    path: Option<PathBuf>,
    /// Where it is to be, also while it cannot be opened there.
    wanted: Option<PathBuf>,
    trouble: Option<String>,
    /// Why it could not be opened again, so that lines go on into the file that was open before.
    not_reopened: Option<String>,
    /// When one of the two was seen last.
    seen: Option<Instant>,
}

impl State {
    /// Nothing is wrong.
    const fn well(path: Option<PathBuf>, wanted: Option<PathBuf>) -> Self {
        Self { path, wanted, trouble: None, not_reopened: None, seen: None }
    }
}

enum Entry {
    Line(Vec<u8>),
    /// From here on, lines go there.
    File(Option<File>),
    Flush(SyncSender<()>),
}

/// Opens a file for lines at its end. It is made if there is none.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        // Neither what a link in its place leads to, nor a pipe that nobody reads.
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    Ok(file)
}

/// Lines go to this file from now on; without one, to standard error.
pub(super) fn go_to(file: Option<(PathBuf, File)>) {
    if file.is_none() && state().path.is_none() {
        // It may have been wanted, in vain.
        *state() = State::well(None, None);
        return;
    }
    let Some(way) = WAY.get_or_init(start) else { return };
    let (path, file) = file.unzip();
    // What is in the queue before it goes where it was to go. The thread needs the state, so nobody may
    // have it while the queue is full.
    if way.send(Entry::File(file)).is_ok() {
        let wanted = path.clone();
        *state() = State::well(path, wanted);
    }
}

/// The file could not be opened when the server started.
pub(super) fn could_not_open(path: PathBuf, why: String) {
    let mut state = state();
    state.wanted = Some(path);
    state.trouble = Some(why);
    state.seen = Some(Instant::now());
}

/// The file could not be opened again. Where the log goes on.
pub(super) fn could_not_reopen(why: &str) -> &'static str {
    let mut state = state();
    state.seen = Some(Instant::now());
    if state.path.is_some() {
        state.not_reopened = Some(why.to_owned());
        "the log goes on in the file that was opened before, wherever that is now"
    } else {
        state.trouble = Some(why.to_owned());
        "the log still goes to standard error"
    }
}

/// Writes a whole line, soon, or never. Whether the log goes to a file.
pub(super) fn write(line: &[u8]) -> bool {
    let Some(Some(way)) = WAY.get() else { return false };
    if state().path.is_none() {
        return false;
    }
    if way.try_send(Entry::Line(line.to_vec())).is_err() {
        LOST.fetch_add(1, Relaxed);
    }
    true
}

/// Where the log is to be.
pub(super) fn wanted() -> Option<PathBuf> {
    state().wanted.clone()
}

pub(super) fn path() -> Option<PathBuf> {
    state().path.clone()
}

pub(super) fn trouble() -> Option<String> {
    state().trouble.clone()
}

pub(super) fn not_reopened() -> Option<String> {
    state().not_reopened.clone()
}

/// How long ago what is wrong was seen last.
pub(super) fn seen() -> Option<Duration> {
    state().seen.map(|seen| seen.elapsed())
}

pub(super) fn lost() -> u64 {
    LOST.load(Relaxed)
}

/// Waits until everything is written, a second at most.
pub(super) fn flush() {
    let Some(Some(way)) = WAY.get() else { return };
    let (done, wait) = sync_channel(1);
    if way.try_send(Entry::Flush(done)).is_ok() {
        let _ = wait.recv_timeout(FLUSH);
    }
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start() -> Option<SyncSender<Entry>> {
    let (sender, entries) = sync_channel(QUEUE);
    let thread = Builder::new().name("waxwing-log".into());
    thread.spawn(move || write_all(&entries)).ok().map(|_| sender)
}

fn write_all(entries: &Receiver<Entry>) {
    let mut out: Option<stderr::Lines<File>> = None;
    for entry in entries {
        match entry {
            // Not before all that was queued is in the one before, which may be the same.
            Entry::File(file) => out = file.map(after_what_is_there),
            Entry::Flush(done) => _ = done.try_send(()),
            Entry::Line(line) => match &mut out {
                None => stderr::write(&line),
                Some(out) => written(out.write(&line)),
            },
        }
    }
}

/// The last line in the file may have been cut: by a full disk, or with the machine.
fn after_what_is_there(file: File) -> stderr::Lines<File> {
    let mut last = [b'\n'];
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let is_read = length > 0 && file.read_exact_at(&mut last, length - 1).is_ok();
    stderr::Lines::after(file, is_read && last != *b"\n")
}

/// A line was written, or is lost. Standard error hears of the first of several that are.
fn written(result: io::Result<()>) {
    let error = match result {
        Ok(()) => {
            if state().trouble.take().is_some() {
                let lines = lost();
                tracing::warn!(name: "log_lines_lost", lines, "the file of the log takes lines again; so many are lost");
            }
            return;
        }
        Err(error) => error,
    };
    LOST.fetch_add(1, Relaxed);
    let mut state = state();
    state.seen = Some(Instant::now());
    if state.trouble.replace(error.to_string()).is_none() {
        let path = state.path.as_deref().unwrap_or(Path::new("")).display();
        let text = format!(
            "waxwing-server: the log cannot be written to {path}: {error}; lines are lost until it can \
             be: make room, or run `waxwing-server log reopen`\n"
        );
        stderr::write(text.as_bytes());
    }
}
