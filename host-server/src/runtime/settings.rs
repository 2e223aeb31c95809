//! What the configuration means to the machine and to the transport.

use std::time::Duration;

use waxwing_core::limits::MAX_UNACKNOWLEDGED_BYTES;
use waxwing_core::server::{
    self, AddressPrefix, Deadlines, MailboxLimits, Rate, Rates, RegistrationPolicy,
};
use waxwing_transport_mio::{self as transport, Keepalive};

use crate::config::{Config, DeliveryKind};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What the configuration means to a machine. Who may register is also in a file, and so is given by
/// itself.
#[must_use]
pub fn machine(config: &Config, registration: RegistrationPolicy) -> server::Config {
    let Config { otp, letters, deadlines, limits, storage, .. } = config;
    let defaults = server::Config::default();
    server::Config {
        max_letter: letters.max_size,
        letter_life: letters.life,
        fate_life: letters.fate_memory,
        expiry_interval: storage.expiry_interval,
        otp_in_band: otp.delivery == DeliveryKind::InBand,
        otp_life: otp.ttl,
        otp_resend: otp.resend_after,
        otp_attempts: otp.attempts,
        registration,
        deadlines: Deadlines {
            first_packet: deadlines.first_packet,
            confirmation: deadlines.confirmation,
            packet: deadlines.packet,
            progress: deadlines.progress,
            leaving: deadlines.leave,
        },
        mailbox: MailboxLimits {
            letters: limits.letters_per_mailbox,
            bytes: limits.bytes_per_mailbox,
            pair_letters: limits.letters_per_pair,
            pair_bytes: limits.bytes_per_pair,
            sender_letters: limits.letters_per_sender,
            sender_bytes: limits.bytes_per_sender,
        },
        rates: Rates {
            registrations: Rate::new(limits.registrations_per_prefix_per_hour, HOUR),
            proofs: Rate::new(limits.proofs_per_prefix_per_hour, HOUR),
            otps_per_pair: Rate::new(limits.codes_per_phone_and_prefix_per_hour, HOUR),
            otps_per_phone: Rate::new(limits.codes_per_phone_per_day, DAY),
            otps: Rate::new(limits.codes_per_day, DAY),
            guesses_per_prefix: Rate::new(limits.wrong_codes_per_prefix_per_day, DAY),
            guesses: Rate::new(limits.wrong_codes_per_day, DAY),
            reconnects: Rate::new(limits.reconnects_per_user_and_prefix_per_minute, MINUTE),
            questions: Rate::new(limits.lookups_per_user_per_day, DAY),
            registration_work: Rate::new(limits.registration_operations_per_second, SECOND),
            reconnect_work: Rate::new(limits.reconnect_operations_per_second, SECOND),
            answers: Rate::new(limits.answers_per_second, SECOND),
            refusals: Rate::new(limits.refusals_per_second, SECOND),
            status_queries: Rate::new(1, limits.status_query_interval),
        },
        half_received_bytes: limits.half_received,
        live_otps: defaults.live_otps,
    }
}

pub(super) fn transport(config: &Config, places: usize) -> transport::Config {
    let defaults = transport::Config::default();
    let keepalive = Keepalive {
        idle: config.server.keepalive,
        interval: (config.server.keepalive / 4).max(SECOND),
        retries: 4,
    };
    transport::Config {
        max_connections: places,
        network_of: |address| AddressPrefix::of(address).to_bits(),
        // What a turn has to say goes out at its end: a short turn keeps a burst of handshakes
        // from delaying everybody else.
        events_per_turn: 64,
        keepalive: Some(keepalive),
        user_timeout: Some(config.server.user_timeout),
        max_unsent: max_unsent(config),
        shutdown_grace: config.deadlines.leave,
        ..defaults
    }
}

/// What may wait for one connection at most: the letters of its window, and answers.
pub(super) const fn max_unsent(config: &Config) -> usize {
    MAX_UNACKNOWLEDGED_BYTES.saturating_add(config.limits.unsent_per_connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_says_nothing_is_the_default_of_the_machine() {
        let config = Config::default();
        let policy = config.registration.policy().unwrap();
        assert_eq!(machine(&config, policy), server::Config::default());
    }
}
