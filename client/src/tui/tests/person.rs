//! Somebody in front of a screen, over a home on the disk.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use ratatui_core::backend::TestBackend;
use ratatui_core::buffer::Buffer;
use ratatui_core::terminal::Terminal;
use tempfile::TempDir;
use waxwing_core::envelope::Content;
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::messenger::Verdict;
use waxwing_core::phone::Phone;
use waxwing_core::time::{Instant, Now};
use waxwing_core::wire::KeyAnswer;

use super::{at, phone};
use crate::backend::load_key;
use crate::home::{
    Deletion, Fate, HandedOver, Home, Identity, NewIdentity, Recorded, Registration, Writing,
};
use crate::tui::bindings::Bindings;
use crate::tui::desk::reading;
use crate::tui::draw;
use crate::tui::event::{Act, Errand, Event};
use crate::tui::input::{Input, Key};
use crate::tui::state::{Model, Owner};
use crate::tui::theme::Theme;
use waxwing_core::crypto::{PrivateKey as _, ReplyKey, Spki};
use waxwing_core::testing::keys::pkcs8_der;

pub(super) struct Person {
    pub(super) home: Home,
    _root: TempDir,
    pub(super) identity: Identity,
    model: Model,
    size: (u16, u16),
    /// Milliseconds since the start.
    time: u64,
    letters: u8,
    /// What the courier was given.
    pub(super) errands: Vec<Errand>,
    /// Other acts that a terminal would have done.
    pub(super) acts: Vec<Act>,
}

fn spki(at: usize) -> Spki {
    load_key(pkcs8_der(at)).unwrap().spki().clone()
}

fn new_home() -> (TempDir, Home) {
    let root = tempfile::tempdir().unwrap();
    let home = Home::create(&root.path().join("waxwing")).unwrap();
    home.store_identity(&NewIdentity {
        phone: phone(0),
        servers: &"127.0.0.1:9295".parse().unwrap(),
        server_key: &spki(1),
        private_key: pkcs8_der(0),
        public_key: &spki(0),
        reply_key: &ReplyKey::from_bytes(&[3; 32]),
    })
    .unwrap();
    home.set_registration(Registration::Done(UserId::new(100).unwrap())).unwrap();
    (root, home)
}

impl Person {
    /// Somebody with a screen of this size, whose home `fill` has filled.
    pub(super) fn with(size: (u16, u16), fill: impl FnOnce(&mut Self)) -> Self {
        let (root, home) = new_home();
        let identity = home.identity().unwrap().unwrap();
        let owner = Owner { phone: phone(0), country: None, zone: TimeZone::UTC };
        let now = Now { instant: Instant::from_millis(1_000), unix: at(600) };
        let (model, acts) = Model::new(owner, Bindings::default(), size.0, size.1, now);
        let mut person = Self {
            home,
            _root: root,
            identity,
            model,
            size,
            time: 1_000,
            letters: 0,
            errands: Vec::new(),
            acts: Vec::new(),
        };
        fill(&mut person);
        person.act(acts);
        person
    }

    /// Time goes on.
    pub(super) fn wait(&mut self, span: Duration) {
        self.time += u64::try_from(span.as_millis()).unwrap();
        self.happen(Event::Time);
    }

    fn now(&self) -> Now {
        Now { instant: Instant::from_millis(self.time), unix: at(600) }
    }

    pub(super) fn happen(&mut self, event: Event) {
        let acts = self.model.handle(event, self.now());
        self.act(acts);
    }

