//! The conversation that is open: the part of it that is loaded, and the rows that are seen.

use std::collections::VecDeque;

use waxwing_core::phone::Phone;

use super::letter::{self, Row, Setting};
use crate::clock;
use crate::home::{Entry, ItemId, Window};
use crate::show::Shown;

/// Letters that are loaded at a time.
pub(crate) const PAGE: usize = 64;
/// Letters that are kept at most, before those that are far away are let go.
const MOST: usize = 6 * PAGE;
/// In place of the first letter of a conversation, and of the last one, until they are loaded.
const FIRST: ItemId = ItemId::new(0);
const LAST: ItemId = ItemId::new(i64::MAX);
/// So near to the end of what is loaded, more is asked for.
const NEAR: usize = 12;

/// A part of a conversation, as it is on the screen.
#[derive(Debug)]
pub(crate) struct OpenConversation {
    with: Phone,
    letters: VecDeque<Item>,
    /// Nothing stands before the first that is loaded.
    has_first: bool,
    /// Nothing stands behind the last that is loaded.
    has_last: bool,
    /// The last row that is seen; `None` is the end of the conversation, whatever comes.
    bottom: Option<Place>,
    /// Letters of the other behind this one were not read when the conversation was opened.
    read_to: Option<ItemId>,
    /// The first of these stands at the top, unless the end is seen then, until one goes somewhere else.
    begins_with_unread: bool,
    /// The letter that was chosen.
    chosen: Option<ItemId>,
    view: Vec<(Place, Row)>,
    /// More was asked for, and has not come.
    is_asking: bool,
    columns: usize,
}

/// A row of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) letter: ItemId,
    row: usize,
}

#[derive(Debug)]
struct Item {
    entry: Entry,
    /// Made when it comes into view.
    rows: Option<Vec<Row>>,
}

impl OpenConversation {
    pub(crate) const fn new(with: Phone, read_to: Option<ItemId>) -> Self {
        Self {
            with,
            letters: VecDeque::new(),
            has_first: false,
            has_last: false,
            bottom: None,
            read_to,
            begins_with_unread: false,
            chosen: None,
            view: Vec::new(),
            is_asking: true,
            columns: 0,
        }
    }

    pub(crate) const fn with(&self) -> &Phone {
        &self.with
    }

    pub(crate) fn view(&self) -> &[(Place, Row)] {
        &self.view
    }

    pub(crate) const fn chosen(&self) -> Option<ItemId> {
        self.chosen
    }

    pub(crate) fn chosen_letter(&self) -> Option<&Entry> {
        let chosen = self.chosen?;
        self.letters.iter().map(|item| &item.entry).find(|entry| entry.id == chosen)
    }

    /// What the owner has written before a letter, or behind it; the last of all without one. Of the part
    /// that is loaded.
    pub(crate) fn sent(&self, from: Option<ItemId>, up: bool) -> Option<(ItemId, &str)> {
        let mut sent = self.letters.iter().map(|item| &item.entry);
        let written = |entry: &&Entry| !letter::is_received(entry);
        let found = match (from, up) {
            (None, true) => sent.rfind(written),
            (Some(from), true) => sent.rfind(|entry| entry.id < from && written(entry)),
            (Some(from), false) => sent.find(|entry| entry.id > from && written(entry)),
            (None, false) => None,
        };
        found.map(|entry| (entry.id, letter::text(entry)))
    }

    /// The first row that is seen, and the last one.
    pub(crate) fn edges(&self) -> Option<(Place, Place)> {
        Some((self.view.first()?.0, self.view.last()?.0))
    }

    /// Whether the end is seen, and what comes will be.
    pub(crate) const fn is_at_end(&self) -> bool {
        self.bottom.is_none()
    }

    /// The last letter of the other that is seen.
    pub(crate) fn seen_to(&self) -> Option<ItemId> {
        let seen = self.view.iter().rev().map(|(place, _)| place.letter);
        let of_other = |id: &ItemId| {
            self.index_of(*id).is_some_and(|at| letter::is_received(&self.letters[at].entry))
        };
        seen.into_iter().find(of_other)
    }

