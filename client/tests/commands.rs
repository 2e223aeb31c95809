//! The commands that need no connection, as a person or a program meets them.

#[path = "commands/deleting.rs"]
mod deleting;
#[path = "home/judging.rs"]
mod judging;
#[path = "commands/recovering.rs"]
mod recovering;

use std::cell::RefCell;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;

use clap::Parser;
use jiff::tz::TimeZone;
use judging::{Judgement, judge};
use tempfile::TempDir;
use waxwing::args::Args;
use waxwing::backend::{BackendKey, load_key, provider, rng};
use waxwing::commands::{Console, run};
use waxwing::console::Remarks;
use waxwing::exit::Failure;
use waxwing::home::{
    Contact, Fate, HandedOver, Home, HomeProfile, NewIdentity, Once, Quota, Recorded, Registration,
    Writing,
};
use waxwing::settings::Settings;
use waxwing_core::crypto::{PrivateKey, Provider, ReplyKey, Spki};
use waxwing_core::envelope::{self, Content, Fingerprint, SafetyNumber};
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::messenger::Profile;
use waxwing_core::phone::Phone;
use waxwing_core::testing::keys::pkcs8_der;
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{Draft, KeyAnswer, Op};

const OWN: &str = "+4915112345600";
const OTHER: &str = "+4915112345602";

struct Ran {
    output: String,
    remarks: String,
    failure: Option<Failure>,
}

/// Bytes that two can hold.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct TestHome {
    root: TempDir,
    home: Home,
}

impl TestHome {
    /// A registered home: key 0, server key 1, id 100.
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let home = Home::create(&root.path().join("home")).unwrap();
        home.store_identity(&NewIdentity {
            phone: phone(OWN),
            servers: &"127.0.0.1:9295".parse().unwrap(),
            server_key: &spki(1),
            private_key: pkcs8_der(0),
            public_key: &spki(0),
            reply_key: &ReplyKey::from_bytes(&[3; 32]),
        })
        .unwrap();
        home.set_registration(Registration::Done(user(100))).unwrap();
        Self { root, home }
    }

    fn judge(&self, id: u16, key: usize) -> Judgement {
        let answer = KeyAnswer { user: user(id), phone: phone(OTHER), spki: spki(key) };
        judge(&self.home, &answer, at(0))
    }

    fn run(&self, words: &[&str], input: &str, interactive: bool) -> Ran {
        self.run_bytes(words, input.as_bytes(), interactive)
    }

    fn run_bytes(&self, words: &[&str], mut input: &[u8], interactive: bool) -> Ran {
        let dir = self.root.path().join("home");
        let words = [&["waxwing", "--home", dir.to_str().unwrap()], words].concat();
        let (mut output, remarks) = (Vec::new(), Shared::default());
        let mut console = Console {
            input: &mut input,
            output: &mut output,
            remarks: Remarks::new(remarks.clone()),
            interactive,
            columns: || None,
            zone: TimeZone::UTC,
        };
        let failure = run(&Args::parse_from(words), &Settings::default(), &mut console).err();
        Ran {
            output: String::from_utf8(output).unwrap(),
            remarks: String::from_utf8(remarks.0.take()).unwrap(),
            failure,
        }
    }

    fn run_by_program(&self, words: &[&str]) -> Ran {
        self.run(words, "", false)
    }
}

fn phone(text: &str) -> Phone {
    Phone::parse(text.as_bytes()).unwrap()
}

fn key(at: usize) -> BackendKey {
    load_key(pkcs8_der(at)).unwrap()
}

fn spki(at: usize) -> Spki {
    key(at).spki().clone()
}

fn user(id: u16) -> UserId {
    UserId::new(id).unwrap()
}

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(1_795_350_896 + seconds)
}

fn number(other_key: usize) -> String {
    let own = Fingerprint::of(&provider(), &phone(OWN), &spki(0));
    let other = Fingerprint::of(&provider(), &phone(OTHER), &spki(other_key));
    SafetyNumber::of(&provider(), &other, &own).to_string()
}

/// A letter from the other, sealed for this home and signed with key `key_at`.
fn letter(key_at: usize, uid: u8, text: &str) -> (PacketId, Vec<u8>) {
    let own = Fingerprint::of(&provider(), &phone(OWN), &spki(0));
    let other = Fingerprint::of(&provider(), &phone(OTHER), &spki(key_at));
    let own_key = provider().public_key(&spki(0)).unwrap();
    let mut buffer = [0; 2000];
    let stamp = Timestamp::from_unix(at(0));
    let mut draft = Draft::new(&mut buffer, Op::Letter, Some(user(9)), Some(user(100)), stamp);
    let len = envelope::seal(
        &provider(),
        &mut rng(),
        &other,
        &own,
        &own_key,
        &Uid([uid; 16]),
        &Content::Text(text),
        draft.payload_mut(),
    )
    .unwrap();
    let (id, bytes) = draft.sign(&provider(), &key(key_at), &mut rng(), len).unwrap();
    (id, bytes.to_vec())
}

