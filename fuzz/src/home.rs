//! A home whose files anything may have been put into.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use rusqlite::types::Value;
use rusqlite::{Connection, params};
use waxwing::home::{
    Contact, Deletion, Event, Fate, HandedOver, Home, HomeError, HomeProfile, Letter, PacketName,
    Registration, Which, Writing,
};
use waxwing_core::crypto::{ReplyKey, SessionKey};
use waxwing_core::envelope::Content;
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::messenger::{Profile, Verdict, Who};
use waxwing_core::phone::Phone;
use waxwing_core::wire::{KeyAnswer, Status};
use waxwing_core_fuzz::readable::{Bytes, Form};
use waxwing_testkit::backend::{Backend, Glass, Paper};

use crate::Reached;
use crate::client::NOW;
use crate::outbox::{DATABASE, directory, directory_with, with_account};
use waxwing_core_fuzz::input::Input;

/// What is in the file that is not as it was, by the first byte of an input.
pub mod what {
    /// The database is the rest of the input.
    pub const DATABASE: u8 = 0;
    /// Values in a database of an otherwise sound one.
    pub const VALUES: u8 = 1;
    /// What the process that holds the session says of itself.
    pub const HOLDER: u8 = 2;
}

/// Values that are changed, at most.
const CHANGES: usize = 8;
/// Rows that are asked for, and conversations and contacts that are looked at.
const ROWS: usize = 16;

/// Columns that a change can be in: a table, what names its rows, and a column. Inputs name them by number, so
/// new ones come last.
const COLUMNS: &[(&str, &str, &str)] = &[
    ("identity", "only_row", "phone"),
    ("identity", "only_row", "server"),
    ("identity", "only_row", "server_key"),
    ("identity", "only_row", "private_key"),
    ("identity", "only_row", "public_key"),
    ("identity", "only_row", "reply_key"),
    ("identity", "only_row", "stage"),
    ("identity", "only_row", "code_expires_at"),
    ("identity", "only_row", "user_id"),
    ("identity", "only_row", "session_key"),
    ("identity", "only_row", "renewing"),
    ("contacts", "phone", "phone"),
    ("contacts", "phone", "user_id"),
    ("contacts", "phone", "spki"),
    ("contacts", "phone", "first_seen"),
    ("contacts", "phone", "verified"),
    ("contacts", "phone", "asked_at"),
    ("contacts", "phone", "changed_spki"),
    ("contacts", "phone", "changed_user_id"),
    ("contacts", "phone", "changed_at"),
    ("letters", "id", "id"),
    ("letters", "id", "packet_id"),
    ("letters", "id", "sender_id"),
    ("letters", "id", "sender"),
    ("letters", "id", "uid"),
    ("letters", "id", "kind"),
    ("letters", "id", "body"),
    ("letters", "id", "error"),
    ("letters", "id", "packet"),
    ("letters", "id", "sent_at"),
    ("letters", "id", "received_at"),
    ("letters", "id", "printed"),
    ("letters", "id", "held_for"),
    ("letters", "id", "quota"),
    ("outbox", "id", "id"),
    ("outbox", "id", "uid"),
    ("outbox", "id", "recipient"),
    ("outbox", "id", "kind"),
    ("outbox", "id", "body"),
    ("outbox", "id", "created_at"),
    ("outbox", "id", "state"),
    ("outbox", "id", "not_before"),
    ("outbox", "id", "refusal_code"),
    ("outbox", "id", "refusal_text"),
    ("outbox", "id", "packet"),
    ("outbox", "id", "signed_at"),
    ("outbox", "id", "stored_as"),
    ("outbox", "id", "heard_at"),
    ("outbox", "id", "read_at"),
    ("outbox_packets", "packet_id", "packet_id"),
    ("outbox_packets", "packet_id", "letter"),
    ("outbox_packets", "packet_id", "recipient_id"),
    ("relations", "phone", "phone"),
    ("relations", "phone", "known"),
    ("relations", "phone", "blocked"),
    ("deleted_letters", "uid", "sender"),
    ("deleted_letters", "uid", "uid"),
    ("discarded", "quota", "quota"),
    ("discarded", "quota", "letters"),
    ("discarded", "quota", "told"),
    ("last_place", "only_row", "id"),
    ("successor", "only_row", "spki"),
    ("successor", "only_row", "effective"),
    ("successor", "only_row", "asked_at"),
];

