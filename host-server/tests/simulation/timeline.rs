//! Virtual time, chance, and what is to happen when.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use waxwing_core::time::{Instant, Now, UnixTime};
use waxwing_server::clock::Clock;
use waxwing_testkit::simulation::{Dice, Seeded};

const START: UnixTime = UnixTime::from_seconds(1_795_350_896);

/// A clock that stands until the simulation moves it.
#[derive(Clone)]
pub(crate) struct VirtualClock(Rc<Cell<Now>>);

impl Clock for VirtualClock {
    fn now(&self) -> Now {
        self.0.get()
    }
}

/// Something that happens at a moment of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A loop takes a turn. The first number is that of the process, as in all that concern it.
    Turn(u64, usize),
    /// Mail of one shard arrives at another.
    Transfer(u64, usize),
    /// Storage looks into its queue.
    Storage(u64),
    /// Something that storage has done is told to a machine.
    Report(u64, usize),
    /// Bytes, or an end, arrive at the server.
    AtServer(usize),
    /// Bytes, or an end, arrive at a client.
    AtClient(usize),
    /// A person's client looks what there is to do.
    Client(usize),
    /// A node of several looks who has the lease.
    Node(usize),
    /// What was on its way to the database arrives.
    Database,
    /// Something is done to everybody.
    Act,
}

pub(crate) struct Timeline {
    clock: VirtualClock,
    events: BTreeMap<(Instant, u64), Event>,
    number: u64,
    dice: Seeded,
    /// Some delays are long.
    pub(crate) is_uneven: bool,
}

impl Timeline {
    pub(crate) fn new(seed: u64) -> Self {
        let now = Now { instant: Instant::default(), unix: START };
        Self {
            clock: VirtualClock(Rc::new(Cell::new(now))),
            events: BTreeMap::new(),
            number: 0,
            dice: Seeded::new(seed),
            is_uneven: false,
        }
    }

    pub(crate) fn clock(&self) -> VirtualClock {
        self.clock.clone()
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    pub(crate) fn dice(&mut self) -> &mut Seeded {
        &mut self.dice
    }

    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.dice.roll(sides)
    }

    /// A moment up to `micros` from now, or now and then much later.
    pub(crate) fn soon(&mut self, micros: usize) -> Instant {
        let is_long = self.is_uneven && self.roll(16) == 0;
        let most = if is_long { micros * 50 } else { micros };
        self.now().instant.after(Duration::from_micros(1 + self.roll(most) as u64))
    }

    pub(crate) fn schedule(&mut self, at: Instant, event: Event) {
        self.number += 1;
        self.events.insert((at, self.number), event);
    }

    /// Goes on to the next event.
    pub(crate) fn next(&mut self) -> Event {
        let ((at, _), event) = self.events.pop_first().expect("something is always to come");
        let Now { instant, unix } = self.now();
        let seconds = |instant: Instant| (instant.as_millis() / 1_000) as i64;
        let instant = instant.max(at);
        let passed = seconds(instant) - seconds(self.now().instant);
        self.clock.0.set(Now { instant, unix: unix.shifted(passed) });
        event
    }
}

/// Things that are on their way and arrive in order.
pub(crate) struct Line<T>(VecDeque<(Instant, T)>);

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Line<T> {
    /// Sends something off that would arrive at `at` if nothing were in front of it. Returns when it
    /// does.
    pub(crate) fn put(&mut self, at: Instant, thing: T) -> Instant {
        let at = self.0.back().map_or(at, |(before, _)| at.max(*before));
        self.0.push_back((at, thing));
        at
    }

    /// The next one that has arrived.
    pub(crate) fn take(&mut self, now: Instant) -> Option<T> {
        self.0.pop_front_if(|(at, _)| *at <= now).map(|(_, thing)| thing)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
