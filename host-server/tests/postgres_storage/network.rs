//! The database is at the other end of a network.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustix::process::Signal;

use crate::servers::{Cluster, Node, free_address};
use crate::support::postgres::{Guarded, Postgres};

/// A database that proves who it is, and wants a password.
struct Remote {
    cluster: Cluster,
    /// The port on which it listens.
    port: String,
    password: PathBuf,
    _running: Guarded,
}

impl Remote {
    /// It listens at this address, and its certificate is for this name (`DNS:…` or `IP:…`).
    fn start(address: &str, name: &str) -> Option<Self> {
        let cluster = Cluster::of(Arc::new(Postgres::start()?));
        let root = cluster.root.path().to_owned();
        for name in ["ours", "theirs"] {
            openssl(&root, &format!("-keyout {name}.key -out {name}.pem -subj /CN={name}"));
        }
        openssl(
            &root,
            &format!(
                "-CA ours.pem -CAkey ours.key -keyout db.key -out db.pem -subj /CN=db \
                 -addext subjectAltName={name} -addext basicConstraints=critical,CA:FALSE"
            ),
        );
        let directory = cluster.postgres.directory.clone();
        for file in ["db.key", "db.pem"] {
            fs::copy(root.join(file), directory.join(file)).unwrap();
            cluster.postgres.give(&directory.join(file));
        }
        let sql = |statement: &str| cluster.postgres.psql(&cluster.url, statement);
        sql("CREATE ROLE chat LOGIN PASSWORD 'correct horse'");
        let database = cluster.url.rsplit('/').next().unwrap();
        sql(&format!("ALTER DATABASE {database} OWNER TO chat"));
        let rules = directory.join("hba");
        fs::write(&rules, "local all all trust\nhostssl all all all scram-sha-256\n").unwrap();
        cluster.postgres.give(&rules);
        cluster.postgres.kill();
        let port = free_address(address).port().to_string();
        let settings = [
            format!("listen_addresses={address}"),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", directory.join("db.pem").display()),
            format!("ssl_key_file={}", directory.join("db.key").display()),
            format!("hba_file={}", rules.display()),
        ];
        let _running = cluster.postgres.start_again_on(&port, &settings);
        let password = root.join("password");
        fs::write(&password, "correct horse\n").unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
        Some(Self { cluster, port, password, _running })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.cluster.root.path().join(name)
    }

    /// How a configuration names it, at this host, with the authority that has to vouch for it.
    fn url(&self, host: &str, authority: &str) -> String {
        let roots = self.file(authority);
        let (port, name) = (&self.port, self.cluster.url.rsplit('/').next().unwrap());
        let roots = roots.display();
        format!("postgres://chat@{host}:{port}/{name}?sslmode=verify-full&sslrootcert={roots}")
    }

    /// The same on the machine of the database.
    fn url_of_socket(&self) -> String {
        let (user, rest) = self.cluster.url.split_once('@').unwrap();
        let (host, name) = rest.split_once('/').unwrap();
        format!("{user}@{host}:{}/{name}", self.port)
    }

    /// A server that uses it so.
    fn set(&self, command: &mut Command, url: &str, password: &Path) {
        command.env("WAXWING_STORAGE__URL", url);
        command.env("WAXWING_STORAGE__PASSWORD_FILE", password);
    }
}

