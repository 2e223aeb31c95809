//! What is in front of the conversations.

use qrcode::{Color, EcLevel, QrCode};
use ratatui_core::style::Style;
use waxwing_core::phone::Phone;

use super::paint::Paper;
use crate::home::Entry;
use crate::name::me_to;
use crate::show::Shown;
use crate::tui::state::{
    Compare, Composer, Goal, Jump, Listing, Model, Overlay, QUESTION, Reading, Search, Sure, Tone,
    is_own, letter_text,
};
use crate::tui::theme::Theme;

/// Columns of a title, so that what is said of it has room.
const LONGEST_TITLE: usize = 40;

/// Draws it; where the cursor is.
pub(super) fn draw(
    model: &Model,
    overlay: &Overlay,
    theme: Theme,
    paper: &mut Paper<'_>,
) -> Option<(u16, u16)> {
    match overlay {
        Overlay::Reading(reading) => {
            draw_reading(reading, theme, paper);
            None
        }
        Overlay::Jump(jump) => Some(draw_jump(model, jump, theme, paper)),
        Overlay::Search(search) => Some(draw_search(model, search, theme, paper)),
        Overlay::Naming { phone, name, .. } => Some(draw_naming(phone, name, theme, paper)),
        Overlay::Sure(sure) => {
            draw_question(sure, theme, paper);
            None
        }
        Overlay::Compare(compare) => Some(draw_compare(model, compare, theme, paper)),
    }
}

fn draw_reading(reading: &Reading, theme: Theme, paper: &mut Paper<'_>) {
    let (seen, more) = reading.seen(paper.columns(), paper.rows());
    for (row, line) in seen.iter().enumerate() {
        let style = if line.is_heading { Theme::name() } else { Theme::words() };
        paper.put(row, 1, &line.text, style);
    }
    if let Some(more) = more {
        let (row, column) = (paper.rows(), paper.columns().saturating_sub(more.width() + 1));
        paper.put(row.saturating_sub(1), column, &more, theme.aside());
    }
}

/// A question, in as many rows as it needs, and the answers.
fn draw_question(sure: &Sure, theme: Theme, paper: &mut Paper<'_>) {
    let rows = Shown::rows(sure.question.as_str(), paper.columns().saturating_sub(2).max(4));
    let last = paper.rows().saturating_sub(1);
    let top = usize::from(rows.len() + 2 <= last);
    for (row, words) in rows.iter().take(last).enumerate() {
        paper.put(top + row, 1, words, theme.warning());
    }
    let answers = (top + rows.len() + 1).min(last);
    let (no, yes) = if sure.is_yes { ("  no ", "[yes]") } else { ("[no]", " yes ") };
    let keys = ["Tab: the other · Enter: this one", "Tab, Enter"];
    let [long, short] = keys.map(|keys| Shown::line(&format!("{no} {yes}  {keys}")));
    let words = if long.width() + 1 < paper.columns() { long } else { short };
    paper.put(answers, 1, &words, theme.aside());
}

/// Words in as many rows as they need, from a row on.
fn put_words(words: &str, row: usize, style: Style, paper: &mut Paper<'_>) {
    let rows = Shown::rows(words, paper.columns().saturating_sub(2).max(4));
    for (at, words) in rows.iter().enumerate() {
        paper.put(row + at, 1, words, style);
    }
}

/// A question with an answer in one line; where the cursor is.
fn ask(
    question: &str,
    answer: &Composer,
    row: usize,
    theme: Theme,
    paper: &mut Paper<'_>,
) -> (u16, u16) {
    let question = Shown::line(question);
    paper.put(row, 1, &question, theme.aside());
    let start = 2 + question.width();
    let room = paper.columns().saturating_sub(start + 1).max(1);
    let written = answer.written(room);
    if let Some(text) = written.rows.get(written.row) {
        paper.put(row, start, text, Theme::words());
    }
    paper.cell(row, start + written.column)
}

/// The part of a list in which the chosen line is.
fn visible(chosen: usize, room: usize) -> usize {
    (chosen + 1).saturating_sub(room)
}

fn draw_jump(model: &Model, jump: &Jump, theme: Theme, paper: &mut Paper<'_>) -> (u16, u16) {
    let cursor = ask("Go to:", &jump.query, 0, theme, paper);
    let goals = jump.goals(model.list(), model.owner());
    if goals.is_empty() {
        let words = if is_own(jump.query.text(), model.owner()) {
            "this is your own phone number"
        } else {
            "nobody like that; a whole phone number with + begins a conversation"
        };
        put_words(words, 2, theme.aside(), paper);
    }
    let room = paper.rows().saturating_sub(2);
    let top = visible(jump.chosen, room);
    for (at, goal) in goals.iter().enumerate().skip(top).take(room) {
        let row = 2 + at - top;
        let words = match goal {
            Goal::Known(one) => known(one),
            Goal::New(phone) => Shown::line(&format!("write to {}", phone.as_str())),
        };
        paper.put(row, 1, &words, Theme::words());
        if at == jump.chosen {
            paper.restyle(row, Theme::chosen());
        }
    }
    cursor
}

