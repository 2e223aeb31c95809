//! The settings, as plain values.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use waxwing_core::phone::PhonePrefix;
use waxwing_core::server::{self, Deadlines, MailboxLimits, Rates};

use super::{AddressRange, Header};

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Where the server listens and keeps its data.
    pub server: ServerConfig,
    /// Section `registration`: who may register.
    pub registration: RegistrationConfig,
    /// Section `otp`: one-time passwords.
    pub otp: OtpConfig,
    /// Section `letters`: how long they live, and how large they are.
    pub letters: LetterConfig,
    /// How long a peer may take.
    pub deadlines: DeadlineConfig,
    /// How much a peer may ask for.
    pub limits: Limits,
    /// Section `storage`: the database.
    pub storage: StorageConfig,
    /// Section `cluster`: several servers that share a database.
    pub cluster: ClusterConfig,
    /// Section `backup`: copies of the database.
    pub backup: BackupConfig,
    /// Section `canary`: letters that the server writes to itself.
    pub canary: CanaryConfig,
    /// Section `metrics`: where numbers and health can be read.
    pub metrics: MetricsConfig,
    /// Section `log`: what is logged, and how.
    pub log: LogConfig,
}

/// Section `server`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Addresses and ports to listen on.
    pub listen: Vec<SocketAddr>,
    /// Addresses of proxies, which say in a PROXY header of version 2 whose each connection is.
    pub proxies: Vec<AddressRange>,
    /// Directory of key and database.
    pub data: PathBuf,
    /// Where the socket for commands of the operator is; empty for a place in `data`.
    pub control: PathBuf,
    /// The group that may use that socket, by name or number; empty for none.
    pub control_group: String,
    /// Whether a new server begins where there is neither key nor database.
    pub allow_first_start: bool,
    /// Event loops, each with users of its own.
    pub loops: u16,
    /// How long a connection may be silent before TCP asks whether the peer is there.
    pub keepalive: Duration,
    /// How long sent bytes may stay unacknowledged by the peer's TCP.
    pub user_timeout: Duration,
}

/// Section `registration`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationConfig {
    /// Whether anybody new may register.
    pub open: bool,
    /// A file of the phones that may register, one a line; empty for all phones.
    pub allow_file: PathBuf,
    /// What phones that may register begin with; empty for all phones.
    pub countries: Vec<PhonePrefix>,
}

/// How one-time passwords reach their phones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryKind {
    /// In the 200 itself, which proves no phone.
    InBand,
    /// Printed on the server's standard error.
    Console,
    /// Handed to a program.
    Exec,
    /// Sent to a gateway over HTTP.
    Webhook,
}

/// Section `otp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtpConfig {
    /// How one-time passwords are delivered.
    pub delivery: DeliveryKind,
    /// How they are delivered when that fails; `None` for not at all.
    pub fallback: Option<DeliveryKind>,
    /// Whether in-band delivery is allowed on an address that others can reach.
    pub allow_unverified: bool,
    /// How long a one-time password is good; 1 s to 65,535 s.
    pub ttl: Duration,
    /// How many attempts a client has at one password.
    pub attempts: u8,
    /// How long clients are told to wait before they ask for another password; at most 65,535 s.
    pub resend_after: Duration,
    /// Section `otp.exec`.
    pub exec: ExecConfig,
    /// Section `otp.webhook`.
    pub webhook: WebhookConfig,
}

impl OtpConfig {
    /// The ways that are to be used, the first one first.
    pub fn ways(&self) -> impl Iterator<Item = DeliveryKind> {
        std::iter::once(self.delivery).chain(self.fallback)
    }
}

/// Section `otp.exec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecConfig {
    /// The program; empty unless `otp.delivery` is `exec`.
    pub program: PathBuf,
    /// The arguments of that program. Phone and code are not among them.
    pub args: Vec<String>,
    /// How long one run may take.
    pub timeout: Duration,
    /// How many runs of the program there may be at the same time.
    pub workers: usize,
    /// How many codes may wait for a run of the program.
    pub queue: usize,
}

/// Section `otp.webhook`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Where requests go; empty unless codes go by webhook.
    pub url: String,
    /// The body of a request, with `{phone}` and `{code}` in it.
    pub body: String,
    /// Headers of a request.
    pub headers: Vec<Header>,
    /// A file with what requests are signed with; empty for no signature.
    pub secret_file: PathBuf,
    /// A file of certificates, one of which has to vouch for the gateway; empty for those that this
    /// machine trusts.
    pub ca_file: PathBuf,
    /// How long all tries of one code together may take.
    pub timeout: Duration,
    /// How often a request that surely was not carried out is made again.
    pub retries: u32,
}

/// Section `letters`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterConfig {
    /// How long a letter waits for its recipient.
    pub life: Duration,
    /// How long its sender can learn that it was not delivered.
    pub fate_memory: Duration,
    /// Bytes of the largest payload of a letter.
    pub max_size: usize,
}