    fn act(&mut self, acts: Vec<Act>) {
        let mut acts = VecDeque::from(acts);
        while let Some(act) = acts.pop_front() {
            let home = &self.home;
            let event = match act {
                Act::List { since } => reading::list(home, since),
                Act::Open(with) => reading::open(home, with),
                Act::Page { with, window, limit } => reading::page(home, with, window, limit),
                Act::Search { text, with } => reading::search(home, &text, with.as_ref()),
                Act::Number(with) => reading::number(home, &self.identity, with),
                Act::Carry(Errand::TellDiscarded) => match home.letters().take_discarded() {
                    Ok(letters) if letters.is_empty() => continue,
                    letters => letters.map(Event::Discarded),
                },
                Act::Carry(errand) => {
                    self.errands.push(errand);
                    continue;
                }
                act => {
                    self.acts.push(act);
                    continue;
                }
            };
            acts.extend(self.model.handle(event.unwrap(), self.now()));
        }
    }

    /// What the courier would do with the errands so far, as far as it is about words.
    pub(super) fn carry_out(&mut self) {
        for errand in std::mem::take(&mut self.errands) {
            match errand {
                Errand::Send { to, text } => {
                    let home = &self.home;
                    self.letters += 1;
                    write(home, self.letters, to, &text);
                    home.conversations().set_draft(&to, "").unwrap();
                }
                Errand::Draft { with, text } => {
                    self.home.conversations().set_draft(&with, &text).unwrap();
                }
                Errand::Read { with, to } => {
                    self.home.conversations().mark_read(&with, to).unwrap();
                }
                Errand::Delete(with, letter) => {
                    let deleted = self.home.delete(&Deletion::Letter(with, letter)).unwrap();
                    assert_eq!(deleted.received + deleted.written, 1);
                }
                other => panic!("{other:?}"),
            }
        }
        self.happen(Event::Changed);
    }

    pub(super) fn press(&mut self, key: Key) {
        self.happen(Event::Input(Input::Key(key)));
    }

    pub(super) fn presses(&mut self, keys: &[Key]) {
        keys.iter().for_each(|key| self.press(*key));
    }

    pub(super) fn types(&mut self, text: &str) {
        for character in text.chars() {
            self.press(Key::Char(character));
        }
    }

    pub(super) fn resize(&mut self, width: u16, height: u16) {
        self.size = (width, height);
        self.happen(Event::Resized { width, height });
    }

    /// What is left to be done at the end.
    pub(super) fn leaves(&mut self) {
        let acts = self.model.leave();
        self.act(acts);
    }

    /// Whether there are names left for letters.
    pub(super) const fn has_room_for_letters(&self) -> bool {
        self.letters < 200
    }

    /// Somebody writes to this person, so many minutes after eight.
    pub(super) fn receives(&mut self, from: Phone, minutes: i64, text: &str) {
        let recorded = self.record(from, minutes, text);
        assert!(matches!(recorded, Recorded::Stored(_)));
    }

    pub(super) fn receives_if_there_is_room(&mut self, from: Phone, text: &str) {
        let _ = self.record(from, 500, text);
    }

    fn record(&mut self, from: Phone, minutes: i64, text: &str) -> Recorded {
        self.letters += 1;
        let letter = HandedOver {
            packet_id: PacketId([self.letters; 16]),
            sender: UserId::new(7).unwrap(),
            sent_at: at(minutes),
            received_at: at(minutes),
            fate: Fate::Opened { from, uid: Uid([self.letters; 16]), content: Content::Text(text) },
        };
        self.home.letters().record(&letter).unwrap()
    }

    /// Somebody writes to this person with a key that nobody has accepted.
    pub(super) fn holds(&mut self, from: Phone, key: usize) {
        self.holds_one(from, Some(&spki(key)));
    }

    /// A letter that is not signed with the key that is known, before the server has said whether there is
    /// another one.
    pub(super) fn doubts(&mut self, from: Phone) {
        self.holds_one(from, None);
    }

    fn holds_one(&mut self, from: Phone, signed_with: Option<&Spki>) {
        self.letters += 1;
        let letter = HandedOver {
            packet_id: PacketId([self.letters; 16]),
            sender: UserId::new(7).unwrap(),
            sent_at: at(0),
            received_at: at(0),
            fate: Fate::Held { from, packet: b"packet", signed_with },
        };
        assert!(matches!(self.home.letters().record(&letter).unwrap(), Recorded::Stored(_)));
    }

