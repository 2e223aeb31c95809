//! The list of conversations.

use super::paint::Paper;
use crate::show::Shown;
use crate::tui::bindings::Action;
use crate::tui::state::{Focus, Line, Listing, Model, Trust, first_line};
use crate::tui::theme::Theme;

pub(super) fn draw(model: &Model, theme: Theme, paper: &mut Paper<'_>) {
    let lines = model.list().lines();
    if lines.is_empty() {
        let jump = model.bindings().key(Action::Jump);
        let words = format!("No conversations yet. {jump}, then a phone number, begins one.");
        let columns = paper.columns().saturating_sub(2).max(4);
        for (row, words) in Shown::rows(&words, columns).iter().enumerate() {
            paper.put(row, 1, words, theme.aside());
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
    let (title, marks) = fit(one, &Marks::of(model, one), paper.columns().saturating_sub(1));
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

/// Title and marks, as far as there is room. A name is cut, and a number never is: two numbers of which a
/// part is missing would look alike, and nothing else tells strangers apart.
fn fit(one: &Listing, marks: &Marks, columns: usize) -> (Shown, Shown) {
    let compared = if one.trust == Trust::Compared { " ✓" } else { "" };
    let (title, compared) = (one.title(), Shown::from(compared));
    if one.conversation.name.is_some() {
        let marks = marks.words(0);
        let room = columns.saturating_sub(marks.width() + usize::from(!marks.is_empty()));
        return (title.cut(room.saturating_sub(compared.width())).then(&compared), marks);
    }
    let title = title.then(&compared);
    let room = columns.saturating_sub(title.width() + 1);
    let marks = (0..LEVELS).map(|level| marks.words(level)).find(|marks| marks.width() <= room);
    (title, marks.unwrap_or_default())
}

/// In so many ways marks are written, each shorter than the one before.
const LEVELS: u8 = 8;

/// What stands behind a title.
struct Marks {
    /// The key has changed, and so many letters wait.
    changed: Option<u32>,
    /// So many letters wait until the server has said whether it has.
    doubted: u32,
    is_muted: bool,
    has_draft: bool,
    unread: u32,
}

impl Marks {
    fn of(model: &Model, one: &Listing) -> Self {
        let conversation = &one.conversation;
        Self {
            changed: (one.trust == Trust::Changed).then_some(conversation.held),
            doubted: one.doubted(),
            is_muted: one.is_muted(model.now().unix),
            has_draft: conversation.has_draft
                && model.open().is_none_or(|open| open.with() != one.phone()),
            unread: conversation.unread,
        }
    }

    /// In words. What matters least goes first where there is no room.
    fn words(&self, level: u8) -> Shown {
        let mut words = Vec::new();
        match self.changed {
            Some(_) if level >= 6 => words.push("!".to_owned()),
            Some(held @ 1..) if level < 3 => words.push(format!("!key({held})")),
            Some(held @ 1..) if level < 5 => words.push(format!("!({held})")),
            Some(_) => words.push("!key".to_owned()),
            None if self.doubted > 0 && level < 3 => words.push(format!("held({})", self.doubted)),
            None if self.doubted > 0 && level < 5 => words.push("held".to_owned()),
            None => {}
        }
        if self.is_muted && level < 1 {
            words.push("muted".to_owned());
        }
        if self.has_draft && level < 2 {
            words.push("draft".to_owned());
        }
        if self.unread > 0 && (level < 4 || level == 6) {
            words.push(self.unread.to_string());
        }
        Shown::line(&words.join(" "))
    }
}
