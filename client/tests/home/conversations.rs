//! What a list of conversations shows, and what changes it.

use std::time::Duration;

use waxwing::home::{
    Begin, Conversation, ConversationState, Deletion, Entry, Event, Fate, HandedOver, Home,
    HomeError, ItemId, LetterBody, Naming, Once, PacketName, Query, Recorded, Relation, Window,
    Writing,
};
use waxwing::name::Name;
use waxwing_core::envelope::Content;
use waxwing_core::id::{PacketId, Uid};
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{KeyAnswer, Status};

use crate::judging::judge;
use crate::{TestHome, at, packet_id, phone, spki, uid, user};

fn receive(home: &Home, byte: u8, from: Phone, text: &str) {
    let letter = HandedOver {
        packet_id: packet_id(byte),
        sender: user(7),
        sent_at: at(0),
        received_at: at(i64::from(byte)),
        fate: Fate::Opened { from, uid: uid(byte), content: Content::Text(text) },
    };
    assert!(matches!(home.letters().record(&letter).unwrap(), Recorded::Stored(_)));
}

fn write(home: &Home, byte: u8, to: Phone, text: &str) {
    let writing = Writing::text(text).unwrap();
    home.outbox().queue(&uid(byte), &to, &writing, at(i64::from(byte))).unwrap();
}

fn with(home: &Home, other: Phone) -> Conversation {
    home.conversations().with(&other).unwrap().unwrap()
}

fn said(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(words).collect()
}

fn words(entry: &Entry) -> &str {
    match &entry.event {
        Event::Received { body: LetterBody::Text(text), .. }
        | Event::Written { writing: Writing::Text(text), .. } => text,
        other => panic!("{other:?}"),
    }
}

fn state(home: &Home, other: Phone) -> ConversationState {
    with(home, other).state
}

#[test]
fn a_stranger_is_a_request_until_somebody_answers_or_accepts() {
    let test = TestHome::new();
    let home = test.open();
    for (byte, from) in [(1, phone(2)), (2, phone(3))] {
        receive(&home, byte, from, "hello");
        assert_eq!(state(&home, from), ConversationState::Request);
    }
    assert!(home.relations().accept(&phone(2)).unwrap());
    assert!(!home.relations().accept(&phone(2)).unwrap());
    write(&home, 3, phone(3), "hello yourself");
    for other in [phone(2), phone(3)] {
        assert_eq!(state(&home, other), ConversationState::Open);
    }
    // Whoever was blocked is afterwards what they were before.
    receive(&home, 4, phone(4), "hello");
    for other in [phone(3), phone(4)] {
        assert!(home.relations().block(&other).unwrap());
        assert_eq!(
            (state(&home, other), with(&home, other).unread),
            (ConversationState::Blocked, 0)
        );
        assert!(home.relations().unblock(&other).unwrap());
    }
    assert_eq!(state(&home, phone(3)), ConversationState::Open);
    assert_eq!(state(&home, phone(4)), ConversationState::Request);
}

#[test]
fn what_nobody_has_read_is_counted_whoever_reads_it() {
    let test = TestHome::new();
    let home = test.open();
    let unread = || with(&home, phone(2)).unread;
    for byte in 1..=4 {
        receive(&home, byte, phone(2), "hello");
    }
    write(&home, 5, phone(2), "mine does not count");
    assert_eq!(unread(), 4);
    // Printed is read.
    let printed = home.letters().unprinted(1).unwrap();
    home.letters().mark_printed(&[printed[0].id]).unwrap();
    assert_eq!(unread(), 3);
    // Read is printed.
    let second = home.history(&phone(2)).unwrap()[1].id;
    assert_eq!(home.conversations().mark_read(&phone(2), second).unwrap().len(), 1);
    assert_eq!((unread(), home.letters().unprinted(9).unwrap().len()), (2, 2));
    // Nothing becomes unread again.
    assert!(home.conversations().mark_read(&phone(2), ItemId::new(1)).unwrap().is_empty());
    assert_eq!(unread(), 2);
    let deleted = home.delete(&Deletion::With(phone(2), UnixTime::from_seconds(i64::MAX))).unwrap();
    assert_eq!((deleted.received, unread(), with(&home, phone(2)).last.is_some()), (4, 0, true));
}

