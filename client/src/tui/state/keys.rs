//! What keys do.

use super::{
    Act, Compare, Composer, ConversationState, Errand, Focus, Goal, Jump, Model, Overlay,
    SEARCH_PAUSE, Search, Shown, letter,
};
use crate::home::Writing;
use crate::name::Name;
use crate::show;
use crate::tui::input::Key;

/// Something that can be edited, and whether a key did that.
fn edit(text: &mut Composer, key: Key) -> bool {
    match key {
        Key::Char(character) => {
            text.insert_char(character);
        }
        Key::Backspace | Key::Ctrl('h') => text.backspace(),
        Key::WordBackspace => text.delete_word(),
        Key::Delete | Key::Ctrl('d') => text.delete(),
        Key::Ctrl('u') => text.delete_to_line_start(),
        Key::Ctrl('k') => text.delete_to_line_end(),
        Key::Left | Key::Ctrl('b') => text.left(),
        Key::Right => text.right(),
        Key::WordLeft => text.word_left(),
        Key::WordRight => text.word_right(),
        Key::Home | Key::Ctrl('a') => text.home(),
        Key::End | Key::Ctrl('e') => text.end(),
        _ => return false,
    }
    true
}

impl Model {
    pub(super) fn key(&mut self, key: Key) {
        match key {
            Key::Ctrl('c' | 'q') => self.acts.push(Act::Quit),
            Key::Ctrl('z') => self.acts.push(Act::Suspend),
            Key::Ctrl('l') => self.acts.push(Act::Redraw),
            Key::Ctrl('p') => self.overlay = Some(Overlay::Jump(Jump::default())),
            Key::Ctrl('f') => self.overlay = Some(Overlay::Search(Search::default())),
            Key::Help => self.overlay = Some(Overlay::Help { scrolled: 0 }),
            key if self.overlay.is_some() => self.overlay_key(key),
            Key::PageUp => self.scroll(true, self.page()),
            Key::PageDown => self.scroll(false, self.page()),
            key => match self.focus {
                Focus::List => self.list_key(key),
                Focus::Composer => self.composer_key(key),
                Focus::Letters => self.letters_key(key),
            },
        }
    }

    /// How far a page goes: two rows stay in view.
    fn page(&self) -> usize {
        let letters = self.layout().and_then(|layout| layout.letters);
        letters.map_or(1, |area| usize::from(area.height).saturating_sub(2).max(1))
    }

    pub(super) fn paste(&mut self, text: &str) {
        self.notice = None;
        let is_taken = match &mut self.overlay {
            Some(Overlay::Jump(Jump { query, chosen })) => {
                *chosen = 0;
                query.insert(&in_one_line(text))
            }
            Some(Overlay::Search(search)) => {
                self.search_at = Some(self.now.instant.after(SEARCH_PAUSE));
                search.query.insert(&in_one_line(text))
            }
            Some(Overlay::Naming { name, .. }) => name.insert(&in_one_line(text)),
            Some(_) => true,
            None if self.open.is_some() => {
                self.focus = Focus::Composer;
                let is_taken = self.composer.insert(text);
                self.note_change();
                is_taken
            }
            None => true,
        };
        if !is_taken {
            self.say("that is too long for a letter, and was not taken; send it in parts");
        }
    }

    pub(super) fn click(&mut self, column: u16, row: u16) {
        let Some(layout) = self.layout().filter(|_| self.overlay.is_none()) else { return };
        let at = ratatui_core::layout::Position { x: column, y: row };
        if let Some(area) = layout.list.filter(|area| area.contains(at)) {
            let lines = self.list.lines();
            let top = super::list::first_line(&lines, self.list.chosen(), area.height.into());
            let line = lines.get(top + usize::from(row - area.y));
            if let Some(super::Line::One(one)) = line {
                let phone = *one.phone();
                self.show(phone);
                self.focus = Focus::List;
            }
        } else if layout.composer.is_some_and(|area| area.contains(at)) && self.open.is_some() {
            self.focus_composer();
        }
    }

    fn list_key(&mut self, key: Key) {
        let by = match key {
            Key::Up | Key::Char('k') => -1,
            Key::Down | Key::Char('j') => 1,
            Key::Home => isize::MIN,
            Key::End => isize::MAX,
            Key::Enter | Key::Tab | Key::Right | Key::Char('l') => return self.focus_composer(),
            Key::Char('h') => return self.list.toggle_archived(),
            Key::Char('/') => {
                self.overlay = Some(Overlay::Search(Search::default()));
                return;
            }
            key => return self.conversation_key(key),
        };
        if self.list.step(by)
            && let Some(chosen) = self.list.chosen().copied()
        {
            self.show(chosen);
        }
    }

