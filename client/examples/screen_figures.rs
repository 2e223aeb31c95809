//! What the full screen takes in a home with 100,000 letters: time to the first frame, from a key to its
//! frame, for a search, and memory.
//!
//! `cargo run --release -p waxwing --example screen_figures` starts `waxwing` of the same build on a
//! terminal of its own, with a home that it makes. There is no server; letters are recorded in the home
//! by this program, 50 a second, as another process would that has the session. With the name of a folder
//! behind `--`, the home is made there, and used once more the next time: making it takes minutes.

use std::error::Error;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use waxwing::backend::load_key;
use waxwing::home::{Fate, HandedOver, Home, HomeProfile, NewIdentity, Query, Registration};
use waxwing_core::crypto::{PrivateKey as _, ReplyKey};
use waxwing_core::envelope::Content;
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::messenger::Profile as _;
use waxwing_core::phone::Phone;
use waxwing_core::testing::keys::pkcs8_der;
use waxwing_core::time::UnixTime;

const LETTERS: u64 = 100_000;
const PEOPLE: u64 = 200;
/// Keys that are timed of each kind.
const KEYS: usize = 400;
/// Between two letters that come.
const BETWEEN: Duration = Duration::from_millis(20);
/// Nothing here takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

type Anything<T> = Result<T, Box<dyn Error>>;

fn main() -> Anything<()> {
    let root = tempfile::tempdir()?;
    let named = std::env::args_os().nth(1).map(std::path::PathBuf::from);
    let dir = named.unwrap_or_else(|| root.path().join("home"));
    let home = match Home::open(&dir) {
        Ok(home) => home,
        Err(_) => full_home(&dir)?,
    };

    let mut searches = Vec::new();
    for text in ["letter 4711", "mountains", "railway 77", "nothing says that"] {
        let begun = Instant::now();
        let query = Query { text, with: None, before: None, limit: 50 };
        let found = home.search(&query)?.len();
        searches.push(begun.elapsed());
        println!("search for {text:?}: {found} found in {:.1} ms", ms(begun.elapsed()));
    }

    let mut firsts: Vec<_> = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        let mut terminal = Terminal::start(&dir)?;
        terminal.wait(|screen| screen.contains('┃'))?;
        firsts.push(begun.elapsed());
    }
    println!("start to first frame: {}", figures(&mut firsts));

    let mut terminal = Terminal::start(&dir)?;
    terminal.wait(|screen| screen.contains('┃'))?;
    println!("memory at the start: {}", terminal.memory()?);
    // The long conversation.
    terminal.type_keys("\x10+4915100000000\r")?;
    terminal.wait(|screen| screen.contains("write to +4915100000000") && screen.contains('┃'))?;
    let is_over = Arc::new(AtomicBool::new(false));
    let receiving = {
        let (dir, is_over) = (dir.clone(), is_over.clone());
        thread::spawn(move || receive(&dir, &is_over))
    };
    println!("while 50 letters a second come, from a key to its frame:");
    println!("  typing: {}", figures(&mut typing(&mut terminal)?));
    println!("  scrolling: {}", figures(&mut scrolling(&mut terminal)?));
    println!("memory at the end: {}", terminal.memory()?);
    is_over.store(true, Ordering::SeqCst);
    let came = receiving.join().map_err(|_| "the thread that records has failed")??;
    println!("letters that came meanwhile: {came}");
    Ok(())
}

fn typing(terminal: &mut Terminal) -> Anything<Vec<Duration>> {
    let mut times = Vec::new();
    for at in 0..KEYS {
        let typed = format!("{:03}", at % 1_000);
        let digit = &typed[2..];
        let before = terminal.last_row();
        let begun = Instant::now();
        terminal.type_keys(digit)?;
        terminal.wait_for(|terminal| terminal.last_row() != before)?;
        times.push(begun.elapsed());
        if at % 60 == 59 {
            // Not longer than a row.
            terminal.type_keys("\x15")?;
            terminal.wait(|screen| screen.contains("write to"))?;
        }
        terminal.settle();
    }
    terminal.type_keys("\x15")?;
    Ok(times)
}

