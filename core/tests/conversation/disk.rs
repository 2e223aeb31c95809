//! Storage in memory that survives the server.

use std::collections::BTreeMap;

use waxwing_core::id::UserId;
use waxwing_core::server::storage::{
    Answer, PendingLetter, Question, QueueId, SenderUsage, Snapshot, StoredUser, Write,
};
use waxwing_core::wire::{Status, StatusQuery};

/// What survives the server's death.
#[derive(Default)]
pub(crate) struct Disk {
    users: BTreeMap<UserId, StoredUser>,
    letters: BTreeMap<QueueId, PendingLetter>,
    last: QueueId,
}

impl Disk {
    pub(crate) fn pending(&self) -> usize {
        self.letters.len()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            users: self.users.values().cloned().collect(),
            last_queue_id: self.last,
            resting_ids: Vec::new(),
            with_letters: self.letters.values().map(|letter| letter.recipient).collect(),
            allowances: Vec::new(),
            pending: usage(self.letters.values()),
        }
    }

    pub(crate) fn apply(&mut self, write: &Write) {
        match write {
            Write::CreateUser { id, phone, spki } => {
                let spki = (**spki).clone();
                let user = StoredUser { id: *id, phone: *phone, spki, session_key: None };
                assert!(self.users.insert(*id, user).is_none());
            }
            Write::ConfirmSession { user, session_key, .. } => {
                self.users.get_mut(user).unwrap().session_key = Some(*session_key);
            }
            Write::InsertLetter(letter) => {
                assert!(letter.queue_id > self.last);
                self.last = letter.queue_id;
                self.letters.insert(letter.queue_id, (**letter).clone());
            }
            Write::DeleteLetters { recipient, letters } => {
                for id in letters {
                    let gone = self.letters.remove(id);
                    assert!(gone.is_none_or(|letter| letter.recipient == *recipient));
                }
            }
            Write::KeepAllowances(_) | Write::ForgetAllowances(_) => {}
        }
    }

    pub(crate) fn answer(&self, question: &Question) -> Answer {
        let of = |recipient| self.letters.values().filter(move |l| l.recipient == recipient);
        match question {
            Question::Letters { recipient, after, max_letters, max_bytes } => {
                let mut rest: Vec<_> =
                    of(*recipient).filter(|letter| letter.queue_id > *after).cloned().collect();
                let mut bytes = 0;
                let fit = rest.iter().take(*max_letters).take_while(|letter| {
                    bytes += letter.packet.len();
                    bytes <= *max_bytes
                });
                let count = fit.count().max(1).min(rest.len());
                let exhausted = count == rest.len();
                rest.truncate(count);
                Answer::Letters { letters: rest, damaged: Vec::new(), exhausted }
            }
            Question::Usage { recipient } => Answer::Usage(usage(of(*recipient))),
            Question::Fates { asker, letters } => {
                let fate = |query: &StatusQuery| {
                    let found = of(query.recipient).find(|letter| letter.id == query.letter);
                    match found {
                        Some(letter) if letter.sender == *asker => Status::Stored,
                        Some(_) => Status::Unknown,
                        None => Status::Delivered,
                    }
                };
                Answer::Fates(letters.iter().map(|query| (query.letter, fate(query))).collect())
            }
            Question::Expire { .. } => Answer::Expired(Vec::new()),
        }
    }
}

fn usage<'l>(letters: impl Iterator<Item = &'l PendingLetter>) -> Vec<SenderUsage> {
    let mut usage: BTreeMap<UserId, SenderUsage> = BTreeMap::new();
    for letter in letters {
        let empty = SenderUsage { sender: letter.sender, letters: 0, bytes: 0 };
        let entry = usage.entry(letter.sender).or_insert(empty);
        entry.letters += 1;
        entry.bytes += letter.packet.len() as u64;
    }
    usage.into_values().collect()
}
