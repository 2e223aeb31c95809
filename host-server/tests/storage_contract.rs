//! What every storage has to do, run against each of them.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use support::*;
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::limits::OVERHEAD;
use waxwing_core::server::Shard;
use waxwing_core::server::storage::{
    AllowanceKey, Answer, ExpiredLetter, OwnLimits, PendingLetter, Question, QueueId, SenderUsage,
    Snapshot, StoredAllowance, StoredUser, Suspension, Write, may_be_more,
};
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{Status, StatusQuery};
use waxwing_server::store::{
    ApplyError, Ban, BanChange, FateSummary, LetterSummary, MailboxSummary, MemoryStorage,
    SqliteOptions, SqliteStorage, Storage, Stretch, SuspensionSummary, UserName, remove_user,
};

const DAY: i64 = 86_400;

/// Somewhere to keep storage, so that it can be opened again.
trait Place {
    fn new() -> Self;
    fn open(&self) -> Box<dyn Storage>;
}

impl Place for MemoryStorage {
    fn new() -> Self {
        Self::new()
    }

    fn open(&self) -> Box<dyn Storage> {
        Box::new(self.clone())
    }
}

impl Place for tempfile::TempDir {
    fn new() -> Self {
        tempfile::tempdir().unwrap()
    }

    fn open(&self) -> Box<dyn Storage> {
        let path = self.path().join("test.db");
        Box::new(SqliteStorage::open(&path, &SqliteOptions::default()).unwrap())
    }
}

#[cfg(feature = "postgres")]
mod shared {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex, OnceLock};
    use std::time::Duration;

    use waxwing_core::time::Instant;
    use waxwing_server::store::postgres::{self, PostgresOptions, PostgresStorage, Reached};
    use waxwing_server::store::shared::{Instance, Mark, Node, Witness};

    use super::Place;
    use super::Storage;
    use super::support::postgres::Postgres;

    /// A database of PostgreSQL, and what a server keeps beside it.
    pub(super) struct Shared {
        url: String,
        witness: Kept,
    }

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Option<Mark>>>);

    impl Witness for Kept {
        fn mark(&self) -> Option<Mark> {
            *self.0.lock().unwrap()
        }

        fn write(&mut self, mark: Mark) {
            *self.0.lock().unwrap() = Some(mark);
        }
    }

    pub(super) fn postgres() -> Option<&'static Postgres> {
        static STARTED: OnceLock<Option<Postgres>> = OnceLock::new();
        STARTED.get_or_init(Postgres::start).as_ref()
    }

    impl Place for Shared {
        fn new() -> Self {
            let url = postgres().expect("it was looked for before").database();
            Self { url, witness: Kept::default() }
        }

        fn open(&self) -> Box<dyn Storage> {
            static INSTANCES: AtomicU32 = AtomicU32::new(1);
            let instance = INSTANCES.fetch_add(1, Ordering::Relaxed);
            let options = PostgresOptions {
                place: postgres::parse(&self.url).unwrap(),
                password: None,
                timeout: Duration::from_secs(10),
                lease: Duration::from_secs(5),
                isolated: Duration::from_mins(1),
                copies: 1,
                node: Node(7),
                instance: Instance(u128::from(instance)),
            };
            let terms = options.terms();
            let (now, witness) = (Instant::default(), Box::new(self.witness.clone()));
            let mut candidate = Reached::reach(options).unwrap().candidate(witness, now).unwrap();
            let holder =
                candidate.look(now).unwrap().expect("the lease is free, or of the same node");
            Box::new(PostgresStorage::serve(candidate, holder, terms))
        }
    }
}

/// With users 1 to 4.
fn populated(place: &impl Place) -> Box<dyn Storage> {
    let mut storage = place.open();
    apply(&mut *storage, (1..=4).map(create)).unwrap();
    storage
}

fn refused(result: Result<(), ApplyError>) {
    assert!(matches!(result, Err(ApplyError::Refused(_))), "{result:?}");
}

fn users_survive_reopening<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    let last_seen = Timestamp::from_unix(START);
    let session_key = [0xee; 64];
    apply(&mut *storage, [Write::ConfirmSession { user: user(2), session_key, last_seen }])
        .unwrap();
    drop(storage);

    let mut storage = place.open();
    let mut snapshot = storage.load(START).unwrap();
    snapshot.users.sort_by_key(|user| user.id);
    let expected = |id| StoredUser {
        id: user(id),
        phone: phone(id),
        spki: spki(id),
        session_key: (id == 2).then_some(session_key),
    };
    assert_eq!(snapshot.users, (1..=4).map(expected).collect::<Vec<_>>());
    assert_eq!(snapshot.resting_ids, []);
    let summary = storage.find_user(&UserName::Id(user(2))).unwrap().unwrap();
    assert_eq!(summary.last_seen, Some(last_seen));
    assert_eq!(storage.find_user(&UserName::Id(user(1))).unwrap().unwrap().last_seen, None);
}

