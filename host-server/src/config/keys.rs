//! The table of keys.

use toml::Value;
use waxwing_core::limits::MIN_ENVELOPE;

use super::kind;
use super::sections::Config;

/// One setting.
pub(super) struct Key {
    /// Section and name, with dots.
    pub(super) name: &'static str,
    /// What it means.
    pub(super) about: &'static str,
    /// When a change of it takes effect.
    pub(super) change: Change,
    /// From where to where, if it is a quantity.
    pub(super) range: Option<Range>,
    /// Sets it.
    pub(super) read: fn(&mut Config, &Value) -> Result<(), String>,
    /// Its value, as TOML, without what is secret in it.
    pub(super) show: fn(&Config) -> String,
    /// Gives the first configuration the value that the second one has.
    pub(super) copy: fn(&mut Config, &Config),
    /// Whether two configurations have other values.
    pub(super) differs: fn(&Config, &Config) -> bool,
}

/// When a change of a setting takes effect in a running server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// As soon as the configuration is read again.
    Live,
    /// At the next start: the server has it from its start to its end.
    Restart,
}

impl Change {
    /// What JSON calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Restart => "restart",
        }
    }
}

/// The values that a quantity may have, in its smallest unit.
pub(super) struct Range {
    pub(super) least: u64,
    pub(super) most: u64,
    amount: fn(&Config) -> u64,
    /// How an amount is written.
    pub(super) show: fn(u64) -> String,
}

impl Key {
    /// Sets it from `value`, and looks whether it may be so much.
    pub(super) fn set(&self, config: &mut Config, value: &Value) -> Result<(), String> {
        let Self { name, range, read, show, .. } = self;
        read(config, value).map_err(|why| format!("{name}: {why}"))?;
        match range {
            Some(range) if !(range.least..=range.most).contains(&(range.amount)(config)) => {
                Err(format!("{name} has to be from {}, and not {}", range.words(), show(config)))
            }
            _ => Ok(()),
        }
    }
}

impl Range {
    /// `1 to 256`.
    pub(super) fn words(&self) -> String {
        format!("{} to {}", (self.show)(self.least), (self.show)(self.most))
    }
}

pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

macro_rules! key {
    ($section:ident $(. $field:ident)+, $change:ident, $kind:ident $least:tt..=$most:expr, $about:literal) => {
        Key {
            range: Some(Range {
                least: $least,
                most: $most,
                amount: |config| kind::$kind::amount(&config.$section$(.$field)+),
                show: kind::$kind::written,
            }),
            ..key!($section $(. $field)+, $change, $kind, $about)
        }
    };
    ($section:ident $(. $field:ident)+, $change:ident, $kind:ident, $about:literal) => {
        Key {
            name: concat!(stringify!($section) $(, ".", stringify!($field))+),
            about: $about,
            change: Change::$change,
            range: None,
            read: |config, value| {
                config.$section$(.$field)+ = kind::$kind::read(value)?;
                Ok(())
            },
            show: |config| kind::$kind::show(&config.$section$(.$field)+),
            differs: |one, other| one.$section$(.$field)+ != other.$section$(.$field)+,
            copy: |to, from| to.$section$(.$field)+ = from.$section$(.$field)+.clone(),
        }
    };
}

/// In milliseconds.
const TENTH: u64 = 100;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// What a date of nowadays can be put off by without leaving the calendar.
const TEN_YEARS: u64 = 3_650 * DAY;
/// The longest that the wire can say.
const WIRE_SECONDS: u64 = 65_535 * SECOND;
/// The longest before a keepalive that Linux takes is 32,767 s.
const KEEPALIVE: u64 = 9 * HOUR;

const KIB: u64 = 1 << 10;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
/// Room for the largest packet.
const PACKET: u64 = 128 * KIB;
const SMALLEST_LETTER: u64 = MIN_ENVELOPE as u64;

/// What is as good as no limit of frequency.
const MANY: u64 = 1_000_000;

