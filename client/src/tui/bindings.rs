//! Which key does what. The usual keys can be changed in the configuration; those that move and those that
//! edit a text stay as they are.

use std::collections::BTreeMap;

use super::input::Key;
use crate::nearest;

/// Something that a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// End the program.
    Quit,
    /// Stop it, until the shell goes on with it.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Connect now.
    Reconnect,
    /// Go to a conversation.
    Jump,
    /// Go to the next conversation with something unread.
    NextUnread,
    /// Look for letters.
    Search,
    /// Show the keys.
    Help,
    /// Show what was said last.
    Said,
    /// See older letters.
    Older,
    /// See newer letters.
    Newer,
    /// Send what is written.
    Send,
    /// Begin a new line.
    NewLine,
    /// Write in an editor.
    Edit,
    /// Choose a letter.
    Choose,
    /// Show what is archived, or not.
    Archived,
    /// Compare numbers.
    Compare,
    /// Accept a stranger.
    Accept,
    /// Block, or unblock.
    Block,
    /// Give a name.
    Name,
    /// Be quiet about what is new.
    Mute,
    /// Keep at the top.
    Pin,
    /// Put away.
    Archive,
    /// Let it count as unread.
    Unread,
    /// Copy a letter.
    Copy,
    /// Show what is known of a letter.
    Details,
    /// Delete a letter.
    Delete,
}

/// Where a key does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Everywhere.
    Everywhere,
    /// As long as nothing is in front of the conversations.
    Screen,
    /// While one writes.
    Composer,
    /// In the list.
    List,
    /// In the list, and at a letter.
    Conversation,
    /// At a letter.
    Letter,
}

impl Place {
    /// Whether one key can mean something in both at once.
    fn meets(self, other: Self) -> bool {
        use Place::{Composer, Conversation, Everywhere, Letter, List, Screen};
        match (self, other) {
            (Everywhere | Screen, _) | (_, Everywhere | Screen) => true,
            (Conversation, List | Letter) | (List | Letter, Conversation) => true,
            (Composer | List | Conversation | Letter, _) => self == other,
        }
    }

    /// Whether somebody can be writing here.
    const fn is_written_in(self) -> bool {
        matches!(self, Self::Everywhere | Self::Screen | Self::Composer)
    }
}

/// An action, with its name in the configuration.
struct Known {
    action: Action,
    name: &'static str,
    place: Place,
    keys: &'static [Key],
}

const fn known(action: Action, name: &'static str, place: Place, keys: &'static [Key]) -> Known {
    Known { action, name, place, keys }
}

#[rustfmt::skip]
const KNOWN: [Known; 27] = [
    known(Action::Quit, "quit", Place::Everywhere, &[Key::Ctrl('q'), Key::Ctrl('c')]),
    known(Action::Suspend, "suspend", Place::Everywhere, &[Key::Ctrl('z')]),
    known(Action::Redraw, "redraw", Place::Everywhere, &[Key::Ctrl('l')]),
    known(Action::Reconnect, "reconnect", Place::Everywhere, &[Key::Ctrl('r')]),
    known(Action::Jump, "jump", Place::Everywhere, &[Key::Ctrl('p')]),
    known(Action::Search, "search", Place::Everywhere, &[Key::Ctrl('f')]),
    known(Action::Help, "help", Place::Everywhere, &[Key::Function(1)]),
    known(Action::Said, "said", Place::Everywhere, &[Key::Function(4)]),
    known(Action::NextUnread, "next_unread", Place::Screen, &[Key::Alt('n')]),
    known(Action::Older, "older", Place::Screen, &[Key::PageUp]),
    known(Action::Newer, "newer", Place::Screen, &[Key::PageDown]),
    known(Action::Send, "send", Place::Composer, &[Key::Enter]),
    known(Action::NewLine, "new_line", Place::Composer, &[Key::NewLine]),
    known(Action::Edit, "editor", Place::Composer, &[Key::Ctrl('g')]),
    known(Action::Choose, "letters", Place::Composer, &[Key::BackTab]),
    known(Action::Archived, "archived", Place::List, &[Key::Char('h')]),
    known(Action::Compare, "compare", Place::Conversation, &[Key::Char('v')]),
    known(Action::Accept, "accept", Place::Conversation, &[Key::Char('A')]),
    known(Action::Block, "block", Place::Conversation, &[Key::Char('b')]),
    known(Action::Name, "name", Place::Conversation, &[Key::Char('n')]),
    known(Action::Mute, "mute", Place::Conversation, &[Key::Char('M')]),
    known(Action::Pin, "pin", Place::Conversation, &[Key::Char('P')]),
    known(Action::Archive, "archive", Place::Conversation, &[Key::Char('E')]),
    known(Action::Unread, "unread", Place::List, &[Key::Char('U')]),
    known(Action::Copy, "copy", Place::Letter, &[Key::Char('y')]),
    known(Action::Details, "details", Place::Letter, &[Key::Char('o')]),
    known(Action::Delete, "delete", Place::Letter, &[Key::Char('d')]),
];

