//! What a real PostgreSQL does with groups, and what is made of its answers.
#![cfg(feature = "postgres")]

mod blocked;
mod damage;
mod failover;
mod full;
mod machines;
mod moving;
mod network;
mod pooler;
mod servers;
mod settings;
mod snapshot;
#[path = "../support/mod.rs"]
mod support;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant as Moment};

use support::postgres::Postgres;
use support::*;
use waxwing_core::time::Instant;
use waxwing_server::store::postgres::{self, PostgresOptions, PostgresStorage, Reached, Server};
use waxwing_server::store::shared::{
    Candidate, Change, Claim, Database, Epoch, Fence, Groups, Instance, Mark, Node, Seen, Witness,
};
use waxwing_server::store::{ApplyError, Resolved, StorageError};

const LEASE: Duration = Duration::from_secs(5);
/// For what takes its time.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is witnessed, in memory.
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

/// The PostgreSQL that most tests share; `None` where there is none.
fn shared() -> Option<Arc<Postgres>> {
    static STARTED: OnceLock<Option<Arc<Postgres>>> = OnceLock::new();
    STARTED.get_or_init(|| Postgres::start().map(Arc::new)).clone()
}

/// A database of its own, of a PostgreSQL that most tests share; `None` where there is none.
struct Place {
    postgres: Arc<Postgres>,
    url: String,
    witness: Kept,
    lease: Duration,
    copies: u32,
}

impl Place {
    fn new() -> Option<Self> {
        shared().map(Self::of)
    }

    fn of(postgres: Arc<Postgres>) -> Self {
        let url = postgres.database();
        Self { postgres, url, witness: Kept::default(), lease: LEASE, copies: 1 }
    }

    /// One of a PostgreSQL whose settings a test changes, and the turn of that test.
    fn to_set_up() -> Option<(Self, MutexGuard<'static, ()>)> {
        static STARTED: OnceLock<Option<Arc<Postgres>>> = OnceLock::new();
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let start = || Postgres::start().map(Arc::new);
        STARTED.get_or_init(start).clone().map(|postgres| (Self::of(postgres), turn))
    }

    /// Changes a setting of the whole PostgreSQL.
    fn set(&self, name: &str, value: &str) {
        self.sql(&format!("ALTER SYSTEM SET {name} = '{value}'"));
        self.sql("SELECT pg_reload_conf()");
        let begin = Moment::now();
        while self.sql(&format!("SHOW {name}")) != value {
            assert!(begin.elapsed() < PATIENCE, "the setting is not taken");
        }
    }

    fn candidate(&self, node: u128, instance: u128) -> Candidate<Server> {
        self.stand_by(node, instance).unwrap()
    }

    fn options(&self, node: u128, instance: u128) -> PostgresOptions {
        PostgresOptions {
            place: postgres::parse(&self.url).unwrap(),
            password: None,
            timeout: Duration::from_secs(1),
            lease: self.lease,
            isolated: PATIENCE,
            copies: self.copies,
            node: Node(node),
            instance: Instance(instance),
        }
    }

    fn stand_by(&self, node: u128, instance: u128) -> Result<Candidate<Server>, StorageError> {
        let witness = Box::new(self.witness.clone());
        Reached::reach(self.options(node, instance))?.candidate(witness, Instant::default())
    }

    /// The storage of a server that has the lease.
    fn storage(&self, node: u128, instance: u128) -> PostgresStorage {
        let mut candidate = self.candidate(node, instance);
        let holder = candidate.look(Instant::default()).unwrap().expect("the lease is free");
        PostgresStorage::serve(candidate, holder, self.options(node, instance).terms())
    }

    fn groups(&self, node: u128, instance: u128) -> Groups<Server> {
        let mut candidate = self.candidate(node, instance);
        let holder = candidate.look(Instant::default()).unwrap().expect("the lease is free");
        candidate.serve(holder)
    }

    fn sql(&self, statements: &str) -> String {
        self.postgres.psql(&self.url, statements)
    }

    /// Goes on until somebody waits for the standby.
    fn until_somebody_waits_for_the_standby(&self) {
        let begin = Moment::now();
        let waits = "SELECT count(*) FROM pg_stat_activity \
                     WHERE wait_event = 'SyncRep' AND datname = current_database()";
        while self.sql(waits) == "0" {
            assert!(begin.elapsed() < PATIENCE, "nobody waits for the standby");
        }
    }
}