/// Holds a letter back, as one that is signed with this key.
fn hold(test: &TestHome, (id, bytes): &(PacketId, Vec<u8>), signed_with: Option<&Spki>) {
    let held = HandedOver {
        packet_id: *id,
        sender: user(9),
        sent_at: at(0),
        received_at: at(0),
        fate: Fate::Held { from: phone(OTHER), packet: bytes, signed_with },
    };
    let _ = test.home.letters().record(&held).unwrap();
}

#[test]
fn commands_without_an_account_say_how_to_get_one() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("none");
    for words in [&["whoami"][..], &["contacts"], &["history", OTHER], &["verify", OTHER]] {
        let words = [&["waxwing", "--home", dir.to_str().unwrap()], words].concat();
        let mut console = Console {
            input: &mut io::empty(),
            output: &mut io::sink(),
            remarks: Remarks::new(io::sink()),
            interactive: false,
            columns: || None,
            zone: TimeZone::UTC,
        };
        let failure =
            run(&Args::parse_from(words), &Settings::default(), &mut console).unwrap_err();
        assert_eq!(failure.code(), 1);
        assert!(failure.to_string().contains("waxwing register"), "{failure}");
        assert!(!dir.exists());
    }
}

#[test]
fn whoami_tells_phone_id_fingerprint_and_server() {
    let ran = TestHome::new().run_by_program(&["whoami"]);
    assert!(ran.failure.is_none());
    let own = Fingerprint::of(&provider(), &phone(OWN), &spki(0));
    let plain: String = ran.output.split_whitespace().collect();
    assert!(plain.contains(&format!("fingerprint{own:?}")), "{}", ran.output);
    for part in [OWN, "id           100", "127.0.0.1:9295"] {
        assert!(ran.output.contains(part), "{}", ran.output);
    }
}

#[test]
fn whoami_tells_how_far_a_registration_is() {
    let root = tempfile::tempdir().unwrap();
    let home = Home::create(&root.path().join("home")).unwrap();
    home.store_identity(&NewIdentity {
        phone: phone(OWN),
        servers: &"127.0.0.1:9295".parse().unwrap(),
        server_key: &spki(1),
        private_key: pkcs8_der(0),
        public_key: &spki(0),
        reply_key: &ReplyKey::from_bytes(&[3; 32]),
    })
    .unwrap();
    let test = TestHome { root, home };
    for stage in [
        Registration::Begun,
        Registration::CodeIssued { expires_at: at(300) },
        Registration::Proving,
    ] {
        test.home.set_registration(stage).unwrap();
        let ran = test.run_by_program(&["whoami"]);
        assert!(ran.failure.is_none());
        assert!(ran.output.contains("waxwing register"), "{}", ran.output);
    }
}

#[test]
fn contacts_shows_whom_to_trust() {
    let test = TestHome::new();
    assert_eq!(test.run_by_program(&["contacts"]).output, "");
    assert_eq!(test.judge(7, 2), Judgement::Pinned);
    let output = test.run_by_program(&["contacts"]).output;
    assert!(output.contains(OTHER) && output.contains("id 7"), "{output}");
    assert!(output.contains("not verified"), "{output}");
    assert_eq!(test.judge(9, 4), Judgement::Changed);
    let output = test.run_by_program(&["contacts"]).output;
    assert!(output.contains("key changed"), "{output}");
    // Also who has a name, or is blocked, and never wrote.
    for words in [&["name", "+4915112345603", "Cem"][..], &["block", "+4915112345604"]] {
        assert!(test.run_by_program(words).failure.is_none());
    }
    let output = test.run_by_program(&["contacts"]).output;
    assert!(output.contains("+4915112345603    no key is known  Cem\n"), "{output}");
    assert!(output.contains("+4915112345604    no key is known  blocked\n"), "{output}");
    let output = test.run_by_program(&["contacts", "--json"]).output;
    let lines: Vec<serde_json::Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[1]["name"]), (3, &serde_json::json!("Cem")));
    assert_eq!((&lines[1]["blocked"], &lines[2]["blocked"]), (&false.into(), &true.into()));
}