    /// Takes in what was asked for.
    pub(crate) fn take(&mut self, window: Window, limit: usize, entries: Vec<Entry>) {
        let is_all = entries.len() < limit;
        self.is_asking = false;
        match window {
            Window::Last => {
                self.replace(entries);
                (self.has_first, self.has_last) = (is_all, true);
                if self.chosen == Some(LAST) {
                    self.chosen = self.letters.back().map(|item| item.entry.id);
                }
            }
            Window::Before(_) => {
                self.has_first = is_all;
                // What stands between it and the one before changes.
                if let Some(first) = self.letters.front_mut() {
                    first.rows = None;
                }
                for entry in entries.into_iter().rev() {
                    self.letters.push_front(Item { entry, rows: None });
                }
            }
            Window::From(first) => {
                self.has_last = is_all;
                self.has_first |= first == FIRST;
                let kept: Vec<_> = self
                    .letters
                    .iter()
                    .map(|item| item.entry.id)
                    .take_while(|id| *id < first)
                    .collect();
                if kept.is_empty() || kept.len() == self.letters.len() {
                    // Once more what was loaded, or what follows it.
                    let before: Vec<_> = self.letters.drain(..kept.len()).collect();
                    self.replace(entries);
                    for item in before.into_iter().rev() {
                        self.letters.push_front(item);
                    }
                } else {
                    self.letters.truncate(kept.len());
                    self.letters
                        .extend(entries.into_iter().map(|entry| Item { entry, rows: None }));
                }
                if first == FIRST && self.chosen == Some(FIRST) {
                    self.see_first();
                }
            }
        }
    }

    /// The first letter that is loaded is the chosen one, and stands at the top.
    fn see_first(&mut self) {
        self.begins_with_unread = false;
        self.chosen = self.letters.front().map(|item| item.entry.id);
        self.bottom = self.chosen.map(|letter| Place { letter, row: 0 });
    }

    /// Letters that are as they were keep their rows.
    fn replace(&mut self, entries: Vec<Entry>) {
        let mut old = std::mem::take(&mut self.letters);
        let mut follows_same = true;
        for entry in entries {
            while old.front().is_some_and(|item| item.entry.id < entry.id) {
                old.pop_front();
                follows_same = false;
            }
            let same = old.pop_front_if(|item| item.entry.id == entry.id);
            let is_same = same.as_ref().is_some_and(|item| item.entry == entry);
            let rows = same.and_then(|item| item.rows).filter(|_| is_same && follows_same);
            follows_same = is_same || follows_same;
            self.letters.push_back(Item { entry, rows });
        }
    }

    /// What to load again because something in the conversation has changed.
    pub(crate) fn again(&self) -> (Window, usize) {
        match self.letters.front() {
            Some(first) if !self.letters.is_empty() => {
                (Window::From(first.entry.id), self.letters.len() + PAGE)
            }
            // The letter that one goes to has not come yet.
            _ if self.begins_with_unread => (Window::From(self.behind_read()), PAGE),
            _ => (self.bottom.map_or(Window::Last, |place| Window::From(place.letter)), PAGE),
        }
    }

    /// Goes to a letter, which is then loaded with what stands around it.
    pub(crate) fn go_to(&mut self, letter: ItemId) -> (Window, usize) {
        self.letters.clear();
        (self.has_first, self.has_last) = (false, false);
        self.begins_with_unread = false;
        self.bottom = Some(Place { letter, row: usize::MAX });
        self.chosen = Some(letter);
        self.is_asking = true;
        (Window::From(letter), PAGE)
    }

    /// Goes to the first letter of the other behind this one; what is to be loaded for that.
    pub(crate) fn go_to_unread(&mut self, read_to: ItemId) -> (Window, usize) {
        self.letters.clear();
        (self.has_first, self.has_last) = (false, false);
        (self.read_to, self.begins_with_unread) = (Some(read_to), true);
        self.is_asking = true;
        (Window::From(self.behind_read()), PAGE)
    }

    fn behind_read(&self) -> ItemId {
        ItemId::new(self.read_to.map_or(0, ItemId::get).saturating_add(1))
    }

    /// Goes to the end; what is to be loaded for that.
    pub(crate) fn go_to_end(&mut self) -> Option<(Window, usize)> {
        (self.bottom, self.begins_with_unread) = (None, false);
        if self.has_last {
            return None;
        }
        self.is_asking = true;
        Some((Window::Last, PAGE))
    }

    /// Chooses the first letter of the conversation; what is to be loaded for that.
    pub(crate) fn choose_first(&mut self) -> Option<(Window, usize)> {
        if self.has_first {
            self.see_first();
            return None;
        }
        Some(self.go_to(FIRST))
    }

    /// Chooses the last letter of the conversation; what is to be loaded for that.
    pub(crate) fn choose_last(&mut self) -> Option<(Window, usize)> {
        let wanted = self.go_to_end();
        let last = self.letters.back().map(|item| item.entry.id);
        self.chosen = if self.has_last { last } else { Some(LAST) };
        wanted
    }

    /// Chooses a letter that is seen, after what is seen has moved, if the chosen one is not: the nearest
    /// one. Where nothing could move, the first one, or the last.
    pub(crate) fn choose_seen(&mut self, up: bool, has_moved: bool) {
        let (Some((first, last)), Some(chosen)) = (self.edges(), self.chosen) else { return };
        let (first, last) = (first.letter, last.letter);
        self.chosen = Some(match (has_moved, up) {
            (true, _) => chosen.clamp(first, last),
            (false, true) => first,
            (false, false) => last,
        });
    }

