//! A PostgreSQL of the tests' own.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a database may take to start.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a program until the standard input ends, as it does when the tests do, however they end.
const RUN: &str = r#"directory=$1; shift
"$@" </dev/null &
cat >/dev/null
kill -QUIT $!; kill -TERM $!
wait
rm -rf "$directory""#;

/// A database server in a directory of its own, reached through a socket there.
pub(crate) struct Postgres {
    /// Its directory, where its user can write.
    pub(crate) directory: PathBuf,
    pub(crate) programs: PathBuf,
    _process: Child,
}

/// Where the programs of PostgreSQL are; `None` where it is not installed.
fn programs() -> Option<PathBuf> {
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|programs| programs.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop()
}

/// The user and the group that run the database, where the tests run as root: it refuses to be root.
pub(crate) fn owner() -> Option<(u32, u32)> {
    let id = |of: &str| {
        let said = Command::new("id").args([of, "postgres"]).output().ok()?;
        String::from_utf8(said.stdout).ok()?.trim().parse().ok()
    };
    let is_root = rustix::process::geteuid().is_root();
    if is_root { Some((id("-u")?, id("-g")?)) } else { None }
}

impl Postgres {
    /// Starts one. `None`, with the reason on the standard error, where there is none.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("SKIPPED: PostgreSQL is not installed");
            return None;
        };
        let owner = owner();
        let directory = directory_of(owner);
        let data = directory.join("data");
        let mut initdb = as_owner(&programs.join("initdb"), owner, &directory);
        initdb.args(["--username=waxwing", "--auth=trust", "--no-sync", "--no-instructions"]);
        initdb.arg("--pgdata").arg(&data).stdout(Stdio::null());
        assert!(initdb.status().unwrap().success(), "initdb failed");
        Some(Self::run(directory, programs))
    }

    /// Starts what is in this directory.
    pub(crate) fn run(directory: PathBuf, programs: PathBuf) -> Self {
        let mut server = guarded(&programs.join("postgres"), owner(), &directory);
        server.arg("-D").arg(directory.join("data")).arg("-k").arg(&directory);
        server.args(["-c", "listen_addresses=", "-c", "max_connections=50"]);
        let _process = server.spawn().unwrap();
        let postgres = Self { directory, programs, _process };
        let begin = Instant::now();
        while !postgres.is_ready() {
            assert!(begin.elapsed() < PATIENCE, "the database does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        postgres
    }

    /// Starts another machine, which follows this one.
    pub(crate) fn start_standby(&self) -> Self {
        let directory = directory_of(owner());
        let mut copy = as_owner(&self.programs.join("pg_basebackup"), owner(), &directory);
        copy.args(["-U", "waxwing", "-R", "-c", "fast", "--no-sync", "-h"]).arg(&self.directory);
        copy.arg("-D").arg(directory.join("data"));
        assert!(copy.status().unwrap().success(), "pg_basebackup failed");
        Self::run(directory, self.programs.clone())
    }

    /// It takes writes from now on.
    pub(crate) fn promote(&self) {
        let mut promote = as_owner(&self.programs.join("pg_ctl"), owner(), &self.directory);
        promote.args(["promote", "-w", "-D"]).arg(self.directory.join("data"));
        assert!(promote.stdout(Stdio::null()).status().unwrap().success(), "pg_ctl failed");
    }

    /// The socket on which it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join(".s.PGSQL.5432")
    }

    fn is_ready(&self) -> bool {
        self.is_ready_on("5432")
    }

    fn is_ready_on(&self, port: &str) -> bool {
        let mut ask = Command::new(self.programs.join("pg_isready"));
        ask.arg("-h").arg(&self.directory).args(["-p", port]).stdout(Stdio::null());
        ask.status().is_ok_and(|status| status.success())
    }

    /// A new database, as a configuration names it.
    pub(crate) fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("chat{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut create = Command::new(self.programs.join("createdb"));
        create.arg("-h").arg(&self.directory).args(["-U", "waxwing", &name]);
        assert!(create.status().unwrap().success(), "createdb failed");
        self.url(&name)
    }

    /// How a configuration names this one of its databases.
    pub(crate) fn url(&self, name: &str) -> String {
        let host = self.directory.to_str().unwrap().replace('/', "%2F");
        format!("postgres://waxwing@{host}/{name}")
    }

    /// Statements by somebody else, whose session stays open until the value is dropped. They end with a line.
    pub(crate) fn begin(&self, database: &str, statements: &str) -> Guarded {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", database]).stdin(Stdio::piped());
        let mut session = psql.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        session.stdin.as_mut().unwrap().write_all(statements.as_bytes()).unwrap();
        Guarded(session)
    }

    /// Statements by somebody else.
    pub(crate) fn psql(&self, database: &str, statements: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", statements, database]);
        let said = psql.output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    }
}