#[test]
fn each_change_is_seen_once_in_the_conversation_that_it_is_about() {
    let test = TestHome::new();
    let (home, other) = (test.open(), test.open());
    receive(&home, 1, phone(2), "one");
    write(&home, 2, phone(3), "two");
    let answer = KeyAnswer { user: user(7), phone: phone(2), spki: spki(2) };
    let _ = judge(&home, &answer, at(0));
    let mut known = other.conversations().last_change().unwrap();
    let mut changed = |what: &dyn Fn()| -> Vec<Phone> {
        what();
        let news = other.conversations().changed_since(known).unwrap();
        known = other.conversations().last_change().unwrap();
        news.into_iter().map(|one| one.phone).collect()
    };
    let conversations = home.conversations();
    let head = home.outbox().heads(at(9)).unwrap()[0].id;
    assert_eq!(changed(&|| ()), []);
    assert_eq!(changed(&|| receive(&home, 3, phone(2), "three")), [phone(2)]);
    assert_eq!(changed(&|| write(&home, 4, phone(2), "four")), [phone(2)]);
    assert_eq!(changed(&|| receive(&home, 5, phone(4), "five")), [phone(4)]);
    assert_eq!(changed(&|| conversations.set_draft(&phone(3), "dear").unwrap()), [phone(3)]);
    assert_eq!(changed(&|| conversations.set_draft(&phone(3), "dear").unwrap()), []);
    assert_eq!(changed(&|| assert!(conversations.mute(&phone(3), at(10)).unwrap())), [phone(3)]);
    assert_eq!(changed(&|| conversations.pin(&phone(3), true).unwrap()), [phone(3)]);
    assert_eq!(changed(&|| assert!(conversations.archive(&phone(3), true).unwrap())), [phone(3)]);
    assert_eq!(
        changed(&|| drop(conversations.mark_read(&phone(2), ItemId::new(3)).unwrap())),
        [phone(2)]
    );
    assert_eq!(changed(&|| assert!(home.relations().accept(&phone(4)).unwrap())), [phone(4)]);
    let begun = || home.outbox().begin_sending(head, &packet_id(9), user(8), b"x", at(1)).unwrap();
    assert_eq!(changed(&|| assert!(begun())), [phone(3)]);
    let told = [(PacketName::Full(packet_id(9)), Status::Delivered)];
    let told = || home.outbox().apply(&told, at(2)).unwrap();
    assert_eq!(changed(&|| drop(told())), [phone(3)]);
    let verified = || home.contacts().mark_verified(&phone(2), &spki(2)).unwrap();
    assert_eq!(changed(&|| assert!(verified())), [phone(2)]);
}

#[test]
fn pinned_ones_are_first_and_then_those_with_news() {
    let test = TestHome::new();
    let home = test.open();
    for byte in 1..=3 {
        receive(&home, byte, phone(byte), "hello");
    }
    home.conversations().pin(&phone(1), true).unwrap();
    let order: Vec<_> =
        home.conversations().all().unwrap().into_iter().map(|one| one.phone).collect();
    assert_eq!(order, [phone(1), phone(3), phone(2)]);
}

#[test]
fn an_archived_conversation_comes_back_with_news_unless_it_is_muted() {
    let test = TestHome::new();
    let home = test.open();
    for (byte, to) in [(3, phone(2)), (4, phone(3))] {
        write(&home, byte, to, "hello");
        assert!(home.conversations().archive(&to, true).unwrap());
        assert!(!home.conversations().archive(&to, true).unwrap());
    }
    assert!(home.conversations().mute(&phone(3), at(1_000)).unwrap());
    receive(&home, 1, phone(2), "back");
    receive(&home, 2, phone(3), "back");
    assert_eq!(state(&home, phone(2)), ConversationState::Open);
    assert_eq!(state(&home, phone(3)), ConversationState::Archived);
}

