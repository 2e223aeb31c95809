//! The command line.

use std::env;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};
use waxwing_server::descriptors;

use crate::account::Yardstick;
use crate::database::{self, Place};
use crate::findings::Findings;
use crate::floor::{BackendKind, Floor};
use crate::operation::{self, Part, Sizes, has_canary, section};
use crate::process::{RAISED, ServerBinary, Settings};
use crate::remote::{self, RemoteArgs};
use crate::scenarios::{Bench, Writing};
use crate::{keys, profile, program, rpc, snapshot};

/// How much processor time the Waxwing server needs, compared with its RSA operations alone.
///
/// Build both with `cargo build --release -p waxwing-server -p waxwing-bench`.
#[derive(Debug, Parser)]
#[command(name = "waxwing-bench", version)]
pub(crate) struct Cli {
    /// The server [default: waxwing-server beside this program]
    #[arg(long, global = true, value_name = "PATH")]
    server: Option<PathBuf>,
    /// The backend that the server was built with; the floor is measured with it
    #[arg(long, global = true, value_enum, default_value = "aws-lc", value_name = "NAME")]
    backend: BackendKind,
    /// The server's event loops, `server.loops`; unless given, the server decides
    #[arg(long, global = true, value_name = "N")]
    loops: Option<u32>,
    /// Where the server's data goes, and the keys of the clients; should be a real disk
    /// [default: bench in the target directory]
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Threads of clients [default: one less than the machine has]
    #[arg(long, global = true, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Writes everything that was measured to a file, too
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Of `all`, `report`, `operation` and `database`: times and numbers are multiplied by this
    #[arg(long, global = true, default_value_t = 1.0, value_name = "FACTOR")]
    pub(crate) scale: f64,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Letters from one to the other of each pair
    Relay {
        #[command(flatten)]
        writing: WritingArgs,
        /// To recipients who are not connected, and connect in the end
        #[arg(long)]
        offline: bool,
    },
    /// Letters wait, their senders leave, and the recipients come back
    Drain {
        #[command(flatten)]
        writing: WritingArgs,
        /// Letters of others that lie there
        #[arg(long, default_value_t = 0, value_name = "M")]
        pending: u32,
    },
    /// Clients with an account, who reconnect all at once
    Storm {
        /// How many
        #[arg(long, default_value_t = 10_000, value_name = "N")]
        clients: usize,
    },
    /// Clients without an account, who register all at once
    Register {
        /// How many
        #[arg(long, default_value_t = 500, value_name = "N")]
        clients: usize,
    },
    /// Memory for sessions at rest
    Idle {
        /// How many
        #[arg(long, default_value_t = 10_000, value_name = "N")]
        connections: usize,
    },
    /// The time until a server with a full database listens
    Startup {
        /// Users
        #[arg(long, default_value_t = u16::MAX, value_name = "N")]
        users: u16,
        /// Letters that wait
        #[arg(long, default_value_t = 1_000_000, value_name = "M")]
        pending: u32,
    },
    /// What sessions at half load notice of others who reconnect
    Latency {
        #[command(flatten)]
        writing: WritingArgs,
        /// How many reconnect
        #[arg(long, default_value_t = 5_000, value_name = "N")]
        clients: usize,
        /// How many a second
        #[arg(long, default_value_t = 250.0, value_name = "N")]
        pace: f64,
    },
    /// Where the server's processor time goes while letters are relayed; needs `perf`
    Profile {
        #[command(flatten)]
        writing: WritingArgs,
    },
    /// What it costs to look after a server: everything on that an operator can turn on, beside
    /// nothing; in about twenty minutes
    Operation {
        /// What to measure [default: all of it]
        #[arg(value_enum, value_name = "PART")]
        parts: Vec<Part>,
        /// Runs of `cost` with everything on, and as many without
        #[arg(long, default_value_t = 5, value_name = "N")]
        rounds: usize,
        /// Letters that are backed up
        #[arg(long, default_value_t = 1_000_000, value_name = "M")]
        pending: u32,
        /// Puts what was found into BENCHMARKS.md in this directory
        #[arg(long, value_name = "DIR")]
        docs: Option<PathBuf>,
    },
    /// A server that runs already, for some time: is its machine large enough?
    ///
    /// People are registered there, and write to each other. They stay on the server, so take one that nobody
    /// uses yet. For as long as it lasts, the server says codes in band (otp.delivery = "in-band"), and its
    /// limits.exempt names the address of this machine.
    Remote(RemoteArgs),
    /// Letters that are stored in PostgreSQL, beside letters that are stored in SQLite
    Database {
        #[command(flatten)]
        place: Place,
        /// Runs on either
        #[arg(long, default_value_t = 3, value_name = "N")]
        rounds: usize,
    },
    /// Letters that come and go in PostgreSQL beside a transaction that stays open, such as that of `pg_dump`
    Snapshot {
        /// The database: an empty one. Nobody is asked for a password
        #[arg(long, value_name = "URL")]
        url: String,
        /// For how long
        #[arg(long, default_value_t = 10, value_name = "N")]
        minutes: u32,
    },
    /// Letters that one program sends and receives over `waxwing rpc`
    Rpc(rpc::Programs),
    /// All of the others but `operation`, `remote`, `database`, `snapshot` and `rpc`, in about twenty minutes
    All,
    /// The same, as BENCHMARKS.md and its chart
    Report {
        /// Where they go
        #[arg(long, default_value = "docs", value_name = "DIR")]
        docs: PathBuf,
    },
}