/// A process that ends when this is dropped.
pub(crate) struct Guarded(Child);

impl Guarded {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A new directory in which that user can write.
pub(crate) fn directory_of(owner: Option<(u32, u32)>) -> PathBuf {
    let directory = tempfile::tempdir().unwrap().keep();
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    if let Some((user, group)) = owner {
        chown(&directory, Some(user), Some(group)).unwrap();
    }
    directory
}

/// A program that ends with its standard input, and its directory with it.
pub(crate) fn guarded(program: &Path, owner: Option<(u32, u32)>, directory: &Path) -> Command {
    let mut command = as_owner(Path::new("sh"), owner, directory);
    let log = fs::File::options().create(true).append(true).open(directory.join("log")).unwrap();
    command.args(["-c", RUN, "sh"]).arg(directory).arg(program);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
    command
}

pub(crate) fn as_owner(program: &Path, owner: Option<(u32, u32)>, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory);
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

/// Whether there is a process with this number that has not ended.
fn runs(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// A database that dies and comes back.
impl Postgres {
    /// All of it dies at once.
    pub(crate) fn kill(&self) {
        let file = fs::read_to_string(self.directory.join("data/postmaster.pid")).unwrap();
        let pid = file.lines().next().unwrap().parse().ok().and_then(Pid::from_raw).unwrap();
        // Its children end by themselves when it is gone, and so does what they have in memory. It does not
        // start again before that.
        let raw = pid.as_raw_nonzero();
        let children = fs::read_to_string(format!("/proc/{raw}/task/{raw}/children")).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        let begin = Instant::now();
        while self.is_ready() || children.split_whitespace().any(runs) {
            assert!(begin.elapsed() < PATIENCE, "the database does not die");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// It starts again, and runs until the value is dropped.
    pub(crate) fn start_again(&self) -> Guarded {
        self.start_again_on("5432", &[])
    }

    /// The same on this port, with these settings.
    pub(crate) fn start_again_on(&self, port: &str, settings: &[String]) -> Guarded {
        // The directory stays: the first one has it.
        const RUN: &str = r#""$@" </dev/null & cat >/dev/null; kill -QUIT $!; wait"#;
        let mut server = as_owner(Path::new("sh"), owner(), &self.directory);
        server.args(["-c", RUN, "sh"]).arg(self.programs.join("postgres"));
        server.arg("-D").arg(self.directory.join("data")).arg("-k").arg(&self.directory);
        server.args(["-c", "listen_addresses=", "-c", "max_connections=50", "-p", port]);
        for setting in settings {
            server.args(["-c", setting]);
        }
        let log = fs::File::options().append(true).open(self.directory.join("log")).unwrap();
        server.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        let again = Guarded::start(&mut server);
        let begin = Instant::now();
        while !self.is_ready_on(port) {
            assert!(begin.elapsed() < PATIENCE, "the database does not start again");
            std::thread::sleep(Duration::from_millis(20));
        }
        again
    }
}
