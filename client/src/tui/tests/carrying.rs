//! What the courier does for a screen, in a home on the disk.

use std::time::Duration;

use super::person::Person;
use super::phone;
use super::screens::week;
use crate::courier::{Connection, Hands, KeyWord};
use crate::home::{Deletion, State};
use crate::name::Name;
use crate::session::Account;
use crate::tui::desk::{carry, reading};
use crate::tui::event::{Errand, Event, Number};
use crate::tui::input::Key;

/// Somebody with a week of letters.
fn anybody() -> Person {
    Person::with((80, 24), week)
}

fn carried(person: &Person, errand: Errand, receipts: bool) -> Option<Event> {
    let account = Account::new(person.home.identity().unwrap().unwrap()).unwrap();
    let hands = Hands { home: &person.home, account: &account, session: None };
    carry::carry(errand, &hands, receipts)
}

#[track_caller]
fn fails(event: Option<Event>, why: &str) {
    match event {
        Some(Event::Failed(words)) => assert!(words.contains(why), "{words}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_letter_is_stored_and_nothing_is_begun_any_more() {
    let person = anybody();
    let (with, text) = (phone(1), "on my way".to_owned());
    assert!(carried(&person, Errand::Draft { with, text: text.clone() }, false).is_none());
    assert_eq!(person.home.conversations().draft(&with).unwrap(), text);
    let before = person.home.outbox().unanswered().unwrap();
    assert!(carried(&person, Errand::Send { to: with, text }, false).is_none());
    assert_eq!(person.home.conversations().draft(&with).unwrap(), "");
    assert_eq!(person.home.outbox().unanswered().unwrap(), before + 1);
    let queued = person.home.outbox().queued().unwrap();
    assert!(queued.iter().all(|letter| letter.status.state == State::Waiting));
}

#[test]
fn a_name_that_looks_like_a_friends_is_nobodys() {
    let person = anybody();
    // The first letter is Cyrillic.
    let name = Some(Name::parse("\u{410}nn").unwrap());
    let refused = |with, name| match carried(&person, Errand::Name(with, name), false) {
        Some(Event::Named { with: who, refused }) if who == with => refused,
        other => panic!("{other:?}"),
    };
    assert!(refused(phone(8), name).unwrap().contains("that of +4915112345601"));
    let own = Some(Name::parse("Myself").unwrap());
    assert!(refused(phone(0), own).unwrap().contains("your own"));
    assert_eq!(refused(phone(8), Some(Name::parse("Somebody").unwrap())), None);
}

#[test]
fn what_is_typed_while_a_name_is_refused_is_no_command() {
    let mut person = anybody();
    person.types("n");
    person.types("Taken");
    person.press(Key::Enter);
    let named = |person: &Person| match person.errands.last() {
        Some(Errand::Name(with, Some(_))) => *with,
        other => panic!("{other:?}"),
    };
    let with = named(&person);
    let asked = person.errands.len();
    person.types("boby");
    person.happen(Event::Named { with, refused: Some("this name is that of another".into()) });
    // The question is there again, with what was typed before.
    person.sees_line("this name is that of another");
    person.types("2");
    person.press(Key::Enter);
    let errands = &person.errands[asked..];
    assert!(
        matches!(errands, [Errand::Name(_, Some(name))] if name.as_str() == "AnnTaken2"),
        "{errands:?}"
    );
    person.happen(Event::Named { with, refused: None });
    person.types("q");
    person.sees_nothing_of("Taken2q");
}

#[test]
fn receipts_go_to_people_who_are_known_and_only_if_that_is_wanted() {
    for (who, wanted, receipts) in [(phone(1), false, 0), (phone(1), true, 2), (phone(8), true, 0)]
    {
        let person = anybody();
        let to = person.home.conversations().with(&who).unwrap().unwrap().last.unwrap();
        let before = person.home.outbox().queued().unwrap().len();
        assert!(carried(&person, Errand::Read { with: who, to }, wanted).is_none());
        assert_eq!(person.home.outbox().queued().unwrap().len(), before + receipts);
        assert_eq!(person.home.conversations().with(&who).unwrap().unwrap().unread, 0);
    }
}

fn number(person: &Person) -> Box<Number> {
    match reading::number(&person.home, &person.identity, phone(3)).unwrap() {
        Event::Number { number, .. } => number.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_compared_is_accepted_and_no_other_key() {
    let person = anybody();
    let dora = phone(3);
    let compared = number(&person);
    assert!(compared.is_changed);
    // Meanwhile the server says something else.
    person.hears_of_key(dora, 6);
    let errand = Errand::Compared(dora, compared.clone());
    fails(carried(&person, errand, false), "once more");
    fails(carried(&person, Errand::AcceptKey(dora, compared), false), "once more");
    let contact = || person.home.contacts().by_phone(&dora).unwrap().unwrap();
    assert!(contact().changed.is_some() && !contact().verified);
    let compared = number(&person);
    assert!(matches!(
        carried(&person, Errand::Compared(dora, compared), false),
        Some(Event::Done(_))
    ));
    assert!(contact().changed.is_none() && contact().verified);
}

#[test]
fn on_a_second_screen_of_the_home_the_same_key_is_compared_and_not_refused() {
    let mut person = anybody();
    let dora = phone(3);
    person.presses(&[Key::Down, Key::Char('v')]);
    let why = "another waxwing of this home has the session".to_owned();
    person.happen(Event::Key(dora, KeyWord::Unasked(why)));
    person.sees_line("The key of Dora has changed");
    let said = person.sees().join(" ");
    assert!(said.contains("This is what it said last."), "{said}");
    let seen = number(&person);
    // The other screen is faster.
    let errand = Errand::AcceptKey(dora, seen.clone());
    assert!(matches!(carried(&person, errand, false), Some(Event::Done(_))));
    person.happen(Event::Changed);
    person.sees_nothing_of("has changed");
    for errand in [Errand::AcceptKey(dora, seen.clone()), Errand::Compared(dora, seen)] {
        assert!(matches!(carried(&person, errand, false), Some(Event::Done(_))));
    }
    assert!(person.home.contacts().by_phone(&dora).unwrap().unwrap().verified);
}

#[test]
fn letters_without_room_are_told_of_once() {
    let mut person = anybody();
    person.home.delete(&Deletion::Strangers).unwrap();
    assert!(carried(&person, Errand::TellDiscarded, false).is_none());
    let long = "x".repeat(60_000);
    for _ in 0..100 {
        person.receives_if_there_is_room(phone(8), &long);
    }
    let told = carried(&person, Errand::TellDiscarded, false);
    assert!(matches!(&told, Some(Event::Discarded(letters)) if letters.len() == 1), "{told:?}");
    assert!(carried(&person, Errand::TellDiscarded, false).is_none());
    person.happen(told.unwrap());
    person.sees_line("letters were discarded");
    person.sees_line("b in the list");
}

#[test]
fn a_flood_is_told_of_when_it_happens_and_not_with_each_letter() {
    let mut person = anybody();
    person.happen(Event::Connection(Connection::Stands));
    let long = "x".repeat(60_000);
    let flood = |person: &mut Person, letters| {
        let before = person.home.conversations().last_change().unwrap();
        for _ in 0..letters {
            person.receives_if_there_is_room(phone(8), &long);
        }
        person.happen(Event::Changed);
        person.home.conversations().last_change().unwrap() > before
    };
    assert!(flood(&mut person, 100));
    person.sees_line("letters were discarded");
    let counted = |person: &Person| -> u32 {
        let sees = person.sees();
        let row = sees.iter().find(|row| row.contains("letters were discarded")).unwrap();
        row.split_whitespace().next().unwrap().parse().unwrap()
    };
    // As long as it is seen how many they are, that is right.
    let before = counted(&person);
    assert!(flood(&mut person, 4));
    assert_eq!(counted(&person), before + 4);
    person.press(Key::Function(4));
    assert_eq!(
        person.sees().iter().filter(|row| row.contains("letters were discarded")).count(),
        1
    );
    person.press(Key::Esc);
    person.sees_nothing_of("discarded");
    // The courier hears that there is something to tell, and the person does not hear it again at once.
    assert!(flood(&mut person, 1));
    person.sees_nothing_of("discarded");
    assert!(!flood(&mut person, 5));
    person.wait(Duration::from_hours(1));
    person.happen(Event::Changed);
    person.sees_line("6 letters were discarded");
}

#[test]
fn a_letter_that_waits_for_the_word_of_the_server_is_told_of_at_once() {
    let mut person = Person::with((80, 24), |person| {
        person.hears_of_key(phone(1), 2);
        person.names(phone(1), "Ann");
        person.home.relations().accept(&phone(1)).unwrap();
        person.receives(phone(1), 1, "hello");
    });
    person.sees_nothing_of("held");
    for (letters, said) in
        [(1, "1 letter is not signed with the key of Ann"), (2, "2 letters are not signed")]
    {
        person.doubts(phone(1));
        person.happen(Event::Changed);
        person.sees_line(&format!("held({letters}) 1│"));
        person.sees_line(said);
    }
    person.sees_line("Ctrl-R: ask again");
    // Then it is known.
    person.hears_of_key(phone(1), 5);
    person.happen(Event::Changed);
    person.sees_nothing_of("held(");
    person.sees_line("!key");
}
