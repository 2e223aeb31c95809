//! Which key does what, for a person who asks.

use super::reading::Line;
use crate::show::Shown;
use crate::tui::bindings::{Action, Bindings};

/// All keys, by where they do something.
pub(super) fn lines(bindings: &Bindings) -> Vec<Line> {
    let key = |action| bindings.key(action);
    // Not every terminal tells it from Enter.
    let new_line = key(Action::NewLine).replace("Alt-Enter", "Alt-Enter, Ctrl-J");
    let pages = format!("{} {}", key(Action::Older), key(Action::Newer));
    vec![
        heading("Everywhere"),
        keys([(key(Action::Jump), "go to a conversation, or begin one: name or number")]),
        keys([
            (key(Action::Search), "look for letters"),
            (key(Action::NextUnread), "the next unread letter"),
        ]),
        keys([(pages, "older and newer letters"), (key(Action::Said), "what was said last")]),
        keys([
            (key(Action::Suspend), "suspend"),
            (key(Action::Redraw), "draw anew"),
            ("Esc".to_owned(), "back"),
        ]),
        keys([
            (key(Action::Quit), "end; what you have begun is kept"),
            (key(Action::Reconnect), "connect now"),
        ]),
        heading("While you write"),
        keys([(key(Action::Send), "send"), (new_line, "a new line")]),
        keys([(key(Action::Edit), "write in $EDITOR"), ("Tab".to_owned(), "to the list")]),
        keys([("Up", "what you have sent last, to send it anew")]),
        keys([(key(Action::Choose), "choose a letter; so does Ctrl-Up")]),
        keys([("Ctrl-A E", "start, end of line"), ("Ctrl-U K W", "delete before, behind, a word")]),
        heading("In the list"),
        keys([
            ("Up Down", "choose; so do k and j"),
            ("Home End", "first, last"),
            ("Enter, Tab", "write"),
        ]),
        keys([
            ("/".to_owned(), "look for letters"),
            (key(Action::Archived), "what is archived"),
            (key(Action::Unread), "unread again"),
        ]),
        heading("With a conversation (in the list, or at a letter)"),
        keys([(key(Action::Compare), "compare numbers, or see a changed key")]),
        keys([
            (key(Action::Accept), "accept a stranger"),
            (key(Action::Block), "block, or unblock"),
        ]),
        keys([
            (key(Action::Name), "name"),
            (key(Action::Mute), "mute"),
            (key(Action::Pin), "keep at the top"),
            (key(Action::Archive), "archive"),
        ]),
        heading("At a letter"),
        keys([
            (key(Action::Copy), "copy"),
            (key(Action::Details), "details"),
            (key(Action::Delete), "delete"),
            ("Home End".to_owned(), "first, last"),
        ]),
        Line::Words(Shown::default()),
        Line::Words(Shown::from(
            "queued: not sent yet   ✓: at the server   ✓✓: delivered   !: another key",
        )),
    ]
}

fn heading(words: &'static str) -> Line {
    Line::Heading(Shown::from(words))
}

fn keys<Key: AsRef<str>, const N: usize>(keys: [(Key, &'static str); N]) -> Line {
    let shown = |(key, words): (Key, &'static str)| (Shown::line(key.as_ref()), Shown::from(words));
    Line::Keys(keys.map(shown).into())
}