fn known(one: &Listing) -> Shown {
    let phone = one.conversation.phone.as_str();
    let state = one.conversation.state.name();
    let state = if state == "open" { String::new() } else { format!("  {state}") };
    match &one.conversation.name {
        Some(name) => Shown::line(&format!("{name}  {phone}{state}")),
        None => Shown::line(&format!("{phone}{state}")),
    }
}

fn draw_search(model: &Model, search: &Search, theme: Theme, paper: &mut Paper<'_>) -> (u16, u16) {
    let cursor = ask("Look for:", &search.query, 0, theme, paper);
    let open = model.open().map(|open| model.title_of(open.with()));
    let tab = match (&search.with, open) {
        (Some(with), _) => {
            let with = model.title_of(with).cut(LONGEST_TITLE);
            [format!("with {with} · Tab: with anybody"), "Tab: with anybody".to_owned()]
        }
        (None, Some(open)) => {
            let open = open.cut(LONGEST_TITLE);
            [format!("with anybody · Tab: with {open}"), format!("Tab: with {open}")]
        }
        (None, None) => Default::default(),
    };
    let [long, short] = tab.map(|words| Shown::line(&words));
    let tab = if long.width() + 1 < paper.columns() { long } else { short };
    paper.put(1, 1, &tab, theme.aside());
    if search.found.is_empty() && !search.asked.is_empty() {
        paper.put(2, 1, &Shown::from("no letter says that"), theme.aside());
    }
    let room = paper.rows().saturating_sub(2) / 2;
    let top = visible(search.chosen, room);
    for (at, entry) in search.found.iter().enumerate().skip(top).take(room) {
        let row = 2 + 2 * (at - top);
        found(model, entry, &search.asked, row, theme, paper);
        if at == search.chosen {
            paper.restyle(row, Theme::chosen());
        }
    }
    cursor
}

/// A letter that was found: whose it is in one row, its words in another.
fn found(
    model: &Model,
    entry: &Entry,
    asked: &str,
    row: usize,
    theme: Theme,
    paper: &mut Paper<'_>,
) {
    let who = model.list().get(&entry.with).map(Listing::title);
    let who = who.unwrap_or_else(|| Shown::line(entry.with.as_str()));
    let (text, is_mine, at) = letter_text(entry);
    let who = if is_mine { Shown::line(&me_to(who.as_str())) } else { who };
    paper.put(row, 1, &who, Theme::name());
    let at = Shown::line(&format!("{} ", crate::clock::in_zone(at, &model.owner().zone)));
    // It does not stand over the end of a number.
    if who.width() + at.width() + 2 <= paper.columns() {
        paper.put_right(row, &at, theme.aside());
    }
    paper.put(row + 1, 2, &Shown::from("┃"), theme.aside());
    paper.put(row + 1, 4, &Shown::excerpt(around(text, asked)), Theme::words());
}

/// The text from a little before what was looked for.
fn around<'a>(text: &'a str, asked: &str) -> &'a str {
    const BEFORE: usize = 16;
    let at = text.find(asked).unwrap_or(0);
    let start = text[..at].char_indices().rev().nth(BEFORE).map_or(0, |(start, _)| start);
    &text[start..]
}

fn draw_naming(phone: &Phone, name: &Composer, theme: Theme, paper: &mut Paper<'_>) -> (u16, u16) {
    let question = format!("Name of {}:", phone.as_str());
    let cursor = ask(&question, name, 1, theme, paper);
    put_words("Enter keeps it; with nothing typed, the name goes", 3, theme.aside(), paper);
    cursor
}

fn draw_compare(
    model: &Model,
    compare: &Compare,
    theme: Theme,
    paper: &mut Paper<'_>,
) -> (u16, u16) {
    let title = model.title_of(&compare.with);
    let sheet = compare.sheet(&title, paper.columns(), paper.rows());
    for (row, line) in &sheet.lines {
        let style = match line.tone {
            Tone::Aside => theme.aside(),
            Tone::Plain => Theme::words(),
            Tone::Strong => Theme::name(),
            Tone::Warning => theme.warning(),
        };
        paper.put(*row, line.column, &line.text, style);
    }
    if let (Some((top, left)), Some(number)) = (sheet.code, &compare.number) {
        draw_code(&number.text, top, left, theme, paper);
    }
    match sheet.answer {
        Some(row) => ask(QUESTION, &compare.typed, row, theme, paper),
        None => paper.cell(0, 0),
    }
}

/// The number for a camera, where there is room for it: dark on light, two rows of squares in one of
/// characters.
fn draw_code(number: &str, top: usize, left: usize, theme: Theme, paper: &mut Paper<'_>) {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let Ok(code) = QrCode::with_error_correction_level(digits, EcLevel::L) else { return };
    const QUIET: usize = 2;
    let size = code.width() + 2 * QUIET;
    if left + size > paper.columns() || top + size.div_ceil(2) > paper.rows() {
        return;
    }
    let is_light = |x: usize, y: usize| {
        let inside = QUIET..QUIET + code.width();
        !inside.contains(&x) || !inside.contains(&y) || code[(x - QUIET, y - QUIET)] == Color::Light
    };
    for row in 0..size.div_ceil(2) {
        let squares = (0..size).map(|x| {
            match (is_light(x, 2 * row), 2 * row + 1 < size && is_light(x, 2 * row + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            }
        });
        let squares: String = squares.collect();
        paper.put(top + row, left, &Shown::line(&squares), theme.code());
    }
}
