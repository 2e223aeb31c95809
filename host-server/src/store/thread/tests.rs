use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use waxwing_core::crypto::Spki;
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::phone::Phone;
use waxwing_core::server::OwnAccounts;
use waxwing_core::server::storage::{
    Answer, Ask, Batch, Outcome, PendingLetter, Question, QueueId, Snapshot, StoredUser, Ticket,
    Write,
};
use waxwing_core::time::{Instant, UnixTime};

use super::*;
use crate::exit::{Exit, Failure};
use crate::store::{
    ApplyError, AsideLetter, Ban, FatePlace, FateSummary, Inspect, KeepBans, LetterPlace,
    LetterSummary, MailboxSummary, MemoryStorage, Ownership, Personal, Resolved, SentLetter,
    Stretch, UserName, UserSummary,
};

const WAIT: Duration = Duration::from_secs(10);

/// Storage that waits for permission before each commit, counts them, and fails when told to.
struct Gated {
    inner: MemoryStorage,
    under_way: Sender<()>,
    gate: Receiver<Result<(), ApplyError>>,
    /// What it says of what was unclear; that it cannot be said, where nothing is here.
    resolved: Receiver<Result<Option<Resolved>, ApplyError>>,
    beat_interval: Option<Duration>,
    commits: Arc<Mutex<Vec<usize>>>,
    tidied: Arc<AtomicUsize>,
    cannot_close: Arc<AtomicBool>,
}

impl Inspect for Gated {
    fn users(&mut self, after: Option<UserId>) -> Result<Vec<UserSummary>, StorageError> {
        self.inner.users(after)
    }

    fn find_user(&mut self, name: &UserName) -> Result<Option<UserSummary>, StorageError> {
        self.inner.find_user(name)
    }

    fn mailboxes(
        &mut self,
        only: Option<UserId>,
        after: Option<LetterPlace>,
    ) -> Result<Stretch<MailboxSummary, LetterPlace>, StorageError> {
        self.inner.mailboxes(only, after)
    }

    fn letters(
        &mut self,
        recipient: UserId,
        after: QueueId,
    ) -> Result<Vec<LetterSummary>, StorageError> {
        self.inner.letters(recipient, after)
    }
}

impl Personal for Gated {
    fn letters_from(
        &mut self,
        sender: UserId,
        after: Option<LetterPlace>,
    ) -> Result<Stretch<SentLetter, LetterPlace>, StorageError> {
        self.inner.letters_from(sender, after)
    }

    fn fates_about(
        &mut self,
        user: UserId,
        after: Option<FatePlace>,
    ) -> Result<Stretch<FateSummary, FatePlace>, StorageError> {
        self.inner.fates_about(user, after)
    }

    fn letters_aside(
        &mut self,
        user: UserId,
        after: QueueId,
    ) -> Result<Stretch<AsideLetter, QueueId>, StorageError> {
        self.inner.letters_aside(user, after)
    }

    fn packet(&mut self, letter: QueueId) -> Result<Option<Arc<[u8]>>, StorageError> {
        self.inner.packet(letter)
    }

    fn forget_fates_from(
        &mut self,
        sender: UserId,
        after: Option<FatePlace>,
    ) -> Result<Option<FatePlace>, ApplyError> {
        self.inner.forget_fates_from(sender, after)
    }

    fn erase_rest(&mut self, user: UserId) -> Result<(), ApplyError> {
        self.inner.erase_rest(user)
    }
}

impl KeepBans for Gated {
    fn bans(&mut self) -> Result<Vec<Ban>, StorageError> {
        self.inner.bans()
    }

    fn change_bans(&mut self, change: &BanChange) -> Result<(), ApplyError> {
        self.inner.change_bans(change)
    }
}

impl Ownership for Gated {
    fn server_key(&self) -> Result<Option<Digest>, StorageError> {
        self.inner.server_key()
    }

    fn set_server_key(&mut self, key: &Digest, now: UnixTime) -> Result<(), ApplyError> {
        self.inner.set_server_key(key, now)
    }

