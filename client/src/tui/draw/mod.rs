//! A screen as cells: a pure function of the state.

mod conversation;
mod list;
mod overlay;
mod paint;

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::terminal::Frame;

use super::bindings::Action;
use super::state::{Focus, Layout, Model};
use super::theme::Theme;
use crate::courier::Connection;
use crate::show::Shown;
use paint::Paper;

/// Draws it.
pub fn frame(model: &Model, theme: Theme, frame: &mut Frame<'_>) {
    let area = frame.area();
    let Some(layout) = model.layout() else {
        let mut paper = Paper::of(frame.buffer_mut(), area);
        let rows = Shown::rows("too small: need 30×8", paper.columns());
        for (row, words) in rows.iter().enumerate() {
            paper.put(row, 0, words, Theme::words());
        }
        return;
    };
    top(model, theme, &mut Paper::of(frame.buffer_mut(), layout.top));
    if let Some(overlay) = model.overlay() {
        let mut paper = Paper::of(frame.buffer_mut(), layout.below);
        if let Some(cursor) = overlay::draw(model, overlay, theme, &mut paper) {
            frame.set_cursor_position(cursor);
        }
        banner(model, layout.banner, theme, frame.buffer_mut());
        return;
    }
    panes(model, &layout, theme, frame);
}

fn panes(model: &Model, layout: &Layout, theme: Theme, frame: &mut Frame<'_>) {
    let cells = frame.buffer_mut();
    if let Some(area) = layout.list {
        list::draw(model, theme, &mut Paper::of(cells, area));
    }
    if let (Some(list), Some(_)) = (layout.list, layout.letters) {
        let line = Rect::new(list.right(), list.y, 1, list.height);
        let mut paper = Paper::of(cells, line);
        for row in 0..paper.rows() {
            paper.put(row, 0, &Shown::from("│"), theme.aside());
        }
    }
    if let Some(area) = layout.title {
        conversation::title(model, theme, &mut Paper::of(cells, area));
    }
    if let Some(area) = layout.letters {
        conversation::letters(model, theme, &mut Paper::of(cells, area));
    }
    banner(model, layout.banner, theme, cells);
    if let Some(area) = layout.composer {
        let cursor = conversation::composer(model, theme, &mut Paper::of(cells, area));
        if model.focus() == Focus::Composer {
            frame.set_cursor_position(cursor);
        }
    }
}

/// What has to be known, and whose the keys are.
fn banner(model: &Model, area: Option<Rect>, theme: Theme, cells: &mut Buffer) {
    let Some(area) = area else { return };
    let mut paper = Paper::of(cells, area);
    let words = model.banner();
    for (row, words) in words.iter().enumerate() {
        paper.put(row, 1, words, theme.warning());
    }
    if let Some(keys) = model.whose_keys() {
        paper.put(words.len(), 1, &keys, theme.aside());
    }
}

/// Account, connection and what waits, as far as there is room: what is wrong goes first.
fn top(model: &Model, theme: Theme, paper: &mut Paper<'_>) {
    let key = |action| model.bindings().key(action);
    let (help, owner) =
        (format!("{} help ", key(Action::Help)), short(model.owner().phone.as_str()));
    let mut left = Vec::new();
    let mut right = vec![help.clone()];
    if model.waiting() > 0 {
        right.insert(0, format!("{} waiting · {help}", model.waiting()));
    }
    match model.connection() {
        Connection::Begun => left.push(format!("{owner} · connecting")),
        Connection::Stands => left.push(format!("{owner} · connected")),
        Connection::Lost(loss) => {
            let brief = &loss.brief;
            left.extend([
                format!("{owner} · no connection: {brief}"),
                format!("no connection: {brief}"),
                format!("offline: {brief}"),
                brief.clone(),
            ]);
            let again = format!("{} again · {}", key(Action::Reconnect), right[0]);
            right.insert(0, again);
        }
    }
    let (left, right) = fit(&left, &right, paper.columns());
    let is_lost = matches!(model.connection(), Connection::Lost(_));
    let style = if is_lost { theme.warning() } else { theme.aside() };
    paper.put(0, 1, &left, style);
    paper.put_right(0, &right, theme.aside());
}

/// The first of each that have room beside each other; the last ones, cut off, if none have.
fn fit(left: &[String], right: &[String], columns: usize) -> (Shown, Shown) {
    let shown = |words: &String| Shown::line(words);
    for (left, right) in left.iter().flat_map(|left| right.iter().map(move |right| (left, right))) {
        let (left, right) = (shown(left), shown(right));
        if left.width() + right.width() + 2 <= columns {
            return (left, right);
        }
    }
    let right = right.last().map_or_else(Shown::default, shown);
    let room = columns.saturating_sub(right.width() + 2);
    (left.last().map_or_else(Shown::default, shown).cut(room), right)
}

/// A phone number as its owner knows it, and others who look on do not.
fn short(phone: &str) -> String {
    let (begin, end) = (phone.get(..3), phone.get(phone.len().saturating_sub(2)..));
    format!("{}…{}", begin.unwrap_or_default(), end.unwrap_or_default())
}
