use waxwing::home::{
    Fate, HandedOver, Home, LetterBody, OutboxStatus, Reading, Recorded, State, Writing,
};
use waxwing_core::envelope::Content;

use crate::{TestHome, at, packet_id, phone, spki, uid, user};

fn handed(packet: u8, fate: Fate<'_>) -> HandedOver<'_> {
    HandedOver {
        packet_id: packet_id(packet),
        sender: user(7),
        sent_at: at(i64::from(packet)),
        received_at: at(1000),
        fate,
    }
}

fn text(uid_byte: u8, text: &str) -> Fate<'_> {
    Fate::Opened { from: phone(2), uid: uid(uid_byte), content: Content::Text(text) }
}

fn unreadable(error: &str) -> Fate<'_> {
    Fate::Unreadable { from: None, error, is_signed: false, packet: b"raw" }
}

fn record(home: &Home, packet: u8, fate: Fate<'_>) -> Recorded {
    home.letters().record(&handed(packet, fate)).unwrap()
}

fn unprinted(home: &Home) -> Vec<LetterBody> {
    home.letters().unprinted(255).unwrap().into_iter().map(|letter| letter.body).collect()
}

fn next(home: &Home, reading: &mut Reading) -> Vec<LetterBody> {
    let letters = home.letters().next(reading, 99).unwrap();
    letters.into_iter().map(|letter| letter.body).collect()
}

fn texts(all: &[&str]) -> Vec<LetterBody> {
    all.iter().map(|text| LetterBody::Text((*text).to_owned())).collect()
}

#[test]
fn a_letter_is_stored_once_however_it_comes_back() {
    let test = TestHome::new();
    assert!(matches!(record(&test.open(), 1, text(1, "one")), Recorded::Stored(_)));
    // Handed over again, and sealed again under another packet id.
    assert_eq!(record(&test.open(), 1, text(1, "one")), Recorded::Duplicate);
    assert_eq!(record(&test.open(), 2, text(1, "one")), Recorded::Duplicate);
    // The same uid from somebody else is another letter.
    let other = Fate::Opened { from: phone(3), uid: uid(1), content: Content::Text("other") };
    assert!(matches!(record(&test.open(), 3, other), Recorded::Stored(_)));
    assert_eq!(unprinted(&test.open()), texts(&["one", "other"]));
}

#[test]
fn a_printed_letter_still_counts_as_received() {
    let test = TestHome::new();
    let home = test.open();
    let Recorded::Stored(id) = record(&home, 1, text(1, "one")) else { panic!() };
    home.letters().mark_printed(&[id]).unwrap();
    assert!(unprinted(&test.open()).is_empty());
    assert_eq!(record(&test.open(), 2, text(1, "one")), Recorded::Duplicate);
}

#[test]
fn a_batch_is_recorded_in_order_and_knows_its_own_duplicates() {
    let test = TestHome::new();
    let home = test.open();
    let batch = [
        handed(1, text(1, "one")),
        handed(2, text(1, "one")),
        handed(3, unreadable("no")),
        handed(3, unreadable("no")),
        handed(4, text(2, "two")),
    ];
    let recorded = crate::record_all(&home, &batch);
    let stored: Vec<bool> = recorded.iter().map(|one| matches!(one, Recorded::Stored(_))).collect();
    assert_eq!(stored, [true, false, true, false, true]);
    let mut expected = texts(&["one", "two"]);
    expected.insert(1, LetterBody::Unreadable { error: "no".into() });
    assert_eq!(unprinted(&home), expected);
    assert_eq!(home.letters().unprinted(2).unwrap().len(), 2);
}

#[test]
fn what_cannot_be_opened_is_kept_and_shown() {
    let test = TestHome::new();
    assert!(matches!(record(&test.open(), 1, unreadable("why")), Recorded::Stored(_)));
    assert_eq!(record(&test.open(), 1, unreadable("why")), Recorded::Duplicate);
    let unknown = Content::Unknown { kind: 9, body: b"?" };
    let unknown = Fate::Opened { from: phone(2), uid: uid(4), content: unknown };
    assert!(matches!(record(&test.open(), 2, unknown), Recorded::Stored(_)));
    let found = test.open().letters().unprinted(9).unwrap();
    assert_eq!(found[0].body, LetterBody::Unreadable { error: "why".into() });
    assert_eq!((found[0].from, found[0].sender, found[0].uid), (None, user(7), None));
    let LetterBody::Unknown { error } = &found[1].body else { panic!() };
    assert!(error.contains('9'));
    assert_eq!(found[1].uid, Some(uid(4)));
}