fn allowances_are_kept_replaced_and_forgotten<P: Place>() {
    let place = P::new();
    let mut storage = place.open();
    let left = |key: u8, seconds: i64| StoredAllowance {
        key: AllowanceKey([key; 16]),
        full_at: START.shifted(seconds),
    };
    let keep = |of: &[(u8, i64)]| {
        Write::KeepAllowances(of.iter().map(|(key, seconds)| left(*key, *seconds)).collect())
    };
    apply(&mut *storage, [keep(&[(1, 10), (2, 20), (3, -30)])]).unwrap();
    // Back or forth: the machine knows.
    apply(&mut *storage, [keep(&[(2, 15), (4, 40)]), keep(&[(4, 41), (1, 11)])]).unwrap();
    let forgotten = [3, 4, 5].map(|key| AllowanceKey([key; 16]));
    apply(&mut *storage, [Write::ForgetAllowances(forgotten.into()), keep(&[(4, 44)])]).unwrap();
    drop(storage);
    let mut allowances = place.open().load(START).unwrap().allowances;
    allowances.sort_by_key(|allowance| allowance.key);
    assert_eq!(allowances, [left(1, 11), left(2, 15), left(4, 44)]);
}

fn bans_are_kept_replaced_and_forgotten<P: Place>() {
    let place = P::new();
    let mut storage = place.open();
    let ban = |range: &str, since: i64, until: Option<i64>| Ban {
        range: range.parse().unwrap(),
        since: START.shifted(since),
        until: until.map(|until| START.shifted(until)),
        is_automatic: until.is_some(),
        reason: format!("it's \"{since}\""),
    };
    let kept = |storage: &mut dyn Storage| {
        let mut bans = storage.bans().unwrap();
        bans.sort_by_key(|ban| ban.range);
        bans
    };
    assert_eq!(kept(&mut *storage), []);
    for new in [
        ban("192.0.2.0/24", 0, Some(10)),
        ban("10.0.0.0/8", 1, None),
        ban("2001:db8::/32", 2, Some(11)),
        // One of the same range takes the place of the other.
        ban("10.0.0.0/8", 3, Some(20)),
    ] {
        storage.change_bans(&BanChange::Add(new)).unwrap();
    }
    drop(storage);
    let mut storage = place.open();
    let all = [
        ban("10.0.0.0/8", 3, Some(20)),
        ban("192.0.2.0/24", 0, Some(10)),
        ban("2001:db8::/32", 2, Some(11)),
    ];
    assert_eq!(kept(&mut *storage), all);
    // Those that are over by then are forgotten.
    storage.change_bans(&BanChange::Add(ban("::1", 10, None))).unwrap();
    let range = "2001:db8::/32".parse().unwrap();
    storage.change_bans(&BanChange::Remove(range)).unwrap();
    storage.change_bans(&BanChange::Remove(range)).unwrap();
    assert_eq!(kept(&mut *storage), [ban("10.0.0.0/8", 3, Some(20)), ban("::1", 10, None)]);
}

fn letters_come_back_byte_for_byte_and_in_order<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    let sizes = [0, 1, 305, 4_096, 60 * 1_024, 65_535];
    let letters: Vec<PendingLetter> =
        (1..).zip(sizes).map(|(n, size)| letter(n * 10, 1, 2, size)).collect();
    // Given out of order, and next to somebody else's.
    for letter in letters.iter().rev() {
        apply(&mut *storage, [Write::InsertLetter(Arc::new(letter.clone()))]).unwrap();
    }
    apply(&mut *storage, [insert(25, 1, 3, 9)]).unwrap();
    drop(storage);
    let Snapshot { mut with_letters, pending, .. } = place.open().load(START).unwrap();
    with_letters.sort();
    assert_eq!(with_letters, [user(2), user(3)]);
    let bytes = (sizes.iter().sum::<usize>() + 9 + 7 * OVERHEAD) as u64;
    assert_eq!(pending, [SenderUsage { sender: user(1), letters: 7, bytes }]);
    assert_eq!(page(&mut *place.open(), 2, 0, 100, usize::MAX), (letters, true));
}

fn pages_end_at_letters_bytes_and_the_end<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    apply(&mut *storage, (1..=10).map(|n| insert(n, 1, 2, 718))).unwrap();
    let mut page = |after, max_letters, max_bytes| {
        let (letters, exhausted) = page(&mut *storage, 2, after, max_letters, max_bytes);
        (letters.iter().map(|letter| letter.queue_id.0).collect::<Vec<_>>(), exhausted)
    };
    assert_eq!(page(0, 3, usize::MAX), (vec![1, 2, 3], false));
    assert_eq!(page(3, 6, usize::MAX), (vec![4, 5, 6, 7, 8, 9], false));
    assert_eq!(page(3, 7, usize::MAX), (vec![4, 5, 6, 7, 8, 9, 10], true));
    assert_eq!(page(8, 100, usize::MAX), (vec![9, 10], true));
    assert_eq!(page(10, 100, usize::MAX), (vec![], true));
    assert_eq!(page(u64::MAX, 100, usize::MAX), (vec![], true));
    // Each packet is 1000 bytes.
    assert_eq!(page(0, 100, 3_000), (vec![1, 2, 3], false));
    assert_eq!(page(0, 100, 2_999), (vec![1, 2], false));
    assert_eq!(page(8, 100, 2_000), (vec![9, 10], true));
    // Never nothing while there is something.
    assert_eq!(page(0, 100, 0), (vec![1], false));
    assert_eq!(page(9, 100, 0), (vec![10], true));
    assert_eq!(page(0, 0, usize::MAX), (vec![1], false));
}

