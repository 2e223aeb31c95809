//! The way of codes to their phones, and what the operator hears of it.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use waxwing_core::phone::{Otp, Phone};

use crate::otp::{DeliveryError, DeliveryTicket, OtpDelivery};

/// How a delivery ended.
pub(super) type DeliveryReport = (DeliveryTicket, Result<(), DeliveryError>);

/// The way of codes to their phones, and news from there; the desk's alone.
#[derive(Default)]
pub(super) struct Deliveries {
    way: Option<Box<dyn OtpDelivery>>,
    reports: Option<Receiver<DeliveryReport>>,
    trouble: Trouble,
}

impl Deliveries {
    pub(super) fn new(
        way: Option<Box<dyn OtpDelivery>>,
        reports: Receiver<DeliveryReport>,
    ) -> Self {
        Self { way, reports: Some(reports), trouble: Trouble::default() }
    }

    pub(super) fn deliver(&self, ticket: DeliveryTicket, phone: &Phone, code: &Otp) {
        if let Some(way) = &self.way {
            way.deliver(ticket, phone, code);
        }
    }

    /// What has become of a code; the operator hears of it where that helps.
    pub(super) fn news(&mut self) -> Option<DeliveryReport> {
        let (ticket, result) = self.reports.as_ref()?.try_recv().ok()?;
        match (&result, self.trouble.note(result.is_ok(), Instant::now())) {
            (Err(error), Some(Word::Fails { codes })) => tracing::warn!(
                %error,
                codes,
                "one-time passwords do not go out, and whoever asks for one is told to try later; \
                 look at what otp.delivery names"
            ),
            (_, Some(Word::Works { codes })) => {
                tracing::info!(codes, "one-time passwords go out again; so many did not");
            }
            _ => {}
        }
        Some((ticket, result))
    }
}

/// Failures in a row, and when they were last told of.
#[derive(Debug, Default)]
struct Trouble {
    codes: u64,
    told: Option<Instant>,
}

/// What is worth a line.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Fails { codes: u64 },
    Works { codes: u64 },
}

impl Trouble {
    /// Between two lines about the same trouble.
    const PAUSE: Duration = Duration::from_mins(10);

    fn note(&mut self, went_out: bool, now: Instant) -> Option<Word> {
        if went_out {
            let Self { codes, told } = std::mem::take(self);
            return told.map(|_| Word::Works { codes });
        }
        self.codes += 1;
        let is_due = self.told.is_none_or(|told| now.duration_since(told) >= Self::PAUSE);
        is_due.then(|| {
            self.told = Some(now);
            Word::Fails { codes: self.codes }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_once_and_again_after_a_while_and_so_is_its_end() {
        let start = Instant::now();
        let at = |minutes| start + Duration::from_mins(minutes);
        let mut trouble = Trouble::default();
        assert_eq!(trouble.note(true, at(0)), None);
        assert_eq!(trouble.note(false, at(0)), Some(Word::Fails { codes: 1 }));
        for minute in 1..10 {
            assert_eq!(trouble.note(false, at(minute)), None);
        }
        assert_eq!(trouble.note(false, at(10)), Some(Word::Fails { codes: 11 }));
        assert_eq!(trouble.note(true, at(11)), Some(Word::Works { codes: 11 }));
        assert_eq!(trouble.note(true, at(11)), None);
    }
}
