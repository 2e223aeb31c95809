//! What one session alone is told, each at the price of a signature: it waits its turn.

use std::time::Duration;

use waxwing_core::server::{Config, ConnId, Rate, Server, ShardId};
use waxwing_core::wire::{CloseReason, ErrorCode, KeyQuestion, Status};

use waxwing_testkit::backend::Paper;
use waxwing_testkit::packets::id_of;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::Sim;

type World = Sim<Paper>;

/// One machine, and so many people who are online.
fn online(config: Config, count: usize) -> (World, Vec<Person<Paper>>) {
    let (mut world, mut people) = World::populate_shards(config, 7, count, 1);
    people.iter_mut().for_each(|person| person.come_to_nothing(&mut world));
    (world, people)
}

/// Answers at any pace: what is left is the share of the turn.
fn at_any_pace() -> Config {
    let mut config = Config::default();
    config.rates.answers = Rate::new(1_000_000, Duration::from_secs(1));
    config
}

/// So many questions of each about themselves.
fn questions(
    world: &mut World,
    people: &mut [Person<Paper>],
    count: usize,
) -> Vec<(ConnId, Vec<u8>)> {
    let mut questions = Vec::new();
    for person in people {
        for _ in 0..count {
            let about_oneself = KeyQuestion::ById(person.id());
            questions.push((person.conn, person.question(world, about_oneself)));
        }
    }
    questions
}

/// How many answers have come, and nothing else.
fn answers(world: &mut World, people: &mut [Person<Paper>]) -> Vec<usize> {
    let count = |person: &mut Person<Paper>| {
        let said = person.hear(world);
        assert!(said.iter().all(|said| matches!(said, Said::Key(_))), "{said:?}");
        said.len()
    };
    people.iter_mut().map(count).collect()
}

/// A turn in which nothing new has come.
fn quiet_turn(world: &mut World) {
    world.turn(ShardId::REGISTRAR, Server::timeout);
}

#[test]
fn a_session_has_twenty_answers_a_second_and_what_it_asks_beyond_waits() {
    let (mut world, mut people) = online(Config::default(), 1);
    let asked = questions(&mut world, &mut people, 100);
    world.send_all(&asked);
    assert_eq!(answers(&mut world, &mut people), [20]);
    for second in 1..=4 {
        world.wait_s(1);
        assert_eq!(answers(&mut world, &mut people), [20], "in second {second}");
    }
    // The next session goes by the same pace.
    let asked = questions(&mut world, &mut people, 100);
    world.send_all(&asked);
    assert!(answers(&mut world, &mut people)[0] <= 1);
    world.wait_s(10);
    assert!(answers(&mut world, &mut people)[0] >= 99);
}

#[test]
fn who_asks_without_end_is_not_read_while_the_answers_wait() {
    let (mut world, mut people) = online(Config::default(), 1);
    let asked = questions(&mut world, &mut people, 129);
    world.send_all(&asked[..128]);
    assert!(world.is_read(people[0].conn), "twenty have been answered");
    world.send_all(&asked[128..]);
    let asked = questions(&mut world, &mut people, 100);
    world.send_all(&asked);
    assert!(!world.is_read(people[0].conn));
    world.wait_s(20);
    assert_eq!(answers(&mut world, &mut people), [229]);
    assert!(world.is_read(people[0].conn));
}

#[test]
fn in_a_turn_answers_cost_what_letters_had_cost() {
    let (mut world, mut people) = online(at_any_pace(), 4);
    let asked = questions(&mut world, &mut people[2..], 120);
    world.deliver(&asked);
    answers(&mut world, &mut people[2..]);
    for (count, answered) in [(1, 1), (16, 1), (17, 2), (64, 4)] {
        let [ann, ben, ..] = &mut people[..] else { panic!() };
        let letters: Vec<_> = (0..count)
            .map(|number: u8| (ann.conn, ann.letter(&mut world, ben.id(), &[number, count])))
            .collect();
        world.deliver(&letters);
        assert_eq!(ben.hear_letters(&mut world).len(), letters.len(), "no letter waits");
        let had: usize = answers(&mut world, &mut people[2..]).iter().sum();
        assert_eq!(had, answered, "{count} letters");
    }
}

#[test]
fn who_asks_once_has_the_answer_among_the_first() {
    let (mut world, mut people) = online(at_any_pace(), 7);
    let asked = questions(&mut world, &mut people[1..], 100);
    world.deliver(&asked);
    answers(&mut world, &mut people);
    let asked = questions(&mut world, &mut people[..1], 1);
    world.deliver(&asked);
    let mut turns = 0;
    while answers(&mut world, &mut people[..1]) != [1] {
        quiet_turn(&mut world);
        turns += 1;
        assert!(turns <= people.len(), "others had all of theirs before");
    }
}

#[test]
fn a_refusal_that_ends_the_session_comes_after_what_waits() {
    let (mut world, mut people) = online(Config::default(), 1);
    let ann = &mut people[0];
    let mut asked = questions(&mut world, std::slice::from_mut(ann), 40);
    asked.push((ann.conn, ann.sealed(&mut world, waxwing_core::wire::Op::KeyQuestion, b"what")));
    asked.extend(questions(&mut world, std::slice::from_mut(ann), 1));
    world.send_all(&asked);
    assert!(!ann.is_closed(&world));
    world.wait_s(2);
    let said = ann.hear(&mut world);
    let (last, before) = said.split_last().unwrap();
    assert_eq!((last.code(), before.len()), (Some(ErrorCode::Malformed), 40));
    assert!(ann.is_closed(&world), "and nothing after it");
}

#[test]
fn whoever_leaves_has_all_answers_before() {
    let (mut world, mut people) = online(Config::default(), 2);
    let asked = questions(&mut world, &mut people[..1], 50);
    world.send_all(&asked);
    let [ann, ben] = &mut people[..] else { panic!() };
    let letter = ann.send(&mut world, ben.id(), b"the last");
    let leave = ann.sealed(&mut world, waxwing_core::wire::Op::Close, &[1]);
    world.send(ann.conn, &leave);
    world.wait_s(3);
    let said = ann.hear(&mut world);
    assert_eq!(said.iter().filter(|said| matches!(said, Said::Key(_))).count(), 50);
    assert!(said.contains(&Said::Fate(id_of(&letter), Status::Stored)));
    assert_eq!(said.last(), Some(&Said::Closed(CloseReason::Leaving)));
}
