//! Writing, reading, going from one conversation to another.

use std::time::Duration;

use super::person::Person;
use super::phone;
use super::screens::week;
use crate::courier::{Connection, Loss};
use crate::home::{ItemId, Window, Writing};
use crate::tui::event::{Act, Errand, Event};
use crate::tui::input::{Input, Key};
use waxwing_core::time::UnixTime;

fn anybody() -> Person {
    Person::with((80, 24), week)
}

fn draft(text: &str) -> Errand {
    Errand::Draft { with: phone(1), text: text.into() }
}

#[test]
fn what_is_begun_is_kept_at_each_pause_and_at_the_end() {
    let mut person = anybody();
    person.press(Key::Enter);
    person.carry_out();
    person.types("so far");
    assert!(person.errands.is_empty());
    person.wait(Duration::from_millis(500));
    assert_eq!(person.errands, [draft("so far")]);
    person.wait(Duration::from_secs(60));
    assert_eq!(person.errands.len(), 1, "nothing has changed");
    // Without any pause it does not wait for one.
    person.errands.clear();
    for _ in 0..40 {
        person.types("x");
        person.wait(Duration::from_millis(100));
    }
    assert!(!person.errands.is_empty());
    person.errands.clear();
    person.types("y");
    person.leaves();
    assert_eq!(person.errands, [draft(&format!("so far{}y", "x".repeat(40)))]);
}

#[test]
fn what_nobody_sees_no_key_does() {
    let mut person = anybody();
    person.press(Key::Enter);
    person.carry_out();
    person.types("so far");
    person.wait(Duration::from_millis(500));
    person.carry_out();
    person.acts.clear();
    let unseen = |person: &mut Person, keys: &[Key]| {
        for (width, height) in [(29, 24), (80, 7), (0, 0)] {
            person.resize(width, height);
            person.presses(keys);
            person.happen(Event::Input(Input::Paste("pasted".into())));
            person.happen(Event::Input(Input::Click { column: 1, row: 2 }));
            person.happen(Event::Input(Input::Wheel { up: true }));
            person.wait(Duration::from_millis(500));
        }
        person.resize(80, 24);
        assert!(person.errands.is_empty() && person.acts.is_empty(), "{:?}", person.errands);
    };
    let all =
        [Key::Char('x'), Key::Backspace, Key::Ctrl('g'), Key::Enter, Key::Function(1), Key::Esc];
    unseen(&mut person, &all);
    person.sees_line("> so far");
    person.sees_line("not pasted: the window was too small");
    // In the list, and at a question.
    person.press(Key::Tab);
    unseen(&mut person, &[Key::Char('b'), Key::Tab, Key::Enter, Key::Char('M')]);
    person.presses(&[Key::Char('b'), Key::Tab]);
    unseen(&mut person, &[Key::Enter, Key::Esc]);
    person.sees_line("Discard what Ann sends from now on?");
    // These do the same as on a large screen.
    person.resize(20, 5);
    person.presses(&[Key::Ctrl('l'), Key::Ctrl('z'), Key::Ctrl('q')]);
    assert_eq!(person.acts, [Act::Redraw, Act::Suspend, Act::Quit]);
}

#[test]
fn a_draft_stays_with_its_conversation() {
    let mut person = anybody();
    person.press(Key::Enter);
    person.types("for Ann");
    person.presses(&[Key::Esc, Key::Down]);
    person.carry_out();
    person.sees_nothing_of("for Ann");
    person.sees_line("draft");
    person.press(Key::Up);
    person.sees_line("   for Ann");
}

#[test]
fn a_letter_is_sent_once_and_what_could_not_be_stored_comes_back() {
    let mut person = anybody();
    person.press(Key::Enter);
    person.carry_out();
    person.types("one");
    person.press(Key::NewLine);
    person.types("two");
    person.presses(&[Key::Enter, Key::Enter]);
    let sent = Errand::Send { to: phone(1), text: "one\ntwo".into() };
    assert_eq!(person.errands, [sent]);
    person.types("three");
    let (to, text) = (phone(1), "one\ntwo".to_owned());
    person.happen(Event::NotSent { to, text, why: "the disk is full".into() });
    person.sees_line("not sent: the disk is full");
    person.errands.clear();
    person.press(Key::Enter);
    let sent = Errand::Send { to: phone(1), text: "one\ntwo\nthree".into() };
    assert_eq!(person.errands, [sent]);
    // Its conversation may not be open any more.
    person.errands.clear();
    person.presses(&[Key::Esc, Key::Down]);
    let text = "lost?".to_owned();
    person.happen(Event::NotSent { to, text, why: "the disk is full".into() });
    assert_eq!(person.errands, [draft("lost?")]);
}

