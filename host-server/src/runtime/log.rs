//! What the machine's events look like in the log.

use std::collections::HashMap;
use std::net::SocketAddr;

use waxwing_core::server::{Event, Limit};
use waxwing_core::time::Instant;
use waxwing_transport_mio::IntroductionError;

use super::repeated::Repeated;

/// What keeps the log short.
#[derive(Default)]
pub(super) struct Log {
    limits: HashMap<Limit, Repeated>,
    /// Whoever has one recorded request can play it back as fast as the network takes it.
    replays: Repeated,
    /// Tried again each second, for as long as it lasts.
    storage: Repeated,
    /// A proxy that is set otherwise than the server.
    introductions: Repeated,
}

impl Log {
    /// A connection of a proxy was closed.
    pub(super) fn not_introduced(
        &mut self,
        proxy: SocketAddr,
        why: IntroductionError,
        now: Instant,
    ) {
        if let Some(times) = self.introductions.again(now) {
            tracing::warn!(
            name: "proxy_connections_refused",
                address = %proxy.ip(), %why, times,
                "connections from an address of server.proxies are closed: let that proxy send a PROXY \
                 header of version 2 with every connection, or take its address out of server.proxies"
            );
        }
    }

    pub(super) fn event(&mut self, event: Event, now: Instant) {
        match event {
            Event::LimitReached { limit } => {
                if let Some(times) = self.limits.entry(limit).or_default().again(now) {
                    limit_reached(limit, times);
                }
            }
            Event::Registered { user } => {
                tracing::info!(name: "registered", user = user.get(), "registered");
            }
            Event::SessionConfirmed { user, conn } => {
                tracing::debug!(user = user.get(), conn = conn.0, "session confirmed");
            }
            Event::SessionEnded { user, reason } => {
                tracing::debug!(user = user.get(), ?reason, "session ended");
            }
            Event::Refused { conn, code } => tracing::debug!(conn = conn.0, %code, "refused"),
            Event::TimedOut { conn } => tracing::debug!(conn = conn.0, "took too long"),
            Event::Shed { conn } => {
                tracing::debug!(
                    conn = conn.0,
                    "closed, since packets that are not complete take too much memory"
                );
            }
            Event::ReplayedReconnect { conn } => {
                if let Some(times) = self.replays.again(now) {
                    tracing::warn!(
                    name: "reconnect_replayed",
                                conn = conn.0,
                                times,
                                "a recorded request to reconnect was played back and refused; nothing is \
                                 to be done unless it goes on"
                            );
                }
            }
            Event::GuessingSuspected => {
                tracing::warn!(
                name: "wrong_codes_spent",
                        "limits.wrong_codes_per_day is used up: somebody may be guessing one-time \
                         passwords; new ones are good for one attempt until some of it has come back"
                    );
            }
            Event::CodesSpent => {
                tracing::warn!(
                name: "codes_spent",
                        "limits.codes_per_day is used up: newcomers are told to wait for what comes \
                         back of it; raise it if they are real"
                    );
            }
            Event::IdsRunOut { percent } => {
                tracing::warn!(
                name: "ids_run_out",
                        percent,
                        "the ids for users run out; when none is free nobody can register: remove users \
                         who have left, whose ids rest for storage.id_rest"
                    );
            }
            Event::Expired { letters } => {
                tracing::info!(name: "letters_expired", letters, "letters expired undelivered");
            }
            Event::StorageUnavailable => {
                if let Some(times) = self.storage.again(now) {
                    tracing::warn!(
                    name: "storage_unavailable",
                                times,
                                "the database could not be written or read; what depends on it is refused, \
                                 and is tried again in a second"
                            );
                }
            }
            Event::InternalError => {
                tracing::error!(name: "internal_error", "a packet could not be made: please report this");
            }
        }
    }
}

/// What a limit is called in the section `limits` of a configuration.
pub(super) const fn name(limit: Limit) -> &'static str {
    match limit {
        Limit::Registrations => "registrations_per_prefix_per_hour",
        Limit::Proofs => "proofs_per_prefix_per_hour",
        Limit::CodesPerPhoneAndPrefix => "codes_per_phone_and_prefix_per_hour",
        Limit::CodesPerPhone => "codes_per_phone_per_day",
        Limit::WrongCodesPerPrefix => "wrong_codes_per_prefix_per_day",
        Limit::Lookups => "lookups_per_user_per_day",
        Limit::Reconnects => "reconnects_per_user_and_prefix_per_minute",
        Limit::RegistrationWork => "registration_operations_per_second",
        Limit::ReconnectWork => "reconnect_operations_per_second",
        Limit::LettersPerMailbox => "letters_per_mailbox",
        Limit::BytesPerMailbox => "bytes_per_mailbox",
        Limit::LettersPerPair => "letters_per_pair",
        Limit::BytesPerPair => "bytes_per_pair",
        Limit::LettersPerSender => "letters_per_sender",
        Limit::BytesPerSender => "bytes_per_sender",
    }
}

/// Without addresses and phones: the operator can count, and nobody else can be found.
fn limit_reached(limit: Limit, times: u64) {
    let key = format!("limits.{}", name(limit));
    match limit {
        Limit::Registrations
        | Limit::Proofs
        | Limit::CodesPerPhoneAndPrefix
        | Limit::WrongCodesPerPrefix => tracing::warn!(
            name: "limit_reached",
            limit = %key,
            times,
            "somebody was told to come back later; if many people share an address, raise this \
             limit, or name their addresses in limits.exempt"
        ),
        Limit::CodesPerPhone
        | Limit::Lookups
        | Limit::Reconnects
        | Limit::RegistrationWork
        | Limit::ReconnectWork => {
            tracing::info!(limit = %key, times, "somebody was told to come back later");
        }
        Limit::LettersPerMailbox
        | Limit::BytesPerMailbox
        | Limit::LettersPerPair
        | Limit::BytesPerPair
        | Limit::LettersPerSender
        | Limit::BytesPerSender => {
            tracing::info!(limit = %key, times, "a letter was refused, since there is no room for it");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use waxwing_core::server::ConnId;

    use super::*;

    /// Where the lines go.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_others_can_make_happen_as_often_as_they_like_is_told_once() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        tracing::subscriber::with_default(subscriber, || {
            let mut log = Log::default();
            for n in 0..1_000 {
                log.event(Event::ReplayedReconnect { conn: ConnId(n) }, Instant::default());
                log.event(Event::StorageUnavailable, Instant::default());
                let proxy = ([192, 0, 2, 1], 7).into();
                log.not_introduced(proxy, IntroductionError::TooLate, Instant::default());
                log.event(Event::LimitReached { limit: Limit::Registrations }, Instant::default());
            }
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 4, "{text}");
        for word in ["played back", "the database could not be written", "told to come back later"]
        {
            assert!(text.contains(word), "{text}");
        }
    }
}