/// Texts that stand in some column.
const TEXTS: [&str; 14] = [
    "",
    "+15550001111",
    "+15550002000",
    "+15550002001",
    "+",
    "text",
    "receipt",
    "unknown",
    "unreadable",
    "held",
    "stranger",
    "\u{202e}\u{1b}[2J",
    "1",
    "server.example:9295",
];

/// Numbers at which something ends.
const NUMBERS: [i64; 14] = [
    0,
    1,
    2,
    3,
    7,
    -1,
    255,
    65_535,
    65_536,
    1 << 32,
    -(1 << 32),
    i64::MAX,
    i64::MIN,
    1_795_350_896,
];

/// A value that is changed.
#[derive(Clone, Debug, PartialEq)]
struct Change {
    table: &'static str,
    key: &'static str,
    column: &'static str,
    row: u8,
    value: Value,
}

impl Change {
    fn read(input: &mut Input<'_>) -> Self {
        let (table, key, column) = input.one(COLUMNS);
        let row = input.byte() & 7;
        let value = match input.below(8) {
            0 => Value::Null,
            1 => Value::Integer(input.one(&NUMBERS)),
            2 => Value::Integer(input.number().cast_signed()),
            3 => Value::Real(f64::from_bits(input.number())),
            4 => Value::Text(input.one(&TEXTS).to_owned()),
            5 => {
                let len = input.below(64);
                Value::Text(String::from_utf8_lossy(input.bytes(len)).into_owned())
            }
            6 => Value::Blob(vec![input.byte(); usize::from(input.byte()) * 2]),
            _ => {
                let len = input.byte().into();
                Value::Blob(input.bytes(len).to_vec())
            }
        };
        Self { table, key, column, row, value }
    }

    /// SQLite may refuse it: two rows cannot have the same name.
    fn make(&self, database: &Connection) {
        let Self { table, key, column, row, value } = self;
        let sql = format!(
            "UPDATE {table} SET {column} = ?1 WHERE {key} IN \
             (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1 OFFSET ?2)"
        );
        let _ = database.execute(&sql, params![value, row]);
    }
}

/// What is in a file.
pub struct Files;

impl Form for Files {
    fn show(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match bytes.split_first() {
            Some((&what::VALUES, changes)) => {
                let mut input = Input::new(changes);
                while !input.is_empty() {
                    writeln!(f, "{:?}", Change::read(&mut input))?;
                }
                Ok(())
            }
            Some((what, rest)) => {
                write!(
                    f,
                    "{} is ",
                    if *what == what::HOLDER { "the holder" } else { "the database" }
                )?;
                Bytes::show(rest, f)
            }
            None => Ok(()),
        }
    }
}

/// A home with something in every table.
fn furnished(directory: &Path) -> Result<(), HomeError> {
    let home = with_account(directory);
    let (ann, ben) = (phone(b"+15550002000"), phone(b"+15550002001"));
    let changed = KeyAnswer { phone: ben, user: id(11), spki: Paper::key(1_000).0 };
    home.contacts().note(&changed, Verdict::Change, NOW)?;
    home.set_session_key(Some(&SessionKey::from_bytes(&[4; 32])))?;
    let texts = [(1, ann, "one"), (2, ann, "two"), (3, ben, "three"), (4, ben, "four")];
    for (uid, to, text) in texts {
        let writing = Writing::text(text).expect("it is short");
        let row = home.outbox().queue(&Uid([uid; 16]), &to, &writing, NOW)?;
        let packet = PacketId([uid; 16]);
        if uid % 2 == 1 {
            home.outbox().begin_sending(row, &packet, id(10), &[uid; 900], NOW)?;
        }
        if uid == 1 {
            let _ = home.outbox().apply(&[(PacketName::Full(packet), Status::Stored)], NOW)?;
        }
        if uid == 4 {
            home.outbox().postpone(row, NOW.shifted(60), Some(51), "later")?;
        }
    }
    let opened = |uid, content| Fate::Opened { from: ann, uid: Uid([uid; 16]), content };
    let stranger = phone(b"+15550009999");
    let from_stranger =
        Fate::Opened { from: stranger, uid: Uid([9; 16]), content: Content::Text("hi") };
    let packet = &[5; 700][..];
    let fates = [
        opened(1, Content::Text("five")),
        opened(2, Content::ReadReceipt(Uid([1; 16]))),
        opened(3, Content::Unknown { kind: 9, body: b"six" }),
        from_stranger,
        Fate::Unreadable { from: None, error: "nobody's", is_signed: false, packet },
        Fate::Held { from: ben, packet, signed_with: Some(&changed.spki) },
        Fate::Held { from: ben, packet, signed_with: None },
        opened(4, Content::Text("seven")),
    ];
    for (at, fate) in (1_u8..).zip(fates) {
        let (packet_id, sender) = (PacketId([0x80 + at; 16]), id(10 + u16::from(at % 2)));
        let received = HandedOver { packet_id, sender, sent_at: NOW, received_at: NOW, fate };
        let _ = home.letters().record(&received)?;
    }
    home.relations().block(&phone(b"+15550008888"))?;
    drop(home);
    let database = Connection::open(directory.join(DATABASE))?;
    database.execute("INSERT INTO deleted_letters VALUES ('+15550002000', ?)", [[8; 16]])?;
    database.execute("INSERT INTO discarded VALUES ('stranger', 3, 1)", [])?;
    Ok(())
}

