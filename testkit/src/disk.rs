//! Storage in memory, which holds the machine to the contract and keeps to it itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use waxwing_core::id::{PacketId, UserId};
use waxwing_core::server::storage::{
    AllowanceKey, Answer, Ask, Batch, ExpiredLetter, Outcome, OwnLimits, PendingLetter, Question,
    QueueId, SenderUsage, Snapshot, StoredAllowance, StoredUser, Suspension, Ticket, Write,
};
use waxwing_core::server::{Counted, ShardId, Stored};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{Status, StatusQuery};

#[derive(Debug)]
enum Job {
    Store(Arc<Batch>),
    Ask(Ask),
}

#[derive(Clone, Copy, Debug)]
struct Fate {
    id: PacketId,
    sender: UserId,
    at: UnixTime,
}

/// Storage that stands behind a disk and does the work in its place.
pub trait Backing {
    /// How a batch ended; `None` when the process has to stop.
    fn apply(&mut self, batch: &Arc<Batch>) -> Option<Outcome>;
    /// The answer to a question; `None` when the process has to stop.
    fn answer(&mut self, question: &Question) -> Option<Answer>;
}

#[derive(Default)]
pub struct Disk {
    backing: Option<Box<dyn Backing>>,
    /// The backing has failed, and nothing is carried out any more.
    pub failed: bool,
    users: BTreeMap<UserId, StoredUser>,
    letters: BTreeMap<QueueId, PendingLetter>,
    fates: Vec<Fate>,
    last_queue_id: QueueId,
    /// Letters that cannot be handed out any more.
    pub damaged: BTreeSet<PacketId>,
    pub resting_ids: Vec<UserId>,
    /// Those for whom the backing had letters when it was opened.
    with_letters: Vec<UserId>,
    allowances: BTreeMap<AllowanceKey, UnixTime>,
    suspensions: BTreeMap<UserId, Option<UnixTime>>,
    own_limits: BTreeMap<UserId, OwnLimits>,
    /// What the backing had of each sender's when it was opened.
    loaded_pending: Vec<SenderUsage>,
    jobs: VecDeque<(ShardId, Job)>,
    outcomes: VecDeque<(ShardId, Ticket, Outcome)>,
    answers: VecDeque<(ShardId, Ticket, Answer)>,
    /// Nothing is carried out until the test says so.
    pub held: bool,
    /// What was carried out is not told until the test says so.
    pub mute: bool,
    pub refuses_writes: bool,
    /// Whether the next batch happens or does not, and which of the two is not known for a while.
    pub next_is_unclear: Option<bool>,
    /// Whose batch it is of which it is not known whether it has happened, and whether it has.
    unclear: Option<(ShardId, Arc<Batch>, bool)>,
    /// As in [`Snapshot`].
    pub letters_missing_until: Option<UnixTime>,
    pub refuses_questions: bool,
    /// Letters that have expired, remembered for ever.
    pub expired: BTreeSet<PacketId>,
    /// Letters that could not be stored, remembered for ever.
    pub refused: BTreeSet<PacketId>,
    /// Batches carried out.
    pub commits: usize,
    /// Mailboxes of deletions that were refused since everything was told.
    undeleted: Vec<UserId>,
    /// Letters that are gone without having been deleted, as the server has heard.
    thrown_out: Vec<QueueId>,
}

impl Disk {
    /// A disk whose work something else does; it has loaded `snapshot`.
    pub fn over(backing: Box<dyn Backing>, snapshot: Snapshot) -> Self {
        Self {
            backing: Some(backing),
            users: snapshot.users.into_iter().map(|user| (user.id, user)).collect(),
            last_queue_id: snapshot.last_queue_id,
            resting_ids: snapshot.resting_ids,
            with_letters: snapshot.with_letters,
            allowances: snapshot.allowances.iter().map(|left| (left.key, left.full_at)).collect(),
            loaded_pending: snapshot.pending,
            letters_missing_until: snapshot.letters_missing_until,
            ..Self::default()
        }
    }

    pub fn snapshot(&self) -> Snapshot {
        let recipients = self.letters.values().map(|letter| letter.recipient);
        let pending = match &self.backing {
            Some(_) => self.loaded_pending.clone(),
            None => usage(self.letters.values()),
        };
        Snapshot {
            users: self.users.values().cloned().collect(),
            last_queue_id: self.last_queue_id,
            resting_ids: self.resting_ids.clone(),
            with_letters: recipients.chain(self.with_letters.iter().copied()).collect(),
            allowances: self.allowances().collect(),
            pending,
            suspensions: self.suspensions().collect(),
            own_limits: self.own_limits.iter().map(|(user, limits)| (*user, *limits)).collect(),
            letters_missing_until: self.letters_missing_until,
        }
    }

