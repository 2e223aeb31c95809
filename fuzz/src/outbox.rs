//! The client's outbox, step by step, against a model of it.

use std::fmt;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::OnceLock;

use tempfile::TempDir;
use waxwing::home::{
    Acceptance, Applied, Deletion, Entry, Event, Fate, GivenUp, HandedOver, Home, NewIdentity,
    OpenLetter, OutboxId, OutboxStatus, PacketName, Registration, State, Which, Writing,
};
use waxwing_core::crypto::ReplyKey;
use waxwing_core::envelope::Content;
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::messenger::Verdict;
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{KeyAnswer, Status, StatusQuery};
use waxwing_core_fuzz::readable::Form;
use waxwing_testkit::backend::{Backend, Glass, Paper};

use crate::Reached;
use crate::client::NOW;
use waxwing_core_fuzz::input::Input;

/// Steps of an input, at most, and letters that are there at the same time.
const STEPS: usize = 60;
const LETTERS: usize = 12;
/// People whom letters go to.
const PEOPLE: usize = 3;
/// Processes that have the home open.
const PROCESSES: usize = 2;
/// The id of this home's account.
const OWN: u16 = 1;
/// Keys from this number on are nobody's.
const KEYS: usize = 1_000;
/// What the server can say of a letter.
const STATUSES: [Status; 4] = [Status::Unknown, Status::Stored, Status::Delivered, Status::Expired];
/// For so long a server remembers letters that have expired (PROTOCOL.md, "Acknowledgments").
const REMEMBERED_S: i64 = 30 * 24 * 60 * 60;
/// Rows that are asked for at once.
const MANY: usize = 100;

/// What is done to the outbox. Letters and packets are named by their number, from the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A letter of so many bytes to somebody is written.
    Write { to: usize, len: u8 },
    /// A receipt for a letter of somebody's is.
    WriteReceipt { to: usize },
    /// A letter is about to go out, in a new packet.
    Send { letter: usize },
    /// It is about to go out once more, in the packet that it had last.
    SendAgain { letter: usize },
    /// The server says what became of a packet, or of several at once.
    Hear { packets: [usize; 3], count: usize, status: usize, by_prefix: bool },
    /// The server says something of a packet that is none of this home's.
    HearOfAnother { status: usize },
    /// The recipient has read a letter.
    Read { letter: usize },
    /// The server refuses a letter for good.
    Refuse { letter: usize, with_code: bool },
    /// A letter is to be tried again later.
    Postpone { letter: usize, seconds: u8, with_code: bool },
    /// The person wants all that waits to be tried now, that to one person, or one letter.
    Hurry { which: usize, of: usize },
    /// No pause is longer than this.
    LimitPauses { seconds: u8 },
    /// The person gives a letter up.
    GiveUp { letter: usize },
    /// The person deletes the letters to somebody that were written before.
    Delete { to: usize, seconds: u8 },
    /// The letters to somebody are to be sealed again.
    SealAgain { to: usize },
    /// The clock that dated a letter was wrong.
    CorrectDate { letter: usize, seconds: u8 },
    /// The server gives out another key for somebody.
    ChangeKey { to: usize },
    /// The person accepts it.
    AcceptKey { to: usize },
    /// The server does not know the account any more, and gives out another id.
    Renew,
    /// Time passes, in minutes or in days.
    Wait { days: bool, count: u8 },
    /// The process ends, and another begins.
    Restart,
}

