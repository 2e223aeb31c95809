//! Letters between messengers.

use std::time::Duration;

use waxwing_core::client::{Ended, Env};
use waxwing_core::crypto::ReplyKey;
use waxwing_core::id::UserId;
use waxwing_core::messenger::{Advice, Cause, Reason, Row, Unreadable};
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::server::{Config, MailboxLimits, Rate};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{ErrorCode, Op, Packet, Status};
use waxwing_testkit::backend::{Backend, Paper};
use waxwing_testkit::packets;
use waxwing_testkit::participant::End;
use waxwing_testkit::profile::{Says, State};

use crate::Population;

fn texts(from: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{from}{n}")).collect()
}

/// One more person, without an account.
fn newcomer(all: &mut Population) -> usize {
    let phone = Phone::parse(b"+4915177777777").unwrap();
    all.add(phone, Paper::key(6), None)
}

/// Somebody without an account connects, gets a code and proves it; the answer has yet to be read.
fn prove_phone(all: &mut Population, who: usize) {
    let (phone, reply_key) = (all.people[who].phone, ReplyKey::from_bytes(&[5; 32]));
    all.connect(who);
    all.ask(who, |client, env| client.request_otp(env, &phone, &reply_key).unwrap());
    all.run();
    let code = all.people[who].profile.code.take().expect("a code in band");
    all.ask(who, |client, env| client.prove_otp(env, &phone, &reply_key, &code).unwrap());
}

/// Somebody does what there is to do with what has come. What goes out is given to the caller.
fn act_apart(all: &mut Population, who: usize) -> Vec<u8> {
    let incoming = all.world.bytes(all.connection(who));
    let Population { world, people, .. } = all;
    people[who].receive(&incoming);
    let mut env = Env { now: world.now, rng: &mut world.rng };
    let mut outgoing = Vec::new();
    for _ in 0..5 {
        people[who].step(&mut env);
        outgoing.extend(people[who].transmit());
    }
    outgoing
}

/// How many packets of this kind are in a stream.
fn count_of(op: Op, mut stream: Vec<u8>) -> usize {
    let packets = packets::take_whole(&mut stream);
    packets
        .iter()
        .filter(|packet| Packet::parse(&packet[..]).unwrap().header().op_code == op.code())
        .count()
}

#[test]
fn letters_arrive_in_order_and_once_both_ways() {
    let mut all = Population::of(2);
    for n in 0..20 {
        all.write(0, 1, &format!("a{n}"));
        all.write(1, 0, &format!("b{n}"));
    }
    all.connect_all();
    all.run();
    all.pass(Duration::from_secs(2));
    assert_eq!(all.people[1].texts(), texts("a", 20));
    assert_eq!(all.people[0].texts(), texts("b", 20));
    for person in &mut all.people {
        assert!(person.profile.stored.outbox.iter().all(|one| one.status == Status::Delivered));
        let now = all.world.now.unix;
        assert!(person.messenger.is_settled(&mut person.profile, now).unwrap());
    }
}

#[test]
fn a_backlog_is_stored_sixteen_letters_a_commit() {
    let mut all = Population::of(2);
    all.connect(0);
    for n in 0..40 {
        all.write(0, 1, &format!("{n}"));
    }
    all.run();
    all.connect(1);
    let mut largest = 0;
    for _ in 0..400 {
        all.step(1);
        largest = largest.max(all.people[1].profile.letters_in_step);
    }
    assert_eq!(all.people[1].texts(), texts("", 40));
    assert_eq!(largest, 16);
    assert!(all.people[1].profile.commits < 20, "{}", all.people[1].profile.commits);
}

