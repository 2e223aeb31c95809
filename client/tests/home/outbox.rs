use waxwing::home::{
    Applied, Event, GivenUp, Home, HomeProfile, OpenLetter, OutboxId, PacketName, State, Which,
    Writing,
};
use waxwing_core::id::PacketId;
use waxwing_core::limits::MAX_BODY;
use waxwing_core::messenger::{Profile, Row};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{KeyAnswer, Status};

use crate::judging::judge;
use crate::{TestHome, at, packet_id, phone, spki, uid, user};

fn queue(home: &Home, byte: u8, to: u8) -> OutboxId {
    let writing = Writing::text(format!("letter {byte}")).unwrap();
    home.outbox().queue(&uid(byte), &phone(to), &writing, at(0)).unwrap()
}

fn send(home: &Home, letter: OutboxId, packet: u8) {
    let bytes = [packet; 400];
    let begun = home.outbox().begin_sending(letter, &packet_id(packet), user(7), &bytes, at(1));
    assert!(begun.unwrap());
}

fn told_at(home: &Home, packet: u8, status: Status, now: UnixTime) -> Applied {
    let name = PacketName::Full(packet_id(packet));
    home.outbox().apply(&[(name, status)], now).unwrap()[0]
}

fn told(home: &Home, packet: u8, status: Status) -> Applied {
    told_at(home, packet, status, at(2))
}

fn state(home: &Home, letter: OutboxId) -> State {
    home.outbox().status_of(letter).unwrap().unwrap().state
}

/// What can go out, by the first bytes of the uids.
fn heads(home: &Home, now: UnixTime) -> Vec<u8> {
    let heads = home.outbox().heads(now).unwrap().into_iter();
    heads.map(|head| open(home, head.id).uid.0[0]).collect()
}

fn open(home: &Home, letter: OutboxId) -> OpenLetter {
    home.outbox().open_letter(letter).unwrap().unwrap()
}

/// All that has no answer.
fn queued(home: &Home) -> Vec<u8> {
    home.outbox().queued().unwrap().iter().map(|letter| letter.uid.0[0]).collect()
}

#[test]
fn a_letter_goes_from_waiting_to_delivered() {
    let test = TestHome::new();
    let letter = queue(&test.open(), 1, 2);
    let found = open(&test.open(), letter);
    assert_eq!((found.id, found.uid, found.recipient), (letter, uid(1), phone(2)));
    assert_eq!((found.writing, found.packet), (Writing::text("letter 1").unwrap(), None));

    send(&test.open(), letter, 10);
    // It has no answer yet, and goes out again.
    assert_eq!(heads(&test.open(), at(0)), [1]);
    let packet = open(&test.open(), letter).packet.unwrap();
    assert_eq!((packet.bytes, packet.signed_at), (vec![10; 400], at(1)));

    let home = test.open();
    assert_eq!(told(&home, 10, Status::Stored), Applied::Risen(letter, State::Stored));
    assert_eq!(home.outbox().open_letter(letter).unwrap(), None);
    assert!(heads(&home, at(0)).is_empty());
    assert_eq!(told(&home, 10, Status::Delivered), Applied::Risen(letter, State::Delivered));
    assert_eq!(state(&test.open(), letter), State::Delivered);
}

#[test]
fn a_status_never_goes_down_and_delivered_is_final() {
    use Status::{Delivered, Expired, Stored, Unknown};
    let cases: [(&[Status], State); 8] = [
        (&[Unknown], State::Sent),
        (&[Stored, Stored, Unknown], State::Stored),
        (&[Delivered, Stored], State::Delivered),
        (&[Delivered, Expired], State::Delivered),
        (&[Stored, Expired, Stored], State::Expired),
        (&[Stored, Expired, Delivered], State::Delivered),
        (&[Delivered, Unknown], State::Delivered),
        (&[Expired, Unknown], State::Expired),
    ];
    for (statuses, expected) in cases {
        let test = TestHome::new();
        let home = test.open();
        let letter = queue(&home, 1, 2);
        send(&home, letter, 10);
        for status in statuses {
            let before = state(&home, letter);
            let applied = told(&home, 10, *status);
            let after = state(&home, letter);
            assert!(after >= before, "{statuses:?}");
            assert_eq!(applied == Applied::Unchanged(letter), after == before, "{statuses:?}");
        }
        assert_eq!(state(&home, letter), expected, "{statuses:?}");
    }
}

