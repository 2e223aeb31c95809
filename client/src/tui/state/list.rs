//! The list of conversations.

use std::cmp::Reverse;

use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use crate::home::{Conversation, ConversationState};
use crate::show::Shown;

/// What is known of somebody's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Nobody has compared it, or there is none yet.
    Seen,
    /// Two people have compared its number.
    Compared,
    /// The server gives out another one; nothing is sent until somebody accepts it.
    Changed,
}

/// A conversation, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What the home has of it.
    pub conversation: Conversation,
    /// What is known of the key.
    pub trust: Trust,
}

impl Listing {
    pub(crate) const fn phone(&self) -> &Phone {
        &self.conversation.phone
    }

    /// The name that the owner of the home has given, else the phone number.
    pub(crate) fn title(&self) -> Shown {
        let name = self.conversation.name.as_deref();
        Shown::line(name.unwrap_or_else(|| self.conversation.phone.as_str()))
    }

    pub(crate) fn is_muted(&self, now: UnixTime) -> bool {
        self.conversation.muted_until > now
    }

    /// Letters that wait until the server has said whether the key has changed.
    pub(crate) fn doubted(&self) -> u32 {
        if self.trust == Trust::Changed { 0 } else { self.conversation.held }
    }

    pub(crate) fn state(&self) -> ConversationState {
        self.conversation.state
    }
}

/// A line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    One(&'a Listing),
    /// Those of strangers follow.
    Requests(usize),
    /// Those that were put away follow.
    Archived(usize),
}

/// The conversations, and which of them is chosen.
#[derive(Debug, Default)]
pub(crate) struct List {
    /// In the order in which they are listed.
    all: Vec<Listing>,
    chosen: Option<Phone>,
    /// What is known of changes.
    change: i64,
    shows_archived: bool,
}

impl List {
    pub(crate) const fn change(&self) -> i64 {
        self.change
    }

    pub(crate) const fn chosen(&self) -> Option<&Phone> {
        self.chosen.as_ref()
    }

    pub(crate) fn get(&self, phone: &Phone) -> Option<&Listing> {
        self.all.iter().find(|one| one.phone() == phone)
    }

    pub(crate) fn all(&self) -> &[Listing] {
        &self.all
    }

    /// Takes in those that have changed.
    pub(crate) fn take(&mut self, changed: Vec<Listing>, change: i64) {
        self.change = change;
        let is_first = self.all.is_empty();
        for listing in changed {
            if is_first {
                self.all.push(listing);
                continue;
            }
            match self.all.iter_mut().find(|one| one.phone() == listing.phone()) {
                Some(known) => *known = listing,
                None => self.all.push(listing),
            }
        }
        self.all.sort_by_key(|one| {
            (
                group(one.state()),
                !one.conversation.is_pinned,
                Reverse(one.conversation.last),
                *one.phone(),
            )
        });
        if self.chosen.is_none() {
            let first = self.seen().next().map(|one| *one.phone());
            self.chosen = first;
        }
    }

    pub(crate) const fn choose(&mut self, phone: Phone) {
        self.chosen = Some(phone);
    }

    /// Chooses one that is so many above or below; whether that is another one.
    pub(crate) fn step(&mut self, by: isize) -> bool {
        let seen: Vec<_> = self.seen().map(|one| *one.phone()).collect();
        let at = seen.iter().position(|phone| Some(phone) == self.chosen.as_ref());
        let last = seen.len().saturating_sub(1);
        let next = at.map_or(0, |at| at.saturating_add_signed(by).min(last));
        let Some(next) = seen.get(next) else { return false };
        self.chosen.replace(*next) != Some(*next)
    }

    /// The next one in which something is unread, below this one, and then from the top: of people whom one
    /// knows, then of strangers; this one itself if nothing else is unread. One is not told of what is muted, and
    /// does not go there.
    pub(crate) fn next_unread(&self, after: Option<&Phone>, now: UnixTime) -> Option<Phone> {
        let at = self.all.iter().position(|one| Some(one.phone()) == after);
        let is_unread = |one: &Listing| one.conversation.unread > 0 && !one.is_muted(now);
        let (above, below) = self.all.split_at(at.map_or(0, |at| at + 1));
        let next = |state| {
            let is_next = |one: &&Listing| {
                is_unread(one) && one.state() == state && Some(one.phone()) != after
            };
            below.iter().chain(above).find(is_next)
        };
        let next = next(ConversationState::Open).or_else(|| next(ConversationState::Request));
        let this = || self.get(after?).filter(|one| is_unread(one));
        next.or_else(this).map(|one| *one.phone())
    }

    pub(crate) const fn toggle_archived(&mut self) {
        self.shows_archived = !self.shows_archived;
    }

    fn seen(&self) -> impl Iterator<Item = &Listing> {
        self.all.iter().filter(|one| self.is_seen(one))
    }

    fn is_seen(&self, one: &Listing) -> bool {
        let is_chosen = self.chosen.as_ref() == Some(one.phone());
        is_chosen
            || match one.state() {
                ConversationState::Open | ConversationState::Request => {
                    one.conversation.has_something()
                }
                ConversationState::Archived => self.shows_archived,
                ConversationState::Blocked => false,
            }
    }

    /// The lines of the list.
    pub(crate) fn lines(&self) -> Vec<Line<'_>> {
        let mut lines = Vec::new();
        let mut group_before = 0;
        for one in self.seen() {
            let group = group(one.state());
            if group != group_before {
                let count = self.seen().filter(|other| self::group(other.state()) == group).count();
                match group {
                    1 => lines.push(Line::Requests(count)),
                    2 => lines.push(Line::Archived(count)),
                    _ => {}
                }
            }
            group_before = group;
            lines.push(Line::One(one));
        }
        lines
    }
}

const fn group(state: ConversationState) -> u8 {
    match state {
        ConversationState::Open => 0,
        ConversationState::Request => 1,
        ConversationState::Archived | ConversationState::Blocked => 2,
    }
}

/// The first line that is seen, so that the chosen one is among them.
pub(crate) fn first_line(lines: &[Line<'_>], chosen: Option<&Phone>, height: usize) -> usize {
    let is_chosen = |line: &Line<'_>| matches!(line, Line::One(one) if Some(one.phone()) == chosen);
    let at = lines.iter().position(is_chosen).unwrap_or(0);
    (at + 1).saturating_sub(height)
}
