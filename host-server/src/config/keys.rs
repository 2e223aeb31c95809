//! The table of keys.

use toml::Value;

use super::kind;
use super::sections::Config;

/// One setting.
pub(super) struct Key {
    /// Section and name, with dots.
    pub(super) name: &'static str,
    /// What it means.
    pub(super) about: &'static str,
    /// Sets it.
    pub(super) read: fn(&mut Config, &Value) -> Result<(), String>,
    /// Its value, as TOML.
    pub(super) show: fn(&Config) -> String,
}

pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

macro_rules! key {
    ($section:ident $(. $field:ident)+, $kind:ident, $about:literal) => {
        Key {
            name: concat!(stringify!($section) $(, ".", stringify!($field))+),
            about: $about,
            read: |config, value| {
                config.$section$(.$field)+ = kind::$kind::read(value)?;
                Ok(())
            },
            show: |config| kind::$kind::show(&config.$section$(.$field)+),
        }
    };
}

/// Every key, in the order of the example file.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key!(server.listen, text, "Address and port to listen on."),
    key!(server.data, path, "Directory of key and database."),
    key!(server.loops, count, "Event loops, each in a thread of its own and with users of its own: at most one per processor makes sense."),
    key!(server.keepalive, duration, "Silence after which TCP asks whether the peer is there."),
    key!(server.user_timeout, duration, "How long sent bytes may stay unacknowledged by the peer's TCP."),

    key!(otp.delivery, choice, "How one-time passwords are delivered: \"in-band\" (in the answer itself, which proves no phone), \"console\" (standard error), \"exec\" (a program)."),
    key!(otp.allow_unverified, flag, "Allow in-band delivery on an address that others can reach."),
    key!(otp.ttl, duration, "How long a one-time password lives."),
    key!(otp.attempts, count, "Guesses at one."),
    key!(otp.resend_after, duration, "What clients are told to wait before they ask for another."),

    key!(otp.exec.program, path, "The program for \"exec\". It reads the phone and the code, one line each, from standard input."),
    key!(otp.exec.args, list, "Its arguments."),
    key!(otp.exec.timeout, duration, "How long one run may take before it is killed."),
    key!(otp.exec.workers, count, "Runs at the same time."),
    key!(otp.exec.queue, count, "Codes that may wait for a run."),

    key!(letters.life, duration, "How long a letter waits for its recipient."),
    key!(letters.fate_memory, duration, "How long its sender can learn that it was not delivered."),
    key!(letters.max_size, size, "Largest payload of a letter."),

    key!(deadlines.first_packet, duration, "From connecting to the first whole packet."),
    key!(deadlines.confirmation, duration, "From a session key to its confirmation."),
    key!(deadlines.packet, duration, "From a packet's first byte to its last."),
    key!(deadlines.progress, duration, "Letters handed over without any acknowledgment."),
    key!(deadlines.leave, duration, "For committing what a leaving client has sent."),

    key!(limits.letters_per_mailbox, count, "Letters pending for one recipient."),
    key!(limits.bytes_per_mailbox, size, "Bytes pending for one recipient."),
    key!(limits.letters_per_pair, count, "Letters pending from one sender for one recipient."),
    key!(limits.bytes_per_pair, size, "Bytes pending from one sender for one recipient."),
    key!(limits.half_received, size, "Half-received packets of all connections; above it the slowest is closed."),
    key!(limits.unsent_per_connection, size, "Answers that one connection may leave untaken, besides the letters of its window; above it the connection is closed."),
    key!(limits.connections_per_address, count, "Connections from one address."),
    key!(limits.registrations_per_prefix_per_hour, count, "Registrations from one address prefix (/24, or /64 for IPv6)."),
    key!(limits.proofs_per_prefix_per_hour, count, "Proofs of a one-time password from one address prefix."),
    key!(limits.codes_per_phone_and_prefix_per_hour, count, "One-time passwords for one phone from one prefix."),
    key!(limits.codes_per_phone_per_day, count, "One-time passwords for one phone."),
    key!(limits.codes_per_day, count, "One-time passwords in all: what sending them may cost."),
    key!(limits.wrong_codes_per_prefix_per_day, count, "Wrong guesses from one prefix."),
    key!(limits.wrong_codes_per_day, count, "Wrong guesses in all, after which new codes get one attempt."),
    key!(limits.registration_operations_per_second, count, "Private-key operations for registrations."),
    key!(limits.reconnect_operations_per_second, count, "Private-key operations for reconnects."),
    key!(limits.reconnects_per_user_and_prefix_per_minute, count, "Reconnects of one user from one prefix."),
    key!(limits.lookups_per_user_per_day, count, "Questions of one user for keys by phone."),
    key!(limits.status_query_interval, duration, "Between two questions of one client about its letters."),
    key!(limits.answers_per_second, count, "Answers and refusals to one client; more of them wait."),
    key!(limits.refusals_per_second, count, "Refusals on one connection; one more closes it."),
    key!(limits.exempt, list, "Addresses and ranges that limits per address do not apply to."),

    key!(storage.min_free_disk, size, "Below this much free space nothing new is taken for absent recipients."),
    key!(storage.id_rest, duration, "How long the id of a removed user is given to nobody."),
    key!(storage.busy_timeout, duration, "How long a commit waits for another process that has locked the database."),
    key!(storage.sweep_interval, duration, "Between two searches for expired letters."),
    key!(storage.tidy_after, duration, "Silence after which the write-ahead log is folded into the database."),

    key!(log.level, choice, "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"."),
    key!(log.format, choice, "\"text\" or \"json\"."),
];