/// Section `deadlines`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadlineConfig {
    /// Time from connecting to the first whole packet.
    pub first_packet: Duration,
    /// Time from giving out a session key to its confirmation.
    pub confirmation: Duration,
    /// Time from a packet's first byte to its last; in a session, for each 4 KiB of it.
    pub packet: Duration,
    /// Time without any acknowledgment while letters are handed over.
    pub progress: Duration,
    /// Time to commit and acknowledge what a client that leaves has sent.
    pub leave: Duration,
}

/// Section `limits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Letters pending for one recipient.
    pub letters_per_mailbox: u32,
    /// Bytes pending for one recipient.
    pub bytes_per_mailbox: u64,
    /// Letters pending from one sender for one recipient.
    pub letters_per_pair: u32,
    /// Bytes pending from one sender for one recipient.
    pub bytes_per_pair: u64,
    /// Letters pending from one sender in all mailboxes.
    pub letters_per_sender: u32,
    /// Bytes pending from one sender in all mailboxes.
    pub bytes_per_sender: u64,
    /// Bytes of half-received packets, of all connections.
    pub half_received: usize,
    /// Bytes of answers that the client of one connection has not read yet, besides the letters of
    /// its window.
    pub unsent_per_connection: usize,
    /// Connections from one address prefix.
    pub connections_per_prefix: u32,
    /// Registrations from one address prefix.
    pub registrations_per_prefix_per_hour: u32,
    /// Proofs of a one-time password from one address prefix.
    pub proofs_per_prefix_per_hour: u32,
    /// One-time passwords for one phone from one address prefix.
    pub codes_per_phone_and_prefix_per_hour: u32,
    /// One-time passwords for one phone.
    pub codes_per_phone_per_day: u32,
    /// One-time passwords in all.
    pub codes_per_day: u32,
    /// Wrong guesses at live one-time passwords from one address prefix.
    pub wrong_codes_per_prefix_per_day: u32,
    /// Wrong guesses after which every new code gets one attempt.
    pub wrong_codes_per_day: u32,
    /// Private-key operations for registrations.
    pub registration_operations_per_second: u32,
    /// Private-key operations for reconnects.
    pub reconnect_operations_per_second: u32,
    /// Reconnects of one user from one address prefix.
    pub reconnects_per_user_and_prefix_per_minute: u32,
    /// Questions for keys by phone, of one user.
    pub lookups_per_user_per_day: u32,
    /// Shortest time between two questions of one client about its letters.
    pub status_query_interval: Duration,
    /// Signed answers and refusals to one client; more of them wait.
    pub answers_per_second: u32,
    /// Signed refusals on one connection; one more closes it.
    pub refusals_per_second: u32,
    /// Offences in ten minutes from one address, or /64 of IPv6, after which it is banned; 0 for never.
    pub ban_after: u32,
    /// How long such a ban lasts.
    pub ban_for: Duration,
    /// Addresses that limits per address do not apply to.
    pub exempt: Vec<AddressRange>,
}

/// Section `storage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageConfig {
    /// The database of PostgreSQL that several servers can share; empty for SQLite in the data directory.
    pub url: String,
    /// A file with the password for it; empty for none.
    pub password_file: PathBuf,
    /// How long any answer of that database may take.
    pub timeout: Duration,
    /// On how many machines the database has to have what is stored.
    pub copies: u32,
    /// Below this many free bytes nothing new is taken for absent recipients.
    pub min_free_disk: u64,
    /// How long the id of a removed user is given to nobody.
    pub id_rest: Duration,
    /// How long a commit waits for another process that has locked the database.
    pub busy_timeout: Duration,
    /// Time between two searches for expired letters.
    pub expiry_interval: Duration,
    /// How long the server has to be idle before it moves the write-ahead log into the database, and
    /// empties it.
    pub tidy_after: Duration,
}

/// Section `cluster`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// After so long a silence of the server that serves, another one takes over.
    pub lease: Duration,
    /// After so long without the database, sessions are sent away.
    pub isolated: Duration,
}

/// Section `backup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupConfig {
    /// Where backups go that nobody has named; empty for nowhere.
    pub directory: PathBuf,
    /// Time between two backups that the server makes by itself.
    pub every: Duration,
    /// How many of them are kept.
    pub keep: u32,
}

/// Section `canary`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CanaryConfig {
    /// How often the server has a letter go all the way; zero for never.
    pub every: Duration,
}

/// Section `metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Address and port where numbers and health can be read; `None` for nowhere.
    pub listen: Option<SocketAddr>,
}

/// What goes to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// What stops the server.
    Error,
    /// And what an operator should look into.
    Warn,
    /// And what the server does.
    Info,
    /// And what clients do.
    Debug,
    /// And every step of the server.
    Trace,
}