#[test]
fn a_full_disk_is_told_in_full_and_nothing_that_is_begun_is_lost() {
    let mut person = anybody();
    person.press(Key::Enter);
    person.carry_out();
    person.types("first");
    person.press(Key::Enter);
    let why = || "the disk is full".to_owned();
    let not_kept =
        |text: &str| Event::DraftNotKept { with: phone(1), text: text.into(), why: why() };
    person.happen(Event::NotSent { to: phone(1), text: "first".into(), why: why() });
    // What is said of the letter is not hidden by what is said of the draft.
    person.happen(not_kept("first"));
    person.sees_line("not sent: the disk is full. Your words are in the line again");
    person.sees_line("> first");
    person.types("!");
    person.happen(not_kept("first!"));
    person.sees_line("what you have begun is not kept if waxwing ends now: the disk is full");
    // It is there again after another conversation, and the end tries once more.
    for _ in 0..2 {
        person.presses(&[Key::Esc, Key::Down]);
        person.happen(not_kept("first!"));
        person.sees_nothing_of("   first!");
        person.press(Key::Up);
        person.sees_line("   first!");
    }
    person.press(Key::Down);
    person.happen(not_kept("first!"));
    person.errands.clear();
    person.leaves();
    assert_eq!(person.errands, [draft("first!")]);
}

#[test]
fn a_lost_connection_is_told_in_one_row_and_tried_again_at_once() {
    let mut person = anybody();
    let loss = Loss { brief: "the disk is full".into(), why: "make room on it".into() };
    person.happen(Event::Connection(Connection::Lost(loss)));
    for (width, row) in [
        (80, " +49…00 · no connection: the disk is full    Ctrl-R again · 1 waiting · F1 help"),
        (60, " +49…00 · no connection: the disk is full           F1 help"),
        (40, " offline: the disk is full      F1 help"),
        (30, " the disk is full     F1 help"),
    ] {
        person.resize(width, 24);
        assert_eq!(person.sees()[0], row);
    }
    person.resize(80, 24);
    person.errands.clear();
    person.press(Key::Ctrl('r'));
    assert_eq!(person.errands, [Errand::Hurry]);
    person.sees_line("trying again. There was no connection: make room on it");
    // What has come of it replaces that: it is not older than the first row.
    let loss = |why: &str| Connection::Lost(Loss { brief: "no answer".into(), why: why.into() });
    for (connection, said) in [
        (Connection::Begun, "the connection is being made"),
        (loss("nobody answers"), "tried. There is no connection: nobody answers"),
        (Connection::Stands, "the connection stands"),
    ] {
        person.happen(Event::Connection(connection));
        person.sees_line(said);
    }
    // Who has gone on is not told again.
    person.press(Key::Down);
    person.happen(Event::Connection(loss("gone")));
    person.sees_nothing_of("gone");
}

#[test]
fn what_was_sent_comes_back_to_be_sent_anew_and_is_no_draft() {
    let mut person = Person::with((80, 24), |person| {
        person.has_written(phone(1), 1, "first");
        person.receives(phone(1), 2, "an answer");
        person.has_written(phone(1), 3, "second\nof two lines");
    });
    person.press(Key::Enter);
    person.carry_out();
    person.press(Key::Up);
    person.sees_line("> second");
    // To its first row, and then to what was sent before.
    person.presses(&[Key::Up, Key::Up]);
    person.sees_line("> first");
    person.press(Key::Up);
    person.sees_line("> first");
    person.presses(&[Key::Down, Key::Down]);
    person.sees_line("> write to");
    person.presses(&[Key::Up, Key::Up, Key::Up]);
    person.leaves();
    assert!(person.errands.is_empty(), "{:?}", person.errands);
    person.types(", once more");
    person.wait(Duration::from_millis(500));
    assert_eq!(person.errands, [draft("first, once more")]);
    // Now something is begun: Up stays there, so that what is typed next is no command.
    person.press(Key::Up);
    person.types(", by");
    person.errands.clear();
    person.press(Key::Enter);
    let sent = Errand::Send { to: phone(1), text: "first, once more, by".into() };
    assert_eq!(person.errands, [sent]);
}