#[test]
fn a_device_without_memory_aside_reads_one_letter_after_the_other() {
    let mut all = Population::of(3);
    all.people[2].become_a_device();
    for n in 0..5 {
        all.write(0, 2, &format!("a{n}"));
        all.write(1, 2, &format!("b{n}"));
    }
    all.connect(0);
    all.connect(1);
    all.run();
    all.connect(2);
    all.run();
    all.pass(Duration::from_secs(2));
    let mut got: Vec<_> = all.people[2].texts().into_iter().map(str::to_owned).collect();
    got.sort();
    assert_eq!(got, [texts("a", 5), texts("b", 5)].concat());
}

#[test]
fn a_letter_that_is_too_large_for_a_device_is_told_with_its_size_and_stops_nobody() {
    let mut all = Population::of(2);
    all.people[1].become_a_device();
    all.people[1].letter_buffer = 8_192;
    for text in ["first", &"x".repeat(9_000), "last"] {
        all.write(0, 1, text);
    }
    all.connect_all();
    all.run();
    all.pass(Duration::from_secs(2));
    assert_eq!(all.people[1].texts(), ["first", "last"]);
    let large = &all.people[1].profile.stored.letters[1];
    assert_eq!(large.says, Says::Unreadable(Unreadable::TooLarge));
    // The padded text, and 556 bytes of packet and envelope.
    assert_eq!(large.len, 9_024 + 556);
    let outbox = &all.people[0].profile.stored.outbox;
    assert!(outbox.iter().all(|one| one.status == Status::Delivered), "{outbox:?}");
}

#[test]
fn letters_of_an_unknown_sender_do_not_hold_up_those_of_others() {
    let mut all = Population::of(3);
    all.connect(0);
    all.write(0, 2, "known");
    all.run();
    all.connect(2);
    all.run();
    all.cut(2);
    all.connect(1);
    for n in 0..30 {
        all.write(1, 2, &format!("b{n}"));
    }
    all.write(0, 2, "again");
    all.run();
    all.connect(2);
    all.run();
    let of_b: Vec<_> = all.people[2].texts().into_iter().filter(|t| t.starts_with('b')).collect();
    assert_eq!(of_b, texts("b", 30));
    assert!(all.people[2].texts().contains(&"again"));
}

#[test]
fn a_letter_that_is_refused_for_now_is_not_overtaken() {
    let mailbox = MailboxLimits { pair_letters: 2, ..MailboxLimits::default() };
    let mut all = Population::with(Config { mailbox, ..Config::default() }, 2);
    for n in 0..4 {
        all.write(0, 1, &format!("{n}"));
    }
    all.connect(0);
    all.run();
    let states = |all: &Population| -> Vec<State> {
        all.people[0].profile.stored.outbox.iter().map(|letter| letter.state).collect()
    };
    use State::{Answered, Waiting};
    assert_eq!(states(&all), [Answered, Answered, Waiting, Waiting]);
    let not_before = all.people[0].profile.stored.outbox[2].not_before;
    assert!((15..=300).contains(&not_before.minus(all.world.now.unix)));
    all.connect(1);
    all.run();
    all.pass(Duration::from_secs(301));
    assert_eq!(all.people[1].texts(), texts("", 4));
}

#[test]
fn a_letter_to_nobody_is_given_up_and_those_behind_it_too() {
    let mut all = Population::of(2);
    all.write(0, 1, "to somebody");
    let nobody = Phone::parse(b"+4915199999999").unwrap();
    for uid in [100, 101] {
        let uid = waxwing_core::id::Uid([uid; 16]);
        all.people[0].profile.stored.write(uid, nobody, "to nobody");
    }
    all.connect_all();
    all.run();
    let outbox = &all.people[0].profile.stored.outbox;
    assert_eq!(outbox[0].state, State::Answered);
    assert!(outbox[1..].iter().all(|one| matches!(one.state, State::Refused(_))), "{outbox:?}");
    assert_eq!(all.people[1].texts(), ["to somebody"]);
}

