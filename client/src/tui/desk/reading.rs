//! What a screen reads from the home.

use waxwing_core::phone::Phone;

use crate::home::{Conversation, Home, HomeError, Identity, Query, Window};
use crate::trust;
use crate::tui::event::{Event, Number};
use crate::tui::state::{Listing, Trust};

/// Letters that a search shows at most.
const FOUND: usize = 50;

/// The conversations that have changed.
pub(in crate::tui) fn list(home: &Home, since: i64) -> Result<Event, HomeError> {
    let conversations = home.conversations();
    // First: what changes in between is read twice, and not never.
    let change = conversations.last_change()?;
    let changed = conversations.changed_since(since)?;
    let changed = changed.into_iter().map(|one| listing(home, one)).collect::<Result<_, _>>()?;
    Ok(Event::Listed { changed, change, waiting: home.outbox().unanswered()? })
}

fn listing(home: &Home, conversation: Conversation) -> Result<Listing, HomeError> {
    let contact = home.contacts().by_phone(&conversation.phone)?;
    let trust = match contact {
        Some(contact) if contact.changed.is_some() => Trust::Changed,
        Some(contact) if contact.verified => Trust::Compared,
        _ => Trust::Seen,
    };
    Ok(Listing { conversation, trust })
}

pub(in crate::tui) fn open(home: &Home, with: Phone) -> Result<Event, HomeError> {
    Ok(Event::Opened { with, draft: home.conversations().draft(&with)? })
}

pub(in crate::tui) fn page(
    home: &Home,
    with: Phone,
    window: Window,
    limit: usize,
) -> Result<Event, HomeError> {
    Ok(Event::Page { with, window, limit, entries: home.page(&with, window, limit)? })
}

pub(in crate::tui) fn search(
    home: &Home,
    text: &str,
    with: Option<&Phone>,
) -> Result<Event, HomeError> {
    let query = Query { text, with, before: None, limit: FOUND };
    Ok(Event::Found(home.search(&query)?))
}

/// The number to compare: of the key that waits for being accepted, if there is one.
pub(in crate::tui) fn number(
    home: &Home,
    identity: &Identity,
    with: Phone,
) -> Result<Event, HomeError> {
    let contact = home.contacts().by_phone(&with)?;
    let number = contact.map(|contact| {
        let is_changed = contact.changed.is_some();
        let key = contact.changed.map_or(contact.spki, |changed| changed.spki);
        let text = trust::number(identity, &with, &key);
        Box::new(Number { text, key, is_changed, is_compared: contact.verified && !is_changed })
    });
    Ok(Event::Number { with, number })
}