fn a_batch_that_cannot_be_done_leaves_nothing<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    apply(&mut *storage, [insert(1, 1, 2, 10), insert(2, 1, 2, 10)]).unwrap();
    let taken_id = Write::CreateUser { id: user(3), phone: phone(9), spki: spki(9).into() };
    let taken_phone = Write::CreateUser { id: user(9), phone: phone(3), spki: spki(9).into() };
    let no_user = Write::ConfirmSession {
        user: user(9),
        session_key: [0; 64],
        last_seen: Timestamp::from_unix(START),
    };
    let lying =
        Write::InsertLetter(Arc::new(PendingLetter { sender: user(4), ..letter(6, 1, 2, 10) }));
    for bad in [taken_id, taken_phone, no_user, lying, insert(1, 1, 2, 10), insert(7, 1, 9, 10)] {
        let good = || [create(8), insert(5, 1, 2, 10), delete(2, [2])];
        refused(apply(&mut *storage, good().into_iter().chain([bad.clone()])));
        // Nor does it matter whether they come in one batch or in one group.
        refused(storage.apply(&[batch(good()), batch([bad])]));
    }
    assert_eq!(mailbox(&mut *storage, 2), [1, 2]);
    let snapshot = storage.load(START).unwrap();
    assert_eq!(snapshot.users.len(), 4);
    assert_eq!(snapshot.last_queue_id, QueueId(2));
    apply(&mut *storage, [create(8), insert(5, 1, 8, 10)]).unwrap();
    assert_eq!(mailbox(&mut *storage, 8), [5]);
}

fn batches_of_a_group_see_each_other<P: Place>() {
    let place = P::new();
    let mut storage = place.open();
    let group = [
        batch([create(1)]),
        batch([create(2), insert(1, 1, 2, 10)]),
        batch([]),
        batch([insert(2, 1, 2, 10), delete(2, [1])]),
    ];
    storage.apply(&group).unwrap();
    assert_eq!(mailbox(&mut *storage, 2), [2]);
}

fn only_the_recipients_own_letters_are_deleted<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    apply(&mut *storage, [insert(1, 1, 2, 10), insert(2, 1, 3, 10), insert(3, 1, 2, 10)]).unwrap();
    apply(&mut *storage, [delete(2, [2, 3, 3, 77, u64::MAX >> 1])]).unwrap();
    apply(&mut *storage, [delete(2, [3])]).unwrap();
    // So the place of somebody else's stays taken, and that of one's own is free at once.
    apply(&mut *storage, [delete(3, [1]), insert(1, 1, 2, 10)]).unwrap_err();
    apply(&mut *storage, [delete(2, [1]), insert(1, 1, 2, 10)]).unwrap();
    assert_eq!(mailbox(&mut *storage, 2), [1]);
    assert_eq!(mailbox(&mut *storage, 3), [2]);
}

fn one_packet_may_wait_twice<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    let twice = PendingLetter { queue_id: QueueId(2), ..letter(1, 1, 2, 10) };
    apply(&mut *storage, [insert(1, 1, 2, 10), Write::InsertLetter(Arc::new(twice))]).unwrap();
    assert_eq!(mailbox(&mut *storage, 2), [1, 2]);
    expire(&mut *storage, START.shifted(9), START, 10);
    let id = letter(1, 1, 2, 10).id;
    assert_eq!(fates(&mut *storage, 1, &[(2, id)]), [Status::Expired]);
}

fn usage_counts_letters_and_bytes_by_sender<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    apply(
        &mut *storage,
        [insert(1, 1, 2, 0), insert(2, 3, 2, 18), insert(3, 1, 2, 100), insert(4, 1, 3, 5)],
    )
    .unwrap();
    let mut usage = |recipient| match storage
        .answer(&Question::Usage { recipient: user(recipient) })
        .unwrap()
    {
        Answer::Usage(mut usage) => {
            usage.sort_by_key(|of| of.sender);
            usage
        }
        other => panic!("{other:?}"),
    };
    let of = |sender, letters, bytes| SenderUsage { sender: user(sender), letters, bytes };
    assert_eq!(usage(2), [of(1, 2, 664), of(3, 1, 300)]);
    assert_eq!(usage(3), [of(1, 1, 287)]);
    assert_eq!(usage(4), []);
}

fn fates(storage: &mut dyn Storage, asker: u16, letters: &[(u16, PacketId)]) -> Vec<Status> {
    let query = |(to, id): &(u16, PacketId)| StatusQuery { recipient: user(*to), letter: *id };
    let letters: Vec<_> = letters.iter().map(query).collect();
    let question = Question::Fates { asker: user(asker), letters: letters.clone() };
    let Answer::Fates(fates) = storage.answer(&question).unwrap() else { panic!("no fates") };
    assert!(fates.iter().map(|(id, _)| *id).eq(letters.iter().map(|query| query.letter)));
    fates.into_iter().map(|(_, status)| status).collect()
}

