//! Registering and reconnecting.

use waxwing_core::client::Ended;
use waxwing_core::crypto::{ReplyKey, RustCrypto, SessionKey};
use waxwing_core::id::UserId;
use waxwing_core::messenger::Cause;
use waxwing_core::wire::{CloseReason, ErrorCode};
use waxwing_testkit::backend::Backend;

use crate::{ANN, Population, backlogs, strangers};

/// Somebody's first packet goes out: a 100.
fn ask_for_code(all: &mut Population, who: usize) {
    let (phone, reply_key) = (all.people[who].phone, ReplyKey::from_bytes(&[5; 32]));
    all.connect(who);
    all.ask(who, |client, env| client.request_otp(env, &phone, &reply_key)).unwrap();
    all.step(who);
}

fn is_in_session(all: &mut Population, who: usize) -> bool {
    all.people[who].client().is_some_and(|client| client.is_in_session())
}

/// Why somebody's last connection has ended.
fn last_end(all: &Population, who: usize) -> Ended {
    match all.ends[who].last().unwrap().over().cause {
        Cause::Ended(ended) => ended,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_phone_becomes_a_user_with_an_empty_mailbox() {
    let mut all = strangers(1);
    all.register(ANN);
    assert!(is_in_session(&mut all, ANN));
    assert_eq!(backlogs(&all, ANN), [0]);
    assert!(all.people[ANN].client().unwrap().proven_session_key().is_some());
}

#[test]
fn registration_survives_any_fragmentation() {
    for piece in [1, 7, 255, 256] {
        let mut all = strangers(1);
        all.piece = piece;
        all.register(ANN);
        assert_eq!(backlogs(&all, ANN), [0], "pieces of {piece}");
    }
}

#[test]
fn a_second_registration_of_a_phone_is_told_so() {
    let mut all = strangers(1);
    all.register(ANN);
    let mallory = all.add(all.people[ANN].phone, RustCrypto::key(2), None);
    ask_for_code(&mut all, mallory);
    all.run();
    assert_eq!(all.people[mallory].profile.notices, ["PhoneTaken"]);
}

#[test]
fn reconnecting_uses_the_short_form_and_falls_back_to_the_long_one() {
    let mut all = strangers(1);
    all.register(ANN);
    all.cut(ANN);
    all.connect(ANN);
    all.run();
    assert_eq!(backlogs(&all, ANN), [0, 0]);
    all.cut(ANN);
    // A key that the server never confirmed: SessionUnknown, then the long form by itself.
    all.people[ANN].profile.stored.session_key = Some(SessionKey::from_bytes(&[9; 32]));
    all.connect(ANN);
    all.run();
    assert!(is_in_session(&mut all, ANN), "{:?}", all.ends[ANN]);
    assert_eq!(backlogs(&all, ANN), [0, 0, 0]);
}

#[test]
fn a_newer_session_takes_over_and_the_older_is_told() {
    let mut all = strangers(1);
    all.register(ANN);
    let user = all.people[ANN].profile.stored.user;
    let newer = all.add(all.people[ANN].phone, RustCrypto::key(1), user);
    all.connect(newer);
    all.run();
    assert_eq!(last_end(&all, ANN), Ended::Closed(CloseReason::TakenOver));
    assert!(is_in_session(&mut all, newer));
}

#[test]
fn leaving_is_answered() {
    let mut all = strangers(1);
    all.register(ANN);
    all.ask(ANN, |client, env| client.leave(env)).unwrap();
    all.run();
    assert_eq!(last_end(&all, ANN), Ended::Closed(CloseReason::Leaving));
    assert_eq!(all.world.session_count(), 0);
}

#[test]
fn an_unknown_account_and_a_wrong_key_look_alike() {
    let mut all = strangers(1);
    all.register(ANN);
    all.cut(ANN);
    let (phone, user) = (all.people[ANN].phone, all.people[ANN].profile.stored.user);
    let mut refused = |key, user| {
        let stranger = all.add(phone, RustCrypto::key(key), user);
        all.connect(stranger);
        all.run();
        let Ended::Refused(refusal) = last_end(&all, stranger) else { panic!("{:?}", all.ends) };
        refusal
    };
    let wrong_key = refused(2, user);
    let unknown = refused(3, UserId::new(4_711));
    assert_eq!(wrong_key.code, Some(ErrorCode::BadSignature));
    assert_eq!(wrong_key, unknown);
}

#[test]
fn one_flipped_bit_from_the_server_ends_the_connection() {
    let mut all = strangers(1);
    ask_for_code(&mut all, ANN);
    let mut said = all.world.bytes(all.connection(ANN));
    said[100] ^= 1;
    all.people[ANN].receive(&said);
    all.run();
    assert_eq!(last_end(&all, ANN), Ended::BadBytes);
}

#[test]
fn a_server_that_says_nothing_is_given_up_on() {
    let mut all = strangers(1);
    ask_for_code(&mut all, ANN);
    assert!(all.people[ANN].client().unwrap().poll_timeout().is_some());
    all.world.wait_s(15);
    let ended = all.ask(ANN, |client, env| {
        client.timeout(env);
        client.ended()
    });
    assert_eq!(ended, Some(Ended::TimedOut));
}