/// Every key, in the order of the example file. What needs a restart decides where the server is, or
/// is asked for when it starts, as what its event loops ask of TCP; all else is live.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key!(server.listen, Restart, addresses, "Address and port to listen on: \"127.0.0.1:9295\", or several as in [\"0.0.0.0:9295\", \"[::]:9295\"], which is every network over IPv4 and over IPv6. An IPv6 address takes IPv6 alone."),
    key!(server.proxies, Live, list, "Addresses and ranges of proxies, as in [\"10.0.0.5\", \"10.1.0.0/16\"]. Each of their connections has to begin with a PROXY header of version 2 (`send-proxy-v2` of HAProxy), and has the address of the client that is named there. Such a header of anybody else is not read. Only proxies may be able to connect from these addresses: whoever else can do so has any address that they like."),
    key!(server.data, Restart, path, "Directory of key and database."),
    key!(server.control, Restart, path, "Socket through which commands such as `waxwing-server status` speak with the running server. Empty: control.sock in the directory of server.data."),
    key!(server.control_group, Restart, text, "Group that may use that socket, besides root and the user of the server: a name out of /etc/group, or a number. Empty: nobody else. Whoever is in it can do all that the operator can."),
    key!(server.allow_first_start, Restart, flag, "Begin a new server where there is neither key nor database. Set it to false once the server has started, so that a disk that is not mounted is not taken for a first start."),
    key!(server.loops, Restart, count 1..=256, "Event loops, each in a thread of its own and with users of its own: at most one per processor makes sense."),
    key!(server.keepalive, Restart, duration SECOND..=KEEPALIVE, "How long a connection may be silent before TCP asks whether the peer is there."),
    key!(server.user_timeout, Restart, duration SECOND..=DAY, "How long sent bytes may stay unacknowledged by the peer's TCP."),

    key!(registration.open, Live, flag, "Let people register who have no account yet. Who has one is not concerned."),
    key!(registration.allow_file, Live, path, "File of the phones that may register, one a line; a line that begins with # is a remark. Empty: all phones."),
    key!(registration.countries, Live, list, "What phones that may register begin with, as in [\"+49\", \"+1\"]. Other phones are refused before a code is made. Empty: all phones."),

    key!(otp.delivery, Live, choice, "How one-time passwords are delivered: \"console\" (standard error), \"exec\" (a program), \"webhook\" (a request over HTTPS), \"in-band\" (in the answer itself, which proves no phone)."),
    key!(otp.fallback, Live, choice_or_none, "How a one-time password is delivered when the way of otp.delivery fails: another of \"console\", \"exec\" and \"webhook\". Empty: not at all."),
    key!(otp.allow_unverified, Live, flag, "Allow in-band delivery on an address that others can reach."),
    key!(otp.ttl, Live, duration SECOND..=WIRE_SECONDS, "How long a one-time password is good."),
    key!(otp.attempts, Live, count 1..=100, "How many attempts a client has at one password."),
    key!(otp.resend_after, Live, duration SECOND..=WIRE_SECONDS, "How long clients are told to wait before they ask for another password."),

    key!(otp.exec.program, Live, path, "The program for \"exec\". It reads the phone and the code, one line each, from standard input."),
    key!(otp.exec.args, Live, arguments, "The arguments of that program. Phone and code are not among them."),
    key!(otp.exec.timeout, Live, duration TENTH..=(10 * MINUTE), "How long one run of the program may take before it is killed."),
    key!(otp.exec.workers, Live, count 1..=64, "How many runs of the program there may be at the same time."),
    key!(otp.exec.queue, Live, count 1..=10_000, "How many codes may wait for a run of the program."),

    key!(otp.webhook.url, Live, url, "Where a request is sent for each code, by POST. Plain http is for this machine only: http://127.0.0.1:8080/send."),
    key!(otp.webhook.body, Live, body, "The body of the request. {phone} and {code} stand for phone and code."),
    key!(otp.webhook.headers, Live, secret_list, "Headers of the request, as in [\"Authorization: Bearer ...\"]. Without a Content-Type, it is application/json."),
    key!(otp.webhook.secret_file, Live, path, "File with the secret that requests are signed with, of at least 16 bytes. Empty: they are not signed."),
    key!(otp.webhook.ca_file, Live, path, "File of certificates in PEM, one of which has to vouch for the gateway. Empty: those that this machine trusts."),
    key!(otp.webhook.timeout, Live, duration TENTH..=(10 * MINUTE), "How long one code may take, with all tries."),
    key!(otp.webhook.retries, Live, count 0..=10, "How often a request is made again when the gateway cannot be reached, or says that it is too busy."),

    key!(letters.life, Live, duration SECOND..=TEN_YEARS, "How long a letter waits for its recipient."),
    key!(letters.fate_memory, Live, duration SECOND..=TEN_YEARS, "How long the sender of a letter that has expired can learn that it was not delivered."),
    key!(letters.max_size, Live, size SMALLEST_LETTER..=65_535, "Largest payload of a letter."),

    key!(deadlines.first_packet, Live, duration TENTH..=DAY, "Time from connecting to the first whole packet."),
    key!(deadlines.confirmation, Live, duration TENTH..=DAY, "Time from giving out a session key to its confirmation."),
    key!(deadlines.packet, Live, duration TENTH..=DAY, "Time from a packet's first byte to its last; in a session, for each 4 KiB of it."),
    key!(deadlines.progress, Live, duration TENTH..=DAY, "Time without any acknowledgment while letters are handed over. A large letter has the time of its packet besides."),
    key!(deadlines.leave, Live, duration TENTH..=(10 * MINUTE), "Time to commit what a client that leaves has sent."),

    key!(limits.letters_per_mailbox, Live, count 1..=(10 * MANY), "Letters pending for one recipient."),
    key!(limits.bytes_per_mailbox, Live, size KIB..=TIB, "Bytes pending for one recipient."),
    key!(limits.letters_per_pair, Live, count 1..=(10 * MANY), "Letters pending from one sender for one recipient."),
    key!(limits.bytes_per_pair, Live, size KIB..=TIB, "Bytes pending from one sender for one recipient."),
    key!(limits.letters_per_sender, Live, count 1..=(10 * MANY), "Letters pending from one sender in all mailboxes."),
    key!(limits.bytes_per_sender, Live, size KIB..=TIB, "Bytes pending from one sender in all mailboxes."),
    key!(limits.half_received, Live, size PACKET..=(64 * GIB), "Half-received packets of all connections; above it the slowest is closed."),
    key!(limits.unsent_per_connection, Live, size (16 * KIB)..=GIB, "Answers that the client of one connection has not read yet, besides the letters of its window; above it the connection is closed."),
    key!(limits.connections_per_prefix, Live, count 1..=MANY, "Connections from one address prefix (/24, or /64 for IPv6)."),
    key!(limits.registrations_per_prefix_per_hour, Live, count 1..=MANY, "Registrations from one address prefix."),
    key!(limits.proofs_per_prefix_per_hour, Live, count 1..=MANY, "Proofs of a one-time password from one address prefix."),
    key!(limits.codes_per_phone_and_prefix_per_hour, Live, count 1..=MANY, "One-time passwords for one phone from one prefix."),
    key!(limits.codes_per_phone_per_day, Live, count 1..=MANY, "One-time passwords for one phone."),
    key!(limits.codes_per_day, Live, count 1..=MANY, "One-time passwords in all. It bounds what sending them costs."),
    key!(limits.wrong_codes_per_prefix_per_day, Live, count 1..=MANY, "Wrong guesses from one prefix."),
    key!(limits.wrong_codes_per_day, Live, count 1..=MANY, "Wrong guesses in all, after which new codes get one attempt."),
    key!(limits.registration_operations_per_second, Live, count 1..=MANY, "Private-key operations for registrations."),
    key!(limits.reconnect_operations_per_second, Live, count 1..=MANY, "Private-key operations for reconnects."),
    key!(limits.reconnects_per_user_and_prefix_per_minute, Live, count 1..=MANY, "Reconnects of one user from one prefix."),
    key!(limits.lookups_per_user_per_day, Live, count 1..=MANY, "Questions of one user for keys by phone."),
    key!(limits.status_query_interval, Live, duration 1..=HOUR, "Shortest time between two questions of one client about its letters."),
    key!(limits.answers_per_second, Live, count 1..=MANY, "Answers and refusals to one client; more of them wait."),
    key!(limits.refusals_per_second, Live, count 1..=MANY, "Refusals on one connection; one more closes it."),
    key!(limits.ban_after, Live, count 0..=10_000, "Bad signatures, malformed packets and wrong one-time passwords in 10 minutes, from one address (or /64 of IPv6), after which nobody is served from there for a while. 0: never. 100 is a start. Who shares an address is banned with it: SECURITY.md, \"Bans\"."),
    key!(limits.ban_for, Live, duration SECOND..=TEN_YEARS, "How long the server bans an address by itself."),
    key!(limits.exempt, Live, list, "Addresses and ranges that limits per address do not apply to, and that the server never bans by itself, nor others in the same /64 of IPv6. Whoever comes through a proxy has the address of that proxy, unless server.proxies names it."),

    key!(storage.url, Restart, url, "Database of PostgreSQL that several servers share, as in \"postgres://waxwing@db1,db2/chat?sslmode=verify-full&sslrootcert=/etc/waxwing/db-ca.pem\". On this machine it needs no TLS: \"postgres://waxwing@%2Frun%2Fpostgresql/chat\". Empty: SQLite in server.data, for one server."),
    key!(storage.password_file, Restart, path, "File with the password for that database, which nobody but the server can read. Empty: no password."),
    key!(storage.timeout, Restart, duration TENTH..=MINUTE, "How long any answer of that database may take."),
    key!(storage.copies, Restart, count 1..=2, "On how many machines that database has to have what is stored. 2: nothing is taken while it has no synchronous standby. 1: the log warns of that."),
    key!(storage.min_free_disk, Live, size 0..=(1_024 * TIB), "Below this much free space nothing new is taken for absent recipients."),
    key!(storage.id_rest, Restart, duration 0..=TEN_YEARS, "How long the id of a removed user is not given to another user."),
    key!(storage.busy_timeout, Restart, duration 1..=MINUTE, "How long a commit waits for another process that has locked the database."),
    key!(storage.expiry_interval, Live, duration TENTH..=DAY, "Time between two searches for expired letters."),
    key!(storage.tidy_after, Live, duration TENTH..=DAY, "How long the server has to be idle before it moves the write-ahead log into the database, and empties it."),

    key!(cluster.lease, Restart, duration TENTH..=MINUTE, "Of servers that share a database, one serves and the others stand by. After so long a silence of the one, another takes over."),
    key!(cluster.isolated, Restart, duration SECOND..=DAY, "After so long without the database that it shares, a server sends its sessions away."),

    key!(backup.directory, Restart, path, "Directory for backups of the database, best on another disk. It has to be there, and others must not be able to change it. Empty: the server makes no backups by itself."),
    key!(backup.every, Restart, duration SECOND..=TEN_YEARS, "Time between two backups that the server makes by itself."),
    key!(backup.keep, Restart, count 1..=10_000, "How many backups are kept in that directory; older ones are deleted when a newer one has been read back without an error."),

    key!(canary.every, Live, duration 0..=DAY, "How often the server writes a letter to itself, by two accounts of its own that connect as clients do, to see whether letters arrive: at least 1s. Zero: never. `waxwing-server status` and the metrics tell of it."),

    key!(metrics.listen, Restart, address_or_none, "Address and port where numbers and health can be read over plain HTTP: /metrics in the format of Prometheus, /healthz and /readyz. Everybody who reaches it can read them. Empty: nowhere."),

    key!(log.level, Live, choice, "How much goes to the log: \"error\", \"warn\", \"info\", \"debug\" or \"trace\"."),
    key!(log.format, Live, choice, "What lines of the log look like: \"text\" or \"json\"."),
    key!(log.file, Live, path, "File that the server writes its log to. It is opened again by `waxwing-server log reopen`, SIGUSR1, and when the configuration is read again. Empty: standard error."),
];