impl Step {
    fn read(input: &mut Input<'_>) -> (usize, Self) {
        let head = input.byte();
        let process = usize::from(head >> 7) % PROCESSES;
        let letter = |input: &mut Input<'_>| input.below(LETTERS);
        let step = match head & 0x1f {
            0..=3 => Self::Write { to: input.below(PEOPLE), len: input.byte() },
            4 => Self::WriteReceipt { to: input.below(PEOPLE) },
            5..=9 => Self::Send { letter: letter(input) },
            10 => Self::SendAgain { letter: letter(input) },
            11..=14 => {
                let how = input.byte();
                let (status, count) = (usize::from(how & 3), 1 + usize::from(how >> 2 & 3) % 3);
                let mut packets = [0; 3];
                packets[..count].fill_with(|| input.byte().into());
                Self::Hear { packets, count, status, by_prefix: how & 0x10 != 0 }
            }
            15 => Self::HearOfAnother { status: input.below(4) },
            16 => Self::Read { letter: letter(input) },
            17 => Self::Refuse { letter: letter(input), with_code: input.below(2) == 1 },
            18 | 19 => {
                let (letter, seconds) = (letter(input), input.byte());
                Self::Postpone { letter, seconds, with_code: input.below(2) == 1 }
            }
            20 => Self::Hurry { which: input.below(3), of: input.below(LETTERS) },
            21 => Self::LimitPauses { seconds: input.byte() },
            22 => Self::GiveUp { letter: letter(input) },
            23 => Self::Delete { to: input.below(PEOPLE), seconds: input.byte() },
            24 => Self::SealAgain { to: input.below(PEOPLE) },
            25 => Self::CorrectDate { letter: letter(input), seconds: input.byte() },
            26 => Self::ChangeKey { to: input.below(PEOPLE) },
            27 => Self::AcceptKey { to: input.below(PEOPLE) },
            28 => Self::Renew,
            29 | 30 => {
                let how = input.byte();
                Self::Wait { days: how & 0x80 != 0, count: how & 0x7f }
            }
            _ => Self::Restart,
        };
        (process, step)
    }

    /// The bytes of a step that a process does, for seeds.
    #[must_use]
    pub fn bytes(self, process: u8) -> Vec<u8> {
        let (kind, choices) = match self {
            Self::Write { to, len } => (0, vec![to as u8, len]),
            Self::WriteReceipt { to } => (4, vec![to as u8]),
            Self::Send { letter } => (5, vec![letter as u8]),
            Self::SendAgain { letter } => (10, vec![letter as u8]),
            Self::Hear { packets, count, status, by_prefix } => {
                let how = status as u8 | (count as u8 - 1) << 2 | u8::from(by_prefix) << 4;
                let packets = packets[..count].iter().map(|packet| *packet as u8);
                (11, [how].into_iter().chain(packets).collect())
            }
            Self::HearOfAnother { status } => (15, vec![status as u8]),
            Self::Read { letter } => (16, vec![letter as u8]),
            Self::Refuse { letter, with_code } => (17, vec![letter as u8, with_code.into()]),
            Self::Postpone { letter, seconds, with_code } => {
                (18, vec![letter as u8, seconds, with_code.into()])
            }
            Self::Hurry { which, of } => (20, vec![which as u8, of as u8]),
            Self::LimitPauses { seconds } => (21, vec![seconds]),
            Self::GiveUp { letter } => (22, vec![letter as u8]),
            Self::Delete { to, seconds } => (23, vec![to as u8, seconds]),
            Self::SealAgain { to } => (24, vec![to as u8]),
            Self::CorrectDate { letter, seconds } => (25, vec![letter as u8, seconds]),
            Self::ChangeKey { to } => (26, vec![to as u8]),
            Self::AcceptKey { to } => (27, vec![to as u8]),
            Self::Renew => (28, vec![]),
            Self::Wait { days, count } => (29, vec![u8::from(days) << 7 | count]),
            Self::Restart => (31, vec![]),
        };
        [vec![process << 7 | kind], choices].concat()
    }
}

/// Steps, each with the process that does it.
pub struct OutboxSteps;

impl Form for OutboxSteps {
    fn show(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut input = Input::new(bytes);
        while !input.is_empty() {
            let (process, step) = Step::read(&mut input);
            writeln!(f, "process {process}: {step:?}")?;
        }
        Ok(())
    }
}

/// A letter, as it has to be in the outbox.
struct Letter {
    id: OutboxId,
    uid: Uid,
    to: usize,
    writing: Writing,
    created_at: UnixTime,
    state: State,
    /// Every packet that it ever was sent as, and to which id.
    packets: Vec<(PacketId, UserId)>,
    /// The last of them, and its timestamp, while it may have to go out again.
    packet: Option<(Vec<u8>, UnixTime)>,
    not_before: UnixTime,
    code: Option<u16>,
    /// Why it was refused or put off, in words.
    why: Option<String>,
    is_given_up: bool,
    /// The packet that the server has stored.
    stored_as: Option<PacketId>,
    /// When the server said anything of it.
    heard_at: Option<UnixTime>,
    read_at: Option<UnixTime>,
}

