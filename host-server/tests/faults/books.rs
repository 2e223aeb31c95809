//! What storage has promised, and what it may hold therefore.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use waxwing_core::id::{PacketId, UserId};
use waxwing_core::server::storage::{
    AllowanceKey, Answer, Batch, Outcome, PendingLetter, Question, QueueId, StoredUser, Write,
};
use waxwing_core::time::UnixTime;
use waxwing_server::store::{Storage, StorageError};

/// Users, and letters that wait.
#[derive(Clone, Debug, Default, PartialEq)]
struct Content {
    users: BTreeMap<UserId, StoredUser>,
    letters: BTreeMap<QueueId, PendingLetter>,
    allowances: BTreeMap<AllowanceKey, UnixTime>,
}

impl Content {
    fn write(&mut self, write: &Write) {
        match write {
            Write::CreateUser { id, phone, spki } => {
                let (id, phone, spki) = (*id, *phone, (**spki).clone());
                self.users.insert(id, StoredUser { id, phone, spki, session_key: None });
            }
            Write::ConfirmSession { user, session_key, .. } => {
                self.users.get_mut(user).unwrap().session_key = Some(*session_key);
            }
            Write::InsertLetter(letter) => {
                self.letters.insert(letter.queue_id, (**letter).clone());
            }
            Write::DeleteLetters { recipient, letters } => {
                let theirs = |id: &QueueId| letters.contains(id);
                self.letters.retain(|id, letter| letter.recipient != *recipient || !theirs(id));
            }
            Write::KeepAllowances(allowances) => {
                self.allowances.extend(allowances.iter().map(|left| (left.key, left.full_at)));
            }
            Write::ForgetAllowances(keys) => self.allowances.retain(|key, _| !keys.contains(key)),
            Write::RemoveUser { user, .. } => {
                self.users.remove(user);
            }
            // The faults are under what is written, whatever it is.
            Write::Suspend { .. } | Write::Resume { .. } | Write::SetLimits { .. } => {}
        }
    }

    fn expire(&mut self, before: UnixTime) -> Vec<PacketId> {
        let old = self.letters.extract_if(.., |_, letter| letter.accepted_at < before);
        old.map(|(_, letter)| letter.id).collect()
    }

    fn read(storage: &mut dyn Storage) -> Result<Self, StorageError> {
        let snapshot = storage.load(UnixTime::from_seconds(0))?;
        let mut content = Self {
            users: snapshot.users.into_iter().map(|user| (user.id, user)).collect(),
            letters: BTreeMap::new(),
            allowances: snapshot.allowances.iter().map(|left| (left.key, left.full_at)).collect(),
        };
        for recipient in content.users.keys() {
            let question = Question::Letters {
                recipient: *recipient,
                after: QueueId(0),
                max_letters: usize::MAX,
                max_bytes: usize::MAX,
            };
            let Ok(Answer::Letters { letters, exhausted: true, .. }) = storage.answer(&question)
            else {
                panic!("the mailbox of {recipient:?} cannot be read");
            };
            content.letters.extend(letters.into_iter().map(|letter| (letter.queue_id, letter)));
        }
        Ok(content)
    }
}

/// Kept from what storage was given and what it said.
#[derive(Default)]
pub(crate) struct Books {
    content: Content,
    /// What it would be if something has happened of which storage could not say so.
    in_doubt: Option<Content>,
    /// Letters that nobody had fetched in time.
    pub(crate) expired: BTreeSet<PacketId>,
}

impl Books {
    /// A batch has ended, or the process has to stop because of it.
    pub(crate) fn applied(&mut self, batch: &Arc<Batch>, outcome: Option<Outcome>) {
        let mut content = self.content.clone();
        batch.writes.iter().for_each(|write| content.write(write));
        match outcome {
            Some(Outcome::Done) => self.content = content,
            Some(Outcome::Unavailable) => {}
            None => self.in_doubt = Some(content),
        }
    }

    /// A question was answered, refused, or has stopped the process.
    pub(crate) fn answered(&mut self, question: &Question, answer: Option<&Answer>) {
        let Question::Expire { accepted_before, .. } = question else { return };
        let mut content = self.content.clone();
        let expired = content.expire(*accepted_before);
        match answer {
            Some(Answer::Expired(letters)) => {
                assert!(letters.iter().map(|letter| letter.id).eq(expired.iter().copied()));
                self.content = content;
            }
            Some(_) => return,
            None => self.in_doubt = Some(content),
        }
        self.expired.extend(expired);
    }

    /// Storage was opened again: it holds exactly what it has promised, and all or nothing of what
    /// was in doubt.
    pub(crate) fn compare(&mut self, storage: &mut dyn Storage) {
        let found = Content::read(storage).expect("what was opened can be read");
        if let Some(doubtful) = self.in_doubt.take()
            && found == doubtful
        {
            self.content = doubtful;
        }
        let known: Vec<_> = self.content.letters.values().collect();
        let letters: Vec<_> = found.letters.values().collect();
        assert_eq!(letters, known, "letters");
        assert_eq!(found.users, self.content.users, "users");
        assert_eq!(found.allowances, self.content.allowances, "allowances");
    }

    /// Letters that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.content.letters.len()
    }
}
