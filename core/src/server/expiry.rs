//! What has had its time goes: letters, codes, limits that are full again, duplicates (PROTOCOL.md, "Limits and timers").

use core::time::Duration;

use super::mail::Message;
use super::output::{Event, Output};
use super::storage::{ExpiredLetter, Question};
use super::storage_queue::Asker;
use super::window::Standing;
use super::{Env, Server};
use crate::crypto::Provider;

/// Letters that expire in one go, at most.
const LETTERS: usize = 1_000;

impl<P: Provider> Server<P> {
    pub(super) fn expire(&mut self, env: &mut Env<'_>) {
        let now = env.now.instant;
        self.otps.forget_expired(now);
        self.limits.forget_full(env.now);
        self.duplicates.retain(|_, recent| !recent.is_over(now));
        if !self.storage.has_deferred() {
            let sessions = &self.sessions;
            self.mailboxes.forget_at_rest(|owner| sessions.contains_key(&owner));
        }
        if self.expiring.is_some() {
            return;
        }
        // Letters whose deletion fails will be found, too.
        self.expiring = Some(self.storage.deleting(&[]));
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        self.storage.ask(
            Asker::Expiry,
            Question::Expire {
                shard: self.shard,
                accepted_before: env
                    .now
                    .unix
                    .shifted(seconds(self.config.letter_life).saturating_neg()),
                forget_before: env
                    .now
                    .unix
                    .shifted(seconds(self.config.fate_life).saturating_neg()),
                now: env.now.unix,
                limit: LETTERS,
            },
        );
    }

    /// Storage has removed letters that were damaged. What it said before of their mailboxes is
    /// learnt anew rather than corrected: the letters may be counted out already.
    pub(super) fn letters_damaged(&mut self, letters: &[ExpiredLetter]) {
        if letters.is_empty() {
            return;
        }
        let counted_out = self.storage.deleting(&[]);
        for letter in letters {
            if let Some(mailbox) = self.mailboxes.get_mut(letter.recipient) {
                mailbox.overcounts();
            }
            self.recount_mailbox(letter.recipient);
            let (sender, id) = (letter.sender, letter.id);
            let freed = (!counted_out.contains(&letter.queue_id)).then_some(letter.bytes);
            self.post_to_owner(sender, Message::Expired { sender, id, freed });
        }
    }

    pub(super) fn letters_expired(&mut self, env: &mut Env<'_>, letters: &[ExpiredLetter]) {
        let counted_out = self.expiring.take().unwrap_or_default();
        if letters.is_empty() {
            return;
        }
        self.outputs.push_back(Output::Event(Event::Expired { letters: letters.len() }));
        for letter in letters {
            let is_counted_out = counted_out.contains(&letter.queue_id);
            if let Some(mailbox) = self.mailboxes.get_mut(letter.recipient) {
                mailbox.expired(letter, is_counted_out);
            }
            let session = self.sessions.get(&letter.recipient).copied();
            if let Some(conn) = session
                && let Some(session) = self.connections.get_mut(&conn).and_then(|c| c.session_mut())
            {
                session.window.note(letter.queue_id, Standing::Expired);
            }
            let (sender, id) = (letter.sender, letter.id);
            let freed = (!is_counted_out).then_some(letter.bytes);
            self.post_to_owner(sender, Message::Expired { sender, id, freed });
        }
        if letters.len() >= LETTERS {
            self.expire_at = env.now.instant;
        }
    }
}