impl Letter {
    /// Whether the server has yet to answer.
    fn is_open(&self) -> bool {
        self.state <= State::Sent
    }

    /// A receipt goes with the others, and nobody counts it.
    fn is_text(&self) -> bool {
        !matches!(self.writing, Writing::ReadReceipt(_))
    }

    fn waits(&self) -> bool {
        self.state == State::Waiting
    }

    fn len(&self) -> u32 {
        match &self.writing {
            Writing::Text(text) => text.len() as u32,
            Writing::ReadReceipt(_) => Uid::LEN as u32,
        }
    }

    /// It comes further, or it is there already.
    fn rise(&mut self, state: State) -> bool {
        if self.state >= state {
            return false;
        }
        self.state = state;
        (self.packet, self.code, self.why, self.is_given_up) = (None, None, None, false);
        true
    }

    /// It has to be sent, from the beginning, as if it had not been.
    fn begin_anew(&mut self) {
        self.state = State::Waiting;
        self.not_before = UnixTime::from_seconds(0);
        (self.packet, self.code, self.why) = (None, None, None);
    }

    fn assert_status(&self, status: &OutboxStatus) {
        let Self { state, code, not_before, read_at, .. } = self;
        assert_eq!((status.state, status.refusal_code), (*state, *code), "{:?}", self.uid);
        assert_eq!((status.not_before, status.read_at), (*not_before, *read_at), "{:?}", self.uid);
        assert_eq!(status.is_given_up(), self.is_given_up, "{:?}", self.uid);
        if !self.is_given_up {
            assert_eq!(status.refusal_text, self.why, "{:?}", self.uid);
        }
    }
}

/// People whom letters go to.
fn phone(of: usize) -> Phone {
    Phone::parse(format!("+1555000{:04}", 2_000 + of).as_bytes()).unwrap()
}

fn user(of: usize) -> UserId {
    UserId::new(10 + of as u16).unwrap()
}

/// A home that has an account and knows everybody.
pub(crate) fn with_account(directory: &Path) -> Home {
    let home = Home::create(directory).unwrap();
    let (server, own) = (Glass::key(7).0, Glass::key(0).0);
    home.store_identity(&NewIdentity {
        phone: Phone::parse(b"+15550001111").unwrap(),
        servers: &"server.example:9295".parse().unwrap(),
        server_key: &server,
        private_key: &[1; 32],
        public_key: &own,
        reply_key: &ReplyKey::from_bytes(&[2; 32]),
    })
    .unwrap();
    home.set_registration(Registration::Done(UserId::new(OWN).unwrap())).unwrap();
    for of in 0..PEOPLE {
        let answer = KeyAnswer { phone: phone(of), user: user(of), spki: Glass::key(1 + of).0 };
        home.contacts().note(&answer, Verdict::Pin, NOW).unwrap();
    }
    home
}

/// Its database, which is made once.
fn beginning() -> &'static [u8] {
    static BEGINNING: OnceLock<Vec<u8>> = OnceLock::new();
    BEGINNING.get_or_init(|| {
        let directory = directory();
        drop(with_account(directory.path()));
        fs::read(directory.path().join(DATABASE)).unwrap()
    })
}

/// The name of a home's database.
pub const DATABASE: &str = "waxwing.db";

/// A directory that nobody else can look into: another cannot be a home.
pub(crate) fn directory() -> TempDir {
    let permissions = Permissions::from_mode(0o700);
    tempfile::Builder::new().permissions(permissions).tempdir().unwrap()
}

/// A home with this database.
pub(crate) fn directory_with(database: &[u8]) -> TempDir {
    let directory = directory();
    fs::write(directory.path().join(DATABASE), database).unwrap();
    directory
}

/// Two processes write, send, hear of, retry, give up and delete letters, in any order; and end and
/// begin again. After every step the outbox says what the model says.
pub fn outbox_steps(data: &[u8]) -> Reached {
    let directory = directory_with(beginning());
    let mut run = Run::new(directory.path());
    let mut input = Input::new(data);
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        let (process, step) = Step::read(&mut input);
        run.step(process, step);
        run.check();
    }
    run.check_all();
    run.restart(0);
    run.restart(1);
    run.check_all();
    run.reached
}