#[test]
fn programs_get_an_object_where_people_get_words() {
    let test = TestHome::new();
    assert_eq!(test.judge(7, 2), Judgement::Pinned);
    let _ = receive(&test, OTHER, 1, "hello");
    let stranger = "+4915112345603";
    for words in [&["name", OTHER, "Ann"][..], &["block", stranger]] {
        assert!(test.run_by_program(words).failure.is_none());
    }
    let object = |words: &[&str]| -> Vec<serde_json::Value> {
        let ran = test.run_by_program(words);
        assert!(ran.failure.is_none(), "{words:?}");
        ran.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let contacts = object(&["contacts", "--json"]);
    assert_eq!(contacts.len(), 2);
    assert_eq!((&contacts[0]["phone"], &contacts[0]["name"]), (&OTHER.into(), &"Ann".into()));
    assert_eq!((&contacts[0]["id"], &contacts[0]["verified"]), (&7.into(), &false.into()));
    assert_eq!((&contacts[1]["phone"], &contacts[1]["blocked"]), (&stranger.into(), &true.into()));
    let own = &object(&["whoami", "--json"])[0];
    assert_eq!((&own["phone"], &own["registered"]), (&OWN.into(), &true.into()));
    assert_eq!(own["fingerprint"].as_str().map(str::len), Some(64));
    let key = &object(&["verify", OTHER, "--json"])[0];
    assert_eq!((&key["number"], &key["changed"]), (&number(2).into(), &false.into()));
    let deleted = &object(&["delete", OTHER, "--all", "--yes", "--json"])[0];
    assert_eq!((&deleted["received"], &deleted["written"]), (&1.into(), &0.into()));
    assert_eq!(deleted["copies"], serde_json::json!([]));

    assert_eq!(test.judge(9, 4), Judgement::Changed);
    let ran = test.run_by_program(&["verify", OTHER, "--json"]);
    assert_eq!(ran.failure.unwrap().code(), 4);
    let key: serde_json::Value = serde_json::from_str(&ran.output).unwrap();
    assert_eq!((&key["number"], &key["changed"]), (&number(4).into(), &true.into()));
}

#[test]
fn verify_shows_the_number_and_asks_a_person() {
    let test = TestHome::new();
    let ran = test.run_by_program(&["verify", OTHER]);
    assert_eq!(ran.failure.unwrap().code(), 1);

    assert_eq!(test.judge(7, 2), Judgement::Pinned);
    let verified = || test.home.contacts().by_phone(&phone(OTHER)).unwrap().unwrap().verified;
    let ran = test.run(&["verify", OTHER], "y\n", false);
    assert_eq!(ran.output, format!("{}\n", number(2)));
    assert!(ran.failure.is_none() && !verified());
    test.run(&["verify", OTHER], "\n", true);
    test.run(&["verify", OTHER], "", true);
    assert!(!verified());
    let ran = test.run(&["verify", OTHER], "y\n", true);
    assert!(ran.remarks.contains("[y/N]") && verified());
    let ran = test.run(&["verify", OTHER], "", true);
    assert!(!ran.remarks.contains("[y/N]") && ran.failure.is_none());
}

#[test]
fn a_changed_key_exits_4_until_it_is_accepted() {
    let test = TestHome::new();
    assert_eq!(test.judge(7, 2), Judgement::Pinned);
    assert!(test.home.contacts().mark_verified(&phone(OTHER), &spki(2)).unwrap());
    assert_eq!(test.judge(9, 4), Judgement::Changed);
    let ran = test.run_by_program(&["verify", OTHER]);
    assert_eq!(ran.output, format!("{}\n", number(4)));
    let failure = ran.failure.unwrap();
    assert_eq!(failure.code(), 4);
    let next = format!("waxwing verify {OTHER} --accept \"{}\"", number(4));
    assert!(failure.to_string().contains(&next), "{failure}");

    let ran = test.run_by_program(&["verify", OTHER, "--accept", &number(4)]);
    assert!(ran.failure.is_none());
    assert_eq!(ran.output, format!("{}\n", number(4)));
    assert_eq!(
        (contact(&test).known().sendable(), contact(&test).verified),
        (Some(user(9)), false)
    );
    let ran = test.run_by_program(&["verify", OTHER, "--accept", &number(4)]);
    assert!(ran.failure.is_none() && ran.remarks.contains("nothing changes"));
}

fn contact(test: &TestHome) -> Contact {
    test.home.contacts().by_phone(&phone(OTHER)).unwrap().unwrap()
}

#[test]
fn only_the_waiting_key_whose_number_is_named_is_accepted() {
    let test = TestHome::new();
    let accept = |number: &str| {
        test.run_by_program(&["verify", OTHER, "--accept", number]).failure.map(|it| it.code())
    };
    // Nobody is pinned by accepting.
    assert_eq!(accept(&number(4)), Some(1));
    assert!(test.home.contacts().all().unwrap().is_empty());

    assert_eq!(test.judge(7, 2), Judgement::Pinned);
    assert!(test.home.contacts().mark_verified(&phone(OTHER), &spki(2)).unwrap());
    assert_eq!(accept(&number(4)), Some(4));
    assert_eq!(test.judge(9, 4), Judgement::Changed);
    // That of the pinned key, of a key that nobody has, and what is no number.
    for (other, code) in [(number(2), 4), (number(5), 4), (number(4)[1..].to_owned(), 2)] {
        assert_eq!(accept(&other), Some(code), "{other}");
    }
    // The server has given out a third key since the number was shown.
    assert_eq!(test.judge(9, 5), Judgement::Changed);
    assert_eq!(accept(&number(4)), Some(4));
    let found = contact(&test);
    assert_eq!((&found.spki, found.verified), (&spki(2), true));
    assert_eq!(found.changed.unwrap().spki, spki(5));
    let plain: String = number(5).split_whitespace().collect();
    assert_eq!(accept(&plain), None);
    assert_eq!(contact(&test).spki, spki(5));
}

#[test]
fn a_number_may_be_typed_without_quotation_marks() {
    let test = TestHome::new();
    assert_eq!(test.judge(7, 2), Judgement::Pinned);
    assert_eq!(test.judge(9, 4), Judgement::Changed);
    let number = number(4);
    let groups = number.split(' ');
    let words: Vec<&str> = ["verify", OTHER, "--accept"].into_iter().chain(groups).collect();
    assert!(test.run_by_program(&words).failure.is_none());
    assert_eq!(contact(&test).spki, spki(4));
    assert!(Args::try_parse_from(["waxwing", "verify", OTHER, "--accept"]).is_err());
    assert!(Args::try_parse_from(["waxwing", "verify", OTHER, "12345"]).is_err());
}

#[test]
fn a_person_who_sees_the_number_of_a_changed_key_accepts_that_key() {
    let test = TestHome::new();
    assert_eq!(test.judge(7, 2), Judgement::Pinned);
    assert_eq!(test.judge(9, 4), Judgement::Changed);
    for no in ["", "\n", "n\n", "maybe\n"] {
        let ran = test.run(&["verify", OTHER], no, true);
        assert_eq!(ran.output, format!("{}\n", number(4)));
        assert!(ran.remarks.contains("[y/N]"), "{}", ran.remarks);
        assert_eq!(ran.failure.unwrap().code(), 4);
        assert_eq!(contact(&test).spki, spki(2));
    }
    let ran = test.run(&["verify", OTHER], "y\n", true);
    assert!(ran.failure.is_none());
    let found = contact(&test);
    assert_eq!((found.known().sendable(), &found.spki), (Some(user(9)), &spki(4)));
    // That is what comparing is.
    assert!(found.verified);
}

/// What the other sees is read from a person while the server changes its mind.
struct WhileAsked<'t>(&'t TestHome, usize);

