//! What a screen shows, and what follows from what happens: a state machine without I/O. Time, what was
//! read and what was typed come in as events; what is to be done comes out as acts.

mod compare;
mod composer;
mod conversation;
mod help;
mod keys;
mod layout;
mod letter;
mod list;
mod overlay;
mod overlay_keys;
mod reading;
mod said;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use ratatui_core::layout::Size;
use waxwing_core::phone::Phone;
use waxwing_core::time::{Instant, Now};

pub use list::{Listing, Trust};

pub(crate) use compare::{Compare, QUESTION, Tone};
pub(crate) use composer::{Composer, Written};
pub(crate) use conversation::OpenConversation;
pub(crate) use layout::{Layout, Pane};
pub(crate) use letter::{Row, parts as letter_text};
pub(crate) use list::{Line, List, first_line};
pub(crate) use overlay::{Goal, Jump, Overlay, Search, Sure, is_own};
pub(crate) use reading::Reading;

use said::Said;

use super::bindings::{Action, Bindings};
use super::event::{Act, Errand, Event, Notice};
use super::input::Input;
use crate::courier::Connection;
use crate::home::{ConversationState, ItemId, Quota, Window};
use crate::phone::Country;
use crate::show::{self, Shown};

/// A pause of somebody who writes, after which what is written is kept.
const PAUSE: Duration = Duration::from_millis(400);
/// What is written is kept after so long although there was no pause.
const WITHOUT_PAUSE: Duration = Duration::from_secs(3);
/// A pause of somebody who types what is looked for.
const SEARCH_PAUSE: Duration = Duration::from_millis(150);
/// Until a person is told again that letters were discarded.
const UNTIL_TOLD_AGAIN: Duration = Duration::from_hours(1);

/// What has the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Focus {
    /// The list of conversations.
    List,
    /// What is being written.
    Composer,
    /// The letters of the conversation.
    Letters,
}

/// Whose screen it is.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The phone number of the account.
    pub phone: Phone,
    /// The country whose numbers may be typed without its code.
    pub country: Option<Country>,
    /// The zone of times.
    pub zone: TimeZone,
}

/// A screen.
#[derive(Debug)]
pub struct Model {
    owner: Owner,
    bindings: Bindings,
    size: Size,
    list: List,
    open: Option<OpenConversation>,
    composer: Composer,
    /// The letter whose words are back in it, as long as nothing of them is changed.
    recalled: Option<ItemId>,
    /// It in rows, as it was when something happened last.
    written: Rows,
    draft: Draft,
    /// What was begun in other conversations and could not be kept on the disk.
    unkept: BTreeMap<Phone, String>,
    focus: Focus,
    overlay: Option<Overlay>,
    connection: Connection,
    /// Letters that the server has not answered for.
    waiting: u32,
    /// What was done or failed.
    said: Said,
    /// Whether the window has the keyboard, if the terminal tells.
    has_window: Option<bool>,
    /// The last letter of the open conversation that was noted as read.
    noted: Option<ItemId>,
    /// When to look for what was typed.
    search_at: Option<Instant>,
    /// Until when letters that were discarded are not told of once more.
    silent_until: Option<Instant>,
    /// What was told of them last.
    discarded: Discarded,
    now: Now,
    acts: Vec<Act>,
}

/// A text in rows. A long one takes longer to be broken than to be compared.
#[derive(Debug, Default)]
struct Rows {
    of: Composer,
    columns: usize,
    written: Written,
}

/// Letters that were discarded, and the words that say so.
#[derive(Debug, Default)]
struct Discarded {
    letters: Vec<(Quota, u32)>,
    words: String,
}

/// What of the text that is being written is kept.
#[derive(Debug, Default)]
struct Draft {
    kept: String,
    /// The first change that is not kept, and the last one.
    changed: Option<(Instant, Instant)>,
}