    fn is_unused(&self) -> Result<bool, StorageError> {
        self.inner.is_unused()
    }
}

impl Storage for Gated {
    fn load(&mut self, rested_before: UnixTime) -> Result<Snapshot, StorageError> {
        self.inner.load(rested_before)
    }

    fn apply(&mut self, batches: &[Arc<Batch>]) -> Result<(), ApplyError> {
        let _ = self.under_way.send(());
        self.gate.recv().unwrap_or(Ok(()))?;
        self.inner.apply(batches)?;
        self.commits.lock().unwrap().push(batches.len());
        Ok(())
    }

    fn answer(&mut self, question: &Question) -> Result<Answer, ApplyError> {
        self.inner.answer(question)
    }

    fn resolve(&mut self) -> Result<Option<Resolved>, ApplyError> {
        self.resolved.try_recv().unwrap_or_else(|_| Err(ApplyError::Unavailable("away".into())))
    }

    fn beat_interval(&self) -> Option<Duration> {
        self.beat_interval
    }

    fn check(&mut self) -> Result<(), StorageError> {
        Err(StorageError::Damaged("test.db is damaged: page 7".into()))
    }

    fn free_disk(&self) -> Option<u64> {
        self.inner.free_disk()
    }

    fn tidy(&mut self) -> Result<bool, ApplyError> {
        self.tidied.fetch_add(1, Ordering::SeqCst);
        Ok(true)
    }

    fn close(self: Box<Self>) -> Result<(), StorageError> {
        let is_fine = !self.cannot_close.load(Ordering::SeqCst);
        is_fine.then_some(()).ok_or_else(|| StorageError::Damaged("test.db stays open".into()))
    }
}

/// What a test has of a [`Gated`].
struct Ends {
    memory: MemoryStorage,
    under_way: Receiver<()>,
    gate: Sender<Result<(), ApplyError>>,
    resolved: Sender<Result<Option<Resolved>, ApplyError>>,
    commits: Arc<Mutex<Vec<usize>>>,
    tidied: Arc<AtomicUsize>,
    cannot_close: Arc<AtomicBool>,
}

impl Gated {
    fn new(beat_interval: Option<Duration>) -> (Self, Ends) {
        let ((gate, permissions), (resolve, resolved)) = (channel(), channel());
        let (entered, under_way) = channel();
        let ends = Ends {
            memory: MemoryStorage::new(),
            under_way,
            gate,
            resolved: resolve,
            commits: Arc::default(),
            tidied: Arc::default(),
            cannot_close: Arc::default(),
        };
        let storage = Self {
            inner: ends.memory.clone(),
            under_way: entered,
            gate: permissions,
            resolved,
            beat_interval,
            commits: ends.commits.clone(),
            tidied: ends.tidied.clone(),
            cannot_close: ends.cannot_close.clone(),
        };
        (storage, ends)
    }
}

struct Bench {
    thread: StorageThread,
    client: StorageClient,
    done: Receiver<Done>,
    under_way: Receiver<()>,
    gate: Sender<Result<(), ApplyError>>,
    resolved: Sender<Result<Option<Resolved>, ApplyError>>,
    memory: MemoryStorage,
    commits: Arc<Mutex<Vec<usize>>>,
    tidied: Arc<AtomicUsize>,
    cannot_close: Arc<AtomicBool>,
    wakes: Arc<AtomicUsize>,
}

impl Bench {
    fn new(options: ThreadOptions) -> Self {
        let (report, done) = channel();
        let wakes = Arc::new(AtomicUsize::new(0));
        let (storage, Ends { memory, under_way, gate, resolved, commits, tidied, cannot_close }) =
            Gated::new(None);
        let counter = wakes.clone();
        let wake = move || {
            counter.fetch_add(1, Ordering::SeqCst);
        };
        let outlets = vec![Outlet { done: report, waker: Box::new(wake) }];
        let (thread, mut clients) =
            StorageThread::spawn(Box::new(storage), options, outlets).unwrap();
        let client = clients.remove(0);
        Self {
            thread,
            client,
            done,
            under_way,
            gate,
            resolved,
            memory,
            commits,
            tidied,
            cannot_close,
            wakes,
        }
    }

