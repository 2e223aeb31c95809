//! The conversation that is open, and what is being written.

use super::paint::Paper;
use crate::show::Shown;
use crate::tui::bindings::Action;
use crate::tui::state::{Focus, Model, Row, Trust};
use crate::tui::theme::Theme;

pub(super) fn title(model: &Model, theme: Theme, paper: &mut Paper<'_>) {
    let Some(open) = model.open() else { return };
    let phone = open.with().as_str();
    let listing = model.listing();
    let mut title = listing.map_or_else(|| Shown::line(phone), |one| one.title());
    let mut more = String::new();
    if title.as_str() != phone {
        more = format!(" {phone}");
    }
    more.push_str(match listing.map(|one| one.trust) {
        Some(Trust::Compared) => " · ✓ compared",
        Some(Trust::Changed) => " · key changed",
        _ => " · not compared",
    });
    let more = Shown::line(&more);
    // A name gives way to the number behind it, and a number to nothing.
    if title.as_str() != phone {
        title = title.cut(paper.columns().saturating_sub(2 + more.width()).max(8));
    }
    paper.put(0, 1, &title, Theme::name());
    paper.put(0, 1 + title.width(), &more, theme.aside());
}

pub(super) fn letters(model: &Model, theme: Theme, paper: &mut Paper<'_>) {
    let Some(open) = model.open() else { return };
    // What is newest stands at the bottom.
    let empty = paper.rows().saturating_sub(open.view().len());
    for (at, (place, shown)) in open.view().iter().enumerate() {
        let row = empty + at;
        draw_row(shown, row, theme, paper);
        if model.focus() == Focus::Letters && open.chosen() == Some(place.letter) {
            if matches!(shown, Row::Head { .. }) {
                paper.restyle(row, Theme::chosen());
            } else if !matches!(shown, Row::Day(_) | Row::New) {
                paper.put(row, 0, &Shown::from("▌"), Theme::name());
            }
        }
    }
}

fn draw_row(shown: &Row, row: usize, theme: Theme, paper: &mut Paper<'_>) {
    match shown {
        Row::Day(day) => {
            let line = Shown::from("── ").then(day).then(&Shown::from(" "));
            let rest = "─".repeat(paper.columns().saturating_sub(line.width()));
            paper.put(row, 0, &line.then(&Shown::line(&rest)), theme.aside());
        }
        Row::New => paper.put(row, 0, &Shown::from("── new ──"), theme.new_mark()),
        Row::Head { who, time, fate, is_mine } => {
            let mut right = time.clone();
            if !fate.is_empty() {
                right = right.then(&Shown::from(" ")).then(fate);
            }
            right = right.then(&Shown::from(" "));
            let room = paper.columns().saturating_sub(right.width() + 2);
            let style = if *is_mine { theme.mine().patch(Theme::name()) } else { Theme::name() };
            paper.put(row, 1, &who.cut(room), style);
            paper.put_right(row, &right, theme.aside());
        }
        Row::Words { text, is_mine } => {
            let bar = if *is_mine { theme.mine() } else { theme.aside() };
            paper.put(row, 2, &Shown::from("┃"), bar);
            paper.put(row, 4, text, Theme::words());
        }
        Row::Remark(words) => paper.put(row, 2, words, theme.aside()),
    }
}

/// What keys do where nothing is written, the most useful ones first.
fn hints(model: &Model) -> Vec<String> {
    let key = |action| model.bindings().key(action);
    match model.focus() {
        Focus::Composer => {
            vec![format!("{} send", key(Action::Send)), format!("{} line", key(Action::NewLine))]
        }
        Focus::List => vec!["Enter write".to_owned(), "? help".to_owned()],
        Focus::Letters => vec![
            "Esc write".to_owned(),
            "? help".to_owned(),
            format!("{} copy", key(Action::Copy)),
            format!("{} details", key(Action::Details)),
        ],
    }
}

/// What is being written; where the cursor is.
pub(super) fn composer(model: &Model, theme: Theme, paper: &mut Paper<'_>) -> (u16, u16) {
    let written = model.written();
    let top = (written.row + 1).saturating_sub(paper.rows());
    // What is typed goes there.
    let is_written_in = model.focus() == Focus::Composer;
    if is_written_in {
        paper.put(0, 1, &Shown::from(">"), Theme::name());
    }
    if model.composer().is_empty() {
        let title = model.listing().map(|one| one.title());
        let title = title.or_else(|| model.open().map(|open| Shown::line(open.with().as_str())));
        if let Some(title) = title {
            let mut hint = Shown::line(&format!("write to {title} …"));
            let hints = hints(model);
            let room = |hint: &Shown| paper.columns().saturating_sub(hint.width() + 6);
            let mut keys = Shown::parts(&hints, room(&hint));
            // To whom one writes stands above, too.
            if keys.is_empty() {
                let shorter = Shown::from("write …");
                keys = Shown::parts(&hints, room(&shorter));
                if !keys.is_empty() {
                    hint = shorter;
                }
            }
            paper.put(0, 3, &hint, theme.aside());
            let start = paper.columns().saturating_sub(keys.width() + 1);
            paper.put(0, start, &keys, theme.aside());
        }
    }
    for (row, text) in written.rows.iter().skip(top).take(paper.rows()).enumerate() {
        paper.put(row, 3, text, if is_written_in { Theme::words() } else { theme.aside() });
    }
    let (x, y) = paper.cell(written.row.saturating_sub(top), 3 + written.column);
    (x, y)
}
