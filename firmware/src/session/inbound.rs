//! Letters that come, and the keys that they are read with.

use waxwing_core::client::Novelty;
use waxwing_core::crypto::{PrivateKey, Provider};
use waxwing_core::envelope::{self, Content, Fingerprint, OpenedLetter};
use waxwing_core::time::Now;
use waxwing_core::wire::KeyAnswer;

use super::{Machine, Session, short};
use crate::host::{self, say};

impl Session<'_, '_> {
    /// Opens the letter in the buffer, if its sender's key is known; asks for it if not.
    pub(super) fn read(&mut self, client: &mut Machine<'_>, now: Now, answer: Option<&KeyAnswer>) {
        let Some(letter) = client.letter() else { return };
        let sender = letter.header().sender;
        let known = answer.or(self.memory.peer.as_ref()).filter(|known| Some(known.user) == sender);
        let Some(known) = known.cloned() else {
            say(&["a letter of somebody unknown waits"]);
            self.waits_for_key = true;
            return;
        };
        if known.phone != self.plan.peer {
            say(&["a letter of ", &short(&known.phone), " is not for this device"]);
            return self.settle(client, now);
        }
        let (sent, provider) = (letter.header().timestamp, self.keys.provider);
        let verified = provider.public_key(&known.spki).and_then(|key| letter.verify(&key));
        let Ok(verified) = verified else {
            say(&["a letter that its sender has not signed"]);
            return self.settle(client, now);
        };
        let from = Fingerprint::of(provider, &known.phone, &known.spki);
        match envelope::open(provider, self.rng, &from, &self.me, self.keys.own, verified) {
            Ok(OpenedLetter { uid, content }) => {
                match self.memory.seen.admit(&known.phone, &uid, sent) {
                    Novelty::New => {
                        if self.memory.save().is_err() {
                            // It comes again.
                            say(&["the flash does not take it"]);
                            host::exit(host::Outcome::Failure);
                        }
                        match content {
                            Content::Text(text) => say(&["letter: ", beginning(text)]),
                            Content::ReadReceipt(_) => say(&["letter: a read receipt"]),
                            Content::Unknown { .. } => say(&["letter: of an unknown kind"]),
                        }
                    }
                    Novelty::Duplicate => say(&["a letter came again"]),
                    Novelty::TooOld => say(&["a letter is too old to tell from a replay"]),
                }
            }
            Err(_) => say(&["a letter that cannot be opened"]),
        }
        self.settle(client, now);
    }

    /// The letter's fate is durable: acknowledges it and frees its buffer.
    pub(super) fn settle(&mut self, client: &mut Machine<'_>, now: Now) {
        if self.plan.freeze {
            say(&["frozen before the acknowledgment"]);
            loop {
                cortex_m::asm::wfi();
            }
        }
        self.waits_for_key = false;
        client.acknowledge_letter(&mut self.env(now));
        *self.letters += 1;
    }

    /// The first key of the peer is trusted, and no other after it.
    #[inline(never)]
    pub(super) fn pin(&mut self, client: &mut Machine<'_>, now: Now, answer: KeyAnswer) {
        if answer.phone == self.plan.own {
            if answer.spki != *self.keys.own.spki() {
                say(&["the server gives others another key for this device"]);
            }
            return;
        }
        if answer.phone == self.plan.peer {
            self.seeks_peer = false;
            match &self.memory.peer {
                None => {
                    say(&["key of ", &short(&answer.phone), " pinned"]);
                    self.memory.peer = Some(answer.clone());
                    self.save();
                }
                Some(peer) if peer.spki != answer.spki => {
                    say(&["the peer's key has changed: nothing is read or sent under the new one"]);
                    if self.waits_for_key {
                        self.settle(client, now);
                    }
                    return;
                }
                Some(_) => {
                    self.memory.peer = Some(answer.clone());
                    self.save();
                }
            }
        }
        if self.waits_for_key {
            self.read(client, now, Some(&answer));
        }
    }
}

/// As much of a text as fits a line.
fn beginning(text: &str) -> &str {
    let end = text.char_indices().map(|(at, _)| at).nth(40).unwrap_or(text.len());
    &text[..end]
}