impl io::Read for WhileAsked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let _ = self.0.judge(9, self.1);
        (&b"y\n"[..]).read(buffer)
    }
}

#[test]
fn a_key_that_comes_while_a_person_compares_is_not_the_one_that_is_accepted() {
    let test = TestHome::new();
    let ask = |third| {
        let dir = test.root.path().join("home");
        let mut console = Console {
            input: &mut io::BufReader::new(WhileAsked(&test, third)),
            output: &mut io::sink(),
            remarks: Remarks::new(io::sink()),
            interactive: true,
            columns: || None,
            zone: TimeZone::UTC,
        };
        let words = ["waxwing", "--home", dir.to_str().unwrap(), "verify", OTHER];
        run(&Args::parse_from(words), &Settings::default(), &mut console)
            .err()
            .map(|failure| failure.code())
    };
    assert_eq!(test.judge(9, 2), Judgement::Pinned);
    assert_eq!(test.judge(9, 4), Judgement::Changed);
    assert_eq!(ask(5), Some(4));
    let found = contact(&test);
    assert_eq!((&found.spki, found.verified), (&spki(2), false));
    assert_eq!(found.changed.unwrap().spki, spki(5));

    // Of a pinned key that was compared, the word counts, and for that key alone.
    assert_eq!(test.judge(9, 2), Judgement::Reverted);
    assert_eq!(ask(5), None);
    let found = contact(&test);
    assert_eq!((&found.spki, found.verified), (&spki(2), true));
    assert_eq!(found.changed.unwrap().spki, spki(5));
}

fn shown(test: &TestHome) -> serde_json::Value {
    let history = test.run_by_program(&["history", OTHER, "--json"]).output;
    let lines: Vec<serde_json::Value> =
        history.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let shown: Vec<_> = lines.iter().map(|line| (&line["kind"], &line["text"])).collect();
    serde_json::to_value(shown).unwrap()
}

