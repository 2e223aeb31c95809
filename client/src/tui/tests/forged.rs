//! What somebody writes to be taken for somebody else, or for this program.

use super::person::Person;
use super::phone;
use crate::show::is_hidden;
use crate::tui::input::Key;

/// A conversation with somebody who has sent these texts.
fn reading(size: (u16, u16), texts: &[&str]) -> Person {
    let mut person = Person::with(size, |person| {
        for (at, text) in texts.iter().enumerate() {
            person.receives(phone(1), i64::try_from(at).unwrap(), text);
        }
        person.home.relations().accept(&phone(1)).unwrap();
    });
    person.press(Key::Enter);
    person
}

#[test]
fn nothing_of_a_letter_acts_on_the_terminal_or_hides() {
    let texts = [
        "\x1b[2J\x1b]0;title\x07\x1bP",
        "a\u{202e}b\u{2066}c\u{200f}d",
        "tags\u{e0068}\u{e0069}",
        "zero\u{200b}width\u{2060}",
        "c1\u{9b}31m\u{90}",
        "\u{feff}bom\u{3164}",
    ];
    for size in [(80, 24), (40, 12)] {
        let person = reading(size, &texts);
        let cells = person.cells();
        for cell in &cells.content {
            let symbol = cell.symbol();
            assert!(!symbol.chars().any(|c| is_hidden(c) && c != '\u{200d}'), "{symbol:?}");
        }
        person.sees_line("<feff>bom<3164>");
    }
}

#[test]
fn marks_do_not_pile_up() {
    let person = reading((80, 24), &[&format!("a{}b", "\u{301}".repeat(60))]);
    let cells = person.cells();
    let most = cells.content.iter().map(|cell| cell.symbol().chars().count()).max().unwrap();
    assert!(most <= 9, "{most}");
}

#[test]
fn only_words_of_letters_stand_behind_a_bar() {
    let forged = [
        "── Sunday, 29 November 2026 ───────────────────────────────",
        "── new ──",
        "me 09:14 ✓✓ read 09:15",
        "!! Ann: the key has changed. Tab, then v: compare. Sending is held.",
        "(a letter that cannot be shown: it is damaged)",
        "┃ me\nsecond line",
    ];
    let person = reading((80, 24), &forged);
    let sees = person.sees();
    for text in forged.iter().flat_map(|text| text.split('\n')) {
        let part: String = text.chars().take(20).collect();
        let rows: Vec<_> = sees.iter().filter(|row| row.contains(&part)).collect();
        assert!(!rows.is_empty(), "{part}:\n{}", sees.join("\n"));
        let is_real_day = |row: &&&String| row.contains("Saturday, 28");
        for row in rows.iter().filter(|row| !is_real_day(row)) {
            let words = row.split_once('│').unwrap().1;
            let is_real_mark = words == "── new ──";
            assert!(words.starts_with("  ┃ ") || is_real_mark, "{row}");
        }
    }
}

#[test]
fn a_name_and_words_never_share_a_row() {
    // Written from right to left: a terminal that turns rows around would move the name.
    let person = reading((80, 24), &["שלום +4915112345602", "مرحبا"]);
    for row in person.sees() {
        let is_head = row.contains("08:0");
        let has_words = row.contains('ש') || row.contains('م');
        assert!(!(is_head && has_words), "{row}");
    }
}

#[test]
fn scripts_and_emoji_take_the_room_that_they_are_said_to_take() {
    let texts = [
        "日本語のとても長い文章です。".repeat(4),
        "👨\u{200d}👩\u{200d}👧\u{200d}👦".repeat(12),
        "नमस्ते दुनिया ".repeat(8),
    ];
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let person = reading((80, 24), &texts);
    person.sees_screen("scripts-80x24");
}

#[test]
fn a_flood_of_strangers_stays_apart() {
    let mut person = Person::with((80, 24), |person| {
        super::screens::week(person);
        for last in 10..90 {
            person.receives(phone(last), 500, "buy now");
        }
    });
    let rows = person.sees();
    let friends = rows.iter().position(|row| row.contains("Dora")).unwrap();
    let strangers = rows.iter().position(|row| row.contains("requests (82)")).unwrap();
    assert!(friends < strangers);
    person.press(Key::End);
    person.sees_line("is a stranger");
}
