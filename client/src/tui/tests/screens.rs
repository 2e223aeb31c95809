//! Whole screens.

use std::collections::BTreeSet;
use std::fs;

use super::person::Person;
use super::phone;
use crate::courier::{Connection, KeyWord};
use crate::home::Quota;
use crate::show;
use crate::tui::event::{Errand, Event};
use crate::tui::input::{Input, Key};
use crate::tui::theme::Theme;
use ratatui_core::buffer::Cell;
use ratatui_core::style::Color;
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

/// A week of letters: friends, a group of strangers, a changed key.
pub(super) fn week(person: &mut Person) {
    let (ann, carl, dora) = (phone(1), phone(2), phone(3));
    for (key, who) in [(2, ann), (3, carl), (4, dora)] {
        person.hears_of_key(who, key);
    }
    for (who, name) in [(ann, "Ann"), (carl, "Carl"), (dora, "Dora")] {
        person.names(who, name);
        person.home.relations().accept(&who).unwrap();
    }
    person.home.contacts().mark_verified(&ann, &contact(person, ann)).unwrap();
    person.receives(carl, -3_000, "The committee meets on Thursday.");
    assert!(person.home.conversations().mute(&carl, UnixTime::from_seconds(i64::MAX)).unwrap());
    person.receives(dora, -1_500, "See you tomorrow?");
    person.hears_of_key(dora, 5);
    person.receives(ann, -1_440, "Shall we take the early train on Saturday?");
    person.has_written(ann, 74, "The tickets are booked.\nWonderful!");
    person.receives(
        ann,
        80,
        "Thank you! Here is what I have found about the mountains so far: 雪山, and a \
        hut that is open all year. 👩‍🔬",
    );
    person.receives(phone(8), 90, "You have won");
    person.receives(phone(9), 91, "Is this the bakery?");
}

fn contact(person: &Person, phone: Phone) -> waxwing_core::crypto::Spki {
    person.home.contacts().by_phone(&phone).unwrap().unwrap().spki
}

fn week_on(size: (u16, u16)) -> Person {
    let mut person = Person::with(size, week);
    person.happen(Event::Connection(Connection::Stands));
    person
}

#[test]
fn list_and_conversation_have_room_for_each_other() {
    let mut person = week_on((80, 24));
    person.sees_screen("list-80x24");
    person.press(Key::Enter);
    person.carry_out();
    person.types("On my way; ");
    person.sees_screen("conversation-80x24");
    person.press(Key::Function(1));
    person.sees_screen("help-80x24");
}

#[test]
fn a_narrow_screen_has_one_of_them() {
    let mut person = week_on((40, 12));
    person.sees_screen("list-40x12");
    person.press(Key::Enter);
    person.carry_out();
    person.sees_screen("conversation-40x12");
    person.press(Key::Esc);
    person.sees_line("Carl");
}

#[test]
fn a_number_is_never_cut_however_much_is_said_of_it() {
    let numbers = ["+4915112345601", "+4915112345602", "+491511234567891", "+491511234567892"];
    let person = |size| {
        Person::with(size, |person| {
            for (at, number) in numbers.iter().enumerate() {
                let who = Phone::parse(number.as_bytes()).unwrap();
                person.hears_of_key(who, 2 + at);
                person.home.relations().accept(&who).unwrap();
                person.receives(who, 1, "hello");
                let conversations = person.home.conversations();
                conversations.set_draft(&who, "begun").unwrap();
                assert!(conversations.mute(&who, UnixTime::from_seconds(i64::MAX)).unwrap());
                person.hears_of_key(who, 7);
                person.holds(who, 7);
            }
        })
    };
    for size in [(60, 24), (80, 24), (100, 24), (30, 8), (40, 12)] {
        let person = person(size);
        let sees = person.sees();
        for number in numbers {
            let is_listed = |row: &&String| row.trim_start_matches(['▌', ' ']).starts_with(number);
            let row = sees.iter().find(is_listed);
            assert!(row.is_some_and(|row| row.contains('!')), "{number}:\n{}", sees.join("\n"));
        }
    }
    person((100, 24)).sees_line("+4915112345602 !key(1) 1│");
    person((80, 24)).sees_line("+4915112345602 !(1)│");
}

