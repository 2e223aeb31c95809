//! Letters between messengers.

use std::time::Duration;

use waxwing_core::messenger::{Advice, Cause};
use waxwing_core::server::{Config, MailboxLimits};
use waxwing_core::wire::Status;
use waxwing_testkit::profile::State;

use crate::town::Town;

fn texts(from: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{from}{n}")).collect()
}

#[test]
fn letters_arrive_in_order_and_once_both_ways() {
    let mut town = Town::of(2);
    for n in 0..20 {
        town.write(0, 1, &format!("a{n}"));
        town.write(1, 0, &format!("b{n}"));
    }
    town.connect_all();
    town.run();
    town.pass(Duration::from_secs(2));
    assert_eq!(town.people[1].texts(), texts("a", 20));
    assert_eq!(town.people[0].texts(), texts("b", 20));
    for person in &mut town.people {
        assert!(person.profile.stored.outbox.iter().all(|one| one.status == Status::Delivered));
        let now = town.world.now.unix;
        assert!(person.messenger.is_settled(&mut person.profile, now).unwrap());
    }
}

#[test]
fn a_backlog_is_stored_sixteen_letters_a_commit() {
    let mut town = Town::of(2);
    town.connect(0);
    for n in 0..40 {
        town.write(0, 1, &format!("{n}"));
    }
    town.run();
    town.connect(1);
    let mut largest = 0;
    for _ in 0..400 {
        town.step(1);
        largest = largest.max(town.people[1].profile.letters_in_step);
    }
    assert_eq!(town.people[1].texts(), texts("", 40));
    assert_eq!(largest, 16);
    assert!(town.people[1].profile.commits < 20, "{}", town.people[1].profile.commits);
}

#[test]
fn a_device_without_memory_aside_reads_one_letter_after_the_other() {
    let mut town = Town::of(3);
    town.people[2].become_a_device();
    for n in 0..5 {
        town.write(0, 2, &format!("a{n}"));
        town.write(1, 2, &format!("b{n}"));
    }
    town.connect(0);
    town.connect(1);
    town.run();
    town.connect(2);
    town.run();
    town.pass(Duration::from_secs(2));
    let mut got: Vec<_> = town.people[2].texts().into_iter().map(str::to_owned).collect();
    got.sort();
    assert_eq!(got, [texts("a", 5), texts("b", 5)].concat());
}

#[test]
fn letters_of_an_unknown_sender_do_not_hold_up_those_of_others() {
    let mut town = Town::of(3);
    town.connect(0);
    town.write(0, 2, "known");
    town.run();
    town.connect(2);
    town.run();
    town.cut(2);
    town.connect(1);
    for n in 0..30 {
        town.write(1, 2, &format!("b{n}"));
    }
    town.write(0, 2, "again");
    town.run();
    town.connect(2);
    town.run();
    let of_b: Vec<_> = town.people[2].texts().into_iter().filter(|t| t.starts_with('b')).collect();
    assert_eq!(of_b, texts("b", 30));
    assert!(town.people[2].texts().contains(&"again"));
}

#[test]
fn a_letter_that_is_refused_for_now_is_not_overtaken() {
    let mailbox = MailboxLimits { pair_letters: 2, ..MailboxLimits::default() };
    let mut town = Town::with(Config { mailbox, ..Config::default() }, 2);
    for n in 0..4 {
        town.write(0, 1, &format!("{n}"));
    }
    town.connect(0);
    town.run();
    let states = |town: &Town| -> Vec<State> {
        town.people[0].profile.stored.outbox.iter().map(|letter| letter.state).collect()
    };
    use State::{Answered, Waiting};
    assert_eq!(states(&town), [Answered, Answered, Waiting, Waiting]);
    let not_before = town.people[0].profile.stored.outbox[2].not_before;
    assert!((15..=300).contains(&not_before.minus(town.world.now.unix)));
    town.connect(1);
    town.run();
    town.pass(Duration::from_secs(301));
    assert_eq!(town.people[1].texts(), texts("", 4));
}

#[test]
fn a_letter_to_nobody_is_given_up_and_those_behind_it_too() {
    let mut town = Town::of(2);
    town.write(0, 1, "to somebody");
    let nobody = waxwing_core::phone::Phone::parse(b"+4915199999999").unwrap();
    for uid in [100, 101] {
        let uid = waxwing_core::id::Uid([uid; 16]);
        town.people[0].profile.stored.write(uid, nobody, "to nobody");
    }
    town.connect_all();
    town.run();
    let outbox = &town.people[0].profile.stored.outbox;
    assert_eq!(outbox[0].state, State::Answered);
    assert!(outbox[1..].iter().all(|one| matches!(one.state, State::Refused(_))), "{outbox:?}");
    assert_eq!(town.people[1].texts(), ["to somebody"]);
}