#[test]
fn a_draft_is_kept_and_in_no_debug_output() {
    let test = TestHome::new();
    let draft = "Dear Ann,\nI have begun";
    test.open().conversations().set_draft(&phone(2), draft).unwrap();
    let home = test.open();
    assert_eq!(home.conversations().draft(&phone(2)).unwrap(), draft);
    assert_eq!(home.conversations().draft(&phone(3)).unwrap(), "");
    let shown = format!("{:?}", home.conversations().all().unwrap());
    assert!(with(&home, phone(2)).has_draft && !shown.contains("Dear"), "{shown}");
    home.conversations().set_draft(&phone(2), "").unwrap();
    assert!(!with(&home, phone(2)).has_draft);
}

#[test]
fn pages_go_both_ways_from_any_item() {
    let test = TestHome::new();
    let home = test.open();
    for byte in 0..6 {
        receive(&home, 2 * byte, phone(2), &byte.to_string());
        receive(&home, 2 * byte + 1, phone(3), "other");
    }
    let page = |window, limit| home.page(&phone(2), window, limit).unwrap();
    let end = page(Window::Last, 2);
    assert_eq!(said(&end), ["4", "5"]);
    let before = page(Window::Before(end[0].id), 3);
    assert_eq!(said(&before), ["1", "2", "3"]);
    assert_eq!(said(&page(Window::Before(before[0].id), 3)), ["0"]);
    assert_eq!(said(&page(Window::From(before[2].id), 2)), ["3", "4"]);
    assert_eq!(said(&page(Window::From(before[2].id), 9)), ["3", "4", "5"]);
    // Of an item that is gone, its neighbours are found.
    let second = home.history(&phone(3)).unwrap()[1].id;
    assert_eq!(said(&page(Window::From(second), 1)), ["2"]);
}

fn found(home: &Home, text: &str, with: Option<&Phone>) -> Vec<String> {
    let entries = home.search(&Query { text, with, before: None, limit: 10 }).unwrap();
    said(&entries).into_iter().map(str::to_owned).collect()
}

#[test]
fn letters_are_found_by_what_they_say_indexed_or_not() {
    let test = TestHome::new();
    let home = test.open();
    receive(&home, 1, phone(2), "The Tickets are \"booked\"");
    receive(&home, 2, phone(3), "明日は東京へ行きます");
    write(&home, 3, phone(2), "grüße aus MÜNCHEN, * OR -");
    receive(&home, 4, phone(2), "ticket 2");
    for step in 0..4 {
        for (text, expected) in [
            ("ticket", &["ticket 2", "The Tickets are \"booked\""][..]),
            ("ICKETS ARE", &["The Tickets are \"booked\""]),
            ("\"booked\"", &["The Tickets are \"booked\""]),
            ("東京へ", &["明日は東京へ行きます"]),
            ("東", &["明日は東京へ行きます"]),
            ("münchen", &["grüße aus MÜNCHEN, * OR -"]),
            ("* OR -", &["grüße aus MÜNCHEN, * OR -"]),
            ("2", &["ticket 2"]),
            ("tickets AND", &[]),
        ] {
            assert_eq!(found(&home, text, None), expected, "{text}, step {step}");
        }
        assert_eq!(found(&home, "ticket", Some(&phone(3))), [""; 0]);
        assert_eq!(found(&home, "ticket", Some(&phone(2))).len(), 2);
        // Two more each time; the second time these are all.
        assert_eq!(home.index_more(2).unwrap(), step < 1);
    }
    receive(&home, 5, phone(2), "one more ticket");
    assert_eq!(found(&home, "ticket", None).len(), 3);
    let newest = home.history(&phone(2)).unwrap().pop().unwrap().id;
    let query = Query { text: "ticket", with: None, before: Some(newest), limit: 1 };
    assert_eq!(said(&home.search(&query).unwrap()), ["ticket 2"]);
}