#[test]
fn no_hint_is_cut_and_all_keys_can_be_read_on_a_small_screen() {
    for size in [(40, 12), (30, 8)] {
        let mut person = week_on(size);
        person.press(Key::Enter);
        person.carry_out();
        person.sees_line("Enter send");
        person.press(Key::BackTab);
        person.sees_line("Esc write");
        person.presses(&[Key::Esc, Key::Function(1)]);
        if size == (40, 12) {
            person.sees_screen("help-40x12");
        }
        person.sees_line("PgDn ↓ · Esc back");
        let mut seen = Vec::new();
        for _ in 0..99 {
            seen.extend(person.sees());
            person.press(Key::Down);
        }
        person.sees_line("PgUp ↑ · Esc back");
        let all = seen.join(" ");
        let all: Vec<_> = all.split_whitespace().collect();
        let mut wide = week_on((80, 24));
        wide.press(Key::Function(1));
        for word in wide.sees()[1..].join(" ").split_whitespace() {
            assert!(all.contains(&word), "{word}: {all:?}");
        }
        // The way back begins at once.
        person.press(Key::Up);
        person.sees_line("PgUp ↑ · PgDn ↓ · Esc back");
    }
}

#[test]
fn a_tiny_screen_says_so_and_comes_back() {
    let mut person = week_on((20, 5));
    person.sees_screen("small-20x5");
    for (width, height) in [(1, 1), (0, 0), (1, 200), (200, 1), (29, 8), (30, 7), (3, 3)] {
        person.resize(width, height);
        person.types("x");
        let _ = person.sees();
    }
    person.resize(80, 24);
    person.sees_line("Ann");
}

#[test]
fn every_size_can_be_drawn() {
    let mut person = week_on((80, 24));
    person.press(Key::Enter);
    person.types("several words that need more than one row on a small screen");
    for width in (30..100).step_by(7) {
        for height in (8..20).step_by(3) {
            person.resize(width, height);
            person.sees_line("screen");
            person.presses(&[Key::Ctrl('p')]);
            person.sees_line("Go to:");
            person.presses(&[Key::Esc, Key::Function(1), Key::Esc, Key::PageUp, Key::PageDown]);
        }
    }
}

#[test]
fn nothing_is_said_by_a_color_alone() {
    let mut person = week_on((80, 24));
    for keys in
        [&[][..], &[Key::Enter], &[Key::BackTab], &[Key::Esc, Key::Tab, Key::Down, Key::Char('v')]]
    {
        person.presses(keys);
        let (plain, dark) = (person.cells_in(Theme::Plain), person.cells_in(Theme::Dark));
        let colors = |cell: &Cell| (cell.fg, cell.bg);
        assert!(plain.content.iter().all(|cell| colors(cell) == (Color::Reset, Color::Reset)));
        for (plain, dark) in plain.content.iter().zip(&dark.content) {
            assert_eq!(plain.symbol(), dark.symbol());
        }
    }
}

#[test]
fn a_screen_whose_new_size_is_not_known_yet_is_drawn_as_far_as_it_goes() {
    let sizes = [(80, 24), (30, 8), (1, 1), (59, 9), (60, 50), (200, 8), (3, 40), (79, 23)];
    for (width, height) in sizes {
        let mut person = week_on((width, height));
        for keys in [
            &[][..],
            &[Key::Enter],
            &[Key::BackTab],
            &[Key::Ctrl('p')],
            &[Key::Esc, Key::Function(1)],
        ] {
            person.presses(keys);
            for size in sizes {
                let _ = person.cells_on(size);
            }
        }
    }
}