    fn next(&self) -> Done {
        self.done.recv_timeout(WAIT).expect("nothing was done")
    }

    fn create(&self, ticket: u64, id: u16) {
        self.client.send(Job::Batch(create(ticket, id)));
    }
}

fn create(ticket: u64, id: u16) -> Arc<Batch> {
    create_with(ticket, id, &format!("+4915100{id:05}"))
}

fn create_with(ticket: u64, id: u16, phone: &str) -> Arc<Batch> {
    let mut modulus = [0xff; 256];
    modulus[2..4].copy_from_slice(&id.to_be_bytes());
    let write = Write::CreateUser {
        id: UserId::new(id).unwrap(),
        phone: Phone::parse(phone.as_bytes()).unwrap(),
        spki: Spki::from_modulus(&modulus).unwrap().into(),
    };
    Arc::new(Batch { ticket: Ticket(ticket), writes: vec![write] })
}

fn usage(ticket: u64) -> Job {
    let question = Question::Usage { recipient: UserId::new(1).unwrap() };
    Job::Ask(Ask { ticket: Ticket(ticket), question })
}

fn batch(ticket: u64, outcome: Outcome) -> Done {
    Done::Batch(Ticket(ticket), outcome)
}

#[test]
fn what_queues_up_behind_a_commit_goes_out_in_one() {
    let bench = Bench::new(ThreadOptions::default());
    bench.create(1, 1);
    bench.under_way.recv_timeout(WAIT).unwrap();
    for n in 2..=20 {
        bench.create(n, n as u16);
    }
    bench.gate.send(Ok(())).unwrap();
    drop(bench.gate);
    for n in 1..=20 {
        assert_eq!(bench.done.recv_timeout(WAIT), Ok(batch(n, Outcome::Done)));
    }
    drop(bench.client);
    bench.thread.shut_down().unwrap();
    let commits = bench.commits.lock().unwrap().clone();
    assert_eq!(commits, [1, 19]);
    assert_eq!(bench.wakes.load(Ordering::SeqCst), 2);
}

#[test]
fn batches_and_questions_keep_their_order() {
    let bench = Bench::new(ThreadOptions::default());
    bench.create(1, 1);
    bench.client.send(usage(2));
    bench.create(3, 3);
    bench.create(4, 4);
    bench.client.send(usage(5));
    drop(bench.gate);
    for expected in [
        batch(1, Outcome::Done),
        Done::Answer(Ticket(2), Answer::Usage(vec![])),
        batch(3, Outcome::Done),
        batch(4, Outcome::Done),
        Done::Answer(Ticket(5), Answer::Usage(vec![])),
    ] {
        assert_eq!(bench.done.recv_timeout(WAIT), Ok(expected));
    }
    drop(bench.client);
    bench.thread.shut_down().unwrap();
}

#[test]
fn one_bad_batch_does_not_take_down_the_others() {
    let bench = Bench::new(ThreadOptions::default());
    bench.create(1, 1);
    bench.under_way.recv_timeout(WAIT).unwrap();
    bench.create(2, 2);
    bench.create(3, 1);
    bench.create(4, 4);
    drop(bench.gate);
    for (ticket, outcome) in
        [(1, Outcome::Done), (2, Outcome::Done), (3, Outcome::Unavailable), (4, Outcome::Done)]
    {
        assert_eq!(bench.done.recv_timeout(WAIT), Ok(batch(ticket, outcome)));
    }
    drop(bench.client);
    bench.thread.shut_down().unwrap();
}

#[test]
fn a_batch_that_is_alone_and_bad_is_tried_once() {
    let bench = Bench::new(ThreadOptions::default());
    (0..3).for_each(|_| bench.gate.send(Ok(())).unwrap());
    bench.create(1, 1);
    assert_eq!(bench.next(), batch(1, Outcome::Done));
    bench.create(2, 1);
    assert_eq!(bench.next(), batch(2, Outcome::Unavailable));
    drop(bench.client);
    bench.thread.shut_down().unwrap();
    assert_eq!(bench.under_way.iter().count(), 2);
}

