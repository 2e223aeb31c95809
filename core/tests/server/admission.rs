//! Many newcomers at once: whoever has a session does not wait until all of them are in.

use std::time::Duration;

use waxwing_core::id::Nonce;
use waxwing_core::server::{Config, ConnId, Event, OtpOutcome, Server, ShardId};
use waxwing_core::wire::{ErrorCode, Op};

use waxwing_testkit::backend::Paper;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::Sim;

type World = Sim<Paper>;

const OFFERED: Said = Said::SessionOffered(Op::SessionRenewed);

/// One machine, two people with sessions, and so many without.
fn two_and_newcomers(count: usize) -> (World, [Person<Paper>; 2], Vec<Person<Paper>>) {
    two_and_newcomers_of(Config::default(), count)
}

fn two_and_newcomers_of(
    config: Config,
    count: usize,
) -> (World, [Person<Paper>; 2], Vec<Person<Paper>>) {
    let (mut world, mut two) = World::populate_shards(config, 7, count + 2, 1);
    let newcomers = two.split_off(2);
    two.iter_mut().for_each(|person| person.come_to_nothing(&mut world));
    (world, two.try_into().ok().unwrap(), newcomers)
}

/// A 106 of each, on connections that are open.
fn requests(world: &mut World, newcomers: &mut [Person<Paper>]) -> Vec<(ConnId, Vec<u8>)> {
    let request = |person: &mut Person<Paper>| {
        person.conn = world.connect();
        (person.conn, person.long(world))
    };
    newcomers.iter_mut().map(request).collect()
}

/// So many letters from the first of them to the second.
fn letters(
    world: &mut World,
    [ann, ben]: &mut [Person<Paper>; 2],
    count: usize,
) -> Vec<(ConnId, Vec<u8>)> {
    let letter = |_| {
        // Two letters that say the same within a second would be one.
        let text = Nonce::generate(&mut world.rng).0;
        (ann.conn, ann.letter(world, ben.id(), &text))
    };
    (0..count).map(letter).collect()
}

/// All newcomers ask for a session in a turn in which so many letters come.
fn rush(
    world: &mut World,
    two: &mut [Person<Paper>; 2],
    newcomers: &mut [Person<Paper>],
    letter_count: usize,
) {
    let mut inputs = requests(world, newcomers);
    inputs.extend(letters(world, two, letter_count));
    world.deliver(&inputs);
}

/// Who has been offered a session since the last look, by their places among the newcomers.
fn offered(world: &mut World, newcomers: &mut [Person<Paper>]) -> Vec<usize> {
    let mut places = Vec::new();
    for (place, person) in newcomers.iter_mut().enumerate() {
        match person.hear(world)[..] {
            [] => {}
            [OFFERED] => places.push(place),
            ref other => panic!("{other:?}"),
        }
    }
    places
}

/// A turn in which nothing new has come.
fn quiet_turn(world: &mut World) {
    world.turn(ShardId::REGISTRAR, Server::timeout);
}

#[test]
fn newcomers_are_let_in_one_by_one_while_sessions_speak() {
    let (mut world, mut two, mut newcomers) = two_and_newcomers(100);
    rush(&mut world, &mut two, &mut newcomers, 1);
    assert_eq!(two[1].hear_letters(&mut world).len(), 1, "the letter does not wait");
    assert_eq!(offered(&mut world, &mut newcomers), [0]);
    for next in 1..10 {
        let letter = letters(&mut world, &mut two, 1);
        world.deliver(&letter);
        assert_eq!(two[1].hear_letters(&mut world).len(), 1);
        assert_eq!(offered(&mut world, &mut newcomers), [next]);
    }
}

#[test]
fn newcomers_are_let_in_as_they_came_without_anything_else_happening() {
    let (mut world, _, mut newcomers) = two_and_newcomers(100);
    let inputs = requests(&mut world, &mut newcomers);
    world.deliver(&inputs);
    let mut places = offered(&mut world, &mut newcomers);
    assert!((2..=16).contains(&places.len()), "{} in a turn", places.len());
    while places.len() < newcomers.len() {
        quiet_turn(&mut world);
        let next = offered(&mut world, &mut newcomers);
        assert!((1..=16).contains(&next.len()), "{} in a turn", next.len());
        places.extend(next);
    }
    assert!(places.is_sorted());
}

#[test]
fn whoever_waits_in_line_has_the_machine_woken() {
    for shards in [1, 3] {
        let (mut world, mut newcomers) = World::populate_shards(Config::default(), 7, 100, shards);
        let inputs = requests(&mut world, &mut newcomers);
        world.send_all(&inputs);
        assert_eq!(offered(&mut world, &mut newcomers).len(), newcomers.len(), "{shards} shards");
    }
}