#[test]
fn a_refusal_counts_until_a_better_word_comes() {
    let test = TestHome::new();
    let home = test.open();
    let letter = queue(&home, 1, 2);
    send(&home, letter, 10);
    assert_eq!(
        home.outbox().refuse(letter, Some(15), "too large").unwrap(),
        Applied::Risen(letter, State::Refused)
    );
    let status = home.outbox().status_of(letter).unwrap().unwrap();
    assert_eq!(
        (status.refusal_code, status.refusal_text.as_deref()),
        (Some(15), Some("too large"))
    );
    // It is not tried again by itself.
    assert!(heads(&home, at(9999)).is_empty());
    assert!(queued(&home).is_empty());
    let sent = home.outbox().begin_sending(letter, &packet_id(11), user(7), b"x", at(2));
    assert!(!sent.unwrap());
    assert_eq!(home.outbox().sent_as(&packet_id(11)).unwrap(), None);

    assert_eq!(told(&home, 10, Status::Delivered), Applied::Risen(letter, State::Delivered));
    let status = home.outbox().status_of(letter).unwrap().unwrap();
    assert_eq!((status.state, status.refusal_code), (State::Delivered, None));
    assert_eq!(home.outbox().refuse(letter, Some(15), "").unwrap(), Applied::Unchanged(letter));
    assert_eq!(state(&home, letter), State::Delivered);
}

#[test]
fn any_packet_that_a_letter_has_had_counts_by_id_or_prefix() {
    let test = TestHome::new();
    let home = test.open();
    let (first, second) = (queue(&home, 1, 2), queue(&home, 2, 2));
    send(&home, first, 10);
    send(&home, first, 11);
    send(&home, second, 12);
    let mut ended = [12; 16];
    ended[15] = 0xff;
    let prefix = PacketName::Prefix(PacketId(ended).prefix());
    let statuses = [
        (PacketName::Full(packet_id(10)), Status::Delivered),
        (prefix, Status::Stored),
        (PacketName::Full(PacketId(ended)), Status::Delivered),
        (PacketName::Prefix(packet_id(13).prefix()), Status::Delivered),
    ];
    assert_eq!(
        home.outbox().apply(&statuses, at(2)).unwrap(),
        [
            Applied::Risen(first, State::Delivered),
            Applied::Risen(second, State::Stored),
            Applied::NotOurs,
            Applied::NotOurs,
        ]
    );
    assert_eq!(home.outbox().sent_as(&packet_id(11)).unwrap(), Some((first, phone(2))));
    assert_eq!(home.outbox().sent_as(&packet_id(13)).unwrap(), None);
}

#[test]
fn sending_the_same_packet_again_is_not_another_packet() {
    let test = TestHome::new();
    let home = test.open();
    let letter = queue(&home, 1, 2);
    send(&home, letter, 10);
    send(&home, letter, 10);
    assert_eq!(told(&home, 10, Status::Stored), Applied::Risen(letter, State::Stored));
}

#[test]
fn the_server_is_asked_about_the_packet_that_it_stored() {
    let test = TestHome::new();
    let home = test.open();
    let letters: Vec<OutboxId> = (1..=4).map(|byte| queue(&home, byte, 2)).collect();
    for (letter, packet) in letters.iter().zip([10, 20, 30, 40]) {
        send(&home, *letter, packet);
        send(&home, *letter, packet + 1);
    }
    let _ = told(&home, 11, Status::Stored);
    let _ = told(&home, 20, Status::Stored);
    let _ = told(&home, 30, Status::Delivered);
    let found = test.open().outbox().stored(None, 9).unwrap();
    let asked: Vec<_> = found.iter().map(|stored| (stored.id, stored.query.letter)).collect();
    assert_eq!(asked, [(letters[0], packet_id(11)), (letters[1], packet_id(20))]);
    assert_eq!(found[0].query.recipient, user(7));
    let page = home.outbox().stored(Some(letters[0]), 9).unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!(home.outbox().stored(None, 1).unwrap().len(), 1);
}

#[test]
fn a_word_after_a_month_of_silence_proves_nothing() {
    let month = 30 * 24 * 60 * 60;
    let test = TestHome::new();
    let home = test.open();
    let (first, second) = (queue(&home, 1, 2), queue(&home, 2, 2));
    send(&home, first, 10);
    send(&home, second, 20);
    let _ = told(&home, 10, Status::Stored);
    let _ = told(&home, 20, Status::Stored);
    // About the second the server was asked in between.
    let _ = told_at(&home, 20, Status::Stored, at(month));
    let _ = told_at(&home, 10, Status::Delivered, at(month + 3));
    let _ = told_at(&home, 20, Status::Delivered, at(month + 3));
    assert_eq!(state(&home, first), State::NoLongerKept);
    assert_eq!(state(&home, second), State::Delivered);
}