    /// What can be done with a conversation, while nothing is being written. What is done at once has a
    /// capital letter: somebody may begin to type a text, and be in the list.
    fn conversation_key(&mut self, key: Key) {
        if key == Key::Char('?') {
            self.overlay = Some(Overlay::Help { scrolled: 0 });
            return;
        }
        let Some(phone) = self.open.as_ref().map(|open| *open.with()) else { return };
        let one = self.listing();
        let state = one.map(super::Listing::state);
        let title = one.map_or_else(|| Shown::line(phone.as_str()), super::Listing::title);
        let is_pinned = one.is_some_and(|one| one.conversation.is_pinned);
        let is_muted = one.is_some_and(|one| one.is_muted(self.now.unix));
        let name = one.and_then(|one| one.conversation.name.clone()).unwrap_or_default();
        let is_blocked = state == Some(ConversationState::Blocked);
        match key {
            Key::Char('v') => {
                self.overlay = Some(Overlay::Compare(Compare::with(phone)));
                self.acts.push(Act::Number(phone));
                self.carry(Errand::AskKey(phone));
            }
            Key::Char('A') if state == Some(ConversationState::Request) => {
                self.carry(Errand::Accept(phone));
            }
            Key::Char('b') if is_blocked => self.carry(Errand::Block(phone, false)),
            Key::Char('b') => {
                let question = format!("Discard what {title} sends from now on?");
                let (question, errand) = (Shown::line(&question), Errand::Block(phone, true));
                self.overlay = Some(Overlay::Sure { question, errand });
            }
            Key::Char('M') => self.carry(Errand::Mute(phone, !is_muted)),
            Key::Char('P') => self.carry(Errand::Pin(phone, !is_pinned)),
            Key::Char('E') => {
                self.carry(Errand::Archive(phone, state != Some(ConversationState::Archived)));
            }
            Key::Char('n') => {
                self.overlay = Some(Overlay::Naming { phone, name: Composer::of(name) });
            }
            _ => {}
        }
    }

    fn carry(&mut self, errand: Errand) {
        self.acts.push(Act::Carry(errand));
    }

    fn focus_composer(&mut self) {
        if let Some(open) = &mut self.open {
            open.choose_none();
            self.focus = Focus::Composer;
        } else {
            self.say("there is no conversation yet; Ctrl-P and a phone number begin one");
        }
    }

    fn composer_key(&mut self, key: Key) {
        match key {
            Key::Enter => return self.send(),
            Key::NewLine => {
                self.composer.insert("\n");
            }
            Key::Tab | Key::Esc | Key::BackTab => {
                self.focus = Focus::List;
                return;
            }
            Key::Up => {
                if !self.composer.vertically(true, self.composer_columns()) {
                    self.choose_letter(true);
                }
                return;
            }
            Key::Down => {
                self.composer.vertically(false, self.composer_columns());
                return;
            }
            Key::Ctrl('g') => return self.acts.push(Act::Edit(self.composer.text().to_owned())),
            key => {
                if !edit(&mut self.composer, key) {
                    return;
                }
            }
        }
        self.note_change();
    }

    fn choose_letter(&mut self, up: bool) {
        let Some(open) = &mut self.open else { return };
        if open.choose(up) {
            self.focus = Focus::Letters;
        } else {
            open.choose_none();
            self.focus = Focus::Composer;
            if let Some((window, limit)) = open.go_to_end() {
                self.acts.push(Act::Page { with: *open.with(), window, limit });
            }
        }
    }

    fn letters_key(&mut self, key: Key) {
        match key {
            Key::Up | Key::Char('k') => self.choose_letter(true),
            Key::Down | Key::Char('j') => self.choose_letter(false),
            Key::Esc | Key::Enter | Key::Tab | Key::Char('i') => self.focus_composer(),
            Key::Char('y') => {
                let text = self.chosen_text();
                if let Some(text) = text {
                    self.acts.push(Act::Copy(text));
                    self.say("copied, if this terminal lets programs do that");
                }
            }
            Key::Char('o') => self.show_details(),
            key => self.conversation_key(key),
        }
    }

    fn chosen_text(&self) -> Option<String> {
        let entry = self.open.as_ref()?.chosen_letter()?;
        Some(letter::text(entry).to_owned())
    }