    /// A copy of all that is durable, as in a backup. There must be no backing.
    pub fn copy(&self) -> Self {
        assert!(self.backing.is_none());
        Self {
            users: self.users.clone(),
            letters: self.letters.clone(),
            fates: self.fates.clone(),
            last_queue_id: self.last_queue_id,
            resting_ids: self.resting_ids.clone(),
            allowances: self.allowances.clone(),
            suspensions: self.suspensions.clone(),
            own_limits: self.own_limits.clone(),
            letters_missing_until: self.letters_missing_until,
            ..Self::default()
        }
    }

    pub fn suspensions(&self) -> impl Iterator<Item = Suspension> {
        self.suspensions.iter().map(|(user, until)| Suspension { user: *user, until: *until })
    }

    pub fn plant(&mut self, user: StoredUser) {
        self.users.insert(user.id, user);
    }

    pub fn users(&self) -> impl Iterator<Item = &StoredUser> {
        self.users.values()
    }

    /// What is left of allowances.
    pub fn allowances(&self) -> impl Iterator<Item = StoredAllowance> {
        self.allowances
            .iter()
            .map(|(key, full_at)| StoredAllowance { key: *key, full_at: *full_at })
    }

    /// What lies in a mailbox, oldest first.
    pub fn pending(&self, recipient: UserId) -> Vec<PacketId> {
        self.letters.values().filter(|l| l.recipient == recipient).map(|l| l.id).collect()
    }

    /// The places of all letters, in order.
    pub fn places(&self) -> Vec<QueueId> {
        self.letters.keys().copied().collect()
    }

    /// What the counters of mailboxes are held against. `None` if the letters are in the backing.
    pub fn stored(&self) -> Option<Stored> {
        if self.backing.is_some() {
            return None;
        }
        let there = self.letters.values().map(|letter| Counted {
            letter: letter.queue_id,
            recipient: letter.recipient,
            sender: letter.sender,
            bytes: letter.packet.len() as u64,
        });
        let untold = self.answers.iter().flat_map(|(_, _, answer)| thrown_out(answer));
        let untold = untold.map(|letter| Counted {
            letter: letter.queue_id,
            recipient: letter.recipient,
            sender: letter.sender,
            bytes: letter.bytes,
        });
        let letters = there.chain(untold).collect();
        let (thrown_out, unsettled) = (self.thrown_out.clone(), self.undeleted.clone());
        Some(Stored { letters, thrown_out, unsettled })
    }

    /// Letters of a sender's in all mailboxes, and their recipients.
    pub fn pending_from(&self, sender: UserId) -> impl Iterator<Item = &PendingLetter> {
        self.letters.values().filter(move |letter| letter.sender == sender)
    }

    pub fn remembers(&self, id: PacketId) -> bool {
        self.fates.iter().any(|fate| fate.id == id)
    }

    /// Power is cut: what was not carried out never will be.
    pub fn crash(&mut self) {
        self.jobs.clear();
        self.unclear = None;
        self.outcomes.clear();
        self.answers.clear();
    }

    pub fn store(&mut self, shard: ShardId, batch: Arc<Batch>) {
        assert!(!batch.writes.is_empty(), "an empty batch");
        self.jobs.push_back((shard, Job::Store(batch)));
    }

    pub fn ask(&mut self, shard: ShardId, ask: Ask) {
        self.jobs.push_back((shard, Job::Ask(ask)));
    }

    pub fn has_jobs(&self) -> bool {
        !self.held && !self.failed && !self.jobs.is_empty()
    }

    pub fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    pub fn has_news(&self) -> bool {
        !self.mute && (!self.outcomes.is_empty() || !self.answers.is_empty())
    }

    pub fn next_outcome(&mut self) -> Option<(ShardId, Ticket, Outcome)> {
        let outcome = self.outcomes.pop_front();
        if self.outcomes.is_empty() {
            self.undeleted.clear();
        }
        outcome
    }

    pub fn next_answer(&mut self) -> Option<(ShardId, Ticket, Answer)> {
        let answer = self.answers.pop_front();
        let gone = answer.iter().flat_map(|(_, _, answer)| thrown_out(answer));
        self.thrown_out.extend(gone.map(|letter| letter.queue_id));
        answer
    }

    /// Whether there is a batch of which it is not known whether it has happened.
    pub fn is_unclear(&self) -> bool {
        self.unclear.is_some()
    }

