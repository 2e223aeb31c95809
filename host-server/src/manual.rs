//! What the manual says besides the help: exit codes, files and variables. The long help, the manual pages and the
//! tables of the documents have it from here.

use crate::exit::Exit;

/// A section of a manual page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its heading.
    pub title: &'static str,
    /// What it lists.
    pub entries: Vec<Entry>,
}

/// One thing, and what there is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is called.
    pub name: String,
    /// What it is.
    pub about: &'static str,
}

const FILES: &[(&str, &str)] = &[
    (
        "/etc/waxwing/waxwing.toml",
        "The configuration of the service that the package starts. Commands read it with --config.",
    ),
    (
        "waxwing-data",
        "The data directory, unless server.data or --data names another one: /var/lib/waxwing for that service. \
         Nobody but the user of the server may enter it.",
    ),
    (
        "waxwing-data/server.key.pem",
        "The server's private key. No backup has it: keep a copy elsewhere.",
    ),
    ("waxwing-data/server.pub.pem", "Its public half, which every client needs once."),
    (
        "waxwing-data/waxwing.db",
        "The database. What was written last is in waxwing.db-wal beside it.",
    ),
    ("waxwing-data/audit.jsonl", "What operators did."),
    (
        "waxwing-data/control.sock",
        "Where commands reach the running server, unless server.control names another place: \
         /run/waxwing/control.sock for the service of the package.",
    ),
];

const VARIABLES: &[(&str, &str)] = &[
    (
        "WAXWING_SECTION__KEY",
        "Gives the setting section.key its value, before the configuration file: WAXWING_LOG__LEVEL=debug. \
         `waxwing-server config example` prints all settings.",
    ),
    (
        "WAXWING_SERVER__CONTROL",
        "So a command reaches a running server although the configuration file cannot be read.",
    ),
    (
        "SSH_CONNECTION",
        "From where somebody is logged in: `ban add` bans nobody who gives the command.",
    ),
    (
        "NOTIFY_SOCKET, WATCHDOG_USEC, JOURNAL_STREAM",
        "By these systemd says how the server tells it that it is ready, that its loops turn, and what it logs.",
    ),
];

const OTHER_PAGES: &[(&str, &str)] = &[
    ("waxwing-server(1)", "The commands of the server."),
    ("systemctl(1), journalctl(1)", "The service, and its log."),
    (
        "/usr/share/doc/waxwing-server/OPERATING.md",
        "How a server is operated, from the installation to the day on which something is wrong. METRICS.md, CLUSTER.md \
         and SECURITY.md are beside it.",
    ),
];

/// The sections that each manual page of the server has, behind those about its command.
#[must_use]
pub fn sections() -> [Section; 4] {
    let section = |title, listed: &[(&str, &'static str)]| {
        let entry = |(name, about): &(&str, &'static str)| Entry { name: (*name).into(), about };
        Section { title, entries: listed.iter().map(entry).collect() }
    };
    [
        Section { title: "EXIT STATUS", entries: exit_codes().collect() },
        section("FILES", FILES),
        section("ENVIRONMENT", VARIABLES),
        section("SEE ALSO", OTHER_PAGES),
    ]
}

/// The exit codes of the server, and what each means.
pub fn exit_codes() -> impl Iterator<Item = Entry> {
    Exit::ALL.iter().map(|exit| Entry { name: (*exit as u8).to_string(), about: exit.meaning() })
}

/// The same for the end of the long help.
pub(crate) fn exit_codes_as_text() -> String {
    let line = |Entry { name, about }: Entry| format!("\n  {name:>2}  {about}");
    format!("Exit codes:{}", exit_codes().map(line).collect::<String>())
}
