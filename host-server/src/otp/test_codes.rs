//! Codes by which an operator finds out whether codes get through. They prove nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::Sender;
use std::time::Duration;

use waxwing_core::phone::{Otp, Phone};
use waxwing_core::time::Instant;

use super::{DeliveryError, DeliveryTicket, WayNumber, Ways};

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestEnd {
    /// The name of the way.
    pub way: &'static str,
    /// How long it took.
    pub took: Duration,
    /// Whether the code went out.
    pub result: Result<(), DeliveryError>,
}

/// Why there is no test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestRefused {
    /// There were so many a short time ago; after this pause there may be another.
    TooOften(Duration),
    /// Nothing is configured there.
    NoSuchWay,
}

/// Takes the end of a test, or why there is none.
pub type TestAnswer = Sender<Result<TestEnd, TestRefused>>;

/// The tests that are under way, and how many there were.
#[derive(Debug, Default)]
pub(crate) struct TestCodes {
    /// Each with the name of its way, as it is when the test begins.
    under_way: HashMap<DeliveryTicket, (&'static str, Instant, TestAnswer)>,
    /// Those of the last minutes, the oldest first.
    recent: VecDeque<Recent>,
    last: u64,
}

#[derive(Debug)]
struct Recent {
    ticket: DeliveryTicket,
    began: Instant,
    /// Its code may have gone out, or still may.
    may_cost: bool,
}

impl TestCodes {
    /// So many codes may go out in that time: each may cost money.
    const MOST: usize = 10;
    /// So many tests of ways that do not work may be made in that time: whoever repairs one tries often.
    const MOST_FAILED: usize = 60;
    const PERIOD: Duration = Duration::from_secs(600);
    /// Tickets of tests have this bit, and those of machines begin with 1.
    const MARK: u64 = 1 << 63;

    /// Sends a code this way, and no other.
    pub(crate) fn begin(
        &mut self,
        ways: &mut Ways,
        (phone, code): (&Phone, &Otp),
        number: WayNumber,
        answer: TestAnswer,
        now: Instant,
    ) {
        let way = match (ways.name(number), self.has_room_in(now)) {
            (None, _) => Err(TestRefused::NoSuchWay),
            (Some(way), Duration::ZERO) => Ok(way),
            (_, pause) => Err(TestRefused::TooOften(pause)),
        };
        let way = match way {
            Ok(way) => way,
            Err(refused) => {
                // Whoever asked may have left.
                let _ = answer.send(Err(refused));
                return;
            }
        };
        self.last += 1;
        let ticket = DeliveryTicket(Self::MARK | self.last);
        self.recent.push_back(Recent { ticket, began: now, may_cost: true });
        self.under_way.insert(ticket, (way, now, answer));
        ways.deliver_on(number, ticket, phone, code);
    }

    /// After which time there may be another one.
    fn has_room_in(&mut self, now: Instant) -> Duration {
        while self.recent.front().is_some_and(|one| now.since(one.began) >= Self::PERIOD) {
            self.recent.pop_front();
        }
        let pause = |cost: bool, most: usize| {
            let mut those = self.recent.iter().filter(|one| one.may_cost == cost);
            let is_full = those.clone().count() >= most;
            let first = those.next().filter(|_| is_full);
            first.map_or(Duration::ZERO, |one| Self::PERIOD.saturating_sub(now.since(one.began)))
        };
        pause(true, Self::MOST).max(pause(false, Self::MOST_FAILED))
    }

    /// Whether this is a test that is under way.
    pub(crate) fn has(&self, ticket: DeliveryTicket) -> bool {
        self.under_way.contains_key(&ticket)
    }

    /// Takes the end of a delivery if it was a test.
    pub(crate) fn ended(
        &mut self,
        ticket: DeliveryTicket,
        result: &Result<(), DeliveryError>,
        now: Instant,
    ) -> bool {
        let Some((way, began, answer)) = self.under_way.remove(&ticket) else { return false };
        let may_cost = result.as_ref().err().is_none_or(DeliveryError::may_be_out);
        if let Some(one) = self.recent.iter_mut().find(|one| one.ticket == ticket) {
            one.may_cost = may_cost;
        }
        let took = now.since(began);
        // Whoever asked may have left.
        let _ = answer.send(Ok(TestEnd { way, took, result: result.clone() }));
        true
    }
}
