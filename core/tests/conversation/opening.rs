//! Registering and reconnecting.

use waxwing_core::client::Ended;
use waxwing_core::wire::{CloseReason, ErrorCode};

use crate::person::Person;
use crate::post_office::PostOffice;

#[test]
fn a_phone_becomes_a_user_with_an_empty_mailbox() {
    let mut office = PostOffice::new();
    let mut ann = Person::new(1);
    let call = office.register(&mut ann);
    assert!(call.client.is_in_session());
    assert_eq!(ann.backlogs, [0]);
    assert!(call.client.proven_session_key().is_some());
}

#[test]
fn registration_survives_any_fragmentation() {
    for piece in [1, 7, 255, 256] {
        let mut office = PostOffice::new();
        let mut ann = Person::new(1);
        let mut call = office.call(&ann);
        let (phone, reply_key) = (ann.phone, ann.reply_key.clone());
        office.env_call(|env| call.client.request_otp(env, &phone, &reply_key)).unwrap();
        office.run_in_pieces(&mut [(&mut ann, &mut call)], piece);
        let otp = call.otp.clone().unwrap();
        office.env_call(|env| call.client.prove_otp(env, &phone, &reply_key, &otp)).unwrap();
        office.run_in_pieces(&mut [(&mut ann, &mut call)], piece);
        assert_eq!(ann.backlogs, [0], "pieces of {piece}");
    }
}

#[test]
fn a_second_registration_of_a_phone_is_told_so() {
    let mut office = PostOffice::new();
    let mut ann = Person::new(1);
    let _call = office.register(&mut ann);
    let mut mallory = Person::new(2);
    mallory.phone = ann.phone;
    let mut call = office.call(&mallory);
    let (phone, reply_key) = (mallory.phone, mallory.reply_key.clone());
    office.env_call(|env| call.client.request_otp(env, &phone, &reply_key)).unwrap();
    office.run(&mut [(&mut mallory, &mut call)]);
    assert!(call.phone_taken);
}

#[test]
fn reconnecting_uses_the_short_form_and_falls_back_to_the_long_one() {
    let mut office = PostOffice::new();
    let mut ann = Person::new(1);
    let call = office.register(&mut ann);
    office.hang_up(call);
    let call = office.reconnect(&mut ann);
    assert_eq!(ann.backlogs, [0, 0]);
    office.hang_up(call);
    // A key that the server never confirmed: SessionUnknown, then the long form by itself.
    ann.last_key = Some(waxwing_core::crypto::SessionKey::from_bytes(&[9; 32]));
    let call = office.reconnect(&mut ann);
    assert!(call.client.is_in_session(), "{:?}", call.ended);
    assert_eq!(ann.backlogs, [0, 0, 0]);
}

#[test]
fn a_newer_session_takes_over_and_the_older_is_told() {
    let mut office = PostOffice::new();
    let mut ann = Person::new(1);
    let mut older = office.register(&mut ann);
    let newer = office.reconnect(&mut ann);
    office.run(&mut [(&mut ann, &mut older)]);
    assert_eq!(older.ended, Some(Ended::Closed(CloseReason::TakenOver)));
    assert!(newer.client.is_in_session());
}

#[test]
fn leaving_is_answered() {
    let mut office = PostOffice::new();
    let mut ann = Person::new(1);
    let mut call = office.register(&mut ann);
    office.env_call(|env| call.client.leave(env)).unwrap();
    office.run(&mut [(&mut ann, &mut call)]);
    assert_eq!(call.ended, Some(Ended::Closed(CloseReason::Leaving)));
    assert_eq!(office.server.session_count(), 0);
}

#[test]
fn an_unknown_account_and_a_wrong_key_look_alike() {
    let mut office = PostOffice::new();
    let mut ann = Person::new(1);
    let call = office.register(&mut ann);
    office.hang_up(call);
    let mut refused = |number, user| {
        let mut stranger = Person::new(number);
        stranger.user = user;
        let call = office.reconnect(&mut stranger);
        let Some(Ended::Refused(refusal)) = call.ended else { panic!("{:?}", call.ended) };
        refusal
    };
    let wrong_key = refused(2, ann.user);
    let unknown = refused(3, waxwing_core::id::UserId::new(4_711));
    assert_eq!(wrong_key.code, Some(ErrorCode::BadSignature));
    assert_eq!(wrong_key, unknown);
}

#[test]
fn one_flipped_bit_from_the_server_ends_the_connection() {
    let mut office = PostOffice::new();
    let mut ann = Person::new(1);
    let mut call = office.call(&ann);
    let (phone, reply_key) = (ann.phone, ann.reply_key.clone());
    office.env_call(|env| call.client.request_otp(env, &phone, &reply_key)).unwrap();
    office.flush(&mut call);
    office.carry(usize::MAX);
    office.spoil(&call, 100);
    office.run(&mut [(&mut ann, &mut call)]);
    assert_eq!(call.ended, Some(Ended::BadBytes));
}

#[test]
fn a_server_that_says_nothing_is_given_up_on() {
    let mut office = PostOffice::new();
    let ann = Person::new(1);
    let mut call = office.call(&ann);
    let (phone, reply_key) = (ann.phone, ann.reply_key.clone());
    office.env_call(|env| call.client.request_otp(env, &phone, &reply_key)).unwrap();
    assert!(call.client.poll_timeout().is_some());
    office.clock_ms += 15_000;
    office.env_call(|env| call.client.timeout(env));
    assert_eq!(call.client.ended(), Some(Ended::TimedOut));
}