impl Model {
    /// An empty screen of this size, and what is to be done first.
    #[must_use]
    pub fn new(
        owner: Owner,
        bindings: Bindings,
        width: u16,
        height: u16,
        now: Now,
    ) -> (Self, Vec<Act>) {
        let mut model = Self {
            owner,
            size: Size { width, height },
            list: List::default(),
            open: None,
            composer: Composer::new(),
            recalled: None,
            bindings,
            written: Rows::default(),
            draft: Draft::default(),
            unkept: BTreeMap::new(),
            focus: Focus::List,
            overlay: None,
            connection: Connection::Begun,
            waiting: 0,
            said: Said::default(),
            has_window: None,
            noted: None,
            silent_until: None,
            discarded: Discarded::default(),
            search_at: None,
            now,
            acts: Vec::new(),
        };
        model.break_rows();
        (model, vec![Act::List { since: -1 }])
    }

    /// Takes in what has happened, and says what is to be done.
    #[must_use]
    pub fn handle(&mut self, event: Event, now: Now) -> Vec<Act> {
        self.now = now;
        match event {
            Event::Input(input) => self.input(input),
            Event::Resized { width, height } => self.size = Size { width, height },
            Event::Time | Event::Back => {}
            Event::Changed => {
                self.acts.push(Act::List { since: self.list.change() });
                self.ask_for_discarded();
            }
            Event::Listed { changed, change, waiting } => self.listed(changed, change, waiting),
            Event::Opened { with, draft } => self.opened(&with, draft),
            Event::Page { with, window, limit, entries } => {
                if let Some(open) = self.open.as_mut().filter(|open| *open.with() == with) {
                    open.take(window, limit, entries);
                }
            }
            Event::Found(entries) => {
                if let Some(Overlay::Search(search)) = &mut self.overlay {
                    (search.found, search.chosen) = (entries, 0);
                }
            }
            Event::Number { with, number } => {
                if let Some(compare) = self.comparing(&with) {
                    compare.number = number;
                }
            }
            Event::Key(with, word) => {
                if let Some(compare) = self.comparing(&with) {
                    compare.word = Some(word);
                    self.acts.push(Act::Number(with));
                }
            }
            Event::Connection(connection) => {
                self.connection = connection;
                self.ask_for_discarded();
                self.say_after_hurry();
            }
            Event::Remark(words) | Event::Done(words) | Event::Failed(words) => self.say(&words),
            Event::Discarded(letters) => self.say_discarded(&letters),
            Event::Named { with, refused } => self.named(&with, refused.as_deref()),
            Event::NotSent { to, text, why } => self.take_back(&to, text, &why),
            Event::DraftNotKept { with, text, why } => self.keep_here(with, text, &why),
            Event::Edited(Ok(text)) => {
                self.composer = Composer::of(text.trim_end_matches('\n').to_owned());
                self.note_change();
            }
            Event::Edited(Err(why)) => self.say(&why),
        }
        self.settle();
        std::mem::take(&mut self.acts)
    }

    /// A flood of letters is told of now and then, and not with each of them. As long as it is seen how many
    /// they are, that is right.
    fn ask_for_discarded(&mut self) {
        let is_due = self.silent_until.is_none_or(|until| until <= self.now.instant);
        if (is_due || self.tells_discarded()) && self.connection == Connection::Stands {
            self.acts.push(Act::Carry(Errand::TellDiscarded));
        }
    }

    fn tells_discarded(&self) -> bool {
        self.said.notice().is_some_and(|notice| notice == self.discarded.words)
    }

    fn say_discarded(&mut self, letters: &[(Quota, u32)]) {
        let is_seen = self.tells_discarded();
        if !is_seen {
            self.discarded.letters.clear();
        }
        let told = &mut self.discarded.letters;
        for (quota, more) in letters {
            match told.iter_mut().find(|(other, _)| other == quota) {
                Some((_, letters)) => *letters = letters.saturating_add(*more),
                None => told.push((*quota, *more)),
            }
        }
        self.silent_until = Some(self.now.instant.after(UNTIL_TOLD_AGAIN));
        let key = |action| self.bindings.key(action);
        let words = self.discarded.letters.iter().map(|(quota, letters)| {
            let help = match quota {
                Quota::Stranger => {
                    format!("Read them, or block one of them: {} in the list", key(Action::Block))
                }
                Quota::Held => format!(
                    "Compare numbers, or block one of them: {} and {} in the list",
                    key(Action::Compare),
                    key(Action::Block)
                ),
                Quota::Unreadable => "`waxwing delete --unreadable` makes room".to_owned(),
            };
            format!("{}. {help}.", show::discarded(*quota, *letters))
        });
        self.discarded.words = words.collect::<Vec<_>>().join(" ");
        let (words, now) = (&self.discarded.words, self.now.unix);
        if is_seen { self.said.amend(words, now) } else { self.said.add(words, now) }
    }

