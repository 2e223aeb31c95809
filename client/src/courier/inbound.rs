//! Letters that come in: verified, opened, stored, and only then acknowledged
//! (PROTOCOL.md, "Letters", "Pinning").

use waxwing_core::client::OversizedLetter;
use waxwing_core::crypto::{Provider, Unverified};
use waxwing_core::envelope::{self, Fingerprint};
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{KeyQuestion, Packet, Status};

use super::Courier;
use crate::backend::rng;
use crate::exit::Failure;
use crate::home::{Applied, Contact, Fate, HandedOver, PacketName, Recorded};
use crate::reopen::{NOT_SIGNED, is_signed_with};

/// A letter as it came, copied out of the connection's memory.
pub(super) struct Arrived {
    id: PacketId,
    sender: Option<UserId>,
    sent_at: UnixTime,
    /// The packet; empty when it was too large to be kept.
    packet: Vec<u8>,
    len: usize,
}

impl Arrived {
    pub(super) fn new(letter: &Unverified<&mut [u8]>) -> Self {
        let packet = letter.packet().as_bytes().to_vec();
        Self {
            id: letter.id(),
            sender: letter.header().sender,
            sent_at: letter.header().timestamp.to_unix(),
            len: packet.len(),
            packet,
        }
    }

    pub(super) fn too_large(letter: &OversizedLetter) -> Self {
        Self {
            id: letter.id(),
            sender: letter.header.sender,
            sent_at: letter.header.timestamp.to_unix(),
            packet: Vec::new(),
            len: letter.header.packet_len(),
        }
    }
}