#[test]
fn what_is_deleted_is_not_found_and_not_on_the_disk() {
    let test = TestHome::new();
    let home = test.open();
    receive(&home, 1, phone(2), "the secret word is xylophone");
    receive(&home, 2, phone(3), "something else");
    while home.index_more(100).unwrap() {}
    home.delete(&Deletion::With(phone(2), UnixTime::from_seconds(i64::MAX))).unwrap();
    assert_eq!(found(&home, "xylophone", None), [""; 0]);
    assert!(home.give_back_room());
    drop(home);
    let bytes = std::fs::read(test.dir().join("waxwing.db")).unwrap();
    for part in ["xylophone", "xyl"] {
        assert!(!bytes.windows(part.len()).any(|window| window == part.as_bytes()), "{part}");
    }
}

#[test]
fn a_consumer_gets_each_letter_until_it_is_done_with_it() {
    let test = TestHome::new();
    let home = test.open();
    receive(&home, 1, phone(2), "one");
    for (name, at) in [("all", Begin::Oldest), ("new", Begin::Next)] {
        assert!(home.consumers().begin(name, at).unwrap());
        assert!(!home.consumers().begin(name, at).unwrap());
    }
    write(&home, 2, phone(2), "mine");
    receive(&home, 3, phone(3), "two");
    let next = |name| test.open().consumers().next(name, 9).unwrap();
    assert_eq!(said(&next("all")), ["one", "two"]);
    assert_eq!(said(&next("new")), ["two"]);
    assert_eq!(said(&next("all")), ["one", "two"]);
    let first = next("all")[0].id;
    assert!(home.consumers().ack("all", first, at(7)).unwrap());
    assert!(!home.consumers().ack("all", first, at(7)).unwrap());
    assert_eq!(said(&next("all")), ["two"]);
    // Whether a person has read it is another matter.
    home.conversations().mark_read(&phone(3), next("all")[0].id).unwrap();
    assert_eq!(said(&next("all")), ["two"]);
    for (name, item) in [("none", 1), ("all", 99)] {
        let refused = home.consumers().ack(name, ItemId::new(item), at(7));
        assert!(matches!(refused, Err(HomeError::NoSuchRow(_))), "{name}");
    }
    assert!(matches!(home.consumers().next("none", 1), Err(HomeError::NoSuchRow(_))));
}

#[test]
fn a_letter_that_was_held_back_is_new_to_whoever_was_further_already() {
    let test = TestHome::new();
    let home = test.open();
    let held = HandedOver {
        packet_id: PacketId([9; 16]),
        sender: user(7),
        sent_at: at(0),
        received_at: at(0),
        fate: Fate::Held { from: phone(2), packet: b"packet", signed_with: None },
    };
    let Recorded::Stored(letter) = home.letters().record(&held).unwrap() else { panic!() };
    receive(&home, 1, phone(2), "later");
    home.consumers().begin("bot", Begin::Next).unwrap();
    let last = with(&home, phone(2)).last.unwrap();
    home.conversations().mark_read(&phone(2), last).unwrap();
    let opened =
        Fate::Opened { from: phone(2), uid: Uid([9; 16]), content: Content::Text("earlier") };
    let _ = home.letters().release(letter, &opened, at(5)).unwrap();
    assert_eq!(with(&home, phone(2)).unread, 1);
    assert_eq!(said(&home.consumers().next("bot", 9).unwrap()), ["earlier"]);
    assert_eq!(said(&home.history(&phone(2)).unwrap()), ["later", "earlier"]);
}