#[test]
fn whoever_has_waited_for_ten_seconds_is_told_that_the_server_is_busy() {
    let (mut world, mut two, mut newcomers) = two_and_newcomers(20);
    rush(&mut world, &mut two, &mut newcomers, 1);
    world.now.instant = world.now.instant.after(Duration::from_secs(10));
    world.settle();
    assert_eq!(newcomers[0].hear(&mut world), [OFFERED]);
    for person in &mut newcomers[1..] {
        assert_eq!(person.hear_refusals(&mut world), [ErrorCode::Busy]);
        assert!(person.is_closed(&world));
    }
}

#[test]
fn behind_so_many_others_the_server_is_busy_at_once() {
    let (mut world, _, mut newcomers) = two_and_newcomers(1);
    let (_, request) = requests(&mut world, &mut newcomers).remove(0);
    let knock = |world: &mut World| (world.connect(), request.clone());
    let inputs: Vec<_> = (0..16_384).map(|_| knock(&mut world)).collect();
    let (late, request) = knock(&mut world);
    world.turn(ShardId::REGISTRAR, |server, env| {
        inputs.iter().for_each(|(conn, bytes)| server.received(env, *conn, bytes));
        server.received(env, late, &request);
    });
    assert!(world.is_closed(late));
    let refused = Event::Refused { conn: late, code: ErrorCode::Busy };
    assert!(world.events.contains(&refused));
    let (last, _) = inputs.last().unwrap();
    assert!(!world.is_closed(*last));
}

#[test]
fn nobody_leaves_more_than_another_packet_in_line() {
    for (unread, is_refused) in [(2 * 1_024, false), (2 * 1_024 + 1, true)] {
        let (mut world, mut two, mut newcomers) = two_and_newcomers(2);
        let mut inputs = requests(&mut world, &mut newcomers);
        inputs.extend(letters(&mut world, &mut two, 1));
        let (_, last) = &mut inputs[1];
        // Of the same packet once more, and so on: what stands there is not looked at.
        *last = last.iter().copied().cycle().take(unread).collect();
        world.deliver(&inputs);
        let heard = newcomers[1].hear(&mut world);
        assert_eq!(world.is_closed(newcomers[1].conn), is_refused, "{unread}: {heard:?}");
    }
}

#[test]
fn who_stands_in_line_is_not_the_first_to_go_when_memory_runs_out() {
    let config = Config { half_received_bytes: 99 * 538 + 499, ..Config::default() };
    let (mut world, mut two, mut newcomers) = two_and_newcomers_of(config, 100);
    let slow = world.connect();
    rush(&mut world, &mut two, &mut newcomers, 1);
    let half = newcomers[0].long(&mut world)[..500].to_vec();
    let letter = letters(&mut world, &mut two, 1).remove(0);
    world.deliver(&[(slow, half), letter]);
    assert!(world.is_closed(slow));
    assert!(newcomers.iter().all(|person| !world.is_closed(person.conn)));
}

#[test]
fn newcomers_cost_as_much_as_what_sessions_had_done() {
    let (mut world, mut two, mut newcomers) = two_and_newcomers(100);
    rush(&mut world, &mut two, &mut newcomers, 100);
    // Two private-key operations and a verification each.
    assert_eq!(offered(&mut world, &mut newcomers).len(), 100_usize.div_ceil(33));
    let letter = letters(&mut world, &mut two, 1);
    world.deliver(&letter);
    assert_eq!(offered(&mut world, &mut newcomers).len(), 1, "each turn is counted anew");
}

#[test]
fn sessions_that_are_silent_for_a_moment_may_speak_again() {
    let (mut world, mut two, mut newcomers) = two_and_newcomers(100);
    rush(&mut world, &mut two, &mut newcomers, 1);
    assert_eq!(offered(&mut world, &mut newcomers).len(), 1);
    for (passed_ms, let_in) in [(0, 1), (19, 1), (1, 8), (0, 8)] {
        world.now.instant = world.now.instant.after(Duration::from_millis(passed_ms));
        quiet_turn(&mut world);
        assert_eq!(offered(&mut world, &mut newcomers).len(), let_in, "{passed_ms} ms later");
    }
}

#[test]
fn bad_signatures_hardly_hold_up_the_line() {
    let (mut world, mut two, mut newcomers) = two_and_newcomers(10);
    let mut inputs = requests(&mut world, &mut newcomers);
    let (_, good) = inputs.split_last_mut().unwrap();
    for (_, request) in good {
        *request.last_mut().unwrap() ^= 1;
    }
    // The first one's refusal is signed; all others share it.
    world.deliver(&inputs[..1]);
    assert_eq!(newcomers[0].hear_refusals(&mut world), [ErrorCode::BadSignature]);
    let mut inputs = inputs.split_off(1);
    inputs.extend(letters(&mut world, &mut two, 1));
    world.deliver(&inputs);
    let (last, others) = newcomers[1..].split_last_mut().unwrap();
    for person in others {
        assert_eq!(person.hear_refusals(&mut world), [ErrorCode::BadSignature]);
    }
    assert_eq!(last.hear(&mut world), [OFFERED]);
}

