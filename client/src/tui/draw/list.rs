//! The list of conversations.

use super::paint::Paper;
use crate::show::Shown;
use crate::tui::bindings::Action;
use crate::tui::state::{Focus, Line, Listing, Model, Trust, first_line};
use crate::tui::theme::Theme;

pub(super) fn draw(model: &Model, theme: Theme, paper: &mut Paper<'_>) {
    let lines = model.list().lines();
    if lines.is_empty() {
        let jump = format!("{}, then a number,", model.bindings().key(Action::Jump));
        for (row, words) in ["No conversations yet.", &jump, "begins one."].into_iter().enumerate()
        {
            paper.put(row, 1, &Shown::line(words), theme.aside());
        }
        return;
    }
    let top = first_line(&lines, model.list().chosen(), paper.rows());
    for (row, line) in lines.iter().skip(top).take(paper.rows()).enumerate() {
        match line {
            Line::One(one) => draw_one(model, one, row, theme, paper),
            Line::Requests(count) => heading(&format!("requests ({count})"), row, theme, paper),
            Line::Archived(count) => heading(&format!("archived ({count})"), row, theme, paper),
        }
    }
}

fn heading(words: &str, row: usize, theme: Theme, paper: &mut Paper<'_>) {
    paper.put(row, 0, &Shown::line(&format!("─ {words} ")), theme.aside());
}

fn draw_one(model: &Model, one: &Listing, row: usize, theme: Theme, paper: &mut Paper<'_>) {
    let is_chosen = model.list().chosen() == Some(one.phone());
    let marks = marks(model, one);
    let marks = Shown::line(&marks);
    let room = paper.columns().saturating_sub(1 + marks.width() + usize::from(!marks.is_empty()));
    let is_compared = one.trust == Trust::Compared;
    let title = one.title();
    let title = if is_compared {
        title.cut(room.saturating_sub(2)).then(&Shown::from(" ✓"))
    } else {
        title.cut(room)
    };
    let is_new = one.conversation.unread > 0 && !one.is_muted(model.now().unix);
    let style = if is_new || is_chosen { Theme::name() } else { Theme::words() };
    paper.put(row, 1, &title, style);
    let style = if one.trust == Trust::Changed { theme.warning() } else { theme.aside() };
    paper.put_right(row, &marks, style);
    if is_chosen {
        paper.put(row, 0, &Shown::from("▌"), Theme::name());
        if model.focus() == Focus::List {
            paper.restyle(row, Theme::chosen());
        }
    }
}

/// What stands behind a title.
fn marks(model: &Model, one: &Listing) -> String {
    let mut marks = Vec::new();
    if one.trust == Trust::Changed {
        let held = one.conversation.held;
        marks.push(if held > 0 { format!("!key({held})") } else { "!key".to_owned() });
    }
    if one.is_muted(model.now().unix) {
        marks.push("muted".to_owned());
    }
    if one.conversation.has_draft && model.open().is_none_or(|open| open.with() != one.phone()) {
        marks.push("draft".to_owned());
    }
    if one.conversation.unread > 0 {
        marks.push(one.conversation.unread.to_string());
    }
    marks.join(" ")
}
