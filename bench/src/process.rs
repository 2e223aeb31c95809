//! The server as a process of its own, and the system's account of what a process takes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// For a server that does not stop: nothing that it still has to do takes as long.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// The place of the time in user mode behind the name in the system's account of a process; that of the
/// time in the kernel follows.
const USER_TIME: usize = 11;

/// What is raised for every run: limits against strangers, of which the bench plays many at once.
pub(crate) const RAISED: &[(&str, &str)] = &[
    ("deadlines.confirmation", "1h"),
    ("deadlines.first_packet", "10m"),
    ("deadlines.progress", "1h"),
    ("limits.exempt", "127.0.0.0/8"),
    ("limits.bytes_per_mailbox", "4GiB"),
    ("limits.bytes_per_pair", "4GiB"),
    ("limits.bytes_per_sender", "4GiB"),
    ("limits.letters_per_mailbox", "1000000"),
    ("limits.letters_per_pair", "1000000"),
    ("limits.letters_per_sender", "1000000"),
    ("limits.reconnect_operations_per_second", "1000000"),
    ("limits.registration_operations_per_second", "1000000"),
    ("log.level", "warn"),
    ("otp.delivery", "in-band"),
];

/// What to start.
pub(crate) struct ServerBinary {
    pub(crate) path: PathBuf,
    /// `server.loops`, for servers that have it.
    pub(crate) loops: Option<u32>,
}

impl ServerBinary {
    /// Whether it has the setting with this section and name, such as `server.loops`.
    pub(crate) fn knows(&self, setting: &str) -> bool {
        let Some((section, name)) = setting.rsplit_once('.') else { return false };
        let asked = self.command().args(["config", "example"]).output();
        asked.is_ok_and(|asked| {
            let example = String::from_utf8_lossy(&asked.stdout).into_owned();
            let lines = example.lines().map(|line| line.trim_start_matches(['#', ' ']));
            let mut lines = lines.skip_while(|line| *line != format!("[{section}]")).skip(1);
            lines
                .by_ref()
                .take_while(|line| !line.starts_with('['))
                .any(|line| line.split_once(" = ").is_some_and(|(key, _)| key == name))
        })
    }

    /// The program, with nothing of this process's environment that it would take for a setting.
    pub(crate) fn command(&self) -> Command {
        without_settings(&self.path)
    }
}

/// A program of Waxwing's, with nothing of this process's environment that it would take for a setting.
pub(crate) fn without_settings(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WAXWING_") {
            command.env_remove(name);
        }
    }
    command
}

/// What a server is told besides what is raised for all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) values: Vec<(&'static str, String)>,
    /// A file with more of them, which can change while the server runs.
    pub(crate) file: Option<PathBuf>,
}

/// Processor time of all threads of a process so far. The system's account of the process has the threads
/// that have ended, too, and is exact to a hundredth of a second.
pub(crate) fn processor_time(process: u32) -> Result<Duration> {
    Ok(time_of_threads(process)?.max(time_of_process(process)?))
}

fn time_of_process(process: u32) -> Result<Duration> {
    let account = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program, in brackets, may have anything in it.
    let (_, fields) = account.rsplit_once(") ").context("stat has a name")?;
    let ticks = fields.split(' ').skip(USER_TIME).take(2);
    let ticks = ticks.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_secs(ticks) / u32::try_from(clock_ticks_per_second())?)
}

fn time_of_threads(process: u32) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let account = fs::read_to_string(thread?.path().join("schedstat"))?;
        let busy = account.split(' ').next().context("schedstat is empty")?;
        total += Duration::from_nanos(busy.parse()?);
    }
    Ok(total)
}

/// Servers that run.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// From now on, whatever asks this process to end also ends its servers. Only SIGKILL leaves one.
pub(crate) fn end_with_servers() -> Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // Nobody starts another one meanwhile.
            let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
            running.iter().for_each(|server| _ = kill_process(*server, Signal::KILL));
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// A server that runs. It ends with its owner.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    /// From starting the process to its word that it listens.
    pub(crate) took: Duration,
}

impl Server {
    pub(crate) fn start(binary: &ServerBinary, data: &Path, settings: &Settings) -> Result<Self> {
        let mut command = binary.command();
        if let Some(file) = &settings.file {
            command.arg("--config").arg(file);
        }
        command.arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]);
        let variable = |key: &str| format!("WAXWING_{}", key.replace('.', "__").to_uppercase());
        command.envs(RAISED.iter().map(|(key, value)| (variable(key), value)));
        command.envs(settings.values.iter().map(|(key, value)| (variable(key), value)));
        if let Some(loops) = binary.loops {
            command.env(variable("server.loops"), loops.to_string());
        }
        let started = Instant::now();
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.path.display()))?;
        running.push(Pid::from_child(&child));
        drop(running);
        let mut greeting = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut greeting)?;
        }
        let took = started.elapsed();
        let address = greeting.trim_end().strip_prefix("listening on ").map(str::parse);
        let Some(Ok(address)) = address else {
            let _ = child.kill();
            bail!("{} did not start: {greeting:?}", binary.path.display());
        };
        Ok(Self { child, address, took })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The number of its thread with this name, if it has one by now.
    pub(crate) fn thread(&self, name: &str) -> Result<Option<u32>> {
        for thread in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let thread = thread?;
            if fs::read_to_string(thread.path().join("comm"))?.trim_end() == name {
                return Ok(Some(thread.file_name().to_string_lossy().parse()?));
            }
        }
        Ok(None)
    }

    /// Processor time of all its threads so far.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        processor_time(self.id())
    }

    /// KiB of memory now, and at most so far.
    pub(crate) fn memory(&self) -> Result<(u64, u64)> {
        Ok((self.status("VmRSS:")?, self.status("VmHWM:")?))
    }

    /// KiB of memory that is in no file.
    pub(crate) fn anonymous_memory(&self) -> Result<u64> {
        self.status("RssAnon:")
    }

    /// From now on the peak of its memory is that since now.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.id()), "5")?)
    }

    fn status(&self, name: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        number.context("the status of a process names its memory")?.parse().context("KiB")
    }

    /// Stops it as an operator does, and waits.
    pub(crate) fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let deadline = Instant::now() + STOP_PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                bail!("the server ended with {status}");
            }
            thread::sleep(Duration::from_millis(5));
        }
        bail!("the server does not stop")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.child.kill();
        let _ = self.child.wait();
        running.retain(|server| *server != Pid::from_child(&self.child));
    }
}