    /// When [`Event::Time`] is to come, if nothing else happens before.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let draft = self.draft.changed.map(|(first, last)| {
            let (pause, without) = (last.after(PAUSE), first.after(WITHOUT_PAUSE));
            pause.min(without)
        });
        match (draft, self.search_at) {
            (Some(draft), Some(search)) => Some(draft.min(search)),
            (draft, search) => draft.or(search),
        }
    }

    /// What is left to be done before the program ends, however it ends.
    #[must_use]
    pub fn leave(&mut self) -> Vec<Act> {
        self.keep_draft();
        for (with, text) in std::mem::take(&mut self.unkept) {
            self.acts.push(Act::Carry(Errand::Draft { with, text }));
        }
        std::mem::take(&mut self.acts)
    }

    fn say(&mut self, words: &str) {
        self.said.add(words, self.now.unix);
    }

    /// Whether nobody may see what is new in a conversation. Not every terminal says who looks at it: of
    /// one that has never said so, what is open is taken for seen.
    fn is_missed(&self, phone: &Phone) -> bool {
        self.has_window.map_or_else(|| !self.is_open(phone), |has| !has)
    }

    fn is_open(&self, phone: &Phone) -> bool {
        self.open.as_ref().is_some_and(|open| open.with() == phone)
    }

    fn comparing(&mut self, phone: &Phone) -> Option<&mut Compare> {
        match &mut self.overlay {
            Some(Overlay::Compare(compare)) if compare.with == *phone => Some(compare),
            _ => None,
        }
    }

    fn listed(&mut self, changed: Vec<Listing>, change: i64, waiting: u32) {
        self.waiting = waiting;
        let has_news = |one: &&Listing| {
            let before = self.list.get(one.phone()).map_or(0, |before| before.conversation.unread);
            one.conversation.unread > before
                && one.state() == ConversationState::Open
                && !one.is_muted(self.now.unix)
        };
        if self.list.change() > 0 {
            let is_missed = |one: &&Listing| self.is_missed(one.phone());
            let news: Vec<_> =
                changed.iter().filter(has_news).filter(is_missed).map(Notice::of).collect();
            if !news.is_empty() {
                self.acts.push(Act::Notify(news));
            }
        }
        if let Some(open) = &mut self.open
            && let Some(one) = changed.iter().find(|one| one.phone() == open.with())
        {
            if self.list.get(open.with()).is_none_or(|before| before.title() != one.title()) {
                open.forget_rows();
            }
            let (window, limit) = open.again();
            self.acts.push(Act::Page { with: *open.with(), window, limit });
        }
        // Another screen of this home may have accepted the key.
        if let Some(Overlay::Compare(compare)) = &self.overlay
            && changed.iter().any(|one| *one.phone() == compare.with)
        {
            self.acts.push(Act::Number(compare.with));
        }
        self.say_changed_keys(&changed);
        self.list.take(changed, change);
        if self.open.is_none()
            && let Some(chosen) = self.list.chosen().copied()
        {
            self.show(chosen);
        }
    }

    /// Tells of keys that have changed since the screen is there. Of what is open, it is said beside it.
    fn say_changed_keys(&mut self, changed: &[Listing]) {
        if self.list.change() <= 0 {
            return;
        }
        let has_changed = |one: &&Listing| {
            let before = self.list.get(one.phone()).map(|before| before.trust);
            one.trust == Trust::Changed && before != Some(Trust::Changed)
        };
        let others = changed.iter().filter(has_changed).filter(|one| !self.is_open(one.phone()));
        let titles: Vec<_> = others.map(|one| one.title().to_string()).collect();
        if !titles.is_empty() {
            self.say(&format!(
                "The key of {} has changed, and letters to them are held back. {}: go there, then Tab, then {}: compare.",
                titles.join(", and that of "),
                self.bindings.key(Action::Jump),
                self.bindings.key(Action::Compare)
            ));
        }
    }

    /// Shows a conversation, with what was begun in it.
    fn show(&mut self, phone: Phone) {
        self.list.choose(phone);
        if self.is_open(&phone) {
            return;
        }
        self.keep_draft();
        self.composer = Composer::new();
        self.recalled = None;
        self.draft = Draft::default();
        let read_to = self.list.get(&phone).map(|one| &one.conversation);
        let read_to = read_to.filter(|one| one.unread > 0).map(|one| one.read_to);
        self.open = Some(OpenConversation::new(phone, read_to));
        self.noted = None;
        self.acts.push(Act::Open(phone));
        self.acts.push(Act::Page { with: phone, window: Window::Last, limit: conversation::PAGE });
    }

    fn opened(&mut self, with: &Phone, draft: String) {
        if !self.is_open(with) {
            return;
        }
        if let Some(text) = self.unkept.remove(with) {
            self.draft.kept = draft;
            self.put_before(text);
        } else if self.composer.is_empty() {
            // What somebody has typed in the meantime stays.
            self.composer = Composer::of(draft.clone());
            self.draft = Draft { kept: draft, changed: None };
        }
    }

    /// Puts a text back into the line, before what is there.
    fn put_before(&mut self, mut text: String) {
        if !self.composer.is_empty() {
            text.push('\n');
            text.push_str(self.composer.text());
        }
        self.composer = Composer::of(text);
        self.note_change();
    }

    /// A letter could not be stored: what was typed is not lost.
    fn take_back(&mut self, to: &Phone, text: String, why: &str) {
        let send = self.bindings.key(Action::Send);
        if self.is_open(to) {
            self.put_before(text);
            self.say(&format!(
                "not sent: {why}. Your words are in the line again; {send} sends them"
            ));
        } else {
            self.acts.push(Act::Carry(Errand::Draft { with: *to, text }));
            self.say(&format!("not sent: {why}. Your words are in the line of {}", to.as_str()));
        }
    }

    /// What is begun could not be kept on the disk: it is kept here until there is room.
    fn keep_here(&mut self, with: Phone, text: String, why: &str) {
        if self.is_open(&with) {
            // The next change tries again.
            self.draft.kept.clear();
        } else if !text.is_empty() {
            self.unkept.insert(with, text);
        }
        // That a letter was not sent has to be known first, and it is the same text that is not kept.
        if self.said.notice().is_none() {
            self.say(&format!("what you have begun is not kept if waxwing ends now: {why}"));
        }
    }

    /// What is being written has changed.
    fn note_change(&mut self) {
        self.recalled = None;
        let now = self.now.instant;
        let first = self.draft.changed.map_or(now, |(first, _)| first);
        self.draft.changed = (self.composer.text() != self.draft.kept).then_some((first, now));
    }

    fn keep_draft(&mut self) {
        self.draft.changed = None;
        let Some(open) = &self.open else { return };
        // What was sent already is not begun.
        let begun = if self.recalled.is_some() { "" } else { self.composer.text() };
        if begun != self.draft.kept {
            begun.clone_into(&mut self.draft.kept);
            let text = self.draft.kept.clone();
            self.acts.push(Act::Carry(Errand::Draft { with: *open.with(), text }));
        }
    }

    /// Does what time asks for, and brings what is seen up to date.
    fn settle(&mut self) {
        if self.draft.changed.is_some() && self.due().is_some_and(|due| due <= self.now.instant) {
            self.keep_draft();
        }
        if self.search_at.is_some_and(|at| at <= self.now.instant) {
            self.search_now();
        }
        self.break_rows();
        self.lay_out();
        self.note_read();
    }

    fn break_rows(&mut self) {
        let columns = self.composer_columns();
        if self.written.columns != columns || self.written.of != self.composer {
            let (of, written) = (self.composer.clone(), self.composer.written(columns));
            self.written = Rows { of, columns, written };
        }
    }

    fn search_now(&mut self) {
        self.search_at = None;
        if let Some(Overlay::Search(search)) = &mut self.overlay {
            let text = search.query.text().trim().to_owned();
            if text != search.asked {
                search.asked.clone_from(&text);
                if text.is_empty() {
                    search.found.clear();
                } else {
                    self.acts.push(Act::Search { text, with: search.with });
                }
            }
        }
    }

    fn lay_out(&mut self) {
        let Some(area) = self.layout().and_then(|layout| layout.letters) else { return };
        let Some(open) = &mut self.open else { return };
        let other = self.list.get(open.with()).map(Listing::title);
        let other = other.unwrap_or_else(|| Shown::line(open.with().as_str()));
        let columns = usize::from(area.width).saturating_sub(letter::MARGIN).max(4);
        let setting = letter::Setting { other: &other, zone: &self.owner.zone, columns };
        if let Some((window, limit)) = open.lay_out(area.height.into(), &setting) {
            self.acts.push(Act::Page { with: *open.with(), window, limit });
        }
    }

    /// Whoever has a conversation in front of them, and looks, has read what is seen.
    fn note_read(&mut self) {
        let is_looking = self.overlay.is_none()
            && self.focus != Focus::List
            && self.has_window != Some(false)
            && self.layout().is_some();
        let Some(open) = self.open.as_ref().filter(|_| is_looking) else { return };
        let Some(seen) = open.seen_to().filter(|seen| self.noted.is_none_or(|noted| noted < *seen))
        else {
            return;
        };
        self.noted = Some(seen);
        let is_new = self.list.get(open.with()).is_none_or(|one| one.conversation.read_to < seen);
        if is_new {
            self.acts.push(Act::Carry(Errand::Read { with: *open.with(), to: seen }));
        }
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Focus(has) => self.has_window = Some(has),
            _ if layout::is_too_small(self.size) => self.unseen(&input),
            Input::Key(key) => {
                self.said.forget_notice();
                self.key(key);
            }
            Input::Paste(text) => self.paste(&text),
            Input::PasteTooLong => self.refuse_paste(),
            Input::Wheel { up } => self.scroll(up, 3),
            Input::Click { column, row } => self.click(column, row),
        }
    }

    fn scroll(&mut self, up: bool, rows: usize) {
        let Some(open) = &mut self.open else { return };
        let before = open.edges();
        open.scroll(up, rows);
        if !up
            && open.is_at_end()
            && let Some((window, limit)) = open.go_to_end()
        {
            self.acts.push(Act::Page { with: *open.with(), window, limit });
        }
        // What keys are for is seen.
        if self.focus == Focus::Letters {
            self.lay_out();
            if let Some(open) = &mut self.open {
                open.choose_seen(up, open.edges() != before);
            }
        }
    }
}

