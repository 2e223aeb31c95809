use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use waxwing_core::id::{PacketId, UserId};
use waxwing_core::server::Shard;
use waxwing_core::server::storage::{Answer, ExpiredLetter, Question, QueueId, Snapshot};
use waxwing_core::time::{Instant, UnixTime};
use waxwing_core::wire::{Status, StatusQuery};

use super::*;
use crate::store::Resolved;

const LEASE: Duration = Duration::from_secs(5);
const HERE: Node = Node(1);
const ME: Instance = Instance(11);

/// What a database says next, and what it was asked.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Said>>);

#[derive(Default)]
struct Said {
    seen: VecDeque<Seen>,
    changed: VecDeque<Result<(), ApplyError>>,
    renewed: VecDeque<Poll<Result<Option<Renewed>, ApplyError>>>,
    taken: VecDeque<Result<Option<Renewed>, ApplyError>>,
    doubted: VecDeque<Result<bool, ApplyError>>,
    to_remove: Vec<ExpiredLetter>,
    fences: Vec<Fence>,
    changes: Vec<Change>,
    doubts: Vec<Option<Mark>>,
    witnessed: Option<Mark>,
}

impl Script {
    fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.0.lock().unwrap()
    }

    /// A holder that has taken the lease in epoch 3, behind group 40 of epoch 2.
    fn groups(&self) -> Groups<Self> {
        let taken = Renewed { epoch: Epoch(3), last: mark(2, 40) };
        Groups::new(self.clone(), Holder::new(ME, taken), Box::new(self.clone()))
    }

    fn candidate(&self) -> Candidate<Self> {
        let witness = Box::new(self.clone());
        Candidate::new(HERE, ME, self.clone(), witness, LEASE, Instant::default())
    }
}

impl Database for Script {
    fn look(&mut self, _: Option<Mark>) -> Result<Seen, ApplyError> {
        self.said().seen.pop_front().ok_or_else(away)
    }

    fn take(&mut self, _: &Claim) -> Result<Option<Renewed>, ApplyError> {
        self.said().taken.pop_front().expect("nobody takes it")
    }

    fn renew(&mut self, _: Instance) -> Poll<Result<Option<Renewed>, ApplyError>> {
        self.said().renewed.pop_front().expect("nobody renews it")
    }

    fn give_back(&mut self, _: Instance) -> Result<(), ApplyError> {
        Ok(())
    }

    fn doubt(&mut self, witnessed: Option<Mark>) -> Result<bool, ApplyError> {
        self.said().doubts.push(witnessed);
        self.said().doubted.pop_front().expect("nobody doubts it")
    }

    fn change(&mut self, fence: &Fence, change: &Change) -> Result<(), ApplyError> {
        self.said().fences.push(*fence);
        self.said().changes.push(change.clone());
        self.said().changed.pop_front().unwrap_or(Ok(()))
    }

    fn load(&mut self, _: &Fence, _: UnixTime) -> Result<Snapshot, ApplyError> {
        Ok(Snapshot::default())
    }

    fn fates(
        &mut self,
        fence: &Fence,
        _: UserId,
        letters: &[StatusQuery],
    ) -> Result<Vec<(PacketId, Status)>, ApplyError> {
        self.said().fences.push(*fence);
        self.said().changed.pop_front().unwrap_or(Ok(()))?;
        Ok(letters.iter().map(|query| (query.letter, Status::Delivered)).collect())
    }

    fn read(&mut self, _: &Question) -> Result<Answer, ApplyError> {
        Ok(Answer::Usage(Vec::new()))
    }

    fn to_remove(&mut self, _: &Question) -> Result<Vec<ExpiredLetter>, ApplyError> {
        Ok(self.said().to_remove.clone())
    }
}

impl Witness for Script {
    fn mark(&self) -> Option<Mark> {
        self.said().witnessed
    }

    fn write(&mut self, mark: Mark) {
        self.said().witnessed = Some(mark);
    }
}

fn mark(epoch: u64, group: u64) -> Mark {
    Mark { epoch: Epoch(epoch), group }
}

fn renewed(epoch: u64, last: Mark) -> Poll<Result<Option<Renewed>, ApplyError>> {
    Poll::Ready(Ok(Some(Renewed { epoch: Epoch(epoch), last })))
}

fn away() -> ApplyError {
    ApplyError::Away("away".into())
}

fn unclear() -> ApplyError {
    ApplyError::Unclear("the connection is gone".into())
}