#[test]
fn a_locked_database_is_tried_once_for_the_whole_group_and_recovers() {
    let bench = Bench::new(ThreadOptions::default());
    bench.create(1, 1);
    bench.under_way.recv_timeout(WAIT).unwrap();
    for n in 2..=9 {
        bench.create(n, n as u16);
    }
    bench.gate.send(Ok(())).unwrap();
    bench.gate.send(Err(ApplyError::Unavailable("locked".into()))).unwrap();
    assert_eq!(bench.next(), batch(1, Outcome::Done));
    for n in 2..=9 {
        assert_eq!(bench.next(), batch(n, Outcome::Unavailable));
    }
    bench.create(10, 10);
    bench.gate.send(Ok(())).unwrap();
    assert_eq!(bench.next(), batch(10, Outcome::Done));
    bench.memory.set_out_of_order(true);
    bench.client.send(usage(11));
    assert_eq!(bench.next(), Done::Answer(Ticket(11), Answer::Unavailable));
}

#[test]
fn a_fatal_failure_is_told_once_and_ends_the_thread() {
    let bench = Bench::new(ThreadOptions::default());
    bench.gate.send(Err(ApplyError::Corrupt("page 3".into()))).unwrap();
    bench.create(1, 1);
    let damage = StorageError::Damaged("test.db is damaged: page 7".into()).explained();
    assert!(damage.contains("`waxwing-server run --recover`"), "{damage}");
    let reason = format!("storage is damaged: page 3; a full check says: {damage}");
    assert_eq!(bench.next(), Done::Fatal(Failure::new(Exit::Storage, reason)));
    assert!(bench.done.recv_timeout(WAIT).is_err(), "something came after it");
    bench.create(2, 2);
    drop(bench.client);
    bench.thread.shut_down().unwrap();
}

#[test]
fn shutting_down_finishes_what_is_queued() {
    let bench = Bench::new(ThreadOptions::default());
    for n in 1..=50 {
        bench.create(n, n as u16);
    }
    drop(bench.gate);
    drop(bench.client);
    bench.thread.shut_down().unwrap();
    let done: Vec<_> = bench.done.iter().collect();
    assert_eq!(done, (1..=50).map(|n| batch(n, Outcome::Done)).collect::<Vec<_>>());
}

#[test]
fn whoever_shuts_down_is_told_that_storage_could_not_be_closed() {
    let bench = Bench::new(ThreadOptions::default());
    bench.cannot_close.store(true, Ordering::SeqCst);
    drop(bench.client);
    assert_eq!(bench.thread.shut_down().unwrap_err().to_string(), "test.db stays open");
}

#[test]
fn a_quiet_thread_tidies_up_once_and_tells_how_free_space_changes() {
    let options = ThreadOptions {
        idle: Duration::from_millis(5),
        turns: TurnOptions { disk_interval: Duration::ZERO, ..TurnOptions::default() },
    };
    let bench = Bench::new(options);
    bench.memory.set_free_disk(Some(500));
    assert_eq!(bench.next(), Done::FreeDisk(500));
    bench.gate.send(Ok(())).unwrap();
    bench.create(1, 1);
    assert_eq!(bench.next(), batch(1, Outcome::Done));
    bench.memory.set_free_disk(Some(400));
    assert_eq!(bench.next(), Done::FreeDisk(400));
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(bench.tidied.load(Ordering::SeqCst), 1);
    assert!(bench.done.try_recv().is_err(), "nothing has changed");
}