#[test]
fn what_was_read_can_count_as_unread_again() {
    let test = TestHome::new();
    let home = test.open();
    assert!(!home.conversations().mark_unread(&phone(2)).unwrap());
    write(&home, 1, phone(2), "mine");
    assert!(!home.conversations().mark_unread(&phone(2)).unwrap());
    receive(&home, 2, phone(2), "one");
    receive(&home, 3, phone(2), "two");
    write(&home, 4, phone(2), "mine");
    let last = with(&home, phone(2)).last.unwrap();
    home.conversations().mark_read(&phone(2), last).unwrap();
    assert!(home.conversations().mark_unread(&phone(2)).unwrap());
    assert_eq!(with(&home, phone(2)).unread, 1);
    assert!(!home.conversations().mark_unread(&phone(2)).unwrap());
    // It was printed once, and is not printed again.
    assert!(home.letters().unprinted(9).unwrap().is_empty());
}

#[test]
fn letters_that_are_held_back_are_counted_and_a_list_hears_of_each() {
    let test = TestHome::new();
    let home = test.open();
    let key = spki(4);
    let hold = |byte| {
        let held = HandedOver {
            packet_id: packet_id(byte),
            sender: user(7),
            sent_at: at(0),
            received_at: at(0),
            fate: Fate::Held { from: phone(2), packet: b"packet", signed_with: Some(&key) },
        };
        let Recorded::Stored(letter) = home.letters().record(&held).unwrap() else { panic!() };
        letter
    };
    // Nothing else is known of them.
    let letter = hold(1);
    let mut change = home.conversations().last_change().unwrap();
    let mut changes = |held| {
        let changed = home.conversations().changed_since(change).unwrap();
        change = home.conversations().last_change().unwrap();
        assert_eq!((changed.len(), changed[0].phone, changed[0].held), (1, phone(2), held));
        assert!(changed[0].has_something() || held == 0);
    };
    hold(2);
    changes(2);
    hold(3);
    changes(3);
    let opened = Fate::Opened { from: phone(2), uid: uid(1), content: Content::Text("new") };
    let _ = home.letters().release(letter, &opened, at(5)).unwrap();
    changes(2);
    let all = Deletion::With(phone(2), at(1_000));
    assert_eq!(home.delete(&all).unwrap().received, 3);
    changes(0);
}

#[test]
fn what_a_program_sends_under_one_key_goes_out_once() {
    let test = TestHome::new();
    let home = test.open();
    let hello = Writing::text("hello").unwrap();
    let send = |key, byte| home.outbox().queue_once(key, &uid(byte), &phone(2), &hello, at(0));
    assert_eq!(send("a", 1).unwrap(), Once::New(uid(1)));
    assert_eq!(send("a", 2).unwrap(), Once::Known(uid(1)));
    assert_eq!(send("b", 3).unwrap(), Once::New(uid(3)));
    // What is not the same letter is not sent, and nobody is told that it was.
    for (to, text) in [(phone(3), "hello"), (phone(2), "goodbye")] {
        let writing = Writing::text(text).unwrap();
        let sent = home.outbox().queue_once("a", &uid(4), &to, &writing, at(0)).unwrap();
        assert_eq!(sent, Once::Other(uid(1)));
    }
    assert_eq!(home.outbox().queued().unwrap().len(), 2);
}

#[test]
fn a_key_is_kept_as_long_as_its_letter_and_for_90_days_at_least() {
    const DAY: i64 = 24 * 60 * 60;
    let test = TestHome::new();
    let home = test.open();
    let hello = Writing::text("hello").unwrap();
    let send = |key, byte, day: i64| {
        home.outbox().queue_once(key, &uid(byte), &phone(2), &hello, at(day * DAY)).unwrap()
    };
    for (key, byte) in [("deleted", 1), ("there", 2)] {
        assert_eq!(send(key, byte, 0), Once::New(uid(byte)));
    }
    let _ = home.outbox().give_up(&uid(1)).unwrap();
    assert_eq!(home.delete(&Deletion::Letter(phone(2), uid(1))).unwrap().written, 1);
    assert_eq!(send("next", 3, 90), Once::New(uid(3)));
    assert_eq!(send("deleted", 4, 90), Once::Known(uid(1)));
    assert_eq!(send("another", 5, 91), Once::New(uid(5)));
    assert_eq!(send("deleted", 6, 91), Once::New(uid(6)));
    assert_eq!(send("there", 7, 1_000), Once::Known(uid(2)));
}