#[test]
fn a_letter_that_opens_the_second_time_is_not_lost() {
    let test = TestHome::new();
    let home = test.open();
    let Recorded::Stored(first) = record(&home, 1, unreadable("unknown sender")) else { panic!() };
    home.letters().mark_printed(&[first]).unwrap();
    assert_eq!(record(&home, 1, text(1, "one")), Recorded::Stored(first));
    assert_eq!(unprinted(&home), texts(&["one"]));
}

#[test]
fn letters_under_a_changed_key_wait_and_are_then_letters() {
    let test = TestHome::new();
    let home = test.open();
    let key = spki(4);
    for packet in 1..=3 {
        let held = Fate::Held { from: phone(2), packet: &[packet; 300], signed_with: Some(&key) };
        assert!(matches!(record(&home, packet, held), Recorded::Stored(_)));
        assert_eq!(record(&home, packet, held), Recorded::Duplicate);
    }
    assert_eq!(unprinted(&home), vec![LetterBody::Held; 3]);
    let mut reading = home.letters().read_from(&phone(2)).unwrap();
    assert!(next(&home, &mut reading).is_empty());
    assert!(home.history(&phone(2)).unwrap().is_empty());
    assert!(home.letters().held_from(&phone(3)).unwrap().is_empty());

    let printed: Vec<_> =
        home.letters().unprinted(9).unwrap().into_iter().map(|letter| letter.id).collect();
    home.letters().mark_printed(&printed).unwrap();

    let held = test.open().letters().held_from(&phone(2)).unwrap();
    assert_eq!(held[0].packet, [1; 300]);
    let release = |at_row: usize, fate| {
        test.open().letters().release(held[at_row].id, &fate, at(2000)).unwrap()
    };
    assert_eq!(release(0, text(1, "one")), Recorded::Stored(held[0].id));
    // The second was the first, sealed again.
    assert_eq!(release(1, text(1, "one")), Recorded::Duplicate);
    assert_eq!(release(2, unreadable("no")), Recorded::Stored(held[2].id));
    assert!(home.letters().held_from(&phone(2)).unwrap().is_empty());
    let mut expected = texts(&["one"]);
    expected.push(LetterBody::Unreadable { error: "no".into() });
    assert_eq!(unprinted(&home), expected);
}

#[test]
fn of_a_letter_in_doubt_nothing_is_said() {
    let test = TestHome::new();
    let home = test.open();
    let in_doubt = Fate::Held { from: phone(2), packet: &[1; 300], signed_with: None };
    let Recorded::Stored(letter) = record(&home, 1, in_doubt) else { panic!() };
    assert!(unprinted(&home).is_empty());
    assert_eq!(test.open().letters().doubted(None).unwrap(), Some(phone(2)));
    assert_eq!(test.open().letters().doubted(Some(&phone(2))).unwrap(), None);
    assert_eq!(home.letters().held_from(&phone(2)).unwrap()[0].signed_with, None);

    // The server has said that there is another key.
    let key = spki(4);
    let held = Fate::Held { from: phone(2), packet: &[1; 300], signed_with: Some(&key) };
    let _ = home.letters().release(letter, &held, at(1)).unwrap();
    assert_eq!(unprinted(&home), [LetterBody::Held]);
    assert_eq!(home.letters().doubted(None).unwrap(), None);
    assert_eq!(home.letters().held_from(&phone(2)).unwrap()[0].signed_with, Some(key));
}

