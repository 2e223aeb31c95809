//! What keys do in what is in front of the conversations.

use super::keys::{LONGEST_TITLE, SCROLLED, edit};
use super::{
    Act, Compare, Composer, Errand, Focus, Goal, Jump, Model, Overlay, SEARCH_PAUSE, Search, Sure,
};
use crate::name::Name;
use crate::tui::input::Key;
use waxwing_core::phone::Phone;

impl Model {
    pub(super) fn overlay_key(&mut self, key: Key) {
        let (columns, rows) = self.overlay_room();
        let Some(mut overlay) = self.overlay.take() else { return };
        if key == Key::Esc {
            self.search_at = None;
            return;
        }
        let stays = match &mut overlay {
            Overlay::Reading(reading) => reading.scroll(key, columns, rows),
            Overlay::Jump(jump) => self.jump_key(jump, key),
            Overlay::Search(search) => self.search_key(search, key),
            // Somebody may have this name already: what is typed meanwhile is no command.
            Overlay::Naming { is_given: true, .. } => true,
            Overlay::Naming { phone, name, is_given } if key == Key::Enter => {
                *is_given = self.name(*phone, name);
                true
            }
            Overlay::Naming { name, .. } => edit_line(name, key),
            Overlay::Sure(sure) => self.sure_key(sure, key),
            Overlay::Compare(compare) => self.compare_key(compare, key, (columns, rows)),
        };
        if stays && self.overlay.is_none() {
            self.overlay = Some(overlay);
        }
    }

    fn sure_key(&mut self, sure: &mut Sure, key: Key) -> bool {
        match key {
            Key::Left | Key::Right | Key::Up | Key::Down | Key::Tab | Key::BackTab => {
                sure.is_yes = !sure.is_yes;
            }
            Key::Enter => {
                if sure.is_yes {
                    self.carry(sure.errand.clone());
                }
                return false;
            }
            _ => {}
        }
        true
    }

    fn jump_key(&mut self, jump: &mut Jump, key: Key) -> bool {
        let goals = jump.goals(&self.list, &self.owner);
        match key {
            Key::Up => jump.chosen = jump.chosen.saturating_sub(1),
            Key::Down | Key::Tab => {
                jump.chosen = (jump.chosen + 1).min(goals.len().saturating_sub(1));
            }
            Key::Enter => {
                let phone = match goals.get(jump.chosen) {
                    None => return true,
                    Some(Goal::Known(one)) => *one.phone(),
                    Some(Goal::New(phone)) => *phone,
                };
                self.show(phone);
                self.focus_composer();
                return false;
            }
            key => {
                if edit_line(&mut jump.query, key) {
                    jump.chosen = 0;
                }
            }
        }
        true
    }

    fn search_key(&mut self, search: &mut Search, key: Key) -> bool {
        match key {
            Key::Up => search.chosen = search.chosen.saturating_sub(1),
            Key::Down => {
                search.chosen = (search.chosen + 1).min(search.found.len().saturating_sub(1));
            }
            Key::Tab => {
                search.with = match search.with {
                    Some(_) => None,
                    None => self.open.as_ref().map(|open| *open.with()),
                };
                search.asked.clear();
                search.found.clear();
                self.search_at = Some(self.now.instant);
            }
            Key::Enter if search.asked == search.query.text().trim() => {
                let Some(entry) = search.found.get(search.chosen) else { return true };
                let (with, letter) = (entry.with, entry.id);
                self.show(with);
                // Not its end.
                self.acts.retain(|act| !matches!(act, Act::Page { .. }));
                if let Some(open) = &mut self.open {
                    let (window, limit) = open.go_to(letter);
                    self.acts.push(Act::Page { with, window, limit });
                }
                self.focus = Focus::Letters;
                return false;
            }
            Key::Enter => self.search_at = Some(self.now.instant),
            key => {
                edit_line(&mut search.query, key);
                self.search_at = Some(self.now.instant.after(SEARCH_PAUSE));
            }
        }
        true
    }

    /// Gives a name, or takes it away; whether it can be one.
    fn name(&mut self, phone: Phone, name: &Composer) -> bool {
        let name = match name.text().trim() {
            "" => None,
            _ => match Name::parse(name.text()) {
                Ok(name) => Some(name),
                Err(why) => {
                    self.say(&why);
                    return false;
                }
            },
        };
        self.carry(Errand::Name(phone, name));
        true
    }

    /// The name was given, or could not be, for this reason: then there is the question again.
    pub(super) fn named(&mut self, with: &Phone, refused: Option<&str>) {
        if let Some(Overlay::Naming { phone, is_given, .. }) = &mut self.overlay
            && phone == with
        {
            *is_given = false;
            if refused.is_none() {
                self.overlay = None;
            }
        }
        if let Some(why) = refused {
            self.say(why);
        }
    }

    fn compare_key(&mut self, compare: &mut Compare, key: Key, room: (usize, usize)) -> bool {
        let by = match key {
            Key::Up | Key::Down => 1,
            Key::PageUp | Key::PageDown => SCROLLED,
            _ => 0,
        };
        if by > 0 {
            let title = self.title_of(&compare.with);
            let sheet = compare.sheet(&title, room.0, room.1);
            compare.scroll(matches!(key, Key::Up | Key::PageUp), by, &sheet);
            return true;
        }
        let Some(number) = &compare.number else { return true };
        match key {
            Key::Enter if compare.is_same() => {
                self.carry(Errand::Compared(compare.with, number.clone()));
                return false;
            }
            Key::Enter => compare.is_wrong = !compare.typed.is_empty(),
            Key::Char('A') if number.is_changed => {
                let title = self.title_of(&compare.with).cut(LONGEST_TITLE);
                let question = format!(
                    "Use the new key of {title} without comparing? Somebody may be in between."
                );
                let errand = Errand::AcceptKey(compare.with, number.clone());
                self.overlay = Some(Sure::of(&question, errand));
                return false;
            }
            Key::Char(character) if !character.is_ascii_digit() => {}
            key => {
                // What was wrong is typed anew, or corrected from its end.
                if matches!(key, Key::Char(_)) && compare.is_wrong {
                    compare.typed = Composer::new();
                }
                compare.is_wrong = false;
                edit_line(&mut compare.typed, key);
            }
        }
        true
    }
}

/// Edits what has one line. It stays, whatever the key was.
fn edit_line(text: &mut Composer, key: Key) -> bool {
    edit(text, key);
    true
}