    /// It becomes known whether the batch that is unclear has happened.
    pub fn clear_up(&mut self) {
        self.next_is_unclear = None;
        match self.unclear.take() {
            Some((shard, batch, true)) => {
                self.outcomes.push_back((shard, batch.ticket, Outcome::Done));
            }
            Some((shard, batch, false)) => self.refuse(shard, &batch),
            None => {}
        }
    }

    fn refuse(&mut self, shard: ShardId, batch: &Batch) {
        for write in &batch.writes {
            match write {
                Write::DeleteLetters { recipient, .. } => self.undeleted.push(*recipient),
                Write::InsertLetter(letter) => {
                    self.refused.insert(letter.id);
                }
                _ => {}
            }
        }
        self.outcomes.push_back((shard, batch.ticket, Outcome::Unavailable));
    }

    /// Carries out the next batch or question.
    pub fn work(&mut self) {
        let Some((shard, job)) = self.jobs.pop_front() else { return };
        if let Some(backing) = &mut self.backing {
            let ended = match job {
                Job::Store(batch) => backing
                    .apply(&batch)
                    .map(|outcome| self.outcomes.push_back((shard, batch.ticket, outcome))),
                Job::Ask(ask) => backing
                    .answer(&ask.question)
                    .map(|answer| self.answers.push_back((shard, ask.ticket, answer))),
            };
            self.failed |= ended.is_none();
            return;
        }
        match job {
            Job::Store(batch) if self.refuses_writes || self.is_unclear() => {
                self.refuse(shard, &batch);
            }
            Job::Store(batch) => {
                let unclear = self.next_is_unclear.take();
                if unclear != Some(false) {
                    batch.writes.iter().for_each(|write| self.write(write));
                    self.commits += 1;
                }
                match unclear {
                    Some(has_happened) => self.unclear = Some((shard, batch, has_happened)),
                    None => self.outcomes.push_back((shard, batch.ticket, Outcome::Done)),
                }
            }
            Job::Ask(ask) if self.refuses_questions || self.is_unclear() => {
                self.answers.push_back((shard, ask.ticket, Answer::Unavailable));
            }
            Job::Ask(ask) => {
                let answer = self.answer(ask.question);
                self.answers.push_back((shard, ask.ticket, answer));
            }
        }
    }

    fn write(&mut self, write: &Write) {
        match write {
            Write::CreateUser { id, phone, spki } => {
                assert!(!self.resting_ids.contains(id), "{id} rests");
                let user = StoredUser {
                    id: *id,
                    phone: *phone,
                    spki: (**spki).clone(),
                    session_key: None,
                };
                let taken = |other: &StoredUser| {
                    other.id == user.id || other.phone == user.phone || other.spki == user.spki
                };
                assert!(!self.users.values().any(taken), "id, phone or key is taken");
                self.users.insert(*id, user);
            }
            Write::ConfirmSession { user, session_key, .. } => {
                self.users.get_mut(user).unwrap().session_key = Some(*session_key);
            }
            Write::InsertLetter(letter) => {
                let taken = self.letters.contains_key(&letter.queue_id);
                assert!(!taken, "a place is one letter's");
                assert!(self.users.contains_key(&letter.recipient));
                self.last_queue_id = self.last_queue_id.max(letter.queue_id);
                self.letters.insert(letter.queue_id, (**letter).clone());
            }
            Write::DeleteLetters { recipient, letters } => {
                for queue_id in letters {
                    // One that has expired is gone before its deletion comes.
                    if let Some(gone) = self.letters.remove(queue_id) {
                        assert_eq!(gone.recipient, *recipient, "another's letter");
                    }
                }
            }
            Write::KeepAllowances(allowances) => {
                assert!(!allowances.is_empty());
                self.allowances.extend(allowances.iter().map(|left| (left.key, left.full_at)));
            }
            Write::ForgetAllowances(keys) => {
                assert!(!keys.is_empty());
                self.allowances.retain(|key, _| !keys.contains(key));
            }
            Write::RemoveUser { user, .. } => {
                let left = self.letters.values().find(|letter| letter.recipient == *user);
                assert!(left.is_none(), "letters for a user who is removed");
                assert!(self.users.remove(user).is_some(), "nobody is removed twice");
                self.resting_ids.push(*user);
                self.suspensions.remove(user);
                self.own_limits.remove(user);
            }
            Write::Suspend { user, until, .. } => {
                assert!(self.users.contains_key(user), "nobody is suspended who is not there");
                self.suspensions.insert(*user, *until);
            }
            Write::Resume { user } => {
                self.suspensions.remove(user);
            }
            Write::SetLimits { user, limits } => {
                assert!(self.users.contains_key(user), "nobody has limits who is not there");
                self.own_limits.insert(*user, *limits);
            }
        }
    }

    fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Letters { recipient, after, max_letters, max_bytes } => {
                assert!(max_letters > 0);
                let damaged = self.set_aside(recipient);
                let mut beyond = self
                    .letters
                    .values()
                    .filter(|l| l.recipient == recipient && l.queue_id > after);
                let (mut letters, mut bytes) = (Vec::new(), 0);
                let exhausted = loop {
                    let Some(letter) = beyond.next() else { break true };
                    bytes += letter.packet.len();
                    let fits = letters.is_empty() || bytes <= max_bytes;
                    if !fits || letters.len() == max_letters {
                        break false;
                    }
                    letters.push(letter.clone());
                };
                Answer::Letters { letters, damaged, exhausted }
            }
            Question::Usage { recipient } => {
                Answer::Usage(usage(self.letters.values().filter(|l| l.recipient == recipient)))
            }
            Question::Fates { asker, letters } => {
                let fate = |query: StatusQuery| (query.letter, self.fate(asker, query));
                Answer::Fates(letters.into_iter().map(fate).collect())
            }
            Question::Expire { shard, accepted_before, forget_before, now, limit } => {
                self.fates.retain(|fate| fate.at >= forget_before);
                self.suspensions.retain(|_, until| until.is_none_or(|until| until > now));
                let is_old =
                    |l: &PendingLetter| shard.owns(l.recipient) && l.accepted_at < accepted_before;
                self.take_out(is_old, now, limit)
            }
            Question::TakeOut { recipient, accepted_before, now, limit } => {
                let is_old =
                    |l: &PendingLetter| l.recipient == recipient && l.accepted_at < accepted_before;
                self.take_out(is_old, now, limit)
            }
        }
    }

    /// Has some of these letters expire.
    fn take_out(
        &mut self,
        which: impl Fn(&PendingLetter) -> bool,
        now: UnixTime,
        limit: usize,
    ) -> Answer {
        let old = self.letters.values().filter(|letter| which(letter));
        let old: Vec<_> = old.take(limit).cloned().collect();
        for letter in &old {
            self.letters.remove(&letter.queue_id);
            self.expired.insert(letter.id);
            self.fates.push(Fate { id: letter.id, sender: letter.sender, at: now });
        }
        Answer::Expired(old.iter().map(expired).collect())
    }

    /// Removes the damaged letters of a mailbox.
    fn set_aside(&mut self, recipient: UserId) -> Vec<ExpiredLetter> {
        let Self { letters, damaged, fates, .. } = self;
        let is_damaged = |_: &QueueId, l: &mut PendingLetter| {
            l.recipient == recipient && damaged.contains(&l.id)
        };
        let gone: Vec<_> = letters.extract_if(.., is_damaged).map(|(_, letter)| letter).collect();
        let fate = |l: &PendingLetter| Fate { id: l.id, sender: l.sender, at: l.accepted_at };
        fates.extend(gone.iter().map(fate));
        gone.iter().map(expired).collect()
    }

    fn fate(&self, asker: UserId, query: StatusQuery) -> Status {
        let own = |sender, status| if sender == asker { status } else { Status::Unknown };
        let of_recipient =
            |l: &&PendingLetter| l.recipient == query.recipient && l.id == query.letter;
        if let Some(letter) = self.letters.values().find(of_recipient) {
            return own(letter.sender, Status::Stored);
        }
        match self.fates.iter().find(|fate| fate.id == query.letter) {
            Some(fate) => own(fate.sender, Status::Expired),
            None => Status::Delivered,
        }
    }
}

/// Letters that storage has removed by itself.
fn thrown_out(answer: &Answer) -> &[ExpiredLetter] {
    match answer {
        Answer::Expired(letters) | Answer::Letters { damaged: letters, .. } => letters,
        _ => &[],
    }
}

fn expired(letter: &PendingLetter) -> ExpiredLetter {
    ExpiredLetter {
        queue_id: letter.queue_id,
        id: letter.id,
        sender: letter.sender,
        recipient: letter.recipient,
        bytes: letter.packet.len() as u64,
    }
}

/// What each sender has of these letters.
fn usage<'l>(letters: impl Iterator<Item = &'l PendingLetter>) -> Vec<SenderUsage> {
    let mut usage: BTreeMap<UserId, SenderUsage> = BTreeMap::new();
    for letter in letters {
        let sender = letter.sender;
        let of = usage.entry(sender).or_insert(SenderUsage { sender, letters: 0, bytes: 0 });
        of.letters += 1;
        of.bytes += letter.packet.len() as u64;
    }
    usage.into_values().collect()
}
