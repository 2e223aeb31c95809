//! The way of codes to their phones, and what the operator hears of it.

use std::sync::mpsc::Receiver;

use waxwing_core::phone::{Otp, Phone};
use waxwing_core::time::Instant;

use super::repeated::Repeated;
use crate::otp::{
    DeliveryReport, DeliveryTicket, Failing, MOST_WAYS, TestAnswer, TestCodes, WayNumber,
    WayReport, Ways,
};

/// The ways of codes to their phones, and news from there; the registrar's alone.
#[derive(Default)]
pub struct Deliveries {
    ways: Ways,
    reports: Option<Receiver<WayReport>>,
    tests: TestCodes,
    /// Failures in a row.
    trouble: Repeated,
    /// The same of each way, by its number.
    failures: [Repeated; MOST_WAYS],
}

impl Deliveries {
    /// Codes go these ways, and reports come back from them.
    #[must_use]
    pub fn new(ways: Ways, reports: Receiver<WayReport>) -> Self {
        Self { ways, reports: Some(reports), ..Self::default() }
    }

    /// From now on codes go these ways; in band if there are none. What is under way arrives.
    pub(super) fn go_other_ways(&mut self, ways: Ways) {
        self.ways.give_way_to(ways);
        self.failures = Default::default();
    }

    pub(super) fn deliver(
        &mut self,
        ticket: DeliveryTicket,
        phone: &Phone,
        code: &Otp,
        now: Instant,
    ) {
        self.ways.deliver(ticket, phone, code, now);
    }

    /// Sends a code that proves nothing, so that the operator sees whether codes get through this way.
    pub(super) fn test(
        &mut self,
        test: (&Phone, &Otp),
        number: WayNumber,
        answer: TestAnswer,
        now: Instant,
    ) {
        self.tests.begin(&mut self.ways, test, number, answer, now);
    }

    /// The ways on which the last code did not get through.
    pub(super) fn failing(&self, now: Instant) -> [Option<Failing>; MOST_WAYS] {
        self.ways.failing(now)
    }

    /// Until when no code goes out, because all ways rest.
    pub(super) fn rest_until(&self, now: Instant) -> Option<Instant> {
        self.ways.rest_until(now)
    }

    /// What has become of a code; the operator hears of it where that helps.
    pub(super) fn news(&mut self, now: Instant) -> Option<DeliveryReport> {
        let (ticket, result) = loop {
            let report = self.reports.as_ref()?.try_recv().ok()?;
            self.say_why(&report, now);
            match self.ways.ended(report, now) {
                Some((ticket, result)) if !self.tests.ended(ticket, &result, now) => {
                    break (ticket, result);
                }
                _ => {}
            }
        };
        match &result {
            Ok(()) => {
                if let Some(codes) = self.trouble.over() {
                    tracing::info!(name: "codes_delivered_again", codes, "one-time passwords go out again; so many did not");
                }
            }
            Err(error) => {
                if let Some(codes) = self.trouble.again(now) {
                    tracing::warn!(
                    name: "codes_undelivered",
                                %error,
                                codes,
                                "one-time passwords do not go out, and whoever asks for one is told to \
                                 try later; look at what otp.delivery names"
                            );
                }
            }
        }
        Some((ticket, result))
    }

    /// Why a code did not get through on a way, also if another way takes it. A test that an operator makes is told of
    /// each time.
    fn say_why(&mut self, (number, ticket, result): &WayReport, now: Instant) {
        let Some(failures) = self.failures.get_mut(*number) else { return };
        let Err(error) = result else {
            failures.over();
            return;
        };
        let is_due = failures.again(now).is_some() || self.tests.has(*ticket);
        if let Some(way) = self.ways.name(*number).filter(|_| is_due) {
            tracing::warn!(
                name: "code_undelivered",
                way,
                %error,
                "a one-time password did not get through by this way"
            );
        }
    }
}