/// What the log looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines of text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Section `log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// How much goes to the log.
    pub level: LogLevel,
    /// What lines of the log look like.
    pub format: LogFormat,
    /// The file that they go to; empty for standard error.
    pub file: PathBuf,
}

// What the machine knows has its defaults there; those of the host stand here.

const KIB: usize = 1 << 10;
const MIB: u64 = 1 << 20;
const DAY: Duration = Duration::from_hours(24);

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: vec![(Ipv4Addr::LOCALHOST, 9_295).into()],
            proxies: Vec::new(),
            data: "waxwing-data".into(),
            control: PathBuf::new(),
            control_group: String::new(),
            allow_first_start: true,
            loops: 1,
            keepalive: Duration::from_mins(1),
            user_timeout: Duration::from_mins(4),
        }
    }
}

impl Default for RegistrationConfig {
    fn default() -> Self {
        Self { open: true, allow_file: PathBuf::new(), countries: Vec::new() }
    }
}

impl Default for OtpConfig {
    fn default() -> Self {
        let machine = server::Config::default();
        Self {
            delivery: DeliveryKind::Console,
            fallback: None,
            allow_unverified: false,
            ttl: machine.otp_life,
            attempts: machine.otp_attempts,
            resend_after: machine.otp_resend,
            exec: ExecConfig::default(),
            webhook: WebhookConfig::default(),
        }
    }
}

impl Default for ExecConfig {
    fn default() -> Self {
        Self {
            program: PathBuf::new(),
            args: Vec::new(),
            timeout: Duration::from_secs(10),
            workers: 4,
            queue: 256,
        }
    }
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            body: r#"{"phone":"{phone}","code":"{code}"}"#.into(),
            headers: Vec::new(),
            secret_file: PathBuf::new(),
            ca_file: PathBuf::new(),
            timeout: Duration::from_secs(10),
            retries: 2,
        }
    }
}

impl Default for LetterConfig {
    fn default() -> Self {
        let server::Config { letter_life: life, fate_life, max_letter, .. } = Default::default();
        Self { life, fate_memory: fate_life, max_size: max_letter }
    }
}

impl Default for DeadlineConfig {
    fn default() -> Self {
        let Deadlines { first_packet, confirmation, packet, progress, leaving } =
            Deadlines::default();
        Self { first_packet, confirmation, packet, progress, leave: leaving }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let machine = server::Config::default();
        let MailboxLimits {
            letters,
            bytes,
            pair_letters,
            pair_bytes,
            sender_letters,
            sender_bytes,
        } = machine.mailbox;
        let Rates {
            registrations,
            proofs,
            otps_per_pair,
            otps_per_phone,
            otps,
            guesses_per_prefix,
            guesses,
            reconnects,
            questions,
            registration_work,
            reconnect_work,
            answers,
            refusals,
            status_queries,
        } = machine.rates;
        Self {
            letters_per_mailbox: letters,
            bytes_per_mailbox: bytes,
            letters_per_pair: pair_letters,
            bytes_per_pair: pair_bytes,
            letters_per_sender: sender_letters,
            bytes_per_sender: sender_bytes,
            half_received: machine.half_received_bytes,
            unsent_per_connection: 640 * KIB,
            connections_per_prefix: 1_024,
            registrations_per_prefix_per_hour: registrations.burst(),
            proofs_per_prefix_per_hour: proofs.burst(),
            codes_per_phone_and_prefix_per_hour: otps_per_pair.burst(),
            codes_per_phone_per_day: otps_per_phone.burst(),
            codes_per_day: otps.burst(),
            wrong_codes_per_prefix_per_day: guesses_per_prefix.burst(),
            wrong_codes_per_day: guesses.burst(),
            registration_operations_per_second: registration_work.burst(),
            reconnect_operations_per_second: reconnect_work.burst(),
            reconnects_per_user_and_prefix_per_minute: reconnects.burst(),
            lookups_per_user_per_day: questions.burst(),
            status_query_interval: status_queries.period(),
            answers_per_second: answers.burst(),
            refusals_per_second: refusals.burst(),
            ban_after: 0,
            ban_for: Duration::from_hours(1),
            exempt: Vec::new(),
        }
    }
}

impl Default for BackupConfig {
    fn default() -> Self {
        Self { directory: PathBuf::new(), every: DAY, keep: 7 }
    }
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            password_file: PathBuf::new(),
            timeout: Duration::from_secs(5),
            copies: 2,
            min_free_disk: 256 * MIB,
            id_rest: DAY * 60,
            busy_timeout: Duration::from_millis(250),
            expiry_interval: server::Config::default().expiry_interval,
            tidy_after: Duration::from_secs(5),
        }
    }
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self { lease: Duration::from_secs(5), isolated: Duration::from_secs(30) }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Text, file: PathBuf::new() }
    }
}
