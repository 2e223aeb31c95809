//! A person with a terminal: what they keep, and what they do about what they learn.

use std::collections::BTreeMap;

use waxwing_core::client::{Env, Event, LetterName};
use waxwing_core::crypto::{
    PrivateKey, Provider, ReplyKey, RustCrypto, RustCryptoKey, SessionKey, Unverified,
};
use waxwing_core::envelope::{self, Content, Fingerprint};
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::testing::keys;
use waxwing_core::wire::{KeyAnswer, KeyQuestion, Packet, Status};

use crate::post_office::Call;

/// A person with a terminal: keys, pins, letters, and what the screen would show.
pub(crate) struct Person {
    pub(crate) phone: Phone,
    pub(crate) key: RustCryptoKey,
    pub(crate) reply_key: ReplyKey,
    pub(crate) user: Option<UserId>,
    pub(crate) last_key: Option<SessionKey>,
    pub(crate) contacts: BTreeMap<UserId, KeyAnswer>,
    pub(crate) inbox: Vec<(Phone, String)>,
    pub(crate) seen: Vec<(Phone, Uid)>,
    pub(crate) statuses: BTreeMap<PacketId, Status>,
    pub(crate) sent: Vec<PacketId>,
    pub(crate) backlogs: Vec<u32>,
    pub(crate) duplicates: usize,
    pub(crate) window: u8,
    /// Acknowledge nothing, as if the person's disk were asleep.
    pub(crate) asleep: bool,
    unknown: Vec<(UserId, Vec<u8>)>,
}

impl Person {
    pub(crate) fn new(number: usize) -> Self {
        let phone = format!("+491510000{number:04}");
        Self {
            phone: Phone::parse(phone.as_bytes()).unwrap(),
            key: RustCryptoKey::from_pkcs8_der(keys::pkcs8_der(number)).unwrap(),
            reply_key: ReplyKey::from_bytes(&[number as u8; 32]),
            user: None,
            last_key: None,
            contacts: BTreeMap::new(),
            inbox: Vec::new(),
            seen: Vec::new(),
            statuses: BTreeMap::new(),
            sent: Vec::new(),
            backlogs: Vec::new(),
            duplicates: 0,
            window: 128,
            asleep: false,
            unknown: Vec::new(),
        }
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&RustCrypto, &self.phone, self.key.spki())
    }
}

/// What an event makes a person do.
pub(crate) enum Todo {
    Nothing,
    Keep(Option<Otp>),
    GiveUp,
    Open,
    Acknowledge(PacketId, usize),
    OpenWaiting(UserId),
}

impl Person {
    pub(crate) fn learn(&mut self, event: Event<'_>) -> Todo {
        match event {
            Event::OtpIssued(grant) => return Todo::Keep(grant.otp),
            Event::PhoneTaken => return Todo::GiveUp,
            Event::SessionIssued { user } => self.user = Some(user),
            Event::Letter(_) => return Todo::Open,
            Event::TooLarge(letter) => {
                return Todo::Acknowledge(letter.id(), letter.header.packet_len());
            }
            Event::Status { letter, status } => {
                let name = |id: &&PacketId| match letter {
                    LetterName::Whole(whole) => **id == whole,
                    LetterName::Prefix(prefix) => id.prefix() == prefix,
                };
                if let Some(id) = self.sent.iter().find(name) {
                    let known = self.statuses.get(id).copied().unwrap_or(Status::Unknown);
                    self.statuses.insert(*id, status.after(known));
                }
            }
            Event::Key(answer) => {
                let user = answer.user;
                self.contacts.insert(user, answer);
                return Todo::OpenWaiting(user);
            }
            Event::BacklogEnd(count) => self.backlogs.push(count),
            Event::WrongKey(_) | Event::Refused(_) => {}
        }
        Todo::Nothing
    }

    pub(crate) fn act(&mut self, env: &mut Env<'_>, call: &mut Call, todo: Todo) {
        match todo {
            Todo::Nothing => {}
            Todo::Keep(otp) => call.otp = otp,
            Todo::GiveUp => call.phone_taken = true,
            Todo::Acknowledge(id, len) => call.client.acknowledge(env, id, len),
            Todo::Open => {
                let letter = call.client.letter().unwrap();
                let (sender, bytes) =
                    (letter.header().sender.unwrap(), letter.packet().as_bytes().to_vec());
                call.client.release_letter();
                if self.contacts.contains_key(&sender) {
                    self.open(env, call, sender, bytes);
                } else {
                    self.unknown.push((sender, bytes));
                    if !call.client.is_asking_for_key() {
                        call.client.ask_for_key(env, KeyQuestion::ById(sender)).unwrap();
                    }
                }
            }
            Todo::OpenWaiting(user) => {
                for (sender, bytes) in std::mem::take(&mut self.unknown) {
                    assert_eq!(sender, user, "one unknown sender at a time in these tests");
                    self.open(env, call, sender, bytes);
                }
            }
        }
    }

    fn open(&mut self, env: &mut Env<'_>, call: &mut Call, sender: UserId, mut bytes: Vec<u8>) {
        let contact = &self.contacts[&sender];
        let from = Fingerprint::of(&RustCrypto, &contact.phone, &contact.spki);
        let key = RustCrypto.public_key(&contact.spki).unwrap();
        let len = bytes.len();
        let packet = Packet::parse(bytes.as_mut_slice()).unwrap();
        let letter = Unverified::new(&RustCrypto, packet);
        let id = letter.id();
        if let Ok(letter) = letter.verify(&key) {
            let me = self.fingerprint();
            let opened = envelope::open(&RustCrypto, env.rng, &from, &me, &self.key, letter);
            match opened {
                Ok(opened) if self.seen.contains(&(contact.phone, opened.uid)) => {
                    self.duplicates += 1;
                }
                Ok(opened) => {
                    self.seen.push((contact.phone, opened.uid));
                    let Content::Text(text) = opened.content else { panic!("only texts here") };
                    self.inbox.push((contact.phone, text.to_owned()));
                }
                Err(error) => self.inbox.push((contact.phone, format!("unreadable: {error}"))),
            }
        } else {
            self.inbox.push((contact.phone, "forged".to_owned()));
        }
        if !self.asleep {
            call.client.acknowledge(env, id, len);
        }
    }
}
