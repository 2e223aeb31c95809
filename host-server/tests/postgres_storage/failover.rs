//! Two databases: the synchronous standby of one becomes the primary, and the old one comes back.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Letters that people write after the standby has become the primary.
const AFTER: usize = 10;

/// Where each of the two is, and where both are.
fn urls(old: &Postgres, new: &Postgres) -> [String; 3] {
    let own = old.database();
    let (_, name) = own.rsplit_once('/').unwrap();
    let hosts = [old, new].map(|one| one.directory.to_str().unwrap().replace('/', "%2F"));
    let [first, second] = &hosts;
    [
        own.clone(),
        format!("postgres://waxwing@{second}/{name}"),
        format!("postgres://waxwing@{first},{second}/{name}"),
    ]
}

#[test]
fn nothing_that_was_confirmed_is_lost_with_the_primary_and_nobody_serves_from_it_when_it_is_back() {
    let Some(old) = Postgres::start() else { return };
    let new = old.start_standby();
    let [of_old, of_new, of_both] = urls(&old, &new);
    let old = Arc::new(old);
    let place_of = |url: &str, witness: &Kept| Place {
        postgres: old.clone(),
        url: url.into(),
        witness: witness.clone(),
        lease: Duration::from_millis(500),
        copies: 1,
    };
    let place = place_of(&of_both, &Kept::default());
    old.psql(&of_old, "ALTER SYSTEM SET synchronous_standby_names = '*'");
    old.psql(&of_old, "SELECT pg_reload_conf()");
    let replicates = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
    let begin = Moment::now();
    while old.psql(&of_old, replicates) != "1" {
        assert!(begin.elapsed() < PATIENCE, "there is no standby");
    }
    let mut groups = place.groups(1, 11);
    groups.apply(&[batch([create(1), create(2)])]).unwrap();

    let (is_promoted, mut accepted, mut after) = (AtomicBool::new(false), Vec::new(), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let letters = "SELECT count(*) > 20 FROM waxwing.pending_messages";
            while old.psql(&of_old, letters) == "f" {}
            old.kill();
            new.promote();
            is_promoted.store(true, Ordering::Relaxed);
        });
        for letter in 1.. {
            let was_promoted = is_promoted.load(Ordering::Relaxed);
            let done = match groups.apply(&[batch([insert(letter, 1, 2, 500)])]) {
                Ok(()) => true,
                Err(ApplyError::Unclear(_)) => {
                    resolved(&mut groups).unwrap() == Resolved::Done(None)
                }
                Err(ApplyError::Away(_)) => false,
                Err(error) => panic!("{error}"),
            };
            if done {
                accepted.push(letter.to_string());
                after += usize::from(was_promoted);
            }
            if after == AFTER {
                break;
            }
            assert!(begin.elapsed() < 3 * PATIENCE, "nothing is taken any more");
        }
    });
    let stored =
        "SELECT string_agg(queue_id::text, ' ' ORDER BY queue_id) FROM waxwing.pending_messages";
    assert_eq!(new.psql(&of_new, stored), accepted.join(" "));

    let _again = old.start_again();
    let who_knows = place_of(&of_old, &place.witness);
    let who_does_not = place_of(&of_old, &Kept::default());
    let before = old.psql(&of_old, stored);
    for (place, node) in [(who_knows, 1), (who_does_not, 2)] {
        let mut candidate = place.candidate(node, 99);
        for lease in 0..4 {
            let now = Instant::default().after(place.lease * lease);
            assert!(
                candidate.look(now).unwrap().is_none(),
                "node {node} serves from the old primary"
            );
        }
    }
    assert_eq!(old.psql(&of_old, stored), before);
    // The one that serves has not noticed anything.
    groups.apply(&[batch([delete(2, [1])])]).unwrap();
}
