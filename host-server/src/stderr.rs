//! Standard error, which may be full, stalled or gone: the server goes on in each of these cases.
//!
//! A thread of its own writes what others leave in a queue with a bound. Whoever has something to
//! say never waits and never fails. What cannot be written is lost, counted, and mentioned as soon
//! as writing works again. The descriptor may belong to others, too: it is left as it is, blocking
//! or not.

use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

/// Lines that may wait. A line of the log is short: it holds nothing that a peer has sent.
const QUEUE: usize = 4_096;
/// How long the end of the process waits for a reader.
const FLUSH: Duration = Duration::from_secs(1);
/// Between two attempts at a descriptor that takes nothing at the moment.
const PAUSE: Duration = Duration::from_millis(20);

static QUEUED: OnceLock<Option<SyncSender<Entry>>> = OnceLock::new();
/// Lines that are lost, and nobody has been told so.
static LOST: AtomicU64 = AtomicU64::new(0);
static LOST_EVER: AtomicU64 = AtomicU64::new(0);

/// Is told whether a line was written.
type Told = Box<dyn FnOnce(io::Result<()>) + Send>;

enum Entry {
    Line(Zeroizing<Vec<u8>>, Option<Told>),
    Flush(SyncSender<()>),
}

/// Writes a whole line, soon, or never.
pub fn write(line: &[u8]) {
    queue(Entry::Line(line.to_vec().into(), None));
}

/// As [`write()`]; `told` hears, in the thread that writes, whether the line was written. A line that
/// finds no room in the queue is an error of the kind [`ErrorKind::WouldBlock`].
pub fn write_and_tell(
    line: Zeroizing<Vec<u8>>,
    told: impl FnOnce(io::Result<()>) + Send + 'static,
) {
    queue(Entry::Line(line, Some(Box::new(told))));
}

/// Waits until everything is written, a second at most.
pub fn flush() {
    let Some(Some(queue)) = QUEUED.get() else { return };
    let deadline = Instant::now() + FLUSH;
    let (done, wait) = sync_channel(1);
    while queue.try_send(Entry::Flush(done.clone())).is_err() {
        if Instant::now() >= deadline {
            return;
        }
        thread::sleep(PAUSE);
    }
    let _ = wait.recv_timeout(deadline.saturating_duration_since(Instant::now()));
}

fn queue(entry: Entry) {
    let entry = match QUEUED.get_or_init(start) {
        Some(queue) => match queue.try_send(entry) {
            Ok(()) => return,
            Err(TrySendError::Full(entry) | TrySendError::Disconnected(entry)) => entry,
        },
        None => entry,
    };
    lose();
    if let Entry::Line(_, Some(told)) = entry {
        told(Err(ErrorKind::WouldBlock.into()));
    }
}

fn start() -> Option<SyncSender<Entry>> {
    let (sender, entries) = sync_channel(QUEUE);
    let thread = thread::Builder::new().name("waxwing-stderr".into());
    thread.spawn(move || write_all(&entries)).ok().map(|_| sender)
}

fn write_all(entries: &Receiver<Entry>) {
    let mut out = Lines::new(io::stderr());
    for entry in entries {
        match entry {
            Entry::Line(line, told) => {
                let written = out.write(&line);
                match written {
                    Ok(()) => say_what_was_lost(),
                    Err(_) => lose(),
                }
                if let Some(told) = told {
                    told(written);
                }
            }
            Entry::Flush(done) => _ = done.try_send(()),
        }
    }
}

fn lose() {
    LOST.fetch_add(1, Relaxed);
    LOST_EVER.fetch_add(1, Relaxed);
}

fn say_what_was_lost() {
    let lines = LOST.swap(0, Relaxed);
    if lines > 0 {
        tracing::warn!(name: "log_lines_lost", lines, "standard error could not be written to; lines of the log are lost");
    }
}

/// Lines that could not be written since the start.
pub fn lost() -> u64 {
    LOST_EVER.load(Relaxed)
}

/// Whole lines to something that may take a part of one.
pub(crate) struct Lines<W> {
    out: W,
    /// The last line was begun and not ended.
    torn: bool,
}

impl<W: Write> Lines<W> {
    pub(crate) const fn new(out: W) -> Self {
        Self::after(out, false)
    }

    /// Whether the last line that is there already has no end.
    pub(crate) const fn after(out: W, torn: bool) -> Self {
        Self { out, torn }
    }

    pub(crate) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.put(b"\n")?;
        }
        self.put(line)
    }

    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let whole = bytes.len();
        while !bytes.is_empty() {
            match self.out.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
                Err(error) => {
                    self.torn |= bytes.len() < whole;
                    return Err(error);
                }
            }
        }
        self.torn = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a few bytes at a time, and is full for a while.
    #[derive(Default)]
    struct Narrow {
        taken: Vec<u8>,
        answers: Vec<Result<usize, ErrorKind>>,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.answers.pop().unwrap_or(Ok(bytes.len()))?.min(bytes.len());
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_goes_out_in_pieces_stays_whole() {
        let answers = vec![Ok(4), Err(ErrorKind::WouldBlock), Ok(2), Err(ErrorKind::Interrupted)];
        let mut lines = Lines { out: Narrow { answers, ..Narrow::default() }, torn: false };
        lines.write(b"one line\n").unwrap();
        assert_eq!(lines.out.taken, b"one line\n");
    }

    #[test]
    fn what_follows_half_a_line_begins_a_new_one() {
        let answers = vec![Err(ErrorKind::StorageFull), Ok(3), Err(ErrorKind::BrokenPipe)];
        let mut lines = Lines { out: Narrow { answers, ..Narrow::default() }, torn: false };
        assert!(lines.write(b"gone\n").is_err());
        assert!(lines.write(b"one line\n").is_err());
        lines.write(b"another\n").unwrap();
        lines.write(b"third\n").unwrap();
        assert_eq!(lines.out.taken, b"one\nanother\nthird\n");
    }
}