fn expire(
    storage: &mut dyn Storage,
    accepted_before: UnixTime,
    now: UnixTime,
    limit: usize,
) -> Vec<ExpiredLetter> {
    expire_in(storage, Shard::ONLY, accepted_before, now, limit)
}

fn expire_in(
    storage: &mut dyn Storage,
    shard: Shard,
    accepted_before: UnixTime,
    now: UnixTime,
    limit: usize,
) -> Vec<ExpiredLetter> {
    let forget_before = now.shifted(-30 * DAY);
    let question = Question::Expire { shard, accepted_before, forget_before, now, limit };
    let Answer::Expired(letters) = storage.answer(&question).unwrap() else { panic!("no expiry") };
    letters
}

fn senders_learn_what_became_of_their_letters<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    apply(&mut *storage, [insert(1, 1, 2, 10), insert(2, 1, 2, 10), insert(3, 1, 2, 10)]).unwrap();
    expire(&mut *storage, START.shifted(2), START.shifted(50), 10);
    apply(&mut *storage, [delete(2, [2])]).unwrap();
    let id = |n| letter(n, 1, 2, 10).id;
    let asked = [(2, id(1)), (2, id(2)), (2, id(3)), (3, id(3)), (2, id(99))];
    assert_eq!(
        fates(&mut *storage, 1, &asked),
        [Status::Expired, Status::Delivered, Status::Stored, Status::Delivered, Status::Delivered]
    );
    // Somebody else's pending or expired letters are none of the asker's business.
    assert_eq!(
        fates(&mut *storage, 3, &asked),
        [Status::Unknown, Status::Delivered, Status::Unknown, Status::Delivered, Status::Delivered]
    );
    assert_eq!(fates(&mut *storage, 1, &[]), []);
}

fn the_oldest_expire_first_and_fates_are_forgotten<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    let to = |n| if n == 3 { 4 } else { 2 };
    let id = |n| letter(n, 1, to(n), 18).id;
    apply(&mut *storage, (1..=6).map(|n| insert(n, 1, to(n), 18))).unwrap();
    let ids = |letters: Vec<ExpiredLetter>| {
        letters.into_iter().map(|letter| letter.queue_id.0).collect::<Vec<_>>()
    };
    // Letter n was accepted n seconds after START.
    let now = START.shifted(100);
    let gone = expire(&mut *storage, START.shifted(5), now, 3);
    assert_eq!(
        gone[2],
        ExpiredLetter {
            queue_id: QueueId(3),
            id: id(3),
            sender: user(1),
            recipient: user(4),
            bytes: 300
        }
    );
    assert_eq!(ids(gone), [1, 2, 3]);
    assert_eq!(ids(expire(&mut *storage, START.shifted(5), now, 3)), [4]);
    assert_eq!(ids(expire(&mut *storage, START.shifted(5), now, 3)), [] as [u64; 0]);
    assert_eq!(mailbox(&mut *storage, 2), [5, 6]);

    drop(storage);
    let mut storage = place.open();
    assert_eq!(fates(&mut *storage, 1, &[(2, id(1)), (4, id(3))]), [Status::Expired; 2]);
    expire(&mut *storage, START, now.shifted(30 * DAY), 3);
    assert_eq!(fates(&mut *storage, 1, &[(2, id(1))]), [Status::Expired]);
    expire(&mut *storage, START, now.shifted(30 * DAY + 1), 3);
    assert_eq!(fates(&mut *storage, 1, &[(2, id(1))]), [Status::Delivered]);
}

fn a_shard_expires_the_letters_of_its_own_users<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    apply(&mut *storage, (1..=8).map(|n| insert(n, 1, 1 + (n % 4) as u16, 18))).unwrap();
    let mut gone = Vec::new();
    for shard in Shard::all(3) {
        let letters = expire_in(&mut *storage, shard, START.shifted(DAY), START, 10);
        assert!(letters.iter().all(|letter| shard.owns(letter.recipient)));
        gone.extend(letters.into_iter().map(|letter| letter.queue_id.0));
    }
    gone.sort_unstable();
    assert_eq!(gone, [1, 2, 3, 4, 5, 6, 7, 8]);
}

fn a_letter_accepted_while_the_clock_was_wrong_keeps_no_other_from_expiring<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    let ahead = PendingLetter { accepted_at: START.shifted(900 * DAY), ..letter(1, 1, 2, 10) };
    let ahead = Write::InsertLetter(Arc::new(ahead));
    apply(&mut *storage, [ahead, insert(2, 1, 2, 10)]).unwrap();
    expire(&mut *storage, START.shifted(DAY), START.shifted(DAY), 10);
    assert_eq!(mailbox(&mut *storage, 2), [1]);
}