#[test]
fn a_consumer_that_is_removed_keeps_nothing_from_being_deleted() {
    let test = TestHome::new();
    let home = test.open();
    receive(&home, 1, phone(2), "old");
    let letters = home.letters().unprinted(9).unwrap();
    home.letters().mark_printed(&[letters[0].id]).unwrap();
    home.consumers().begin("gone", Begin::Oldest).unwrap();
    home.consumers().begin("here", Begin::Next).unwrap();
    let all = home.consumers().all().unwrap();
    let waiting: Vec<_> = all.iter().map(|one| (one.name.as_str(), one.waiting)).collect();
    assert_eq!(waiting, [("gone", 1), ("here", 0)]);
    let forget = || home.forget_older(Duration::from_secs(1), at(1_000_000)).unwrap();
    assert_eq!(forget(), 0);
    assert!(home.consumers().remove("gone").unwrap());
    assert!(!home.consumers().remove("gone").unwrap());
    assert_eq!(forget(), 1);
}

#[test]
fn receipts_go_to_people_who_are_known_and_to_no_stranger() {
    let test = TestHome::new();
    let home = test.open();
    write(&home, 1, phone(2), "hello");
    receive(&home, 2, phone(2), "read me");
    receive(&home, 3, phone(3), "is somebody there?");
    let letters: Vec<_> =
        home.letters().unprinted(9).unwrap().into_iter().map(|letter| letter.id).collect();
    let draw = || uid(9);
    assert_eq!(home.queue_receipts(&letters, draw, at(9)).unwrap(), 1);
    let queued = home.outbox().queued().unwrap().pop().unwrap();
    assert_eq!((queued.recipient, queued.writing), (phone(2), Writing::ReadReceipt(uid(2))));
    assert_eq!(state(&home, phone(3)), ConversationState::Request);
}

#[test]
fn letters_older_than_they_are_kept_go_both_ways_and_do_not_come_back() {
    let test = TestHome::new();
    let home = test.open();
    receive(&home, 1, phone(2), "old");
    write(&home, 2, phone(2), "on its way");
    write(&home, 3, phone(3), "old");
    for byte in 10..20 {
        receive(&home, byte, phone(2), "new");
    }
    let sent = home.outbox().waiting(&phone(3), None).unwrap().unwrap();
    let _ = home.outbox().begin_sending(sent, &packet_id(3), user(8), b"x", at(1)).unwrap();
    let told = [(PacketName::Full(packet_id(3)), Status::Delivered)];
    let _ = home.outbox().apply(&told, at(2)).unwrap();
    let forget = || home.forget_older(Duration::from_secs(10), at(20)).unwrap();
    // What nobody has read stays, and so does what a program is not done with.
    assert_eq!((forget(), home.history(&phone(3)).unwrap().len()), (1, 0));
    let entries = home.history(&phone(2)).unwrap();
    assert_eq!(entries.len(), 12);
    let _ = home.conversations().mark_read(&phone(2), entries[0].id).unwrap();
    assert!(home.consumers().begin("bot", Begin::Oldest).unwrap());
    assert_eq!(forget(), 0);
    assert!(home.consumers().ack("bot", entries[0].id, at(7)).unwrap());
    assert_eq!((forget(), forget()), (1, 0));
    assert_eq!(home.history(&phone(2)).unwrap().len(), 11);
    assert_eq!(home.history(&phone(3)).unwrap().len(), 0);
    let again = HandedOver {
        packet_id: packet_id(77),
        sender: user(7),
        sent_at: at(0),
        received_at: at(50),
        fate: Fate::Opened { from: phone(2), uid: uid(1), content: Content::Text("old") },
    };
    assert_eq!(home.letters().record(&again).unwrap(), Recorded::Duplicate);
}