fn phone(text: &[u8]) -> Phone {
    Phone::parse(text).expect("a phone")
}

fn id(id: u16) -> UserId {
    UserId::new(id).expect("an id")
}

/// The database of a home with something in every table.
#[must_use]
pub fn sound() -> &'static [u8] {
    static SOUND: OnceLock<Vec<u8>> = OnceLock::new();
    SOUND.get_or_init(|| {
        let directory = directory();
        furnished(directory.path()).unwrap();
        fs::read(directory.path().join(DATABASE)).unwrap()
    })
}

/// The same, and no column says what may stand in it.
fn lenient() -> &'static [u8] {
    static LENIENT: OnceLock<Vec<u8>> = OnceLock::new();
    LENIENT.get_or_init(|| {
        let directory = directory_with(sound());
        let path = directory.path().join(DATABASE);
        let database = Connection::open(&path).unwrap();
        database.pragma_update(None, "writable_schema", "ON").unwrap();
        for (words, instead) in [
            (" STRICT, WITHOUT ROWID", " WITHOUT ROWID"),
            (" STRICT", ""),
            (" TEXT NOT NULL", ""),
            (" BLOB NOT NULL", ""),
            (" INTEGER NOT NULL", " INTEGER"),
            (" TEXT", ""),
            (" BLOB", ""),
        ] {
            let sql = "UPDATE sqlite_schema SET sql = replace(sql, ?1, ?2) WHERE type = 'table'";
            database.execute(sql, [words, instead]).unwrap();
        }
        database.close().unwrap();
        fs::read(&path).unwrap()
    })
}

/// A home with a database that is damaged, or has values that nobody has written, or whose holder
/// says anything of itself: it is refused, or every question has an answer or an error; what is
/// written is there, and still is when the home is opened again.
pub fn home_open(data: &[u8]) -> Reached {
    let Some((what, rest)) = data.split_first() else { return Reached::new() };
    let directory = directory_with(match *what {
        what::VALUES => lenient(),
        what::HOLDER => sound(),
        _ => rest,
    });
    let is_sound = match *what {
        what::VALUES => {
            let database = Connection::open(directory.path().join(DATABASE)).unwrap();
            database.pragma_update(None, "ignore_check_constraints", "ON").unwrap();
            let mut input = Input::new(rest);
            for _ in 0..CHANGES {
                if !input.is_empty() {
                    Change::read(&mut input).make(&database);
                }
            }
            true
        }
        what::HOLDER => {
            fs::write(directory.path().join("session.lock"), rest).unwrap();
            true
        }
        _ => false,
    };
    let mut reached = Reached::new();
    let holder = Home::session_holder_in(directory.path());
    if holder.is_some() {
        reached.insert("the holder says something");
    }
    let home = match Home::open(directory.path()) {
        Ok(home) => home,
        Err(error) => {
            assert!(!is_sound, "its pages are in order: {error}");
            assert!(!error.to_string().is_empty());
            reached.insert("refused");
            return reached;
        }
    };
    reached.insert("taken");
    let mut look = Look { home: &home, is_sound, reached };
    look.ask();
    let mut reached = look.reached;
    let written = write(&home);
    match &written {
        Ok(letter) => {
            reached.insert("a letter is written");
            drop(home);
            let home = Home::open(directory.path());
            if is_sound {
                // It is there, whatever else is.
                let home = home.expect("it was opened before");
                let letter = home.outbox().status_of(*letter).unwrap();
                assert!(letter.is_some(), "a letter that was written is gone");
            }
        }
        Err(_) => {
            reached.insert("nothing can be written");
        }
    }
    reached
}