#[test]
fn a_letter_to_an_id_that_is_gone_goes_to_the_new_one_at_once() {
    let mut all = Population::of(2);
    all.write(0, 1, "before");
    all.connect_all();
    all.run();
    let id = all.people[0].profile.stored.contacts[0].user;
    all.people[0].profile.stored.contacts[0].user = UserId::new(99);
    // A question is asked once on a connection.
    all.cut(0);
    all.connect(0);
    all.write(0, 1, "after");
    all.run();
    assert_eq!(all.people[1].texts(), ["before", "after"]);
    let stored = &all.people[0].profile.stored;
    assert_eq!(stored.contacts[0].user, id);
    let unknown = Reason::SentAgain(ErrorCode::UnknownRecipient.code());
    assert_eq!(stored.outbox[1].put_off, Some(unknown));
    assert_eq!(stored.outbox[1].packets.len(), 2);
}

#[test]
fn a_letter_to_an_id_that_is_gone_is_refused_when_the_server_was_asked_already() {
    let mut all = Population::of(2);
    all.write(0, 1, "before");
    all.connect_all();
    all.run();
    all.people[0].profile.stored.contacts[0].user = UserId::new(99);
    all.write(0, 1, "after");
    all.run();
    let refused = State::Refused(Reason::Code(ErrorCode::UnknownRecipient.code()));
    assert_eq!(all.people[0].profile.stored.outbox[1].state, refused);
}

#[test]
fn somebody_who_has_left_many_letters_is_asked_about_once() {
    let mut all = Population::of(2);
    for n in 0..40 {
        all.write(0, 1, &format!("{n}"));
    }
    all.connect(0);
    all.run();
    all.connect(1);
    let conn = all.connection(1);
    let mut questions = 0;
    while all.people[1].texts().len() < 40 {
        let bytes = act_apart(&mut all, 1);
        questions += count_of(Op::KeyQuestion, bytes.clone());
        all.world.send(conn, &bytes);
        all.world.wait(Duration::from_millis(100));
    }
    assert_eq!(questions, 1);
}

#[test]
fn a_letter_that_was_refused_goes_out_in_a_later_session_if_the_profile_names_it_again() {
    let mut all = Population::of(1);
    let newcomer = newcomer(&mut all);
    all.write(0, newcomer, "to somebody who is not there yet");
    all.connect(0);
    all.run();
    let refused = State::Refused(Reason::Code(ErrorCode::UnknownUser.code()));
    assert_eq!(all.people[0].profile.stored.outbox[0].state, refused);
    prove_phone(&mut all, newcomer);
    all.run();
    all.people[0].profile.stored.outbox[0].state = State::Waiting;
    all.cut(0);
    all.connect(0);
    all.run();
    assert_eq!(all.people[newcomer].texts(), ["to somebody who is not there yet"]);
}

#[test]
fn the_turn_that_finds_a_letter_asks_for_the_key_that_it_needs() {
    let mut all = Population::of(2);
    all.connect_all();
    all.run();
    all.write(0, 1, "hello");
    assert!(all.step(0));
    assert!(all.ask(0, |client, _| client.is_asking_for_key()));
}

#[test]
fn a_letter_given_up_by_another_process_is_not_sent() {
    let mut all = Population::of(2);
    all.connect_all();
    all.run();
    let row = all.write(0, 1, "no");
    all.write(0, 1, "yes");
    all.step(0);
    // The question about the key is open; meanwhile the first one is given up.
    let outbox = &mut all.people[0].profile.stored.outbox;
    outbox.retain(|letter| letter.row != row);
    all.run();
    assert_eq!(all.people[1].texts(), ["yes"]);
}

#[test]
fn an_account_that_is_refused_three_times_gives_up() {
    let mut all = Population::of(2);
    // Somebody else's key: the server takes no signature of it.
    all.people[0].keys.own = all.people[1].keys.own;
    all.people[0].restart();
    for attempt in 1..=3 {
        all.connect(0);
        all.run();
        assert!(!all.people[0].is_connected());
        let end = all.ends[0].last().unwrap().over();
        let expected = if attempt < 3 { Advice::Again } else { Advice::GiveUp };
        assert_eq!(end.advice, expected);
        assert!(matches!(end.cause, Cause::Ended(_)));
    }
}

