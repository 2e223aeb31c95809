//! The people of a run: their keys, what they know of each other, and their clocks.

use waxwing_core::client::Keys;
use waxwing_core::crypto::PrivateKey;
use waxwing_core::messenger::Contact;
use waxwing_core::phone::Phone;

use super::Options;
use super::dice::Dice;
use crate::backend::{Backend, Paper, PaperKey};
use crate::participant::{Memory, Participant};
use crate::person::Person;
use crate::world::SERVER_KEY;

/// Keys that nobody has, pinned in the place of somebody's.
const FALSE_KEYS: usize = 1_000;

/// A phone that nobody has.
pub(super) fn nobody() -> Phone {
    Phone::parse(b"+4915199999999").unwrap()
}

/// Numbers of the keys that the server gets, one after the other.
pub(super) const SUCCESSORS: [usize; 2] = [2_000, 2_001];

/// The keys of everybody, which outlive a run.
pub(super) struct KeyRing {
    server: PaperKey,
    successors: [PaperKey; 2],
    people: Vec<PaperKey>,
}

impl KeyRing {
    pub(super) fn new(options: &Options) -> Self {
        let people = (0..).filter(|at| *at != SERVER_KEY).take(options.people);
        Self {
            server: Paper::key(SERVER_KEY),
            successors: SUCCESSORS.map(Paper::key),
            people: people.map(Paper::key).collect(),
        }
    }
}

/// Messengers for these people, who know some others already, and of some a key that is not theirs
/// any more.
pub(super) fn participants<'k>(
    dice: &mut dyn Dice,
    memory: Memory,
    ring: &'k KeyRing,
    raw: &[Person<Paper>],
) -> Vec<Participant<'k, Paper>> {
    let mut people = Vec::new();
    for (at, (own, person)) in ring.people.iter().zip(raw).enumerate() {
        let keys = Keys { provider: &Paper, own, server: &ring.server };
        let server = keys.server.spki();
        let mut participant =
            Participant::with_memory(keys, server, person.phone, person.id, memory);
        let others = ring.successors.iter().chain([&ring.server]);
        participant.server_keys = others.map(|key| (key.spki().clone(), key)).collect();
        // They are asked in every session, since a run is much shorter than a day.
        participant.profile.asks_server_after_s = Some(0);
        let is_device = dice.roll(6) == 0;
        if is_device {
            participant.become_a_device();
        } else {
            participant.window = [1, 2, 7, 128][dice.roll(4)];
        }
        for other in (1..raw.len().min(5)).map(|by| (at + by) % raw.len()) {
            let Person { phone, id, ref key, .. } = raw[other];
            let mut contact = Contact {
                phone,
                user: id,
                spki: key.spki().clone(),
                asked_at: None,
                changed: None,
            };
            match dice.roll(8) {
                0..3 => continue,
                // A device keeps no letters until a key is accepted.
                3 if !is_device => contact.spki = Paper::key(FALSE_KEYS + other).spki().clone(),
                _ => {}
            }
            participant.profile.stored.contacts.push(contact);
        }
        people.push(participant);
    }
    people
}

/// By how many seconds somebody's clock is wrong.
pub(super) fn clock_error(dice: &mut dyn Dice) -> i64 {
    [0, 0, 0, 0, 0, -3_600, 240, 86_400][dice.roll(8)]
}