#[test]
fn whoever_has_gone_does_not_hold_up_the_line() {
    let (mut world, mut two, mut newcomers) = two_and_newcomers(100);
    rush(&mut world, &mut two, &mut newcomers, 1);
    let (last, others) = newcomers.split_last_mut().unwrap();
    world.turn(ShardId::REGISTRAR, |server, env| {
        others.iter().for_each(|gone| server.disconnected(env, gone.conn));
    });
    assert_eq!(last.hear(&mut world), [OFFERED]);
}

#[test]
fn nothing_is_signed_for_those_who_hang_up_in_line() {
    let (mut world, mut two, mut newcomers) = two_and_newcomers(100);
    rush(&mut world, &mut two, &mut newcomers, 1);
    let (last, others) = newcomers.split_last_mut().unwrap();
    world.turn(ShardId::REGISTRAR, |server, env| {
        others.iter().for_each(|gone| server.hung_up(env, gone.conn));
    });
    assert_eq!(last.hear(&mut world), [OFFERED]);
    assert_eq!(offered(&mut world, others), [0], "who was let in before the others hung up");
    assert!(others[1..].iter().all(|gone| gone.is_closed(&world)));
    // Whoever has a session may have said something before.
    let [ann, ben] = &mut two;
    let conn = ann.conn;
    world.turn(ShardId::REGISTRAR, |server, env| server.hung_up(env, conn));
    let letter = ann.send(&mut world, ben.id(), b"before I went");
    assert_eq!(ann.hear(&mut world).last(), Some(&Said::stored(&letter)));
}

#[test]
fn nobody_is_read_or_loses_time_in_line() {
    let mut config = Config::default();
    config.deadlines.first_packet = Duration::from_secs(1);
    config.deadlines.packet = Duration::from_secs(1);
    let (mut world, mut two, mut newcomers) = two_and_newcomers_of(config, 100);
    rush(&mut world, &mut two, &mut newcomers, 1);
    let last = newcomers.last().unwrap().conn;
    assert!(!world.is_read(last));
    world.now.instant = world.now.instant.after(Duration::from_secs(9));
    quiet_turn(&mut world);
    assert!(!world.events.contains(&Event::TimedOut { conn: last }));
    assert!(!world.is_closed(last));
    while offered(&mut world, &mut newcomers).last() != Some(&99) {
        quiet_turn(&mut world);
    }
    assert!(world.is_read(last));
}

#[test]
fn a_second_request_stands_in_line_again() {
    let (mut world, mut two, mut newcomers) = two_and_newcomers(2);
    let mut inputs = requests(&mut world, &mut newcomers);
    // No session of theirs is known, so they are told to use the long form, which is there already.
    let first = &mut newcomers[0];
    let key = two[0].seal.as_ref().unwrap().key().clone();
    inputs[0].1 = [first.short_under(&mut world, &key), first.long(&mut world)].concat();
    inputs.extend(letters(&mut world, &mut two, 1));
    world.deliver(&inputs);
    assert_eq!(newcomers[0].hear_refusals(&mut world), [ErrorCode::SessionUnknown]);
    for next in [1, 0] {
        let letter = letters(&mut world, &mut two, 1);
        world.deliver(&letter);
        assert_eq!(offered(&mut world, &mut newcomers), [next]);
    }
}

/// A 101 of each, with the right code, on connections that are open.
fn proofs(world: &mut World, people: &mut [Person<Paper>]) -> Vec<(ConnId, Vec<u8>)> {
    let proof = |person: &mut Person<Paper>| {
        person.conn = world.connect();
        let request = person.request(world);
        world.send(person.conn, &request);
        person.hear(world);
        let code = person.code(world);
        person.conn = world.connect();
        (person.conn, person.proof(world, &code))
    };
    people.iter_mut().map(proof).collect()
}

/// So many turns, in each of which one of them is offered a session.
fn one_by_one(world: &mut World, people: &mut [Person<Paper>], shard: ShardId) {
    for turn in 0..people.len() {
        let heard = people.iter_mut().map(|person| person.hear(world));
        let heard: Vec<_> = heard.flatten().collect();
        assert_eq!(heard, [Said::SessionOffered(Op::SessionIssued)], "turn {turn}");
        world.turn(shard, Server::timeout);
    }
}

