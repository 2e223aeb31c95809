//! 105 and 204.

use waxwing_core::client::{Ended, RequestError};
use waxwing_core::crypto::PrivateKey;
use waxwing_core::phone::Phone;
use waxwing_core::time::Timestamp;
use waxwing_core::wire::{ErrorCode, KeyAnswer, KeyQuestion, Op, Successor};

use crate::keys::FRIEND;
use crate::line::{Heard, Line, Stage};
use crate::server::{FRIEND as FRIEND_ID, user, written};

fn friends_phone() -> Phone {
    Phone::parse(b"+445550002").unwrap()
}

fn answer() -> KeyAnswer {
    KeyAnswer { user: user(FRIEND_ID), phone: friends_phone(), spki: FRIEND.spki().clone() }
}

fn packet(line: &mut Line, answer: &KeyAnswer) -> Vec<u8> {
    let content = written(|writer| answer.emit(writer).unwrap());
    line.server.sealed(Op::KeyAnswer, &content)
}

fn asking(question: KeyQuestion) -> Line {
    let mut line = Line::at(Stage::Active);
    line.ask(|client, env| client.ask_for_key(env, question)).unwrap();
    let sent = line.sent();
    assert_eq!(KeyQuestion::parse(&sent[0].content), Ok(question));
    line.request = Some(sent[0].id);
    line
}

fn both() -> [KeyQuestion; 2] {
    [KeyQuestion::ById(user(FRIEND_ID)), KeyQuestion::ByPhone(friends_phone())]
}

#[test]
fn the_answer_to_the_question_is_told_once() {
    for question in both() {
        let mut line = asking(question);
        let packet = packet(&mut line, &answer());
        assert_eq!(line.hear(&packet), [Heard::Key(Box::new(answer()))]);
        assert!(!line.client.is_asking_for_key());
    }
}

#[test]
fn the_key_that_follows_the_servers_is_told_to_whoever_asks_for_it_and_to_nobody_else() {
    let effective = Timestamp::parse(b"2026-12-24 18:00:00").unwrap();
    let successor = Successor { effective, spki: FRIEND.spki().clone() };
    let content = written(|writer| successor.emit(writer).unwrap());
    let mut line = asking(KeyQuestion::Successor);
    let packet = line.server.sealed(Op::KeyAnswer, &content);
    assert_eq!(line.hear(&packet), [Heard::Successor(Box::new(successor))]);
    assert!(!line.client.is_asking_for_key());
    // A question is answered by an answer of its own kind.
    for (question, content) in [
        (both()[0], content),
        (KeyQuestion::Successor, written(|writer| answer().emit(writer).unwrap())),
    ] {
        let mut line = asking(question);
        let packet = line.server.sealed(Op::KeyAnswer, &content);
        assert_eq!(line.hear(&packet), []);
        assert_eq!(line.client.ended(), Some(Ended::Misbehaved));
    }
}

#[test]
fn an_answer_to_another_question_is_a_wrong_key() {
    let by_id = KeyQuestion::ById(user(FRIEND_ID + 1));
    let by_phone = KeyQuestion::ByPhone(Phone::parse(b"+445550003").unwrap());
    for question in [by_id, by_phone] {
        let mut line = asking(question);
        let packet = packet(&mut line, &answer());
        assert_eq!(line.hear(&packet), [Heard::WrongKey(question)]);
    }
}

#[test]
fn an_answer_that_nobody_asked_for_ends() {
    let mut line = Line::at(Stage::Active);
    let unasked = packet(&mut line, &answer());
    assert_eq!(line.hear(&unasked), []);
    line.assert_ended(Ended::Misbehaved);

    let mut line = asking(both()[0]);
    let mut twice = packet(&mut line, &answer());
    twice.extend(packet(&mut line, &answer()));
    assert_eq!(line.hear(&twice), [Heard::Key(Box::new(answer()))]);
    line.assert_ended(Ended::Misbehaved);
}

#[test]
fn one_question_at_a_time() {
    let mut line = asking(both()[0]);
    let again = line.ask(|client, env| client.ask_for_key(env, both()[1]));
    assert_eq!(again, Err(RequestError::Busy));
    assert!(line.sent().is_empty());
}

#[test]
fn a_refusal_of_the_question_frees_the_way_for_the_next() {
    let mut line = asking(both()[0]);
    let foreign = line.server.sealed_refusal(ErrorCode::UnknownUser, None);
    assert!(matches!(line.hear(&foreign)[..], [Heard::Refused(_)]));
    assert!(line.client.is_asking_for_key());
    let own = line.request;
    let refused = line.server.sealed_refusal(ErrorCode::UnknownUser, own);
    assert!(matches!(line.hear(&refused)[..], [Heard::Refused(_)]));
    assert!(!line.client.is_asking_for_key());
    line.ask(|client, env| client.ask_for_key(env, both()[1])).unwrap();
}

#[test]
fn an_answer_that_is_no_key_ends() {
    let good = written(|writer| answer().emit(writer).unwrap());
    let mut even = good.clone();
    let last_of_modulus = even.len() - 6;
    even[last_of_modulus] &= 0xfe;
    let mut nobody = good.clone();
    nobody[..2].fill(0);
    let mut long = good.clone();
    long.push(0);
    for content in [even, nobody, long, good[..good.len() - 1].to_vec(), Vec::new()] {
        let mut line = asking(both()[1]);
        let packet = line.server.sealed(Op::KeyAnswer, &content);
        assert_eq!(line.hear(&packet), []);
        line.assert_ended(Ended::Misbehaved);
    }
}

/// When the connection ends, if nothing happens.
fn deadline(line: &Line) -> u64 {
    let at = line.client.poll_timeout().unwrap();
    u64::try_from(at.since(line.now.instant).as_millis()).unwrap()
}

fn time_out(line: &mut Line) {
    line.time_out();
}

#[test]
fn silence_after_a_question_ends_the_connection() {
    let mut line = asking(both()[0]);
    assert_eq!(deadline(&line), 15_000);
    line.pass(14_999);
    time_out(&mut line);
    assert_eq!(line.ended(), None);
    line.pass(1);
    time_out(&mut line);
    line.assert_ended(Ended::TimedOut);
}

#[test]
fn bytes_of_the_answer_are_a_sign_of_life() {
    let mut line = asking(both()[0]);
    let answer = packet(&mut line, &answer());
    for byte in &answer[..3] {
        line.pass(9_000);
        assert_eq!(line.hear(&[*byte]), []);
        time_out(&mut line);
        assert_eq!(line.ended(), None);
    }
    assert_eq!(line.hear(&answer[3..]), [Heard::Key(Box::new(self::answer()))]);
    // Nothing is due any more.
    assert_eq!(line.client.poll_timeout(), None);
    line.pass(1_000_000);
    time_out(&mut line);
    assert_eq!(line.ended(), None);
}
