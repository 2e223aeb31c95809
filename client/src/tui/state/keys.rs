//! What keys do.

use super::reading::Line;
use super::{
    Act, Compare, Composer, ConversationState, Errand, Focus, Jump, Model, Overlay, Reading,
    SEARCH_PAUSE, Search, Shown, Sure, help, letter,
};
use crate::courier::Connection;
use crate::home::Writing;
use crate::show;
use crate::tui::bindings::{Action, Situation};
use crate::tui::input::{Input, Key};

/// What does not fit where something else than a letter is typed.
const NO_ROOM: &str = "not pasted: there is no room for that here";

/// Rows by which PgUp and PgDn scroll what is in front of the conversations.
pub(super) const SCROLLED: usize = 4;

/// Columns of a title in a question, so that the rest of the question is seen on a small screen, too.
pub(super) const LONGEST_TITLE: usize = 40;

/// Something that can be edited, and whether a key did that.
pub(super) fn edit(text: &mut Composer, key: Key) -> bool {
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
        let situation = match (&self.overlay, self.focus) {
            (Some(_), _) => Situation::Overlay,
            (None, Focus::List) => Situation::List,
            (None, Focus::Composer) => Situation::Composer,
            (None, Focus::Letters) => Situation::Letter,
        };
        match self.bindings.action(key, situation) {
            Some(action) => self.act(action),
            None if self.overlay.is_some() => self.overlay_key(key),
            None => match self.focus {
                Focus::List => self.list_key(key),
                Focus::Composer => self.composer_key(key),
                Focus::Letters => self.letters_key(key),
            },
        }
    }

    /// Nobody sees what they do here, so nothing is answered, written or sent.
    pub(super) fn unseen(&mut self, input: &Input) {
        match input {
            Input::Key(key) => {
                let action = self.bindings.action(*key, Situation::Overlay);
                if let Some(action @ (Action::Quit | Action::Suspend | Action::Redraw)) = action {
                    self.act(action);
                }
            }
            Input::Paste(_) | Input::PasteTooLong => {
                self.say("not pasted: the window was too small");
            }
            Input::Focus(_) | Input::Wheel { .. } | Input::Click { .. } => {}
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Quit => self.acts.push(Act::Quit),
            Action::Suspend => self.acts.push(Act::Suspend),
            Action::Redraw => self.acts.push(Act::Redraw),
            Action::Reconnect => self.reconnect(),
            Action::Jump => self.overlay = Some(Overlay::Jump(Jump::default())),
            Action::NextUnread => self.go_to_unread(),
            Action::Search => self.overlay = Some(Overlay::Search(Search::default())),
            Action::Help => self.read(help::lines(&self.bindings)),
            Action::Said => {
                let lines = self.said.all(self.matter(), &self.owner.zone);
                self.read(lines.into_iter().map(Line::Words).collect());
            }
            Action::Older => self.scroll(true, self.page()),
            Action::Newer => self.scroll(false, self.page()),
            Action::Send => self.send(),
            Action::NewLine => self.write("\n"),
            Action::Edit => self.acts.push(Act::Edit(self.composer.text().to_owned())),
            Action::Choose => self.choose_letter(true),
            Action::Archived => self.list.toggle_archived(),
            Action::Unread => self.mark_unread(),
            Action::Copy => self.copy(),
            Action::Details => self.show_details(),
            Action::Delete => self.ask_to_delete(),
            Action::Compare
            | Action::Accept
            | Action::Block
            | Action::Name
            | Action::Mute
            | Action::Pin
            | Action::Archive => self.do_with_conversation(action),
        }
    }

    fn read(&mut self, lines: Vec<Line>) {
        self.overlay = Some(Overlay::Reading(Reading::of(lines)));
    }

    /// Says why there is no connection, and has one made.
    fn reconnect(&mut self) {
        let words = match &self.connection {
            Connection::Lost(loss) => {
                format!("trying again. There was no connection: {}", loss.why)
            }
            Connection::Begun => "the connection is being made".to_owned(),
            Connection::Stands => "the connection stands; what was put off is tried now".to_owned(),
        };
        self.say(&words);
        self.said.await_more();
        self.carry(Errand::Hurry);
    }

    /// What has become of the connection since somebody has asked for one: what was said then is old.
    pub(super) fn say_after_hurry(&mut self) {
        if self.said.is_awaited() {
            let words = match &self.connection {
                Connection::Lost(loss) => format!("tried. There is no connection: {}", loss.why),
                Connection::Begun => "the connection is being made".to_owned(),
                Connection::Stands => "the connection stands".to_owned(),
            };
            self.say(&words);
            self.said.await_more();
        }
    }

    fn go_to_unread(&mut self) {
        let next = self.list.next_unread(self.open.as_ref().map(|open| open.with()), self.now.unix);
        let Some(next) = next else { return self.say("nothing else is unread") };
        self.show(next);
        let read_to = self.listing().map(|one| one.conversation.read_to);
        if let (Some(open), Some(read_to)) = (&mut self.open, read_to) {
            // Not its end: what was written since may stand below.
            self.acts.retain(|act| !matches!(act, Act::Page { .. }));
            let (window, limit) = open.go_to_unread(read_to);
            self.acts.push(Act::Page { with: next, window, limit });
        }
        self.focus_composer();
    }

    /// Whoever goes there later has read it then.
    fn mark_unread(&mut self) {
        if let Some(open) = &self.open {
            self.noted = None;
            self.carry(Errand::Unread(*open.with()));
        }
    }

    /// How far a page goes: two rows stay in view.
    fn page(&self) -> usize {
        let letters = self.layout().and_then(|layout| layout.letters);
        letters.map_or(1, |area| usize::from(area.height).saturating_sub(2).max(1))
    }

    pub(super) fn paste(&mut self, text: &str) {
        self.said.forget_notice();
        let is_taken = match &mut self.overlay {
            Some(Overlay::Jump(Jump { query, chosen })) => {
                *chosen = 0;
                query.insert(&in_one_line(text))
            }
            Some(Overlay::Search(search)) => {
                self.search_at = Some(self.now.instant.after(SEARCH_PAUSE));
                search.query.insert(&in_one_line(text))
            }
            Some(Overlay::Naming { name, is_given: false, .. }) => name.insert(&in_one_line(text)),
            Some(_) => true,
            None if self.open.is_some() => {
                self.focus = Focus::Composer;
                self.write(text);
                true
            }
            None => true,
        };
        if !is_taken {
            self.say(NO_ROOM);
        }
    }

    /// Puts a text where the cursor is, if the letter has room for all of it.
    fn write(&mut self, text: &str) {
        if self.composer.insert(text) {
            self.note_change();
        } else {
            self.say_too_long();
        }
    }

    /// More was pasted than anything has room for.
    pub(super) fn refuse_paste(&mut self) {
        if self.overlay.is_none() {
            self.say_too_long();
        } else {
            self.say(NO_ROOM);
        }
    }

    fn say_too_long(&mut self) {
        let (most, room) = (Writing::LONGEST, self.composer.room());
        self.say(&format!(
            "not taken, and nothing is changed: a letter has at most {most} bytes, and this one has room for \
             {room} more. Take it in parts."
        ));
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
            Key::Enter | Key::Tab | Key::Right => return self.focus_composer(),
            Key::Char('/') => return self.act(Action::Search),
            Key::Char('?') => return self.act(Action::Help),
            _ => return,
        };
        if self.list.step(by)
            && let Some(chosen) = self.list.chosen().copied()
        {
            self.show(chosen);
        }
    }

    /// What can be done with a conversation, while nothing is being written. What is done at once has a
    /// capital letter: somebody may begin to type a text, and be in the list.
    fn do_with_conversation(&mut self, action: Action) {
        let Some(phone) = self.open.as_ref().map(|open| *open.with()) else { return };
        let one = self.listing();
        let state = one.map(super::Listing::state);
        let title = one.map_or_else(|| Shown::line(phone.as_str()), super::Listing::title);
        let is_pinned = one.is_some_and(|one| one.conversation.is_pinned);
        let is_muted = one.is_some_and(|one| one.is_muted(self.now.unix));
        let name = one.and_then(|one| one.conversation.name.clone()).unwrap_or_default();
        let is_blocked = state == Some(ConversationState::Blocked);
        match action {
            Action::Compare => {
                self.overlay = Some(Overlay::Compare(Compare::with(phone)));
                self.acts.push(Act::Number(phone));
                self.carry(Errand::AskKey(phone));
            }
            Action::Accept if state == Some(ConversationState::Request) => {
                self.carry(Errand::Accept(phone));
            }
            Action::Block => {
                let title = title.cut(LONGEST_TITLE);
                let question = if is_blocked {
                    format!("Show what {title} sends from now on?")
                } else {
                    format!("Discard what {title} sends from now on?")
                };
                self.overlay = Some(Sure::of(&question, Errand::Block(phone, !is_blocked)));
            }
            Action::Mute => self.carry(Errand::Mute(phone, !is_muted)),
            Action::Pin => self.carry(Errand::Pin(phone, !is_pinned)),
            Action::Archive => {
                self.carry(Errand::Archive(phone, state != Some(ConversationState::Archived)));
            }
            Action::Name => {
                let name = Composer::of(name);
                self.overlay = Some(Overlay::Naming { phone, name, is_given: false });
            }
            _ => {}
        }
    }

    pub(super) fn carry(&mut self, errand: Errand) {
        self.acts.push(Act::Carry(errand));
    }

    pub(super) fn focus_composer(&mut self) {
        if let Some(open) = &mut self.open {
            open.choose_none();
            self.focus = Focus::Composer;
        } else {
            let jump = self.bindings.key(Action::Jump);
            self.say(&format!("there is no conversation yet; {jump} and a phone number begin one"));
        }
    }

    fn composer_key(&mut self, key: Key) {
        match key {
            Key::Tab | Key::Esc => self.focus = Focus::List,
            Key::Above => self.choose_letter(true),
            Key::Up => {
                if !self.composer.vertically(true, self.composer_columns()) {
                    self.recall_or_choose();
                }
            }
            Key::Down => {
                if !self.composer.vertically(false, self.composer_columns()) {
                    self.recall(false);
                }
            }
            Key::Char(character) => self.write(character.encode_utf8(&mut [0; 4])),
            key => {
                if edit(&mut self.composer, key) {
                    self.note_change();
                }
            }
        }
    }

    /// Up, at the first row: where nothing is begun, what was sent last comes back. Who has begun
    /// something stays there, since what they type next would be commands elsewhere.
    fn recall_or_choose(&mut self) {
        if !self.composer.is_empty() && self.recalled.is_none() {
            return;
        }
        self.recall(true);
        if self.recalled.is_none() {
            self.choose_letter(true);
        }
    }

    /// Brings back what was sent before the one that is back, or after it, to be sent as a new letter.
    fn recall(&mut self, up: bool) {
        let Some(open) = &self.open else { return };
        match (open.sent(self.recalled, up), up) {
            (Some((letter, text)), _) => {
                self.composer = Composer::of(text.to_owned());
                self.recalled = Some(letter);
            }
            (None, false) if self.recalled.is_some() => {
                self.composer = Composer::new();
                self.recalled = None;
            }
            (None, _) => {}
        }
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

    /// Chooses the first letter of the conversation, or the last one.
    fn choose_end(&mut self, is_first: bool) {
        let Some(open) = &mut self.open else { return };
        let wanted = if is_first { open.choose_first() } else { open.choose_last() };
        if let Some((window, limit)) = wanted {
            self.acts.push(Act::Page { with: *open.with(), window, limit });
        }
    }

    fn letters_key(&mut self, key: Key) {
        match key {
            Key::Up | Key::Char('k') => self.choose_letter(true),
            Key::Down | Key::Char('j') => self.choose_letter(false),
            Key::Home => self.choose_end(true),
            Key::End => self.choose_end(false),
            Key::Esc | Key::Enter | Key::Tab => self.focus_composer(),
            Key::Char('/') => self.act(Action::Search),
            Key::Char('?') => self.act(Action::Help),
            _ => {}
        }
    }

    fn copy(&mut self) {
        if let Some(text) = self.chosen_text() {
            self.acts.push(Act::Copy(text));
            self.say("copied, if this terminal lets programs do that");
        }
    }

    fn chosen_text(&self) -> Option<String> {
        let entry = self.open.as_ref()?.chosen_letter()?;
        Some(letter::text(entry).to_owned())
    }

    fn ask_to_delete(&mut self) {
        let entry = self.open.as_ref().and_then(super::OpenConversation::chosen_letter);
        let Some(entry) = entry else { return };
        let (with, uid) = (entry.with, entry.uid);
        match uid {
            Some(uid) => {
                let question = "Delete this letter here? Whoever else has it keeps it.";
                self.overlay = Some(Sure::of(question, Errand::Delete(with, uid)));
            }
            None => {
                self.say("this letter was never opened; waxwing delete --unreadable deletes those");
            }
        }
    }

    fn show_details(&mut self) {
        let Some(entry) = self.open.as_ref().and_then(super::OpenConversation::chosen_letter)
        else {
            return;
        };
        let details = letter::details(entry, &self.owner.zone);
        self.read(details.into_iter().map(Line::Words).collect());
    }

    fn send(&mut self) {
        let Some(to) = self.open.as_ref().map(|open| *open.with()) else { return };
        if show::is_blank(self.composer.text()) {
            return;
        }
        if self.listing().is_some_and(|one| one.state() == ConversationState::Blocked) {
            let block = self.bindings.key(Action::Block);
            let words =
                format!("not sent: an answer would be discarded. Tab, then {block}, unblocks");
            return self.say(&words);
        }
        if to == self.owner.phone {
            return self.say("not sent: this is your own phone number");
        }
        if let Err(error) = Writing::text(self.composer.text()) {
            return self.say(&format!("not sent: {error}"));
        }
        let text = self.composer.take();
        self.draft = super::Draft::default();
        self.recalled = None;
        self.carry(Errand::Send { to, text });
        if let Some(open) = &mut self.open
            && let Some((window, limit)) = open.go_to_end()
        {
            self.acts.push(Act::Page { with: to, window, limit });
        }
    }
}

fn in_one_line(text: &str) -> String {
    text.replace(['\n', '\t'], " ")
}