#[test]
fn a_changed_key_is_compared_with_the_last_group_and_nothing_else() {
    let mut person = week_on((80, 24));
    let dora = phone(3);
    person.press(Key::Ctrl('p'));
    person.types("dora");
    person.presses(&[Key::Enter, Key::Tab]);
    person.sees_line("!! Dora: the key has changed");
    person.press(Key::Char('v'));
    assert!(person.errands.contains(&Errand::AskKey(dora)));
    person.happen(Event::Key(dora, KeyWord::Said));
    person.sees_screen("compare-80x24");
    person.errands.clear();
    // What is on the screen anyway proves nothing: it is the other who reads it out.
    person.types("00000");
    person.press(Key::Enter);
    person.sees_line("Another number.");
    assert!(person.errands.is_empty());
    let number = person.sees();
    let groups = number.iter().flat_map(|row| row.split_whitespace().take_while(is_group));
    let last = groups.last().unwrap();
    // It is typed anew, or corrected.
    person.types("1234");
    person.press(Key::Enter);
    person.press(Key::Backspace);
    person.sees_line("as they read it out: 123");
    person.press(Key::Enter);
    person.types(last);
    person.press(Key::Enter);
    assert!(
        matches!(&person.errands[..], [Errand::Compared(who, number)] if *who == dora && number.is_changed),
        "{:?}",
        person.errands
    );
}

#[test]
fn numbers_can_be_compared_on_a_small_screen() {
    for size in [(40, 12), (30, 8)] {
        let screen = |what: &str| format!("compare{what}-{}x{}", size.0, size.1);
        let mut person = week_on(size);
        person.presses(&[Key::Down, Key::Char('v')]);
        person.happen(Event::Key(phone(3), KeyWord::Said));
        person.sees_screen(&screen(""));
        // Each row is seen on the way down.
        let mut seen = Vec::new();
        for _ in 0..9 {
            seen.extend(person.sees());
            person.press(Key::PageDown);
        }
        person.sees_screen(&screen("-end"));
        let seen = seen.join(" ");
        let groups: BTreeSet<_> = seen.split_whitespace().filter(is_group).collect();
        assert_eq!(groups.len(), 12, "{seen}");
        for words in ["The key of Dora", "without comparing.", "Call Dora", "is wrong:"] {
            let is_there = |word: &str| seen.split_whitespace().any(|there| there == word);
            assert!(words.split(' ').all(is_there), "{words}: {seen}");
        }
        person.types("00000");
        person.press(Key::Enter);
        person.sees_screen(&screen("-wrong"));
        // No press is lost on the way back.
        person.presses(&[Key::PageUp; 9]);
        person.presses(&[Key::Up, Key::Ctrl('u')]);
        person.sees_screen(&screen(""));
        person.press(Key::Char('A'));
        person.sees_screen(&screen("-sure"));
    }
}

#[test]
fn a_question_about_a_long_name_is_seen_with_its_answers() {
    let mut person = Person::with((30, 8), |person| {
        person.receives(phone(1), 1, "hello");
        person.names(phone(1), &"W".repeat(64));
    });
    person.press(Key::Char('b'));
    person.sees_line("on?");
    person.sees_line("[no]  yes   Tab, Enter");
    person.presses(&[Key::Tab, Key::Enter, Key::Enter, Key::BackTab, Key::Char('o')]);
    person.press(Key::PageDown);
    person.sees_line("bytes     5");
}

#[test]
fn nothing_that_is_said_is_cut_and_what_has_no_room_is_seen_by_a_key() {
    let long = show::discarded_text(Quota::Stranger, 4_321);
    let all: Vec<_> = [Quota::Stranger, Quota::Held, Quota::Unreadable]
        .map(|quota| show::discarded_text(quota, 4_321))
        .into();
    for (size, words) in [((80, 24), &long), ((80, 24), &all.join(" ")), ((30, 8), &long)] {
        let mut person = week_on(size);
        person.press(Key::Enter);
        person.happen(Event::Done(words.clone()));
        let has_room = size == (80, 24) && words == &long;
        assert_eq!(person.sees().join(" ").contains("F4: all"), !has_room, "{:?}", person.sees());
        if !has_room {
            person.press(Key::Function(4));
        }
        let mut seen = person.sees();
        for _ in 0..30 {
            person.press(if has_room { Key::Esc } else { Key::Down });
            seen.extend(person.sees());
        }
        let seen: Vec<_> = seen.iter().flat_map(|row| row.split_whitespace()).collect();
        for word in words.split_whitespace() {
            assert!(seen.contains(&word), "{word}: {seen:?}");
        }
    }
}