fn queue_ids_never_go_back<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    assert_eq!(storage.load(START).unwrap().last_queue_id, QueueId(0));
    apply(&mut *storage, [insert(7, 1, 2, 10), insert(5, 1, 2, 10)]).unwrap();
    apply(&mut *storage, [insert(6, 1, 2, 10)]).unwrap();
    assert_eq!(storage.load(START).unwrap().last_queue_id, QueueId(7));
    apply(&mut *storage, [delete(2, 5..=7)]).unwrap();
    drop(storage);
    let mut storage = place.open();
    assert_eq!(storage.load(START).unwrap().last_queue_id, QueueId(7));
    apply(&mut *storage, [insert(8, 1, 2, 10)]).unwrap();
    expire(&mut *storage, START.shifted(DAY), START, 10);
    drop(storage);
    assert_eq!(place.open().load(START).unwrap().last_queue_id, QueueId(8));
}

fn removing_a_user_tells_senders_and_keeps_their_own_letters<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    apply(&mut *storage, [insert(1, 1, 2, 10), insert(2, 2, 3, 10), insert(3, 3, 2, 18)]).unwrap();
    let summary = storage.find_user(&UserName::Phone(phone(2))).unwrap().unwrap();
    assert_eq!(summary.id, user(2));

    assert_eq!(remove(&mut *storage, 2, START), 2);
    let (undelivered, ended) = remove_user(&mut *storage, user(2), START);
    assert!(undelivered == 0 && matches!(ended, Err(ApplyError::Refused(_))), "{ended:?}");
    assert!(storage.find_user(&UserName::Id(user(2))).unwrap().is_none());
    let left: Vec<_> = storage.users(None).unwrap().iter().map(|user| user.id.get()).collect();
    assert_eq!(left, [1, 3, 4]);
    assert_eq!(mailbox(&mut *storage, 3), [2]);
    let [theirs, own] = [letter(1, 1, 2, 10).id, letter(2, 2, 3, 10).id];
    assert_eq!(fates(&mut *storage, 1, &[(2, theirs)]), [Status::Expired]);
    assert_eq!(fates(&mut *storage, 2, &[(3, own)]), [Status::Stored]);
    // The phone is free at once, under a new id.
    let again = Write::CreateUser { id: user(5), phone: phone(2), spki: spki(2).into() };
    apply(&mut *storage, [again]).unwrap();
}

fn letters_are_taken_out_of_one_mailbox_in_the_order_of_their_places<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    let written: Vec<_> = (1..=5).map(|n| insert(n, 1, 2, 10)).collect();
    apply(&mut *storage, written).unwrap();
    apply(&mut *storage, [insert(6, 1, 3, 10)]).unwrap();
    let take_out = |storage: &mut dyn Storage, before: UnixTime, limit: usize| -> Vec<u64> {
        let (recipient, accepted_before, now) = (user(2), before, START);
        let question = Question::TakeOut { recipient, accepted_before, now, limit };
        let Answer::Expired(letters) = storage.answer(&question).unwrap() else { panic!() };
        assert!(letters.iter().all(|letter| letter.recipient == user(2) && letter.bytes == 292));
        letters.iter().map(|letter| letter.queue_id.0).collect()
    };
    assert_eq!(take_out(&mut *storage, letter(1, 1, 2, 10).accepted_at, 9), [] as [u64; 0]);
    let all = UnixTime::from_seconds(i64::MAX);
    assert_eq!(take_out(&mut *storage, all, 2), [1, 2]);
    assert_eq!(take_out(&mut *storage, all, 9), [3, 4, 5]);
    assert_eq!(take_out(&mut *storage, all, 9), [] as [u64; 0]);
    assert_eq!(mailbox(&mut *storage, 3), [6]);
    assert_eq!(fates(&mut *storage, 1, &[(2, letter(4, 1, 2, 10).id)]), [Status::Expired]);
}

fn no_more_letters_are_removed_in_one_go_than_a_commit_should_carry<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    for recipient in [2, 3] {
        let places = (0..40).map(|n| u64::from(recipient) * 100 + n);
        apply(&mut *storage, places.map(|place| insert(place, 1, recipient, 60_000))).unwrap();
    }
    let (all, now) = (UnixTime::from_seconds(i64::MAX), START);
    let taken_out =
        Question::TakeOut { recipient: user(2), accepted_before: all, now, limit: 1_000 };
    let expired = Question::Expire {
        shard: Shard::ONLY,
        accepted_before: all,
        forget_before: UnixTime::default(),
        now,
        limit: 1_000,
    };
    for question in [taken_out, expired] {
        let mut left = 40;
        while left > 0 {
            let Answer::Expired(letters) = storage.answer(&question).unwrap() else { panic!() };
            // 60,282 bytes each: with eighteen of them it is a mebibyte.
            assert_eq!(letters.len(), left.min(18));
            left -= letters.len();
            assert!(may_be_more(&letters, 1_000) || left == 0);
        }
        let Answer::Expired(letters) = storage.answer(&question).unwrap() else { panic!() };
        assert!(letters.is_empty());
    }
}