#[test]
fn where_nothing_was_sent_up_goes_to_the_letters() {
    let mut person = Person::with((80, 24), |person| {
        person.receives(phone(1), 2, "a letter");
        person.home.relations().accept(&phone(1)).unwrap();
    });
    person.presses(&[Key::Enter, Key::Up]);
    person.sees_line("Esc write · ? help · y copy");
    person.presses(&[Key::Esc, Key::BackTab]);
    person.sees_line("Esc write · ? help · y copy");
}

#[test]
fn with_something_begun_it_is_seen_where_keys_go() {
    let mut person = anybody();
    person.press(Key::Enter);
    person.carry_out();
    person.types("begun");
    person.sees_line(" > begun");
    person.sees_nothing_of("The keys are for");
    person.press(Key::BackTab);
    person.sees_nothing_of("> begun");
    person.sees_line("The keys are for the letters. Esc: go on writing · ?: help · y: copy");
    person.presses(&[Key::Char('d'), Key::Tab, Key::Enter]);
    person.happen(Event::Done("deleted here".into()));
    person.sees_line("deleted here");
    person.sees_line("The keys are for the letters.");
    person.press(Key::Esc);
    person.sees_line(" > begun");
    person.press(Key::Tab);
    person.sees_nothing_of("> begun");
    person.sees_line("The keys are for the list. Enter: go on writing · ?: help");
}

#[test]
fn on_a_small_screen_it_is_said_how_to_go_on_writing() {
    let mut person = Person::with((40, 12), week);
    person.press(Key::Enter);
    person.types("begun");
    person.press(Key::BackTab);
    person.sees_line("Esc: go on writing · ?: help");
    person.presses(&[Key::Esc, Key::Tab]);
    person.sees_line("Enter: go on writing · ?: help");
}

#[test]
fn a_key_goes_from_one_unread_conversation_to_the_next_and_then_to_strangers() {
    let mut person = anybody();
    // In the list, too, what one goes to is read then.
    person.press(Key::Alt('n'));
    person.sees_line("│ Dora");
    person.carry_out();
    person.receives(phone(1), 200, "once more");
    person.happen(Event::Changed);
    person.press(Key::Alt('n'));
    person.sees_line("│ Ann");
    person.sees_line("once more");
    person.carry_out();
    // Carl is muted.
    for stranger in [9, 8] {
        person.press(Key::Alt('n'));
        person.sees_line(&format!("│ {}", phone(stranger).as_str()));
        person.sees_line("is a stranger. Tab, then A: accept");
        person.carry_out();
    }
    person.press(Key::Alt('n'));
    person.sees_line("nothing else is unread");
    person.types("read");
    person.sees_line("> read");
}

#[test]
fn the_next_unread_letter_is_seen_although_own_ones_stand_below_it() {
    let mut person = anybody();
    let dora = phone(3);
    let last = person.home.last_item().unwrap();
    person.home.conversations().mark_read(&dora, last).unwrap();
    for at in 0..20 {
        person.receives(dora, at, &format!("unread {at} of many"));
    }
    (20..60).for_each(|at| person.has_written(dora, at, &format!("own {at} of many")));
    person.happen(Event::Changed);
    person.errands.clear();
    person.press(Key::Alt('n'));
    person.sees_line("│── new ──");
    person.sees_line("┃ unread 0 of many");
    person.sees_nothing_of("own 59 of many");
    // What is not seen yet is not read.
    let [Errand::Read { to, .. }] = person.errands[..] else { panic!("{:?}", person.errands) };
    let read = person.home.page(&dora, Window::From(ItemId::new(1)), 100).unwrap();
    let read = read.iter().filter(|entry| entry.id <= to).count();
    assert!((2..20).contains(&read), "{read}");
    person.carry_out();
    person.sees_line("┃ unread 0 of many");
    for _ in 0..20 {
        person.press(Key::PageDown);
    }
    person.sees_line("own 59 of many");
    person.carry_out();
    // While the list has the keys, what is open is not read either.
    person.press(Key::Tab);
    person.receives(dora, 99, "unread once more");
    person.happen(Event::Changed);
    for stranger in [phone(8), phone(9)] {
        person.home.conversations().mark_read(&stranger, person.home.last_item().unwrap()).unwrap();
    }
    person.home.conversations().mark_read(&phone(1), person.home.last_item().unwrap()).unwrap();
    person.happen(Event::Changed);
    person.press(Key::Alt('n'));
    person.sees_line("┃ unread once more");
    person.carry_out();
    person.press(Key::Alt('n'));
    person.sees_line("nothing else is unread");
    // Where there is room for all, the end is seen, and what comes then is.
    let carl = phone(2);
    assert!(person.home.conversations().mute(&carl, UnixTime::from_seconds(0)).unwrap());
    person.happen(Event::Changed);
    person.press(Key::Alt('n'));
    person.sees_line("│ Carl");
    person.carry_out();
    person.sees_line("The committee meets");
    (0..30).for_each(|at| person.receives(carl, 100 + at, &format!("news {at}")));
    person.happen(Event::Changed);
    person.sees_line("┃ news 29");
}