#[test]
fn a_letter_given_up_by_another_process_is_not_sent() {
    let mut town = Town::of(2);
    town.connect_all();
    town.run();
    let row = town.write(0, 1, "no");
    town.write(0, 1, "yes");
    town.step(0);
    // The question about the key is open; meanwhile the first one is given up.
    let outbox = &mut town.people[0].profile.stored.outbox;
    outbox.retain(|letter| letter.row != row);
    town.run();
    assert_eq!(town.people[1].texts(), ["yes"]);
}

#[test]
fn an_account_that_is_refused_three_times_gives_up() {
    let mut town = Town::of(2);
    // Somebody else's key: the server takes no signature of it.
    town.people[0].key = town.people[1].key;
    town.people[0].restart();
    for attempt in 1..=3 {
        town.connect(0);
        town.run();
        assert!(!town.is_connected(0));
        let end = town.people[0].ends.last().unwrap().unwrap();
        let expected = if attempt < 3 { Advice::Again } else { Advice::GiveUp };
        assert_eq!(end.advice, expected);
        assert!(matches!(end.cause, Cause::Ended(_)));
    }
}

#[test]
fn a_session_taken_over_is_not_fought_for() {
    let mut town = Town::of(1);
    let twin = Town::of(1).people.remove(0);
    town.people.push(twin);
    town.connect_all();
    town.run();
    let end = town.people[0].ends[0].unwrap();
    assert_eq!(end.advice, Advice::GiveUp);
    assert!(town.is_connected(1));
}

/// A town whose first one knows all others' keys, and whose server answers nothing any more.
fn silent_town(count: usize) -> Town {
    let mut town = Town::of(count);
    town.connect(0);
    for to in 1..count {
        town.write(0, to, "hello");
    }
    town.run();
    town.world.disk.held = true;
    town
}

fn count_sent(town: &Town) -> usize {
    let outbox = &town.people[0].profile.stored.outbox;
    outbox.iter().filter(|letter| letter.state == State::Sent).count()
}

#[test]
fn one_large_letter_is_on_its_way_and_short_ones_pass() {
    let mut town = silent_town(5);
    let large = "x".repeat(20_000);
    let rows = [(1, &*large), (2, &*large), (3, "short"), (4, "short")];
    let rows = rows.map(|(to, text)| town.write(0, to, text));
    town.run();
    let state = |row| {
        let outbox = &town.people[0].profile.stored.outbox;
        outbox.iter().find(|letter| letter.row == row).unwrap().state
    };
    assert_eq!(rows.map(state), [State::Sent, State::Waiting, State::Sent, State::Sent]);
}

#[test]
fn short_letters_leave_room_for_a_large_one() {
    let mut town = silent_town(67);
    for to in 1..66 {
        town.write(0, to, "short");
    }
    town.run();
    assert_eq!(count_sent(&town), 63);
    town.write(0, 66, &"x".repeat(20_000));
    town.run();
    assert_eq!(count_sent(&town), 64);
}

#[test]
fn a_conversation_has_one_letter_on_its_way() {
    let mut town = silent_town(3);
    for to in [1, 1, 2] {
        town.write(0, to, "again");
    }
    town.run();
    assert_eq!(count_sent(&town), 2);
}

#[test]
fn a_letter_without_an_answer_ends_the_connection_after_six_minutes_and_goes_out_again() {
    let mut town = silent_town(2);
    let row = town.write(0, 1, "unanswered");
    town.run();
    town.pass(Duration::from_secs(340));
    assert!(town.is_connected(0), "{:?}", town.people[0].ends);
    town.pass(Duration::from_secs(20));
    assert_eq!(town.people[0].ends.last().unwrap().unwrap().cause, Cause::Unanswered);
    town.world.disk.held = false;
    town.connect(0);
    town.run();
    let letter = town.people[0].profile.stored.outbox.last().unwrap();
    assert_eq!((letter.row, letter.state), (row, State::Answered));
}

#[test]
fn letters_to_several_people_go_out_with_one_commit() {
    let mut town = silent_town(12);
    town.world.disk.held = false;
    let before = town.people[0].profile.commits;
    for to in 1..12 {
        town.write(0, to, "hello again");
    }
    town.step(0);
    assert_eq!(count_sent(&town), 11);
    assert_eq!(town.people[0].profile.commits, before + 1);
    town.run();
    assert_eq!(count_sent(&town), 0);
}

#[test]
fn a_letter_that_is_gone_when_it_is_sealed_is_thrown_away_and_those_beside_it_go_out() {
    let mut town = silent_town(4);
    town.world.disk.held = false;
    town.connect(1);
    town.connect(2);
    town.connect(3);
    let rows = [1, 2, 3].map(|to| town.write(0, to, "second"));
    town.people[0].profile.gone_when_sealed = Some(rows[1]);
    town.run();
    for (who, expected) in
        [(1, &["hello", "second"][..]), (2, &["hello"]), (3, &["hello", "second"])]
    {
        assert_eq!(town.people[who].texts(), expected);
    }
}
