//! What many are told at once, and for how long it is held back for that.

use std::time::Duration;

use waxwing_core::server::{Config, ConnId};
use waxwing_core::wire::{CloseReason, Op};

use waxwing_testkit::packets::id_of;
use waxwing_testkit::person::Said;
use waxwing_testkit::world::World;

#[test]
fn one_who_sends_many_in_a_turn_is_told_in_one_packet() {
    let (mut world, [mut ann, ben]) = World::online(Config::default());
    let letters: Vec<_> = (0..9).map(|n| ann.letter(&mut world, ben.id(), &[n])).collect();
    world.send(ann.conn, &letters.concat());
    let bytes = world.packets(ann.conn);
    assert_eq!(bytes.len(), 1);
    assert_ne!(bytes[0][2..4], [0, 0], "to her alone");
}

#[test]
fn many_who_send_one_each_are_told_in_one_packet() {
    let (mut world, mut people) = World::populate_shards(Config::default(), 7, 6, 1);
    people.iter_mut().for_each(|person| person.come_to_nothing(&mut world));
    let [to, senders @ ..] = &mut people[..] else { unreachable!() };
    let letters: Vec<(ConnId, Vec<u8>)> = senders
        .iter_mut()
        .map(|sender| (sender.conn, sender.letter(&mut world, to.id(), b"one")))
        .collect();
    world.send_all(&letters);
    let said: Vec<_> = letters.iter().map(|(conn, _)| world.packets(*conn)).collect();
    assert!(said.iter().all(|packets| packets.len() == 1 && packets == &said[0]));

    let acknowledged: Vec<_> = letters.iter().map(|(_, letter)| id_of(letter)).collect();
    to.acknowledge(&mut world, &acknowledged);
    for (sender, (_, letter)) in senders.iter_mut().zip(&letters) {
        assert_eq!(sender.hear(&mut world), [Said::delivered(letter)]);
    }
}

#[test]
fn many_who_confirm_in_a_turn_share_their_255() {
    let (mut world, mut people) = World::populate_shards(Config::default(), 7, 5, 1);
    let confirmations: Vec<_> = people
        .iter_mut()
        .map(|person| {
            person.knock(&mut world);
            (person.conn, person.confirmation(&mut world, 8))
        })
        .collect();
    world.send_all(&confirmations);
    let said: Vec<_> = confirmations.iter().map(|(conn, _)| world.packets(*conn)).collect();
    assert!(said.iter().all(|packets| packets.len() == 1 && packets == &said[0]));
}

#[test]
fn under_load_a_255_is_held_back_for_50_ms_and_no_longer() {
    let (mut world, mut people) = World::populate_shards(Config::default(), 7, 5, 1);
    let [newcomer, absent, senders @ ..] = &mut people[..] else { unreachable!() };
    newcomer.knock(&mut world);
    senders.iter_mut().for_each(|sender| sender.come_to_nothing(&mut world));
    for passed in 0..=55 {
        let mut inputs: Vec<_> = senders
            .iter_mut()
            .map(|sender| (sender.conn, sender.letter(&mut world, absent.id(), b"work")))
            .collect();
        if passed == 5 {
            inputs.push((newcomer.conn, newcomer.confirmation(&mut world, 8)));
        }
        world.deliver(&inputs);
        world.disk.work();
        world.tell_news();
        let said: &[Said] = if passed == 55 { &[Said::BacklogEnd(0)] } else { &[] };
        assert_eq!(newcomer.hear(&mut world), said, "after {passed} ms");
        world.wait(Duration::from_millis(1));
    }
}

#[test]
fn under_load_a_status_is_held_back_for_2_ms_and_said_though_nothing_else_happens() {
    let (mut world, mut people) = World::populate_shards(Config::default(), 7, 5, 1);
    people.iter_mut().for_each(|person| person.come_to_nothing(&mut world));
    let [absent, last, senders @ ..] = &mut people[..] else { unreachable!() };
    world.hang_up(absent.conn);
    let deliver = |world: &mut World, inputs: &[(ConnId, Vec<u8>)]| {
        world.deliver(inputs);
        while world.disk.has_jobs() {
            world.disk.work();
        }
        world.tell_news();
    };
    // The statuses of two milliseconds go out together, at the end of the second one.
    for _ in 0..4 {
        let inputs: Vec<_> = senders
            .iter_mut()
            .map(|sender| (sender.conn, sender.letter(&mut world, absent.id(), b"work")))
            .collect();
        deliver(&mut world, &inputs);
        world.wait(Duration::from_millis(1));
    }
    let letter = last.letter(&mut world, absent.id(), b"the last");
    deliver(&mut world, &[(last.conn, letter.clone())]);
    assert_eq!(last.hear(&mut world), []);
    world.wait(Duration::from_micros(1_900));
    assert_eq!(last.hear(&mut world), []);
    world.wait(Duration::from_micros(100));
    assert_eq!(last.hear(&mut world), [Said::stored(&letter)]);
}