fn fenced() -> ApplyError {
    ApplyError::Fenced("the row has changed".into())
}

fn user(id: u16) -> UserId {
    UserId::new(id).unwrap()
}

#[test]
fn each_group_is_given_behind_the_one_before_it_and_witnessed_when_it_is_done() {
    let script = Script::default();
    let mut groups = script.groups();
    assert_eq!(script.said().witnessed, Some(mark(2, 40)), "it is as safe as the lease");
    groups.apply(&[]).unwrap();
    assert_eq!(script.said().witnessed, Some(mark(3, 41)));
    script.said().changed.push_back(Err(away()));
    assert_eq!(groups.apply(&[]), Err(away()));
    let asker = user(1);
    let letter = PacketId([7; 16]);
    let letters = vec![StatusQuery { recipient: user(2), letter }];
    let fates = groups.answer(&Question::Fates { asker, letters }).unwrap();
    assert_eq!(fates, Answer::Fates(vec![(letter, Status::Delivered)]));
    groups.load(UnixTime::from_seconds(0)).unwrap();
    assert_eq!(script.said().witnessed, Some(mark(3, 43)));
    let last: Vec<_> = script.said().fences.iter().map(|fence| fence.last).collect();
    assert_eq!(last, [mark(2, 40), mark(3, 41), mark(3, 41)]);
}

#[test]
fn an_unclear_group_is_witnessed_and_told_when_a_renewal_has_found_it() {
    for has_happened in [true, false] {
        let script = Script::default();
        let mut groups = script.groups();
        script.said().changed.push_back(Err(unclear()));
        assert_eq!(groups.apply(&[]), Err(unclear()));
        let found = if has_happened { mark(3, 41) } else { mark(2, 40) };
        script.said().renewed.extend([Poll::Pending, Poll::Ready(Err(away()))]);
        script.said().renewed.push_back(renewed(5, found));
        assert_eq!(groups.resolve(), Ok(None), "it is under way");
        assert_eq!(groups.resolve(), Err(away()));
        assert_eq!(script.said().witnessed, Some(mark(2, 40)));
        let resolved = if has_happened { Resolved::Done(None) } else { Resolved::NotDone };
        assert_eq!(groups.resolve(), Ok(Some(resolved)));
        assert_eq!(script.said().witnessed, Some(found));
        groups.apply(&[]).unwrap();
        let fence = *script.said().fences.last().unwrap();
        assert_eq!((fence.epoch, fence.last), (Epoch(5), found));
    }
}

#[test]
fn letters_that_were_removed_by_an_unclear_group_are_named_when_it_turns_out_to_have_happened() {
    let script = Script::default();
    let gone = ExpiredLetter {
        queue_id: QueueId(9),
        id: PacketId([7; 16]),
        sender: user(1),
        recipient: user(2),
        bytes: 600,
    };
    script.said().to_remove = vec![gone];
    let (at, shard) = (UnixTime::from_seconds(90), Shard::all(1).next().unwrap());
    let question = Question::Expire {
        shard,
        accepted_before: at,
        forget_before: UnixTime::from_seconds(30),
        now: at,
        limit: 8,
    };
    let mut groups = script.groups();
    script.said().changed.push_back(Err(unclear()));
    assert_eq!(groups.answer(&question), Err(unclear()));
    let change = format!("{:?}", script.said().changes);
    assert!(change.contains("QueueId(9)"), "{change}");
    script.said().renewed.push_back(renewed(4, mark(3, 41)));
    let answer = Answer::Expired(vec![gone]);
    assert_eq!(groups.resolve(), Ok(Some(Resolved::Done(Some(answer.clone())))));
    assert_eq!(groups.answer(&question), Ok(answer));
    // The answer belongs to that group and to no later one.
    script.said().changed.push_back(Err(unclear()));
    assert_eq!(groups.apply(&[]), Err(unclear()));
    script.said().renewed.push_back(renewed(5, mark(4, 43)));
    assert_eq!(groups.resolve(), Ok(Some(Resolved::Done(None))));
}

#[test]
fn who_has_changed_the_row_is_said_by_a_renewal() {
    let script = Script::default();
    let mut groups = script.groups();
    // An attempt of its own to renew the lease has come late.
    script.said().changed.push_back(Err(fenced()));
    assert!(matches!(groups.apply(&[]), Err(ApplyError::Unclear(_))));
    script.said().renewed.push_back(renewed(6, mark(2, 40)));
    assert_eq!(groups.resolve(), Ok(Some(Resolved::NotDone)));
    // Another server.
    script.said().changed.push_back(Err(fenced()));
    assert!(matches!(groups.apply(&[]), Err(ApplyError::Unclear(_))));
    script.said().renewed.push_back(Poll::Ready(Ok(None)));
    assert!(matches!(groups.resolve(), Err(ApplyError::Fenced(_))));
}

