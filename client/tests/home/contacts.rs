use waxwing::home::{Acceptance, Contact, Home};
use waxwing_core::crypto::{MODULUS_LEN, Spki};
use waxwing_core::wire::KeyAnswer;

use crate::judging::{self, Conflict, Judgement};
use crate::{TestHome, at, phone, register, spki, user};

fn answer(phone_at: u8, id: u16, key: usize) -> KeyAnswer {
    KeyAnswer { user: user(id), phone: phone(phone_at), spki: spki(key) }
}

fn judge(home: &Home, answer: &KeyAnswer) -> Judgement {
    judging::judge(home, answer, at(0))
}

fn contact(home: &Home, phone_at: u8) -> Contact {
    home.contacts().by_phone(&phone(phone_at)).unwrap().unwrap()
}

#[test]
fn the_first_key_is_pinned_and_survives() {
    let test = TestHome::new();
    assert_eq!(judge(&test.open(), &answer(2, 7, 2)), Judgement::Pinned);
    let found = contact(&test.open(), 2);
    assert_eq!((found.user_id, &found.spki), (Some(user(7)), &spki(2)));
    assert_eq!((found.first_seen, found.verified, &found.changed), (at(0), false, &None));
    assert_eq!(test.open().contacts().by_user_id(user(7)).unwrap(), Some(found));
    assert_eq!(test.open().contacts().by_user_id(user(8)).unwrap(), None);
    assert_eq!(judge(&test.open(), &answer(2, 7, 2)), Judgement::Unchanged);
    assert_eq!(judge(&test.open(), &answer(2, 8, 2)), Judgement::NewId);
    assert_eq!(contact(&test.open(), 2).user_id, Some(user(8)));
}

#[test]
fn a_pinned_key_or_id_is_nobody_elses() {
    let test = TestHome::new();
    let home = test.open();
    assert_eq!(judge(&home, &answer(2, 7, 2)), Judgement::Pinned);
    let before = home.contacts().all().unwrap();
    assert_eq!(judge(&home, &answer(3, 8, 2)), Judgement::Refused(Conflict::KeyOf(phone(2))));
    assert_eq!(judge(&home, &answer(3, 7, 3)), Judgement::Refused(Conflict::IdOf(phone(2))));
    assert_eq!(home.contacts().all().unwrap(), before);

    assert_eq!(judge(&home, &answer(3, 8, 3)), Judgement::Pinned);
    // A changed key for one contact must not be another's either.
    assert_eq!(judge(&home, &answer(3, 8, 2)), Judgement::Refused(Conflict::KeyOf(phone(2))));
    assert_eq!(contact(&home, 3).changed, None);
}

#[test]
fn a_key_with_a_small_factor_is_not_pinned() {
    let test = TestHome::new();
    let home = test.open();
    // All bits set: divisible by 3, 5 and 17.
    let weak = Spki::from_modulus(&[0xff; MODULUS_LEN]).unwrap();
    let answer_of = |at| KeyAnswer { spki: weak.clone(), ..answer(at, 7, 2) };
    assert_eq!(judge(&home, &answer_of(2)), Judgement::Refused(Conflict::WeakKey));
    assert_eq!(home.contacts().all().unwrap(), []);
    assert_eq!(judge(&home, &answer(2, 7, 2)), Judgement::Pinned);
    assert_eq!(judge(&home, &answer_of(2)), Judgement::Refused(Conflict::WeakKey));
    assert_eq!(contact(&home, 2).changed, None);
}

#[test]
fn an_id_that_was_given_out_again_can_be_released() {
    let test = TestHome::new();
    let home = test.open();
    assert_eq!(judge(&home, &answer(2, 7, 2)), Judgement::Pinned);
    home.contacts().release_id(&phone(2)).unwrap();
    let old = contact(&home, 2);
    assert_eq!((old.user_id, old.known().sendable(), &old.spki), (None, None, &spki(2)));
    assert!(old.known().is_question_due(at(1)));
    assert_eq!(judge(&home, &answer(3, 7, 3)), Judgement::Pinned);
}