/// What is drawn.
impl Model {
    pub(crate) const fn owner(&self) -> &Owner {
        &self.owner
    }

    pub(crate) const fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    pub(crate) const fn list(&self) -> &List {
        &self.list
    }

    pub(crate) const fn open(&self) -> Option<&OpenConversation> {
        self.open.as_ref()
    }

    /// Letters that nobody has read, where one is told of them.
    pub(crate) fn unread(&self) -> u32 {
        let is_told_of =
            |one: &&Listing| one.state() == ConversationState::Open && !one.is_muted(self.now.unix);
        self.list.all().iter().filter(is_told_of).map(|one| one.conversation.unread).sum()
    }

    /// The name that somebody was given, else the number.
    pub(crate) fn title_of(&self, phone: &Phone) -> Shown {
        self.list.get(phone).map_or_else(|| Shown::line(phone.as_str()), Listing::title)
    }

    /// The conversation that is open, as it is listed.
    pub(crate) fn listing(&self) -> Option<&Listing> {
        self.list.get(self.open.as_ref()?.with())
    }

    pub(crate) const fn composer(&self) -> &Composer {
        &self.composer
    }

    /// What is being written, in rows.
    pub(crate) const fn written(&self) -> &Written {
        &self.written.written
    }

    pub(crate) const fn focus(&self) -> Focus {
        self.focus
    }