#[test]
fn a_session_taken_over_is_not_fought_for() {
    let mut all = Population::of(1);
    let twin = Population::of(1).people.remove(0);
    all.add(twin.phone, twin.keys.own.clone(), twin.profile.stored.user);
    all.connect_all();
    all.run();
    let end = all.ends[0][0].over();
    assert_eq!(end.advice, Advice::GiveUp);
    assert!(all.people[1].is_connected());
}

/// Connects with a code of six times this digit, under this name of an attempt: what comes of it.
fn advice_about_code(all: &mut Population, who: usize, digit: u8, reply_key: &ReplyKey) -> Advice {
    let phone = all.people[who].phone;
    let code = Otp::parse(&[digit; Otp::LEN]).unwrap();
    all.connect(who);
    all.ask(who, |client, env| client.prove_otp(env, &phone, reply_key, &code).unwrap());
    all.run();
    all.ends[who].last().unwrap().over().advice
}

#[test]
fn a_code_that_is_refused_is_not_proved_again() {
    let mut all = Population::of(1);
    let newcomer = newcomer(&mut all);
    let (phone, reply_key) = (all.people[newcomer].phone, ReplyKey::from_bytes(&[5; 32]));
    all.connect(newcomer);
    all.ask(newcomer, |client, env| client.request_otp(env, &phone, &reply_key).unwrap());
    all.run();
    let right = *all.people[newcomer].profile.code.take().expect("a code in band").expose();
    let wrong = (b'0'..=b'9').find(|digit| right != [*digit; Otp::LEN]).unwrap();
    all.cut(newcomer);
    let attempts = Config::default().otp_attempts;
    for _ in 0..attempts {
        let advice = advice_about_code(&mut all, newcomer, wrong, &reply_key);
        assert_eq!(advice, Advice::AskForCode);
    }
    // Its attempts are spent; and there never was one for another name.
    for reply_key in [reply_key, ReplyKey::from_bytes(&[6; 32])] {
        let advice = advice_about_code(&mut all, newcomer, wrong, &reply_key);
        assert_eq!(advice, Advice::RequestCode);
    }
}

/// A population whose first one knows all others' keys, and whose server answers nothing any more.
fn silent_population(count: usize) -> Population {
    let mut all = Population::of(count);
    all.connect(0);
    for to in 1..count {
        all.write(0, to, "hello");
    }
    all.run();
    all.world.disk.held = true;
    all
}

fn count_sent(all: &Population) -> usize {
    let outbox = &all.people[0].profile.stored.outbox;
    outbox.iter().filter(|letter| letter.state == State::Sent).count()
}

#[test]
fn one_large_letter_is_on_its_way_and_short_ones_pass() {
    let mut all = silent_population(5);
    let large = "x".repeat(20_000);
    let rows = [(1, &*large), (2, &*large), (3, "short"), (4, "short")];
    let rows = rows.map(|(to, text)| all.write(0, to, text));
    all.run();
    let state = |row| {
        let outbox = &all.people[0].profile.stored.outbox;
        outbox.iter().find(|letter| letter.row == row).unwrap().state
    };
    assert_eq!(rows.map(state), [State::Sent, State::Waiting, State::Sent, State::Sent]);
}

#[test]
fn short_letters_leave_room_for_a_large_one() {
    let mut all = silent_population(67);
    for to in 1..66 {
        all.write(0, to, "short");
    }
    all.run();
    assert_eq!(count_sent(&all), 63);
    all.write(0, 66, &"x".repeat(20_000));
    all.run();
    assert_eq!(count_sent(&all), 64);
}

