//! What a messenger believes of what the server says about keys.

use waxwing_core::crypto::{PrivateKey, Spki};
use waxwing_core::envelope::Fingerprint;
use waxwing_core::id::UserId;
use waxwing_core::messenger::{
    Account, Conflict, Contact, Judgement, Profile, Verdict, Who, judge,
};
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;
use waxwing_core::wire::KeyAnswer;
use waxwing_testkit::backend::{Backend, Paper};
use waxwing_testkit::profile::{MemoryProfile, State};

use crate::Population;

const NOW: UnixTime = UnixTime::from_seconds(1_795_350_896);

fn phone(at: u8) -> Phone {
    Phone::parse(format!("+4915112345{at:02}").as_bytes()).unwrap()
}

fn spki(at: usize) -> Spki {
    Paper::key(at).spki().clone()
}

fn answer(who: u8, user: u16, key: usize) -> KeyAnswer {
    KeyAnswer { user: UserId::new(user).unwrap(), phone: phone(who), spki: spki(key) }
}

fn hear(profile: &mut MemoryProfile, answer: &KeyAnswer) -> Judgement {
    let (own, server) = (spki(1), spki(0));
    let fingerprint = Fingerprint::of(&Paper, &phone(1), &own);
    let account = Account { phone: phone(1), user: UserId::new(1), fingerprint, server: &server };
    profile.begin().unwrap();
    let judged = judge(profile, &account, &own, answer, NOW).unwrap();
    profile.commit().unwrap();
    judged
}

#[test]
fn the_first_key_is_pinned_and_another_one_waits() {
    let mut profile = MemoryProfile::default();
    let noted = |verdict| Judgement::Noted(verdict);
    assert_eq!(hear(&mut profile, &answer(2, 2, 2)), noted(Verdict::Pin));
    assert_eq!(hear(&mut profile, &answer(2, 2, 2)), noted(Verdict::Confirm));
    assert_eq!(hear(&mut profile, &answer(2, 9, 3)), noted(Verdict::Change));
    let contact = profile.contact(Who::Phone(&phone(2))).unwrap().unwrap();
    assert_eq!((contact.spki.clone(), contact.changed.clone()), (spki(2), Some(spki(3))));
    assert_eq!(contact.sendable(), None);
    assert_eq!(hear(&mut profile, &answer(2, 5, 2)), noted(Verdict::Confirm));
    let contact = profile.contact(Who::Phone(&phone(2))).unwrap().unwrap();
    assert_eq!((contact.sendable(), contact.changed.as_ref()), (UserId::new(5), None));
}

#[test]
fn a_key_that_the_profile_does_not_take_changes_nothing() {
    let keys = |is_weak| (20..).find(|at| spki(*at).has_small_factor() == is_weak).unwrap();
    let (weak, strong) = (keys(true), keys(false));
    let refused = Judgement::Refused(Conflict::WeakKey);
    let mut profile = MemoryProfile::default();
    profile.refuses_weak_keys = true;
    assert_eq!(hear(&mut profile, &answer(2, 2, weak)), refused);
    assert!(profile.stored.contacts.is_empty());
    assert_eq!(hear(&mut profile, &answer(2, 2, strong)), Judgement::Noted(Verdict::Pin));
    let before = profile.stored.contacts.clone();
    assert_eq!(hear(&mut profile, &answer(2, 3, weak)), refused);
    assert_eq!(profile.stored.contacts, before);
    // What is pinned already stays, with the id that the server says.
    profile.stored.contacts[0].spki = spki(weak);
    assert_eq!(hear(&mut profile, &answer(2, 3, weak)), Judgement::Noted(Verdict::Confirm));
}