/// Something of every kind is changed. Gives the letter that is written.
fn write(home: &Home) -> Result<waxwing::home::OutboxId, HomeError> {
    let (to, now) = (phone(b"+15550002000"), NOW.shifted(60));
    // Each by itself: one may fail where another does not.
    let _ = home.set_session_key(None);
    let _ = home.set_registration(Registration::Proving);
    let _ = home.begin_renewal(&ReplyKey::from_bytes(&[6; 32]));
    let _ = home.renew(id(3));
    let _ = home.end_renewal();
    let _ = home.trust_server(&"other.example:1".parse().unwrap(), &Glass::key(7).0);
    let _ = home.outbox().hurry(Which::All);
    let _ = home.outbox().limit_pauses(now);
    let _ = home.outbox().give_up(&Uid([4; 16]));
    let _ = home.outbox().seal_again(&to);
    for uid in 1..4 {
        let name = PacketName::Prefix(PacketId([uid; 16]).prefix());
        let _ = home.outbox().apply(&[(name, Status::Delivered)], now);
    }
    let content = Content::Text("new");
    let fate = Fate::Opened { from: phone(b"+15550009999"), uid: Uid([0x77; 16]), content };
    let packet_id = PacketId([0x77; 16]);
    let received = HandedOver { packet_id, sender: id(10), sent_at: now, received_at: now, fate };
    let _ = home.letters().record(&received);
    let _ = home.letters().take_discarded();
    let _ = home.relations().unblock(&phone(b"+15550008888"));
    let writing = Writing::text("last").expect("it is short");
    let uid = Uid([0x66; 16]);
    let row = home.outbox().queue(&uid, &to, &writing, now)?;
    let letter = home.outbox().open_letter(row)?.expect("it was just written");
    assert_eq!((letter.uid, letter.recipient, &letter.writing), (uid, to, &writing));
    assert_eq!(letter.packet, None);
    let begun = home.outbox().begin_sending(row, &PacketId(uid.0), id(10), &[1; 600], now)?;
    assert!(begun, "it has no answer yet");
    for which in [Deletion::With(to, now), Deletion::Strangers, Deletion::Unreadable] {
        let _ = home.delete(&which);
    }
    let _ = home.give_back_room();
    Ok(row)
}

/// Every question that a home is asked.
struct Look<'a> {
    home: &'a Home,
    /// The pages of the database are in order: what is found for a name has that name.
    is_sound: bool,
    reached: Reached,
}

