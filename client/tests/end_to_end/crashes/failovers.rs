//! Two servers share a database, and what they rely on fails in every way that there is, while people
//! write to one another.
//!
//! `WAXWING_FAILOVERS=n` says how often.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rand_core::Rng;
use rustix::process::Signal;
use tempfile::TempDir;
use waxwing::backend::{provider, rng};
use waxwing::keys::read_server_key;
use waxwing_core::crypto::Provider;
use waxwing_core::id::PacketId;

use super::cable::Cable;
use super::{PEOPLE, Person, Population};
use crate::binaries;
use crate::postgres::{Guarded, Postgres};
use crate::process::{PATIENCE, Process};

const LEASE: Duration = Duration::from_millis(250);

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The server that serves dies.
    Death,
    /// It stands still until the other one has taken over, and goes on.
    Pause,
    /// It stops in good order.
    Stop,
    /// The database dies, and starts again.
    Database,
    /// The database ends all connections, whatever they are about.
    Connections,
    /// The server that serves is cut off from the database for longer than its lease.
    Cut,
    /// The database dies, and its synchronous standby takes its place.
    Promotion,
    /// Somebody holds the row of the lease, and says nothing more.
    Row,
}

const FAILURES: [Failure; 8] = [
    Failure::Death,
    Failure::Pause,
    Failure::Database,
    Failure::Connections,
    Failure::Stop,
    Failure::Cut,
    Failure::Promotion,
    Failure::Row,
];

/// Two servers with one key and one database.
struct Cluster {
    root: TempDir,
    postgres: Postgres,
    /// The name of the database.
    name: String,
    cables: [Cable; 2],
    addresses: [SocketAddr; 2],
    servers: [Option<Process>; 2],
    /// The database that was started last.
    again: Option<Guarded>,
}

impl Cluster {
    fn start() -> Option<Self> {
        let postgres = Postgres::start()?;
        let name = postgres.database().rsplit_once('/').unwrap().1.to_owned();
        let cables = [(); 2].map(|()| Cable::to(postgres.socket()));
        let any = || TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [any(), any()].map(|listener| listener.local_addr().unwrap());
        let (root, servers) = (tempfile::tempdir().unwrap(), [None, None]);
        let mut cluster = Self { root, postgres, name, cables, addresses, servers, again: None };
        cluster.start_server(0);
        cluster.server(0).wait_for_out(|out| out.ends_with('\n'));
        fs::DirBuilder::new().mode(0o700).create(cluster.data(1)).unwrap();
        let key = |server| cluster.data(server).join("server.key.pem");
        fs::copy(key(0), key(1)).unwrap();
        cluster.start_server(1);
        Some(cluster)
    }

    fn data(&self, server: usize) -> PathBuf {
        self.root.path().join(server.to_string())
    }

    fn server(&self, server: usize) -> &Process {
        self.servers[server].as_ref().unwrap()
    }

    fn start_server(&mut self, server: usize) {
        let mut command = Command::new(binaries::server());
        command.arg("--data").arg(self.data(server));
        let lease = format!("{}ms", LEASE.as_millis());
        let address = self.addresses[server].to_string();
        for (setting, value) in [
            ("SERVER__LISTEN", address.as_str()),
            ("STORAGE__URL", &self.cables[server].url(&self.name)),
            ("STORAGE__COPIES", "1"),
            ("STORAGE__TIMEOUT", "2s"),
            ("CLUSTER__LEASE", &lease),
            ("OTP__DELIVERY", "in-band"),
            ("LIMITS__EXEMPT", "127.0.0.0/8"),
        ] {
            command.env(format!("WAXWING_{setting}"), value);
        }
        let loops = std::env::var_os("WAXWING_TEST_LOOPS");
        command.envs(loops.map(|loops| ("WAXWING_SERVER__LOOPS", loops)));
        self.servers[server] = Some(Process::start(&mut command));
    }

    /// How to get to the database, whatever is cut.
    fn url(&self) -> String {
        self.postgres.url(&self.name)
    }

    /// Whether this server takes connections.
    fn listens(&self, server: usize) -> bool {
        TcpStream::connect(self.addresses[server]).is_ok()
    }

    /// The server that takes connections, if there is one. One that stands still does, too.
    fn serves(&self) -> Option<usize> {
        (0..2).find(|server| self.listens(*server))
    }

    fn sql(&self, statements: &str) -> String {
        self.postgres.psql(&self.url(), statements)
    }

    /// The packets that wait in the database.
    fn waiting(&self) -> BTreeSet<PacketId> {
        let ids = self.sql("SELECT encode(message_id, 'hex') FROM waxwing.pending_messages");
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let id = |line: &str| {
            let bytes: Vec<_> = line.as_bytes().chunks(2).map(byte).collect();
            PacketId(bytes.try_into().unwrap())
        };
        ids.lines().map(id).collect()
    }