#[test]
fn what_contradicts_a_pin_or_the_account_is_not_believed() {
    let mut profile = MemoryProfile::default();
    assert_eq!(hear(&mut profile, &answer(2, 2, 2)), Judgement::Noted(Verdict::Pin));
    let refused = |conflict| Judgement::Refused(conflict);
    for (said, expected) in [
        (answer(1, 1, 1), Judgement::Own),
        (answer(1, 4, 1), refused(Conflict::Own)),
        (answer(1, 1, 4), refused(Conflict::Own)),
        (answer(3, 3, 1), refused(Conflict::KeyOf(phone(1)))),
        (answer(3, 1, 3), refused(Conflict::IdOf(phone(1)))),
        (answer(3, 3, 0), refused(Conflict::Server)),
        (answer(3, 3, 2), refused(Conflict::KeyOf(phone(2)))),
        (answer(3, 2, 3), refused(Conflict::IdOf(phone(2)))),
    ] {
        assert_eq!(hear(&mut profile, &said), expected, "{said:?}");
    }
    assert_eq!(profile.stored.contacts.len(), 1);
}

#[test]
fn letters_to_somebody_whose_key_has_changed_wait_and_theirs_are_held() {
    let mut all = Population::of(2);
    all.connect_all();
    all.write(0, 1, "before");
    all.write(1, 0, "hello");
    all.run();
    assert_eq!(all.people[0].texts(), ["hello"]);
    // What is pinned is not what the server says: as if the other one had a new key.
    let contact = &mut all.people[0].profile.stored.contacts[0];
    (contact.spki, contact.asked_at) = (spki(5), None);
    all.cut(0);
    all.connect(0);
    all.write(0, 1, "after");
    all.write(1, 0, "under the new key");
    all.run();
    let stored = &all.people[0].profile.stored;
    assert!(stored.contacts[0].changed.is_some());
    assert_eq!(stored.outbox[1].state, State::Waiting);
    assert_eq!(all.people[0].texts(), ["hello"]);
    let told = all.people[0].profile.notices.iter().filter(|n| n.contains("KeyChanged"));
    assert_eq!(told.count(), 1);
    let held = &all.people[0].profile.stored.letters[1].says;
    assert_eq!(*held, waxwing_testkit::profile::Says::Held { by_changed_key: true });
}

#[test]
fn a_letter_that_is_not_signed_with_the_pinned_key_has_its_senders_key_asked_for() {
    let mut all = Population::of(2);
    all.connect_all();
    all.write(1, 0, "hello");
    all.run();
    // What is pinned is not what the server says, and no question about it is due.
    all.people[0].profile.stored.contacts[0].spki = spki(5);
    all.cut(0);
    all.connect(0);
    all.run();
    assert_eq!(all.people[0].profile.stored.contacts[0].changed, None);
    all.write(1, 0, "under the new key");
    all.run();
    let stored = &all.people[0].profile.stored;
    assert_eq!(stored.contacts[0].changed.as_ref(), Some(all.people[1].keys.own.spki()));
    let held = waxwing_testkit::profile::Says::Held { by_changed_key: true };
    assert_eq!(stored.letters[1].says, held);
}

#[test]
fn a_refused_answer_is_asked_about_again_after_a_pause_and_not_before() {
    let mut all = Population::of(3);
    // Somebody's key is pinned for another phone, so that nothing of him is believed.
    let answer = KeyAnswer {
        user: UserId::new(9).unwrap(),
        phone: phone(99),
        spki: all.people[1].keys.own.spki().clone(),
    };
    let profile = &mut all.people[0].profile;
    profile.begin().unwrap();
    profile.note_key(&answer, Verdict::Pin, NOW).unwrap();
    profile.commit().unwrap();
    all.write(0, 1, "to him");
    all.connect_all();
    all.run();
    let letter = |all: &Population| all.people[0].profile.stored.outbox[0].clone();
    assert_eq!(letter(&all).state, State::Waiting);
    let until = letter(&all).not_before;
    assert!((20..=30).contains(&until.minus(all.world.now.unix)));
    // By now there would be nothing wrong with it.
    all.people[0].profile.stored.contacts.clear();
    all.pass(std::time::Duration::from_secs(20));
    assert_eq!(letter(&all).state, State::Waiting);
    all.pass(std::time::Duration::from_secs(10));
    assert_eq!(letter(&all).state, State::Answered);
    assert_eq!(all.people[1].texts(), ["to him"]);
    let told = all.people[0].profile.notices.iter().filter(|n| n.contains("NotBelieved"));
    assert_eq!(told.count(), 1);
}