fn a_user_is_removed_whose_mailbox_is_empty_and_no_other<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    apply(&mut *storage, [insert(1, 1, 2, 10), insert(2, 3, 1, 10)]).unwrap();
    let remove = |id| Write::RemoveUser { user: user(id), now: START };
    for refused in [remove(2), remove(9)] {
        let error = apply(&mut *storage, [refused]).unwrap_err();
        assert!(matches!(error, ApplyError::Refused(_)), "{error}");
    }
    assert!(storage.find_user(&UserName::Id(user(2))).unwrap().is_some());
    apply(&mut *storage, [remove(3)]).unwrap();
    assert!(apply(&mut *storage, [remove(3)]).is_err());
    drop(storage);
    let mut storage = place.open();
    assert!(storage.find_user(&UserName::Phone(phone(3))).unwrap().is_none());
    assert_eq!(storage.load(START).unwrap().resting_ids, [user(3)]);
    assert_eq!(mailbox(&mut *storage, 1), [2]);
}

fn a_suspension_is_kept_until_it_is_lifted_or_its_user_removed<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    let suspend = |id, until, reason: &str| {
        let (user, reason) = (user(id), reason.into());
        Write::Suspend { user, until, reason, now: START }
    };
    let until = Some(START.shifted(60));
    assert!(apply(&mut *storage, [suspend(9, None, "")]).is_err());
    apply(&mut *storage, [suspend(1, until, "first"), suspend(2, None, "")]).unwrap();
    apply(&mut *storage, [suspend(1, None, "spam"), suspend(3, until, "x")]).unwrap();
    drop(storage);
    let mut storage = place.open();
    let mut kept = storage.load(START).unwrap().suspensions;
    kept.sort_by_key(|suspension| suspension.user);
    let expected = [(1, None), (2, None), (3, until)];
    assert_eq!(kept, expected.map(|(id, until)| Suspension { user: user(id), until }));
    let named = |storage: &mut dyn Storage, id| {
        storage.find_user(&UserName::Id(user(id))).unwrap().unwrap().suspended
    };
    let spam = SuspensionSummary { since: START, until: None, reason: "spam".into() };
    assert_eq!(named(&mut *storage, 1), Some(spam));

    let resume = |id| Write::Resume { user: user(id) };
    apply(&mut *storage, [resume(1), resume(1), resume(9)]).unwrap();
    assert_eq!(named(&mut *storage, 1), None);
    apply(&mut *storage, [Write::RemoveUser { user: user(3), now: START }]).unwrap();
    remove(&mut *storage, 2, START);
    assert_eq!(storage.load(START).unwrap().suspensions, []);
}

fn what_is_held_about_one_person_is_found_and_erased<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    for (place, from, to) in [(1, 1, 2), (2, 2, 1), (3, 3, 1), (4, 1, 3), (5, 1, 2)] {
        apply(&mut *storage, [insert(place, from, to, 10)]).unwrap();
    }
    let stretch = storage.letters_from(user(1), None).unwrap();
    let found: Vec<_> = stretch.found.iter().map(|l| (l.recipient.get(), l.queue_id.0)).collect();
    assert_eq!((found, stretch.next), (vec![(2, 1), (2, 5), (3, 4)], None));
    let behind = storage.letters_from(user(1), Some((user(2), QueueId(1)))).unwrap();
    assert_eq!(behind.found, stretch.found[1..]);
    let sealed = letter(4, 1, 3, 10);
    assert_eq!(storage.packet(QueueId(4)).unwrap().as_deref(), Some(&*sealed.packet));
    assert_eq!(storage.packet(QueueId(9)).unwrap(), None);

    // The first user is removed, with a letter of each kind that was not delivered.
    let taken = Question::TakeOut {
        recipient: user(2),
        accepted_before: START.shifted(1_000),
        now: START.shifted(7),
        limit: 1,
    };
    storage.answer(&taken).unwrap();
    remove(&mut *storage, 1, START.shifted(8));
    let fates = |storage: &mut dyn Storage| {
        let stretch = storage.fates_about(user(1), None).unwrap();
        assert_eq!(stretch.next, None);
        let fate = |fate: &FateSummary| (fate.sender.get(), fate.recipient.get());
        let mut fates: Vec<_> = stretch.found.iter().map(fate).collect();
        fates.sort_unstable();
        fates
    };
    assert_eq!(fates(&mut *storage), [(1, 2), (2, 1), (3, 1)]);
    storage.erase(user(1)).unwrap();
    storage.erase(user(1)).unwrap();
    // The senders of letters to the user are still to be told.
    assert_eq!(fates(&mut *storage), [(2, 1), (3, 1)]);
    drop(storage);
    assert_eq!(fates(&mut *place.open()), [(2, 1), (3, 1)]);
}