struct Run<'a> {
    directory: &'a Path,
    /// The processes, all of which are there, but within a restart.
    homes: [Option<Home>; PROCESSES],
    /// Who does the step.
    process: usize,
    now: UnixTime,
    letters: Vec<Letter>,
    deleted: Vec<OutboxId>,
    /// What was sent, in this order: also what is deleted.
    packets: Vec<PacketId>,
    /// The last place that was given out, here or to a letter that came.
    last: Option<OutboxId>,
    has_changed: [bool; PEOPLE],
    names: u32,
    reached: Reached,
}

impl<'a> Run<'a> {
    fn new(directory: &'a Path) -> Self {
        let open = || Some(Home::open(directory).unwrap());
        Self {
            directory,
            homes: [open(), open()],
            process: 0,
            now: NOW,
            letters: Vec::new(),
            deleted: Vec::new(),
            packets: Vec::new(),
            last: None,
            has_changed: [false; PEOPLE],
            names: 0,
            reached: Reached::new(),
        }
    }

    fn home(&self) -> &Home {
        self.homes[self.process].as_ref().expect("it is there")
    }

    /// Sixteen bytes that nothing else has, not even the first fifteen.
    fn name(&mut self) -> [u8; 16] {
        self.names += 1;
        let mut name = [0xa5; 16];
        name[..4].copy_from_slice(&self.names.to_be_bytes());
        name
    }

    fn restart(&mut self, process: usize) {
        self.homes[process] = None;
        self.homes[process] = Some(Home::open(self.directory).unwrap());
    }

    fn step(&mut self, process: usize, step: Step) {
        self.process = process;
        let outcome = match step {
            Step::Write { to, len } => {
                let text = "x".repeat(len.into());
                self.write(to, Writing::text(text).unwrap())
            }
            Step::WriteReceipt { to } => {
                let read = Uid(self.name());
                self.write(to, Writing::ReadReceipt(read))
            }
            Step::Send { letter } => self.send(letter, false),
            Step::SendAgain { letter } => self.send(letter, true),
            Step::Hear { packets, count, status, by_prefix } => {
                self.hear(&packets[..count], STATUSES[status], by_prefix)
            }
            Step::HearOfAnother { status } => {
                let name = PacketName::Full(PacketId(self.name()));
                let heard = [(name, STATUSES[status])];
                let applied = self.home().outbox().apply(&heard, self.now).unwrap();
                assert_eq!(applied, [Applied::NotOurs]);
                "a status is of no packet of ours"
            }
            Step::Read { letter } => self.read(letter),
            Step::Refuse { letter, with_code } => self.refuse(letter, with_code),
            Step::Postpone { letter, seconds, with_code } => {
                self.postpone(letter, seconds, with_code)
            }
            Step::Hurry { which, of } => self.hurry(which, of),
            Step::LimitPauses { seconds } => {
                let latest = self.now.shifted(seconds.into());
                self.home().outbox().limit_pauses(latest).unwrap();
                for letter in self.letters.iter_mut().filter(|letter| letter.waits()) {
                    letter.not_before = letter.not_before.min(latest);
                }
                "pauses are limited"
            }
            Step::GiveUp { letter } => self.give_up(letter),
            Step::Delete { to, seconds } => self.delete(to, seconds),
            Step::SealAgain { to } => {
                self.home().outbox().seal_again(&phone(to)).unwrap();
                for letter in self.letters.iter_mut().filter(|letter| letter.to == to) {
                    if letter.state == State::Sent {
                        (letter.state, letter.packet) = (State::Waiting, None);
                    }
                }
                "letters are sealed again"
            }
            Step::CorrectDate { letter, seconds } => self.correct_date(letter, seconds),
            Step::ChangeKey { to } => {
                self.note_key(to, Verdict::Change);
                self.has_changed[to] = true;
                "a key changes"
            }
            Step::AcceptKey { to } => self.accept_key(to),
            Step::Renew => self.renew(),
            Step::Wait { days, count } => {
                let unit = if days { 24 * 60 * 60 } else { 60 };
                self.now = self.now.shifted(i64::from(count) * unit);
                "time passes"
            }
            Step::Restart => {
                self.restart(process);
                self.check_all();
                "a process begins anew"
            }
        };
        self.reached.insert(outcome);
    }

