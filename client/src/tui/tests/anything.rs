//! Whatever somebody does, in any order.

use std::fs;
use std::path::{Path, PathBuf};

use super::person::Person;
use super::phone;
use super::screens::week;
use crate::courier::{Connection, KeyWord, Loss};
use crate::tui::event::{Errand, Event};
use crate::tui::input::{Input, Key};

/// Numbers out of a seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

const KEYS: [Key; 35] = [
    Key::Enter,
    Key::NewLine,
    Key::Tab,
    Key::BackTab,
    Key::Backspace,
    Key::WordBackspace,
    Key::Delete,
    Key::Esc,
    Key::Up,
    Key::Up,
    Key::Down,
    Key::Down,
    Key::Left,
    Key::Right,
    Key::WordLeft,
    Key::WordRight,
    Key::Home,
    Key::End,
    Key::PageUp,
    Key::PageUp,
    Key::PageDown,
    Key::Function(1),
    Key::Ctrl('p'),
    Key::Ctrl('f'),
    Key::Ctrl('u'),
    Key::Ctrl('k'),
    Key::Ctrl('r'),
    Key::Char('v'),
    Key::Char('n'),
    Key::Char('o'),
    Key::Char('h'),
    Key::Char('y'),
    Key::Char('e'),
    Key::Char('t'),
    Key::Alt('x'),
];

const TEXTS: [&str; 8] = [
    "words ",
    "\n",
    "日本語",
    "👨\u{200d}👩\u{200d}👧",
    "e\u{301}",
    "\u{200d}\u{301}\x1b[2J",
    "+49 151 12345602",
    "שלום\t",
];

fn loss(why: &str) -> Loss {
    Loss { brief: why.to_owned(), why: why.to_owned() }
}

fn something(numbers: &mut Numbers, person: &mut Person) {
    match numbers.below(14) {
        0..8 => person.press(*numbers.of(&KEYS)),
        8 if numbers.below(9) == 0 => person.happen(Event::Input(Input::PasteTooLong)),
        8 => person.happen(Event::Input(Input::Paste((*numbers.of(&TEXTS)).to_owned()))),
        9 => {
            let width = u16::try_from(numbers.below(120)).unwrap();
            let height = u16::try_from(numbers.below(40)).unwrap();
            person.resize(width, height);
        }
        10 => {
            let from = phone(u8::try_from(1 + numbers.below(9)).unwrap());
            if person.has_room_for_letters() {
                person.receives(from, 500, numbers.of::<&str>(&TEXTS));
            }
            person.happen(Event::Changed);
        }
        11 => person.happen(Event::Input(Input::Wheel { up: numbers.below(2) == 0 })),
        12 => {
            let column = u16::try_from(numbers.below(120)).unwrap();
            let row = u16::try_from(numbers.below(40)).unwrap();
            person.happen(Event::Input(Input::Click { column, row }));
        }
        _ => {
            let to = phone(u8::try_from(1 + numbers.below(9)).unwrap());
            let (text, why) = ((*numbers.of(&TEXTS)).to_owned(), "the disk is full".to_owned());
            person.happen(match numbers.below(7) {
                0 => Event::Connection(Connection::Lost(loss("gone"))),
                1 => Event::Connection(Connection::Stands),
                2 => Event::Key(to, KeyWord::Nothing),
                3 => Event::NotSent { to, text, why },
                4 => Event::Edited(Ok(text)),
                5 => Event::DraftNotKept { with: to, text, why },
                _ => Event::Input(Input::Focus(numbers.below(2) == 0)),
            });
        }
    }
}

#[test]
fn nothing_that_somebody_does_breaks_the_screen() {
    for seed in 0..8 {
        let mut numbers = Numbers(seed);
        let mut person = Person::with((80, 24), week);
        for at in 0..300 {
            something(&mut numbers, &mut person);
            if at % 7 == 0 {
                let _ = person.sees();
            }
            person.errands.retain(|errand| {
                matches!(errand, Errand::Send { .. } | Errand::Draft { .. } | Errand::Read { .. })
            });
            if person.has_room_for_letters() {
                person.carry_out();
            } else {
                person.errands.clear();
            }
        }
        // It is a screen that can be used.
        person.resize(80, 24);
        person.presses(&[Key::Esc, Key::Esc, Key::Ctrl('p')]);
        person.types("+4915112345601");
        person.press(Key::Enter);
        person.types("still here");
        person.sees_line("still here");
    }
}

/// Nothing is drawn that was not escaped: one file writes into cells, and takes nothing else.
#[test]
fn one_file_writes_into_cells() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tui");
    let mut folders = vec![root.clone()];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if path.ends_with("tests") => {}
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    assert!(files.len() > 15);
    for file in files.iter().filter(|file| !file.ends_with("draw/paint.rs")) {
        let text = fs::read_to_string(file).unwrap();
        for way in ["set_string", "set_line", "set_span", "set_symbol", "set_char", "cell_mut"] {
            assert!(!text.contains(way), "{}: {way}", file.display());
        }
    }
}