#[test]
fn a_conversation_has_one_letter_on_its_way() {
    let mut all = silent_population(3);
    for to in [1, 1, 2] {
        all.write(0, to, "again");
    }
    all.run();
    assert_eq!(count_sent(&all), 2);
}

#[test]
fn a_letter_without_an_answer_ends_the_connection_after_six_minutes_and_goes_out_again() {
    let mut all = silent_population(2);
    let row = all.write(0, 1, "unanswered");
    all.run();
    all.pass(Duration::from_secs(340));
    assert!(all.people[0].is_connected(), "{:?}", all.ends[0]);
    all.pass(Duration::from_secs(20));
    assert_eq!(all.ends[0].last().unwrap().over().cause, Cause::Unanswered);
    all.world.disk.held = false;
    all.connect(0);
    all.run();
    let letter = all.people[0].profile.stored.outbox.last().unwrap();
    assert_eq!((letter.row, letter.state), (row, State::Answered));
}

#[test]
fn letters_to_several_people_go_out_with_one_commit() {
    let mut all = silent_population(12);
    all.world.disk.held = false;
    let before = all.people[0].profile.commits;
    for to in 1..12 {
        all.write(0, to, "hello again");
    }
    all.step(0);
    assert_eq!(count_sent(&all), 11);
    assert_eq!(all.people[0].profile.commits, before + 1);
    all.run();
    assert_eq!(count_sent(&all), 0);
}

#[test]
fn a_letter_that_is_gone_when_it_is_sealed_is_thrown_away_and_those_beside_it_go_out() {
    let mut all = silent_population(4);
    all.world.disk.held = false;
    all.connect(1);
    all.connect(2);
    all.connect(3);
    let rows = [1, 2, 3].map(|to| all.write(0, to, "second"));
    all.people[0].profile.gone_when_sealed = Some(rows[1]);
    all.run();
    for (who, expected) in
        [(1, &["hello", "second"][..]), (2, &["hello"]), (3, &["hello", "second"])]
    {
        assert_eq!(all.people[who].texts(), expected);
    }
}

#[test]
fn a_letter_without_an_answer_goes_out_again_as_the_same_packet() {
    let mut all = silent_population(4);
    let rows = [3, 1, 2].map(|to| all.write(0, to, "second"));
    let due = |all: &mut Population, which: &[Row], at: UnixTime| {
        let outbox = all.people[0].profile.stored.outbox.iter_mut();
        outbox.filter(|letter| which.contains(&letter.row)).for_each(|one| one.not_before = at);
    };
    let later = all.world.now.unix.shifted(3_600);
    // The first of them waits until the others have gone out.
    due(&mut all, &rows[..1], later);
    all.run();
    assert_eq!(count_sent(&all), 2);
    all.kill(0);
    due(&mut all, &rows, later);
    all.connect(0);
    all.run();
    // All of them are due when nothing has come that would cause another turn.
    let now = all.world.now.unix;
    due(&mut all, &rows, now);
    all.run();
    assert_eq!(count_sent(&all), 3);
    all.world.release();
    (1..4).for_each(|who| all.connect(who));
    all.run();
    for letter in &all.people[0].profile.stored.outbox {
        assert_eq!((letter.state, letter.packets.len()), (State::Answered, 1), "{}", letter.text);
    }
    assert!((1..4).all(|who| all.people[who].texts() == ["hello", "second"]));
}

#[test]
fn a_letter_goes_out_again_as_the_same_packet_up_to_a_minute_before_it_is_too_old() {
    for (age, packets) in [(239, 1), (240, 2)] {
        let mut all = silent_population(2);
        all.write(0, 1, "second");
        all.run();
        all.kill(0);
        let (_, signed_at) = *all.people[0].profile.stored.outbox[1].packet.as_ref().unwrap();
        let passed = all.world.now.unix.minus(signed_at);
        all.world.wait_s(u64::try_from(age - passed).unwrap());
        all.connect(0);
        let conn = all.connection(0);
        for _ in 0..4 {
            let bytes = act_apart(&mut all, 0);
            all.world.send(conn, &bytes);
        }
        assert_eq!(all.people[0].profile.stored.outbox[1].packets.len(), packets);
        assert_eq!(count_sent(&all), 1);
    }
}