#[test]
fn machines_share_a_thread_and_hear_of_their_own_jobs() {
    let (first, firsts) = channel();
    let (second, seconds) = channel();
    let outlet = |done| Outlet { done, waker: Box::new(|| ()) };
    let outlets = vec![outlet(first), outlet(second)];
    let storage = Box::new(MemoryStorage::new());
    let (thread, clients) =
        StorageThread::spawn(storage, ThreadOptions::default(), outlets).unwrap();
    clients[0].send(Job::Batch(create(7, 1)));
    clients[1].send(Job::Batch(create(7, 2)));
    clients[1].send(usage(8));
    drop(clients);
    thread.shut_down().unwrap();
    let own = |done: &Done| !matches!(done, Done::FreeDisk(_));
    assert_eq!(firsts.iter().filter(own).collect::<Vec<_>>(), [batch(7, Outcome::Done)]);
    let answer = Done::Answer(Ticket(8), Answer::Usage(vec![]));
    assert_eq!(seconds.iter().filter(own).collect::<Vec<_>>(), [batch(7, Outcome::Done), answer]);
}

/// What was told, in order; `None` = the machine was woken.
#[derive(Default)]
struct Told(Vec<(usize, Option<Done>)>);

impl Reports for Told {
    fn machines(&self) -> usize {
        2
    }

    fn tell(&mut self, machine: usize, done: Done) {
        self.0.push((machine, Some(done)));
    }

    fn wake(&mut self, machine: usize) {
        self.0.push((machine, None));
    }
}

#[test]
fn a_turn_without_a_thread_tells_each_machine_in_order_and_wakes_it_afterwards() {
    let mut turns = StorageTurns::new(Box::new(MemoryStorage::new()), TurnOptions::default());
    // The second makes a user who exists: it alone is refused, and those of its commit are not.
    let jobs = [
        (0, Job::Batch(create(1, 1))),
        (1, Job::Batch(create(2, 1))),
        (1, Job::Batch(create(3, 2))),
        (1, usage(4)),
        (0, Job::Batch(create(5, 3))),
    ];
    let mut told = Told::default();
    turns.serve(jobs.into_iter(), &Instant::default, &mut told).unwrap();
    let is_free_disk = |(_, done): &(usize, Option<Done>)| matches!(done, Some(Done::FreeDisk(_)));
    assert!(!told.0.iter().any(is_free_disk), "memory has no disk");
    let empty = Done::Answer(Ticket(4), Answer::Usage(Vec::new()));
    let expected = [
        (0, Some(batch(1, Outcome::Done))),
        (1, Some(batch(2, Outcome::Unavailable))),
        (1, Some(batch(3, Outcome::Done))),
        (0, None),
        (1, None),
        (1, Some(empty)),
        (1, None),
        (0, Some(batch(5, Outcome::Done))),
        (0, None),
    ];
    assert_eq!(told.0, expected);
    turns.close().unwrap();
}

#[test]
fn every_commit_is_counted_with_its_time_and_the_letters_of_people() {
    let id = |number| UserId::new(number).unwrap();
    // One account of the server itself was there before, and one comes.
    let user = |batch: &Batch| match &batch.writes[0] {
        Write::CreateUser { id, phone, spki } => {
            StoredUser { id: *id, phone: *phone, spki: (**spki).clone(), session_key: None }
        }
        _ => unreachable!(),
    };
    let own =
        Snapshot { users: vec![user(&create_with(0, 3, "+99900000001"))], ..Snapshot::default() };
    let options = TurnOptions { own_accounts: OwnAccounts::new(&own), ..TurnOptions::default() };
    let mut turns = StorageTurns::new(Box::new(MemoryStorage::new()), options);
    let letter = |queue_id: u8, recipient| {
        let sender = id(1);
        Write::InsertLetter(Arc::new(PendingLetter {
            queue_id: QueueId(queue_id.into()),
            id: PacketId([queue_id; 16]),
            sender,
            recipient,
            accepted_at: UnixTime::from_seconds(0),
            packet: vec![0; 300].into(),
        }))
    };
    let recipients = [(1, id(2)), (2, id(2)), (3, id(3)), (4, id(4))];
    let writes = recipients.map(|(queue_id, recipient)| letter(queue_id, recipient)).into();
    let letters = Arc::new(Batch { ticket: Ticket(4), writes });
    // The question stands between two commits.
    let jobs = [
        (0, Job::Batch(create(1, 1))),
        (0, Job::Batch(create(2, 2))),
        (1, usage(3)),
        (0, Job::Batch(create_with(3, 4, "+99900000002"))),
        (0, Job::Batch(letters)),
    ];
    // A millisecond passes between two looks at the clock.
    let looks = Cell::new(0);
    let now = || Instant::from_millis(looks.replace(looks.get() + 1));
    turns.serve(jobs.into_iter(), &now, &mut Told::default()).unwrap();
    let Commits { times, letters, .. } = turns.commits().get();
    assert_eq!((times.counts().iter().sum::<u64>(), times.sum()), (2, 2_000));
    assert_eq!((letters.counts()[..3].to_vec(), letters.sum()), (vec![1, 1, 0], 2));
}

