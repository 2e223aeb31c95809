//! The settings, as plain values.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::AddressRange;

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Where the server listens and keeps its data.
    pub server: ServerConfig,
    /// One-time passwords.
    pub otp: OtpConfig,
    /// Letters.
    pub letters: LetterConfig,
    /// How long a peer may take.
    pub deadlines: DeadlineConfig,
    /// How much a peer may ask for.
    pub limits: Limits,
    /// The database.
    pub storage: StorageConfig,
    /// The log.
    pub log: LogConfig,
}

/// Section `server`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// Directory of key and database.
    pub data: PathBuf,
    /// Whether a new server begins where there is neither.
    pub allow_first_start: bool,
    /// Event loops, each with users of its own.
    pub loops: u16,
    /// Silence after which TCP asks whether the peer is there.
    pub keepalive: Duration,
    /// How long sent bytes may stay unacknowledged by the peer's TCP.
    pub user_timeout: Duration,
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
}

/// Section `otp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtpConfig {
    /// How they are delivered.
    pub delivery: DeliveryKind,
    /// Whether in-band delivery is allowed on an address that others can reach.
    pub allow_unverified: bool,
    /// How long one lives; 1 s to 65,535 s.
    pub ttl: Duration,
    /// Guesses at one.
    pub attempts: u8,
    /// What clients are told to wait before they ask for another; at most 65,535 s.
    pub resend_after: Duration,
    /// Section `otp.exec`.
    pub exec: ExecConfig,
}

/// Section `otp.exec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecConfig {
    /// The program; empty unless `otp.delivery` is `exec`.
    pub program: PathBuf,
    /// Its arguments. Phone and code are not among them.
    pub args: Vec<String>,
    /// How long one run may take.
    pub timeout: Duration,
    /// Runs at the same time.
    pub workers: usize,
    /// Codes that may wait for a run.
    pub queue: usize,
}

/// Section `letters`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterConfig {
    /// How long one waits for its recipient.
    pub life: Duration,
    /// How long its sender can learn that it was not delivered.
    pub fate_memory: Duration,
    /// Largest payload.
    pub max_size: usize,
}

/// Section `deadlines`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadlineConfig {
    /// From connecting to the first whole packet.
    pub first_packet: Duration,
    /// From the session key to its confirmation.
    pub confirmation: Duration,
    /// From a packet's first byte to its last; in a session, for each 4 KiB of it.
    pub packet: Duration,
    /// Letters handed over without any acknowledgment.
    pub progress: Duration,
    /// For committing and acknowledging what a leaving client has sent.
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
    /// Bytes of answers that one connection may leave untaken, besides the letters of its window.
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
    /// Between two questions of one client about its letters.
    pub status_query_interval: Duration,
    /// Signed answers and refusals to one client; more of them wait.
    pub answers_per_second: u32,
    /// Signed refusals on one connection; one more closes it.
    pub refusals_per_second: u32,
    /// Addresses that limits per address do not apply to.
    pub exempt: Vec<AddressRange>,
}

/// Section `storage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageConfig {
    /// Below this many free bytes nothing new is taken for absent recipients.
    pub min_free_disk: u64,
    /// How long the id of a removed user is given to nobody.
    pub id_rest: Duration,
    /// How long a commit waits for another process that has locked the database.
    pub busy_timeout: Duration,
    /// Between two searches for expired letters.
    pub expiry_interval: Duration,
    /// Silence after which the log is folded into the database, and truncated.
    pub tidy_after: Duration,
}

/// What goes to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// What stops the server.
    Error,
    /// And what an operator should look into.
    Warn,
    /// And what the server does.
    Info,
    /// And what clients do.
    Debug,
    /// And every step.
    Trace,
}

/// What the log looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Section `log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// How much.
    pub level: LogLevel,
    /// In which form.
    pub format: LogFormat,
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const DAY: Duration = Duration::from_hours(24);

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 9_295).into(),
            data: "waxwing-data".into(),
            allow_first_start: true,
            loops: 1,
            keepalive: Duration::from_mins(1),
            user_timeout: Duration::from_mins(4),
        }
    }
}

impl Default for OtpConfig {
    fn default() -> Self {
        Self {
            delivery: DeliveryKind::Console,
            allow_unverified: false,
            ttl: Duration::from_mins(5),
            attempts: 3,
            resend_after: Duration::from_secs(30),
            exec: ExecConfig::default(),
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

impl Default for LetterConfig {
    fn default() -> Self {
        Self { life: DAY * 30, fate_memory: DAY * 30, max_size: waxwing_core::limits::MAX_LETTER }
    }
}

impl Default for DeadlineConfig {
    fn default() -> Self {
        Self {
            first_packet: Duration::from_secs(15),
            confirmation: Duration::from_mins(1),
            packet: Duration::from_secs(30),
            progress: Duration::from_mins(2),
            leave: Duration::from_secs(5),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            letters_per_mailbox: 10_000,
            bytes_per_mailbox: 64 * MIB as u64,
            letters_per_pair: 1_000,
            bytes_per_pair: 4 * MIB as u64,
            letters_per_sender: 20_000,
            bytes_per_sender: 128 * MIB as u64,
            half_received: 64 * MIB,
            unsent_per_connection: 640 * KIB,
            connections_per_prefix: 1_024,
            registrations_per_prefix_per_hour: 10,
            proofs_per_prefix_per_hour: 60,
            codes_per_phone_and_prefix_per_hour: 3,
            codes_per_phone_per_day: 10,
            codes_per_day: 10_000,
            wrong_codes_per_prefix_per_day: 15,
            wrong_codes_per_day: 1_000,
            registration_operations_per_second: 200,
            reconnect_operations_per_second: 1_000,
            reconnects_per_user_and_prefix_per_minute: 60,
            lookups_per_user_per_day: 500,
            status_query_interval: Duration::from_secs(1),
            answers_per_second: 20,
            refusals_per_second: 20,
            exempt: Vec::new(),
        }
    }
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            min_free_disk: 256 * MIB as u64,
            id_rest: DAY * 60,
            busy_timeout: Duration::from_millis(250),
            expiry_interval: Duration::from_mins(1),
            tidy_after: Duration::from_secs(5),
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Text }
    }
}