#[test]
fn a_letter_put_off_holds_back_those_behind_it() {
    let test = TestHome::new();
    let home = test.open();
    let first = queue(&home, 1, 2);
    let to_another = queue(&home, 2, 3);
    let behind = queue(&home, 3, 2);
    assert_eq!((heads(&home, at(0)), queued(&home)), (vec![1, 2], vec![1, 2, 3]));
    send(&home, first, 10);
    assert_eq!(heads(&home, at(0)), [1, 2]);
    home.outbox().postpone(first, at(60), Some(12), "mailbox full").unwrap();
    assert_eq!(heads(&home, at(59)), [2]);
    assert_eq!(heads(&home, at(60)), [1, 2]);
    let status = home.outbox().status_of(first).unwrap().unwrap();
    assert_eq!((status.state, status.refusal_code), (State::Waiting, Some(12)));
    assert_eq!(status.not_before, at(60));
    let held_up_by = |letter, now| home.outbox().held_up_by(letter, at(now)).unwrap();
    assert_eq!(held_up_by(first, 59), Some(status.clone()));
    assert_eq!(held_up_by(behind, 59), Some(status));
    assert_eq!((held_up_by(to_another, 59), held_up_by(behind, 60)), (None, None));
    // It is sealed again, and a word about its packet still counts.
    assert_eq!(open(&home, first).packet, None);
    assert_eq!(told(&home, 10, Status::Stored), Applied::Risen(first, State::Stored));
    home.outbox().postpone(first, at(99), Some(12), "late").unwrap();
    assert_eq!(state(&home, first), State::Stored);
    assert_eq!(held_up_by(first, 1), None);
    assert_eq!(heads(&home, at(0)), [2, 3]);
}

#[test]
fn nothing_goes_to_somebody_whose_key_has_changed() {
    let test = TestHome::new();
    let home = test.open();
    queue(&home, 1, 2);
    queue(&home, 2, 3);
    for key in [2, 4] {
        let answer = KeyAnswer { user: user(7), phone: phone(2), spki: spki(key) };
        let _ = judge(&home, &answer, at(0));
    }
    assert_eq!(heads(&home, at(0)), [2]);
    let _ = home.contacts().accept(&phone(2), &spki(4), at(1)).unwrap();
    assert_eq!(heads(&home, at(0)), [1, 2]);
}

#[test]
fn letters_have_a_longest_text() {
    assert!(Writing::text("x".repeat(MAX_BODY)).is_ok());
    let error = Writing::text("x".repeat(MAX_BODY + 1)).unwrap_err();
    assert!(error.to_string().contains(&MAX_BODY.to_string()), "{error}");
}

#[test]
fn a_letter_that_was_sent_without_an_answer_keeps_its_place() {
    let test = TestHome::new();
    let home = test.open();
    let first = queue(&home, 1, 2);
    queue(&home, 2, 2);
    send(&home, first, 10);
    // The next session sends it again before the one behind it.
    assert_eq!(heads(&test.open(), at(0)), [1]);
    let _ = told(&home, 10, Status::Stored);
    assert_eq!(heads(&home, at(0)), [2]);
}

#[test]
fn a_letter_sent_under_a_key_that_has_changed_is_sealed_again() {
    let test = TestHome::new();
    let home = test.open();
    let (letter, other) = (queue(&home, 1, 2), queue(&home, 2, 3));
    send(&home, letter, 10);
    send(&home, other, 11);
    home.outbox().seal_again(&phone(2)).unwrap();
    assert_eq!(open(&home, letter).packet, None);
    assert!(open(&home, other).packet.is_some());
    assert_eq!(told(&home, 10, Status::Stored), Applied::Risen(letter, State::Stored));
}

#[test]
fn a_pause_that_an_earlier_version_believed_is_cut_short() {
    let test = TestHome::new();
    let home = test.open();
    let letter = queue(&home, 1, 2);
    send(&home, letter, 10);
    home.outbox().postpone(letter, at(65_535), Some(12), "").unwrap();
    home.outbox().limit_pauses(at(300)).unwrap();
    assert_eq!(heads(&home, at(299)), [0; 0]);
    assert_eq!(heads(&home, at(300)), [1]);
    // A shorter one stays.
    home.outbox().limit_pauses(at(900)).unwrap();
    assert_eq!(heads(&home, at(300)), [1]);
}

#[test]
fn letters_that_were_put_off_can_be_hurried_all_or_some() {
    for (which, expected) in [
        (Which::All, vec![1, 3]),
        (Which::To(phone(2)), vec![1]),
        (Which::Letter(uid(2)), vec![1]),
        (Which::Letter(uid(3)), vec![3]),
        (Which::Letter(uid(9)), vec![]),
    ] {
        let test = TestHome::new();
        let home = test.open();
        let letters = [queue(&home, 1, 2), queue(&home, 2, 2), queue(&home, 3, 3)];
        for letter in letters {
            home.outbox().postpone(letter, at(60), Some(12), "full").unwrap();
        }
        assert!(heads(&home, at(0)).is_empty());
        home.outbox().hurry(which).unwrap();
        assert_eq!(heads(&home, at(0)), expected, "{which:?}");
    }
}