    fn write(&mut self, to: usize, writing: Writing) -> &'static str {
        if self.letters.len() == LETTERS {
            return "there are many letters";
        }
        let uid = Uid(self.name());
        let id = self.home().outbox().queue(&uid, &phone(to), &writing, self.now).unwrap();
        assert!(Some(id) > self.last, "a place is given out twice");
        self.last = Some(id);
        self.letters.push(Letter {
            id,
            uid,
            to,
            writing,
            created_at: self.now,
            state: State::Waiting,
            packets: Vec::new(),
            packet: None,
            not_before: UnixTime::from_seconds(0),
            code: None,
            why: None,
            is_given_up: false,
            stored_as: None,
            heard_at: None,
            read_at: None,
        });
        "a letter is written"
    }

    /// Any process sends any letter: the outbox has to stand that.
    fn send(&mut self, letter: usize, again: bool) -> &'static str {
        let packet = PacketId(self.name());
        let Some(at) = self.letters.get(letter) else { return "there is no such letter" };
        let packet = match at.packets.last() {
            Some((packet, _)) if again => *packet,
            _ => packet,
        };
        let (id, to, bytes) = (at.id, user(at.to), packet.0.repeat(3));
        let outbox = self.home().outbox();
        let begun = outbox.begin_sending(id, &packet, to, &bytes, self.now).unwrap();
        let now = self.now;
        let letter = &mut self.letters[letter];
        assert_eq!(begun, letter.is_open());
        if !begun {
            return "an answered letter is not sent";
        }
        letter.begin_anew();
        (letter.state, letter.packet) = (State::Sent, Some((bytes, now)));
        if letter.packets.iter().all(|(other, _)| *other != packet) {
            letter.packets.push((packet, to));
            self.packets.push(packet);
        }
        "a letter goes out"
    }

    fn hear(&mut self, packets: &[usize], status: Status, by_prefix: bool) -> &'static str {
        if self.packets.is_empty() {
            return "nothing was sent";
        }
        let packets = packets.iter().map(|at| self.packets[at % self.packets.len()]);
        let packets: Vec<_> = packets.collect();
        let name = |packet: &PacketId| match by_prefix {
            true => PacketName::Prefix(packet.prefix()),
            false => PacketName::Full(*packet),
        };
        let heard: Vec<_> = packets.iter().map(|packet| (name(packet), status)).collect();
        let applied = self.home().outbox().apply(&heard, self.now).unwrap();
        let expected: Vec<_> = packets.iter().map(|packet| self.apply(packet, status)).collect();
        assert_eq!(applied, expected);
        match applied.first() {
            Some(Applied::Risen(_, State::NoLongerKept)) => "a letter is no longer kept",
            Some(Applied::Risen(_, State::Expired)) => "a letter expires",
            Some(Applied::Risen(_, State::Delivered)) => "a letter is delivered",
            Some(Applied::Risen(..)) => "a letter is stored",
            Some(Applied::Unchanged(_)) => "a status is not new",
            _ => "a status is of a letter that is deleted",
        }
    }

    fn apply(&mut self, packet: &PacketId, status: Status) -> Applied {
        let now = self.now;
        let is_it = |letter: &&mut Letter| letter.packets.iter().any(|(id, _)| id == packet);
        let Some(letter) = self.letters.iter_mut().find(is_it) else { return Applied::NotOurs };
        let state = match status {
            Status::Unknown => return Applied::Unchanged(letter.id),
            Status::Stored => State::Stored,
            Status::Expired => State::Expired,
            // After so long a server does not know any more what has expired, and says this.
            Status::Delivered => {
                let silent_s = letter.heard_at.map_or(0, |at| now.as_seconds() - at.as_seconds());
                let is_sure = letter.state != State::Stored || silent_s <= REMEMBERED_S;
                if is_sure { State::Delivered } else { State::NoLongerKept }
            }
        };
        letter.heard_at = Some(now);
        if state == State::Stored {
            letter.stored_as.get_or_insert(*packet);
        }
        match letter.rise(state) {
            true => Applied::Risen(letter.id, state),
            false => Applied::Unchanged(letter.id),
        }
    }

    /// A receipt comes, for a letter that is there or not.
    fn read(&mut self, letter: usize) -> &'static str {
        let (packet, uid) = (PacketId(self.name()), Uid(self.name()));
        let (read, from) = match self.letters.get(letter) {
            Some(letter) => (letter.uid, letter.to),
            None => (Uid([0; 16]), 0),
        };
        let content = Content::ReadReceipt(read);
        let received = HandedOver {
            packet_id: packet,
            sender: user(from),
            sent_at: self.now,
            received_at: self.now,
            fate: Fate::Opened { from: phone(from), uid, content },
        };
        let _ = self.home().letters().record(&received).unwrap();
        let now = self.now;
        let Some(letter) = self.letters.get_mut(letter) else { return "another letter was read" };
        letter.read_at.get_or_insert(now);
        letter.rise(State::Delivered);
        "a letter was read"
    }

    fn refuse(&mut self, letter: usize, with_code: bool) -> &'static str {
        let (id, code) = (self.id(letter), with_code.then_some(61));
        let Some(id) = id else { return "there is no such letter" };
        let applied = self.home().outbox().refuse(id, code, "no").unwrap();
        let Some(letter) = self.letters.get_mut(letter) else {
            assert_eq!(applied, Applied::Unchanged(id));
            return "a deleted letter is refused";
        };
        if !letter.rise(State::Refused) {
            assert_eq!(applied, Applied::Unchanged(id));
            return "an answered letter is refused";
        }
        assert_eq!(applied, Applied::Risen(id, State::Refused));
        (letter.code, letter.why) = (code, Some("no".into()));
        "a letter is refused"
    }

    /// The row of a letter, or, beyond them, of one that is deleted.
    fn id(&self, letter: usize) -> Option<OutboxId> {
        let there = self.letters.get(letter).map(|letter| letter.id);
        there.or_else(|| self.deleted.last().copied())
    }

    fn postpone(&mut self, letter: usize, seconds: u8, with_code: bool) -> &'static str {
        let (until, code) = (self.now.shifted(seconds.into()), with_code.then_some(51));
        let Some(id) = self.id(letter) else { return "there is no such letter" };
        self.home().outbox().postpone(id, until, code, "later").unwrap();
        let Some(letter) = self.letters.get_mut(letter).filter(|letter| letter.is_open()) else {
            return "an answered letter is not put off";
        };
        letter.begin_anew();
        (letter.not_before, letter.code, letter.why) = (until, code, Some("later".into()));
        "a letter is put off"
    }

    fn hurry(&mut self, which: usize, of: usize) -> &'static str {
        let (mut row, mut to, mut meant) = (None, None, Which::All);
        match (which, self.letters.get(of)) {
            (1, _) => (to, meant) = (Some(of % PEOPLE), Which::To(phone(of % PEOPLE))),
            (2, Some(letter)) => {
                (row, to) = (Some(letter.id), Some(letter.to));
                meant = Which::Letter(letter.uid);
            }
            (2, None) => (to, meant) = (Some(PEOPLE), Which::Letter(Uid([0; 16]))),
            _ => {}
        }
        let count = self.home().outbox().hurry(meant).unwrap();
        let mut expected = 0;
        for letter in self.letters.iter_mut().filter(|letter| letter.waits()) {
            let is_meant = to.is_none_or(|to| letter.to == to)
                && row.is_none_or(|row| letter.id <= row)
                && letter.not_before > UnixTime::from_seconds(0);
            if is_meant {
                letter.not_before = UnixTime::from_seconds(0);
                expected += 1;
            }
        }
        assert_eq!(count, expected);
        if count > 0 { "a letter is tried again" } else { "nothing was put off" }
    }

    fn give_up(&mut self, letter: usize) -> &'static str {
        let uid = self.letters.get(letter).map_or(Uid([0; 16]), |letter| letter.uid);
        let given_up = self.home().outbox().give_up(&uid).unwrap();
        let Some(letter) = self.letters.get_mut(letter) else {
            assert_eq!(given_up, GivenUp::Unknown);
            return "there is no such letter";
        };
        if !letter.is_open() {
            let name = if letter.is_given_up { "given up" } else { letter.state.name() };
            assert_eq!(given_up, GivenUp::Answered(name));
            return "an answered letter is not given up";
        }
        // A refusal of the server's says that the last packet is nowhere.
        let may_arrive = letter.code.is_none() && !letter.packets.is_empty();
        letter.rise(State::Refused);
        letter.is_given_up = true;
        if may_arrive {
            assert_eq!(given_up, GivenUp::MayArrive);
            return "a letter is given up that may arrive";
        }
        assert_eq!(given_up, GivenUp::NotSent);
        "a letter is given up"
    }

    fn delete(&mut self, to: usize, seconds: u8) -> &'static str {
        let before = self.now.shifted(i64::from(seconds) - 60);
        let deleted = self.home().delete(&Deletion::With(phone(to), before)).unwrap();
        let is_meant = |letter: &Letter| letter.to == to && letter.created_at < before;
        let stay = self.letters.iter().filter(|letter| is_meant(letter) && letter.is_open());
        assert_eq!(deleted.on_their_way, stay.filter(|letter| letter.is_text()).count());
        let gone = self.letters.extract_if(.., |letter| is_meant(letter) && !letter.is_open());
        let gone: Vec<_> = gone.collect();
        assert_eq!(deleted.written, gone.iter().filter(|letter| letter.is_text()).count());
        self.deleted.extend(gone.iter().map(|letter| letter.id));
        if gone.is_empty() { "nothing is deleted" } else { "a letter is deleted" }
    }

    fn correct_date(&mut self, letter: usize, seconds: u8) -> &'static str {
        let Some(id) = self.id(letter) else { return "there is no such letter" };
        self.home().outbox().correct_date(id, seconds.into()).unwrap();
        match self.letters.get_mut(letter) {
            Some(letter) if letter.packets.is_empty() => {
                letter.created_at = letter.created_at.shifted(seconds.into());
                "a date is corrected"
            }
            _ => "a date stays",
        }
    }

    fn note_key(&self, to: usize, verdict: Verdict) {
        // Nobody else has it.
        let spki = Paper::key(KEYS + PEOPLE * self.names as usize + to).0;
        let answer = KeyAnswer { phone: phone(to), user: user(to), spki };
        self.home().contacts().note(&answer, verdict, self.now).unwrap();
    }

    fn accept_key(&mut self, to: usize) -> &'static str {
        let contacts = self.home().contacts();
        let changed = contacts.by_phone(&phone(to)).unwrap().expect("a contact").changed;
        assert_eq!(changed.is_some(), self.has_changed[to]);
        let Some(changed) = changed else { return "no key has changed" };
        let accepted = contacts.accept(&phone(to), &changed.spki, self.now).unwrap();
        assert_eq!(accepted, Acceptance::Accepted);
        self.has_changed[to] = false;
        "a key is accepted"
    }

    fn renew(&mut self) -> &'static str {
        let home = self.home();
        home.begin_renewal(&ReplyKey::from_bytes(&[3; 32])).unwrap();
        home.renew(UserId::new(OWN + 1).unwrap()).unwrap();
        for letter in &mut self.letters {
            if letter.is_open() || letter.state == State::Stored {
                letter.begin_anew();
                (letter.stored_as, letter.heard_at) = (None, None);
            }
        }
        "the server has lost the account"
    }

    /// What a step may have changed.
    fn check(&self) {
        let outbox = self.home().outbox();
        for letter in &self.letters {
            let status = outbox.status_of(letter.id).unwrap().expect("it is there");
            letter.assert_status(&status);
        }
        let heads = outbox.heads(self.now).unwrap().into_iter();
        let heads: Vec<_> = heads.map(|head| (head.id, head.recipient, head.len)).collect();
        let first = |to| self.letters.iter().find(|letter| letter.to == to && letter.is_open());
        let can_go =
            |letter: &&Letter| letter.not_before <= self.now && !self.has_changed[letter.to];
        let first = (0..PEOPLE).filter_map(first).filter(can_go);
        let mut first: Vec<_> =
            first.map(|letter| (letter.id, phone(letter.to), letter.len())).collect();
        first.sort();
        assert_eq!(heads, first, "the first of each conversation");
    }

    /// Everything that the outbox can be asked.
    fn check_all(&self) {
        let outbox = self.home().outbox();
        let queued = outbox.queued().unwrap();
        let open = self.letters.iter().filter(|letter| letter.is_open());
        assert_eq!(queued.len(), open.clone().count());
        for (queued, letter) in queued.iter().zip(open) {
            let is = (queued.id, queued.uid, queued.recipient, queued.created_at);
            assert_eq!(is, (letter.id, letter.uid, phone(letter.to), letter.created_at));
            assert_eq!(queued.writing, letter.writing);
            letter.assert_status(&queued.status);
        }
        for letter in &self.letters {
            self.check_letter(letter);
        }
        for id in &self.deleted {
            assert_eq!(outbox.status_of(*id).unwrap(), None);
            assert_eq!(outbox.open_letter(*id).unwrap(), None);
        }
        for packet in &self.packets {
            let is_it = |letter: &&Letter| letter.packets.iter().any(|(id, _)| id == packet);
            let letter = self.letters.iter().find(is_it);
            let expected = letter.map(|letter| (letter.id, phone(letter.to)));
            assert_eq!(outbox.sent_as(packet).unwrap(), expected);
        }
        let stored = outbox.stored(None, MANY).unwrap().into_iter();
        let stored: Vec<_> = stored.map(|letter| (letter.id, letter.query)).collect();
        let expected = self.letters.iter().filter(|letter| letter.state == State::Stored);
        let expected = expected.map(|letter| {
            let stored_as = letter.stored_as.expect("the server has said so");
            let mut packets = letter.packets.iter();
            let (packet, recipient) = packets.find(|(id, _)| *id == stored_as).expect("it is ours");
            (letter.id, StatusQuery { recipient: *recipient, letter: *packet })
        });
        assert_eq!(stored, expected.collect::<Vec<_>>());
        (0..PEOPLE).for_each(|to| self.check_conversation(to));
    }

    fn check_letter(&self, letter: &Letter) {
        let outbox = self.home().outbox();
        let open = outbox.open_letter(letter.id).unwrap();
        assert_eq!(open.is_some(), letter.is_open());
        if let Some(OpenLetter { id, uid, recipient, writing, packet }) = open {
            assert_eq!((id, uid, recipient), (letter.id, letter.uid, phone(letter.to)));
            assert_eq!(writing, letter.writing);
            let packet = packet.map(|packet| (packet.bytes, packet.signed_at));
            assert_eq!(packet, letter.packet, "what may have to go out again");
        }
        let before = self.letters.iter().filter(|other| {
            other.to == letter.to && other.waits() && other.id <= letter.id && letter.waits()
        });
        let holds_up = before.clone().find(|other| other.not_before > self.now);
        let held_up = outbox.held_up_by(letter.id, self.now).unwrap();
        assert_eq!(held_up.is_some(), holds_up.is_some());
        if let Some((held_up, holds_up)) = held_up.zip(holds_up) {
            holds_up.assert_status(&held_up);
        }
    }

    fn check_conversation(&self, to: usize) {
        let (outbox, phone) = (self.home().outbox(), phone(to));
        let of = self.letters.iter().filter(|letter| letter.to == to);
        let mut after = None;
        for letter in of.clone().filter(|letter| letter.waits()) {
            let next = outbox.waiting(&phone, after).unwrap();
            assert_eq!(next, Some(letter.id));
            after = next;
        }
        assert_eq!(outbox.waiting(&phone, after).unwrap(), None);
        let texts: Vec<_> =
            of.filter(|letter| matches!(letter.writing, Writing::Text(_))).collect();
        let unanswered = texts.iter().filter(|letter| letter.is_open()).count();
        assert_eq!(outbox.unanswered_to(&phone).unwrap() as usize, unanswered);
        let history = self.home().history(&phone).unwrap();
        assert_eq!(history.len(), texts.len());
        for (Entry { uid, event, .. }, letter) in history.iter().zip(texts) {
            assert_eq!(*uid, Some(letter.uid));
            let Event::Written { writing, created_at, status } = event else {
                panic!("nothing has come but receipts: {event:?}");
            };
            assert_eq!((writing, created_at), (&letter.writing, &letter.created_at));
            letter.assert_status(status);
        }
    }
}
