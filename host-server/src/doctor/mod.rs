//! What may be wrong with a server and its machine, looked at without changing anything.
//!
//! A check looks at values and judges them. The looking is thin; the judging is a function of the values, so
//! that it is tested without the machine. docs/OPERATING.md has a table of all checks, in the words that
//! stand here. They work whether the server runs or not. What only the user of the server can see is left
//! out for others, and said to be so.

mod audit;
mod backups;
mod codes;
mod configuration;
mod database;
mod disk;
mod files;
mod key;
mod limits;
mod log;
mod machine;
mod place;
mod programs;
mod room;
mod server;

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::process::geteuid;

use crate::config::Config;
pub use place::Place;

/// What a check has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and somebody should look into it.
    Warn,
    /// It does not work, or is not safe.
    Fail,
    /// Nobody can say it here.
    Skipped,
}

impl Verdict {
    /// What people and programs call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
        }
    }
}

/// What a check has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What that means.
    pub verdict: Verdict,
    /// What there is.
    pub found: String,
    /// What to do; nothing if all is well.
    pub help: Option<String>,
    /// Nobody has looked, since only another user can.
    pub is_for_another: bool,
}

impl Finding {
    fn ok(found: impl Into<String>) -> Self {
        Self::new(Verdict::Ok, found, None)
    }

    fn warn(found: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Verdict::Warn, found, Some(help.into()))
    }

    fn fail(found: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Verdict::Fail, found, Some(help.into()))
    }

    fn skipped(found: impl Into<String>) -> Self {
        Self::new(Verdict::Skipped, found, None)
    }

    /// Skipped, since only another user can see it.
    fn for_another(found: impl Into<String>) -> Self {
        Self { is_for_another: true, ..Self::skipped(found) }
    }

    fn new(verdict: Verdict, found: impl Into<String>, help: Option<String>) -> Self {
        Self { verdict, found: found.into(), help, is_for_another: false }
    }
}

/// Something that is looked at.
pub struct Check {
    /// Its name, which stays.
    pub name: &'static str,
    /// What it looks at.
    pub about: &'static str,
    /// Looks at it.
    pub look: fn(&Place<'_>) -> Finding,
}

/// All checks, in the order in which they are told of.
pub const CHECKS: &[Check] = &[
    Check {
        name: "server",
        about: "Whether a server runs, answers, and stores what it is given; of one that is stopped, whether its addresses are free.",
        look: server::look,
    },
    Check {
        name: "configuration",
        about: "Whether a server could start with the configuration, and the one that runs has all of it.",
        look: configuration::look,
    },
    Check {
        name: "files",
        about: "Owners and modes of the data directory and of what is in it.",
        look: files::look,
    },
    Check {
        name: "audit_log",
        about: "Whether the audit log can be written: without it, commands that change something are refused.",
        look: audit::look,
    },
    Check {
        name: "log",
        about: "Whether the log of the server that runs gets to its file, and no line of it was lost.",
        look: log::look,
    },
    Check {
        name: "key",
        about: "Whether the server's key can be used, the published half belongs to it, and a planned change is done.",
        look: key::look,
    },
    Check {
        name: "database",
        about: "Journal mode and page size of the database; of one that is shared, whether it answers.",
        look: database::look,
    },
    Check {
        name: "database_pages",
        about: "Whether pages of the database are damaged, as far as five seconds suffice to read them.",
        look: database::pages,
    },
    Check {
        name: "copies",
        about: "Whether each commit of a shared database is on two machines, against `storage.copies`.",
        look: database::copies,
    },
    Check {
        name: "older_databases",
        about: "Whether an upgrade, a restore or a recovery has left an older state of the database in the data directory.",
        look: files::older_databases,
    },
    Check {
        name: "file_system",
        about: "Whether the data directory is on a disk of this machine.",
        look: disk::file_system,
    },
    Check {
        name: "free_disk",
        about: "Free disk space against `storage.min_free_disk`.",
        look: disk::free,
    },
    Check {
        name: "quotas",
        about: "Whether a few people could fill the disk within their limits.",
        look: room::quotas,
    },
    Check {
        name: "backup_room",
        about: "Whether there is room for the next backup, and `storage.min_free_disk` beside it.",
        look: room::backup,
    },
    Check {
        name: "sync_time",
        about: "How long the disk takes until something is safe.",
        look: disk::sync_time,
    },
    Check {
        name: "backups",
        about: "Whether there are backups, and how old the newest is against `backup.every`.",
        look: backups::look,
    },
    Check {
        name: "code_delivery",
        about: "Whether the program or gateway for one-time passwords can be used.",
        look: codes::delivery,
    },
    Check {
        name: "public_codes",
        about: "Whether one-time passwords are for those alone who have the phone.",
        look: codes::public,
    },
    Check {
        name: "exempt",
        about: "Whether `limits.exempt` names addresses of the Internet.",
        look: limits::exempt,
    },
    Check {
        name: "open_files",
        about: "How many connections the limit of open files of the server that runs leaves room for.",
        look: server::open_files,
    },
    Check {
        name: "clock",
        about: "Whether the clock of the machine is set by others.",
        look: machine::clock,
    },
    Check {
        name: "swap",
        about: "Whether what is in memory can get to a disk unencrypted.",
        look: machine::swap,
    },
    Check {
        name: "unit",
        about: "How much of the machine the service can reach, by `systemd-analyze security`.",
        look: machine::unit,
    },
];

/// Why something is not looked at that only the user of the server can see, if this is another one.
fn another_user(config: &Config) -> Option<Finding> {
    let owner = fs::metadata(&config.server.data).ok()?.uid();
    let own = geteuid().as_raw();
    (owner != own).then(|| {
        Finding::for_another(format!(
            "the data directory belongs to the user with number {owner}: to see this, do it as that user, \
             sudo -u '#{owner}' waxwing-server ..."
        ))
    })
}