#[test]
fn over_a_network_the_database_proves_who_it_is_and_the_server_too() {
    let Some(remote) = Remote::start("127.0.0.1", "DNS:localhost") else { return };
    let refuses = |url: &str, password: &Path, code, words| {
        remote.cluster.refuses("a", |command| remote.set(command, url, password), code, words);
    };
    let ours = remote.url("localhost", "ours.pem");
    let who_it_is = "does not prove who it is";
    refuses(&remote.url("localhost", "theirs.pem"), &remote.password, 3, who_it_is);
    refuses(&remote.url("127.0.0.1", "ours.pem"), &remote.password, 3, who_it_is);
    refuses(&remote.url("localhost", "none.pem"), &remote.password, 78, "none.pem");
    refuses(&ours, Path::new(""), 78, "storage.password_file");
    let wrong = remote.file("wrong");
    fs::write(&wrong, "battery staple").unwrap();
    refuses(&ours, &wrong, 78, "others can read it");
    fs::set_permissions(&wrong, fs::Permissions::from_mode(0o600)).unwrap();
    refuses(&ours, &wrong, 78, "does not let the server in");
    let mut command = remote.cluster.command("a");
    remote.set(&mut command, &ours, &remote.password);
    let mut first = Node::start(command, remote.cluster.data("a.log")).serves();
    first.signal(Signal::TERM);
    assert_eq!(first.ends(), Some(0));
}

/// A machine with a network of its own, and the cable between it and this one.
struct Machine {
    name: String,
    /// The end of the cable here.
    here: String,
    address: String,
}

impl Machine {
    /// `None`, with the reason on the standard error, where this user cannot make one.
    fn new() -> Option<Self> {
        let number = std::process::id();
        let (name, here) = (format!("wx{number}"), format!("wx{number}h"));
        let network = format!("169.254.{}", 1 + number % 250);
        let machine = Self { name, here, address: format!("{network}.1") };
        let (name, here) = (&machine.name, &machine.here);
        if !rustix::process::geteuid().is_root() || !ip(&format!("netns add {name}")) {
            eprintln!("SKIPPED: a namespace for a network needs root, and `ip`");
            return None;
        }
        for make in [
            format!("link add {here} type veth peer name there netns {name}"),
            format!("address add {network}.1/30 dev {here}"),
            format!("link set {here} up"),
            format!("-n {name} address add {network}.2/30 dev there"),
            format!("-n {name} link set there up"),
            format!("-n {name} link set lo up"),
        ] {
            assert!(ip(&make), "ip {make}");
        }
        Some(machine)
    }

    /// The same program, there.
    fn runs(&self, command: &Command) -> Command {
        let mut there = Command::new("ip");
        there.args(["netns", "exec", &self.name]).arg(command.get_program());
        there.args(command.get_args());
        there.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        there
    }

    fn cut(&self) {
        assert!(ip(&format!("-n {} link set there down", self.name)));
    }

    fn mend(&self) {
        assert!(ip(&format!("-n {} link set there up", self.name)));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The cable goes with it.
        ip(&format!("link del {}", self.here));
        ip(&format!("netns del {}", self.name));
    }
}

fn ip(arguments: &str) -> bool {
    let done = Command::new("ip").args(arguments.split_whitespace()).output();
    done.is_ok_and(|done| done.status.success())
}

#[test]
fn a_server_that_is_cut_off_from_the_database_is_replaced_and_ends_when_it_is_back() {
    let Some(machine) = Machine::new() else { return };
    let Some(remote) = Remote::start(&machine.address, &format!("IP:{}", machine.address)) else {
        return;
    };
    let mut command = remote.cluster.command("a");
    remote.set(&mut command, &remote.url(&machine.address, "ours.pem"), &remote.password);
    let command = machine.runs(&command);
    let mut first = Node::start(command, remote.cluster.data("a.log")).serves();
    remote.cluster.share_key("a", "b");
    let mut command = remote.cluster.command("b");
    command.env("WAXWING_STORAGE__URL", remote.url_of_socket());
    let second = Node::start(command, remote.cluster.data("b.log"));
    second.logs("this one stands by");

    machine.cut();
    let _second = second.serves();
    assert!(first.is_running(), "{}", first.log());
    machine.mend();
    assert_eq!(first.ends(), Some(75), "{}", first.log());
}

/// Makes a key and a certificate.
fn openssl(directory: &Path, arguments: &str) {
    let mut openssl = Command::new("openssl");
    openssl.current_dir(directory).args(["req", "-x509", "-nodes", "-days", "2"]);
    openssl.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    let made = openssl.args(arguments.split_whitespace()).output().unwrap();
    assert!(made.status.success(), "{made:?}");
}