    pub(crate) fn choose_none(&mut self) {
        self.chosen = None;
    }

    /// Chooses the letter before or behind the chosen one; the last one that is seen, if none is.
    /// `false` when there is none behind.
    pub(crate) fn choose(&mut self, up: bool) -> bool {
        let chosen = self.chosen.and_then(|id| self.index_of(id));
        let next = match (chosen, up) {
            (None, _) => self.view.last().and_then(|(place, _)| self.index_of(place.letter)),
            (Some(at), true) => Some(at.saturating_sub(1)),
            (Some(at), false) if at + 1 < self.letters.len() => Some(at + 1),
            (Some(_), false) => None,
        };
        let Some(at) = next else { return false };
        let id = self.letters[at].entry.id;
        self.chosen = Some(id);
        self.begins_with_unread = false;
        let rows = self.rows_of_length(at);
        let seen = self.view.iter().filter(|(place, _)| place.letter == id).count();
        if seen < rows.min(self.view.len().max(1)) {
            if self.view.last().is_some_and(|(place, _)| place.letter <= id) {
                self.bottom = Some(Place { letter: id, row: rows.saturating_sub(1) });
            } else {
                self.bottom = Some(Place { letter: id, row: 0 });
                for _ in 1..self.view.len() {
                    self.step(false);
                }
            }
        }
        true
    }

    /// Moves what is seen by so many rows.
    pub(crate) fn scroll(&mut self, up: bool, rows: usize) {
        self.begins_with_unread = false;
        if self.bottom.is_none() {
            if !up {
                return;
            }
            self.bottom = self.view.last().map(|(place, _)| *place);
        }
        if up && self.view.first().is_some_and(|(place, _)| self.is_first_row(*place)) {
            return;
        }
        for _ in 0..rows {
            self.step(up);
        }
    }

    fn is_first_row(&self, place: Place) -> bool {
        self.has_first
            && place.row == 0
            && self.letters.front().is_some_and(|first| first.entry.id == place.letter)
    }

    fn step(&mut self, up: bool) {
        let Some(place) = self.bottom else { return };
        let Some(at) = self.index_of(place.letter) else { return };
        if up {
            if place.row > 0 {
                self.bottom = Some(Place { row: place.row - 1, ..place });
            } else if at > 0 {
                let row = self.rows_of_length(at - 1).saturating_sub(1);
                self.bottom = Some(Place { letter: self.letters[at - 1].entry.id, row });
            }
        } else if place.row + 1 < self.rows_of_length(at) {
            self.bottom = Some(Place { row: place.row + 1, ..place });
        } else if at + 1 < self.letters.len() {
            self.bottom = Some(Place { letter: self.letters[at + 1].entry.id, row: 0 });
        } else if self.has_last {
            self.bottom = None;
        }
    }

    /// How many rows a letter has. One that was never in view counts as one row until it is.
    fn rows_of_length(&self, at: usize) -> usize {
        self.letters[at].rows.as_ref().map_or(1, Vec::len)
    }

    fn index_of(&self, id: ItemId) -> Option<usize> {
        self.letters.binary_search_by_key(&id, |item| item.entry.id).ok()
    }

    /// Chooses the rows that are seen, and says what is to be loaded for that.
    pub(crate) fn lay_out(
        &mut self,
        height: usize,
        setting: &Setting<'_>,
    ) -> Option<(Window, usize)> {
        if self.columns != setting.columns {
            self.columns = setting.columns;
            self.letters.iter_mut().for_each(|item| item.rows = None);
        }
        self.view.clear();
        self.let_go();
        if self.letters.is_empty() {
            return None;
        }
        if self.begins_with_unread {
            self.see_unread(height, setting);
        }
        let (mut at, mut end) = match self.bottom {
            None => (self.letters.len() - 1, usize::MAX),
            Some(place) => match self.index_of(place.letter) {
                Some(at) => (at, place.row.saturating_add(1)),
                // The letter was deleted.
                None => {
                    self.bottom = None;
                    (self.letters.len() - 1, usize::MAX)
                }
            },
        };
        if let Some(place) = self.bottom {
            self.make_rows(at, setting);
            let row = place.row.min(self.rows_of_length(at).saturating_sub(1));
            self.bottom = Some(Place { row, ..place });
        }
        let last = at;
        let mut seen = Vec::new();
        loop {
            self.make_rows(at, setting);
            let letter = self.letters[at].entry.id;
            let rows = self.letters[at].rows.as_deref().unwrap_or_default();
            for row in (0..end.min(rows.len())).rev() {
                if seen.len() < height {
                    seen.push((Place { letter, row }, rows[row].clone()));
                }
            }
            end = usize::MAX;
            if seen.len() >= height || at == 0 {
                break;
            }
            at -= 1;
        }
        seen.reverse();
        self.view = seen;
        if self.bottom.is_some() && self.view.len() < height && self.has_first {
            self.fill_from_first(height, setting);
        }
        // Rows above are known when one scrolls there.
        for above in at.saturating_sub(NEAR)..at {
            self.make_rows(above, setting);
        }
        for below in last..(last + NEAR).min(self.letters.len()) {
            self.make_rows(below, setting);
        }
        self.wanted(at, last)
    }

