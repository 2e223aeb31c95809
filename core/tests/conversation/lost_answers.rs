//! Answers that never arrive wedge nothing and double nothing.

use waxwing_core::crypto::ReplyKey;
use waxwing_core::wire::Status;

use crate::{ANN, BEN, lose_answers, pending, seal, statuses, strangers, two_people};

#[test]
fn a_201_that_was_lost_comes_again_even_a_day_later() {
    let mut all = strangers(1);
    let (phone, reply_key) = (all.people[ANN].phone, ReplyKey::from_bytes(&[5; 32]));
    all.connect(ANN);
    all.ask(ANN, |client, env| client.request_otp(env, &phone, &reply_key)).unwrap();
    all.run();
    let otp = all.people[ANN].profile.code.take().expect("a code in band");
    all.ask(ANN, |client, env| client.prove_otp(env, &phone, &reply_key, &otp)).unwrap();
    all.step(ANN);
    lose_answers(&mut all, ANN);
    assert_eq!(all.people[ANN].profile.stored.user, None);

    all.world.wait_s(86_400);
    all.connect(ANN);
    all.ask(ANN, |client, env| client.prove_otp(env, &phone, &reply_key, &otp)).unwrap();
    all.run();
    assert!(all.people[ANN].profile.stored.user.is_some(), "{:?}", all.ends[ANN]);
}

const LETTERS: usize = 24;

#[test]
fn every_third_answer_lost_doubles_no_letter() {
    let mut all = two_people();
    for number in 0..LETTERS {
        all.write(ANN, BEN, &format!("letter {number}"));
        if number % 3 == 0 {
            // The answer goes lost with the connection, and when the packet is not fresh any more,
            // the sender signs the letter anew.
            seal(&mut all, ANN);
            all.step(ANN);
            lose_answers(&mut all, ANN);
            all.run();
            all.world.wait_s(300);
            all.connect(ANN);
        }
        all.run();
        let letter = all.people[ANN].profile.stored.outbox.last().unwrap();
        assert_eq!(letter.packets.len(), 1 + usize::from(number % 3 == 0));
        assert_eq!(letter.status, Status::Delivered, "{}", letter.text);
    }
    assert_eq!(all.people[BEN].texts().len(), LETTERS);
    assert_eq!(all.people[BEN].profile.stored.duplicates, LETTERS / 3);
}

#[test]
fn a_letter_resent_byte_for_byte_is_acknowledged_again_and_stored_once() {
    let mut all = two_people();
    all.cut(BEN);
    all.write(ANN, BEN, "once");
    let sent = seal(&mut all, ANN);
    all.step(ANN);
    lose_answers(&mut all, ANN);
    assert_eq!((statuses(&all, ANN), pending(&all)), (vec![Status::Unknown], 1));
    all.connect(ANN);
    all.run();
    let letter = &all.people[ANN].profile.stored.outbox[0];
    assert_eq!((letter.status, letter.packets.len()), (Status::Stored, 1));
    assert_eq!(*letter.packet.as_ref().unwrap().0, *sent);
    assert_eq!(pending(&all), 1);
}

#[test]
fn a_recipient_that_crashes_before_acknowledging_reads_once() {
    let mut all = two_people();
    all.write(ANN, BEN, "once");
    while all.people[BEN].profile.committed().texts().is_empty() {
        all.step(ANN);
        all.step(BEN);
    }
    all.kill(BEN);
    all.connect(BEN);
    all.run();
    assert_eq!(all.people[BEN].texts(), ["once"]);
    assert_eq!(all.people[BEN].profile.stored.duplicates, 1);
    assert_eq!(statuses(&all, ANN), [Status::Delivered]);
}

#[test]
fn statuses_that_were_missed_are_asked_for() {
    let mut all = two_people();
    all.cut(BEN);
    all.write(ANN, BEN, "read while the sender is away");
    all.run();
    all.cut(ANN);
    all.connect(BEN);
    all.run();
    all.cut(BEN);

    all.write(ANN, BEN, "not read yet");
    assert_eq!(statuses(&all, ANN), [Status::Stored, Status::Unknown]);
    all.connect(ANN);
    all.run();
    assert_eq!(statuses(&all, ANN), [Status::Delivered, Status::Stored]);
}
