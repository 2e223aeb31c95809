//! Answers that never arrive wedge nothing and double nothing.

use waxwing_core::id::Uid;
use waxwing_core::wire::{Status, StatusQuery};

use crate::person::Person;
use crate::post_office::{PostOffice, two_people};

#[test]
fn a_201_that_was_lost_comes_again_even_a_day_later() {
    let mut office = PostOffice::new();
    let mut ann = Person::new(1);
    let mut call = office.call(&ann);
    let (phone, reply_key) = (ann.phone, ann.reply_key.clone());
    office.env_call(|env| call.client.request_otp(env, &phone, &reply_key)).unwrap();
    office.run(&mut [(&mut ann, &mut call)]);
    let otp = call.otp.clone().unwrap();
    office.env_call(|env| call.client.prove_otp(env, &phone, &reply_key, &otp)).unwrap();
    office.flush(&mut call);
    office.carry(usize::MAX);
    office.hang_up(call);
    assert_eq!(ann.user, None);

    office.pass(86_400_000);
    let mut call = office.call(&ann);
    office.env_call(|env| call.client.prove_otp(env, &phone, &reply_key, &otp)).unwrap();
    office.run(&mut [(&mut ann, &mut call)]);
    assert!(ann.user.is_some(), "{:?}", call.ended);
}

const LETTERS: usize = 24;

#[test]
fn every_third_answer_lost_doubles_no_letter() {
    let (mut office, mut ann, mut ann_call, mut ben, mut ben_call) = two_people();
    let to = ben.phone;
    for number in 0..LETTERS {
        let uid = Uid::generate(&mut office.rng);
        let text = format!("letter {number}");
        let mut id = office.send_as(&mut ann, &mut ann_call, &to, &text, &uid);
        if number % 3 == 0 {
            // The answer goes lost with the connection, and the sender signs the letter anew.
            office.flush(&mut ann_call);
            office.carry(usize::MAX);
            office.lose_answers(&ann_call);
            office.hang_up(ann_call);
            ann_call = office.reconnect(&mut ann);
            let again = office.send_as(&mut ann, &mut ann_call, &to, &text, &uid);
            assert_ne!(id, again);
            id = again;
        }
        office.run(&mut [(&mut ann, &mut ann_call), (&mut ben, &mut ben_call)]);
        office.tick(&mut [(&mut ann, &mut ann_call), (&mut ben, &mut ben_call)]);
        assert_eq!(ann.statuses[&id], Status::Delivered, "{text}");
    }
    assert_eq!((ben.inbox.len(), ben.duplicates), (LETTERS, LETTERS / 3));
}

#[test]
fn a_letter_resent_byte_for_byte_is_acknowledged_again_and_stored_once() {
    let (mut office, mut ann, mut call, ben, ben_call) = two_people();
    office.hang_up(ben_call);
    let to = ben.phone;
    let uid = Uid::generate(&mut office.rng);
    let contact = ann.contacts.values().next().unwrap().clone();
    assert_eq!(contact.phone, to);
    let id = office.send_as(&mut ann, &mut call, &to, "once", &uid);
    let bytes = call.client.transmit().to_vec();
    office.run(&mut [(&mut ann, &mut call)]);
    ann.statuses.clear();
    office.env_call(|env| call.client.resend(env, id, &bytes)).unwrap();
    office.run(&mut [(&mut ann, &mut call)]);
    assert_eq!(ann.statuses[&id], Status::Stored);
    assert_eq!(office.disk.pending(), 1);
}

#[test]
fn a_recipient_that_crashes_before_acknowledging_reads_once() {
    let (mut office, mut ann, mut ann_call, mut ben, mut ben_call) = two_people();
    let to = ben.phone;
    ben.asleep = true;
    let id = office.send(&mut ann, &mut ann_call, &to, "once");
    office.run(&mut [(&mut ann, &mut ann_call), (&mut ben, &mut ben_call)]);
    assert_eq!(ben.inbox.len(), 1);
    office.hang_up(ben_call);

    ben.asleep = false;
    let mut ben_call = office.reconnect(&mut ben);
    office.tick(&mut [(&mut ann, &mut ann_call), (&mut ben, &mut ben_call)]);
    assert_eq!((ben.inbox.len(), ben.duplicates), (1, 1));
    assert_eq!(ann.statuses[&id], Status::Delivered);
}

#[test]
fn statuses_that_were_missed_can_be_asked_for() {
    let (mut office, mut ann, mut ann_call, mut ben, ben_call) = two_people();
    office.hang_up(ben_call);
    let to = ben.phone;
    let read = office.send(&mut ann, &mut ann_call, &to, "read while the sender is away");
    office.run(&mut [(&mut ann, &mut ann_call)]);
    office.hang_up(ann_call);
    let mut ben_call = office.reconnect(&mut ben);
    office.tick(&mut [(&mut ben, &mut ben_call)]);
    office.hang_up(ben_call);

    let mut ann_call = office.reconnect(&mut ann);
    let waiting = office.send(&mut ann, &mut ann_call, &to, "not read yet");
    office.run(&mut [(&mut ann, &mut ann_call)]);
    assert_eq!(ann.statuses[&read], Status::Stored);
    let queries =
        [read, waiting].map(|letter| StatusQuery { recipient: ben.user.unwrap(), letter });
    office.env_call(|env| ann_call.client.ask_for_statuses(env, &queries)).unwrap();
    office.run(&mut [(&mut ann, &mut ann_call)]);
    assert_eq!(ann.statuses[&read], Status::Delivered);
    assert_eq!(ann.statuses[&waiting], Status::Stored);
}