    pub(crate) const fn overlay(&self) -> Option<&Overlay> {
        self.overlay.as_ref()
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) const fn waiting(&self) -> u32 {
        self.waiting
    }

    pub(crate) const fn now(&self) -> Now {
        self.now
    }

    /// What has to be known, in rows: what was done just now, else what is the matter with the
    /// conversation.
    pub(crate) fn banner(&self) -> Vec<Shown> {
        let notice = self.said.notice().map(str::to_owned);
        let is_seen =
            self.overlay.is_none() && (self.focus != Focus::List || layout::has_both(self.size));
        let words = notice.or_else(|| self.matter().filter(|_| is_seen));
        let all = self.bindings.key(Action::Said);
        words.map_or_else(Vec::new, |words| said::rows(&words, self.size, &all))
    }

    /// What keys are for, where that is not seen otherwise: something is begun, and they are not for that.
    pub(crate) fn whose_keys(&self) -> Option<Shown> {
        if self.composer.is_empty() || self.overlay.is_some() {
            return None;
        }
        let key = |action| self.bindings.key(action);
        let (whose, parts) = match self.focus {
            Focus::Composer => return None,
            Focus::List => (
                "The keys are for the list. ",
                vec!["Enter: go on writing".to_owned(), "?: help".to_owned()],
            ),
            Focus::Letters => (
                "The keys are for the letters. ",
                vec![
                    "Esc: go on writing".to_owned(),
                    "?: help".to_owned(),
                    format!("{}: copy", key(Action::Copy)),
                    format!("{}: details", key(Action::Details)),
                ],
            ),
        };
        let room = usize::from(self.size.width).saturating_sub(2);
        let whose = Shown::from(whose);
        let beside = Shown::parts(&parts, room.saturating_sub(whose.width()));
        Some(if beside.is_empty() { Shown::parts(&parts, room) } else { whose.then(&beside) })
    }