fn limits_of_a_user_are_kept_replaced_and_end_with_the_user<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    let own = |letters, bytes| OwnLimits { letters, bytes };
    let set = |id, limits| Write::SetLimits { user: user(id), limits };
    assert!(apply(&mut *storage, [set(9, own(Some(1), None))]).is_err());
    apply(&mut *storage, [set(1, own(Some(5), None)), set(2, own(None, Some(1 << 40)))]).unwrap();
    apply(&mut *storage, [set(1, own(Some(7), Some(8))), set(3, own(Some(1), None))]).unwrap();
    drop(storage);
    let mut storage = place.open();
    let kept = |storage: &mut dyn Storage| {
        let mut kept = storage.load(START).unwrap().own_limits;
        kept.sort_by_key(|(user, _)| *user);
        kept
    };
    let (first, second) = (own(Some(7), Some(8)), own(None, Some(1 << 40)));
    let all = [(user(1), first), (user(2), second), (user(3), own(Some(1), None))];
    assert_eq!(kept(&mut *storage), all);
    let named = storage.find_user(&UserName::Id(user(2))).unwrap().unwrap();
    assert_eq!(named.limits, second);

    apply(&mut *storage, [set(1, OwnLimits::default())]).unwrap();
    apply(&mut *storage, [Write::RemoveUser { user: user(3), now: START }]).unwrap();
    remove(&mut *storage, 2, START);
    assert_eq!(kept(&mut *storage), []);
}

fn a_suspension_that_is_over_is_forgotten_with_old_letters<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    let suspend = |id, until: Option<i64>| {
        let until = until.map(|seconds| START.shifted(seconds));
        Write::Suspend { user: user(id), until, reason: "".into(), now: START }
    };
    apply(&mut *storage, [suspend(1, Some(60)), suspend(2, Some(61)), suspend(3, None)]).unwrap();
    let mut kept_at = |seconds| {
        let question = Question::Expire {
            shard: Shard::all(1).next().unwrap(),
            accepted_before: UnixTime::default(),
            forget_before: UnixTime::default(),
            now: START.shifted(seconds),
            limit: 10,
        };
        storage.answer(&question).unwrap();
        let mut kept: Vec<_> =
            storage.load(START).unwrap().suspensions.iter().map(|kept| kept.user).collect();
        kept.sort();
        kept
    };
    assert_eq!(kept_at(59), [1, 2, 3].map(user));
    assert_eq!(kept_at(60), [2, 3].map(user));
    assert_eq!(kept_at(1_000_000), [user(3)]);
}

fn users_mailboxes_and_letters_are_found_page_by_page<P: Place>() {
    let place = P::new();
    let mut storage = place.open();
    let create = |id| Write::CreateUser { id: user(id), phone: phone(id), spki: spki(id).into() };
    apply(&mut *storage, (1..=120).map(create)).unwrap();
    // Everybody has a letter from 1, and 2 has more of them than a page holds.
    apply(&mut *storage, (3..=120).map(|id| insert(u64::from(id), 1, id, 10))).unwrap();
    apply(&mut *storage, (1_000..1_700).map(|place| insert(place, 1, 2, 10))).unwrap();

    let mut users = Vec::new();
    loop {
        let page = storage.users(users.last().copied()).unwrap();
        if page.is_empty() {
            break;
        }
        users.extend(page.iter().map(|user| user.id));
    }
    assert_eq!(users, (1..=120).map(user).collect::<Vec<_>>());

    let stretch = storage.mailboxes(None, None).unwrap();
    assert_eq!(stretch.next, None);
    let mailboxes = stretch.found;
    assert_eq!(mailboxes.len(), 119);
    let (owner, letters, bytes) = (user(2), 700, 700 * 292);
    assert_eq!(
        mailboxes[0],
        MailboxSummary { owner, letters, bytes, oldest: START.shifted(1_000) }
    );
    assert_eq!((mailboxes[118].owner, mailboxes[118].letters), (user(120), 1));

    let of_2 = storage.mailboxes(Some(user(2)), None).unwrap();
    assert_eq!(of_2, Stretch { found: vec![mailboxes[0]], next: None });
    let behind = storage.mailboxes(Some(user(2)), Some((user(2), QueueId(1_690)))).unwrap();
    assert_eq!(behind.found.iter().map(|mailbox| mailbox.letters).collect::<Vec<_>>(), [9]);
    assert_eq!(storage.mailboxes(Some(user(1)), None).unwrap().found, []);

    let mut letters = Vec::new();
    loop {
        let last = letters.last().map_or(QueueId(0), |letter: &LetterSummary| letter.queue_id);
        let page = storage.letters(user(2), last).unwrap();
        if page.is_empty() {
            break;
        }
        letters.extend(page);
    }
    assert_eq!(letters.len(), 700);
    let (queue_id, id) = (QueueId(1_000), letter(1_000, 1, 2, 10).id);
    let (sender, accepted_at, bytes) = (user(1), START.shifted(1_000), 292);
    assert_eq!(letters[0], LetterSummary { queue_id, id, sender, accepted_at, bytes });
    assert_eq!(storage.letters(user(1), QueueId(0)).unwrap(), []);
}