#[test]
fn of_sixteen_answers_that_are_not_believed_the_person_is_told_and_of_no_more() {
    let mut all = Population::of(20);
    // All their keys are pinned for other phones.
    for (at, spki) in
        (1..20).map(|at| (at, all.people[at].keys.own.spki().clone())).collect::<Vec<_>>()
    {
        let (user, phone) = (UserId::new(100 + at as u16), phone(60 + at as u8));
        let contact = Contact { phone, user, spki, asked_at: None, changed: None };
        all.people[0].profile.stored.contacts.push(contact);
        all.write(0, at, "to somebody");
    }
    all.connect(0);
    all.run();
    let profile = &all.people[0].profile;
    assert!(profile.stored.outbox.iter().all(|letter| letter.state == State::Waiting));
    let told = profile.notices.iter().filter(|notice| notice.contains("NotBelieved"));
    assert_eq!(told.count(), 16);
}

#[test]
fn an_id_that_was_given_out_again_is_taken_from_its_holder() {
    let mut all = Population::of(2);
    // What is pinned says that somebody else has the second one's id.
    let answer = answer(98, 2, 6);
    let profile = &mut all.people[0].profile;
    profile.begin().unwrap();
    profile.note_key(&answer, Verdict::Pin, NOW).unwrap();
    profile.commit().unwrap();
    all.write(0, 1, "to the new one");
    all.connect_all();
    all.run();
    assert_eq!(all.people[1].texts(), ["to the new one"]);
    let contacts = &all.people[0].profile.stored.contacts;
    assert_eq!(contacts[0].user, None);
    assert_eq!(contacts[1].user, UserId::new(2));
}

#[test]
fn a_question_has_its_answer_when_that_has_come_and_not_before() {
    let mut all = Population::of(2);
    let him = all.people[1].phone;
    let has_answer = |all: &Population| all.people[0].messenger.has_answer(&him);
    all.connect(0);
    all.run();
    assert!(!has_answer(&all), "nobody has asked");
    all.people[0].messenger.want_key(&him);
    all.step(0);
    assert!(all.ask(0, |client, _| client.is_asking_for_key()));
    assert!(!has_answer(&all));
    all.run();
    assert!(has_answer(&all));
}

#[test]
fn an_answer_takes_an_id_from_one_holder_and_no_more() {
    let mut all = Population::of(2);
    // Two people are pinned with the second one's id. No profile is to have that.
    let profile = &mut all.people[0].profile;
    profile.begin().unwrap();
    for (who, key) in [(97, 5), (98, 6)] {
        profile.note_key(&answer(who, 2, key), Verdict::Pin, NOW).unwrap();
    }
    profile.commit().unwrap();
    all.write(0, 1, "to the new one");
    all.connect_all();
    all.run();
    let profile = &all.people[0].profile;
    let ids: Vec<_> = profile.stored.contacts.iter().map(|contact| contact.user).collect();
    assert_eq!(ids, [None, UserId::new(2)]);
    let told = profile.notices.iter().filter(|notice| notice.contains("NotBelieved"));
    assert_eq!(told.count(), 1, "{:?}", profile.notices);
}

#[test]
fn what_was_sent_without_an_answer_is_sealed_anew_when_the_key_has_changed() {
    let mut all = Population::of(2);
    all.connect(0);
    all.write(0, 1, "before");
    all.run();
    all.world.disk.held = true;
    all.write(0, 1, "unanswered");
    all.run();
    let state = |all: &Population| all.people[0].profile.stored.outbox[1].state;
    assert_eq!(state(&all), State::Sent);
    let him = all.people[1].phone;
    all.people[0].profile.stored.contacts[0].spki = spki(5);
    all.cut(0);
    all.connect(0);
    all.people[0].messenger.want_key(&him);
    all.run();
    assert!(all.people[0].profile.stored.contacts[0].changed.is_some());
    assert_eq!(state(&all), State::Waiting);
}