#[test]
fn a_commit_has_as_many_batches_as_it_may_and_no_more() {
    let options = TurnOptions { max_group: 2, ..TurnOptions::default() };
    let mut turns = StorageTurns::new(Box::new(MemoryStorage::new()), options);
    let jobs = (1..=5).map(|n| (0, Job::Batch(create(n, n as u16))));
    turns.serve(jobs, &Instant::default, &mut Told::default()).unwrap();
    assert_eq!(turns.commits().get().times.counts().iter().sum::<u64>(), 3);
}

#[test]
fn an_operator_looks_things_up_between_two_commits_and_stops_nobody() {
    let bench = Bench::new(ThreadOptions::default());
    let inspector = bench.thread.inspector();
    bench.client.send(Job::Batch(create(1, 1)));
    bench.under_way.recv_timeout(WAIT).unwrap();
    let found = inspector.inspect(Inspection::Users(None));
    assert!(found.try_recv().is_err());
    bench.gate.send(Ok(())).unwrap();
    let Finding::Users(users) = found.recv_timeout(WAIT).unwrap().unwrap() else { panic!() };
    assert_eq!(users.len(), 1);
    assert_eq!(inspector.commits().times.counts().iter().sum::<u64>(), 1);
    // It does not keep the thread alive, and whoever asks later hears nothing.
    let Bench { thread, client, .. } = bench;
    drop(client);
    thread.shut_down().unwrap();
    assert!(inspector.inspect(Inspection::Users(None)).recv_timeout(WAIT).is_err());
}

#[test]
fn what_was_taken_back_is_not_done() {
    let mut turns = StorageTurns::new(Box::new(MemoryStorage::new()), TurnOptions::default());
    let add = |range: &str| {
        let (range, since) = (range.parse().unwrap(), UnixTime::from_seconds(0));
        let ban = Ban { range, since, until: None, is_automatic: false, reason: String::new() };
        let ((answer, ended), offer) = (channel(), Offer::default());
        let job = Job::ChangeBans(BanChange::Add(ban), answer);
        ((0, Job::Offered(offer.clone(), Box::new(job))), offer, ended)
    };
    let (kept, kept_offer, kept_ended) = add("192.0.2.1");
    let (taken_back, offer, ended) = add("192.0.2.2");
    assert!(offer.claim());
    let jobs = [kept, taken_back];
    turns.serve(jobs.into_iter(), &Instant::default, &mut Told::default()).unwrap();
    assert_eq!(kept_ended.recv(), Ok(Ok(())));
    assert!(!kept_offer.claim() && ended.recv().is_err());
}

fn unclear() -> Result<(), ApplyError> {
    Err(ApplyError::Unclear("the connection is gone".into()))
}

/// Turns of a storage that says all this one after the other.
fn turns(
    applied: impl IntoIterator<Item = Result<(), ApplyError>>,
    beat_interval: Option<Duration>,
) -> (StorageTurns, Ends) {
    let (storage, ends) = Gated::new(beat_interval);
    applied.into_iter().for_each(|one| ends.gate.send(one).unwrap());
    (StorageTurns::new(Box::new(storage), TurnOptions::default()), ends)
}