impl Look<'_> {
    fn ask(&mut self) {
        let home = self.home;
        if let Ok(identity) = home.identity() {
            self.reached.insert(match identity {
                Some(_) => "an account is read",
                None => "there is no account",
            });
            if let Some(identity) = identity {
                let _ = home.standing(&identity.phone, &identity.server_key);
            }
        } else {
            self.reached.insert("an account is refused");
        }
        let contacts = home.contacts().all();
        self.note(&contacts, "contacts are read", "contacts are refused");
        for contact in contacts.unwrap_or_default().iter().take(ROWS) {
            self.ask_of_contact(contact);
        }
        let unprinted = home.letters().unprinted(ROWS);
        self.note(&unprinted, "letters are read", "letters are refused");
        let unprinted = unprinted.unwrap_or_default();
        let rows: Vec<_> = unprinted.iter().map(|letter| letter.id).collect();
        assert!(!self.is_sound || rows.is_sorted(), "letters are in order");
        let _ = home.letters().last();
        let _ = home.relations().blocked();
        let people = [phone(b"+15550002000"), phone(b"+15550002001"), phone(b"+15550009999")];
        let senders = unprinted.iter().filter_map(|letter: &Letter| letter.from);
        for person in people.into_iter().chain(senders).take(ROWS) {
            self.ask_of_person(&person);
        }
        self.ask_of_outbox();
        self.ask_as_messenger();
        let _ = home.letters().mark_printed(&rows);
    }

    fn note<T>(&mut self, result: &Result<T, HomeError>, read: &'static str, no: &'static str) {
        if let Err(error) = result {
            assert!(!error.to_string().is_empty());
        }
        self.reached.insert(if result.is_ok() { read } else { no });
    }

    fn ask_of_contact(&self, contact: &Contact) {
        let contacts = self.home.contacts();
        let of_phone = contacts.by_phone(&contact.phone);
        let of_key = contacts.by_key(&contact.spki);
        let of_user = contact.user_id.map(|user| contacts.by_user_id(user));
        if self.is_sound {
            assert_eq!(of_phone.ok().flatten().as_ref(), Some(contact), "by phone");
            assert_eq!(of_key.ok().flatten().as_ref(), Some(contact), "by key");
            let of_user = of_user.map(|found| found.ok().flatten());
            assert!(of_user.is_none_or(|found| found.as_ref() == Some(contact)), "by id");
        }
        let _ = contact.known();
        let _ = contacts.mark_verified(&contact.phone, &contact.spki);
    }

    fn ask_of_person(&mut self, person: &Phone) {
        let home = self.home;
        let history = home.history(person);
        self.note(&history, "a conversation is read", "a conversation is refused");
        for entry in history.unwrap_or_default() {
            let is_named = entry.uid.is_some();
            assert!(is_named || matches!(entry.event, Event::Received { .. }));
        }
        let _ = home.relations().with(person);
        let _ = home.letters().held_from(person);
        let _ = home.outbox().unanswered_to(person);
        let _ = home.outbox().waiting(person, None);
        if let Ok(mut reading) = home.letters().read_from(person) {
            let _ = home.letters().next(&mut reading, ROWS);
        }
    }

    fn ask_of_outbox(&mut self) {
        let outbox = self.home.outbox();
        let queued = outbox.queued();
        self.note(&queued, "the outbox is read", "the outbox is refused");
        for letter in queued.unwrap_or_default().iter().take(ROWS) {
            let open = outbox.open_letter(letter.id);
            if let Ok(Some(open)) = open
                && self.is_sound
            {
                assert_eq!((open.id, open.uid), (letter.id, letter.uid));
                assert_eq!((open.recipient, &open.writing), (letter.recipient, &letter.writing));
            }
            let _ = outbox.held_up_by(letter.id, NOW);
            let _ = letter.status.name();
        }
        if let Ok(heads) = outbox.heads(NOW) {
            let rows: Vec<_> = heads.iter().map(|head| head.id).collect();
            assert!(!self.is_sound || rows.is_sorted(), "the oldest is first");
        }
        let _ = outbox.stored(None, ROWS);
        for packet in 0..5 {
            let _ = outbox.sent_as(&PacketId([packet; 16]));
        }
    }

    /// The questions that a messenger asks, within its transaction, which it gives up.
    fn ask_as_messenger(&self) {
        let mut profile = HomeProfile::new(self.home, |_| {});
        if profile.begin().is_err() {
            return;
        }
        let mut after = None;
        for _ in 0..ROWS {
            let Ok(Some(head)) = profile.head(after, NOW) else { break };
            after = Some(head.row);
            let _ = profile.outgoing(head.row);
            let _ = profile.contact(Who::Phone(&head.recipient));
        }
        let mut after = None;
        for _ in 0..ROWS {
            let Ok(Some((row, _))) = profile.stored(after) else { break };
            after = Some(row);
        }
        let mut after: Option<Phone> = None;
        for _ in 0..ROWS {
            let Ok(Some(doubted)) = profile.doubted(after.as_ref()) else { break };
            let mut packet = [0; 1_024];
            let mut last = None;
            for _ in 0..ROWS {
                let Ok(Some((row, len))) = profile.held(&doubted, last, &mut packet) else { break };
                last = Some(row);
                let _ = packet.get(..len);
            }
            after = Some(doubted);
        }
        let _ = profile.session_key();
        profile.roll_back();
    }
}