#[test]
fn a_holder_whose_database_has_lost_something_says_so_in_the_database_and_stops() {
    let script = Script::default();
    let mut groups = script.groups();
    groups.apply(&[]).unwrap();
    script.said().changed.push_back(Err(fenced()));
    assert!(matches!(groups.apply(&[]), Err(ApplyError::Unclear(_))));
    script.said().renewed.push_back(renewed(4, mark(2, 40)));
    script.said().doubted.push_back(Err(away()));
    assert!(matches!(groups.resolve(), Err(ApplyError::Fatal(_))));
    assert_eq!(script.said().doubts, [Some(mark(3, 41))]);
}

/// Nobody has the lease.
fn free() -> Seen {
    Seen {
        lease: LeaseRow { epoch: Epoch(3), holder: None },
        last: mark(3, 41),
        before_last: Some(mark(3, 40)),
        oldest: 1,
        at_witnessed: None,
        is_doubtful: false,
    }
}

#[test]
fn a_lease_whose_taking_is_unclear_is_had_when_a_renewal_is_done() {
    let script = Script::default();
    let mut candidate = script.candidate();
    let now = Instant::default();
    script.said().seen.push_back(free());
    script.said().taken.push_back(Err(unclear()));
    assert!(candidate.look(now).unwrap().is_none());
    script.said().renewed.extend([Poll::Pending, Poll::Ready(Err(unclear()))]);
    script.said().renewed.push_back(renewed(5, mark(3, 41)));
    assert!(candidate.look(now).unwrap().is_none());
    assert!(candidate.poll_timeout().since(now) < LEASE / 5, "the answer is under way");
    assert!(candidate.look(now).unwrap().is_none());
    let holder = candidate.look(now).unwrap().expect("it has the lease");
    assert_eq!((holder.fence().epoch, holder.fence().last), (Epoch(5), mark(3, 41)));
    drop(candidate.serve(holder));
    assert_eq!(script.said().witnessed, Some(mark(3, 41)));
}

#[test]
fn a_lease_that_was_not_taken_after_all_is_waited_for() {
    let script = Script::default();
    let mut candidate = script.candidate();
    let now = Instant::default();
    for taken in [Ok(None), Err(away()), Err(unclear())] {
        script.said().seen.push_back(free());
        script.said().taken.push_back(taken);
        assert!(candidate.look(now).unwrap().is_none());
    }
    script.said().renewed.push_back(Poll::Ready(Ok(None)));
    assert!(candidate.look(now).unwrap().is_none());
    script.said().seen.push_back(free());
    script.said().taken.push_back(Ok(Some(Renewed { epoch: Epoch(4), last: mark(3, 41) })));
    assert!(candidate.look(now).unwrap().is_some());
}

#[test]
fn a_candidate_believes_in_a_loss_when_the_database_has_committed_that_it_is_doubtful() {
    let script = Script::default();
    let mut candidate = script.candidate();
    let now = Instant::default();
    script.said().witnessed = Some(mark(3, 99));
    // A machine that is the database no more commits nothing.
    for doubted in [Err(away()), Err(unclear()), Ok(false)] {
        script.said().seen.push_back(free());
        script.said().doubted.push_back(doubted);
        assert!(candidate.look(now).unwrap().is_none());
    }
    script.said().seen.push_back(free());
    script.said().doubted.push_back(Ok(true));
    assert!(matches!(candidate.look(now), Err(ApplyError::Fatal(_))));
    assert_eq!(script.said().doubts, [Some(mark(3, 99)); 4]);
    assert_eq!(script.said().witnessed, Some(mark(3, 99)), "the next start knows it too");
}

#[test]
fn a_candidate_witnesses_what_it_sees_while_it_waits() {
    let script = Script::default();
    let mut candidate = script.candidate();
    let there = LeaseRow { holder: Some((Node(2), Instance(22))), ..free().lease };
    script.said().seen.push_back(Seen { lease: there, ..free() });
    assert!(candidate.look(Instant::default()).unwrap().is_none());
    assert_eq!(script.said().witnessed, Some(mark(3, 40)));
}