#[test]
fn who_begins_to_type_in_the_list_does_not_end_in_the_middle_of_a_letter() {
    let mut person = anybody();
    person.types("jolik");
    person.sees_nothing_of("> ");
    person.presses(&[Key::Enter, Key::BackTab]);
    person.types("i");
    person.sees_line("Esc write");
}

#[test]
fn among_letters_keys_go_to_the_first_and_the_last_and_pages_take_along_what_is_chosen() {
    let mut person = Person::with((80, 24), |person| {
        person.names(phone(1), "Ann");
        person.home.relations().accept(&phone(1)).unwrap();
        (0..200).for_each(|at| person.receives(phone(1), at, &format!("letter {at} of many")));
    });
    person.press(Key::Enter);
    person.carry_out();
    person.presses(&[Key::BackTab, Key::Home]);
    person.sees_line("letter 0 of many");
    person.sees_nothing_of("letter 199 of many");
    let copied = |person: &mut Person| {
        person.acts.clear();
        person.press(Key::Char('y'));
        let [Act::Copy(text)] = &person.acts[..] else { panic!("{:?}", person.acts) };
        text.clone()
    };
    assert_eq!(copied(&mut person), "letter 0 of many");
    // What is chosen is seen, however one scrolls.
    for keys in [&[Key::PageDown][..], &[Key::PageDown; 3], &[Key::PageUp], &[Key::PageDown; 40]] {
        person.presses(keys);
        let chosen = copied(&mut person);
        // What is said of it goes with the next key.
        person.press(Key::Left);
        person.sees_line(&chosen);
    }
    assert_eq!(copied(&mut person), "letter 199 of many");
    person.presses(&[Key::PageUp; 60]);
    assert_eq!(copied(&mut person), "letter 0 of many");
    person.press(Key::End);
    person.sees_line("letter 199 of many");
    assert_eq!(copied(&mut person), "letter 199 of many");
    person.press(Key::Up);
    assert_eq!(copied(&mut person), "letter 198 of many");
    // In the line, the same keys move the cursor.
    person.press(Key::Esc);
    person.types("bc");
    person.press(Key::Home);
    person.types("a");
    person.sees_line("> abc");
}

#[test]
fn nobody_goes_to_a_conversation_with_themselves() {
    let mut person = Person::with((80, 24), |person| {
        person.home.conversations().set_draft(&phone(0), "left over").unwrap();
        person.receives(phone(1), 1, "hello");
    });
    person.press(Key::Ctrl('p'));
    person.sees_line("+4915112345601");
    person.sees_nothing_of("+4915112345600");
    person.types("+49 151 12345600");
    person.sees_line("this is your own phone number");
    person.press(Key::Enter);
    person.sees_line("Go to:");
}

#[test]
fn what_was_begun_and_erased_makes_nobody_a_stranger_who_asks() {
    let mut person = Person::with((80, 24), |person| person.receives(phone(1), 1, "hello"));
    person.press(Key::Ctrl('p'));
    person.types("+49 151 12345605");
    person.press(Key::Enter);
    person.types("x");
    person.wait(Duration::from_millis(500));
    person.carry_out();
    person.press(Key::Backspace);
    person.wait(Duration::from_millis(500));
    person.carry_out();
    person.sees_line("requests (1)");
    person.presses(&[Key::Tab, Key::Down]);
    person.sees_nothing_of("+4915112345605");
}

