//! The device's own letter, and its questions.

use waxwing_core::client::{Addressee, Env, RequestError};
use waxwing_core::crypto::Provider;
use waxwing_core::envelope::{Content, Fingerprint};
use waxwing_core::id::{PacketIdPrefix, UserId};
use waxwing_core::time::Now;
use waxwing_core::wire::{KeyQuestion, Status, StatusQuery};

use super::{Machine, Session};
use crate::host::say;

impl Session<'_, '_> {
    pub(super) fn learn(&mut self, letter: PacketIdPrefix, status: Status) {
        let Some(outgoing) = &mut self.memory.outgoing else { return };
        if !outgoing.ids.iter().any(|id| id.prefix() == letter) {
            return;
        }
        let known = outgoing.status;
        outgoing.status = status.after(known);
        if outgoing.status != known {
            let name = match outgoing.status {
                Status::Unknown => "unknown",
                Status::Stored => "stored",
                Status::Delivered => "delivered",
                Status::Expired => "expired",
            };
            say(&["own letter: ", name]);
            self.save();
        }
    }

    /// What is to be done without being asked.
    #[inline(never)]
    pub(super) fn pursue(
        &mut self,
        client: &mut Machine<'_>,
        now: Now,
    ) -> Result<(), RequestError> {
        if !client.is_in_session() || self.is_leaving {
            return Ok(());
        }
        let outcome = self.pursue_in_session(client, now);
        // What has no room now is done later.
        outcome.or_else(|error| if error == RequestError::Busy { Ok(()) } else { Err(error) })
    }

    fn pursue_in_session(
        &mut self,
        client: &mut Machine<'_>,
        now: Now,
    ) -> Result<(), RequestError> {
        if !client.is_asking_for_key() {
            if let Some(sender) = self.unknown_sender(client) {
                return client.ask_for_key(&mut self.env(now), KeyQuestion::ById(sender));
            }
            if self.wants_to_send() && (self.memory.peer.is_none() || self.seeks_peer) {
                let question = KeyQuestion::ByPhone(self.plan.peer);
                return client.ask_for_key(&mut self.env(now), question);
            }
            if now.instant >= self.heard.after(self.plan.probe)
                && let Some(own) = self.memory.user
            {
                say(&["silence: asking whether the server is there"]);
                return client.ask_for_key(&mut self.env(now), KeyQuestion::ById(own));
            }
        }
        if self.wants_to_send() && !self.has_sent && !self.seeks_peer {
            return self.send(client, now);
        }
        if !self.has_asked && self.is_stored() {
            return self.ask(client, now);
        }
        let is_done = self.plan.letters.is_some_and(|letters| *self.letters >= letters);
        if is_done && self.backlog_has_come && !self.wants_to_send() && !self.is_stored() {
            say(&["leaving"]);
            self.is_leaving = true;
            return client.leave(&mut self.env(now));
        }
        Ok(())
    }

    fn unknown_sender(&self, client: &mut Machine<'_>) -> Option<UserId> {
        client.letter().filter(|_| self.waits_for_key)?.header().sender
    }

    fn wants_to_send(&self) -> bool {
        self.memory.outgoing.as_ref().is_some_and(|letter| letter.status == Status::Unknown)
    }

    /// The server has the letter, and its recipient does not yet.
    fn is_stored(&self) -> bool {
        self.memory.outgoing.as_ref().is_some_and(|letter| letter.status == Status::Stored)
    }

    /// Signs the letter, stores its new id, and lets it go.
    #[inline(never)]
    fn send(&mut self, client: &mut Machine<'_>, now: Now) -> Result<(), RequestError> {
        let (Some(peer), Some(letter)) = (&self.memory.peer, &self.memory.outgoing) else {
            return Ok(());
        };
        let Ok(key) = self.keys.provider.public_key(&peer.spki) else { return Ok(()) };
        let fingerprint = &Fingerprint::of(self.keys.provider, &peer.phone, &peer.spki);
        let to = Addressee { user: peer.user, fingerprint, key: &key };
        let content = Content::Text(&letter.text);
        let mut env = Env { now, rng: self.rng };
        let id = client.compose(&mut env, &self.me, &to, &letter.uid, &content)?;
        if let Some(letter) = &mut self.memory.outgoing {
            if letter.ids.is_full() {
                letter.ids.remove(0);
            }
            let _ = letter.ids.push(id);
        }
        self.save();
        client.release_composed();
        self.has_sent = true;
        self.times_sent += 1;
        // A status for it may come by itself; what is asked for is asked for once.
        self.has_asked = true;
        say(&["own letter: sent"]);
        Ok(())
    }

    /// Asks what became of a letter that an earlier connection has sent.
    fn ask(&mut self, client: &mut Machine<'_>, now: Now) -> Result<(), RequestError> {
        let (Some(peer), Some(letter)) = (&self.memory.peer, &self.memory.outgoing) else {
            return Ok(());
        };
        let Some(id) = letter.ids.last() else { return Ok(()) };
        let query = StatusQuery { recipient: peer.user, letter: *id };
        client.ask_for_statuses(&mut self.env(now), &[query])?;
        self.has_asked = true;
        Ok(())
    }
}