#[test]
fn a_letter_that_comes_too_late_is_signed_anew_three_times() {
    let mut all = Population::of(2);
    all.write(0, 1, "known");
    all.connect(0);
    all.run();
    all.write(0, 1, "slow");
    let stale = ErrorCode::StaleTimestamp.code();
    for attempt in 1..=4 {
        let letter = act_apart(&mut all, 0);
        let written = &all.people[0].profile.stored.outbox[1];
        assert_eq!((written.state, written.packets.len()), (State::Sent, attempt));
        assert_eq!(written.put_off, (attempt > 1).then_some(Reason::SentAgain(stale)));
        // It is on its way for longer than a packet may be.
        all.world.wait_s(301);
        let conn = all.connection(0);
        all.world.send(conn, &letter);
    }
    all.run();
    let written = &all.people[0].profile.stored.outbox[1];
    assert_eq!((written.state, written.packets.len()), (State::Refused(Reason::Code(stale)), 4));
}

#[test]
fn a_session_that_is_refused_in_the_middle_is_no_refusal_of_the_account() {
    let mut all = Population::of(2);
    all.write(1, 0, "to be counted");
    all.connect(1);
    all.run();
    all.cut(1);
    all.world.crash();
    // No session hears how much is in the mailbox.
    all.world.disk.held = true;
    for _ in 0..3 {
        all.connect(0);
        let conn = all.connection(0);
        for _ in 0..3 {
            let bytes = act_apart(&mut all, 0);
            all.world.send(conn, &bytes);
        }
        assert!(all.ask(0, |client, _| client.is_in_session()));
        let me = all.people[0].profile.stored.user.unwrap().get();
        let forged = packets::unsigned(me, 2, all.world.now.unix, Op::Letter.code(), &[7; 300]);
        all.world.send(conn, &packets::zero_signed(forged));
        all.run();
        let end = all.ends[0].last().unwrap().over();
        let Cause::Ended(Ended::Refused(refusal)) = end.cause else { panic!("{end:?}") };
        assert_eq!(refusal.code, Some(ErrorCode::BadSignature));
        assert_eq!(end.advice, Advice::Again);
    }
}

#[test]
fn a_letter_does_not_pass_another_one_of_its_sender_that_waits_aside() {
    let mut all = Population::of(2);
    all.connect(0);
    all.write(0, 1, "first");
    all.run();
    all.connect(1);
    for _ in 0..100 {
        all.step(1);
        if all.ask(1, |client, _| client.is_in_session()) {
            break;
        }
    }
    // The first letter comes next. The second one asks about the phone first, and then about the id.
    let phone = all.people[0].phone;
    all.people[1].messenger.want_key(&phone);
    for _ in 0..100 {
        all.step(1);
        if !all.people[1].profile.stored.contacts.is_empty() {
            break;
        }
    }
    assert!(all.people[1].texts().is_empty() && !all.people[1].messenger.has_backlog());
    all.write(0, 1, "second");
    for _ in 0..20 {
        all.step(0);
    }
    all.run();
    assert_eq!(all.people[1].texts(), ["first", "second"]);
}

#[test]
fn somebody_online_acknowledges_a_letter_at_once() {
    let mut all = Population::of(2);
    all.write(0, 1, "hello");
    all.connect_all();
    all.run();
    let row = all.write(0, 1, "again");
    let begun = all.world.now.instant;
    for _ in 0..50 {
        all.step(0);
        all.step(1);
    }
    assert!(all.world.now.instant.since(begun) < Duration::from_millis(500));
    let letter = all.people[0].profile.stored.outbox.iter().find(|one| one.row == row).unwrap();
    assert_eq!(letter.status, Status::Delivered);
}