#[test]
fn letters_are_read_by_whoever_has_them_in_front_of_them() {
    let mut person = anybody();
    person.sees_line("The tickets are booked.");
    assert!(person.errands.is_empty(), "the list alone reads nothing");
    person.press(Key::Enter);
    assert!(matches!(person.errands[..], [Errand::Read { with, .. }] if with == phone(1)));
    person.carry_out();
    person.happen(Event::Input(Input::Focus(false)));
    person.receives(phone(1), 200, "are you there?");
    person.happen(Event::Changed);
    person.sees_line("are you there?");
    assert!(person.errands.is_empty(), "nobody looks");
    let Act::Notify(news) = &person.acts[0] else { panic!("{:?}", person.acts) };
    assert_eq!((news.len(), news[0].with, news[0].unread), (1, phone(1), 1));
    person.happen(Event::Input(Input::Focus(true)));
    assert!(matches!(person.errands[..], [Errand::Read { .. }]));
}

#[test]
fn a_terminal_that_never_says_who_looks_tells_of_what_is_not_open() {
    let mut person = anybody();
    person.press(Key::Enter);
    person.carry_out();
    person.receives(phone(1), 200, "seen");
    person.happen(Event::Changed);
    assert!(person.acts.is_empty(), "{:?}", person.acts);
    person.receives(phone(3), 201, "elsewhere");
    person.happen(Event::Changed);
    let Act::Notify(news) = &person.acts[0] else { panic!("{:?}", person.acts) };
    assert_eq!((news.len(), news[0].with), (1, phone(3)));
}

#[test]
fn what_was_read_can_be_unread_again_until_somebody_goes_there() {
    let mut person = anybody();
    person.press(Key::Enter);
    person.carry_out();
    person.presses(&[Key::Esc, Key::Char('U')]);
    assert_eq!(person.errands, [Errand::Unread(phone(1))]);
    person.errands.clear();
    assert!(person.home.conversations().mark_unread(&phone(1)).unwrap());
    person.happen(Event::Changed);
    person.sees_line("Ann ✓             1│");
    assert!(person.errands.is_empty() && person.acts.is_empty(), "{:?}", person.acts);
    person.press(Key::Enter);
    assert!(matches!(person.errands[..], [Errand::Read { with, .. }] if with == phone(1)));
}

#[test]
fn muted_conversations_and_strangers_ring_no_bell() {
    let mut person = anybody();
    person.happen(Event::Input(Input::Focus(false)));
    person.receives(phone(2), 200, "muted");
    person.receives(phone(8), 201, "a stranger");
    person.happen(Event::Changed);
    assert!(person.acts.is_empty());
}

#[test]
fn a_long_conversation_is_read_page_by_page() {
    let mut person = Person::with((80, 24), |person| {
        for at in 0..200 {
            person.receives(phone(1), at, &format!("letter {at:03}"));
        }
        person.home.relations().accept(&phone(1)).unwrap();
    });
    person.press(Key::Enter);
    person.sees_line("letter 199");
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        for row in person.sees() {
            seen.extend(row.find("letter ").map(|at| row[at..at + 10].to_owned()));
        }
        person.press(Key::PageUp);
    }
    assert_eq!(seen.len(), 200);
    person.sees_line("letter 000");
    person.sees_line("── Saturday, 28 November 2026");
    // What comes does not move what somebody reads.
    let before = person.sees();
    person.carry_out();
    person.receives(phone(1), 300, "newest");
    person.happen(Event::Changed);
    let letters =
        |rows: &[String]| rows[2..23].iter().map(|row| row[18..].to_owned()).collect::<Vec<_>>();
    assert_eq!(letters(&before), letters(&person.sees()));
    for _ in 0..60 {
        person.press(Key::PageDown);
    }
    person.sees_line("newest");
}

#[test]
fn a_letter_that_was_found_is_shown_where_it_stands() {
    let mut person = anybody();
    person.press(Key::Ctrl('f'));
    person.types("early TRAIN");
    person.wait(Duration::from_millis(200));
    person.sees_line("Shall we take the early train");
    person.press(Key::Enter);
    person.sees_line("Ann +4915112345601");
    person.press(Key::Char('y'));
    let copied = "Shall we take the early train on Saturday?".to_owned();
    assert_eq!(person.acts, [Act::Copy(copied)]);
    person.press(Key::Char('o'));
    person.sees_line("received  2026-11-27 08:00");
}