/// Who writes, and how much.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct WritingArgs {
    /// Pairs of people
    #[arg(long, default_value_t = 50, value_name = "N")]
    pairs: usize,
    /// Letters without an answer of each, and without acknowledgment; 1 to 128
    #[arg(long, default_value_t = 64, value_name = "W",
        value_parser = clap::value_parser!(u8).range(1..=128))]
    window: u8,
    /// Bytes of text in a letter
    #[arg(long, default_value_t = 100, value_name = "B")]
    payload: usize,
    /// How long to measure
    #[arg(long, default_value_t = 3.0, value_name = "S")]
    seconds: f64,
}

impl WritingArgs {
    fn writing(self) -> Result<Writing> {
        let Self { pairs, window, payload, seconds } = self;
        ensure!(pairs > 0, "nobody writes");
        Ok(Writing { pairs, window, payload, span: Duration::try_from_secs_f64(seconds)? })
    }
}

impl Cli {
    /// Makes keys, measures the floor, and says what is raised for the runs.
    pub(crate) fn prepare(&self) -> Result<(Bench, Findings)> {
        let beside = &beside()?;
        let path = self.server.clone().unwrap_or_else(|| beside.join("waxwing-server"));
        let is_remote = matches!(self.command, Command::Remote(_));
        ensure!(is_remote || path.exists(), "there is no server {}", path.display());
        let target = beside.parent().unwrap_or(beside);
        let dir = self.dir.clone().unwrap_or_else(|| target.join("bench"));
        let keys = keys::pool(&dir.join("keys"), self.population())?;
        let descriptors = descriptors::make_room();
        let raised: Vec<_> = RAISED.iter().map(|(key, to)| format!("{key} = {to}")).collect();
        // Nobody has to read it.
        let raised = raised.join("; ");
        let _ = writeln!(io::stderr(), "raised: {descriptors} descriptors; {raised}");
        let key = self.backend.key(keys)?;
        let floor = Floor::measure(self.backend, key)?;
        let cores = thread::available_parallelism()?.get();
        let bench = Bench {
            binary: ServerBinary { path, loops: self.loops },
            dir,
            threads: self.threads.map_or((cores - 1).max(1), NonZeroUsize::get),
            floor,
            yardstick: Yardstick::on_idle_machine(key, floor.sign)?,
            keys,
            settings: Settings::default(),
            apart: false,
            stocks: Vec::new(),
        };
        Ok((bench, Findings::new(self.backend, floor)))
    }

    /// People that the command plays at most.
    fn population(&self) -> usize {
        match &self.command {
            Command::Relay { writing, .. }
            | Command::Drain { writing, .. }
            | Command::Profile { writing } => 2 * writing.pairs,
            Command::Latency { writing, clients, .. } => 2 * writing.pairs + clients,
            Command::Storm { clients } | Command::Register { clients } => *clients,
            Command::Idle { connections } => *connections,
            Command::Startup { .. } => 1,
            Command::Operation { rounds, pending, .. } => {
                Sizes::new(*rounds, *pending, self.scale).population()
            }
            // Its people have keys of their own.
            Command::Remote(_) | Command::Snapshot { .. } | Command::Rpc(_) => 0,
            Command::Database { .. } => database::Sizes::new(self.scale).population(),
            Command::All | Command::Report { .. } => program::population(self.scale),
        }
    }

    pub(crate) fn carry_out(&self, bench: &mut Bench, findings: &mut Findings) -> Result<()> {
        match self.command {
            Command::Operation { ref parts, rounds, pending, ref docs } => {
                let parts = if parts.is_empty() { &Part::ALL } else { &parts[..] };
                let sizes = Sizes::new(rounds, pending, self.scale);
                operation::measure(bench, findings, parts, &sizes)?;
                if let Some(docs) = docs {
                    section::write(
                        findings,
                        &sizes,
                        (self.scale, has_canary(&bench.binary)),
                        docs,
                    )?;
                }
            }
            Command::Relay { writing, offline: true } => {
                let offline = bench.offline(writing.writing()?, 0)?;
                findings.runs.extend([offline.sending, offline.draining]);
            }
            Command::Relay { writing, offline: false } => {
                findings.add(bench.relay(writing.writing()?)?);
            }
            Command::Drain { writing, pending } => {
                let offline = bench.offline(writing.writing()?, pending)?;
                findings.add(offline.sending);
                findings.add(offline.draining);
            }
            Command::Storm { clients } => {
                let (run, goal) = bench.storm(clients)?;
                findings.add(run);
                findings.goals.push(goal);
            }
            Command::Register { clients } => findings.add(bench.register(clients)?),
            Command::Idle { connections } => findings.goals.push(bench.idle(connections)?),
            Command::Startup { users, pending } => {
                findings.goals.push(bench.startup(users, pending)?);
            }
            Command::Latency { writing, clients, pace } => {
                let (runs, goal) = bench.latency(writing.writing()?, clients, pace)?;
                findings.runs.extend(runs);
                findings.goals.push(goal);
            }
            Command::Database { ref place, rounds } => {
                let sizes = database::Sizes::new(self.scale);
                database::measure(bench, findings, place, rounds, &sizes)?;
            }
            Command::Snapshot { ref url, minutes } => snapshot::measure(findings, url, minutes)?,
            Command::Rpc(ref programs) => rpc::measure(bench, findings, &beside()?, programs)?,
            Command::Profile { writing } => {
                let profile = profile::take(bench, writing.writing()?)?;
                writeln!(io::stdout(), "{profile}").context("standard output")?;
            }
            Command::Remote(ref args) => remote::run(args, bench, findings)?,
            Command::All | Command::Report { .. } => {
                program::run(bench, findings, self.scale)?;
            }
        }
        Ok(())
    }
}

/// Where this program lies, and the server and the client beside it unless others are named.
fn beside() -> Result<PathBuf> {
    let own = env::current_exe()?;
    Ok(own.parent().context("this program lies in a directory")?.to_owned())
}
