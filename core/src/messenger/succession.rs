//! The key that follows the server's: asking for it, and choosing between the two (PROTOCOL.md,
//! "Keys", "Directory").
//!
//! A connection is made under one key: what is sealed for the server on it is sealed with that key, and
//! what comes has to be signed with it. So there are two keys to choose from for a while, and never
//! two that hold at once. A session that opens under the successor is the server's own word that it has
//! the key, bound to a nonce of this client's: from then on that is the pinned key, and there is no other.

use core::time::Duration;

use super::profile::{Profile, Who};
use super::{Machine, Messenger};
use crate::client::{Env, RefusalNotice};
use crate::crypto::{PrivateKey, Provider};
use crate::time::{Instant, UnixTime};
use crate::wire::{ErrorCode, Successor};

/// So many seconds before a successor takes effect it may be chosen already, because the own clock may
/// be wrong.
pub const SUCCESSOR_TOLERANCE_S: i64 = 24 * 60 * 60;
/// How often one looks whether the server is to be asked.
const LOOK: Duration = Duration::from_hours(24);

/// Under which key of the server a connection is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ServerKey {
    /// The one that is pinned.
    #[default]
    Pinned,
    /// The one that the server has announced.
    Successor,
}

/// What is known of the choice between the two.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// Under which the connection is, or will be.
    under: ServerKey,
    /// Whether it could be the other: there are two to choose from, and no session has opened under
    /// this one.
    is_free: bool,
    /// The one of which the clock says that it is the server's was not: the other one comes first.
    is_turned: bool,
}

impl Choice {
    /// The connection has brought something that is not signed with its key. Whether the other key is
    /// to be tried at once: after both, there is a pause.
    pub(super) const fn turn_over(&mut self) -> bool {
        self.is_turned = self.is_free && !self.is_turned;
        self.is_turned
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, const N: usize> Messenger<'_, B, N> {
    /// Under which key of the server the next connection is to be made: call it before
    /// [`Messenger::connect`], and make the [`Client`](crate::client::Client) with that key. `effective`
    /// is the moment of the successor that the profile keeps, if it keeps one. Without this call it is
    /// the pinned key.
    pub fn choose_server_key(&mut self, effective: Option<UnixTime>, env: &Env<'_>) -> ServerKey {
        let left = effective.map(|moment| moment.minus(self.server_time(env)));
        self.choice.is_free = left.is_some_and(|left| left <= SUCCESSOR_TOLERANCE_S);
        let is_effective = left.is_some_and(|left| left <= 0);
        let takes_successor = self.choice.is_free && is_effective != self.choice.is_turned;
        self.choice.under = if takes_successor { ServerKey::Successor } else { ServerKey::Pinned };
        self.choice.under
    }

    /// A session has opened: the server has the key of this connection.
    pub(super) fn server_has_key<S: Profile>(
        &mut self,
        profile: &mut S,
        env: &Env<'_>,
    ) -> Result<(), S::Error> {
        if !S::KEEPS_SUCCESSOR {
            return Ok(());
        }
        if self.choice.under == ServerKey::Successor {
            self.begin(profile, env)?;
            profile.succeed()?;
        }
        // Bad bytes that come later are no reason to try the other key: anybody can put them there.
        (self.choice.is_free, self.choice.is_turned) = (false, false);
        Ok(())
    }

    /// Looks once a day whether the server is to be asked.
    pub(super) fn look_for_successor<S: Profile>(
        &mut self,
        profile: &mut S,
        env: &Env<'_>,
    ) -> Result<(), S::Error> {
        let now = env.now.instant;
        let is_due = |at: Instant| now.since(at) >= LOOK;
        if S::KEEPS_SUCCESSOR && self.session.looked_at.is_none_or(is_due) {
            self.session.looked_at = Some(now);
            self.session.wants_successor = profile.is_successor_due(self.server_time(env))?;
        }
        Ok(())
    }

    /// The server has announced a key. One that somebody else has is not taken, nor one that has a small
    /// factor.
    pub(super) fn successor_came<P, C, const W: usize, S>(
        &mut self,
        client: &Machine<'_, P, C, W>,
        profile: &mut S,
        env: &Env<'_>,
        successor: &Successor,
    ) -> Result<(), S::Error>
    where
        P: Provider,
        C: AsRef<[u8]> + AsMut<[u8]>,
        S: Profile,
    {
        if !S::KEEPS_SUCCESSOR {
            return Ok(());
        }
        self.session.question = None;
        let key = &successor.spki;
        let is_ours = client.keys().own.spki() == key;
        let is_contacts = profile.contact(Who::Key(key))?.is_some();
        let is_weak = !profile.may_pin(key);
        self.begin(profile, env)?;
        let believed = Some(successor).filter(|_| !is_ours && !is_contacts && !is_weak);
        profile.note_successor(believed, self.server_time(env))
    }

    /// The server has no successor to tell of, or does not know the question: it has named that in a
    /// sealed refusal.
    pub(super) fn no_successor<S: Profile>(
        &mut self,
        profile: &mut S,
        env: &Env<'_>,
        refusal: &RefusalNotice,
    ) -> Result<(), S::Error> {
        let is_answer = matches!(refusal.code, Some(ErrorCode::UnknownUser | ErrorCode::Malformed));
        if S::KEEPS_SUCCESSOR && is_answer {
            self.begin(profile, env)?;
            profile.note_successor(None, self.server_time(env))?;
        }
        Ok(())
    }
}