/// Everything that the screen itself says, on a terminal of the usual size.
#[test]
fn every_sentence_of_the_screen_has_room_on_80_columns() {
    let long_name = "W".repeat(64);
    let sees_all = |person: &Person, what: &str| {
        let seen = person.sees().join(" ");
        assert!(!seen.contains("F4: all"), "{what}:\n{}", person.sees().join("\n"));
    };
    let mut person = Person::with((80, 24), |person| {
        for at in [1, 2, 3] {
            person.hears_of_key(phone(at), 1 + usize::from(at));
            person.receives(phone(at), at.into(), "hello");
        }
        for (at, more) in [(1, "1"), (2, "2")] {
            person.names(phone(at), &format!("{}{more}", &long_name[1..]));
        }
        person.hears_of_key(phone(1), 7);
        (0..12).for_each(|_| person.holds(phone(1), 7));
        person.home.relations().block(&phone(2)).unwrap();
    });
    for at in [1, 2, 3] {
        person.press(Key::Ctrl('p'));
        person.types(phone(at).as_str());
        person.presses(&[Key::Enter, Key::Tab]);
        sees_all(&person, "what is the matter");
        for key in ['v', 'n', 'b'] {
            person.press(Key::Char(key));
            sees_all(&person, "what a key asks");
            person.press(Key::Esc);
        }
    }
    person.press(Key::Ctrl('p'));
    person.types(phone(1).as_str());
    person.presses(&[Key::Enter, Key::Tab, Key::Char('v')]);
    person.happen(Event::Key(phone(1), KeyWord::Said));
    person.press(Key::Char('A'));
    let asked = person.sees().join(" ");
    assert!(asked.contains("Somebody may be in between."), "{asked}");
    person.press(Key::Esc);
    let why = "the home's database cannot be used: disk I/O error; look whether its disk is full";
    let text = "x".to_owned();
    for event in [
        Event::NotSent { to: phone(1), text: text.clone(), why: why.into() },
        Event::NotSent { to: phone(4), text: text.clone(), why: why.into() },
        Event::DraftNotKept { with: phone(1), text, why: why.into() },
        Event::Input(Input::PasteTooLong),
    ] {
        let what = format!("{event:?}");
        person.happen(event);
        sees_all(&person, &what);
        person.press(Key::Esc);
    }
    // Where nobody has written yet, the list says what to do.
    let nobody = Person::with((80, 24), |_| ());
    let list = nobody.sees();
    let list: Vec<String> = list.iter().map(|row| row.chars().take(20).collect()).collect();
    let list = list.join(" ");
    for word in ["Ctrl-P,", "phone", "number,", "begins", "one."] {
        assert!(list.contains(word), "{list}");
    }
}

#[test]
fn what_is_said_in_front_of_the_conversations_is_seen() {
    for size in [(80, 24), (40, 12)] {
        let mut person = week_on(size);
        person.happen(Event::Failed("in the list".into()));
        person.sees_line("in the list");
        person.press(Key::Ctrl('p'));
        person.happen(Event::Failed("while going somewhere".into()));
        person.sees_line("while going somewhere");
        person.press(Key::Esc);
        person.sees_nothing_of("going somewhere");
        person.press(Key::Function(4));
        person.sees_line("while going somewhere");
        person.sees_line("in the list");
    }
}

fn is_group(text: &&str) -> bool {
    text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
fn the_pictures_in_the_document_are_these_screens() {
    let root = env!("CARGO_MANIFEST_DIR");
    let path = format!("{root}/../docs/USING.md");
    let document = fs::read_to_string(&path).unwrap();
    let mut parts = document.split("<!-- screen: ");
    let mut expected = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(" -->\n```text\n").unwrap();
        let (_, rest) = rest.split_once("```\n").unwrap();
        let screen =
            fs::read_to_string(format!("{root}/src/tui/tests/screens/{name}.txt")).unwrap();
        expected.push_str(&format!("<!-- screen: {name} -->\n```text\n{screen}```\n{rest}"));
    }
    if std::env::var_os("WAXWING_WRITE_SCREENS").is_some() {
        return fs::write(&path, &expected).unwrap();
    }
    assert!(
        document == expected,
        "docs/USING.md has other screens; WAXWING_WRITE_SCREENS=1 writes them"
    );
}