fn accept(test: &TestHome, key: usize) {
    let ran = test.run_by_program(&["verify", OTHER, "--accept", &number(key)]);
    assert!(ran.failure.is_none());
}

#[test]
fn letters_with_a_key_that_nobody_has_accepted_are_counted() {
    let test = TestHome::new();
    assert_eq!(test.judge(7, 2), Judgement::Pinned);
    let _ = receive(&test, OTHER, 9, "hello");
    assert!(test.run_by_program(&["accept", OTHER]).failure.is_none());
    assert_eq!(test.judge(9, 4), Judgement::Changed);
    for uid in 1..=3 {
        hold(&test, &letter(4, uid, "new"), Some(&spki(4)));
    }
    let told = format!(
        "3 letters of {OTHER} with another key wait until you accept it; `waxwing verify {OTHER}` shows the number to \
         compare\n"
    );
    let ran = test.run_by_program(&["conversations"]);
    assert_eq!(ran.output, format!("{OTHER}  1 unread  3 with another key\n"));
    assert_eq!(ran.remarks, told);
    let ran = test.run_by_program(&["history", OTHER]);
    assert_eq!((ran.output.lines().count(), ran.remarks.as_str()), (1, told.as_str()));
    let held = || -> serde_json::Value {
        let ran = test.run_by_program(&["conversations", "--json"]);
        assert_eq!(ran.remarks, "");
        serde_json::from_str::<serde_json::Value>(&ran.output).unwrap()["held"].take()
    };
    assert_eq!(held(), 3);
    accept(&test, 4);
    assert_eq!(held(), 0);
    assert_eq!(test.run_by_program(&["history", OTHER]).remarks, "");
}

#[test]
fn accepting_a_key_opens_what_was_held_back() {
    let test = TestHome::new();
    assert_eq!(test.judge(7, 2), Judgement::Pinned);
    assert_eq!(test.judge(9, 4), Judgement::Changed);
    for packet in [letter(4, 1, "one"), letter(4, 1, "one"), letter(4, 2, "two")] {
        hold(&test, &packet, Some(&spki(4)));
    }
    assert_eq!(shown(&test), serde_json::json!([]));
    accept(&test, 4);
    assert_eq!(shown(&test), serde_json::json!([["text", "one"], ["text", "two"]]));
    assert_eq!(test.home.letters().unprinted(9).unwrap().len(), 2);
}

#[test]
fn a_letter_that_was_held_back_opens_under_the_key_that_signed_it_alone() {
    let test = TestHome::new();
    assert_eq!(test.judge(7, 2), Judgement::Pinned);
    assert_eq!(test.judge(9, 4), Judgement::Changed);
    hold(&test, &letter(4, 1, "under the second"), Some(&spki(4)));
    assert_eq!(test.judge(9, 5), Judgement::Changed);
    hold(&test, &letter(5, 2, "under the third"), Some(&spki(5)));
    // One of which it was not known yet, when it came, which key had signed it.
    hold(&test, &letter(5, 3, "so is this"), None);
    accept(&test, 5);
    assert_eq!(
        shown(&test),
        serde_json::json!([["text", "under the third"], ["text", "so is this"]])
    );
    // The second key was the right one after all.
    assert_eq!(test.judge(9, 4), Judgement::Changed);
    accept(&test, 4);
    assert_eq!(shown(&test)[2], serde_json::json!(["text", "under the second"]));
}

#[test]
fn an_acceptance_that_died_half_way_is_finished_by_the_next_verify() {
    let test = TestHome::new();
    assert_eq!(test.judge(7, 2), Judgement::Pinned);
    assert_eq!(test.judge(9, 4), Judgement::Changed);
    hold(&test, &letter(4, 1, "one"), Some(&spki(4)));
    let _ = test.home.contacts().accept(&phone(OTHER), &spki(4), at(1)).unwrap();
    assert!(test.run_by_program(&["verify", OTHER]).failure.is_none());
    assert_eq!(test.run_by_program(&["history", OTHER]).output.lines().count(), 1);
}

