//! A small device's memory against letters that come twice.

use std::collections::HashSet;

use proptest::prelude::*;
use waxwing_core::client::{Novelty, SeenLetters};
use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{Full, Malformed};

fn sender(n: u8) -> Phone {
    Phone::parse(format!("+4915112345{n:03}").as_bytes()).unwrap()
}

fn uid(n: u16) -> Uid {
    let mut uid = [0x1d; 16];
    uid[..2].copy_from_slice(&n.to_le_bytes());
    Uid(uid)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(UnixTime::from_seconds(1_700_000_000 + seconds))
}

fn admit<const L: usize, const S: usize>(
    seen: &mut SeenLetters<L, S>,
    (from, name, sent): (u8, u16, i64),
) -> Novelty {
    seen.admit(&sender(from), &uid(name), at(sent))
}

#[test]
fn a_letter_is_new_once() {
    let mut seen = SeenLetters::<4, 2>::new();
    assert_eq!(admit(&mut seen, (1, 1, 10)), Novelty::New);
    assert_eq!(admit(&mut seen, (1, 1, 10)), Novelty::Duplicate);
    // Signed again, with the same uid.
    assert_eq!(admit(&mut seen, (1, 1, 400)), Novelty::Duplicate);
    // Another sender's uid is another letter.
    assert_eq!(admit(&mut seen, (2, 1, 10)), Novelty::New);
}

#[test]
fn what_was_forgotten_leaves_a_floor_for_its_sender_alone() {
    let mut seen = SeenLetters::<1, 2>::new();
    assert_eq!(admit(&mut seen, (1, 1, 10)), Novelty::New);
    assert_eq!(admit(&mut seen, (2, 2, 5)), Novelty::New);
    // The first letter was forgotten.
    assert_eq!(admit(&mut seen, (1, 1, 10)), Novelty::TooOld);
    assert_eq!(admit(&mut seen, (1, 3, 10)), Novelty::TooOld);
    assert_eq!(admit(&mut seen, (2, 4, 6)), Novelty::New);
    assert_eq!(admit(&mut seen, (3, 5, 1)), Novelty::New);
    assert_eq!(admit(&mut seen, (1, 6, 11)), Novelty::New);
}

#[test]
fn without_room_for_a_sender_the_lowest_floor_becomes_everybodys() {
    let mut seen = SeenLetters::<1, 1>::new();
    for letter in [(1, 1, 30), (2, 2, 20), (3, 3, 40)] {
        assert_eq!(admit(&mut seen, letter), Novelty::New);
    }
    // Floors: 30 for the first; 20, of the second, for all.
    assert_eq!(admit(&mut seen, (4, 4, 20)), Novelty::TooOld);
    assert_eq!(admit(&mut seen, (1, 5, 30)), Novelty::TooOld);
    assert_eq!(admit(&mut seen, (4, 4, 21)), Novelty::New);
}

#[test]
fn a_higher_floor_without_room_takes_the_place_of_the_lowest() {
    let mut seen = SeenLetters::<1, 1>::new();
    for letter in [(1, 1, 20), (2, 2, 30), (3, 3, 40)] {
        assert_eq!(admit(&mut seen, letter), Novelty::New);
    }
    // Floors: 30 for the second; 20, of the first, for all.
    assert_eq!(admit(&mut seen, (2, 4, 30)), Novelty::TooOld);
    assert_eq!(admit(&mut seen, (4, 5, 20)), Novelty::TooOld);
    assert_eq!(admit(&mut seen, (4, 5, 21)), Novelty::New);
}

#[test]
fn the_encoding_has_a_fixed_size_and_survives_another_capacity() {
    let mut seen = SeenLetters::<3, 2>::new();
    for n in 0..8 {
        let _ = admit(&mut seen, (n, n.into(), i64::from(n)));
    }
    let mut bytes = [0xff; SeenLetters::<3, 2>::ENCODED_LEN];
    seen.encode(&mut bytes).unwrap();
    assert_eq!(SeenLetters::<3, 2>::decode(&bytes), Ok(seen.clone()));
    let short = bytes.len() - 1;
    assert_eq!(seen.encode(&mut bytes[..short]), Err(Full));

    let mut smaller = SeenLetters::<1, 0>::decode(&bytes).unwrap();
    let mut larger = SeenLetters::<9, 9>::decode(&bytes).unwrap();
    for n in 0..8 {
        let letter = (n, n.into(), i64::from(n));
        assert_ne!(admit(&mut smaller, letter), Novelty::New);
        assert_ne!(admit(&mut larger, letter), Novelty::New);
    }
    assert_eq!(admit(&mut larger, (9, 9, 9)), Novelty::New);
}

#[test]
fn blank_and_damaged_memory_is_told_apart() {
    type Seen = SeenLetters<3, 2>;
    for blank in [0x00, 0xff] {
        assert_eq!(Seen::decode(&[blank; Seen::ENCODED_LEN]), Err(Malformed));
    }
    assert_eq!(Seen::decode(&[]), Err(Malformed));
    let mut seen = Seen::new();
    let _ = admit(&mut seen, (1, 1, 1));
    let mut bytes = [0; Seen::ENCODED_LEN];
    seen.encode(&mut bytes).unwrap();
    assert_eq!(Seen::decode(&bytes[..30]), Err(Malformed));
    bytes[5] = b'x';
    assert_eq!(Seen::decode(&bytes), Err(Malformed));
}

proptest! {
    #[test]
    fn no_signed_letter_is_ever_new_twice_and_none_is_invented(
        letters in prop::collection::vec((0_u8..6, 0_u16..40, 0_i64..60, any::<bool>()), 1..200),
    ) {
        let mut seen = SeenLetters::<4, 3>::new();
        let mut told = HashSet::new();
        let mut names = HashSet::new();
        for (from, name, sent, restart) in letters {
            match admit(&mut seen, (from, name, sent)) {
                Novelty::New => prop_assert!(told.insert((from, name, sent)), "new twice"),
                Novelty::Duplicate => prop_assert!(names.contains(&(from, name)), "never seen"),
                Novelty::TooOld => {}
            }
            names.insert((from, name));
            if restart {
                let mut bytes = [0xff; SeenLetters::<4, 3>::ENCODED_LEN];
                seen.encode(&mut bytes).unwrap();
                prop_assert_eq!(&SeenLetters::decode(&bytes).unwrap(), &seen);
            }
        }
    }

    #[test]
    fn letters_that_come_in_order_are_all_new(count in 1_u16..300) {
        let mut seen = SeenLetters::<2, 1>::new();
        for n in 0..count {
            let letter = (u8::try_from(n % 5).unwrap(), n, i64::from(n));
            prop_assert_eq!(admit(&mut seen, letter), Novelty::New);
        }
    }
}
