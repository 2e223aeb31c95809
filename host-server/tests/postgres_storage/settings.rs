//! Settings of a database that decide whether it keeps what it confirms.

use super::*;

#[test]
fn a_database_whose_settings_lose_what_was_confirmed_is_not_used() {
    let Some((place, _turn)) = Place::to_set_up() else { return };
    for setting in ["fsync", "full_page_writes"] {
        place.set(setting, "off");
        let refused = place.stand_by(1, 11).map(drop);
        place.set(setting, "on");
        match refused {
            Err(StorageError::Settings(why)) => {
                let why = why.to_string();
                assert!(why.contains(&format!("set {setting} = on")), "{why}");
            }
            other => panic!("{setting}: {other:?}"),
        }
    }
    place.groups(1, 11).apply(&[batch([create(1)])]).unwrap();
}

#[test]
fn where_two_copies_are_asked_for_nothing_is_taken_while_no_standby_is_named() {
    let Some((place, _turn)) = Place::to_set_up() else { return };
    let place = Place { copies: 2, ..place };
    let mut groups = place.groups(1, 11);
    let refused = groups.apply(&[batch([create(1)])]);
    assert!(
        matches!(&refused, Err(ApplyError::Away(why)) if why.contains("standby")),
        "{refused:?}"
    );
    assert_eq!(place.sql("SELECT count(*) FROM waxwing.users"), "0");
    // It can still show that it lives.
    groups.apply(&[]).unwrap();
    let _second = place.postgres.start_second();
    place.set("synchronous_standby_names", "second");
    let begin = Moment::now();
    while place.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "0" {
        assert!(begin.elapsed() < PATIENCE, "there is no second machine");
    }
    let done = groups.apply(&[batch([create(1)])]);
    place.set("synchronous_standby_names", "");
    assert_eq!(done, Ok(()));
    assert_eq!(place.sql("SELECT count(*) FROM waxwing.users"), "1");
    // A standby that is named no more counts as none.
    assert!(matches!(groups.apply(&[batch([create(2)])]), Err(ApplyError::Away(_))));
    groups.apply(&[]).unwrap();
}

#[test]
fn a_database_that_was_moved_or_is_not_whole_yet_is_served_by_nobody() {
    let Some(place) = Place::new() else { return };
    place.groups(1, 11).give_back();
    for (state, says) in [("moved", "was moved"), ("copying", "storage copy")] {
        place.sql(&format!("UPDATE waxwing.about SET state = '{state}'"));
        let refused = match place.stand_by(1, 11) {
            Err(refused) => refused.to_string(),
            Ok(mut candidate) => candidate.look(Instant::default()).unwrap_err().to_string(),
        };
        assert!(refused.contains(says), "{refused}");
    }
}