    /// What is the matter with the conversation.
    fn matter(&self) -> Option<String> {
        let one = self.listing()?;
        let title = one.title();
        // While one writes, a key is a part of the text.
        let first = if self.focus == Focus::Composer { "Tab, then " } else { "" };
        let key = |action| self.bindings.key(action);
        let doubted = match one.doubted() {
            0 => None,
            letters => Some(format!(
                "{} not signed with the key of {title} that is known, and {}: the server is asked whether \
                 there is another. {}: ask again",
                if letters == 1 {
                    "1 letter is".to_owned()
                } else {
                    format!("{letters} letters are")
                },
                if letters == 1 { "waits" } else { "wait" },
                key(Action::Reconnect)
            )),
        };
        match (one.trust, one.state()) {
            (Trust::Changed, _) => {
                let held = match one.conversation.held {
                    0 => String::new(),
                    1 => ", and 1 letter with the new key waits until you accept it".to_owned(),
                    held => {
                        format!(", and {held} letters with the new key wait until you accept it")
                    }
                };
                Some(format!(
                    "!! {title}: the key has changed. {first}{}: compare. Sending is held{held}.",
                    key(Action::Compare)
                ))
            }
            (_, ConversationState::Request) => {
                let stranger = format!(
                    "{title} is a stranger. {first}{}: accept, {}: block; answering accepts",
                    key(Action::Accept),
                    key(Action::Block)
                );
                Some(match doubted {
                    Some(doubted) => format!("{stranger}. {doubted}"),
                    None => stranger,
                })
            }
            (_, ConversationState::Blocked) => Some(format!(
                "{title} is blocked, and what they send is discarded. {first}{}: unblock",
                key(Action::Block)
            )),
            _ => doubted,
        }
    }

    /// The parts of the screen; `None` when there is room for none.
    pub(crate) fn layout(&self) -> Option<Layout> {
        let rows = |rows: usize| u16::try_from(rows).unwrap_or(u16::MAX);
        let composer = rows(self.written.written.rows.len());
        let pane = match (&self.overlay, self.focus) {
            (Some(_), _) => Pane::Overlay,
            (None, Focus::List) => Pane::List,
            (None, _) => Pane::Conversation,
        };
        let banner = self.banner().len() + usize::from(self.whose_keys().is_some());
        Layout::of(self.size, pane, rows(banner), composer)
    }

    /// Columns and rows of what is in front of the conversations.
    fn overlay_room(&self) -> (usize, usize) {
        let below = self.layout().map(|layout| layout.below).unwrap_or_default();
        (below.width.into(), below.height.into())
    }

    /// How many columns a text has that is being written.
    pub(crate) fn composer_columns(&self) -> usize {
        usize::from(self.size.width).saturating_sub(4).max(4)
    }
}