/// Keys that move, and those with which one goes on, wherever they do.
const FIXED: [Key; 16] = [
    Key::Up,
    Key::Down,
    Key::Left,
    Key::Right,
    Key::Home,
    Key::End,
    Key::Tab,
    Key::Esc,
    Key::Backspace,
    Key::Delete,
    Key::WordLeft,
    Key::WordRight,
    Key::WordBackspace,
    Key::Char('?'),
    Key::Char('/'),
    Key::Char(' '),
];

/// Letters that move in the list and among letters.
const MOVES: [Key; 2] = [Key::Char('j'), Key::Char('k')];

/// The keys of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bindings(BTreeMap<Action, Vec<Key>>);

impl Default for Bindings {
    fn default() -> Self {
        Self(KNOWN.iter().map(|known| (known.action, known.keys.to_vec())).collect())
    }
}

/// Where somebody is when they press a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation {
    /// Something is in front of the conversations.
    Overlay,
    /// They write.
    Composer,
    /// They are in the list.
    List,
    /// They are at a letter.
    Letter,
}

impl Situation {
    const fn has(self, place: Place) -> bool {
        match place {
            Place::Everywhere => true,
            Place::Screen => !matches!(self, Self::Overlay),
            Place::Composer => matches!(self, Self::Composer),
            Place::List => matches!(self, Self::List),
            Place::Conversation => matches!(self, Self::List | Self::Letter),
            Place::Letter => matches!(self, Self::Letter),
        }
    }
}

impl Bindings {
    /// What a key does there, if it is one that can be changed.
    #[must_use]
    pub fn action(&self, key: Key, situation: Situation) -> Option<Action> {
        let here = KNOWN.iter().filter(|known| situation.has(known.place));
        here.map(|known| known.action).find(|action| self.of(*action).contains(&key))
    }