fn resolved(groups: &mut Groups<Server>) -> Result<Resolved, ApplyError> {
    let begin = Moment::now();
    loop {
        assert!(begin.elapsed() < PATIENCE, "it is not found out");
        match groups.resolve() {
            Ok(Some(resolved)) => return Ok(resolved),
            Ok(None) | Err(ApplyError::Unclear(_) | ApplyError::Away(_)) => {}
            Err(error) => return Err(error),
        }
    }
}

fn look(groups: &mut Groups<Server>, noted: Option<Mark>) -> Seen {
    groups.database_mut().look(noted).unwrap()
}

/// The fence of a holder that has seen this.
fn fence(instance: u128, seen: &Seen) -> Fence {
    Fence { instance: Instance(instance), epoch: seen.lease.epoch, last: seen.last }
}

#[test]
fn a_group_happens_behind_the_row_and_the_mark_before_its_own_alone() {
    let Some(place) = Place::new() else { return };
    let mut groups = place.groups(1, 11);
    groups.apply(&[batch([create(1)])]).unwrap();
    let seen = look(&mut groups, None);
    let good = fence(11, &seen);
    let change = Change::Batches(vec![batch([create(2)])]);
    let one_less = Mark { group: good.last.group - 1, ..good.last };
    let another = Mark { epoch: Epoch(good.last.epoch.0 + 1), ..good.last };
    for bad in [
        Fence { instance: Instance(12), ..good },
        Fence { epoch: good.epoch.next(), ..good },
        Fence { last: one_less, ..good },
        Fence { last: another, ..good },
        Fence { last: good.mark(), ..good },
    ] {
        let changed = groups.database_mut().change(&bad, &change);
        assert!(matches!(changed, Err(ApplyError::Fenced(_))), "{bad:?}: {changed:?}");
    }
    assert_eq!(place.sql("SELECT string_agg(user_id::text, ' ') FROM waxwing.users"), "1");
    assert_eq!(look(&mut groups, None).last, seen.last);
    groups.database_mut().change(&good, &change).unwrap();
    assert_eq!(look(&mut groups, Some(good.mark())).at_witnessed, Some(good.mark()));
}

#[test]
fn a_lease_is_taken_by_one_and_the_other_is_fenced() {
    let Some(place) = Place::new() else { return };
    let mut first = place.groups(1, 11);
    first.apply(&[batch([create(1)])]).unwrap();
    let mut standby = place.candidate(2, 22);
    let begin = Instant::default();
    assert!(standby.look(begin).unwrap().is_none());
    first.apply(&[]).unwrap();
    assert!(standby.look(begin.after(LEASE)).unwrap().is_none(), "the holder is at work");
    let holder = standby.look(begin.after(2 * LEASE)).unwrap().expect("the holder is silent");
    let mut second = standby.serve(holder);
    second.apply(&[batch([create(2)])]).unwrap();
    assert!(matches!(first.apply(&[batch([create(3)])]), Err(ApplyError::Unclear(_))));
    assert!(matches!(resolved(&mut first), Err(ApplyError::Fenced(_))));
    second.give_back();
    assert_eq!(look(&mut first, None).lease.holder, None);
    assert_eq!(place.sql("SELECT string_agg(user_id::text, ' ') FROM waxwing.users"), "1 2");
}

#[test]
fn a_claim_that_comes_late_takes_nothing() {
    let Some(place) = Place::new() else { return };
    let mut groups = place.groups(1, 11);
    let seen = look(&mut groups, None);
    let (node, instance) = (Node(2), Instance(22));
    let claim = Claim { node, instance, lease: seen.lease, last: seen.last };
    groups.apply(&[]).unwrap();
    assert_eq!(groups.database_mut().take(&claim).unwrap(), None);
    let last = look(&mut groups, None).last;
    let taken = groups.database_mut().take(&Claim { last, ..claim }).unwrap().unwrap();
    assert_eq!((taken.epoch, taken.last), (seen.lease.epoch.next(), last));
}