#[test]
fn while_a_commit_is_unclear_everything_else_is_refused_at_once() {
    for (resolved, outcome) in
        [(Resolved::Done(None), Outcome::Done), (Resolved::NotDone, Outcome::Unavailable)]
    {
        let (mut turns, ends) = turns([unclear()], None);
        let mut told = Told::default();
        let now = Instant::from_millis(7_000);
        turns.serve([(0, Job::Batch(create(1, 1)))].into_iter(), &|| now, &mut told).unwrap();
        let (heard, answer) = channel();
        let jobs = [
            (1, Job::Batch(create(2, 2))),
            (1, usage(3)),
            (usize::MAX, Job::Inspect(Inspection::Users(None), heard)),
        ];
        turns.serve(jobs.into_iter(), &|| now, &mut told).unwrap();
        let expected = [
            (0, None),
            (1, Some(batch(2, Outcome::Unavailable))),
            (1, None),
            (1, Some(Done::Answer(Ticket(3), Answer::Unavailable))),
            (1, None),
        ];
        assert_eq!(told.0, expected);
        assert!(answer.recv().unwrap().is_err());
        // It is not asked again before a while has passed.
        let later = now.after(Duration::from_millis(500));
        assert_eq!(turns.poll_timeout(), Some(later));
        ends.resolved.send(Ok(Some(resolved))).unwrap();
        told.0.clear();
        turns.timeout(now, &mut told).unwrap();
        assert_eq!(told.0, []);
        turns.timeout(later, &mut told).unwrap();
        assert_eq!(told.0, [(0, Some(batch(1, outcome))), (0, None)]);
        assert_eq!(turns.poll_timeout(), None);
        // And then storage goes on.
        ends.gate.send(Ok(())).unwrap();
        told.0.clear();
        turns.serve([(1, Job::Batch(create(4, 4)))].into_iter(), &|| later, &mut told).unwrap();
        assert_eq!(told.0, [(1, Some(batch(4, Outcome::Done))), (1, None)]);
    }
}

#[test]
fn while_an_answer_is_under_way_jobs_are_refused_and_the_attempt_goes_on_at_once() {
    let (mut turns, ends) = turns([unclear()], None);
    let mut told = Told::default();
    let now = Instant::from_millis(7_000);
    turns.serve([(0, Job::Batch(create(1, 1)))].into_iter(), &|| now, &mut told).unwrap();
    ends.resolved.send(Ok(None)).unwrap();
    told.0.clear();
    turns.serve([(1, Job::Batch(create(2, 2)))].into_iter(), &|| now, &mut told).unwrap();
    assert_eq!(told.0, [(1, Some(batch(2, Outcome::Unavailable))), (1, None)]);
    let soon = now.after(Duration::from_millis(1));
    assert_eq!(turns.poll_timeout(), Some(soon));
    ends.resolved.send(Ok(Some(Resolved::Done(None)))).unwrap();
    told.0.clear();
    turns.timeout(soon, &mut told).unwrap();
    assert_eq!(told.0, [(0, Some(batch(1, Outcome::Done))), (0, None)]);
}

#[test]
fn of_batches_that_are_tried_alone_an_unclear_one_is_kept_and_later_ones_are_refused() {
    let refused = Err(ApplyError::Refused("the second of them".into()));
    let (mut turns, ends) = turns([refused, Ok(()), unclear()], None);
    let jobs = (1..=3).map(|n| (0, Job::Batch(create(n, n as u16))));
    let mut told = Told::default();
    turns.serve(jobs, &Instant::default, &mut told).unwrap();
    let expected =
        [(0, Some(batch(1, Outcome::Done))), (0, Some(batch(3, Outcome::Unavailable))), (0, None)];
    assert_eq!(told.0, expected);
    ends.resolved.send(Ok(Some(Resolved::Done(None)))).unwrap();
    told.0.clear();
    turns.timeout(Instant::default(), &mut told).unwrap();
    assert_eq!(told.0, [(0, Some(batch(2, Outcome::Done))), (0, None)]);
}

