//! The way of codes to their phones, and what the operator hears of it.

use std::sync::mpsc::Receiver;

use waxwing_core::phone::{Otp, Phone};
use waxwing_core::time::Instant;

use super::repeated::Repeated;
use crate::otp::{DeliveryError, DeliveryTicket, OtpDelivery};

/// How a delivery ended.
pub type DeliveryReport = (DeliveryTicket, Result<(), DeliveryError>);

/// The way of codes to their phones, and news from there; the registrar's alone.
#[derive(Default)]
pub struct Deliveries {
    way: Option<Box<dyn OtpDelivery>>,
    /// Ways that take no more codes, and are not done with those that they have.
    retired: Vec<Box<dyn OtpDelivery>>,
    reports: Option<Receiver<DeliveryReport>>,
    /// Failures in a row.
    trouble: Repeated,
}

impl Deliveries {
    /// Codes go this way, and reports come back from it.
    #[must_use]
    pub fn new(way: Option<Box<dyn OtpDelivery>>, reports: Receiver<DeliveryReport>) -> Self {
        Self { way, retired: Vec::new(), reports: Some(reports), trouble: Repeated::default() }
    }

    /// From now on codes go another way. What is under way arrives.
    pub(super) fn go_another_way(&mut self, way: Box<dyn OtpDelivery>) {
        self.retired.retain(|way| !way.is_done());
        if let Some(mut before) = self.way.replace(way) {
            before.retire();
            self.retired.push(before);
        }
    }

    pub(super) fn deliver(&self, ticket: DeliveryTicket, phone: &Phone, code: &Otp) {
        if let Some(way) = &self.way {
            way.deliver(ticket, phone, code);
        }
    }

    /// What has become of a code; the operator hears of it where that helps.
    pub(super) fn news(&mut self, now: Instant) -> Option<DeliveryReport> {
        let (ticket, result) = self.reports.as_ref()?.try_recv().ok()?;
        match &result {
            Ok(()) => {
                if let Some(codes) = self.trouble.over() {
                    tracing::info!(codes, "one-time passwords go out again; so many did not");
                }
            }
            Err(error) => {
                if let Some(codes) = self.trouble.again(now) {
                    tracing::warn!(
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
}