    /// This person has written, before the screen was there.
    pub(super) fn has_written(&mut self, to: Phone, minutes: i64, text: &str) {
        self.letters += 1;
        let uid = Uid([self.letters; 16]);
        self.home.outbox().queue(&uid, &to, &Writing::text(text).unwrap(), at(minutes)).unwrap();
    }

    pub(super) fn names(&self, phone: Phone, name: &str) {
        let name = crate::name::Name::parse(name).unwrap();
        let given = self.home.conversations().set_name(&phone, &name).unwrap();
        assert_eq!(given, crate::home::Naming::Given);
    }

    /// The server has said what somebody's key is: number `key` of the keys for tests.
    pub(super) fn hears_of_key(&self, phone: Phone, key: usize) {
        let contacts = self.home.contacts();
        let known = contacts.by_phone(&phone).unwrap();
        let verdict = match known {
            None => Verdict::Pin,
            Some(contact) if contact.spki == spki(key) => Verdict::Confirm,
            Some(_) => Verdict::Change,
        };
        let user = UserId::new(200 + u16::try_from(key).unwrap()).unwrap();
        let answer = KeyAnswer { phone, user, spki: spki(key) };
        contacts.note(&answer, verdict, at(0)).unwrap();
    }

    pub(super) fn cells(&self) -> Buffer {
        self.drawn(self.size, Theme::Dark)
    }

    pub(super) fn cells_in(&self, theme: Theme) -> Buffer {
        self.drawn(self.size, theme)
    }

    /// What is drawn when the screen has become this large, and nobody has said so yet.
    pub(super) fn cells_on(&self, size: (u16, u16)) -> Buffer {
        self.drawn(size, Theme::Dark)
    }

    fn drawn(&self, (width, height): (u16, u16), theme: Theme) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw::frame(&self.model, theme, frame)).unwrap();
        terminal.backend().buffer().clone()
    }

    /// The rows of the screen, without what nobody sees at their ends.
    pub(super) fn sees(&self) -> Vec<String> {
        let cells = self.cells();
        (0..cells.area.height)
            .map(|y| {
                let mut row = String::new();
                let mut hidden = 0;
                for x in 0..cells.area.width {
                    if hidden > 0 {
                        hidden -= 1;
                        continue;
                    }
                    let symbol = cells[(x, y)].symbol();
                    hidden = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
                    row.push_str(symbol);
                }
                row.trim_end().to_owned()
            })
            .collect()
    }

    #[track_caller]
    pub(super) fn sees_line(&self, what: &str) {
        let sees = self.sees();
        assert!(sees.iter().any(|row| row.contains(what)), "no {what:?}:\n{}", sees.join("\n"));
    }

    #[track_caller]
    pub(super) fn sees_nothing_of(&self, what: &str) {
        let sees = self.sees();
        assert!(!sees.iter().any(|row| row.contains(what)), "{what:?}:\n{}", sees.join("\n"));
    }

    /// Whether the screen is the one in the file.
    #[track_caller]
    pub(super) fn sees_screen(&self, name: &str) {
        let file = format!("{}/src/tui/tests/screens/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        let sees = self.sees().join("\n") + "\n";
        if std::env::var_os("WAXWING_WRITE_SCREENS").is_some() {
            fs::write(&file, &sees).unwrap();
        }
        let expected = fs::read_to_string(Path::new(&file)).unwrap_or_default();
        assert!(sees == expected, "{name} is not\n{expected}\nbut\n{sees}");
    }
}

fn write(home: &Home, byte: u8, to: Phone, text: &str) {
    let writing = Writing::text(text).unwrap();
    home.outbox().queue(&Uid([byte; 16]), &to, &writing, at(590)).unwrap();
}