fn letters_are_counted_some_at_a_time<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    // 2 has a letter, 3 has more of them than one stretch, and 4 has one.
    apply(&mut *storage, [insert(1, 1, 2, 10), insert(2, 1, 4, 10)]).unwrap();
    apply(&mut *storage, (10..12_010).map(|place| insert(place, 1, 3, 10))).unwrap();
    let (mut counted, mut after, mut stretches) = (BTreeMap::new(), None, 0);
    loop {
        let stretch = storage.mailboxes(None, after).unwrap();
        let letters: u64 = stretch.found.iter().map(|mailbox| mailbox.letters).sum();
        assert!(letters <= 10_000, "{letters} in one go");
        for MailboxSummary { owner, letters, bytes, .. } in stretch.found {
            let (all, all_bytes) = counted.entry(owner).or_insert((0, 0));
            (*all, *all_bytes) = (*all + letters, *all_bytes + bytes);
        }
        (after, stretches) = (stretch.next, stretches + 1);
        if after.is_none() {
            break;
        }
    }
    let all: Vec<_> = counted.into_iter().collect();
    assert_eq!(all, [(2, 1), (3, 12_000), (4, 1)].map(|(id, n)| (user(id), (n, n * 292))));
    assert_eq!(stretches, 2);
}

fn an_id_rests_for_its_time_and_while_anything_refers_to_it<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    // 2 is named by nothing, 3 has sent a letter, and one to 4 was not delivered.
    apply(&mut *storage, [insert(1, 3, 1, 10), insert(2, 1, 4, 10)]).unwrap();
    for id in 2..=4 {
        remove(&mut *storage, id, START);
    }
    drop(storage);
    let mut storage = place.open();
    let resting = |storage: &mut dyn Storage, after: i64| -> Vec<u16> {
        let rested_before = START.shifted(after - 60 * DAY);
        let mut ids = storage.load(rested_before).unwrap().resting_ids;
        ids.sort();
        ids.into_iter().map(UserId::get).collect()
    };
    assert_eq!(resting(&mut *storage, 0), [2, 3, 4]);
    assert_eq!(resting(&mut *storage, 60 * DAY), [2, 3, 4]);
    assert_eq!(resting(&mut *storage, 60 * DAY + 1), [3, 4]);
    // The letter from 3 turns into a fate, and both fates are forgotten in time.
    expire(&mut *storage, START.shifted(DAY), START.shifted(DAY), 10);
    assert_eq!(resting(&mut *storage, 60 * DAY + 1), [3, 4]);
    expire(&mut *storage, START, START.shifted(30 * DAY + 1), 10);
    assert_eq!(resting(&mut *storage, 60 * DAY + 1), [3]);
    expire(&mut *storage, START, START.shifted(31 * DAY + 1), 10);
    assert_eq!(resting(&mut *storage, 60 * DAY + 1), [] as [u16; 0]);
    assert_eq!(resting(&mut *storage, 0), [2, 3, 4]);

    let again = Write::CreateUser { id: user(2), phone: phone(2), spki: spki(2).into() };
    apply(&mut *storage, [again]).unwrap();
    assert_eq!(resting(&mut *storage, 0), [3, 4]);
}

fn storage_in_order_passes_its_check_and_closes<P: Place>() {
    let place = P::new();
    let mut storage = populated(&place);
    apply(&mut *storage, (1..=50).map(|n| insert(n, 1, 2, 5_000))).unwrap();
    apply(&mut *storage, [delete(2, 10..=20)]).unwrap();
    storage.check().unwrap();
    storage.tidy().unwrap();
    storage.close().unwrap();
    assert_eq!(mailbox(&mut *place.open(), 2).len(), 39);
}

macro_rules! contract {
    ($($test:ident)*) => {
        mod memory {
            $(#[test] fn $test() { super::$test::<super::MemoryStorage>(); })*
        }
        mod sqlite {
            $(#[test] fn $test() { super::$test::<tempfile::TempDir>(); })*
        }
        #[cfg(feature = "postgres")]
        mod postgres {
            $(#[test] fn $test() {
                if super::shared::postgres().is_some() {
                    super::$test::<super::shared::Shared>();
                }
            })*
        }
    };
}

contract! {
    users_survive_reopening
    allowances_are_kept_replaced_and_forgotten
    bans_are_kept_replaced_and_forgotten
    letters_come_back_byte_for_byte_and_in_order
    pages_end_at_letters_bytes_and_the_end
    a_batch_that_cannot_be_done_leaves_nothing
    batches_of_a_group_see_each_other
    only_the_recipients_own_letters_are_deleted
    one_packet_may_wait_twice
    usage_counts_letters_and_bytes_by_sender
    senders_learn_what_became_of_their_letters
    the_oldest_expire_first_and_fates_are_forgotten
    a_shard_expires_the_letters_of_its_own_users
    a_letter_accepted_while_the_clock_was_wrong_keeps_no_other_from_expiring
    queue_ids_never_go_back
    removing_a_user_tells_senders_and_keeps_their_own_letters
    letters_are_taken_out_of_one_mailbox_in_the_order_of_their_places
    no_more_letters_are_removed_in_one_go_than_a_commit_should_carry
    a_user_is_removed_whose_mailbox_is_empty_and_no_other
    a_suspension_is_kept_until_it_is_lifted_or_its_user_removed
    a_suspension_that_is_over_is_forgotten_with_old_letters
    limits_of_a_user_are_kept_replaced_and_end_with_the_user
    what_is_held_about_one_person_is_found_and_erased
    users_mailboxes_and_letters_are_found_page_by_page
    letters_are_counted_some_at_a_time
    an_id_rests_for_its_time_and_while_anything_refers_to_it
    storage_in_order_passes_its_check_and_closes
}
