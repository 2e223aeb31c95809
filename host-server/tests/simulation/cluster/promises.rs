//! What the servers have promised, and whether it is so after every step:
//!
//! 1. what is *stored* is in the database, or with its recipient;
//! 2. nothing is shown twice;
//! 3. what is *delivered* is with its recipient.

use std::collections::{BTreeMap, HashSet};

use waxwing_core::id::PacketId;
use waxwing_core::wire::Status;
use waxwing_testkit::profile::Says;

use crate::letters::Letters;
use crate::person::Person;

pub(super) struct Promises {
    people: Vec<Heard>,
    /// Letters that were told to be stored: their writer, their place in the outbox, and recipient.
    stored: BTreeMap<(usize, usize), usize>,
}

/// What somebody has heard.
#[derive(Default)]
struct Heard {
    texts: HashSet<String>,
    /// How many of the letters that have come are counted.
    counted: usize,
    /// What was told about each letter in the outbox.
    told: Vec<Status>,
}

impl Promises {
    pub(super) fn new(people: usize) -> Self {
        let people = (0..people).map(|_| Heard::default()).collect();
        Self { people, stored: BTreeMap::new() }
    }

    /// An older state of the database comes back, and an operator will be told.
    pub(super) fn may_all_be_lost(&mut self) {
        self.stored.clear();
    }

    /// Somebody's client has done something.
    pub(super) fn heard_by(&mut self, who: usize, people: &[Person], letters: &Letters) {
        let home = people[who].client.profile.committed();
        let heard = &mut self.people[who];
        for letter in home.letters.iter().skip(heard.counted) {
            if let Says::Text(_, text) = &letter.says {
                assert!(heard.texts.insert(text.to_string()), "{text:?} is shown twice");
            }
        }
        heard.counted = home.letters.len();
        heard.told.resize(home.outbox.len(), Status::Unknown);
        for at in 0..home.outbox.len() {
            let (status, text) = (home.outbox[at].status, &home.outbox[at].text);
            if std::mem::replace(&mut self.people[who].told[at], status) == status {
                continue;
            }
            let letter = letters.iter().find(|letter| *letter.text == **text).expect("a letter");
            // What was on its way when an older state came back is not promised any more.
            if status == Status::Stored && !letter.may_be_lost {
                self.stored.insert((who, at), letter.to);
            }
            let is_there = self.people[letter.to].texts.contains(&letter.text);
            assert!(status != Status::Delivered || is_there, "{text:?} is not delivered");
        }
    }

    /// These packets are in the database.
    pub(super) fn check_stored(&self, people: &[Person], in_database: &HashSet<PacketId>) {
        for ((from, at), to) in &self.stored {
            let written = &people[*from].client.profile.committed().outbox[*at];
            let is_there = self.people[*to].texts.contains(&*written.text)
                || written.packets.iter().any(|(id, _)| in_database.contains(id));
            assert!(is_there, "{:?} was stored, and is lost", written.text);
        }
    }
}
