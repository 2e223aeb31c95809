//! Further machines beside a database, and files that are its own.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::postgres::{Guarded, PATIENCE, Postgres, directory_of, guarded, owner};

impl Postgres {
    /// Starts a second machine that has each commit before it is confirmed, by the name `second`.
    pub(crate) fn start_second(&self) -> Guarded {
        let directory = directory_of(owner());
        let mut second = guarded(&self.programs.join("pg_receivewal"), owner(), &directory);
        second.env("PGAPPNAME", "second").args(["--synchronous", "-U", "waxwing", "-h"]);
        second.arg(&self.directory).arg("-D").arg(&directory);
        Guarded::start(&mut second)
    }

    /// Starts a pooler before a database that gives each transaction another connection, and says how a
    /// configuration names the database then. `None` where there is none.
    pub(crate) fn start_pooler(&self, database: &str) -> Option<(Guarded, String)> {
        let program = Path::new("/usr/sbin/pgbouncer");
        if !program.exists() {
            eprintln!("SKIPPED: pgbouncer is not installed");
            return None;
        }
        let directory = directory_of(owner());
        let (_, name) = database.rsplit_once('/').unwrap();
        let (of_database, of_pooler) = (self.directory.display(), directory.display());
        let settings = format!(
            "[databases]\n{name} = host={of_database} user=waxwing\n[pgbouncer]\nlisten_addr =\n\
             listen_port = 6432\nunix_socket_dir = {of_pooler}\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = 3\n"
        );
        let file = directory.join("settings.ini");
        fs::write(&file, settings).unwrap();
        let pooler = Guarded::start(guarded(program, owner(), &directory).arg(&file));
        let begin = Instant::now();
        while !directory.join(".s.PGSQL.6432").exists() {
            assert!(begin.elapsed() < PATIENCE, "the pooler does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        let host = of_pooler.to_string().replace('/', "%2F");
        Some((pooler, format!("postgres://waxwing@{host}:6432/{name}")))
    }

    /// A directory in which its user can write.
    pub(crate) fn give_directory(&self, directory: &Path) {
        if let Some((user, group)) = owner() {
            chown(directory, Some(user), Some(group)).unwrap();
        }
        fs::set_permissions(directory, Permissions::from_mode(0o700)).unwrap();
    }

    /// What is its own, as it insists.
    pub(crate) fn give(&self, file: &Path) {
        if let Some((user, group)) = owner() {
            chown(file, Some(user), Some(group)).unwrap();
        }
        fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
    }
}