/// With a standby that is named and not there, commits wait. That is a setting of a whole PostgreSQL.
#[test]
fn a_commit_that_waits_for_the_standby_is_unclear_until_a_renewal_has_waited_for_it() {
    let Some((place, _turn)) = Place::to_set_up() else { return };
    let mut groups = place.groups(1, 11);
    // What a role says does not count.
    place.sql("ALTER ROLE waxwing SET synchronous_commit = off");
    place.sql("ALTER ROLE waxwing SET client_min_messages = error");
    let standby = |names: &str| place.set("synchronous_standby_names", names);
    let mut groups_of_role = {
        groups.give_back();
        place.groups(1, 12)
    };
    standby("nobody");
    for is_cancelled in [false, true] {
        let id = if is_cancelled { 2 } else { 1 };
        let before = look(&mut groups_of_role, None);
        std::thread::scope(|scope| {
            let cancel = || {
                place.until_somebody_waits_for_the_standby();
                place.sql(
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity \
                     WHERE wait_event = 'SyncRep' AND datname = current_database()",
                );
            };
            if is_cancelled {
                scope.spawn(cancel);
            }
            let applied = groups_of_role.apply(&[batch([create(id)])]);
            assert!(matches!(applied, Err(ApplyError::Unclear(_))), "{is_cancelled}: {applied:?}");
        });
        let users = place.sql("SELECT count(*) FROM waxwing.users");
        assert_eq!(users == id.to_string(), is_cancelled, "only a cancelled wait is seen");
        // A renewal waits, too: for the row, or for the standby.
        for _ in 0..3 {
            assert_eq!(groups_of_role.resolve(), Ok(None));
        }
        standby("");
        assert_eq!(resolved(&mut groups_of_role), Ok(Resolved::Done(None)));
        let after = look(&mut groups_of_role, None);
        assert_eq!(after.last.group, before.last.group + 1);
        groups_of_role.apply(&[]).unwrap();
        standby("nobody");
    }
    standby("");
    place.sql("ALTER ROLE waxwing RESET ALL");
}

#[test]
fn a_connection_that_is_gone_is_replaced_and_what_was_sent_over_it_found_out() {
    let Some(place) = Place::new() else { return };
    let mut groups = place.groups(1, 11);
    groups.apply(&[batch([create(1)])]).unwrap();
    place.sql(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    match groups.apply(&[batch([create(2)])]) {
        Ok(()) => {}
        Err(ApplyError::Unclear(_)) => {
            assert_eq!(resolved(&mut groups), Ok(Resolved::NotDone));
            groups.apply(&[batch([create(2)])]).unwrap();
        }
        Err(error) => panic!("{error}"),
    }
    assert_eq!(place.sql("SELECT count(*) FROM waxwing.users"), "2");
}

#[test]
fn a_database_that_lacks_what_was_witnessed_is_doubtful_and_served_by_nobody() {
    let Some(place) = Place::new() else { return };
    let mut groups = place.groups(1, 11);
    for _ in 0..3 {
        groups.apply(&[]).unwrap();
    }
    let seen = look(&mut groups, None);
    for (witnessed, lacks) in [
        (seen.last, false),
        (Mark { epoch: Epoch(0), group: 0 }, false),
        (Mark { epoch: Epoch(seen.last.epoch.0 + 1), ..seen.last }, true),
        (Mark { group: seen.last.group + 1, ..seen.last }, true),
        (Mark { epoch: Epoch(1 << 32), group: 0 }, true),
    ] {
        assert_eq!(look(&mut groups, Some(witnessed)).lacks(witnessed), lacks, "{witnessed:?}");
        if !lacks {
            assert!(!groups.database_mut().doubt(Some(witnessed)).unwrap(), "{witnessed:?}");
        }
    }
    place.sql("DELETE FROM waxwing.marks WHERE grp = (SELECT max(grp) FROM waxwing.marks)");
    assert!(matches!(groups.apply(&[]), Err(ApplyError::Unclear(_))));
    assert!(matches!(resolved(&mut groups), Err(ApplyError::Fatal(_))));
    let seen = look(&mut groups, None);
    assert!(seen.is_doubtful && seen.lease.holder.is_none());
    let started = place.candidate(1, 12).look(Instant::default());
    assert!(matches!(started, Err(ApplyError::Fatal(_))), "the next start");
    let mut other = place.candidate(2, 22);
    assert!(matches!(other.look(Instant::default()), Err(ApplyError::Fatal(_))), "and the other");
}

#[test]
fn a_renewal_never_holds_whoever_asks_for_long() {
    let Some(place) = Place::new() else { return };
    let mut groups = place.groups(1, 11);
    std::thread::scope(|scope| {
        scope
            .spawn(|| place.sql("BEGIN; SELECT FROM waxwing.lease FOR UPDATE; SELECT pg_sleep(1)"));
        let begin = Moment::now();
        let holds = "SELECT count(*) FROM pg_stat_activity \
                     WHERE wait_event = 'PgSleep' AND datname = current_database()";
        while place.sql(holds) == "0" {
            assert!(begin.elapsed() < PATIENCE, "nobody has the row");
        }
        let renewed = groups.database_mut().renew(Instance(11));
        assert!(matches!(renewed, Poll::Pending), "{renewed:?}");
    });
}