#[test]
fn a_server_that_lies_about_this_account_is_noticed() {
    let test = TestHome::new();
    let home = test.open();
    register(&home);
    assert_eq!(judge(&home, &answer(0, 100, 0)), Judgement::Own);
    assert_eq!(judge(&home, &answer(0, 100, 4)), Judgement::Refused(Conflict::Own));
    assert_eq!(judge(&home, &answer(0, 101, 0)), Judgement::Refused(Conflict::Own));
    assert_eq!(judge(&home, &answer(2, 7, 0)), Judgement::Refused(Conflict::KeyOf(phone(0))));
    assert_eq!(judge(&home, &answer(2, 100, 2)), Judgement::Refused(Conflict::IdOf(phone(0))));
    assert_eq!(judge(&home, &answer(2, 7, 1)), Judgement::Refused(Conflict::Server));
    assert!(home.contacts().all().unwrap().is_empty());
}

#[test]
fn a_changed_key_waits_for_a_person() {
    let test = TestHome::new();
    let home = test.open();
    assert_eq!(judge(&home, &answer(2, 7, 2)), Judgement::Pinned);
    assert!(home.contacts().mark_verified(&phone(2), &spki(2)).unwrap());
    assert_eq!(judge(&home, &answer(2, 9, 4)), Judgement::Changed);
    assert_eq!(judging::judge(&home, &answer(2, 9, 4), at(50)), Judgement::Changed);

    let held = contact(&test.open(), 2);
    let changed = held.changed.clone().unwrap();
    assert_eq!((held.spki.clone(), held.verified, held.known().sendable()), (spki(2), true, None));
    assert_eq!((changed.spki, changed.user_id, changed.since), (spki(4), user(9), at(0)));
    // Letters from either id are this contact's, to be held back or not.
    for id in [7, 9] {
        let found = home.contacts().by_user_id(user(id)).unwrap().unwrap();
        assert_eq!(found.phone, phone(2));
    }

    // The person accepts what he has seen, not what the server has made of it since.
    let accept = |key| home.contacts().accept(&phone(2), &spki(key), at(60)).unwrap();
    assert_eq!(accept(5), Acceptance::NotPending);
    assert_eq!(accept(4), Acceptance::Accepted);
    assert_eq!(accept(4), Acceptance::NotPending);
    let now = contact(&test.open(), 2);
    assert_eq!((now.known().sendable(), &now.spki, now.verified), (Some(user(9)), &spki(4), false));
    assert!(!home.contacts().mark_verified(&phone(2), &spki(2)).unwrap());
    assert_eq!(home.contacts().by_user_id(user(7)).unwrap(), None);
}

#[test]
fn a_server_that_takes_its_lie_back_ends_the_hold() {
    let test = TestHome::new();
    let home = test.open();
    assert_eq!(judge(&home, &answer(2, 7, 2)), Judgement::Pinned);
    assert_eq!(judge(&home, &answer(2, 7, 4)), Judgement::Changed);
    assert_eq!(judge(&home, &answer(2, 7, 2)), Judgement::Reverted);
    assert_eq!(contact(&home, 2).known().sendable(), Some(user(7)));
    assert_eq!(judge(&home, &answer(2, 7, 2)), Judgement::Unchanged);
}

#[test]
fn a_key_that_somebody_else_got_meanwhile_cannot_be_accepted() {
    let test = TestHome::new();
    let home = test.open();
    assert_eq!(judge(&home, &answer(2, 7, 2)), Judgement::Pinned);
    assert_eq!(judge(&home, &answer(2, 9, 4)), Judgement::Changed);
    assert_eq!(judge(&home, &answer(3, 9, 5)), Judgement::Pinned);
    assert_eq!(
        home.contacts().accept(&phone(2), &spki(4), at(1)).unwrap(),
        Acceptance::Refused(Conflict::IdOf(phone(3)))
    );
}

#[test]
fn the_server_is_asked_once_a_day() {
    let test = TestHome::new();
    let home = test.open();
    assert_eq!(judge(&home, &answer(2, 7, 2)), Judgement::Pinned);
    let found = contact(&home, 2);
    assert!(!found.known().is_question_due(at(86_399)));
    assert!(found.known().is_question_due(at(86_400)));
    assert!(found.known().is_question_due(at(-1)));
}