    /// The names of all that can have other keys.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().map(|known| known.name)
    }

    /// The keys for an action.
    fn of(&self, action: Action) -> &[Key] {
        self.0.get(&action).map_or(&[], Vec::as_slice)
    }

    /// The first key for an action, for a person.
    #[must_use]
    pub fn key(&self, action: Action) -> String {
        self.of(action).first().copied().map(name).unwrap_or_default()
    }

    /// Gives an action other keys, by its name in the configuration.
    ///
    /// # Errors
    /// What is wrong with that.
    pub fn set(&mut self, name: &str, keys: &[&str]) -> Result<(), BadBinding> {
        let Some(known) = KNOWN.iter().find(|known| known.name == name) else {
            return Err(BadBinding::Unknown { nearest: nearest::nearest(name, Self::names()) });
        };
        if keys.is_empty() {
            return Err(BadBinding::Bad("it needs one key at least".to_owned()));
        }
        let keys = keys.iter().map(|key| parse(key)).collect::<Result<Vec<_>, _>>();
        let keys = keys.map_err(BadBinding::Bad)?;
        for key in &keys {
            check(known, *key).map_err(BadBinding::Bad)?;
        }
        self.0.insert(known.action, keys);
        Ok(())
    }

    /// Whether no key is to do two things at once; else what is wrong.
    ///
    /// # Errors
    /// Which key, and what it would do.
    pub fn check(&self) -> Result<(), String> {
        for (at, one) in KNOWN.iter().enumerate() {
            for other in KNOWN[at + 1..].iter().filter(|other| one.place.meets(other.place)) {
                let both = self.of(one.action).iter();
                if let Some(key) = both.copied().find(|key| self.of(other.action).contains(key)) {
                    return Err(format!(
                        "{} cannot be for both {} and {}; give one of them another key",
                        name(key),
                        one.name,
                        other.name
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Why keys are not as somebody wants them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadBinding {
    /// There is no such action.
    Unknown {
        /// What it may have been meant to be.
        nearest: Option<&'static str>,
    },
    /// The action cannot have these keys.
    Bad(String),
}

/// Whether an action can have a key.
fn check(known: &Known, key: Key) -> Result<(), String> {
    let moves = MOVES.contains(&key) && !known.place.is_written_in();
    if FIXED.contains(&key) || moves {
        return Err(format!("{} moves or edits, and cannot do anything else", name(key)));
    }
    if known.place.is_written_in() && matches!(key, Key::Char(_)) {
        return Err(format!(
            "{} is needed for writing; take a key with ctrl- or alt-, or one such as f2",
            name(key)
        ));
    }
    let sends = matches!(key, Key::Enter | Key::NewLine);
    if sends && !matches!(known.action, Action::Send | Action::NewLine) {
        return Err(format!("{} can be for send and new_line alone", name(key)));
    }
    Ok(())
}

/// A key by its name.
fn parse(text: &str) -> Result<Key, String> {
    let wrong = || {
        format!(
            "{text:?} is no key; keys are such as ctrl-k, alt-k, f2, v, enter, alt-enter, shift-tab, page-up \
             and page-down"
        )
    };
    let plain = text.to_lowercase();
    if let Some(key) = NAMED.iter().find(|(name, _)| *name == plain).map(|(_, key)| *key) {
        return Ok(key);
    }
    let one = |text: &str| {
        let mut characters = text.chars();
        characters.next().filter(|_| characters.next().is_none())
    };
    if let Some(rest) = plain.strip_prefix("ctrl-") {
        // The others are Backspace, Tab and Enter, for a terminal.
        let letter = one(rest).filter(|letter| letter.is_ascii_lowercase());
        let letter = letter.filter(|letter| !matches!(letter, 'h' | 'i' | 'j' | 'm' | 'w'));
        return letter.map(Key::Ctrl).ok_or_else(wrong);
    }
    if plain.starts_with("alt-") {
        // Alt with b and f moves by words. A capital letter is one with Shift.
        let character = one(&text["alt-".len()..]).filter(|c| !matches!(c, 'b' | 'f'));
        return character.filter(|c| !c.is_control()).map(Key::Alt).ok_or_else(wrong);
    }
    if let Some(number) = plain.strip_prefix('f').and_then(|number| number.parse().ok()) {
        return if (1..=12).contains(&number) { Ok(Key::Function(number)) } else { Err(wrong()) };
    }
    one(text).filter(|c| !c.is_control()).map(Key::Char).ok_or_else(wrong)
}

const NAMED: [(&str, Key); 17] = [
    ("enter", Key::Enter),
    ("alt-enter", Key::NewLine),
    ("tab", Key::Tab),
    ("shift-tab", Key::BackTab),
    ("page-up", Key::PageUp),
    ("page-down", Key::PageDown),
    ("up", Key::Up),
    ("down", Key::Down),
    ("left", Key::Left),
    ("right", Key::Right),
    ("home", Key::Home),
    ("end", Key::End),
    ("esc", Key::Esc),
    ("delete", Key::Delete),
    ("backspace", Key::Backspace),
    ("alt-backspace", Key::WordBackspace),
    ("space", Key::Char(' ')),
];

/// The name of a key, for a person.
fn name(key: Key) -> String {
    match key {
        Key::Char(' ') => "Space".to_owned(),
        Key::Char(character) => character.to_string(),
        Key::Ctrl(letter) => format!("Ctrl-{}", letter.to_ascii_uppercase()),
        Key::Alt(character) => format!("Alt-{character}"),
        Key::Function(number) => format!("F{number}"),
        Key::PageUp => "PgUp".to_owned(),
        Key::PageDown => "PgDn".to_owned(),
        Key::WordLeft => "Ctrl-Left".to_owned(),
        Key::WordRight => "Ctrl-Right".to_owned(),
        key => {
            let named = NAMED.iter().find(|(_, known)| *known == key).map_or("", |(name, _)| name);
            let parts = named.split('-').map(|part| {
                let mut characters = part.chars();
                let first = characters.next().map(|first| first.to_ascii_uppercase());
                first.into_iter().chain(characters).collect::<String>()
            });
            parts.collect::<Vec<_>>().join("-")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, keys: &[&str]) -> Result<Bindings, String> {
        let mut bindings = Bindings::default();
        bindings.set(name, keys).map_err(|why| match why {
            BadBinding::Unknown { nearest } => nearest.unwrap_or("none is near").to_owned(),
            BadBinding::Bad(why) => why,
        })?;
        bindings.check().map(|()| bindings)
    }

    #[test]
    fn the_usual_keys_do_one_thing_each() {
        Bindings::default().check().unwrap();
        for known in &KNOWN {
            for key in known.keys {
                assert_eq!(check(known, *key), Ok(()), "{}", known.name);
            }
        }
    }

    #[test]
    fn a_key_that_is_changed_does_it_in_its_place_alone_and_the_usual_one_does_not() {
        let bindings = set("jump", &["ctrl-k", "F3"]).unwrap();
        for key in [Key::Ctrl('k'), Key::Function(3)] {
            assert_eq!(bindings.action(key, Situation::Composer), Some(Action::Jump));
        }
        assert_eq!(bindings.action(Key::Ctrl('p'), Situation::List), None);
        assert_eq!(bindings.key(Action::Jump), "Ctrl-K");
        let bindings = set("compare", &["c"]).unwrap();
        assert_eq!(bindings.action(Key::Char('c'), Situation::List), Some(Action::Compare));
        assert_eq!(bindings.action(Key::Char('c'), Situation::Composer), None);
    }

    #[test]
    fn enter_and_alt_enter_can_change_places() {
        let mut bindings = Bindings::default();
        bindings.set("send", &["alt-enter"]).unwrap();
        assert!(bindings.check().unwrap_err().contains("both send and new_line"));
        bindings.set("new_line", &["enter"]).unwrap();
        bindings.check().unwrap();
        assert_eq!(bindings.action(Key::Enter, Situation::Composer), Some(Action::NewLine));
        assert_eq!(bindings.key(Action::Send), "Alt-Enter");
    }

    #[test]
    fn what_would_make_writing_or_moving_impossible_is_refused() {
        for (name, keys, help) in [
            ("jmup", &["ctrl-k"][..], "jump"),
            ("jump", &[], "one key at least"),
            ("jump", &["k"], "needed for writing"),
            ("jump", &["ctrl-"], "is no key"),
            ("jump", &["ctrl-m"], "is no key"),
            ("jump", &["ctrl-1"], "is no key"),
            ("jump", &["f13"], "is no key"),
            ("jump", &["\u{1b}"], "is no key"),
            ("jump", &["esc"], "moves or edits"),
            ("jump", &["ctrl-f"], "both jump and search"),
            ("editor", &["enter"], "send and new_line alone"),
            ("compare", &["j"], "moves or edits"),
            ("compare", &["y"], "both compare and copy"),
            ("compare", &["ctrl-q"], "both quit and compare"),
        ] {
            let why = set(name, keys).unwrap_err();
            assert!(why.contains(help), "{name} {keys:?}: {why}");
        }
        // At a letter, and in the list: never at once.
        set("archived", &["y"]).unwrap();
    }

    #[test]
    fn a_key_has_the_name_by_which_it_is_found() {
        for known in &KNOWN {
            for key in known.keys {
                assert_eq!(
                    parse(&name(*key).replace("PgUp", "page-up").replace("PgDn", "page-down")),
                    Ok(*key)
                );
            }
        }
    }
}
