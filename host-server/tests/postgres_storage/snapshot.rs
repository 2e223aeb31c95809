//! A transaction that stays open, such as that of a backup. What is deleted meanwhile stays in the tables.

use super::blocked::Client;
use super::*;

/// Entries of the index of marks that were looked at, and how often somebody has looked.
fn looked_at(place: &Place) -> (u64, u64) {
    let read = place.sql(
        "SELECT idx_tup_read || ' ' || idx_scan FROM pg_stat_user_indexes \
         WHERE indexrelname = 'marks_pkey'",
    );
    let (entries, scans) = read.split_once(' ').unwrap();
    (entries.parse().unwrap(), scans.parse().unwrap())
}

#[test]
fn a_group_costs_no_more_beside_a_transaction_that_stays_open() {
    const GROUPS: u64 = 30;
    let Some(place) = Place::new() else { return };
    drop(place.candidate(1, 11));
    place.sql(
        "INSERT INTO waxwing.marks SELECT number, 0, 0 FROM generate_series(1, 4000) AS number",
    );
    let mut open = Client::new(&place);
    open.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM waxwing.marks");
    place.sql("DELETE FROM waxwing.marks WHERE grp < 3000");
    let (entries_before, scans_before) = looked_at(&place);
    let mut groups = place.groups(1, 11);
    let mut standby = place.candidate(2, 22);
    for _ in 0..GROUPS {
        groups.apply(&[]).unwrap();
        assert!(standby.look(Instant::default()).unwrap().is_none());
    }
    // The database counts when a connection ends.
    drop((groups, standby));
    let begin = Moment::now();
    loop {
        let (entries, scans) = looked_at(&place);
        if scans - scans_before >= 5 * GROUPS {
            let entries = entries - entries_before;
            assert!(entries < 100 * GROUPS, "{GROUPS} groups have looked at {entries} entries");
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "the database has counted {scans} scans");
    }
    open.query("COMMIT");
}
