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
    under_way: HashMap<DeliveryTicket, (WayNumber, Instant, TestAnswer)>,
    began: VecDeque<Instant>,
    last: u64,
}

impl TestCodes {
    /// So many tests in that time: each may cost money.
    const MOST: usize = 10;
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
        while self.began.front().is_some_and(|began| now.since(*began) >= Self::PERIOD) {
            self.began.pop_front();
        }
        let refused = match self.began.front() {
            _ if !ways.has(number) => Some(TestRefused::NoSuchWay),
            Some(first) if self.began.len() >= Self::MOST => {
                Some(TestRefused::TooOften(Self::PERIOD.saturating_sub(now.since(*first))))
            }
            _ => None,
        };
        if let Some(refused) = refused {
            let _ = answer.send(Err(refused));
            return;
        }
        self.began.push_back(now);
        self.last += 1;
        let ticket = DeliveryTicket(Self::MARK | self.last);
        self.under_way.insert(ticket, (number, now, answer));
        ways.deliver_on(number, ticket, phone, code);
    }

    /// Takes the end of a delivery if it was a test.
    pub(crate) fn ended(
        &mut self,
        ways: &Ways,
        ticket: DeliveryTicket,
        result: &Result<(), DeliveryError>,
        now: Instant,
    ) -> bool {
        let Some((number, began, answer)) = self.under_way.remove(&ticket) else { return false };
        let (way, took) = (ways.name(number), now.since(began));
        // Whoever asked may have left.
        let _ = answer.send(Ok(TestEnd { way, took, result: result.clone() }));
        true
    }
}