#[test]
fn history_is_text_for_people_and_json_for_programs() {
    let test = TestHome::new();
    let writing = Writing::text("one\n\x1btwo").unwrap();
    test.home.outbox().queue(&Uid([1; 16]), &phone(OTHER), &writing, at(0)).unwrap();
    let ran = test.run_by_program(&["history", OTHER]);
    assert_eq!(ran.output, "2026-11-22 12:34 me: one\n  | <1b>two [queued]\n");
    let ran = test.run_by_program(&["history", OTHER, "--json"]);
    let line: serde_json::Value = serde_json::from_str(ran.output.trim_end()).unwrap();
    assert_eq!((&line["direction"], &line["status"]), (&"out".into(), &"queued".into()));
    assert_eq!(line["text"], "one\n\u{1b}two");
    assert_eq!(ran.output.lines().count(), 1);
    let _ = receive(&test, OTHER, 2, "newest");
    let ran = test.run_by_program(&["history", OTHER, "--limit", "1"]);
    assert_eq!(ran.output, "2026-11-22 12:34 +4915112345602: newest\n");
    assert!(Args::try_parse_from(["waxwing", "history", OTHER, "--limit", "0"]).is_err());
}

#[test]
fn what_is_no_letter_is_refused_before_anything_is_queued() {
    let test = TestHome::new();
    let blank = ["", " \n\t", "\u{200b}\u{feff}", "\u{2800}"];
    for text in blank {
        let failure = test.run_by_program(&["send", OTHER, text]).failure.unwrap();
        assert_eq!(failure.code(), 2, "{text:?}");
        let failure = test.run(&["send", OTHER, "-"], text, false).failure.unwrap();
        assert_eq!(failure.code(), 2, "{text:?}");
    }
    for (input, why) in [
        (&b"gr\xfc\xdfe"[..], "its byte 3 is not UTF-8"),
        (b"h\0i\0", "zero bytes"),
        (&[b'x'; 61_135], "longer than the 61134 bytes"),
    ] {
        let failure = test.run_bytes(&["send", OTHER, "-"], input, false).failure.unwrap();
        assert_eq!(failure.code(), 2);
        assert!(failure.to_string().contains(why), "{failure}");
    }
    for words in [&["send", OWN, "hi"][..], &["chat", OWN]] {
        let failure = test.run_by_program(words).failure.unwrap();
        assert_eq!(failure.code(), 2, "{failure}");
    }
    assert_eq!(test.run_by_program(&["history", OTHER]).output, "");
}

#[test]
fn a_key_of_another_letter_sends_nothing_and_says_so() {
    let test = TestHome::new();
    let writing = Writing::text("one").unwrap();
    let outbox = test.home.outbox();
    let sent = outbox.queue_once("k", &Uid([1; 16]), &phone(OTHER), &writing, at(0)).unwrap();
    assert_eq!(sent, Once::New(Uid([1; 16])));
    for words in [["send", OTHER, "two"], ["send", "+4915112345603", "one"]] {
        let failure = test.run_by_program(&[&words[..], &["--key", "k"]].concat()).failure.unwrap();
        assert_eq!(failure.code(), 2);
        let said = failure.to_string();
        assert!(said.contains("nothing was sent") && said.contains(&"01".repeat(16)), "{said}");
    }
    assert_eq!(outbox.unanswered().unwrap(), 1);
}

/// A letter from somebody, opened.
fn receive(test: &TestHome, from: &str, byte: u8, text: &str) -> Recorded {
    let letter = HandedOver {
        packet_id: PacketId([byte; 16]),
        sender: user(9),
        sent_at: at(0),
        received_at: at(0),
        fate: Fate::Opened {
            from: phone(from),
            uid: Uid([byte; 16]),
            content: Content::Text(text),
        },
    };
    test.home.letters().record(&letter).unwrap()
}

#[test]
fn somebody_with_a_name_is_found_and_shown_by_it() {
    let test = TestHome::new();
    let _ = receive(&test, OTHER, 1, "hello");
    let ran = test.run_by_program(&["name", OTHER, " Ann  Lee"]);
    assert_eq!((ran.output.as_str(), ran.failure.is_none()), ("+4915112345602 is Ann Lee\n", true));
    for words in [&["history", "ann lee"][..], &["history", OTHER], &["search", "HELL"]] {
        let ran = test.run_by_program(words);
        assert_eq!(ran.output, "2026-11-22 12:34 Ann Lee: hello\n");
    }
    let line = test.run_by_program(&["history", "Ann Lee", "--json"]).output;
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["from"], &line["name"]), (&OTHER.into(), &"Ann Lee".into()));

    // Another cannot be called so, nor so that it looks like it.
    let another = "+4915112345603";
    for name in ["Ann Lee", "ANN LEE", "\u{410}nn Lee", "Ann L\u{435}e"] {
        let failure = test.run_by_program(&["name", another, name]).failure.unwrap();
        assert_eq!(failure.code(), 2);
        assert!(failure.to_string().contains(OTHER), "{failure}");
    }
    // A name that acts on a terminal, hides, or passes for a number, is none.
    for name in ["\u{1b}[2J", "A\u{200b}nn", "+49151", "0151 1234", "~Ann", "", "me", "me to Ann"] {
        let words = ["waxwing", "name", another, name];
        assert!(Args::try_parse_from(words).is_err(), "{name:?}");
    }
    let ran = test.run_by_program(&["name", "Ann Lee", "--remove"]);
    assert!(ran.failure.is_none());
    let failure = test.run_by_program(&["history", "Ann Lee"]).failure.unwrap();
    assert_eq!(failure.code(), 2);
    assert!(failure.to_string().contains("waxwing name PHONE NAME"), "{failure}");
}

