//! A small device's memory of the letters that it has acted on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use waxwing_core::client::{Novelty, SeenLetters};
use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;
use waxwing_core::time::{Timestamp, UnixTime};

use crate::{Reached, taken};

/// A letter, as small as a fuzzer needs it: so that the same ones come again and again.
type Letter = (u8, u8, u8);

/// No letter is acted on twice, none is refused that the memory can tell from a replay, and what is
/// written to flash is what is read again. The first byte chooses how large the memory is; then each
/// three bytes are a letter, by sender, uid and time, or a restart.
pub fn seen_letters(data: &[u8]) -> Reached {
    let Some((size, steps)) = data.split_first() else { return taken(false) };
    match size % 4 {
        0 => run::<1, 0>(steps),
        1 => run::<4, 2>(steps),
        2 => run::<9, 3>(steps),
        _ => decoded(steps),
    }
}

fn run<const LETTERS: usize, const SENDERS: usize>(steps: &[u8]) -> Reached {
    let mut reached = Reached::new();
    let mut seen = SeenLetters::<LETTERS, SENDERS>::new();
    let mut model = Model { letters: LETTERS, senders: SENDERS, ..Model::default() };
    for step in steps.chunks_exact(3) {
        if step[0] & 0x80 != 0 {
            seen = restarted(&seen);
            reached.insert("a restart");
            continue;
        }
        let letter = (step[0] % 5, step[1] % 32, step[2]);
        let novelty = admit(&mut seen, letter);
        assert_eq!(novelty, model.admit(letter), "{letter:?}");
        reached.insert(match novelty {
            Novelty::New => "a new letter",
            Novelty::Duplicate => "a letter once more",
            Novelty::TooOld => "a letter that is too old",
        });
    }
    // A new firmware with less room forgets, and acts on nothing again.
    let mut smaller = SeenLetters::<2, 1>::decode(&encoded(&seen)).expect("it was just written");
    for letter in &model.acted_on {
        assert_ne!(admit(&mut smaller, *letter), Novelty::New, "{letter:?}");
    }
    reached
}

/// Any bytes of a page are refused, or are read as something that can be written and read again.
fn decoded(bytes: &[u8]) -> Reached {
    let seen = SeenLetters::<4, 2>::decode(bytes);
    if let Ok(seen) = &seen {
        restarted(seen);
    }
    taken(seen.is_ok())
}

fn restarted<const L: usize, const S: usize>(seen: &SeenLetters<L, S>) -> SeenLetters<L, S> {
    let read = SeenLetters::decode(&encoded(seen)).expect("it was just written");
    assert_eq!(read, *seen);
    read
}

/// What stands in a page of flash.
#[must_use]
pub fn encoded<const L: usize, const S: usize>(seen: &SeenLetters<L, S>) -> Vec<u8> {
    let mut page = vec![0xff; SeenLetters::<L, S>::ENCODED_LEN];
    seen.encode(&mut page).expect("there is room");
    page
}

/// Shows a letter to a memory.
pub fn admit<const L: usize, const S: usize>(
    seen: &mut SeenLetters<L, S>,
    (sender, uid, sent): Letter,
) -> Novelty {
    let sender = Phone::parse(format!("+1555000000{sender}").as_bytes()).expect("well formed");
    let sent = Timestamp::from_unix(UnixTime::from_seconds(1_795_350_896 + i64::from(sent)));
    seen.admit(&sender, &Uid([uid; Uid::LEN]), sent)
}

/// PROTOCOL.md, "Duplicates", as simple as can be.
#[derive(Default)]
struct Model {
    letters: usize,
    senders: usize,
    window: VecDeque<Letter>,
    floors: BTreeMap<u8, u8>,
    common_floor: Option<u8>,
    acted_on: BTreeSet<Letter>,
}

impl Model {
    fn admit(&mut self, letter: Letter) -> Novelty {
        let (sender, uid, sent) = letter;
        if self.window.iter().any(|known| (known.0, known.1) == (sender, uid)) {
            return Novelty::Duplicate;
        }
        if Some(sent) <= self.floors.get(&sender).copied().max(self.common_floor) {
            return Novelty::TooOld;
        }
        assert!(self.acted_on.insert(letter), "the rules themselves let a letter pass twice");
        self.window.push_back(letter);
        if self.window.len() > self.letters {
            self.forget_oldest();
        }
        Novelty::New
    }

    fn forget_oldest(&mut self) {
        let Some((sender, _, sent)) = self.window.pop_front() else { return };
        let floor = self.floors.entry(sender).or_default();
        *floor = sent.max(*floor);
        if self.floors.len() > self.senders {
            let lowest = self.floors.iter().min_by_key(|(_, floor)| **floor);
            let (sender, floor) = lowest.map(|(sender, floor)| (*sender, *floor)).unwrap();
            self.floors.remove(&sender);
            self.common_floor = self.common_floor.max(Some(floor));
        }
    }
}