impl Courier<'_> {
    /// Takes in letters. Those of unknown senders wait until the server has said who that is, or the
    /// machine ends the connection because it does not. They are not acknowledged meanwhile, so the
    /// window bounds them: 128 letters, 256 KiB, and so many questions.
    pub(super) fn letters_arrived(&mut self, letters: Vec<Arrived>) -> Result<(), Failure> {
        let mut ready = Vec::new();
        for letter in letters {
            // The machine gives out no letter without a sender.
            let Some(sender) = letter.sender else { continue };
            if let Some(waiting) = self.unopened.get_mut(&sender) {
                waiting.push(letter);
            } else if self.home.contacts().by_user_id(sender)?.is_none() {
                self.questions.ask(KeyQuestion::ById(sender));
                self.unopened.insert(sender, vec![letter]);
            } else {
                ready.push(letter);
            }
        }
        self.store(ready)
    }

    /// The server has said who `sender` is, or that it does not say.
    pub(super) fn sender_known(&mut self, sender: UserId) -> Result<(), Failure> {
        let letters = self.unopened.remove(&sender).unwrap_or_default();
        self.store(letters)
    }

    /// Opens, stores in one commit, acknowledges.
    fn store(&mut self, letters: Vec<Arrived>) -> Result<(), Failure> {
        if letters.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let mut work: Vec<Vec<u8>> = letters.iter().map(|letter| letter.packet.clone()).collect();
        let mut handed_over = Vec::new();
        let mut doubted = Vec::new();
        let contacts: Vec<Option<Contact>> = letters
            .iter()
            .map(|letter| match letter.sender {
                Some(sender) => self.home.contacts().by_user_id(sender),
                None => Ok(None),
            })
            .collect::<Result<_, _>>()?;
        for ((letter, contact), work) in letters.iter().zip(&contacts).zip(&mut work) {
            let Some(sender) = letter.sender else { continue };
            let fate = match contact {
                Some(contact) => match self.open(contact, work, &letter.packet) {
                    Fate::Unreadable { error: NOT_SIGNED, .. } => {
                        let fate = self.not_signed(contact, &letter.packet);
                        if let Fate::Held { signed_with: None, .. } = fate {
                            doubted.push(contact.phone);
                        }
                        fate
                    }
                    fate => fate,
                },
                None => Fate::Unreadable {
                    from: None,
                    error: "the server does not say who sent it",
                    is_signed: false,
                    packet: &letter.packet,
                },
            };
            handed_over.push(HandedOver {
                packet_id: letter.id,
                sender,
                sent_at: letter.sent_at,
                received_at: now,
                fate,
            });
        }
        let recorded = self.home.letters().record_all(&handed_over)?;
        let discarded = recorded.iter().filter(|one| **one == Recorded::Discarded).count();
        tracing::debug!(letters = recorded.len(), discarded, "stored");
        for phone in doubted {
            // Once, so that a server that starts to lie is noticed.
            self.want_key(&phone);
        }
        let is_live = self.session.backlog_has_come;
        if let Some(link) = &mut self.link {
            link.request(|client, env| {
                for letter in &letters {
                    client.acknowledge(env, letter.id, letter.len);
                }
                // A person waits for the ticks; only a backlog is worth collecting for.
                if is_live {
                    client.flush_acknowledgments(env);
                }
            });
        }
        Ok(())
    }

    /// A letter that is not signed with the pinned key. Only the server can say that this key has
    /// changed: a letter alone is no sign of it, since anybody can put an id on one.
    fn not_signed<'l>(&self, contact: &'l Contact, packet: &'l [u8]) -> Fate<'l> {
        let from = contact.phone;
        let changed = contact.changed.as_ref().map(|changed| &changed.spki);
        match changed.filter(|key| is_signed_with(packet, key)) {
            Some(key) => Fate::Held { from, packet, signed_with: Some(key) },
            None if self.questions.has_word_of(&from) => {
                Fate::Unreadable { from: Some(from), error: NOT_SIGNED, is_signed: false, packet }
            }
            None => Fate::Held { from, packet, signed_with: None },
        }
    }

    /// Asks about everybody of whom an earlier session has left a letter that is not signed with
    /// the pinned key, and no answer.
    pub(super) fn ask_about_doubted(&mut self) -> Result<(), Failure> {
        for phone in self.home.letters().doubted_senders()? {
            self.want_key(&phone);
        }
        Ok(())
    }

    fn open<'l>(&self, contact: &Contact, work: &'l mut [u8], raw: &'l [u8]) -> Fate<'l> {
        let from = contact.phone;
        let unfit =
            |is_signed, error| Fate::Unreadable { from: Some(from), error, is_signed, packet: raw };
        let unreadable = |error| unfit(false, error);
        let account = self.account;
        let provider = &account.provider;
        if raw.is_empty() {
            return unreadable("the letter is larger than any letter may be");
        }
        let (Ok(packet), Ok(key)) = (Packet::parse(work), provider.public_key(&contact.spki))
        else {
            return unreadable("the packet is damaged");
        };
        let Ok(verified) = Unverified::new(provider, packet).verify(&key) else {
            return unreadable(NOT_SIGNED);
        };
        let theirs = Fingerprint::of(provider, &contact.phone, &contact.spki);
        let own = &account.fingerprint;
        match envelope::open(provider, &mut rng(), &theirs, own, &account.key, verified) {
            Ok(letter) => Fate::Opened { from, uid: letter.uid, content: letter.content },
            Err(envelope::Unreadable::UnknownVersion(_)) => {
                unfit(true, "the envelope is of a later version")
            }
            Err(envelope::Unreadable::UnknownSuite(_)) => {
                unfit(true, "the envelope is of a cipher suite that is not known here")
            }
            Err(envelope::Unreadable::DoesNotOpen) => unfit(true, "the letter does not open"),
        }
    }

    /// Takes in statuses of letters, ours and, in shared acknowledgments, other people's.
    pub(super) fn statuses_arrived(
        &mut self,
        statuses: &[(PacketName, Status)],
    ) -> Result<(), Failure> {
        if statuses.is_empty() {
            return Ok(());
        }
        let answered = |(name, _): &(PacketName, Status)| matches!(name, PacketName::Full(id) if Some(*id) == self.session.answer_due);
        if statuses.iter().any(answered) {
            self.session.answer_due = None;
        }
        for applied in self.home.outbox().apply(statuses, self.now())? {
            if let Applied::Risen(id, _) | Applied::Unchanged(id) = applied {
                self.traffic.answered(id);
            }
        }
        Ok(())
    }
}