#[test]
fn a_number_is_taken_as_people_write_it_and_shown_before_it_is_used() {
    let test = TestHome::new();
    let _ = receive(&test, OTHER, 1, "hello");
    for typed in ["+49 151 123-456-02", "0049 (151) 12345602"] {
        let ran = test.run_by_program(&["history", typed]);
        assert_eq!(ran.remarks, format!("{typed} is {OTHER}\n"));
        assert_eq!(ran.output.lines().count(), 1);
    }
    let failure = test.run_by_program(&["history", "0151 12345602"]).failure.unwrap();
    assert_eq!(failure.code(), 2);
    assert!(failure.to_string().contains("country = \"+49\""), "{failure}");
    let ran = test.run_by_program(&["history", "0151 12345602", "--country", "+49"]);
    assert!(
        ran.failure.is_none() && ran.remarks.ends_with(&format!("{OTHER}\n")),
        "{}",
        ran.remarks
    );
    let ran = test.run_by_program(&["history", OTHER]);
    assert_eq!(ran.remarks, "");
}

#[test]
fn a_flood_of_strangers_is_listed_apart_and_has_a_bound() {
    let test = TestHome::new();
    let writing = Writing::text("hi").unwrap();
    test.home.outbox().queue(&Uid([1; 16]), &phone(OTHER), &writing, at(0)).unwrap();
    let _ = receive(&test, OTHER, 2, "from a friend");
    // Each of them may have a thousand letters waiting, and all of them four thousand.
    let mut kept = 0;
    let mut step = HomeProfile::new(&test.home, |_| ());
    step.begin().unwrap();
    for stranger in 0..5_u32 {
        for n in 0..1_001_u32 {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&(stranger * 10_000 + n + 100).to_le_bytes());
            let from = format!("+4915112340{stranger:03}");
            let letter = HandedOver {
                packet_id: PacketId(id),
                sender: user(9),
                sent_at: at(0),
                received_at: at(0),
                fate: Fate::Opened {
                    from: phone(&from),
                    uid: Uid(id),
                    content: Content::Text("buy this"),
                },
            };
            let recorded = test.home.letters().record(&letter).unwrap();
            kept += usize::from(matches!(recorded, Recorded::Stored(_)));
        }
    }
    step.commit().unwrap();
    assert_eq!(kept, 4_000);
    assert_eq!(test.home.letters().take_discarded().unwrap(), [(Quota::Stranger, 1_005)]);

    let ran = test.run_by_program(&["conversations"]);
    assert_eq!(ran.output, format!("{OTHER}  1 unread\n"));
    assert_eq!(ran.remarks, "requests of strangers: 4; `waxwing requests` lists them\n");
    let ran = test.run_by_program(&["requests"]);
    assert_eq!(ran.output.lines().count(), 4);
    assert!(ran.output.starts_with("+4915112340003  1000 unread\n"), "{}", ran.output);
    assert!(ran.remarks.contains("waxwing accept"), "{}", ran.remarks);
    // One is right after all, and one is not.
    for words in [["accept", "+4915112340003"], ["block", "+4915112340002"]] {
        assert!(test.run_by_program(&words).failure.is_none());
    }
    let ran = test.run_by_program(&["requests", "--json"]);
    let line: serde_json::Value = serde_json::from_str(ran.output.lines().next().unwrap()).unwrap();
    assert_eq!(line["phone"], "+4915112340001");
    assert_eq!((&line["state"], &line["unread"]), (&"request".into(), &1_000.into()));
    assert_eq!(ran.output.lines().count(), 2);
    assert_eq!(test.run_by_program(&["conversations"]).output.lines().count(), 2);
}