#[test]
fn a_letter_given_up_goes_nowhere_and_says_whether_it_may_have_gone() {
    let test = TestHome::new();
    let home = test.open();
    let give_up = |byte| home.outbox().give_up(&uid(byte)).unwrap();
    let letters: Vec<_> = (1..=4).map(|byte| queue(&home, byte, byte)).collect();
    send(&home, letters[1], 10);
    send(&home, letters[2], 20);
    home.outbox().postpone(letters[2], at(60), Some(12), "full").unwrap();
    send(&home, letters[3], 30);
    let _ = told(&home, 30, Status::Stored);

    assert_eq!(give_up(1), GivenUp::NotSent);
    assert_eq!(give_up(2), GivenUp::MayArrive);
    assert_eq!(give_up(3), GivenUp::NotSent);
    assert_eq!(give_up(4), GivenUp::Answered("stored"));
    assert_eq!(give_up(9), GivenUp::Unknown);
    assert_eq!(give_up(1), GivenUp::Answered("given up"));
    assert!(queued(&home).is_empty());
    let named = |letter| home.outbox().status_of(letter).unwrap().unwrap().name();
    assert_eq!(
        letters.iter().map(|letter| named(*letter)).collect::<Vec<_>>(),
        ["given up", "given up", "given up", "stored"]
    );

    // Between sealing and sending: it does not go out.
    let begun = home.outbox().begin_sending(letters[0], &packet_id(40), user(7), b"sealed", at(2));
    assert!(!begun.unwrap());
    // A late refusal brings nothing back; what did arrive is told.
    home.outbox().postpone(letters[1], at(2), Some(12), "").unwrap();
    assert!(queued(&home).is_empty());
    assert_eq!(told(&home, 10, Status::Delivered), Applied::Risen(letters[1], State::Delivered));
    assert_eq!(named(letters[1]), "delivered");
}

#[test]
fn the_date_of_a_letter_is_corrected_once_before_it_is_sent() {
    let test = TestHome::new();
    let home = test.open();
    let writing = Writing::text("hi").unwrap();
    let letter = home.outbox().queue(&uid(1), &phone(2), &writing, at(0)).unwrap();
    home.outbox().correct_date(letter, 8_640_000).unwrap();
    send(&home, letter, 1);
    home.outbox().correct_date(letter, 8_640_000).unwrap();
    let history = home.history(&phone(2)).unwrap();
    let Event::Written { created_at, .. } = history[0].event else { panic!() };
    assert_eq!(created_at, at(8_640_000));
}

/// What the messenger walks over, by the packets that stored letters went out as.
fn stored(profile: &mut HomeProfile<'_>, mut after: Option<Row>) -> Vec<u8> {
    let mut packets = Vec::new();
    while let Some((row, query)) = profile.stored(after).unwrap() {
        packets.push(query.letter.0[0]);
        after = Some(row);
    }
    packets
}

#[test]
fn the_walk_over_stored_letters_has_each_once_however_many_there_are() {
    let test = TestHome::new();
    let home = test.open();
    for packet in 1..=150 {
        send(&home, queue(&home, packet, 2), packet);
        assert!(matches!(told(&home, packet, Status::Stored), Applied::Risen(..)));
    }
    let mut profile = HomeProfile::new(&home, |_| ());
    let all: Vec<_> = (1..=150).collect();
    assert_eq!(stored(&mut profile, None), all);
    // One that has its last word is not asked about on the next connection, nor is one begun later
    // forgotten.
    assert!(matches!(told(&home, 1, Status::Delivered), Applied::Risen(..)));
    send(&home, queue(&home, 151, 2), 151);
    assert!(matches!(told(&home, 151, Status::Stored), Applied::Risen(..)));
    let all: Vec<_> = (2..=151).collect();
    assert_eq!(stored(&mut profile, None), all);
    let (first, _) = profile.stored(None).unwrap().unwrap();
    assert_eq!(stored(&mut profile, Some(first)), all[1..]);
}

#[test]
fn the_walk_over_heads_has_the_first_letter_of_each_conversation_once() {
    let test = TestHome::new();
    let home = test.open();
    for (to, name) in (10..60).zip(10..).chain((10..60).zip(110..)) {
        queue(&home, name, to);
    }
    let mut profile = HomeProfile::new(&home, |_| ());
    let (mut last, mut recipients) = (None, Vec::new());
    while let Some(head) = profile.head(last, at(0)).unwrap() {
        last = Some(head.row);
        recipients.push(head.recipient);
    }
    assert_eq!(recipients, (10..60).map(phone).collect::<Vec<_>>());
}