#[test]
fn a_letter_that_comes_after_the_backlog_is_acknowledged_in_the_turn_that_stores_it() {
    let mut all = Population::of(2);
    all.write(0, 1, "hello");
    all.connect_all();
    all.run();
    all.write(0, 1, "again");
    for _ in 0..100 {
        all.step(0);
        all.step(1);
        if all.people[1].texts().len() == 2 && !all.people[1].profile.is_open() {
            break;
        }
    }
    assert_eq!(all.people[1].texts(), ["hello", "again"]);
    // Nothing is collected, to go out when another second has passed.
    let now = all.world.now.instant;
    let due = all.people[1].client().unwrap().poll_timeout();
    assert!(due.is_none_or(|at| at.since(now) > Duration::from_secs(5)), "{due:?} {now:?}");
}

#[test]
fn refusals_count_only_in_a_row() {
    let mut all = Population::of(2);
    let (own, wrong) = (all.people[0].keys.own, all.people[1].keys.own);
    for key in [wrong, wrong, own, wrong, wrong] {
        all.people[0].keys.own = key;
        all.connect(0);
        all.run();
        all.cut(0);
    }
    let of_messenger = all.ends[0].iter().filter(|end| **end != End::Stream);
    let ends: Vec<_> = of_messenger.map(|end| end.over().advice).collect();
    assert_eq!(ends, [Advice::Again; 4]);
}

#[test]
fn a_new_id_is_durable_before_the_server_hears_that_it_came() {
    let mut all = Population::of(2);
    let nobody = newcomer(&mut all);
    prove_phone(&mut all, nobody);
    for _ in 0..50 {
        all.step(nobody);
        // The confirmation goes out with the next move of bytes.
        assert!(
            all.people[nobody].profile.stored.user.is_none()
                || !all.people[nobody].profile.is_open()
        );
    }
    assert!(all.people[nobody].profile.stored.user.is_some());
    all.write(nobody, 1, "from somebody new");
    all.connect(1);
    all.run();
    assert_eq!(all.people[1].texts(), ["from somebody new"]);
}

#[test]
fn a_question_about_letters_that_came_too_early_is_asked_again() {
    let mut config = Config::default();
    config.rates.status_queries = Rate::new(1, Duration::from_secs(5));
    let mut all = Population::with(config, 2);
    // More than fit in one question.
    for n in 0..70 {
        all.write(0, 1, &format!("{n}"));
    }
    all.connect(0);
    all.run();
    all.cut(0);
    all.connect(1);
    all.run();
    all.pass(Duration::from_secs(2));
    all.connect(0);
    for _ in 0..10 {
        all.pass(Duration::from_secs(1));
    }
    let person = &mut all.people[0];
    let outbox = &person.profile.stored.outbox;
    assert!(outbox.iter().all(|one| one.status == Status::Delivered));
    assert!(person.messenger.is_settled(&mut person.profile, all.world.now.unix).unwrap());
}

#[test]
fn one_question_about_letters_is_open_at_a_time_and_none_before_the_backlog_has_come() {
    let mut all = Population::of(2);
    // More than fit in one question.
    for n in 0..70 {
        all.write(0, 1, &format!("{n}"));
    }
    all.connect(0);
    all.run();
    all.cut(0);
    all.connect(0);
    let conn = all.connection(0);
    let request = act_apart(&mut all, 0);
    all.world.send(conn, &request);
    let confirmation = act_apart(&mut all, 0);
    assert!(all.ask(0, |client, _| client.is_in_session()));
    assert_eq!(count_of(Op::Acknowledgment, confirmation.clone()), 1);
    all.world.send(conn, &confirmation);
    all.world.disk.mute = true;
    for expected in [1, 0, 0] {
        let question = act_apart(&mut all, 0);
        assert_eq!(count_of(Op::Acknowledgment, question.clone()), expected);
        all.world.send(conn, &question);
        all.world.wait_s(2);
    }
    all.world.release();
    let next = act_apart(&mut all, 0);
    assert_eq!(count_of(Op::Acknowledgment, next), 1);
}