    /// Has the first letter at the top that is not read, or the end seen if there is room for all behind it.
    fn see_unread(&mut self, height: usize, setting: &Setting<'_>) {
        let first = self.letters.iter().position(|item| is_unread(&item.entry, self.read_to));
        let mut left = height;
        for at in first.unwrap_or(self.letters.len())..self.letters.len() {
            self.make_rows(at, setting);
            let rows = self.rows_of_length(at);
            let row = rows.min(left).saturating_sub(1);
            self.bottom = Some(Place { letter: self.letters[at].entry.id, row });
            if rows >= left {
                return;
            }
            left -= rows;
        }
        if self.has_last {
            (self.bottom, self.begins_with_unread) = (None, false);
        }
    }

    /// The first rows of the conversation, as many as there is room for.
    fn fill_from_first(&mut self, height: usize, setting: &Setting<'_>) {
        self.view.clear();
        for at in 0..self.letters.len() {
            self.make_rows(at, setting);
            let letter = self.letters[at].entry.id;
            let rows = self.letters[at].rows.as_deref().unwrap_or_default();
            for (row, shown) in rows.iter().enumerate() {
                if self.view.len() == height {
                    self.bottom = self.view.last().map(|(place, _)| *place);
                    return;
                }
                self.view.push((Place { letter, row }, shown.clone()));
            }
        }
        if self.has_last {
            self.bottom = None;
        }
    }

    fn wanted(&mut self, first_seen: usize, last_seen: usize) -> Option<(Window, usize)> {
        if self.is_asking {
            return None;
        }
        let wanted = if first_seen < NEAR && !self.has_first {
            let first = self.letters.front()?.entry.id;
            Some((Window::Before(first), PAGE))
        } else if last_seen + NEAR >= self.letters.len() && !self.has_last {
            let last = self.letters.back()?.entry.id;
            Some((Window::From(ItemId::new(last.get() + 1)), PAGE))
        } else {
            None
        };
        self.is_asking = wanted.is_some();
        wanted
    }

    /// What is far away from the rows that are seen is loaded again when it is needed.
    fn let_go(&mut self) {
        if self.letters.len() <= MOST {
            return;
        }
        let seen = self.bottom.and_then(|place| self.index_of(place.letter));
        let at = seen.unwrap_or(self.letters.len() - 1);
        if at + 2 * PAGE < self.letters.len() {
            self.letters.truncate(at + 2 * PAGE);
            self.has_last = false;
        }
        if at > 4 * PAGE {
            self.letters.drain(..at - 3 * PAGE);
            self.has_first = false;
            if let Some(first) = self.letters.front_mut() {
                first.rows = None;
            }
        }
    }

    fn make_rows(&mut self, at: usize, setting: &Setting<'_>) {
        if self.letters[at].rows.is_some() {
            return;
        }
        let entry = &self.letters[at].entry;
        let before = at.checked_sub(1).map(|before| &self.letters[before].entry);
        let day = |entry: &Entry| clock::day(letter::stored_at(entry), setting.zone);
        let mut rows = Vec::new();
        let today = day(entry);
        let is_new_day = match before {
            None => self.has_first,
            Some(before) => day(before) != today,
        };
        if is_new_day {
            rows.push(Row::Day(Shown::line(&today)));
        }
        let is_unread = |entry| is_unread(entry, self.read_to);
        if is_unread(entry) && !self.letters.range(..at).any(|item| is_unread(&item.entry)) {
            rows.push(Row::New);
        }
        rows.extend(letter::rows(entry, setting));
        self.letters[at].rows = Some(rows);
    }

    /// The name of the other has changed.
    pub(crate) fn forget_rows(&mut self) {
        self.letters.iter_mut().for_each(|item| item.rows = None);
    }
}

/// Whether a letter of the other was not read when the conversation was opened.
fn is_unread(entry: &Entry, read_to: Option<ItemId>) -> bool {
    letter::is_received(entry) && read_to.is_some_and(|read_to| entry.id > read_to)
}