#[test]
fn under_load_what_fills_a_packet_is_said_at_once() {
    let (mut world, mut people) = World::populate_shards(Config::default(), 7, 6, 1);
    people.iter_mut().for_each(|person| person.come_to_nothing(&mut world));
    let [absent, ann, senders @ ..] = &mut people[..] else { unreachable!() };
    world.hang_up(absent.conn);
    let mut inputs: Vec<_> = senders
        .iter_mut()
        .map(|sender| (sender.conn, sender.letter(&mut world, absent.id(), b"work")))
        .collect();
    let letters: Vec<_> = (0..127).map(|n| ann.letter(&mut world, absent.id(), &[n])).collect();
    inputs.push((ann.conn, letters.concat()));
    world.deliver(&inputs);
    while world.disk.has_jobs() {
        world.disk.work();
    }
    world.tell_news();
    let statuses = ann.hear(&mut world).len()
        + senders.iter_mut().map(|one| one.hear(&mut world).len()).sum::<usize>();
    assert_eq!(statuses, 127);
    world.wait(Duration::from_millis(2));
    let rest = ann.hear(&mut world).len()
        + senders.iter_mut().map(|one| one.hear(&mut world).len()).sum::<usize>();
    assert_eq!(rest, senders.len());
}

#[test]
fn under_load_a_letter_that_is_delivered_meanwhile_is_not_said_to_be_stored() {
    let (mut world, mut people) = World::populate_shards(Config::default(), 7, 6, 1);
    people.iter_mut().for_each(|person| person.come_to_nothing(&mut world));
    let [absent, ann, ben, senders @ ..] = &mut people[..] else { unreachable!() };
    world.hang_up(absent.conn);
    ben.come(&mut world, 1);
    ben.hear(&mut world);
    let first = ann.send(&mut world, ben.id(), b"the only one in hand");
    assert_eq!(ann.hear(&mut world), [Said::stored(&first)]);
    let deliver = |world: &mut World, inputs: &[(ConnId, Vec<u8>)]| {
        world.deliver(inputs);
        while world.disk.has_jobs() {
            world.disk.work();
        }
        world.tell_news();
    };
    let mut inputs: Vec<_> = senders
        .iter_mut()
        .map(|sender| (sender.conn, sender.letter(&mut world, absent.id(), b"work")))
        .collect();
    let second = ann.letter(&mut world, ben.id(), b"stored, and handed over a little later");
    inputs.push((ann.conn, second.clone()));
    deliver(&mut world, &inputs);
    for letter in [&first, &second] {
        let held = ben.held(&mut world, &[id_of(letter)]);
        deliver(&mut world, &[(ben.conn, held)]);
    }
    assert_eq!(ann.hear(&mut world), []);
    world.wait(Duration::from_millis(2));
    let mut said = ann.hear(&mut world);
    said.sort_by_key(|said| *said != Said::delivered(&first));
    assert_eq!(said, [Said::delivered(&first), Said::delivered(&second)]);
}

#[test]
fn several_who_send_several_each_are_told_in_one_packet() {
    let (mut world, mut people) = World::populate_shards(Config::default(), 7, 4, 1);
    people.iter_mut().for_each(|person| person.come_to_nothing(&mut world));
    let [to, senders @ ..] = &mut people[..] else { unreachable!() };
    let letters: Vec<(ConnId, Vec<u8>)> = senders
        .iter_mut()
        .map(|sender| {
            let two = [1, 2].map(|n| sender.letter(&mut world, to.id(), &[n]));
            (sender.conn, two.concat())
        })
        .collect();
    world.send_all(&letters);
    let said: Vec<_> = letters.iter().map(|(conn, _)| world.packets(*conn)).collect();
    assert!(said.iter().all(|packets| packets.len() == 1 && packets == &said[0]));
}

#[test]
fn under_load_whoever_leaves_is_told_at_once_what_became_of_their_letters() {
    let (mut world, mut people) = World::populate_shards(Config::default(), 7, 5, 1);
    people.iter_mut().for_each(|person| person.come_to_nothing(&mut world));
    let [absent, ann, senders @ ..] = &mut people[..] else { unreachable!() };
    world.hang_up(absent.conn);
    let mut inputs: Vec<_> = senders
        .iter_mut()
        .map(|sender| (sender.conn, sender.letter(&mut world, absent.id(), b"work")))
        .collect();
    let letter = ann.letter(&mut world, absent.id(), b"the last");
    let close = ann.sealed(&mut world, Op::Close, &[1]);
    inputs.push((ann.conn, [letter.clone(), close].concat()));
    world.deliver(&inputs);
    while world.disk.has_jobs() {
        world.disk.work();
    }
    world.tell_news();
    assert_eq!(ann.hear(&mut world), [Said::stored(&letter), Said::Closed(CloseReason::Leaving)]);
}