/// New users whom storage has taken in one go while a session speaks, as the server has just heard.
fn newcomers_whom_storage_has_taken() -> (World, Vec<Person<Paper>>) {
    let (mut world, mut two, _) = two_and_newcomers(0);
    let mut newcomers: Vec<_> = (2..7).map(Person::new).collect();
    let inputs = proofs(&mut world, &mut newcomers);
    world.disk.held = true;
    world.send_all(&inputs);
    world.disk.held = false;
    while world.disk.has_jobs() {
        world.disk.work();
    }
    let letter = letters(&mut world, &mut two, 1);
    world.deliver(&letter);
    world.tell_news();
    (world, newcomers)
}

#[test]
fn new_users_whom_storage_has_taken_at_once_have_their_sessions_one_by_one() {
    let (mut world, mut newcomers) = newcomers_whom_storage_has_taken();
    one_by_one(&mut world, &mut newcomers, ShardId::REGISTRAR);
}

#[test]
fn nothing_is_signed_for_new_users_who_have_hung_up_when_it_is_their_turn() {
    let (mut world, mut newcomers) = newcomers_whom_storage_has_taken();
    let (last, others) = newcomers.split_last_mut().unwrap();
    world.turn(ShardId::REGISTRAR, |server, env| {
        others.iter().for_each(|gone| server.hung_up(env, gone.conn));
    });
    assert_eq!(last.hear(&mut world), [Said::SessionOffered(Op::SessionIssued)]);
}

#[test]
fn new_users_whom_storage_has_refused_at_once_hear_it_one_by_one() {
    let (mut world, mut two, _) = two_and_newcomers(0);
    let mut newcomers: Vec<_> = (2..7).map(Person::new).collect();
    let inputs = proofs(&mut world, &mut newcomers);
    (world.disk.mute, world.disk.refuses_writes) = (true, true);
    world.send_all(&inputs);
    world.disk.mute = false;
    let letter = letters(&mut world, &mut two, 1);
    world.deliver(&letter);
    world.tell_news();
    for turn in 0..newcomers.len() {
        let heard = newcomers.iter_mut().flat_map(|person| person.hear_refusals(&mut world));
        assert_eq!(heard.collect::<Vec<_>>(), [ErrorCode::StorageUnavailable], "turn {turn}");
        quiet_turn(&mut world);
    }
}

#[test]
fn people_whose_codes_did_not_go_out_hear_it_one_by_one() {
    let (mut world, mut two, _) = two_and_newcomers(0);
    let mut newcomers: Vec<_> = (2..7).map(Person::<Paper>::new).collect();
    world.codes_are_held = true;
    for person in &mut newcomers {
        person.conn = world.connect();
        let request = person.request(&mut world);
        world.send(person.conn, &request);
    }
    let letter = letters(&mut world, &mut two, 1);
    world.deliver(&letter);
    let tickets: Vec<_> = world.codes.iter().map(|(ticket, ..)| *ticket).collect();
    world.turn(ShardId::REGISTRAR, |server, env| {
        tickets.iter().for_each(|ticket| server.otp_ended(env, *ticket, OtpOutcome::Undeliverable));
    });
    for turn in 0..newcomers.len() {
        let heard = newcomers.iter_mut().flat_map(|person| person.hear_refusals(&mut world));
        assert_eq!(heard.collect::<Vec<_>>(), [ErrorCode::Busy], "turn {turn}");
        quiet_turn(&mut world);
    }
}

#[test]
fn people_who_move_in_at_once_have_their_sessions_one_by_one() {
    let (mut world, people) = World::populate_shards(Config::default(), 7, 24, 2);
    let at_home = ShardId(1);
    let mut people: Vec<_> = people.into_iter().filter(|one| one.id().get() % 2 == 1).collect();
    let mut movers = people.split_off(2);
    people.iter_mut().for_each(|person| person.come_to_nothing(&mut world));
    world.transfers_are_held = true;
    let prove = |person: &mut Person<Paper>| {
        person.conn = world.connect();
        let proof = person.proof(&mut world, b"000000");
        world.send(person.conn, &proof);
    };
    movers.iter_mut().for_each(prove);
    let mut two: [Person<Paper>; 2] = people.try_into().ok().unwrap();
    let letter = letters(&mut world, &mut two, 1);
    world.deliver(&letter);
    world.deliver_transfers(0, usize::MAX);
    one_by_one(&mut world, &mut movers, at_home);
}

#[test]
fn a_stop_does_not_wait_for_the_line() {
    let (mut world, _, mut newcomers) = two_and_newcomers(100);
    let inputs = requests(&mut world, &mut newcomers);
    world.deliver(&inputs);
    assert!(offered(&mut world, &mut newcomers).len() < newcomers.len());
    world.turn(ShardId::REGISTRAR, Server::stop);
    world.settle();
    assert!(world.stopped());
    assert!(offered(&mut world, &mut newcomers).is_empty());
    assert!(newcomers.iter().all(|person| person.is_closed(&world)));
}
