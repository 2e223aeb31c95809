//! Letters that come in, held, released, and too large to be kept.

use waxwing_core::client::{Buffers, Ended, LetterName, Options};
use waxwing_core::crypto::Rejected;
use waxwing_core::id::PacketId;
use waxwing_core::limits::OVERHEAD;
use waxwing_core::wire::{Op, Status};

use crate::keys::{FRIEND_PUBLIC, SERVER_PUBLIC};
use crate::line::{Heard, Line, Stage, buffers};
use crate::server::{FRIEND, NOBODY, US, id_of};

pub(crate) fn device(letters: usize, stage: Stage) -> Line {
    let buffers = Buffers { letters: vec![0; letters], ..buffers() };
    let mut line = Line::with(buffers, Options::default());
    line.go_to(stage);
    line
}

#[test]
fn a_letter_not_to_us_or_from_us_or_from_nobody_ends() {
    for (sender, recipient) in [(FRIEND, 9), (FRIEND, NOBODY), (US, US), (NOBODY, US)] {
        for letters in [1_000, 300] {
            let mut line = device(letters, Stage::Active);
            let letter = line.server.letter(sender, recipient, &[7; 400]);
            assert_eq!(line.hear(&letter), [], "{sender} to {recipient}");
            line.assert_ended(Ended::Misbehaved);
        }
    }
}

#[test]
fn a_letter_too_large_is_named_and_can_be_verified() {
    for payload in [19, 20, 256, 1_000, 61_440, 65_535] {
        let mut line = device(300, Stage::Active);
        let letter = line.server.letter(FRIEND, US, &vec![0xc5; payload]);
        assert_eq!(line.hear(&letter), [Heard::TooLarge(id_of(&letter))], "{payload}");
        let oversized = line.oversized.take().unwrap();
        assert_eq!(usize::from(oversized.header.payload_size), payload);
        assert_eq!(oversized.verify(&*FRIEND_PUBLIC), Ok(()));
        assert_eq!(oversized.verify(&*SERVER_PUBLIC), Err(Rejected));
        // The stream goes on behind it.
        line.prove();
    }
}

#[test]
fn tampering_with_a_letter_too_large_is_noticed() {
    let pristine = device(300, Stage::Active).server.letter(FRIEND, US, &[0xc5; 900]);
    for at in [4 + 18, 26, 500, 925, 926, pristine.len() - 1] {
        let mut line = device(300, Stage::Active);
        let mut letter = pristine.clone();
        letter[at] ^= 1;
        assert!(matches!(line.hear(&letter)[..], [Heard::TooLarge(_)]));
        let oversized = line.oversized.take().unwrap();
        assert_eq!(oversized.verify(&*FRIEND_PUBLIC), Err(Rejected), "{at}");
        assert_eq!(oversized.id() == id_of(&pristine), at >= 926, "{at}");
    }
}

#[test]
fn the_largest_letter_that_fits_is_kept_whole() {
    let mut line = device(OVERHEAD + 100, Stage::Active);
    line.holds_letters = true;
    let letter = line.server.letter(FRIEND, US, &[0x2b; 100]);
    assert_eq!(line.hear(&letter), [Heard::Letter(id_of(&letter))]);
    assert_eq!(line.client.letter().unwrap().packet().as_bytes(), letter);
    assert!(line.client.letter().unwrap().verify(&*FRIEND_PUBLIC).is_ok());
}

#[test]
fn an_empty_letter_passes_the_smallest_buffers() {
    let mut line = device(OVERHEAD, Stage::Active);
    let empty = line.server.letter(FRIEND, US, &[]);
    assert_eq!(line.hear(&empty), [Heard::Letter(id_of(&empty))]);
    let next = line.server.letter(FRIEND, US, &[1]);
    assert_eq!(line.hear(&next), [Heard::TooLarge(id_of(&next))]);
    line.prove();
}

#[test]
fn a_held_letter_stalls_the_next_one_and_nothing_before_it() {
    for next_size in [10, 5_000] {
        let mut line = device(1_000, Stage::Active);
        line.holds_letters = true;
        let first = line.server.letter(FRIEND, US, b"first");
        let mut stream = first.clone();
        stream.extend(line.server.sealed_statuses(&[(PacketId([1; 16]), Status::Stored)]));
        stream.extend(line.server.sealed_statuses(&[(PacketId([2; 16]), Status::Stored)]));
        let next = line.server.letter(FRIEND, US, &vec![0; next_size]);
        stream.extend(&next);
        stream.extend(line.server.sealed_statuses(&[(PacketId([3; 16]), Status::Stored)]));
        let stored =
            |letter| Heard::Status(LetterName::Whole(PacketId([letter; 16])), Status::Stored);
        let expected = [Heard::Letter(id_of(&first)), stored(1), stored(2)];
        assert_eq!(line.hear(&stream), expected);
        assert!(line.client.receive_buffer().is_empty());
        assert!(line.unread() > 0);
        assert_eq!(line.client.letter().unwrap().packet().as_bytes(), first);

        line.client.release_letter();
        let told = if next_size > 1_000 { Heard::TooLarge } else { Heard::Letter };
        assert_eq!(line.hear(&[]), [told(id_of(&next)), stored(3)]);
        assert_eq!(line.unread(), 0);
    }
}

#[test]
fn releasing_what_is_not_there_changes_nothing() {
    let mut line = device(1_000, Stage::Active);
    let letter = line.server.letter(FRIEND, US, &[4; 500]);
    assert_eq!(line.hear(&letter[..400]), []);
    line.client.release_letter();
    assert!(line.client.letter().is_none());
    assert_eq!(line.hear(&letter[400..]), [Heard::Letter(id_of(&letter))]);
}

#[test]
fn a_letter_in_its_buffer_survives_the_end_of_the_connection() {
    let mut line = device(1_000, Stage::Active);
    line.holds_letters = true;
    let letter = line.server.letter(FRIEND, US, b"kept");
    let mut stream = letter.clone();
    stream.extend(line.server.sealed(Op::Close, &[2]));
    line.hear(&stream);
    assert!(line.ended().is_some());
    assert_eq!(line.client.letter().unwrap().packet().as_bytes(), letter);
}
