//! What was said to the person: in rows below the conversation until the next key, and once more on demand.

use std::collections::VecDeque;

use jiff::tz::TimeZone;
use ratatui_core::layout::Size;
use waxwing_core::time::UnixTime;

use crate::clock;
use crate::show::Shown;

/// Sentences that can be seen once more.
const KEPT: usize = 50;
/// Rows that a sentence has at least, and the part of the screen that it has where that is more.
const ROWS: usize = 3;
const PART: usize = 3;

/// What was said.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Until the next key.
    notice: Option<String>,
    /// What follows from a key that was pressed is still to be said.
    is_awaited: bool,
    /// With the time, oldest first.
    all: VecDeque<(UnixTime, String)>,
}

impl Said {
    pub(super) fn add(&mut self, words: &str, now: UnixTime) {
        self.notice = Some(words.to_owned());
        self.is_awaited = false;
        if self.all.len() == KEPT {
            self.all.pop_front();
        }
        self.all.push_back((now, words.to_owned()));
    }

    /// Says something in place of what was said last.
    pub(super) fn amend(&mut self, words: &str, now: UnixTime) {
        self.all.pop_back();
        self.add(words, now);
    }

    pub(super) fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    pub(super) fn forget_notice(&mut self) {
        self.notice = None;
        self.is_awaited = false;
    }

    /// What was said becomes old when there is more to say.
    pub(super) const fn await_more(&mut self) {
        self.is_awaited = true;
    }

    pub(super) const fn is_awaited(&self) -> bool {
        self.is_awaited
    }

    /// Everything, with what is the matter now before it, the newest first.
    pub(super) fn all(&self, matter: Option<String>, zone: &TimeZone) -> Vec<Shown> {
        let said = self.all.iter().rev();
        let said = said.map(|(at, words)| format!("{} {words}", clock::minute(*at, zone)));
        let lines: Vec<_> = matter.into_iter().chain(said).collect();
        if lines.is_empty() {
            return vec![Shown::from("nothing was said yet")];
        }
        lines.iter().map(|line| Shown::line(line)).collect()
    }
}

/// A sentence in rows of a screen of this size. Where it has no room, its last row ends with the key that
/// shows all of it.
pub(super) fn rows(words: &str, size: Size, key: &str) -> Vec<Shown> {
    let columns = usize::from(size.width).saturating_sub(2).max(4);
    let most = ROWS.max(usize::from(size.height) / PART);
    let mut rows = Shown::rows(words, columns);
    if rows.len() > most {
        rows.truncate(most);
        let more = Shown::line(&format!(" … {key}: all"));
        if let Some(last) = rows.last_mut() {
            *last = last.cut(columns.saturating_sub(more.width())).then(&more);
        }
    }
    rows
}