#[test]
fn what_is_found_has_one_row_and_nothing_found_is_said() {
    let mut person = anybody();
    person.receives(phone(1), 100, "one\ttab");
    for (asked, sees) in [
        ("booked", "┃ The tickets are booked.↵Wonderful!"),
        ("tab", "┃ one⇥tab"),
        ("nobody has said this", "no letter says that"),
    ] {
        person.press(Key::Ctrl('f'));
        person.types(asked);
        person.wait(Duration::from_millis(200));
        person.sees_line(sees);
        person.press(Key::Enter);
        person.press(Key::Esc);
    }
    // With the one whose conversation is open, and with anybody.
    person.press(Key::Ctrl('f'));
    person.types("ee");
    person.wait(Duration::from_millis(200));
    person.sees_line("See you tomorrow?");
    person.press(Key::Tab);
    person.sees_line("with Ann · Tab: with anybody");
    person.sees_nothing_of("See you tomorrow?");
    person.press(Key::Tab);
    person.sees_line("See you tomorrow?");
    person.press(Key::Esc);
    // A number is not covered by the time.
    person.resize(30, 8);
    person.press(Key::Ctrl('f'));
    person.types("bakery");
    person.wait(Duration::from_millis(200));
    person.sees_line("+4915112345609");
}

#[test]
fn a_letter_is_deleted_after_a_yes() {
    let mut person = Person::with((80, 24), |person| {
        person.receives(phone(1), 1, "stays");
        person.receives(phone(1), 2, "goes");
        person.home.relations().accept(&phone(1)).unwrap();
    });
    person.press(Key::Enter);
    person.errands.clear();
    person.presses(&[Key::BackTab, Key::Char('d'), Key::Esc, Key::Char('d'), Key::Enter]);
    person.sees_nothing_of("Delete this letter here?");
    person.press(Key::Char('d'));
    person.sees_line("Delete this letter here?");
    assert!(person.errands.is_empty());
    person.presses(&[Key::Right, Key::Enter]);
    assert!(matches!(person.errands[..], [Errand::Delete(with, _)] if with == phone(1)));
    person.carry_out();
    person.sees_line("stays");
    person.sees_nothing_of("┃ goes");
}

#[test]
fn a_new_conversation_begins_with_a_number() {
    let mut person = anybody();
    person.press(Key::Ctrl('p'));
    person.types("+49 151 12345677");
    person.sees_line("write to +4915112345677");
    person.press(Key::Enter);
    person.types("hello");
    person.wait(Duration::from_millis(500));
    person.carry_out();
    person.sees_nothing_of("stranger");
    person.press(Key::Enter);
    let to = waxwing_core::phone::Phone::parse(b"+4915112345677").unwrap();
    assert!(person.errands.contains(&Errand::Send { to, text: "hello".into() }));
}

#[test]
fn a_stranger_is_accepted_or_blocked() {
    let mut person = anybody();
    person.press(Key::End);
    person.sees_line("is a stranger. A: accept, b: block; answering accepts");
    person.press(Key::Char('A'));
    assert_eq!(person.errands, [Errand::Accept(phone(8))]);
    // Who writes would write these letters.
    person.press(Key::Enter);
    person.sees_line("is a stranger. Tab, then A: accept, b: block; answering accepts");
    person.press(Key::Tab);
    person.errands.clear();
    person.presses(&[Key::Char('b'), Key::Enter]);
    assert!(person.errands.is_empty());
    person.presses(&[Key::Char('b'), Key::Tab, Key::Enter]);
    assert_eq!(person.errands, [Errand::Block(phone(8), true)]);
    // The way back is a question, too.
    person.home.relations().block(&phone(8)).unwrap();
    person.happen(Event::Changed);
    person.errands.clear();
    person.press(Key::Char('b'));
    person.sees_line("Show what +4915112345608 sends from now on?");
    assert!(person.errands.is_empty());
    person.presses(&[Key::Tab, Key::Enter]);
    assert_eq!(person.errands, [Errand::Block(phone(8), false)]);
}