#[test]
fn a_question_about_letters_that_storage_cannot_answer_is_left_to_the_next_session() {
    let mut all = Population::of(2);
    all.write(0, 1, "stored");
    all.connect(0);
    all.run();
    all.cut(0);
    all.world.disk.refuses_questions = true;
    all.connect(0);
    let mut said = 0;
    for _ in 0..8 {
        let bytes = act_apart(&mut all, 0);
        said += count_of(Op::Acknowledgment, bytes.clone());
        let conn = all.connection(0);
        all.world.send(conn, &bytes);
        all.world.wait_s(1);
    }
    assert_eq!(said, 2, "the confirmation, and one question");
    let person = &mut all.people[0];
    assert!(person.messenger.is_settled(&mut person.profile, all.world.now.unix).unwrap());
    all.world.disk.refuses_questions = false;
    all.cut(0);
    all.connect(1);
    all.run();
    all.connect(0);
    all.run();
    assert_eq!(all.people[0].profile.stored.outbox[0].status, Status::Delivered);
}

#[test]
fn a_step_ends_after_fifty_milliseconds_however_much_there_is_to_read() {
    let mut all = Population::of(2);
    all.write(0, 1, "known");
    all.connect_all();
    all.run();
    all.cut(1);
    for n in 0..10 {
        all.write(0, 1, &format!("{n}"));
    }
    all.run();
    all.connect(1);
    while all.people[1].profile.letters_in_step < 3 {
        all.step(1);
    }
    assert!(all.people[1].profile.is_open());
    all.world.wait(Duration::from_millis(60));
    all.step(1);
    // Whoever else has something to store need not wait for the rest.
    assert!(!all.people[1].profile.is_open());
    assert_eq!(all.people[1].profile.letters_in_step, 4);
    all.run();
    assert_eq!(all.people[1].texts()[1..], texts("", 10));
}

#[test]
fn nothing_is_settled_before_it_is_known_what_became_of_every_letter() {
    let mut all = Population::of(2);
    for text in ["one", "two"] {
        all.write(0, 1, text);
    }
    let settles_with = |all: &mut Population, expected: Status| {
        all.connect(0);
        for _ in 0..100 {
            all.step(0);
            all.world.wait(Duration::from_millis(20));
            let person = &mut all.people[0];
            let now = all.world.now.unix;
            if person.messenger.is_settled(&mut person.profile, now).unwrap() {
                let outbox = &person.profile.stored.outbox;
                assert!(outbox.iter().all(|one| one.status == expected), "{outbox:?}");
                return;
            }
        }
        panic!("it never settles");
    };
    settles_with(&mut all, Status::Stored);
    all.cut(0);
    all.connect(1);
    all.run();
    all.cut(1);
    settles_with(&mut all, Status::Delivered);
}

#[test]
fn a_letter_that_is_refused_again_and_again_waits_longer_each_time() {
    let mailbox = MailboxLimits { pair_letters: 1, ..MailboxLimits::default() };
    let mut all = Population::with(Config { mailbox, ..Config::default() }, 3);
    all.write(0, 1, "stored");
    all.write(0, 1, "refused");
    all.connect(0);
    all.connect(2);
    all.run();
    let mut pauses = Vec::new();
    let mut before = None;
    while pauses.len() < 6 {
        let not_before = all.people[0].profile.stored.outbox[1].not_before;
        if before.replace(not_before) != Some(not_before) {
            pauses.push(not_before.minus(all.world.now.unix));
            // What becomes of letters to others changes nothing.
            all.write(0, 2, "answered at once");
        }
        all.pass(Duration::from_secs(1));
    }
    assert!(pauses[0] <= 30 && pauses[4] > 100, "{pauses:?}");
}