#[test]
fn a_storage_that_another_server_has_taken_over_ends_the_server_with_a_code_of_its_own() {
    let fenced = ApplyError::Fenced("epoch 8".into());
    for is_found_out_later in [false, true] {
        let first = if is_found_out_later { unclear() } else { Err(fenced.clone()) };
        let (mut turns, ends) = turns([first], None);
        ends.resolved.send(Err(fenced.clone())).unwrap();
        let mut told = Told::default();
        let jobs = [(0, Job::Batch(create(1, 1)))];
        let served = turns.serve(jobs.into_iter(), &Instant::default, &mut told);
        let ended = served.and_then(|()| turns.timeout(Instant::default(), &mut told));
        assert!(ended.is_err());
        let message = "another server has taken the storage over: epoch 8";
        let fatal = Done::Fatal(Failure::new(Exit::Fenced, message));
        for machine in 0..2 {
            assert!(told.0.contains(&(machine, Some(fatal.clone()))));
        }
        let outcome = |(_, done): &(usize, Option<Done>)| matches!(done, Some(Done::Batch(..)));
        assert!(!told.0.iter().any(outcome), "nobody is told what has become of the batch");
    }
}

#[test]
fn a_storage_that_others_can_reach_is_shown_that_the_server_lives() {
    let second = Duration::from_secs(1);
    let (mut turns, ends) = turns(std::iter::repeat_n(Ok(()), 9), Some(second));
    let mut told = Told::default();
    let begin = Instant::from_millis(9_000);
    turns.serve([(0, Job::Batch(create(1, 1)))].into_iter(), &|| begin, &mut told).unwrap();
    assert_eq!(turns.poll_timeout(), Some(begin.after(second)));
    turns.timeout(begin, &mut told).unwrap();
    assert_eq!(*ends.commits.lock().unwrap(), [0, 1]);
    turns.timeout(begin.after(second), &mut told).unwrap();
    assert_eq!(*ends.commits.lock().unwrap(), [0, 1, 0]);
    assert_eq!(turns.poll_timeout(), Some(begin.after(2 * second)));
}

#[test]
fn the_thread_finds_out_by_itself_what_has_become_of_an_unclear_commit() {
    let bench = Bench::new(ThreadOptions::default());
    let cannot_say = Err(ApplyError::Unclear("it is not back".into()));
    bench.resolved.send(cannot_say).unwrap();
    bench.resolved.send(Ok(None)).unwrap();
    bench.resolved.send(Ok(Some(Resolved::Done(None)))).unwrap();
    bench.gate.send(unclear()).unwrap();
    bench.create(1, 1);
    assert_eq!(bench.next(), batch(1, Outcome::Done));
}

#[test]
fn a_storage_that_takes_no_letters_is_shown_all_the_same_that_the_server_lives() {
    let second = Duration::from_secs(1);
    let refused = || Err(ApplyError::Unavailable("no second machine".into()));
    let (mut turns, ends) = turns([Ok(()), refused(), Ok(()), refused(), Ok(())], Some(second));
    let mut told = Told::default();
    let begin = Instant::from_millis(9_000);
    let trouble = |turns: &StorageTurns| turns.commits().get().trouble;
    turns.timeout(begin, &mut told).unwrap();
    for after in [1, 2] {
        // The next sign of life is due, although the letters were refused just before.
        let now = begin.after(second * after);
        let letter = [(0, Job::Batch(create(after.into(), 1)))];
        let early = begin.after(second * after - Duration::from_millis(1));
        turns.serve(letter.into_iter(), &|| early, &mut told).unwrap();
        assert!(trouble(&turns).is_some_and(|why| why.contains("no second machine")));
        turns.timeout(now, &mut told).unwrap();
        assert!(trouble(&turns).is_some(), "it takes no letters yet");
    }
    ends.gate.send(Ok(())).unwrap();
    turns
        .serve([(0, Job::Batch(create(9, 9)))].into_iter(), &|| begin.after(second * 2), &mut told)
        .unwrap();
    assert_eq!(trouble(&turns), None);
}