#[test]
fn a_text_that_is_typed_in_the_list_changes_nothing() {
    let mut person = anybody();
    for letter in 'a'..='z' {
        person.presses(&[Key::Char(letter), Key::Esc, Key::Esc]);
    }
    let reads_or_asks = |errand: &Errand| matches!(errand, Errand::Read { .. } | Errand::AskKey(_));
    assert!(person.errands.iter().all(reads_or_asks), "{:?}", person.errands);
    assert!(person.acts.is_empty(), "{:?}", person.acts);
}

#[test]
fn no_letter_and_no_enter_in_haste_answers_a_question() {
    let mut person = anybody();
    person.errands.clear();
    for typed in ["by the way, yes", "by", "bY"] {
        person.types(typed);
        person.sees_line("Discard what Ann sends from now on?");
        person.sees_line("[no]  yes   Tab: the other · Enter: this one");
        person.press(Key::Enter);
        person.sees_nothing_of("Discard what");
    }
    person.presses(&[Key::Char('b'), Key::Tab]);
    person.sees_line("  no  [yes]  Tab: the other · Enter: this one");
    person.presses(&[Key::Tab, Key::Enter]);
    let blocks = |errand: &Errand| matches!(errand, Errand::Block(..));
    assert!(!person.errands.iter().any(blocks), "{:?}", person.errands);
    person.presses(&[Key::Char('b'), Key::BackTab, Key::Enter]);
    assert_eq!(person.errands.last(), Some(&Errand::Block(phone(1), true)));
}

#[test]
fn what_has_no_room_in_a_letter_is_not_taken_in_part() {
    let mut person = anybody();
    person.press(Key::Enter);
    person.types("begun ");
    let long = "x".repeat(Writing::LONGEST - 5);
    let refused = "not taken, and nothing is changed: a letter has at most 61134 bytes";
    for paste in [Input::Paste(long.clone()), Input::PasteTooLong] {
        person.happen(Event::Input(paste));
        person.sees_line(refused);
        person.sees_line("> begun");
        person.press(Key::Left);
        person.press(Key::End);
        person.sees_nothing_of(refused);
    }
    // Up to the last byte it is taken, and can be sent.
    person.happen(Event::Input(Input::Paste(long[1..].to_owned())));
    person.sees_nothing_of(refused);
    for key in [Key::Char('y'), Key::NewLine] {
        person.press(key);
        person.sees_line(refused);
    }
    person.errands.clear();
    person.press(Key::Enter);
    let text = format!("begun {}", &long[1..]);
    assert!(person.errands == [Errand::Send { to: phone(1), text }]);
}

#[test]
fn a_key_that_changes_is_told_while_another_conversation_is_open() {
    for (size, told) in
        [((80, 24), "The key of Carl has changed, and letters"), ((40, 12), "The key of Carl has")]
    {
        let mut person = Person::with(size, week);
        person.press(Key::Enter);
        person.sees_nothing_of("The key of");
        person.hears_of_key(phone(2), 6);
        person.happen(Event::Changed);
        person.sees_line(told);
        // Once: with the next key it is gone.
        person.press(Key::Left);
        person.receives(phone(2), 100, "more");
        person.happen(Event::Changed);
        person.sees_nothing_of(told);
    }
}

#[test]
fn what_is_said_to_do_about_a_changed_key_leads_to_its_number_and_types_nothing() {
    let mut person = Person::with((80, 24), week);
    person.press(Key::Enter);
    person.hears_of_key(phone(2), 6);
    person.happen(Event::Changed);
    person.sees_line("are held back. Ctrl-P: go");
    person.sees_line("there, then Tab, then v: compare.");
    person.press(Key::Ctrl('p'));
    person.types("Carl");
    person.presses(&[Key::Enter, Key::Tab, Key::Char('v')]);
    person.sees_line("The key of Carl has changed: they have registered anew");
    assert!(!person.errands.iter().any(|errand| matches!(errand, Errand::Draft { .. })));
}

#[test]
fn letters_with_a_new_key_are_counted_although_nobody_sees_them_yet() {
    let mut person = anybody();
    let dora = phone(3);
    for _ in 0..3 {
        person.holds(dora, 5);
    }
    person.happen(Event::Changed);
    person.sees_line(" Dora      !key(3) 1│");
    person.presses(&[Key::Down]);
    person
        .sees_line("!! Dora: the key has changed. v: compare. Sending is held, and 3 letters with");
    person.sees_line(" the new key wait until you accept it.");
}
