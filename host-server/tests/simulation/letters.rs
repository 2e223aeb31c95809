//! The letters that people have written, and what has to become of them.

use waxwing_core::id::Uid;
use waxwing_core::wire::Status;
use waxwing_testkit::profile::{State, Stored, Written};

use crate::person::Person;
use crate::timeline::Timeline;

#[derive(Default)]
pub(crate) struct Letters(Vec<Letter>);

pub(crate) struct Letter {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) text: String,
    /// An older state of the storage came back after it was written.
    pub(crate) may_be_lost: bool,
}

impl Letter {
    /// As it is in the outbox of its writer.
    pub(crate) fn written<'p>(&self, people: &'p [Person]) -> &'p Written {
        self.in_outbox(&people[self.from].client.profile.stored)
    }

    fn in_outbox<'o>(&self, stored: &'o Stored) -> &'o Written {
        let written = stored.outbox.iter().find(|written| *written.text == *self.text);
        written.expect("it is in the outbox")
    }

    /// Whether it is where it was to go: once, and readable.
    pub(crate) fn is_there(&self, people: &[Person]) -> bool {
        let to = &people[self.to].client.profile;
        let times = to.stored.texts().iter().filter(|text| **text == self.text).count();
        assert!(times <= 1, "{:?} has come {times} times", self.text);
        times == 1
    }

    /// Whether it has come as far as it can while some stay away.
    pub(crate) fn has_come(&self, people: &[Person]) -> bool {
        let [from, to] = [self.from, self.to].map(|who| &people[who]);
        let state = self.written(people).state;
        let is_there = self.is_there(people);
        let may_stay_away = to.stays_away || self.may_be_lost;
        from.stays_away || state == State::Answered && (may_stay_away || is_there)
            // There is no room for more while the other is away.
            || to.stays_away && state == State::Waiting
    }
}

impl Letters {
    /// `from` writes to `to`, if their home is free. Returns what they write.
    pub(crate) fn write(
        &mut self,
        from: usize,
        to: usize,
        people: &mut [Person],
        time: &mut Timeline,
    ) -> Option<&str> {
        let number = self.0.len();
        let to_phone = people[to].client.phone;
        // While a step of the client's is open, another process waits.
        let stored = people[from].client.profile.from_another_process()?;
        let text = format!("{number} from {from} to {to}");
        let mut uid = [0; 16];
        uid[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
        stored.write(Uid(uid), to_phone, &text);
        people[from].wake(time);
        self.0.push(Letter { from, to, text, may_be_lost: false });
        self.0.last().map(|letter| &*letter.text)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Letter> {
        self.0.iter()
    }

    /// The one that was written last.
    pub(crate) fn last(&self) -> &Letter {
        self.0.last().expect("a letter")
    }

    /// An older state of the storage comes back.
    pub(crate) fn may_all_be_lost(&mut self) {
        self.0.iter_mut().for_each(|letter| letter.may_be_lost = true);
    }

    /// Whether all have come as far as they can.
    pub(crate) fn have_come(&self, people: &[Person]) -> bool {
        self.0.iter().all(|letter| letter.has_come(people))
    }

    /// Everything has come, once, and nothing else.
    pub(crate) fn check(&self, people: &[Person]) {
        for letter in &self.0 {
            let is_there = letter.is_there(people);
            assert!(is_there || letter.may_be_lost, "{:?} is lost", letter.text);
            let is_delivered = letter.written(people).status == Status::Delivered;
            assert!(is_there || !is_delivered, "{:?} is not delivered", letter.text);
        }
        for (who, person) in people.iter().enumerate() {
            for text in person.client.texts() {
                let is_meant = |letter: &Letter| letter.to == who && letter.text == *text;
                assert!(self.0.iter().any(is_meant), "{text:?} is nobody's letter to {who}");
            }
        }
    }

    /// Those that are not where they belong, and everybody, for whoever looks at a seed that has failed.
    pub(crate) fn report(&self, people: &[Person]) -> Vec<String> {
        let open = self.0.iter().filter(|letter| !letter.has_come(people));
        let letters = open.map(|letter| {
            let written = letter.written(people);
            let Letter { from, to, text, .. } = letter;
            format!("{from} to {to}: {text:?}, {:?}, {:?}", written.state, written.status)
        });
        let people = people.iter().map(|person| {
            let notices = &person.client.profile.notices;
            format!("connected: {}, {:?}, {notices:?}", person.client.is_connected(), person.link())
        });
        letters.chain(people).collect()
    }
}