#[test]
fn receipts_are_forgotten_with_the_letters_of_their_time() {
    let test = TestHome::new();
    let home = test.open();
    receive(&home, 1, phone(2), "hello");
    let letters = [home.letters().last().unwrap().unwrap()];
    assert!(home.relations().accept(&phone(2)).unwrap());
    for (byte, time) in [(11, 2), (12, 30)] {
        assert_eq!(home.queue_receipts(&letters, || uid(byte), at(time)).unwrap(), 1);
        let receipt = HandedOver {
            packet_id: packet_id(byte),
            sender: user(7),
            sent_at: at(time),
            received_at: at(time),
            fate: Fate::Opened {
                from: phone(2),
                uid: uid(byte),
                content: Content::ReadReceipt(uid(99)),
            },
        };
        assert!(matches!(home.letters().record(&receipt).unwrap(), Recorded::Stored(_)));
    }
    let database = rusqlite::Connection::open(test.dir().join("waxwing.db")).unwrap();
    let receipts = || {
        let sql = "SELECT (SELECT count(*) FROM letters WHERE kind = 'receipt'), \
                   (SELECT count(*) FROM outbox WHERE kind = 'receipt')";
        let counts = database.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
        counts.unwrap()
    };
    let forget = || home.forget_older(Duration::from_secs(10), at(20)).unwrap();
    // A receipt that is on its way stays until the server has answered.
    assert_eq!((forget(), receipts()), (0, (1, 2)));
    let head = home.outbox().heads(at(9)).unwrap()[0].id;
    assert!(home.outbox().begin_sending(head, &packet_id(3), user(8), b"x", at(3)).unwrap());
    let told = [(PacketName::Full(packet_id(3)), Status::Delivered)];
    let _ = home.outbox().apply(&told, at(4)).unwrap();
    assert_eq!((forget(), receipts()), (0, (1, 1)));
}

#[test]
fn what_looks_alike_is_judged_when_somebody_is_looked_for() {
    let test = TestHome::new();
    let home = test.open();
    let named = |name| home.conversations().named(name).unwrap();
    for (other, name) in [(phone(2), "Bert"), (phone(3), "Carl")] {
        let name = Name::parse(name).unwrap();
        assert_eq!(home.conversations().set_name(&other, &name).unwrap(), Naming::Given);
    }
    // As if these did not look alike for the version that has stored them.
    let database = rusqlite::Connection::open(test.dir().join("waxwing.db")).unwrap();
    let sql = "UPDATE conversations SET name = ? WHERE phone = ?";
    database.execute(sql, ["Bill", phone(2).as_str()]).unwrap();
    assert_eq!((named("bi11"), named("Bert")), (Some(phone(2)), None));
    database.execute(sql, ["Bi11", phone(3).as_str()]).unwrap();
    assert_eq!(
        (named(" Bill "), named("Bi11"), named("BILL")),
        (Some(phone(2)), Some(phone(3)), None)
    );
    // Each of them can have another name, and then the other is found again.
    let name = Name::parse("Carl").unwrap();
    assert_eq!(home.conversations().set_name(&phone(3), &name).unwrap(), Naming::Given);
    assert_eq!(named("BILL"), Some(phone(2)));
}

#[test]
fn who_is_given_a_name_is_known_unless_they_are_blocked() {
    let test = TestHome::new();
    let home = test.open();
    for (byte, other) in [(1, phone(2)), (2, phone(3))] {
        receive(&home, byte, other, "hello");
    }
    assert!(home.relations().block(&phone(3)).unwrap());
    for (other, name) in [(phone(2), "Ann"), (phone(3), "Spam")] {
        let name = Name::parse(name).unwrap();
        assert_eq!(home.conversations().set_name(&other, &name).unwrap(), Naming::Given);
    }
    assert_eq!(state(&home, phone(2)), ConversationState::Open);
    assert_eq!(home.delete(&Deletion::Strangers).unwrap().received, 1);
    assert_eq!(home.history(&phone(2)).unwrap().len(), 1);
    assert!(home.conversations().remove_name(&phone(2)).unwrap());
    assert_eq!(state(&home, phone(2)), ConversationState::Open);
    assert!(home.relations().unblock(&phone(3)).unwrap());
    assert_eq!(home.relations().with(&phone(3)).unwrap(), Relation::Stranger);
}