#[test]
fn a_receipt_marks_the_letter_that_was_read_and_is_not_printed() {
    let test = TestHome::new();
    let home = test.open();
    let writing = Writing::text("hi").unwrap();
    let letter = home.outbox().queue(&uid(9), &phone(2), &writing, at(0)).unwrap();
    let receipt = |from, read| Fate::Opened {
        from,
        uid: uid(read + 50),
        content: Content::ReadReceipt(uid(read)),
    };
    // Not by the one it was sent to, and not about a letter of ours.
    for (packet, fate) in [(1, receipt(phone(3), 9)), (2, receipt(phone(2), 8))] {
        assert!(matches!(record(&home, packet, fate), Recorded::Stored(_)));
        assert_eq!(home.outbox().status_of(letter).unwrap().unwrap().read_at, None);
    }
    assert!(matches!(record(&home, 3, receipt(phone(2), 9)), Recorded::Stored(_)));
    let status = home.outbox().status_of(letter).unwrap().unwrap();
    assert!(matches!(
        status,
        OutboxStatus { state: State::Delivered, read_at: Some(read), .. } if read == at(1000)
    ));
    assert!(unprinted(&home).is_empty());
}

#[test]
fn the_letters_of_one_sender_can_be_asked_for() {
    let test = TestHome::new();
    let home = test.open();
    let _ = record(&home, 1, text(1, "one"));
    let other = Fate::Opened { from: phone(3), uid: uid(1), content: Content::Text("other") };
    let _ = record(&home, 2, other);
    let mut reading = home.letters().read_from(&phone(3)).unwrap();
    let found = home.letters().next(&mut reading, 9).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].body, LetterBody::Text("other".into()));
    assert_eq!((found[0].sent_at, found[0].received_at), (at(2), at(1000)));
}

#[test]
fn whoever_reads_one_person_sees_every_letter_once_whoever_prints_it() {
    let test = TestHome::new();
    let home = test.open();
    let print = |home: &Home| {
        let found = home.letters().unprinted(99).unwrap();
        let ids: Vec<_> = found.iter().map(|letter| letter.id).collect();
        home.letters().mark_printed(&ids).unwrap();
    };
    let key = spki(4);
    let held = Fate::Held { from: phone(2), packet: &[1; 300], signed_with: Some(&key) };
    let _ = record(&home, 1, text(1, "printed long ago"));
    let Recorded::Stored(early) = record(&home, 2, held) else { panic!() };
    print(&home);
    let _ = record(&home, 3, text(3, "waits"));

    let mut readings = [(); 2].map(|()| home.letters().read_from(&phone(2)).unwrap());
    let all_see = |readings: &mut [_; 2], expected: &[&str]| {
        for reading in &mut *readings {
            assert_eq!(next(&home, reading), texts(expected));
        }
        print(&test.open());
        for reading in readings {
            assert!(next(&home, reading).is_empty());
        }
    };
    all_see(&mut readings, &["waits"]);
    let _ = record(&test.open(), 4, text(4, "came"));
    // Somebody else is quicker.
    print(&test.open());
    all_see(&mut readings, &["came"]);

    // A letter that was held back, and one that is held back meanwhile, keep their places.
    let Recorded::Stored(late) = record(&home, 5, held) else { panic!() };
    let _ = record(&home, 6, text(6, "after"));
    all_see(&mut readings, &["after"]);
    for (id, fate) in [(early, text(2, "early")), (late, text(5, "late"))] {
        let _ = test.open().letters().release(id, &fate, at(2000)).unwrap();
    }
    print(&test.open());
    all_see(&mut readings, &["early", "late"]);
}

#[test]
fn debug_output_has_no_text() {
    let test = TestHome::new();
    let home = test.open();
    let _ = record(&home, 1, text(1, "a secret"));
    let writing = Writing::text("a secret").unwrap();
    home.outbox().queue(&uid(9), &phone(2), &writing, at(0)).unwrap();
    let shown = format!(
        "{:?}{:?}{:?}{:?}",
        handed(1, text(1, "a secret")),
        home.letters().unprinted(9).unwrap(),
        home.outbox().queued().unwrap(),
        home.history(&phone(2)).unwrap(),
    );
    assert!(shown.contains("8 bytes") && !shown.contains("secret"), "{shown}");
}
