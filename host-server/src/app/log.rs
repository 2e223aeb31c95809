//! What the machine's events look like in the log.

use waxwing_core::server::Event;
use waxwing_transport_mio::Signal;

/// A signal that others use to have a log reopened or a configuration read again.
pub(super) fn ignored(signal: Signal) {
    tracing::info!(
        ?signal,
        "ignored: the log goes to standard error, and the configuration is read at the start only; \
         to change either, stop the server with SIGTERM and start it again"
    );
}

pub(super) fn event(event: Event) {
    match event {
        Event::Registered { user } => tracing::info!(user = user.get(), "registered"),
        Event::SessionConfirmed { user, conn } => {
            tracing::debug!(user = user.get(), conn = conn.0, "session confirmed");
        }
        Event::SessionEnded { user, reason } => {
            tracing::debug!(user = user.get(), ?reason, "session ended");
        }
        Event::Refused { conn, code } => tracing::debug!(conn = conn.0, %code, "refused"),
        Event::TimedOut { conn } => tracing::debug!(conn = conn.0, "took too long"),
        Event::ReplayedReconnect { conn } => {
            tracing::warn!(conn = conn.0, "a reconnect request was replayed");
        }
        Event::GuessingSuspected => {
            tracing::warn!("many wrong one-time passwords today; new ones survive one guess only");
        }
        Event::CodesSpent => {
            tracing::warn!(
                "limits.codes_per_day is used up; registrations wait for what comes back of it"
            );
        }
        Event::IdsRunOut { percent } => {
            tracing::warn!(
                percent,
                "the ids for users run out; when none is free nobody can register: remove users \
                 who have left, whose ids rest for storage.id_rest"
            );
        }
        Event::Expired { letters } => tracing::info!(letters, "letters expired undelivered"),
        Event::StorageUnavailable => tracing::warn!("storage does not answer; will try again"),
        Event::InternalError => tracing::error!("a packet could not be made: please report this"),
    }
}