    /// Lets something fail; `writes` goes on meanwhile.
    fn fail(&mut self, failure: Failure, writes: &mut dyn FnMut(&Self, Duration)) {
        let server = self.serves().expect("one serves");
        match failure {
            Failure::Death => drop(self.servers[server].take().unwrap().kill()),
            Failure::Stop => {
                self.server(server).signal(Signal::TERM);
                self.servers[server].take().unwrap().finish().exits(0);
            }
            Failure::Pause => {
                self.server(server).signal(Signal::STOP);
                self.write_until_other_serves(server, writes);
                self.server(server).signal(Signal::CONT);
                self.servers[server].take().unwrap().finish().exits(75);
            }
            Failure::Database => {
                self.postgres.kill();
                writes(self, LEASE);
                self.again = Some(self.postgres.start_again());
            }
            Failure::Connections => {
                let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                           WHERE datname = current_database() AND pid <> pg_backend_pid()";
                for _ in 0..10 {
                    self.sql(end);
                    writes(self, Duration::from_millis(20));
                }
            }
            Failure::Cut => {
                self.cables[server].cut();
                self.write_until_other_serves(server, writes);
                self.cables[server].mend();
                self.servers[server].take().unwrap().finish().exits(75);
            }
            Failure::Promotion => {
                let standby = self.start_synchronous_standby();
                writes(self, LEASE);
                self.postgres.kill();
                writes(self, LEASE);
                standby.promote();
                for cable in &self.cables {
                    cable.lead_to(standby.socket());
                }
                (self.postgres, self.again) = (standby, None);
            }
            Failure::Row => {
                let take = "BEGIN; SELECT FROM waxwing.lease FOR NO KEY UPDATE;\n";
                let silent = self.postgres.begin(&self.url(), take);
                writes(self, 3 * LEASE);
                drop(silent);
            }
        }
    }

    fn write_until_other_serves(&self, server: usize, writes: &mut dyn FnMut(&Self, Duration)) {
        let begin = Instant::now();
        while !self.listens(1 - server) {
            assert!(begin.elapsed() < PATIENCE, "nobody takes over");
            writes(self, 3 * LEASE);
        }
    }

    /// Another machine that has each commit before it is confirmed.
    fn start_synchronous_standby(&self) -> Postgres {
        let standby = self.postgres.start_standby();
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("SELECT pg_reload_conf()");
        let begin = Instant::now();
        let follows = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        while self.sql(follows) != "1" {
            assert!(begin.elapsed() < PATIENCE, "there is no standby");
        }
        standby
    }

    /// Whoever has ended stands by again.
    fn mend(&mut self) {
        for server in 0..2 {
            let is_running = self.servers[server].as_mut().is_some_and(Process::is_running);
            if !is_running {
                self.start_server(server);
            }
        }
    }
}

#[test]
fn what_was_acknowledged_survives_whatever_fails_of_two_servers_and_their_database() {
    let rounds = std::env::var("WAXWING_FAILOVERS").map_or(5, |rounds| rounds.parse().unwrap());
    let Some(mut cluster) = Cluster::start() else { return };
    let mut dice = rng();
    let server_key = read_server_key(&cluster.data(0).join("server.pub.pem")).unwrap();
    let key = Box::leak(Box::new(provider().public_key(&server_key).unwrap()));
    let people = (0..PEOPLE).map(Person::new).collect();
    let server = cluster.addresses[0];
    let mut population = Population { people, server, key, started: Instant::now() };
    population.run_until("all have registered", |people| people.iter().all(Person::is_quiet));

    let mut unserved = Vec::new();
    for failure in FAILURES.into_iter().cycle().take(rounds) {
        let mut writes = |population: &mut Population, cluster: &Cluster, long: Duration| {
            let until = Instant::now() + long;
            while Instant::now() < until {
                population.write(&mut dice);
                population.go_to(cluster);
                population.turn();
            }
        };
        let long = Duration::from_millis(50 + u64::from(rng().next_u32() % 200));
        writes(&mut population, &cluster, long);
        cluster.fail(failure, &mut |cluster, long| writes(&mut population, cluster, long));
        let begin = Instant::now();
        while cluster.serves().is_none() {
            assert!(begin.elapsed() < PATIENCE, "nobody serves after {failure:?}");
            population.turn();
        }
        unserved.push((failure, begin.elapsed()));
        writes(&mut population, &cluster, LEASE);
        cluster.mend();
        let deadline = Instant::now() + PATIENCE;
        while !population.people.iter().all(Person::is_quiet) {
            assert!(Instant::now() < deadline, "not everything is answered after {failure:?}");
            population.go_to(&cluster);
            population.turn();
            cluster.mend();
        }
        population.audit(&cluster.waiting());
    }
    population.run_until("every letter has come", Population::has_everything);
    let count = "SELECT count(*) FROM waxwing.pending_messages";
    population.run_until("every letter is acknowledged", |_| cluster.sql(count) == "0");
    let letters: usize = population.journals().map(|journal| journal.received.len()).sum();
    let repeated: usize = population.journals().map(|journal| journal.repeated).sum();
    println!("{letters} letters, {repeated} of them handed over more than once");
    for failure in FAILURES {
        let of_this = unserved.iter().filter(|(found, _)| *found == failure);
        let mut times: Vec<_> = of_this.map(|(_, time)| time.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        if let (Some(median), Some(worst)) = (times.get(times.len() / 2), times.last()) {
            let count = times.len();
            println!("{failure:?}: {count} times; unserved {median:.2} s, {worst:.2} s at most");
        }
    }
}

impl Population {
    /// Whoever connects tries the server that takes connections.
    fn go_to(&mut self, cluster: &Cluster) {
        if self.people.iter().any(|person| person.line.is_none())
            && let Some(server) = cluster.serves()
        {
            self.server = cluster.addresses[server];
        }
    }
}