    fn show_details(&mut self) {
        let Some(entry) = self.open.as_ref().and_then(super::OpenConversation::chosen_letter)
        else {
            return;
        };
        let details = letter::details(entry, &self.owner.zone);
        self.overlay = Some(Overlay::Details(details));
    }

    fn send(&mut self) {
        let Some(to) = self.open.as_ref().map(|open| *open.with()) else { return };
        if show::is_blank(self.composer.text()) {
            return;
        }
        if self.listing().is_some_and(|one| one.state() == ConversationState::Blocked) {
            return self.say("not sent: an answer would be discarded. Tab, then b, unblocks");
        }
        if to == self.owner.phone {
            return self.say("not sent: this is your own phone number");
        }
        if let Err(error) = Writing::text(self.composer.text()) {
            return self.say(&format!("not sent: {error}"));
        }
        let text = self.composer.take();
        self.draft = super::Draft::default();
        self.carry(Errand::Send { to, text });
        if let Some(open) = &mut self.open
            && let Some((window, limit)) = open.go_to_end()
        {
            self.acts.push(Act::Page { with: to, window, limit });
        }
    }

    fn overlay_key(&mut self, key: Key) {
        let Some(mut overlay) = self.overlay.take() else { return };
        if key == Key::Esc {
            self.search_at = None;
            return;
        }
        let stays = match &mut overlay {
            Overlay::Help { scrolled } => help_key(scrolled, key),
            Overlay::Details(_) => false,
            Overlay::Jump(jump) => self.jump_key(jump, key),
            Overlay::Search(search) => self.search_key(search, key),
            Overlay::Naming { phone, name } => {
                let phone = *phone;
                if key == Key::Enter { self.name(phone, name) } else { edit_line(name, key) }
            }
            Overlay::Sure { errand, .. } => {
                if matches!(key, Key::Char('y' | 'Y')) {
                    self.carry(errand.clone());
                }
                false
            }
            Overlay::Compare(compare) => self.compare_key(compare, key),
        };
        if stays && self.overlay.is_none() {
            self.overlay = Some(overlay);
        }
    }

    fn jump_key(&mut self, jump: &mut Jump, key: Key) -> bool {
        let goals = jump.goals(&self.list, self.owner.country.as_ref());
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

    /// Gives a name; whether it has to be another one.
    fn name(&mut self, phone: waxwing_core::phone::Phone, name: &Composer) -> bool {
        if name.text().trim().is_empty() {
            self.carry(Errand::Name(phone, None));
            return false;
        }
        match Name::parse(name.text()) {
            Ok(name) => {
                self.carry(Errand::Name(phone, Some(name)));
                false
            }
            Err(why) => {
                self.say(&why);
                true
            }
        }
    }

    fn compare_key(&mut self, compare: &mut Compare, key: Key) -> bool {
        let Some(number) = &compare.number else { return true };
        match key {
            Key::Enter if compare.is_same() => {
                self.carry(Errand::Compared(compare.with, number.clone()));
                return false;
            }
            Key::Enter => compare.is_wrong = !compare.typed.is_empty(),
            Key::Char('A') if number.is_changed => {
                let title = self.list.get(&compare.with).map(super::Listing::title);
                let title = title.unwrap_or_else(|| Shown::line(compare.with.as_str()));
                let question = format!(
                    "Use the new key of {title} without comparing? Somebody may be in between."
                );
                let question = Shown::line(&question);
                let errand = Errand::AcceptKey(compare.with, number.clone());
                self.overlay = Some(Overlay::Sure { question, errand });
                return false;
            }
            Key::Char(character) if !character.is_ascii_digit() => {}
            key => {
                compare.is_wrong = false;
                edit_line(&mut compare.typed, key);
            }
        }
        true
    }
}

/// Whether help stays.
const fn help_key(scrolled: &mut usize, key: Key) -> bool {
    match key {
        Key::Up => *scrolled = scrolled.saturating_sub(1),
        Key::Down => *scrolled = scrolled.saturating_add(1),
        Key::PageUp => *scrolled = scrolled.saturating_sub(5),
        Key::PageDown => *scrolled = scrolled.saturating_add(5),
        _ => return false,
    }
    true
}

/// Edits what has one line. It stays, whatever the key was.
fn edit_line(text: &mut Composer, key: Key) -> bool {
    edit(text, key);
    true
}

fn in_one_line(text: &str) -> String {
    text.replace(['\n', '\t'], " ")
}