#[test]
fn what_becomes_of_letters_is_told_in_its_order_and_of_each_the_last_word() {
    let test = TestHome::new();
    let home = test.open();
    write(&home, 1, phone(2), "one");
    write(&home, 2, phone(3), "two");
    assert_eq!(home.outbox().unanswered().unwrap(), 2);
    let begin = home.conversations().last_change().unwrap();
    let since = |change: i64| -> Vec<(Uid, &str, i64)> {
        let letters = home.outbox().changed_since(change, 9).unwrap();
        letters.iter().map(|letter| (letter.uid, letter.status.name(), letter.changed)).collect()
    };
    assert!(since(begin).is_empty());
    for (byte, to) in [(2, phone(3)), (1, phone(2))] {
        let sent = home.outbox().waiting(&to, None).unwrap().unwrap();
        let _ = home.outbox().begin_sending(sent, &packet_id(byte), user(8), b"x", at(1)).unwrap();
    }
    let told = since(begin);
    assert_eq!((told[0].0, told[0].1, told[1].0, told[1].1), (uid(2), "sent", uid(1), "sent"));
    assert_eq!(home.outbox().changed_since(begin, 1).unwrap().len(), 1);
    let answered = [(PacketName::Full(packet_id(2)), Status::Stored)];
    let _ = home.outbox().apply(&answered, at(2)).unwrap();
    let told = since(told[1].2);
    assert_eq!((told.len(), told[0].0, told[0].1), (1, uid(2), "stored"));
    assert_eq!(told[0].2, home.conversations().last_change().unwrap());
    let found = home.outbox().find(&uid(2)).unwrap().unwrap();
    assert_eq!((found.to, found.status.name()), (phone(3), "stored"));
    assert!(home.outbox().find(&uid(9)).unwrap().is_none());
}

#[test]
fn what_is_done_together_is_stored_as_a_whole_or_not_at_all() {
    let test = TestHome::new();
    let home = test.open();
    let written = home.together(|| -> Result<(), HomeError> {
        write(&home, 1, phone(2), "one");
        write(&home, 2, phone(3), "two");
        Err(HomeError::NoSuchRow("letter"))
    });
    assert!(written.is_err() && home.conversations().all().unwrap().is_empty());
    let written = home.together(|| -> Result<_, HomeError> {
        write(&home, 1, phone(2), "one");
        home.outbox().queue_once("key", &uid(2), &phone(3), &Writing::text("two").unwrap(), at(1))
    });
    assert_eq!(written.unwrap(), Once::New(uid(2)));
    assert_eq!(home.outbox().unanswered().unwrap(), 2);
    assert_eq!(home.last_item().unwrap(), ItemId::new(2));
}

#[test]
fn the_log_stays_small_while_long_letters_go_into_the_index() {
    let test = TestHome::new();
    let home = test.open();
    home.relations().accept(&phone(2)).unwrap();
    for byte in 1..=120 {
        // No run of three characters is there twice.
        let text: String =
            (0..8_000).map(|at| format!("{:x}", at * 257 + u32::from(byte))).collect();
        receive(&home, byte, phone(2), &text);
    }
    let log = test.dir().join("waxwing.db-wal");
    let (mut is_done, mut longest) = (false, 0);
    while !is_done {
        is_done = !home.index_more(200).unwrap();
        longest = longest.max(std::fs::metadata(&log).unwrap().len());
    }
    assert!(longest < 9 * 1_024 * 1_024, "{longest}");
    let found = home.search(&Query { text: "1f40", with: None, before: None, limit: 9 }).unwrap();
    assert!(!found.is_empty());
}