#[test]
fn a_conversation_is_archived_muted_and_told_of_as_it_is_then() {
    let test = TestHome::new();
    let writing = Writing::text("hi").unwrap();
    test.home.outbox().queue(&Uid([1; 16]), &phone(OTHER), &writing, at(0)).unwrap();
    assert!(test.run_by_program(&["archive", OTHER]).failure.is_none());
    assert_eq!(test.run_by_program(&["conversations"]).output, "");
    assert_eq!(test.run_by_program(&["conversations", "--archived"]).output, format!("{OTHER}\n"));
    let ran = test.run_by_program(&["mute", OTHER, "--for", "8h", "--json"]);
    let line: serde_json::Value = serde_json::from_str(&ran.output).unwrap();
    assert_eq!(line["state"], "archived");
    assert!(line["muted_until"].is_string(), "{line}");
    for words in [["unarchive", OTHER], ["unmute", OTHER]] {
        assert!(test.run_by_program(&words).failure.is_none());
    }
    assert_eq!(test.run_by_program(&["conversations"]).output, format!("{OTHER}\n"));
    assert!(Args::try_parse_from(["waxwing", "mute", OTHER, "--for", "soon"]).is_err());
}

#[test]
fn what_a_command_says_of_a_request_or_of_somebody_blocked_is_so() {
    let test = TestHome::new();
    let _ = receive(&test, OTHER, 1, "hello");
    let refused = |words: &[&str], code, help: &str| {
        let failure = test.run_by_program(words).failure.unwrap();
        assert_eq!(failure.code(), code, "{words:?}");
        assert!(failure.to_string().contains(help), "{failure}");
    };
    refused(&["archive", OTHER], 1, "waxwing accept");
    assert!(test.run_by_program(&["accept", OTHER]).failure.is_none());
    // It did not come to be put away behind the person's back.
    assert_eq!(test.run_by_program(&["conversations"]).output, format!("{OTHER}  1 unread\n"));
    assert!(test.run_by_program(&["block", OTHER]).failure.is_none());
    for command in ["accept", "archive"] {
        refused(&[command, OTHER], 1, "waxwing unblock");
    }
    for command in ["accept", "archive", "mute", "block", "verify"] {
        refused(&[command, OWN], 2, "your own");
    }
    let unknown = "+4915112345603";
    let ran = test.run_by_program(&["archive", unknown]);
    assert_eq!(ran.output, "+4915112345603 has no conversation here\n");
    for command in ["mute", "unmute"] {
        refused(&[command, unknown, "--json"], 1, "no conversation with +4915112345603");
    }
    assert!(test.home.conversations().with(&phone(unknown)).unwrap().is_none());
}

/// The program itself, of somebody who has this in `config.toml`.
fn program(root: &Path, config: &str, words: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    fs::create_dir_all(root.join(".config/waxwing")).unwrap();
    fs::write(root.join(".config/waxwing/config.toml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing"));
    command.args(words).env_clear().env("HOME", root).envs(variables.iter().copied());
    let done = command.stdin(Stdio::null()).output().unwrap();
    (done.status.code().unwrap(), String::from_utf8(done.stderr).unwrap())
}

#[test]
fn errors_show_what_they_quote_and_nothing_of_it_acts() {
    let root = tempfile::tempdir().unwrap();
    let typed = "x\u{202e}\u{1b}[2Jy";
    for words in [
        &["receive", "--timeout", typed][..],
        &["delete", OTHER, "--letter", typed],
        &["name", OTHER, typed],
        &[typed],
        &["whoami", typed],
    ] {
        let (code, said) = program(root.path(), "", words, &[]);
        assert_eq!(code, 2, "{words:?}");
        assert!(said.contains("x<202e><1b>[2Jy"), "{said}");
        assert!(!said.contains(['\u{202e}', '\u{1b}']), "{said:?}");
    }
    for config in ["theme = 'x\u{202e}y'", "'x\u{202e}y' = 1", "x\u{202e}y"] {
        let (code, said) = program(root.path(), config, &["whoami"], &[]);
        assert_eq!(code, 78, "{config}");
        assert!(said.contains("202e") && !said.contains('\u{202e}'), "{said:?}");
        // What needs no settings works without them.
        let (code, said) = program(root.path(), config, &["packet", "explain", "/dev/null"], &[]);
        assert_ne!(code, 78, "{said}");
    }
}

#[test]
fn an_account_that_is_not_there_is_told_with_the_place_that_names_it() {
    let root = tempfile::tempdir().unwrap();
    let named = |config: &str, words: &[&str], variable: &str, place: &str| {
        let variables = [("WAXWING_ACCOUNT", variable)];
        let (code, said) = program(root.path(), config, &[words, &["whoami"]].concat(), &variables);
        assert_eq!(code, 78, "{said}");
        assert!(said.contains("no account nope, which ") && said.contains(place), "{said}");
    };
    named("account = 'nope'", &[], "", "config.toml names");
    named("", &[], "nope", "WAXWING_ACCOUNT names");
    named("", &["--account", "nope"], "main", "--account names");
    let folder = root.path().join(".local/share/waxwing/accounts");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("default"), "nope").unwrap();
    named("", &[], "", "accounts/default names");
}