fn scrolling(terminal: &mut Terminal) -> Anything<Vec<Duration>> {
    let mut times = Vec::new();
    for _ in 0..KEYS {
        let before = terminal.rows();
        let begun = Instant::now();
        terminal.type_keys("\x1b[5~")?;
        terminal.wait_for(|terminal| terminal.rows() != before)?;
        times.push(begun.elapsed());
        terminal.settle();
    }
    Ok(times)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn figures(times: &mut [Duration]) -> String {
    times.sort();
    let at = |share: usize| ms(times[(times.len() - 1) * share / 100]);
    format!("median {:.1} ms, p99 {:.1} ms, longest {:.1} ms", at(50), at(99), at(100))
}

fn phone(person: u64) -> Anything<Phone> {
    Ok(Phone::parse(format!("+49151{:08}", person).as_bytes()).map_err(|_| "no phone")?)
}

/// A home with all letters.
fn full_home(dir: &Path) -> Anything<Home> {
    let home = new_home(dir)?;
    for person in 0..PEOPLE {
        home.relations().accept(&phone(person)?)?;
    }
    let begun = Instant::now();
    for first in (0..LETTERS).step_by(1_000) {
        record(&home, first..first + 1_000, 0)?;
    }
    while home.index_more(5_000)? {}
    println!("home with {LETTERS} letters: made in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(home)
}

fn new_home(dir: &Path) -> Anything<Home> {
    let home = Home::create(dir)?;
    let key = |at| load_key(pkcs8_der(at)).map(|key| key.spki().clone()).map_err(|_| "no key");
    home.store_identity(&NewIdentity {
        phone: Phone::parse(b"+4915199999999").map_err(|_| "no phone")?,
        servers: &"127.0.0.1:1".parse().unwrap(),
        server_key: &key(1)?,
        private_key: pkcs8_der(0),
        public_key: &key(0)?,
        reply_key: &ReplyKey::from_bytes(&[3; 32]),
    })?;
    home.set_registration(Registration::Done(UserId::new(100).ok_or("no id")?))?;
    Ok(home)
}

/// Records letters in one step. Every second one is of the same person. Those of another run are others.
fn record(home: &Home, range: std::ops::Range<u64>, run: u64) -> Anything<()> {
    let mut step = HomeProfile::new(home, |_| ());
    step.begin()?;
    for at in range {
        let person = if at % 2 == 0 { 0 } else { at / 2 % PEOPLE };
        let mut name = [0; 16];
        name[..8].copy_from_slice(&at.to_le_bytes());
        name[8..].copy_from_slice(&run.to_le_bytes());
        let text = format!(
            "This is letter {at}, about the mountains and railway {}: some words that make it as \
             long as letters of people are, in two or three rows of a screen.",
            at % 1_000
        );
        let minutes = i64::try_from(at)?;
        let letter = HandedOver {
            packet_id: PacketId(name),
            sender: UserId::new(7).ok_or("no id")?,
            sent_at: UnixTime::from_seconds(1_790_000_000 + 60 * minutes),
            received_at: UnixTime::from_seconds(1_790_000_000 + 60 * minutes),
            fate: Fate::Opened {
                from: phone(person)?,
                uid: Uid(name),
                content: Content::Text(&text),
            },
        };
        let _ = home.letters().record(&letter)?;
    }
    step.commit()?;
    Ok(())
}

/// Records letters one by one, until it is over.
fn receive(dir: &Path, is_over: &AtomicBool) -> Result<u64, String> {
    let home = Home::open(dir).map_err(|error| error.to_string())?;
    let mut at = LETTERS;
    let run = std::process::id().into();
    let begun = Instant::now();
    while !is_over.load(Ordering::SeqCst) {
        record(&home, at..at + 1, run).map_err(|error| error.to_string())?;
        at += 1;
        let due = BETWEEN * u32::try_from(at - LETTERS).unwrap_or(u32::MAX);
        thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    Ok(at - LETTERS)
}

/// The full screen on a terminal of 80 columns and 24 rows.
struct Terminal {
    child: Child,
    master: File,
    bytes: Receiver<Vec<u8>>,
    parser: vt100::Parser,
}

impl Terminal {
    fn start(dir: &Path) -> Anything<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size)?;
        let name = ptsname(&master, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let side = || open(name.as_c_str(), flags, Mode::empty()).map(Stdio::from);
        let binary = std::env::current_exe()?;
        let binary = binary.parent().and_then(Path::parent).ok_or("no folder")?.join("waxwing");
        let child = Command::new(binary)
            .arg("--home")
            .arg(dir)
            .env("TERM", "xterm-256color")
            .env("XDG_CONFIG_HOME", "/nonexistent")
            .stdin(side()?)
            .stdout(side()?)
            .stderr(side()?)
            .spawn()?;
        let master = File::from(master);
        let mut reading = master.try_clone()?;
        let (shown, bytes) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(len @ 1..) = reading.read(&mut buffer) {
                if shown.send(buffer[..len].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, master, bytes, parser: vt100::Parser::new(24, 80, 0) })
    }

    fn type_keys(&mut self, keys: &str) -> Anything<()> {
        Ok(self.master.write_all(keys.as_bytes())?)
    }

    fn wait(&mut self, is_there: impl Fn(&str) -> bool) -> Anything<()> {
        self.wait_for(|terminal| is_there(&terminal.parser.screen().contents()))
    }

    fn wait_for(&mut self, is_there: impl Fn(&Self) -> bool) -> Anything<()> {
        while !is_there(self) {
            let bytes = self.bytes.recv_timeout(PATIENCE);
            let bytes =
                bytes.map_err(|_| format!("never:\n{}", self.parser.screen().contents()))?;
            self.parser.process(&bytes);
        }
        Ok(())
    }

    /// Takes in the rest of a frame.
    fn settle(&mut self) {
        while let Ok(bytes) = self.bytes.recv_timeout(Duration::from_millis(8)) {
            self.parser.process(&bytes);
        }
    }

    fn last_row(&self) -> String {
        self.parser.screen().rows(0, 80).nth(23).unwrap_or_default()
    }

    /// Those of the conversation.
    fn rows(&self) -> Vec<String> {
        self.parser.screen().rows(21, 59).skip(2).take(20).collect()
    }

    fn memory(&self) -> Anything<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib: f64 = line?.trim().trim_end_matches(" kB").parse().ok()?;
            Some(kib / 1_024.0)
        };
        let (now, most) = (of("VmRSS:").ok_or("no memory")?, of("VmHWM:").ok_or("no memory")?);
        Ok(format!("{now:.1} MiB, at most {most:.1} MiB"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
